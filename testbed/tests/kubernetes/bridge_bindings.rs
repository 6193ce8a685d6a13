//! What a Binding brings a pod, and to whom nothing is brought.

use serde_json::{Value, json};
use testbed::kube::{NETWORKS, PodSpec, is_refused};
use testbed::wait::{Look, until};

use crate::needs_kube;
use crate::stage::{Checked, Embedded, LIMIT, Stage};

const RECORD: &str = "isolane.io/networks";
const MIRROR: &str = "kubernetes.io/config.mirror";

fn uid(stage: &Stage<Embedded>, pod: &str) -> Result<String, testbed::error::LabError> {
    let pod = stage.cluster.pod_named("default", pod)?.unwrap_or_default();
    Ok(pod["metadata"]["uid"].as_str().unwrap_or_default().to_owned())
}

/// The controller's ports of one pod, as `network switch port interface`.
fn ports(stage: &Stage<Embedded>, pod: &str) -> Result<Vec<String>, testbed::error::LabError> {
    let uid = uid(stage, pod)?;
    let mut all: Vec<String> = stage
        .attachments()?
        .iter()
        .filter(|it| it.owner.as_str().contains(&uid))
        .map(|it| {
            let interface = it.owner.as_str().rsplit('/').next().unwrap_or_default();
            format!("{} {} {} {interface}", it.network, it.switch, it.port)
        })
        .collect();
    all.sort();
    Ok(all)
}

#[test]
fn bindings_bring_pods_what_they_ask_for_and_nobody_anything_else() -> Checked {
    if !needs_kube("bindings bring pods what they ask for") {
        return Ok(());
    }
    let stage = Stage::embedded(2, 12)?;
    let cluster = &stage.cluster;
    cluster.namespace("team")?;
    cluster.network("default", "blue")?;
    cluster.definition("default", "red", r#"{"type":"isolane"}"#)?;
    cluster.network("team", "green")?;
    cluster.definition("default", "macvlan", r#"{"type":"macvlan","master":"eth0"}"#)?;
    cluster.definition("default", "broken", "{")?;

    every_form_is_rewritten_in_place(&stage)?;
    what_cant_be_had_is_left_with_a_reason(&stage)?;
    a_dry_run_and_a_wrong_uid_bring_nothing(&stage)?;
    of_two_bindings_one_wins(&stage)?;
    the_old_way_to_bind_works_too(&stage)?;

    // A static pod's image is never touched, whatever it says.
    cluster.pod(&PodSpec::new("static").networks("blue").annotation(MIRROR, "x").on("n1"))?;
    assert_eq!(cluster.annotation_of("default", "static", NETWORKS)?, "blue");
    assert_eq!(ports(&stage, "static")?, [""; 0]);
    Ok(())
}

fn every_form_is_rewritten_in_place(stage: &Stage<Embedded>) -> Checked {
    let cluster = &stage.cluster;
    let kube_system = cluster.api().done(cluster.api().get("/api/v1/namespaces/kube-system"))?;
    let kube_system = kube_system["metadata"]["uid"].as_str().unwrap().to_owned();

    cluster.pod(&PodSpec::new("text").networks(" macvlan , blue@lan,default/red , blue"))?;
    cluster.bind("default", "text", "n1")?;
    let text = cluster.annotation_of("default", "text", NETWORKS)?;
    let entries: Vec<&str> = text.split(',').map(str::trim).collect();
    assert_eq!(entries.len(), 4, "{text}");
    assert_eq!(entries[0], "macvlan");
    assert!(entries[1].starts_with("vpod") && entries[1].ends_with("@lan"), "{text}");
    assert!(entries[2].starts_with("vpod") && entries[3].starts_with("vpod"), "{text}");
    let held = ports(stage, "text")?;
    let networks: Vec<String> =
        held.iter().map(|it| it.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(networks, ["default.blue", "default.blue", "default.red"]);
    for (interface, entry) in [("lan", 1), ("net3", 2), ("net4", 3)] {
        let vpod = entries[entry].split('@').next().unwrap();
        let vhost = vpod.replace("vpod", "vhost");
        let want = format!(" n1 {vhost} {interface}");
        assert!(held.iter().any(|it| it.ends_with(&want)), "{want} in {held:?}");
    }
    let owner = format!("k8s/{kube_system}/default/{}/lan", uid(stage, "text")?);
    assert!(stage.attachments()?.iter().any(|it| it.owner.as_str() == owner), "{owner}");
    let record: Value =
        serde_json::from_str(&cluster.annotation_of("default", "text", RECORD)?).unwrap();
    assert_eq!(record["original"], " macvlan , blue@lan,default/red , blue");
    assert_eq!(record["result"], text);

    let list = r#"[{"name":"green","interface":"eth7","ips":["10.0.0.1/24"]},{"name":"red","namespace":"default"}]"#;
    cluster.pod(&PodSpec::new("list").within("team").networks(list))?;
    cluster.bind("team", "list", "n2")?;
    let list: Value =
        serde_json::from_str(&cluster.annotation_of("team", "list", NETWORKS)?).unwrap();
    assert_eq!(list[0]["interface"], "eth7");
    assert_eq!(list[0]["ips"], json!(["10.0.0.1/24"]));
    for entry in [&list[0], &list[1]] {
        assert_eq!(entry["namespace"], "default", "team has no definition of the interface");
        assert!(entry["name"].as_str().unwrap().starts_with("vpod"), "{list}");
    }
    assert_ne!(list[0]["name"], list[1]["name"]);
    Ok(())
}

fn what_cant_be_had_is_left_with_a_reason(stage: &Stage<Embedded>) -> Checked {
    let cluster = &stage.cluster;
    let before = stage.attachments()?.len();
    let cases = [
        ("unknown", "default", "nowhere", "no network attachment definition default/nowhere"),
        ("foreign", "default", "team/green", "not for pods of namespace default"),
        ("unreadable", "default", "a b", "can't be read"),
        ("no-json", "default", "blue,broken", "default/broken is not JSON"),
        ("no-list", "default", r#"{"name":"blue"}"#, "can't be read"),
        ("same-interface", "default", "blue@net2,blue", "another entry's"),
    ];
    for (name, namespace, networks, why) in cases {
        cluster.pod(&PodSpec::new(name).within(namespace).networks(networks))?;
        cluster.bind(namespace, name, "n1")?;
        assert_eq!(cluster.annotation_of(namespace, name, NETWORKS)?, networks, "{name}");
        let event = cluster.wait_for_event(namespace, name, &[why])?;
        assert_eq!(event.kind, "Warning", "{event:?}");
    }
    assert_eq!(stage.attachments()?.len(), before);
    Ok(())
}

fn a_dry_run_and_a_wrong_uid_bring_nothing(stage: &Stage<Embedded>) -> Checked {
    let cluster = &stage.cluster;
    cluster.pod(&PodSpec::new("careful").networks("blue"))?;
    let body = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "careful"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"},
    });
    let path = "/api/v1/namespaces/default/pods/careful/binding?dryRun=All";
    cluster.scheduler().done(cluster.scheduler().call("POST", path, &body))?;
    assert_eq!(ports(stage, "careful")?, [""; 0]);
    let other = "00000000-0000-0000-0000-000000000000";
    let denied = cluster.try_bind_seen("default", "careful", other, "n1")?;
    assert_eq!(denied.status, 409, "{denied}");
    assert_eq!(ports(stage, "careful")?, [""; 0]);
    assert_eq!(cluster.annotation_of("default", "careful", NETWORKS)?, "blue");
    cluster.bind("default", "careful", "n1")?;
    assert_eq!(ports(stage, "careful")?.len(), 1);
    let again = cluster.try_bind("default", "careful", "n2")?;
    assert!(is_refused(&again, 409, &["already assigned"]), "{again}");
    assert_eq!(ports(stage, "careful")?.len(), 1, "a bound pod gets nothing from another Binding");
    Ok(())
}

fn of_two_bindings_one_wins(stage: &Stage<Embedded>) -> Checked {
    let cluster = &stage.cluster;
    for round in 0..5 {
        let pod = format!("torn-{round}");
        cluster.pod(&PodSpec::new(&pod).networks("blue,red"))?;
        let both = crate::stage::at_once(2, &["n1", "n2"], |node| {
            cluster.try_bind("default", &pod, node)
        })?;
        let won = both.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(won, 1, "{} {}", both[0], both[1]);
        let node = if both[0].status == 201 { "n1" } else { "n2" };
        let there = format!(" {node} ");
        until("the other node's ports to be released", LIMIT, || {
            let held = ports(stage, &pod)?;
            Ok(if held.len() == 2 && held.iter().all(|it| it.contains(&there)) {
                Look::Done(())
            } else {
                Look::NotYet(format!("{held:?} for {node}\n{}", stage.bridge_logs()))
            })
        })?;
        let text = cluster.annotation_of("default", &pod, NETWORKS)?;
        for entry in text.split(',') {
            let vhost = entry.replace("vpod", "vhost");
            let held = ports(stage, &pod)?;
            assert!(held.iter().any(|it| it.contains(&format!(" {vhost} "))), "{text} {held:?}");
        }
        cluster.delete_now("default", &pod)?;
    }
    Ok(())
}

fn the_old_way_to_bind_works_too(stage: &Stage<Embedded>) -> Checked {
    let cluster = &stage.cluster;
    cluster.pod(&PodSpec::new("old-way").networks("blue"))?;
    let body = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "old-way"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "n2"},
    });
    cluster.api().done(cluster.api().call("POST", "/api/v1/namespaces/default/bindings", &body))?;
    let text = cluster.annotation_of("default", "old-way", NETWORKS)?;
    assert!(text.starts_with("vpod"), "{text}");
    assert_eq!(ports(stage, "old-way")?.len(), 1);
    Ok(())
}
