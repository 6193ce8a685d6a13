//! Switches and the links between them, as a value.
//!
//! Pure. Distances are computed once a destination and kept with the graph;
//! a change of topology makes a new graph.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use openflow::{DatapathId, PortNo};
use petgraph::graph::{NodeIndex, UnGraph};
use petgraph::visit::EdgeRef;

use crate::model::{Encap, NetworkId, Place, spread};
use crate::slice::{Out, Slice};

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

    /// The step over it from the switch at one of its ends.
    fn hop_from(&self, switch: DatapathId) -> Hop {
        let (from, to) = if self.a.switch == switch { (self.a, self.b) } else { (self.b, self.a) };
        Hop { from, to, encap: self.encap }
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

/// By which a network chooses among links that lead equally near: the greatest
/// is taken (rendezvous hashing).
fn choice(network: NetworkId, link: &Link) -> (u64, u64) {
    let key = link.key();
    (spread(u64::from(network.value()), key), key)
}

/// Where one network's frames go.
#[derive(Debug)]
pub struct Ways<'a> {
    graph: &'a Graph,
    network: NetworkId,
    /// Of each switch that was passed, its links in the order of the network's
    /// choice: it is the same whatever switch frames go to.
    ranked: Vec<Option<Vec<(NodeIndex, &'a Link)>>>,
}

impl<'a> Ways<'a> {
    /// The hops that lead from switches to one of them, each switch's once.
    pub fn each_hop(
        &mut self,
        from: &BTreeSet<DatapathId>,
        to: DatapathId,
        mut found: impl FnMut(Hop),
    ) {
        let Some(costs) = self.graph.distances_to(self.network, to) else { return };
        let mut passed = vec![false; costs.len()];
        let nodes = from.iter().filter_map(|switch| self.graph.index.get(switch));
        for &first in nodes {
            let mut at = first;
            while !std::mem::replace(&mut passed[at.index()], true)
                && let Some((next, hop)) = self.next(at, to, &costs)
            {
                found(hop);
                at = next;
            }
        }
    }

    /// The next hop from one switch towards another.
    pub fn next_hop(&mut self, from: DatapathId, to: DatapathId) -> Option<Hop> {
        let at = *self.graph.index.get(&from)?;
        let costs = self.graph.distances_to(self.network, to)?;
        self.next(at, to, &costs).map(|(_, hop)| hop)
    }

    fn next(
        &mut self,
        at: NodeIndex,
        to: DatapathId,
        costs: &Distances,
    ) -> Option<(NodeIndex, Hop)> {
        let (graph, network) = (self.graph, self.network);
        let (here, from) = (costs[at.index()], graph.graph[at]);
        if here == 0 || here == u32::MAX {
            return None;
        }
        let next = here - graph.cost_of(from);
        let usable = |link: &Link| network.has_tags(link.encap);
        if next == 0 {
            // To a neighbour: a switch may have a thousand of them.
            let links = graph.between.get(&(from, to))?.iter().filter(|link| usable(link));
            let best = links.max_by_key(|link| choice(network, link))?;
            return Some((*graph.index.get(&to)?, best.hop_from(from)));
        }
        let ranked = self.ranked[at.index()].get_or_insert_with(|| {
            let edges = graph.graph.edges(at).filter(|edge| usable(edge.weight()));
            let mut links: Vec<_> = edges.map(|edge| (edge.target(), edge.weight())).collect();
            links.sort_by_cached_key(|(_, link)| Reverse(choice(network, link)));
            links
        });
        let (peer, link) = ranked.iter().find(|(peer, _)| costs[peer.index()] == next)?;
        Some((*peer, link.hop_from(from)))
    }
}

/// What switches that are avoided hold of a network's tree: it can't be changed.
pub type Limits = BTreeMap<DatapathId, Limit>;

/// What one of them holds. If it went away before it confirmed what it was
/// sent, it may hold that or what it held before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    surely: TreePorts,
    perhaps: TreePorts,
}

impl Limit {
    /// Of what it confirmed last, and what it was sent since.
    pub fn of(confirmed: &Slice, sent: Option<&Slice>) -> Self {
        let confirmed = TreePorts::of(confirmed);
        let sent = sent.map_or_else(|| confirmed.clone(), TreePorts::of);
        let both = |one: &BTreeSet<_>, other: &BTreeSet<_>| (one & other, one | other);
        let (sends, may_send) = both(&confirmed.sends, &sent.sends);
        let (accepts, may_accept) = both(&confirmed.accepts, &sent.accepts);
        Self {
            surely: TreePorts { sends, accepts },
            perhaps: TreePorts { sends: may_send, accepts: may_accept },
        }
    }
}

/// Ports of one switch that are on a network's tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct TreePorts {
    /// Floods leave by these.
    sends: BTreeSet<PortNo>,
    /// Floods are taken from these.
    accepts: BTreeSet<PortNo>,
}

impl TreePorts {
    fn of(slice: &Slice) -> Self {
        let sends = slice.flood_out.iter().filter_map(|out| match out {
            Out::Trunk(port, _) => Some(*port),
            Out::Edge(_) => None,
        });
        Self { sends: sends.collect(), accepts: slice.flood_in.keys().copied().collect() }
    }
}

/// The topology that paths and trees are computed from.
#[derive(Debug, Default)]
pub struct Graph {
    /// Switches that are away for long: others' frames pass them only where
    /// there is no other way.
    avoided: BTreeSet<DatapathId>,
    /// Links that don't carry frames now, but might again.
    dormant: Vec<Link>,
    graph: UnGraph<DatapathId, Link>,
    index: HashMap<DatapathId, NodeIndex>,
    peers: BTreeMap<Place, Place>,
    /// The links from one switch to its neighbour, by both: a switch may have a thousand neighbours.
    between: HashMap<(DatapathId, DatapathId), Vec<Link>>,
    distances: Mutex<HashMap<(DatapathId, bool), Arc<Distances>>>,
}

/// Costs from every switch to one; `u32::MAX` where there is no way.
type Distances = Vec<u32>;

/// What it costs to pass a switch that is avoided: more than any detour.
const DETOUR: u32 = 1 << 20;

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
            for ends in [(link.a.switch, link.b.switch), (link.b.switch, link.a.switch)] {
                new.between.entry(ends).or_default().push(link);
            }
        }
        new
    }

    /// The same topology, where these switches are passed only if there is no
    /// other way.
    #[must_use]
    pub fn avoiding(mut self, switches: BTreeSet<DatapathId>) -> Self {
        self.avoided = switches;
        self
    }

    /// The same topology, with links that are down or silent. They are used for
    /// nothing; but two switches that are avoided and have one on a tree would
    /// be joined by it as soon as it is up again, and can't be told otherwise.
    #[must_use]
    pub fn with_dormant(mut self, links: impl IntoIterator<Item = Link>) -> Self {
        self.dormant = links.into_iter().collect();
        self
    }

    /// Switches that are passed only if there is no other way.
    pub const fn avoided(&self) -> &BTreeSet<DatapathId> {
        &self.avoided
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
        self.ways(network).next_hop(from, to)
    }

    /// The same for all that a network needs to know.
    pub fn ways(&self, network: NetworkId) -> Ways<'_> {
        Ways { graph: self, network, ranked: vec![None; self.graph.node_count()] }
    }

    /// The hops from a network's members to the root of its tree, each switch's
    /// once. The root is one that all members which can reach each other share;
    /// an avoided switch is one only if there is no other, and joins by a port
    /// that it has on the tree already. Avoided switches between which frames
    /// may cross already, or once a link is up again, can't be parted: they
    /// join as one.
    pub fn tree(
        &self,
        network: NetworkId,
        members: &BTreeSet<DatapathId>,
        limits: &Limits,
    ) -> Vec<Hop> {
        let limit = |place: Place| limits.get(&place.switch);
        let crosses = |from: Place, to: Place| {
            limit(from).is_some_and(|limit| limit.perhaps.sends.contains(&from.port))
                && limit(to).is_some_and(|limit| limit.perhaps.accepts.contains(&to.port))
        };
        let fixed = |link: &Link| {
            let both = [link.a, link.b].iter().all(|end| self.avoided.contains(&end.switch));
            both && network.has_tags(link.encap)
                && (crosses(link.a, link.b) || crosses(link.b, link.a))
        };
        let roused: Vec<_> = self.dormant.iter().filter(|link| fixed(link)).copied().collect();
        if !roused.is_empty() {
            let links = self.links().copied().chain(roused);
            let awake = Self::new(self.graph.node_weights().copied(), links);
            return awake.avoiding(self.avoided.clone()).tree(network, members, limits);
        }
        let within = |place: Place| {
            !self.avoided.contains(&place.switch)
                || limit(place).is_some_and(|Limit { surely, .. }| {
                    surely.sends.contains(&place.port) && surely.accepts.contains(&place.port)
                })
        };
        let usable = |link: &Link| {
            network.has_tags(link.encap) && ((within(link.a) && within(link.b)) || fixed(link))
        };
        let costs = |to: DatapathId| {
            // Without switches to avoid, the tree uses what paths use.
            if self.avoided.is_empty() {
                self.distances_to(network, to)
            } else {
                Some(Arc::new(self.costs(to, usable, fixed)?))
            }
        };
        let mut hops = Vec::new();
        let mut joined = BTreeSet::new();
        let mut left: BTreeSet<_> =
            members.iter().copied().filter(|member| self.contains(*member)).collect();
        while let Some(first) = left.pop_first() {
            let root = costs(first).and_then(|reachable| self.root(network, &reachable));
            let Some(towards) = root.and_then(costs) else { continue };
            let reaches = |member: &DatapathId| {
                self.index.get(member).is_some_and(|node| towards[node.index()] != u32::MAX)
            };
            let (part, rest) = left.into_iter().partition(reaches);
            left = rest;
            let mut settled = self.hops_of_avoided(network, &towards, usable, fixed);
            settled.extend(self.hops_of_islands(network, &towards, usable));
            let hop_from = |at: DatapathId| match settled.get(&at) {
                Some(hop) => Some(*hop),
                None => self.closer(network, &towards, usable, at),
            };
            for member in std::iter::once(first).chain::<BTreeSet<_>>(part) {
                let mut at = member;
                while joined.insert(at)
                    && let Some(hop) = hop_from(at)
                {
                    hops.push(hop);
                    at = hop.to.switch;
                }
            }
        }
        hops
    }

    /// The hops of avoided switches among which frames cross: all leave by the
    /// same one.
    fn hops_of_avoided(
        &self,
        network: NetworkId,
        costs: &Distances,
        usable: impl Fn(&Link) -> bool + Copy,
        fixed: impl Fn(&Link) -> bool,
    ) -> BTreeMap<DatapathId, Hop> {
        let mut hops = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for &first in &self.avoided {
            if !seen.insert(first) {
                continue;
            }
            let joined = self.joined_over(first, &fixed, &mut seen);
            let best = |hop: &Hop| choice(network, &Link::new(hop.from, hop.to, hop.encap));
            let ways = joined.iter().filter_map(|at| self.closer(network, costs, usable, *at));
            let way = ways.max_by_key(best);
            hops.extend(way.map(|hop| (hop.from.switch, hop)));
            let exit = way.map_or(first, |hop| hop.from.switch);
            let mut reached = BTreeSet::from([exit]);
            let mut queue = VecDeque::from([exit]);
            while let Some(at) = queue.pop_front() {
                for hop in self.hops_over(at, &fixed) {
                    if reached.insert(hop.to.switch) {
                        let back = Hop { from: hop.to, to: hop.from, encap: hop.encap };
                        hops.insert(hop.to.switch, back);
                        queue.push_back(hop.to.switch);
                    }
                }
            }
        }
        hops
    }

    /// The hops of switches that reach the root over avoided ones only: those that reach each other without any leave
    /// by the same one, and are joined among themselves. So they stay in touch if the avoided one forwards no more.
    fn hops_of_islands(
        &self,
        network: NetworkId,
        costs: &Distances,
        usable: impl Fn(&Link) -> bool + Copy,
    ) -> BTreeMap<DatapathId, Hop> {
        let ashore = |link: &Link| {
            usable(link) && ![link.a, link.b].iter().any(|end| self.avoided.contains(&end.switch))
        };
        let cost = |switch: DatapathId| {
            self.index.get(&switch).map_or(u32::MAX, |node| costs[node.index()])
        };
        let mut hops = BTreeMap::new();
        if self.avoided.is_empty() {
            return hops;
        }
        let mut seen = self.avoided.clone();
        for first in self.graph.node_weights().copied() {
            if cost(first) == u32::MAX || !seen.insert(first) {
                continue;
            }
            let island = self.joined_over(first, ashore, &mut seen);
            let least = island.iter().map(|at| cost(*at)).min().unwrap_or_default();
            if least == 0 {
                continue; // it has the root
            }
            let nearest = island.iter().filter(|at| cost(**at) == least);
            let exits = nearest.filter_map(|at| self.closer(network, costs, usable, *at));
            let best = |hop: &Hop| choice(network, &Link::new(hop.from, hop.to, hop.encap));
            let Some(exit) = exits.max_by_key(best) else { continue };
            let Some(inland) = self.costs(exit.from.switch, ashore, |_| false) else { continue };
            let ways = island.iter().filter_map(|at| self.closer(network, &inland, ashore, *at));
            hops.extend(ways.map(|hop| (hop.from.switch, hop)));
            hops.insert(exit.from.switch, exit);
        }
        hops
    }

    /// A switch, and all that it reaches over such links and that aren't seen yet.
    fn joined_over(
        &self,
        first: DatapathId,
        such: impl Fn(&Link) -> bool + Copy,
        seen: &mut BTreeSet<DatapathId>,
    ) -> Vec<DatapathId> {
        let mut joined = vec![first];
        let mut next = 0;
        while let Some(&at) = joined.get(next) {
            let peers = self.hops_over(at, such).map(|hop| hop.to.switch);
            joined.extend(peers.filter(|peer| seen.insert(*peer)));
            next += 1;
        }
        joined
    }

    /// The hops from a switch over such links.
    fn hops_over(
        &self,
        from: DatapathId,
        such: impl Fn(&Link) -> bool,
    ) -> impl Iterator<Item = Hop> {
        let node = self.index.get(&from);
        let edges = node.into_iter().flat_map(|node| self.graph.edges(*node));
        edges.filter(move |edge| such(edge.weight())).map(move |edge| edge.weight().hop_from(from))
    }

    fn root(&self, network: NetworkId, reachable: &Distances) -> Option<DatapathId> {
        let near = self.graph.node_indices().filter(|node| reachable[node.index()] != u32::MAX);
        near.map(|node| self.graph[node]).max_by_key(|other| {
            let avoided = self.avoided.contains(other);
            (!avoided, spread(u64::from(network.value()), other.0), other.0)
        })
    }

    fn closer(
        &self,
        network: NetworkId,
        costs: &Distances,
        usable: impl Fn(&Link) -> bool,
        from: DatapathId,
    ) -> Option<Hop> {
        let node = *self.index.get(&from)?;
        let here = costs[node.index()];
        if here == 0 || here == u32::MAX {
            return None;
        }
        let next = here - self.cost_of(from);
        let closer = self
            .graph
            .edges(node)
            .filter(|edge| costs[edge.target().index()] == next && usable(edge.weight()));
        let best = closer.max_by_key(|edge| choice(network, edge.weight()))?;
        Some(best.weight().hop_from(from))
    }

    fn cost_of(&self, switch: DatapathId) -> u32 {
        if self.avoided.contains(&switch) { DETOUR } else { 1 }
    }

    /// Costs to `to` over links that can carry the network. Networks differ only
    /// in whether VLAN trunks are open to them, so two tables a switch suffice.
    fn distances_to(&self, network: NetworkId, to: DatapathId) -> Option<Arc<Distances>> {
        let key = (to, network.has_tags(Encap::Vlan));
        let mut cache = self.distances.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache.get(&key) {
            return Some(Arc::clone(known));
        }
        let costs = Arc::new(self.costs(to, |link| network.has_tags(link.encap), |_| false)?);
        cache.insert(key, Arc::clone(&costs));
        Some(costs)
    }

    /// Costs over usable links; to cross a fixed one costs nothing.
    fn costs(
        &self,
        to: DatapathId,
        usable: impl Fn(&Link) -> bool,
        fixed: impl Fn(&Link) -> bool,
    ) -> Option<Distances> {
        let start = *self.index.get(&to)?;
        let mut costs = vec![u32::MAX; self.graph.node_count()];
        costs[start.index()] = 0;
        let mut queue = BinaryHeap::from([Reverse((0, start))]);
        while let Some(Reverse((cost, node))) = queue.pop() {
            if cost > costs[node.index()] {
                continue;
            }
            for edge in self.graph.edges(node).filter(|edge| usable(edge.weight())) {
                let peer = edge.target();
                let step = if fixed(edge.weight()) { 0 } else { self.cost_of(self.graph[peer]) };
                let through = cost + step;
                if through < costs[peer.index()] {
                    costs[peer.index()] = through;
                    queue.push(Reverse((through, peer)));
                }
            }
        }
        Some(costs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(switch: u64, port: u32) -> Place {
        Place::new(DatapathId(switch), PortNo(port))
    }

    /// What a switch holds that has these ports on the tree.
    fn on_tree(ports: impl IntoIterator<Item = u32> + Clone) -> Slice {
        let trunks = ports.clone().into_iter().map(|port| Out::Trunk(PortNo(port), Encap::Vlan));
        Slice {
            flood_out: trunks.collect(),
            flood_in: ports.into_iter().map(|port| (PortNo(port), Encap::Vlan)).collect(),
            ..Slice::default()
        }
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
    fn an_avoided_switch_is_passed_only_where_there_is_no_other_way() {
        let avoided = BTreeSet::from([DatapathId(2)]);
        let graph = graph(ring()).avoiding(avoided.clone());
        let line = Graph::new((1..=3).map(DatapathId), ring()[1..3].to_vec()).avoiding(avoided);
        for id in 1..50 {
            let network = NetworkId::new(id).unwrap();
            let hop = graph.next_hop(network, DatapathId(1), DatapathId(3)).unwrap();
            assert_eq!(hop.to.switch, DatapathId(4));
            let hop = line.next_hop(network, DatapathId(1), DatapathId(3)).unwrap();
            assert_eq!(hop.to.switch, DatapathId(2));

            let members = (1..=3).map(DatapathId).collect();
            let limits = Limits::from([(DatapathId(2), Limit::of(&on_tree([2]), None))]);
            let tree = graph.tree(network, &members, &limits);
            let of_avoided: Vec<_> = tree
                .iter()
                .filter(|hop| [hop.from.switch, hop.to.switch].contains(&DatapathId(2)))
                .collect();
            assert_eq!(of_avoided.len(), 1, "it is a leaf");
            assert!(
                [of_avoided[0].from, of_avoided[0].to].contains(&place(2, 2)),
                "by the port it has"
            );
        }
    }

    /// 1 and 5 reach 3 and 4 over 2 alone, which is away; between 3 and 4, and between 1 and 5, there is a link of
    /// their own: whatever the root, the tree uses that, for 2 may be dead.
    #[test]
    fn switches_that_reach_each_other_without_an_avoided_one_are_joined_without_it() {
        let ends =
            [(1, 2), (5, 2), (1, 5), (3, 2), (4, 2), (3, 4)].map(|(a, b)| (a as u64, b as u64));
        let links = (1u32..).zip(ends).map(|(n, (a, b))| {
            Link::new(
                Place::new(DatapathId(a), PortNo(n)),
                Place::new(DatapathId(b), PortNo(n)),
                Encap::Vlan,
            )
        });
        let away = DatapathId(2);
        let graph = Graph::new((1..=5).map(DatapathId), links).avoiding(BTreeSet::from([away]));
        let all: BTreeSet<_> = (1..=5).filter(|n| *n != 2).map(DatapathId).collect();
        let held = Limit::of(&on_tree([1, 2, 4, 5]), None);
        for id in 1..60 {
            let network = NetworkId::new(id).unwrap();
            let tree = graph.tree(network, &all, &Limits::from([(away, held.clone())]));
            let used: BTreeSet<_> = tree.iter().map(|hop| hop.from.port.0).collect();
            assert!(used.contains(&3) && used.contains(&6), "network {id}: {tree:?}");
            assert_eq!(tree.len(), 4, "all five are joined: {tree:?}");
        }
    }

    /// 1 went away before it confirmed that it has the link to 4, which is away too, on its tree: frames may cross there,
    /// so only one of the two is joined to the others.
    #[test]
    fn what_an_avoided_switch_may_have_taken_is_reckoned_with() {
        let away = BTreeSet::from([DatapathId(1), DatapathId(4)]);
        let graph = graph(ring()).avoiding(away);
        let all = (1..=4).map(DatapathId).collect();
        let parts = |sent: Option<&Slice>| {
            let limits = Limits::from([
                (DatapathId(1), Limit::of(&on_tree([1]), sent)),
                (DatapathId(4), Limit::of(&on_tree([3, 4]), None)),
            ]);
            let tree = graph.tree(NetworkId::new(7).unwrap(), &all, &limits);
            let mut ends: Vec<_> = tree.iter().map(|hop| hop.from.min(hop.to)).collect();
            ends.sort();
            ends
        };
        assert_eq!(parts(None), [place(1, 1), place(2, 2), place(3, 3)]);
        let sent = parts(Some(&on_tree([1, 4])));
        assert_eq!(sent.len(), 3);
        assert!(sent.contains(&place(1, 4)) && sent.contains(&place(2, 2)), "{sent:?}");
    }

    /// The link between 1 and 4, which are away, is down. Both have it on their tree, so it joins them once it is up.
    #[test]
    fn a_link_between_avoided_switches_may_come_up_again() {
        let (mut links, away) = (ring(), BTreeSet::from([DatapathId(1), DatapathId(4)]));
        let down = links.remove(4);
        let all = (1..=4).map(DatapathId).collect();
        let limits = |of_four: [u32; 2]| {
            let four = Limit::of(&on_tree(of_four), None);
            Limits::from([
                (DatapathId(1), Limit::of(&on_tree([1, 4]), None)),
                (DatapathId(4), four),
            ])
        };
        let graph = graph(links).avoiding(away).with_dormant([down]);
        for id in 1..20 {
            let network = NetworkId::new(id).unwrap();
            let tree = graph.tree(network, &all, &limits([3, 4]));
            assert_eq!(tree.len(), 3, "{tree:?}");
            assert!(tree.iter().any(|hop| hop.from.port == PortNo(4)), "as one: {tree:?}");
            let tree = graph.tree(network, &all, &limits([3, 9]));
            assert!(
                tree.iter().all(|hop| hop.from.port != PortNo(4)),
                "4 doesn't use it: {tree:?}"
            );
        }
    }

    proptest! {
        /// Each hop is one nearer, by the link that the network prefers to all
        /// others that lead as near.
        #[test]
        fn each_hop_is_the_best_of_those_that_lead_nearer(
            pairs in prop::collection::vec((1u64..8, 1u64..8, any::<bool>()), 0..24),
            id in prop_oneof![1u32..2000, Just(NetworkId::MAX_VLAN + 1)],
        ) {
            let network = NetworkId::new(id).unwrap();
            let links: Vec<_> = (0..).zip(&pairs).filter(|(_, (a, b, _))| a != b).map(|(n, (a, b, tunnel))| {
                Link::new(place(*a, n), place(*b, n), if *tunnel { Encap::TunId } else { Encap::Vlan })
            }).collect();
            let graph = Graph::new((1..8).map(DatapathId), links.clone());
            let usable: Vec<_> = links.iter().filter(|link| network.has_tags(link.encap)).collect();
            let mut ways = graph.ways(network);
            for to in (1..8).map(DatapathId) {
                let mut steps = BTreeMap::from([(to, 0)]);
                for step in 1..8 {
                    for link in &usable {
                        for (near, far) in [(link.a, link.b), (link.b, link.a)] {
                            if steps.get(&near.switch) == Some(&(step - 1)) {
                                steps.entry(far.switch).or_insert(step);
                            }
                        }
                    }
                }
                for from in (1..8).map(DatapathId) {
                    let nearer = |hop: &Hop| steps.get(&hop.to.switch).map(|step| step + 1) == steps.get(&from).copied();
                    let at_home = usable.iter().filter(|link| link.a.switch == from || link.b.switch == from);
                    let best = at_home.filter(|link| nearer(&link.hop_from(from))).max_by_key(|link| choice(network, link));
                    let best = best.filter(|_| steps.get(&from).is_some_and(|step| *step > 0));
                    prop_assert_eq!(ways.next_hop(from, to), best.map(|link| link.hop_from(from)));
                }
            }
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
