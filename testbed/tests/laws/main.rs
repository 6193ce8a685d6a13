//! The laws of virtual networks, on embedded switches that forward real frames
//! and take real OpenFlow messages: random topologies of up to twelve switches,
//! VLAN and tunnel trunks mixed, several networks at once, and a random history.
//!
//! - Whenever the controller has caught up, every frame reaches exactly whom it
//!   is for, once, and the switches hold exactly what was desired.
//! - On the way there, in whatever order between barriers the switches act, no
//!   frame loops, arrives twice or reaches another network; and while the
//!   topology stands, no unicast between two hosts that both stay is lost.
//!
//! `PROPTEST_CASES` says how many histories are tried.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should stop")]

mod frames;
mod story;
mod world;

use proptest::prelude::*;
use proptest::test_runner::Config;
use story::{Event, Story};
use world::{Failure, World, fail};

fn config() -> Config {
    let cases =
        if std::env::var_os("PROPTEST_CASES").is_some() { Config::default().cases } else { 96 };
    Config { cases, max_shrink_iters: 400, max_shrink_time: 60_000, ..Config::default() }
}

fn tell(story: &Story) -> Result<(), Failure> {
    let mut world = World::new(&story.plan, story.seed);
    let fresh = world.fabric.tables();
    for round in &story.rounds {
        // What a host says is heard in a settled world.
        for event in round {
            if let Event::Speak(who, mac) = event
                && let Some(place) = who.among(&world.wish.members)
            {
                let old = world.wish.clone();
                frames::speak(&mut world, place, *mac)?;
                catch_up(&mut world, &old)?;
            }
        }
        let old = world.wish.clone();
        for event in round {
            world.happen(event)?;
        }
        catch_up(&mut world, &old)?;
    }
    let old = world.wish.clone();
    world.wish.members.clear();
    world.wish.hosts.clear();
    catch_up(&mut world, &old)?;
    if world.fabric.tables() != fresh {
        return Err(fail(format!("when all is gone there is left:\n{}", world.fabric.tables())));
    }
    Ok(())
}

/// From one wish to the one that the world has now.
fn catch_up(world: &mut World, old: &world::Wish) -> Result<(), Failure> {
    let new = world.wish.clone();
    let steady = old.up == new.up;
    world.settle(|world| frames::look(world, old, &new, steady))?;
    world.compare_tables()?;
    frames::exact(world)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn networks_come_and_go_while_the_topology_stands(story in story::story(false)) {
        tell(&story)?;
    }

    #[test]
    fn networks_come_and_go_while_links_do(story in story::story(true)) {
        tell(&story)?;
    }
}
