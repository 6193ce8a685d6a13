//! Pods and nodes of the cluster, as the leading replica keeps them.
//!
//! Pure: watch events go in, and what needs work comes out.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::watcher::Event;

use crate::facts::Facts;
use crate::kept::Kept;
use crate::names::{Pair, RESOURCE};
use crate::networks::Definitions;
use crate::owners::PodKey;
use crate::plan::usurped;

/// What is known of the cluster.
#[derive(Debug, Default)]
pub struct World {
    pods: HashMap<PodKey, Arc<Facts>>,
    /// Pods that are gone, with what they last said, until they are settled.
    gone: HashMap<PodKey, Arc<Facts>>,
    /// Pods of the list that is coming in.
    listing: HashMap<PodKey, Arc<Facts>>,
    pods_listed: bool,
    nodes: HashMap<String, NodeFacts>,
    nodes_listing: HashMap<String, NodeFacts>,
    nodes_listed: bool,
    /// Nodes that were there and are gone.
    nodes_gone: HashSet<String>,
    /// Nodes whose side was seen to say which ports are ready.
    sides: HashSet<String>,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFacts {
    /// How many ports its status says it has: capacity and allocatable, where
    /// they are the same.
    pub advertised: Option<u64>,
    /// Whether its status speaks of ports at all.
    pub speaks: bool,
    /// The ports that we keep back.
    pub kept: Kept,
}

impl NodeFacts {
    fn of(node: &Node) -> Self {
        let status = node.status.as_ref();
        let capacity = status.and_then(|status| status.capacity.as_ref()?.get(RESOURCE));
        let allocatable = status.and_then(|status| status.allocatable.as_ref()?.get(RESOURCE));
        let same = capacity.filter(|capacity| Some(*capacity) == allocatable);
        Self {
            advertised: same.and_then(|quantity| quantity.0.parse().ok()),
            speaks: capacity.is_some() || allocatable.is_some(),
            kept: Kept::of(&node.metadata),
        }
    }
}

impl World {
    /// Whether everything has been listed once.
    pub fn is_listed(&self) -> bool {
        self.pods_listed && self.nodes_listed
    }

    /// A pod that is there.
    pub fn pod(&self, key: &PodKey) -> Option<&Arc<Facts>> {
        self.pods.get(key)
    }

    /// A pod that was there, and went.
    pub fn gone(&self, key: &PodKey) -> Option<&Arc<Facts>> {
        self.gone.get(key)
    }

    /// The pods that are there, in no order.
    pub fn pods(&self) -> impl Iterator<Item = &Arc<Facts>> {
        self.pods.values()
    }

    /// The nodes that are there, in no order.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &NodeFacts)> {
        self.nodes.iter().map(|(name, node)| (name.as_str(), node))
    }

    /// A node that is there.
    pub fn node(&self, name: &str) -> Option<&NodeFacts> {
        self.nodes.get(name)
    }

    /// Whether a node that there was is gone. A cluster without any node
    /// object has none that could go.
    pub fn lacks_node(&self, name: &str) -> bool {
        self.nodes_listed
            && !self.nodes.contains_key(name)
            && (self.nodes_gone.contains(name) || !self.nodes.is_empty())
    }

    /// By node: the ports whose interface a pod there names without having got
    /// it from us. It came while nobody could refuse it.
    pub fn taken(&self, definitions: &Definitions) -> HashMap<String, BTreeSet<String>> {
        let mut all: HashMap<String, BTreeSet<String>> = HashMap::new();
        for pod in self.pods.values() {
            if let (Some(node), Some(pair)) = (&pod.node, usurped(definitions, pod)) {
                all.entry(node.clone()).or_default().insert(pair.vhost());
            }
        }
        all
    }

    /// The same of one node.
    pub fn taken_on(&self, node: &str, definitions: &Definitions) -> BTreeSet<String> {
        let here = self.pods.values().filter(|pod| pod.node.as_deref() == Some(node));
        here.filter_map(|pod| usurped(definitions, pod)).map(Pair::vhost).collect()
    }

    /// Ports that are kept back because of a pod that isn't there any more:
    /// node, port, the pod's uid.
    pub fn left_over(&self) -> Vec<(String, String, String)> {
        let there: HashSet<&str> = self.pods.keys().map(|key| key.uid.as_str()).collect();
        let of = |(name, node): (&String, &NodeFacts)| {
            let left = node.kept.left_over(|pod| there.contains(pod));
            let name = name.clone();
            left.into_iter().map(move |(port, pod)| (name.clone(), port, pod))
        };
        self.nodes.iter().flat_map(of).collect()
    }

    /// Whether a node's side says which of its ports are ready.
    pub fn has_side(&self, node: &str) -> bool {
        self.sides.contains(node)
    }

    /// These nodes' sides were seen at work.
    pub fn saw_sides(&mut self, nodes: impl IntoIterator<Item = String>) {
        self.sides.extend(nodes);
    }

    /// A pod that is gone has been settled.
    pub fn forget(&mut self, key: &PodKey) {
        self.gone.remove(key);
    }

    /// A pod that a live read found, in place of what is known of it; no
    /// older one.
    pub fn learn(&mut self, facts: Facts) {
        if !self.gone.contains_key(&facts.key) {
            self.pods.insert(facts.key.clone(), Arc::new(facts));
        }
    }

    /// Takes a pod's event; returns the pods that may need work.
    pub fn on_pod(&mut self, event: Event<Pod>) -> Vec<PodKey> {
        match event {
            Event::Init => {
                self.listing.clear();
                Vec::new()
            }
            Event::InitApply(pod) => {
                if let Some(facts) = Facts::of(&pod) {
                    self.listing.insert(facts.key.clone(), Arc::new(facts));
                }
                Vec::new()
            }
            Event::InitDone => {
                let new = std::mem::take(&mut self.listing);
                let old = std::mem::take(&mut self.pods);
                self.pods_listed = true;
                let mut dirty: HashSet<PodKey> = new
                    .values()
                    .filter(|facts| facts.concerns_us())
                    .map(|facts| facts.key.clone())
                    .collect();
                for (key, facts) in old {
                    match new.get(&key) {
                        None if facts.concerns_us() => {
                            dirty.insert(key.clone());
                            self.gone.insert(key, facts);
                        }
                        Some(now) if now.differs_from(&facts) => drop(dirty.insert(key)),
                        _ => {}
                    }
                }
                self.pods = new;
                dirty.into_iter().collect()
            }
            Event::Apply(pod) => {
                let Some(facts) = Facts::of(&pod) else { return Vec::new() };
                let key = facts.key.clone();
                let facts = Arc::new(facts);
                let old = self.pods.insert(key.clone(), Arc::clone(&facts));
                let other = old.as_ref().is_none_or(|old| facts.differs_from(old));
                let ours = facts.concerns_us() || old.is_some_and(|old| old.concerns_us());
                // Without a node there is nothing to do before it has one.
                if other && ours && facts.node.is_some() { vec![key] } else { Vec::new() }
            }
            Event::Delete(pod) => {
                let Some(facts) = Facts::of(&pod) else { return Vec::new() };
                let key = facts.key.clone();
                self.pods.remove(&key);
                let ours = facts.concerns_us();
                if ours {
                    self.gone.insert(key.clone(), Arc::new(facts));
                }
                if ours { vec![key] } else { Vec::new() }
            }
        }
    }

    /// Takes a node's event; returns the pods that may need work.
    pub fn on_node(&mut self, event: Event<Node>) -> Vec<PodKey> {
        let named = |node: &Node| Some((node.metadata.name.clone()?, NodeFacts::of(node)));
        match event {
            Event::Init => self.nodes_listing.clear(),
            Event::InitApply(node) => self.nodes_listing.extend(named(&node)),
            Event::InitDone => {
                let new = std::mem::take(&mut self.nodes_listing);
                let old = std::mem::replace(&mut self.nodes, new);
                self.nodes_listed = true;
                let went: Vec<_> =
                    old.into_keys().filter(|name| !self.nodes.contains_key(name)).collect();
                self.nodes_gone.extend(went);
                self.nodes_gone.retain(|name| !self.nodes.contains_key(name));
                return self.without_node();
            }
            Event::Apply(node) => {
                if let Some((name, node)) = named(&node) {
                    self.nodes_gone.remove(&name);
                    self.nodes.insert(name, node);
                }
            }
            Event::Delete(node) => {
                if let Some((name, _)) = named(&node) {
                    self.nodes.remove(&name);
                    self.nodes_gone.insert(name.clone());
                    return self.without_node();
                }
            }
        }
        Vec::new()
    }

    fn without_node(&self) -> Vec<PodKey> {
        let stranded = |facts: &&Arc<Facts>| {
            facts.concerns_us() && facts.node.as_ref().is_some_and(|node| self.lacks_node(node))
        };
        self.pods.values().filter(stranded).map(|facts| facts.key.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::NETWORKS;
    use serde_json::{Value, json};

    fn pod(uid: &str, version: &str, node: Option<&str>) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": format!("name-{uid}"), "uid": uid,
                "resourceVersion": version, "annotations": {NETWORKS: "blue"}},
            "spec": {"containers": [], "nodeName": node},
        }))
        .unwrap()
    }

    fn node(name: &str, status: Value) -> Node {
        serde_json::from_value(json!({"metadata": {"name": name}, "status": status})).unwrap()
    }

    fn uids(keys: Vec<PodKey>) -> Vec<String> {
        let mut uids: Vec<_> = keys.into_iter().map(|key| key.uid).collect();
        uids.sort();
        uids
    }

    #[test]
    fn a_pod_needs_work_when_it_has_a_node_changes_or_goes() {
        let mut world = World::default();
        assert_eq!(uids(world.on_pod(Event::Apply(pod("a", "1", None)))), [""; 0]);
        assert_eq!(uids(world.on_pod(Event::Apply(pod("a", "2", Some("n1"))))), ["a"]);
        assert_eq!(uids(world.on_pod(Event::Apply(pod("a", "3", Some("n1"))))), [""; 0]);
        assert_eq!(uids(world.on_pod(Event::Delete(pod("a", "4", Some("n1"))))), ["a"]);
        let key = PodKey { namespace: "shop".to_owned(), uid: "a".to_owned() };
        assert!(world.pod(&key).is_none());
        assert_eq!(world.gone(&key).unwrap().name, "name-a");
        world.forget(&key);
        assert!(world.gone(&key).is_none());
    }

    #[test]
    fn what_a_new_list_lacks_is_gone() {
        let mut world = World::default();
        for uid in ["a", "b", "c"] {
            world.on_pod(Event::Apply(pod(uid, "1", Some("n1"))));
        }
        world.on_pod(Event::Init);
        world.on_pod(Event::InitApply(pod("a", "9", Some("n1"))));
        world.on_pod(Event::InitApply(pod("d", "9", Some("n1"))));
        let dirty = uids(world.on_pod(Event::InitDone));
        assert_eq!(dirty, ["a", "b", "c", "d"]);
        assert_eq!(world.pods().count(), 2);
        assert!(
            world.gone(&PodKey { namespace: "shop".to_owned(), uid: "b".to_owned() }).is_some()
        );
    }

    #[test]
    fn a_node_is_gone_if_it_was_there_or_others_are() {
        let mut world = World::default();
        world.on_pod(Event::Apply(pod("a", "1", Some("n1"))));
        world.on_node(Event::Init);
        world.on_node(Event::InitDone);
        assert!(!world.lacks_node("n1"), "a cluster without node objects");
        world.on_node(Event::Apply(node("n1", json!({}))));
        assert!(!world.lacks_node("n1"));
        assert_eq!(uids(world.on_node(Event::Delete(node("n1", json!({}))))), ["a"]);
        assert!(world.lacks_node("n1"));
        world.on_node(Event::Apply(node("n1", json!({}))));
        assert!(!world.lacks_node("n1"));
        world.on_node(Event::Init);
        world.on_node(Event::InitApply(node("n2", json!({}))));
        assert_eq!(uids(world.on_node(Event::InitDone)), ["a"]);
    }

    #[test]
    fn a_port_is_left_over_once_its_pod_is_gone() {
        let mut world = World::default();
        let mut kept = node("n1", json!({}));
        let note = json!({crate::names::KEPT: r#"{"vhost3":["a"],"vhost4":["b"]}"#});
        kept.metadata.annotations = serde_json::from_value(note).unwrap();
        world.on_node(Event::Apply(kept));
        world.on_pod(Event::Apply(pod("a", "1", Some("n1"))));
        let left = |port: &str, pod: &str| ("n1".to_owned(), port.to_owned(), pod.to_owned());
        assert_eq!(world.left_over(), [left("vhost4", "b")]);
        world.on_pod(Event::Delete(pod("a", "2", Some("n1"))));
        assert_eq!(world.left_over(), [left("vhost3", "a"), left("vhost4", "b")]);
    }

    #[test]
    fn a_node_advertises_what_both_its_numbers_say() {
        let status = |capacity: Value, allocatable: Value| {
            NodeFacts::of(&node("n", json!({"capacity": capacity, "allocatable": allocatable})))
        };
        let ports = |n: &str| json!({RESOURCE: n, "cpu": "4"});
        assert_eq!(status(ports("10"), ports("10")).advertised, Some(10));
        assert_eq!(status(ports("0"), ports("10")).advertised, None);
        assert_eq!(status(ports("10"), json!({})).advertised, None);
        assert!(status(ports("10"), json!({})).speaks);
        assert!(!status(json!({}), json!({})).speaks);
    }
}
