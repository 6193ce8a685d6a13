//! The manifests of `deploy/`: what must hold of each container and each right. The stories on a real API server show
//! that they are accepted, and that the rights suffice.

// All of this is test code, its helpers too.
#![allow(clippy::expect_used, clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use testbed::kube::documents;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All objects of a folder, in the order in which its kustomization lists their files.
fn objects(at: &Path) -> Vec<Value> {
    let kustomization = documents(&read(&at.join("kustomization.yaml"))).unwrap().remove(0);
    let files = kustomization["resources"].as_array().unwrap().clone();
    let read = |file: &Value| documents(&read(&at.join(file.as_str().unwrap()))).unwrap();
    files.iter().flat_map(read).collect()
}

/// The pod of an object that makes pods, with the object's name.
fn pods(objects: &[Value]) -> Vec<(&str, &Value)> {
    objects
        .iter()
        .filter_map(|it| {
            Some((it["metadata"]["name"].as_str()?, it.pointer("/spec/template/spec")?))
        })
        .collect()
}

#[test]
fn every_container_has_as_little_as_it_needs() {
    let objects = objects(&folder(""));
    let pods = pods(&objects);
    assert_eq!(pods.len(), 3);
    for (name, pod) in pods {
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{name}");
        let reads_cluster = pod["automountServiceAccountToken"] == true;
        assert_eq!(reads_cluster, name == "isolane-k8s-bridge", "{name}");
        let on_host = pod["hostNetwork"] == true;
        assert_eq!(on_host, name == "isolane-switch", "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"] == true, !on_host, "{name}");
        for container in pod["containers"].as_array().unwrap() {
            let what = format!("{name}/{}", container["name"]);
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{what}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{what}");
            assert_eq!(context["capabilities"]["drop"][0], "ALL", "{what}");
            assert!(context["privileged"].is_null(), "{what}");
            assert!(context["capabilities"]["add"].is_null() || on_host, "{what}");
            assert!(container["readinessProbe"].is_object(), "{what}");
            assert!(container["resources"]["requests"]["memory"].is_string(), "{what}");
            assert!(container["resources"]["limits"]["memory"].is_string(), "{what}");
        }
    }
}

/// Rights are named one by one; nothing may change workloads, roles or other people's secrets.
#[test]
fn rights_are_named_one_by_one() {
    let objects = objects(&folder(""));
    let rules = objects
        .iter()
        .filter(|it| it["kind"].as_str().is_some_and(|kind| kind.ends_with("Role")))
        .flat_map(|it| it["rules"].as_array().unwrap().iter().map(move |rule| (it, rule)));
    for (role, rule) in rules {
        assert!(!rule.to_string().contains('*'), "{rule}");
        let has = |key: &str, what: &str| rule[key].as_array().unwrap().iter().any(|it| it == what);
        if has("resources", "secrets") {
            assert_eq!(role["kind"], "Role", "{rule}");
            assert!(
                rule["resourceNames"].is_array() || rule["verbs"] == serde_json::json!(["create"]),
                "{rule}"
            );
        }
        for verb in ["delete", "deletecollection", "bind", "escalate", "impersonate"] {
            assert!(!has("verbs", verb), "{rule}");
        }
    }
}

#[test]
fn every_node_interface_has_its_definition() {
    let objects = objects(&folder(""));
    let definitions: Vec<&Value> =
        objects.iter().filter(|it| it["kind"] == "NetworkAttachmentDefinition").collect();
    let overlay = documents(&read(&folder("overlay.yaml"))).unwrap().remove(0);
    assert_eq!(overlay["interfaces"].as_u64(), Some(definitions.len() as u64));
    for (n, definition) in (1..).zip(definitions) {
        let config: Value =
            serde_json::from_str(definition["spec"]["config"].as_str().unwrap()).unwrap();
        let name = format!("vpod{n}");
        assert_eq!(definition["metadata"]["name"], name.as_str());
        assert_eq!(definition["metadata"]["namespace"], "default");
        assert_eq!(
            (&config["type"], &config["device"]),
            (&"host-device".into(), &name.as_str().into())
        );
    }
}
