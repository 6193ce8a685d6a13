//! Ports that are kept for pods, or from them: for how long, whatever the bridge missed.

use serde_json::{Value, json};
use testbed::controller::Controller;
use testbed::error::LabError;
use testbed::kube::{NETWORK_STATUS, NETWORKS, PodSpec};
use testbed::wait::Look;

use crate::needs_kube;
use crate::stage::{Checked, Embedded, LIMIT, Stage, spec, until};

/// Whether a port of `n1` may be given out, as the controller says.
fn ready(stage: &Stage<Embedded>, port: &str) -> Result<Value, LabError> {
    let switch = stage.controller.rest().get("/api/v1/switches/n1")?;
    let ports = switch.body["ports"].as_array().cloned().unwrap_or_default();
    let one = ports.iter().find(|it| it["name"] == port);
    Ok(one.map(|it| it["ready"].clone()).unwrap_or_default())
}

fn until_ready(stage: &Stage<Embedded>, port: &str, wanted: bool) -> Checked {
    until(&format!("{port} to be ready: {wanted}"), LIMIT, || {
        let said = ready(stage, port)?;
        Ok(match said == json!(wanted) {
            true => Look::Done(()),
            false => Look::NotYet(format!("{said}\n{}", stage.bridge_logs())),
        })
    })
}

/// What the bridge noted on the node.
fn note(stage: &Stage<Embedded>) -> Result<Value, LabError> {
    let node = stage.cluster.node_named("n1")?;
    Ok(node["metadata"]["annotations"]["isolane.io/kept-back"].clone())
}

/// Binds a pod that asks, and tells which port it got.
fn joined(stage: &Stage<Embedded>, pod: &str) -> Result<String, LabError> {
    stage.cluster.pod(&PodSpec::new(pod).networks("blue"))?;
    stage.cluster.bind("default", pod, "n1")?;
    let text = stage.cluster.annotation_of("default", pod, NETWORKS)?;
    assert!(text.starts_with("vpod"), "{pod} has {text}\n{}", stage.bridge_logs());
    Ok(text.replace("vpod", "vhost"))
}

/// As when the API server's answer to a review was lost, or another webhook refused the Binding after ours.
#[test]
fn a_port_that_was_given_to_a_pod_that_got_no_node_is_free_again() -> Checked {
    if !needs_kube("a port that was given to a pod that got no node is free again") {
        return Ok(());
    }
    let controller = Controller::start(([127, 0, 0, 1], 0).into())?;
    let stage = Stage::embedded_so(&spec()?, controller, 1, 2, |_, plan| {
        plan.arguments.extend(["--unbound=2", "--compare=1"].map(str::to_owned));
        Ok(())
    })?;
    stage.wait_for_rooms(2)?;
    let cluster = &stage.cluster;
    cluster.network("default", "blue")?;
    joined(&stage, "bound")?;
    let waits = cluster.pod(&PodSpec::new("waits").networks("blue"))?;
    let system = cluster.api().done(cluster.api().get("/api/v1/namespaces/kube-system"))?;
    let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let owner = format!("k8s/{}/default/{}/net1", uid(&system), uid(&waits));
    let given = stage.controller.rest().call(
        "POST",
        "/api/v1/networks/default.blue/attachments?wait=stored",
        &json!({"switch": "n1", "owner": owner}),
    )?;
    assert!(matches!(given.status, 201 | 202), "{given}");
    // The pool is full with it, and isn't any more once the pod has waited for long enough.
    stage.wait_for_attachments(1)?;
    cluster.wait_for_event("default", "waits", &["got no node in 2 s"])?;
    // The one that has its node keeps its port; the other gets one when it gets a node.
    cluster.bind("default", "waits", "n1")?;
    assert_eq!(stage.wait_until_consistent()?.len(), 2);
    Ok(())
}

/// The webhook would have denied it.
#[test]
fn an_interface_that_a_pod_names_while_the_bridge_is_away_is_kept_from_others() -> Checked {
    if !needs_kube("an interface that a pod names while the bridge is away is kept from others") {
        return Ok(());
    }
    let mut stage = Stage::embedded(1, 3)?;
    stage.cluster.network("default", "blue")?;
    stage.kill_bridge("bridge")?;
    stage.cluster.pod(&PodSpec::new("sneaky").networks("vpod2"))?;
    stage.cluster.bind("default", "sneaky", "n1")?;
    stage.start_bridge()?;
    let event = stage.cluster.wait_for_event("default", "sneaky", &["vpod2", "kept back", "n1"])?;
    assert_eq!(event.kind, "Warning");
    until_ready(&stage, "vhost2", false)?;
    assert_eq!(stage.cluster.annotation_of("default", "sneaky", NETWORKS)?, "vpod2");
    let mut others = [joined(&stage, "one")?, joined(&stage, "two")?];
    others.sort();
    assert_eq!(others, ["vhost1", "vhost3"]);
    stage.cluster.pod(&PodSpec::new("three").networks("blue"))?;
    let denied = stage.cluster.try_bind("default", "three", "n1")?;
    assert!((400..500).contains(&denied.status), "{denied}");

    stage.cluster.delete_now("default", "sneaky")?;
    until_ready(&stage, "vhost2", true)?;
    stage.cluster.bind("default", "three", "n1")?;
    assert_eq!(stage.cluster.annotation_of("default", "three", NETWORKS)?, "vpod2");
    stage.wait_until_consistent().map(drop)
}

/// It may get it before the pod that was given it starts, and would hear that one's network.
#[test]
fn an_interface_that_a_pod_takes_from_another_brings_it_into_no_network() -> Checked {
    if !needs_kube("an interface that a pod takes from another brings it into no network") {
        return Ok(());
    }
    let mut stage = Stage::embedded(1, 2)?;
    stage.cluster.network("default", "blue")?;
    let (early, runs) = (joined(&stage, "early")?, joined(&stage, "runs")?);
    // The other has its interface, and nobody can take that.
    let report = json!([{"name": runs.replace("vhost", "default/vpod"), "interface": "net1"}]);
    stage.cluster.annotate("default", "runs", NETWORK_STATUS, &report.to_string())?;
    stage.kill_bridge("bridge")?;
    for (pod, port) in [("takes", &early), ("tries", &runs)] {
        let name = port.replace("vhost", "vpod");
        stage.cluster.pod(&PodSpec::new(pod).networks(&name))?;
        stage.cluster.bind("default", pod, "n1")?;
    }
    stage.start_bridge()?;
    stage.cluster.wait_for_event("default", "early", &["another pod", "until that pod is gone"])?;
    let left = stage.wait_for_attachments(1)?;
    assert_eq!(left[0].port.to_string(), runs);
    stage.cluster.delete_now("default", "takes")?;
    stage.cluster.delete_now("default", "tries")?;
    let back = stage.wait_for_attachments(2)?;
    assert!(back.iter().any(|it| it.port.to_string() == early), "{back:?}");
    stage.wait_until_consistent().map(drop)
}

/// Nobody watches when the pod of a port that was kept back goes: the note on the node says why it was.
#[test]
fn a_port_that_was_kept_back_is_given_back_though_its_pod_went_unseen() -> Checked {
    if !needs_kube("a port that was kept back is given back though its pod went unseen") {
        return Ok(());
    }
    let mut stage = Stage::embedded(1, 2)?;
    stage.cluster.network("default", "blue")?;
    let (goes, stays) = (joined(&stage, "goes")?, joined(&stage, "stays")?);
    for pod in ["goes", "stays"] {
        stage.cluster.set_phase("default", pod, "Succeeded")?;
    }
    stage.wait_for_attachments(0)?;
    until_ready(&stage, &goes, false)?;
    until_ready(&stage, &stays, false)?;
    let noted = note(&stage)?.to_string();
    assert!(noted.contains(&goes) && noted.contains(&stays), "{noted}");
    stage.kill_bridge("bridge")?;
    stage.cluster.delete_now("default", "goes")?;
    stage.start_bridge()?;
    until_ready(&stage, &goes, true)?;
    assert_eq!(ready(&stage, &stays)?, json!(false), "its pod is still there, and may have it");
    assert_eq!(joined(&stage, "next")?, goes);
    stage.cluster.delete_now("default", "stays")?;
    until_ready(&stage, &stays, true)?;
    until("nothing to be noted any more", LIMIT, || {
        let noted = note(&stage)?;
        Ok(if noted.is_null() { Look::Done(()) } else { Look::NotYet(noted.to_string()) })
    })
}
