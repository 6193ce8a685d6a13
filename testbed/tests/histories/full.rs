//! Switches without room.

use std::collections::BTreeSet;
use std::time::Duration;

use api::types::{Document, DocumentPort, NetworkSpec, State};
use api::values::NetworkName;
use controller::engine::Engine;
use openflow::{ErrorCode, GroupModFailed};
use testbed::lab::{Lab, Refusals, named};
use testbed::switch::{Datapath, Limits};

/// Ports of each network, and networks: 2,000 flows in table 0.
const PORTS: u32 = 4;
const NETWORKS: u32 = 500;
const ROOM: usize = 1000;

fn name(n: u32) -> NetworkName {
    format!("n{n:03}").parse().unwrap()
}

fn document() -> Document {
    let ports = (0..NETWORKS).flat_map(|n| {
        (0..PORTS).map(move |port| {
            let at = serde_json::json!({"network": name(n), "switch": "s1", "port": format!("vhost{}", n * PORTS + port)});
            serde_json::from_value::<DocumentPort>(at).unwrap()
        })
    });
    Document {
        set: None,
        networks: (0..NETWORKS).map(|n| NetworkSpec::new(name(n))).collect(),
        ports: ports.collect(),
    }
}

fn settle(lab: &mut Lab, mut done: impl FnMut(&Lab) -> bool) {
    let begun = lab.now();
    while !done(lab) {
        for _ in 0..50 {
            lab.step();
        }
        assert!(lab.now() - begun < Duration::from_secs(1200), "it never ends");
    }
}

fn states(engine: &Engine) -> Vec<(NetworkName, State, Option<String>)> {
    let shown = engine.all_networks().map(|record| engine.show_network(record));
    shown.map(|network| (network.name, network.state, network.reason)).collect()
}

/// Whether a network's first port reaches the others and nobody else.
fn works(lab: &mut Lab, n: u32) -> bool {
    let number = |port: u32| 1 + n * PORTS + port;
    let frame = [[0xff; 6], [2, 0xff, 0, 0, 0, 1]].concat();
    let heard = lab.probe((1, number(0)), [frame, vec![0x88, 0xb5, 1, 2, 3]].concat());
    let places: BTreeSet<_> = heard.places().iter().map(|place| place.port.0).collect();
    assert!(
        places.iter().all(|place| (number(1)..number(PORTS)).contains(place)),
        "{n}: {places:?}"
    );
    places.len() == PORTS as usize - 1
}

#[test]
fn networks_that_fit_work_and_the_others_say_so_until_there_is_room() {
    let mut lab = Lab::new(1).unwrap();
    let ports = (0..NETWORKS * PORTS).map(|n| named(1 + n, &format!("vhost{n}")));
    let limits = Limits { flows: ROOM, ..Limits::default() };
    lab.add(Datapath::new(1, "s1", ports).with_limits(limits));
    settle(&mut lab, |lab| lab.is_connected(1));
    let document = document();
    drop(lab.call(|engine| engine.apply(&document, false)).unwrap());
    settle(&mut lab, |lab| !lab.engine().is_working());

    let told = states(lab.engine());
    let installed = |state: &State| *state == State::Installed;
    let count = told.iter().filter(|(_, state, _)| installed(state)).count();
    // Announcements and the like have their place, too; but not that of many networks.
    assert!(count >= 180, "only {count} work");
    for (network, state, reason) in &told {
        let n: u32 = network.as_str()[1..].parse().unwrap();
        assert_eq!(works(&mut lab, n), installed(state), "{network} is {state:?}: {reason:?}");
        if !installed(state) {
            assert_eq!(*state, State::Degraded, "{network}: {reason:?}");
            let reason = reason.as_deref().unwrap_or_default();
            assert!(reason.contains("s1") && reason.contains("TABLE_FULL"), "{network}: {reason}");
        }
    }

    // It is asked again, but not more often than once a second.
    lab.refused.clear();
    let until = lab.now() + Duration::from_secs(20);
    while lab.now() < until {
        lab.step();
    }
    let mut rounds: Vec<Duration> = Vec::new();
    for at in &lab.refused {
        if rounds.last().is_none_or(|last| *at - *last > Duration::from_millis(500)) {
            rounds.push(*at);
        }
    }
    assert!(rounds.len() > 5, "{rounds:?}");
    assert!(
        rounds.windows(2).all(|pair| pair[1] - pair[0] > Duration::from_millis(950)),
        "{rounds:?}"
    );

    // Some networks go: as many others get their place.
    let gone: Vec<_> = told.iter().filter(|(_, state, _)| installed(state)).take(50).collect();
    for (network, ..) in &gone {
        drop(lab.call(|engine| engine.delete_network(network, true)).unwrap());
    }
    let works_now =
        |lab: &Lab| states(lab.engine()).iter().filter(|(_, state, _)| installed(state)).count();
    settle(&mut lab, |lab| works_now(lab) >= count - 5);

    // There is room for all.
    if let Some(datapath) = lab.fabric.switch_mut(1) {
        datapath.set_limits(Limits::default());
    }
    settle(&mut lab, |lab| lab.engine().is_quiet());
    for (network, state, reason) in states(lab.engine()) {
        assert_eq!(state, State::Installed, "{network}: {reason:?}");
        let n: u32 = network.as_str()[1..].parse().unwrap();
        assert!(works(&mut lab, n), "{network}");
    }
}

#[test]
fn a_switch_without_room_for_its_own_flows_gets_them_once_there_is() {
    let mut lab = Lab::new(1).unwrap();
    let limits = Limits { flows: 2, ..Limits::default() };
    lab.add(
        Datapath::new(1, "s1", [named(1, "h1"), named(2, "h2"), named(3, "h3")])
            .with_limits(limits),
    );
    settle(&mut lab, |lab| {
        lab.engine().show_switch(1.into()).is_some_and(|switch| {
            switch.reason.is_some_and(|reason| {
                reason.contains("its own flows") && reason.contains("TABLE_FULL")
            })
        })
    });
    if let Some(datapath) = lab.fabric.switch_mut(1) {
        datapath.set_limits(Limits::default());
    }
    settle(&mut lab, |lab| lab.engine().show_switch(1.into()).is_some_and(|switch| switch.in_sync));
    let flows = lab.fabric.switch(1).map(Datapath::flow_count);
    // Who is learnt and who isn't, and the announcements of three ports.
    assert_eq!(flows, Some(6));
}

#[test]
fn a_switch_that_refuses_what_it_promised_is_named_and_asked_again() {
    let mut lab = Lab::new(1).unwrap();
    lab.add(Datapath::new(
        1,
        "s1",
        [named(1, "vhost0"), named(2, "vhost1"), named(3, "vhost2"), named(4, "vhost3")],
    ));
    settle(&mut lab, |lab| lab.engine().is_quiet() && lab.is_connected(1));
    // It said that it has groups.
    let code = ErrorCode::GroupModFailed(GroupModFailed::OutOfGroups);
    lab.refuse(1, Some(Refusals { chance: 1000, code }));
    let mut document = document();
    document.networks.truncate(1);
    document.ports.truncate(PORTS as usize);
    drop(lab.call(|engine| engine.apply(&document, false)).unwrap());
    settle(&mut lab, |lab| {
        let (_, state, reason) = states(lab.engine()).remove(0);
        let switch = lab.engine().show_switch(1.into()).and_then(|switch| switch.reason);
        let named = [reason, switch].into_iter().flatten();
        state == State::Degraded
            && named.filter(|reason| reason.contains("OUT_OF_GROUPS")).count() == 2
    });
    lab.refuse(1, None);
    settle(&mut lab, |lab| states(lab.engine()).remove(0).1 == State::Installed);
    assert!(works(&mut lab, 0));
}

#[test]
fn a_name_belongs_to_who_has_it_and_the_other_says_so() {
    let mut lab = Lab::new(1).unwrap();
    lab.add(Datapath::new(1, "twin", [named(1, "h1")]));
    settle(&mut lab, |lab| lab.is_connected(1));
    lab.add(Datapath::new(2, "twin", [named(1, "h1")]));
    settle(&mut lab, |lab| lab.is_connected(2));
    let shown = |lab: &Lab, id: u64| lab.engine().show_switch(id.into()).unwrap();
    assert!(shown(&lab, 1).name.is_some() && shown(&lab, 2).name.is_none());
    let reason = shown(&lab, 2).reason.unwrap_or_default();
    assert!(reason.starts_with("name-conflict") && reason.contains("twin"), "{reason}");
    // Connected or not, nobody takes a name from a switch that is there.
    lab.hang_up(2, false);
    settle(&mut lab, |lab| lab.is_connected(2));
    assert!(shown(&lab, 1).name.is_some() && shown(&lab, 2).name.is_none());
    lab.hang_up(1, true);
    let _ = lab.call(|engine| engine.delete_switch(&controller::model::by_id(1.into()))).unwrap();
    settle(&mut lab, |lab| shown(lab, 2).name.is_some());
}
