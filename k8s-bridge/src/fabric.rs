//! Networks in the controller against definitions in the cluster, and nodes'
//! ports against their switches' pools.
//!
//! Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use api::name::SwitchRef;
use api::types::{Attachment, Network, NetworkSpec, PortRole, Switch};
use api::values::NetworkName;
use serde_json::{Value, json};

use crate::names::{CLUSTER, DEFINITION, DEFINITION_UID, RESOURCE, SHARED};
use crate::networks::{Definition, Definitions, Key, Kind};
use crate::owners::Cluster;
use crate::world::World;

/// What is to be done about a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is made.
    Make(NetworkSpec),
    /// It becomes this.
    Put(NetworkSpec),
    /// Its definition is gone, and nobody is in it.
    Delete(NetworkName, Key),
    /// Its definition is gone, and pods still are in it.
    Keep {
        /// The definition as it was.
        definition: Box<Definition>,
        /// The network.
        network: NetworkName,
        /// How many ports it has.
        ports: u64,
    },
}

/// What is to be done about the networks. Those that aren't this cluster's are
/// left alone, whatever their names.
pub fn networks(cluster: &Cluster, definitions: &Definitions, there: &[Network]) -> Vec<Change> {
    let mut by_name: HashMap<&NetworkName, &Network> =
        there.iter().map(|network| (&network.name, network)).collect();
    let mut changes = Vec::new();
    let ours = |network: &Network| network.labels.of(CLUSTER) == Some(cluster.uid());
    let mut wanted: Vec<&Arc<Definition>> =
        definitions.iter().filter(|definition| definition.kind == Kind::Network).collect();
    wanted.sort_by_key(|definition| definition.key());
    for definition in wanted {
        let Some(spec) = definition.spec(cluster) else { continue };
        match by_name.remove(&spec.name) {
            None => changes.push(Change::Make(spec)),
            Some(network) if ours(network) && network.spec() != spec => {
                changes.push(Change::Put(spec));
            }
            Some(_) => {}
        }
    }
    let mut left: Vec<&Network> = by_name.into_values().filter(|network| ours(network)).collect();
    left.sort_by_key(|network| &network.name);
    for network in left {
        let Some((namespace, name)) = network.labels.of(DEFINITION).and_then(|d| d.split_once('/'))
        else {
            continue;
        };
        let key = (namespace.to_owned(), name.to_owned());
        changes.push(if network.ports == 0 {
            Change::Delete(network.name.clone(), key)
        } else {
            Change::Keep {
                definition: Box::new(Definition {
                    namespace: key.0,
                    name: key.1,
                    uid: network.labels.of(DEFINITION_UID).unwrap_or_default().to_owned(),
                    kind: Kind::Network,
                    config_name: None,
                    shared: network.labels.of(SHARED) == Some("true"),
                    enforce: false,
                    mac_limit: None,
                }),
                network: network.name.clone(),
                ports: network.ports,
            }
        });
    }
    changes
}

/// How many ports each node should advertise: its switch's pool, less what is
/// held by anybody but pods that requested a port from the scheduler. A node
/// without a switch has none, and says so only if it said something before.
pub fn advertised(
    cluster: &Cluster,
    world: &World,
    switches: &[Switch],
    attachments: &[Attachment],
) -> BTreeMap<String, u64> {
    let mut requested: HashMap<&SwitchRef, u64> = HashMap::new();
    for attachment in attachments {
        let pod = cluster.read(&attachment.owner).and_then(|(key, _)| world.pod(&key).cloned());
        if pod.is_some_and(|pod| pod.requests > 0) {
            *requested.entry(&attachment.switch).or_default() += 1;
        }
    }
    let mut nodes = BTreeMap::new();
    for (name, node) in world.nodes() {
        let Ok(reference) = name.parse::<SwitchRef>() else { continue };
        let switch = switches.iter().find(|switch| {
            switch.name.as_ref().is_some_and(|it| SwitchRef::from(it.clone()) == reference)
        });
        match switch {
            Some(switch) => {
                let pool = switch.ports.iter().filter(|port| {
                    switch.pool.matches(port.name.as_bytes()) && port.role != PortRole::Trunk
                });
                let (mut size, mut held) = (0_u64, 0_u64);
                for port in pool {
                    size += 1;
                    held += u64::from(port.network.is_some());
                }
                let others =
                    held.saturating_sub(requested.get(&reference).copied().unwrap_or_default());
                nodes.insert(name.to_owned(), size.saturating_sub(others));
            }
            None if node.speaks => {
                nodes.insert(name.to_owned(), 0);
            }
            None => {}
        }
    }
    nodes
}

/// Nodes whose side says which ports are ready: the port of a pod that runs
/// there isn't, and it wasn't us who said so.
pub fn sides(
    cluster: &Cluster,
    world: &World,
    definitions: &Definitions,
    switches: &[Switch],
    attachments: &[Attachment],
) -> BTreeSet<String> {
    let taken = world.taken(definitions);
    let says = |attachment: &Attachment| {
        let (key, _) = cluster.read(&attachment.owner)?;
        let pod = world.pod(&key).filter(|pod| pod.started && !pod.ended)?;
        let node = pod.node.as_ref()?;
        let switch = switches.iter().find(|it| {
            it.name.as_ref().is_some_and(|name| SwitchRef::from(name.clone()) == attachment.switch)
        })?;
        let port = attachment.port.to_string();
        let there = switch.ports.iter().find(|it| it.name.to_string() == port)?;
        let kept = world.node(node).is_some_and(|node| node.kept.has(&port));
        let ours = kept || taken.get(node).is_some_and(|ports| ports.contains(&port));
        (there.ready == Some(false) && !ours).then(|| node.clone())
    };
    attachments.iter().filter_map(says).collect()
}

/// The merge patch of a node's status that advertises so many ports. Both
/// numbers: the kubelet makes the second from the first.
pub fn node_patch(ports: u64) -> Value {
    let ports = json!({RESOURCE: ports.to_string()});
    json!({"status": {"capacity": ports, "allocatable": ports}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::NETWORKS;
    use crate::networks::tests::{VNET, nad};
    use kube::runtime::watcher::Event;

    fn cluster() -> Cluster {
        Cluster::new("c1")
    }

    fn network(spec: &NetworkSpec, ports: u64) -> Network {
        let mut body = serde_json::to_value(spec).unwrap();
        let more = json!({"id": 1, "set": null, "state": "installed", "reason": null, "reasons": [],
            "ports": ports, "learnt": 0, "mac_limit_reached": false});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn networks_follow_their_definitions() {
        let blue = nad("shop", "blue", VNET);
        let spec = blue.spec(&cluster()).unwrap();
        let with: Definitions =
            [blue, nad("shop", "macvlan", r#"{"type":"macvlan"}"#)].into_iter().collect();
        let none = Definitions::default();
        let ask =
            |definitions: &Definitions, there: &[Network]| networks(&cluster(), definitions, there);
        assert_eq!(ask(&with, &[]), [Change::Make(spec.clone())]);
        assert_eq!(ask(&with, &[network(&spec, 0)]), []);
        let mut stale = network(&spec, 3);
        stale.mac_limit = "7".parse().unwrap();
        assert_eq!(ask(&with, &[stale]), [Change::Put(spec.clone())]);
        let key = ("shop".to_owned(), "blue".to_owned());
        assert_eq!(ask(&none, &[network(&spec, 0)]), [Change::Delete(spec.name.clone(), key)]);
        let kept = ask(&none, &[network(&spec, 2)]);
        let [Change::Keep { definition, ports: 2, .. }] = kept.as_slice() else {
            panic!("{kept:?}")
        };
        assert_eq!((definition.name.as_str(), definition.uid.as_str()), ("blue", "uid-blue"));
    }

    #[test]
    fn networks_of_others_are_left_alone() {
        let spec = nad("shop", "blue", VNET).spec(&Cluster::new("c2")).unwrap();
        let bare = NetworkSpec::new("shop.green".parse().unwrap());
        let there = [network(&spec, 0), network(&bare, 0)];
        assert_eq!(networks(&cluster(), &Definitions::default(), &there), []);
        // Not even one that has the name of ours.
        let ours: Definitions = [nad("shop", "blue", VNET)].into_iter().collect();
        assert_eq!(networks(&cluster(), &ours, &there), []);
    }

    fn switch(name: &str, held: &[u32]) -> Switch {
        let mut ports: Vec<Value> = (1..=3)
            .map(|n| {
                let network = held.contains(&n).then_some("shop.blue");
                json!({"number": n, "name": format!("vhost{n}"), "up": false, "mac": null,
                    "role": if network.is_some() { "attached" } else { "pool" }, "network": network})
            })
            .collect();
        ports.push(json!({"number": 9, "name": "vxlan1", "up": true, "mac": null, "role": "trunk",
            "network": null}));
        serde_json::from_value(
            json!({"dpid": "of:0000000000000001", "name": name, "pool": "vhost*",
            "trunks": "*", "connection": "connected", "connected": true, "in_sync": true,
            "reason": null, "since": null, "address": null, "description": null, "ports": ports}),
        )
        .unwrap()
    }

    fn attachment(uid: &str, port: u32) -> Attachment {
        serde_json::from_value(json!({"id": format!("a-{port}"), "network": "shop.blue",
            "switch": "n1", "port": format!("vhost{port}"), "number": port,
            "owner": format!("k8s/c1/shop/{uid}/net1"), "since": "2026-11-25T10:00:00.000Z",
            "state": "installed", "reason": null, "reasons": []}))
        .unwrap()
    }

    #[test]
    fn a_node_offers_what_nobody_holds_outside_the_schedulers_sight() {
        let mut world = World::default();
        for node in ["n1", "n2", "n3"] {
            let status =
                if node == "n3" { json!({"capacity": {RESOURCE: "9"}}) } else { json!({}) };
            let node = json!({"metadata": {"name": node}, "status": status});
            world.on_node(Event::Apply(serde_json::from_value(node).unwrap()));
        }
        let pod = |uid: &str, requests: Value| {
            let pod = json!({"metadata": {"namespace": "shop", "name": uid, "uid": uid,
                    "annotations": {NETWORKS: "blue"}},
                "spec": {"nodeName": "n1", "containers": [{"name": "c", "resources": {"requests": requests}}]}});
            serde_json::from_value(pod).unwrap()
        };
        world.on_pod(Event::Apply(pod("asks", json!({RESOURCE: "1"}))));
        world.on_pod(Event::Apply(pod("static", json!({}))));
        let ask = |held: &[u32], attachments: &[Attachment]| {
            advertised(&cluster(), &world, &[switch("n1", held)], attachments)
        };
        let n1 = |ports: u64| BTreeMap::from([("n1".to_owned(), ports), ("n3".to_owned(), 0)]);
        assert_eq!(ask(&[], &[]), n1(3));
        assert_eq!(ask(&[1], &[attachment("asks", 1)]), n1(3), "the scheduler counts it itself");
        assert_eq!(ask(&[1, 2], &[attachment("asks", 1), attachment("static", 2)]), n1(2));
        assert_eq!(ask(&[3], &[]), n1(2), "an operator's");
    }

    #[test]
    fn a_nodes_side_is_known_by_what_it_says_of_ports_in_use() {
        let mut world = World::default();
        let pod = |uid: &str, phase: &str| {
            let pod = json!({"metadata": {"namespace": "shop", "name": uid, "uid": uid,
                    "annotations": {NETWORKS: "blue"}},
                "spec": {"nodeName": "n1", "containers": []},
                "status": {"phase": phase, "podIP": "10.0.0.1"}});
            serde_json::from_value(pod).unwrap()
        };
        world.on_pod(Event::Apply(pod("runs", "Running")));
        world.on_pod(Event::Apply(pod("ended", "Succeeded")));
        let ask = |ready: Option<bool>, uid: &str| {
            let mut switch = switch("n1", &[1]);
            switch.ports[0].ready = ready;
            let none = Definitions::default();
            sides(&cluster(), &world, &none, &[switch], &[attachment(uid, 1)])
        };
        let n1 = BTreeSet::from(["n1".to_owned()]);
        assert_eq!(ask(Some(false), "runs"), n1);
        assert_eq!(ask(Some(true), "runs"), BTreeSet::new());
        assert_eq!(ask(None, "runs"), BTreeSet::new());
        assert_eq!(ask(Some(false), "ended"), BTreeSet::new(), "we said so ourselves");
    }

    #[test]
    fn a_nodes_status_says_it_twice() {
        let patch = node_patch(7);
        assert_eq!(patch["status"]["capacity"][RESOURCE], "7");
        assert_eq!(patch["status"]["allocatable"][RESOURCE], "7");
    }
}
