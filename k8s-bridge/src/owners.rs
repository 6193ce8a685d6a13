//! Who a port is held for: `k8s/<cluster>/<namespace>/<pod uid>/<interface>`.
//!
//! A bridge touches only attachments whose owner starts with its own
//! cluster's part.

use api::values::Owner;

/// A cluster, by the uid of its namespace `kube-system`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster(String);

/// A pod for good: a later one of the same name has another uid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodKey {
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
}

impl Cluster {
    /// The cluster with this uid.
    pub fn new(uid: impl Into<String>) -> Self {
        Self(uid.into())
    }

    /// The uid.
    pub fn uid(&self) -> &str {
        &self.0
    }

    /// What all owners of this cluster start with.
    pub fn prefix(&self) -> String {
        format!("k8s/{}/", self.0)
    }

    /// What all owners of a pod start with.
    pub fn pod_prefix(&self, pod: &PodKey) -> String {
        format!("k8s/{}/{}/{}/", self.0, pod.namespace, pod.uid)
    }

    /// The owner of a pod's interface; `None` if no owner can be so long.
    pub fn owner(&self, pod: &PodKey, interface: &str) -> Option<Owner> {
        format!("{}{interface}", self.pod_prefix(pod)).parse().ok()
    }

    /// The pod and interface of an owner of this cluster.
    pub fn read(&self, owner: &Owner) -> Option<(PodKey, String)> {
        let rest = owner.as_str().strip_prefix(&self.prefix())?;
        let mut parts = rest.split('/');
        let (namespace, uid, interface) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = parts.next().is_none()
            && [namespace, uid, interface].iter().all(|part| !part.is_empty());
        whole.then(|| {
            let key = PodKey { namespace: namespace.to_owned(), uid: uid.to_owned() };
            (key, interface.to_owned())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_owners_of_this_cluster_are_ours() {
        let cluster = Cluster::new("c1");
        let pod = PodKey { namespace: "shop".to_owned(), uid: "u1".to_owned() };
        let owner = cluster.owner(&pod, "net1").unwrap();
        assert_eq!(owner.as_str(), "k8s/c1/shop/u1/net1");
        assert_eq!(cluster.read(&owner), Some((pod, "net1".to_owned())));
        for other in ["k8s/c2/shop/u1/net1", "k8s/c1/shop/u1", "k8s/c1/a/b/c/d", "me", "k8s/c1///"]
        {
            assert_eq!(cluster.read(&other.parse().unwrap()), None, "{other}");
        }
    }
}
