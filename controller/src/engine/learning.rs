//! What frames that switches send up tell: links, and where hosts are.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use openflow::{
    DatapathId, FlowRemoved, FlowRemovedReason, FlowStatsRequest, MacAddr, PortNo, TableId,
};
use tracing::{debug, info, warn};

use super::{Engine, Pending};
use crate::cookie::Cookie;
use crate::diff::Rule;
use crate::discovery::Heard;
use crate::flow;
use crate::hosts::Verdict;
use crate::lift::{self, rule_of};
use crate::lldp::{self, LldpError};
use crate::model::{NetworkId, Place};
use crate::slice::Source;
use crate::southbound::{Punt, SessionId, Tables};

/// A host whose flow counts nothing for this long may have moved.
const SILENCE: Duration = Duration::from_millis(500);
/// Open vSwitch brings its counters up to date every half second, or later when
/// it is busy: there a silence must be longer for the owner not to be talking.
const LATE: Duration = Duration::from_millis(200);
/// Between two looks at the counter: what is counted late must not cost a whole
/// further silence.
const SAMPLE: Duration = Duration::from_millis(125);
/// Copies from one port in a second after which it is muted for one.
const COPIES: u32 = 100;
const MUTE: Duration = Duration::from_secs(1);
/// Announcements at one port in a second after which none comes up for a
/// while: those of its switch's other ports must not be lost among them.
const ANNOUNCEMENTS: u32 = 100;
const DEAF: Duration = Duration::from_secs(5);
/// Moves that are looked into at a time, of one network's hosts at one switch:
/// who claims many MACs holds up nobody in another network.
const MOST_PROBES: usize = 16;
/// Of these, counters that one switch is asked for at a time.
const READS: usize = 16;

/// How long an alarm stands after its cause was last seen.
const ALARM: Duration = Duration::from_secs(60);
const MOST_ALARMS: usize = 16 * 1024;
/// One switch's must not hide the others'.
const MOST_ALARMS_OF_SWITCH: usize = 256;

/// Something on a port, or on the whole switch, that an operator should know.
#[derive(Debug)]
pub(super) struct Alarm {
    /// What the port (the switch, where the port is `ANY`) did.
    pub what: String,
    at: Instant,
}

/// Finds out whether the owner of a MAC that somebody claims still talks.
#[derive(Debug)]
pub(super) struct Probe {
    pub old: Place,
    claimant: Place,
    /// When its counter is read next; `None` while an answer is awaited.
    due: Option<Instant>,
    packets: Option<u64>,
    begun: Instant,
    /// When the owner was last found talking.
    changed: Instant,
}

impl Engine {
    pub(super) fn on_punt(&mut self, punt: &Punt) {
        let current =
            self.sessions.get(&punt.dpid).is_some_and(|live| live.session == punt.session);
        let Some(port) =
            punt.packet.match_.in_port_field().map(|field| field.value).filter(|_| current)
        else {
            return;
        };
        let at = Place::new(punt.dpid, port);
        // A switch may say anything, and each port would be remembered.
        if self.topology.switch(punt.dpid).is_none_or(|switch| !switch.ports.contains(port)) {
            return;
        }
        let frame = &punt.packet.data;
        match punt
            .packet
            .match_
            .metadata_field()
            .map(|field| field.value)
            .and_then(lift::network_of_metadata)
        {
            Some(network) => {
                if let Some(Ok(mac)) = frame.get(6..12).map(<[u8; 6]>::try_from) {
                    self.hear_host(network, MacAddr(mac), at, self.now);
                }
            }
            None => self.hear_announcement(at, frame, self.now),
        }
    }

    fn hear_announcement(&mut self, at: Place, frame: &[u8], now: Instant) {
        let heard = self.announced.entry(at).or_default();
        *heard += 1;
        if *heard > ANNOUNCEMENTS {
            return self.deafen(at, now);
        }
        let announcement = match lldp::decode(frame, &self.lldp_key) {
            Ok(announcement) => announcement,
            Err(LldpError::Foreign) => return,
            Err(error @ LldpError::Forged(_)) => {
                self.count_refused(at, "forged");
                self.alarm(at, "heard an announcement (LLDP) that is forged".to_owned(), now);
                if self.quiet.allows(("forged", at), now) {
                    warn!(switch = %at.switch, port = %at.port, %error, "forged announcement");
                }
                return;
            }
        };
        match self.discovery.hear(at, &announcement, now) {
            Heard::Known => {}
            Heard::New => {
                // The other way is probably open as well.
                self.discovery.hasten(at, now);
                self.topology_changed(now);
            }
            Heard::Stale => {
                self.count_refused(at, "stale");
                let what = "heard an announcement (LLDP) that is replayed, or far too late";
                self.alarm(at, what.to_owned(), now);
                if self.quiet.allows(("stale", at), now) {
                    warn!(switch = %at.switch, port = %at.port, from = %announcement.from,
                        "an announcement came late or twice: a replay?");
                }
            }
            Heard::SecondNeighbour(other) => {
                self.count_refused(at, "second_neighbour");
                if self.quiet.allows(("second_neighbour", at), now) {
                    warn!(switch = %at.switch, port = %at.port, one = %other, other = %announcement.from,
                        "the port hears two neighbours and isn't used: a hub, or a relay?");
                }
                self.topology_changed(now);
            }
            Heard::SecondListener(other) => {
                let from = announcement.from;
                self.count_refused(from, "second_neighbour");
                if self.quiet.allows(("second_neighbour", from), now) {
                    warn!(switch = %from.switch, port = %from.port, one = %other, other = %at,
                        "the port is heard at two others: a hub, or a relay?");
                }
                self.topology_changed(now);
            }
        }
    }

    fn count_refused(&self, at: Place, reason: &'static str) {
        let (switch, port) = labels(at);
        metrics::counter!("isolane_lldp_refused_total", "reason" => reason, "switch" => switch, "port" => port)
            .increment(1);
    }

    /// No announcements come up from a port for a while.
    fn deafen(&mut self, at: Place, now: Instant) {
        if self.deaf.contains_key(&at) {
            return;
        }
        self.count_refused(at, "flood");
        if self.quiet.allows(("deaf", at), now) {
            warn!(switch = %at.switch, port = %at.port,
                "the port hears more than {ANNOUNCEMENTS} announcements (LLDP) a second; none is listened to there for {} s", DEAF.as_secs());
        }
        let what = format!(
            "heard more than {ANNOUNCEMENTS} announcements (LLDP) a second and doesn't listen for {} s",
            DEAF.as_secs()
        );
        self.alarm(at, what, now);
        self.deaf.insert(at, now + DEAF);
        self.refresh_port(at);
    }

    /// Notes what an operator should know. Returns whether it is news.
    pub(super) fn alarm(&mut self, at: Place, what: String, now: Instant) -> bool {
        let of_switch = Place::new(at.switch, PortNo(0))..=Place::new(at.switch, PortNo::ANY);
        let full = self.alarms.len() >= MOST_ALARMS
            || self.alarms.range(of_switch).count() >= MOST_ALARMS_OF_SWITCH;
        let room = !full || self.alarms.contains_key(&at);
        room && {
            let old = self.alarms.insert(at, Alarm { what: what.clone(), at: now });
            old.is_none_or(|old| old.what != what)
        }
    }

    /// Something about a whole switch that an operator should know.
    pub(super) fn alarm_switch(&mut self, id: DatapathId, what: String, now: Instant) -> bool {
        self.alarm(Place::new(id, PortNo::ANY), what, now)
    }

    /// Alarms that are old go, and those whose cause lasts are renewed.
    pub(super) fn calm_down(&mut self, now: Instant) {
        self.alarms.retain(|_, alarm| now.duration_since(alarm.at) < ALARM);
        self.hosts.retain_conflicts(|conflict| now.duration_since(conflict.at) < ALARM);
        let one_sided: Vec<_> = self.discovery.one_sided(now).collect();
        for (at, from) in one_sided {
            let neighbour = self.topology.describe(from);
            let what = format!(
                "hears {neighbour}, which doesn't hear it: a relay, or a link that works one way only"
            );
            if self.alarm(at, what, now) {
                self.count_refused(at, "one_way");
                warn!(switch = %at.switch, port = %at.port, %from,
                    "the port hears a neighbour that doesn't hear it and isn't used: a relay, or a link that works one way only?");
            }
        }
    }

    fn hear_host(&mut self, network: NetworkId, mac: MacAddr, at: Place, now: Instant) {
        // Only what is a member right now may teach anything.
        let member = self
            .installed
            .get(network, at.switch)
            .is_some_and(|held| held.slice.edges.contains(&at.port));
        let Some(record) = self.intents.by_id(network) else { return };
        let limit = record.spec.mac_limit.value() as usize;
        let wanted = self.sources().occupant(at);
        let enforced = wanted.as_ref().is_none_or(|(_, port)| {
            port.spec.enforce || self.intents.network(&port.network).is_none_or(|n| n.id != network)
        });
        if !member || enforced || self.muted.contains_key(&at) {
            return;
        }
        let copies = self.copies.entry(at).or_default();
        *copies += 1;
        if *copies > COPIES {
            self.mute(network, at, now);
        }
        if let Some(declared) =
            self.reports.get(&network).and_then(|report| report.declared.get(&mac)).copied()
        {
            if declared != at {
                self.report_conflict(network, mac, declared, at, now);
            }
            return;
        }
        match self.hosts.hear(network, mac, at, limit, SystemTime::now()) {
            Verdict::NotAHost => {}
            Verdict::Known => {
                if let Some(probe) = self.probes.get_mut(&(network, mac)).filter(|it| it.old == at)
                {
                    probe.changed = now;
                }
                let held = self.installed.get(network, at.switch);
                let source = Source::Learnt(at.port, mac);
                if held.is_some_and(|held| {
                    held.sent.is_none() && !held.slice.sources.contains(&source)
                }) {
                    self.mark_learnt(network, now);
                }
            }
            Verdict::Learnt => {
                debug!(network = %network, %mac, %at, "learnt");
                self.mark_learnt(network, now);
            }
            Verdict::Full => {
                if self.quiet.allows(("full", at), now) {
                    let name = self.intents.name_of(network).map(ToString::to_string);
                    metrics::counter!("isolane_mac_limit_reached_total", "network" => name.unwrap_or_default())
                        .increment(1);
                    warn!(network = %network, switch = %at.switch, port = %at.port, %mac, limit, "the network knows as many MACs as it may; frames are flooded");
                }
                self.mark_learnt(network, now);
            }
            Verdict::Claim(old) => self.on_claim(network, mac, old, at, now),
        }
    }

    /// No copies from a port for a while: the switch passes its frames alone.
    fn mute(&mut self, network: NetworkId, at: Place, now: Instant) {
        let (switch, port) = labels(at);
        metrics::counter!("isolane_ports_muted_total", "switch" => switch, "port" => port)
            .increment(1);
        if self.quiet.allows(("muted", at), now) {
            warn!(network = %network, switch = %at.switch, port = %at.port,
                "the port shows more than {COPIES} unknown sources a second; nothing is learnt there for a moment");
        }
        let what = format!(
            "shows more than {COPIES} unknown sources a second; nothing is learnt there meanwhile"
        );
        self.alarm(at, what, now);
        self.muted.insert(at, now + MUTE);
        self.mark(network);
    }

    /// Ports whose time has come may teach again.
    pub(super) fn unmute(&mut self, now: Instant) {
        if now >= self.next_second {
            self.next_second = now + Duration::from_secs(1);
            self.copies.clear();
            self.announced.clear();
            self.calm_down(now);
        }
        let due: Vec<_> =
            self.deaf.iter().filter(|(_, until)| **until <= now).map(|(at, _)| *at).collect();
        for at in due {
            self.deaf.remove(&at);
            self.refresh_port(at);
        }
        let due: Vec<_> =
            self.muted.iter().filter(|(_, until)| **until <= now).map(|(at, _)| *at).collect();
        for at in due {
            self.muted.remove(&at);
            let network = self
                .sources()
                .occupant(at)
                .and_then(|(_, port)| self.intents.network(&port.network));
            let network = network.map(|network| network.id);
            network.into_iter().for_each(|network| self.mark(network));
        }
    }

    /// A known MAC speaks elsewhere. It moved if its old port is gone or down;
    /// else whether the old owner still talks decides.
    fn on_claim(&mut self, network: NetworkId, mac: MacAddr, old: Place, at: Place, now: Instant) {
        let held = self.installed.get(network, old.switch);
        let member = held.is_some_and(|held| held.slice.edges.contains(&old.port));
        // Nothing is heard of a switch that is away; its hosts may well be there
        // for a while, and may have been started elsewhere after it.
        let long_away = self.graph.avoided().contains(&old.switch);
        if !member || long_away || !self.topology.is_up(old) {
            self.move_host(network, mac, old, at, now);
        } else if let Some(probe) = self.probes.get_mut(&(network, mac)) {
            probe.claimant = at;
        } else if self.probes_of(network, old.switch) < MOST_PROBES {
            let probe = Probe {
                old,
                claimant: at,
                due: Some(now),
                packets: None,
                begun: now,
                changed: now,
            };
            self.probes.insert((network, mac), probe);
        }
    }

    fn probes_of(&self, network: NetworkId, switch: DatapathId) -> usize {
        let all = self.probes.iter();
        all.filter(|((other, _), probe)| *other == network && probe.old.switch == switch).count()
    }

    fn move_host(&mut self, network: NetworkId, mac: MacAddr, old: Place, at: Place, now: Instant) {
        let (switch, port) = labels(at);
        metrics::counter!("isolane_hosts_moved_total", "switch" => switch, "port" => port)
            .increment(1);
        if self.quiet.allows(("moved", at), now) {
            info!(network = %network, %mac, from = %old, to = %at, "moved");
        }
        self.hosts.move_to(network, mac, at, SystemTime::now());
        self.mark(network);
    }

    fn report_conflict(
        &mut self,
        network: NetworkId,
        mac: MacAddr,
        owner: Place,
        claimant: Place,
        now: Instant,
    ) {
        let (switch, port) = labels(claimant);
        let text = self.named.label((claimant, mac), mac);
        metrics::counter!("isolane_mac_conflicts_total", "switch" => switch, "port" => port, "mac" => text)
            .increment(1);
        let news = self.hosts.conflict(network, mac, claimant, now);
        if news && self.quiet.allows(("mac-conflict", claimant), now) {
            warn!(network = %network, %mac, %owner, %claimant, "mac-conflict: a second port claims a MAC; it stays where it is");
        }
    }

    /// Reads the counters of hosts that may have moved: of each the one flow,
    /// those that wait longest first, and few at a time of each switch.
    pub(super) fn pursue_probes(&mut self, now: Instant) {
        let mut asked: BTreeMap<DatapathId, usize> = BTreeMap::new();
        let mut due = Vec::new();
        for (key, probe) in &self.probes {
            match probe.due {
                None => *asked.entry(probe.old.switch).or_default() += 1,
                Some(at) if at <= now => due.push((at, *key, probe.old)),
                Some(_) => {}
            }
        }
        due.sort_unstable();
        for (_, (network, mac), old) in due {
            let switch = old.switch;
            let asked = asked.entry(switch).or_default();
            if *asked >= READS {
                continue;
            }
            *asked += 1;
            let token = self.token(switch, Pending::Probe(network, mac));
            let flow = counted(network, old.port, mac);
            let live = self.sessions.get(&switch);
            if live.is_some_and(|live| live.handle.find(token, flow).is_ok()) {
                if let Some(probe) = self.probes.get_mut(&(network, mac)) {
                    probe.due = None;
                }
            } else {
                // A switch that is away can't say; its host stays.
                self.pending.remove(&token);
                self.probes.remove(&(network, mac));
            }
        }
    }

    pub(super) fn on_probe(
        &mut self,
        network: NetworkId,
        mac: MacAddr,
        tables: Option<Tables>,
        now: Instant,
    ) {
        let Some(mut probe) = self.probes.remove(&(network, mac)) else { return };
        let Some(tables) = tables else { return };
        let known = self.hosts.find(network, mac).is_some_and(|entry| entry.place == probe.old);
        if !known {
            return;
        }
        let flow = tables.flows.iter().find(|flow| {
            let learnt = Rule::Source(Source::Learnt(probe.old.port, mac));
            rule_of(flow).is_some_and(|(id, rule)| id == network && rule == learnt)
        });
        // Where it isn't there (yet), the owner's frames come up instead.
        let packets = flow.map(|flow| flow.packet_count);
        if packets.is_some() && probe.packets != packets {
            probe.packets = packets;
            probe.changed = now;
        }
        let late = self.sessions.get(&probe.old.switch).is_some_and(|live| live.caches);
        let silence = if late { SILENCE + LATE } else { SILENCE };
        if now.duration_since(probe.changed) >= silence {
            self.move_host(network, mac, probe.old, probe.claimant, now);
        } else if now.duration_since(probe.begun) >= silence * 2 {
            self.report_conflict(network, mac, probe.old, probe.claimant, now);
        } else {
            probe.due = Some(now + SAMPLE);
            self.probes.insert((network, mac), probe);
        }
    }

    pub(super) fn on_flow_removed(
        &mut self,
        switch: DatapathId,
        session: SessionId,
        removed: &FlowRemoved,
        now: Instant,
    ) {
        let current = self.sessions.get(&switch).is_some_and(|live| live.session == session);
        if !current {
            return;
        }
        if removed.reason != FlowRemovedReason::IdleTimeout {
            self.look_into_removal(switch, removed, now);
            return;
        }
        let Some((network, Rule::Source(source @ Source::Learnt(port, mac)))) =
            lift::rule_of_removed(removed)
        else {
            return;
        };
        if let Some(held) = self.installed.get(network, switch) {
            let mut held = held.clone();
            held.slice.sources.remove(&source);
            if let Some(sent) = &mut held.sent {
                sent.sources.remove(&source);
            }
            self.hold(network, switch, held);
        }
        if let Some(job) = self.jobs.get_mut(&network) {
            job.ran_out(switch, &source);
        }
        let place = Place::new(switch, port);
        if self.hosts.age_out(network, mac, place) {
            debug!(network = %network, %mac, "aged out");
            // Whoever was just heard with a MAC whose owner was silent for so long has it now.
            if let Some(probe) = self.probes.remove(&(network, mac)) {
                self.move_host(network, mac, place, probe.claimant, now);
            }
        }
        self.mark_learnt(network, now);
    }
}

/// The request for the one flow that counts a learnt host's frames.
fn counted(network: NetworkId, port: PortNo, mac: MacAddr) -> FlowStatsRequest {
    let (cookie, mask) = Cookie::of_network(network);
    let flow = flow::flows(network, Rule::Source(Source::Learnt(port, mac))).into_iter().next();
    FlowStatsRequest {
        table_id: TableId(1),
        match_: flow.map(|flow| flow.match_).unwrap_or_default(),
        ..FlowStatsRequest::by_cookie(cookie, mask)
    }
}

/// A place as metrics name it.
pub(super) fn labels(at: Place) -> (String, String) {
    (at.switch.to_string(), at.port.to_string())
}
