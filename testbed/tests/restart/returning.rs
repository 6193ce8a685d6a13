//! What a restarted controller knows, and what it does to switches that come back.

use api::types::{Connection, Network};
use serde_json::json;
use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::wait::{Look, until};

use super::ring::{Checked, LIMIT, Ring, mac, wait_for};

fn begin() -> Result<(Controller, Ring), LabError> {
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let ring = Ring::begin(&controller)?;
    Ok((controller, ring))
}

fn network(controller: &Controller, name: &str) -> Result<Network, LabError> {
    controller.rest().get(&format!("/api/v1/networks/{name}"))?.typed(&[200])
}

/// Trees and ways that work stay while switches come back one by one: nothing is sent to any of them.
#[test]
fn switches_that_come_back_one_by_one_are_sent_nothing() -> Checked {
    let (controller, ring) = begin()?;
    ring.populate(&controller, "red")?;
    let before = ring.changes();
    let controller = controller.kill_and_restart_after(|| {
        ring.set_away(true);
        Ok(())
    })?;

    // All is known before anybody is back.
    let switches = controller.switches()?;
    let names: Vec<_> = switches.iter().map(|it| it.name.clone().unwrap().to_string()).collect();
    assert_eq!(names, ["s1", "s2", "s3"]);
    assert!(switches.iter().all(|it| !it.connected && !it.in_sync && it.ports.len() >= 4));
    assert_eq!(controller.links()?.iter().filter(|link| link.up).count(), 3);
    for back in 0..3 {
        ring.switches[back].set_away(false);
        wait_for(&controller, back as u64 + 1, true)?;
        for from in 1..=3 {
            ring.everybody_hears(from, &[1, 2, 3]);
            ring.talks_to_all(from);
        }
        assert_eq!(ring.changes(), before, "with {} switches back", back + 1);
    }
    for host in 1..=3 {
        controller.wait_for_host("red", mac(host), "p1")?;
    }
    assert_eq!(ring.changes(), before);
    let metrics = controller.rest().get("/metrics")?.body.to_string();
    assert!(!metrics.contains("isolane_lldp_refused_total{reason=\\\"forged"), "{metrics}");
    Ok(())
}

/// Also in order, over and over, and what was changed meanwhile arrives.
#[test]
fn what_is_asked_for_right_after_the_start_arrives_when_the_switch_is_back() -> Checked {
    let (controller, ring) = begin()?;
    ring.populate(&controller, "red")?;
    let controller = controller.restart()?;
    controller.wait_for_switches(3)?;
    let before = ring.changes();
    let controller = controller.restart()?;
    controller.wait_for_switches(3)?;
    assert_eq!(ring.changes(), before, "nothing changed");

    let controller = controller.kill_and_restart_after(|| {
        ring.switches[1].set_away(true);
        Ok(())
    })?;
    wait_for(&controller, 1, true)?;
    wait_for(&controller, 3, true)?;
    let answer = controller.try_attach("red", "s2", "2")?;
    assert_eq!((answer.status, answer.text("/state")), (202, "pending"), "{answer}");
    assert!(answer.text("/reason").contains("s2"), "{answer}");
    // Those that are back don't wait for it, and traffic over it goes on.
    let answer = controller.try_attach("red", "s1", "2")?;
    assert!([201, 202].contains(&answer.status), "{answer}");
    for from in 1..=3 {
        ring.talks_to_all(from);
    }
    ring.switches[1].set_away(false);
    controller.wait_for_switches(3)?;
    for at in ["s1", "s2"] {
        let answer = controller.rest().get(&format!("/api/v1/networks/red/ports/{at}/2"))?;
        assert_eq!(answer.text("/state"), "installed", "{answer}");
    }
    Ok(())
}

/// A switch that networks only pass through is told of those that came to do so while it was away.
#[test]
fn a_network_that_began_to_cross_an_away_switch_crosses_it_once_it_is_back() -> Checked {
    let (controller, ring) = begin()?;
    ring.fabric.set_link((3, 9), false);
    controller.wait_for_links(2)?;
    controller.create_network("red")?;
    controller.attach("red", "s1", "1")?;
    ring.switches[1].set_away(true);
    wait_for(&controller, 2, false)?;
    let answer = controller.try_attach("red", "s3", "1")?;
    assert_eq!((answer.status, answer.text("/state")), (202, "pending"), "{answer}");
    ring.switches[1].set_away(false);
    controller.wait_for_switches(3)?;
    until("the network to be whole", LIMIT, || {
        let red = network(&controller, "red")?;
        let whole = red.state == api::types::State::Installed;
        Ok(if whole { Look::Done(()) } else { Look::NotYet(format!("{red:?}")) })
    })?;
    ring.everybody_hears(1, &[1, 3]);
    ring.everybody_hears(3, &[1, 3]);
    Ok(())
}

/// A deleted network's id isn't another's while a switch that is away may hold its flows, whatever restarts.
#[test]
fn ids_that_are_held_far_away_stay_taken_over_restarts() -> Checked {
    let (controller, ring) = begin()?;
    ring.populate(&controller, "red")?;
    let id = network(&controller, "red")?.id;
    let s2 = &ring.switches[1];
    s2.set_away(true);
    wait_for(&controller, 2, false)?;
    let held = s2.tables();
    let answer = controller.rest().send("DELETE", "/api/v1/networks/red?force=true", None)?;
    assert_eq!(answer.status, 202, "{answer}");
    let mut controller = controller.kill_and_restart()?;
    for name in ["green", "yellow"] {
        wait_for(&controller, 1, true)?;
        wait_for(&controller, 3, true)?;
        controller.create_network(name)?;
        assert_ne!(network(&controller, name)?.id, id);
        controller = controller.kill_and_restart()?;
    }
    assert_eq!(s2.tables(), held);
    s2.set_away(false);
    controller.wait_for_switches(3)?;
    assert_ne!(s2.tables(), held);
    until("the id to be free", LIMIT, || {
        controller.create_network("blue")?;
        if network(&controller, "blue")?.id == id {
            return Ok(Look::Done(()));
        }
        controller.delete_network("blue", true)?;
        Ok(Look::NotYet("it is not given out".to_owned()))
    })?;
    // Forgetting a switch frees what it held as well.
    s2.set_away(true);
    wait_for(&controller, 2, false)?;
    controller.rest().send("DELETE", "/api/v1/switches/s2", None)?;
    let controller = controller.kill_and_restart()?;
    assert_eq!(controller.switches()?.len(), 2, "it stays forgotten");
    Ok(())
}

/// What another store's flows are left alone in doesn't depend on whether this one has networks of its own by now.
#[test]
fn foreign_state_outlives_a_restart() -> Checked {
    let (controller, ring) = begin()?;
    ring.populate(&controller, "red")?;
    let address = controller.openflow();
    controller.kill()?;

    let foreign = |controller: &Controller| {
        until("foreign-state", LIMIT, || {
            let all = controller.switches()?;
            let count = all.iter().filter(|it| it.connection == Connection::ForeignState).count();
            Ok(if count == 3 { Look::Done(()) } else { Look::NotYet(format!("{all:?}")) })
        })
    };
    let controller = Controller::start(address)?;
    foreign(&controller)?;
    let before = ring.changes();
    controller.create_network("own")?;
    let controller = controller.kill_and_restart()?;
    foreign(&controller)?;
    let controller = controller.restart()?;
    foreign(&controller)?;
    assert_eq!(ring.changes(), before, "nothing is removed");
    for from in 1..=3 {
        ring.talks_to_all(from);
    }
    for switch in 1..=3 {
        let path = format!("/api/v1/switches/s{switch}/reset");
        let answer = controller.rest().call("POST", &path, &json!({}))?;
        assert!([200, 202].contains(&answer.status), "{answer}");
    }
    controller.wait_for_switches(3)?;
    let controller = controller.kill_and_restart()?;
    controller.wait_for_switches(3)?;
    assert!(!ring.switches[0].groups().contains("group"), "{}", ring.switches[0].groups());
    Ok(())
}
