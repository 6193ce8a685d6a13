//! Nothing freed is used again while a switch that is away may still hold it.

use crate::plan::Event::{self, *};
use crate::plan::Plan;
use crate::world::World;

/// Two switches, and network 1 with ports on both.
fn world() -> World {
    let mut world = World::new(&Plan::of(2, &[(1, 2)]), 7).unwrap();
    happen(&mut world, &[Create, Attach(1, 1, 0), Attach(2, 1, 0), Settle]);
    world
}

#[track_caller]
fn happen(world: &mut World, events: &[Event]) {
    for event in events {
        if let Err(error) = world.happen(*event) {
            panic!("{event:?}: {error}");
        }
    }
}

#[test]
fn an_id_with_its_tags_and_group_waits_for_the_switch_that_is_away() {
    let mut world = world();
    happen(
        &mut world,
        &[Away(2, false), Delete(0), Create, Attach(1, 1, 0), Attach(1, 2, 0), Settle],
    );
    // What network 2 floods would leave port 1 of the second switch if it had network 1's tags.
    assert_eq!(world.ids(), [2]);
    happen(&mut world, &[Back(2), Settle]);
    assert_eq!(world.next_id(), Ok(1), "the second switch has confirmed that nothing is left");
}

#[test]
fn a_controller_started_anew_does_not_give_away_what_a_switch_still_holds() {
    let mut world = world();
    happen(&mut world, &[Away(2, false), Create, Delete(0), Settle]);
    happen(&mut world, &[Back(2), Restart, Settle]);
    assert_eq!(world.next_id(), Ok(1));
    world.undo().unwrap();
}

#[test]
fn a_forgotten_switch_frees_what_it_held() {
    let mut world = world();
    happen(&mut world, &[Die(2, true), Wait(4000), Delete(0), Create, Settle]);
    assert_eq!(world.ids(), [2]);
    happen(&mut world, &[Forget(2), Wait(100)]);
    assert_eq!(world.next_id(), Ok(1));
    happen(&mut world, &[Revive(2, true), Settle]);
    world.undo().unwrap();
}

#[test]
fn a_port_joins_its_next_network_only_when_it_has_left_the_last() {
    let mut world = world();
    happen(&mut world, &[Create, Attach(1, 2, 1), Away(2, false), Attach(2, 1, 1), Settle]);
    // It still is where it was, and nowhere else: the laws hold, and it comes over once its switch is back.
    happen(&mut world, &[Back(2), Settle]);
    world.undo().unwrap();
}
