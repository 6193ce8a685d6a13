//! Switches that come, go and change; links between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use openflow::{DatapathId, PortNo, PortReason};
use tracing::{info, warn};

use super::Engine;
use super::audit::Audit;
use super::learning::labels;
use crate::base::BaseRule;
use crate::installed::Held;
use crate::lift::Lifted;
use crate::model::{Name, NetworkId, Place, SwitchRef, by_id};
use crate::slice::{Slice, Source};
use crate::southbound::{Connected, SessionId, SwitchHandle};
use crate::topology::{Description, Port, Switch};

/// The topology is worked out anew at most this often.
const SETTLE: Duration = Duration::from_millis(10);

/// Links that come at once, at most, that the log names one by one.
const NAMED_LINKS: usize = 50;

/// A switch with a session.
pub(super) struct Live {
    pub session: SessionId,
    pub handle: SwitchHandle,
    /// Networks whose changes it has not confirmed yet.
    pub in_flight: usize,
    /// Networks that wait until there are fewer.
    pub blocked: BTreeSet<NetworkId>,
    /// Its own flows, as they should be and were sent.
    pub base: BTreeSet<BaseRule>,
    /// Whether decisions it made may act for a moment after a barrier.
    pub caches: bool,
    /// When it is read and compared next.
    pub audit: Audit,
    /// Why its own flows aren't in place, if so.
    pub trouble: Option<String>,
    /// How long it was left alone with them last time.
    pub base_backoff: Duration,
}

/// A switch that was not let in.
#[derive(Debug)]
pub(super) struct Refused {
    pub at: SystemTime,
    pub peer: SocketAddr,
    pub reason: String,
}

/// Refused switches that are remembered.
const MOST_REFUSALS: usize = 1024;

impl Engine {
    pub(super) fn on_connected(&mut self, mut connected: Connected, now: Instant) {
        let id = connected.dpid;
        let lifted = std::mem::take(&mut connected.lifted);
        // Once in this state, only an operator, or an empty switch, ends it.
        let guarded = !self.ever_held_a_network() || self.foreign.contains(&id);
        let unknown = |id: &NetworkId| !self.has_id(*id) && !self.ids.is_releasing(*id);
        if guarded && lifted.networks.keys().any(unknown) {
            warn!(switch = %id, "foreign-state: the switch carries networks that this controller never had; it is left alone");
            self.foreign.insert(id);
        } else {
            self.foreign.remove(&id);
        }
        info!(switch = %id, peer = %connected.peer, flows = connected.flows, "connected");
        let live = Live {
            session: connected.session,
            handle: connected.handle.clone(),
            in_flight: 0,
            blocked: BTreeSet::new(),
            base: lifted.base.clone(),
            caches: connected.desc.hw_desc.as_bytes() == b"Open vSwitch",
            audit: Audit::new(id, now, self.audit_interval),
            trouble: None,
            base_backoff: Duration::ZERO,
        };
        if self.sessions.insert(id, live).is_some() {
            self.give_up_on(id, now);
        }
        // Others' paths change only if it wasn't there, or was passed by.
        self.switches_changed |=
            self.topology.switch(id).is_none() || self.graph.avoided().contains(&id);
        self.unseen.remove(id);
        self.noting.switch(id, now);
        self.forget_changed_ports(id, &connected);
        let switch = self.switch_of(&connected);
        let before =
            self.topology.switch(id).map(|old| (old.ports == switch.ports, old.name.clone()));
        self.topology.connect(id, switch);
        let same =
            self.topology.switch(id).is_some_and(|now| before == Some((true, now.name.clone())));
        if let Some((name, other)) = self.topology.name_conflict(id) {
            metrics::counter!("isolane_name_conflicts_total", "switch" => id.to_string())
                .increment(1);
            warn!(switch = %id, %name, %other, "name-conflict: the name belongs to another switch");
        }
        self.refusals.remove(&id);
        self.ended.remove(&id);
        // What it refused before, it may take now.
        self.clear_refusals(id);
        self.mirror(id, lifted);
        self.sweep_due.insert(id);
        self.settle_base(id);
        self.refresh_ports(id);
        // Links stay as they are where a switch comes back as it was: many may at once.
        let in_use =
            |place| self.installed.is_edge(place) || self.sources().occupant(place).is_some();
        if !same || self.switches_changed || self.topology.link_ends(id).any(in_use) {
            self.topology_changed(now);
        }
        self.mark_networks_on(id);
        // Those too that only pass through it, and came to while it was away.
        let waiting = self.reports.iter().filter(|(_, report)| report.behind.contains_key(&id));
        let waiting: BTreeSet<_> = waiting.map(|(network, _)| *network).collect();
        waiting.into_iter().for_each(|network| self.mark(network));
    }

    /// What the switch refused is forgotten.
    pub(super) fn clear_refusals(&mut self, id: DatapathId) {
        self.reports.values_mut().for_each(|report| {
            report.refused.remove(&id);
        });
        self.backoffs.retain(|(_, switch), _| *switch != id);
        self.retries.retain(|(.., switch)| *switch != id);
        self.next_retry.remove(&id);
    }

    /// What was heard at a number doesn't count where another port has it now.
    fn forget_changed_ports(&mut self, id: DatapathId, connected: &Connected) {
        let Some(old) = self.topology.switch(id) else { return };
        let now: BTreeMap<_, _> =
            connected.ports.iter().map(|port| (port.port_no, port_of(port).name)).collect();
        let changed = old.ports.iter().filter(|(number, port)| now.get(number) != Some(&port.name));
        let changed: Vec<_> = changed.map(|(number, _)| Place::new(id, number)).collect();
        for place in changed {
            self.discovery.remove(place);
        }
    }

    fn switch_of(&self, connected: &Connected) -> Switch {
        let desc = &connected.desc;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ports = connected.ports.iter().filter(|port| is_port(port.port_no));
        Switch {
            name: None,
            claims: Name::new(desc.dp_desc.as_bytes()).ok(),
            description: Description {
                manufacturer: text(desc.mfr_desc.as_bytes()),
                hardware: text(desc.hw_desc.as_bytes()),
                software: text(desc.sw_desc.as_bytes()),
                serial: text(desc.serial_num.as_bytes()),
            },
            address: Some(connected.peer),
            ports: ports.map(|port| (port.port_no, port_of(port))).collect(),
            spec: self.intents.switch(connected.dpid).cloned().unwrap_or_default(),
            connected: true,
            since: SystemTime::now(),
            away_since: None,
        }
    }

    /// Takes over what the switch holds, in place of what was believed.
    fn mirror(&mut self, switch: DatapathId, lifted: Lifted) {
        let mut before = self.installed.drop_switch(switch);
        for (id, read) in lifted.networks {
            if !self.has_id(id) {
                // Nobody's any more: to be removed, and its id not to be used until it is.
                self.ids.reserve(id);
                if !self.foreign.contains(&switch) {
                    self.ids.release(id);
                }
            }
            self.learn_from(switch, id, &read.slice);
            let held =
                Held { slice: read.slice, sent: None, damaged: read.damaged, strays: read.strays };
            self.hold(id, switch, held);
            before.push(id);
        }
        for id in before {
            if self.installed.get(id, switch).is_none() {
                self.learn_from(switch, id, &Slice::default());
                self.hold(id, switch, Held::default());
            }
            self.mark(id);
        }
    }

    /// A switch's own flows are the truth about the hosts learnt there.
    pub(super) fn learn_from(&mut self, switch: DatapathId, id: NetworkId, slice: &Slice) {
        let learnt: BTreeSet<_> = slice
            .sources
            .iter()
            .filter_map(|source| match source {
                Source::Learnt(port, mac) => Some((*mac, Place::new(switch, *port))),
                _ => None,
            })
            .collect();
        self.hosts
            .retain(id, |mac, place| place.switch != switch || learnt.contains(&(mac, place)));
        if self.intents.has_id(id) {
            for (mac, place) in learnt {
                self.hosts.hear(id, mac, place, usize::MAX, SystemTime::now());
            }
        }
    }

    /// Takes the hosts of networks over from all switches that hold them.
    pub(super) fn learn_from_all(&mut self, networks: &[NetworkId]) {
        for &id in networks {
            let held: Vec<_> =
                self.installed.of(id).map(|(switch, held)| (switch, held.slice.clone())).collect();
            for (switch, slice) in held {
                self.learn_from(switch, id, &slice);
            }
        }
    }

    pub(super) fn on_disconnected(
        &mut self,
        id: DatapathId,
        session: SessionId,
        reason: &str,
        now: Instant,
    ) {
        if self.sessions.get(&id).is_none_or(|live| live.session != session) {
            return;
        }
        metrics::counter!("isolane_switches_lost_total", "switch" => id.to_string()).increment(1);
        warn!(switch = %id, %reason, "disconnected; what it holds is left as it is");
        let blocked = self.sessions.remove(&id).map(|live| live.blocked).unwrap_or_default();
        blocked.into_iter().for_each(|network| self.mark(network));
        self.ended.insert(id, reason.to_owned());
        self.topology.disconnect(id, now);
        self.noting.switch(id, now);
        self.give_up_on(id, now);
        self.mark_networks_on(id);
    }

    pub(super) fn on_refused(&mut self, dpid: Option<DatapathId>, peer: SocketAddr, reason: &str) {
        // Whoever doesn't say which switch it is only gets a line in the log.
        let Some(id) = dpid else { return };
        if self.refusals.len() >= MOST_REFUSALS && !self.refusals.contains_key(&id) {
            let oldest =
                self.refusals.iter().min_by_key(|(_, refused)| refused.at).map(|(id, _)| *id);
            oldest.and_then(|id| self.refusals.remove(&id));
        }
        self.refusals
            .insert(id, Refused { at: SystemTime::now(), peer, reason: reason.to_owned() });
    }

    /// The networks that a switch in foreign-state carries, each with all its
    /// ports, also those on others in that state: they stay as they are, and
    /// this one's part must go on fitting theirs.
    pub(super) fn adopted(&self, switch: DatapathId) -> Vec<(NetworkId, Vec<Place>)> {
        let places = |id: NetworkId| {
            let held = self.installed.of(id).filter(|(other, _)| self.foreign.contains(other));
            held.flat_map(|(other, held)| {
                held.slice.edges.iter().map(move |port| Place::new(other, *port))
            })
        };
        let networks = self.installed.networks_on(switch).into_iter();
        networks
            .filter(|id| !self.ids.is_releasing(*id))
            .map(|id| (id, places(id).collect()))
            .collect()
    }

    /// The switch is taken as any other from now on: what it holds and nobody
    /// wants goes.
    pub(super) fn end_foreign_state(&mut self, switch: DatapathId) {
        self.foreign.remove(&switch);
        self.noting.switch(switch, self.now);
        let still_foreign: BTreeSet<_> =
            self.foreign.iter().flat_map(|other| self.installed.networks_on(*other)).collect();
        for id in self.installed.networks_on(switch) {
            if !self.has_id(id) && !still_foreign.contains(&id) {
                self.ids.release(id);
            }
            self.mark(id);
        }
        self.settle_base(switch);
        self.refresh_ports(switch);
        self.mark_networks_on(switch);
    }

    pub(super) fn on_port_status(
        &mut self,
        id: DatapathId,
        session: SessionId,
        reason: PortReason,
        port: &openflow::Port,
        now: Instant,
    ) {
        let current = self.sessions.get(&id).is_some_and(|live| live.session == session);
        if !current || !is_port(port.port_no) {
            return;
        }
        let place = Place::new(id, port.port_no);
        let mut concerned: BTreeSet<_> = self.networks_at(place);
        let (was_up, new) = (self.topology.is_up(place), port_of(port));
        let old = match reason {
            PortReason::Delete => self.topology.remove_port(id, port.port_no),
            _ => self.topology.put_port(id, port.port_no, new.clone()),
        };
        let renamed =
            reason == PortReason::Delete || old.as_ref().is_none_or(|old| old.name != new.name);
        if renamed {
            let (switch, number) = labels(place);
            let number = self.changed_ports.label(place, number);
            metrics::counter!("isolane_ports_changed_total", "switch" => switch, "port" => number)
                .increment(1);
            if self.quiet.allows(("port", place), now) {
                info!(switch = %id, port = %port.port_no, ?reason, "port changed");
            }
            // A name that moved means other ports than before.
            self.mark_networks_on(id);
            // Until theirs are told, frames enter the network that had the number.
            concerned.extend(self.networks_at(place));
            concerned.extend(self.installed.holding(place));
            concerned.into_iter().for_each(|network| self.dirty.push(network, true));
        }
        self.noting.switch(id, now);
        let is_up = self.topology.is_up(place);
        if renamed || (was_up && !is_up) {
            self.discovery.remove(place);
        }
        if !was_up && is_up && !renamed {
            self.expect_again(place, now);
        }
        self.refresh_port(place);
        if was_up != is_up || renamed {
            self.topology_changed(now);
        }
    }

    /// A link's port is up again. Where the switch at the other end is away it
    /// can't say so, nor be heard: the link is taken for what it was before.
    fn expect_again(&mut self, place: Place, now: Instant) {
        let Some(link) = self.topology.link_at(place).copied() else { return };
        let other = if link.a == place { link.b } else { link.a };
        if !self.sessions.contains_key(&other.switch) && self.topology.is_up(other) {
            self.discovery.recall(link.a, link.b, now);
        }
    }

    /// Networks that have this port, by whatever reference.
    fn networks_at(&self, place: Place) -> BTreeSet<NetworkId> {
        let references = self.topology.references(place).into_iter();
        let ports = references.filter_map(|at| self.intents.port(&at));
        ports.filter_map(|port| Some(self.intents.network(&port.network)?.id)).collect()
    }

    /// Marks the networks that have, or should have, something on a switch.
    pub(super) fn mark_networks_on(&mut self, id: DatapathId) -> BTreeSet<NetworkId> {
        let mut networks = self.networks_wanted_on(id);
        networks.extend(self.installed.networks_on(id));
        networks.iter().for_each(|network| self.mark(*network));
        networks
    }

    /// The networks that have ports on a switch.
    pub(super) fn networks_wanted_on(&self, id: DatapathId) -> BTreeSet<NetworkId> {
        let mut switches = vec![by_id(id)];
        switches.extend(
            self.topology.switch(id).and_then(|switch| switch.name.clone()).map(SwitchRef::Name),
        );
        let names: BTreeSet<_> = switches
            .iter()
            .flat_map(|switch| self.intents.ports_on(switch).map(|(_, port)| &port.network))
            .collect();
        names.into_iter().filter_map(|name| Some(self.intents.network(name)?.id)).collect()
    }

    /// Decides anew whether a port announces itself: it is there, may be a
    /// trunk, and no network has it or is still leaving it.
    pub(super) fn refresh_port(&mut self, place: Place) {
        let wanted = self.refresh(place);
        let (set, remove) = self.announcements(place, wanted);
        self.change_base(place.switch, set, remove);
    }

    /// The same for all ports of a switch, in one change.
    pub(super) fn refresh_ports(&mut self, switch: DatapathId) {
        let ports = self
            .topology
            .switch(switch)
            .map(|switch| switch.ports.iter().map(|(number, _)| number).collect::<Vec<_>>());
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for port in ports.unwrap_or_default() {
            let place = Place::new(switch, port);
            let wanted = self.refresh(place);
            let change = self.announcements(place, wanted);
            set.extend(change.0);
            remove.extend(change.1);
        }
        self.change_base(switch, set, remove);
    }

    /// Whether announcements that arrive at a port should come up: it is a
    /// candidate, and not flooded with them. A candidate that is up announces itself.
    fn refresh(&mut self, place: Place) -> bool {
        let Some(switch) = self.topology.switch(place.switch) else { return false };
        let port = switch.ports.get(place.port);
        let declared = self.topology.link_at(place).is_some_and(|link| link.declared);
        let candidate = port.is_some_and(|port| declared || switch.may_be_trunk(place.port, port))
            && self.sources().occupant(place).is_none()
            && !self.installed.is_edge(place);
        let up = port.is_some_and(|port| port.up);
        if candidate && up && self.sessions.contains_key(&place.switch) {
            self.discovery.add(place, self.now);
        } else if !candidate || !up {
            self.discovery.remove(place);
        }
        candidate && !self.deaf.contains_key(&place)
    }

    /// Links may have changed; they are looked at soon.
    pub(super) fn topology_changed(&mut self, now: Instant) {
        if self.topology_due.is_none() {
            self.topology_due = Some(now.max(self.topology_settled + SETTLE));
        }
    }

    fn declared_ends(&self) -> impl Iterator<Item = Place> {
        self.intents.links().flat_map(|(ends, _)| {
            let (a, b) = ends.ends();
            [self.topology.resolve(a), self.topology.resolve(b)].into_iter().flatten()
        })
    }

    /// The links that are heard as they should be.
    pub(super) fn heard_links(&self) -> BTreeSet<(Place, Place)> {
        let known = |a, b| self.topology.link_at(a).is_some_and(|link| (link.a, link.b) == (a, b));
        self.discovery.links(known)
    }

    pub(super) fn settle_topology(&mut self, now: Instant) {
        self.topology_settled = now;
        let heard = self.heard_links();
        let before: BTreeSet<_> = self.topology.links().copied().collect();
        let taken: BTreeSet<_> = heard
            .iter()
            .flat_map(|(a, b)| [*a, *b])
            .chain(before.iter().flat_map(|link| [link.a, link.b]))
            .chain(self.declared_ends())
            .filter(|place| {
                self.installed.is_edge(*place) || self.sources().occupant(*place).is_some()
            })
            .collect();
        self.noting.links(now);
        let Self { intents, topology, .. } = self;
        let changed =
            topology.settle_links(intents.links(), &heard, |place| taken.contains(&place));
        if !changed && !self.switches_changed {
            return;
        }
        self.switches_changed = false;
        let after: BTreeSet<_> = self.topology.links().copied().collect();
        let new: Vec<_> = after.difference(&before).filter(|link| link.up).collect();
        if new.len() > NAMED_LINKS {
            info!(links = new.len(), "links");
        } else {
            for link in new {
                info!(a = %link.a, b = %link.b, encap = %link.encap, declared = link.declared, up = link.up, "link");
            }
        }
        for link in after.difference(&before).filter(|link| !link.up) {
            let (switch, port) = labels(link.a);
            let peer = link.b.to_string();
            metrics::counter!("isolane_links_lost_total", "switch" => switch, "port" => port, "peer" => peer)
                .increment(1);
            if self.quiet.allows(("link-down", link.a), now) {
                let why = self.why_down(link).unwrap_or_default();
                warn!(a = %link.a, b = %link.b, why, "the link is down; networks go other ways, where there are any");
            }
        }
        let kept: BTreeSet<_> = after.iter().map(|link| (link.a, link.b)).collect();
        for link in before.iter().filter(|old| !kept.contains(&(old.a, old.b))) {
            info!(a = %link.a, b = %link.b, "link gone");
        }
        for link in before.symmetric_difference(&after) {
            self.refresh_port(link.a);
            self.refresh_port(link.b);
        }
        let avoided = self.graph.avoided().clone();
        self.graph = self.topology.graph().avoiding(self.long_away(now));
        for id in avoided.symmetric_difference(self.graph.avoided()) {
            self.noting.switch(*id, now);
        }
        // Who uses a link that changed is helped first.
        for link in before.symmetric_difference(&after) {
            let users = [link.a, link.b].map(|place| self.installed.using_trunk(place));
            users.into_iter().flatten().for_each(|network| self.dirty.push(network, true));
        }
        self.mark_all();
    }

    /// Switches whose session is gone for so long that others go around them.
    fn long_away(&self, now: Instant) -> BTreeSet<DatapathId> {
        let long = |id: DatapathId, since: Instant| {
            now.duration_since(since) >= self.unseen.patience(id, self.switch_away)
        };
        let away = self.topology.switches().filter_map(|(id, switch)| {
            switch.away_since.is_some_and(|since| long(id, since)).then_some(id)
        });
        away.collect()
    }

    /// Looks whether paths must change because a switch is away for long.
    pub(super) fn lead_around(&mut self, now: Instant) {
        let long_away = self.long_away(now);
        if long_away != *self.graph.avoided() {
            for id in long_away.difference(self.graph.avoided()) {
                warn!(switch = %id, "away for long: traffic that has another way is led around it");
            }
            self.switches_changed = true;
            self.topology_changed(now);
        }
    }
}

fn port_of(port: &openflow::Port) -> Port {
    const PORT_DOWN: u32 = 1;
    const LINK_DOWN: u32 = 1;
    Port {
        name: Name::new(port.name.as_bytes()).ok(),
        mac: port.hw_addr,
        up: u32::from(port.config) & PORT_DOWN == 0 && u32::from(port.state) & LINK_DOWN == 0,
    }
}

/// Whether a number is a place of its own: a port proper, or the switch's own.
fn is_port(port: PortNo) -> bool {
    port.is_physical() || port == PortNo::LOCAL
}
