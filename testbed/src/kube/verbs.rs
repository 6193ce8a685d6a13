//! What users, the scheduler and kubelets would do.

use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::objects::{L2SM_NETWORK, PodSpec, pool_definition};
use crate::controller::Answer;
use crate::error::LabError;
use crate::wait::{Look, until_every};

/// For what takes milliseconds on an idle machine.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at the API server, whose time the story needs for other things.
pub const PAUSE: Duration = Duration::from_millis(100);

type Result<T> = std::result::Result<T, LabError>;

/// What somebody told about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodEvent {
    /// `Normal` or `Warning`.
    pub kind: String,
    /// One word for programs.
    pub reason: String,
    /// A sentence for people.
    pub message: String,
}

impl Cluster {
    /// Makes a namespace.
    ///
    /// # Errors
    /// [`LabError`] unless it is new.
    pub fn namespace(&self, name: &str) -> Result<()> {
        let body = json!({ "metadata": { "name": name } });
        self.create("/api/v1/namespaces", &body).map(drop)
    }

    /// Registers a node that is ready and has room, as its kubelet would.
    ///
    /// # Errors
    /// [`LabError`] unless it is new.
    pub fn node(&self, name: &str) -> Result<()> {
        let body =
            json!({ "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name } } });
        self.create("/api/v1/nodes", &body)?;
        let room = json!({ "cpu": "64", "memory": "256Gi", "pods": "1000" });
        let status = json!({ "status": {
            "capacity": room,
            "allocatable": room,
            "conditions": [{ "type": "Ready", "status": "True", "reason": "Story" }],
        }});
        let path = format!("/api/v1/nodes/{name}/status");
        self.api().done(self.api().merge(&path, &status)).map(drop)
    }

    /// A node as it is now.
    ///
    /// # Errors
    /// [`LabError`] when there is none.
    pub fn node_named(&self, name: &str) -> Result<Value> {
        self.api().done(self.api().get(&format!("/api/v1/nodes/{name}")))
    }

    /// Makes a virtual network as L2S-M's users do.
    ///
    /// # Errors
    /// [`LabError`] unless it is new.
    pub fn network(&self, namespace: &str, name: &str) -> Result<()> {
        self.definition(namespace, name, L2SM_NETWORK)
    }

    /// Makes any NetworkAttachmentDefinition.
    ///
    /// # Errors
    /// [`LabError`] unless it is new.
    pub fn definition(&self, namespace: &str, name: &str, config: &str) -> Result<()> {
        let body = json!({
            "apiVersion": "k8s.cni.cncf.io/v1",
            "kind": "NetworkAttachmentDefinition",
            "metadata": { "name": name, "namespace": namespace },
            "spec": { "config": config },
        });
        self.create(&definitions(namespace), &body).map(drop)
    }

    /// Makes the definitions of pool interfaces, `vpod1` to `vpod<count>`.
    ///
    /// # Errors
    /// [`LabError`] unless they are new.
    pub fn pool_definitions(&self, namespace: &str, count: usize) -> Result<()> {
        (1..=count)
            .map(|index| format!("vpod{index}"))
            .try_for_each(|device| self.definition(namespace, &device, &pool_definition(&device)))
    }

    /// A definition's configuration.
    ///
    /// # Errors
    /// [`LabError`] when there is none.
    pub fn config_of(&self, namespace: &str, name: &str) -> Result<String> {
        let path = format!("{}/{name}", definitions(namespace));
        let found = self.api().done(self.api().get(&path))?;
        let config = found.pointer("/spec/config").and_then(Value::as_str);
        config.map(str::to_owned).ok_or_else(|| LabError::Wrong(format!("no config in {found}")))
    }

    /// Deletes a definition.
    ///
    /// # Errors
    /// [`LabError`] when there is none.
    pub fn delete_definition(&self, namespace: &str, name: &str) -> Result<()> {
        let path = format!("{}/{name}", definitions(namespace));
        self.api().done(self.api().call("DELETE", &path, &json!({}))).map(drop)
    }

    /// Creates a pod.
    ///
    /// # Errors
    /// [`LabError`] unless it is accepted.
    pub fn pod(&self, pod: &PodSpec) -> Result<Value> {
        self.api().done(self.try_pod(pod))
    }

    /// Tries to create a pod.
    ///
    /// # Errors
    /// [`LabError`] when no answer comes. Refusals are answers.
    pub fn try_pod(&self, pod: &PodSpec) -> Result<Answer> {
        self.api().call("POST", &pods(pod.namespace()), &pod.object())
    }

    /// A pod as it is now; `None` if there is none.
    ///
    /// # Errors
    /// [`LabError`] when it can't be read.
    pub fn pod_named(&self, namespace: &str, name: &str) -> Result<Option<Value>> {
        let answer = self.api().get(&format!("{}/{name}", pods(namespace)))?;
        if answer.status == 404 { Ok(None) } else { self.api().done(Ok(answer)).map(Some) }
    }

    /// An annotation of a pod as it is now; empty if it has none.
    ///
    /// # Errors
    /// [`LabError`] when there is no such pod.
    pub fn annotation_of(&self, namespace: &str, name: &str, key: &str) -> Result<String> {
        let pod = self.pod_named(namespace, name)?;
        let pod = pod.ok_or_else(|| LabError::Wrong(format!("no pod {namespace}/{name}")))?;
        Ok(pod["metadata"]["annotations"][key].as_str().unwrap_or_default().to_owned())
    }

    /// Binds a pod to a node, as the scheduler does: again and again while it is told to come back later (503).
    ///
    /// # Errors
    /// [`LabError`] unless it is accepted.
    pub fn bind(&self, namespace: &str, name: &str, node: &str) -> Result<()> {
        let pod = self.pod_named(namespace, name)?.unwrap_or_default();
        let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
        self.bind_seen(namespace, name, uid, node).map(drop)
    }

    /// The same with a uid that the caller knows; tells how often it was told to come back later.
    ///
    /// # Errors
    /// As there.
    pub fn bind_seen(&self, namespace: &str, name: &str, uid: &str, node: &str) -> Result<usize> {
        let mut refusals = 0;
        until_every(PAUSE, &format!("{namespace}/{name} to be bound to {node}"), LIMIT, || {
            let answer = self.try_bind_seen(namespace, name, uid, node)?;
            if answer.status == 503 {
                refusals += 1;
                return Ok(Look::NotYet(answer.to_string()));
            }
            self.scheduler().done(Ok(answer)).map(|_| Look::Done(()))
        })?;
        Ok(refusals)
    }

    /// Tries to bind a pod to a node, as the scheduler does: with the uid of the pod that it has seen.
    ///
    /// # Errors
    /// [`LabError`] when no answer comes. Refusals are answers.
    pub fn try_bind(&self, namespace: &str, name: &str, node: &str) -> Result<Answer> {
        let pod = self.pod_named(namespace, name)?.unwrap_or_default();
        self.try_bind_seen(
            namespace,
            name,
            pod["metadata"]["uid"].as_str().unwrap_or_default(),
            node,
        )
    }

    /// The same with a uid that the caller knows.
    ///
    /// # Errors
    /// As there.
    pub fn try_bind_seen(
        &self,
        namespace: &str,
        name: &str,
        uid: &str,
        node: &str,
    ) -> Result<Answer> {
        let body = json!({
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": { "name": name, "namespace": namespace, "uid": uid },
            "target": { "apiVersion": "v1", "kind": "Node", "name": node },
        });
        self.scheduler().call("POST", &format!("{}/{name}/binding", pods(namespace)), &body)
    }

    /// Says what a kubelet says of a pod: `Running`, `Succeeded`, `Failed`.
    ///
    /// # Errors
    /// [`LabError`] when there is no such pod.
    pub fn set_phase(&self, namespace: &str, name: &str, phase: &str) -> Result<()> {
        let body = json!({ "status": { "phase": phase } });
        let path = format!("{}/{name}/status", pods(namespace));
        self.api().done(self.api().merge(&path, &body)).map(drop)
    }

    /// Changes annotations of a pod, as Multus and users do.
    ///
    /// # Errors
    /// [`LabError`] when there is no such pod.
    pub fn annotate(&self, namespace: &str, name: &str, key: &str, text: &str) -> Result<()> {
        let body = json!({ "metadata": { "annotations": { key: text } } });
        self.api().done(self.api().merge(&format!("{}/{name}", pods(namespace)), &body)).map(drop)
    }

    /// Deletes a pod as users do: a bound one stays, with a deletion timestamp, until its kubelet has ended it
    /// ([`delete_now`](Self::delete_now)).
    ///
    /// # Errors
    /// [`LabError`] when there is no such pod.
    pub fn delete(&self, namespace: &str, name: &str) -> Result<()> {
        let path = format!("{}/{name}", pods(namespace));
        self.api().done(self.api().call("DELETE", &path, &json!({}))).map(drop)
    }

    /// Removes a pod's object at once: what a kubelet does at the end, and a user by force.
    ///
    /// # Errors
    /// [`LabError`] when there is no such pod.
    pub fn delete_now(&self, namespace: &str, name: &str) -> Result<()> {
        let path = format!("{}/{name}", pods(namespace));
        let body = json!({ "gracePeriodSeconds": 0 });
        self.api().done(self.api().call("DELETE", &path, &body)).map(drop)
    }

    /// What was told about a pod, or another object of that name and kind, so far.
    ///
    /// # Errors
    /// [`LabError`] when it can't be read.
    pub fn events_of(&self, kind: &str, namespace: &str, name: &str) -> Result<Vec<PodEvent>> {
        let path = format!(
            "/api/v1/namespaces/{namespace}/events?fieldSelector=involvedObject.kind%3D{kind},involvedObject.name%3D{name}"
        );
        let all = self.api().done(self.api().get(&path))?;
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let event = |event: &Value| PodEvent {
            kind: text(event, "type"),
            reason: text(event, "reason"),
            message: text(event, "message"),
        };
        Ok(all["items"].as_array().into_iter().flatten().map(event).collect())
    }

    /// Waits until an Event of a pod says all of these words.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the Events there are.
    pub fn wait_for_event(&self, namespace: &str, pod: &str, words: &[&str]) -> Result<PodEvent> {
        until_every(
            PAUSE,
            &format!("an Event of {namespace}/{pod} that says {words:?}"),
            LIMIT,
            || {
                let all = self.events_of("Pod", namespace, pod)?;
                let says = |it: &&PodEvent| words.iter().all(|word| it.message.contains(word));
                Ok(match all.iter().find(says) {
                    Some(event) => Look::Done(event.clone()),
                    None => Look::NotYet(format!("{all:#?}")),
                })
            },
        )
    }

    /// Waits until a pod's annotation is as it should be.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what it is.
    pub fn wait_for_annotation(
        &self,
        namespace: &str,
        pod: &str,
        key: &str,
        holds: impl Fn(&str) -> bool,
    ) -> Result<String> {
        until_every(PAUSE, &format!("annotation {key} of {namespace}/{pod}"), LIMIT, || {
            let text = self.annotation_of(namespace, pod, key)?;
            Ok(if holds(&text) { Look::Done(text) } else { Look::NotYet(text) })
        })
    }

    /// Applies manifests: YAML, several documents if need be. `dry_run` only asks whether they would be accepted.
    ///
    /// # Errors
    /// [`LabError`] naming the object that is refused.
    pub fn apply(&self, yaml: &str, dry_run: bool) -> Result<Vec<Value>> {
        documents(yaml)?.iter().map(|object| self.apply_object(object, dry_run)).collect()
    }

    /// Applies one object.
    ///
    /// # Errors
    /// [`LabError`] when it is refused.
    pub fn apply_object(&self, object: &Value, dry_run: bool) -> Result<Value> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!(
            "{}/{name}{}",
            self.place_of(object)?,
            if dry_run { "?dryRun=All" } else { "" }
        );
        let answer = self.api().apply(&path, object)?;
        let what = format!("{} {name}", object["kind"].as_str().unwrap_or_default());
        self.api().done(Ok(answer)).map_err(|error| LabError::Wrong(format!("{what}: {error}")))
    }

    /// The path of the collection that an object belongs to.
    fn place_of(&self, object: &Value) -> Result<String> {
        let text = |key: &str| object[key].as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text("apiVersion"), text("kind"));
        let group = if version.contains('/') {
            format!("/apis/{version}")
        } else {
            format!("/api/{version}")
        };
        let served = self.api().done(self.api().get(&group))?;
        let resources = served["resources"].as_array().into_iter().flatten();
        let resource = resources
            .filter(|it| !it["name"].as_str().unwrap_or_default().contains('/'))
            .find(|it| it["kind"] == kind.as_str())
            .ok_or_else(|| LabError::Wrong(format!("{version} has no {kind}")))?;
        let name = resource["name"].as_str().unwrap_or_default();
        if resource["namespaced"] != true {
            return Ok(format!("{group}/{name}"));
        }
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default");
        Ok(format!("{group}/namespaces/{namespace}/{name}"))
    }

    fn create(&self, path: &str, body: &Value) -> Result<Value> {
        self.api().done(self.api().call("POST", path, body))
    }
}

/// All documents of a YAML stream that aren't empty.
///
/// # Errors
/// [`LabError::Wrong`] when one isn't YAML.
pub fn documents(yaml: &str) -> Result<Vec<Value>> {
    let mut all = vec![String::new()];
    for line in yaml.lines() {
        if line.trim_end() == "---" {
            all.push(String::new());
        } else if let Some(last) = all.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    let empty = |text: &String| {
        text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    };
    all.iter()
        .filter(|text| !empty(text))
        .map(|text| {
            serde_saphyr::from_str(text)
                .map_err(|error| LabError::Wrong(format!("{error}, in the document\n{text}")))
        })
        .collect()
}

fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

fn definitions(namespace: &str) -> String {
    format!("/apis/k8s.cni.cncf.io/v1/namespaces/{namespace}/network-attachment-definitions")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_of_documents_is_read_one_by_one() {
        let yaml = "# a comment\n---\nkind: A\n---\n---\nkind: B\nspec:\n  text: '--- no end'\n";
        let all = documents(yaml).unwrap();
        assert_eq!(all.len(), 2, "{all:?}");
        assert_eq!(all[1]["spec"]["text"], "--- no end");
    }
}
