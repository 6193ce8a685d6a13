//! A switch of a lab, and a host at it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::fence;
use super::node::OvsNode;
use super::topology::Trunks;
use super::wiring::{UNDERLAY_BRIDGE, underlay_address};
use crate::error::LabError;
use crate::host::{Mac, Tap};
use crate::netns::NetNs;

/// A switch of a lab.
#[derive(Debug)]
pub struct Switch {
    pub(super) node: OvsNode,
    pub(super) namespace: Arc<NetNs>,
    pub(super) eye: Tap,
    pub(super) ports: Vec<String>,
}

/// A host of a lab, whose frames the test writes and reads.
#[derive(Debug)]
pub struct Host {
    pub(super) switch: usize,
    pub(super) mac: Mac,
    pub(super) tap: Tap,
}

impl Switch {
    /// The switch's name.
    pub fn name(&self) -> &str {
        self.node.name()
    }

    /// The datapath id.
    pub fn dpid(&self) -> u64 {
        self.node.dpid()
    }

    /// The bridge, for everything that Open vSwitch can be asked.
    pub fn node(&self) -> &OvsNode {
        &self.node
    }

    /// The namespace its devices are in.
    pub fn namespace(&self) -> &Arc<NetNs> {
        &self.namespace
    }

    /// Its trunks' and hosts' ports, without the eye.
    pub fn ports(&self) -> &[String] {
        &self.ports
    }

    /// The OpenFlow number of a port, as it is now.
    ///
    /// # Errors
    /// [`LabError`] when there is no such port.
    pub fn port(&self, name: &str) -> Result<u32, LabError> {
        self.node.port_number(name)
    }

    /// Makes the switch lose its controller, while it forwards on.
    ///
    /// # Errors
    /// [`LabError::Command`] when Open vSwitch refuses.
    pub fn leave_controller(&self) -> Result<(), LabError> {
        self.node.set_controller((Ipv4Addr::LOCALHOST, 1).into())
    }

    /// Points the switch at a controller.
    ///
    /// # Errors
    /// [`LabError::Command`] when Open vSwitch refuses.
    pub fn join_controller(&self, controller: SocketAddr) -> Result<(), LabError> {
        self.node.set_controller(controller)
    }

    /// The TAP device that markers are sent and seen at.
    pub(super) fn eye(&self) -> &Tap {
        &self.eye
    }

    /// (Again) adds the flows that markers take.
    pub(super) fn install_marker_flows(&self) -> Result<(), LabError> {
        self.node.add_flows(&fence::flows(&self.node, self.eye.name(), &self.ports)?)
    }

    /// Cuts or mends this end of a trunk to the port `peer` of switch `other`.
    pub(super) fn set_trunk(
        &self,
        port: &str,
        (other, peer): (usize, &str),
        trunks: Trunks,
        whole: bool,
    ) -> Result<(), LabError> {
        let remote = underlay_address(other);
        match trunks {
            // A patch port can't be taken down, only pointed at nothing.
            Trunks::Patch => self.node.set_peer(port, if whole { peer } else { "nothing" }),
            Trunks::Veth => {
                self.namespace.ip(&format!("link set {port} {}", if whole { "up" } else { "down" }))
            }
            // Flushing succeeds also where only the other end was cut.
            Trunks::KernelVxlan => self.namespace.ip(&if whole {
                format!("route flush type blackhole exact {remote}/32")
            } else {
                format!("route add blackhole {remote}")
            }),
            Trunks::OvsVxlan => {
                // What comes in suffices: both ends do it. Tunnels don't look for blackhole routes.
                let flow = format!("ip,nw_src={remote}");
                let dropping = format!("{flow},actions=drop");
                let args = if whole {
                    vec!["--strict", "del-flows", UNDERLAY_BRIDGE, &flow]
                } else {
                    vec!["add-flow", UNDERLAY_BRIDGE, &dropping]
                };
                self.node.ovs().ofctl(args, "").map(drop)
            }
        }
    }
}

impl Host {
    /// The host's name, which is its port's too.
    pub fn name(&self) -> &str {
        self.tap.name()
    }

    /// Its MAC address.
    pub fn mac(&self) -> Mac {
        self.mac
    }

    /// Which switch it is at, by its place in [`Lab::switches`](super::Lab::switches).
    pub fn switch(&self) -> usize {
        self.switch
    }

    /// Its wire.
    pub fn tap(&self) -> &Tap {
        &self.tap
    }
}
