//! What switches hold, compared with what they confirmed: flows that somebody
//! else removed or altered are put back.
//!
//! Every switch is read anew each interval, and at once when it says that a
//! flow is gone which nobody here removed. What changed while it was read is
//! left to the next time.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use openflow::{DatapathId, FlowRemoved, FlowStats, PortNo};
use tracing::{info, warn};

use super::learning::labels;
use super::{Engine, Pending};
use crate::base::{self, BaseRule};
use crate::cookie::Cookie;
use crate::diff::{Rule, rules};
use crate::flow::{self, Flow};
use crate::installed::Held;
use crate::lift::{Read, lift};
use crate::model::{NetworkId, Place, spread};
use crate::slice::{Slice, Source};
use crate::southbound::{ReadFailure, Tables};

/// A switch is read again at most this often, whatever it says is gone.
const AGAIN: Duration = Duration::from_secs(1);

/// When a switch is read next, and what changes meanwhile.
#[derive(Debug)]
pub(super) struct Audit {
    due: Instant,
    begun: Option<Instant>,
    /// Networks that changed while it is read.
    touched: HashSet<NetworkId>,
    base_touched: bool,
}

impl Audit {
    /// The first audit of a switch that was read when it connected. Switches
    /// that connected together are not read together.
    pub(super) fn new(id: DatapathId, connected: Instant, interval: Duration) -> Self {
        let due = connected + interval / 2 + interval * (spread(id.0, 0) % 64) as u32 / 64;
        Self { due, begun: None, touched: HashSet::new(), base_touched: false }
    }

    /// The switch is looked at by then.
    pub(super) fn expect(&mut self, by: Instant) {
        self.due = self.due.min(by);
    }

    /// A network's slice changes.
    pub(super) fn touch(&mut self, network: NetworkId) {
        if self.begun.is_some() {
            self.touched.insert(network);
        }
    }

    /// The switch's own flows change.
    pub(super) const fn touch_base(&mut self) {
        self.base_touched = true;
    }
}

impl Engine {
    /// Reads the switches whose time has come.
    pub(super) fn audit(&mut self, now: Instant) {
        let foreign = &self.foreign;
        let due = self.sessions.iter().filter(|(id, live)| {
            live.audit.due <= now && live.audit.begun.is_none() && !foreign.contains(id)
        });
        let due: Vec<_> = due.map(|(id, _)| *id).collect();
        for id in due {
            let unsure = |network: &NetworkId| {
                self.installed.get(*network, id).is_some_and(|held| held.sent.is_some())
            };
            let touched = self.installed.networks_on(id).into_iter().filter(unsure).collect();
            let base_touched = self
                .pending
                .values()
                .any(|(switch, pending)| *switch == id && matches!(pending, Pending::Base));
            let token = self.token(id, Pending::Audit);
            let Some(live) = self.sessions.get_mut(&id) else { continue };
            live.audit.due = now + self.audit_interval;
            if live.handle.read(token, Cookie::mark(), Cookie::MASK).is_ok() {
                live.audit.begun = Some(now);
                live.audit.touched = touched;
                live.audit.base_touched = base_touched;
            } else {
                // Busy with something else: a little later.
                live.audit.due = now + AGAIN;
                self.pending.remove(&token);
            }
        }
    }

    /// Something is gone from a switch that nobody here removed.
    pub(super) fn suspect(&mut self, id: DatapathId, now: Instant) {
        let Some(live) = self.sessions.get_mut(&id) else { return };
        let soon = live.audit.begun.map_or(now, |begun| begun + AGAIN);
        live.audit.expect(soon);
    }

    /// Whether a flow that a switch removed should still be there; then the
    /// switch is looked at.
    pub(super) fn look_into_removal(
        &mut self,
        switch: DatapathId,
        removed: &FlowRemoved,
        now: Instant,
    ) {
        let gone = Flow::new(
            removed.table_id.0,
            removed.priority,
            removed.match_.clone(),
            Vec::new(),
            removed.cookie,
        );
        let wanted = match Cookie::network(removed.cookie) {
            None => return,
            Some(0) => {
                let port = gone.match_.in_port_field().map(|field| field.value);
                let here = |rule: &&BaseRule| match rule {
                    BaseRule::Announcements(at, _) => port == Some(*at),
                    _ => port.is_none(),
                };
                self.sessions.get(&switch).is_some_and(|live| {
                    live.base.iter().filter(here).any(|rule| base::flow(*rule).overwrites(&gone))
                })
            }
            Some(id) => {
                let Some(id) = NetworkId::new(id) else { return };
                let has = |slice: &Slice| {
                    let rules = candidates(slice, &gone).into_iter();
                    rules.flat_map(|rule| flow::flows(id, rule)).any(|flow| flow.overwrites(&gone))
                };
                self.installed
                    .get(id, switch)
                    .is_some_and(|held| has(held.sent.as_ref().unwrap_or(&held.slice)))
            }
        };
        if wanted {
            self.suspect(switch, now);
        }
    }

    pub(super) fn on_audit(
        &mut self,
        id: DatapathId,
        result: Result<Tables, ReadFailure>,
        now: Instant,
    ) {
        let Some(live) = self.sessions.get_mut(&id) else { return };
        let touched = std::mem::take(&mut live.audit.touched);
        let base_touched = std::mem::take(&mut live.audit.base_touched);
        live.audit.begun = None;
        let tables = match result {
            Ok(tables) => tables,
            Err(error) => {
                if self.quiet.allows(("audit", Place::new(id, PortNo::ANY)), now) {
                    warn!(switch = %id, %error, "the switch could not be read for comparison");
                }
                return;
            }
        };
        self.note_denied(id, &tables.flows, now);
        let mut lifted = lift(&tables.flows, &tables.groups);
        let mut left = false;
        let mut all = self.installed.networks_on(id);
        all.extend(lifted.networks.keys().filter(|id| self.is_removable(**id)));
        all.sort();
        all.dedup();
        for network in all {
            let read = lifted.networks.remove(&network).unwrap_or_default();
            let held = self.installed.get(network, id);
            let same = held.map_or_else(
                || read.slice.is_empty() && !read.damaged,
                |held| held.slice == read.slice && held.strays == read.strays && !read.damaged,
            );
            if same {
                continue;
            }
            if touched.contains(&network) || held.is_some_and(|held| held.sent.is_some()) {
                left = true;
                continue;
            }
            let old = held.map(|held| held.slice.clone()).unwrap_or_default();
            self.repair(id, network, &old, read, now);
        }
        let live_base = self.sessions.get(&id).map(|live| live.base.clone()).unwrap_or_default();
        if base_touched {
            left |= live_base != lifted.base;
        } else {
            let missing: Vec<_> = live_base.difference(&lifted.base).copied().collect();
            // What is missing is written over what was altered; the rest of that goes.
            let there = &lifted.base | &lifted.altered;
            let strange: Vec<_> = there.difference(&live_base).copied().collect();
            let troubled = self.sessions.get(&id).is_some_and(|live| live.trouble.is_some());
            if missing.is_empty() && strange.is_empty() {
                self.base_complete(id);
            } else {
                if troubled {
                    self.next_retry.insert(id, now + AGAIN);
                } else {
                    self.tell_of_repair(id, None, missing.len(), strange.len(), now);
                }
                self.change_base(id, missing, strange);
            }
        }
        if left {
            self.suspect(id, now + AGAIN);
        }
    }

    fn base_complete(&mut self, id: DatapathId) {
        let Some(live) = self.sessions.get_mut(&id) else { return };
        live.base_backoff = Duration::ZERO;
        if live.trouble.take().is_some() {
            info!(switch = %id, "the switch took its own flows");
        }
    }

    /// What enforced ports sent that they may not: flows of table 1 that drop count it.
    fn note_denied(&mut self, id: DatapathId, flows: &[FlowStats], now: Instant) {
        let mut counts: BTreeMap<Place, u64> = BTreeMap::new();
        for flow in flows.iter().filter(|flow| flow.table_id.0 == 1 && flow.instructions.is_empty())
        {
            if let Some(port) = flow.match_.in_port_field() {
                *counts.entry(Place::new(id, port.value)).or_default() += flow.packet_count;
            }
        }
        self.denied.retain(|place, _| place.switch != id || counts.contains_key(place));
        for (place, count) in counts {
            let before = self.denied.insert(place, count).unwrap_or(0);
            // A flow that was written anew counts from zero.
            let more = if count >= before { count - before } else { count };
            if more == 0 {
                continue;
            }
            let (switch, port) = labels(place);
            metrics::counter!("isolane_frames_denied_total", "switch" => switch, "port" => port)
                .increment(more);
            let what = "sends frames that its list of MACs and addresses doesn't allow";
            if self.alarm(place, what.to_owned(), now) {
                warn!(switch = %id, port = %place.port, frames = more,
                    "the port sends what its list of MACs and addresses doesn't allow; it is dropped");
            }
        }
    }

    /// Whether a network that nobody here knows may be taken off a switch.
    fn is_removable(&self, network: NetworkId) -> bool {
        self.intents.has_id(network) || self.ids.is_releasing(network) || self.ever_held_a_network()
    }

    fn repair(
        &mut self,
        id: DatapathId,
        network: NetworkId,
        old: &Slice,
        read: Read,
        now: Instant,
    ) {
        let there: HashSet<_> = rules(&read.slice).into_iter().collect();
        let wanted: HashSet<_> = rules(old).into_iter().collect();
        let missing = wanted.difference(&there).count();
        let strange = there.difference(&wanted).count() + read.strays.len();
        let group = usize::from(old.flood_out != read.slice.flood_out);
        self.tell_of_repair(id, Some(network), missing + group, strange, now);
        if !self.intents.has_id(network) {
            self.ids.reserve(network);
            self.ids.release(network);
        }
        let held =
            Held { slice: read.slice, sent: None, damaged: read.damaged, strays: read.strays };
        self.hold(network, id, held);
        self.mark(network);
    }

    fn tell_of_repair(
        &mut self,
        id: DatapathId,
        network: Option<NetworkId>,
        missing: usize,
        strange: usize,
        now: Instant,
    ) {
        let count = (missing + strange) as u64;
        metrics::counter!("isolane_flows_repaired_total", "switch" => id.to_string())
            .increment(count);
        let what = format!("{count} flows or groups were changed behind our back and put back");
        self.alarm_switch(id, what, now);
        if self.quiet.allows(("repaired", Place::new(id, PortNo::ANY)), now) {
            let network = network.and_then(|id| self.intents.name_of(id));
            let network = network.map_or_else(|| "-".to_owned(), ToString::to_string);
            warn!(switch = %id, %network, missing, strange,
                "flows or groups were changed behind our back; they are put back");
        }
    }
}

/// The rules of a slice that a flow with this table and match may be part of.
fn candidates(slice: &Slice, gone: &Flow) -> Vec<Rule> {
    let port = gone.match_.in_port_field().map(|field| field.value);
    match (gone.table, port) {
        (0, Some(port)) => {
            let edge = slice.edges.contains(&port).then_some(Rule::Edge(port));
            let known = slice.known_in.get(&port).map(|encap| Rule::KnownIn(port, *encap));
            let flood = slice.flood_in.get(&port).map(|encap| Rule::FloodIn(port, *encap));
            edge.into_iter().chain(known).chain(flood).collect()
        }
        (1, port) => {
            let mac = gone.match_.eth_src_field().map(|field| field.value);
            let may_be = |source: &&Source| match source {
                Source::Learnt(at, host)
                | Source::Declared(at, host)
                | Source::Address(at, host, _)
                | Source::Bootstrap(at, host) => (Some(*at), Some(*host)) == (port, mac),
                Source::Deny(at) | Source::Muted(at) => Some(*at) == port,
                Source::Full => port.is_none(),
            };
            slice.sources.iter().filter(may_be).map(|source| Rule::Source(*source)).collect()
        }
        _ => match gone.match_.eth_dst_field() {
            Some(mac) => {
                let out = slice.hosts.get(&mac.value);
                out.map(|out| Rule::Host(mac.value, *out)).into_iter().collect()
            }
            None => slice.floods().then_some(Rule::Flood).into_iter().collect(),
        },
    }
}
