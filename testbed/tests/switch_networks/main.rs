//! Networks on embedded switches: compile, diff, plan and lower, and then what frames really do.
//!
//! The pure functions alone, without the engine around them (that is `laws`): a failure here is theirs, and a case
//! takes a twentieth of a second.
//!
//! Random topologies of up to 12 switches with rings and parallel links, VLAN and tunnel-key trunks; several networks
//! whose ports and hosts change at random, in one step or another. Between any two phases, with any part of a phase's
//! switches done, no frame may loop, be delivered twice, be altered, or reach another network; and while the topology
//! stands, no unicast between hosts that stay is lost. After each step frames reach exactly whom they should, and what
//! the switches report is what was desired. When all is deleted, the switches hold what they held at the start.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod apply;
mod judge;
mod world;

use std::collections::BTreeMap;

use apply::Lab;
use proptest::prelude::*;
use world::{Topology, World};

/// Random histories of each test; `ISOLANE_CASES` for more.
const CASES: u32 = 30;

fn config() -> ProptestConfig {
    let cases =
        std::env::var("ISOLANE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES);
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    }
}

fn run(topology: &Topology, worlds: &[World], seed: u64) -> Result<(), TestCaseError> {
    let mut lab = Lab::new(topology, seed);
    let start = lab.fabric.tables();
    let mut old = World::empty(worlds[0].up.clone());
    for world in worlds {
        let new = world.after(&old);
        lab.set_links(&new.up);
        lab.change(&old, &new)?;
        judge::settled(&mut lab, &new)?;
        old = new;
    }
    let empty = World::empty(old.up.clone());
    lab.change(&old, &empty)?;
    prop_assert_eq!(lab.fabric.tables(), start, "something was left behind");
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn networks_stay_whole_and_apart_while_they_change(
        (topology, worlds) in world::histories(false), seed in any::<u64>(),
    ) {
        run(&topology, &worlds, seed)?;
    }

    #[test]
    fn networks_stay_whole_and_apart_while_links_come_and_go(
        (topology, worlds) in world::histories(true), seed in any::<u64>(),
    ) {
        run(&topology, &worlds, seed)?;
    }
}

/// A ring of three, two networks, each with a host at each switch: the plainest case, to see that the test sees.
#[test]
fn the_plainest_ring_works_and_a_wrong_flow_is_noticed() {
    let topology = Topology::ring(3);
    let world = World {
        up: vec![true; 3],
        ports: (1..=3).flat_map(|switch| [((switch, 1), 0), ((switch, 2), 1)]).collect(),
        hosts: BTreeMap::from([
            ((0, 1), ((1, 1), true)),
            ((0, 2), ((2, 1), false)),
            ((1, 1), ((3, 2), true)),
        ]),
    };
    let mut lab = Lab::new(&topology, 1);
    lab.change(&World::empty(world.up.clone()), &world).unwrap();
    judge::settled(&mut lab, &world).unwrap();
    // One flow of network 0 leads into network 1: the judge must see it.
    let leak = openflow::FlowMod::add(2)
        .priority(60_000)
        .matching(openflow::Match::new().in_port(1))
        .instruction(openflow::Instruction::apply([openflow::Action::output(2)]));
    assert_eq!(lab.fabric.request(1, leak), []);
    assert!(judge::settled(&mut lab, &world).is_err());
}
