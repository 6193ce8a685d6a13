//! What a switch holds outlives its session, and what isn't ours outlives us.

use std::collections::BTreeMap;
use std::time::Duration;

use api::types::Connection;
use serde_json::json;
use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::ovs::{Lab, Switch, Topology, Trunks};
use testbed::rights::needs_ovs;
use testbed::wait::{Look, until};

use super::story::{Checked, Story};

const LIMIT: Duration = Duration::from_secs(60);
/// Flows and a group that somebody else made, in tables of ours and in others.
const FOREIGN_FLOWS: &str = "cookie=0xbeef,table=0,priority=3,dl_type=0x1234,actions=drop\n\
    cookie=0xbeef,table=1,priority=3,dl_type=0x1234,actions=drop\n\
    cookie=0xbeef,table=2,priority=3,dl_type=0x1234,actions=drop\n\
    cookie=0x0,table=9,priority=3,dl_type=0x1234,actions=group:4711\n";
const FOREIGN_GROUP: &str = "group_id=4711,type=all\n";
/// What cookies of ours start with, as `ovs-ofctl` writes them.
const OURS: &str = "cookie=0x49534c";
/// The same of flows that each switch has whatever networks there are.
const OF_NO_NETWORK: &str = "cookie=0x49534c00";

/// For how long each flow of ours has been there, in seconds, by everything else about it.
pub fn ages(lab: &Lab) -> Result<BTreeMap<String, f64>, LabError> {
    let mut ages = BTreeMap::new();
    for switch in lab.switches() {
        let dump = switch.node().ovs().ofctl(["--no-names", "dump-flows", switch.name()], "")?;
        for line in dump.lines().map(str::trim).filter(|line| line.starts_with(OURS)) {
            let (times, kept): (Vec<_>, Vec<_>) = line.split(", ").partition(|part| {
                ["duration=", "n_packets=", "n_bytes=", "idle_age="]
                    .iter()
                    .any(|it| part.starts_with(it))
            });
            let age =
                times.iter().find_map(|part| part.strip_prefix("duration=")?.strip_suffix('s'));
            let age = age.and_then(|age| age.parse().ok()).expect("a flow's duration");
            ages.insert(format!("{} {}", switch.name(), kept.join(", ")), age);
        }
    }
    Ok(ages)
}

/// No flow was sent again, which would have begun its time anew, and none came or went.
pub fn nothing_was_sent_again(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>) {
    assert!(before.keys().eq(after.keys()), "before: {before:#?}\nafter: {after:#?}");
    for (flow, age) in before {
        assert!(after[flow] >= *age, "{flow} was sent again: {age} s, then {} s", after[flow]);
    }
}

fn wait_for_connected(controller: &Controller, switch: &Switch, want: bool) -> Checked {
    until("the switch's session", LIMIT, || {
        let all = controller.switches()?;
        let seen = all.iter().find(|it| it.dpid.0 == switch.dpid()).expect("a known switch");
        let holds = if want { seen.connected && seen.in_sync } else { !seen.connected };
        Ok(if holds { Look::Done(()) } else { Look::NotYet(format!("{seen:?}")) })
    })
}

fn add_foreign(lab: &Lab) -> Checked {
    lab.switches().iter().try_for_each(|switch| {
        switch.node().add_groups(FOREIGN_GROUP)?;
        switch.node().add_flows(FOREIGN_FLOWS)
    })
}

#[test]
fn a_switch_that_reconnects_is_sent_only_what_changed() -> Checked {
    if !needs_ovs("a switch that reconnects is sent only what changed") {
        return Ok(());
    }
    let story = Story::begin(Topology::Ring(3), Trunks::Veth, 2)?;
    let (lab, controller) = (&story.lab, &story.controller);
    add_foreign(lab)?;
    let empty = lab.tables()?;
    let red = story.hosts("h1");
    controller.create_network("red")?;
    red.iter().try_for_each(|host| story.attach("red", host))?;
    story.floods_reach(&red)?;
    story.unicast_reaches_its_host_only("red", &red)?;

    // Nothing changes while it is away: it forwards all the time, and is sent nothing afterwards.
    let before = ages(lab)?;
    let s2 = lab.switch("s2")?;
    s2.leave_controller()?;
    wait_for_connected(controller, s2, false)?;
    story.floods_reach(&red)?;
    s2.join_controller(lab.controller_addr())?;
    wait_for_connected(controller, s2, true)?;
    nothing_was_sent_again(&before, &ages(lab)?);
    story.floods_reach(&red)?;

    // A port is attached, another one detached while it is away: both wait for it and say so.
    s2.leave_controller()?;
    wait_for_connected(controller, s2, false)?;
    let answer = controller.try_attach("red", "s2", "s2h2")?;
    assert_eq!((answer.status, answer.text("/state")), (202, "pending"), "{answer}");
    assert!(answer.text("/reason").contains("s2"), "{answer}");
    let path = "/api/v1/networks/red/ports/s2/s2h1";
    let answer = controller.rest().send("DELETE", path, None)?;
    assert_eq!((answer.status, answer.text("/state")), (202, "pending"), "{answer}");
    let kept: BTreeMap<_, _> = ages(lab)?;
    s2.join_controller(lab.controller_addr())?;
    wait_for_connected(controller, s2, true)?;
    let answer = controller.rest().get("/api/v1/networks/red/ports/s2/s2h2")?;
    assert_eq!((answer.status, answer.text("/state")), (200, "installed"), "{answer}");
    story.floods_reach(&["s1h1", "s2h2", "s3h1"])?;
    story.is_mute("s2h1")?;
    for (flow, age) in ages(lab)? {
        let old = kept.get(&flow).copied().unwrap_or(0.0);
        assert!(age >= old, "{flow} was sent again: {old} s, then {age} s");
    }

    controller.delete_network("red", true)?;
    assert_eq!(lab.tables()?, empty, "what was there before, others' flows and groups included");
    assert_eq!(lab.openflow_warnings(), [""; 0]);
    Ok(())
}

/// "red" over first hosts, all of them known, and its controller gone.
fn left_alone(lab: Lab) -> Result<(Lab, String), LabError> {
    let controller = Controller::start(lab.controller_addr())?;
    let story = Story { controller, lab };
    story.wait_for_fabric()?;
    let red = story.hosts("h1");
    story.controller.create_network("red")?;
    red.iter().try_for_each(|host| story.attach("red", host))?;
    story.floods_reach(&red)?;
    story.unicast_reaches_its_host_only("red", &red)?;
    let installed = story.lab.tables()?;
    story.controller.stop()?;
    assert_eq!(story.lab.tables()?, installed, "the controller's end leaves everything");
    Ok((story.lab, installed))
}

/// A controller that knows nothing of what the switches hold.
fn newcomer(lab: Lab) -> Result<Story, LabError> {
    let controller = Controller::start(lab.controller_addr())?;
    let count = lab.switches().len();
    until("all switches to be in foreign state", LIMIT, || {
        let all = controller.switches()?;
        let foreign = all.iter().filter(|it| it.connection == Connection::ForeignState).count();
        Ok(if foreign == count { Look::Done(()) } else { Look::NotYet(format!("{all:?}")) })
    })?;
    controller.wait_for_links(lab.links().len())?;
    Ok(Story { controller, lab })
}

fn take_over(story: &Story, how: &str) -> Checked {
    for switch in story.lab.switches() {
        let path = format!("/api/v1/switches/{}/{how}", switch.name());
        let answer = story.controller.rest().call("POST", &path, &json!({}))?;
        assert!([200, 202].contains(&answer.status), "{answer}");
    }
    story.controller.wait_for_switches(story.lab.switches().len())
}

#[test]
fn traffic_flows_on_without_a_controller_and_a_new_one_removes_nothing_unasked() -> Checked {
    if !needs_ovs("traffic flows on without a controller and a new one removes nothing unasked") {
        return Ok(());
    }
    let lab = Lab::build(Topology::Ring(3), Trunks::Veth, 2)?;
    add_foreign(&lab)?;
    let bare = lab.tables()?;
    let (lab, installed) = left_alone(lab)?;
    lab.expect("s1h1", &lab.broadcast("s1h1")?, &["s2h1", "s3h1"])?;
    let story = newcomer(lab)?;
    assert_eq!(story.lab.tables()?, installed, "nothing is removed");
    let red = story.hosts("h1");
    story.floods_reach(&red)?;

    take_over(&story, "reset")?;
    until("the flows of red to be gone", LIMIT, || {
        let now = story.lab.tables()?;
        let of_a_network = |line: &&str| {
            let flow = line.starts_with(OURS) && !line.starts_with(OF_NO_NETWORK);
            flow || line.starts_with("group_id=") && !bare.contains(*line)
        };
        let left: Vec<_> = now.lines().filter(of_a_network).collect();
        Ok(if left.is_empty() { Look::Done(()) } else { Look::NotYet(left.join("\n")) })
    })?;
    story.is_mute(red[0])?;
    let now = story.lab.tables()?;
    assert!(bare.lines().all(|line| now.contains(line)), "others' flows and groups stay: {now}");
    story.controller.create_network("red")?;
    red.iter().try_for_each(|host| story.attach("red", host))?;
    story.floods_reach(&red)?;
    assert_eq!(story.lab.openflow_warnings(), [""; 0]);
    Ok(())
}

#[test]
fn a_new_controller_adopts_what_works_without_touching_it() -> Checked {
    if !needs_ovs("a new controller adopts what works without touching it") {
        return Ok(());
    }
    let (lab, _) = left_alone(Lab::build(Topology::Ring(3), Trunks::Veth, 2)?)?;
    let story = newcomer(lab)?;
    let before = ages(&story.lab)?;
    take_over(&story, "adopt")?;
    nothing_was_sent_again(&before, &ages(&story.lab)?);
    story.floods_reach(&story.hosts("h1"))?;
    assert_eq!(story.lab.openflow_warnings(), [""; 0]);
    Ok(())
}
