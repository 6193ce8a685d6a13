//! Random topologies, and what networks on them are to be.

use std::collections::BTreeMap;

use controller::graph::Link;
use controller::model::{Encap, NetworkId, Place};
use openflow::{DatapathId, MacAddr, PortNo};
use proptest::prelude::*;

/// Host ports of each switch: 1 to this.
pub const PORTS: u32 = 3;
/// Networks there may be, the largest with VLAN tags among them.
pub const NETWORKS: [u32; 3] = [1, 7, NetworkId::MAX_VLAN];

/// Switch and port.
pub type At = (u64, u32);

#[derive(Clone, Debug)]
pub struct Topology {
    pub switches: u64,
    pub links: Vec<Link>,
}

/// What should be.
#[derive(Clone, Debug)]
pub struct World {
    /// Which links are up.
    pub up: Vec<bool>,
    /// Which network each port is in, by its place in [`NETWORKS`].
    pub ports: BTreeMap<At, usize>,
    /// Hosts by network and number: where, and whether the controller knows.
    pub hosts: BTreeMap<(usize, u8), (At, bool)>,
}

pub fn network_id(index: usize) -> NetworkId {
    NetworkId::new(NETWORKS[index]).unwrap()
}

/// The same in every network: MACs may repeat across networks.
pub fn mac(number: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, number])
}

impl Topology {
    fn of(switches: u64, pairs: impl IntoIterator<Item = (u64, u64, bool)>) -> Self {
        let place = |switch, n: usize| Place::new(DatapathId(switch), PortNo(100 + n as u32));
        let ends = pairs.into_iter().filter(|(a, b, _)| a != b).enumerate();
        let links = ends.map(|(n, (a, b, tunnel))| {
            let encap = if tunnel { Encap::TunId } else { Encap::Vlan };
            Link::new(place(a, n), place(b, n), encap)
        });
        Self { switches, links: links.collect() }
    }

    /// A ring, its first link a tunnel.
    pub fn ring(switches: u64) -> Self {
        Self::of(
            switches,
            (1..=switches).map(|switch| (switch, switch % switches + 1, switch == 1)),
        )
    }
}

impl World {
    pub fn empty(up: Vec<bool>) -> Self {
        Self { up, ports: BTreeMap::new(), hosts: BTreeMap::new() }
    }

    /// This world as it can follow another: a port that would change its network is without one first, and hosts are
    /// only at ports of their network.
    pub fn after(&self, old: &Self) -> Self {
        let mut new = self.clone();
        new.ports.retain(|at, network| old.ports.get(at).is_none_or(|before| before == network));
        new.hosts.retain(|(network, _), (at, _)| new.ports.get(at) == Some(network));
        new
    }

    /// The ports of a network.
    pub fn members(&self, network: usize) -> impl Iterator<Item = At> + '_ {
        self.ports.iter().filter(move |(_, other)| **other == network).map(|(at, _)| *at)
    }
}

/// A topology, and worlds that follow each other on it.
pub fn histories(cuts: bool) -> impl Strategy<Value = (Topology, Vec<World>)> {
    topologies().prop_flat_map(move |topology| {
        let worlds = prop::collection::vec(worlds(&topology, cuts), 1..5);
        (Just(topology), worlds)
    })
}

fn topologies() -> impl Strategy<Value = Topology> {
    (2u64..=12).prop_flat_map(|switches| {
        let pairs = prop::collection::vec((1..=switches, 1..=switches, any::<bool>()), 1..20);
        pairs.prop_map(move |pairs| Topology::of(switches, pairs))
    })
}

fn worlds(topology: &Topology, cuts: bool) -> impl Strategy<Value = World> + use<> {
    let up = if cuts { prop::bool::weighted(0.7).boxed() } else { Just(true).boxed() };
    let up = prop::collection::vec(up, topology.links.len());
    let all: Vec<At> =
        (1..=topology.switches).flat_map(|s| (1..=PORTS).map(move |p| (s, p))).collect();
    let most = all.len().min(9);
    let ports = prop::sample::subsequence(all, 0..=most);
    let networks = prop::collection::vec(0..NETWORKS.len(), most);
    let hosts = prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<bool>()), 0..8);
    (up, ports, networks, hosts).prop_map(|(up, ports, networks, hosts)| {
        let ports: BTreeMap<_, _> = ports.into_iter().zip(networks).collect();
        let list: Vec<_> = ports.iter().map(|(at, network)| (*at, *network)).collect();
        let mut world = World { up, ports, hosts: BTreeMap::new() };
        for (index, number, known) in hosts {
            if !list.is_empty() {
                let (at, network) = *index.get(&list);
                world.hosts.insert((network, number), (at, known));
            }
        }
        world
    })
}
