//! The cluster itself, without Isolane: what the other stories rest on.

use std::time::Duration;

use testbed::error::LabError;
use testbed::kube::{
    Cluster, ClusterSpec, L2SM_NETWORK, NETWORK_STATUS, NETWORKS, PodSpec, is_refused, needs_cni,
};
use testbed::netns::NetNs;
use testbed::rights::needs_rights;
use testbed::wait::{Look, until};

use crate::needs_kube;
use crate::stage::spec;

type Checked = Result<(), LabError>;

#[test]
fn a_pod_is_made_bound_seen_to_end_and_removed() -> Checked {
    if !needs_kube("a pod is made, bound, seen to end and removed") {
        return Ok(());
    }
    let cluster = Cluster::start_with(spec()?)?;
    cluster.node("n1")?;
    cluster.network("default", "blue")?;
    assert_eq!(cluster.config_of("default", "blue")?, L2SM_NETWORK);
    cluster.pod(&PodSpec::new("p").networks("blue"))?;
    assert_eq!(cluster.annotation_of("default", "p", NETWORKS)?, "blue");
    cluster.bind("default", "p", "n1")?;
    let again = cluster.try_bind("default", "p", "n1")?;
    assert!(is_refused(&again, 409, &["already assigned"]), "{again}");
    cluster.set_phase("default", "p", "Running")?;
    cluster.delete("default", "p")?;
    let dying = cluster.pod_named("default", "p")?.unwrap();
    assert!(
        dying["metadata"]["deletionTimestamp"].is_string(),
        "its kubelet has it still: {dying}"
    );
    cluster.set_phase("default", "p", "Succeeded")?;
    cluster.delete_now("default", "p")?;
    assert_eq!(cluster.pod_named("default", "p")?, None);
    Ok(())
}

#[test]
fn a_service_account_may_do_what_its_roles_say_and_nothing_else() -> Checked {
    if !needs_kube("a service account may do what its roles say and nothing else") {
        return Ok(());
    }
    let cluster = Cluster::start_with(spec()?)?;
    let account = cluster.account("default", "reader")?;
    let pods = "/api/v1/namespaces/default/pods";
    assert_eq!(account.get(pods)?.status, 403);
    cluster.apply(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules:
- {apiGroups: [''], resources: [pods], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects:
- {kind: ServiceAccount, name: reader, namespace: default}
",
        false,
    )?;
    // The server hears of its own roles by a watch.
    until("the role to count", Duration::from_secs(20), || {
        let answer = account.get(pods)?;
        Ok(if answer.status == 200 { Look::Done(()) } else { Look::NotYet(answer.to_string()) })
    })?;
    assert_eq!(account.call("POST", pods, &PodSpec::new("p").object())?.status, 403);
    let forgotten = cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}", true);
    assert!(forgotten.is_ok(), "{forgotten:?}");
    let there = cluster.api().get("/api/v1/namespaces/default/configmaps/c")?;
    assert_eq!(there.status, 404, "a dry run changes nothing: {there}");
    Ok(())
}

/// The plugin itself: an interface moves into a pod and comes back; what the bridge hasn't rewritten is closed by
/// nature, since its device doesn't exist.
#[test]
fn host_device_gives_a_pod_its_interface_and_nothing_where_nobody_chose_one() -> Checked {
    let name = "host-device gives a pod its interface";
    if !(needs_kube(name) && needs_rights(name) && needs_cni(name)) {
        return Ok(());
    }
    let cluster = Cluster::start_with(spec()?)?;
    let node = NetNs::new("n1")?;
    node.ip("link add vpod1 type veth peer name vhost1")?;
    cluster.node("n1")?;
    cluster.network("default", "blue")?;
    cluster.pool_definitions("default", 1)?;
    for (pod, networks) in [("asks", "blue"), ("has", "vpod1@lan"), ("both", "vpod1,blue")] {
        cluster.pod(&PodSpec::new(pod).networks(networks))?;
        cluster.bind("default", pod, "n1")?;
    }
    let error = cluster.start_pod("default", "asks", &node).unwrap_err().to_string();
    assert!(error.contains("Link not found"), "{error}");
    let error = cluster.start_pod("default", "both", &node).unwrap_err().to_string();
    assert!(error.contains("Link not found"), "{error}");
    let sandbox = cluster.start_pod("default", "has", &node)?;
    sandbox.address("lan", "192.168.12.1/30")?;
    assert_eq!(sandbox.definitions(), ["vpod1"]);
    let status = cluster.annotation_of("default", "has", NETWORK_STATUS)?;
    assert!(status.contains("default/vpod1") && status.contains("\"lan\""), "{status}");
    assert!(!node.run("ip", ["-o", "link"])?.contains("vpod1"));
    cluster.end_pod(sandbox, &node)?;
    assert!(node.run("ip", ["-o", "link"])?.contains("vpod1"));
    assert_eq!(cluster.pod_named("default", "has")?, None);
    Ok(())
}

/// Its data outlives it, and a compacted revision can't be watched from.
#[test]
fn an_api_server_comes_back_with_its_data_and_says_gone_for_what_is_compacted() -> Checked {
    if !needs_kube("an API server comes back, and says Gone for what is compacted") {
        return Ok(());
    }
    let mut cluster = Cluster::start_with(ClusterSpec { watch_cache: false, ..spec()? })?;
    println!("{}", cluster.version()?);
    let first = cluster.pod(&PodSpec::new("p1"))?;
    let old = first["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    cluster.pod(&PodSpec::new("p2"))?;
    cluster.restart_api_server()?;
    assert!(cluster.pod_named("default", "p1")?.is_some());
    cluster.compact()?;
    cluster.compact()?;
    let watch = format!(
        "/api/v1/namespaces/default/pods?watch=true&timeoutSeconds=5&resourceVersion={old}"
    );
    let gone = cluster.api().get(&watch)?;
    assert_eq!(
        gone.body["object"]["code"].as_u64().or(gone.body["code"].as_u64()),
        Some(410),
        "{gone}"
    );
    Ok(())
}
