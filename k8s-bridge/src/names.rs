//! Names that others rely on: annotations, labels, devices.

use std::fmt;

/// The annotation by which a pod asks for networks (Network Plumbing Working
/// Group, multi-network specification 1.3).
pub const NETWORKS: &str = "k8s.v1.cni.cncf.io/networks";
/// What the CNI plugins made of it.
pub const STATUS: &str = "k8s.v1.cni.cncf.io/network-status";
/// The same, as older plugins call it.
pub const OLD_STATUS: &str = "k8s.v1.cni.cncf.io/networks-status";
/// Our own annotation: what was asked for, and what it became.
pub const RECORD: &str = "isolane.io/networks";
/// Marks a static pod's image in the API server.
pub const MIRROR: &str = "kubernetes.io/config.mirror";

/// The extended resource of a node: ports of its switch's pool.
pub const RESOURCE: &str = "isolane.io/port";

/// A node's annotation: the ports of its pool that we keep back, because of
/// pods that ended or that name an interface themselves.
pub const KEPT: &str = "isolane.io/kept-back";

/// A definition with this label at `true` is for pods of every namespace.
pub const SHARED: &str = "isolane.io/shared";
/// A definition with this label at `true`: only the MAC and IP addresses that
/// a pod's status reports may send.
pub const ENFORCE: &str = "isolane.io/enforce";
/// A definition's label: how many MAC addresses its network may learn.
pub const MAC_LIMIT: &str = "isolane.io/mac-limit";

/// A network's label in the controller: whose it is.
pub const CLUSTER: &str = "isolane.io/cluster";
/// A network's label in the controller: its definition, `namespace/name`.
pub const DEFINITION: &str = "isolane.io/definition";
/// A network's label in the controller: its definition's uid.
pub const DEFINITION_UID: &str = "isolane.io/definition-uid";

/// Whose definitions every pod may use.
pub const DEFAULT_NAMESPACE: &str = "default";

/// One pair of a node: `vpodN`, which goes into a pod, and `vhostN`, which is
/// a port of the node's switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair(u32);

impl Pair {
    /// The pair whose pod end has this name.
    pub fn of_vpod(name: &str) -> Option<Self> {
        Self::behind("vpod", name)
    }

    /// The pair whose switch end has this name.
    pub fn of_vhost(name: &str) -> Option<Self> {
        Self::behind("vhost", name)
    }

    fn behind(prefix: &str, name: &str) -> Option<Self> {
        let digits = name.strip_prefix(prefix)?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if plain { digits.parse().ok().map(Self) } else { None }
    }

    /// The end that goes into a pod; also its definition's name.
    pub fn vpod(self) -> String {
        format!("vpod{}", self.0)
    }

    /// The end that is a port of the switch.
    pub fn vhost(self) -> String {
        format!("vhost{}", self.0)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.vhost())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_has_one_name_at_each_end() {
        let three = Pair::of_vpod("vpod3").unwrap();
        assert_eq!((three.vpod(), three.vhost()), ("vpod3".to_owned(), "vhost3".to_owned()));
        assert_eq!(Pair::of_vhost("vhost3"), Some(three));
        for other in
            ["vpod", "vpod03", "vpod0", "vpod+3", "xvpod3", "vhost3", "vpod3 ", "vpod99999999999"]
        {
            assert_eq!(Pair::of_vpod(other), None, "{other}");
        }
    }
}
