//! The one task that owns all state and decides.
//!
//! ```text
//! REST ──calls──► ┌────────┐ ──apply, read, packet-out──► sessions ──► switches
//! sessions ─events► Engine │
//!        ─punts──► └────────┘ ──records──► store
//! ```
//!
//! Everything that happens only changes state and marks networks dirty;
//! `reconcile` works them off from the state as it is then, so a repeated or
//! combined event costs time, never correctness. The engine never waits: what
//! takes time is sent off, and its end comes back as an event.

mod audit;
mod base;
mod changes;
mod drive;
mod learning;
mod noting;
mod pools;
mod recall;
mod reconcile;
mod restoring;
mod status;
mod storing;
mod switches;
mod unseen;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use openflow::{DatapathId, MacAddr};
use tokio::sync::oneshot;

use crate::discovery::{Discovery, Timing};
use crate::free_ports::FreePorts;
use crate::graph::Graph;
use crate::hosts::Hosts;
use crate::ids::Ids;
use crate::installed::Installed;
use crate::intents::{Intents, Record};
use crate::lldp;
use crate::model::{NetworkId, Place};
use crate::quiet::{Named, Quiet};
use crate::store::Store;
use crate::topology::Topology;
use crate::views::Sources;
use crate::world::{Fact, Secret, World};

pub use drive::{CallError, EngineHandle, Inputs};
pub use storing::{Started, Stored};

use learning::{Alarm, Probe};
use noting::Noting;
use reconcile::{Job, Report};
use storing::Storing;
use switches::{Live, Refused};
use unseen::Unseen;

/// Dirty networks, small ones, worked off before inputs are looked at again.
const BATCH: usize = 64;

/// Claims of MACs, and ports that changed, that metrics name.
const NAMED_MACS: usize = 1000;
const NAMED_PORTS: usize = 8192;

/// All state, and what is under way.
pub struct Engine {
    /// When the turn under way began: nothing here looks at a clock.
    now: Instant,
    /// Desired state, as it is stored: all that is acted upon and told.
    intents: Intents,
    /// The same with what was accepted and isn't stored yet: changes are
    /// checked against it.
    accepted: Intents,
    /// Changes that are being stored, in order.
    storing: VecDeque<Storing>,
    next_batch: u64,
    store: Box<dyn Store>,
    store_ended: bool,
    topology: Topology,
    discovery: Discovery,
    hosts: Hosts,
    installed: Installed,
    graph: Graph,
    ids: Ids,
    /// What the store knows of the world.
    world: World,
    /// What it doesn't know yet.
    noting: Noting,
    /// Known switches that are not back since the start.
    unseen: Unseen,
    lldp_key: lldp::Key,
    timing: Timing,
    switch_away: Duration,
    audit_interval: Duration,
    sessions: BTreeMap<DatapathId, Live>,
    /// Switches that hold networks nobody here knows of; left alone.
    foreign: HashSet<DatapathId>,
    /// The free ports of pools that were asked for, in order.
    free_ports: HashMap<DatapathId, FreePorts>,
    /// Ports that their switch has confirmed to be gone from a network, whose
    /// plan is still under way: what the switch cached may act.
    lingering_ports: BTreeMap<Place, NetworkId>,
    /// Switches some of whose ports may have left what they were part of.
    sweep_due: BTreeSet<DatapathId>,
    next_sweep: Instant,
    jobs: HashMap<NetworkId, Job>,
    reports: HashMap<NetworkId, Report>,
    /// How long a switch is left alone with a network it refused, next time.
    backoffs: HashMap<(NetworkId, DatapathId), Duration>,
    retries: BTreeSet<(Instant, NetworkId, DatapathId)>,
    /// When a switch that refused something may be asked again.
    next_retry: HashMap<DatapathId, Instant>,
    /// Plans that wait until what switches cached is surely gone.
    lingering: BTreeSet<(Instant, NetworkId)>,
    /// Networks that took long to look at, until when they may wait to be
    /// looked at for what they learnt; and those that do.
    paced: HashMap<NetworkId, Instant>,
    later: BTreeSet<(Instant, NetworkId)>,
    probes: BTreeMap<(NetworkId, MacAddr), Probe>,
    /// Copies that each port caused in the current second.
    copies: HashMap<Place, u32>,
    muted: BTreeMap<Place, Instant>,
    /// Announcements that each port heard in the current second.
    announced: HashMap<Place, u32>,
    /// Ports where so many were heard that none is listened to, until when.
    deaf: BTreeMap<Place, Instant>,
    /// What each enforced port sent in vain, as last counted.
    denied: BTreeMap<Place, u64>,
    /// Why the last session of a switch that is away ended.
    ended: BTreeMap<DatapathId, String>,
    /// Claims of MACs, by the claiming port, that metrics name.
    named: Named<(Place, MacAddr)>,
    /// Ports that changed and are named in metrics.
    changed_ports: Named<Place>,
    /// Ports on which something was heard that should not be.
    alarms: BTreeMap<Place, Alarm>,
    dirty: Dirty,
    waiters: HashMap<NetworkId, Vec<oneshot::Sender<()>>>,
    pending: HashMap<u64, (DatapathId, Pending)>,
    next_token: u64,
    topology_due: Option<Instant>,
    topology_settled: Instant,
    /// Switches came or went since paths were last worked out.
    switches_changed: bool,
    next_tick: Instant,
    /// When copies are counted anew.
    next_second: Instant,
    /// Keeps what could be logged without end to a line a second.
    quiet: Quiet,
    /// Switches that were not let in, and why.
    refusals: BTreeMap<DatapathId, Refused>,
}

/// What the answer with a token will be about.
enum Pending {
    Phase(NetworkId),
    Base,
    Reread(NetworkId),
    Probe(NetworkId, MacAddr),
    Audit,
}

/// Networks whose slices may not be as they should, each once; those that
/// somebody waits for first.
#[derive(Default)]
struct Dirty {
    order: VecDeque<NetworkId>,
    members: HashSet<NetworkId>,
}

impl Dirty {
    fn push(&mut self, network: NetworkId, urgent: bool) {
        if self.members.insert(network) {
            if urgent {
                self.order.push_front(network);
            } else {
                self.order.push_back(network);
            }
        } else if urgent
            && let Some(at) = self.order.iter().take(BATCH * 4).position(|id| *id == network)
        {
            self.order.remove(at);
            self.order.push_front(network);
        }
    }

    fn pop(&mut self) -> Option<NetworkId> {
        let network = self.order.pop_front()?;
        self.members.remove(&network);
        Some(network)
    }
}

/// What the engine needs to start.
pub struct EngineConfig {
    /// Announcements of trunks.
    pub timing: Timing,
    /// What must survive.
    pub store: Box<dyn Store>,
    /// What announcements are signed with, unless the store has a key.
    pub lldp_key: lldp::Key,
    /// How long a switch may be away before traffic is led around it.
    pub switch_away: Duration,
    /// How long switches that were known before the start may take to come
    /// back before traffic is led around them.
    pub restart_hold: Duration,
    /// How often each switch is read and compared.
    pub audit_interval: Duration,
}

impl Engine {
    /// An engine with the store's state, and the way to call it.
    ///
    /// # Errors
    /// What the store says when it can't be read.
    pub fn new(config: EngineConfig, now: Instant) -> anyhow::Result<Self> {
        let mut store = config.store;
        let mut intents = Intents::default();
        let mut world = World::default();
        for record in store.load()? {
            match record {
                Record::World(fact) => world.apply(fact),
                record => intents.apply(record),
            }
        }
        let accepted = intents.clone();
        let ids = Ids::new(intents.networks().map(|network| network.id));
        let secret = world.key.unwrap_or_else(|| Secret(config.lldp_key.secret()));
        let mut first = Vec::new();
        first.extend(world.key.is_none().then_some(Fact::Key(secret)));
        if !world.ever_held && intents.networks().next().is_some() {
            // Written by a version that didn't say so.
            world.ever_held = true;
            first.push(Fact::EverHeld);
        }
        let mut new = Self {
            now,
            ids,
            intents,
            accepted,
            storing: VecDeque::new(),
            next_batch: 1,
            store,
            store_ended: false,
            topology: Topology::default(),
            discovery: Discovery::new(config.timing),
            hosts: Hosts::default(),
            installed: Installed::default(),
            graph: Graph::default(),
            world,
            noting: Noting::new(first),
            unseen: Unseen::new(config.restart_hold),
            lldp_key: lldp::Key::new(secret.0),
            timing: config.timing,
            switch_away: config.switch_away,
            audit_interval: config.audit_interval,
            sessions: BTreeMap::new(),
            foreign: HashSet::new(),
            free_ports: HashMap::new(),
            lingering_ports: BTreeMap::new(),
            sweep_due: BTreeSet::new(),
            next_sweep: now,
            jobs: HashMap::new(),
            reports: HashMap::new(),
            backoffs: HashMap::new(),
            retries: BTreeSet::new(),
            next_retry: HashMap::new(),
            lingering: BTreeSet::new(),
            paced: HashMap::new(),
            later: BTreeSet::new(),
            probes: BTreeMap::new(),
            copies: HashMap::new(),
            muted: BTreeMap::new(),
            announced: HashMap::new(),
            deaf: BTreeMap::new(),
            denied: BTreeMap::new(),
            ended: BTreeMap::new(),
            named: Named::new(NAMED_MACS),
            changed_ports: Named::new(NAMED_PORTS),
            alarms: BTreeMap::new(),
            dirty: Dirty::default(),
            waiters: HashMap::new(),
            pending: HashMap::new(),
            next_token: 1,
            topology_due: None,
            topology_settled: now,
            switches_changed: false,
            next_tick: now,
            next_second: now,
            quiet: Quiet::default(),
            refusals: BTreeMap::new(),
        };
        new.recall(now);
        Ok(new)
    }

    fn token(&mut self, switch: DatapathId, pending: Pending) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        self.pending.insert(token, (switch, pending));
        token
    }

    /// Whether this store ever held a network. One that never did removes
    /// nothing: a wrong data folder must not wipe a fabric (design §7).
    const fn ever_held_a_network(&self) -> bool {
        self.world.ever_held
    }

    fn sources(&self) -> Sources<'_> {
        Sources {
            intents: &self.intents,
            topology: &self.topology,
            hosts: &self.hosts,
            installed: &self.installed,
            muted: &self.muted,
        }
    }

    /// The same for checks of changes: with what isn't stored yet.
    fn accepted_sources(&self) -> Sources<'_> {
        Sources { intents: &self.accepted, ..self.sources() }
    }

    /// Whether a network with this id is there, or soon will be.
    fn has_id(&self, id: NetworkId) -> bool {
        self.intents.has_id(id) || self.accepted.has_id(id)
    }
}
