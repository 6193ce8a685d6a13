//! What callers are told: networks, ports, switches, links, hosts, flows, and
//! how far a change has come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use api::types::{
    Ack, Connection, End, FlowChange, FlowEntry, FlowTables, FlowView, GroupEntry, Host,
    HostSource, Link, LinkSource, Network, Port, PortRole, State, Switch, SwitchDescription,
    SwitchPort, SwitchReason,
};
use api::values::{HostIp, MacAddr, NetworkName, Pattern, Timestamp};
use openflow::{DatapathId, PortNo};

use super::Engine;
use super::switches::Live;
use crate::compile::compile_all;
use crate::diff::rules;
use crate::flow::{self, Flow};
use crate::intents::{LinkEnds, NetworkRecord, PortRecord};
use crate::model::{self, Encap, NetworkId, Place, PortAt};
use crate::routes::routes;
use crate::slice::Slice;
use crate::topology::LinkStatus;
use crate::views::Standing;

impl Engine {
    /// Whether networks are as they should be on all their switches, and if
    /// not which are missing and why. Who didn't wait for the end is also told
    /// what is under way.
    pub fn ack(&self, networks: &[NetworkId], waited: bool) -> Ack {
        let mut reasons = BTreeMap::new();
        for id in networks {
            let report = self.reports.get(id);
            for (switch, reason) in report.into_iter().flat_map(|report| &report.behind) {
                reasons.entry(*switch).or_insert_with(|| reason.clone());
            }
            for (switch, refusal) in report.into_iter().flat_map(|report| &report.refused) {
                let reason = format!("the switch refused a change: {}", refusal.reason);
                reasons.entry(*switch).or_insert(reason);
            }
            let job = self.jobs.get(id).filter(|_| !waited);
            let mut working = job.map(|job| job.switches()).unwrap_or_default();
            // Whoever waited didn't wait for a switch that came back meanwhile.
            working.extend(report.into_iter().flat_map(|report| &report.returning));
            if !waited && (self.is_unsettled(*id) || self.dirty.members.contains(id)) {
                let holders = self.installed.holders(*id).into_iter();
                working.extend(holders.filter(|switch| self.sessions.contains_key(switch)));
            }
            for switch in working {
                reasons.entry(switch).or_insert_with(|| "its confirmation is awaited".to_owned());
            }
        }
        let reason =
            |(switch, reason)| SwitchReason { switch: self.topology.name_of(switch), reason };
        let reasons: Vec<_> = reasons.into_iter().map(reason).collect();
        if reasons.is_empty() { Ack::Installed } else { Ack::Pending(reasons) }
    }

    /// Whether a change that a caller made is still under way. Learning isn't.
    pub fn is_unsettled(&self, id: NetworkId) -> bool {
        self.waiters.contains_key(&id) || self.jobs.get(&id).is_some_and(|job| job.is_awaited())
    }

    fn degraded(&self, id: NetworkId) -> Option<String> {
        let report = self.reports.get(&id)?;
        let refused = report.refused.iter().next().map(|(switch, refusal)| {
            format!(
                "switch {} refused a change: {}",
                self.topology.name_of(*switch),
                refusal.reason
            )
        });
        report.degraded.clone().or(refused)
    }

    /// A network for callers.
    pub fn show_network(&self, record: &NetworkRecord) -> Network {
        let (id, spec) = (record.id, &record.spec);
        let reasons = match self.ack(&[id], true) {
            Ack::Pending(reasons) => reasons,
            Ack::Installed => Vec::new(),
        };
        let waiting =
            self.intents.ports_of(&spec.name).find_map(|(at, _)| match self.standing(at, id) {
                Standing::Member(_) => None,
                Standing::Missing(reason) | Standing::Held(_, reason) => Some(reason),
                Standing::Conflict(_, other) => {
                    Some(format!("port {at} is the same port as {other}"))
                }
            });
        let degraded = self.degraded(id);
        let state = match (&degraded, &waiting) {
            (Some(_), _) => State::Degraded,
            (None, None) if reasons.is_empty() && !self.is_unsettled(id) => State::Installed,
            _ => State::Pending,
        };
        let first = reasons.first().map(|reason| reason.reason.clone());
        let count = self.hosts.count(id);
        Network {
            name: spec.name.clone(),
            id: id.value(),
            kind: spec.kind,
            mac_limit: spec.mac_limit,
            labels: spec.labels.clone(),
            set: record.set.clone(),
            state,
            reason: degraded.or(waiting).or(first).or_else(|| self.alarm_of_network(id)),
            reasons,
            ports: self.intents.port_count(&spec.name) as u64,
            learnt: count as u64,
            mac_limit_reached: count >= spec.mac_limit.value() as usize,
        }
    }

    /// What an operator should know though all is as wanted.
    fn alarm_of_network(&self, id: NetworkId) -> Option<String> {
        let conflict = self.hosts.conflicts(id).next().map(|(mac, conflict)| {
            let claimant = self.topology.describe(conflict.claimant);
            format!("mac-conflict: port {claimant} also speaks as {mac}, whose owner still talks")
        });
        let full = || {
            let limit = self.intents.by_id(id)?.spec.mac_limit.value() as usize;
            let count = self.hosts.count(id);
            (count >= limit).then(|| {
                format!("mac-limit: {count} MACs are learnt, as many as it may; others are flooded")
            })
        };
        let split = self.reports.get(&id).and_then(|report| report.split).map(|(a, b)| {
            let (a, b) = (self.topology.name_of(a), self.topology.name_of(b));
            format!("split: no link that is up joins switches {a} and {b}, so their members can't reach each other")
        });
        split.or(conflict).or_else(full)
    }

    /// The same for a switch.
    fn alarm_of_switch(&self, id: DatapathId) -> Option<String> {
        let name = |place: Place| self.topology.describe(place);
        let several =
            self.discovery.ambiguous().find(|(at, _)| at.switch == id).map(|(at, from)| {
                let from: Vec<_> = from.into_iter().map(|place| name(place).to_string()).collect();
                format!(
                    "port {} hears several neighbours ({}) and isn't used as a trunk",
                    name(at),
                    from.join(", ")
                )
            });
        let alarm = || {
            let (at, alarm) = self.alarms.iter().find(|(at, _)| at.switch == id)?;
            Some(match at.port {
                PortNo::ANY => alarm.what.clone(),
                _ => format!("port {} {}", name(*at), alarm.what),
            })
        };
        let down = || {
            let at_home = |link: &&LinkStatus| link.a.switch == id || link.b.switch == id;
            let link = self.topology.links().filter(at_home).find(|link| !link.up)?;
            let (here, there) =
                if link.a.switch == id { (link.a, link.b) } else { (link.b, link.a) };
            let why = self.why_down(link).unwrap_or_default();
            Some(format!("the link at port {} to {} is down: {why}", name(here), name(there)))
        };
        let overheard = || {
            let (at, by) = self.discovery.overheard().find(|(at, _)| at.switch == id)?;
            let by: Vec<_> = by.into_iter().map(|place| name(place).to_string()).collect();
            Some(format!("port {} is heard at {}: a hub, or a relay", name(at), by.join(" and ")))
        };
        several.or_else(alarm).or_else(overheard).or_else(down)
    }

    /// All networks.
    pub fn all_networks(&self) -> impl Iterator<Item = &NetworkRecord> {
        self.intents.networks()
    }

    /// The ports of a network.
    pub fn ports_of(&self, name: &NetworkName) -> impl Iterator<Item = (&PortAt, &PortRecord)> {
        self.intents.ports_of(name)
    }

    fn standing(&self, at: &PortAt, id: NetworkId) -> Standing {
        self.sources().standing(at, id)
    }

    /// A port of a network for callers.
    pub fn show_port(&self, at: &PortAt, record: &PortRecord) -> Port {
        let id = self.intents.network(&record.network).map(|network| network.id);
        let standing = id.map(|id| self.standing(at, id));
        let (place, state, reason) = match (id, standing) {
            (Some(id), Some(Standing::Member(place))) => {
                let (state, reason) = self.member_state(id, place);
                (Some(place), state, reason)
            }
            (_, Some(Standing::Missing(reason))) => (None, State::Pending, Some(reason)),
            (_, Some(Standing::Held(place, reason))) => (Some(place), State::Pending, Some(reason)),
            (_, Some(Standing::Conflict(place, other))) => {
                let held = self
                    .intents
                    .port(&other)
                    .map(|port| port.network.to_string())
                    .unwrap_or_default();
                let reason = format!(
                    "it is the same port as {other}, which is in network {held} for longer"
                );
                (Some(place), State::Conflict, Some(reason))
            }
            (None, _) | (_, None) => (None, State::Pending, None),
        };
        let shown = place.map_or_else(|| at.clone(), |place| self.topology.describe(place));
        let spec = &record.spec;
        let reasons = reason
            .iter()
            .map(|reason| SwitchReason { switch: shown.switch.clone(), reason: reason.clone() });
        Port {
            network: record.network.clone(),
            switch: shown.switch.clone(),
            port: shown.port,
            number: place.map(|place| place.port.0),
            mac: spec.mac.clone(),
            ips: spec.ips.clone(),
            enforce: spec.enforce,
            owner: spec.owner.clone(),
            labels: spec.labels.clone(),
            set: record.set.clone(),
            state,
            reasons: reasons.collect(),
            reason,
        }
    }

    fn member_state(&self, id: NetworkId, place: Place) -> (State, Option<String>) {
        let report = self.reports.get(&id);
        if let Some(refusal) = report.and_then(|report| report.refused.get(&place.switch)) {
            return (
                State::Degraded,
                Some(format!("the switch refused a change: {}", refusal.reason)),
            );
        }
        if let Some(reason) = report.and_then(|report| report.behind.get(&place.switch)) {
            return (State::Pending, Some(reason.clone()));
        }
        if let Some(reason) = report.and_then(|report| report.degraded.clone()) {
            return (State::Degraded, Some(reason));
        }
        let held = self.installed.get(id, place.switch);
        if report.is_some_and(|report| report.joining.contains(&place)) {
            (State::Pending, Some("the switches on the way have not confirmed it yet".to_owned()))
        } else if held.is_some_and(|held| held.slice.edges.contains(&place.port)) {
            (State::Installed, None)
        } else {
            (State::Pending, Some("the switch has not confirmed it yet".to_owned()))
        }
    }

    /// All switches, those included that were only refused.
    pub fn switch_ids(&self) -> Vec<DatapathId> {
        let known = self.topology.switches().map(|(id, _)| id);
        known.chain(self.refusals.keys().copied()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A switch for callers.
    pub fn show_switch(&self, id: DatapathId) -> Option<Switch> {
        let Some(switch) = self.topology.switch(id) else { return self.show_refused(id) };
        let live = self.sessions.get(&id);
        let foreign = self.foreign.contains(&id);
        let connection = match (live, foreign) {
            (Some(_), true) => Connection::ForeignState,
            (Some(_), false) => Connection::Connected,
            (None, _) => Connection::Away,
        };
        let why = self.why_not_in_sync(id);
        let in_sync = why.is_none();
        let reason = why.or_else(|| self.alarm_of_switch(id));
        let ports = switch.ports.iter().map(|(number, port)| {
            let place = Place::new(id, number);
            let occupant = self.sources().occupant(place);
            let role = match &occupant {
                _ if number == PortNo::LOCAL && occupant.is_none() => PortRole::Local,
                Some(_) => PortRole::Attached,
                None if self.topology.link_at(place).is_some() => PortRole::Trunk,
                None if self.is_releasing(place) => PortRole::Releasing,
                None if switch.in_pool(port) => PortRole::Pool,
                None => PortRole::Free,
            };
            let unnamed = || model::Name::new(format!("port {number}")).ok();
            Some(SwitchPort {
                number: number.0,
                name: port.name.clone().or_else(unnamed)?,
                up: port.up,
                mac: MacAddr::new(port.mac.0).ok(),
                role,
                ready: switch.has_in_pool(number).then(|| self.is_ready(place)),
                network: occupant.as_ref().map(|(_, port)| port.network.clone()),
                owner: occupant.and_then(|(_, port)| port.spec.owner.clone()),
            })
        });
        let text = &switch.description;
        Some(Switch {
            dpid: model::Dpid(id.0),
            name: switch.name.clone(),
            pool: switch.pool(),
            trunks: switch.trunks(),
            connection,
            connected: live.is_some(),
            in_sync,
            reason,
            since: Some(Timestamp::from(switch.since)),
            address: switch.address.map(|address| address.to_string()),
            description: Some(SwitchDescription {
                manufacturer: text.manufacturer.clone(),
                hardware: text.hardware.clone(),
                software: text.software.clone(),
                serial: text.serial.clone(),
            }),
            ports: ports.flatten().collect(),
        })
    }

    /// A switch of which no more is known than that it was not let in.
    fn show_refused(&self, id: DatapathId) -> Option<Switch> {
        let refused = self.refusals.get(&id)?;
        let spec = self.intents.switch(id).cloned().unwrap_or_default();
        Some(Switch {
            dpid: model::Dpid(id.0),
            name: None,
            pool: spec.pool.unwrap_or_else(Pattern::default_pool),
            trunks: spec.trunks.unwrap_or_else(Pattern::default_trunks),
            connection: Connection::Unsupported,
            connected: false,
            in_sync: false,
            reason: Some(refused.reason.clone()),
            since: Some(Timestamp::from(refused.at)),
            address: Some(refused.peer.to_string()),
            description: None,
            ports: Vec::new(),
        })
    }

    fn why_not_in_sync(&self, id: DatapathId) -> Option<String> {
        if self.foreign.contains(&id) {
            return Some(
                "foreign-state: it carries networks that this controller never had; adopt or reset it".to_owned(),
            );
        }
        let Some(live) = self.sessions.get(&id) else {
            let refused =
                self.refusals.get(&id).map(|refused| format!("; last refused: {}", refused.reason));
            let ended = self.ended.get(&id).map(|reason| format!("; its session ended: {reason}"));
            return Some(format!(
                "it is not connected{}{}",
                ended.unwrap_or_default(),
                refused.unwrap_or_default()
            ));
        };
        if let Some(trouble) = &live.trouble {
            return Some(format!("it refused its own flows: {trouble}"));
        }
        let refused = self.reports.iter().find_map(|(network, report)| {
            let refusal = report.refused.get(&id)?;
            let name = self.intents.name_of(*network).map(ToString::to_string).unwrap_or_default();
            Some(format!("it refused a change of network {name}: {}", refusal.reason))
        });
        let conflict = || {
            let (name, other) = self.topology.name_conflict(id)?;
            Some(format!("name-conflict: the name {name} belongs to {other}"))
        };
        let busy = || {
            (live.in_flight > 0)
                .then(|| format!("{} changes are not confirmed yet", live.in_flight))
        };
        refused.or_else(conflict).or_else(busy).or_else(|| self.why_unsettled(id, live))
    }

    /// What a connected switch has still to be told, though nothing of it is
    /// on its way right now.
    fn why_unsettled(&self, id: DatapathId, live: &Live) -> Option<String> {
        let name = |network: &NetworkId| {
            let name = self.intents.name_of(*network).map(ToString::to_string);
            name.unwrap_or_else(|| format!("number {network}, which is deleted,"))
        };
        let behind =
            self.reports.iter().find_map(|(network, it)| Some((network, it.behind.get(&id)?)));
        if let Some((network, reason)) = behind {
            return Some(format!("network {} isn't as it should be here: {reason}", name(network)));
        }
        let planned = self.jobs.iter().find(|(_, job)| job.concerns(id)).map(|(id, _)| id);
        if let Some(network) = planned.or_else(|| live.blocked.first()) {
            return Some(format!("changes of network {} are still to come", name(network)));
        }
        if self.dirty.order.is_empty() {
            return None;
        }
        let held = self.installed.networks_on(id).into_iter();
        let mut concerned = held.chain(self.networks_wanted_on(id));
        let dirty = concerned.find(|network| self.dirty.members.contains(network))?;
        Some(format!("network {} is being looked at", name(&dirty)))
    }

    /// All links for callers: declared and discovered.
    pub fn show_links(&self) -> Vec<Link> {
        let mut links: Vec<_> = self.topology.links().map(|link| self.show_link(link)).collect();
        for (ends, encap) in self.intents.links() {
            let (a, b) = ends.ends();
            let places = (self.topology.resolve(a), self.topology.resolve(b));
            let known = matches!(places, (Some(a), Some(_)) if self.topology.link_at(a).is_some_and(|link| link.declared));
            if !known {
                links.push(self.show_pending_link(ends, encap));
            }
        }
        links.sort_by(|x, y| (&x.a, &x.b).cmp(&(&y.a, &y.b)));
        links
    }

    /// Why a link doesn't carry frames, if it doesn't.
    pub(super) fn why_down(&self, link: &LinkStatus) -> Option<String> {
        let down = [link.a, link.b].into_iter().find(|place| !self.topology.is_up(*place));
        let several = self.discovery.ambiguous().find(|(at, _)| *at == link.a || *at == link.b);
        match (link.up, down, several) {
            (true, ..) => None,
            (false, Some(place), _) => {
                Some(format!("port {} is down", self.topology.describe(place)))
            }
            (false, None, Some((at, _))) => {
                Some(format!("port {} hears more than one neighbour", self.topology.describe(at)))
            }
            (false, None, None) => Some("no announcement (LLDP) crosses it any more".to_owned()),
        }
    }

    fn show_link(&self, link: &LinkStatus) -> Link {
        Link {
            a: end(&self.topology.describe(link.a)),
            b: end(&self.topology.describe(link.b)),
            source: if link.declared { LinkSource::Declared } else { LinkSource::Discovered },
            encap: encap_of(link.encap),
            up: link.up,
            state: if link.up { State::Installed } else { State::Pending },
            reason: self.why_down(link),
            reasons: Vec::new(),
        }
    }

    /// A link that is declared and can't be there yet.
    fn show_pending_link(&self, ends: &LinkEnds, encap: Encap) -> Link {
        let (a, b) = ends.ends();
        let missing = [a, b].into_iter().find(|end| self.topology.resolve(end).is_none());
        let reason = match missing {
            None => "one of its ports is in a network".to_owned(),
            Some(missing) => format!("port {missing} has not appeared yet"),
        };
        Link {
            a: end(a),
            b: end(b),
            source: LinkSource::Declared,
            encap: encap_of(encap),
            up: false,
            state: State::Pending,
            reasons: vec![SwitchReason {
                switch: missing.unwrap_or(b).switch.clone(),
                reason: reason.clone(),
            }],
            reason: Some(reason),
        }
    }

    /// The link between two ports, for callers.
    pub fn link_between(&self, a: &PortAt, b: &PortAt) -> Option<Link> {
        if let (Some(a), Some(b)) = (self.topology.resolve(a), self.topology.resolve(b))
            && let Some(link) = self.topology.link_at(a)
            && (link.a, link.b) == (a.min(b), a.max(b))
        {
            return Some(self.show_link(link));
        }
        let ends = self.declared_link(&self.intents, a, b)?;
        Some(self.show_pending_link(&ends, self.intents.link(&ends)?))
    }

    /// All hosts for callers, in a fixed order.
    pub fn show_hosts(&self) -> Vec<Host> {
        let mut hosts = Vec::new();
        for record in self.intents.networks() {
            let name = &record.spec.name;
            let declared = self.reports.get(&record.id).map(|report| &report.declared);
            for (mac, entry) in self.hosts.of(record.id) {
                if declared.is_none_or(|declared| !declared.contains_key(&mac)) {
                    hosts.extend(self.show_host(
                        name,
                        mac,
                        entry.place,
                        HostSource::Learnt,
                        entry.since,
                    ));
                }
            }
            for (mac, place) in declared.into_iter().flatten() {
                let since = self
                    .sources()
                    .occupant(*place)
                    .map_or_else(SystemTime::now, |(_, port)| port.since);
                hosts.extend(self.show_host(name, *mac, *place, HostSource::Declared, since));
            }
        }
        hosts
    }

    fn show_host(
        &self,
        network: &NetworkName,
        mac: openflow::MacAddr,
        place: Place,
        source: HostSource,
        since: SystemTime,
    ) -> Option<Host> {
        let at = self.topology.describe(place);
        let ips: Vec<HostIp> = match (source, self.sources().occupant(place)) {
            (HostSource::Declared, Some((_, port))) => port.spec.ips.clone(),
            _ => Vec::new(),
        };
        Some(Host {
            mac: MacAddr::new(mac.0).ok()?,
            ips,
            network: network.clone(),
            switch: at.switch,
            port: at.port,
            source,
            since: Timestamp::from(since),
        })
    }

    /// What a switch holds, should hold, or would have changed.
    pub fn show_flows(&self, id: DatapathId, view: FlowView) -> FlowTables {
        let mut networks = self.installed.networks_on(id);
        networks.extend(self.intents.networks().map(|network| network.id));
        networks.sort();
        networks.dedup();
        let mut tables = FlowTables { view, ..FlowTables::default() };
        for network in networks {
            let held =
                self.installed.get(network, id).map(|held| held.slice.clone()).unwrap_or_default();
            let name = self.intents.name_of(network).cloned();
            let show = |flow: &Flow, change| entry(flow, name.clone(), change);
            let (old, new) = match view {
                FlowView::Installed => (held, None),
                FlowView::Desired => (self.desired_slice(network, id), None),
                FlowView::Diff => (held, Some(self.desired_slice(network, id))),
            };
            let flows = |slice: &Slice| -> Vec<Flow> {
                rules(slice).into_iter().flat_map(|rule| flow::flows(network, rule)).collect()
            };
            let group = |slice: &Slice, change| {
                let buckets = flow::buckets(network, &slice.flood_out);
                let buckets = buckets.iter().map(|bucket| actions_text(&bucket.actions)).collect();
                GroupEntry { id: network.group().0, buckets, network: name.clone(), change }
            };
            match new {
                None => {
                    tables.items.extend(flows(&old).iter().map(|flow| show(flow, None)));
                    tables.groups.extend(old.floods().then(|| group(&old, None)));
                }
                Some(new) => {
                    let (was, will) = (flows(&old), flows(&new));
                    let change = |flow: &&Flow| {
                        if was.iter().any(|old| old.overwrites(flow)) {
                            FlowChange::Modify
                        } else {
                            FlowChange::Add
                        }
                    };
                    let set = will.iter().filter(|flow| !was.contains(flow));
                    tables.items.extend(set.map(|flow| show(flow, Some(change(&flow)))));
                    let gone =
                        was.iter().filter(|old| !will.iter().any(|flow| old.overwrites(flow)));
                    tables.items.extend(gone.map(|flow| show(flow, Some(FlowChange::Remove))));
                    tables.groups.extend(match (old.floods(), new.floods()) {
                        (false, true) => Some(group(&new, Some(FlowChange::Add))),
                        (true, false) => Some(group(&old, Some(FlowChange::Remove))),
                        (true, true) if old.flood_out != new.flood_out => {
                            Some(group(&new, Some(FlowChange::Modify)))
                        }
                        _ => None,
                    });
                }
            }
        }
        if view != FlowView::Diff {
            let base = self.sessions.get(&id).map(|live| live.base.clone()).unwrap_or_default();
            tables
                .items
                .extend(base.iter().map(|rule| entry(&crate::base::flow(*rule), None, None)));
        }
        tables.items.sort_by(|a, b| {
            (a.table, b.priority, &a.r#match).cmp(&(b.table, a.priority, &b.r#match))
        });
        tables
    }

    fn desired_slice(&self, network: NetworkId, switch: DatapathId) -> Slice {
        let Some(view) = self.sources().network(network) else { return Slice::default() };
        let mut slices = compile_all(
            &view,
            &routes(network, &view.switches(), &self.graph, &self.limits(network)),
        );
        slices.remove(&switch).unwrap_or_default()
    }

    /// How many switches hold what they should, for metrics.
    pub fn in_sync(&self) -> usize {
        self.sessions.keys().filter(|id| self.why_not_in_sync(**id).is_none()).count()
    }

    /// How many switches are connected, for metrics.
    pub fn connected(&self) -> usize {
        self.sessions.len()
    }
}

fn end(at: &PortAt) -> End {
    End { switch: at.switch.clone(), port: at.port.clone() }
}

const fn encap_of(encap: model::Encap) -> api::types::Encap {
    match encap {
        model::Encap::Vlan => api::types::Encap::Vlan,
        model::Encap::TunId => api::types::Encap::TunId,
    }
}

fn entry(flow: &Flow, network: Option<NetworkName>, change: Option<FlowChange>) -> FlowEntry {
    let instructions: Vec<_> = flow.instructions.iter().map(ToString::to_string).collect();
    FlowEntry {
        table: flow.table,
        priority: flow.priority,
        cookie: format!("0x{:016x}", flow.cookie),
        r#match: flow.match_.to_string(),
        instructions: if instructions.is_empty() {
            "drop".to_owned()
        } else {
            instructions.join(",")
        },
        idle_timeout: flow.idle_timeout,
        network,
        change,
    }
}

fn actions_text(actions: &[openflow::Action]) -> String {
    let actions: Vec<_> = actions.iter().map(ToString::to_string).collect();
    actions.join(",")
}
