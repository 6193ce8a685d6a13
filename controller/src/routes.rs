//! Which links one network uses: its flood tree, and the shortest ways
//! between its members.
//!
//! Pure. The tree is fixed by the network's id and the topology alone and is
//! then pruned to the switches that have members and those between them, so
//! that attach and detach only graft or prune [design §5]. Ways depend on
//! which switches have members, not on which hosts are known, so that
//! learning a host adds flows to table 2 only.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use openflow::{DatapathId, PortNo};

use crate::graph::{Graph, Hop, Limits};
use crate::model::{Encap, NetworkId};

/// The links a network uses at one switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwitchRoutes {
    /// Trunks on the network's flood tree.
    pub tree: BTreeMap<PortNo, Encap>,
    /// Trunks on which a neighbour may send known unicast to this switch.
    pub known_in: BTreeMap<PortNo, Encap>,
    /// The trunk towards each switch that has members, in their order.
    pub towards: Vec<(DatapathId, Trunk)>,
}

/// A port and how tags are carried there.
type Trunk = (PortNo, Encap);

impl SwitchRoutes {
    /// The trunk towards a switch that has members.
    pub fn towards(&self, switch: DatapathId) -> Option<Trunk> {
        let at = self.towards.binary_search_by_key(&switch, |(towards, _)| *towards).ok()?;
        Some(self.towards[at].1)
    }
}

/// The links a network uses at every switch it touches.
pub type Routes = BTreeMap<DatapathId, SwitchRoutes>;

/// The routes of a network whose members are at these switches. `limits` says
/// of switches that can't be changed which ports they have on its tree.
pub fn routes(
    network: NetworkId,
    members: &BTreeSet<DatapathId>,
    graph: &Graph,
    limits: &Limits,
) -> Routes {
    let mut routes: HashMap<_, SwitchRoutes> = HashMap::new();
    for hop in tree(network, members, graph, limits) {
        routes.entry(hop.from.switch).or_default().tree.insert(hop.from.port, hop.encap);
        routes.entry(hop.to.switch).or_default().tree.insert(hop.to.port, hop.encap);
    }
    let mut ways = graph.ways(network);
    for &destination in members {
        ways.each_hop(members, destination, |hop| {
            let from = routes.entry(hop.from.switch).or_default();
            from.towards.push((destination, (hop.from.port, hop.encap)));
            let to = routes.entry(hop.to.switch).or_default();
            to.known_in.insert(hop.to.port, hop.encap);
        });
    }
    routes.into_iter().collect()
}

/// The hops of the pruned tree, each leading rootwards.
fn tree(
    network: NetworkId,
    members: &BTreeSet<DatapathId>,
    graph: &Graph,
    limits: &Limits,
) -> Vec<Hop> {
    let hops = graph.tree(network, members, limits);
    let mut up: BTreeMap<DatapathId, Hop> =
        hops.into_iter().map(|hop| (hop.from.switch, hop)).collect();
    let mut down: BTreeMap<DatapathId, Vec<DatapathId>> = BTreeMap::new();
    for hop in up.values() {
        down.entry(hop.to.switch).or_default().push(hop.from.switch);
    }
    // Near a root there may be a stem that leads to one branch only.
    let roots: Vec<_> = down.keys().filter(|switch| !up.contains_key(switch)).copied().collect();
    for root in roots {
        let mut at = root;
        while !members.contains(&at)
            && let Some([only]) = down.get(&at).map(Vec::as_slice)
        {
            up.remove(only);
            at = *only;
        }
    }
    up.into_values().collect()
}

#[cfg(test)]
mod tests {
    use openflow::PortNo;
    use petgraph::unionfind::UnionFind;
    use proptest::prelude::*;

    use super::*;
    use crate::graph::Link;
    use crate::model::Place;

    fn network(id: u32) -> NetworkId {
        NetworkId::new(id).unwrap()
    }

    fn links(pairs: &[(u64, u64)]) -> Vec<Link> {
        let end = |switch, n: usize| Place::new(DatapathId(switch), PortNo(n as u32 + 1));
        let each = pairs.iter().enumerate();
        each.map(|(n, (a, b))| Link::new(end(*a, n), end(*b, n), Encap::Vlan)).collect()
    }

    fn members(switches: &[u64]) -> BTreeSet<DatapathId> {
        switches.iter().copied().map(DatapathId).collect()
    }

    #[test]
    fn a_leaf_without_members_is_pruned_and_a_switch_between_is_not() {
        let graph = Graph::new((1..=4).map(DatapathId), links(&[(1, 2), (2, 3), (3, 4)]));
        for id in 1..50 {
            let routes = routes(network(id), &members(&[1, 3]), &graph, &Limits::new());
            assert_eq!(routes.keys().map(|s| s.0).collect::<Vec<_>>(), [1, 2, 3]);
            assert_eq!(routes[&DatapathId(2)].tree.len(), 2);
        }
    }

    #[test]
    fn one_member_switch_uses_no_link() {
        let graph = Graph::new((1..=3).map(DatapathId), links(&[(1, 2), (2, 3), (3, 1)]));
        assert!(routes(network(7), &members(&[2]), &graph, &Limits::new()).is_empty());
    }

    proptest! {
        /// On any topology the tree joins exactly the members that can reach
        /// each other, has no loop and no useless leaf; and it is part of the
        /// tree of any larger set of members.
        #[test]
        fn trees_are_trees_and_only_grow(
            pairs in prop::collection::vec((0u64..8, 0u64..8), 0..16),
            some in prop::collection::btree_set(0u64..8, 0..8),
            more in prop::collection::btree_set(0u64..8, 0..8),
            id in 1u32..2000,
        ) {
            let links: Vec<_> = links(&pairs).into_iter().filter(|l| l.a.switch != l.b.switch).collect();
            let graph = Graph::new((0..8).map(DatapathId), links.clone());
            let few: BTreeSet<_> = some.iter().copied().map(DatapathId).collect();
            let many: BTreeSet<_> = some.union(&more).copied().map(DatapathId).collect();
            let small = tree(network(id), &few, &graph, &Limits::new());
            let large = tree(network(id), &many, &graph, &Limits::new());
            prop_assert!(small.iter().all(|hop| large.contains(hop)));

            let mut in_tree = UnionFind::<usize>::new(8);
            for hop in &small {
                prop_assert!(in_tree.union(hop.from.switch.0 as usize, hop.to.switch.0 as usize), "a loop");
            }
            let mut reachable = UnionFind::<usize>::new(8);
            for link in &links {
                reachable.union(link.a.switch.0 as usize, link.b.switch.0 as usize);
            }
            for a in &few { for b in &few {
                let (a, b) = (a.0 as usize, b.0 as usize);
                prop_assert_eq!(in_tree.equiv(a, b), reachable.equiv(a, b));
            } }
            let degree = |s: DatapathId| small.iter().filter(|h| h.from.switch == s || h.to.switch == s).count();
            for n in 0..8 {
                prop_assert!(degree(DatapathId(n)) != 1 || few.contains(&DatapathId(n)), "a useless leaf");
            }
        }
    }
}
