//! What there is on a node: devices, and what Open vSwitch's database says. Plain values, read by `links` and `ovs`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::names::GROUP;

/// A node as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// All devices of the node's network namespace.
    pub links: Vec<Link>,
    /// What Open vSwitch has; none if it doesn't answer.
    pub ovs: Option<Ovs>,
    /// Why it doesn't answer.
    pub ovs_trouble: String,
}

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Whether it is administratively up.
    pub up: bool,
    /// Whether a user set one of the flags that a pod may leave behind: promiscuous, all multicast, no ARP, or
    /// multicast off.
    pub odd_flags: bool,
    /// Whether the host's own IPv4 takes what arrives here.
    pub host_hears: bool,
    /// Its MTU, in bytes.
    pub mtu: u32,
    /// Its MAC address; empty if it has none.
    pub mac: Vec<u8>,
    /// Its alias; empty if it has none.
    pub alias: String,
    /// Its device group.
    pub group: u32,
    /// The device that it is a part of, by its index.
    pub master: Option<u32>,
}

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One end of a pair.
    Veth {
        /// The other end's index, in its own namespace.
        peer: u32,
        /// Whether the other end is in another namespace.
        elsewhere: bool,
    },
    /// A tunnel.
    Vxlan {
        /// Its VNI.
        vni: u32,
        /// Its UDP port.
        udp_port: u16,
        /// Where it goes; none for a device that was given nothing.
        remote: Option<IpAddr>,
    },
    /// Something else.
    Other,
}

impl Link {
    /// Whether it was made here.
    pub fn ours(&self) -> bool {
        self.group == GROUP
    }
}

impl Facts {
    /// The device of this name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// The device with this index.
    pub fn at(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|link| link.index == index)
    }
}

/// What Open vSwitch has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ovs {
    /// The datapaths that the running one knows.
    pub datapath_types: BTreeSet<String>,
    /// Its bridges, by name.
    pub bridges: BTreeMap<String, Bridge>,
}

/// A bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bridge {
    /// Its datapath; empty for the usual one.
    pub datapath_type: String,
    /// The OpenFlow versions it speaks; empty for the usual ones.
    pub protocols: BTreeSet<String>,
    /// What it does without a controller; empty for the usual.
    pub fail_mode: String,
    /// Settings.
    pub other_config: BTreeMap<String, String>,
    /// Notes of whoever made it.
    pub external_ids: BTreeMap<String, String>,
    /// Its controllers.
    pub controllers: Vec<Controller>,
    /// Its ports, without its own, by name.
    pub ports: BTreeMap<String, Port>,
}

/// A bridge's record of a controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// What names the record.
    pub uuid: String,
    /// Where the controller is.
    pub target: String,
    /// How it is reached; empty for the usual.
    pub connection_mode: String,
    /// The longest pause between two attempts, in ms.
    pub max_backoff: Option<i64>,
    /// Notes of whoever made it.
    pub external_ids: BTreeMap<String, String>,
}

/// A bridge's port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Port {
    /// What it is; empty for a device.
    pub kind: String,
    /// Settings of its kind.
    pub options: BTreeMap<String, String>,
    /// Notes of whoever made it.
    pub external_ids: BTreeMap<String, String>,
    /// Its OpenFlow number; −1 if it can't be used, none if the switch hasn't looked yet.
    pub number: Option<i64>,
    /// Why it can't be used; empty if it can.
    pub error: String,
}
