//! The embedded switch over TCP.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use openflow::{
    Action, BadRequest, Body, ErrorCode, FlowMod, FlowModCommand, FlowModFailed, FlowModFlags,
    Framer, Hello, Instruction, Match, Message, MultipartReplyBody, MultipartRequestBody,
    PacketOut, PortReason, Role, RoleRequest,
};
use testbed::faults::{Fault, Faults};
use testbed::switch::{Datapath, PortSpec};
use testbed::wire::{EmbeddedFabric, EmbeddedSwitch, WireConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const FRAME: &[u8] = b"\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5hello";
const BOUND: Duration = Duration::from_secs(20);

/// The controller's end of one session.
struct Peer {
    stream: TcpStream,
    framer: Framer,
    xid: u32,
}

impl Peer {
    async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = tokio::time::timeout(BOUND, listener.accept()).await.unwrap().unwrap();
        let mut peer = Self { stream, framer: Framer::new(), xid: 100 };
        peer.send(Message::new(0, Hello::ours())).await;
        assert!(matches!(peer.receive().await.body, Body::Hello(hello) if hello.speaks(4)));
        peer
    }

    async fn send(&mut self, message: Message) {
        self.stream.write_all(&message.encode().unwrap()).await.unwrap();
    }

    async fn receive(&mut self) -> Message {
        loop {
            if let Some(frame) = self.framer.next_frame().unwrap() {
                return Message::decode(frame).unwrap();
            }
            let read = tokio::time::timeout(BOUND, self.stream.read_buf(self.framer.buffer()))
                .await
                .unwrap()
                .unwrap();
            assert_ne!(read, 0, "the switch closed the session");
        }
    }

    /// A request and a barrier behind it; what came before the barrier's reply.
    async fn request(&mut self, body: impl Into<Body>) -> Vec<Body> {
        self.xid += 2;
        let (request, barrier) = (self.xid, self.xid + 1);
        self.send(Message::new(request, body)).await;
        self.send(Message::new(barrier, Body::BarrierRequest)).await;
        let mut before = Vec::new();
        loop {
            let message = self.receive().await;
            if message == Message::new(barrier, Body::BarrierReply) {
                return before;
            }
            before.push(message.body);
        }
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn to(port: u32) -> Instruction {
    Instruction::apply([Action::output(port)])
}

#[tokio::test]
async fn a_switch_connects_answers_and_forwards() {
    let (listener, address) = listen().await;
    let ports = [PortSpec::new(1, "vhost1"), PortSpec::new(2, "vhost2")];
    let switch = EmbeddedSwitch::connect(address, Datapath::new(0x2a, "worker-1", ports));
    let mut peer = Peer::accept(&listener).await;
    let replies = peer.request(Body::FeaturesRequest).await;
    assert!(
        matches!(&replies[..], [Body::FeaturesReply(f)] if f.datapath_id.0 == 0x2a && f.n_buffers == 0)
    );
    assert_eq!(
        peer.request(Body::EchoRequest(Bytes::from_static(b"x"))).await,
        [Body::EchoReply("x".into())]
    );
    let replies = peer.request(MultipartRequestBody::Desc).await;
    let Body::MultipartReply(reply) = &replies[0] else { panic!("{replies:?}") };
    assert!(
        matches!(&reply.body, MultipartReplyBody::Desc(desc) if desc.dp_desc.to_string() == "worker-1")
    );
    assert_eq!(
        peer.request(FlowMod::add(0).matching(Match::new().in_port(1)).instruction(to(2))).await,
        []
    );
    assert_eq!(switch.tables(), " cookie=0x0, table=0, priority=0,in_port=1 actions=output:2\n");
    assert_eq!(switch.inject(1, FRAME).places(), [(0x2a, 2).into()]);
    switch.set_port_down(2);
    let Body::PortStatus(status) = peer.receive().await.body else { panic!("a port-status") };
    assert_eq!(
        (status.reason, status.desc.name.to_string(), status.desc.is_up()),
        (PortReason::Modify, "vhost2".into(), false)
    );
}

#[tokio::test]
async fn packet_outs_reach_the_neighbours_controller() {
    let (listener, address) = listen().await;
    let fabric = EmbeddedFabric::new();
    let one = fabric.add(address, Datapath::new(1, "s1", [1]));
    let mut first = Peer::accept(&listener).await;
    let two = fabric.add(address, Datapath::new(2, "s2", [1]));
    let mut second = Peer::accept(&listener).await;
    one.until_connected(true).await;
    two.until_connected(true).await;
    fabric.link((1, 9), (2, 9));
    for peer in [&mut first, &mut second] {
        let Body::PortStatus(status) = peer.receive().await.body else { panic!("a port-status") };
        assert_eq!((status.reason, status.desc.port_no.0), (PortReason::Add, 9));
    }
    let punt = FlowMod::add(0).instruction(Instruction::apply([Action::controller()]));
    assert_eq!(second.request(punt).await, []);
    assert_eq!(first.request(PacketOut::frame(9, FRAME)).await, []);
    let Body::PacketIn(packet) = second.receive().await.body else { panic!("a packet-in") };
    assert_eq!((packet.in_port().unwrap().0, &packet.data[..]), (9, FRAME));
    assert_eq!(first.request(PacketOut::frame(1, FRAME)).await, []);
    assert_eq!(fabric.take_heard(), [((1, 1).into(), FRAME.into())]);
    fabric.set_passes((2, 9), false);
    assert_eq!(first.request(PacketOut::frame(9, FRAME)).await, []);
    assert_eq!(
        second.request(Body::EchoRequest(Bytes::new())).await.len(),
        1,
        "nothing but the echo"
    );
}

#[tokio::test]
async fn a_switch_comes_back_with_its_flows() {
    let (listener, address) = listen().await;
    let switch = EmbeddedSwitch::connect(address, Datapath::new(1, "s1", [1, 2]));
    let mut peer = Peer::accept(&listener).await;
    assert_eq!(peer.request(FlowMod::add(0).instruction(to(2))).await, []);
    assert_eq!(
        peer.request(Body::RoleRequest(RoleRequest { role: Role::Slave, generation_id: 1 }))
            .await
            .len(),
        1
    );
    drop(peer);
    let mut peer = Peer::accept(&listener).await;
    let role = peer
        .request(Body::RoleRequest(RoleRequest { role: Role::NoChange, generation_id: 0 }))
        .await;
    assert!(matches!(&role[..], [Body::RoleReply(reply)] if reply.role == Role::Equal), "{role:?}");
    assert_eq!(switch.tables().lines().count(), 1);
    switch.set_away(true);
    switch.until_connected(false).await;
    assert_eq!(switch.inject(1, FRAME).places(), [(1, 2).into()], "frames go on");
    switch.set_away(false);
    Peer::accept(&listener).await;
}

#[tokio::test]
async fn a_silent_controller_is_probed_and_given_up() {
    let (listener, address) = listen().await;
    let config = WireConfig { probe_interval: Duration::from_secs(1), ..WireConfig::default() };
    let _switch = EmbeddedFabric::with_config(config).add(address, Datapath::new(1, "s1", [1]));
    let mut peer = Peer::accept(&listener).await;
    let probe = peer.receive().await;
    assert_eq!(probe.body, Body::EchoRequest(Bytes::new()));
    peer.send(Message::new(probe.xid, Body::EchoReply(Bytes::new()))).await;
    assert_eq!(
        peer.receive().await.body,
        Body::EchoRequest(Bytes::new()),
        "probed again, for it answered"
    );
    Peer::accept(&listener).await; // the answer never came, so it connects anew
}

#[tokio::test]
async fn what_cannot_be_read_gets_the_error_of_the_specification() {
    let (listener, address) = listen().await;
    let _switch = EmbeddedSwitch::connect(address, Datapath::new(1, "s1", [1]));
    let mut peer = Peer::accept(&listener).await;
    peer.stream.write_all(&[4, 99, 0, 8, 0, 0, 0, 5]).await.unwrap();
    let answer = peer.receive().await;
    assert!(
        matches!(answer.body, Body::Error(e) if e.code == ErrorCode::BadRequest(BadRequest::BadType))
    );
    assert_eq!(answer.xid, 5);
    assert_eq!(peer.request(Body::EchoRequest(Bytes::new())).await.len(), 1, "the session goes on");
}

#[tokio::test]
async fn faults_stand_between_controller_and_switch() {
    let (listener, address) = listen().await;
    let switch = EmbeddedSwitch::connect(address, Datapath::new(1, "s1", [1, 2]));
    let mut peer = Peer::accept(&listener).await;
    assert_eq!(peer.request(Body::FeaturesRequest).await.len(), 1);
    let full = ErrorCode::FlowModFailed(FlowModFailed::TableFull);
    let mut faults = Faults::new();
    faults.plan(0, Fault::Refuse(full)).plan(2, Fault::Drop);
    switch.set_faults(faults);
    let flow = FlowMod::add(0).instruction(to(2));
    let refused = peer.request(flow.clone()).await;
    assert!(matches!(&refused[..], [Body::Error(error)] if error.code == full), "{refused:?}");
    assert_eq!(peer.request(flow.clone()).await, [], "lost");
    assert_eq!(switch.tables(), "");
    assert_eq!(peer.request(flow).await, []);
    assert_eq!(switch.tables().lines().count(), 1);
}

#[tokio::test]
async fn a_flow_runs_out_without_any_message() {
    let (listener, address) = listen().await;
    let _switch = EmbeddedSwitch::connect(address, Datapath::new(1, "s1", [1]));
    let mut peer = Peer::accept(&listener).await;
    let flow = FlowMod::add(0).cookie(7).hard_timeout(1).flags(FlowModFlags::SEND_FLOW_REM);
    assert_eq!(peer.request(flow).await, []);
    let Body::FlowRemoved(removed) = peer.receive().await.body else { panic!("a flow-removed") };
    assert_eq!((removed.cookie, removed.hard_timeout), (7, 1));
    let left =
        peer.request(FlowMod { command: FlowModCommand::Delete, ..FlowMod::delete(0xff) }).await;
    assert_eq!(left, []);
}
