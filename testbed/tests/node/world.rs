//! Nodes, and what is done on them.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use testbed::error::LabError;
use testbed::netns::NetNs;
use testbed::ovs::Ovs;
use testbed::ovs::guard::Guard;
use testbed::programs::program;
use testbed::wait::{Look, until};

/// For anything to come true. It takes milliseconds; a loaded machine takes longer.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Two nodes on one wire, `a` at 10.0.0.1 and `b` at 10.0.0.2.
pub const TWO: &str = "nodes: [{name: a, address: 10.0.0.1}, {name: b, address: 10.0.0.2}]
links: [[a, b]]
interfaces: 2
";

/// A machine: a namespace with an address, Open vSwitch, and the node's side where it was started.
pub struct Machine {
    pub name: String,
    pub namespace: Arc<NetNs>,
    // Dropped in order: the daemons, then the guard with the folder.
    pub ovs: Ovs,
    folder: PathBuf,
    _guard: Guard,
}

/// A node's side that keeps running.
pub struct Running(Child);

impl Machine {
    /// A machine of this name; `wire` is the MTU of its `eth0`, which is not there yet.
    pub fn new(name: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("isolane-node-").tempdir().unwrap().keep();
        let guard = Guard::over(&folder).unwrap();
        let namespace = Arc::new(NetNs::new(name).unwrap());
        let ovs = Ovs::start(&folder.join("ovs"), Arc::clone(&namespace)).unwrap();
        Self { name: name.to_owned(), namespace, ovs, folder, _guard: guard }
    }

    /// A machine with a device that has this address and MTU, joined to nothing.
    pub fn alone(name: &str, address: &str, mtu: u32) -> Self {
        let machine = Self::new(name);
        machine
            .namespace
            .ip(&format!(
                "link add eth0 mtu {mtu} type veth peer name far0\nlink set eth0 up\nlink set far0 up\n\
                 addr add {address}/24 dev eth0"
            ))
            .unwrap();
        machine
    }

    /// Two machines on one wire with this MTU, at 10.0.0.1 and 10.0.0.2.
    pub fn two(mtu: u32) -> (Self, Self) {
        let (a, b) = (Self::new("a"), Self::new("b"));
        a.namespace
            .ip(&format!(
                "link add eth0 mtu {mtu} type veth peer name eth0 mtu {mtu} netns {}\nlink set eth0 up\n\
                 addr add 10.0.0.1/24 dev eth0",
                b.namespace.path()
            ))
            .unwrap();
        b.namespace.ip("link set eth0 up\naddr add 10.0.0.2/24 dev eth0").unwrap();
        (a, b)
    }

    fn document(&self, overlay: &str) -> PathBuf {
        let path = self.folder.join("overlay.yaml");
        fs::write(&path, overlay).unwrap();
        path
    }

    /// Changes the document that a running node's side looks at.
    pub fn rewrite(&self, overlay: &str) {
        // As a ConfigMap's volume does: never half of it.
        let new = self.folder.join("overlay.new");
        fs::write(&new, overlay).unwrap();
        fs::rename(new, self.folder.join("overlay.yaml")).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(
            program("ISOLANE_K8S_BRIDGE_BIN", "isolane-k8s-bridge", "k8s-bridge").unwrap(),
        );
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ISOLANE_"))
        {
            command.env_remove(name);
        }
        command
            .args(["node", "--node", &self.name])
            .args(args)
            .env("OVS_RUNDIR", self.folder.join("ovs"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    /// Runs the node's side to its end, whatever that is.
    pub fn try_node(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        self.namespace.inside(move || command.output()).unwrap().unwrap()
    }

    /// Runs the node's side to its end, which is a good one.
    pub fn node(&self, args: &[&str]) -> String {
        let output = self.try_node(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{args:?}: {}\n{said}", output.status);
        said
    }

    /// Makes the node's side as a document says.
    pub fn once(&self, overlay: &str, args: &[&str]) -> String {
        let path = self.document(overlay);
        self.node(&[&["--once", "--overlay", path.to_str().unwrap()], args].concat())
    }

    /// The same, and why that didn't go.
    pub fn fails(&self, overlay: &str, args: &[&str]) -> String {
        let path = self.document(overlay);
        let output =
            self.try_node(&[&["--once", "--overlay", path.to_str().unwrap()], args].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Starts a node's side that keeps running, looking every second.
    pub fn keep(&self, overlay: &str, args: &[&str]) -> Running {
        let path = self.document(overlay);
        let log = fs::File::create(self.folder.join("node.log")).unwrap();
        let mut command = self.command(&["--period", "1", "--overlay", path.to_str().unwrap()]);
        command.args(args).stdout(Stdio::null()).stderr(log);
        let child = self.namespace.inside(move || command.spawn()).unwrap().unwrap();
        let pid = self.folder.join("node");
        fs::create_dir_all(&pid).unwrap();
        fs::write(pid.join("node.pid"), child.id().to_string()).unwrap(); // for the guard
        Running(child)
    }

    /// What a running node's side has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("node.log")).unwrap_or_default()
    }

    /// Waits for a condition.
    pub fn wait(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        until(what, LIMIT, || {
            Ok(if holds(self) {
                Look::Done(())
            } else {
                Look::NotYet(format!("{}\n{}", self.state(), self.log()))
            })
        })
        .unwrap();
    }

    /// All devices, as `ip -d -j link` describes them.
    pub fn links(&self) -> Vec<Value> {
        let said = self.namespace.run("ip", ["-d", "-j", "link"]).unwrap();
        serde_json::from_str(&said).unwrap()
    }

    /// One device; null if it isn't there.
    pub fn link(&self, name: &str) -> Value {
        self.links().into_iter().find(|it| it["ifname"] == name).unwrap_or_default()
    }

    /// A device's index.
    pub fn index(&self, name: &str) -> Option<u64> {
        self.link(name)["ifindex"].as_u64()
    }

    /// A setting of a bridge, a port, an interface; whether it is quoted depends on what it looks like.
    pub fn get(&self, table: &str, record: &str, column: &str) -> String {
        self.ovs
            .vsctl(["--", "--if-exists", "get", table, record, column])
            .unwrap()
            .trim()
            .trim_matches('"')
            .to_owned()
    }

    /// The bridge's ports, sorted.
    pub fn ports(&self) -> Vec<String> {
        let said = self.ovs.vsctl(["--", "list-ports", "brtun"]).unwrap();
        let mut ports: Vec<String> = said.lines().map(str::to_owned).collect();
        ports.sort();
        ports
    }

    /// All that the node's side could change, to compare.
    pub fn state(&self) -> String {
        let links = self.links().into_iter().map(|it| {
            format!(
                "{} {} {} mtu {} {} flags {} group {} alias {} {}\n",
                it["ifindex"],
                it["ifname"],
                it["linkinfo"]["info_kind"],
                it["mtu"],
                it["address"],
                it["flags"],
                it["group"],
                it["ifalias"],
                it["linkinfo"]["info_data"]
            )
        });
        let tables = ["Bridge", "Port", "Interface", "Controller"].map(|table| {
            let columns = match table {
                "Bridge" => "name,ports,controller,datapath_type,protocols,fail_mode,other_config,external_ids",
                "Port" => "_uuid,name,external_ids",
                "Interface" => "_uuid,name,type,options,ofport,error",
                _ => "_uuid,target,connection_mode,max_backoff",
            };
            let said = self.ovs.vsctl(["--", &format!("--columns={columns}"), "list", table]).unwrap();
            let mut rows: Vec<&str> = said.split("\n\n").map(str::trim).collect();
            rows.sort_unstable();
            rows.join("\n")
        });
        links.collect::<String>() + &tables.join("\n")
    }

    /// Gives `vpodN` to a pod, as the CNI plugin host-device does: as `net1`, in the pod's namespace.
    pub fn give(&self, n: u32, pod: &NetNs) {
        self.namespace.ip(&format!("link set vpod{n} netns {}", pod.path())).unwrap();
        pod.ip(&format!("link set vpod{n} down\nlink set vpod{n} name net1\nlink set net1 up"))
            .unwrap();
    }

    /// Brings it back, as host-device does: down, and under its old name.
    pub fn take_back(&self, n: u32, pod: &NetNs) {
        pod.ip(&format!(
            "link set net1 down\nlink set net1 name vpod{n}\nlink set vpod{n} netns {}",
            self.namespace.path()
        ))
        .unwrap();
    }
}

impl Running {
    /// Ends it as `kill -9` does.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// Asks it to end; it does so well.
    pub fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let status = until("the node's side to end", LIMIT, || {
            Ok::<_, LabError>(match self.0.try_wait().unwrap() {
                Some(status) => Look::Done(status),
                None => Look::NotYet("it runs".into()),
            })
        });
        assert!(status.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only for one that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A pod's namespace, with nothing in it.
pub fn pod(name: &str) -> NetNs {
    NetNs::new(name).unwrap()
}

/// Gives the pod's `net1` an address. Its checksums are computed: a userspace switch doesn't.
pub fn address(pod: &NetNs, address: Ipv4Addr) {
    pod.ip(&format!("addr add {address}/24 dev net1\nlink set net1 up")).unwrap();
    pod.run("ethtool", ["-K", "net1", "tx", "off"]).unwrap();
}

/// Whether an address answers within some seconds.
pub fn pings(pod: &NetNs, target: Ipv4Addr) -> bool {
    pod.run("ping", ["-q", "-n", "-c", "1", "-W", "2", &target.to_string()]).is_ok()
}

/// Waits until it answers.
pub fn wait_for_ping(pod: &NetNs, target: Ipv4Addr) {
    until(&format!("{target} to answer {}", pod.name()), LIMIT, || {
        Ok::<_, LabError>(if pings(pod, target) {
            Look::Done(())
        } else {
            Look::NotYet("no answer".into())
        })
    })
    .unwrap();
}

/// An OpenFlow target.
pub fn target(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("tcp:{ip}:{}", address.port()),
        IpAddr::V6(ip) => format!("tcp:[{ip}]:{}", address.port()),
    }
}
