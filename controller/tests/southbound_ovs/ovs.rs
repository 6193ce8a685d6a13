//! A real Open vSwitch of the test's own: its switching in memory, its ports
//! dummies that frames are put into by hand, so no rights and no devices are needed.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

pub struct Ovs {
    folder: TempDir,
    daemons: Vec<Child>,
}

impl Ovs {
    /// `None`, and a line that says so, where Open vSwitch isn't installed.
    pub fn start() -> Option<Self> {
        let installed =
            Command::new("ovs-vswitchd").arg("--version").stdout(Stdio::null()).status();
        if !installed.is_ok_and(|status| status.success()) || !Path::new(SCHEMA).exists() {
            eprintln!("SKIPPED: Open vSwitch is not installed (openvswitch-switch)");
            return None;
        }
        let mut ovs =
            Self { folder: TempDir::with_prefix("isolane-ovs-").unwrap(), daemons: Vec::new() };
        let db = ovs.path("conf.db");
        ovs.run("ovsdb-tool", &["create", &db, SCHEMA]);
        let remote = format!("--remote=punix:{}", ovs.path("db.sock"));
        ovs.daemon("ovsdb-server", &[&db, &remote]);
        ovs.vsctl("--retry --no-wait init");
        let db = ovs.db();
        ovs.daemon("ovs-vswitchd", &["--enable-dummy=override", "--disable-system", &db]);
        Some(ovs)
    }

    /// A bridge with the ports `p1` to `pN`, which connects to `controller`.
    pub fn bridge(
        &self,
        name: &str,
        dpid: u64,
        protocols: &str,
        ports: u32,
        controller: SocketAddr,
    ) {
        self.vsctl(&format!(
            "add-br {name} -- set bridge {name} datapath_type=dummy fail_mode=secure protocols={protocols} \
             other-config:datapath-id={dpid:016x} other-config:dp-desc={name}"
        ));
        (1..=ports).for_each(|port| self.port(name, port));
        self.controller(name, controller);
    }

    pub fn port(&self, bridge: &str, port: u32) {
        let name = format!("{bridge}p{port}");
        self.vsctl(&format!(
            "add-port {bridge} {name} -- set interface {name} type=dummy ofport_request={port}"
        ));
    }

    pub fn controller(&self, bridge: &str, addr: SocketAddr) {
        self.target(bridge, "tcp", addr);
    }

    /// The same over TLS, once the switch has an identity.
    pub fn secure_controller(&self, bridge: &str, addr: SocketAddr) {
        self.target(bridge, "ssl", addr);
    }

    fn target(&self, bridge: &str, scheme: &str, addr: SocketAddr) {
        let (ip, port) = (addr.ip(), addr.port());
        self.vsctl(&format!(
            "set-controller {bridge} {scheme}:{ip}:{port} -- set controller {bridge} max_backoff=1000 \
             connection_mode=out-of-band"
        ));
    }

    /// Gives the switch a key and certificate, and the one that it trusts, all as PEM.
    pub fn identify(&self, key: &str, certificate: &str, trusted: &str) {
        let files = [("key.pem", key), ("cert.pem", certificate), ("ca.pem", trusted)];
        let paths = files.map(|(name, pem)| {
            fs::write(self.path(name), pem).unwrap();
            self.path(name)
        });
        self.vsctl(&format!("set-ssl {}", paths.join(" ")));
    }

    pub fn vsctl(&self, args: &str) -> String {
        let db = format!("--db={}", self.db());
        let args: Vec<_> =
            [db.as_str(), "--timeout=20"].into_iter().chain(args.split_whitespace()).collect();
        self.run("ovs-vsctl", &args)
    }

    pub fn ofctl(&self, command: &str, bridge: &str, args: &[&str]) -> String {
        let socket = format!("unix:{}", self.path(&format!("{bridge}.mgmt")));
        let args: Vec<_> = ["-O", "OpenFlow13", command, &socket]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        self.run("ovs-ofctl", &args)
    }

    pub fn appctl(&self, args: &[&str]) -> String {
        let args: Vec<_> = ["-t", "ovs-vswitchd"].iter().chain(args).copied().collect();
        self.run("ovs-appctl", &args)
    }

    /// Stops the switch in its tracks, or lets it go on.
    pub fn signal(&self, signal: Signal) {
        let pid = self.daemons.last().expect("a running vswitchd").id();
        kill(Pid::from_raw(pid as i32), signal).unwrap();
    }

    /// What vswitchd wrote into its log that is worse than a note.
    pub fn warnings(&self) -> Vec<String> {
        let log = fs::read_to_string(self.path("ovs-vswitchd.log")).unwrap();
        let bad =
            |line: &&str| ["|WARN|", "|ERR|", "|EMER|"].iter().any(|level| line.contains(level));
        log.lines().filter(bad).map(str::to_owned).collect()
    }

    fn db(&self) -> String {
        format!("unix:{}", self.path("db.sock"))
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        let folder = self.folder.path();
        command
            .args(args)
            .env("OVS_RUNDIR", folder)
            .env("OVS_LOGDIR", folder)
            .env("OVS_DBDIR", folder);
        command
    }

    fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program, args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn daemon(&mut self, program: &str, args: &[&str]) {
        let log = format!("--log-file={}", self.path(&format!("{program}.log")));
        let pid = format!("--pidfile={}", self.path(&format!("{program}.pid")));
        let own = ["-vconsole:off", log.as_str(), &pid];
        let args: Vec<_> = own.into_iter().chain(args.iter().copied()).collect();
        self.daemons.push(self.command(program, &args).spawn().unwrap());
    }
}

impl Drop for Ovs {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            // Nothing can be done about one that doesn't end; the folder goes in any case.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}
