//! What a session does for the core.

use std::time::Duration;

use bytes::Bytes;
use controller::southbound::{Event, ReadFailure, SendError, SouthboundConfig};
use openflow::{
    BadRequest, Body, BufferId, ErrorCode, FlowMod, FlowModFailed, FlowRemoved, FlowRemovedReason,
    Match, Message, MultipartRequestBody, PacketIn, PacketInReason, PacketOut, PortNo, TableId,
};

use crate::peer::{LIMIT, Peer, Server, Switch, error, flow};

fn add(priority: u16) -> Body {
    Body::FlowMod(FlowMod::add(0).priority(priority))
}

#[tokio::test]
async fn steps_reach_the_switch_in_order_with_a_barrier_behind_each() {
    let mut server = Server::start(SouthboundConfig::default());
    let (mut peer, connected) = server.switch(Switch::new(7)).await;
    connected.handle.apply(5, vec![vec![add(1), add(2)], vec![], vec![add(3)]]).unwrap();
    let mut got = Vec::new();
    while got.len() < 5 {
        let message = peer.recv_besides_echo().await;
        got.push(match &message.body {
            Body::FlowMod(flow) => flow.priority,
            Body::BarrierRequest => 0,
            other => panic!("{other:?}"),
        });
        if message.body == Body::BarrierRequest {
            peer.send(message.xid, Body::BarrierReply).await;
        }
    }
    assert_eq!(got, [1, 2, 0, 3, 0]);
    match server.event().await {
        Event::Applied { dpid, session, token: 5, result: Ok(()) } => {
            assert_eq!((dpid, session), (connected.dpid, connected.session));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_error_names_its_request() {
    let mut server = Server::start(SouthboundConfig::default());
    let (mut peer, connected) = server.switch(Switch::new(7)).await;
    connected.handle.apply(1, vec![vec![add(1), add(2)], vec![add(3)]]).unwrap();
    connected.handle.apply(2, vec![vec![add(4)]]).unwrap();
    let full = ErrorCode::FlowModFailed(FlowModFailed::TableFull);
    let mut barriers = 0;
    while barriers < 3 {
        let message = peer.recv_besides_echo().await;
        match &message.body {
            Body::FlowMod(flow) if flow.priority == 2 || flow.priority == 3 => {
                peer.send(message.xid, error(full, &message)).await;
            }
            Body::BarrierRequest => {
                barriers += 1;
                peer.send(message.xid, Body::BarrierReply).await;
            }
            _ => {}
        }
    }
    match server.event().await {
        Event::Applied { token: 1, result: Err(failure), .. } => {
            let places: Vec<_> =
                failure.errors.iter().map(|error| (error.step, error.index, error.code)).collect();
            assert_eq!(places, [(0, 1, full), (1, 0, full)]);
            assert_eq!(
                failure.to_string(),
                "2 requests refused: OFPFMFC_TABLE_FULL (OFPET_FLOW_MOD_FAILED)"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(server.event().await, Event::Applied { token: 2, result: Ok(()), .. }));
}

#[tokio::test]
async fn a_switch_is_read_again_by_cookie() {
    let mut server = Server::start(SouthboundConfig::default());
    let mut switch = Switch::new(7);
    let (mut peer, connected) = server.switch(switch.clone()).await;
    assert_eq!(connected.flows, 0);
    // This one ignores the cookie it is asked for.
    switch.flows = (0..9).map(|number| flow(number % 3, number as u16)).collect();
    connected.handle.read(3, 2, u64::MAX).unwrap();
    for _ in 0..2 {
        let request = peer.recv_besides_echo().await;
        if let Body::MultipartRequest(asked) = &request.body
            && let MultipartRequestBody::Flow(asked) = &asked.body
        {
            assert_eq!((asked.cookie, asked.cookie_mask), (2, u64::MAX));
        }
        peer.answer(&switch, &request).await;
    }
    match server.event().await {
        Event::Read { token: 3, result: Ok(tables), .. } => {
            let priorities: Vec<_> = tables.flows.iter().map(|flow| flow.priority).collect();
            assert_eq!(priorities, [2, 5, 8]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refused_read_says_so() {
    let mut server = Server::start(SouthboundConfig::default());
    let (mut peer, connected) = server.switch(Switch::new(7)).await;
    connected.handle.read(3, 0, 0).unwrap();
    let code = ErrorCode::BadRequest(BadRequest::BadMultipart);
    let request = peer.recv_besides_echo().await;
    peer.send(request.xid, error(code, &request)).await;
    match server.event().await {
        Event::Read { token: 3, result: Err(failure), .. } => {
            assert_eq!(failure, ReadFailure::Refused { what: "flows", code });
        }
        other => panic!("{other:?}"),
    }
}

fn packet_in(table: u8, data: &'static [u8]) -> Body {
    Body::PacketIn(PacketIn {
        buffer_id: BufferId::NONE,
        total_len: data.len() as u16,
        reason: PacketInReason::Action,
        table_id: TableId(table),
        cookie: 0,
        match_: Match::new().in_port(3),
        data: Bytes::from_static(data),
    })
}

#[tokio::test]
async fn frames_and_removed_flows_come_up_and_frames_go_down() {
    let mut server = Server::start(SouthboundConfig::default());
    let (mut peer, connected) = server.switch(Switch::new(7)).await;
    peer.send(0, packet_in(0, b"frame up")).await;
    let punt = tokio::time::timeout(LIMIT, server.punts.recv()).await.unwrap().unwrap();
    assert_eq!((punt.dpid, punt.session), (connected.dpid, connected.session));
    assert_eq!((&punt.packet.data[..], punt.packet.in_port()), (&b"frame up"[..], Some(PortNo(3))));

    let removed = FlowRemoved {
        cookie: 9,
        priority: 1,
        reason: FlowRemovedReason::IdleTimeout,
        table_id: TableId(1),
        duration_sec: 300,
        duration_nsec: 0,
        idle_timeout: 300,
        hard_timeout: 0,
        packet_count: 5,
        byte_count: 500,
        match_: Match::new().in_port(3),
    };
    peer.send(0, removed.clone()).await;
    match server.event().await {
        Event::FlowRemoved { removed: got, .. } => assert_eq!(got, removed),
        other => panic!("{other:?}"),
    }

    let out = PacketOut {
        buffer_id: BufferId::NONE,
        in_port: PortNo::CONTROLLER,
        actions: vec![openflow::Action::output(2)],
        data: Bytes::from_static(b"frame down"),
    };
    connected.handle.packet_out(out.clone()).unwrap();
    assert_eq!(peer.recv_besides_echo().await.body, Body::PacketOut(out));
}

#[tokio::test]
async fn a_flood_of_frames_is_limited_and_leaves_room_for_announcements() {
    let config = SouthboundConfig { punts_per_second: 100, ..SouthboundConfig::default() };
    let mut server = Server::with_room(config, 64, 64);
    let (mut peer, _connected) = server.switch(Switch::new(7)).await;
    let mut flood = Vec::new();
    for _ in 0..5000 {
        flood.extend_from_slice(&Message::new(0, packet_in(1, b"who am I")).encode().unwrap());
    }
    peer.send_bytes(&flood).await;
    peer.send(0, packet_in(0, b"announcement")).await;
    // The echo is answered once everything before it has been looked at.
    peer.send(77, Body::EchoRequest(Bytes::new())).await;
    while peer.recv_besides_echo().await.body != Body::EchoReply(Bytes::new()) {}
    let mut copies = 0;
    loop {
        let punt = tokio::time::timeout(LIMIT, server.punts.recv()).await.unwrap().unwrap();
        if punt.packet.table_id == TableId(0) {
            break;
        }
        copies += 1;
    }
    assert!((1..=48).contains(&copies), "{copies} of a queue of 64");
}

#[tokio::test]
async fn the_core_closes_a_session_even_when_its_queue_is_full() {
    let config = SouthboundConfig { out_queue_bytes: 1000, ..SouthboundConfig::default() };
    let mut server = Server::start(config);
    let (mut peer, connected) = server.switch(Switch::new(7)).await;
    let big = || vec![(0..400).map(|_| add(1)).collect::<Vec<_>>(); 40];
    let mut queued = 0;
    let full = loop {
        match connected.handle.apply(1, big()) {
            Ok(()) => queued += 1,
            Err(error) => break error,
        }
        assert!(queued < 1000, "the queue has a bound");
    };
    assert_eq!(full, SendError::Full);
    connected.handle.close("for a test");
    assert_eq!(server.disconnected().await.1, "for a test");
    peer.closed().await;
    assert_eq!(connected.handle.read(1, 0, 0), Err(SendError::Closed));
}

#[tokio::test]
async fn a_stopping_server_closes_its_sessions_and_returns() {
    let mut server = Server::start(SouthboundConfig::default());
    let (mut peer, _connected) = server.switch(Switch::new(7)).await;
    let mut half_open = Peer::connect(server.addr).await;
    let _hello = half_open.recv().await;
    server.stop.cancel();
    peer.closed().await;
    half_open.closed().await;
    drop((peer, half_open));
    tokio::time::timeout(LIMIT, server.task).await.unwrap().unwrap();
    // The port is free at once.
    let again = controller::southbound::listen(server.addr, 4096).unwrap();
    drop(again);
}

#[tokio::test]
async fn a_barrier_that_does_not_come_ends_the_session() {
    let config = SouthboundConfig {
        barrier_limit: Duration::from_millis(300),
        ..SouthboundConfig::default()
    };
    let mut server = Server::start(config);
    let (mut peer, connected) = server.switch(Switch::new(7)).await;
    connected.handle.apply(1, vec![vec![add(1)]]).unwrap();
    while peer.recv_besides_echo().await.body != Body::BarrierRequest {}
    assert_eq!(server.disconnected().await.1, "the switch did not answer a barrier within 0.3 s");
}
