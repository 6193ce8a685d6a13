//! The laws of `plan`, on random topologies and histories: between any two
//! phases, with any subset of a phase's switches done, no frame loops, arrives
//! twice or leaves its network's ports, and no unicast between two hosts that
//! both stay is lost while the topology stands. At the end every switch that
//! answers holds what was desired.
//!
//! Slices are interpreted here as they are; that flows and groups mean the
//! same is the business of the tests on embedded switches.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use controller::compile::{Host, Member, Network, compile_all};
use controller::graph::{Graph, Limit, Link};
use controller::model::{Encap, NetworkId, Place};
use controller::plan::{State, plan};
use controller::routes::routes;
use controller::slice::{Out, Slice};
use openflow::{DatapathId, MacAddr, PortNo};
use proptest::prelude::*;

type Slices = BTreeMap<DatapathId, Slice>;
type PeerMap = BTreeMap<Place, Place>;

enum Arrival {
    Edge,
    Known(Encap),
    Flood(Encap),
}

/// Where a frame that enters at `from` is delivered; `None` if it never ends.
fn deliver(
    slices: &Slices,
    peers: &PeerMap,
    from: Place,
    to: Option<MacAddr>,
) -> Option<Vec<Place>> {
    let mut delivered = Vec::new();
    let mut queue = VecDeque::from([(from, Arrival::Edge)]);
    let mut steps = 0;
    while let Some((at, arrival)) = queue.pop_front() {
        steps += 1;
        if steps > 500 {
            return None;
        }
        let Some(slice) = slices.get(&at.switch) else { continue };
        let host = to.and_then(|mac| slice.hosts.get(&mac).copied());
        let (outs, known): (Vec<Out>, bool) = match arrival {
            Arrival::Edge if !slice.edges.contains(&at.port) => continue,
            Arrival::Edge => match host {
                Some(out) => (vec![out], true),
                None => (slice.flood_out.iter().copied().collect(), false),
            },
            Arrival::Known(encap) if slice.known_in.get(&at.port) == Some(&encap) => {
                (host.into_iter().collect(), true)
            }
            Arrival::Flood(encap) if slice.flood_in.get(&at.port) == Some(&encap) => {
                (slice.flood_out.iter().copied().collect(), false)
            }
            Arrival::Known(_) | Arrival::Flood(_) => continue,
        };
        for out in outs.into_iter().filter(|out| out.port() != at.port) {
            match out {
                Out::Edge(port) => delivered.push(Place::new(at.switch, port)),
                Out::Trunk(port, encap) => {
                    let arrival = if known { Arrival::Known(encap) } else { Arrival::Flood(encap) };
                    let peer = peers.get(&Place::new(at.switch, port));
                    queue.extend(peer.map(|peer| (*peer, arrival)));
                }
            }
        }
    }
    Some(delivered)
}

/// One state of the world: which links are up, who is a member, which hosts are known where.
#[derive(Clone, Debug)]
struct World {
    up: Vec<bool>,
    members: BTreeSet<Place>,
    hosts: BTreeMap<MacAddr, Place>,
    /// Of the hosts, those that the controller knows.
    known: BTreeSet<MacAddr>,
}

#[derive(Clone, Debug)]
struct Fabric {
    switches: u64,
    links: Vec<Link>,
}

fn fabric() -> impl Strategy<Value = Fabric> {
    (2u64..=12).prop_flat_map(|switches| {
        let pair = (0..switches, 0..switches, any::<bool>());
        prop::collection::vec(pair, 1..24).prop_map(move |pairs| {
            let ends = pairs.into_iter().filter(|(a, b, _)| a != b).enumerate();
            let place =
                |switch, n: usize| Place::new(DatapathId(switch + 1), PortNo(100 + n as u32));
            let links = ends.map(|(n, (a, b, tunnel))| {
                let encap = if tunnel { Encap::TunId } else { Encap::Vlan };
                Link::new(place(a, n), place(b, n), encap)
            });
            Fabric { switches, links: links.collect() }
        })
    })
}

const PORTS: u32 = 3;

fn worlds(fabric: &Fabric, cut: bool) -> impl Strategy<Value = Vec<World>> + use<> {
    let places: Vec<_> = (1..=fabric.switches)
        .flat_map(|s| (1..=PORTS).map(move |p| Place::new(DatapathId(s), PortNo(p))))
        .collect();
    let links = fabric.links.len();
    let up = prop::collection::vec(
        if cut { prop::bool::weighted(0.7).boxed() } else { Just(true).boxed() },
        links,
    );
    let all = places.len();
    let world = (
        up,
        prop::sample::subsequence(places, 0..=all.min(10)),
        prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..6),
    );
    let world = world.prop_map(|(up, members, hosts)| {
        let mut world = World {
            up,
            members: members.iter().copied().collect(),
            hosts: BTreeMap::new(),
            known: BTreeSet::new(),
        };
        for (n, (at, known)) in hosts.into_iter().enumerate() {
            if members.is_empty() {
                break;
            }
            let mac = MacAddr([2, 0, 0, 0, 0, n as u8]);
            world.hosts.insert(mac, *at.get(&members));
            if known {
                world.known.insert(mac);
            }
        }
        world
    });
    prop::collection::vec(world, 1..6)
}

fn network(world: &World) -> Network {
    let mut network = Network {
        id: NetworkId::new(7).unwrap(),
        members: BTreeMap::new(),
        hosts: BTreeMap::new(),
        full: false,
        muted: BTreeSet::new(),
    };
    for place in &world.members {
        network.members.entry(place.switch).or_default().insert(place.port, Member::default());
    }
    for mac in &world.known {
        network.hosts.insert(*mac, Host { place: world.hosts[mac], learnt: true });
    }
    network
}

/// Checks all laws in one state that may occur on the way from `old` to `new`.
fn check(
    slices: &Slices,
    peers: &PeerMap,
    old: &World,
    new: &World,
    kept: &BTreeSet<Place>,
    steady: bool,
) -> Result<(), TestCaseError> {
    let either: BTreeSet<_> = old.members.union(&new.members).chain(kept).copied().collect();
    let macs: BTreeSet<_> = old.hosts.keys().chain(new.hosts.keys()).copied().collect();
    for from in &either {
        for to in macs.iter().copied().map(Some).chain([None]) {
            let Some(mut delivered) = deliver(slices, peers, *from, to) else {
                return Err(TestCaseError::fail(format!(
                    "a frame from {from} to {to:?} never ends"
                )));
            };
            delivered.sort();
            let count = delivered.len();
            delivered.dedup();
            prop_assert_eq!(
                count,
                delivered.len(),
                "a frame from {} to {:?} arrives twice",
                from,
                to
            );
            prop_assert!(delivered.iter().all(|place| either.contains(place)));
            let stays = |place: &Place| old.members.contains(place) && new.members.contains(place);
            let Some(mac) = to else { continue };
            let same_place =
                old.hosts.get(&mac).filter(|place| new.hosts.get(&mac) == Some(*place));
            if let Some(place) =
                same_place.filter(|place| steady && stays(place) && stays(from) && *place != from)
            {
                prop_assert!(
                    delivered.contains(place),
                    "unicast {} to {} at {} is lost",
                    from,
                    mac,
                    place
                );
            }
        }
    }
    Ok(())
}

fn graph(fabric: &Fabric, up: &[bool]) -> Graph {
    let links = |whole: bool| {
        let such = fabric.links.iter().zip(up).filter(move |(_, up)| **up == whole);
        such.map(|(link, _)| *link)
    };
    Graph::new((1..=fabric.switches).map(DatapathId), links(true)).with_dormant(links(false))
}

fn physical(fabric: &Fabric) -> PeerMap {
    fabric.links.iter().flat_map(|link| [(link.a, link.b), (link.b, link.a)]).collect()
}

/// Whether all switches can reach each other; else hosts can't, and nothing is lost.
fn connected(fabric: &Fabric, up: &[bool]) -> bool {
    let graph = graph(fabric, up);
    let id = NetworkId::new(7).unwrap();
    (2..=fabric.switches).all(|s| graph.next_hop(id, DatapathId(s), DatapathId(1)).is_some())
}

/// Members on switches that answer hear each other's floods where links that
/// are up join them, and whoever is away is not needed on the way.
fn check_floods_reach(
    fabric: &Fabric,
    slices: &Slices,
    peers: &PeerMap,
    world: &World,
    gone: &BTreeSet<DatapathId>,
) -> Result<(), TestCaseError> {
    let up = fabric.links.iter().zip(&world.up).filter(|(_, up)| **up).map(|(link, _)| *link);
    let live = up.filter(|link| !gone.contains(&link.a.switch) && !gone.contains(&link.b.switch));
    let graph = Graph::new((1..=fabric.switches).map(DatapathId), live);
    let id = NetworkId::new(7).unwrap();
    for from in world.members.iter().filter(|place| !gone.contains(&place.switch)) {
        let heard = deliver(slices, peers, *from, None).unwrap_or_default();
        for to in world.members.iter().filter(|to| !gone.contains(&to.switch) && *to != from) {
            let joined =
                to.switch == from.switch || graph.next_hop(id, from.switch, to.switch).is_some();
            prop_assert!(!joined || heard.contains(to), "{} does not hear {}", to, from);
        }
    }
    Ok(())
}

fn run(fabric: &Fabric, worlds: &[World], subsets: &[u64], away: u64) -> Result<(), TestCaseError> {
    let peers = physical(fabric);
    let mut slices = Slices::new();
    let mut old = World {
        up: worlds[0].up.clone(),
        members: BTreeSet::new(),
        hosts: BTreeMap::new(),
        known: BTreeSet::new(),
    };
    let mut subsets = subsets.iter().cycle();
    let is_away = |id: DatapathId, round: usize| round > 0 && away & (1 << id.0) != 0;
    // Ports that a switch which is away can't be told to leave.
    let mut kept = BTreeSet::new();
    for (round, new) in worlds.iter().enumerate() {
        let network = network(new);
        let gone: BTreeSet<_> =
            (1..=fabric.switches).map(DatapathId).filter(|id| is_away(*id, round)).collect();
        let graph = graph(fabric, &new.up).avoiding(gone.clone());
        let limits =
            gone.iter().filter_map(|id| Some((*id, Limit::of(slices.get(id)?, None)))).collect();
        let desired =
            compile_all(&network, &routes(network.id, &network.switches(), &graph, &limits));
        let ids: BTreeSet<_> = desired.keys().chain(slices.keys()).copied().collect();
        let state = ids.iter().map(|id| {
            let installed = slices.get(id).cloned().unwrap_or_default();
            let desired = desired.get(id).cloned().unwrap_or_default();
            (*id, State { installed, desired, live: !is_away(*id, round), assumed: false })
        });
        let state: BTreeMap<_, _> = state.collect();
        let steady = away == 0 && old.up == new.up && connected(fabric, &new.up);
        for phase in plan(&state, &peers) {
            for _ in 0..3 {
                let subset = subsets.next().unwrap();
                let mut partly = slices.clone();
                let done = phase.iter().filter(|(id, _)| subset & (1 << id.0) != 0);
                partly.extend(done.map(|(id, slice)| (*id, slice.clone())));
                check(&partly, &peers, &old, new, &kept, steady)?;
            }
            for (id, slice) in phase {
                prop_assert!(state[&id].live, "a switch that is away was changed");
                slices.insert(id, slice);
            }
            check(&slices, &peers, &old, new, &kept, steady)?;
        }
        if away == 0 {
            slices.retain(|_, slice| !slice.is_empty());
            prop_assert_eq!(&slices, &desired);
        }
        // Nothing that a switch should flood by waits for one that is away.
        for (id, State { desired, .. }) in state.iter().filter(|(_, state)| state.live) {
            let held = slices.get(id).cloned().unwrap_or_default();
            prop_assert_eq!(&held.flood_out, &desired.flood_out, "floods out of {}", id);
            prop_assert_eq!(&held.flood_in, &desired.flood_in, "floods into {}", id);
        }
        check(&slices, &peers, new, new, &kept, steady)?;
        check_floods_reach(fabric, &slices, &peers, new, &gone)?;
        kept.extend(new.members.iter().filter(|place| is_away(place.switch, 1)));
        old = new.clone();
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Attach, detach, learn, forget, move.
    #[test]
    fn while_the_topology_stands(
        (fabric, worlds) in fabric().prop_flat_map(|f| { let w = worlds(&f, false); (Just(f), w) }),
        subsets in prop::collection::vec(any::<u64>(), 16),
    ) {
        run(&fabric, &worlds, &subsets, 0)?;
    }

    /// The same while links come and go.
    #[test]
    fn while_links_come_and_go(
        (fabric, worlds) in fabric().prop_flat_map(|f| { let w = worlds(&f, true); (Just(f), w) }),
        subsets in prop::collection::vec(any::<u64>(), 16),
    ) {
        run(&fabric, &worlds, &subsets, 0)?;
    }

    /// The same while some switches forward and don't answer: they are
    /// programmed in a first world, and away from the second on.
    #[test]
    fn while_switches_are_away(
        (fabric, worlds) in fabric().prop_flat_map(|f| { let w = worlds(&f, true); (Just(f), w) }),
        subsets in prop::collection::vec(any::<u64>(), 16),
        away in any::<u64>(), mask in any::<u64>(), one in prop::option::of(1u64..=12),
    ) {
        let away = one.map_or(away & mask, |one| 1 << one);
        run(&fabric, &worlds, &subsets, away)?;
    }
}
