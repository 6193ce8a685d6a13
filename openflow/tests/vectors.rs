//! Bytes that were not made by this crate, against values that were.
//!
//! `vectors/golden.hex` and `vectors/os_ken.hex` hold the samples as others write them;
//! `vectors/ovs_session.hex` and `vectors/os_ken_corpus.hex` messages of other
//! implementations that must come out of decoding and encoding as they went in.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod samples;

use std::collections::BTreeMap;

use openflow::{BadMatch, Body, ErrorCode, Message};

const GOLDEN: &str = include_str!("vectors/golden.hex");
const OS_KEN: &str = include_str!("vectors/os_ken.hex");
const OVS_SESSION: &str = include_str!("vectors/ovs_session.hex");
const OS_KEN_CORPUS: &str = include_str!("vectors/os_ken_corpus.hex");

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    assert!(digits.len().is_multiple_of(2), "half a byte in {hex}");
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lines of `name | … | hex`.
fn lines(text: &str) -> impl Iterator<Item = (&str, Vec<u8>)> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, hex) = line.rsplit_once(" | ").unwrap();
        (name, bytes(hex))
    })
}

/// `[name]`, then commented hex; `@ n` means zeros up to byte n.
fn golden() -> Vec<(&'static str, Vec<u8>)> {
    let mut all: Vec<(&str, Vec<u8>)> = Vec::new();
    for line in GOLDEN.lines() {
        let line = line.split('#').next().unwrap().trim();
        if let Some(name) = line.strip_prefix('[') {
            all.push((name.strip_suffix(']').unwrap(), Vec::new()));
        } else if let Some(end) = line.strip_prefix("@ ") {
            all.last_mut().unwrap().1.resize(end.parse().unwrap(), 0);
        } else if !line.is_empty() {
            all.last_mut().unwrap().1.extend(bytes(line));
        }
    }
    all
}

#[test]
fn samples_are_encoded_as_others_encode_them_and_decoded_again() {
    let mut others: BTreeMap<&str, Vec<u8>> = golden().into_iter().collect();
    for (name, bytes) in lines(OS_KEN) {
        assert!(others.insert(name, bytes).is_none(), "{name} twice");
    }
    for (name, message) in samples::all() {
        let Some(want) = others.remove(name.as_str()) else {
            panic!("nobody else has written {name}");
        };
        assert_eq!(hex(&message.encode().unwrap()), hex(&want), "{name} encoded");
        assert_eq!(Message::decode(want.into()).unwrap(), message, "{name} decoded");
    }
    assert_eq!(others.keys().collect::<Vec<_>>(), Vec::<&&str>::new(), "without a sample");
}

/// What the recorded session sends on purpose to be refused.
const WRONG: &str = "wrong requests | controller";

#[test]
fn messages_of_other_implementations_come_back_unchanged() {
    let mut count = 0;
    for (name, bytes) in
        lines(OVS_SESSION).chain(lines(OS_KEN_CORPUS)).filter(|(name, _)| *name != WRONG)
    {
        let message = match Message::decode(bytes.clone().into()) {
            Ok(message) => message,
            Err(error) => panic!("{name}: {error}"),
        };
        assert_eq!(hex(&message.encode().unwrap()), hex(&bytes), "{name}: {message:?}");
        count += 1;
    }
    assert!(count > 200, "{count} messages only");
}

/// What we would answer to a message that can't be decoded is what Open vSwitch answered.
#[test]
fn wrong_requests_get_the_errors_that_open_vswitch_gives() {
    let xid = |bytes: &[u8]| u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let answers: BTreeMap<u32, Vec<u8>> = lines(OVS_SESSION)
        .filter(|(name, bytes)| *name == "wrong requests | switch" && bytes[1] == 1)
        .map(|(_, bytes)| (xid(&bytes), bytes))
        .collect();
    let mut wrong = 0;
    for (_, bytes) in lines(OVS_SESSION).filter(|(name, _)| *name == WRONG) {
        let Err(error) = Message::decode(bytes.clone().into()) else {
            continue; // understood, and refused for what it asks
        };
        let ours = error.answer(&bytes.clone().into()).expect("an answer");
        let theirs = Message::decode(answers[&xid(&bytes)].clone().into()).unwrap();
        let (Body::Error(mut ours), Body::Error(mut theirs)) = (ours.body, theirs.body) else {
            panic!("not errors");
        };
        // Open vSwitch quotes all of the message, we what the specification asks for.
        assert_eq!(ours.data, &bytes[..bytes.len().min(64)]);
        theirs.data.truncate(64);
        if xid(&bytes) == 0x10a {
            // A known field of another length: the specification has an error for it, Open vSwitch says BAD_FIELD.
            assert_eq!(ours.code, ErrorCode::BadMatch(BadMatch::BadLen));
            ours.code = theirs.code;
        }
        assert_eq!(ours, theirs, "{error}");
        wrong += 1;
    }
    assert!(wrong > 15, "{wrong} wrong requests only");
}
