//! One switch: a bridge of an Open vSwitch.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::dump;
use super::instance::Ovs;
use crate::error::LabError;

/// What a bridge is made of.
#[derive(Clone, Debug)]
pub struct NodeSpec {
    /// Its name, at most 15 bytes: also its OpenFlow description (`dp_desc`).
    pub name: String,
    /// Its datapath id.
    pub dpid: u64,
    /// Where its controller listens, or will.
    pub controller: SocketAddr,
    /// After this much silence it probes the controller; at least a second, zero for never.
    pub inactivity_probe: Duration,
}

/// A port of a bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// A device that exists in the switch's namespace: TAP, veth, kernel VXLAN.
    Device(String),
    /// One end of a patch between two bridges of one Open vSwitch.
    Patch {
        /// This end's name.
        name: String,
        /// The other end's name.
        peer: String,
    },
    /// A VXLAN tunnel of Open vSwitch's own, whose VNI is each frame's `tun_id` (`key=flow`).
    Tunnel {
        /// The port's name.
        name: String,
        /// The underlay address of this switch.
        local: std::net::Ipv4Addr,
        /// The underlay address of the other.
        remote: std::net::Ipv4Addr,
    },
}

impl Port {
    /// The port's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Device(name) | Self::Patch { name, .. } | Self::Tunnel { name, .. } => name,
        }
    }

    fn settings(&self) -> Vec<String> {
        match self {
            Self::Device(_) => vec![],
            Self::Patch { peer, .. } => vec!["type=patch".into(), format!("options:peer={peer}")],
            Self::Tunnel { local, remote, .. } => vec![
                "type=vxlan".into(),
                "options:key=flow".into(),
                format!("options:local_ip={local}"),
                format!("options:remote_ip={remote}"),
            ],
        }
    }
}

/// A bridge with its OpenFlow connection.
#[derive(Clone, Debug)]
pub struct OvsNode {
    name: String,
    dpid: u64,
    ovs: Arc<Ovs>,
}

impl OvsNode {
    /// Makes the bridge with all its ports, in one transaction.
    ///
    /// A controller is set from the start: Open vSwitch drops all flows when it gets its first one.
    ///
    /// # Errors
    /// [`LabError::Command`] when Open vSwitch refuses or a port's device doesn't exist.
    pub fn start(ovs: &Arc<Ovs>, spec: &NodeSpec, ports: &[Port]) -> Result<Self, LabError> {
        let node = Self { name: spec.name.clone(), dpid: spec.dpid, ovs: Arc::clone(ovs) };
        let (name, target) = (&spec.name, target(spec.controller));
        let mut args: Vec<String> =
            ["--", "add-br", name, "--", "set", "bridge", name].map(str::to_owned).into();
        args.extend(
            ["datapath_type=netdev", "protocols=OpenFlow13", "fail_mode=secure"].map(str::to_owned),
        );
        args.push(format!("other-config:datapath-id={:016x}", spec.dpid));
        args.push(format!("other-config:dp-desc={name}"));
        args.extend(
            ["--", "set-controller", name, &target, "--", "set", "controller", name]
                .map(str::to_owned),
        );
        // Out of band: otherwise Open vSwitch adds hidden flows of its own for the connection.
        args.extend(["connection_mode=out-of-band", "max_backoff=1000"].map(str::to_owned));
        args.push(format!("inactivity_probe={}", spec.inactivity_probe.as_millis()));
        ports.iter().for_each(|port| args.extend(add_port(name, port)));
        ovs.vsctl(&args)?;
        let names: Vec<&str> = ports.iter().map(Port::name).collect();
        node.port_numbers(&names)?;
        Ok(node)
    }

    /// The bridge's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The datapath id.
    pub fn dpid(&self) -> u64 {
        self.dpid
    }

    /// The Open vSwitch this bridge is of.
    pub fn ovs(&self) -> &Arc<Ovs> {
        &self.ovs
    }

    /// Adds a port and returns its OpenFlow number.
    ///
    /// # Errors
    /// [`LabError::Command`] when Open vSwitch refuses.
    pub fn add_port(&self, port: &Port) -> Result<u32, LabError> {
        self.ovs.vsctl(add_port(&self.name, port))?;
        self.port_number(port.name())
    }

    /// Removes a port; its device stays.
    ///
    /// # Errors
    /// [`LabError::Command`] when there is none of that name.
    pub fn del_port(&self, name: &str) -> Result<(), LabError> {
        self.ovs.vsctl(["--", "del-port", &self.name, name]).map(drop)
    }

    /// The OpenFlow number of a port. Ask again after a restart.
    ///
    /// # Errors
    /// [`LabError`] when there is no such port or its device can't be opened.
    pub fn port_number(&self, name: &str) -> Result<u32, LabError> {
        self.port_numbers(&[name])?
            .pop()
            .ok_or_else(|| LabError::Wrong(format!("{}: no port {name}", self.name)))
    }

    /// The OpenFlow numbers of ports, in the order asked.
    ///
    /// # Errors
    /// [`LabError`] when one doesn't exist or its device can't be opened.
    pub fn port_numbers(&self, names: &[&str]) -> Result<Vec<u32>, LabError> {
        let asked = names.iter().flat_map(|name| ["--", "get", "interface", name, "ofport"]);
        let said = self.ovs.vsctl(asked)?;
        // -1: the device couldn't be opened. []: the switch hasn't looked at it.
        let number = |(name, said): (&&str, &str)| {
            said.trim().parse().map_err(|_| {
                LabError::Wrong(format!("{}: port {name} has no number ({said})", self.name))
            })
        };
        names.iter().zip(said.lines()).map(number).collect()
    }

    /// Asks for other OpenFlow numbers, of several ports at once. Where the daemon runs this returns when it has looked.
    ///
    /// # Errors
    /// [`LabError::Command`] when there is no such port.
    pub fn request_numbers(&self, ports: &[(&str, u32)], running: bool) -> Result<(), LabError> {
        let mut args: Vec<String> = if running { vec![] } else { vec!["--no-wait".to_owned()] };
        for (name, number) in ports {
            args.extend(["--", "set", "interface", name].map(str::to_owned));
            args.push(format!("ofport_request={number}"));
        }
        self.ovs.vsctl(args).map(drop)
    }

    /// Points the bridge at another controller; its flows stay. At an address where nobody listens the switch
    /// is "away", while it forwards on.
    ///
    /// # Errors
    /// [`LabError::Command`] when Open vSwitch refuses.
    pub fn set_controller(&self, controller: SocketAddr) -> Result<(), LabError> {
        let target = format!("target=\"{}\"", target(controller));
        self.ovs.vsctl(["--", "set", "controller", &self.name, &target]).map(drop)
    }

    /// Takes a port down as an operator would, over OpenFlow, or up again.
    ///
    /// # Errors
    /// [`LabError::Command`] when there is none of that name.
    pub fn set_port_up(&self, name: &str, up: bool) -> Result<(), LabError> {
        self.ofctl(&["mod-port", &self.name, name, if up { "up" } else { "down" }], "").map(drop)
    }

    /// Joins a patch port with another; with one that doesn't exist it passes nothing and stays up.
    ///
    /// # Errors
    /// [`LabError::Command`] when there is no such port.
    pub fn set_peer(&self, patch: &str, peer: &str) -> Result<(), LabError> {
        self.ovs.vsctl(["--", "set", "interface", patch, &format!("options:peer={peer}")]).map(drop)
    }

    /// Adds flows, one a line, as `ovs-ofctl add-flows` takes them. They act from the next frame on.
    ///
    /// # Errors
    /// [`LabError::Command`] naming the line that is wrong.
    pub fn add_flows(&self, flows: &str) -> Result<(), LabError> {
        self.ofctl(&["add-flows", &self.name, "-"], flows)?;
        self.forget_decisions()
    }

    /// Adds groups, one a line, as `ovs-ofctl add-groups` takes them. They act from the next frame on.
    ///
    /// # Errors
    /// [`LabError::Command`] naming the line that is wrong.
    pub fn add_groups(&self, groups: &str) -> Result<(), LabError> {
        self.ofctl(&["add-groups", &self.name, "-"], groups)?;
        self.forget_decisions()
    }

    /// Makes the datapath forget what it decided for frames seen so far.
    ///
    /// Open vSwitch looks its cached decisions through only after it has answered a barrier, in another thread. Until
    /// then, for some milliseconds, frames like earlier ones go where the old flows sent them.
    ///
    /// # Errors
    /// [`LabError::Command`] when the switch daemon is dead.
    pub fn forget_decisions(&self) -> Result<(), LabError> {
        self.ovs.appctl(["revalidator/purge"]).map(drop)
    }

    /// All flows, one a line, sorted, without counters and times; ports by number.
    ///
    /// # Errors
    /// [`LabError::Command`] when the switch daemon is dead.
    pub fn dump_flows(&self) -> Result<String, LabError> {
        Ok(dump::normalise(&self.ofctl(&["--no-names", "dump-flows", &self.name], "")?))
    }

    /// All groups, one a line, sorted; ports by number.
    ///
    /// # Errors
    /// [`LabError::Command`] when the switch daemon is dead.
    pub fn dump_groups(&self) -> Result<String, LabError> {
        Ok(dump::normalise(&self.ofctl(&["--no-names", "dump-groups", &self.name], "")?))
    }

    /// All meters as `ovs-ofctl` prints them.
    ///
    /// # Errors
    /// [`LabError::Command`] when the switch daemon is dead.
    pub fn dump_meters(&self) -> Result<String, LabError> {
        Ok(dump::normalise(&self.ofctl(&["dump-meters", &self.name], "")?))
    }

    fn ofctl(&self, args: &[&str], input: &str) -> Result<String, LabError> {
        self.ovs.ofctl(args, input)
    }
}

fn target(controller: SocketAddr) -> String {
    format!("tcp:{controller}")
}

fn add_port(bridge: &str, port: &Port) -> Vec<String> {
    let mut args: Vec<String> = ["--", "add-port", bridge, port.name()].map(str::to_owned).into();
    let settings = port.settings();
    if !settings.is_empty() {
        args.extend(["--", "set", "interface", port.name()].map(str::to_owned));
        args.extend(settings);
    }
    args
}
