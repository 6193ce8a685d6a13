//! What must hold for any bytes, tried on changed samples, on any chunks, and on any bytes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

#[path = "../fuzz/laws.rs"]
mod laws;
mod samples;

use std::path::Path;

use openflow::{
    Body, FlowModFlags, FrameError, Framer, Message, MultipartFlags, MultipartReply,
    MultipartReplyBody, MultipartRequest, MultipartRequestBody, Reassembler, ReassemblyError,
    TableStats,
};
use proptest::collection::vec;
use proptest::prelude::*;

fn seeds() -> Vec<(String, Vec<u8>)> {
    samples::all()
        .into_iter()
        .map(|(name, message)| (name, message.encode().unwrap().to_vec()))
        .collect()
}

/// One change that keeps most of a message meaningful.
#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Bit(prop::sample::Index, u8),
    /// A likely length, or a value at the edge, in two bytes.
    Word(prop::sample::Index, u16),
    Cut(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    let word = prop_oneof![0..64u16, Just(0xffff), Just(0x8000), any::<u16>()];
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        (at(), 0..8u8).prop_map(|(at, bit)| Change::Bit(at, bit)),
        (at(), word).prop_map(|(at, value)| Change::Word(at, value)),
        at().prop_map(Change::Cut),
        (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match change {
        Change::Set(at, value) => bytes[at.index(length)] = *value,
        Change::Bit(at, bit) => bytes[at.index(length)] ^= 1 << bit,
        Change::Word(at, value) => {
            let at = at.index(length);
            for (byte, new) in bytes[at..].iter_mut().zip(value.to_be_bytes()) {
                *byte = new;
            }
        }
        Change::Cut(at) => bytes.truncate(at.index(length)),
        Change::Repeat(from, to) => {
            let (from, to) = (from.index(length), to.index(length));
            let piece = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(to..to, piece);
        }
    }
}

fn rounds() -> u32 {
    std::env::var("OPENFLOW_FUZZ_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(10_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: rounds(), ..ProptestConfig::default() })]

    #[test]
    fn changed_samples_are_decoded_or_refused(
        seed in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..6),
    ) {
        thread_local!(static SEEDS: Vec<(String, Vec<u8>)> = seeds());
        let mut bytes = SEEDS.with(|seeds| seeds[seed.index(seeds.len())].1.clone());
        changes.iter().for_each(|change| apply(&mut bytes, change));
        laws::decoding(&bytes);
        laws::decoding(&laws::framed(&bytes));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(kind in 0..32u8, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = vec![4, kind, 0, 0, 0, 0, 0, 1];
        bytes.extend(body);
        laws::decoding(&laws::framed(&bytes));
        laws::decoding(&bytes);
    }

    #[test]
    fn streams_give_the_same_messages_however_they_are_cut(
        picks in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(change())), 0..8),
        chunk in 1..300usize,
    ) {
        thread_local!(static SEEDS: Vec<(String, Vec<u8>)> = seeds());
        let mut stream = Vec::new();
        for (seed, change) in picks {
            let mut bytes = SEEDS.with(|seeds| seeds[seed.index(seeds.len())].1.clone());
            if let Some(change) = change {
                apply(&mut bytes, &change);
            }
            stream.extend(bytes);
        }
        laws::framing(&stream, chunk);
        laws::reassembly(&stream);
    }
}

/// Parts of few multiparts, most of them to be continued.
fn parts() -> impl Strategy<Value = Vec<u8>> {
    thread_local!(static PARTS: Vec<Vec<u8>> = seeds()
        .into_iter()
        .filter(|(name, _)| name.starts_with("multipart_"))
        .map(|(_, bytes)| bytes)
        .collect());
    let few = vec(any::<prop::sample::Index>(), 1..3);
    let picks = vec((any::<prop::sample::Index>(), 0..2u8, prop::bool::weighted(0.7)), 1..8);
    (few, picks, prop::option::weighted(0.2, change())).prop_map(|(few, picks, change)| {
        let mut stream = Vec::new();
        for (pick, xid, more) in picks {
            let kind = pick.get(&few);
            let mut bytes = PARTS.with(|parts| kind.get(parts).clone());
            bytes[7] = xid;
            bytes[11] = more.into();
            stream.extend(bytes);
        }
        if let Some(change) = change {
            apply(&mut stream, &change);
        }
        stream
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: rounds() / 2, ..ProptestConfig::default() })]

    #[test]
    fn multiparts_are_joined_as_they_came(stream in parts()) {
        laws::reassembly(&stream);
    }
}

#[test]
fn framing_is_lost_for_good_at_a_length_below_eight() {
    let mut framer = Framer::new();
    framer.feed(&Message::new(1, Body::BarrierRequest).encode().unwrap());
    framer.feed(&[4, 0, 0, 7, 0, 0, 0, 0]);
    assert!(framer.next_frame().unwrap().is_some());
    let lost = FrameError { length: 7, offset: 8 };
    assert_eq!(framer.next_frame(), Err(lost));
    framer.feed(&Message::new(2, Body::BarrierRequest).encode().unwrap());
    assert_eq!(framer.next_frame(), Err(lost));
}

fn part(xid: u32, more: bool, count: usize) -> Message {
    let flags = if more { MultipartFlags::MORE } else { MultipartFlags::EMPTY };
    Message::new(
        xid,
        MultipartReply {
            flags,
            body: MultipartReplyBody::Table(vec![TableStats::default(); count]),
        },
    )
}

#[test]
fn replies_of_several_requests_are_joined_side_by_side() {
    let mut whole = Reassembler::new(1000);
    assert_eq!(whole.push(part(1, true, 2), 100), Ok(None));
    assert_eq!(whole.push(part(2, true, 1), 100), Ok(None));
    assert_eq!(
        whole.push(part(3, false, 9), 900),
        Ok(Some(part(3, false, 9))),
        "a whole one needs no room"
    );
    assert_eq!(whole.push(part(1, false, 3), 100), Ok(Some(part(1, false, 5))));
    assert_eq!(whole.held(), 100);
    whole.forget(2);
    assert_eq!(whole.held(), 0);
    let echo = Message::new(1, Body::EchoRequest(bytes::Bytes::new()));
    assert_eq!(whole.push(echo.clone(), 8), Ok(Some(echo)));
}

#[test]
fn a_reply_over_the_limit_is_given_up_and_others_go_on() {
    let mut whole = Reassembler::new(1000);
    assert_eq!(whole.push(part(1, true, 1), 400), Ok(None));
    assert_eq!(whole.push(part(2, true, 1), 400), Ok(None));
    assert_eq!(
        whole.push(part(2, true, 1), 400),
        Err(ReassemblyError::TooLong { xid: 2, limit: 1000 })
    );
    assert_eq!(whole.held(), 400);
    assert_eq!(whole.push(part(1, false, 1), 100), Ok(Some(part(1, false, 2))));
}

#[test]
fn parts_about_different_things_are_no_reply() {
    let mut whole = Reassembler::new(1000);
    whole.push(part(1, true, 1), 100).unwrap();
    let ports = Message::new(1, MultipartReplyBody::PortDesc(vec![]));
    let error = whole.push(ports, 16).unwrap_err();
    assert_eq!(error.to_string(), "a part of type port_desc in the table multipart of xid 1");
    assert_eq!(whole.held(), 0);
    let sum =
        |flags| MultipartReply { flags, body: MultipartReplyBody::Aggregate(Default::default()) };
    whole.push(Message::new(1, sum(MultipartFlags::MORE)), 40).unwrap();
    let error = whole.push(Message::new(1, sum(MultipartFlags::EMPTY)), 40).unwrap_err();
    assert!(matches!(error, ReassemblyError::Single { xid: 1, .. }), "{error}");
}

#[test]
fn requests_and_unknown_multiparts_are_joined_too() {
    let mut whole = Reassembler::new(1000);
    let request = |xid, flags, body| Message::new(xid, MultipartRequest { flags, body });
    let tables = |count| MultipartRequestBody::TableFeatures(vec![Default::default(); count]);
    assert_eq!(whole.push(request(1, MultipartFlags::MORE, tables(1)), 80), Ok(None));
    assert_eq!(
        whole.push(request(1, MultipartFlags::EMPTY, tables(2)), 144),
        Ok(Some(request(1, MultipartFlags::EMPTY, tables(3))))
    );
    let other = |flags, data: &'static [u8]| {
        Message::new(
            2,
            MultipartReply {
                flags,
                body: MultipartReplyBody::Other { kind: 99, data: data.into() },
            },
        )
    };
    for part in [&b"one "[..], b"two "] {
        assert_eq!(whole.push(other(MultipartFlags::MORE, part), 20), Ok(None));
    }
    let joined = whole.push(other(MultipartFlags::EMPTY, b"three"), 21);
    assert_eq!(joined, Ok(Some(other(MultipartFlags::EMPTY, b"one two three"))));
}

/// Flags and values without a name are kept.
#[test]
fn what_has_no_name_is_carried() {
    let mut flow = openflow::FlowMod::add(0);
    flow.flags = FlowModFlags(0xff00) | FlowModFlags::CHECK_OVERLAP;
    flow.command = openflow::FlowModCommand::Other(99);
    let message = Message::new(1, flow);
    assert_eq!(Message::decode(message.encode().unwrap()).unwrap(), message);
    assert!(
        message.to_string().contains("cmd:99")
            && message.to_string().contains("check_overlap 0xff00")
    );
}

/// Makes the seeds of the fuzz targets anew.
#[test]
#[ignore = "writes files"]
fn write_seeds() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let write = |folder: &str, name: &str, bytes: &[u8]| {
        std::fs::create_dir_all(fuzz.join(folder)).unwrap();
        std::fs::write(fuzz.join(folder).join(name), bytes).unwrap();
    };
    // Errors differ in two numbers alone: one of them is enough.
    let wanted = |name: &str| !name.starts_with("error.OFP") || name == "error.OFPBRC_BAD_LEN";
    for (name, bytes) in seeds().into_iter().filter(|(name, _)| wanted(name)) {
        write("seeds", &name, &bytes);
        if name.starts_with("multipart_") {
            let mut more = bytes.clone();
            more[11] |= 1;
            // The size of the chunks first.
            write("seeds-stream", &name, &[&[16], &more[..], &more[..], &bytes[..]].concat());
        }
    }
}
