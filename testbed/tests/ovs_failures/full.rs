//! A switch that has room for half of what it gets.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::ovs::{Topology, Trunks};
use testbed::rights::needs_ovs;
use testbed::wait::{Look, until};

use super::story::{Checked, Story};

const LIMIT: Duration = Duration::from_secs(120);
/// Flows that each of the switch's tables takes.
const ROOM: usize = 1000;
/// Two ports each, and so many hosts that are declared at each port: 2,000 flows in the tables of sources and hosts.
const NETWORKS: usize = 20;
const HOSTS: usize = 50;

fn name(n: usize) -> String {
    format!("n{n:02}")
}

/// The two hosts of a network.
fn members(n: usize) -> [String; 2] {
    [format!("s1h{}", 2 * n + 1), format!("s1h{}", 2 * n + 2)]
}

fn document() -> Value {
    let port = |(n, side): (usize, usize)| {
        let mac = |host: usize| format!("06:00:00:{n:02x}:{side:02x}:{host:02x}");
        let macs: Vec<String> = (0..HOSTS).map(mac).collect();
        json!({"network": name(n), "switch": "s1", "port": members(n)[side], "mac": macs})
    };
    let sides = (0..NETWORKS).flat_map(|n| [(n, 0), (n, 1)]);
    // Nothing is learnt from the frames that are sent to look: that would need room, too.
    let network = |n| json!({"name": name(n), "mac_limit": 0});
    json!({
        "networks": (0..NETWORKS).map(network).collect::<Vec<_>>(),
        "ports": sides.map(port).collect::<Vec<_>>(),
    })
}

/// Each network's state, and why.
fn states(controller: &Controller) -> Result<Vec<(String, String)>, LabError> {
    let state = |n: usize| {
        let answer = controller.rest().get(&format!("/api/v1/networks/{}", name(n)))?;
        Ok((answer.text("/state").to_owned(), answer.text("/reason").to_owned()))
    };
    (0..NETWORKS).map(state).collect()
}

/// Waits until so many networks are installed and all others are degraded.
fn wait_for_installed(
    controller: &Controller,
    done: impl Fn(usize) -> bool,
) -> Result<Vec<(String, String)>, LabError> {
    until("networks to be installed or degraded", LIMIT, || {
        let seen = states(controller)?;
        let count = |of: &str| seen.iter().filter(|(state, _)| state == of).count();
        let (installed, degraded) = (count("installed"), count("degraded"));
        Ok(if installed + degraded == NETWORKS && done(installed) {
            Look::Done(seen)
        } else {
            Look::NotYet(format!("{seen:?}"))
        })
    })
}

/// How often the switch refused something.
fn refused(controller: &Controller) -> Result<u64, LabError> {
    let metrics = controller.metrics()?;
    let counts = metrics.lines().filter(|line| line.starts_with("isolane_changes_refused_total{"));
    Ok(counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
}

#[test]
fn networks_that_fit_work_the_others_are_named_and_all_work_once_there_is_room() -> Checked {
    if !needs_ovs("networks that fit work, the others are named, and all work once there is room") {
        return Ok(());
    }
    let story = Story::begin(Topology::Line(1), Trunks::Veth, 2 * NETWORKS)?;
    let (lab, controller) = (&story.lab, &story.controller);
    let s1 = lab.switch("s1")?.node();
    let mut arguments = Vec::new();
    for table in 0..3 {
        let id = format!("--id=@t{table}");
        let limit = format!("flow_limit={ROOM}");
        arguments.extend(["--", &id, "create", "Flow_Table", &limit].map(str::to_owned));
        arguments.push("overflow_policy=refuse".to_owned());
    }
    arguments.extend(["--", "set", "bridge", "s1"].map(str::to_owned));
    arguments.extend((0..3).map(|table| format!("flow_tables:{table}=@t{table}")));
    s1.ovs().vsctl(&arguments)?;

    let answer = controller.rest().call("POST", "/api/v1/apply", &document())?;
    assert_eq!(answer.status, 202, "{answer}");
    assert!(answer.to_string().contains("TABLE_FULL"), "{answer}");
    // A network's share of the table of hosts is 101 flows.
    let told = wait_for_installed(controller, |count| count >= ROOM / (2 * HOSTS + 1) - 1)?;
    let flows = s1.dump_flows()?;
    for table in ["table=1,", "table=2,"] {
        let there = flows.lines().filter(|line| line.contains(table)).count();
        assert!(there <= ROOM, "{there} flows in {table}");
    }
    let works = |n: usize| {
        let members = members(n);
        story.floods_reach(&[&members[0], &members[1]])
    };
    for (n, (state, reason)) in told.iter().enumerate() {
        if state == "installed" {
            works(n)?;
        } else {
            assert!(reason.contains("s1") && reason.contains("TABLE_FULL"), "{n}: {reason}");
        }
    }
    let switch = controller.reasons_of_switch("s1")?;
    assert!(switch.contains("TABLE_FULL"), "{switch}");
    println!(
        "MEASURED {} of {NETWORKS} networks fit into {ROOM} flows a table",
        told.iter().filter(|(state, _)| state == "installed").count()
    );

    // It is asked again, at most once a second: however long this takes, that holds.
    let (begin, before) = (Instant::now(), refused(controller)?);
    until("it to be asked again", LIMIT, || {
        let more = refused(controller)? - before;
        Ok(if more >= 3 { Look::Done(()) } else { Look::NotYet(format!("{more} times")) })
    })?;
    let more = refused(controller)? - before;
    assert!(more <= begin.elapsed().as_secs() + 2, "{more} times in {:?}", begin.elapsed());
    for (n, _) in told.iter().enumerate().filter(|(_, (state, _))| state == "installed") {
        works(n)?;
    }
    let lines = controller.log().matches("the switch refused a change").count() as u64;
    assert!((1..=more + before).contains(&lines), "{lines} lines");

    s1.ovs().vsctl(["--", "clear", "bridge", "s1", "flow_tables"])?;
    wait_for_installed(controller, |count| count == NETWORKS)?;
    (0..NETWORKS).try_for_each(works)
}
