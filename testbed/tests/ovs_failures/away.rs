//! Switches whose control session is gone while they forward, and switches that are dead.

use std::time::Duration;

use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::ovs::{Topology, Trunks};
use testbed::rights::needs_ovs;
use testbed::wait::{Look, until};

use super::pulse::{Beats, pulse};
use super::story::{Checked, Story};

const LIMIT: Duration = Duration::from_secs(60);
/// Traffic is led around a switch that is away for longer than a second.
const SOON: [&str; 2] = ["--switch-away", "1"];

fn wait_for(controller: &Controller, switches: &[&str], connected: bool) -> Checked {
    until("sessions of switches", LIMIT, || {
        let all = controller.switches()?;
        let named = |name: &&str| {
            all.iter().find(|it| it.name.as_ref().is_some_and(|it| it.to_string() == **name))
        };
        let as_wanted = |name: &&str| {
            named(name).is_some_and(|it| it.connected == connected && (it.in_sync || !connected))
        };
        Ok(match switches.iter().all(as_wanted) {
            true => Look::Done(()),
            false => Look::NotYet(format!("{all:#?}")),
        })
    })
}

/// Waits until the log says, once more than `before`, that a switch is led around.
fn wait_until_led_around(controller: &Controller, times: usize) -> Checked {
    until("traffic to be led around", LIMIT, || {
        let said = controller.log().matches("away for long").count();
        Ok(if said >= times { Look::Done(()) } else { Look::NotYet(format!("{said} of {times}")) })
    })
}

/// These switches leave their controller, and are led around. They forward all the time.
fn leave(story: &Story, switches: &[&str], beats: &Beats) -> Checked {
    let before = story.controller.log().matches("away for long").count();
    for switch in switches {
        story.lab.switch(switch)?.leave_controller()?;
    }
    wait_for(&story.controller, switches, false)?;
    wait_until_led_around(&story.controller, before + switches.len())?;
    beats.rounds(25)
}

fn come_back(story: &Story, switches: &[&str], beats: &Beats) -> Checked {
    for switch in switches {
        story.lab.switch(switch)?.join_controller(story.lab.controller_addr())?;
    }
    wait_for(&story.controller, switches, true)?;
    beats.rounds(25)
}

/// Hosts at switches that are away and at all others keep each other's every frame, once, and links fail meanwhile.
fn some_switches_are_away(topology: Topology, away: &[&str], cuts: &[(&str, &str)]) -> Checked {
    let story = Story::begin_with(topology, Trunks::Veth, 3, &SOON)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, blue) = story.red_and_blue()?;
    let healthy = lab.tables()?;
    let groups: [&[&str]; 2] = [&red, &blue];
    let seen = pulse(lab, &groups, |beats| {
        beats.rounds(10)?;
        leave(&story, away, beats)?;
        beats.wait_for_touch(&[0, 1]).map(drop)
    })?;
    seen.tell(&format!("{topology:?}: {away:?} away and led around"));
    seen.nothing_came_twice();
    seen.nothing_leaked(None);

    // They are led around, and that costs nobody anything any more.
    let seen = pulse(lab, &groups, |beats| beats.rounds(25))?;
    seen.nothing_came_twice();
    seen.nothing_leaked(None);
    seen.nothing_was_lost(None);

    // A link elsewhere is cut: there is another way, and it is found.
    for (a, b) in cuts {
        let seen = pulse(lab, &groups, |beats| {
            beats.rounds(5)?;
            lab.cut(a, b)?;
            controller.wait_for_links(lab.links().len() - 1)?;
            beats.wait_for_touch(&[0, 1]).map(drop)
        })?;
        seen.tell(&format!("{topology:?}: {away:?} away, {a}-{b} is cut"));
        seen.nothing_came_twice();
        seen.nothing_leaked(None);
        lab.mend(a, b)?;
        controller.wait_for_links(lab.links().len())?;
    }

    let seen = pulse(lab, &groups, |beats| {
        beats.rounds(10)?;
        come_back(&story, away, beats)?;
        beats.wait_for_touch(&[0, 1]).map(drop)
    })?;
    seen.tell(&format!("{topology:?}: {away:?} back"));
    seen.nothing_came_twice();
    seen.nothing_leaked(None);
    story.floods_reach(&red)?;
    story.unicast_reaches_its_host_only("red", &red)?;
    story.unicast_reaches_its_host_only("blue", &blue)?;
    story.wait_for_tables(&healthy)?;
    assert_eq!(lab.openflow_warnings(), [""; 0]);
    Ok(())
}

#[test]
fn a_switch_that_is_away_in_a_ring_is_led_around() -> Checked {
    if !needs_ovs("a switch that is away in a ring is led around") {
        return Ok(());
    }
    some_switches_are_away(Topology::Ring(4), &["s2"], &[])
}

#[test]
fn adjacent_switches_that_are_away_in_a_ring_are_led_around() -> Checked {
    if !needs_ovs("adjacent switches that are away in a ring are led around") {
        return Ok(());
    }
    some_switches_are_away(Topology::Ring(5), &["s2", "s3"], &[])
}

#[test]
fn switches_that_are_away_in_a_mesh_are_led_around_while_links_fail() -> Checked {
    if !needs_ovs("switches that are away in a mesh are led around while links fail") {
        return Ok(());
    }
    some_switches_are_away(Topology::Mesh(4), &["s1", "s2"], &[("s3", "s4")])
}

/// The number that a network has, and its tags with it.
fn id_of(story: &Story, network: &str) -> Result<u64, LabError> {
    let answer = story.controller.rest().get(&format!("/api/v1/networks/{network}"))?;
    answer.body["id"].as_u64().ok_or_else(|| LabError::Wrong(answer.to_string()))
}

fn delete(story: &Story, path: &str, statuses: &[u16]) -> Checked {
    let answer = story.controller.rest().send("DELETE", path, None)?;
    assert!(statuses.contains(&answer.status), "{path}: {answer}");
    Ok(())
}

/// While s2 is away with its old slices, their network is deleted, and others come and go. Whatever s2 still sends in
/// the dead network's name enters no other one, neither then nor when it is back.
#[test]
fn a_switch_that_comes_back_with_old_slices_lets_nothing_into_another_network() -> Checked {
    if !needs_ovs("a switch that comes back with old slices lets nothing into another network") {
        return Ok(());
    }
    let story = Story::begin_with(Topology::Ring(4), Trunks::Veth, 3, &SOON)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, _) = story.red_and_blue()?;
    let others = story.hosts("h3");
    let old = id_of(&story, "blue")?;
    let s2 = lab.switch("s2")?;
    s2.leave_controller()?;
    wait_for(controller, &["s2"], false)?;
    wait_until_led_around(controller, 1)?;

    // Deleted everywhere but on s2, which says so. The same name again is another network.
    delete(&story, "/api/v1/networks/blue?force=true", &[202])?;
    let fresh: Vec<&str> = others.iter().copied().filter(|host| *host != "s2h3").collect();
    for (network, members) in [("blue", &fresh[..2]), ("green", &fresh[2..])] {
        controller.create_network(network)?;
        members.iter().try_for_each(|host| story.attach(network, host))?;
        assert_ne!(id_of(&story, network)?, old, "{network}: what s2 still holds isn't given out");
        story.floods_reach(members)?;
    }
    // Over and over: the ids that were freed for good may come again, the one that s2 holds doesn't.
    for round in 0..20 {
        let name = format!("n{round}");
        controller.create_network(&name)?;
        assert_ne!(id_of(&story, &name)?, old);
        controller.delete_network(&name, true)?;
    }
    // A port that s2 is to have in green waits for it, and is in blue, alone, until then.
    let answer = controller.try_attach("green", "s2", "s2h3")?;
    assert_eq!((answer.status, answer.text("/state")), (202, "pending"), "{answer}");

    let groups: [&[&str]; 4] = [&red, &fresh[..2], &fresh[2..], &["s2h2"]];
    pulse(lab, &groups, |beats| beats.wait_for_touch(&[0, 1, 2]).map(drop))?.nothing_leaked(None);
    let seen = pulse(lab, &groups, |beats| beats.rounds(25))?;
    seen.nothing_came_twice();
    seen.nothing_leaked(None);
    seen.nothing_was_lost(None);

    let seen = pulse(lab, &groups, |beats| {
        beats.rounds(10)?;
        come_back(&story, &["s2"], beats)?;
        beats.wait_for_touch(&[0, 1, 2]).map(drop)
    })?;
    seen.nothing_came_twice();
    seen.nothing_leaked_but(&[("s2h3", &fresh[2..])]);
    let green: Vec<&str> = fresh[2..].iter().copied().chain(["s2h3"]).collect();
    story.floods_reach(&red)?;
    story.floods_reach(&green)?;
    story.floods_reach(&fresh[..2])?;
    story.is_mute("s2h2")?;
    story.is_mute("s1h2")?;
    assert_eq!(lab.openflow_warnings(), [""; 0]);
    Ok(())
}

/// A switch that died is forgotten by an operator: what it held is free again, and the others work without it.
#[test]
fn a_dead_switch_is_deleted_and_its_networks_go_on() -> Checked {
    if !needs_ovs("a dead switch is deleted and its networks go on") {
        return Ok(());
    }
    let story = Story::begin_with(Topology::Ring(4), Trunks::Veth, 2, &SOON)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, _) = story.red_and_blue()?;
    let left = |hosts: &[&'static str]| hosts.to_vec();
    let (red_left, blue_left) = (left(&["s1h1", "s3h1", "s4h1"]), left(&["s1h2", "s3h2", "s4h2"]));
    let groups: [&[&str]; 2] = [&red_left, &blue_left];
    let seen = pulse(lab, &groups, |beats| {
        beats.rounds(10)?;
        lab.kill("s2")?;
        wait_for(controller, &["s2"], false)?;
        wait_until_led_around(controller, 1)?;
        beats.wait_for_touch(&[0, 1]).map(drop)
    })?;
    seen.tell("s2 dies");
    seen.nothing_came_twice();
    seen.nothing_leaked_but(&[("s2h1", &red_left), ("s2h2", &blue_left)]);

    // What it holds can't be taken back, so a deletion waits; once it is forgotten nothing waits any more.
    delete(&story, "/api/v1/networks/blue?force=true", &[202])?;
    let seen = pulse(lab, &[&red_left], |beats| {
        delete(&story, "/api/v1/switches/s2", &[204])?;
        beats.rounds(25)
    })?;
    seen.nothing_came_twice();
    seen.nothing_was_lost(None);
    delete(&story, "/api/v1/networks/blue?force=true", &[204])?;
    until("the id to be free", LIMIT, || {
        controller.create_network("again")?;
        let id = id_of(&story, "again")?;
        controller.delete_network("again", true)?;
        Ok(if id == 2 { Look::Done(()) } else { Look::NotYet(format!("it is {id}")) })
    })?;

    // Back from the dead, it is a new switch: attached ports are members again.
    lab.restart("s2")?;
    wait_for(controller, &["s2"], true)?;
    controller.wait_for_links(lab.links().len())?;
    // The links were found after the switch: it is in sync again once the network's tree has it.
    wait_for(controller, &["s1", "s2", "s3", "s4"], true)?;
    story.floods_reach(&red)?;
    story.unicast_reaches_its_host_only("red", &red)?;
    story.is_mute("s2h2")
}

/// The links of a switch that is away fail one after the other: all others stay in touch, and nothing comes twice.
#[test]
fn links_of_a_switch_that_is_away_fail_and_the_others_stay_in_touch() -> Checked {
    if !needs_ovs("links of a switch that is away fail and the others stay in touch") {
        return Ok(());
    }
    let story = Story::begin_with(Topology::Ring(4), Trunks::Veth, 3, &SOON)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, blue) = story.red_and_blue()?;
    let but = |hosts: &[&'static str]| hosts.to_vec();
    let (red_left, blue_left) = (but(&["s1h1", "s3h1", "s4h1"]), but(&["s1h2", "s3h2", "s4h2"]));
    let groups: [&[&str]; 2] = [&red_left, &blue_left];
    let theirs: [(&str, &[&str]); 2] = [("s2h1", &red_left), ("s2h2", &blue_left)];
    let seen = pulse(lab, &groups, |beats| leave(&story, &["s2"], beats))?;
    seen.nothing_came_twice();
    seen.nothing_leaked_but(&theirs);
    for (a, b) in [("s1", "s2"), ("s2", "s3")] {
        let seen = pulse(lab, &groups, |beats| {
            beats.rounds(5)?;
            lab.cut(a, b)?;
            controller.wait_for_links(lab.links().len() - 1)?;
            beats.wait_for_touch(&[0, 1]).map(drop)
        })?;
        seen.tell(&format!("s2 away, {a}-{b} is cut: those at other switches"));
        seen.nothing_came_twice();
        seen.nothing_leaked_but(&theirs);
        let frame = lab.broadcast("s1h1")?;
        let reached = lab.probe("s1h1", &frame)?.at("s2h1").len();
        println!("MEASURED s2 away, {a}-{b} is cut: its host hears {reached} of 1 frames");
        assert!(reached <= 1, "its host hears a frame {reached} times");
        let seen = pulse(lab, &groups, |beats| {
            lab.mend(a, b)?;
            controller.wait_for_links(lab.links().len())?;
            beats.wait_for_touch(&[0, 1]).map(drop)
        })?;
        seen.nothing_came_twice();
        seen.nothing_leaked_but(&theirs);
    }
    let seen = pulse(lab, &[&red, &blue], |beats| {
        come_back(&story, &["s2"], beats)?;
        beats.wait_for_touch(&[0, 1]).map(drop)
    })?;
    seen.nothing_came_twice();
    seen.nothing_leaked(None);
    story.unicast_reaches_its_host_only("red", &red)?;
    story.unicast_reaches_its_host_only("blue", &blue)
}
