//! Nodes of a cluster as far as their network goes: a namespace each, with its own Open vSwitch, on one wire. What is
//! in it (pairs, tunnels, bridge) is made by the nodes' side of the real bridge.
//!
//! ```text
//!   the story's namespace: 10.200.0.1 (OpenFlow, REST, API server)
//!   └─ bridge wire ── one veth to each node, 10.200.0.2, .3, …: OpenFlow, REST, and what VXLAN runs over
//!        node: eth0, Open vSwitch, isolane-k8s-bridge node ─► vpod1 ═ vhost1, vxlan1, brtun
//! ```

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use super::bridge::BRIDGE_BIN;
use super::daemon::Daemon;
use crate::error::LabError;
use crate::netns::{Entered, NetNs};
use crate::ovs::Ovs;
use crate::ovs::guard::Guard;
use crate::programs::program;

/// MTU of the wire: full-size frames of pods, with tags, fit into tunnels.
const WIRE_MTU: u32 = 1600;

/// All nodes. Gone when dropped; until then the thread that made them is in the namespace of the story.
#[derive(Debug)]
pub struct Nodes {
    // Fields are dropped in order: daemons first, the guard with the folder last.
    nodes: Vec<Node>,
    document: PathBuf,
    folder: PathBuf,
    _entered: Entered,
    namespace: NetNs,
    _guard: Guard,
}

/// One node.
#[derive(Debug)]
pub struct Node {
    name: String,
    side: Option<Daemon>,
    ovs: Ovs,
    namespace: Arc<NetNs>,
}

impl Nodes {
    /// The address of the story's namespace on the wire.
    pub const STORY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 200, 0, 1));

    /// Makes nodes with Open vSwitch and nothing else; `interfaces` is how many their pools will have. Tunnels join
    /// each with each.
    ///
    /// # Errors
    /// [`LabError`] without rights or Open vSwitch.
    pub fn build(names: &[&str], interfaces: usize) -> Result<Self, LabError> {
        let told = |source| LabError::io("making nodes", source);
        let folder =
            tempfile::Builder::new().prefix("isolane-nodes-").tempdir().map_err(told)?.keep();
        let guard = Guard::over(&folder)?;
        let namespace = NetNs::new("story")?;
        let entered = namespace.enter()?;
        namespace.ip(&format!(
            "link add name wire type bridge\nlink set wire mtu {WIRE_MTU} up\naddr add {}/24 dev wire",
            Self::STORY
        ))?;
        let addresses: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(index, name)| format!("  - {{name: {name}, address: {}}}\n", address(index)))
            .collect();
        let document = folder.join("overlay.yaml");
        let text = format!(
            "nodes:\n{}topology: full-mesh\ninterfaces: {interfaces}\n",
            addresses.concat()
        );
        fs::write(&document, text).map_err(told)?;
        let mut made = Self {
            nodes: Vec::new(),
            document,
            folder,
            _entered: entered,
            namespace,
            _guard: guard,
        };
        for (index, name) in names.iter().enumerate() {
            let node = made.boot(index, name)?;
            made.nodes.push(node);
        }
        Ok(made)
    }

    /// A node by its name.
    ///
    /// # Errors
    /// [`LabError::Wrong`] when there is none.
    pub fn node(&self, name: &str) -> Result<&Node, LabError> {
        self.nodes
            .iter()
            .find(|it| it.name == name)
            .ok_or_else(|| LabError::Wrong(format!("no node {name}")))
    }

    /// Starts the nodes' side everywhere.
    ///
    /// # Errors
    /// [`LabError`] when the program isn't built.
    pub fn start_sides(
        &mut self,
        openflow: SocketAddr,
        controller: SocketAddr,
    ) -> Result<(), LabError> {
        let names: Vec<String> = self.nodes.iter().map(|it| it.name.clone()).collect();
        names.iter().try_for_each(|name| self.start_side(name, openflow, controller))
    }

    /// Starts the nodes' side on one.
    ///
    /// # Errors
    /// As [`start_sides`](Self::start_sides).
    pub fn start_side(
        &mut self,
        name: &str,
        openflow: SocketAddr,
        controller: SocketAddr,
    ) -> Result<(), LabError> {
        let mut command = Command::new(program(BRIDGE_BIN, "isolane-k8s-bridge", "k8s-bridge")?);
        let (document, folder) = (self.document.clone(), self.folder.clone());
        let node = self.nodes.iter_mut().find(|it| it.name == name);
        let node = node.ok_or_else(|| LabError::Wrong(format!("no node {name}")))?;
        command
            .arg("node")
            .arg(format!("--overlay={}", document.display()))
            .arg(format!("--node={name}"))
            .arg(format!("--openflow=tcp:{openflow}"))
            .arg(format!("--controller=http://{controller}"))
            .args(["--period", "1"])
            .env("OVS_RUNDIR", node.ovs.folder());
        let log = format!("side-{name}");
        node.side = Some(node.namespace.inside(move || Daemon::start(command, &folder, &log))??);
        Ok(())
    }

    /// A node loses all that isn't on a disk, and comes up again without its side; pods' namespaces on it are for the
    /// story to end.
    ///
    /// # Errors
    /// [`LabError`] when Open vSwitch doesn't start.
    pub fn reboot(&mut self, name: &str) -> Result<(), LabError> {
        let index = self.nodes.iter().position(|it| it.name == name);
        let index = index.ok_or_else(|| LabError::Wrong(format!("no node {name}")))?;
        let old = self.nodes.remove(index);
        drop(old);
        // The kernel takes the old veth away when the last user of the namespace has gone, which may take a moment.
        let _ = self.namespace.ip(&format!("link del w{index}"));
        let node = self.boot(index, name)?;
        self.nodes.insert(index, node);
        Ok(())
    }

    fn boot(&self, index: usize, name: &str) -> Result<Node, LabError> {
        let namespace = Arc::new(NetNs::new(name)?);
        self.namespace.ip(&format!(
            "link add w{index} mtu {WIRE_MTU} type veth peer name eth0 mtu {WIRE_MTU} netns {}\nlink set w{index} master wire up",
            namespace.path()
        ))?;
        namespace.ip(&format!("link set eth0 up\naddr add {}/24 dev eth0", address(index)))?;
        // Its database is on the node's disk, and is kept.
        let ovs = Ovs::start(&self.folder.join(name), Arc::clone(&namespace))?;
        Ok(Node { name: name.to_owned(), side: None, ovs, namespace })
    }
}

impl Node {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its network namespace.
    pub fn namespace(&self) -> &NetNs {
        &self.namespace
    }

    /// Its Open vSwitch: what the switch pod runs.
    pub fn ovs(&self) -> &Ovs {
        &self.ovs
    }

    /// What its side logged so far.
    pub fn log(&self) -> String {
        self.side.as_ref().map(Daemon::log).unwrap_or_default()
    }

    /// Whether a device is in the node's own namespace.
    ///
    /// # Errors
    /// [`LabError`] when devices can't be listed.
    pub fn has(&self, device: &str) -> Result<bool, LabError> {
        let links = self.namespace.run("ip", ["-o", "link"])?;
        Ok(links.lines().any(|line| {
            let name = line.split(": ").nth(1).unwrap_or_default();
            name.split('@').next() == Some(device)
        }))
    }
}

/// 10.200.0.2 and on; .1 is the story's.
fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 200, 0, u8::try_from(index + 2).unwrap_or(u8::MAX))
}
