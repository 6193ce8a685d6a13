//! What the switches hold, as far as they confirmed it.
//!
//! A mirror of every slice on every switch, those that are away included, and
//! an index by port: a port serves one network, or is a trunk, at a time; who
//! wants it next waits until every switch has confirmed that it is free.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use openflow::{DatapathId, PortNo};

use crate::lift::Stray;
use crate::model::{NetworkId, Place};
use crate::slice::{Out, Slice};

/// One network on one switch.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// What is confirmed.
    pub slice: Slice,
    /// What was sent and isn't confirmed yet, or never will be: until the
    /// switch is read again it may hold either.
    pub sent: Option<Slice>,
    /// The switch holds something in this network's name that isn't what a
    /// slice would be (flows altered or lost behind our back): everything is
    /// written anew, and what doesn't belong is removed.
    pub damaged: bool,
    /// Flows in this network's name that belong to no slice.
    pub strays: Vec<Stray>,
}

impl Held {
    /// What plans of other switches reckon with. Where something was sent and
    /// isn't confirmed, the switch may do either: nobody builds on a host's
    /// flow, or a tag's acceptance, that may have become different; and a flood
    /// may cross what was as well as what was to be.
    pub fn as_reckoned_with(&self) -> Slice {
        let mut slice = self.slice.clone();
        if let Some(sent) = &self.sent {
            slice.hosts.retain(|mac, out| sent.hosts.get(mac) == Some(out));
            slice.known_in.retain(|port, encap| sent.known_in.get(port) == Some(encap));
            slice.flood_out.extend(&sent.flood_out);
            for (port, encap) in &sent.flood_in {
                slice.flood_in.entry(*port).or_insert(*encap);
            }
        }
        slice
    }

    fn is_empty(&self) -> bool {
        self.slice.is_empty() && self.sent.as_ref().is_none_or(Slice::is_empty) && !self.damaged
    }

    fn edge_ports(&self) -> BTreeSet<PortNo> {
        let sent = self.sent.iter().flat_map(Slice::edge_ports);
        self.slice.edge_ports().into_iter().chain(sent).collect()
    }

    fn trunk_ports(&self) -> BTreeSet<PortNo> {
        let sent = self.sent.iter().flat_map(Slice::trunk_ports);
        self.slice.trunk_ports().into_iter().chain(sent).collect()
    }
}

/// The mirror.
#[derive(Debug, Default)]
pub struct Installed {
    networks: BTreeMap<NetworkId, BTreeMap<DatapathId, Held>>,
    /// The same by switch.
    on: HashMap<DatapathId, BTreeSet<NetworkId>>,
    /// The networks that hold a port as their own.
    edges: HashMap<Place, BTreeSet<NetworkId>>,
    /// How many networks use a port as a trunk.
    trunks: HashMap<Place, usize>,
}

impl Installed {
    /// What one switch holds for one network.
    pub fn get(&self, network: NetworkId, switch: DatapathId) -> Option<&Held> {
        self.networks.get(&network)?.get(&switch)
    }

    /// What every switch holds for one network.
    pub fn of(&self, network: NetworkId) -> impl Iterator<Item = (DatapathId, &Held)> {
        self.networks.get(&network).into_iter().flatten().map(|(switch, held)| (*switch, held))
    }

    /// Networks of which this switch holds anything.
    pub fn networks_on(&self, switch: DatapathId) -> Vec<NetworkId> {
        self.on.get(&switch).into_iter().flatten().copied().collect()
    }

    /// Networks that use a port as a trunk.
    pub fn using_trunk(&self, place: Place) -> Vec<NetworkId> {
        let uses = |slice: &Slice| {
            let mut outs = slice.hosts.values().chain(&slice.flood_out);
            slice.flood_in.contains_key(&place.port)
                || slice.known_in.contains_key(&place.port)
                || outs.any(|out| matches!(out, Out::Trunk(port, _) if *port == place.port))
        };
        let using = |id: &NetworkId| {
            self.get(*id, place.switch)
                .is_some_and(|held| uses(&held.slice) || held.sent.as_ref().is_some_and(uses))
        };
        self.on.get(&place.switch).into_iter().flatten().copied().filter(using).collect()
    }

    /// Whether any switch may still hold anything of a network: its id, tags
    /// and group can't be another's yet.
    pub fn holds(&self, network: NetworkId) -> bool {
        self.networks.contains_key(&network)
    }

    /// Switches that may still hold anything of a network.
    pub fn holders(&self, network: NetworkId) -> Vec<DatapathId> {
        self.of(network).map(|(switch, _)| switch).collect()
    }

    /// Sets what a switch holds for a network. Returns the places that no
    /// network and no trunk uses any more.
    pub fn set(&mut self, network: NetworkId, switch: DatapathId, held: Held) -> BTreeSet<Place> {
        let place = |port| Place::new(switch, port);
        let (new_edges, new_trunks) = (held.edge_ports(), held.trunk_ports());
        let switches = self.networks.entry(network).or_default();
        let old =
            if held.is_empty() { switches.remove(&switch) } else { switches.insert(switch, held) };
        let holds = switches.contains_key(&switch);
        if switches.is_empty() {
            self.networks.remove(&network);
        }
        if holds {
            self.on.entry(switch).or_default().insert(network);
        } else if let Some(networks) = self.on.get_mut(&switch) {
            networks.remove(&network);
            if networks.is_empty() {
                self.on.remove(&switch);
            }
        }
        let old = old.unwrap_or_default();
        let mut freed = BTreeSet::new();
        for port in old.edge_ports().difference(&new_edges) {
            if let Some(networks) = self.edges.get_mut(&place(*port)) {
                networks.remove(&network);
                if networks.is_empty() {
                    self.edges.remove(&place(*port));
                    freed.insert(place(*port));
                }
            }
        }
        for port in &new_edges {
            self.edges.entry(place(*port)).or_default().insert(network);
        }
        let old_trunks = old.trunk_ports();
        for port in old_trunks.difference(&new_trunks) {
            if let Some(count) = self.trunks.get_mut(&place(*port)) {
                *count -= 1;
                if *count == 0 {
                    self.trunks.remove(&place(*port));
                    freed.insert(place(*port));
                }
            }
        }
        for port in new_trunks.difference(&old_trunks) {
            *self.trunks.entry(place(*port)).or_default() += 1;
        }
        freed
    }

    /// Drops all that is known of a switch: it is gone for good, or about to
    /// be read anew. Returns the networks concerned.
    pub fn drop_switch(&mut self, switch: DatapathId) -> Vec<NetworkId> {
        let networks = self.networks_on(switch);
        for network in &networks {
            self.set(*network, switch, Held::default());
        }
        networks
    }

    /// Whether a port is free to join a network: no other network's, no trunk's.
    pub fn may_join(&self, place: Place, network: NetworkId) -> bool {
        !self.trunks.contains_key(&place)
            && self.edges.get(&place).is_none_or(|held| held.iter().all(|other| *other == network))
    }

    /// The networks that hold a port as their own.
    pub fn holding(&self, place: Place) -> impl Iterator<Item = &NetworkId> {
        self.edges.get(&place).into_iter().flatten()
    }

    /// Whether any network uses the port as a trunk.
    pub fn is_trunk(&self, place: Place) -> bool {
        self.trunks.contains_key(&place)
    }

    /// Whether a network holds the port as its own.
    pub fn is_edge(&self, place: Place) -> bool {
        self.edges.contains_key(&place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Encap;

    fn slice(edges: &[u32], trunks: &[u32]) -> Slice {
        Slice {
            edges: edges.iter().copied().map(PortNo).collect(),
            flood_in: trunks.iter().map(|port| (PortNo(*port), Encap::Vlan)).collect(),
            ..Slice::default()
        }
    }

    #[test]
    fn a_port_is_free_only_when_confirmed() {
        let (blue, red) = (NetworkId::new(1).unwrap(), NetworkId::new(2).unwrap());
        let (switch, place) = (DatapathId(1), Place::new(DatapathId(1), PortNo(3)));
        let mut installed = Installed::default();
        let sent = Held { sent: Some(slice(&[3], &[])), ..Held::default() };
        installed.set(blue, switch, sent);
        assert!(!installed.may_join(place, red) && installed.may_join(place, blue));
        let leaving =
            Held { slice: slice(&[3], &[]), sent: Some(slice(&[], &[])), ..Held::default() };
        assert!(installed.set(blue, switch, leaving).is_empty());
        assert!(!installed.may_join(place, red), "sent isn't confirmed");
        assert_eq!(installed.set(blue, switch, Held::default()), BTreeSet::from([place]));
        assert!(installed.may_join(place, red) && !installed.holds(blue));
    }

    /// A ring of three: a tree edge moved away from between 2 and 3, and 1
    /// went before it confirmed its new edge. Whether it has it or not, the old
    /// edge comes back only once the new one's other end is gone.
    #[test]
    fn an_edge_that_may_have_been_added_is_reckoned_with() {
        use crate::plan::{Peers, State, plan};

        let ends = [((1, 2), (2, 1)), ((2, 3), (3, 2)), ((3, 1), (1, 3))];
        let place = |(switch, port)| Place::new(DatapathId(switch), PortNo(port));
        let peers: BTreeMap<_, _> = ends
            .iter()
            .flat_map(|(a, b)| [(place(*a), place(*b)), (place(*b), place(*a))])
            .collect();
        let tree = |trunks: &[u32]| Slice {
            flood_in: trunks.iter().map(|port| (PortNo(*port), Encap::Vlan)).collect(),
            flood_out: trunks.iter().map(|port| Out::Trunk(PortNo(*port), Encap::Vlan)).collect(),
            ..Slice::default()
        };
        let gone = Held { slice: tree(&[2]), sent: Some(tree(&[2, 3])), ..Held::default() };
        let state = |installed, desired, live| State { installed, desired, live, assumed: false };
        let mut switches = BTreeMap::from([
            (DatapathId(1), state(gone.as_reckoned_with(), tree(&[2]), false)),
            (DatapathId(2), state(tree(&[1]), tree(&[1, 3]), true)),
            (DatapathId(3), state(tree(&[1]), tree(&[2]), true)),
        ]);
        let phases = plan(&switches, &peers as &dyn Peers);
        let first = &phases[0];
        assert!(!first.contains_key(&DatapathId(2)), "{first:?}");
        assert_eq!(first[&DatapathId(3)], tree(&[]), "the edge to 1 goes first");
        for phase in phases {
            for (switch, slice) in phase {
                switches.get_mut(&switch).unwrap().installed = slice;
            }
        }
        assert!(switches.values().all(|state| !state.live || state.installed == state.desired));
    }

    #[test]
    fn a_trunk_is_free_when_the_last_network_leaves_it() {
        let (blue, red) = (NetworkId::new(1).unwrap(), NetworkId::new(2).unwrap());
        let (switch, place) = (DatapathId(1), Place::new(DatapathId(1), PortNo(9)));
        let mut installed = Installed::default();
        for network in [blue, red] {
            installed.set(network, switch, Held { slice: slice(&[], &[9]), ..Held::default() });
        }
        assert!(installed.set(blue, switch, Held::default()).is_empty());
        assert!(!installed.may_join(place, blue));
        assert_eq!(installed.set(red, switch, Held::default()), BTreeSet::from([place]));
    }
}
