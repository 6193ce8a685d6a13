//! What becomes of a pod's ports while it lives, and when it ends.

use serde_json::{Value, json};
use testbed::error::LabError;
use testbed::kube::{NETWORK_STATUS, NETWORKS, PodSpec};
use testbed::wait::{Look, until};

use crate::needs_kube;
use crate::stage::{Checked, Embedded, LIMIT, Stage};

/// The one port of a pod at the controller.
fn port(stage: &Stage<Embedded>, pod: &str) -> Result<Option<api::types::Attachment>, LabError> {
    let pod = stage.cluster.pod_named("default", pod)?.unwrap_or_default();
    let uid = pod["metadata"]["uid"].as_str().unwrap_or("none").to_owned();
    let all = stage.attachments()?;
    Ok(all.into_iter().find(|it| it.owner.as_str().contains(&uid)))
}

fn until_port(
    stage: &Stage<Embedded>,
    pod: &str,
    what: &str,
    holds: impl Fn(Option<&api::types::Attachment>) -> bool,
) -> Result<Option<api::types::Attachment>, LabError> {
    until(&format!("{pod} to be {what}"), LIMIT, || {
        let port = port(stage, pod)?;
        Ok(if holds(port.as_ref()) {
            Look::Done(port)
        } else {
            Look::NotYet(format!("{port:?}\n{}", stage.bridge_logs()))
        })
    })
}

fn joined(stage: &Stage<Embedded>, pod: &str, node: &str) -> Result<String, LabError> {
    stage.cluster.pod(&PodSpec::new(pod).networks("blue"))?;
    stage.cluster.bind("default", pod, node)?;
    stage.cluster.annotation_of("default", pod, NETWORKS)
}

#[test]
fn ports_follow_pods_through_their_lives() -> Checked {
    if !needs_kube("ports follow pods through their lives") {
        return Ok(());
    }
    let stage = Stage::embedded(3, 6)?;
    let cluster = &stage.cluster;
    cluster.network("default", "blue")?;

    others_are_left_alone(&stage)?;
    past_the_scheduler(&stage)?;
    somebody_meddles(&stage)?;
    what_plugins_report(&stage)?;
    a_label_asks_for_enforcement(&stage)?;
    the_same_name_again(&stage)?;
    a_node_goes(&stage)?;
    a_definition_goes(&stage)?;
    Ok(())
}

/// Other owners' ports, another cluster's, and networks that somebody made.
fn others_are_left_alone(stage: &Stage<Embedded>) -> Checked {
    let rest = stage.controller.rest();
    rest.call("POST", "/api/v1/networks", &json!({"name": "somebodys"}))?;
    rest.call("POST", "/api/v1/networks", &json!({"name": "default.red"}))?;
    for (port, owner) in [("vhost6", "me"), ("vhost5", "k8s/another-cluster/default/uid/net1")] {
        let path = format!("/api/v1/networks/somebodys/ports/n3/{port}?wait=stored");
        let put = rest.call("PUT", &path, &json!({ "owner": owner }))?;
        assert!(put.status < 300, "{put}");
    }
    Ok(())
}

fn still_there(stage: &Stage<Embedded>) -> Checked {
    let rest = stage.controller.rest();
    for path in
        ["/networks/somebodys", "/networks/default.red", "/networks/somebodys/ports/n3/vhost6"]
    {
        let answer = rest.get(&format!("/api/v1{path}"))?;
        assert_eq!(answer.status, 200, "{path}: {answer}");
    }
    let answer = rest.get("/api/v1/attachments?owner_prefix=k8s/another-cluster/")?;
    assert_eq!(answer.body["items"].as_array().map(Vec::len), Some(1), "{answer}");
    Ok(())
}

/// Pods that are made with their node, as a DaemonSet's once were.
fn past_the_scheduler(stage: &Stage<Embedded>) -> Checked {
    let cluster = &stage.cluster;
    cluster.pod(&PodSpec::new("direct").networks("blue").on("n1"))?;
    cluster.wait_for_annotation("default", "direct", NETWORKS, |it| it.starts_with("vpod"))?;
    until_port(stage, "direct", "attached", |it| it.is_some())?;

    // One that runs already can't be helped: it is told what to do.
    let mut early = PodSpec::new("early").on("n1").object();
    early["metadata"]["name"] = "early".into();
    let pods = "/api/v1/namespaces/default/pods";
    cluster.api().done(cluster.api().call("POST", pods, &early))?;
    let status = json!({"status": {"phase": "Running", "podIP": "10.0.0.9",
        "podIPs": [{"ip": "10.0.0.9"}]}});
    cluster.api().done(cluster.api().merge(&format!("{pods}/early/status"), &status))?;
    cluster.annotate("default", "early", NETWORKS, "blue")?;
    cluster.wait_for_event("default", "early", &["without its networks", "delete"])?;
    assert!(port(stage, "early")?.is_none());
    assert_eq!(cluster.annotation_of("default", "early", NETWORKS)?, "blue");
    cluster.delete_now("default", "direct")?;
    cluster.delete_now("default", "early")?;
    stage.wait_for_attachments_of_ours(0)
}

/// An attachment of a living pod, or its annotation, is changed by hand.
fn somebody_meddles(stage: &Stage<Embedded>) -> Checked {
    let cluster = &stage.cluster;
    let text = joined(stage, "steady", "n1")?;
    let before = port(stage, "steady")?.unwrap();
    let path = format!("/api/v1/attachments/{}", before.id);
    let rest = stage.controller.rest();
    let gone = rest.call("DELETE", &path, &json!({}))?;
    assert!(gone.status < 300, "{gone}");
    let after = until_port(stage, "steady", "attached again", |it| {
        it.is_some_and(|it| it.port == before.port && it.network == before.network)
    })?;
    assert_eq!(after.unwrap().owner, before.owner);
    cluster.wait_for_event("default", "steady", &["is back"])?;

    cluster.annotate("default", "steady", NETWORKS, "blue")?;
    cluster.wait_for_annotation("default", "steady", NETWORKS, |it| it == text)?;

    // Its deletion is only announced: nothing is released before it is gone.
    cluster.delete("default", "steady")?;
    cluster.annotate("default", "steady", "touched", "yes")?;
    still_there(stage)?;
    assert!(port(stage, "steady")?.is_some());
    cluster.delete_now("default", "steady")?;
    stage.wait_for_attachments_of_ours(0)
}

fn what_plugins_report(stage: &Stage<Embedded>) -> Checked {
    let cluster = &stage.cluster;
    let text = joined(stage, "seen", "n1")?;
    let held = port(stage, "seen")?.unwrap();
    let report = |name: &str| {
        json!([{"name": name, "interface": "net1", "mac": "02:00:00:00:00:77",
            "ips": ["192.168.12.7"]}])
        .to_string()
    };
    cluster.annotate("default", "seen", NETWORK_STATUS, &report(&format!("default/{text}")))?;
    let path = format!("/api/v1/networks/default.blue/ports/n1/{}", held.port);
    until("the MAC address to be declared", LIMIT, || {
        let said = stage.controller.rest().get(&path)?;
        let right = said.body["mac"] == json!(["02:00:00:00:00:77"])
            && said.body["ips"] == json!(["192.168.12.7"])
            && said.body["enforce"] == json!(false)
            && said.body["owner"] == json!(held.owner);
        Ok(if right { Look::Done(()) } else { Look::NotYet(said.to_string()) })
    })?;
    cluster.annotate("default", "seen", NETWORK_STATUS, &report("default/vpod99"))?;
    until_port(stage, "seen", "detached", |it| it.is_none())?;
    cluster.wait_for_event("default", "seen", &["vpod99", "detached"])?;
    cluster.delete_now("default", "seen")?;
    stage.wait_for_attachments_of_ours(0)
}

/// Of a definition whose pods run already.
fn a_label_asks_for_enforcement(stage: &Stage<Embedded>) -> Checked {
    let cluster = &stage.cluster;
    let label = |value: Value| {
        let path =
            "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions/blue";
        let body = json!({"metadata": {"labels": {"isolane.io/enforce": value}}});
        cluster.api().done(cluster.api().merge(path, &body))
    };
    let text = joined(stage, "checked", "n1")?;
    let held = port(stage, "checked")?.unwrap();
    let path = format!("/api/v1/networks/default.blue/ports/n1/{}", held.port);
    let is_declared = |what: &str, mac: Value, ips: Value, enforce: bool| {
        until(what, LIMIT, || {
            let said = stage.controller.rest().get(&path)?;
            let right = said.body["mac"] == mac
                && said.body["ips"] == ips
                && said.body["enforce"] == json!(enforce);
            Ok(match right {
                true => Look::Done(()),
                false => Look::NotYet(format!("{said}\n{}", stage.bridge_logs())),
            })
        })
    };
    label(json!("true"))?;
    // Without an address there is nothing that could be enforced.
    let without = json!([{"name": format!("default/{text}"), "interface": "net1",
        "ips": ["192.168.12.8"]}]);
    cluster.annotate("default", "checked", NETWORK_STATUS, &without.to_string())?;
    is_declared("its IP address as a hint", json!([]), json!(["192.168.12.8"]), false)?;
    let (mac, ips) = (json!(["02:00:00:00:00:88"]), json!(["192.168.12.8", "fd00::8"]));
    let with = json!([{"name": format!("default/{text}"), "interface": "net1",
        "mac": mac[0], "ips": ips}]);
    cluster.annotate("default", "checked", NETWORK_STATUS, &with.to_string())?;
    is_declared("its addresses to be all it may use", mac.clone(), ips.clone(), true)?;
    label(Value::Null)?;
    is_declared("the label's end to reach a running pod", mac.clone(), ips.clone(), false)?;
    label(json!("true"))?;
    is_declared("the label to reach a running pod", mac, ips, true)?;
    label(Value::Null)?;
    cluster.delete_now("default", "checked")?;
    stage.wait_for_attachments_of_ours(0)
}

/// As a StatefulSet does.
fn the_same_name_again(stage: &Stage<Embedded>) -> Checked {
    joined(stage, "db-0", "n1")?;
    let first = port(stage, "db-0")?.unwrap();
    stage.cluster.delete_now("default", "db-0")?;
    joined(stage, "db-0", "n2")?;
    let second = until_port(stage, "db-0", "on n2", |it| it.is_some())?.unwrap();
    assert_ne!(first.owner, second.owner);
    stage.wait_for_attachments_of_ours(1)?;
    // It ends, and its port isn't given out before its object is gone.
    stage.cluster.set_phase("default", "db-0", "Succeeded")?;
    stage.wait_for_attachments_of_ours(0)?;
    let ready = |stage: &Stage<Embedded>| -> Result<Value, LabError> {
        let switch = stage.controller.rest().get("/api/v1/switches/n2")?;
        let ports = switch.body["ports"].as_array().cloned().unwrap_or_default();
        let one = ports.iter().find(|it| it["name"] == second.port.to_string());
        Ok(one.map(|it| it["ready"].clone()).unwrap_or_default())
    };
    assert_eq!(ready(stage)?, json!(false));
    stage.cluster.delete_now("default", "db-0")?;
    until("the port to be ready again", LIMIT, || {
        let said = ready(stage)?;
        Ok(if said == json!(true) { Look::Done(()) } else { Look::NotYet(said.to_string()) })
    })
}

fn a_node_goes(stage: &Stage<Embedded>) -> Checked {
    joined(stage, "stranded", "n3")?;
    joined(stage, "elsewhere", "n1")?;
    let path = "/api/v1/nodes/n3";
    stage.cluster.api().done(stage.cluster.api().call("DELETE", path, &json!({})))?;
    until_port(stage, "stranded", "detached", |it| it.is_none())?;
    assert!(port(stage, "elsewhere")?.is_some());
    // It comes back with its pod still on it, and on the same port.
    stage.cluster.node("n3")?;
    until_port(stage, "stranded", "attached again", |it| it.is_some())?;
    stage.cluster.delete_now("default", "stranded")?;
    stage.wait_for_attachments_of_ours(1)
}

/// Under a living pod.
fn a_definition_goes(stage: &Stage<Embedded>) -> Checked {
    let cluster = &stage.cluster;
    let network = "/api/v1/networks/default.blue";
    cluster.delete_definition("default", "blue")?;
    until("an Event of the definition", LIMIT, || {
        let all = cluster.events_of("NetworkAttachmentDefinition", "default", "blue")?;
        let told = all.iter().any(|it| it.message.contains("until the last of them is gone"));
        Ok(if told { Look::Done(()) } else { Look::NotYet(format!("{all:?}")) })
    })?;
    cluster.pod(&PodSpec::new("late").networks("blue"))?;
    cluster.bind("default", "late", "n1")?;
    cluster.wait_for_event("default", "late", &["no network attachment definition"])?;
    assert!(port(stage, "late")?.is_none());
    assert_eq!(stage.controller.rest().get(network)?.status, 200);
    assert!(port(stage, "elsewhere")?.is_some());
    cluster.delete_now("default", "elsewhere")?;
    until("the network to be gone", LIMIT, || {
        let said = stage.controller.rest().get(network)?;
        Ok(if said.status == 404 { Look::Done(()) } else { Look::NotYet(said.to_string()) })
    })?;
    // The definition comes, and with it what the pod waits for.
    cluster.network("default", "blue")?;
    cluster.wait_for_annotation("default", "late", NETWORKS, |it| it.starts_with("vpod"))?;
    still_there(stage)
}

impl Stage<Embedded> {
    /// Waits until this cluster's pods hold exactly so many ports.
    fn wait_for_attachments_of_ours(&self, count: usize) -> Checked {
        until(&format!("{count} attachments"), LIMIT, || {
            let mut all = self.attachments()?;
            all.retain(|it| !it.owner.as_str().contains("another-cluster"));
            Ok(match all.len() == count {
                true => Look::Done(()),
                false => Look::NotYet(format!("{all:#?}\n{}", self.bridge_logs())),
            })
        })
    }
}
