//! How often messages allocate: no more than what they hold.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use openflow::{
    Action, Body, BufferId, FlowMod, FlowStats, Instruction, Match, Message, MultipartReplyBody,
    PacketIn, PacketInReason, TableId, VlanVid,
};

fn flow_mod() -> Message {
    let actions =
        [Action::push_vlan(), Action::set_vlan_vid(VlanVid::tagged(100)), Action::output(7)];
    let flow = FlowMod::add(2)
        .matching(Match::new().metadata_masked(0x2a, 0xffff).eth_dst([2, 0, 0, 0, 0, 1]))
        .instruction(Instruction::apply(actions));
    Message::new(1, flow)
}

fn packet_in() -> Message {
    let packet = PacketIn {
        buffer_id: BufferId::NONE,
        total_len: 1500,
        reason: PacketInReason::Action,
        table_id: TableId(1),
        cookie: 7,
        match_: Match::new().in_port(3),
        data: Bytes::from(vec![0x5a; 1500]),
    };
    Message::new(0, packet)
}

fn decoded(bytes: &Bytes) -> u64 {
    let copy = bytes.clone();
    measure(|| {
        std::hint::black_box(Message::decode(copy).unwrap());
    })
    .count_total
}

#[test]
fn encoding_into_a_buffer_with_room_allocates_nothing() {
    let mut out = BytesMut::with_capacity(4096);
    for message in [flow_mod(), packet_in()] {
        let info = measure(|| message.encode_into(&mut out).unwrap());
        assert_eq!(info.count_total, 0, "{message}");
    }
}

#[test]
fn encoding_alone_allocates_once() {
    // The first message of a thread makes the scratch buffer.
    let _ = packet_in().encode();
    for message in [flow_mod(), packet_in()] {
        let info = measure(|| {
            std::hint::black_box(message.encode().unwrap());
        });
        assert_eq!(info.count_total, 1, "{message}");
    }
}

#[test]
fn decoding_allocates_one_list_each() {
    // Match, instructions, actions.
    assert_eq!(decoded(&flow_mod().encode().unwrap()), 3);
    // The match, and a count of who shares the frame.
    assert!(decoded(&packet_in().encode().unwrap()) <= 2);
    assert_eq!(decoded(&Message::new(1, Body::BarrierRequest).encode().unwrap()), 0);
}

#[test]
fn a_thousand_flows_allocate_their_lists_and_no_more() {
    let flow = |n: u64| FlowStats {
        table_id: TableId(2),
        duration_sec: 1,
        duration_nsec: 2,
        priority: 100,
        idle_timeout: 0,
        hard_timeout: 0,
        flags: openflow::FlowModFlags::EMPTY,
        cookie: n,
        packet_count: n,
        byte_count: n,
        match_: Match::new().in_port(n as u32),
        instructions: vec![Instruction::goto(1)],
    };
    let reply = Message::new(1, MultipartReplyBody::Flow((0..500).map(flow).collect()));
    // Two parts of 500 flows: for each flow its match and its instructions, for each part its list.
    assert_eq!(2 * decoded(&reply.encode().unwrap()), 2 * (500 * 2 + 1));
}

#[test]
fn a_frame_is_never_copied() {
    let bytes = packet_in().encode().unwrap();
    let Body::PacketIn(packet) = Message::decode(bytes.clone()).unwrap().body else {
        panic!("not a packet-in")
    };
    assert_eq!(packet.data.as_ptr(), bytes[bytes.len() - 1500..].as_ptr());
}
