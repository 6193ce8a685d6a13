//! Switches that lose what they held, or refuse a part of a plan.

use std::time::Duration;

use testbed::ovs::{Topology, Trunks};
use testbed::rights::needs_ovs;
use testbed::wait::{Look, until};

use super::pulse::pulse;
use super::story::{Checked, Story};

const LIMIT: Duration = Duration::from_secs(60);
/// What cookies of ours start with, as `ovs-ofctl` writes a mask.
const OURS: &str = "cookie=0x49534c0000000000/0xffffff0000000000";

/// Flows and groups vanish while hosts talk and ports come and go: all is put back, and said.
#[test]
fn flows_and_groups_that_vanish_under_way_come_back() -> Checked {
    if !needs_ovs("flows and groups that vanish under way come back") {
        return Ok(());
    }
    let story = Story::begin(Topology::Ring(3), Trunks::Veth, 3)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, blue) = story.red_and_blue()?;
    let healthy = lab.tables()?;
    let s1 = lab.switch("s1")?.node();
    for (command, what) in [
        ("del-flows", Some(OURS)),
        ("del-groups", None),
        ("del-flows", Some("table=0,cookie=0x49534c0000000000/0xffffff0000000000")),
        ("del-flows", Some("table=2")),
    ] {
        let seen = pulse(lab, &[&red, &blue], |beats| {
            beats.rounds(5)?;
            s1.ovs().ofctl([command, "s1"].into_iter().chain(what), "")?;
            // A change of the same network in the middle of it.
            controller.try_attach("red", "s1", "s1h3")?;
            controller.rest().send("DELETE", "/api/v1/networks/red/ports/s1/s1h3", None)?;
            beats.wait_for_touch(&[0, 1]).map(drop)
        })?;
        seen.tell(&format!("{command} {} on s1", what.unwrap_or_default()));
        seen.nothing_came_twice();
        seen.nothing_leaked_but(&[("s1h3", &red)]);
        story.wait_for_tables(&healthy)?;
    }
    let said = controller.reasons_of_switch("s1")?;
    assert!(said.contains("behind our back"), "{said}");
    assert!(controller.log().contains("behind our back"));
    assert!(controller.metrics()?.contains("isolane_flows_repaired_total{switch=\"of:"));
    Ok(())
}

/// A switch that takes so many flows and no more: what fits works, the rest says why, and works once there is room.
#[test]
fn a_plan_that_is_refused_in_its_middle_is_finished_when_there_is_room() -> Checked {
    if !needs_ovs("a plan that is refused in its middle is finished when there is room") {
        return Ok(());
    }
    let story = Story::begin(Topology::Line(3), Trunks::Veth, 3)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let (red, blue) = (story.hosts("h1"), story.hosts("h2"));
    story.found("red", &red)?;
    let s2 = lab.switch("s2")?.node();
    let flows = s2.dump_flows()?;
    let in_table_2 = flows.lines().filter(|line| line.contains("table=2")).count();
    assert!(in_table_2 > 0, "{flows}");
    let limit = format!("flow_limit={in_table_2}");
    s2.ovs().vsctl([
        "--",
        "--id=@t",
        "create",
        "Flow_Table",
        &limit,
        "overflow_policy=refuse",
        "--",
        "set",
        "bridge",
        "s2",
        "flow_tables:2=@t",
    ])?;

    controller.create_network("blue")?;
    story.attach("blue", "s1h2")?;
    let answer = controller.try_attach("blue", "s2", "s2h2")?;
    assert_eq!(answer.status, 202, "{answer}");
    assert!(answer.to_string().contains("TABLE_FULL"), "{answer}");
    until("the network to say why", LIMIT, || {
        let answer = controller.rest().get("/api/v1/networks/blue")?;
        let said = answer.text("/reason").contains("TABLE_FULL")
            && answer.text("/reason").contains("s2")
            && answer.text("/state") == "degraded";
        let switch = controller.reasons_of_switch("s2")?;
        let both = said && switch.contains("TABLE_FULL") && switch.contains("blue");
        Ok(if both { Look::Done(()) } else { Look::NotYet(format!("{answer}; {switch}")) })
    })?;
    // What fits isn't disturbed.
    let seen = pulse(lab, &[&red], |beats| beats.rounds(50))?;
    seen.nothing_came_twice();
    seen.nothing_was_lost(None);
    story.floods_reach(&red)?;
    assert!(controller.metrics()?.contains("isolane_changes_refused_total{switch=\"of:"));
    let said = controller.log().matches("the switch refused a change").count();
    assert!((1..30).contains(&said), "{said} lines");

    s2.ovs().vsctl(["--", "clear", "bridge", "s2", "flow_tables"])?;
    until("the network to work", LIMIT, || {
        let answer = controller.rest().get("/api/v1/networks/blue")?;
        let done = answer.text("/state") == "installed";
        Ok(if done { Look::Done(()) } else { Look::NotYet(answer.to_string()) })
    })?;
    story.attach("blue", "s3h2")?;
    story.floods_reach(&blue)?;
    story.floods_reach(&red)?;
    story.unicast_reaches_its_host_only("blue", &blue)
}
