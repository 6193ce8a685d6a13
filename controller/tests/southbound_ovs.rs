//! The southbound server against a real Open vSwitch.

#![allow(clippy::unwrap_used, clippy::expect_used)] // helpers of tests are tests

#[path = "southbound_ovs/ovs.rs"]
mod ovs;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use controller::southbound::{
    Connected, Event, EventSink, PuntReceiver, SouthboundConfig, Tables, listen, serve,
};
use nix::sys::signal::Signal;
use openflow::{
    Action, Body, Bucket, BufferId, ErrorCode, FlowMod, GroupId, GroupMod, GroupModCommand,
    GroupType, Instruction, MacAddr, Match, MeterBand, MeterBandKind, MeterFlags, MeterId,
    MeterMod, MeterModCommand, PacketOut, PortNo, PortReason, VlanVid,
};
use ovs::Ovs;
use rcgen::generate_simple_self_signed;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const LIMIT: Duration = Duration::from_secs(20);
const OURS: u64 = 0x15 << 56;
const MASK: u64 = 0xff << 56;

struct Server {
    addr: SocketAddr,
    events: mpsc::Receiver<Event>,
    punts: PuntReceiver,
    _stop: tokio_util::sync::DropGuard,
}

impl Server {
    fn start() -> Self {
        Self::with_tls(None)
    }

    fn with_tls(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = listen("127.0.0.1:0".parse().unwrap(), 4096).unwrap();
        let addr = listener.local_addr().unwrap();
        let (sink, events, punts) = EventSink::channel(64, 64);
        let stop = CancellationToken::new();
        let config = SouthboundConfig {
            cookie: OURS,
            cookie_mask: MASK,
            tls,
            ..SouthboundConfig::default()
        };
        tokio::spawn(serve(listener, config, sink, stop.clone()));
        Self { addr, events, punts, _stop: stop.drop_guard() }
    }

    async fn event(&mut self) -> Event {
        timeout(LIMIT, self.events.recv()).await.expect("an event in time").unwrap()
    }

    /// The next event that isn't about a port: those come as Open vSwitch makes them.
    async fn event_besides_ports(&mut self) -> Event {
        loop {
            match self.event().await {
                Event::PortStatus { .. } => {}
                event => return event,
            }
        }
    }

    /// The next session.
    async fn connected(&mut self) -> Connected {
        match self.event_besides_ports().await {
            Event::Connected(connected) => *connected,
            other => panic!("not connected: {other:?}"),
        }
    }

    async fn applied(
        &mut self,
        connected: &Connected,
        steps: Vec<Vec<Body>>,
    ) -> Result<(), Vec<(usize, usize, ErrorCode)>> {
        connected.handle.apply(1, steps).unwrap();
        match self.event_besides_ports().await {
            Event::Applied { token: 1, result, .. } => result.map_err(|failure| {
                failure.errors.iter().map(|error| (error.step, error.index, error.code)).collect()
            }),
            other => panic!("not applied: {other:?}"),
        }
    }

    async fn read(&mut self, connected: &Connected) -> Tables {
        connected.handle.read(2, OURS, MASK).unwrap();
        match self.event_besides_ports().await {
            Event::Read { token: 2, result, .. } => result.unwrap(),
            other => panic!("not read: {other:?}"),
        }
    }
}

fn group(id: u32, ports: &[u32]) -> Body {
    let bucket = |port: &u32| {
        let tag = [Action::push_vlan(), Action::set_vlan_vid(VlanVid::tagged(100))];
        Bucket::new(tag.into_iter().chain([Action::output(*port)]))
    };
    Body::GroupMod(GroupMod {
        command: GroupModCommand::Add,
        group_type: GroupType::All,
        group_id: GroupId(id),
        buckets: ports.iter().map(bucket).collect(),
    })
}

fn flood(group: u32) -> Body {
    let flow = FlowMod::add(2).cookie(OURS | 7).priority(10);
    let match_ = Match::new()
        .metadata_masked(7, 0xffff)
        .eth_dst_masked(MacAddr::GROUP_BIT, MacAddr::GROUP_BIT);
    flow.matching(match_).instruction(Instruction::apply([Action::group(group)])).into()
}

fn edge(port: u32) -> Body {
    let flow = FlowMod::add(0).cookie(OURS | 7).priority(10).matching(Match::new().in_port(port));
    flow.instruction(Instruction::write_metadata(7)).instruction(Instruction::goto(2)).into()
}

#[tokio::test]
async fn open_vswitch_is_read_programmed_and_read_again() {
    let Some(ovs) = Ovs::start() else { return };
    let mut server = Server::start();
    ovs.bridge("worker-1", 0x2a, "OpenFlow13", 2, server.addr);
    let connected = server.connected().await;
    assert_eq!(connected.dpid.to_string(), "of:000000000000002a");
    assert_eq!(connected.desc.dp_desc.as_str(), Some("worker-1"));
    assert_eq!(connected.desc.hw_desc.as_str(), Some("Open vSwitch"));
    assert!(connected.meters_supported);
    assert_eq!((connected.flows, connected.groups), (0, 0));

    let steps = vec![vec![group(7, &[1, 2])], vec![flood(7)], vec![edge(1), edge(2)]];
    assert_eq!(server.applied(&connected, steps).await, Ok(()));
    let flows = ovs.ofctl("dump-flows", "worker-1", &["--no-stats"]);
    assert_eq!(
        flows.lines().filter(|line| line.contains("cookie=0x1500000000000007")).count(),
        3,
        "{flows}"
    );
    ovs.ofctl("add-flow", "worker-1", &["table=0,cookie=0x99,priority=1,actions=drop"]);

    let tables = server.read(&connected).await;
    assert_eq!(tables.flows.len(), 3, "those of others are left out");
    assert_eq!(tables.groups.len(), 1);
    assert_eq!(tables.groups[0].buckets.len(), 2);
    assert_eq!(ovs.warnings(), Vec::<String>::new());

    // What is there is found again at the next session.
    connected.handle.close("to see it again");
    assert!(
        matches!(server.event_besides_ports().await, Event::Disconnected { reason, .. } if reason == "to see it again")
    );
    let again = server.connected().await;
    assert_ne!(again.session, connected.session);
    assert_eq!((again.flows, again.groups), (3, 1));
}

#[tokio::test]
async fn open_vswitch_refuses_by_request() {
    let Some(ovs) = Ovs::start() else { return };
    let mut server = Server::start();
    ovs.bridge("worker-1", 1, "OpenFlow13", 2, server.addr);
    let connected = server.connected().await;
    let steps =
        vec![vec![edge(1)], vec![edge(2), flood(404)], vec![group(7, &[1]), group(7, &[1])]];
    let errors = server.applied(&connected, steps).await.unwrap_err();
    let told: Vec<_> =
        errors.iter().map(|(step, index, code)| (*step, *index, code.to_string())).collect();
    let want =
        [(1, 1, "OFPBAC_BAD_OUT_GROUP".to_owned()), (2, 1, "OFPGMFC_GROUP_EXISTS".to_owned())];
    assert_eq!(told, want);
    assert_eq!(server.applied(&connected, vec![]).await, Ok(()));
}

#[tokio::test]
async fn frames_ports_and_the_controllers_meter_work_on_open_vswitch() {
    let Some(ovs) = Ovs::start() else { return };
    let mut server = Server::start();
    ovs.bridge("worker-1", 1, "OpenFlow13", 1, server.addr);
    let connected = server.connected().await;
    let copy = FlowMod::add(0).cookie(OURS).instruction(Instruction::apply([Action::controller()]));
    let bands = vec![MeterBand { rate: 1000, burst_size: 1000, kind: MeterBandKind::Drop }];
    let meter = MeterMod {
        command: MeterModCommand::Add,
        flags: MeterFlags::PKTPS,
        meter_id: MeterId::CONTROLLER,
        bands,
    };
    assert_eq!(
        server.applied(&connected, vec![vec![copy.into(), Body::MeterMod(meter)]]).await,
        Ok(())
    );

    ovs.port("worker-1", 2);
    loop {
        match server.event().await {
            Event::PortStatus { reason: PortReason::Add, port, .. } => {
                assert_eq!((port.port_no, port.name.as_str()), (PortNo(2), Some("worker-1p2")));
                break;
            }
            Event::PortStatus { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    let frame = "0200000000020200000000010800450000".to_owned() + &"00".repeat(47);
    ovs.appctl(&["netdev-dummy/receive", "worker-1p2", &frame]);
    let punt = timeout(LIMIT, server.punts.recv()).await.unwrap().unwrap();
    assert_eq!(punt.packet.in_port(), Some(PortNo(2)));
    assert_eq!(&punt.packet.data[..6], [2, 0, 0, 0, 0, 2], "whole frames come up");
    assert_eq!(punt.packet.data.len(), 64);

    // Back through the switch's tables, and up again.
    let out = PacketOut {
        buffer_id: BufferId::NONE,
        in_port: PortNo(1),
        actions: vec![Action::output(PortNo::TABLE)],
        data: Bytes::from(vec![0x66; 60]),
    };
    connected.handle.packet_out(out).unwrap();
    let punt = timeout(LIMIT, server.punts.recv()).await.unwrap().unwrap();
    assert_eq!((punt.packet.in_port(), &punt.packet.data[..]), (Some(PortNo(1)), &[0x66; 60][..]));
    assert_eq!(ovs.warnings(), Vec::<String>::new());
}

#[tokio::test]
async fn versions_are_settled_with_open_vswitch() {
    let Some(ovs) = Ovs::start() else { return };
    let mut server = Server::start();
    ovs.bridge("old", 1, "OpenFlow10", 1, server.addr);
    match server.event_besides_ports().await {
        Event::Refused { dpid: None, reason, .. } => {
            assert_eq!(reason, "only OpenFlow 1.3 is spoken here, the switch offers 1.0");
        }
        other => panic!("{other:?}"),
    }
    ovs.vsctl("del-br old");
    ovs.bridge("new", 2, "OpenFlow10,OpenFlow13,OpenFlow15", 1, server.addr);
    loop {
        match server.event_besides_ports().await {
            Event::Connected(connected) => {
                assert_eq!(connected.dpid.0, 2);
                break;
            }
            Event::Refused { dpid: None, .. } => {} // the old one's last try
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn of_two_bridges_with_one_datapath_id_the_first_stays() {
    let Some(ovs) = Ovs::start() else { return };
    let mut server = Server::start();
    ovs.bridge("first", 5, "OpenFlow13", 1, server.addr);
    let first = server.connected().await;
    ovs.bridge("second", 5, "OpenFlow13", 1, server.addr);
    let mut refusals = 0;
    while refusals < 2 {
        match server.event_besides_ports().await {
            Event::Refused { dpid, reason, .. } => {
                assert_eq!(dpid, Some(first.dpid));
                assert!(reason.starts_with("duplicate datapath id"), "{reason}");
                refusals += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(server.applied(&first, vec![vec![edge(1)]]).await, Ok(()));
    assert!(ovs.ofctl("dump-flows", "first", &[]).contains("cookie=0x15"));
    // Once the first is gone the second has its turn.
    ovs.vsctl("del-br first");
    loop {
        match server.event_besides_ports().await {
            Event::Connected(connected) => {
                assert_eq!(connected.desc.dp_desc.as_str(), Some("second"));
                break;
            }
            Event::PortStatus { .. } | Event::Disconnected { .. } | Event::Refused { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_switch_that_falls_silent_is_found_and_comes_back() {
    let Some(ovs) = Ovs::start() else { return };
    let mut server = Server::start();
    ovs.bridge("worker-1", 1, "OpenFlow13", 1, server.addr);
    let connected = server.connected().await;
    assert_eq!(server.applied(&connected, vec![vec![edge(1)]]).await, Ok(()));
    ovs.signal(Signal::SIGSTOP);
    match server.event_besides_ports().await {
        Event::Disconnected { reason, .. } => {
            assert_eq!(reason, "the switch gave no sign of life for 3 s")
        }
        other => panic!("{other:?}"),
    }
    ovs.signal(Signal::SIGCONT);
    let again = server.connected().await;
    assert_eq!(again.flows, 1, "it went on forwarding");
}

#[tokio::test]
async fn open_vswitch_connects_over_tls_and_plain_tcp_is_refused() {
    let Some(ovs) = Ovs::start() else { return };
    let ours = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let theirs = generate_simple_self_signed(["switch".to_owned()]).unwrap();
    ovs.identify(&theirs.signing_key.serialize_pem(), &theirs.cert.pem(), &ours.cert.pem());
    let key = PrivateKeyDer::try_from(ours.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![ours.cert.der().clone()], key)
        .unwrap();
    let mut server = Server::with_tls(Some(Arc::new(tls)));
    ovs.bridge("worker-1", 1, "OpenFlow13", 2, server.addr);
    match server.event_besides_ports().await {
        Event::Refused { dpid: None, reason, .. } => {
            assert!(reason.starts_with("TLS: "), "{reason}")
        }
        other => panic!("{other:?}"),
    }
    ovs.secure_controller("worker-1", server.addr);
    let connected = loop {
        match server.event_besides_ports().await {
            Event::Connected(connected) => break connected,
            Event::Refused { dpid: None, .. } => {} // the last try without TLS
            other => panic!("{other:?}"),
        }
    };
    let steps = vec![vec![group(7, &[1, 2])], vec![flood(7)], vec![edge(1), edge(2)]];
    assert_eq!(server.applied(&connected, steps).await, Ok(()));
    assert_eq!(server.read(&connected).await.flows.len(), 3);
}
