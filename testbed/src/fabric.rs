//! Many switches, joined by links, in virtual time.
//!
//! A frame that a host sends runs until nothing moves any more, and what came of it is a value: where it was
//! delivered, how often, and whether it would have gone round for ever. All of it is deterministic; a seed chooses
//! the order in which frames that are under way at once move on.
//!
//! ```
//! use openflow::{Action, FlowMod, Instruction, Match};
//! use testbed::fabric::Fabric;
//!
//! let mut fabric = Fabric::new();
//! fabric.add_switch(1, "s1", [1]);
//! fabric.add_switch(2, "s2", [1]);
//! fabric.link((1, 9), (2, 9)); // ports that aren't there yet are made
//! for (switch, from, to) in [(1, 1, 9), (2, 9, 1)] {
//!     let flow = FlowMod::add(0)
//!         .matching(Match::new().in_port(from))
//!         .instruction(Instruction::apply([Action::output(to)]));
//!     assert!(fabric.request(switch, flow).is_empty(), "no error");
//! }
//! let result = fabric.send((1, 1), b"\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5");
//! assert_eq!(result.places(), [(2, 1).into()]);
//! assert!(!result.looped);
//! ```

mod place;
mod result;
pub(crate) mod transit;

use std::collections::BTreeMap;
use std::time::Duration;

use openflow::{Body, DatapathId, Message, PortNo};

pub use place::Place;
pub use result::Deliveries;

use crate::frame::Frame;
use crate::switch::{Channel, Datapath, Output, PortSpec};
use transit::Transit;

/// Switches and links.
#[derive(Debug, Default)]
pub struct Fabric {
    switches: BTreeMap<DatapathId, Datapath>,
    /// Both ends of each link.
    links: BTreeMap<Place, LinkEnd>,
    now: Duration,
    seed: u64,
    next_xid: u32,
}

/// One end of a link.
#[derive(Clone, Copy, Debug)]
struct LinkEnd {
    peer: Place,
    /// Whether frames get through. A silent cut leaves the ports up.
    passes: bool,
}

impl Fabric {
    /// No switches. Frames move in the order in which they were sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// No switches; `seed` chooses the order in which frames move, 0 the one in which they were sent.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Puts in a switch with these host ports.
    pub fn add_switch(
        &mut self,
        dpid: impl Into<DatapathId>,
        name: &str,
        ports: impl IntoIterator<Item = impl Into<PortSpec>>,
    ) -> &mut Datapath {
        self.add(Datapath::new(dpid, name, ports))
    }

    /// Puts in a switch, in place of the one with its id.
    pub fn add(&mut self, datapath: Datapath) -> &mut Datapath {
        let dpid = datapath.dpid();
        self.switches.remove(&dpid);
        self.switches.entry(dpid).or_insert(datapath)
    }

    /// One switch.
    pub fn switch(&self, dpid: impl Into<DatapathId>) -> Option<&Datapath> {
        self.switches.get(&dpid.into())
    }

    /// One switch, to change it behind its controller's back.
    pub fn switch_mut(&mut self, dpid: impl Into<DatapathId>) -> Option<&mut Datapath> {
        self.switches.get_mut(&dpid.into())
    }

    /// All switches, by id.
    pub fn switches(&self) -> impl Iterator<Item = &Datapath> {
        self.switches.values()
    }

    /// Joins two ports; a tunnel key doesn't get through. Ports that aren't there are made.
    pub fn link(&mut self, a: impl Into<Place>, b: impl Into<Place>) -> Deliveries {
        self.join(a.into(), b.into(), false)
    }

    /// Joins two ports by a tunnel that carries keys. Ports that aren't there, or are no tunnels, are made anew.
    pub fn tunnel(&mut self, a: impl Into<Place>, b: impl Into<Place>) -> Deliveries {
        self.join(a.into(), b.into(), true)
    }

    fn join(&mut self, a: Place, b: Place, tunnel: bool) -> Deliveries {
        let mut result = Deliveries::default();
        for (end, peer) in [(a, b), (b, a)] {
            let Some(datapath) = self.switches.get_mut(&end.switch) else { continue };
            let there =
                datapath.pipeline().ports.get(end.port).is_some_and(|entry| entry.tunnel == tunnel);
            if !there {
                let spec = PortSpec { tunnel, ..PortSpec::from(end.port.0) };
                let outputs = datapath.add_port(spec);
                result.absorb_messages(end.switch, outputs);
            }
            self.links.insert(end, LinkEnd { peer, passes: true });
        }
        result
    }

    /// The other end of a port's link.
    pub fn peer(&self, place: impl Into<Place>) -> Option<Place> {
        self.links.get(&place.into()).map(|end| end.peer)
    }

    /// All links, each once, its lower end first.
    pub fn links(&self) -> impl Iterator<Item = (Place, Place)> {
        self.links
            .iter()
            .filter(|(end, link)| **end < link.peer)
            .map(|(end, link)| (*end, link.peer))
    }

    /// Takes a link out and leaves its ports, up, to hosts.
    pub fn unlink(&mut self, end: impl Into<Place>) {
        if let Some(link) = self.links.remove(&end.into()) {
            self.links.remove(&link.peer);
        }
    }

    /// Cuts or mends a link so that the ports at both ends show it; port-status messages are in the result.
    pub fn set_link(&mut self, end: impl Into<Place>, up: bool) -> Deliveries {
        let end = end.into();
        let mut result = self.set_port(end, up);
        if let Some(peer) = self.peer(end) {
            result.merge(self.set_port(peer, up));
        }
        result
    }

    /// Cuts or mends a link behind its ports: they stay up, but frames don't get through.
    pub fn set_passes(&mut self, end: impl Into<Place>, passes: bool) {
        let end = end.into();
        let peer = self.peer(end);
        for place in [Some(end), peer].into_iter().flatten() {
            if let Some(link) = self.links.get_mut(&place) {
                link.passes = passes;
            }
        }
    }

    /// Takes one port's link away, or gives it back.
    pub fn set_port(&mut self, place: impl Into<Place>, up: bool) -> Deliveries {
        let place = place.into();
        let mut result = Deliveries::default();
        if let Some(datapath) = self.switches.get_mut(&place.switch) {
            result.absorb_messages(place.switch, datapath.set_link(place.port, up));
        }
        result
    }

    /// The time since the fabric began.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Lets time pass on all switches; flow-removed messages are in the result.
    pub fn advance(&mut self, by: Duration) -> Deliveries {
        self.now += by;
        let now = self.now;
        let mut result = Deliveries::default();
        for (dpid, datapath) in &mut self.switches {
            result.absorb_messages(*dpid, datapath.advance(now));
        }
        result
    }

    /// Nothing is heard at a switch for long: what runs out without traffic does so now. Flow-removed messages are in
    /// the result.
    pub fn fall_silent(&mut self, dpid: impl Into<DatapathId>) -> Deliveries {
        let dpid = dpid.into();
        let mut result = Deliveries::default();
        if let Some(datapath) = self.switches.get_mut(&dpid) {
            result.absorb_messages(dpid, datapath.fall_silent());
        }
        result
    }

    /// When a flow may next run out anywhere.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.switches.values().filter_map(Datapath::next_deadline).min()
    }

    /// A host sends a frame into a port. Runs until nothing moves any more.
    pub fn send(&mut self, from: impl Into<Place>, frame: impl Into<Frame>) -> Deliveries {
        let mut transit = Transit::new(self.seed);
        transit.arrives(from.into(), frame.into(), None);
        self.run(transit, Deliveries::default())
    }

    /// A controller's message to a switch, and all that comes of it, on every switch.
    pub fn handle(&mut self, dpid: impl Into<DatapathId>, message: Message) -> Deliveries {
        self.handle_on(dpid, Channel(0), message)
    }

    /// As [`handle`](Self::handle), for one of several controllers.
    pub fn handle_on(
        &mut self,
        dpid: impl Into<DatapathId>,
        channel: Channel,
        message: Message,
    ) -> Deliveries {
        let (dpid, now) = (dpid.into(), self.now);
        let mut result = Deliveries::default();
        let mut transit = Transit::new(self.seed);
        if let Some(datapath) = self.switches.get_mut(&dpid) {
            let outputs = datapath.handle_on(channel, now, message);
            self.leave(dpid, outputs, None, &mut transit, &mut result);
        }
        self.run(transit, result)
    }

    /// A request to a switch; its replies and errors. What it does to other switches, and asynchronous messages, are lost:
    /// where those matter, use [`handle`](Self::handle).
    pub fn request(&mut self, dpid: impl Into<DatapathId>, body: impl Into<Body>) -> Vec<Body> {
        let dpid = dpid.into();
        self.next_xid = self.next_xid.wrapping_add(1).max(1);
        let xid = self.next_xid;
        let result = self.handle(dpid, Message::new(xid, body));
        result
            .messages
            .into_iter()
            .filter(|(from, _, m)| *from == dpid && m.xid == xid)
            .map(|(_, _, m)| m.body)
            .collect()
    }

    /// All tables and groups of all switches as sorted text.
    pub fn tables(&self) -> String {
        let dump = |datapath: &Datapath| {
            format!("{}\n{}{}", datapath.dpid(), datapath.groups(), datapath.tables())
        };
        self.switches.values().map(dump).collect()
    }

    fn run(&mut self, mut transit: Transit, mut result: Deliveries) -> Deliveries {
        while let Some((place, frame, step)) = transit.next() {
            let Some(datapath) = self.switches.get_mut(&place.switch) else { continue };
            let outputs = datapath.inject(self.now, place.port, frame);
            self.leave(place.switch, outputs, Some(step), &mut transit, &mut result);
        }
        result.looped |= transit.looped();
        result.frames.sort();
        result
    }

    /// What comes out of a switch goes on: along a link, to a host, or to the controller.
    fn leave(
        &self,
        dpid: DatapathId,
        outputs: Vec<Output>,
        after: Option<usize>,
        transit: &mut Transit,
        result: &mut Deliveries,
    ) {
        for output in outputs {
            match output {
                Output::Message(channel, message) => result.messages.push((dpid, channel, message)),
                Output::Frame { port, frame } => {
                    let place = Place { switch: dpid, port };
                    match self.links.get(&place) {
                        Some(link) if link.passes && self.is_up(link.peer) => {
                            transit.arrives(link.peer, frame, after)
                        }
                        Some(_) => {}
                        None => result.frames.push((place, frame)),
                    }
                }
            }
        }
    }

    fn is_up(&self, place: Place) -> bool {
        self.switch(place.switch).is_some_and(|datapath| datapath.is_up(place.port))
    }
}

impl Deliveries {
    fn absorb_messages(&mut self, dpid: DatapathId, outputs: Vec<Output>) {
        for output in outputs {
            if let Output::Message(channel, message) = output {
                self.messages.push((dpid, channel, message));
            }
        }
    }
}

impl From<(DatapathId, PortNo)> for Place {
    fn from((switch, port): (DatapathId, PortNo)) -> Self {
        Self { switch, port }
    }
}
