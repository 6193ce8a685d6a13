//! Switches and the links between them, as a value.
//!
//! Pure. Distances are computed once a destination and kept with the graph;
//! a change of topology makes a new graph.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use openflow::DatapathId;
use petgraph::graph::{NodeIndex, UnGraph};
use petgraph::visit::EdgeRef;

use crate::model::{Encap, NetworkId, Place, spread};

/// A link that frames can cross, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    /// The lesser end.
    pub a: Place,
    /// The greater end.
    pub b: Place,
    /// How it carries tags.
    pub encap: Encap,
}

impl Link {
    /// A link between two places, given in either order.
    pub fn new(one: Place, other: Place, encap: Encap) -> Self {
        Self { a: one.min(other), b: one.max(other), encap }
    }

    fn end_at(&self, switch: DatapathId) -> Place {
        if self.a.switch == switch { self.a } else { self.b }
    }

    /// A number of this link's own, equal on every instance.
    fn key(&self) -> u64 {
        let end = |place: Place| spread(place.switch.0, u64::from(place.port.0));
        spread(end(self.a), end(self.b))
    }
}

/// One step from a switch to its neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Where the frame leaves.
    pub from: Place,
    /// Where it arrives.
    pub to: Place,
    /// How the trunk between carries tags.
    pub encap: Encap,
}

/// The topology that paths and trees are computed from.
#[derive(Debug, Default)]
pub struct Graph {
    graph: UnGraph<DatapathId, Link>,
    index: HashMap<DatapathId, NodeIndex>,
    peers: BTreeMap<Place, Place>,
    distances: Mutex<HashMap<(DatapathId, bool), Arc<Distances>>>,
}

/// Hops from every switch to one; `u32::MAX` where there is no way.
type Distances = Vec<u32>;

impl Graph {
    /// A graph of these switches and links. A link's ends must be among the
    /// switches; one that isn't, or that joins a switch to itself, is left out.
    pub fn new(
        switches: impl IntoIterator<Item = DatapathId>,
        links: impl IntoIterator<Item = Link>,
    ) -> Self {
        let mut new = Self::default();
        for switch in switches {
            let node = new.graph.add_node(switch);
            new.index.insert(switch, node);
        }
        for link in links {
            let ends = (new.index.get(&link.a.switch), new.index.get(&link.b.switch));
            let (Some(a), Some(b)) = ends else { continue };
            if a == b {
                continue;
            }
            new.graph.add_edge(*a, *b, link);
            new.peers.insert(link.a, link.b);
            new.peers.insert(link.b, link.a);
        }
        new
    }

    /// The other end of the link at this place.
    pub fn peer(&self, place: Place) -> Option<Place> {
        self.peers.get(&place).copied()
    }

    /// Whether the switch is part of the topology.
    pub fn contains(&self, switch: DatapathId) -> bool {
        self.index.contains_key(&switch)
    }

    /// All links.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.graph.edge_weights()
    }

    /// The next hop of a network's frames from one switch towards another:
    /// one of the shortest ways, spread by network over equals. A link that
    /// comes or goes changes the choice only of those that gain or lose by it.
    ///
    /// Only links that can carry this network are used.
    pub fn next_hop(&self, network: NetworkId, from: DatapathId, to: DatapathId) -> Option<Hop> {
        let distances = self.distances_to(network, to)?;
        self.closer(network, &distances, *self.index.get(&from)?)
    }

    /// The switch at the root of a network's tree, in the part of the topology
    /// that can reach `switch`.
    pub fn root(&self, network: NetworkId, switch: DatapathId) -> Option<DatapathId> {
        let reachable = self.distances_to(network, switch)?;
        let near = self.graph.node_indices().filter(|node| reachable[node.index()] != u32::MAX);
        near.map(|node| self.graph[node])
            .max_by_key(|other| (spread(u64::from(network.value()), other.0), other.0))
    }

    fn closer(&self, network: NetworkId, distances: &Distances, node: NodeIndex) -> Option<Hop> {
        let here = distances[node.index()];
        if here == 0 || here == u32::MAX {
            return None;
        }
        let usable = self.graph.edges(node).filter(|edge| network.has_tags(edge.weight().encap));
        let closer = usable.filter(|edge| distances[edge.target().index()] == here - 1);
        let best = closer.max_by_key(|edge| {
            let key = edge.weight().key();
            (spread(u64::from(network.value()), key), key)
        })?;
        let (from, to) = (self.graph[node], self.graph[best.target()]);
        let link = best.weight();
        Some(Hop { from: link.end_at(from), to: link.end_at(to), encap: link.encap })
    }

    /// Hops to `to` over links that can carry the network. Networks differ only
    /// in whether VLAN trunks are open to them, so two tables a switch suffice.
    fn distances_to(&self, network: NetworkId, to: DatapathId) -> Option<Arc<Distances>> {
        let start = *self.index.get(&to)?;
        let key = (to, network.has_tags(Encap::Vlan));
        let mut cache = self.distances.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache.get(&key) {
            return Some(Arc::clone(known));
        }
        let mut distances = vec![u32::MAX; self.graph.node_count()];
        distances[start.index()] = 0;
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            let next = distances[node.index()] + 1;
            for edge in self.graph.edges(node) {
                let peer = edge.target().index();
                if distances[peer] == u32::MAX && network.has_tags(edge.weight().encap) {
                    distances[peer] = next;
                    queue.push_back(edge.target());
                }
            }
        }
        let distances = Arc::new(distances);
        cache.insert(key, Arc::clone(&distances));
        Some(distances)
    }
}

#[cfg(test)]
mod tests {
    use openflow::PortNo;

    use super::*;

    fn place(switch: u64, port: u32) -> Place {
        Place::new(DatapathId(switch), PortNo(port))
    }

    /// A ring of four, with a second link between 1 and 2.
    fn ring() -> Vec<Link> {
        let link = |a, b| Link::new(a, b, Encap::Vlan);
        vec![
            link(place(1, 1), place(2, 1)),
            link(place(1, 9), place(2, 9)),
            link(place(2, 2), place(3, 2)),
            link(place(3, 3), place(4, 3)),
            link(place(4, 4), place(1, 4)),
        ]
    }

    fn graph(links: Vec<Link>) -> Graph {
        Graph::new((1..=4).map(DatapathId), links)
    }

    #[test]
    fn hops_lead_on_shortest_ways_and_spread_over_equal_ones() {
        let graph = graph(ring());
        let mut first = std::collections::BTreeSet::new();
        for id in 1..100 {
            let network = NetworkId::new(id).unwrap();
            let hop = graph.next_hop(network, DatapathId(1), DatapathId(2)).unwrap();
            assert_eq!(hop.to.switch, DatapathId(2));
            let across = graph.next_hop(network, DatapathId(1), DatapathId(3)).unwrap();
            let rest = graph.next_hop(network, across.to.switch, DatapathId(3)).unwrap();
            assert_eq!(rest.to.switch, DatapathId(3));
            first.insert(across.from.port);
        }
        assert_eq!(first.len(), 3, "both parallel links and the other way round are used");
    }

    #[test]
    fn a_lost_link_moves_only_those_that_used_it() {
        let (whole, cut) = (graph(ring()), graph(ring()[1..].to_vec()));
        for id in 1..200 {
            let network = NetworkId::new(id).unwrap();
            let before = whole.next_hop(network, DatapathId(1), DatapathId(3)).unwrap();
            let after = cut.next_hop(network, DatapathId(1), DatapathId(3)).unwrap();
            assert!(before.from == place(1, 1) || before == after);
        }
    }

    #[test]
    fn a_network_without_vlan_tags_uses_tunnels_only() {
        let mut links = ring();
        links[2].encap = Encap::TunId;
        let graph = graph(links);
        let network = NetworkId::new(NetworkId::MAX_VLAN + 1).unwrap();
        assert!(graph.next_hop(network, DatapathId(2), DatapathId(3)).is_some());
        assert_eq!(graph.next_hop(network, DatapathId(1), DatapathId(3)), None);
    }
}
