//! What is installed: accepted by a real API server as it is, and its rights are enough.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testbed::error::LabError;
use testbed::kube::{Cluster, NETWORKS, PodSpec, documents};

use crate::needs_kube;
use crate::stage::{Checked, Stage, spec};

/// The folder of a kustomization.
pub fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// One file of it.
pub fn manifest(name: &str) -> Result<String, LabError> {
    let path = deploy().join(name);
    fs::read_to_string(&path).map_err(|source| LabError::io(path.display().to_string(), source))
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

/// What is in the folder is asked about in `tests/manifests`; this is what people apply, with what there is to choose.
#[test]
fn what_kubectl_makes_of_the_manifests_passes_a_dry_run() -> Checked {
    if !needs_kube("what kubectl makes of the manifests passes a dry run") {
        return Ok(());
    }
    let scratch = tempfile::tempdir().map_err(|source| LabError::io("a folder", source))?;
    let copied =
        Command::new("cp").arg("-r").arg(deploy()).arg(scratch.path().join("deploy")).status();
    assert!(copied.is_ok_and(|status| status.success()));
    let chosen = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [deploy]\n\
        components: [deploy/components/ephemeral, deploy/components/userspace-switch]\n";
    fs::write(scratch.path().join("kustomization.yaml"), chosen)
        .map_err(|source| LabError::io("a kustomization", source))?;
    let folders = [deploy(), deploy().join("examples/ping-pong"), scratch.path().to_owned()];
    let cluster = Cluster::start_with(spec()?)?;
    for folder in folders {
        if let Some(all) = kustomized(&folder)? {
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
