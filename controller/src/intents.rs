//! Desired state: networks, the ports in them, declared links, and what
//! operators say of switches.
//!
//! Plain data with its invariants; nothing here knows which switches live.
//! Changes are values ([`Record`]), which the store keeps and replays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use api::types::{NetworkSpec, PortSpec};
use api::values::{NetworkName, Pattern, SetName};
use openflow::DatapathId;

use crate::model::{Encap, Name, NetworkId, PortAt, PortRef, SwitchRef};

/// A network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRecord {
    /// Its number; tags, groups and cookies follow from it.
    pub id: NetworkId,
    /// What the caller said.
    pub spec: NetworkSpec,
    /// The `set` of the document it was applied by.
    pub set: Option<SetName>,
}

/// A port in a network.
#[derive(Clone, Debug, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwitchSpec {
    /// Its name.
    pub name: Option<Name>,
    /// Which ports are its pool; default `vhost*`.
    pub pool: Option<Pattern>,
    /// Which ports may be trunks; default `*`.
    pub trunks: Option<Pattern>,
}

/// One change of desired state, as the store keeps it.
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
}

/// All of desired state.
#[derive(Clone, Debug, Default)]
pub struct Intents {
    networks: BTreeMap<NetworkName, NetworkRecord>,
    names: BTreeMap<NetworkId, NetworkName>,
    ports: BTreeMap<PortAt, PortRecord>,
    ports_of: BTreeMap<NetworkName, BTreeSet<PortAt>>,
    links: BTreeMap<LinkEnds, Encap>,
    switches: BTreeMap<DatapathId, SwitchSpec>,
    next_age: u64,
}

impl Intents {
    /// Makes a change. Changes come checked: a port's network exists.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Network(network) => {
                let name = network.spec.name.clone();
                self.names.insert(network.id, name.clone());
                self.networks.insert(name, network);
            }
            Record::NoNetwork(name) => {
                if let Some(network) = self.networks.remove(&name) {
                    self.names.remove(&network.id);
                }
            }
            Record::Port(at, port) => {
                self.drop_port(&at);
                self.next_age = self.next_age.max(port.age + 1);
                self.ports_of.entry(port.network.clone()).or_default().insert(at.clone());
                self.ports.insert(at, port);
            }
            Record::NoPort(at) => self.drop_port(&at),
            Record::Link(ends, encap) => {
                self.links.insert(ends, encap);
            }
            Record::NoLink(ends) => {
                self.links.remove(&ends);
            }
            Record::Switch(id, spec) => {
                self.switches.insert(id, spec);
            }
            Record::NoSwitch(id) => {
                self.switches.remove(&id);
            }
        }
    }

    fn drop_port(&mut self, at: &PortAt) {
        let Some(port) = self.ports.remove(at) else { return };
        if let Some(ports) = self.ports_of.get_mut(&port.network) {
            ports.remove(at);
            if ports.is_empty() {
                self.ports_of.remove(&port.network);
            }
        }
    }

    /// The age of the next port that is attached.
    pub const fn next_age(&self) -> u64 {
        self.next_age
    }

    /// A network by name.
    pub fn network(&self, name: &NetworkName) -> Option<&NetworkRecord> {
        self.networks.get(name)
    }

    /// The name of the network with this id.
    pub fn name_of(&self, id: NetworkId) -> Option<&NetworkName> {
        self.names.get(&id)
    }

    /// The network with this id.
    pub fn by_id(&self, id: NetworkId) -> Option<&NetworkRecord> {
        self.networks.get(self.names.get(&id)?)
    }

    /// All networks, by name.
    pub fn networks(&self) -> impl Iterator<Item = &NetworkRecord> {
        self.networks.values()
    }

    /// Whether a network id is taken by a network that should exist.
    pub fn has_id(&self, id: NetworkId) -> bool {
        self.names.contains_key(&id)
    }

    /// A port by its reference.
    pub fn port(&self, at: &PortAt) -> Option<&PortRecord> {
        self.ports.get(at)
    }

    /// The ports of a network.
    pub fn ports_of(&self, network: &NetworkName) -> impl Iterator<Item = (&PortAt, &PortRecord)> {
        let ports = self.ports_of.get(network).into_iter().flatten();
        ports.filter_map(|at| Some((at, self.ports.get(at)?)))
    }

    /// How many ports a network has.
    pub fn port_count(&self, network: &NetworkName) -> usize {
        self.ports_of.get(network).map_or(0, BTreeSet::len)
    }

    /// All ports.
    pub fn ports(&self) -> impl Iterator<Item = (&PortAt, &PortRecord)> {
        self.ports.iter()
    }

    /// All ports given by this reference to their switch.
    pub fn ports_on<'a>(
        &'a self,
        switch: &'a SwitchRef,
    ) -> impl Iterator<Item = (&'a PortAt, &'a PortRecord)> {
        let from = PortAt { switch: switch.clone(), port: PortRef::Number(0) };
        self.ports.range(from..).take_while(move |(at, _)| at.switch == *switch)
    }

    /// Declared links.
    pub fn links(&self) -> impl Iterator<Item = (&LinkEnds, Encap)> {
        self.links.iter().map(|(ends, encap)| (ends, *encap))
    }

    /// How a link is declared, if it is.
    pub fn link(&self, ends: &LinkEnds) -> Option<Encap> {
        self.links.get(ends).copied()
    }

    /// What is said of a switch.
    pub fn switch(&self, id: DatapathId) -> Option<&SwitchSpec> {
        self.switches.get(&id)
    }
}
