//! How a test knows that a frame did not arrive.
//!
//! Waiting a while proves nothing. Instead, markers are sent after the frames in question, through the same
//! queues. Each switch has one more port, its *eye*, held by the test, and flows of the lab's own that take a
//! marker from the eye out at the port it names, and a marker from any other port to the eye:
//!
//! 1. Each host that sent something sends a marker. Once it shows at the eye, the switch has handled what the
//!    host sent before: a port's frames are handled in order.
//! 2. In rounds, a marker goes over each trunk in each direction, eye to eye. In each round every frame that is
//!    still under way is handled by one more switch. There are as many rounds as switches, and a frame that is
//!    passed on more often than that loops.
//! 3. A marker goes out at each host's port. What the host receives before it is all that it heard.
//!
//! Open vSwitch's userspace datapath handles all of a bridge's ports in one thread, which step 2 builds on.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::heard::Heard;
use super::lab::Lab;
use super::node::OvsNode;
use super::switch::Switch;
use super::topology::Link;
use crate::error::LabError;
use crate::host::{Frame, Mac, Tap};

/// Cookie of the lab's own flows.
pub const COOKIE: u64 = 0x7e57_0000_0000_0000;
/// EtherType "local experimental 2" (IEEE 802): a marker.
const MARKER: u16 = 0x88b6;
/// EtherType of LLDP (IEEE 802.1AB).
const LLDP: u16 = 0x88cc;
/// For a marker to arrive; only a broken lab, or a storm that fills queues, takes this long.
const LIMIT: Duration = Duration::from_secs(20);
/// For a marker that may well be lost, before the next try: a tunnel's first frames, until ARP has an answer.
const TRY: Duration = Duration::from_millis(100);
/// Bits of a marker's destination: locally administered, unicast, then the number of the port to go out at.
const TO_PORT: [u8; 4] = [0x02, 0xfe, 0, 0];

/// What makes a marker one of a kind: when, and where it was put in.
type Key = (u64, u16);

/// The flows that markers take, as `ovs-ofctl` reads them.
///
/// # Errors
/// [`LabError`] when a port doesn't exist.
pub fn flows(node: &OvsNode, eye: &str, ports: &[String]) -> Result<String, LabError> {
    let names: Vec<&str> = ports.iter().map(String::as_str).chain([eye]).collect();
    let numbers = node.port_numbers(&names)?;
    let Some((eye, ports)) = numbers.split_last() else { return Ok(String::new()) };
    let mut flows = format!(
        "cookie={COOKIE:#x},table=0,priority=65534,dl_type={MARKER:#x},actions=output:{eye}\n"
    );
    for (index, port) in (0..).zip(ports) {
        let [a, b, c, d, e, f] = to_port(index);
        flows += &format!(
            "cookie={COOKIE:#x},table=0,priority=65535,in_port={eye},dl_type={MARKER:#x},\
             dl_dst={a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x},actions=output:{port}\n"
        );
    }
    Ok(flows)
}

impl Lab {
    /// Sends a frame from a host and tells everything that all hosts heard of it, and of nothing sent later.
    ///
    /// Blocks the thread, so the controller must run elsewhere.
    ///
    /// # Errors
    /// [`LabError`] when there is no such host, or a queue is so full that markers are lost: a storm.
    pub fn probe(&self, from: &str, frame: &Frame) -> Result<Heard, LabError> {
        self.probe_all(&[(from, frame.clone())])
    }

    /// The same for several frames, each sent without waiting for the ones before.
    ///
    /// # Errors
    /// As [`probe`](Self::probe).
    pub fn probe_all(&self, frames: &[(&str, Frame)]) -> Result<Heard, LabError> {
        let mut heard = Heard::default();
        self.discard()?;
        // So many fit in the receive buffer of a port's socket for sure.
        for some in frames.chunks(64) {
            some.iter().try_for_each(|(from, frame)| self.host(from)?.tap().send(frame))?;
            heard.append(self.collect()?);
        }
        Ok(heard)
    }

    /// Sends a frame from a host; each of `to` must hear it exactly once, and nobody anything else.
    ///
    /// # Errors
    /// [`LabError::Wrong`] with who should have heard what, and who did; else as [`probe`](Self::probe).
    pub fn expect(&self, from: &str, frame: &Frame, to: &[&str]) -> Result<(), LabError> {
        let told = |error| LabError::Wrong(format!("from {from}: {error}"));
        self.probe(from, frame)?.exactly(frame, to).map_err(told)
    }

    /// Waits until nothing that was sent is still under way, and tells what hosts heard since they were last read.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when a marker is lost.
    pub fn collect(&self) -> Result<Heard, LabError> {
        let mut heard = Heard::default();
        let nonce = self.next_id();
        let hosts = || (0..).zip(self.hosts()).filter(|(_, host)| self.lives(host.switch()));
        let from_hosts: Vec<_> = hosts()
            .map(|(place, host)| (host.tap(), [0; 6], (nonce, place), host.switch()))
            .collect();
        self.pass(&from_hosts, &mut heard)?;
        for _ in self.switches() {
            let nonce = self.next_id();
            let over: Vec<_> = (0..)
                .zip(self.directions(self.whole_links()))
                .map(|(place, way)| (way.eye, way.dst, (nonce, place), way.to))
                .collect();
            self.pass(&over, &mut heard)?;
        }
        let nonce = self.next_id();
        for (place, host) in hosts() {
            let switch = &self.switches()[host.switch()];
            switch.eye().send(&marker(switch.way_to(host.name())?, (nonce, place)))?;
        }
        for (place, host) in hosts() {
            self.read_until(host.tap(), &mut BTreeSet::from([(nonce, place)]), LIMIT, &mut heard)?;
        }
        Ok(heard)
    }

    /// Sends markers over every whole trunk until each has passed one: tunnels know their neighbours then, and ports
    /// that were set up are up.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when one passes nothing.
    pub(super) fn warm_up(&self) -> Result<(), LabError> {
        self.pass_something(self.whole_links())
    }

    /// The same for one link, where its switches live.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it passes nothing.
    pub(super) fn warm_up_link(&self, number: usize) -> Result<(), LabError> {
        self.pass_something(self.whole_links().filter(|link| link.number == number))
    }

    fn pass_something<'a>(&'a self, links: impl Iterator<Item = &'a Link>) -> Result<(), LabError> {
        let mut ignored = Heard::default();
        for (place, way) in (0..).zip(self.directions(links)) {
            let eye = self.switches()[way.to].eye();
            let end = Instant::now() + LIMIT;
            loop {
                let key = (self.next_id(), place);
                way.eye.send(&marker(way.dst, key))?;
                match self.read_until(eye, &mut BTreeSet::from([key]), TRY, &mut ignored) {
                    Err(LabError::Timeout { .. }) if Instant::now() < end => {}
                    other => break other?,
                }
            }
        }
        Ok(())
    }

    /// Puts markers in, all at once, and waits for each at the eye of the switch it goes to.
    fn pass(&self, markers: &[(&Tap, Mac, Key, usize)], heard: &mut Heard) -> Result<(), LabError> {
        markers.iter().try_for_each(|(tap, dst, key, _)| tap.send(&marker(*dst, *key)))?;
        for (index, switch) in self.switches().iter().enumerate() {
            let mut due =
                markers.iter().filter(|(.., to)| *to == index).map(|(_, _, key, _)| *key).collect();
            self.read_until(switch.eye(), &mut due, LIMIT, heard)?;
        }
        Ok(())
    }

    /// Reads frames at a TAP device until all markers that are due came; other frames were heard there.
    fn read_until(
        &self,
        tap: &Tap,
        due: &mut BTreeSet<Key>,
        limit: Duration,
        heard: &mut Heard,
    ) -> Result<(), LabError> {
        let end = Instant::now() + limit;
        while !due.is_empty() {
            let Some(frame) = tap.receive(end)? else {
                let what = format!("{} markers at {}", due.len(), tap.name());
                return Err(LabError::Timeout {
                    what,
                    limit,
                    last: format!("so far heard:\n{heard}"),
                });
            };
            match frame.ethertype() {
                // One that isn't due is a try of the warm-up that came late.
                MARKER => drop(key_of(&frame).map(|key| due.remove(&key))),
                LLDP => heard.add_lldp(tap.name()),
                _ => heard.add(tap.name(), frame),
            }
        }
        Ok(())
    }

    /// Forgets what hosts heard until now.
    fn discard(&self) -> Result<(), LabError> {
        let taps = self
            .hosts()
            .iter()
            .map(|host| host.tap())
            .chain(self.switches().iter().map(Switch::eye));
        for tap in taps {
            while tap.try_receive()?.is_some() {}
        }
        Ok(())
    }

    /// Both directions of each link.
    fn directions<'a>(&'a self, links: impl Iterator<Item = &'a Link>) -> Vec<Direction<'a>> {
        let mut all = Vec::new();
        for link in links {
            for (from, to) in [(0, 1), (1, 0)] {
                let switch = &self.switches()[link.switches[from]];
                if let Ok(dst) = switch.way_to(&link.ports[from]) {
                    all.push(Direction { eye: switch.eye(), dst, to: link.switches[to] });
                }
            }
        }
        all
    }
}

impl Switch {
    /// The destination that makes a marker from this switch's eye leave at a port.
    fn way_to(&self, port: &str) -> Result<Mac, LabError> {
        let index = self
            .ports()
            .iter()
            .position(|it| it == port)
            .and_then(|index| u16::try_from(index).ok());
        index
            .map(to_port)
            .ok_or_else(|| LabError::Wrong(format!("{} has no port {port}", self.name())))
    }
}

struct Direction<'a> {
    eye: &'a Tap,
    dst: Mac,
    to: usize,
}

fn to_port(index: u16) -> Mac {
    let ([a, b, c, d], [e, f]) = (TO_PORT, index.to_be_bytes());
    [a, b, c, d, e, f]
}

fn marker(dst: Mac, (nonce, place): Key) -> Frame {
    let payload = [&nonce.to_be_bytes()[..], &place.to_be_bytes()].concat();
    Frame::new(dst, [0x02, 0xfe, 1, 0, 0, 0], MARKER, &payload)
}

fn key_of(frame: &Frame) -> Option<Key> {
    let (nonce, rest) = frame.payload().split_first_chunk()?;
    Some((u64::from_be_bytes(*nonce), u16::from_be_bytes(*rest.first_chunk()?)))
}
