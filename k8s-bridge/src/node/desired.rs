//! What a node should have, from the overlay document.
//!
//! Pure: no device is looked at here. What depends on the machine comes in as [`Surroundings`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::names;
use super::overlay::{Overlay, Tunnel};

/// What VXLAN puts around a frame's payload: inner Ethernet header and trunk tag (18), VXLAN (8), UDP (8), and IPv4
/// (20) or IPv6 (40).
const AROUND_V4: u32 = 54;
const AROUND_V6: u32 = 74;
/// Where the underlay's MTU can't be told.
const ETHERNET: u32 = 1_500;

/// What is known of the machine and the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The underlay's MTU, if it can be told.
    pub underlay_mtu: Option<u32>,
    /// Where OpenFlow controllers are, as Open vSwitch writes it; none: whatever is set stays.
    pub controllers: Vec<String>,
}

/// A node as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// The node's name.
    pub node: String,
    /// How many interface pairs it has.
    pub interfaces: u32,
    /// The interfaces' and the tunnels' MTU.
    pub mtu: u32,
    /// Where that MTU is from.
    pub mtu_from: MtuFrom,
    /// Tunnels of the kernel, by name.
    pub vxlans: BTreeMap<String, Vxlan>,
    /// The bridge.
    pub bridge: Bridge,
}

/// Where an MTU is from, and so which devices it is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuFrom {
    /// The document: every device gets it.
    Document,
    /// The underlay: devices that were made here get it. Those that were taken over keep theirs, as pods use it.
    Underlay,
    /// Nothing: only new devices get it.
    Guess,
}

impl MtuFrom {
    /// Whether a device that is there changes to it.
    pub fn is_for(self, made_here: bool) -> bool {
        match self {
            Self::Document => true,
            Self::Underlay => made_here,
            Self::Guess => false,
        }
    }
}

/// A VXLAN device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vxlan {
    /// Its VNI.
    pub vni: u32,
    /// Its UDP port.
    pub udp_port: u16,
    /// The other node.
    pub remote: IpAddr,
}

/// A bridge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Its name.
    pub name: String,
    /// Its datapath; none: what the running Open vSwitch has.
    pub datapath_type: Option<String>,
    /// Settings, of which others may have more.
    pub other_config: BTreeMap<String, String>,
    /// Where its controllers are; none: whatever is set stays.
    pub controllers: Vec<String>,
    /// Ports that are devices, besides the pairs' ends.
    pub devices: BTreeSet<String>,
    /// Tunnel ports, by name, with their settings.
    pub tunnels: BTreeMap<String, BTreeMap<String, String>>,
}

/// What a node of the document should have; `None` if the document has no such node.
pub fn desired(overlay: &Overlay, node: &str, around: &Surroundings) -> Option<Desired> {
    let at = overlay.node(node)?;
    let here = overlay.nodes.get(at)?;
    let mut vxlans = BTreeMap::new();
    let mut tunnels = BTreeMap::new();
    let mut widest = if here.address.is_ipv6() { AROUND_V6 } else { AROUND_V4 };
    for (k, peer) in overlay.tunnels_of(at) {
        if peer.address.is_ipv6() {
            widest = AROUND_V6;
        }
        match overlay.tunnel {
            Tunnel::KernelVxlan => {
                let (vni, udp_port, remote) = (names::vni(k), overlay.udp_port, peer.address);
                vxlans.insert(names::vxlan(k), Vxlan { vni, udp_port, remote });
            }
            Tunnel::OvsVxlan => {
                let mut options = BTreeMap::from([
                    ("key".to_owned(), "flow".to_owned()),
                    ("local_ip".to_owned(), here.address.to_string()),
                    ("remote_ip".to_owned(), peer.address.to_string()),
                ]);
                if overlay.udp_port != names::VXLAN_PORT {
                    options.insert("dst_port".to_owned(), overlay.udp_port.to_string());
                }
                tunnels.insert(names::vxlan(k), options);
            }
        }
    }
    let fits = around.underlay_mtu.unwrap_or(ETHERNET).saturating_sub(widest).max(68);
    let mut devices: BTreeSet<String> = vxlans.keys().cloned().collect();
    devices.extend(here.ports.iter().cloned());
    let dpid = format!("{:016x}", names::dpid(node).0);
    Some(Desired {
        node: node.to_owned(),
        interfaces: overlay.interfaces,
        mtu: overlay.mtu.unwrap_or(fits),
        mtu_from: match (overlay.mtu, around.underlay_mtu) {
            (Some(_), _) => MtuFrom::Document,
            (None, Some(_)) => MtuFrom::Underlay,
            (None, None) => MtuFrom::Guess,
        },
        vxlans,
        bridge: Bridge {
            name: overlay.bridge.clone(),
            datapath_type: overlay.datapath_type.clone(),
            other_config: BTreeMap::from([
                ("datapath-id".to_owned(), dpid),
                ("dp-desc".to_owned(), node.to_owned()),
            ]),
            controllers: around.controllers.clone(),
            devices,
            tunnels,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, node: &str, underlay: Option<u32>) -> Desired {
        let overlay = Overlay::parse(text.as_bytes()).unwrap();
        let around = Surroundings { underlay_mtu: underlay, controllers: vec![] };
        desired(&overlay, node, &around).unwrap()
    }

    const V4: &str = "nodes: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2, ports: [eth1]}]\n\
                      topology: full-mesh\n";

    #[test]
    fn both_ends_of_a_link_have_its_number_and_vni() {
        let (a, b) = (of(V4, "a", None), of(V4, "b", None));
        let (at_a, at_b) = (&a.vxlans["vxlan1"], &b.vxlans["vxlan1"]);
        assert_eq!((at_a.vni, at_b.vni, at_a.udp_port), (1961, 1961, 4789));
        assert_eq!(
            (at_a.remote.to_string(), at_b.remote.to_string()),
            ("10.0.0.2".into(), "10.0.0.1".into())
        );
        assert_eq!(b.bridge.devices.iter().collect::<Vec<_>>(), ["eth1", "vxlan1"]);
        assert_eq!(a.bridge.other_config["dp-desc"], "a");
    }

    #[test]
    fn what_fits_into_the_underlay_is_the_mtu() {
        let v6 = V4.replace("10.0.0.1", "'fd00::1'").replace("10.0.0.2", "'fd00::2'");
        let cases = [
            (V4, Some(1500), 1446),
            (V4, Some(9000), 8946),
            (V4, None, 1446),
            (&v6, Some(1500), 1426),
        ];
        for (text, underlay, want) in cases {
            assert_eq!(of(text, "a", underlay).mtu, want, "{text} on {underlay:?}");
        }
        let said = of(&format!("{V4}mtu: 1400\n"), "a", Some(9000));
        assert_eq!((said.mtu, said.mtu_from), (1400, MtuFrom::Document));
    }

    #[test]
    fn tunnels_of_open_vswitch_take_their_key_from_the_flow() {
        let a = of(&format!("{V4}tunnel: ovs-vxlan\n"), "a", None);
        assert!(a.vxlans.is_empty() && a.bridge.devices.is_empty());
        let options = &a.bridge.tunnels["vxlan1"];
        let said: Vec<String> =
            options.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(said, ["key=flow", "local_ip=10.0.0.1", "remote_ip=10.0.0.2"]);
    }

    #[test]
    fn a_node_that_is_not_in_the_document_has_nothing() {
        let overlay = Overlay::parse(V4.as_bytes()).unwrap();
        assert_eq!(desired(&overlay, "c", &Surroundings::default()), None);
    }
}
