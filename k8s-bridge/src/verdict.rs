//! What is answered to the API server: pass, deny, or change.
//!
//! Pure. [`on_binding`] decides about a pod that gets its node, [`on_pod`]
//! about a pod that is made.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;
use kube::core::admission::AdmissionRequest;
use serde_json::{Value, json};

use crate::annotation::Annotation;
use crate::facts::{Facts, requested};
use crate::names::{MIRROR, NETWORKS, RECORD, RESOURCE};
use crate::networks::{Asked, Definitions, Want};
use crate::record::Record;

/// A pod that gets its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// The pod's uid, if the sender says which one it means.
    pub uid: Option<String>,
    /// The node.
    pub node: String,
    /// What it brings along for the pod's annotations; none if it has no map.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Whether nothing is to be changed.
    pub dry_run: bool,
}

impl Binding {
    /// From a review of `pods/binding` or of the old `bindings`; `None` if it
    /// is something else.
    pub fn read(request: &AdmissionRequest<DynamicObject>) -> Option<Self> {
        let by_pod = request.resource.resource == "pods"
            && request.sub_resource.as_deref() == Some("binding");
        if !by_pod && request.resource.resource != "bindings" {
            return None;
        }
        let object = request.object.as_ref()?;
        let target = |key: &str| object.data.pointer(&format!("/target/{key}"))?.as_str();
        if !matches!(target("kind"), None | Some("" | "Node")) {
            return None;
        }
        let metadata = &object.metadata;
        let name = metadata.name.clone().filter(|name| !name.is_empty());
        Some(Self {
            namespace: request.namespace.clone().or_else(|| metadata.namespace.clone())?,
            name: name.unwrap_or_else(|| request.name.clone()),
            uid: metadata.uid.clone().filter(|uid| !uid.is_empty()),
            node: target("name")?.to_owned(),
            annotations: metadata.annotations.clone(),
            dry_run: request.dry_run,
        })
    }

    fn annotation(&self, key: &str) -> Option<&String> {
        self.annotations.as_ref()?.get(key)
    }

    /// What the pod will ask for: the Binding's annotations win over the
    /// pod's. One that we have changed already (a review may come twice) asks
    /// for what it asked before.
    pub fn asks<'a>(&'a self, pod: &'a Facts) -> Option<String> {
        let Some(networks) = self.annotation(NETWORKS) else { return pod.networks.clone() };
        let ours = self.annotation(RECORD).and_then(|text| Record::parse(text));
        let same = ours.filter(|record| record.result == *networks && record.node == self.node);
        let text = same.map_or_else(|| networks.clone(), |record| record.original);
        (!text.trim().is_empty()).then_some(text)
    }

    /// The change that brings the annotations into the pod, as a JSON patch.
    pub fn patch(&self, record: &Record) -> Value {
        let mut all = self.annotations.clone().unwrap_or_default();
        all.insert(NETWORKS.to_owned(), record.result.clone());
        all.insert(RECORD.to_owned(), record.to_text());
        json!([{"op": "add", "path": "/metadata/annotations", "value": all}])
    }
}

/// What is done about a Binding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnBinding {
    /// Nothing: it isn't ours to judge.
    Pass,
    /// Nothing, and why the pod gets no network.
    PassWarning(String),
    /// It is refused.
    Deny(Denial),
    /// The pod gets these, and then the Binding is changed.
    Attach {
        /// The annotation as it is now.
        original: String,
        /// The same, read.
        annotation: Annotation,
        /// What it asks for, at least one.
        wants: Vec<Want>,
    },
}

/// Why something is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The HTTP status that suits it.
    pub code: u16,
    /// One word for events and metrics.
    pub reason: &'static str,
    /// For people: what was wrong, and what to do.
    pub message: String,
}

/// Judges a Binding of `pod`, which was read just now.
pub fn on_binding(binding: &Binding, pod: &Facts, definitions: &Definitions) -> OnBinding {
    // The API server refuses a Binding of a pod that has a node, or that is
    // being deleted, itself.
    if pod.mirror || pod.ended || pod.deleting || pod.node.is_some() {
        return OnBinding::Pass;
    }
    let Some(original) = binding.asks(pod) else { return OnBinding::Pass };
    if let Some(uid) = &binding.uid
        && *uid != pod.key.uid
    {
        return OnBinding::Deny(Denial {
            code: 409,
            reason: "OtherPod",
            message: format!(
                "the Binding is for the pod {} with uid {uid}, and the one there is now has uid \
                 {}; bind this one",
                pod.name, pod.key.uid
            ),
        });
    }
    if pod.host_network {
        return OnBinding::PassWarning(
            "the pod uses its node's own network (hostNetwork), so it can't join others; remove \
             one of the two"
                .to_owned(),
        );
    }
    let annotation = match Annotation::parse(&original) {
        Ok(annotation) => annotation,
        Err(error) => return OnBinding::PassWarning(unreadable(&error)),
    };
    match definitions.resolve(&annotation, &pod.key.namespace) {
        Asked::Networks(wants) if wants.is_empty() => OnBinding::Pass,
        Asked::Networks(wants) => OnBinding::Attach { original, annotation, wants },
        Asked::Interface { name, .. } => OnBinding::Deny(own_interface(&name)),
        Asked::Nothing(why) => OnBinding::PassWarning(why),
    }
}

/// What is wrong with an annotation that can't be read.
pub fn unreadable(error: &crate::annotation::AnnotationError) -> String {
    format!("annotation {NETWORKS} can't be read: {error}")
}

fn own_interface(name: &str) -> Denial {
    Denial {
        code: 403,
        reason: "PoolInterfaceNamed",
        message: format!(
            "annotation {NETWORKS} names {name}, an interface of the pool, which is given out by \
             isolane-k8s-bridge only; name a network instead"
        ),
    }
}

/// What is done about a pod that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnPod {
    /// It stays as it is; what its sender should know.
    Pass(Vec<String>),
    /// It is refused.
    Deny(Denial),
    /// It is changed, by a JSON patch.
    Patch(Value),
}

/// Judges a pod that is made in `namespace`.
pub fn on_pod(pod: &Pod, namespace: &str, definitions: &Definitions) -> OnPod {
    let annotation = |key: &str| pod.metadata.annotations.as_ref().and_then(|all| all.get(key));
    let spec = pod.spec.as_ref();
    if annotation(MIRROR).is_some() {
        return OnPod::Pass(Vec::new());
    }
    let mut patch = Vec::new();
    let mut asks = annotation(NETWORKS).cloned();
    if let Some(text) = annotation(RECORD) {
        // Copied from another pod, or made up: ours is written with the node.
        patch.push(json!({"op": "remove", "path": pointer("/metadata/annotations", RECORD)}));
        if let Some(record) = Record::parse(text)
            && asks.as_ref() == Some(&record.result)
        {
            let path = pointer("/metadata/annotations", NETWORKS);
            patch.push(json!({"op": "add", "path": path, "value": record.original}));
            asks = Some(record.original);
        }
    }
    let asks = asks.filter(|text| !text.trim().is_empty());
    let host_network = spec.and_then(|spec| spec.host_network).unwrap_or_default();
    if let Some(text) = asks.filter(|_| !host_network) {
        let asked = match Annotation::parse(&text) {
            Ok(annotation) => definitions.resolve(&annotation, namespace),
            Err(error) => Asked::Nothing(unreadable(&error)),
        };
        match asked {
            Asked::Interface { name, .. } => return OnPod::Deny(own_interface(&name)),
            Asked::Nothing(why) if patch.is_empty() => return OnPod::Pass(vec![why]),
            Asked::Nothing(_) => {}
            Asked::Networks(wants) => patch.extend(request(pod, wants.len() as u64)),
        }
    }
    if patch.is_empty() { OnPod::Pass(Vec::new()) } else { OnPod::Patch(Value::Array(patch)) }
}

/// Adds what is missing of a request for `ports` to the first container.
fn request(pod: &Pod, ports: u64) -> Vec<Value> {
    let containers = pod.spec.as_ref().map(|spec| spec.containers.as_slice()).unwrap_or_default();
    let Some(first) = containers.first() else { return Vec::new() };
    let all = requested(containers);
    if all >= ports {
        return Vec::new();
    }
    let first_has = requested(std::slice::from_ref(first));
    let value = (first_has + (ports - all)).to_string();
    let path = "/spec/containers/0/resources";
    let resources = first.resources.as_ref();
    let mut patch = Vec::new();
    if resources.is_none() {
        patch.push(json!({"op": "add", "path": path, "value": {}}));
    }
    // An extended resource's limit must be what is requested.
    let maps = [
        ("requests", resources.is_some_and(|resources| resources.requests.is_some())),
        ("limits", resources.is_some_and(|resources| resources.limits.is_some())),
    ];
    for (map, there) in maps {
        let path = format!("{path}/{map}");
        patch.push(if there {
            json!({"op": "add", "path": pointer(&path, RESOURCE), "value": value})
        } else {
            json!({"op": "add", "path": path, "value": {RESOURCE: value}})
        });
    }
    patch
}

/// A JSON pointer to a key that has slashes.
fn pointer(parent: &str, key: &str) -> String {
    format!("{parent}/{}", key.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
