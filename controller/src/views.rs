//! From what is wanted, what is there and what was learnt to the values that
//! `compile` takes; and why a port isn't part of its network (yet).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use openflow::{DatapathId, MacAddr};

use crate::compile::{Allowed, Host, Member, Network};
use crate::graph::Graph;
use crate::hosts::Hosts;
use crate::installed::Installed;
use crate::intents::{Intents, PortRecord};
use crate::model::{Encap, NetworkId, Place, PortAt};
use crate::topology::Topology;

/// All that a network's view is made from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// What is wanted.
    pub intents: &'a Intents,
    /// What is there.
    pub topology: &'a Topology,
    /// What was learnt.
    pub hosts: &'a Hosts,
    /// What is held, and so can't be given to another yet.
    pub installed: &'a Installed,
    /// Ports that teach too much, until when.
    pub muted: &'a BTreeMap<Place, Instant>,
}

/// Where a port that a caller attached is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// There, and a member of its network.
    Member(Place),
    /// Not to be found yet.
    Missing(String),
    /// The same port as an older reference.
    Conflict(Place, PortAt),
    /// There, but still leaving another network or being a trunk.
    Held(Place, String),
}

impl<'a> Sources<'a> {
    /// The reference that holds a place: the oldest of those that mean it.
    pub fn occupant(&self, place: Place) -> Option<(&'a PortAt, &'a PortRecord)> {
        let (switches, ports) = self.topology.references_of(place)?;
        self.intents.oldest(&switches, &ports)
    }

    /// Where a port stands.
    pub fn standing(&self, at: &PortAt, network: NetworkId) -> Standing {
        if let Some(place) = self.member(at, network) {
            return Standing::Member(place);
        }
        let Some(switch) = self.topology.find(&at.switch) else {
            return Standing::Missing(format!("switch {} has not connected yet", at.switch));
        };
        let Some(place) = self.topology.resolve(at) else {
            let name = self.topology.name_of(switch);
            return Standing::Missing(format!("switch {name} has no port {} yet", at.port));
        };
        if let Some((other, _)) = self.occupant(place).filter(|(other, _)| *other != at) {
            return Standing::Conflict(place, other.clone());
        }
        let what = match self.topology.link_at(place) {
            Some(_) => "it is a trunk",
            None => "it is still leaving what it was part of before",
        };
        Standing::Held(place, format!("port {} waits: {what}", self.topology.describe(place)))
    }

    /// The place of a port that is a member of its network.
    fn member(&self, at: &PortAt, network: NetworkId) -> Option<Place> {
        self.own(at).filter(|place| self.installed.may_join(*place, network))
    }

    /// The place of a port that is there, unless it is an older reference's.
    fn own(&self, at: &PortAt) -> Option<Place> {
        let place = self.topology.resolve(at)?;
        self.occupant(place).is_none_or(|(holder, _)| holder == at).then_some(place)
    }

    /// The place of a port that is there and has still to leave what it was part of: [`Standing::Held`], and no words.
    pub fn held(&self, at: &PortAt, network: NetworkId) -> Option<Place> {
        self.own(at).filter(|place| !self.installed.may_join(*place, network))
    }

    /// The network as it should be now. `None` if it should not be at all.
    pub fn network(&self, id: NetworkId) -> Option<Network> {
        let record = self.intents.by_id(id)?;
        let mut network = Network {
            id,
            members: BTreeMap::new(),
            hosts: BTreeMap::new(),
            full: self.hosts.count(id) >= record.spec.mac_limit.value() as usize,
            muted: BTreeSet::new(),
        };
        let mut declared = BTreeMap::new();
        for (at, port) in self.intents.ports_of(&record.spec.name) {
            let Some(place) = self.member(at, id) else { continue };
            let spec = &port.spec;
            let macs = || spec.mac.iter().map(|mac| MacAddr(mac.bytes()));
            let allowed = || Allowed {
                macs: macs().collect(),
                ips: spec.ips.iter().map(|ip| ip.addr()).collect(),
            };
            let member = Member { enforce: spec.enforce.then(allowed) };
            network.members.entry(place.switch).or_default().insert(place.port, member);
            network.muted.extend(self.muted.contains_key(&place).then_some(place));
            for mac in macs() {
                let host = (port.age, Host { place, learnt: false });
                let held = declared.entry(mac).or_insert(host);
                if host.0 < held.0 {
                    *held = host;
                }
            }
        }
        let learnt = self.hosts.of(id).map(|(mac, entry)| (mac, Host::from(entry)));
        let learnt = learnt.filter(|(_, host)| is_learning(&network, host.place));
        network.hosts =
            learnt.chain(declared.into_iter().map(|(mac, (_, host))| (mac, host))).collect();
        Some(network)
    }
}

/// Whether hosts may be known by what they send at a place: an enforced port has those on its list, and no flow there
/// would tell that another fell silent.
fn is_learning(network: &Network, place: Place) -> bool {
    let port = network.members.get(&place.switch).and_then(|ports| ports.get(&place.port));
    port.is_some_and(|member| member.enforce.is_none())
}

/// Whether a learnt host is worth remembering: not where it can't be, nor while a caller says where it is.
pub fn is_learnt_at(network: &Network, mac: MacAddr, place: Place) -> bool {
    is_learning(network, place) && network.hosts.get(&mac).is_some_and(|host| host.learnt)
}

/// Whether a place is one of the network's ports.
pub fn is_member(network: &Network, place: Place) -> bool {
    network.members.get(&place.switch).is_some_and(|ports| ports.contains_key(&place.port))
}

/// Two switches whose members can't reach each other.
pub fn split(network: &Network, graph: &Graph) -> Option<(DatapathId, DatapathId)> {
    let mut switches = network.members.keys().copied();
    let first = switches.next()?;
    let mut ways = graph.ways(network.id);
    switches.find(|other| ways.next_hop(*other, first).is_none()).map(|other| (first, other))
}

/// Pairs of switches whose members can't hear each other, though there are
/// links between them, because no VLAN tag is left for this network.
pub fn cut_for_want_of_tags(network: &Network, graph: &Graph) -> Option<(DatapathId, DatapathId)> {
    if network.id.has_tags(Encap::Vlan) {
        return None;
    }
    let with_all_links = NetworkId::new(1)?;
    let switches: BTreeSet<_> = network.switches();
    let first = *switches.first()?;
    switches.into_iter().skip(1).map(|other| (first, other)).find(|(a, b)| {
        graph.next_hop(network.id, *b, *a).is_none()
            && graph.next_hop(with_all_links, *b, *a).is_some()
    })
}
