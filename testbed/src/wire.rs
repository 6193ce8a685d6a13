//! The embedded switch over TCP: it connects to a controller like any other.
//!
//! ```text
//!   controller ══TCP══ connection task ─┐                      one task for each controller of each switch
//!   controller ══TCP══ connection task ─┤
//!                                       Node (a Datapath) ──┐
//!   inject, packet-outs ────────────────► Node ─────────────┼── Net: links, what hosts heard
//! ```
//!
//! A frame is carried from switch to switch by whoever sent it, at once, in the same order as in a
//! [`Fabric`](crate::fabric::Fabric); no task and no time is between them. So a call that sends a frame returns what
//! came of it.

mod connection;
mod net;
mod session;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use openflow::{DatapathId, PortNo};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::fabric::{Deliveries, Place};
use crate::faults::Faults;
use crate::frame::Frame;
use crate::switch::{Channel, Datapath};
use net::{Net, Node};

/// How a switch keeps its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireConfig {
    /// Before the second attempt to connect; doubled for each further one.
    pub first_backoff: Duration,
    /// The longest wait between two attempts.
    pub max_backoff: Duration,
    /// A controller that was silent for so long is probed by an echo request, and given up if it is silent for as long again.
    pub probe_interval: Duration,
}

impl Default for WireConfig {
    fn default() -> Self {
        Self {
            first_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(1),
            probe_interval: Duration::from_secs(5),
        }
    }
}

/// A switch that stays connected to its controllers until this is dropped.
#[derive(Debug)]
pub struct EmbeddedSwitch {
    net: Arc<Net>,
    node: Arc<Node>,
    config: WireConfig,
    away: watch::Sender<bool>,
    controllers: JoinSet<()>,
}

impl EmbeddedSwitch {
    /// A switch by itself. Frames that leave it are with [`take_heard`](Self::take_heard).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect(controller: SocketAddr, datapath: Datapath) -> Self {
        EmbeddedFabric::new().add(controller, datapath)
    }

    fn new(net: Arc<Net>, node: Arc<Node>, config: WireConfig) -> Self {
        Self { net, node, config, away: watch::Sender::new(false), controllers: JoinSet::new() }
    }

    /// Connects to one more controller. Channels are counted from 0.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn add_controller(&mut self, controller: SocketAddr) -> Channel {
        let channel = self.node.new_channel();
        let connection = connection::Connection {
            controller,
            channel,
            net: Arc::clone(&self.net),
            node: Arc::clone(&self.node),
            config: self.config,
            away: self.away.subscribe(),
        };
        self.controllers.spawn(connection.run());
        channel
    }

    /// Its id.
    pub fn dpid(&self) -> DatapathId {
        self.node.dpid
    }

    /// A frame arrives at a port, and is carried on by links. Messages that come of it have gone to the controllers.
    pub fn inject(&self, port: impl Into<PortNo>, frame: impl Into<Frame>) -> Deliveries {
        self.net.send(Place { switch: self.dpid(), port: port.into() }, frame.into())
    }

    /// The link of a port comes; the controllers hear of it.
    pub fn set_port_up(&self, port: impl Into<PortNo>) {
        let port = port.into();
        self.with(|datapath| ((), datapath.set_link(port, true)));
    }

    /// The link of a port goes; the controllers hear of it.
    pub fn set_port_down(&self, port: impl Into<PortNo>) {
        let port = port.into();
        self.with(|datapath| ((), datapath.set_link(port, false)));
    }

    /// Anything else with the switch itself; outputs that the work returns are carried on.
    pub fn with<T>(
        &self,
        work: impl FnOnce(&mut Datapath) -> (T, Vec<crate::switch::Output>),
    ) -> T {
        self.net.with(&self.node, work)
    }

    /// All flows as sorted text, without counters and ages.
    pub fn tables(&self) -> String {
        self.with(|datapath| (datapath.tables(), Vec::new()))
    }

    /// All groups as sorted text, without counters and ages.
    pub fn groups(&self) -> String {
        self.with(|datapath| (datapath.groups(), Vec::new()))
    }

    /// Whether a controller's connection is up: hellos are exchanged.
    pub fn is_connected(&self) -> bool {
        *self.node.connected.subscribe().borrow() > 0
    }

    /// Returns once as many controllers as there are, or none, are connected.
    pub async fn until_connected(&self, connected: bool) {
        let want = if connected { self.controllers.len() } else { 0 };
        let mut count = self.node.connected.subscribe();
        // The sender lives as long as the node.
        let _ = count.wait_for(|count| *count == want).await;
    }

    /// Closes all connections and stays away, or comes back. Flows stay, frames go on.
    pub fn set_away(&self, away: bool) {
        self.away.send_replace(away);
    }

    /// What happens to messages of controllers from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.node.set_faults(faults);
    }

    /// How many messages of each connection have been handled so far, hellos included.
    pub fn messages_handled(&self) -> u64 {
        self.node.handled()
    }

    /// How many flow-mods and group-mods have been handled so far.
    pub fn changes_handled(&self) -> u64 {
        self.node.changes()
    }

    /// As [`EmbeddedFabric::take_heard`].
    pub fn take_heard(&self) -> Vec<(Place, Frame)> {
        self.net.take_heard()
    }
}

/// Switches over TCP that are joined by links.
#[derive(Clone, Debug, Default)]
pub struct EmbeddedFabric {
    net: Arc<Net>,
    config: WireConfig,
}

impl EmbeddedFabric {
    /// No switches.
    pub fn new() -> Self {
        Self::default()
    }

    /// No switches; new ones connect as `config` says.
    pub fn with_config(config: WireConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Keeps nothing of what hosts hear, for fleets that run long.
    #[must_use]
    pub fn without_capture(self) -> Self {
        self.net.stop_capture();
        self
    }

    /// Puts in a switch and connects it, again and again, until the handle is dropped. Then the switch is gone, and
    /// with it all it knows.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn add(&self, controller: SocketAddr, datapath: Datapath) -> EmbeddedSwitch {
        let mut switch = self.add_alone(datapath);
        switch.add_controller(controller);
        switch
    }

    /// Puts in a switch that has no controller yet.
    pub fn add_alone(&self, datapath: Datapath) -> EmbeddedSwitch {
        let node = self.net.insert(datapath);
        EmbeddedSwitch::new(Arc::clone(&self.net), node, self.config)
    }

    /// Joins two ports; a tunnel key doesn't get through. Ports that aren't there are made.
    pub fn link(&self, a: impl Into<Place>, b: impl Into<Place>) {
        self.net.join(a.into(), b.into(), false);
    }

    /// Joins two ports by a tunnel that carries keys.
    pub fn tunnel(&self, a: impl Into<Place>, b: impl Into<Place>) {
        self.net.join(a.into(), b.into(), true);
    }

    /// Cuts or mends a link so that the ports at both ends show it.
    pub fn set_link(&self, end: impl Into<Place>, up: bool) {
        self.net.set_link(end.into(), up);
    }

    /// Cuts or mends a link behind its ports: they stay up, but frames don't get through.
    pub fn set_passes(&self, end: impl Into<Place>, passes: bool) {
        self.net.set_passes(end.into(), passes);
    }

    /// A host sends a frame into a port; what came of it in the data plane.
    pub fn send(&self, from: impl Into<Place>, frame: impl Into<Frame>) -> Deliveries {
        self.net.send(from.into(), frame.into())
    }

    /// What all hosts heard since this was last asked, in order: also what controllers sent.
    pub fn take_heard(&self) -> Vec<(Place, Frame)> {
        self.net.take_heard()
    }

    /// How many frames looped so far, whoever sent them.
    pub fn loops(&self) -> u64 {
        self.net.loops()
    }
}

impl Drop for EmbeddedSwitch {
    fn drop(&mut self) {
        self.net.remove(&self.node);
    }
}
