//! What is done about pods, told as stories in one line each.

use serde_json::{Value, json};

use super::*;
use crate::facts::tests::pod;
use crate::names::ENFORCE;
use crate::names::{MIRROR, RECORD, STATUS};
use crate::networks::tests::{VNET, cluster, labelled};

const NOW: u64 = 1_800_000_000_000;
/// As long as it is by default.
const UNBOUND: u64 = 120_000;

/// An attachment of pod `u1`.
fn held(network: &str, switch: &str, port: &str, interface: &str) -> Attachment {
    serde_json::from_value(json!({
        "id": format!("a-{switch}-{port}"), "network": network, "switch": switch, "port": port,
        "number": 3, "owner": format!("k8s/c1/shop/u1/{interface}"),
        "since": Timestamp::from_millis(NOW - 1_000).to_string(),
        "state": "installed", "reason": null, "reasons": [],
    }))
    .unwrap()
}

fn old(attachment: Attachment) -> Attachment {
    Attachment { since: Timestamp::from_millis(NOW - UNBOUND - 1), ..attachment }
}

fn record(ports: &[(&str, &str)], original: &str, result: &str) -> String {
    let ports = ports.iter().enumerate().map(|(entry, (network, port))| Held {
        entry,
        interface: format!("net{}", entry + 1),
        network: network.parse().unwrap(),
        port: (*port).to_owned(),
    });
    let record = Record {
        node: "n1".to_owned(),
        original: original.to_owned(),
        result: result.to_owned(),
        ports: ports.collect(),
    };
    record.to_text()
}

/// A pod on node `n1` that joined `shop.blue` as `vhost3`.
fn joined() -> Facts {
    on("n1", json!({NETWORKS: "default/vpod3", RECORD: blue()}), json!({"phase": "Running"}))
}

fn blue() -> String {
    record(&[("shop.blue", "vhost3")], "blue", "default/vpod3")
}

fn on(node: &str, annotations: Value, status: Value) -> Facts {
    pod(annotations, json!({"containers": [], "nodeName": node}), status)
}

struct Story {
    definitions: Definitions,
    declared: HashMap<(SwitchRef, PortRef), PortSpec>,
    marks: bool,
    taken: BTreeSet<String>,
}

impl Story {
    fn new() -> Self {
        let (definitions, taken) = (cluster(), BTreeSet::new());
        Self { definitions, declared: HashMap::new(), marks: true, taken }
    }

    fn steps(&self, life: Life<'_>, held: &[Attachment]) -> Vec<Step> {
        let key = PodKey { namespace: "shop".to_owned(), uid: "u1".to_owned() };
        plan(&View {
            cluster: &Cluster::new("c1"),
            key: &key,
            life,
            held,
            declared: &self.declared,
            definitions: &self.definitions,
            marks: self.marks,
            taken: &self.taken,
            unbound: UNBOUND,
            now: Timestamp::from_millis(NOW),
        })
    }

    fn there(&self, pod: &Facts, held: &[Attachment]) -> String {
        told(&self.steps(Life::There(pod), held))
    }
}

fn told(steps: &[Step]) -> String {
    let one = |step: &Step| match step {
        Step::NotReady(switch, port) => format!("not-ready {switch}/{port}"),
        Step::Ready(switch, port) => format!("ready {switch}/{port}"),
        Step::Release { attachment: a, .. } => format!("release {}/{}", a.switch, a.port),
        Step::Put { network, switch, port, spec, again } => {
            let mac: Vec<_> = spec.mac.iter().map(ToString::to_string).collect();
            format!(
                "put {network} {switch}/{port}{}{}{}",
                if *again { " again" } else { "" },
                if mac.is_empty() { String::new() } else { format!(" {}", mac.join("+")) },
                if spec.enforce { " enforced" } else { "" },
            )
        }
        Step::Join { node, wants, .. } => format!("join {} on {node}", wants.len()),
        Step::Annotate(record) => format!("annotate {}", record.result),
        Step::Tell(message) => format!("tell {}", message.reason),
    };
    steps.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[test]
fn a_pod_with_its_ports_needs_nothing() {
    let story = Story::new();
    assert_eq!(story.there(&joined(), &[held("shop.blue", "n1", "vhost3", "net1")]), "");
    // Not even while it is being deleted: its interfaces are still in it.
    let deleting = Facts { deleting: true, ..joined() };
    assert_eq!(story.there(&deleting, &[held("shop.blue", "n1", "vhost3", "net1")]), "");
}

#[test]
fn a_pod_that_ends_leaves_and_its_port_waits_for_its_end() {
    let story = Story::new();
    let ended = Facts { ended: true, ..joined() };
    let port = [held("shop.blue", "n1", "vhost3", "net1")];
    assert_eq!(story.there(&ended, &port), "not-ready n1/vhost3; release n1/vhost3");
    assert_eq!(story.there(&ended, &[]), "");
    assert_eq!(told(&story.steps(Life::Gone(Some(&ended)), &[])), "ready n1/vhost3");
    // Deleted without having ended: kubelet has taken the interfaces back.
    assert_eq!(told(&story.steps(Life::Gone(Some(&joined())), &port)), "release n1/vhost3");
    assert_eq!(told(&story.steps(Life::Gone(None), &port)), "release n1/vhost3");
    // With a node's side it is that one's to say.
    let story = Story { marks: false, ..Story::new() };
    assert_eq!(story.there(&ended, &port), "release n1/vhost3");
    assert_eq!(told(&story.steps(Life::Gone(Some(&ended)), &[])), "");
}

#[test]
fn a_pod_whose_node_is_gone_leaves() {
    let port = [held("shop.blue", "n1", "vhost3", "net1")];
    assert_eq!(told(&Story::new().steps(Life::WithoutNode(&joined()), &port)), "release n1/vhost3");
}

#[test]
fn without_a_node_a_pod_may_hold_ports_for_two_minutes() {
    let story = Story::new();
    let unbound = pod(json!({NETWORKS: "blue"}), json!({"containers": []}), json!({}));
    let new = held("shop.blue", "n1", "vhost3", "net1");
    assert_eq!(
        story.there(&unbound, &[new.clone(), held("shop.blue", "n2", "vhost1", "net1")]),
        ""
    );
    let mixed = [new, old(held("shop.blue", "n2", "vhost1", "net1"))];
    assert_eq!(story.there(&unbound, &mixed), "release n2/vhost1");
}

#[test]
fn once_it_has_a_node_ports_elsewhere_are_released() {
    let both =
        [held("shop.blue", "n1", "vhost3", "net1"), held("shop.blue", "n2", "vhost1", "net1")];
    assert_eq!(Story::new().there(&joined(), &both), "release n2/vhost1");
    // A switch that lost its name for a moment may be its own.
    let unnamed = [held("shop.blue", "of:0000000000000001", "vhost3", "net1")];
    let steps = Story::new().there(&joined(), &unnamed);
    assert!(!steps.starts_with("release n1"), "{steps}");
}

#[test]
fn a_port_that_somebody_detached_comes_back_as_it_was() {
    let story = Story::new();
    assert_eq!(story.there(&joined(), &[]), "put shop.blue n1/vhost3 again");
    let moved = [held("shop.blue", "n1", "vhost7", "net1")];
    assert_eq!(story.there(&joined(), &moved), "release n1/vhost7; put shop.blue n1/vhost3 again");
    let elsewhere = [held("default.red", "n1", "vhost3", "net1")];
    assert_eq!(
        story.there(&joined(), &elsewhere),
        "release n1/vhost3; put shop.blue n1/vhost3 again"
    );
}

#[test]
fn where_the_webhook_was_away_the_pod_is_repaired() {
    let story = Story::new();
    let waiting =
        on("n1", json!({NETWORKS: "blue,macvlan,default/red"}), json!({"phase": "Pending"}));
    assert_eq!(story.there(&waiting, &[]), "join 2 on n1");
    // Its answer was not waited for: the ports are there, the annotation isn't.
    let half = [held("shop.blue", "n1", "vhost3", "net1")];
    assert_eq!(story.there(&waiting, &half), "join 2 on n1");
    let started = on("n1", json!({NETWORKS: "blue"}), json!({"podIP": "10.0.0.1"}));
    assert_eq!(story.there(&started, &[]), "tell NetworksMissing");
    assert_eq!(story.there(&started, &half), "release n1/vhost3; tell NetworksMissing");
    let deleting = Facts { deleting: true, ..waiting };
    assert_eq!(story.there(&deleting, &half), "release n1/vhost3");
}

#[test]
fn pods_that_are_none_of_ours_are_left_alone() {
    let story = Story::new();
    let cases = [
        ("asks for nothing", json!({}), json!({"phase": "Running"}), ""),
        ("others' networks", json!({NETWORKS: "macvlan"}), json!({}), ""),
        ("static", json!({NETWORKS: "blue", MIRROR: "x"}), json!({}), ""),
        ("unreadable", json!({NETWORKS: "a b"}), json!({}), "tell NetworksIgnored"),
        ("unknown", json!({NETWORKS: "nowhere"}), json!({}), "tell NetworksIgnored"),
        ("foreign", json!({NETWORKS: "other/green"}), json!({}), "tell NetworksIgnored"),
    ];
    for (name, annotations, status, want) in cases {
        assert_eq!(story.there(&on("n1", annotations, status), &[]), want, "{name}");
    }
}

#[test]
fn a_pool_interface_that_a_pod_named_itself_is_kept_back_until_it_is_gone() {
    let story = Story::new();
    let rogue = on("n1", json!({NETWORKS: "default/vpod3"}), json!({}));
    assert_eq!(story.there(&rogue, &[]), "not-ready n1/vhost3; tell PoolInterfaceNamed");
    assert_eq!(told(&story.steps(Life::Gone(Some(&rogue)), &[])), "ready n1/vhost3");
    // A record that is not to be believed makes it no better.
    let forged = json!({NETWORKS: "default/vpod3", RECORD: blue().replace("n1", "n2")});
    let rogue = on("n1", forged, json!({}));
    assert_eq!(story.there(&rogue, &[]), "not-ready n1/vhost3; tell PoolInterfaceNamed");
    assert_eq!(told(&story.steps(Life::Gone(Some(&rogue)), &[])), "ready n1/vhost3");
}

#[test]
fn a_record_is_believed_only_for_what_the_pod_may_have() {
    let story = Story::new();
    let cases = [
        (
            "a network of others",
            record(&[("other.green", "vhost3")], "other/green", "default/vpod3"),
        ),
        (
            "a network that it doesn't name",
            record(&[("default.red", "vhost3")], "blue", "default/vpod3"),
        ),
        ("a port outside the pool", record(&[("shop.blue", "eth0")], "blue", "default/vpod3")),
        (
            "one port twice",
            record(
                &[("shop.blue", "vhost3"), ("shop.blue", "vhost3")],
                "blue,blue",
                "default/vpod3",
            ),
        ),
        ("nothing", record(&[], "blue", "default/vpod3")),
        ("another node", blue().replace("n1", "n2")),
        ("not ours", "{}".to_owned()),
    ];
    for (name, record) in cases {
        let forged = on("n1", json!({NETWORKS: "blue", RECORD: record}), json!({}));
        assert_eq!(story.there(&forged, &[]), "join 1 on n1", "{name}");
    }
    // Shared ones are for everybody.
    let shared = record(&[("other.open", "vhost3")], "other/open", "default/vpod3");
    let pod = on("n1", json!({NETWORKS: "default/vpod3", RECORD: shared}), json!({}));
    assert_eq!(story.there(&pod, &[]), "put other.open n1/vhost3 again");
}

#[test]
fn a_definition_deleted_under_a_pod_leaves_it_where_it_is() {
    let mut story = Story::new();
    story.definitions.remove(&("shop".to_owned(), "blue".to_owned()));
    assert_eq!(story.there(&joined(), &[held("shop.blue", "n1", "vhost3", "net1")]), "");
    assert_eq!(story.there(&joined(), &[]), "put shop.blue n1/vhost3 again");
    story.definitions.remove(&("other".to_owned(), "open".to_owned()));
    let shared = record(&[("other.open", "vhost3")], "other/open", "default/vpod3");
    let pod = on("n1", json!({NETWORKS: "default/vpod3", RECORD: shared}), json!({}));
    assert_eq!(story.there(&pod, &[held("other.open", "n1", "vhost3", "net1")]), "");
}

#[test]
fn an_annotation_that_was_changed_or_lost_is_put_right() {
    let story = Story::new();
    let port = [held("shop.blue", "n1", "vhost3", "net1")];
    for changed in ["blue", "default/vpod9", "macvlan"] {
        let pod = on("n1", json!({NETWORKS: changed, RECORD: blue()}), json!({}));
        assert_eq!(
            story.there(&pod, &port),
            "annotate default/vpod3; tell AnnotationRestored",
            "{changed}"
        );
    }
    let lost = on("n1", json!({NETWORKS: "macvlan,default/vpod3@x1"}), json!({}));
    let steps = story.steps(Life::There(&lost), &[held("shop.blue", "n1", "vhost3", "x1")]);
    let [Step::Annotate(record)] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(record.original, "macvlan,blue@x1");
    assert_eq!(record.ports[0].entry, 1);
}

fn status(entries: Value) -> Value {
    Value::String(entries.to_string())
}

fn reporting(entries: Value) -> Facts {
    let annotations = json!({NETWORKS: "default/vpod3", RECORD: blue(), STATUS: status(entries)});
    on("n1", annotations, json!({"phase": "Running"}))
}

#[test]
fn a_status_gives_hints_and_enforces_only_by_label() {
    let mut story = Story::new();
    let port = [held("shop.blue", "n1", "vhost3", "net1")];
    let key = (port[0].switch.clone(), port[0].port.clone());
    let spec = PortSpec { owner: Some(port[0].owner.clone()), ..PortSpec::default() };
    story.declared.insert(key.clone(), spec);
    let seen = reporting(json!([
        {"name": "cbr0", "interface": "eth0"},
        {"name": "default/vpod3", "interface": "net1", "mac": "02:00:00:00:00:03", "ips": ["10.1.0.1"]},
    ]));
    let hint = "put shop.blue n1/vhost3 02:00:00:00:00:03";
    assert_eq!(story.there(&seen, &port), hint);
    story.definitions.put(labelled("shop", "blue", VNET, &[(ENFORCE, "true")]));
    assert_eq!(story.there(&seen, &port), format!("{hint} enforced"));
    // Once it is declared there is nothing more to do.
    let steps = story.steps(Life::There(&seen), &port);
    let [Step::Put { spec, .. }] = steps.as_slice() else { panic!("{steps:?}") };
    story.declared.insert(key, (**spec).clone());
    assert_eq!(story.there(&seen, &port), "");
    // A label without a MAC address enforces nothing: no frame could pass.
    let blind = reporting(json!([{"name": "default/vpod3", "interface": "net1"}]));
    assert_eq!(story.there(&blind, &port), "put shop.blue n1/vhost3");
}

#[test]
fn a_status_that_disagrees_detaches_the_port() {
    let story = Story::new();
    let port = [held("shop.blue", "n1", "vhost3", "net1")];
    for other in ["default/vpod4", "default/macvlan", "vpod5"] {
        let pod = reporting(json!([{"name": other, "interface": "net1"}]));
        assert_eq!(story.there(&pod, &port), "release n1/vhost3; tell StatusDisagrees", "{other}");
        assert_eq!(story.there(&pod, &[]), "tell StatusDisagrees", "{other}: for good");
    }
    for same in ["default/vpod3", "shop/vpod3", "vpod3"] {
        let pod = reporting(json!([{"name": same, "interface": "net1"}]));
        assert_eq!(story.there(&pod, &port), "", "{same}");
    }
    let early = reporting(json!([{"name": "cbr0", "interface": "eth0"}]));
    assert_eq!(story.there(&early, &port), "");
}

#[test]
fn carrying_out_a_plan_leaves_nothing_to_do() {
    // Whatever a pod is found with, one plan leads to a state that needs none.
    let story = Story { marks: false, ..Story::new() };
    let ports = [
        held("shop.blue", "n1", "vhost3", "net1"),
        held("default.red", "n1", "vhost3", "net1"),
        held("shop.blue", "n1", "vhost8", "net1"),
        held("shop.blue", "n1", "vhost8", "net9"),
        held("shop.blue", "n2", "vhost3", "net1"),
    ];
    let pods = [joined(), Facts { ended: true, ..joined() }, on("n1", json!({}), json!({}))];
    for pod in &pods {
        for subset in 0..1_u32 << ports.len() {
            let mut all: Vec<Attachment> = ports
                .iter()
                .enumerate()
                .filter(|(n, _)| subset >> n & 1 == 1)
                .map(|(_, port)| port.clone())
                .collect();
            for step in story.steps(Life::There(pod), &all) {
                match step {
                    Step::Release { attachment, .. } => all.retain(|a| *a != *attachment),
                    Step::Put { network, switch, port, .. } => {
                        assert!(!all.iter().any(|a| a.switch == switch && a.port == port));
                        all.push(held(
                            network.as_str(),
                            &switch.to_string(),
                            &port.to_string(),
                            "net1",
                        ));
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(story.there(pod, &all), "", "{subset:b}");
        }
    }
}

/// Until then it can't start, and nobody hears its network in its place.
#[test]
fn a_pod_whose_interface_another_one_names_has_its_port_back_once_that_is_gone() {
    let record = json!({NETWORKS: "default/vpod3", RECORD: blue()});
    let waits = on("n1", record, json!({"phase": "Pending"}));
    let port = [held("shop.blue", "n1", "vhost3", "net1")];
    let mut story = Story::new();
    assert_eq!(story.there(&waits, &port), "");
    story.taken.insert("vhost3".to_owned());
    let said = story.there(&waits, &port);
    assert!(said.contains("release") && said.contains("PortTaken"), "{said}");
    let said = story.there(&waits, &[]);
    assert!(said.contains("PortTaken") && !said.contains("put"), "{said}");
    // One that has it already keeps it.
    assert_eq!(story.there(&Facts { started: true, ..joined() }, &port), "");
    story.taken.clear();
    assert!(story.there(&waits, &[]).contains("put"), "{}", story.there(&waits, &[]));
}
