//! In which order the switches change, so that nothing loops, doubles or is
//! lost on the way from one state of a network to another.
//!
//! Pure. A plan is a list of phases; a phase gives each switch that changes in
//! it the slice it holds afterwards. A phase begins once every switch of the
//! phase before has answered its barrier. Within a phase no order among the
//! switches is assumed: whatever subset is done, the laws below hold.
//!
//! **Flood.** Edges of the tree that go are dropped at once, at each end that
//! answers. An edge that comes is added as soon as no loop can arise from it
//! with those that may still be active (break before make); attach and detach
//! only graft and prune, so they never wait. After a start a switch that isn't
//! back yet may hold any part of a plan that was under way: until it was read,
//! no edge is added that might close a loop with it.
//!
//! **Known hosts.** A flow is written, new or in place of another, only after
//! its next hop's flow to the same place is confirmed, and the trunk's tag is
//! accepted there. So a frame that meets a new flow meets only new ones from
//! there on, each nearer to the host; it can't loop. Removals run the other
//! way, inwards along the installed next hops: a flow goes when no neighbour
//! sends to it any more. What can't be confirmed (a switch that is away) is
//! not built upon: the flow that would lead there goes, and the switch floods.
//!
//! **Isolation** never waits: ports that left the network leave in the first phase. A port that is held to its own
//! addresses is held to them from its first frame to its last.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use openflow::{DatapathId, MacAddr, PortNo};
use petgraph::unionfind::UnionFind;

use crate::model::{Encap, Place};
use crate::slice::{Out, Slice, Source};

/// One network on one switch, as it is and as it should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What the switch holds, as last confirmed.
    pub installed: Slice,
    /// What it should hold.
    pub desired: Slice,
    /// Whether it answers. One that doesn't may well forward: what it holds
    /// is a fixed input.
    pub live: bool,
    /// What it holds was never read: it hasn't come back since the start, when
    /// a plan may have been under way. It may flood into any trunk.
    pub assumed: bool,
}

/// The slices after a phase, of the switches that change in it.
pub type Phase = BTreeMap<DatapathId, Slice>;

/// The other end of the link at a place, for every link there may be,
/// those that are down or silent included.
pub trait Peers {
    /// `None` where no link is known.
    fn peer(&self, place: Place) -> Option<Place>;
}

impl Peers for BTreeMap<Place, Place> {
    fn peer(&self, place: Place) -> Option<Place> {
        self.get(&place).copied()
    }
}

/// The phases that lead from the installed slices to the desired ones.
/// Switches that don't answer are left as they are.
pub fn plan(switches: &BTreeMap<DatapathId, State>, peers: &dyn Peers) -> Vec<Phase> {
    let mut planner = Planner::new(switches, peers);
    let mut phases = Vec::new();
    // Each phase brings some path one hop further; the bound is far above what
    // any history needs, and keeps a mistake from becoming an endless loop.
    let bound = 16 + 8 * switches.len();
    while phases.len() < bound {
        let mut phase = planner.phase(false);
        if phase.is_empty() {
            phase = planner.phase(true);
        }
        if phase.is_empty() {
            break;
        }
        for (switch, slice) in &phase {
            planner.now.insert(*switch, slice.clone());
        }
        phases.push(phase);
    }
    phases
}

struct Planner<'a> {
    switches: &'a BTreeMap<DatapathId, State>,
    peers: &'a dyn Peers,
    /// What each switch holds after the phases so far.
    now: BTreeMap<DatapathId, Slice>,
}

impl<'a> Planner<'a> {
    fn new(switches: &'a BTreeMap<DatapathId, State>, peers: &'a dyn Peers) -> Self {
        let now = switches.iter().map(|(id, state)| (*id, state.installed.clone())).collect();
        Self { switches, peers, now }
    }

    /// All that may change next. With `give_up`, flows that wait for what
    /// doesn't come go as well, and those that lead to them.
    fn phase(&self, give_up: bool) -> Phase {
        let stuck = if give_up { self.stuck_hosts() } else { BTreeSet::new() };
        let changes = |id: &DatapathId, state: &State| {
            let now = &self.now[id];
            *now != state.desired || stuck.iter().any(|mac| now.hosts.contains_key(mac))
        };
        let live = self.switches.iter().filter(|(_, state)| state.live);
        let changing: Vec<_> = live.filter(|(id, state)| changes(id, state)).collect();
        if changing.is_empty() {
            return Phase::new();
        }
        let addable = self.addable_tree_edges();
        let known = Known::new(self);
        let next = changing.into_iter().map(|(&id, state)| {
            let mut slice = self.now[&id].clone();
            self.step_edges(id, &mut slice, &state.desired);
            self.step_flood(id, &mut slice, &state.desired, &addable);
            self.step_hosts(id, &mut slice, &state.desired, &known, give_up);
            self.step_known_in(id, &mut slice, &state.desired);
            (id, slice)
        });
        next.filter(|(id, slice)| *slice != self.now[id]).collect()
    }

    /// Hosts that some switch doesn't know where it should.
    fn stuck_hosts(&self) -> BTreeSet<MacAddr> {
        let both =
            self.switches.iter().map(|(id, state)| (&self.now[id].hosts, &state.desired.hosts));
        let stuck = both.filter(|(now, desired)| now != desired).flat_map(|(now, desired)| {
            let differs = |mac: &&MacAddr| now.get(mac) != desired.get(mac);
            now.keys().chain(desired.keys()).filter(differs)
        });
        stuck.copied().collect()
    }

    /// A port that is held to its own addresses opens only once what holds it
    /// to them is confirmed, and is shut before that goes.
    fn step_edges(&self, id: DatapathId, slice: &mut Slice, desired: &Slice) {
        let now = &self.now[&id];
        let held = |sources: &BTreeSet<Source>, port: PortNo| sources.contains(&Source::Deny(port));
        let may_open = |port: PortNo| {
            now.edges.contains(&port) || !held(&desired.sources, port) || held(&now.sources, port)
        };
        slice.edges = desired.edges.iter().copied().filter(|port| may_open(*port)).collect();
        slice.sources.retain(|source| {
            matches!(source, Source::Deny(port) if now.edges.contains(port) && !desired.edges.contains(port))
        });
        slice.sources.extend(&desired.sources);
    }

    /// Places of the network's desired tree that may send and accept after
    /// this phase without a loop, whatever part of the phase is done.
    fn addable_tree_edges(&self) -> BTreeSet<Place> {
        let index: HashMap<_, _> = self.now.keys().enumerate().map(|(n, id)| (*id, n)).collect();
        let mut joined = UnionFind::<usize>::new(index.len());
        let mut allowed = BTreeSet::new();
        for (from, to) in self.tree_edges(|id| self.now.get(&id), Self::is_active) {
            joined.union(index[&from.switch], index[&to.switch]);
            allowed.extend([from, to]);
        }
        self.join_assumed(&index, &mut joined);
        // A trunk that floods to nobody knows where might close any loop.
        if self.now.iter().any(|(id, slice)| self.floods_into_the_unknown(*id, slice)) {
            return allowed;
        }
        for (from, to) in self.tree_edges(|id| self.wanted(id), Self::is_active) {
            if !allowed.contains(&from) && joined.union(index[&from.switch], index[&to.switch]) {
                allowed.extend([from, to]);
            }
        }
        allowed
    }

    /// Where frames may cross for all that is known: among switches of which nothing was read, and where one of these
    /// is the other end of a trunk that floods.
    fn join_assumed(&self, index: &HashMap<DatapathId, usize>, joined: &mut UnionFind<usize>) {
        let is_assumed = |id: DatapathId| self.switches.get(&id).is_some_and(|it| it.assumed);
        let mut assumed = index.iter().filter(|(id, _)| is_assumed(**id)).map(|(_, at)| *at);
        let Some(first) = assumed.next() else { return };
        for other in assumed {
            joined.union(first, other);
        }
        for (from, to) in self.tree_edges(|id| self.now.get(&id), |_, _, _, _| true) {
            if is_assumed(from.switch) || is_assumed(to.switch) {
                joined.union(index[&from.switch], index[&to.switch]);
            }
        }
    }

    /// The links on which some switch sends or accepts floods, each once, if
    /// `counts` says so of its two ends.
    fn tree_edges<'s>(
        &self,
        slice_of: impl Fn(DatapathId) -> Option<&'s Slice>,
        counts: impl Fn(&Slice, PortNo, &Slice, PortNo) -> bool,
    ) -> BTreeSet<(Place, Place)> {
        let mut edges = BTreeSet::new();
        for &id in self.switches.keys() {
            let Some(slice) = slice_of(id) else { continue };
            for port in flood_ports(slice) {
                let here = Place::new(id, port);
                let Some(there) = self.peers.peer(here) else { continue };
                let Some(other) = slice_of(there.switch) else { continue };
                if counts(slice, port, other, there.port) {
                    edges.insert((here.min(there), here.max(there)));
                }
            }
        }
        edges
    }

    /// What a switch is to hold in the end; one that is away holds what it holds.
    fn wanted(&self, id: DatapathId) -> Option<&Slice> {
        let state = self.switches.get(&id)?;
        Some(if state.live { &state.desired } else { &state.installed })
    }

    /// Whether a frame could cross: one end sends what the other accepts.
    fn is_active(one: &Slice, port: PortNo, other: &Slice, other_port: PortNo) -> bool {
        let crosses = |from: &Slice, out: PortNo, to: &Slice, into: PortNo| {
            to.flood_in
                .get(&into)
                .is_some_and(|encap| from.flood_out.contains(&Out::Trunk(out, *encap)))
        };
        crosses(one, port, other, other_port) || crosses(other, other_port, one, port)
    }

    fn floods_into_the_unknown(&self, id: DatapathId, slice: &Slice) -> bool {
        self.switches[&id].live
            && flood_ports(slice)
                .iter()
                .any(|port| self.peers.peer(Place::new(id, *port)).is_none())
    }

    fn step_flood(
        &self,
        id: DatapathId,
        slice: &mut Slice,
        desired: &Slice,
        addable: &BTreeSet<Place>,
    ) {
        let may = |port: PortNo| addable.contains(&Place::new(id, port));
        slice.flood_out = desired
            .flood_out
            .iter()
            .filter(|out| match out {
                Out::Edge(_) => true,
                Out::Trunk(port, _) => slice.flood_out.contains(out) || may(*port),
            })
            .copied()
            .collect();
        slice.flood_in = desired
            .flood_in
            .iter()
            .filter(|(port, encap)| slice.flood_in.get(port) == Some(encap) || may(**port))
            .map(|(port, encap)| (*port, *encap))
            .collect();
    }

    fn step_hosts(
        &self,
        id: DatapathId,
        slice: &mut Slice,
        desired: &Slice,
        known: &Known<'_>,
        give_up: bool,
    ) {
        let macs: BTreeSet<_> = slice.hosts.keys().chain(desired.hosts.keys()).copied().collect();
        for mac in macs {
            let (old, new) = (slice.hosts.get(&mac).copied(), desired.hosts.get(&mac).copied());
            if old == new {
                // Still wrong if what it leads to can't be confirmed.
                if give_up
                    && new.is_some()
                    && !known.is_confirmed(id, mac)
                    && !known.is_needed(id, mac)
                {
                    slice.hosts.remove(&mac);
                }
                continue;
            }
            let left = matches!(old, Some(Out::Edge(port)) if !desired.edges.contains(&port));
            match new {
                Some(out) if known.leads_on(id, mac, out) => {
                    slice.hosts.insert(mac, out);
                }
                _ if left => {
                    slice.hosts.remove(&mac);
                }
                Some(_) if !give_up => {}
                _ if !known.is_needed(id, mac) => {
                    slice.hosts.remove(&mac);
                }
                _ => {}
            }
        }
    }

    fn step_known_in(&self, id: DatapathId, slice: &mut Slice, desired: &Slice) {
        let used = |port: PortNo, encap: Encap| {
            let Some(there) = self.peers.peer(Place::new(id, port)) else { return false };
            let sends = Out::Trunk(there.port, encap);
            self.switches.get(&there.switch).is_some_and(|state| state.live)
                && self.now[&there.switch].hosts.values().any(|out| *out == sends)
        };
        let mut next = desired.known_in.clone();
        for (&port, &encap) in &slice.known_in {
            if !desired.known_in.contains_key(&port) && used(port, encap) {
                next.insert(port, encap);
            }
        }
        slice.known_in = next;
    }
}

fn flood_ports(slice: &Slice) -> BTreeSet<PortNo> {
    let out = slice.flood_out.iter().filter_map(|out| match out {
        Out::Trunk(port, _) => Some(*port),
        Out::Edge(_) => None,
    });
    slice.flood_in.keys().copied().chain(out).collect()
}

/// What the flows to known hosts amount to, before a phase.
struct Known<'a> {
    planner: &'a Planner<'a>,
    /// Hosts that a confirmed flow still delivers to a port that stays.
    /// Nothing is lost by removing flows to any other, in whatever order.
    delivered: BTreeSet<MacAddr>,
}

impl<'a> Known<'a> {
    fn new(planner: &'a Planner<'a>) -> Self {
        let delivered = planner.now.iter().flat_map(|(id, slice)| {
            let edges = &planner.switches[id].desired.edges;
            let stays = move |out: &Out| matches!(out, Out::Edge(port) if edges.contains(port));
            slice.hosts.iter().filter(move |(_, out)| stays(out)).map(|(mac, _)| *mac)
        });
        Self { delivered: delivered.collect(), planner }
    }

    /// Whether a flow may lead there: a port of the network, or a trunk whose
    /// other end accepts the tag and is itself confirmed.
    fn leads_on(&self, id: DatapathId, mac: MacAddr, out: Out) -> bool {
        let Out::Trunk(port, encap) = out else { return true };
        let Some(there) = self.planner.peers.peer(Place::new(id, port)) else { return false };
        self.planner
            .now
            .get(&there.switch)
            .is_some_and(|slice| slice.known_in.get(&there.port) == Some(&encap))
            && self.is_confirmed(there.switch, mac)
    }

    /// Whether this switch, and every one from it to the host, holds the flow
    /// it should.
    fn is_confirmed(&self, id: DatapathId, mac: MacAddr) -> bool {
        let (mut at, mut hops) = (id, 0);
        loop {
            let (Some(slice), Some(state)) =
                (self.planner.now.get(&at), self.planner.switches.get(&at))
            else {
                return false;
            };
            let Some(out) = state.desired.hosts.get(&mac) else { return false };
            if slice.hosts.get(&mac) != Some(out) {
                return false;
            }
            let Out::Trunk(port, encap) = *out else { return true };
            let Some(there) = self.planner.peers.peer(Place::new(at, port)) else { return false };
            let accepted = self.planner.now.get(&there.switch);
            if accepted.is_none_or(|slice| slice.known_in.get(&there.port) != Some(&encap)) {
                return false;
            }
            at = there.switch;
            hops += 1;
            if hops > self.planner.switches.len() {
                return false;
            }
        }
    }

    /// Whether frames to this host still come from a neighbour that answers,
    /// and would be lost if the flow went now.
    fn is_needed(&self, id: DatapathId, mac: MacAddr) -> bool {
        self.delivered.contains(&mac)
            && self.planner.now.iter().any(|(&other, slice)| {
                let Some(Out::Trunk(port, _)) = slice.hosts.get(&mac) else { return false };
                other != id
                    && self.planner.switches[&other].live
                    && self
                        .planner
                        .peers
                        .peer(Place::new(other, *port))
                        .is_some_and(|to| to.switch == id)
            })
    }
}
