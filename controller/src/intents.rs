//! Desired state: networks, the ports in them, declared links, what operators
//! say of switches, and what is remembered of pools.
//!
//! Plain data with its invariants; nothing here knows which switches live.
//! Changes are values ([`Record`]), which the store keeps and replays: the
//! fields here are what its file holds, so one that is added needs
//! `#[serde(default)]`, and one that goes or means something else a migration
//! (see `store::format`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use api::types::{NetworkSpec, PortSpec};
use api::values::{AttachmentId, NetworkName, Pattern, SetName};
use openflow::DatapathId;
use serde::{Deserialize, Serialize};

use crate::attachments::{Attachments, id_of};
use crate::model::{Encap, Name, NetworkId, PortAt, PortRef, SwitchRef};
use crate::pools::{PoolRecord, Pools};
use crate::world::Fact;

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRecord {
    /// Its number; tags, groups and cookies follow from it.
    pub id: NetworkId,
    /// What the caller said.
    pub spec: NetworkSpec,
    /// The `set` of the document it was applied by.
    pub set: Option<SetName>,
}

/// A port in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortRecord {
    /// The network's name.
    pub network: NetworkName,
    /// What the caller said.
    pub spec: PortSpec,
    /// The `set` of the document it was applied by.
    pub set: Option<SetName>,
    /// Grows with each attach: of two references to one port the lesser holds.
    pub age: u64,
    /// When it was attached.
    pub since: SystemTime,
}

/// The ends of a declared link, the lesser first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkEnds(PortAt, PortAt);

impl LinkEnds {
    /// The ends, given in either order.
    pub fn new(one: PortAt, other: PortAt) -> Self {
        if one <= other { Self(one, other) } else { Self(other, one) }
    }

    /// Both ends.
    pub const fn ends(&self) -> (&PortAt, &PortAt) {
        (&self.0, &self.1)
    }
}

/// What an operator says of a switch, in place of what it says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchSpec {
    /// Its name.
    pub name: Option<Name>,
    /// Which ports are its pool; default `vhost*`.
    pub pool: Option<Pattern>,
    /// Which ports may be trunks; default `*`.
    pub trunks: Option<Pattern>,
}

/// One change of what the store keeps: of desired state, or of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A network is there, like this.
    Network(NetworkRecord),
    /// A network is gone.
    NoNetwork(NetworkName),
    /// A port is in a network, like this.
    Port(PortAt, PortRecord),
    /// A port is in no network.
    NoPort(PortAt),
    /// A link is declared.
    Link(LinkEnds, Encap),
    /// A link isn't declared any more.
    NoLink(LinkEnds),
    /// What is said of a switch.
    Switch(DatapathId, SwitchSpec),
    /// Nothing is said of a switch.
    NoSwitch(DatapathId),
    /// Nothing that is desired, but worth knowing.
    World(Fact),
    /// What is remembered of a port for its pool.
    PoolPort(DatapathId, PortRef, PoolRecord),
    /// Nothing is remembered of a port.
    NoPoolPort(DatapathId, PortRef),
}

/// A port, and where it is.
type Attached = (Arc<PortAt>, Arc<PortRecord>);

/// All of desired state.
///
/// There are two: one of what is stored, one of what was accepted. They share
/// what is in both.
#[derive(Clone, Debug, Default)]
pub struct Intents {
    networks: BTreeMap<NetworkName, Arc<NetworkRecord>>,
    names: BTreeMap<NetworkId, NetworkName>,
    ports: BTreeMap<SwitchRef, BTreeMap<PortRef, Attached>>,
    ports_of: BTreeMap<NetworkName, BTreeMap<Arc<PortAt>, Arc<PortRecord>>>,
    links: BTreeMap<LinkEnds, Encap>,
    links_at: BTreeMap<PortAt, Vec<LinkEnds>>,
    switches: BTreeMap<DatapathId, SwitchSpec>,
    attachments: Attachments,
    pools: Pools,
    next_age: u64,
}

impl Intents {
    /// Makes a change. Changes come checked: a port's network exists.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Network(network) => self.put_network(Arc::new(network)),
            Record::NoNetwork(name) => {
                if let Some(network) = self.networks.remove(&name) {
                    self.names.remove(&network.id);
                }
            }
            Record::Port(at, port) => self.put_port(Arc::new(at), Arc::new(port)),
            Record::NoPort(at) => self.drop_port(&at),
            Record::Link(ends, encap) => self.put_link(ends, encap),
            Record::NoLink(ends) => self.drop_link(&ends),
            Record::Switch(id, spec) => {
                self.switches.insert(id, spec);
            }
            Record::NoSwitch(id) => {
                self.switches.remove(&id);
            }
            Record::World(_) => {}
            Record::PoolPort(id, port, record) => self.pools.put(id, port, record),
            Record::NoPoolPort(id, port) => self.pools.remove(id, &port),
        }
    }

    /// Makes a change that another one has made, and shares what it holds.
    pub fn follow(&mut self, record: &Record, other: &Self) {
        match record {
            Record::Port(at, port) => match other.at(at) {
                Some((at, held)) if **held == *port => {
                    self.put_port(Arc::clone(at), Arc::clone(held));
                }
                _ => self.apply(record.clone()),
            },
            other => self.apply(other.clone()),
        }
    }

    /// Makes what a record is about as it is in another one: takes it back.
    pub fn revert(&mut self, record: &Record, other: &Self) {
        match record {
            Record::Network(NetworkRecord { spec: NetworkSpec { name, .. }, .. })
            | Record::NoNetwork(name) => {
                self.apply(Record::NoNetwork(name.clone()));
                if let Some(network) = other.networks.get(name) {
                    self.put_network(Arc::clone(network));
                }
            }
            Record::Port(at, _) | Record::NoPort(at) => {
                self.drop_port(at);
                if let Some((at, port)) = other.at(at) {
                    self.put_port(Arc::clone(at), Arc::clone(port));
                }
            }
            Record::Link(ends, _) | Record::NoLink(ends) => self.apply(match other.link(ends) {
                Some(encap) => Record::Link(ends.clone(), encap),
                None => Record::NoLink(ends.clone()),
            }),
            Record::Switch(id, _) | Record::NoSwitch(id) => self.apply(match other.switch(*id) {
                Some(spec) => Record::Switch(*id, spec.clone()),
                None => Record::NoSwitch(*id),
            }),
            Record::World(_) => {}
            Record::PoolPort(id, port, _) | Record::NoPoolPort(id, port) => {
                self.apply(match other.pools.get(*id, port) {
                    Some(record) => Record::PoolPort(*id, port.clone(), record.clone()),
                    None => Record::NoPoolPort(*id, port.clone()),
                });
            }
        }
    }

    fn put_network(&mut self, network: Arc<NetworkRecord>) {
        let name = network.spec.name.clone();
        self.names.insert(network.id, name.clone());
        self.networks.insert(name, network);
    }

    fn put_port(&mut self, at: Arc<PortAt>, port: Arc<PortRecord>) {
        self.drop_port(&at);
        self.next_age = self.next_age.max(port.age + 1);
        let of_network = self.ports_of.entry(port.network.clone()).or_default();
        of_network.insert(Arc::clone(&at), Arc::clone(&port));
        self.attachments.insert(&at, &port);
        let on_switch = self.ports.entry(at.switch.clone()).or_default();
        on_switch.insert(at.port.clone(), (at, port));
    }

    fn drop_port(&mut self, at: &PortAt) {
        let Some(on_switch) = self.ports.get_mut(&at.switch) else { return };
        let Some((at, port)) = on_switch.remove(&at.port) else { return };
        if on_switch.is_empty() {
            self.ports.remove(&at.switch);
        }
        self.attachments.remove(&at, &port);
        if let Some(ports) = self.ports_of.get_mut(&port.network) {
            ports.remove(&at);
            if ports.is_empty() {
                self.ports_of.remove(&port.network);
            }
        }
    }

    fn put_link(&mut self, ends: LinkEnds, encap: Encap) {
        if self.links.insert(ends.clone(), encap).is_none() {
            for at in [&ends.0, &ends.1] {
                self.links_at.entry(at.clone()).or_default().push(ends.clone());
            }
        }
    }

    fn drop_link(&mut self, ends: &LinkEnds) {
        if self.links.remove(ends).is_none() {
            return;
        }
        for at in [&ends.0, &ends.1] {
            if let Some(links) = self.links_at.get_mut(at) {
                links.retain(|link| link != ends);
                if links.is_empty() {
                    self.links_at.remove(at);
                }
            }
        }
    }

    /// All of it, as changes of nothing.
    pub fn records(&self) -> Vec<Record> {
        let networks = self.networks().cloned().map(Record::Network);
        let ports = self.ports().map(|(at, port)| Record::Port(at.clone(), port.clone()));
        let links = self.links().map(|(ends, encap)| Record::Link(ends.clone(), encap));
        let switches = self.switches().map(|(id, spec)| Record::Switch(id, spec.clone()));
        let pools = self
            .pools
            .all()
            .map(|(id, port, record)| Record::PoolPort(id, port.clone(), record.clone()));
        networks.chain(ports).chain(links).chain(switches).chain(pools).collect()
    }

    /// The age of the next port that is attached.
    pub const fn next_age(&self) -> u64 {
        self.next_age
    }

    /// A network by name.
    pub fn network(&self, name: &NetworkName) -> Option<&NetworkRecord> {
        self.networks.get(name).map(|network| &**network)
    }

    /// The name of the network with this id.
    pub fn name_of(&self, id: NetworkId) -> Option<&NetworkName> {
        self.names.get(&id)
    }

    /// The network with this id.
    pub fn by_id(&self, id: NetworkId) -> Option<&NetworkRecord> {
        self.network(self.names.get(&id)?)
    }

    /// All networks, by name.
    pub fn networks(&self) -> impl Iterator<Item = &NetworkRecord> {
        self.networks.values().map(|network| &**network)
    }

    /// Whether a network id is taken by a network that should exist.
    pub fn has_id(&self, id: NetworkId) -> bool {
        self.names.contains_key(&id)
    }

    /// A port by its reference.
    pub fn port(&self, at: &PortAt) -> Option<&PortRecord> {
        self.at(at).map(|(_, port)| &**port)
    }

    fn at(&self, at: &PortAt) -> Option<&Attached> {
        self.ports.get(&at.switch)?.get(&at.port)
    }

    /// The oldest of the ports that are given by any of these references to
    /// their switch and any of these to the port there.
    pub fn oldest(
        &self,
        switches: &[SwitchRef],
        ports: &[PortRef],
    ) -> Option<(&PortAt, &PortRecord)> {
        let on_switch = switches.iter().filter_map(|switch| self.ports.get(switch));
        let found = on_switch.flat_map(|all| ports.iter().filter_map(|port| all.get(port)));
        found.min_by_key(|(_, port)| port.age).map(|(at, port)| (&**at, &**port))
    }

    /// The ports of a network.
    pub fn ports_of(&self, network: &NetworkName) -> impl Iterator<Item = (&PortAt, &PortRecord)> {
        let ports = self.ports_of.get(network).into_iter().flatten();
        ports.map(|(at, port)| (&**at, &**port))
    }

    /// How many ports a network has.
    pub fn port_count(&self, network: &NetworkName) -> usize {
        self.ports_of.get(network).map_or(0, BTreeMap::len)
    }

    /// All ports.
    pub fn ports(&self) -> impl Iterator<Item = (&PortAt, &PortRecord)> {
        self.ports.values().flat_map(BTreeMap::values).map(|(at, port)| (&**at, &**port))
    }

    /// All ports given by this reference to their switch.
    pub fn ports_on(&self, switch: &SwitchRef) -> impl Iterator<Item = (&PortAt, &PortRecord)> {
        let ports = self.ports.get(switch).into_iter().flat_map(BTreeMap::values);
        ports.map(|(at, port)| (&**at, &**port))
    }

    /// Ports that have an owner.
    pub const fn attachments(&self) -> &Attachments {
        &self.attachments
    }

    /// The port that an attachment is.
    pub fn attachment(&self, id: &AttachmentId) -> Option<(&PortAt, &PortRecord)> {
        let mut ports = self.attachments.with_age(id).filter_map(|at| Some((at, self.port(at)?)));
        ports.find(|(_, port)| id_of(port).as_ref() == Some(id))
    }

    /// What is remembered of ports for their pools.
    pub const fn pools(&self) -> &Pools {
        &self.pools
    }

    /// Declared links.
    pub fn links(&self) -> impl Iterator<Item = (&LinkEnds, Encap)> {
        self.links.iter().map(|(ends, encap)| (ends, *encap))
    }

    /// Links that are declared to end at a port, by this reference to it.
    pub fn links_at(&self, at: &PortAt) -> impl Iterator<Item = &LinkEnds> {
        self.links_at.get(at).into_iter().flatten()
    }

    /// How a link is declared, if it is.
    pub fn link(&self, ends: &LinkEnds) -> Option<Encap> {
        self.links.get(ends).copied()
    }

    /// What is said of a switch.
    pub fn switch(&self, id: DatapathId) -> Option<&SwitchSpec> {
        self.switches.get(&id)
    }

    /// All that is said of switches.
    pub fn switches(&self) -> impl Iterator<Item = (DatapathId, &SwitchSpec)> {
        self.switches.iter().map(|(id, spec)| (*id, spec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pools::Releasing;

    fn record(n: u64) -> Record {
        let blue: NetworkName = "blue".parse().unwrap();
        let network = |name: &NetworkName, limit: u64| {
            let spec = serde_json::json!({ "name": name, "mac_limit": limit });
            let spec = serde_json::from_value(spec).unwrap();
            Record::Network(NetworkRecord { id: NetworkId::new(1).unwrap(), spec, set: None })
        };
        let port = |number: u64| PortAt {
            switch: "s1".parse().unwrap(),
            port: PortRef::number(number).unwrap(),
        };
        let ends = LinkEnds::new(port(1), port(2));
        match n % 13 {
            0 => network(&blue, n % 1000),
            1 => Record::NoNetwork(blue),
            2..=4 => {
                let since = SystemTime::UNIX_EPOCH;
                let owner = format!("o{}", n % 5).parse().ok().filter(|_| n.is_multiple_of(2));
                let (spec, age) = (PortSpec { owner, ..PortSpec::default() }, n);
                Record::Port(
                    port(n % 3 + 1),
                    PortRecord { network: blue, spec, set: None, age, since },
                )
            }
            5 => Record::NoPort(port(n % 3 + 1)),
            6 => Record::Link(ends, if n % 20 == 6 { Encap::Vlan } else { Encap::TunId }),
            7 => Record::NoLink(ends),
            8 => Record::Switch(
                DatapathId(n % 3),
                SwitchSpec { name: Name::new(format!("s{n}")).ok(), ..SwitchSpec::default() },
            ),
            9 => Record::NoSwitch(DatapathId(n % 3)),
            10..=11 => {
                let releasing = Releasing {
                    network: NetworkId::new(1).unwrap(),
                    attachment: format!("a-{}", n % 3).parse().ok().filter(|_| n.is_multiple_of(2)),
                };
                let releasing = Some(releasing).filter(|_| !n.is_multiple_of(3));
                let record = PoolRecord { ready: Some(n.is_multiple_of(5)), used: n, releasing };
                Record::PoolPort(DatapathId(n % 3), port(n % 3 + 1).port, record)
            }
            _ => Record::NoPoolPort(DatapathId(n % 3), port(n % 3 + 1).port),
        }
    }

    fn shown(intents: &Intents) -> String {
        let Intents { networks, names, ports, ports_of, links, links_at, switches, .. } = intents;
        let desired = format!(
            "{networks:?} {names:?} {ports:?} {ports_of:?} {links:?} {links_at:?} {switches:?}"
        );
        format!("{desired} {:?} {}", intents.attachments, intents.pools.without_next_use())
    }

    #[test]
    fn what_is_taken_back_was_never_there() {
        let mut stored = Intents::default();
        let mut accepted = Intents::default();
        let mut seed = 7_u64;
        for _ in 0..2000 {
            let mut next = || {
                seed = crate::model::spread(seed, 1);
                seed >> 3
            };
            let refused: Vec<_> = (0..next() % 6).map(|_| record(next())).collect();
            refused.iter().for_each(|record| accepted.apply(record.clone()));
            refused.iter().for_each(|record| accepted.revert(record, &stored));
            assert_eq!(shown(&accepted), shown(&stored), "{refused:?}");

            let kept = record(next());
            accepted.apply(kept.clone());
            stored.follow(&kept, &accepted);
            assert_eq!(shown(&accepted), shown(&stored), "{kept:?}");
        }
    }
}
