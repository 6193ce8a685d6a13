//! What a pod says, as far as we care.
//!
//! Pure. It is small, so that the pods of a whole cluster fit in memory.

use std::net::IpAddr;

use api::values::{HostIp, MacAddr};
use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::Value;

use crate::names::{MIRROR, NETWORKS, OLD_STATUS, RECORD, RESOURCE, STATUS};
use crate::owners::PodKey;
use crate::record::Record;

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its namespace and uid.
    pub key: PodKey,
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub node: Option<String>,
    /// Whether it has ended for good. A pod that is being deleted has not.
    pub ended: bool,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Whether it is the image of a static pod.
    pub mirror: bool,
    /// Whether it uses its node's own network: no plugin is called then.
    pub host_network: bool,
    /// Whether its interfaces have been made: plugins have run, or containers.
    pub started: bool,
    /// The networks that it asks for.
    pub networks: Option<String>,
    /// What we made of that.
    pub record: Option<Record>,
    /// What plugins reported.
    pub status: Vec<Reported>,
    /// How many ports of a pool it requests from the scheduler.
    pub requests: u64,
    /// Its version in the API server.
    pub version: Option<String>,
}

/// An interface as plugins reported it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The definition: `namespace/name`, `name`, or the configuration's name.
    pub name: String,
    /// The interface in the pod.
    pub interface: Option<String>,
    /// Its MAC address.
    pub mac: Option<MacAddr>,
    /// Its IP addresses.
    pub ips: Vec<HostIp>,
}

impl Facts {
    /// From the object; `None` if it isn't one that the API server keeps.
    pub fn of(pod: &Pod) -> Option<Self> {
        let metadata = &pod.metadata;
        let annotation = |key: &str| metadata.annotations.as_ref().and_then(|all| all.get(key));
        let spec = pod.spec.as_ref();
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.as_deref());
        let reported = annotation(STATUS).or_else(|| annotation(OLD_STATUS));
        let host_network = spec.and_then(|spec| spec.host_network).unwrap_or_default();
        let has_ip =
            status.is_some_and(|status| status.pod_ip.as_ref().is_some_and(|ip| !ip.is_empty()));
        let ran = status
            .and_then(|status| status.container_statuses.as_ref())
            .into_iter()
            .flatten()
            .filter_map(|container| container.state.as_ref())
            .any(|state| state.running.is_some() || state.terminated.is_some());
        Some(Self {
            key: PodKey { namespace: metadata.namespace.clone()?, uid: metadata.uid.clone()? },
            name: metadata.name.clone()?,
            node: spec.and_then(|spec| spec.node_name.clone()).filter(|node| !node.is_empty()),
            ended: matches!(phase, Some("Succeeded" | "Failed")),
            deleting: metadata.deletion_timestamp.is_some(),
            mirror: annotation(MIRROR).is_some(),
            host_network,
            started: reported.is_some_and(|text| !text.trim().is_empty())
                || ran
                || (has_ip && !host_network),
            networks: annotation(NETWORKS).filter(|text| !text.trim().is_empty()).cloned(),
            record: annotation(RECORD).and_then(|text| Record::parse(text)),
            status: reported.map(|text| read_status(text)).unwrap_or_default(),
            requests: spec.map(|spec| requested(&spec.containers)).unwrap_or_default(),
            version: metadata.resource_version.clone(),
        })
    }

    /// Whether there can be anything to do for it: it asks, or it has asked.
    pub fn concerns_us(&self) -> bool {
        !self.mirror && (self.networks.is_some() || self.record.is_some())
    }

    /// Whether this is another one than `before` in a way that may need work.
    pub fn differs_from(&self, before: &Self) -> bool {
        let same_version = Self { version: before.version.clone(), ..self.clone() };
        same_version != *before
    }
}

/// How many ports of a pool these containers request in all.
pub fn requested(containers: &[Container]) -> u64 {
    let of = |container: &Container| {
        let requests = container.resources.as_ref()?.requests.as_ref()?;
        requests.get(RESOURCE)?.0.parse::<u64>().ok()
    };
    containers.iter().filter_map(of).fold(0, u64::saturating_add)
}

/// What can't be read is left out: it is only used for hints and checks.
fn read_status(text: &str) -> Vec<Reported> {
    let Ok(Value::Array(entries)) = serde_json::from_str(text) else { return Vec::new() };
    let read = |entry: &Value| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).filter(|t| !t.is_empty());
        let ips = entry.get("ips").and_then(Value::as_array).into_iter().flatten();
        Some(Reported {
            name: text("name")?.to_owned(),
            interface: text("interface").map(str::to_owned),
            mac: text("mac").and_then(|mac| mac.parse().ok()),
            ips: ips.filter_map(Value::as_str).filter_map(address).collect(),
        })
    };
    entries.iter().filter_map(read).collect()
}

/// With or without a prefix length.
fn address(text: &str) -> Option<HostIp> {
    let ip: IpAddr = text.split('/').next()?.trim().parse().ok()?;
    HostIp::new(ip).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// A pod of namespace `shop` called `p1`, uid `u1`.
    pub(crate) fn pod(annotations: Value, spec: Value, status: Value) -> Facts {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "p1", "uid": "u1", "resourceVersion": "7",
                "annotations": annotations},
            "spec": spec, "status": status,
        }))
        .unwrap();
        Facts::of(&pod).unwrap()
    }

    #[test]
    fn a_pod_ends_with_its_phase_and_not_with_its_deletion() {
        let spec = json!({"containers": [], "nodeName": "n1"});
        for (phase, ended) in [
            ("Pending", false),
            ("Running", false),
            ("Unknown", false),
            ("Succeeded", true),
            ("Failed", true),
        ] {
            assert_eq!(
                pod(json!({}), spec.clone(), json!({"phase": phase})).ended,
                ended,
                "{phase}"
            );
        }
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "p1", "uid": "u1",
                "deletionTimestamp": "2026-11-25T10:00:00Z"},
            "status": {"phase": "Running"},
        }))
        .unwrap();
        let facts = Facts::of(&pod).unwrap();
        assert!(facts.deleting && !facts.ended);
    }

    #[test]
    fn a_status_gives_addresses() {
        let status = r#"[{"name":"cbr0","interface":"eth0","ips":["10.0.0.9"],"default":true},
            {"name":"default/vpod3","interface":"net1","mac":"02:00:00:00:00:03","ips":["192.168.1.2/30","fd00::1"]},
            {"interface":"x"}, 7]"#;
        let facts = pod(json!({STATUS: status}), json!({"containers": []}), json!({}));
        assert!(facts.started);
        assert_eq!(facts.status.len(), 2);
        let net1 = &facts.status[1];
        assert_eq!(net1.mac.unwrap().to_string(), "02:00:00:00:00:03");
        let ips: Vec<_> = net1.ips.iter().map(ToString::to_string).collect();
        assert_eq!(ips, ["192.168.1.2", "fd00::1"]);
        for bad in ["", "{", "{}", "7"] {
            assert!(
                pod(json!({STATUS: bad}), json!({"containers": []}), json!({})).status.is_empty()
            );
        }
    }

    #[test]
    fn interfaces_have_been_made_once_anything_ran() {
        let spec = json!({"containers": []});
        let cases = [
            (json!({}), false),
            (json!({"phase": "Pending"}), false),
            (json!({"podIP": ""}), false),
            (json!({"podIP": "10.0.0.1"}), true),
            (
                json!({"containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": false,
                "restartCount": 0, "state": {"waiting": {}}}]}),
                false,
            ),
            (
                json!({"containerStatuses": [{"name": "c", "image": "", "imageID": "", "ready": true,
                "restartCount": 0, "state": {"running": {}}}]}),
                true,
            ),
        ];
        for (status, started) in cases {
            assert_eq!(pod(json!({}), spec.clone(), status.clone()).started, started, "{status}");
        }
    }

    #[test]
    fn requests_of_all_containers_count() {
        let c = |n: &str| json!({"name": "c", "resources": {"requests": {RESOURCE: n}}});
        let facts = pod(
            json!({}),
            json!({"containers": [c("2"), c("1"), {"name": "d"}, c("x")]}),
            json!({}),
        );
        assert_eq!(facts.requests, 3);
    }
}
