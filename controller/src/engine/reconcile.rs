//! A dirty network: view, compile, diff, plan, apply.
//!
//! One job a network at a time. A job carries out the phases of one plan; a
//! phase ends when every switch in it has answered. If the topology changed
//! meanwhile the rest of the plan is dropped and made anew; other changes
//! wait for the plan's end, so that a busy network still makes progress.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use openflow::{DatapathId, MacAddr, PortNo};
use tokio::sync::oneshot;
use tracing::{debug, info, warn};

use super::{Engine, Pending};
use crate::compile::{Network, compile_all};
use crate::cookie::Cookie;
use crate::diff::diff;
use crate::graph::{Limit, Limits};
use crate::installed::Held;
use crate::lift::lift;
use crate::lower::{lower, rewrite};
use crate::model::{NetworkId, Place};
use crate::plan::{self, Phase, State};
use crate::routes::routes;
use crate::slice::{Slice, Source};
use crate::southbound::{ApplyFailure, ReadFailure, SessionId, Tables};
use crate::views::{cut_for_want_of_tags, is_learnt_at, split};

/// Networks in work on one switch at a time; more wait for their turn.
pub(super) const WINDOW: usize = 256;
/// Before the first retry of what a switch refused; doubles up to the longest.
pub(super) const FIRST_RETRY: Duration = Duration::from_secs(1);
pub(super) const LONGEST_RETRY: Duration = Duration::from_secs(32);
/// Open vSwitch answers a barrier when its tables are changed; decisions that
/// its datapath cached before act on for some milliseconds (up to 9 ms were
/// measured on a loaded machine). Only after this are they surely gone.
const CACHE: Duration = Duration::from_millis(20);

/// A phase is given up when a switch hasn't answered it for so long: the others
/// go on without it, as if it were away, until it does. It may take longer to
/// answer, but nobody else waits for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A network that has learnt something isn't looked at again for so long for
/// each flow to a host that it has, ten times what that costs: it takes at most
/// a tenth of the engine's time. A network with few hosts doesn't wait at all.
const PER_ENTRY: Duration = Duration::from_micros(20);
const WORTH_IT: Duration = Duration::from_millis(5);
const LONGEST_PACE: Duration = Duration::from_millis(500);

/// So many ways between a network's switches, or entries as above, take about as long to look at as a small network.
const WAYS: usize = 100;
const ENTRIES: usize = 100;

/// A plan under way.
#[derive(Debug)]
pub(super) struct Job {
    rest: VecDeque<Phase>,
    outstanding: HashSet<DatapathId>,
    /// When the phase that is under way was begun.
    begun: Instant,
    /// The topology changed: what is left of the plan isn't worth anything.
    pub stale: bool,
    failed: bool,
    /// Something else changed: there is reason for another look at the end.
    again: bool,
    /// Who waits for this plan's end.
    waiters: Vec<oneshot::Sender<()>>,
    /// Cached decisions may still act against the phase that was sent last.
    lingers: bool,
    /// Until when, once all switches have answered.
    lingers_until: Option<Instant>,
}

impl Job {
    /// Whether somebody waits for its end.
    pub(super) const fn is_awaited(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Whether a switch is told something by it, or will be.
    pub(super) fn concerns(&self, switch: DatapathId) -> bool {
        self.outstanding.contains(&switch)
            || self.rest.iter().any(|phase| phase.contains_key(&switch))
    }

    /// A learnt host's flow ran out at a switch: no later phase writes it again.
    pub(super) fn ran_out(&mut self, switch: DatapathId, source: &Source) {
        for slice in self.rest.iter_mut().filter_map(|phase| phase.get_mut(&switch)) {
            slice.sources.remove(source);
        }
    }

    /// Switches whose answer is awaited.
    pub(super) fn switches(&self) -> Vec<DatapathId> {
        self.outstanding.iter().copied().collect()
    }
}

/// What is known of a network beside its slices.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Where declared MACs are: these aren't learnt.
    pub declared: HashMap<MacAddr, Place>,
    /// What each switch should hold and can't be told or didn't accept.
    pub behind: BTreeMap<DatapathId, String>,
    /// Those that were behind, can be told, and have not confirmed yet what they missed.
    pub returning: BTreeSet<DatapathId>,
    /// Two switches with members that can't reach each other, if there are any.
    pub split: Option<(DatapathId, DatapathId)>,
    /// Why the network can't work as wanted, if so.
    pub degraded: Option<String>,
    /// What switches refused, until they take it.
    pub refused: BTreeMap<DatapathId, Refusal>,
    /// Ports that joined and may have been confirmed by their own switch, but
    /// not yet by those between them and the others.
    pub joining: BTreeSet<Place>,
}

/// What a switch refused, and how long until it is asked again.
#[derive(Debug)]
pub(super) struct Refusal {
    pub reason: String,
    backoff: Duration,
}

impl Engine {
    /// Something about a network may have changed.
    pub(super) fn mark(&mut self, network: NetworkId) {
        self.dirty.push(network, false);
    }

    /// The network has learnt something. That may wait: a network with many
    /// hosts, and more of them by the moment, takes little of the time of others.
    pub(super) fn mark_learnt(&mut self, network: NetworkId, now: Instant) {
        match self.paced.get(&network).filter(|until| **until > now) {
            Some(until) => drop(self.later.insert((*until, network))),
            None => self.mark(network),
        }
    }

    /// Networks whose learning has waited long enough.
    pub(super) fn take_later(&mut self, now: Instant) {
        while let Some((until, network)) =
            self.later.first().copied().filter(|(until, _)| *until <= now)
        {
            self.later.remove(&(until, network));
            self.paced.remove(&network);
            self.mark(network);
        }
    }

    /// Resolves once the network is as it should be, as far as its switches
    /// can be reached, from the state as it is now.
    pub(super) fn settled(&mut self, network: NetworkId) -> oneshot::Receiver<()> {
        let (done, settled) = oneshot::channel();
        self.waiters.entry(network).or_default().push(done);
        self.dirty.push(network, true);
        settled
    }

    /// Every network is looked at again, and plans under way are made anew.
    pub(super) fn mark_all(&mut self) {
        for job in self.jobs.values_mut() {
            job.stale = true;
        }
        let known: Vec<_> = self.intents.networks().map(|network| network.id).collect();
        known.into_iter().for_each(|id| self.mark(id));
        let leaving: Vec<_> = self.ids.releasing().collect();
        leaving.into_iter().for_each(|id| self.mark(id));
    }

    /// Looks at a network. Returns what that cost, where a small network is 1.
    pub(super) fn reconcile(&mut self, id: NetworkId, now: Instant) -> usize {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.again = true;
            return 1;
        }
        self.look_at(id, now);
        let holders = self.installed.holders(id).len();
        let entries = self.hosts.count(id) * holders;
        let pause = PER_ENTRY * u32::try_from(entries).unwrap_or(u32::MAX);
        if pause >= WORTH_IT {
            self.paced.insert(id, now + pause.min(LONGEST_PACE));
        } else {
            self.paced.remove(&id);
        }
        // Ways between all switches, and what leads to hosts.
        1 + holders * holders / WAYS + entries / ENTRIES
    }

    fn look_at(&mut self, id: NetworkId, now: Instant) {
        let mut network = self.sources().network(id);
        if let Some(view) = &network
            && self.hosts.retain(id, |mac, place| is_learnt_at(view, mac, place))
        {
            network = self.sources().network(id);
        }
        let desired = match &network {
            Some(network) => compile_all(
                network,
                &routes(id, &network.switches(), &self.graph, &self.limits(id)),
            ),
            None => BTreeMap::new(),
        };
        self.note(id, network.as_ref());
        let mut state = self.state(id, desired);
        let mut phases: VecDeque<_> = plan::plan(&state, &self.topology).into();
        self.add_damaged(id, &state, &mut phases);
        self.note_behind(id, &mut state, now);
        if phases.is_empty() {
            if self.waiters.contains_key(&id)
                && (self.waits_for_a_port(id) || self.waits_for_an_answer(id))
            {
                // Whoever leaves the port, or answers, marks this network then.
                return;
            }
            if let Some(report) = self.reports.get_mut(&id) {
                report.joining.clear();
            }
            tell(self.waiters.remove(&id).unwrap_or_default());
            self.free_id(id);
            return;
        }
        self.note_joining(id, &state);
        if let Some(full) = self.full_switch(phases.iter().flat_map(BTreeMap::keys)) {
            if let Some(live) = self.sessions.get_mut(&full) {
                live.blocked.insert(id);
            }
            return;
        }
        debug!(network = %id, phases = phases.len(), "planned");
        let waiters = self.waiters.remove(&id).unwrap_or_default();
        let job = Job {
            rest: phases,
            outstanding: HashSet::new(),
            begun: now,
            stale: false,
            failed: false,
            again: false,
            waiters,
            lingers: false,
            lingers_until: None,
        };
        self.jobs.insert(id, job);
        self.next_phase(id, now);
    }

    /// Whether a port of the network is still leaving another, whose switches
    /// are just being told.
    fn waits_for_a_port(&self, id: NetworkId) -> bool {
        let Some(record) = self.intents.by_id(id) else { return false };
        self.intents.ports_of(&record.spec.name).any(|(at, _)| {
            let Some(place) = self.sources().held(at, id) else { return false };
            let leaving = |other: &NetworkId| {
                self.jobs.contains_key(other) || self.dirty.members.contains(other)
            };
            self.sessions.contains_key(&place.switch) && self.installed.holding(place).any(leaving)
        })
    }

    /// Whether a connected switch has still to confirm something of the network
    /// that no plan waits for any more.
    fn waits_for_an_answer(&self, id: NetworkId) -> bool {
        self.installed
            .of(id)
            .any(|(switch, held)| held.sent.is_some() && self.sessions.contains_key(&switch))
    }

    /// What a switch refused is asked for again at once: something goes, which
    /// must not wait, and may make room.
    pub(super) fn ask_again(&mut self, id: NetworkId) {
        if let Some(report) = self.reports.get_mut(&id) {
            report.refused.clear();
        }
        self.retries.retain(|(_, other, _)| *other != id);
    }

    /// What switches that are avoided hold of the network's tree.
    pub(super) fn limits(&self, id: NetworkId) -> Limits {
        let limit = |switch: DatapathId| {
            let held = self.installed.get(id, switch)?;
            Some((switch, Limit::of(&held.slice, held.sent.as_ref())))
        };
        self.graph.avoided().iter().filter_map(|switch| limit(*switch)).collect()
    }

    /// Each switch that holds or should hold something: both, side by side.
    fn state(
        &self,
        id: NetworkId,
        mut desired: BTreeMap<DatapathId, Slice>,
    ) -> BTreeMap<DatapathId, State> {
        let held = self.installed.of(id).map(|(switch, held)| (switch, Some(held)));
        let mut all: BTreeMap<_, _> = desired.keys().map(|switch| (*switch, None)).collect();
        all.extend(held);
        let state = all.into_iter().map(|(switch, held)| {
            let installed = held.map(Held::as_reckoned_with).unwrap_or_default();
            let desired = desired.remove(&switch).unwrap_or_default();
            let assumed = self.unseen.is_assumed(switch) && !self.graph.avoided().contains(&switch);
            (switch, State { installed, desired, live: self.is_usable(id, switch), assumed })
        });
        let mut states = state.collect();
        self.presuppose(&mut states);
        states
    }

    /// Whether a switch takes changes of this network now.
    fn is_usable(&self, id: NetworkId, switch: DatapathId) -> bool {
        let unsure = self.installed.get(id, switch).is_some_and(|held| held.sent.is_some());
        let refused =
            self.reports.get(&id).is_some_and(|report| report.refused.contains_key(&switch));
        self.sessions.contains_key(&switch)
            && !self.foreign.contains(&switch)
            && !unsure
            && !refused
    }

    /// Switches on which something isn't as any slice would be are written
    /// anew, first of all.
    fn add_damaged(
        &self,
        id: NetworkId,
        state: &BTreeMap<DatapathId, State>,
        phases: &mut VecDeque<Phase>,
    ) {
        let damaged = self.installed.of(id).filter(|(_, held)| held.damaged);
        let damaged =
            damaged.filter(|(switch, _)| state.get(switch).is_some_and(|state| state.live));
        for (switch, held) in damaged {
            let first = phases.front_mut();
            match first {
                Some(phase) => {
                    phase.entry(switch).or_insert_with(|| held.slice.clone());
                }
                None => phases.push_front(BTreeMap::from([(switch, held.slice.clone())])),
            }
        }
    }

    fn full_switch<'a>(
        &self,
        mut switches: impl Iterator<Item = &'a DatapathId>,
    ) -> Option<DatapathId> {
        let full = |switch: &&DatapathId| {
            self.sessions.get(switch).is_some_and(|live| live.in_flight >= WINDOW)
        };
        switches.find(full).copied()
    }

    /// Starts phases until one has to wait for a switch, or the plan is done.
    fn next_phase(&mut self, id: NetworkId, now: Instant) {
        loop {
            let Some(job) = self.jobs.get_mut(&id) else { return };
            if !job.outstanding.is_empty() {
                return;
            }
            if job.rest.is_empty()
                && !(job.stale || job.failed)
                && let Some(report) = self.reports.get_mut(&id)
            {
                report.joining.clear();
                report.returning.clear();
            }
            if std::mem::take(&mut job.lingers) {
                let until = now + CACHE;
                job.lingers_until = Some(until);
                self.lingering.insert((until, id));
            }
            if job.lingers_until.is_some_and(|until| until > now) {
                return;
            }
            job.lingers_until = None;
            let phase = if job.stale || job.failed { None } else { job.rest.pop_front() };
            let Some(phase) = phase else {
                self.end_job(id);
                return;
            };
            job.begun = now;
            for (switch, target) in phase {
                self.send(id, switch, target, now);
            }
        }
    }

    /// Plans that wait for a switch too long are made anew without it.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        let late =
            |job: &Job| !job.outstanding.is_empty() && now.duration_since(job.begun) >= PATIENCE;
        let mut late: Vec<_> =
            self.jobs.iter().filter(|(_, job)| late(job)).map(|(id, _)| *id).collect();
        late.sort();
        for id in late {
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            job.stale = true;
            for switch in std::mem::take(&mut job.outstanding) {
                metrics::counter!("isolane_slow_answers_total", "switch" => switch.to_string())
                    .increment(1);
                if self.quiet.allows(("slow", Place::new(switch, PortNo::ANY)), now) {
                    warn!(%switch, network = %id,
                        "the switch hasn't confirmed a change for {} s; others go on without it", PATIENCE.as_secs());
                }
            }
            self.next_phase(id, now);
        }
    }

    /// Goes on with plans that waited for cached decisions to be gone.
    pub(super) fn go_on(&mut self, now: Instant) {
        while let Some((until, id)) =
            self.lingering.first().copied().filter(|(until, _)| *until <= now)
        {
            self.lingering.remove(&(until, id));
            self.next_phase(id, now);
        }
    }

    fn send(&mut self, id: NetworkId, switch: DatapathId, target: Slice, now: Instant) {
        let held = self.installed.get(id, switch).cloned().unwrap_or_default();
        let changes = diff(&held.slice, &target);
        let disturbs = held.damaged || changes.disturbs();
        let steps = if held.damaged {
            rewrite(id, &held.slice, &target, &held.strays)
        } else {
            lower(id, &changes)
        };
        let token = self.token(switch, Pending::Phase(id));
        let Some(live) = self.sessions.get_mut(&switch) else {
            self.pending.remove(&token);
            self.fail_job(id);
            return;
        };
        if let Err(error) = live.handle.apply(token, steps) {
            warn!(switch = %switch, network = %id, %error, "changes could not be queued");
            self.pending.remove(&token);
            self.refuse(id, switch, format!("the switch takes changes too slowly: {error}"), now);
            self.fail_job(id);
            return;
        }
        live.in_flight += 1;
        let caches = live.caches;
        self.hold(id, switch, Held { sent: Some(target), ..held });
        if let Some(job) = self.jobs.get_mut(&id) {
            job.outstanding.insert(switch);
            // What only adds disturbs nobody, but who waits for the end is
            // promised that it acts on every frame.
            let awaited = job.rest.is_empty() && !job.waiters.is_empty();
            job.lingers |= caches && (disturbs || awaited);
        }
    }

    fn fail_job(&mut self, id: NetworkId) {
        if let Some(job) = self.jobs.get_mut(&id) {
            job.failed = true;
        }
    }

    /// Changes the mirror, and wakes whoever waits for what becomes free.
    pub(super) fn hold(&mut self, id: NetworkId, switch: DatapathId, held: Held) {
        if let Some(live) = self.sessions.get_mut(&switch) {
            live.audit.touch(id);
        }
        let freed = self.installed.set(id, switch, held);
        if self.ids.is_releasing(id) {
            self.noting.id(id, self.now);
        }
        for place in freed {
            if self.jobs.contains_key(&id) {
                self.lingering_ports.insert(place, id);
            }
            self.sweep_due.insert(place.switch);
            if let Some((_, port)) = self.sources().occupant(place) {
                let wanting = self.intents.network(&port.network).map(|network| network.id);
                wanting.into_iter().for_each(|id| self.mark(id));
            }
            self.refresh_port(place);
        }
        self.free_id(id);
    }

    /// A deleted network's id can be another's once no switch holds anything
    /// of it, nor acts on what it cached.
    pub(super) fn free_id(&mut self, id: NetworkId) {
        if self.ids.is_releasing(id) && !self.installed.holds(id) && !self.jobs.contains_key(&id) {
            self.ids.freed(id);
            self.noting.id(id, self.now);
            self.backoffs.retain(|(other, _), _| *other != id);
            self.retries.retain(|(_, other, _)| *other != id);
            self.reports.remove(&id);
            self.hosts.forget(id);
            self.paced.remove(&id);
        }
    }

    pub(super) fn on_applied(
        &mut self,
        switch: DatapathId,
        session: SessionId,
        token: u64,
        result: Result<(), ApplyFailure>,
        now: Instant,
    ) {
        let pending = self.pending.remove(&token).map(|(_, pending)| pending);
        let Some(live) = self.sessions.get_mut(&switch).filter(|live| live.session == session)
        else {
            return;
        };
        live.in_flight = live.in_flight.saturating_sub(1);
        if live.in_flight < WINDOW / 2 && !live.blocked.is_empty() {
            let blocked = std::mem::take(&mut live.blocked);
            blocked.into_iter().for_each(|id| self.mark(id));
        }
        match (pending, result) {
            (Some(Pending::Phase(id)), Ok(())) => {
                let target = self.installed.get(id, switch).and_then(|held| held.sent.clone());
                self.hold(
                    id,
                    switch,
                    Held { slice: target.unwrap_or_default(), ..Held::default() },
                );
                self.phase_answered(id, switch, now);
            }
            (Some(Pending::Phase(id)), Err(failure)) => {
                let reason = failure.to_string();
                metrics::counter!("isolane_changes_refused_total", "switch" => switch.to_string())
                    .increment(1);
                if self.quiet.allows(("refused", Place::new(switch, PortNo::ANY)), now) {
                    warn!(switch = %switch, network = %id, %reason, "the switch refused a change");
                }
                self.refuse(id, switch, reason, now);
                // What was taken and what wasn't, the switch itself knows best.
                self.reread(id, switch);
                self.fail_job(id);
                self.phase_answered(id, switch, now);
            }
            (Some(Pending::Base), Ok(())) => self.base_taken(switch, now),
            (Some(Pending::Base), Err(failure)) => {
                self.base_refused(switch, &failure.to_string(), now);
            }
            _ => {}
        }
    }

    fn phase_answered(&mut self, id: NetworkId, switch: DatapathId, now: Instant) {
        let awaited = self.jobs.get_mut(&id).is_some_and(|job| job.outstanding.remove(&switch));
        if awaited {
            self.next_phase(id, now);
        } else {
            // Others went on without it; now it takes changes again.
            self.mark(id);
        }
    }

    /// The plan is done, or given up: then who waits waits for the next.
    fn end_job(&mut self, id: NetworkId) {
        let Some(job) = self.jobs.remove(&id) else { return };
        self.lingering_ports.retain(|place, left| {
            if *left == id {
                self.sweep_due.insert(place.switch);
            }
            *left != id
        });
        let undone = job.stale || job.failed;
        if undone {
            let waited = !job.waiters.is_empty();
            self.waiters.entry(id).or_default().extend(job.waiters);
            self.dirty.push(id, waited);
        } else {
            if self.waits_for_an_answer(id) {
                self.waiters.entry(id).or_default().extend(job.waiters);
            } else {
                tell(job.waiters);
            }
            self.free_id(id);
            if job.again {
                let waited = self.waiters.contains_key(&id);
                self.dirty.push(id, waited);
            }
        }
    }

    /// A switch's session is gone: what it was sent may or may not be there.
    pub(super) fn give_up_on(&mut self, switch: DatapathId, now: Instant) {
        self.pending.retain(|_, (other, _)| *other != switch);
        self.probes.retain(|_, probe| probe.old.switch != switch);
        let mut waiting: Vec<_> = self
            .jobs
            .iter_mut()
            .filter_map(|(id, job)| {
                job.stale = true;
                job.outstanding.remove(&switch).then_some(*id)
            })
            .collect();
        waiting.sort();
        waiting.into_iter().for_each(|id| self.next_phase(id, now));
    }

    fn reread(&mut self, id: NetworkId, switch: DatapathId) {
        let token = self.token(switch, Pending::Reread(id));
        let (cookie, mask) = Cookie::of_network(id);
        let Some(live) = self.sessions.get(&switch) else { return };
        if let Err(error) = live.handle.read(token, cookie, mask) {
            self.pending.remove(&token);
            live.handle.close(&format!("its tables can't be read: {error}"));
        }
    }

    pub(super) fn on_read(
        &mut self,
        switch: DatapathId,
        session: SessionId,
        token: u64,
        result: Result<Tables, ReadFailure>,
        now: Instant,
    ) {
        let pending = self.pending.remove(&token).map(|(_, pending)| pending);
        let Some(live) = self.sessions.get(&switch).filter(|live| live.session == session) else {
            return;
        };
        match (pending, result) {
            (Some(Pending::Reread(id)), Ok(tables)) => {
                let mut lifted = lift(&tables.flows, &tables.groups);
                let read = lifted.networks.remove(&id).unwrap_or_default();
                self.hold(
                    id,
                    switch,
                    Held {
                        slice: read.slice,
                        sent: None,
                        damaged: read.damaged,
                        strays: read.strays,
                    },
                );
                self.mark(id);
            }
            (Some(Pending::Reread(_)), Err(failure)) => {
                live.handle.close(&format!("its tables can't be read: {failure}"));
            }
            (Some(Pending::Audit), result) => self.on_audit(switch, result, now),
            (Some(Pending::Probe(id, mac)), result) => self.on_probe(id, mac, result.ok(), now),
            _ => {}
        }
    }

    fn refuse(&mut self, id: NetworkId, switch: DatapathId, reason: String, now: Instant) {
        let before = self.backoffs.get(&(id, switch)).copied();
        let backoff = before.map_or(FIRST_RETRY, |backoff| (backoff * 2).min(LONGEST_RETRY));
        self.backoffs.insert((id, switch), backoff);
        self.retries.insert((now + backoff, id, switch));
        self.reports.entry(id).or_default().refused.insert(switch, Refusal { reason, backoff });
    }

    /// Asks switches again what they refused, once their time has come.
    pub(super) fn retry(&mut self, now: Instant) {
        while let Some((at, id, switch)) =
            self.retries.first().copied().filter(|(at, ..)| *at <= now)
        {
            self.retries.remove(&(at, id, switch));
            // Many networks may be refused: a full switch is asked once a second.
            if let Some(next) = self.next_retry.get(&switch).copied().filter(|next| *next > now) {
                self.retries.insert((next, id, switch));
                continue;
            }
            self.next_retry.insert(switch, now + FIRST_RETRY);
            if let Some(report) = self.reports.get_mut(&id) {
                report.refused.remove(&switch);
            }
            self.mark(id);
        }
    }

    /// What answers to callers need to know of the network's view.
    fn note(&mut self, id: NetworkId, network: Option<&Network>) {
        let Some(network) = network else {
            self.reports.entry(id).or_default().declared.clear();
            return;
        };
        let declared = network.hosts.iter().filter(|(_, host)| !host.learnt);
        let declared = declared.map(|(mac, host)| (*mac, host.place)).collect();
        let degraded = cut_for_want_of_tags(network, &self.graph).map(|(a, b)| {
            format!(
                "no VLAN tag is left for it (there are 2047 networks' worth), so {} and {} can't reach each other: \
                 delete networks, or declare the links between as tun_id",
                self.topology.name_of(a),
                self.topology.name_of(b)
            )
        });
        let split = split(network, &self.graph);
        let report = self.reports.entry(id).or_default();
        report.declared = declared;
        if report.split != split {
            match split {
                Some((a, b)) => {
                    info!(network = %id, %a, %b, "split: no link that is up joins these switches")
                }
                None => info!(network = %id, "not split any more"),
            }
            report.split = split;
        }
        if report.degraded != degraded {
            match &degraded {
                Some(reason) => warn!(network = %id, %reason, "degraded"),
                None => info!(network = %id, "not degraded any more"),
            }
            report.degraded = degraded;
        }
    }

    fn note_joining(&mut self, id: NetworkId, state: &BTreeMap<DatapathId, State>) {
        let joining = state.iter().flat_map(|(switch, State { installed, desired, .. })| {
            let new = desired.edges.difference(&installed.edges);
            new.map(|port| Place::new(*switch, *port))
        });
        self.reports.entry(id).or_default().joining.extend(joining);
    }

    /// Which switches don't hold what they should, and why.
    fn note_behind(
        &mut self,
        id: NetworkId,
        state: &mut BTreeMap<DatapathId, State>,
        now: Instant,
    ) {
        // A switch that is connected has still to say so, whatever it is.
        let unsure = |switch: &DatapathId, desired: &Slice| {
            let sent = self.installed.get(id, *switch).and_then(|held| held.sent.as_ref());
            sent.is_some_and(|sent| sent != desired || self.sessions.contains_key(switch))
        };
        let behind: BTreeSet<_> = state
            .iter()
            .filter(|(switch, state)| {
                !state.live && (state.installed != state.desired || unsure(switch, &state.desired))
            })
            .map(|(switch, _)| *switch)
            .collect();
        let reasons: BTreeMap<_, _> =
            behind.into_iter().map(|switch| (switch, self.why_unusable(id, switch, now))).collect();
        let report = self.reports.entry(id).or_default();
        let back = report.behind.keys().filter(|switch| !reasons.contains_key(switch));
        report.returning.extend(back.copied());
        let differs = |switch: &DatapathId| {
            state.get(switch).is_some_and(|state| state.live && state.installed != state.desired)
        };
        report.returning.retain(differs);
        report.behind = reasons;
        // A switch that took everything starts anew when it refuses again.
        let fine = state.iter().filter(|(_, state)| state.live && state.installed == state.desired);
        for (switch, _) in fine {
            if self.backoffs.remove(&(id, *switch)).is_some() {
                // There is room again: the others needn't wait.
                self.next_retry.remove(switch);
                let waiting: Vec<_> =
                    self.retries.iter().filter(|(.., other)| other == switch).copied().collect();
                if let Some(next) = waiting.first() {
                    self.retries.remove(next);
                    self.retries.insert((now, next.1, next.2));
                }
            }
        }
    }

    fn why_unusable(&self, id: NetworkId, switch: DatapathId, now: Instant) -> String {
        let name = self.topology.name_of(switch);
        if self.foreign.contains(&switch) {
            return format!("switch {name} is in foreign-state: adopt or reset it");
        }
        if !self.sessions.contains_key(&switch) {
            let away = self.topology.switch(switch).and_then(|switch| switch.away_since);
            return match away {
                Some(since) if self.unseen.is_assumed(switch) => format!(
                    "switch {name} has not come back since this controller started {} s ago",
                    now.duration_since(since).as_secs()
                ),
                Some(since) => {
                    format!(
                        "switch {name} is away since {} s ago",
                        now.duration_since(since).as_secs()
                    )
                }
                None => format!("switch {name} is away"),
            };
        }
        match self.reports.get(&id).and_then(|report| report.refused.get(&switch)) {
            Some(refusal) => format!(
                "switch {name} refused a change: {} (asked again every {} s)",
                refusal.reason,
                refusal.backoff.as_secs()
            ),
            None => format!("switch {name} has not confirmed yet what it was told"),
        }
    }
}

fn tell(waiters: Vec<oneshot::Sender<()>>) {
    for waiter in waiters {
        // Who doesn't wait any more doesn't want to know.
        let _ = waiter.send(());
    }
}
