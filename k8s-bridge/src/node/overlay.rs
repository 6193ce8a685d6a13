//! The overlay document: which nodes there are and which tunnels join them.
//!
//! ```yaml
//! nodes:
//!   - {name: worker-1, address: 10.0.0.1}
//!   - {name: worker-2, address: 10.0.0.2, ports: [eth1]}
//! topology: full-mesh        # or links: [[worker-1, worker-2]]
//! interfaces: 10
//! tunnel: kernel-vxlan       # or ovs-vxlan
//! bridge: brtun
//! # Physical switches, and what is attached to them:
//! switches: [{dpid: "of:00000000000000aa", name: tor-1, trunks: "49"}]
//! declared_links:
//!   - {a: {switch: tor-1, port: 49}, b: {switch: worker-2, port: eth1}}
//! ports: [{network: shop.blue, switch: tor-1, port: 7}]
//! ```
//!
//! Start at [`Overlay::parse`]. A document that is accepted has no contradictions, so that nothing below has to look
//! for any.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use api::name::{Dpid, Name, SwitchRef};
use api::types::{DocumentPort, Encap, End};
use api::values::{Pattern, SetName};
use serde::{Deserialize, Serialize};

use super::names;

/// The most interface pairs of a node.
pub const MAX_INTERFACES: u32 = 1_000;
/// The most devices' names may have, in bytes (the kernel's IFNAMSIZ less the final zero).
const DEVICE_NAME: usize = 15;
/// The most tunnels: VNIs have 24 bits.
const MAX_LINKS: usize = (1 << 24) - 1 - 1960;

/// Nodes, tunnels between them, and physical switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// The nodes, in the document's order.
    pub nodes: Vec<Node>,
    /// The tunnels; link `k` of the document is at place `k - 1`.
    pub links: Vec<Link>,
    /// How many interface pairs each node has.
    pub interfaces: u32,
    /// What tunnels are made of.
    pub tunnel: Tunnel,
    /// The UDP port of tunnels.
    pub udp_port: u16,
    /// The bridge's name.
    pub bridge: String,
    /// Open vSwitch's datapath; if not said, what the running one has.
    pub datapath_type: Option<String>,
    /// The interfaces' MTU; if not said, what fits into the underlay's.
    pub mtu: Option<u32>,
    /// What is configured of physical switches.
    pub switches: Vec<PhysicalSwitch>,
    /// Links that nobody finds by LLDP.
    pub declared_links: Vec<DeclaredLink>,
    /// Ports of networks, of physical switches or nodes; if not said, none are touched.
    pub ports: Option<Vec<DocumentPort>>,
    /// The set that these ports are in.
    pub set: SetName,
}

/// A node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its name in Kubernetes, which is its switch's too.
    pub name: String,
    /// Where other nodes' tunnels end.
    pub address: IpAddr,
    /// Devices that exist there and belong into its bridge, such as the one towards a physical switch.
    #[serde(default)]
    pub ports: Vec<String>,
}

/// A tunnel between two nodes, by their places in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// One end.
    pub a: usize,
    /// The other.
    pub b: usize,
}

/// What tunnels are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tunnel {
    /// VXLAN devices of the kernel; networks are VLAN tags inside.
    #[default]
    KernelVxlan,
    /// Tunnel ports of Open vSwitch; networks are the VNIs.
    OvsVxlan,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Topology {
    #[serde(rename = "full-mesh")]
    FullMesh,
}

/// A switch that is nobody's node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhysicalSwitch {
    /// Its datapath id.
    pub dpid: Dpid,
    /// The name it gets; if not said, what it says of itself.
    #[serde(default)]
    pub name: Option<Name>,
    /// Which of its ports may be given out; if not said, it stays as it is.
    #[serde(default)]
    pub pool: Option<Pattern>,
    /// Which of its ports may be trunks; if not said, it stays as it is.
    #[serde(default)]
    pub trunks: Option<Pattern>,
}

/// A link between two ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredLink {
    /// One end.
    pub a: End,
    /// The other.
    pub b: End,
    /// How it carries networks.
    #[serde(default)]
    pub encap: Encap,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    nodes: Vec<Node>,
    links: Option<Vec<Vec<String>>>,
    topology: Option<Topology>,
    #[serde(default = "ten")]
    interfaces: u32,
    #[serde(default)]
    tunnel: Tunnel,
    #[serde(default = "vxlan_port")]
    udp_port: u16,
    #[serde(default = "brtun")]
    bridge: String,
    datapath_type: Option<String>,
    mtu: Option<u32>,
    #[serde(default)]
    switches: Vec<PhysicalSwitch>,
    #[serde(default)]
    declared_links: Vec<DeclaredLink>,
    ports: Option<Vec<DocumentPort>>,
    set: Option<SetName>,
}

fn ten() -> u32 {
    10
}

fn vxlan_port() -> u16 {
    names::VXLAN_PORT
}

fn brtun() -> String {
    names::BRIDGE.to_owned()
}

/// What is wrong with a document, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct OverlayError {
    /// Where, such as `nodes[1].address`; empty for the whole document.
    pub path: String,
    /// What is wrong, and what to do.
    pub why: String,
}

impl fmt::Display for OverlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" | "." => f.write_str(&self.why),
            path => write!(f, "{path}: {}", self.why),
        }
    }
}

fn wrong<T>(path: impl Into<String>, why: impl Into<String>) -> Result<T, OverlayError> {
    Err(OverlayError { path: path.into(), why: why.into() })
}

impl Overlay {
    /// The document in these bytes, YAML or JSON.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path.
    pub fn parse(bytes: &[u8]) -> Result<Self, OverlayError> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.trim_start_matches('\u{feff}'),
            Err(error) => {
                return wrong("", format!("is not UTF-8 from byte {} on", error.valid_up_to()));
            }
        };
        if text.trim().is_empty() {
            return wrong("", "is empty; it has at least `nodes:`");
        }
        Self::check(read(text)?)
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    /// The tunnels that end at a node: the number of the link, and the node at its other end.
    pub fn tunnels_of(&self, node: usize) -> impl Iterator<Item = (u32, &Node)> {
        let far = move |link: &Link| match (link.a == node, link.b == node) {
            (true, _) => Some(link.b),
            (_, true) => Some(link.a),
            _ => None,
        };
        (1..).zip(&self.links).filter_map(move |(k, link)| Some((k, self.nodes.get(far(link)?)?)))
    }

    fn check(written: Written) -> Result<Self, OverlayError> {
        check_nodes(&written.nodes)?;
        let links = links(&written)?;
        let Written { nodes, interfaces, tunnel, bridge, datapath_type, mtu, .. } = written;
        if interfaces > MAX_INTERFACES {
            return wrong(
                "interfaces",
                format!("{interfaces} are too many; up to {MAX_INTERFACES}"),
            );
        }
        if written.udp_port == 0 {
            return wrong("udp_port", "0 is no port; VXLAN's is 4789");
        }
        check_device("bridge", &bridge)?;
        if let Some(other) =
            datapath_type.as_deref().filter(|it| !matches!(*it, "system" | "netdev"))
        {
            return wrong("datapath_type", format!("{other:?} is none; `system` and `netdev` are"));
        }
        if let Some(mtu) = mtu.filter(|mtu| !(576..=65_535).contains(mtu)) {
            return wrong("mtu", format!("{mtu} can't be; 576 to 65535 can"));
        }
        check_switches(&written.switches, &nodes)?;
        for (at, link) in written.declared_links.iter().enumerate() {
            if link.a == link.b {
                return wrong(format!("declared_links[{at}]"), "both ends are the same port");
            }
        }
        let mut places = BTreeMap::new();
        for (at, port) in written.ports.iter().flatten().enumerate() {
            if let Some(first) = places.insert((port.switch.clone(), port.port.clone()), at) {
                let why = format!("{} of {} is in ports[{first}] already", port.port, port.switch);
                return wrong(format!("ports[{at}]"), why);
            }
            if let Err(error) = port.spec().check() {
                return wrong(format!("ports[{at}].{}", error.what), error.why);
            }
        }
        let set = match written.set {
            Some(set) => set,
            None => match "overlay".parse::<SetName>() {
                Ok(set) => set,
                Err(error) => return wrong("set", error.to_string()),
            },
        };
        Ok(Self {
            nodes,
            links,
            interfaces,
            tunnel,
            udp_port: written.udp_port,
            bridge,
            datapath_type,
            mtu,
            switches: written.switches,
            declared_links: written.declared_links,
            ports: written.ports,
            set,
        })
    }
}

/// The document as it is written. JSON is YAML too, but its own reader takes tabs and says errors in JSON's terms.
fn read(text: &str) -> Result<Written, OverlayError> {
    if text.trim_start().starts_with('{') {
        let mut json = serde_json::Deserializer::from_str(text);
        match serde_path_to_error::deserialize(&mut json) {
            Ok(written) => return Ok(written),
            Err(error) if error.inner().is_data() => {
                return wrong(error.path().to_string(), error.inner().to_string());
            }
            Err(_) => {} // a flow mapping of YAML may start like that, too
        }
    }
    let mut path = String::new();
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| {
        serde_path_to_error::deserialize(yaml).map_err(|error| {
            path = error.path().to_string();
            error.into_inner()
        })
    })
    .map_err(|error| OverlayError { path, why: error.to_string() })
}

fn check_nodes(nodes: &[Node]) -> Result<(), OverlayError> {
    if nodes.is_empty() {
        return wrong("nodes", "is empty; name at least one node");
    }
    let (mut names, mut addresses) = (BTreeMap::new(), BTreeMap::new());
    for (at, node) in nodes.iter().enumerate() {
        let here = |field: &str| format!("nodes[{at}].{field}");
        if let Err(error) = Name::new(node.name.as_bytes()) {
            return wrong(here("name"), error.why);
        }
        if node.name.chars().any(char::is_control) {
            return wrong(
                here("name"),
                format!("{:?} has a character that doesn't print", node.name),
            );
        }
        if let Some(first) = names.insert(&node.name, at) {
            return wrong(here("name"), format!("{} is nodes[{first}] already", node.name));
        }
        if node.address.is_unspecified() || node.address.is_multicast() {
            let why =
                format!("no tunnel can end at {}; write the node's own address", node.address);
            return wrong(here("address"), why);
        }
        if let Some(first) = addresses.insert(node.address, at) {
            let why = format!("{} is the address of nodes[{first}] already", node.address);
            return wrong(here("address"), why);
        }
        for (place, port) in node.ports.iter().enumerate() {
            let path = here(&format!("ports[{place}]"));
            check_device(&path, port)?;
            if names::Device::of(port).is_some() {
                return wrong(path, format!("{port} is a name of devices that are made here"));
            }
            if node.ports.get(..place).is_some_and(|before| before.contains(port)) {
                return wrong(path, format!("{port} is named twice"));
            }
        }
    }
    Ok(())
}

fn check_device(path: &str, name: &str) -> Result<(), OverlayError> {
    let fits = (1..=DEVICE_NAME).contains(&name.len()) && !matches!(name, "." | "..");
    let bad = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    if !fits || name.starts_with('-') || name.contains(bad) {
        return wrong(
            path,
            format!("{name:?} can't be a device's name (1 to 15 bytes, no blank, / or :)"),
        );
    }
    Ok(())
}

fn links(written: &Written) -> Result<Vec<Link>, OverlayError> {
    let nodes = &written.nodes;
    let pairs = match (&written.links, written.topology) {
        (Some(_), Some(_)) => {
            return wrong("topology", "is said besides links; write one of the two");
        }
        (None, None) if nodes.len() > 1 => {
            return wrong(
                "",
                "says nothing of how nodes are joined; write `links:` or `topology: full-mesh`",
            );
        }
        (None, None) => Vec::new(),
        (None, Some(Topology::FullMesh)) => (0..nodes.len())
            .flat_map(|a| (a + 1..nodes.len()).map(move |b| Link { a, b }))
            .collect(),
        (Some(links), None) => {
            let mut read: Vec<Link> = Vec::new();
            for (at, ends) in links.iter().enumerate() {
                let link = link(at, ends, nodes)?;
                let same = |it: &Link| [(it.a, it.b), (it.b, it.a)].contains(&(link.a, link.b));
                if let Some(first) = read.iter().position(same) {
                    let why = format!("joins what links[{first}] joins already");
                    return wrong(format!("links[{at}]"), why);
                }
                read.push(link);
            }
            read
        }
    };
    if pairs.len() > MAX_LINKS {
        return wrong("", format!("has {} links; up to {MAX_LINKS} can be numbered", pairs.len()));
    }
    for (at, link) in pairs.iter().enumerate() {
        let ends = [link.a, link.b].map(|end| nodes.get(end));
        if let [Some(a), Some(b)] = ends
            && a.address.is_ipv4() != b.address.is_ipv4()
        {
            let why = format!(
                "{} is at {} and {} at {}; a tunnel needs both ends in IPv4 or both in IPv6",
                a.name, a.address, b.name, b.address
            );
            let path = match written.links {
                Some(_) => format!("links[{at}]"),
                None => "topology".to_owned(),
            };
            return wrong(path, why);
        }
    }
    Ok(pairs)
}

fn link(at: usize, ends: &[String], nodes: &[Node]) -> Result<Link, OverlayError> {
    let [a, b] = ends else {
        let why = format!("has {} names; a link is two nodes, [a, b]", ends.len());
        return wrong(format!("links[{at}]"), why);
    };
    let find = |place: usize, name: &String| match nodes.iter().position(|node| node.name == *name)
    {
        Some(node) => Ok(node),
        None => wrong(format!("links[{at}][{place}]"), format!("{name} is not in nodes")),
    };
    let (a, b) = (find(0, a)?, find(1, b)?);
    if a == b {
        return wrong(format!("links[{at}]"), "joins a node with itself");
    }
    Ok(Link { a, b })
}

fn check_switches(switches: &[PhysicalSwitch], nodes: &[Node]) -> Result<(), OverlayError> {
    let mut dpids: BTreeMap<Dpid, String> = nodes
        .iter()
        .map(|node| (names::dpid(&node.name), format!("the node {}", node.name)))
        .collect();
    for (at, switch) in switches.iter().enumerate() {
        let here = |field: &str| format!("switches[{at}].{field}");
        if let Some(first) = dpids.insert(switch.dpid, format!("switches[{at}]")) {
            return wrong(here("dpid"), format!("{} is {first} already", switch.dpid));
        }
        let Some(name) = &switch.name else { continue };
        let taken = |it: &PhysicalSwitch| it.name.as_ref() == Some(name);
        if let Some(first) = switches.get(..at).unwrap_or_default().iter().position(taken) {
            return wrong(here("name"), format!("{name} is switches[{first}] already"));
        }
        if nodes.iter().any(|node| node.name.as_bytes() == name.as_bytes()) {
            return wrong(here("name"), format!("{name} is a node already"));
        }
    }
    Ok(())
}

impl Node {
    /// Its switch, by name.
    ///
    /// # Errors
    /// A name that no switch can have; accepted documents have none.
    pub fn switch(&self) -> Result<SwitchRef, api::Invalid> {
        Name::new(self.name.as_bytes()).map(SwitchRef::Name)
    }
}

#[cfg(test)]
mod tests;
