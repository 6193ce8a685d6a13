//! Reviews as a real API server sent them, and what becomes of them.

use super::*;
use crate::facts::tests::pod;
use crate::networks::tests::{cluster, nad, vpod};
use kube::core::admission::AdmissionReview;

/// Recorded on kube-apiserver 1.20: a pod that is made, and its Binding.
const RECORDED: &str = include_str!("../../tests/admission-reviews.jsonl");

fn recorded(line: usize) -> AdmissionRequest<DynamicObject> {
    let line = RECORDED.lines().nth(line).unwrap();
    let review: AdmissionReview<DynamicObject> = serde_json::from_str(line).unwrap();
    review.try_into().unwrap()
}

fn binding() -> Binding {
    Binding {
        namespace: "shop".to_owned(),
        name: "p1".to_owned(),
        uid: None,
        node: "n1".to_owned(),
        annotations: None,
        dry_run: false,
    }
}

fn asking(networks: &str) -> Facts {
    pod(json!({NETWORKS: networks}), json!({"containers": []}), json!({"phase": "Pending"}))
}

fn said(verdict: OnBinding) -> String {
    match verdict {
        OnBinding::Pass => "pass".to_owned(),
        OnBinding::PassWarning(why) => format!("warn: {why}"),
        OnBinding::Deny(Denial { code, reason, .. }) => format!("{code} {reason}"),
        OnBinding::Attach { wants, .. } => {
            let all = wants.iter().map(|w| format!("{}={}", w.interface, w.network));
            all.collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn a_recorded_binding_is_read() {
    let read = Binding::read(&recorded(1)).unwrap();
    let want = Binding { namespace: "default".to_owned(), ..binding() };
    assert_eq!(read, want);
    assert_eq!(Binding::read(&recorded(0)), None);

    // The old way: `POST …/bindings`.
    let mut old = recorded(1);
    old.resource.resource = "bindings".to_owned();
    old.sub_resource = None;
    assert_eq!(Binding::read(&old), Some(want));
    // A Binding may be to something else than a node.
    let mut other = recorded(1);
    other.object.as_mut().unwrap().data["target"]["kind"] = "Shelf".into();
    assert_eq!(Binding::read(&other), None);
}

#[test]
fn a_binding_is_judged_by_the_pod_as_it_is() {
    let broken_status = json!({"phase": "Pending"});
    let free = json!({"containers": []});
    let bare = |spec: Value, status: Value| pod(json!({NETWORKS: "blue"}), spec, status);
    let uid = |uid: &str| Binding { uid: Some(uid.to_owned()), ..binding() };
    let cases = [
        ("one that asks", binding(), asking("blue, macvlan"), "net1=shop.blue"),
        (
            "several networks, one twice",
            binding(),
            asking("blue,default/red,blue@x"),
            "net1=shop.blue net2=default.red x=shop.blue",
        ),
        (
            "one that doesn't ask",
            binding(),
            pod(json!({}), free.clone(), broken_status.clone()),
            "pass",
        ),
        ("others' networks only", binding(), asking("macvlan"), "pass"),
        ("the right uid", uid("u1"), asking("blue"), "net1=shop.blue"),
        ("another pod's uid", uid("u0"), asking("blue"), "409 OtherPod"),
        (
            "another uid of one that doesn't ask",
            uid("u0"),
            pod(json!({}), free.clone(), broken_status.clone()),
            "pass",
        ),
        ("a pool interface", binding(), asking("default/vpod3"), "403 PoolInterfaceNamed"),
        (
            "a pool interface with a forged record",
            binding(),
            pod(
                json!({NETWORKS: "default/vpod3", RECORD: forged()}),
                free.clone(),
                broken_status.clone(),
            ),
            "403 PoolInterfaceNamed",
        ),
        (
            "already bound",
            binding(),
            bare(json!({"containers": [], "nodeName": "n2"}), broken_status.clone()),
            "pass",
        ),
        ("ended", binding(), bare(free.clone(), json!({"phase": "Failed"})), "pass"),
        (
            "a static pod's image",
            binding(),
            pod(json!({NETWORKS: "blue", MIRROR: "x"}), free.clone(), broken_status.clone()),
            "pass",
        ),
        (
            "the node's own network",
            binding(),
            bare(json!({"containers": [], "hostNetwork": true}), broken_status),
            "warn: the pod uses its node's own network",
        ),
        (
            "unreadable",
            binding(),
            asking("a b"),
            "warn: annotation k8s.v1.cni.cncf.io/networks can't be read",
        ),
        (
            "unknown",
            binding(),
            asking("nowhere"),
            "warn: there is no network attachment definition shop/nowhere",
        ),
        (
            "not for this namespace",
            binding(),
            asking("other/green"),
            "warn: network other/green is not for",
        ),
    ];
    for (name, binding, pod, want) in cases {
        let got = said(on_binding(&binding, &pod, &cluster()));
        assert!(
            got == want || (want.starts_with("warn") && got.starts_with(want)),
            "{name}: {got}"
        );
    }
}

fn forged() -> String {
    let record = Record {
        node: "n1".to_owned(),
        original: "blue".to_owned(),
        result: "default/vpod3".to_owned(),
        ports: Vec::new(),
    };
    record.to_text()
}

#[test]
fn a_bindings_own_annotations_win() {
    let with = |pairs: &[(&str, &str)]| Binding {
        annotations: Some(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()),
        ..binding()
    };
    let judged = |binding: &Binding| said(on_binding(binding, &asking("blue"), &cluster()));
    assert_eq!(judged(&with(&[("x", "y")])), "net1=shop.blue");
    assert_eq!(judged(&with(&[(NETWORKS, "default/red")])), "net1=default.red");
    assert_eq!(judged(&with(&[(NETWORKS, "default/vpod3")])), "403 PoolInterfaceNamed");
    assert_eq!(judged(&with(&[(NETWORKS, "")])), "pass");
    // Ours already, by the same review a second time.
    assert_eq!(
        judged(&with(&[(NETWORKS, "default/vpod3"), (RECORD, &forged())])),
        "net1=shop.blue"
    );
    // A record that is of another node or text says nothing.
    let other = Binding {
        node: "n2".to_owned(),
        ..with(&[(NETWORKS, "default/vpod3"), (RECORD, &forged())])
    };
    assert_eq!(judged(&other), "403 PoolInterfaceNamed");
    let other = with(&[(NETWORKS, "default/vpod4"), (RECORD, &forged())]);
    assert_eq!(judged(&other), "403 PoolInterfaceNamed");
}

#[test]
fn the_change_of_a_binding_keeps_its_other_annotations() {
    let record = Record::parse(&forged()).unwrap();
    let with = Binding {
        annotations: Some(BTreeMap::from([("x".to_owned(), "y".to_owned())])),
        ..binding()
    };
    for (binding, others) in [(binding(), 0), (with, 1)] {
        let patch = binding.patch(&record);
        assert_eq!(patch[0]["op"], "add");
        assert_eq!(patch[0]["path"], "/metadata/annotations");
        let value = patch[0]["value"].as_object().unwrap();
        assert_eq!(value.len(), 2 + others);
        assert_eq!(value[NETWORKS], "default/vpod3");
        assert_eq!(Record::parse(value[RECORD].as_str().unwrap()), Some(record.clone()));
    }
}

fn made(annotations: Value, spec: Value) -> OnPod {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"generateName": "p-", "annotations": annotations}, "spec": spec,
    }))
    .unwrap();
    on_pod(&pod, "shop", &cluster())
}

/// The pod after the patch, to see that it applies.
fn after(annotations: Value, spec: Value) -> Value {
    let OnPod::Patch(patch) = made(annotations.clone(), spec.clone()) else { panic!("no patch") };
    let mut pod = json!({"metadata": {"annotations": annotations}, "spec": spec});
    for op in patch.as_array().unwrap() {
        let path = op["path"].as_str().unwrap();
        let (parent, key) = path.rsplit_once('/').unwrap();
        let key = key.replace("~1", "/").replace("~0", "~");
        let parent = pod.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match op["op"].as_str().unwrap() {
            "add" => drop(parent.insert(key, op["value"].clone())),
            "remove" => assert!(parent.remove(&key).is_some(), "{path}"),
            other => panic!("{other}"),
        }
    }
    pod
}

#[test]
fn a_pod_that_asks_requests_its_ports() {
    let ports = |pod: &Value, map: &str| {
        pod["spec"]["containers"][0]["resources"][map][RESOURCE].as_str().unwrap().to_owned()
    };
    let container = |resources: Value| json!({"name": "c", "resources": resources});
    let cases = [
        ("blue", json!({"containers": [{"name": "c"}]}), "1"),
        ("blue,macvlan,blue", json!({"containers": [container(json!({}))]}), "2"),
        (
            "blue",
            json!({"containers": [container(json!({"limits": {"cpu": "1"}})), {"name": "d"}]}),
            "1",
        ),
        (
            "blue,blue,blue",
            json!({"containers": [
            container(json!({"requests": {RESOURCE: "1"}, "limits": {RESOURCE: "1"}}))]}),
            "3",
        ),
    ];
    for (networks, spec, want) in cases {
        let pod = after(json!({NETWORKS: networks}), spec);
        assert_eq!(
            (ports(&pod, "requests"), ports(&pod, "limits")),
            (want.into(), want.into()),
            "{networks}"
        );
    }
    let enough = json!({"containers": [container(json!({})), container(json!({"requests": {RESOURCE: "1"}}))]});
    assert_eq!(made(json!({NETWORKS: "blue"}), enough), OnPod::Pass(Vec::new()));
}

#[test]
fn a_pod_that_is_made_is_refused_or_left_alone() {
    let spec = || json!({"containers": [{"name": "c"}]});
    let pass = OnPod::Pass(Vec::new());
    assert_eq!(made(json!({}), spec()), pass);
    assert_eq!(made(json!({NETWORKS: "macvlan"}), spec()), pass);
    assert_eq!(made(json!({NETWORKS: "blue", MIRROR: "x"}), spec()), pass);
    assert_eq!(made(json!({NETWORKS: "default/vpod3", MIRROR: "x"}), spec()), pass);
    let host = json!({"containers": [{"name": "c"}], "hostNetwork": true});
    assert_eq!(made(json!({NETWORKS: "blue"}), host), pass);
    let OnPod::Deny(denial) = made(json!({NETWORKS: "blue,default/vpod3"}), spec()) else {
        panic!()
    };
    assert_eq!(denial.code, 403);
    assert!(denial.message.contains("default/vpod3"), "{}", denial.message);
    for bad in ["nowhere", "a b", "[", "broken"] {
        let OnPod::Pass(warnings) = made(json!({NETWORKS: bad}), spec()) else { panic!("{bad}") };
        assert_eq!(warnings.len(), 1, "{bad}");
    }
    // The recorded pod asks for a network that isn't there.
    let pod: Pod = recorded(0).object.unwrap().try_parse().unwrap();
    assert!(matches!(on_pod(&pod, "default", &cluster()), OnPod::Pass(w) if w.len() == 1));
    let mut with = cluster();
    with.put(nad("default", "net1", crate::networks::tests::VNET));
    assert!(matches!(on_pod(&pod, "default", &with), OnPod::Patch(_)));
    with.put(nad("default", "net1", &vpod(2)));
    assert!(matches!(on_pod(&pod, "default", &with), OnPod::Deny(_)));
}

#[test]
fn a_copy_of_a_running_pod_asks_for_what_that_one_asked() {
    let spec = json!({"containers": [{"name": "c"}]});
    let copy = after(json!({NETWORKS: "default/vpod3", RECORD: forged(), "x": "y"}), spec.clone());
    assert_eq!(copy["metadata"]["annotations"], json!({NETWORKS: "blue", "x": "y"}));
    assert_eq!(copy["spec"]["containers"][0]["resources"]["requests"][RESOURCE], "1");
    // A made-up record is dropped, and makes nothing of its networks.
    let made_up = after(json!({NETWORKS: "blue", RECORD: "{}"}), spec);
    assert_eq!(made_up["metadata"]["annotations"], json!({NETWORKS: "blue"}));
    let OnPod::Deny(_) =
        made(json!({NETWORKS: "vpod4", RECORD: forged()}), json!({"containers": []}))
    else {
        panic!("not refused")
    };
}
