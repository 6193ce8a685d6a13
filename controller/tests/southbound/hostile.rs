//! Peers that do what they should not, beside others that must not notice.

use std::time::Duration;

use bytes::Bytes;
use controller::southbound::{Connected, Event, ReadFailure, SouthboundConfig};
use openflow::{
    Body, DatapathId, ErrorMsg, HEADER_LEN, Message, MessageType, MultipartFlags, MultipartReply,
    MultipartReplyBody, MultipartRequestBody, VERSION,
};
use tokio::task::JoinSet;

use crate::peer::{Peer, Server, Switch, flow};

/// Good switches beside the bad peer.
const GOOD: u64 = 50;

pub struct Good {
    switches: Vec<Connected>,
    tasks: JoinSet<()>,
}

impl Good {
    pub async fn start(server: &mut Server) -> Self {
        let mut tasks = JoinSet::new();
        for dpid in 1..=GOOD {
            tasks.spawn(Peer::connect(server.addr).await.serve(Switch::new(dpid)));
        }
        let mut switches = Vec::new();
        while switches.len() < GOOD as usize {
            switches.push(server.connected().await);
        }
        Self { switches, tasks }
    }

    /// Every one of them is still in its first session and does what it is asked.
    pub async fn check(mut self, server: &mut Server) {
        for switch in &self.switches {
            switch.handle.apply(1, vec![vec![]]).unwrap();
        }
        let mut answers = 0;
        while answers < self.switches.len() {
            match server.event().await {
                Event::Applied { dpid, session, result, .. } => {
                    let switch = self.switches.iter().find(|switch| switch.dpid == dpid).unwrap();
                    assert_eq!((session, result), (switch.session, Ok(())));
                    answers += 1;
                }
                Event::Disconnected { dpid, reason, .. } => {
                    assert!(self.switches.iter().all(|good| good.dpid != dpid), "{dpid}: {reason}");
                }
                Event::Refused { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(self.tasks.try_join_next().is_none(), "one of them was disconnected");
    }
}

/// A message of a type with a body that is `length` bytes of `fill`.
fn raw(kind: u8, length: usize, fill: u8) -> Vec<u8> {
    let mut bytes = vec![VERSION, kind, 0, 0, 0, 0, 0, 9];
    bytes.resize(HEADER_LEN + length, fill);
    let total = (bytes.len() as u16).to_be_bytes();
    bytes[2..4].copy_from_slice(&total);
    bytes
}

#[tokio::test]
async fn malformed_messages_of_every_kind_are_answered_or_end_only_their_session() {
    let mut server = Server::start(SouthboundConfig::default());
    let good = Good::start(&mut server).await;
    let mut told = 0;
    for kind in 0..=31 {
        for (length, fill) in [(1, 0), (3, 0xff), (17, 0xff), (40, 0x7f), (200, 0xff)] {
            let bytes = raw(kind, length, fill);
            let Err(error) = Message::decode(Bytes::from(bytes.clone())) else { continue };
            let (mut peer, _) = server.switch(Switch::new(99)).await;
            peer.send_bytes(&bytes).await;
            match peer.next().await {
                Some(answer) => {
                    let Body::Error(answered) = &answer.body else { panic!("{answer:?}") };
                    assert_eq!(answered.code, error.code(), "{error}");
                    assert_eq!(answer.xid, 9);
                    assert_eq!(answered.data, bytes[..bytes.len().min(ErrorMsg::QUOTE)]);
                    told += 1;
                }
                None => assert_eq!(MessageType::from(kind), MessageType::Error, "{error}"),
            }
            drop(peer);
            assert_eq!(server.disconnected().await.0.0, 99);
        }
    }
    assert!(told > 50, "{told}");
    good.check(&mut server).await;
}

#[tokio::test]
async fn a_peer_that_keeps_on_sending_nonsense_is_closed() {
    let mut server = Server::start(SouthboundConfig::default());
    type Nonsense = fn() -> Vec<u8>;
    let cases: [(&str, Nonsense); 5] = [
        ("malformed packet-ins", || raw(10, 3, 0)),
        ("an unknown type", || raw(200, 8, 0)),
        ("what only a controller sends", || {
            Message::new(1, Body::BarrierRequest).encode().unwrap().to_vec()
        }),
        ("barrier replies that nobody waits for", || {
            Message::new(77, Body::BarrierReply).encode().unwrap().to_vec()
        }),
        ("another version", || vec![1, 10, 0, 8, 0, 0, 0, 1]),
    ];
    for (name, nonsense) in cases {
        let (mut peer, _) = server.switch(Switch::new(1)).await;
        peer.send_bytes(&nonsense().repeat(100)).await;
        peer.closed().await;
        let reason = server.disconnected().await.1;
        assert_eq!(reason, "more than 20 malformed or unexpected messages a second", "{name}");
    }
}

#[tokio::test]
async fn a_lost_framing_ends_only_its_session() {
    let mut server = Server::start(SouthboundConfig::default());
    let good = Good::start(&mut server).await;
    let (mut peer, _) = server.switch(Switch::new(99)).await;
    peer.send(5, Body::EchoRequest(Bytes::new())).await;
    peer.send_bytes(&[4, 10, 0, 7, 0, 0, 0, 0]).await;
    assert_eq!(peer.recv().await.body, Body::EchoReply(Bytes::new()));
    peer.closed().await;
    let reason = server.disconnected().await.1;
    assert!(
        reason.starts_with("length 7 in the header at byte ")
            && reason.ends_with("framing is lost"),
        "{reason}"
    );
    good.check(&mut server).await;
}

#[tokio::test]
async fn half_open_crowds_are_cleared_away_and_disturb_nobody() {
    let config = SouthboundConfig {
        handshake_limit: Duration::from_secs(8),
        // The switch that gets through answers no echo while the crowd is cleared.
        echo_interval: Duration::from_secs(60),
        ..SouthboundConfig::default()
    };
    let mut server = Server::start(config);
    let good = Good::start(&mut server).await;
    let mut crowd = JoinSet::new();
    for number in 0..1000_usize {
        let mut peer = Peer::connect(server.addr).await;
        crowd.spawn(async move {
            // A hello of 16 bytes, a byte at a time, and it never gets to its end.
            let hello = [4, 0, 0, 200, 0, 0, 0, 1, 0, 1, 0, 8, 0, 0, 0, 16];
            let mut sent = 0;
            loop {
                tokio::select! {
                    message = peer.next() => match message {
                        Some(_) => {}
                        None => return,
                    },
                    () = tokio::time::sleep(Duration::from_millis(200 + number as u64 % 50)) => {}
                }
                if let Some(byte) = hello.get(sent)
                    && peer.try_send_bytes(&[*byte]).await.is_err()
                {
                    return;
                }
                sent += 1;
            }
        });
    }
    // A switch gets through the crowd, whose first ones may have been cleared away already.
    let mut switch = Peer::connect(server.addr).await;
    switch.greet(&Switch::new(99)).await;
    let (mut connected, mut refused) = (0, 0);
    while (connected, refused) != (1, 1000) {
        match server.event().await {
            Event::Connected(switch) => {
                assert_eq!(switch.dpid, DatapathId(99));
                connected += 1;
            }
            Event::Refused { dpid: None, reason, .. } => {
                assert_eq!(reason, "handshake: no hello within 8 s");
                refused += 1;
            }
            other => panic!("neither: {other:?}"),
        }
    }
    while crowd.join_next().await.is_some() {}
    good.check(&mut server).await;
}

#[tokio::test]
async fn more_handshakes_than_may_be_are_closed_at_once() {
    let config = SouthboundConfig { max_half_open: 3, ..SouthboundConfig::default() };
    let mut server = Server::start(config);
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut peer = Peer::connect(server.addr).await;
        let _hello = peer.recv().await;
        waiting.push(peer);
    }
    let mut fourth = Peer::connect(server.addr).await;
    assert_eq!(fourth.next().await, None);
    // As soon as one is done there is room again.
    let mut first = waiting.remove(0);
    first.send(0, openflow::Hello::ours()).await;
    first.greet(&Switch::new(1)).await;
    let _ = server.connected().await;
    let (_peer, connected) = server.switch(Switch::new(2)).await;
    assert_eq!(connected.dpid.0, 2);
}

#[tokio::test]
async fn a_multipart_that_never_ends_is_cut() {
    let config = SouthboundConfig { multipart_bytes: 100_000, ..SouthboundConfig::default() };
    let mut server = Server::start(config);
    let good = Good::start(&mut server).await;
    let flows = MultipartReplyBody::Flow((0..100).map(|priority| flow(0, priority)).collect());
    let part = || MultipartReply { flags: MultipartFlags::MORE, body: flows.clone() };

    // In a later read the read fails, and the session goes on without what still comes.
    let (mut peer, connected) = server.switch(Switch::new(99)).await;
    connected.handle.read(1, 0, 0).unwrap();
    let request = peer.recv_besides_echo().await;
    let length = Message::new(1, part()).encode().unwrap().len();
    for _ in 0..=100_000 / length {
        peer.send(request.xid, part()).await;
    }
    match server.event().await {
        Event::Read { token: 1, result: Err(failure), .. } => {
            assert_eq!(failure, ReadFailure::TooLong { what: "flows", limit: 100_000 });
        }
        other => panic!("{other:?}"),
    }
    drop(peer);
    let _ = server.disconnected().await;

    // In the handshake that is its end.
    let mut peer = Peer::connect(server.addr).await;
    let switch = Switch::new(99);
    let xid = loop {
        let request = peer.recv().await;
        match &request.body {
            Body::MultipartRequest(asked)
                if matches!(asked.body, MultipartRequestBody::Flow(_)) =>
            {
                break request.xid;
            }
            _ => peer.answer(&switch, &request).await,
        }
    };
    let endless = Message::new(xid, part()).encode().unwrap();
    while peer.try_send_bytes(&endless).await.is_ok() {}
    assert_eq!(server.refused().await.1, "the switch's flows have more than 100000 bytes");
    good.check(&mut server).await;
}

#[tokio::test]
async fn a_duplicate_never_evicts_a_living_switch() {
    let mut server = Server::start(SouthboundConfig::default());
    let good = Good::start(&mut server).await;
    let dpid = DatapathId(GOOD / 2);
    for _ in 0..100 {
        let mut tries = JoinSet::new();
        for _ in 0..10 {
            tries.spawn(Peer::connect(server.addr).await.serve(Switch::new(dpid.0)));
        }
        for _ in 0..10 {
            let (refused, reason) = server.refused().await;
            assert_eq!(refused, Some(dpid));
            assert!(reason.starts_with("duplicate datapath id"), "{reason}");
        }
        while tries.join_next().await.is_some() {}
    }
    good.check(&mut server).await;
}

#[tokio::test]
async fn a_silent_peer_is_found_beside_others() {
    let mut server = Server::start(SouthboundConfig::default());
    let good = Good::start(&mut server).await;
    // It has done its handshake, and answers nothing any more.
    let (_silent, connected) = server.switch(Switch::new(99)).await;
    assert_eq!(
        server.disconnected().await,
        (connected.dpid, "the switch gave no sign of life for 3 s".to_owned())
    );
    good.check(&mut server).await;
}

#[tokio::test]
async fn a_dead_switch_makes_room_for_its_next_connection() {
    let mut server = Server::start(SouthboundConfig::default());
    // It never answers, and its connection stays: as after a power cut.
    let (_dead, connected) = server.switch(Switch::new(1)).await;
    let again = tokio::spawn(Peer::connect(server.addr).await.serve(Switch::new(1)));
    assert_eq!(
        server.disconnected().await,
        (connected.dpid, "the switch gave no sign of life for 3 s".to_owned())
    );
    let new = server.connected().await;
    assert!(new.dpid == connected.dpid && new.session != connected.session);
    assert!(!again.is_finished());
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut() {
    let config =
        SouthboundConfig { write_limit: Duration::from_millis(500), ..SouthboundConfig::default() };
    let mut server = Server::start(config);
    let good = Good::start(&mut server).await;
    let (mut peer, _) = server.switch(Switch::new(99)).await;
    let mut echo =
        Message::new(5, Body::EchoRequest(Bytes::from(vec![7; 60_000]))).encode().unwrap().to_vec();
    echo.extend_from_within(..);
    // Every byte of these must be sent back, and is not read: until it is cut.
    while peer.try_send_bytes(&echo).await.is_ok() {}
    let reason = server.disconnected().await.1;
    assert!(reason.starts_with("the switch reads nothing for 0.5 s"), "{reason}");
    good.check(&mut server).await;
}

#[tokio::test]
async fn a_peer_that_sends_half_a_message_counts_as_silent() {
    let config = SouthboundConfig {
        echo_interval: Duration::from_millis(200),
        echo_limit: Duration::from_millis(600),
        ..SouthboundConfig::default()
    };
    let mut server = Server::start(config);
    let (mut peer, _) = server.switch(Switch::new(1)).await;
    let long = raw(10, 1000, 0);
    for byte in long.chunks(1) {
        if peer.try_send_bytes(byte).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(server.disconnected().await.1, "the switch gave no sign of life for 0.6 s");
}
