//! The switches that are or were here, their ports, and the links between.
//!
//! Plain state with its rules: who owns a name, which port may be a trunk,
//! which links are up. `graph` gives what paths are computed from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use api::values::Pattern;
use openflow::{DatapathId, MacAddr, PortNo};

use crate::graph::{Graph, Link};
use crate::intents::{LinkEnds, SwitchSpec};
use crate::model::{Dpid, Encap, Name, Place, PortAt, PortRef, SwitchRef, by_id, by_number};

/// A port that a switch reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// What it is called; `None` for a port without a name.
    pub name: Option<Name>,
    /// Its own MAC.
    pub mac: MacAddr,
    /// Whether frames can pass.
    pub up: bool,
}

/// A switch's ports, found by number and by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    by_number: BTreeMap<PortNo, Port>,
    by_name: HashMap<Name, BTreeSet<PortNo>>,
}

impl Ports {
    /// A port by number.
    pub fn get(&self, number: PortNo) -> Option<&Port> {
        self.by_number.get(&number)
    }

    /// Whether there is one of this number.
    pub fn contains(&self, number: PortNo) -> bool {
        self.by_number.contains_key(&number)
    }

    /// The number of the port with this name; of several, the lowest.
    pub fn number_of(&self, name: &Name) -> Option<PortNo> {
        self.by_name.get(name)?.first().copied()
    }

    /// All ports, by number.
    pub fn iter(&self) -> impl Iterator<Item = (PortNo, &Port)> {
        self.by_number.iter().map(|(number, port)| (*number, port))
    }

    fn insert(&mut self, number: PortNo, port: Port) -> Option<Port> {
        let old = self.remove(number);
        if let Some(name) = &port.name {
            self.by_name.entry(name.clone()).or_default().insert(number);
        }
        self.by_number.insert(number, port);
        old
    }

    fn remove(&mut self, number: PortNo) -> Option<Port> {
        let old = self.by_number.remove(&number)?;
        if let Some(name) = &old.name
            && let Some(numbers) = self.by_name.get_mut(name)
        {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_name.remove(name);
            }
        }
        Some(old)
    }
}

impl FromIterator<(PortNo, Port)> for Ports {
    fn from_iter<I: IntoIterator<Item = (PortNo, Port)>>(all: I) -> Self {
        let mut ports = Self::default();
        for (number, port) in all {
            ports.insert(number, port);
        }
        ports
    }
}

/// What a switch says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Who made it.
    pub manufacturer: String,
    /// What it is.
    pub hardware: String,
    /// What runs on it.
    pub software: String,
    /// Which one it is.
    pub serial: String,
}

/// A switch that is or was connected.
#[derive(Clone, Debug)]
pub struct Switch {
    /// The name it goes by, if it has one of its own.
    pub name: Option<Name>,
    /// The name it claims, from its `dp_desc`.
    pub claims: Option<Name>,
    /// What it says of itself.
    pub description: Description,
    /// Where it connects from.
    pub address: Option<SocketAddr>,
    /// Its ports, `LOCAL` included.
    pub ports: Ports,
    /// What an operator says of it.
    pub spec: SwitchSpec,
    /// Whether its session is up.
    pub connected: bool,
    /// Since when `connected` has been as it is.
    pub since: SystemTime,
    /// When its session went, if it did.
    pub away_since: Option<Instant>,
}

impl Switch {
    /// Which ports are its pool.
    pub fn pool(&self) -> Pattern {
        self.spec.pool.clone().unwrap_or_else(Pattern::default_pool)
    }

    /// Which ports may be trunks.
    pub fn trunks(&self) -> Pattern {
        self.spec.trunks.clone().unwrap_or_else(Pattern::default_trunks)
    }

    /// The ports of the pool: those that its pattern means. The switch's own
    /// is never one.
    pub fn pool_ports(&self) -> impl Iterator<Item = (PortNo, &Port)> {
        let pool = self.pool();
        let named = move |port: &Port| {
            pool.matches(port.name.as_ref().map(Name::as_bytes).unwrap_or_default())
        };
        self.ports.iter().filter(move |(number, port)| number.is_physical() && named(port))
    }

    /// Whether there is a port of this number and it is one of them.
    pub fn has_in_pool(&self, number: PortNo) -> bool {
        number.is_physical() && self.ports.get(number).is_some_and(|port| self.in_pool(port))
    }

    /// Whether the port belongs to the pool.
    pub fn in_pool(&self, port: &Port) -> bool {
        self.pool().matches(port.name.as_ref().map(Name::as_bytes).unwrap_or_default())
    }

    /// Whether the port's name lets it be a trunk.
    pub fn may_be_trunk(&self, number: PortNo, port: &Port) -> bool {
        let name = port.name.as_ref().map(Name::as_bytes).unwrap_or_default();
        number.is_physical() && !self.in_pool(port) && self.trunks().matches(name)
    }
}

/// A link and what is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkStatus {
    /// The lesser end.
    pub a: Place,
    /// The other.
    pub b: Place,
    /// How it carries tags.
    pub encap: Encap,
    /// Whether an operator declared it.
    pub declared: bool,
    /// Whether it carries frames.
    pub up: bool,
}

/// All switches and links.
#[derive(Debug, Default)]
pub struct Topology {
    switches: BTreeMap<DatapathId, Switch>,
    names: HashMap<Name, DatapathId>,
    links: BTreeMap<(Place, Place), LinkStatus>,
    at: BTreeMap<Place, (Place, Place)>,
    /// Declared links on which announcements were heard at least once: from
    /// then on their silence counts.
    proven: BTreeSet<(Place, Place)>,
    /// Grows whenever references to a switch's ports, or its pool, may mean
    /// others than before; for each switch its last value.
    versions: HashMap<DatapathId, u64>,
    last_version: u64,
}

impl Topology {
    /// A switch by id.
    pub fn switch(&self, id: DatapathId) -> Option<&Switch> {
        self.switches.get(&id)
    }

    /// All switches.
    pub fn switches(&self) -> impl Iterator<Item = (DatapathId, &Switch)> {
        self.switches.iter().map(|(id, switch)| (*id, switch))
    }

    /// A switch's session is up.
    pub fn connect(&mut self, id: DatapathId, mut switch: Switch) {
        let wish = |switch: &Switch| switch.spec.name.clone().or_else(|| switch.claims.clone());
        let old = self.switches.get(&id).map(|old| (wish(old), old.name.clone()));
        // One that comes back to the name it has takes it from nobody.
        let (wished, keeps) = (wish(&switch), old.unwrap_or_default());
        let settled = wished == keeps.0 && wished == keeps.1;
        if settled {
            switch.name = keeps.1;
        }
        self.switches.insert(id, switch);
        self.renew(id);
        if !settled {
            self.settle_names();
        }
    }

    /// Switches and links that were known before this process began. The links
    /// are down until something is heard on them; of those whose flag is set,
    /// which are declared, the silence counts.
    pub fn recall(
        &mut self,
        switches: impl IntoIterator<Item = (DatapathId, Switch)>,
        links: impl IntoIterator<Item = ((Place, Place), bool)>,
    ) {
        self.switches.extend(switches);
        self.settle_names();
        for ((a, b), declared) in links {
            if declared {
                self.proven.insert((a, b));
            } else {
                let (encap, up) = (Encap::Vlan, false);
                self.links.insert((a, b), LinkStatus { a, b, encap, declared, up });
                self.at.extend([(a, (a, b)), (b, (a, b))]);
            }
        }
    }

    /// Whether a declared link was heard once, so that its silence counts.
    pub fn is_proven(&self, ends: (Place, Place)) -> bool {
        self.proven.contains(&ends)
    }

    /// A switch's session is gone. What is known of it stays.
    pub fn disconnect(&mut self, id: DatapathId, now: Instant) {
        if let Some(switch) = self.switches.get_mut(&id) {
            switch.connected = false;
            switch.since = SystemTime::now();
            switch.away_since = Some(now);
        }
    }

    /// An operator says something of a switch.
    pub fn specify(&mut self, id: DatapathId, spec: SwitchSpec) {
        if let Some(switch) = self.switches.get_mut(&id) {
            switch.spec = spec;
            self.renew(id);
        }
        self.settle_names();
    }

    /// The switch is gone for good.
    pub fn forget(&mut self, id: DatapathId) {
        self.switches.remove(&id);
        self.versions.remove(&id);
        self.settle_names();
    }

    fn renew(&mut self, id: DatapathId) {
        self.last_version += 1;
        self.versions.insert(id, self.last_version);
    }

    /// What is derived from a switch's ports, their names, its own name and
    /// its pool holds for as long as this stays the same.
    pub fn version(&self, id: DatapathId) -> u64 {
        self.versions.get(&id).copied().unwrap_or_default()
    }

    /// A port is there, or is different.
    pub fn put_port(&mut self, id: DatapathId, number: PortNo, port: Port) -> Option<Port> {
        let name = port.name.clone();
        let old = self.switches.get_mut(&id)?.ports.insert(number, port);
        if old.as_ref().is_none_or(|old| old.name != name) {
            self.renew(id);
        }
        old
    }

    /// A port is gone.
    pub fn remove_port(&mut self, id: DatapathId, number: PortNo) -> Option<Port> {
        let old = self.switches.get_mut(&id)?.ports.remove(number)?;
        self.renew(id);
        Some(old)
    }

    /// Gives each name to one switch: what an operator said goes before what
    /// switches claim, who has it and is connected keeps it, then the lowest id.
    fn settle_names(&mut self) {
        let held = std::mem::take(&mut self.names);
        let mut wishes: Vec<_> = self
            .switches
            .iter()
            .filter_map(|(id, switch)| {
                let given = switch.spec.name.as_ref();
                let name = given.or(switch.claims.as_ref())?.clone();
                let holds = held.get(&name) == Some(id) && switch.connected;
                Some(((given.is_none(), !holds, !switch.connected, *id), name))
            })
            .collect();
        wishes.sort();
        for ((_, _, _, id), name) in wishes {
            self.names.entry(name).or_insert(id);
        }
        let mut renamed = Vec::new();
        for (id, switch) in &mut self.switches {
            let wish = switch.spec.name.as_ref().or(switch.claims.as_ref());
            let name = wish.filter(|name| self.names.get(*name) == Some(id)).cloned();
            if switch.name != name {
                switch.name = name;
                renamed.push(*id);
            }
        }
        renamed.into_iter().for_each(|id| self.renew(id));
    }

    /// The other switch that has the name this one claims.
    pub fn name_conflict(&self, id: DatapathId) -> Option<(&Name, DatapathId)> {
        let switch = self.switches.get(&id)?;
        let wish = switch.spec.name.as_ref().or(switch.claims.as_ref())?;
        let holder = *self.names.get(wish)?;
        (holder != id).then_some((wish, holder))
    }

    /// The switch a reference means, if it is known.
    pub fn find(&self, switch: &SwitchRef) -> Option<DatapathId> {
        match switch {
            SwitchRef::Dpid(Dpid(id)) => {
                let id = DatapathId(*id);
                self.switches.contains_key(&id).then_some(id)
            }
            SwitchRef::Name(name) => self.names.get(name).copied(),
        }
    }

    /// How a port is known beyond its number: by its name if it has one and no
    /// other port has it too.
    pub fn lasting(&self, place: Place) -> PortRef {
        let ports = self.switches.get(&place.switch).map(|switch| &switch.ports);
        let name = ports.and_then(|ports| {
            let name = ports.get(place.port)?.name.as_ref()?;
            (ports.number_of(name) == Some(place.port)).then(|| name.clone())
        });
        name.map_or(by_number(place.port), PortRef::Name)
    }

    /// The place a reference means, if switch and port are known.
    pub fn resolve(&self, at: &PortAt) -> Option<Place> {
        let id = self.find(&at.switch)?;
        let switch = self.switches.get(&id)?;
        let number = match &at.port {
            PortRef::Number(number) => {
                Some(PortNo(*number)).filter(|number| switch.ports.contains(*number))
            }
            PortRef::Name(name) => switch.ports.number_of(name),
        };
        Some(Place::new(id, number?))
    }

    /// Every way a caller may have written a place.
    pub fn references(&self, place: Place) -> Vec<PortAt> {
        let Some((switches, ports)) = self.references_of(place) else { return Vec::new() };
        let all = switches.iter().flat_map(|switch| {
            ports.iter().map(|port| PortAt { switch: switch.clone(), port: port.clone() })
        });
        all.collect()
    }

    /// Every way a caller may have written a place's switch, and its port there.
    pub fn references_of(&self, place: Place) -> Option<(Vec<SwitchRef>, Vec<PortRef>)> {
        let switch = self.switches.get(&place.switch)?;
        let mut switches = vec![by_id(place.switch)];
        switches.extend(switch.name.clone().map(SwitchRef::Name));
        let mut ports = vec![by_number(place.port)];
        let name = switch.ports.get(place.port).and_then(|port| port.name.as_ref());
        let name = name.filter(|name| switch.ports.number_of(name) == Some(place.port));
        ports.extend(name.cloned().map(PortRef::Name));
        Some((switches, ports))
    }

    /// How people call a place: by names where there are any.
    pub fn describe(&self, place: Place) -> PortAt {
        let switch = self.switches.get(&place.switch);
        let name = switch.and_then(|switch| switch.name.clone());
        let port = switch.and_then(|switch| switch.ports.get(place.port)?.name.clone());
        PortAt {
            switch: name.map_or(by_id(place.switch), SwitchRef::Name),
            port: port.map_or(by_number(place.port), PortRef::Name),
        }
    }

    /// How people call a switch.
    pub fn name_of(&self, id: DatapathId) -> SwitchRef {
        let name = self.switches.get(&id).and_then(|switch| switch.name.clone());
        name.map_or(by_id(id), SwitchRef::Name)
    }

    /// Whether a port is there and up.
    pub fn is_up(&self, place: Place) -> bool {
        let switch = self.switches.get(&place.switch);
        switch.and_then(|switch| switch.ports.get(place.port)).is_some_and(|port| port.up)
    }

    /// The link at a place.
    pub fn link_at(&self, place: Place) -> Option<&LinkStatus> {
        self.links.get(self.at.get(&place)?)
    }

    /// A switch's ports that are ends of links, up or not.
    pub fn link_ends(&self, switch: DatapathId) -> impl Iterator<Item = Place> {
        let ends = Place::new(switch, PortNo(0))..=Place::new(switch, PortNo(u32::MAX));
        self.at.range(ends).map(|(place, _)| *place)
    }

    /// All links, up or not.
    pub fn links(&self) -> impl Iterator<Item = &LinkStatus> {
        self.links.values()
    }

    /// Works out the links anew from what is declared and what is heard.
    /// A declared link goes before a discovered one at the same port, and a
    /// port that is a network's (`taken`) is no end of a link. Returns whether
    /// anything changed.
    pub fn settle_links<'a>(
        &mut self,
        declared: impl Iterator<Item = (&'a LinkEnds, Encap)>,
        heard: &BTreeSet<(Place, Place)>,
        taken: impl Fn(Place) -> bool,
    ) -> bool {
        let mut links = BTreeMap::new();
        let mut at = BTreeMap::new();
        for (ends, encap) in declared {
            let (one, other) = ends.ends();
            let (Some(one), Some(other)) = (self.resolve(one), self.resolve(other)) else {
                continue;
            };
            let pair = (one.min(other), one.max(other));
            let used = |place: &Place| at.contains_key(place) || taken(*place);
            if one.switch == other.switch || used(&one) || used(&other) {
                continue;
            }
            if heard.contains(&pair) {
                self.proven.insert(pair);
            }
            let silent = self.proven.contains(&pair) && !heard.contains(&pair);
            let up = self.is_up(one) && self.is_up(other) && !silent;
            links.insert(pair, LinkStatus { a: pair.0, b: pair.1, encap, declared: true, up });
            at.extend([(one, pair), (other, pair)]);
        }
        let discovered = heard.iter().copied().filter(|(a, b)| a.switch != b.switch);
        // A discovered link that is silent is remembered as down while both
        // ports exist, so that what may still cross it is reckoned with.
        let remembered =
            self.links.values().filter(|link| !link.declared).map(|link| (link.a, link.b));
        let remembered: Vec<_> = remembered.collect();
        for pair in discovered.chain(remembered) {
            let (a, b) = pair;
            let there = |place: Place| {
                self.switches
                    .get(&place.switch)
                    .is_some_and(|switch| switch.ports.contains(place.port))
            };
            if [a, b].iter().any(|place| at.contains_key(place) || taken(*place) || !there(*place))
            {
                continue;
            }
            let up = heard.contains(&pair) && self.is_up(a) && self.is_up(b);
            links.insert(pair, LinkStatus { a, b, encap: Encap::Vlan, declared: false, up });
            at.extend([(a, pair), (b, pair)]);
        }
        self.proven.retain(|pair| links.get(pair).is_some_and(|link| link.declared));
        let changed = links != self.links;
        (self.links, self.at) = (links, at);
        changed
    }

    /// What paths and trees are computed from: all switches, and all links, up or not.
    pub fn graph(&self) -> Graph {
        let links = |up: bool| {
            let such = self.links.values().filter(move |link| link.up == up);
            such.map(|link| Link::new(link.a, link.b, link.encap))
        };
        Graph::new(self.switches.keys().copied(), links(true)).with_dormant(links(false))
    }
}

impl crate::plan::Peers for Topology {
    fn peer(&self, place: Place) -> Option<Place> {
        let link = self.link_at(place)?;
        Some(if link.a == place { link.b } else { link.a })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(claims: &str, ports: &[(u32, &str)]) -> Switch {
        let port = |name: &str| Port { name: Name::new(name).ok(), mac: MacAddr([2; 6]), up: true };
        Switch {
            name: None,
            claims: Name::new(claims).ok(),
            description: Description::default(),
            address: None,
            ports: ports.iter().map(|(n, name)| (PortNo(*n), port(name))).collect(),
            spec: SwitchSpec::default(),
            connected: true,
            since: SystemTime::UNIX_EPOCH,
            away_since: None,
        }
    }

    fn place(switch: u64, port: u32) -> Place {
        Place::new(DatapathId(switch), PortNo(port))
    }

    #[test]
    fn a_name_belongs_to_its_first_switch_while_that_is_connected() {
        let mut topology = Topology::default();
        let name = SwitchRef::Name(Name::new("worker").unwrap());
        topology.connect(DatapathId(2), switch("worker", &[]));
        topology.connect(DatapathId(1), switch("worker", &[]));
        assert_eq!(topology.find(&name), Some(DatapathId(2)));
        assert_eq!(topology.name_conflict(DatapathId(1)).map(|(_, id)| id), Some(DatapathId(2)));
        topology.disconnect(DatapathId(2), Instant::now());
        topology.connect(DatapathId(1), switch("worker", &[]));
        assert_eq!(topology.find(&name), Some(DatapathId(1)));
    }

    #[test]
    fn a_port_is_found_by_every_reference_to_it() {
        let mut topology = Topology::default();
        topology.connect(DatapathId(1), switch("worker", &[(3, "eth0")]));
        let references = topology.references(place(1, 3));
        assert_eq!(references.len(), 4);
        assert!(references.iter().all(|at| topology.resolve(at) == Some(place(1, 3))));
        assert_eq!(topology.describe(place(1, 3)).to_string(), "worker/eth0");
    }

    #[test]
    fn the_version_changes_exactly_with_what_ports_are_called() {
        let port = |name: &str, up| Port { name: Name::new(name).ok(), mac: MacAddr([2; 6]), up };
        let mut topology = Topology::default();
        let (one, two) = (DatapathId(1), DatapathId(2));
        topology.connect(one, switch("a", &[(1, "eth1")]));
        topology.connect(two, switch("b", &[]));
        let mut seen = (topology.version(one), topology.version(two));
        let mut look = |topology: &Topology| {
            let now = (topology.version(one), topology.version(two));
            let changed = (now.0 != seen.0, now.1 != seen.1);
            seen = now;
            changed
        };
        topology.put_port(one, PortNo(1), port("eth1", false));
        assert_eq!(look(&topology), (false, false));
        topology.put_port(one, PortNo(1), port("eth2", false));
        assert_eq!(look(&topology), (true, false));
        topology.remove_port(one, PortNo(1));
        assert_eq!(look(&topology), (true, false));
        topology.disconnect(one, Instant::now());
        assert_eq!(look(&topology), (false, false));
        topology.specify(one, SwitchSpec { name: Name::new("b").ok(), ..SwitchSpec::default() });
        assert_eq!(look(&topology), (true, true), "the second loses its name");
        topology.forget(one);
        assert_eq!(look(&topology), (true, true));
    }

    #[test]
    fn a_declared_link_goes_before_a_discovered_one_and_its_silence_counts_once_heard() {
        let mut topology = Topology::default();
        topology.connect(DatapathId(1), switch("", &[(1, "a"), (2, "b")]));
        topology.connect(DatapathId(2), switch("", &[(1, "a"), (2, "b")]));
        let at = |s, p| PortAt { switch: by_id(DatapathId(s)), port: PortRef::Number(p) };
        let ends = LinkEnds::new(at(2, 1), at(1, 1));
        let declared = || std::iter::once((&ends, Encap::TunId));
        let heard = BTreeSet::from([(place(1, 1), place(2, 2))]);
        assert!(topology.settle_links(declared(), &heard, |_| false));
        let link = topology.link_at(place(2, 1)).unwrap();
        assert!(link.up && link.declared && link.encap == Encap::TunId);
        assert_eq!(topology.links().count(), 1);

        let both = BTreeSet::from([(place(1, 1), place(2, 1))]);
        assert!(!topology.settle_links(declared(), &both, |_| false));
        assert!(topology.settle_links(declared(), &BTreeSet::new(), |_| false));
        assert!(!topology.link_at(place(1, 1)).unwrap().up);
    }
}
