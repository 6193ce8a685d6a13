//! Namespaces, management and underlay networks, and trunks of a lab.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::instance::Ovs;
use super::node::Port;
use super::topology::{Link, Trunks};
use crate::error::LabError;
use crate::netns::NetNs;

/// MTU of a trunk: a full-size frame with two tags of the tenant's and one of the trunk's fits, with room.
pub const TRUNK_MTU: u32 = 1600;
/// MTU below the tunnels: [`TRUNK_MTU`] and 50 bytes of VXLAN fit unfragmented.
const UNDERLAY_MTU: u32 = 1700;
/// Where the controller listens, in the lab's namespace.
const CONTROLLER_PORT: u16 = 6653;
/// The bridge of an Open vSwitch node that holds its underlay address.
pub const UNDERLAY_BRIDGE: &str = "underlay";
/// The node's end of its underlay veth.
const UNDERLAY_DEVICE: &str = "under0";
/// VNI of link k is this plus k, as in L2S-M.
const L2SM_VNI: usize = 1960;
/// Nodes there are addresses for.
const MOST_NODES: usize = 250;

/// The address switches find the controller at.
pub fn controller(trunks: Trunks) -> SocketAddr {
    let address =
        if trunks.share_one_ovs() { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(10, 200, 0, 1) };
    (address, CONTROLLER_PORT).into()
}

/// The device of the lab's namespace that OpenFlow goes over, and an address that is reached over it.
pub fn control_wire(trunks: Trunks) -> (&'static str, Ipv4Addr) {
    if trunks.share_one_ovs() {
        ("lo", Ipv4Addr::LOCALHOST)
    } else {
        ("mgmt", Ipv4Addr::new(10, 200, 0, 2))
    }
}

/// The address of node `index` (from 0) that tunnels end at.
pub fn underlay_address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 201, 0, host_byte(index))
}

/// The namespace of each node, joined to the lab's by the networks it needs.
///
/// # Errors
/// [`LabError`] when the system refuses, or there are more nodes than addresses.
pub fn namespaces(
    lab: &Arc<NetNs>,
    names: &[String],
    trunks: Trunks,
) -> Result<Vec<Arc<NetNs>>, LabError> {
    if trunks.share_one_ovs() {
        return Ok(names.iter().map(|_| Arc::clone(lab)).collect());
    }
    if names.len() > MOST_NODES {
        return Err(LabError::Wrong(format!(
            "{} switches; a lab has addresses for {MOST_NODES}",
            names.len()
        )));
    }
    lab.ip(&format!(
        "link add name mgmt type bridge\nlink set mgmt up\naddr add 10.200.0.1/24 dev mgmt\n\
         link add name under type bridge\nlink set under mtu {UNDERLAY_MTU} up"
    ))?;
    names.iter().enumerate().map(|(index, name)| node_namespace(lab, index, name, trunks)).collect()
}

fn node_namespace(
    lab: &NetNs,
    index: usize,
    name: &str,
    trunks: Trunks,
) -> Result<Arc<NetNs>, LabError> {
    let node = NetNs::new(name)?;
    let path = node.path();
    lab.ip(&format!(
        "link add m{index} type veth peer name mgmt0 netns {path}\nlink set m{index} master mgmt up\n\
         link add u{index} mtu {UNDERLAY_MTU} type veth peer name {UNDERLAY_DEVICE} mtu {UNDERLAY_MTU} netns {path}\n\
         link set u{index} master under up"
    ))?;
    node.ip(&format!(
        "link set mgmt0 up\naddr add 10.200.0.{}/24 dev mgmt0\nlink set {UNDERLAY_DEVICE} up",
        host_byte(index)
    ))?;
    if trunks == Trunks::KernelVxlan {
        node.ip(&format!("addr add {}/24 dev {UNDERLAY_DEVICE}", underlay_address(index)))?;
    }
    Ok(Arc::new(node))
}

/// Makes the devices of one link, where it has any, and tells the port at each of its ends.
///
/// # Errors
/// [`LabError`] when the system refuses.
pub fn trunk(link: &Link, trunks: Trunks, ends: [&NetNs; 2]) -> Result<[Port; 2], LabError> {
    let [a, b] = link.switches;
    let [name_a, name_b] = &link.ports;
    match trunks {
        Trunks::Patch => {
            let end = |name: &String, peer: &String| Port::Patch {
                name: name.clone(),
                peer: peer.clone(),
            };
            return Ok([end(name_a, name_b), end(name_b, name_a)]);
        }
        Trunks::OvsVxlan => {
            let end = |name: &String, local, remote| Port::Tunnel {
                name: name.clone(),
                local: underlay_address(local),
                remote: underlay_address(remote),
            };
            return Ok([end(name_a, a, b), end(name_b, b, a)]);
        }
        Trunks::Veth => {
            ends[0].ip(&format!(
                "link add {name_a} mtu {TRUNK_MTU} type veth peer name {name_b} mtu {TRUNK_MTU} netns {}\nlink set {name_a} up",
                ends[1].path()
            ))?;
            ends[1].ip(&format!("link set {name_b} up"))?;
        }
        Trunks::KernelVxlan => {
            for (name, here, local, remote) in [(name_a, ends[0], a, b), (name_b, ends[1], b, a)] {
                here.ip(&format!(
                    "link add {name} type vxlan id {} dstport 4789 local {} remote {}\nlink set {name} mtu {TRUNK_MTU} up",
                    L2SM_VNI + link.number,
                    underlay_address(local),
                    underlay_address(remote)
                ))?;
            }
        }
    }
    Ok([Port::Device(name_a.clone()), Port::Device(name_b.clone())])
}

/// Gives an Open vSwitch the second bridge that its own tunnels leave through.
///
/// # Errors
/// [`LabError`] when Open vSwitch refuses.
pub fn underlay_bridge(ovs: &Ovs, index: usize) -> Result<(), LabError> {
    ovs.vsctl([
        "--",
        "add-br",
        UNDERLAY_BRIDGE,
        "--",
        "set",
        "bridge",
        UNDERLAY_BRIDGE,
        "datapath_type=netdev",
        "fail_mode=standalone",
        "--",
        "add-port",
        UNDERLAY_BRIDGE,
        UNDERLAY_DEVICE,
    ])?;
    let address = underlay_address(index);
    ovs.namespace()
        .ip(&format!("addr add {address}/24 dev {UNDERLAY_BRIDGE}\nlink set {UNDERLAY_BRIDGE} up"))
}

/// 2–251: 1 is the controller's.
fn host_byte(index: usize) -> u8 {
    u8::try_from(index + 2).unwrap_or(u8::MAX)
}
