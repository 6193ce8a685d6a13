//! How long messages take to encode and decode.
//!
//! What they allocate is asserted in `tests/allocations.rs`.

#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use openflow::{
    Action, FlowMod, FlowModFlags, FlowStats, Framer, Instruction, Match, Message,
    MultipartReplyBody, PacketIn, PacketInReason, TableId, VlanVid,
};

/// A flow as the controller writes them: match on metadata and a destination, tag, output.
fn flow_mod() -> Message {
    let flow = FlowMod::add(2)
        .cookie(0x1501_0000_0000_002a)
        .priority(100)
        .idle_timeout(300)
        .flags(FlowModFlags::SEND_FLOW_REM)
        .matching(Match::new().metadata_masked(0x2a, 0x00ff_ffff).eth_dst([2, 0, 0, 0, 0, 1]))
        .instruction(Instruction::apply([
            Action::push_vlan(),
            Action::set_vlan_vid(VlanVid::tagged(100)),
            Action::output(7),
        ]));
    Message::new(1, flow)
}

fn packet_in() -> Message {
    let packet = PacketIn {
        buffer_id: openflow::BufferId::NONE,
        total_len: 1500,
        reason: PacketInReason::Action,
        table_id: TableId(1),
        cookie: 7,
        match_: Match::new().metadata(0x2a).in_port(3),
        data: Bytes::from(vec![0x5a; 1500]),
    };
    Message::new(0, packet)
}

fn flow_stats(count: u64) -> Message {
    let flow = |n| FlowStats {
        table_id: TableId(2),
        duration_sec: 1,
        duration_nsec: 2,
        priority: 100,
        idle_timeout: 0,
        hard_timeout: 0,
        flags: FlowModFlags::EMPTY,
        cookie: n,
        packet_count: n,
        byte_count: 64 * n,
        match_: Match::new().metadata_masked(n, 0x00ff_ffff).eth_dst([2, 0, 0, 0, 0, n as u8]),
        instructions: vec![Instruction::apply([Action::output(7)])],
    };
    // 1,000 flows of 120 bytes don't fit into one message: this is what one part holds, to scale.
    Message::new(0, MultipartReplyBody::Flow((0..count).map(flow).collect()))
}

fn codec(c: &mut Criterion) {
    for (name, message) in
        [("flow_mod", flow_mod()), ("packet_in", packet_in()), ("flow_stats_500", flow_stats(500))]
    {
        let bytes = message.encode().unwrap();
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut out = BytesMut::with_capacity(1 << 16);
        group.bench_function("encode_into", |b| {
            b.iter(|| {
                out.clear();
                black_box(&message).encode_into(&mut out).unwrap();
                black_box(out.len())
            });
        });
        group.bench_function("encode", |b| b.iter(|| black_box(&message).encode().unwrap()));
        group.bench_function("decode", |b| {
            b.iter(|| Message::decode(black_box(bytes.clone())).unwrap())
        });
        group.finish();
    }
    let parts: Vec<Bytes> =
        [flow_stats(500), flow_stats(500)].iter().map(|part| part.encode().unwrap()).collect();
    c.bench_function("flow_stats_1000/decode", |b| {
        b.iter(|| {
            parts.iter().map(|part| Message::decode(part.clone()).unwrap()).collect::<Vec<_>>()
        });
    });
    let stream: Vec<u8> =
        std::iter::repeat_n(flow_mod().encode().unwrap(), 1000).flatten().collect();
    let mut group = c.benchmark_group("framer");
    group.throughput(Throughput::Elements(1000));
    group.bench_function("1000_flow_mods", |b| {
        b.iter(|| {
            let mut framer = Framer::new();
            let mut count = 0;
            for chunk in stream.chunks(1460) {
                framer.feed(chunk);
                while let Some(frame) = framer.next_frame().unwrap() {
                    count += frame.len();
                }
            }
            count
        });
    });
}

criterion_group!(benches, codec);
criterion_main!(benches);
