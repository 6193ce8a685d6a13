//! What random histories found, each as short as could be, in several orders of what is under way at once.

use crate::laws;
use crate::plan::Event::{self, *};
use crate::plan::Plan;
use crate::run::tell;
use crate::world::World;

#[track_caller]
fn tell_often(plan: &Plan, events: &[Event]) {
    for seed in 1..=12 {
        tell(seed, plan.clone(), events);
    }
}

fn ring() -> Plan {
    Plan::of(3, &[(1, 2), (2, 3), (3, 1)])
}

/// No flow there would have told that the host is gone.
#[test]
fn a_host_that_was_learnt_before_its_port_was_enforced_is_forgotten() {
    tell_often(
        &Plan::of(2, &[(1, 2)]),
        &[
            Create,
            Attach(1, 1, 0),
            Attach(1, 2, 0),
            Attach(2, 1, 0),
            Settle,
            Speak(0, 1),
            Settle,
            Enforce(0, 2, true),
            Settle,
            Speak(1, 1),
            Settle,
        ],
    );
}

/// It took one of the few places of the network for as long as the declaration stood.
#[test]
fn a_learnt_host_that_is_declared_leaves_its_place_to_another() {
    tell_often(
        &Plan::of(1, &[]),
        &[
            Create,
            Cap(0, 1),
            Attach(1, 1, 0),
            Attach(1, 2, 0),
            Settle,
            Speak(0, 1),
            Settle,
            Declare(0, 1),
            Settle,
            Speak(1, 2),
            Settle,
        ],
    );
}

/// Two switches are back while a network is deleted, one a little later: the answer that waited for what the first
/// still held didn't count the second.
#[test]
fn who_waits_for_a_change_is_told_of_a_switch_that_came_back_meanwhile() {
    let events = [
        Create,
        Attach(1, 1, 0),
        Attach(2, 1, 0),
        Attach(2, 2, 0),
        Attach(3, 1, 0),
        Settle,
        Away(1, false),
        Away(2, false),
        Settle,
    ];
    tell_often(&ring(), &events);
}

/// A switch that comes back empty gets its ports' lists of what they may send before it opens them.
#[test]
fn an_enforced_port_is_held_to_its_list_from_the_first_frame() {
    tell_often(
        &Plan::of(2, &[(1, 2)]),
        &[
            Create,
            Attach(1, 1, 0),
            Attach(1, 2, 0),
            Attach(2, 1, 0),
            Settle,
            Enforce(0, 0, true),
            Settle,
            Die(1, true),
            Steps(20),
            Revive(1, false),
            Settle,
            Detach(0),
            Settle,
        ],
    );
}

/// The controller starts anew in the middle of a plan. What switches hold that aren't back yet is only assumed, so an
/// edge that would close a loop with what they may hold waits for them.
#[test]
fn a_start_in_the_middle_of_a_plan_closes_no_loop_with_what_was_not_read() {
    let plan = Plan::of(3, &[(1, 2), (2, 3), (3, 1), (2, 3)]);
    let attached = [Create, Attach(1, 1, 0), Attach(2, 1, 0), Attach(3, 1, 0), Settle];
    for (steps, more) in [(16, 11), (16, 10), (14, 12), (18, 9)] {
        let events =
            [Cut(29796, 2), Steps(steps), Mend(16144), Steps(more), Restart, Settle].into_iter();
        let events: Vec<_> = attached.iter().cloned().chain(events).collect();
        for seed in (1..=12).chain([3113]) {
            tell(seed, plan.clone(), &events);
        }
    }
}

/// Of two switches that are away, the first may have taken a trunk to the second that it didn't confirm: the third is
/// joined to one of them only, and holds what it should.
#[test]
fn what_a_switch_may_have_taken_before_it_went_away_is_no_reason_to_wait() {
    tell(
        864,
        Plan::of(3, &[(1, 2), (2, 3), (3, 1), (2, 3)]),
        &[
            Create,
            Attach(1, 1, 0),
            Attach(2, 1, 0),
            Attach(3, 1, 0),
            Settle,
            Away(1, false),
            Cut(11470, 2),
            Cut(30202, 1),
            Cut(1622, 0),
            Settle,
            Mend(25046),
            Away(3, false),
            Mend(60158),
            Settle,
        ],
    );
}

/// Two switches that are away have a link on their tree that is down, and may be up again: the third is joined to one
/// of them only.
#[test]
fn a_link_that_is_down_between_switches_that_are_away_is_reckoned_with() {
    tell(
        22245,
        Plan::of(3, &[(1, 2), (2, 3), (3, 1), (1, 2), (1, 2)]),
        &[
            Create,
            Attach(1, 1, 0),
            Attach(2, 1, 0),
            Attach(3, 1, 0),
            Settle,
            Steps(5),
            Cut(46590, 0),
            Away(1, false),
            Settle,
            HangUp(2),
            Steps(21),
            Mend(59333),
            Steps(6),
            Cut(25093, 0),
            Steps(12),
            Away(2, false),
            Settle,
        ],
    );
}

/// A host speaks at another port just as it runs out at the one where it was: it is known where it spoke.
#[test]
fn a_host_that_runs_out_while_it_is_heard_elsewhere_is_known_there() {
    tell_often(
        &Plan::of(2, &[(1, 2)]),
        &[
            Create,
            Attach(1, 1, 0),
            Attach(2, 1, 0),
            Settle,
            Speak(1, 2),
            Settle,
            Speak(0, 2),
            Silence(2),
            Settle,
        ],
    );
}

/// A flow goes behind the controller's back before its switch has confirmed that it took it: the switch says so, and it
/// is put back long before everything is compared.
#[test]
fn a_flow_that_goes_while_it_is_being_confirmed_is_put_back() {
    for (steps, nth) in (2..6).flat_map(|steps| (4..12).map(move |nth| (steps, nth))) {
        let mut world = World::new(&Plan::of(2, &[(1, 2)]), 7).unwrap();
        let events = [
            Create,
            Attach(1, 1, 0),
            Attach(2, 1, 0),
            Settle,
            Enforce(0, 0, false),
            Steps(steps),
            RemoveFlow(1, nth),
            Wait(2500),
        ];
        for event in events {
            world.happen(event).unwrap();
        }
        if let Err(error) = laws::compare_tables(&mut world) {
            panic!("flow {nth} after {steps} steps: {error}");
        }
    }
}

/// Two hosts run out together. What is done about the first doesn't write the second's flow again, which would swallow
/// what that says next.
#[test]
fn a_flow_that_ran_out_is_not_written_again_by_a_plan_under_way() {
    let quiet =
        [Create, Attach(1, 3, 0), Attach(2, 2, 0), Settle, Speak(1, 3), Speak(1, 2), Settle];
    for steps in (4..24).step_by(2) {
        let events = [Silence(2), Steps(steps), Speak(1, 3), Settle];
        let events: Vec<_> = quiet.into_iter().chain(events).collect();
        for seed in [1, 30881] {
            tell(seed, Plan::of(2, &[(1, 2)]), &events);
        }
    }
}

/// A host is declared where it can't be told to its switch, which is away. Others had learnt it elsewhere: no frame goes
/// there any more, though what leads there from further off is also the way to where it is now.
#[test]
fn who_is_declared_at_a_switch_that_is_away_is_not_sent_to_where_it_was() {
    tell_often(
        &Plan::of(4, &[(1, 2), (2, 3), (2, 4)]),
        &[
            Create,
            Attach(2, 3, 0),
            Attach(4, 2, 0),
            Attach(3, 2, 0),
            Attach(1, 3, 0),
            Settle,
            Speak(1, 3),
            Away(1, false),
            Steps(33),
            Enforce(0, 3, true),
            Settle,
        ],
    );
}

/// A switch acts and confirms nothing. What leaves the network elsewhere doesn't wait for it.
#[test]
fn who_confirms_nothing_holds_up_nobody_else() {
    for seed in 1..=12 {
        let mut world = World::new(&ring(), seed).unwrap();
        let events = [
            Create,
            Attach(1, 1, 0),
            Attach(1, 2, 0),
            Attach(2, 1, 0),
            Settle,
            Unconfirming(2),
            Attach(2, 2, 0),
            Steps(40),
            Detach(0),
            Wait(3000),
        ];
        for event in events {
            world.happen(event).unwrap();
        }
        let left = world.flows(1).iter().any(|flow| {
            flow.table_id.0 == 0
                && flow.match_.in_port_field().is_some_and(|field| field.value.0 == 1)
                && flow.match_.vlan_vid_field().is_none()
                && !flow.instructions.is_empty()
                && flow.priority == 200
        });
        assert!(!left, "seed {seed}: the port that left still sends: {:?}", world.flows(1));
        for event in [Mended(2), Settle] {
            world.happen(event).unwrap();
        }
        world.undo().unwrap();
    }
}

/// A switch refuses to let one of its own flows go, and somebody alters that very flow: it goes all the same.
#[test]
fn an_own_flow_that_was_altered_and_is_not_wanted_any_more_goes() {
    let plan = Plan::of(5, &[(1, 2), (1, 3), (2, 4), (3, 5)]);
    let refused = [Create, Settle, Refuse(5, 13056), Steps(14), Attach(5, 2, 1)];
    let altered = [AlterFlow(5, 64380), Steps(32), Settle];
    let events: Vec<_> = refused.into_iter().chain(altered).collect();
    tell(63393, plan, &events);
}
/// A switch dies before it was read by a controller that was started anew: no frame is sent for its hosts where its
/// neighbour says that the port is down.
#[test]
fn what_leads_over_a_port_that_is_down_to_a_switch_that_was_not_read_goes() {
    tell_often(
        &Plan::of(3, &[(1, 2), (1, 3)]),
        &[
            Create,
            Attach(1, 1, 0),
            Attach(2, 1, 0),
            Attach(2, 2, 0),
            Attach(3, 1, 0),
            Settle,
            Speak(1, 1),
            Settle,
            Restart,
            Die(2, true),
            Settle,
        ],
    );
}
