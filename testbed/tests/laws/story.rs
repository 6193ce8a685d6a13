//! Random topologies, and random things that happen to networks on them.

use std::collections::BTreeMap;

use controller::graph::{Graph, Link};
use controller::model::{Encap, NetworkId, Place};
use openflow::{DatapathId, MacAddr, PortNo};
use proptest::prelude::*;
use proptest::sample::Index;

/// Host ports of each switch: 1 to this.
pub const PORTS: u32 = 3;
/// Trunks have port numbers from here on.
const TRUNKS: usize = 100;
/// MACs that hosts use; several networks have hosts of the same.
pub const MACS: u8 = 4;

/// Switches 1 to `switches`, and links of which some may be parallel.
#[derive(Clone, Debug)]
pub struct Plan {
    pub switches: u64,
    pub links: Vec<Link>,
    pub networks: Vec<NetworkId>,
}

impl Plan {
    pub fn ids(&self) -> impl Iterator<Item = DatapathId> + use<> {
        (1..=self.switches).map(DatapathId)
    }

    pub fn graph(&self, up: &[bool]) -> Graph {
        let links = self.links.iter().zip(up).filter(|(_, up)| **up).map(|(link, _)| *link);
        Graph::new(self.ids(), links)
    }
}

/// Something that happens. Networks are meant by index.
#[derive(Clone, Debug)]
pub enum Event {
    /// A port joins a network, leaving the one it was in.
    Attach(Place, usize),
    /// A port leaves its network.
    Detach(Who),
    /// A host with this source speaks at a port.
    Speak(Who, MacAddr),
    /// A host is declared at a port.
    Declare(Who, MacAddr),
    /// A host was silent for too long.
    Forget(usize, MacAddr),
    /// A link goes, of those that are there; true: behind its ports, which stay up.
    Cut(Index, bool),
    /// A link comes back, of those that are gone.
    Mend(Index),
}

/// A port.
#[derive(Clone, Debug)]
pub enum Who {
    /// Some port that is in a network, if there is any.
    Member(Index),
    /// This one, whatever it is.
    Port(Place),
}

impl Who {
    pub fn among(&self, members: &BTreeMap<Place, usize>) -> Option<Place> {
        match self {
            Self::Port(place) => Some(*place),
            Self::Member(at) => (!members.is_empty())
                .then(|| at.index(members.len()))
                .and_then(|nth| members.keys().nth(nth).copied()),
        }
    }
}

/// What happens at once; then the controller catches up.
pub type Round = Vec<Event>;

#[derive(Clone, Debug)]
pub struct Story {
    pub plan: Plan,
    pub rounds: Vec<Round>,
    /// Chooses the order of whatever may happen in any order.
    pub seed: u64,
}

pub fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

/// All MACs that hosts use, and one that nobody has.
pub fn macs() -> impl Iterator<Item = MacAddr> {
    (0..=MACS).map(mac)
}

fn plan() -> impl Strategy<Value = Plan> {
    let id = prop_oneof![
        3 => 1..=NetworkId::MAX_VLAN,
        1 => NetworkId::MAX_VLAN + 1..=NetworkId::MAX,
    ];
    let ids = prop::collection::btree_set(id, 1..=3);
    (2u64..=12, ids).prop_flat_map(|(switches, ids)| {
        // Mostly one piece, with rings and parallel links; sometimes islands.
        let trunk = (any::<Index>(), any::<bool>(), prop::bool::weighted(0.95));
        let tree = prop::collection::vec(trunk, switches as usize - 1);
        let more = prop::collection::vec((0..switches, 0..switches, any::<bool>()), 0..8);
        (tree, more).prop_map(move |(tree, more)| {
            let tree = (1..switches).zip(tree).filter(|(_, (.., there))| *there);
            let tree = tree.map(|(b, (a, tunnel, _))| (a.index(b as usize) as u64, b, tunnel));
            let ends = tree.chain(more.into_iter().filter(|(a, b, _)| a != b)).enumerate();
            let place =
                |switch, n: usize| Place::new(DatapathId(switch + 1), PortNo((TRUNKS + n) as u32));
            let links = ends.map(|(n, (a, b, tunnel))| {
                let encap = if tunnel { Encap::TunId } else { Encap::Vlan };
                Link::new(place(a, n), place(b, n), encap)
            });
            let networks = ids.iter().filter_map(|id| NetworkId::new(*id)).collect();
            Plan { switches, links: links.collect(), networks }
        })
    })
}

fn event(plan: &Plan, cuts: bool) -> impl Strategy<Value = Event> + use<> {
    let (switches, links, networks) = (plan.switches, plan.links.len(), plan.networks.len());
    let place =
        move || (1..=switches, 1..=PORTS).prop_map(|(s, p)| Place::new(DatapathId(s), PortNo(p)));
    let who = move || {
        prop_oneof![
            8 => any::<Index>().prop_map(Who::Member),
            1 => place().prop_map(Who::Port),
        ]
    };
    let host = || (0..MACS).prop_map(mac);
    let cuts = if cuts && links > 0 { 4 } else { 0 };
    prop_oneof![
        6 => (place(), 0..networks).prop_map(|(place, net)| Event::Attach(place, net)),
        2 => who().prop_map(Event::Detach),
        8 => (who(), host()).prop_map(|(who, mac)| Event::Speak(who, mac)),
        1 => (who(), host()).prop_map(|(who, mac)| Event::Declare(who, mac)),
        1 => (0..networks, host()).prop_map(|(net, mac)| Event::Forget(net, mac)),
        cuts => (any::<Index>(), any::<bool>()).prop_map(|(link, silent)| Event::Cut(link, silent)),
        cuts => any::<Index>().prop_map(Event::Mend),
    ]
}

/// A first round fills the networks; more follow.
pub fn story(cuts: bool) -> impl Strategy<Value = Story> {
    plan().prop_flat_map(move |plan| {
        let (switches, networks) = (plan.switches, plan.networks.len());
        let place =
            (1..=switches, 1..=PORTS).prop_map(|(s, p)| Place::new(DatapathId(s), PortNo(p)));
        let joins = (place, 0..networks).prop_map(|(place, net)| Event::Attach(place, net));
        let first = prop::collection::vec(joins, 2..16);
        let round = prop::collection::vec(event(&plan, cuts), 1..6);
        (Just(plan), first, prop::collection::vec(round, 0..6), any::<u64>()).prop_map(
            |(plan, first, mut rounds, seed)| {
                rounds.insert(0, first);
                Story { plan, rounds, seed }
            },
        )
    })
}
