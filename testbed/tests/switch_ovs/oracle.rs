//! An embedded switch and an Open vSwitch side by side.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use openflow::{
    Action, BadAction, Body, BufferId, ErrorCode, FlowMod, FlowModCommand, FlowStatsRequest,
    Framer, GroupId, GroupMod, Hello, Instruction, Message, MultipartReplyBody,
    MultipartRequestBody, PacketIn, PacketOut, PortNo,
};
use testbed::switch::{Datapath, Output};

use super::pcap::Pcap;

/// Ports 1 to this.
pub const PORTS: u32 = 4;
const BOUND: Duration = Duration::from_secs(20);
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";

/// Both switches.
pub struct Pair {
    datapath: Datapath,
    ovs: OpenVSwitch,
    pcaps: BTreeMap<u32, Pcap>,
    xid: u32,
    /// Frames that came out of ports so far.
    pub frames_out: u64,
}

struct OpenVSwitch {
    stream: UnixStream,
    framer: Framer,
    // Dropped in this order: the daemons end before their folder goes.
    _daemons: Vec<Daemon>,
    _folder: tempfile::TempDir,
}

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

impl Pair {
    /// Both with empty tables; `None`, and a loud line, without Open vSwitch.
    pub fn start(test: &str) -> Option<Self> {
        let there = |program: &str| {
            Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok()
        };
        if !["ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl"].into_iter().all(there) {
            assert!(
                std::env::var_os("ISOLANE_REQUIRE_OVS").is_none(),
                "{test}: Open vSwitch is not installed"
            );
            eprintln!("SKIPPED: {test}: Open vSwitch is not installed (run `make setup`)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let ovs = OpenVSwitch::start(folder);
        let pcaps = (1..=PORTS)
            .map(|port| (port, Pcap::new(ovs._folder.path().join(format!("p{port}.pcap")))))
            .collect();
        let datapath = Datapath::new(1, "br0", 1..=PORTS);
        Some(Self { datapath, ovs, pcaps, xid: 10, frames_out: 0 })
    }

    /// Empties tables and groups of both.
    pub fn reset(&mut self) {
        for body in [Body::from(FlowMod::delete(0xff)), GroupMod::delete(GroupId::ALL).into()] {
            assert_eq!(self.ask(&body), (None, None));
        }
    }

    /// The error that each answers with, if it does.
    pub fn ask(&mut self, body: &Body) -> (Option<ErrorCode>, Option<ErrorCode>) {
        let (here, there) = self.exchange(body);
        let error = |bodies: Vec<Body>| {
            bodies.into_iter().find_map(|body| match body {
                Body::Error(error) => Some(error.code),
                _ => None,
            })
        };
        (error(here), error(there))
    }

    /// Both must take or refuse a change alike.
    pub fn request(&mut self, body: &Body, context: &str) {
        let (here, there) = self.ask(body);
        // Open vSwitch looks for groups only where a flow is really modified; that comes to the same.
        let modifies = matches!(body, Body::FlowMod(change) if matches!(change.command, FlowModCommand::Modify | FlowModCommand::ModifyStrict));
        if modifies && here == Some(ErrorCode::BadAction(BadAction::BadOutGroup)) && there.is_none()
        {
            return;
        }
        assert_eq!(
            here, there,
            "embedded (left) and Open vSwitch (right) answer {body:?} differently; {context}"
        );
    }

    /// Both must hold the same flows and groups.
    pub fn compare_tables(&mut self, context: &str) {
        let (here, there) =
            self.exchange(&MultipartRequestBody::Flow(FlowStatsRequest::default()).into());
        assert_eq!(flows(&here), flows(&there), "{context}");
        let (here, there) = self.exchange(&MultipartRequestBody::GroupDesc.into());
        assert_eq!(groups(&here), groups(&there), "{context}");
    }

    /// Both must put the frame out of the same ports, in the same form.
    pub fn compare_frame(&mut self, port: u32, frame: &[u8], context: &str) {
        self.xid += 1;
        let out = PacketOut {
            buffer_id: BufferId::NONE,
            in_port: PortNo(port),
            actions: vec![Action::output(PortNo::TABLE)],
            data: frame.to_vec().into(),
        };
        let message = Message::new(self.xid, out);
        let mut here = Emitted::default();
        for output in self.datapath.handle(Duration::from_secs(1), message.clone()) {
            match output {
                Output::Frame { port, frame } => here.frames.push((port.0, frame.bytes.to_vec())),
                Output::Message(_, Message { body: Body::PacketIn(packet), .. }) => {
                    here.punts.push(punt(&packet))
                }
                other => panic!("{other:?}"),
            }
        }
        self.ovs.send(&message);
        let mut there = Emitted::default();
        // Packet-ins take another way than replies and may come behind the barrier's.
        let mut replies = self.barrier();
        let end = Instant::now() + BOUND;
        while punts(&replies).len() < here.punts.len() && Instant::now() < end {
            replies.extend(self.barrier());
        }
        replies.extend(self.barrier());
        assert!(!replies.iter().any(|body| matches!(body, Body::Error(_))), "{replies:?}");
        there.punts = punts(&replies);
        for (port, pcap) in &mut self.pcaps {
            there.frames.extend(pcap.take().into_iter().map(|frame| (*port, frame)));
        }
        self.frames_out += there.frames.len() as u64;
        let (here, there) = (here.sorted(), there.sorted());
        if here != there {
            panic!(
                "frame {} in port {port}\nembedded: {here:x?}\nOpen vSwitch: {there:x?}\n{}\n{}{context}",
                hex(frame),
                self.datapath.groups(),
                self.datapath.tables()
            );
        }
    }

    /// What each answers before a barrier's reply.
    fn exchange(&mut self, body: &Body) -> (Vec<Body>, Vec<Body>) {
        self.xid += 1;
        let message = Message::new(self.xid, body.clone());
        let here = self.datapath.handle(Duration::from_secs(1), message.clone());
        self.ovs.send(&message);
        (
            here.into_iter().filter_map(Output::into_message).map(|m| m.body).collect(),
            self.barrier(),
        )
    }

    fn barrier(&mut self) -> Vec<Body> {
        self.xid += 1;
        self.ovs.send(&Message::new(self.xid, Body::BarrierRequest));
        let mut before = Vec::new();
        loop {
            let message = self.ovs.receive();
            match message.body {
                Body::BarrierReply if message.xid == self.xid => return before,
                Body::EchoRequest(data) => {
                    self.ovs.send(&Message::new(message.xid, Body::EchoReply(data)))
                }
                body => before.push(body),
            }
        }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Emitted {
    frames: Vec<(u32, Vec<u8>)>,
    /// Table, reason, cookie, in_port, metadata, frame.
    punts: Vec<(u8, u8, u64, u32, u64, Vec<u8>)>,
}

impl Emitted {
    fn sorted(mut self) -> Self {
        self.frames.sort();
        self.punts.sort();
        self
    }
}

fn punts(bodies: &[Body]) -> Vec<(u8, u8, u64, u32, u64, Vec<u8>)> {
    let packets = bodies.iter().filter_map(|body| match body {
        Body::PacketIn(packet) => Some(punt(packet)),
        _ => None,
    });
    packets.collect()
}

fn punt(packet: &PacketIn) -> (u8, u8, u64, u32, u64, Vec<u8>) {
    let metadata = packet.match_.metadata_field().map_or(0, |metadata| metadata.value);
    let in_port = packet.in_port().map_or(0, |port| port.0);
    (
        packet.table_id.0,
        packet.reason.into(),
        packet.cookie,
        in_port,
        metadata,
        packet.data.to_vec(),
    )
}

/// Flows without what time and traffic do to them, in one form.
fn flows(bodies: &[Body]) -> Vec<String> {
    let mut all = Vec::new();
    for body in bodies {
        let Body::MultipartReply(reply) = body else { panic!("{body:?}") };
        let MultipartReplyBody::Flow(list) = &reply.body else { panic!("{reply:?}") };
        for flow in list {
            let mut instructions: Vec<_> =
                flow.instructions.iter().filter(|i| !does_nothing(i)).cloned().collect();
            instructions.sort();
            all.push(format!(
                "table {} priority {} cookie {:#x} timeouts {} {} flags {} {:?} -> {instructions:?}",
                flow.table_id,
                flow.priority,
                flow.cookie,
                flow.idle_timeout,
                flow.hard_timeout,
                flow.flags,
                flow.match_.canonical().fields(),
            ));
        }
    }
    all.sort();
    all
}

fn does_nothing(instruction: &Instruction) -> bool {
    match instruction {
        Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) => {
            actions.is_empty()
        }
        Instruction::WriteMetadata { mask, .. } => *mask == 0,
        _ => false,
    }
}

fn groups(bodies: &[Body]) -> Vec<String> {
    let mut all = Vec::new();
    for body in bodies {
        let Body::MultipartReply(reply) = body else { panic!("{body:?}") };
        let MultipartReplyBody::GroupDesc(list) = &reply.body else { panic!("{reply:?}") };
        all.extend(list.iter().map(|group| format!("{group:?}")));
    }
    all.sort();
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl OpenVSwitch {
    fn start(folder: tempfile::TempDir) -> Self {
        let at = |name: &str| folder.path().join(name);
        let socket = at("db.sock");
        let run = |program: &str, args: &[&str]| {
            let output =
                Command::new(program).args(args).env("OVS_RUNDIR", folder.path()).output().unwrap();
            assert!(
                output.status.success(),
                "{program} {args:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        };
        run("ovsdb-tool", &["create", at("conf.db").to_str().unwrap(), SCHEMA]);
        let remote = format!("--remote=punix:{}", socket.display());
        let database = at("conf.db").display().to_string();
        let server = daemon("ovsdb-server", folder.path(), &[&remote, &database]);
        wait_for(&socket);
        let db = format!("unix:{}", socket.display());
        let vswitchd =
            daemon("ovs-vswitchd", folder.path(), &["--enable-dummy", "--disable-system", &db]);
        let db = format!("--db={db}");
        let mut args: Vec<String> =
            "--timeout=30 -- add-br br0 -- set bridge br0 datapath-type=dummy \
            protocols=OpenFlow13 fail-mode=secure other-config:datapath-id=0000000000000001"
                .split_whitespace()
                .map(str::to_owned)
                .collect();
        args.insert(0, db);
        for port in 1..=PORTS {
            let pcap = at(&format!("p{port}.pcap"));
            let more = format!(
                "-- add-port br0 p{port} -- set interface p{port} type=dummy ofport_request={port} options:tx_pcap={}",
                pcap.display()
            );
            args.extend(more.split_whitespace().map(str::to_owned));
        }
        run("ovs-vsctl", &args.iter().map(String::as_str).collect::<Vec<_>>());
        let management = at("br0.mgmt");
        wait_for(&management);
        let stream = UnixStream::connect(management).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        let mut ovs = Self {
            stream,
            framer: Framer::new(),
            _daemons: vec![Daemon(vswitchd), Daemon(server)],
            _folder: folder,
        };
        ovs.send(&Message::new(1, Hello::ours()));
        assert!(matches!(ovs.receive().body, Body::Hello(_)));
        ovs.ready();
        ovs
    }

    /// A management connection hears no packet-ins unless it asks for them.
    fn ready(&mut self) {
        self.send(&Message::new(
            2,
            Body::SetAsync(openflow::AsyncConfig {
                packet_in: [0b111; 2],
                port_status: [0; 2],
                flow_removed: [0; 2],
            }),
        ));
        self.send(&Message::new(3, Body::SetConfig(openflow::SwitchConfig::default())));
    }

    fn send(&mut self, message: &Message) {
        self.stream.write_all(&message.encode().unwrap()).unwrap();
    }

    fn receive(&mut self) -> Message {
        let mut chunk = [0; 65536];
        loop {
            if let Some(frame) = self.framer.next_frame().unwrap() {
                return Message::decode(frame).unwrap();
            }
            let read = self.stream.read(&mut chunk).unwrap_or(0);
            if read == 0 {
                let log = std::fs::read_to_string(self._folder.path().join("ovs-vswitchd.log"))
                    .unwrap_or_default();
                let last: Vec<_> = log.lines().rev().take(8).collect();
                panic!(
                    "Open vSwitch said nothing in time, or closed the session; its log ends (last line first):\n{last:#?}"
                );
            }
            self.framer.feed(&chunk[..read]);
        }
    }
}

fn daemon(program: &str, folder: &Path, args: &[&str]) -> Child {
    let own = |suffix: &str| folder.join(format!("{program}{suffix}")).display().to_string();
    Command::new(program)
        .args(args)
        .args([format!("--log-file={}", own(".log")), format!("--unixctl={}", own(".ctl"))])
        .args([format!("--pidfile={}", own(".pid"))])
        .args(["-vconsole:off", "-vsyslog:off"])
        .env("OVS_RUNDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_for(path: &Path) {
    let end = Instant::now() + BOUND;
    while !path.exists() {
        assert!(Instant::now() < end, "waited {BOUND:?} for {}", path.display());
        std::thread::yield_now();
    }
}
