//! What is installed: accepted by a real API server as it is, and its rights are enough.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testbed::error::LabError;
use testbed::kube::{Cluster, ClusterSpec, NETWORKS, PodSpec, all_assets, documents, needs_kube};

use crate::stage::{Checked, Stage};

/// The folder of a kustomization.
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// One file of it.
pub fn manifest(name: &str) -> Result<String, LabError> {
    let path = deploy().join(name);
    fs::read_to_string(&path).map_err(|source| LabError::io(path.display().to_string(), source))
}

/// All files that a kustomization names, as they are.
fn resources(folder: &str) -> Result<Vec<Value>, LabError> {
    let kustomization = documents(&manifest(&format!("{folder}kustomization.yaml"))?)?;
    let names = kustomization[0]["resources"].as_array().cloned().unwrap_or_default();
    let mut all = Vec::new();
    for name in names.iter().filter_map(Value::as_str) {
        all.extend(documents(&manifest(&format!("{folder}{name}"))?)?);
    }
    Ok(all)
}

/// What `kubectl kustomize` makes of a folder; `None`, and a loud line, without kubectl.
fn kustomized(folder: &Path) -> Result<Option<Vec<Value>>, LabError> {
    match Command::new("kubectl").arg("kustomize").arg(folder).output() {
        Ok(output) if output.status.success() => {
            documents(&String::from_utf8_lossy(&output.stdout)).map(Some)
        }
        Ok(output) => Err(LabError::Wrong(String::from_utf8_lossy(&output.stderr).into_owned())),
        Err(error) => {
            eprintln!("SKIPPED: what kubectl makes of {}: {error}", folder.display());
            Ok(None)
        }
    }
}

/// Asks the API server about each object; namespaces are made, since what is in them needs them.
fn would_be_accepted(cluster: &Cluster, all: &[Value]) -> Checked {
    assert!(!all.is_empty());
    for object in all {
        let is_namespace = object["kind"] == "Namespace";
        cluster.apply_object(object, true)?;
        if is_namespace {
            cluster.apply_object(object, false)?;
        }
    }
    Ok(())
}

#[test]
fn every_manifest_passes_a_dry_run_on_every_api_server() -> Checked {
    if !needs_kube("every manifest passes a dry run") {
        return Ok(());
    }
    for assets in all_assets().map_err(|it| LabError::Wrong(it.to_owned()))? {
        let cluster =
            Cluster::start_with(ClusterSpec { assets: assets.clone(), watch_cache: true })?;
        println!("{}", cluster.version()?);
        would_be_accepted(&cluster, &resources("")?)?;
        would_be_accepted(&cluster, &resources("examples/ping-pong/")?)?;
        if let Some(all) = kustomized(&deploy())? {
            would_be_accepted(&cluster, &all)?;
        }
        if let Some(all) = kustomized(&deploy().join("examples/ping-pong"))? {
            would_be_accepted(&cluster, &all)?;
        }
        // What there is to choose.
        let scratch = tempfile::tempdir().map_err(|source| LabError::io("a folder", source))?;
        let chosen = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [deploy]\n\
                      components: [deploy/components/ephemeral, deploy/components/userspace-switch]\n";
        let copied =
            Command::new("cp").arg("-r").arg(deploy()).arg(scratch.path().join("deploy")).status();
        assert!(copied.is_ok_and(|status| status.success()));
        fs::write(scratch.path().join("kustomization.yaml"), chosen)
            .map_err(|source| LabError::io("a kustomization", source))?;
        if let Some(all) = kustomized(scratch.path())? {
            would_be_accepted(&cluster, &all)?;
        }
    }
    Ok(())
}

/// Every way the bridge takes, with the rights of its service account and no others: nothing is forbidden to it.
#[test]
fn the_bridge_works_with_exactly_the_manifests_rights() -> Checked {
    if !needs_kube("the bridge works with exactly the manifests' rights") {
        return Ok(());
    }
    let mut stage = Stage::embedded(2, 2)?;
    let second = stage.plan.replica("second")?;
    stage.start_replica(&second)?;
    stage.cluster.namespace("team")?;
    stage.cluster.network("team", "blue")?;
    let pod = |name: &str| PodSpec::new(name).within("team").networks("blue");
    for name in ["a", "b", "c", "d"] {
        stage.cluster.pod(&pod(name))?;
    }
    stage.cluster.pod(&PodSpec::new("wrong").within("team").networks("nothing-of-this-name"))?;
    stage.cluster.bind("team", "a", "n1")?;
    stage.cluster.bind("team", "b", "n1")?;
    // Denied, with an Event.
    assert_ne!(stage.cluster.try_bind("team", "c", "n1")?.status, 201);
    stage.cluster.wait_for_event("team", "c", &["n1"])?;
    stage.cluster.bind("team", "wrong", "n2")?;
    stage.cluster.wait_for_event("team", "wrong", &["nothing-of-this-name"])?;
    // Ended, deleted, deleted definition, node's status.
    stage.cluster.set_phase("team", "a", "Succeeded")?;
    stage.cluster.delete_now("team", "b")?;
    stage.wait_for_attachments(0)?;
    // The one that leads goes; the other repairs what was bound meanwhile.
    stage.kill_bridge("bridge")?;
    stage.kill_bridge("second")?;
    stage.cluster.bind("team", "d", "n2")?;
    stage.start_replica(&second)?;
    stage.cluster.wait_for_annotation("team", "d", NETWORKS, |it| it.contains("vpod"))?;
    stage.cluster.delete_definition("team", "blue")?;
    stage.cluster.delete_now("team", "d")?;
    stage.wait_for_attachments(0)?;
    let log = stage.bridge_logs();
    assert!(!log.contains("forbidden"), "{log}");
    Ok(())
}
