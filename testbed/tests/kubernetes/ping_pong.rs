//! Ping-pong for real: L2S-M's YAML, host-device itself, Open vSwitch, kernel VXLAN.

use serde_json::{Value, json};
use testbed::error::LabError;
use testbed::kube::{Cluster, NETWORKS, PodSpec, documents, needs_cni};
use testbed::rights::needs_ovs;

use crate::needs_kube;
use crate::stage::{Checked, Stage};

/// What L2S-M's users have: its network, and its two deployments.
const PING_PONG: &str = include_str!("ping_pong.yaml");

/// Creates one pod of a deployment, as the controllers of deployments and replica sets do.
fn roll_out(cluster: &Cluster, deployment: &Value, suffix: &str) -> Result<String, LabError> {
    let name = format!("{}-{suffix}", deployment["metadata"]["name"].as_str().unwrap_or_default());
    let mut pod = deployment["spec"]["template"].clone();
    pod["apiVersion"] = json!("v1");
    pod["kind"] = json!("Pod");
    pod["metadata"]["name"] = json!(name);
    let path = "/api/v1/namespaces/default/pods";
    cluster.api().done(cluster.api().call("POST", path, &pod))?;
    Ok(name)
}

#[test]
fn ping_and_pong_talk_across_nodes_and_the_other_network_hears_nothing() -> Checked {
    let name = "ping and pong talk across nodes";
    if !(needs_kube(name) && needs_ovs(name) && needs_cni(name)) {
        return Ok(());
    }
    let stage = Stage::real(&["worker-1", "worker-2"], 3)?;
    let cluster = &stage.cluster;
    cluster.apply(PING_PONG, false)?;
    cluster.network("default", "my-second-network")?;

    let deployments: Vec<Value> =
        documents(PING_PONG)?.into_iter().filter(|it| it["kind"] == "Deployment").collect();
    let ping = roll_out(cluster, &deployments[0], "a")?;
    let pong = roll_out(cluster, &deployments[1], "b")?;
    cluster.pod(&PodSpec::new("other").networks("my-second-network"))?;
    let places = [(ping.as_str(), "worker-1"), (pong.as_str(), "worker-2"), ("other", "worker-2")];
    for (pod, node) in places {
        cluster.bind("default", pod, node)?;
        let networks = cluster.annotation_of("default", pod, NETWORKS)?;
        assert!(networks.contains("vpod"), "final as soon as it is bound: {networks}");
    }
    let start = |(pod, node): (&str, &str)| cluster.start_pod("default", pod, stage.node(node)?);
    let (ping, pong, other) = (start(places[0])?, start(places[1])?, start(places[2])?);

    // By hand, in each pod. The other network's pod has the same address as pong.
    ping.address("net1", "192.168.12.1/30")?;
    pong.address("net1", "192.168.12.2/30")?;
    other.address("net1", "192.168.12.2/30")?;
    let before = other.heard("net1")?;
    let said = ping.ping("192.168.12.2", 5, 10)?;
    assert!(said.contains("5 received") && said.contains("ttl=64"), "{said}");
    let said = pong.ping("192.168.12.1", 3, 10)?;
    assert!(said.contains("3 received") && said.contains("ttl=64"), "{said}");
    assert_eq!(other.heard("net1")?, before, "the other network's pod has heard something");
    let heard = ping.heard("net1")?;
    let said = other.ping("192.168.12.1", 1, 1)?;
    assert!(said.contains("0 received"), "the other network's pod is alone: {said}");
    assert_eq!(ping.heard("net1")?, heard, "and nobody hears it");

    // A pod that is being deleted holds its interface until its kubelet has given it back.
    for (pod, _) in places {
        cluster.delete("default", pod)?;
    }
    assert_eq!(stage.attachments()?.len(), 3);
    for (sandbox, (_, node)) in [ping, pong, other].into_iter().zip(places) {
        cluster.end_pod(sandbox, stage.node(node)?)?;
    }
    stage.wait_for_attachments(0)?;
    for node in ["worker-1", "worker-2"] {
        for index in 1..=3 {
            let device = format!("vpod{index}");
            assert!(stage.scene.nodes.node(node)?.has(&device)?, "{node} has no {device}");
        }
    }
    // All of a node can be given out again.
    stage.wait_for_room("worker-2", 3)?;
    for index in 1..=3 {
        let pod = format!("again-{index}");
        cluster.pod(&PodSpec::new(&pod).networks("my-first-network"))?;
        crate::stage::until("an interface that came back to be free", crate::stage::LIMIT, || {
            let answer = cluster.try_bind("default", &pod, "worker-2")?;
            Ok(match answer.status {
                201 => testbed::wait::Look::Done(()),
                _ => testbed::wait::Look::NotYet(answer.to_string()),
            })
        })?;
    }
    stage.wait_until_consistent()?;
    Ok(())
}
