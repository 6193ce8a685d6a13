//! Nothing that comes in makes the embedded switch fail: garbled messages, garbled frames.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use bytes::Bytes;
use openflow::{
    Action, Body, Bucket, FlowMod, GroupMod, GroupType, Instruction, Match, Message, MeterBand,
    MeterFlags, MeterId, MeterMod, MeterModCommand, MultipartRequestBody, Oxm, PacketOut, PortNo,
    VlanVid,
};
use proptest::prelude::*;
use testbed::switch::{Datapath, Output};

/// Messages that use most of what the switch knows.
fn messages() -> Vec<Bytes> {
    let rewrite = [
        Action::push_vlan(),
        Action::set_vlan_vid(VlanVid::tagged(5)),
        Action::SetField(Oxm::eth_dst([2, 0, 0, 0, 0, 1])),
        Action::SetField(Oxm::tunnel_id(7u64)),
        Action::group(1),
        Action::output(PortNo::ALL),
        Action::controller(),
    ];
    let ip =
        Match::new().in_port(1).eth_type(0x0800).ip_proto(17).ipv4_src([10, 0, 0, 1]).udp_dst(53);
    let nd =
        Match::new().eth_type(0x86dd).ip_proto(58).icmpv6_type(135).ipv6_nd_sll([2, 0, 0, 0, 0, 9]);
    let ip_rewrite = [
        Action::SetField(Oxm::ipv4_dst([10, 0, 0, 9])),
        Action::SetField(Oxm::udp_src(9)),
        Action::SetField(Oxm::ip_dscp(9)),
        Action::DecNwTtl,
        Action::output(2),
    ];
    let bodies: Vec<Body> = vec![
        GroupMod::add(GroupType::All, 1).bucket(Bucket::new([Action::output(3)])).into(),
        GroupMod::add(GroupType::FastFailover, 2)
            .bucket(Bucket::new([Action::output(3)]).watch_port(3))
            .into(),
        MeterMod {
            command: MeterModCommand::Add,
            flags: MeterFlags::PKTPS,
            meter_id: MeterId(1),
            bands: vec![MeterBand::drop(10, 0)],
        }
        .into(),
        FlowMod::add(0)
            .instruction(Instruction::apply(rewrite.clone()))
            .instruction(Instruction::goto(1))
            .into(),
        FlowMod::add(0).priority(9).matching(ip).instruction(Instruction::apply(ip_rewrite)).into(),
        FlowMod::add(1).priority(9).matching(nd).instruction(Instruction::Meter(MeterId(1))).into(),
        FlowMod::add(1).instruction(Instruction::write(rewrite)).idle_timeout(1).into(),
        MultipartRequestBody::TableFeatures(Vec::new()).into(),
        MultipartRequestBody::Flow(openflow::FlowStatsRequest::default()).into(),
        PacketOut::frame(PortNo::TABLE, [0xff; 40].as_slice()).into(),
        Body::BarrierRequest,
    ];
    bodies.into_iter().map(|body| Message::new(1, body).encode().unwrap()).collect()
}

/// Each output can be put on the wire and read back.
fn check(outputs: Vec<Output>) {
    for message in outputs.into_iter().filter_map(Output::into_message) {
        let bytes = message.encode().unwrap();
        assert_eq!(Message::decode(bytes).unwrap(), message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbled_messages_and_frames_do_no_harm(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..24),
        frames in prop::collection::vec((1u32..6, prop::collection::vec(any::<u8>(), 0..90), 0usize..6), 1..12),
    ) {
        let mut all: Vec<Vec<u8>> = messages().iter().map(|bytes| bytes.to_vec()).collect();
        for (message, byte, value) in flips {
            let message = message.get(&all);
            let at = all.iter().position(|other| std::ptr::eq(other, message)).unwrap();
            let byte = byte.index(all[at].len());
            all[at][byte] = value;
        }
        let mut switch = Datapath::new(1, "s1", 1..=4_u32);
        for bytes in all {
            if let Ok(message) = Message::decode(bytes.into()) {
                check(switch.handle(Duration::ZERO, message));
            }
        }
        for (port, mut frame, kind) in frames {
            // Random bytes alone hardly ever get past the type.
            let kinds: [&[u8]; 6] = [&[], &[0x08, 0, 0x45], &[0x86, 0xdd, 0x60], &[0x08, 0x06], &[0x81, 0, 0, 1, 0x08, 0, 0x45], &[0x88, 0x47]];
            for (at, byte) in kinds[kind].iter().enumerate() {
                if let Some(place) = frame.get_mut(12 + at) {
                    *place = *byte;
                }
            }
            check(switch.inject(Duration::from_secs(1), port, frame));
        }
        check(switch.advance(Duration::from_secs(100)));
    }
}
