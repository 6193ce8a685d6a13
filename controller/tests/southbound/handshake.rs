//! From connecting to a switch that is ready, or to a clear refusal.

use controller::southbound::{Event, SouthboundConfig};
use openflow::{
    BadRequest, Body, ErrorCode, FeaturesReply, GroupFeatures, Hello, HelloElement, HelloFailed,
    MultipartRequestBody, PortNo, PortReason, PortState, PortStatus, TableProperty,
};

use crate::hostile::Good;
use crate::peer::{Peer, Server, Switch, flow, port};

const OURS: u64 = 0x15_0000_0000_0000;

fn config() -> SouthboundConfig {
    SouthboundConfig { cookie: OURS, cookie_mask: 0xffff << 48, ..SouthboundConfig::default() }
}

#[tokio::test]
async fn a_switch_that_can_all_that_is_needed_is_connected() {
    let mut server = Server::start(config());
    let mut switch = Switch::new(7);
    switch.flows =
        vec![flow(OURS | 1, 1), flow(5, 2), flow(OURS | 2, 3), flow(0, 4), flow(OURS, 5)];
    let (peer, connected) = server.switch(switch).await;
    assert_eq!(connected.dpid.0, 7);
    assert_eq!(connected.peer, peer.local_addr());
    assert_eq!(connected.desc.dp_desc.as_str(), Some("leaf"));
    assert_eq!(connected.ports.iter().map(|port| port.port_no.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(connected.flows, 3, "ours alone");
    assert!(connected.meters_supported);
    drop(peer);
    let (dpid, reason) = server.disconnected().await;
    assert_eq!(dpid.0, 7);
    assert_eq!(reason, "the switch closed the connection");
}

#[tokio::test]
async fn every_hello_that_offers_1_3_is_accepted() {
    let bitmap = |versions: &[u8]| Hello::of_versions(versions.iter().copied());
    let none = |version| Hello { version, elements: Vec::new() };
    let strange = || HelloElement::Other { kind: 77, data: bytes::Bytes::from_static(b"whatever") };
    let cases = [
        ("1.3, no bitmap", none(4)),
        ("1.5, no bitmap", none(6)),
        ("1.5 with 1.3 in its bitmap", bitmap(&[1, 4, 6])),
        ("an unknown element first", Hello { version: 4, elements: vec![strange(), strange()] }),
        (
            "an unknown element and 1.5",
            Hello { elements: vec![strange(), bitmap(&[4, 6]).elements[0].clone()], ..none(6) },
        ),
    ];
    let mut server = Server::start(config());
    for (number, (name, hello)) in cases.into_iter().enumerate() {
        let mut peer = Peer::connect(server.addr).await;
        peer.send(0, hello).await;
        let ours = peer.recv().await;
        let Body::Hello(ours) = ours.body else { panic!("{name}: {ours:?}") };
        assert!(ours.version == 4 && ours.bitmap() == Some(&[1 << 4]), "{name}");
        let switch = Switch::new(100 + number as u64);
        peer.greet(&switch).await;
        assert_eq!(server.connected().await.dpid, switch.features.datapath_id, "{name}");
        drop(peer);
        let _ = server.disconnected().await;
    }
}

#[tokio::test]
async fn hello_elements_are_accepted_with_their_padding_and_whatever_they_are() {
    let bitmap = [0, 1, 0, 8, 0, 0, 0, 0x10];
    let wide = [0, 1, 0, 12, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0];
    let odd = [0, 0x63, 0, 5, 0xff, 0, 0, 0];
    let empty = [0xff, 0xff, 0, 4, 0, 0, 0, 0];
    let cases: [(&str, Vec<u8>); 6] = [
        ("a bitmap of two words, padded", wide.to_vec()),
        ("an unknown element of one byte, padded", [&odd[..], &bitmap].concat()),
        ("an unknown element behind the bitmap", [&bitmap[..], &odd].concat()),
        ("padding that isn't zero", vec![0, 1, 0, 12, 0, 0, 0, 0x10, 0, 0, 0, 0, 1, 2, 3, 4]),
        ("an unknown element without a body", [&empty[..], &bitmap].concat()),
        ("a hundred unknown elements", [odd.repeat(100), bitmap.to_vec()].concat()),
    ];
    let mut server = Server::start(config());
    let good = Good::start(&mut server).await;
    for (number, (name, elements)) in cases.into_iter().enumerate() {
        let mut hello = vec![4, 0, 0, 0, 0, 0, 0, 1];
        hello.extend(elements);
        let length = (hello.len() as u16).to_be_bytes();
        hello[2..4].copy_from_slice(&length);
        let mut peer = Peer::connect(server.addr).await;
        peer.send_bytes(&hello).await;
        assert!(matches!(peer.recv().await.body, Body::Hello(_)), "{name}");
        let switch = Switch::new(100 + number as u64);
        peer.greet(&switch).await;
        assert_eq!(server.connected().await.dpid, switch.features.datapath_id, "{name}");
        drop(peer);
        let _ = server.disconnected().await;
    }
    good.check(&mut server).await;
}

#[tokio::test]
async fn peers_without_1_3_are_told_so() {
    let bitmap = |versions: &[u8]| Hello::of_versions(versions.iter().copied());
    let cases = [
        ("1.0 alone", Hello { version: 1, elements: Vec::new() }, 1, "1.0"),
        ("1.0 and 1.5", bitmap(&[1, 6]), 4, "1.0, 1.5"),
        ("1.2 in a bitmap", bitmap(&[3]), 3, "1.2"),
    ];
    let mut server = Server::start(config());
    for (name, hello, version, offered) in cases {
        let mut peer = Peer::connect(server.addr).await;
        peer.send(9, hello).await;
        let _ours = peer.recv().await;
        let answer = peer.recv().await;
        let Body::Error(error) = answer.body else { panic!("{name}: {answer:?}") };
        assert_eq!(error.code, ErrorCode::HelloFailed(HelloFailed::Incompatible), "{name}");
        assert_eq!(error.version, version, "{name}");
        let text = format!("only OpenFlow 1.3 is spoken here, the switch offers {offered}");
        assert_eq!(error.text(), Some(text.as_str()), "{name}");
        peer.closed().await;
        assert_eq!(server.refused().await, (None, text), "{name}");
    }
}

#[tokio::test]
async fn a_switch_that_lacks_something_is_refused_by_name() {
    type Change = fn(&mut Switch);
    let cases: [(&str, Change); 5] = [
        ("unsupported: 2 tables, 3 are needed", |switch| switch.features.n_tables = 2),
        ("unsupported: table 2 lacks action group", |switch| {
            if let Ok(tables) = &mut switch.tables {
                tables[2].properties[2] =
                    TableProperty::ApplyActions(vec![openflow::ActionType::Output.into()]);
            }
        }),
        ("unsupported: there is no table 2", |switch| {
            switch.tables = switch.tables.clone().map(|tables| tables[..2].to_vec());
        }),
        ("unsupported: groups of type all", |switch| {
            switch.group_features = Ok(GroupFeatures { types: 2, ..GroupFeatures::default() });
        }),
        ("auxiliary connection 3: only main connections are used", |switch| {
            switch.features.auxiliary_id = 3
        }),
    ];
    let mut server = Server::start(config());
    for (want, change) in cases {
        let mut switch = Switch::new(7);
        change(&mut switch);
        let peer = Peer::connect(server.addr).await;
        let peer = tokio::spawn(peer.serve(switch));
        let (_, reason) = server.refused().await;
        assert_eq!(reason, want);
        peer.await.unwrap();
    }
    // None of them keeps the datapath id.
    let (_peer, connected) = server.switch(Switch::new(7)).await;
    assert_eq!(connected.dpid.0, 7);
}

#[tokio::test]
async fn a_switch_that_does_not_tell_is_given_the_benefit_of_the_doubt() {
    let unknown = ErrorCode::BadRequest(BadRequest::BadMultipart);
    let mut server = Server::start(config());
    let mut switch = Switch::new(7);
    switch.tables = Err(unknown);
    switch.group_features = Err(unknown);
    switch.meters = Err(unknown);
    let (_peer, connected) = server.switch(switch).await;
    assert!(!connected.meters_supported);
}

#[tokio::test]
async fn what_changes_during_the_handshake_is_on_top_of_what_was_told() {
    let mut server = Server::start(config());
    let mut peer = Peer::connect(server.addr).await;
    let switch = Switch { part: 1, ..Switch::new(7) };
    let status = |reason, port| Body::PortStatus(PortStatus { reason, desc: port });
    let down = |number, name| {
        let mut port = port(number, name);
        port.state = PortState::LINK_DOWN;
        port
    };
    loop {
        let request = peer.recv().await;
        let asks = |what: MultipartRequestBody| matches!(&request.body, Body::MultipartRequest(asked) if asked.body == what);
        if matches!(request.body, Body::EchoReply(_)) {
            continue;
        }
        if !matches!(request.body, Body::Hello(_)) {
            peer.send(99, Body::EchoRequest(bytes::Bytes::from_static(b"there?"))).await;
        }
        if request.body == Body::FeaturesRequest {
            // Before the list of ports: the list knows better.
            peer.send(0, status(PortReason::Add, down(2, "two"))).await;
        }
        if asks(MultipartRequestBody::PortDesc) {
            let mut answers = switch.answer(&request).into_iter();
            let first = answers.next().unwrap();
            peer.send(first.xid, first.body).await;
            peer.send(0, status(PortReason::Modify, down(1, "one"))).await;
            for answer in answers {
                peer.send(answer.xid, answer.body).await;
            }
            continue;
        }
        if asks(MultipartRequestBody::GroupDesc) {
            peer.send(0, status(PortReason::Add, port(3, "three"))).await;
            peer.send(0, status(PortReason::Delete, port(2, "two"))).await;
            peer.answer(&switch, &request).await;
            break;
        }
        peer.answer(&switch, &request).await;
    }
    let connected = server.connected().await;
    let ports: Vec<_> = connected.ports.iter().map(|port| (port.port_no.0, port.is_up())).collect();
    assert_eq!(ports, [(1, false), (3, true)]);
    peer.send(0, status(PortReason::Modify, port(1, "one"))).await;
    match server.event().await {
        Event::PortStatus { reason: PortReason::Modify, port, .. } => {
            assert!(port.port_no == PortNo(1) && port.is_up());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_comes_instead_of_a_hello_is_refused() {
    let mut server = Server::start(config());
    let mut peer = Peer::connect(server.addr).await;
    peer.send(5, FeaturesReply::default()).await;
    let _hello = peer.recv().await;
    assert!(matches!(peer.recv().await.body, Body::Error(_)));
    peer.closed().await;
    assert_eq!(server.refused().await.1, "expected hello, got features_reply");
}
