//! Pods bound as fast as the API server takes them: no race, nothing twice, nothing left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;
use testbed::error::LabError;
use testbed::kube::{Cluster, NETWORKS, PodSpec};
use testbed::wait::{Look, until};

use crate::needs_kube;
use crate::stage::{Checked, LIMIT, Stage, at_once, places};

/// How many pods; `ISOLANE_KUBE_PODS` says otherwise.
const PODS: usize = 120;
const NODES: usize = 10;
/// How many bindings are under way at once.
const THREADS: usize = 8;

#[test]
fn pods_bound_at_once_get_their_interface_in_the_write_that_gives_them_their_node() -> Checked {
    if !needs_kube("pods bound at once get their interface with their node") {
        return Ok(());
    }
    let pods = match std::env::var("ISOLANE_KUBE_PODS") {
        Ok(text) => text.parse().expect("ISOLANE_KUBE_PODS is a number"),
        Err(_) => PODS,
    };
    let room = pods.div_ceil(NODES);
    let mut stage = Stage::embedded(NODES, room)?;
    stage.cluster.network("default", "blue")?;
    stage.cluster.network("default", "red")?;
    let second = stage.plan.replica("second")?;
    stage.start_replica(&second)?;

    let record = stage.cluster.record_pods()?;
    let all: Vec<(String, String)> =
        (0..pods).map(|index| (format!("p{index}"), format!("n{}", index % NODES + 1))).collect();
    let cluster = &stage.cluster;
    let uids = at_once(THREADS, &all, |(pod, _)| {
        let network = if pod.ends_with(['1', '3', '5', '7', '9']) { "blue" } else { "red" };
        let made = cluster.pod(&PodSpec::new(pod).networks(network))?;
        Ok(made["metadata"]["uid"].as_str().unwrap_or_default().to_owned())
    })?;
    let all: Vec<(&str, &str, &str)> = all
        .iter()
        .zip(&uids)
        .map(|((pod, node), uid)| (pod.as_str(), uid.as_str(), node.as_str()))
        .collect();

    // One of the replicas, the one that was there first and leads, is killed in the middle.
    let begin = Instant::now();
    let (early, late) = all.split_at(pods / 2);
    // Told to come back later, a scheduler does: the controller is given a second and a half.
    let bind = |(pod, uid, node): &(&str, &str, &str)| cluster.bind_seen("default", pod, uid, node);
    let mut later: usize = at_once(THREADS, early, bind)?.iter().sum();
    let first = stage.bridges.remove("bridge").expect("the first replica");
    let tries = std::thread::scope(|scope| {
        let killed = scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            first.kill()
        });
        let tries = at_once(THREADS, late, bind)?;
        killed.join().expect("no panic").map(|()| tries)
    })?;
    later += tries.iter().sum::<usize>();
    let took = begin.elapsed();
    println!(
        "{pods} pods bound in {took:?}, {:.0} a second, {later} bindings put off",
        pods as f64 / took.as_secs_f64()
    );

    // The watch tells of the last ones a moment after their answers.
    let writes = until("the watch to tell of all bindings", LIMIT, || {
        let writes = record.writes()?;
        let bound = writes.iter().filter(|pod| pod["spec"]["nodeName"].is_string());
        let names: BTreeSet<_> = bound.map(|pod| pod["metadata"]["name"].to_string()).collect();
        let seen = names.len();
        Ok(if seen == pods { Look::Done(writes) } else { Look::NotYet(seen.to_string()) })
    })?;
    final_when_bound(&writes, pods);
    let given = stage.wait_until_consistent()?;
    assert_eq!(given.len(), pods, "each has one");

    // All go at once; nothing is left, and every port can be given out again.
    at_once(THREADS, &all, |(pod, ..)| stage.cluster.delete_now("default", pod))?;
    stage.wait_for_attachments(0)?;
    for index in 1..=NODES {
        stage.wait_for_room(&format!("n{index}"), room)?;
    }
    let again: Vec<String> = (0..room).map(|index| format!("again{index}")).collect();
    at_once(THREADS, &again, |pod| {
        stage.cluster.pod(&PodSpec::new(pod).networks("blue"))?;
        stage.cluster.bind("default", pod, "n1")
    })?;
    assert_eq!(stage.wait_until_consistent()?.len(), room);
    Ok(())
}

/// Whoever watched has never seen a bound pod without its interface, nor has it changed since.
fn final_when_bound(writes: &[Value], pods: usize) {
    let mut seen: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for pod in writes.iter().filter(|pod| pod["spec"]["nodeName"].is_string()) {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let text = pod["metadata"]["annotations"][NETWORKS].as_str().unwrap_or_default().to_owned();
        let place =
            places(pod).unwrap_or_else(|error| panic!("bound without its interface: {error}"));
        seen.entry(name).or_default().push((text, format!("{place:?}")));
    }
    assert_eq!(seen.len(), pods, "pods that were seen bound");
    for (name, all) in seen {
        assert!(all.windows(2).all(|two| two[0] == two[1]), "{name} changed: {all:?}");
    }
}

/// Measured one after the other, so that it is the webhook's own time.
#[test]
fn what_the_bridge_adds_to_a_binding() -> Checked {
    if !needs_kube("what the bridge adds to a binding") {
        return Ok(());
    }
    const EACH: usize = 60;
    let mut stage = Stage::embedded(NODES, EACH.div_ceil(NODES))?;
    stage.cluster.network("default", "blue")?;
    let with = latencies(&stage.cluster, "with", EACH, Some("blue"))?;
    // An older one, measured for comparison, doesn't say where they are.
    let figures = stage.bridges["bridge"].metrics().unwrap_or_default();
    let plain = latencies(&stage.cluster, "plain", EACH, None)?;
    stage.kill_bridge("bridge")?;
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    stage.cluster.api().done(stage.cluster.api().call("DELETE", path, &Value::Null))?;
    let without = latencies(&stage.cluster, "without", EACH, None)?;
    let at = |all: &[Duration], percent: usize| all[(all.len() - 1) * percent / 100];
    for (name, all) in
        [("without the webhook", &without), ("plain pods", &plain), ("pods that ask", &with)]
    {
        println!("binding, {name}: p50 {:?}, p99 {:?}", at(all, 50), at(all, 99));
    }
    println!(
        "added for pods that ask: p50 {:?}, p99 {:?}",
        at(&with, 50).saturating_sub(at(&without, 50)),
        at(&with, 99).saturating_sub(at(&without, 99)),
    );
    // Where that time goes: to the API server and the controller, as the bridge sees them.
    for part in [
        "review_seconds_sum{kind=\"bindings\"}",
        "review_part_seconds_sum{part=\"pod\"}",
        "review_part_seconds_sum{part=\"ports\"}",
    ] {
        let line = figures.lines().find(|line| line.contains(part)).unwrap_or_default();
        let sum: f64 = line.rsplit(' ').next().and_then(|it| it.parse().ok()).unwrap_or_default();
        println!("mean of {part}: {:.2} ms", sum * 1_000.0 / EACH as f64);
    }
    for bound in ["0.005", "0.01", "0.02", "0.05", "0.1"] {
        let bucket = format!("review_seconds_bucket{{kind=\"bindings\",le=\"{bound}\"}}");
        let line = figures.lines().find(|line| line.contains(&bucket)).unwrap_or_default();
        println!("reviews within {bound} s: {}", line.rsplit(' ').next().unwrap_or_default());
    }
    println!("{}", commits(&stage)?);
    Ok(())
}

/// How long the controller's store took.
fn commits<S>(stage: &Stage<S>) -> Result<String, LabError> {
    let all = stage.controller.metrics()?;
    let lines = all.lines().filter(|it| it.starts_with("isolane_store_commit_seconds{"));
    Ok(lines
        .filter(|it| it.contains("0.5\"") || it.contains("0.99\""))
        .collect::<Vec<_>>()
        .join("\n"))
}

/// Sorted times of so many bindings.
fn latencies(
    cluster: &Cluster,
    prefix: &str,
    count: usize,
    network: Option<&str>,
) -> Result<Vec<Duration>, LabError> {
    let mut all = Vec::new();
    for index in 0..count {
        let mut pod = PodSpec::new(format!("{prefix}{index}"));
        if let Some(network) = network {
            pod = pod.networks(network);
        }
        let made = cluster.pod(&pod)?;
        let uid = made["metadata"]["uid"].as_str().unwrap_or_default();
        let begin = Instant::now();
        let node = format!("n{}", index % NODES + 1);
        cluster.bind_seen("default", &pod.name, uid, &node)?;
        all.push(begin.elapsed());
    }
    all.sort();
    Ok(all)
}
