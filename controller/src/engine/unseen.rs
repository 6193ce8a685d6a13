//! Known switches that are not back since the start.
//!
//! They may well forward: like all that are away they are fixed inputs, of
//! which is assumed that they hold what they should. Which hosts they learnt
//! only they know; but what others hold tells of flows that these must have.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use openflow::{DatapathId, MacAddr};

use super::Engine;
use crate::model::{Encap, Place};
use crate::plan::{Peers, State};
use crate::slice::{Out, Slice};
use crate::world::Known;

/// Which switches are not back, and what that means.
#[derive(Debug)]
pub(super) struct Unseen {
    /// How long they may take.
    hold: Duration,
    /// Those of which it is assumed what they hold.
    assumed: BTreeSet<DatapathId>,
    /// Those that others were led around before the start already.
    avoided: BTreeSet<DatapathId>,
}

impl Unseen {
    pub(super) const fn new(hold: Duration) -> Self {
        Self { hold, assumed: BTreeSet::new(), avoided: BTreeSet::new() }
    }

    /// The store knows of a switch.
    pub(super) fn add(&mut self, id: DatapathId, known: &Known) {
        if known.avoided {
            self.avoided.insert(id);
        }
        if !known.away && !known.foreign {
            self.assumed.insert(id);
        }
    }

    /// It is back, or forgotten.
    pub(super) fn remove(&mut self, id: DatapathId) {
        self.assumed.remove(&id);
        self.avoided.remove(&id);
    }

    /// Whether it is only assumed what the switch holds.
    pub(super) fn is_assumed(&self, id: DatapathId) -> bool {
        self.assumed.contains(&id)
    }

    /// How long a switch that is away may be before others are led around it.
    pub(super) fn patience(&self, id: DatapathId, else_: Duration) -> Duration {
        if self.avoided.contains(&id) {
            Duration::ZERO
        } else if self.assumed.contains(&id) {
            self.hold
        } else {
            else_
        }
    }
}

impl Engine {
    /// Flows to hosts that lead to unseen switches stay, and those switches
    /// are taken to have them too.
    pub(super) fn presuppose(&self, states: &mut BTreeMap<DatapathId, State>) {
        if !states.keys().any(|id| self.unseen.is_assumed(*id)) {
            return;
        }
        let wanted: BTreeSet<MacAddr> =
            states.values().flat_map(|state| state.desired.hosts.keys().copied()).collect();
        let mut leading: VecDeque<(Place, Encap, MacAddr)> = VecDeque::new();
        let mut unknown: BTreeMap<MacAddr, Vec<DatapathId>> = BTreeMap::new();
        for (&id, state) in states.iter().filter(|(id, _)| !self.unseen.is_assumed(**id)) {
            for (&mac, out) in &state.installed.hosts {
                let Some((to, encap)) = self.next(id, *out) else { continue };
                if self.unseen.is_assumed(to.switch) {
                    leading.push_back((to, encap, mac));
                }
                if !wanted.contains(&mac) {
                    unknown.entry(mac).or_default().push(id);
                }
            }
        }
        // Hosts of which nobody who is back knows: somebody unseen may.
        for (mac, holders) in unknown {
            for id in holders {
                if self.ends_unseen(id, mac, states)
                    && let Some(state) = states.get_mut(&id)
                    && let Some(out) = state.installed.hosts.get(&mac).copied()
                {
                    state.desired.hosts.insert(mac, out);
                }
            }
        }
        while let Some((at, encap, mac)) = leading.pop_front() {
            let Some(state) = states.get_mut(&at.switch) else { continue };
            state.installed.known_in.entry(at.port).or_insert(encap);
            if state.installed.hosts.contains_key(&mac) {
                continue;
            }
            let known = state.desired.hosts.get(&mac).copied();
            let Some(out) = known.or_else(|| somewhere(&state.installed)) else { continue };
            state.installed.hosts.insert(mac, out);
            state.desired.hosts.entry(mac).or_insert(out);
            if let Some((to, encap)) = self.next(at.switch, out)
                && self.unseen.is_assumed(to.switch)
            {
                leading.push_back((to, encap, mac));
            }
        }
    }

    /// Where frames arrive that leave a switch so; nowhere, if it says that the
    /// port is down.
    fn next(&self, id: DatapathId, out: Out) -> Option<(Place, Encap)> {
        let Out::Trunk(port, encap) = out else { return None };
        let place = Place::new(id, port);
        if self.sessions.contains_key(&id) && !self.topology.is_up(place) {
            return None;
        }
        Some((self.topology.peer(place)?, encap))
    }

    /// Whether the installed flows to a host lead from here to a switch that
    /// is not back.
    fn ends_unseen(
        &self,
        from: DatapathId,
        mac: MacAddr,
        states: &BTreeMap<DatapathId, State>,
    ) -> bool {
        let mut at = from;
        for _ in 0..=states.len() {
            if self.unseen.is_assumed(at) {
                return true;
            }
            let out = states.get(&at).and_then(|state| state.installed.hosts.get(&mac));
            let Some((to, _)) = out.and_then(|out| self.next(at, *out)) else { return false };
            at = to.switch;
        }
        false
    }
}

/// Some port of the switch's own: which one only it knows.
fn somewhere(slice: &Slice) -> Option<Out> {
    slice.edges.first().map(|port| Out::Edge(*port))
}
