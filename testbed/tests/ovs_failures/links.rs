//! Links that fail, with and without their ports telling.

use std::time::Instant;

use testbed::error::LabError;
use testbed::ovs::{Topology, Trunks};
use testbed::rights::needs_ovs;
use testbed::wait::{Look, until};

use super::pulse::pulse;
use super::story::{Checked, LEARNT, Story};

/// "red" and "blue" over first and second hosts, all known.
fn two_networks(topology: Topology, trunks: Trunks, arguments: &[&str]) -> Result<Story, LabError> {
    let story = Story::begin_with(topology, trunks, 3, arguments)?;
    for (network, suffix) in [("red", "h1"), ("blue", "h2")] {
        story.found(network, &story.hosts(suffix))?;
    }
    Ok(story)
}

/// Every link of a ring, one after the other: cut, and mended.
fn a_cut_link_heals(topology: Topology, trunks: Trunks) -> Checked {
    let story = two_networks(topology, trunks, &[])?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, blue) = (story.hosts("h1"), story.hosts("h2"));
    let groups: [&[&str]; 2] = [&red, &blue];
    let healthy = lab.tables()?;
    let names = |at: usize| lab.links()[at].switches.map(|it| lab.switches()[it].name());
    for at in 0..lab.links().len() {
        let [a, b] = names(at);
        let seen = pulse(lab, &groups, |beats| {
            beats.rounds(10)?;
            lab.cut(a, b)?;
            controller.wait_for_links(lab.links().len() - 1)?;
            beats.wait_for_touch(&[0, 1]).map(drop)
        })?;
        seen.tell(&format!("{trunks:?}: {a}-{b} is cut"));
        seen.nothing_came_twice();
        seen.nothing_leaked(None);

        let seen = pulse(lab, &groups, |beats| {
            beats.rounds(10)?;
            lab.mend(a, b)?;
            controller.wait_for_links(lab.links().len())?;
            beats.wait_for_touch(&[0, 1]).map(drop)
        })?;
        seen.tell(&format!("{trunks:?}: {a}-{b} is mended"));
        seen.nothing_came_twice();
        seen.nothing_leaked(None);
        story.floods_reach(&red)?;
        story.unicast_reaches_its_host_only("red", &red)?;
        story.unicast_reaches_its_host_only("blue", &blue)?;
    }
    story.wait_for_tables(&healthy)?;
    assert_eq!(lab.openflow_warnings(), [""; 0]);
    Ok(())
}

#[test]
fn a_cut_link_of_a_ring_heals_and_nothing_comes_twice() -> Checked {
    if !needs_ovs("a cut link of a ring heals and nothing comes twice") {
        return Ok(());
    }
    a_cut_link_heals(Topology::Ring(4), Trunks::Veth)
}

#[test]
fn a_cut_link_of_a_mesh_heals_and_nothing_comes_twice() -> Checked {
    if !needs_ovs("a cut link of a mesh heals and nothing comes twice") {
        return Ok(());
    }
    a_cut_link_heals(Topology::Mesh(4), Trunks::Veth)
}

/// The ports of a kernel VXLAN link stay up whatever happens below: only the silence tells.
#[test]
fn a_vxlan_link_that_fails_silently_is_found_by_its_silence() -> Checked {
    if !needs_ovs("a VXLAN link that fails silently is found by its silence") {
        return Ok(());
    }
    let timing = ["--lldp-interval", "0.2", "--lldp-limit", "1"];
    let story = two_networks(Topology::Ring(3), Trunks::KernelVxlan, &timing)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, blue) = (story.hosts("h1"), story.hosts("h2"));
    let groups: [&[&str]; 2] = [&red, &blue];
    let healthy = lab.tables()?;
    for (how, both) in [("both ways", true), ("one way", false)] {
        let mut healed = None;
        let seen = pulse(lab, &groups, |beats| {
            beats.rounds(10)?;
            let begin = Instant::now();
            if both {
                lab.cut("s1", "s2")?;
            } else {
                lab.cut_one_way("s1", "s2")?;
            }
            controller.wait_for_links(lab.links().len() - 1)?;
            healed = Some(beats.wait_for_touch(&[0, 1])?.saturating_duration_since(begin));
            Ok(())
        })?;
        let healed = healed.expect("it healed").as_millis();
        println!(
            "MEASURED silent VXLAN link ({how}), LLDP limit 1000 ms: healed after {healed} ms"
        );
        seen.tell(&format!("silent VXLAN link ({how}), LLDP limit 1000 ms"));
        seen.nothing_came_twice();
        seen.nothing_leaked(None);
        let why = if both { "no announcement (LLDP) crosses it" } else { "works one way only" };
        until("the switch's reason", LEARNT, || {
            let reasons = controller.reasons_of_switch("s1")?;
            Ok(if reasons.contains(why) { Look::Done(()) } else { Look::NotYet(reasons) })
        })?;
        assert!(controller.log().contains("the link is down"), "{}", controller.log());
        let metrics = controller.metrics()?;
        assert!(metrics.contains("isolane_links_lost_total"), "{metrics}");

        let seen = pulse(lab, &groups, |beats| {
            beats.rounds(10)?;
            lab.mend("s1", "s2")?;
            controller.wait_for_links(lab.links().len())?;
            beats.wait_for_touch(&[0, 1]).map(drop)
        })?;
        seen.tell(&format!("silent VXLAN link ({how}) is mended"));
        seen.nothing_came_twice();
        seen.nothing_leaked(None);
        story.unicast_reaches_its_host_only("red", &red)?;
        story.unicast_reaches_its_host_only("blue", &blue)?;
    }
    story.wait_for_tables(&healthy)
}

/// Where there is no other way the sides work apart, the network says so, and all is well once the link is back.
#[test]
fn a_network_that_is_split_says_so_and_works_on_both_sides() -> Checked {
    if !needs_ovs("a network that is split says so and works on both sides") {
        return Ok(());
    }
    let story = two_networks(Topology::Line(3), Trunks::Veth, &[])?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, blue) = (story.hosts("h1"), story.hosts("h2"));
    let healthy = lab.tables()?;
    let says = |wanted: Option<&str>| {
        until("the network's reason", LEARNT, || {
            let answer = controller.rest().get("/api/v1/networks/red")?;
            let right = match wanted {
                Some(wanted) => answer.text("/reason").contains(wanted),
                None => answer.body["reason"].is_null(),
            };
            Ok(if right { Look::Done(()) } else { Look::NotYet(answer.to_string()) })
        })
    };
    let left: [&[&str]; 2] = [&red[..2], &blue[..2]];
    let seen = pulse(lab, &left, |beats| {
        beats.rounds(10)?;
        lab.cut("s2", "s3")?;
        controller.wait_for_links(lab.links().len() - 1)?;
        says(Some("split: no link that is up joins switches s1 and s3"))?;
        until("the switch's reason", LEARNT, || {
            let reasons = controller.reasons_of_switch("s3")?;
            let right = reasons.contains("the link at port") && reasons.contains("is down");
            Ok(if right { Look::Done(()) } else { Look::NotYet(reasons) })
        })?;
        beats.wait_for_touch(&[0, 1]).map(drop)
    })?;
    seen.tell("s2-s3 of a line is cut: those on one side");
    seen.nothing_came_twice();
    story.floods_reach(&red[..2])?;
    story.is_mute("s3h1")?;

    let seen = pulse(lab, &[&red, &blue], |beats| {
        beats.rounds(10)?;
        lab.mend("s2", "s3")?;
        controller.wait_for_links(lab.links().len())?;
        beats.wait_for_touch(&[0, 1]).map(drop)
    })?;
    seen.nothing_came_twice();
    seen.nothing_leaked(None);
    says(None)?;
    story.unicast_reaches_its_host_only("red", &red)?;
    story.unicast_reaches_its_host_only("blue", &blue)?;
    story.wait_for_tables(&healthy)
}
