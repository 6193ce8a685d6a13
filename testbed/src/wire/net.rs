//! Switches of one process, and the links between them.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use openflow::{Body, DatapathId, Message};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::fabric::transit::Transit;
use crate::fabric::{Deliveries, Place};
use crate::faults::{Faults, Passed};
use crate::frame::Frame;
use crate::switch::{Channel, Datapath, Output, PortSpec};

/// Packet-ins that wait for one controller at most; a switch has no more room and drops what exceeds it.
const MOST_PUNTS: usize = 4096;

/// All switches and links.
#[derive(Debug)]
pub struct Net {
    nodes: RwLock<BTreeMap<DatapathId, Arc<Node>>>,
    links: RwLock<HashMap<Place, LinkEnd>>,
    heard: Mutex<Vec<(Place, Frame)>>,
    capture: AtomicBool,
    loops: AtomicU64,
}

/// One switch.
#[derive(Debug)]
pub struct Node {
    /// Its id.
    pub dpid: DatapathId,
    /// How many connections are up.
    pub connected: watch::Sender<usize>,
    datapath: Mutex<Datapath>,
    faults: Mutex<Option<Faults>>,
    mailboxes: Mutex<BTreeMap<Channel, Mailbox>>,
    channels: AtomicUsize,
    handled: AtomicU64,
    changes: AtomicU64,
    started: Instant,
}

/// Where messages to one controller wait for its connection.
#[derive(Clone, Debug)]
pub struct Mailbox {
    sender: mpsc::UnboundedSender<Message>,
    punts: Arc<AtomicUsize>,
}

/// The connection's end of a mailbox.
#[derive(Debug)]
pub struct Letters {
    receiver: mpsc::UnboundedReceiver<Message>,
    punts: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug)]
struct LinkEnd {
    peer: Place,
    passes: bool,
}

impl Default for Net {
    fn default() -> Self {
        Self {
            nodes: RwLock::default(),
            links: RwLock::default(),
            heard: Mutex::default(),
            capture: AtomicBool::new(true),
            loops: AtomicU64::new(0),
        }
    }
}

impl Net {
    /// Puts in a switch.
    pub fn insert(&self, mut datapath: Datapath) -> Arc<Node> {
        // Nobody listens before a connection is up.
        datapath.disconnect(Channel(0));
        let node = Arc::new(Node {
            dpid: datapath.dpid(),
            connected: watch::Sender::new(0),
            datapath: Mutex::new(datapath),
            faults: Mutex::new(None),
            mailboxes: Mutex::default(),
            channels: AtomicUsize::new(0),
            handled: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            started: Instant::now(),
        });
        self.nodes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(node.dpid, Arc::clone(&node));
        node
    }

    /// Takes out a switch, unless another one of its id has taken its place.
    pub fn remove(&self, node: &Arc<Node>) {
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        if nodes.get(&node.dpid).is_some_and(|there| Arc::ptr_eq(there, node)) {
            nodes.remove(&node.dpid);
        }
    }

    /// Works on a switch, and carries on what comes out of it.
    pub fn with<T>(&self, node: &Node, work: impl FnOnce(&mut Datapath) -> (T, Vec<Output>)) -> T {
        let (value, outputs) = work(&mut node.lock());
        let _ = self.carry(Transit::new(0), node, outputs, None);
        value
    }

    /// A controller's message. Answers for its own channel are returned, all else has gone its way.
    pub fn handle(&self, node: &Node, channel: Channel, message: Message) -> Vec<Message> {
        node.handled.fetch_add(1, Ordering::Relaxed);
        if matches!(message.body, Body::FlowMod(_) | Body::GroupMod(_)) {
            node.changes.fetch_add(1, Ordering::Relaxed);
        }
        let passed = match &mut *lock(&node.faults) {
            Some(faults) => faults.pass(message),
            None => Passed { forward: vec![message], back: Vec::new() },
        };
        let mut answers = passed.back;
        for message in passed.forward {
            let outputs = node.lock().handle_on(channel, node.now(), message);
            let mut others = Vec::new();
            for output in outputs {
                match output {
                    Output::Message(to, message) if to == channel => answers.push(message),
                    other => others.push(other),
                }
            }
            if !others.is_empty() {
                let _ = self.carry(Transit::new(0), node, others, None);
            }
        }
        answers
    }

    /// A host sends a frame.
    pub fn send(&self, from: Place, frame: Frame) -> Deliveries {
        let mut transit = Transit::new(0);
        transit.arrives(from, frame, None);
        self.run(transit, Deliveries::default())
    }

    /// Joins two ports, which are made where they aren't there.
    pub fn join(&self, a: Place, b: Place, tunnel: bool) {
        for (end, peer) in [(a, b), (b, a)] {
            if let Some(node) = self.node(end.switch) {
                self.with(&node, |datapath| {
                    let there = datapath
                        .pipeline()
                        .ports
                        .get(end.port)
                        .is_some_and(|entry| entry.tunnel == tunnel);
                    let spec = PortSpec { tunnel, ..PortSpec::from(end.port.0) };
                    ((), if there { Vec::new() } else { datapath.add_port(spec) })
                });
            }
            let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
            links.insert(end, LinkEnd { peer, passes: true });
        }
    }

    /// The ports at both ends show that the link is there, or not.
    pub fn set_link(&self, end: Place, up: bool) {
        let peer = self.link(end).map(|link| link.peer);
        for place in [Some(end), peer].into_iter().flatten() {
            if let Some(node) = self.node(place.switch) {
                self.with(&node, |datapath| ((), datapath.set_link(place.port, up)));
            }
        }
    }

    /// Frames get through, or not.
    pub fn set_passes(&self, end: Place, passes: bool) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        let peer = links.get(&end).map(|link| link.peer);
        for place in [Some(end), peer].into_iter().flatten() {
            if let Some(link) = links.get_mut(&place) {
                link.passes = passes;
            }
        }
    }

    /// What hosts heard, once.
    pub fn take_heard(&self) -> Vec<(Place, Frame)> {
        std::mem::take(&mut lock(&self.heard))
    }

    /// Keeps nothing of what hosts hear.
    pub fn stop_capture(&self) {
        self.capture.store(false, Ordering::Relaxed);
    }

    /// How many frames looped.
    pub fn loops(&self) -> u64 {
        self.loops.load(Ordering::Relaxed)
    }

    fn run(&self, mut transit: Transit, mut result: Deliveries) -> Deliveries {
        while let Some((place, frame, step)) = transit.next() {
            let Some(node) = self.node(place.switch) else { continue };
            let outputs = node.lock().inject(node.now(), place.port, frame);
            self.leave(&node, outputs, Some(step), &mut transit, &mut result);
        }
        result.looped |= transit.looped();
        self.loops.fetch_add(u64::from(result.looped), Ordering::Relaxed);
        if self.capture.load(Ordering::Relaxed) && !result.frames.is_empty() {
            lock(&self.heard).extend(result.frames.iter().cloned());
        }
        result.frames.sort();
        result
    }

    fn carry(
        &self,
        mut transit: Transit,
        node: &Node,
        outputs: Vec<Output>,
        after: Option<usize>,
    ) -> Deliveries {
        let mut result = Deliveries::default();
        self.leave(node, outputs, after, &mut transit, &mut result);
        self.run(transit, result)
    }

    fn leave(
        &self,
        node: &Node,
        outputs: Vec<Output>,
        after: Option<usize>,
        transit: &mut Transit,
        result: &mut Deliveries,
    ) {
        for output in outputs {
            match output {
                Output::Message(channel, message) => node.post(channel, message),
                Output::Frame { port, frame } => {
                    let place = Place { switch: node.dpid, port };
                    match self.link(place) {
                        Some(link) if link.passes => transit.arrives(link.peer, frame, after),
                        Some(_) => {}
                        None => result.frames.push((place, frame)),
                    }
                }
            }
        }
    }

    fn link(&self, end: Place) -> Option<LinkEnd> {
        self.links.read().unwrap_or_else(PoisonError::into_inner).get(&end).copied()
    }

    fn node(&self, dpid: DatapathId) -> Option<Arc<Node>> {
        self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(&dpid).cloned()
    }
}

impl Node {
    /// Time since the switch started.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// When a flow may next run out.
    pub fn deadline(&self) -> Option<Instant> {
        self.lock().next_deadline().map(|since| self.started + since)
    }

    /// The next channel's number.
    pub fn new_channel(&self) -> Channel {
        Channel(self.channels.fetch_add(1, Ordering::Relaxed) as u32)
    }

    /// A connection is up. What is for its controller waits in the mailbox returned.
    pub fn open(&self, channel: Channel) -> Letters {
        let (sender, receiver) = mpsc::unbounded_channel();
        let punts = Arc::new(AtomicUsize::new(0));
        self.lock().connect(channel);
        lock(&self.mailboxes).insert(channel, Mailbox { sender, punts: Arc::clone(&punts) });
        self.connected.send_modify(|count| *count += 1);
        Letters { receiver, punts }
    }

    /// A connection is gone.
    pub fn close(&self, channel: Channel) {
        self.lock().disconnect(channel);
        lock(&self.mailboxes).remove(&channel);
        self.connected.send_modify(|count| *count -= 1);
    }

    /// What happens to controllers' messages from now on.
    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.faults) = Some(faults);
    }

    /// Messages handled so far.
    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::Relaxed)
    }

    /// Flow-mods and group-mods among them.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn post(&self, channel: Channel, message: Message) {
        let Some(mailbox) = lock(&self.mailboxes).get(&channel).cloned() else { return };
        if matches!(message.body, Body::PacketIn(_)) {
            if mailbox.punts.load(Ordering::Relaxed) >= MOST_PUNTS {
                return;
            }
            mailbox.punts.fetch_add(1, Ordering::Relaxed);
        }
        // A connection that has just ended has no use for it.
        let _ = mailbox.sender.send(message);
    }

    fn lock(&self) -> MutexGuard<'_, Datapath> {
        lock(&self.datapath)
    }
}

impl Letters {
    /// The next message; `None` never comes while the connection is open.
    pub async fn next(&mut self) -> Option<Message> {
        let message = self.receiver.recv().await;
        self.opened(message.as_ref());
        message
    }

    /// One more that is there already.
    pub fn try_next(&mut self) -> Option<Message> {
        let message = self.receiver.try_recv().ok();
        self.opened(message.as_ref());
        message
    }

    fn opened(&self, message: Option<&Message>) {
        if message.is_some_and(|message| matches!(message.body, Body::PacketIn(_))) {
            self.punts.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// A panic elsewhere doesn't leave anything half-done that would matter here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
