//! Flows that somebody else removes or alters are put back.

use std::time::Duration;

use testbed::error::LabError;
use testbed::ovs::{Topology, Trunks};
use testbed::rights::needs_ovs;
use testbed::wait::{Look, until};

use super::story::{Checked, Story};

const LIMIT: Duration = Duration::from_secs(30);
/// What cookies of ours start with, as `ovs-ofctl` writes a mask.
const OURS: &str = "cookie=0x49534c0000000000/0xffffff0000000000";

/// A ring with a network, on a controller with these arguments.
fn ring_with_red(arguments: &[&str]) -> Result<Story, LabError> {
    let story = Story::begin_with(Topology::Ring(3), Trunks::Veth, 1, arguments)?;
    story.controller.create_network("red")?;
    let red = story.hosts("h1");
    red.iter().try_for_each(|host| story.attach("red", host))?;
    story.floods_reach(&red)?;
    story.unicast_reaches_its_host_only("red", &red)?;
    Ok(story)
}

/// Tables as they are once the controller has nothing left to learn or to mend.
fn wait_for_tables(story: &Story, switch: &str, want: &str) -> Checked {
    until("the tables to be as they were", LIMIT, || {
        let node = story.lab.switch(switch)?.node();
        let now = tables(&node.dump_flows()?, &node.dump_groups()?);
        let only = |one: &str, other: &str| -> Vec<_> {
            one.lines()
                .filter(|line| !other.lines().any(|it| it == *line))
                .map(str::to_owned)
                .collect()
        };
        let seen = format!("missing {:#?}, strange {:#?}", only(want, &now), only(&now, want));
        Ok(if now == want { Look::Done(()) } else { Look::NotYet(seen) })
    })
}

fn tables(flows: &str, groups: &str) -> String {
    let mut lines: Vec<_> = flows.lines().chain(groups.lines()).collect();
    lines.sort_unstable();
    lines.join("\n")
}

fn repaired(story: &Story) -> Result<bool, LabError> {
    let answer = story.controller.rest().get("/metrics")?;
    Ok(answer.to_string().contains("isolane_flows_repaired_total"))
}

#[test]
fn removed_flows_are_put_back_at_once() -> Checked {
    if !needs_ovs("removed flows are put back at once") {
        return Ok(());
    }
    // The next regular look would come far too late.
    let story = ring_with_red(&["--audit-interval", "3600"])?;
    let red = story.hosts("h1");
    let s1 = story.lab.switch("s1")?.node();
    let before = tables(&s1.dump_flows()?, &s1.dump_groups()?);
    let edges = format!("{OURS},table=0");
    // All of ours, those of one table, and a group with the flow to it.
    for (command, what) in [
        ("del-flows", Some(OURS)),
        ("del-flows", Some(edges.as_str())),
        ("del-flows", Some("table=1")),
        ("del-flows", Some("table=2")),
        ("del-groups", None),
    ] {
        let arguments = [command, "s1"].into_iter().chain(what);
        s1.ovs().ofctl(arguments, "")?;
        wait_for_tables(&story, "s1", &before)?;
        story.floods_reach(&red)?;
    }
    assert!(repaired(&story)?, "a metric counts what was mended");
    Ok(())
}

#[test]
fn altered_flows_are_put_right_at_the_next_look() -> Checked {
    if !needs_ovs("altered flows are put right at the next look") {
        return Ok(());
    }
    let story = ring_with_red(&["--audit-interval", "1"])?;
    let red = story.hosts("h1");
    let s1 = story.lab.switch("s1")?.node();
    let before = tables(&s1.dump_flows()?, &s1.dump_groups()?);
    s1.ovs().ofctl(["mod-flows", "s1", "table=2,actions=drop"], "")?;
    wait_for_tables(&story, "s1", &before)?;
    // Added in our name.
    let strange = "cookie=0x49534c0000000001,table=0,priority=9999,in_port=1,actions=drop";
    s1.ovs().ofctl(["add-flow", "s1", strange], "")?;
    wait_for_tables(&story, "s1", &before)?;
    story.floods_reach(&red)
}
