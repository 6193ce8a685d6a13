//! What is to be done on a node, as values that can be printed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// The key under which Open vSwitch's records say who made them, in their `external_ids`.
pub const MARK: &str = "isolane";
/// What such a record says there.
pub const MADE: &str = "made";

/// The key in a bridge's `external_ids` under which is noted which links this node declared in the controller.
pub const NOTE: &str = "isolane-links";

/// The steps from what there is to what should be, and what is not as it should be all the same.
///
/// Within each of the three groups the order counts. A failed step doesn't keep the others from being tried: what it
/// leaves undone is found again by the next comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Devices that are made or changed.
    pub links: Vec<LinkStep>,
    /// Changes to Open vSwitch's database, in one transaction.
    pub ovs: Vec<OvsStep>,
    /// Devices that go, once no bridge has them.
    pub unlinks: Vec<LinkStep>,
    /// What can't be made true, and what to do about it.
    pub problems: Vec<String>,
    /// For each `vhostN`, whether it may be given to a pod.
    pub pool: BTreeMap<String, Readiness>,
}

impl Plan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && self.ovs.is_empty() && self.unlinks.is_empty()
    }
}

/// Whether an interface may be given to a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is at home, reset, and in the bridge.
    Ready,
    /// It isn't, because of this.
    Not(String),
}

/// One change to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkStep {
    /// Makes both ends of a pair.
    AddPair {
        /// The end that goes into the bridge.
        host: String,
        /// The end for a pod.
        pod: String,
        /// The pod's end's MAC address.
        mac: [u8; 6],
        /// Both ends' MTU.
        mtu: u32,
    },
    /// Makes a tunnel.
    AddVxlan {
        /// Its name.
        name: String,
        /// Its VNI.
        vni: u32,
        /// Its UDP port.
        udp_port: u16,
        /// Where it goes.
        remote: IpAddr,
        /// Its MTU.
        mtu: u32,
    },
    /// Changes a device, by its index, so that one that is gone or was made anew is not hit instead.
    Change {
        /// Its index.
        index: u32,
        /// Its name, for messages.
        name: String,
        /// What changes.
        change: Change,
    },
    /// Removes a device; a pair goes with either end.
    Delete {
        /// Its index.
        index: u32,
        /// Its name, for messages.
        name: String,
    },
}

/// What changes of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Up or down.
    Up(bool),
    /// The MTU.
    Mtu(u32),
    /// The MAC address.
    Mac([u8; 6]),
    /// Not promiscuous, not all multicast, but multicast and ARP.
    PlainFlags,
    /// The host's own IPv4 takes nothing that arrives here: what a bridge has is not the host's, yet Open vSwitch's
    /// userspace datapath leaves the kernel its copy of each frame, and the kernel would answer for its addresses.
    Deaf,
    /// The alias; empty for none.
    Alias(String),
    /// Where a tunnel goes.
    Remote(IpAddr),
}

/// One change to Open vSwitch's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OvsStep {
    /// Makes a bridge, marked as ours.
    AddBridge(String),
    /// Removes a bridge with its ports; their devices stay.
    DeleteBridge(String),
    /// Sets a column of a bridge, or one key of a column.
    SetBridge {
        /// The bridge.
        bridge: String,
        /// `column` or `column:key`.
        column: String,
        /// The value.
        value: String,
    },
    /// Points a controller's record elsewhere; flows stay.
    Retarget {
        /// The record.
        uuid: String,
        /// Where the controller is now.
        target: String,
    },
    /// Replaces all of a bridge's controllers. When there was none, all flows go: Open vSwitch's way.
    SetControllers {
        /// The bridge.
        bridge: String,
        /// Where the controllers are.
        targets: Vec<String>,
    },
    /// Sets how a controller's record connects: out of band, with short pauses.
    TuneController {
        /// The record.
        uuid: String,
    },
    /// Takes the note of declared links from a bridge.
    DropNote(String),
    /// Takes away a bridge's controllers.
    DeleteControllers(String),
    /// Adds a port, marked as ours.
    AddPort {
        /// The bridge.
        bridge: String,
        /// The port, which is a device unless there are settings.
        port: String,
        /// Settings of a VXLAN tunnel.
        tunnel: Option<BTreeMap<String, String>>,
    },
    /// Changes all settings of a tunnel port.
    SetOptions {
        /// The port.
        port: String,
        /// The settings.
        options: BTreeMap<String, String>,
    },
    /// Removes a port; its device stays.
    DeletePort {
        /// The bridge.
        bridge: String,
        /// The port.
        port: String,
    },
}

impl fmt::Display for LinkStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddPair { host, pod, mtu, .. } => write!(f, "make {host} and {pod}, MTU {mtu}"),
            Self::AddVxlan { name, vni, udp_port, remote, mtu } => {
                write!(f, "make {name} to {remote}, VNI {vni}, UDP port {udp_port}, MTU {mtu}")
            }
            Self::Change { name, change, .. } => write!(f, "{name}: {change}"),
            Self::Delete { name, .. } => write!(f, "remove {name}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(true) => f.write_str("up"),
            Self::Up(false) => f.write_str("down"),
            Self::Mtu(mtu) => write!(f, "MTU {mtu}"),
            Self::Mac(mac) => write!(f, "MAC {}", mac_text(mac)),
            Self::PlainFlags => f.write_str("flags as they were"),
            Self::Deaf => f.write_str("the host doesn't listen"),
            Self::Alias(alias) => write!(f, "alias {alias:?}"),
            Self::Remote(remote) => write!(f, "to {remote}"),
        }
    }
}

impl fmt::Display for OvsStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddBridge(bridge) => write!(f, "make bridge {bridge}"),
            Self::DeleteBridge(bridge) => write!(f, "remove bridge {bridge}"),
            Self::SetBridge { bridge, column, value } => write!(f, "{bridge}: {column}={value}"),
            Self::Retarget { target, .. } => write!(f, "controller {target}"),
            Self::SetControllers { bridge, targets } => {
                write!(f, "{bridge}: controller {}", targets.join(" "))
            }
            Self::TuneController { .. } => f.write_str("controller out of band"),
            Self::DropNote(bridge) => write!(f, "{bridge}: no note of declared links"),
            Self::DeleteControllers(bridge) => write!(f, "{bridge}: no controller"),
            Self::AddPort { bridge, port, tunnel: None } => write!(f, "{bridge}: add {port}"),
            Self::AddPort { bridge, port, tunnel: Some(options) } => {
                write!(f, "{bridge}: add tunnel {port}{}", options_text(options))
            }
            Self::SetOptions { port, options } => write!(f, "{port}:{}", options_text(options)),
            Self::DeletePort { bridge, port } => write!(f, "{bridge}: remove {port}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.links.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        self.ovs.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        self.unlinks.iter().try_for_each(|step| writeln!(f, "{step}"))?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "! {problem}"))
    }
}

/// A MAC address as people write it.
pub fn mac_text(mac: &[u8]) -> String {
    mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn options_text(options: &BTreeMap<String, String>) -> String {
    options.iter().map(|(key, value)| format!(" {key}={value}")).collect()
}
