//! Something isn't there: the controller, the bridge, the API server, or what a watch would have told.

use testbed::kube::{ClusterSpec, Mode, NETWORKS, PodSpec};
use testbed::wait::Look;

use crate::needs_kube;
use crate::stage::{Checked, LIMIT, Stage, spec, until};

#[test]
fn without_a_controller_pods_that_ask_wait_and_others_pass() -> Checked {
    if !needs_kube("without a controller pods that ask wait and others pass") {
        return Ok(());
    }
    let stage = Stage::embedded(1, 4)?;
    let cluster = &stage.cluster;
    cluster.network("default", "blue")?;
    for (mode, name) in [(Mode::Cut, "cut"), (Mode::Stall, "stall")] {
        stage.line.set(mode);
        let (asks, plain) = (format!("asks-{name}"), format!("plain-{name}"));
        cluster.pod(&PodSpec::new(&asks).networks("blue"))?;
        cluster.pod(&PodSpec::new(&plain))?;
        let denied = cluster.try_bind("default", &asks, "n1")?;
        assert!((400..600).contains(&denied.status), "{name}: {denied}");
        println!("{name}: {}", denied.text("/message"));
        cluster.bind("default", &plain, "n1")?;
        cluster.wait_for_event("default", &asks, &["controller"])?;
        stage.line.set(Mode::Pass);
        until("the controller to be back", LIMIT, || {
            let answer = cluster.try_bind("default", &asks, "n1")?;
            Ok(if answer.status == 201 { Look::Done(()) } else { Look::NotYet(answer.to_string()) })
        })?;
        stage.wait_until_consistent()?;
    }
    Ok(())
}

#[test]
fn a_pod_bound_while_the_bridge_was_away_is_repaired() -> Checked {
    if !needs_kube("a pod bound while the bridge was away is repaired") {
        return Ok(());
    }
    let mut stage = Stage::embedded(1, 4)?;
    stage.cluster.network("default", "blue")?;
    for name in ["before", "during"] {
        stage.cluster.pod(&PodSpec::new(name).networks("blue"))?;
    }
    stage.cluster.bind("default", "before", "n1")?;
    stage.kill_bridge("bridge")?;
    // Nobody is held up; what it asked for is a device that doesn't exist.
    stage.cluster.bind("default", "during", "n1")?;
    assert_eq!(stage.cluster.annotation_of("default", "during", NETWORKS)?, "blue");
    stage.cluster.pod(&PodSpec::new("late").networks("blue"))?;
    stage.cluster.bind("default", "late", "n1")?;
    // One whose sandbox is up without its network can't be repaired; a person is told what to do.
    let other = r#"[{"name":"cbr0","interface":"eth0","ips":["10.1.0.5"],"default":true}]"#;
    stage.cluster.annotate("default", "late", testbed::kube::NETWORK_STATUS, other)?;
    stage.cluster.set_phase("default", "late", "Running")?;
    stage.cluster.delete_now("default", "before")?;
    stage.start_bridge()?;
    let networks = stage
        .cluster
        .wait_for_annotation("default", "during", NETWORKS, |it| it.contains("vpod"))?;
    println!("{networks}");
    let event = stage.cluster.wait_for_event("default", "late", &["blue"])?;
    println!("{event:?}");
    assert_eq!(event.kind, "Warning");
    until("the port of the pod that is gone to be free", LIMIT, || {
        let all = stage.attachments()?;
        let gone = all.iter().all(|it| it.network.as_str() == "default.blue") && all.len() <= 2;
        Ok(if gone { Look::Done(()) } else { Look::NotYet(format!("{all:#?}")) })
    })
}

#[test]
fn an_api_server_that_comes_back_finds_the_bridge_at_work() -> Checked {
    if !needs_kube("an API server that comes back finds the bridge at work") {
        return Ok(());
    }
    let mut stage = Stage::embedded(1, 4)?;
    stage.cluster.network("default", "blue")?;
    for name in ["a", "b", "c"] {
        stage.cluster.pod(&PodSpec::new(name).networks("blue"))?;
    }
    stage.cluster.bind("default", "a", "n1")?;
    stage.cluster.restart_api_server()?;
    stage.wait_until_asked(&stage.plan)?;
    stage.cluster.bind("default", "b", "n1")?;
    stage.cluster.delete_now("default", "a")?;
    stage.cluster.network("default", "red")?;
    stage.wait_for_attachments(1)?;
    stage.cluster.bind("default", "c", "n1")?;
    assert_eq!(stage.wait_until_consistent()?.len(), 2);
    Ok(())
}

/// What a watch missed, and can't be told any more (410), is found by listing again.
#[test]
fn what_was_compacted_while_the_bridge_hung_is_found_all_the_same() -> Checked {
    if !needs_kube("what was compacted while the bridge hung is found all the same") {
        return Ok(());
    }
    let spec = ClusterSpec { watch_cache: false, ..spec()? };
    let mut stage = Stage::embedded_on(&spec, 1, 4)?;
    println!("{}", stage.cluster.version()?);
    stage.cluster.network("default", "blue")?;
    for name in ["a", "b", "c"] {
        stage.cluster.pod(&PodSpec::new(name).networks("blue"))?;
    }
    stage.cluster.bind("default", "a", "n1")?;
    stage.cluster.bind("default", "b", "n1")?;
    stage.wait_for_attachments(2)?;
    let bridge = &stage.bridges["bridge"];
    bridge.hang(true)?;
    stage.cluster.delete_now("default", "a")?;
    stage.cluster.bind("default", "c", "n1")?;
    stage.cluster.compact()?;
    stage.cluster.restart_api_server()?;
    stage.bridges["bridge"].hang(false)?;
    stage.cluster.wait_for_annotation("default", "c", NETWORKS, |it| it.contains("vpod"))?;
    assert_eq!(stage.wait_until_consistent()?.len(), 2);
    Ok(())
}
