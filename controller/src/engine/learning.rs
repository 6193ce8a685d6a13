//! What frames that switches send up tell: links, and where hosts are.

use std::time::{Duration, Instant, SystemTime};

use openflow::{DatapathId, FlowRemoved, FlowRemovedReason, MacAddr};
use tracing::{debug, info, warn};

use super::{Engine, Pending};
use crate::cookie::Cookie;
use crate::diff::Rule;
use crate::discovery::Heard;
use crate::hosts::Verdict;
use crate::lift::{self, rule_of};
use crate::lldp::{self, LldpError};
use crate::model::{NetworkId, Place};
use crate::slice::Source;
use crate::southbound::{Punt, SessionId, Tables};

/// A host whose flow counts nothing for this long may have moved.
const SILENCE: Duration = Duration::from_millis(500);
/// Copies from one port in a second after which it is muted for one.
const COPIES: u32 = 100;
const MUTE: Duration = Duration::from_secs(1);
/// Moves that are looked into at a time.
const MAX_PROBES: usize = 1024;

/// How long an alarm stands after its cause was last seen.
const ALARM: Duration = Duration::from_secs(60);
const MOST_ALARMS: usize = 1024;

/// Something on a port that an operator should know.
#[derive(Debug)]
pub(super) struct Alarm {
    pub what: &'static str,
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
        let announcement = match lldp::decode(frame, &self.lldp_key) {
            Ok(announcement) => announcement,
            Err(LldpError::Foreign) => return,
            Err(error @ LldpError::Forged(_)) => {
                metrics::counter!("isolane_lldp_refused_total", "reason" => "forged").increment(1);
                self.alarm(at, "forged", now);
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
                metrics::counter!("isolane_lldp_refused_total", "reason" => "stale").increment(1);
                self.alarm(at, "replayed, or far too late", now);
                if self.quiet.allows(("stale", at), now) {
                    warn!(switch = %at.switch, port = %at.port, from = %announcement.from,
                        "an announcement came late or twice: a replay?");
                }
            }
            Heard::SecondNeighbour(other) => {
                metrics::counter!("isolane_lldp_refused_total", "reason" => "second_neighbour")
                    .increment(1);
                warn!(switch = %at.switch, port = %at.port, one = %other, other = %announcement.from,
                    "the port hears two neighbours and isn't used: a hub, or a relay?");
                self.topology_changed(now);
            }
        }
    }

    fn alarm(&mut self, at: Place, what: &'static str, now: Instant) {
        if self.alarms.len() < MOST_ALARMS || self.alarms.contains_key(&at) {
            self.alarms.insert(at, Alarm { what, at: now });
        }
    }

    /// Alarms that are old go.
    pub(super) fn calm_down(&mut self, now: Instant) {
        self.alarms.retain(|_, alarm| now.duration_since(alarm.at) < ALARM);
        self.hosts.retain_conflicts(|conflict| now.duration_since(conflict.at) < ALARM);
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
                let held = self.installed.get(network, at.switch);
                let source = Source::Learnt(at.port, mac);
                if held.is_some_and(|held| {
                    held.sent.is_none() && !held.slice.sources.contains(&source)
                }) {
                    self.mark(network);
                }
            }
            Verdict::Learnt => {
                debug!(network = %network, %mac, %at, "learnt");
                self.mark(network);
            }
            Verdict::Full => {
                if self.quiet.allows(("full", at), now) {
                    warn!(network = %network, %mac, limit, "the network knows as many MACs as it may; frames are flooded");
                }
                self.mark(network);
            }
            Verdict::Claim(old) => self.on_claim(network, mac, old, at, now),
        }
    }

    /// No copies from a port for a while: the switch passes its frames alone.
    fn mute(&mut self, network: NetworkId, at: Place, now: Instant) {
        metrics::counter!("isolane_ports_muted_total").increment(1);
        if self.quiet.allows(("muted", at), now) {
            warn!(network = %network, switch = %at.switch, port = %at.port,
                "the port shows more than {COPIES} unknown sources a second; nothing is learnt there for a moment");
        }
        self.muted.insert(at, now + MUTE);
        self.mark(network);
    }

    /// Ports whose time has come may teach again.
    pub(super) fn unmute(&mut self, now: Instant) {
        if now >= self.next_second {
            self.next_second = now + Duration::from_secs(1);
            self.copies.clear();
            self.calm_down(now);
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
            self.move_host(network, mac, old, at);
        } else if let Some(probe) = self.probes.get_mut(&(network, mac)) {
            probe.claimant = at;
        } else if self.probes.len() < MAX_PROBES {
            let probe = Probe { old, claimant: at, due: Some(now), packets: None };
            self.probes.insert((network, mac), probe);
        }
    }

    fn move_host(&mut self, network: NetworkId, mac: MacAddr, old: Place, at: Place) {
        info!(network = %network, %mac, from = %old, to = %at, "moved");
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
        metrics::counter!("isolane_mac_conflicts_total").increment(1);
        let news = self.hosts.conflict(network, mac, claimant, now);
        if news && self.quiet.allows(("mac-conflict", claimant), now) {
            warn!(network = %network, %mac, %owner, %claimant, "mac-conflict: a second port claims a MAC; it stays where it is");
        }
    }

    /// Reads the counters of hosts that may have moved.
    pub(super) fn pursue_probes(&mut self, now: Instant) {
        let due: Vec<_> = self
            .probes
            .iter()
            .filter(|(_, probe)| probe.due.is_some_and(|due| due <= now))
            .map(|(key, probe)| (*key, probe.old.switch))
            .collect();
        for ((network, mac), switch) in due {
            let token = self.token(switch, Pending::Probe(network, mac));
            let (cookie, mask) = Cookie::of_network(network);
            let live = self.sessions.get(&switch);
            if live.is_some_and(|live| live.handle.read(token, cookie, mask).is_ok()) {
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
        let packets = flow.map(|flow| flow.packet_count);
        match (packets, probe.packets) {
            (None, _) => self.move_host(network, mac, probe.old, probe.claimant),
            (Some(now_at), Some(before)) if now_at == before => {
                self.move_host(network, mac, probe.old, probe.claimant);
            }
            (Some(_), Some(_)) => {
                self.report_conflict(network, mac, probe.old, probe.claimant, now)
            }
            (Some(first), None) => {
                probe.packets = Some(first);
                probe.due = Some(now + SILENCE);
                self.probes.insert((network, mac), probe);
            }
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
        if self.hosts.age_out(network, mac, Place::new(switch, port)) {
            debug!(network = %network, %mac, "aged out");
        }
        self.mark(network);
    }
}
