//! Kubernetes objects that stories are made of.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The annotation by which a pod asks for networks.
pub const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
/// The annotation in which Multus reports what a pod got.
pub const NETWORK_STATUS: &str = "k8s.v1.cni.cncf.io/network-status";
/// What L2S-M's users write for a virtual network.
pub const L2SM_NETWORK: &str =
    r#"{"cniVersion":"0.3.0","type":"host-device","device":"l2sm-vNet"}"#;

/// The configuration of a pool interface's definition, as L2S-M's users have it: `vpod1`, …
pub fn pool_definition(device: &str) -> String {
    json!({ "cniVersion": "0.3.0", "type": "host-device", "device": device }).to_string()
}

/// A pod as a user writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSpec {
    /// Its namespace; empty for `default`.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its node, for pods that nobody schedules; empty for none.
    pub node: String,
}

impl PodSpec {
    /// A pod of the namespace `default`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Asks for networks: the annotation's text.
    #[must_use]
    pub fn networks(self, text: impl Into<String>) -> Self {
        self.annotation(NETWORKS, text)
    }

    /// With an annotation.
    #[must_use]
    pub fn annotation(mut self, key: &str, text: impl Into<String>) -> Self {
        self.annotations.insert(key.to_owned(), text.into());
        self
    }

    /// In a namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        namespace.clone_into(&mut self.namespace);
        self
    }

    /// On a node from the start, past any scheduler.
    #[must_use]
    pub fn on(mut self, node: &str) -> Self {
        node.clone_into(&mut self.node);
        self
    }

    /// The object.
    pub fn object(&self) -> Value {
        let mut pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": self.name,
                "namespace": self.namespace(),
                "annotations": self.annotations,
                "labels": self.labels,
            },
            "spec": {
                "automountServiceAccountToken": false,
                "containers": [{ "name": "main", "image": "registry.example/none" }],
            },
        });
        if !self.node.is_empty() {
            pod["spec"]["nodeName"] = json!(self.node);
        }
        pod
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        if self.namespace.is_empty() { "default" } else { &self.namespace }
    }
}

/// The resource `NetworkAttachmentDefinition` as the Network Plumbing Working Group defines it (v1.3).
pub fn definition_of_networks() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "network-attachment-definitions.k8s.cni.cncf.io" },
        "spec": {
            "group": "k8s.cni.cncf.io",
            "scope": "Namespaced",
            "names": {
                "plural": "network-attachment-definitions",
                "singular": "network-attachment-definition",
                "kind": "NetworkAttachmentDefinition",
                "shortNames": ["net-attach-def"],
            },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": {
                        "apiVersion": { "type": "string" },
                        "kind": { "type": "string" },
                        "metadata": { "type": "object" },
                        "spec": {
                            "type": "object",
                            "properties": { "config": { "type": "string" } },
                        },
                    },
                }},
            }],
        },
    })
}
