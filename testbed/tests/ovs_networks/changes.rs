//! An acknowledgement holds from the next frame on, however much is sent meanwhile.

use testbed::error::LabError;
use testbed::ovs::{Topology, Trunks};
use testbed::rights::needs_ovs;

use super::hammer::{Hammered, hammer};
use super::story::{Checked, Story};

const ROUNDS: usize = 50;

/// Members who stay hear each other exactly once, whatever else changes; frames to one never reach another twice.
fn stayers_are_undisturbed(seen: &Hammered, stayers: &[&str], round: &str) {
    for shot in seen.sent.iter().filter(|shot| stayers.contains(&shot.from.as_str())) {
        for host in stayers.iter().filter(|host| **host != shot.from) {
            let count = seen.count(host, shot);
            let for_it = shot.to.as_deref().is_none_or(|to| to == *host);
            assert!(count <= 1, "{round}: {host} heard {shot:?} {count} times");
            assert!(count == 1 || !for_it, "{round}: {host} did not hear {shot:?}");
        }
    }
}

/// Whether a host hears late frames, and others hear its late ones.
fn takes_part(seen: &Hammered, host: &str, others: &[&str], want: bool, round: &str) {
    let want_count = usize::from(want);
    for shot in seen.late() {
        if shot.from == host {
            for other in others {
                let for_it = shot.to.as_deref().is_none_or(|to| to == *other);
                let count = seen.count(other, shot);
                assert!(count <= want_count, "{round}: {other} heard {shot:?} {count} times");
                assert!(count == want_count || !for_it, "{round}: {other} did not hear {shot:?}");
            }
        } else if others.contains(&shot.from.as_str()) {
            let for_it = shot.to.as_deref().is_none_or(|to| to == host);
            let count = seen.count(host, shot);
            assert!(count <= want_count, "{round}: {host} heard {shot:?} {count} times");
            assert!(count == want_count || !for_it, "{round}: {host} did not hear {shot:?}");
        }
    }
}

/// All of `ends` send all the time while one port of theirs is attached and detached, over and over.
fn a_port_comes_and_goes(topology: Topology, trunks: Trunks) -> Checked {
    let story = Story::begin(topology, trunks, 2)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (all, blue) = (story.hosts("h1"), story.hosts("h2"));
    let (guest, stayers) = all.split_first().expect("hosts");
    controller.create_network("red")?;
    controller.create_network("blue")?;
    stayers.iter().try_for_each(|host| story.attach("red", host))?;
    blue.iter().try_for_each(|host| story.attach("blue", host))?;
    for round in 1..=ROUNDS {
        let name = format!("attach {round}");
        let seen = hammer(lab, &all, &all, || story.attach("red", guest))?;
        stayers_are_undisturbed(&seen, stayers, &name);
        takes_part(&seen, guest, stayers, true, &name);
        takes_part(&seen, guest, &blue, false, &name);

        let name = format!("detach {round}");
        let seen = hammer(lab, &all, &all, || story.detach("red", guest))?;
        stayers_are_undisturbed(&seen, stayers, &name);
        takes_part(&seen, guest, stayers, false, &name);
        assert!(blue.iter().all(|host| seen.heard.at(host).is_empty()), "{name}: {}", seen.heard);
    }
    assert_eq!(lab.openflow_warnings(), [""; 0]);
    let metrics = controller.rest().get("/metrics")?.to_string();
    assert!(!metrics.contains("isolane_flows_repaired_total"), "nobody else changed anything");
    Ok(())
}

#[test]
fn acknowledged_changes_hold_from_the_next_frame_on_in_a_ring() -> Checked {
    if !needs_ovs("acknowledged changes hold from the next frame on in a ring") {
        return Ok(());
    }
    a_port_comes_and_goes(Topology::Ring(3), Trunks::Veth)
}

#[test]
fn acknowledged_changes_hold_from_the_next_frame_on_over_tunnels() -> Checked {
    if !needs_ovs("acknowledged changes hold from the next frame on over tunnels") {
        return Ok(());
    }
    a_port_comes_and_goes(Topology::LeafSpine { leaves: 3, spines: 2 }, Trunks::OvsVxlan)
}

/// Out of one network and into the other, over and over, while both talk.
#[test]
fn a_port_that_changes_networks_hears_only_the_one_it_is_in() -> Checked {
    if !needs_ovs("a port that changes networks hears only the one it is in") {
        return Ok(());
    }
    let story = Story::begin(Topology::Ring(3), Trunks::Veth, 2)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (all_red, blue) = (story.hosts("h1"), story.hosts("h2"));
    let (guest, red) = all_red.split_first().expect("hosts");
    controller.create_network("red")?;
    controller.create_network("blue")?;
    red.iter().try_for_each(|host| story.attach("red", host))?;
    blue.iter().try_for_each(|host| story.attach("blue", host))?;
    let everybody: Vec<&str> = all_red.iter().chain(&blue).copied().collect();
    let mut now = None;
    for round in 1..=ROUNDS / 2 {
        for (network, members, others) in [("red", red, &blue[..]), ("blue", &blue[..], red)] {
            let name = format!("into {network} {round}");
            let change = || -> Result<(), LabError> {
                if let Some(old) = now {
                    story.detach(old, guest)?;
                }
                story.attach(network, guest)
            };
            let seen = hammer(lab, &everybody, &all_red, change)?;
            now = Some(network);
            stayers_are_undisturbed(&seen, red, &name);
            stayers_are_undisturbed(&seen, &blue, &name);
            takes_part(&seen, guest, members, true, &name);
            takes_part(&seen, guest, others, false, &name);
        }
    }
    Ok(())
}

/// A network that is deleted is silent from the answer on; the other one talks on.
#[test]
fn a_deleted_network_is_silent() -> Checked {
    if !needs_ovs("a deleted network is silent") {
        return Ok(());
    }
    let story = Story::begin(Topology::Line(3), Trunks::Patch, 2)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, blue) = (story.hosts("h1"), story.hosts("h2"));
    controller.create_network("blue")?;
    blue.iter().try_for_each(|host| story.attach("blue", host))?;
    let everybody: Vec<&str> = red.iter().chain(&blue).copied().collect();
    for round in 1..=10 {
        controller.create_network("red")?;
        red.iter().try_for_each(|host| story.attach("red", host))?;
        let name = format!("deletion {round}");
        let seen = hammer(lab, &everybody, &everybody, || controller.delete_network("red", true))?;
        stayers_are_undisturbed(&seen, &blue, &name);
        for host in &red {
            takes_part(&seen, host, &red, false, &name);
        }
    }
    Ok(())
}
