//! The annotation `isolane.io/networks`: what a pod asked for, what that
//! became, and which ports it has.
//!
//! Whoever may change a pod may write it too, so nothing in it is believed
//! without [`Record::ports_for`].

use api::types::Attachment;
use api::values::NetworkName;
use serde::{Deserialize, Serialize};

use crate::annotation::{Annotation, Target};
use crate::facts::Facts;
use crate::names::{DEFAULT_NAMESPACE, Pair};
use crate::networks::{Asked, Definitions, Want, network_name};
use crate::owners::{Cluster, PodKey};

/// What we wrote on a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The node that it holds for.
    pub node: String,
    /// The annotation as the pod's owner wrote it.
    pub original: String,
    /// The annotation as we wrote it.
    pub result: String,
    /// The pod's ports, in the annotation's order.
    pub ports: Vec<Held>,
}

/// A port of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The annotation's entry, from 0.
    pub entry: usize,
    /// The interface in the pod.
    pub interface: String,
    /// The network.
    pub network: NetworkName,
    /// The port of the node's switch: `vhostN`.
    pub port: String,
}

impl Held {
    /// The pair of interfaces; `None` if it isn't one, and somebody else
    /// wrote this.
    pub fn pair(&self) -> Option<Pair> {
        Pair::of_vhost(&self.port)
    }
}

impl Record {
    /// Reads it; `None` if it isn't one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The record of a pod that gets these ports, which come in the order of
    /// `wants`. `None` if a port is no pool interface.
    pub fn new(
        node: &str,
        original: &str,
        annotation: &Annotation,
        wants: &[Want],
        ports: &[Attachment],
        definitions: &Definitions,
        namespace: &str,
    ) -> Option<Self> {
        let pairs: Vec<Pair> = ports
            .iter()
            .map(|port| Pair::of_vhost(&port.port.to_string()))
            .collect::<Option<_>>()?;
        let given: Vec<(&Want, Pair)> = wants.iter().zip(pairs).collect();
        let result = annotation.rewrite(|entry| {
            let (_, pair) = given.iter().find(|(want, _)| want.entry == entry)?;
            Some(definitions.target(*pair, namespace))
        });
        let ports = given.into_iter().map(|(want, pair)| Held {
            entry: want.entry,
            interface: want.interface.clone(),
            network: want.network.clone(),
            port: pair.vhost(),
        });
        Some(Self {
            node: node.to_owned(),
            original: original.to_owned(),
            result,
            ports: ports.collect(),
        })
    }

    /// As it stands in the annotation.
    pub fn to_text(&self) -> String {
        // Text and numbers only: this can't fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The ports that `pod` may claim by this record: the networks are those
    /// that its original annotation names, and each port is one of a pool.
    /// `None` if the record is not to be believed.
    pub fn ports_for(
        &self,
        pod: &Facts,
        held: &[Attachment],
        definitions: &Definitions,
    ) -> Option<&[Held]> {
        if pod.node.as_ref() != Some(&self.node) || self.ports.is_empty() {
            return None;
        }
        let annotation = Annotation::parse(&self.original).ok()?;
        let good = |port: &Held| {
            let Some(entry) = annotation.entries().get(port.entry) else { return false };
            let (namespace, name) = entry.key(&pod.key.namespace);
            let allowed = match definitions.find(&namespace, &name) {
                Some(definition) => definition.shared || is_near(&namespace, pod),
                // Deleted under the pod: it stays in what it has.
                None => is_near(&namespace, pod) || held.iter().any(|h| h.network == port.network),
            };
            allowed
                && port.pair().is_some()
                && entry.interface == port.interface
                && network_name(&namespace, &name).as_ref() == Some(&port.network)
        };
        let mut interfaces: Vec<_> = self.ports.iter().map(|port| &port.interface).collect();
        let mut pairs: Vec<_> = self.ports.iter().map(|port| &port.port).collect();
        let once = |all: &mut Vec<&String>| {
            let before = all.len();
            all.sort();
            all.dedup();
            all.len() == before
        };
        let single = once(&mut interfaces) && once(&mut pairs);
        (single && self.ports.iter().all(good)).then_some(self.ports.as_slice())
    }

    /// The record of a pod that lost it, from the ports that it holds: each
    /// pool interface that the annotation names must be one of them.
    pub fn rebuilt(
        cluster: &Cluster,
        pod: &Facts,
        held: &[Attachment],
        definitions: &Definitions,
    ) -> Option<Self> {
        let (result, node) = (pod.networks.as_ref()?, pod.node.as_ref()?);
        let annotation = Annotation::parse(result).ok()?;
        let mut ports = Vec::new();
        for (entry, asked) in annotation.entries().iter().enumerate() {
            let single = Annotation::parse(&asked.name).ok()?;
            let namespace = asked.namespace.as_deref().unwrap_or(&pod.key.namespace);
            let Asked::Interface { pair, .. } = definitions.resolve(&single, namespace) else {
                continue;
            };
            let owner = cluster.owner(&pod.key, &asked.interface)?;
            let port =
                held.iter().find(|h| h.owner == owner && h.port.to_string() == pair.vhost())?;
            ports.push(Held {
                entry,
                interface: asked.interface.clone(),
                network: port.network.clone(),
                port: pair.vhost(),
            });
        }
        if ports.is_empty() {
            return None;
        }
        let original = annotation.rewrite(|entry| {
            let port = ports.iter().find(|port| port.entry == entry)?;
            let (namespace, name) = port.network.as_str().split_once('.')?;
            let namespace = (namespace != pod.key.namespace).then(|| namespace.to_owned());
            Some(Target { namespace, name: name.to_owned() })
        });
        Some(Self { node: node.clone(), original, result: result.clone(), ports })
    }
}

fn is_near(namespace: &str, pod: &Facts) -> bool {
    let PodKey { namespace: own, .. } = &pod.key;
    namespace == own || namespace == DEFAULT_NAMESPACE
}
