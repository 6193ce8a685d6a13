//! A node whose interfaces are all taken.

use serde_json::Value;
use testbed::kube::{NETWORKS, PodSpec, is_refused};
use testbed::wait::Look;

use crate::needs_kube;
use crate::stage::{Checked, LIMIT, Stage, room, until};

const RESOURCE: &str = "isolane.io/port";

/// What the scheduler counts: a pod's requests for interfaces.
fn requested(pod: &Value) -> usize {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let number = |it: &Value| {
        let text = it["resources"]["requests"][RESOURCE].as_str().unwrap_or_default();
        text.parse().unwrap_or(0)
    };
    containers.map(number).sum()
}

#[test]
fn a_full_node_is_seen_by_a_scheduler_and_denied_to_one_that_does_not_look() -> Checked {
    if !needs_kube("a full node is seen by a scheduler, and denied") {
        return Ok(());
    }
    let stage = Stage::embedded(1, 2)?;
    let cluster = &stage.cluster;
    cluster.network("default", "blue")?;
    cluster.network("default", "red")?;

    let first = cluster.pod(&PodSpec::new("first").networks("blue"))?;
    let twice = cluster.pod(&PodSpec::new("twice").networks("blue, red, blue@more"))?;
    let plain = cluster.pod(&PodSpec::new("plain"))?;
    assert_eq!((requested(&first), requested(&twice), requested(&plain)), (1, 3, 0));
    let second = cluster.pod(&PodSpec::new("second").networks(r#"[{"name":"red"}]"#))?;
    for pod in ["first", "second", "plain"] {
        cluster.bind("default", pod, "n1")?;
    }
    let offered = room(&cluster.node_named("n1")?["status"]);
    assert_eq!(requested(&first) + requested(&second), offered, "a scheduler sees no room");

    // A scheduler that doesn't look is denied, with the reason in its answer and on the pod.
    cluster.pod(&PodSpec::new("third").networks("blue"))?;
    let denied = cluster.try_bind("default", "third", "n1")?;
    assert!(
        (400..500).contains(&denied.status) && is_refused(&denied, denied.status, &["n1"]),
        "{denied}"
    );
    let event = cluster.wait_for_event("default", "third", &["n1"])?;
    println!("denied: {}\nevent: {event:?}", denied.text("/message"));
    assert_eq!(event.kind, "Warning");
    let unbound = cluster.pod_named("default", "third")?.unwrap();
    assert!(unbound["spec"]["nodeName"].is_null(), "{unbound}");
    assert_eq!(cluster.annotation_of("default", "third", NETWORKS)?, "blue");
    assert_eq!(stage.attachments()?.len(), 2);

    // One that asks for more than any node has is denied too, and takes nothing.
    let denied = cluster.try_bind("default", "twice", "n1")?;
    assert!((400..500).contains(&denied.status), "{denied}");
    assert_eq!(stage.attachments()?.len(), 2);

    // After one pod is gone the next bind works.
    cluster.delete_now("default", "first")?;
    until("the next binding to work", LIMIT, || {
        let answer = cluster.try_bind("default", "third", "n1")?;
        Ok(if answer.status == 201 { Look::Done(()) } else { Look::NotYet(answer.to_string()) })
    })?;
    assert_eq!(stage.wait_until_consistent()?.len(), 2);
    Ok(())
}

#[test]
fn a_kubelet_that_resets_its_nodes_status_does_not_take_the_interfaces_away() -> Checked {
    if !needs_kube("a kubelet that resets its node's status") {
        return Ok(());
    }
    let stage = Stage::embedded(2, 4)?;
    let cluster = &stage.cluster;
    let status = serde_json::json!({ "status": {
        "capacity": { RESOURCE: null },
        "allocatable": { RESOURCE: null },
    }});
    let path = "/api/v1/nodes/n2/status";
    cluster.api().done(cluster.api().merge(path, &status))?;
    stage.wait_for_room("n2", 4)?;
    // A node that comes later gets them too, once its switch is there: it isn't.
    cluster.node("n3")?;
    cluster.network("default", "blue")?;
    cluster.pod(&PodSpec::new("p").networks("blue"))?;
    let denied = cluster.try_bind("default", "p", "n3")?;
    assert!((400..500).contains(&denied.status), "{denied}");
    let event = cluster.wait_for_event("default", "p", &["n3"])?;
    println!("{event:?}");
    cluster.bind("default", "p", "n2")?;
    assert_eq!(stage.wait_until_consistent()?.len(), 1);
    Ok(())
}
