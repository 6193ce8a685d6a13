//! What peers send that isn't quite as the specification has it: it is understood as far as it goes, and
//! comes back byte for byte.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use openflow::{Body, ErrorCode, Hello, HelloElement, HelloFailed, Message};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

fn exact(name: &str, hex: &str) -> Message {
    let bytes = bytes(hex);
    let message = Message::decode(bytes.clone().into()).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(message.encode().unwrap(), bytes, "{name}: {message:?}");
    message
}

#[test]
fn hellos_come_back_with_the_padding_they_had() {
    let cases = [
        ("one word, which needs none", "04000010 00000001 0001 0008 00000010", Some(4)),
        ("two words, padded", "04000018 00000001 0001 000c 00000010 00000000 00000000", Some(4)),
        (
            "two words, the padding left out",
            "04000014 00000001 0001 000c 00000010 00000000",
            Some(4),
        ),
        (
            "two words, half of the padding",
            "04000016 00000001 0001 000c 00000010 00000000 0000",
            Some(4),
        ),
        (
            "no padding between elements, as some libraries write them",
            "04000020 00000001 0001 000c 00000012 00000002 0001 000c 00000003 00000004",
            Some(4),
        ),
        (
            "something else first, without its padding",
            "04000018 00000001 0007 0006 abcd 0001 0008 00000050 0000",
            Some(4),
        ),
        (
            "padding of something else",
            "04000018 00000001 0001 000c 00000010 00000000 deadbeef",
            Some(4),
        ),
        ("1.0, with a text", "01000010 00000001 68656c6c 6f212121", None),
        ("1.5, which says no more", "06000008 00000001", Some(4)),
        ("a length that is too long", "04000010 00000001 0001 0100 00000010", Some(4)),
    ];
    for (name, hex, version) in cases {
        let Body::Hello(hello) = exact(name, hex).body else { panic!("{name}: not a hello") };
        assert_eq!(hello.negotiate(), version, "{name}: {hello:?}");
    }
    let unpadded = HelloElement::Unpadded(Box::new(HelloElement::VersionBitmap(vec![0x10, 0])));
    let hello = Hello { version: 4, elements: vec![unpadded] };
    assert_eq!(Message::new(1, hello).encode().unwrap().len(), 20);
}

/// The numbers of errors mean what they mean in the sender's version.
#[test]
fn errors_of_earlier_versions_are_not_given_the_names_of_later_ones() {
    let failed = exact("1.0, no version in common", "0101000c 00000001 0000 0000");
    let Body::Error(error) = failed.body else { panic!("not an error") };
    assert_eq!(error.code, ErrorCode::HelloFailed(HelloFailed::Incompatible));
    let cases = [
        // In 1.0 type 3 is "flow-mod failed", in 1.3 "bad instruction".
        ("1.0, all tables full", "0101000c 00000001 0003 0000", "error type 3 code 0"),
        ("1.3, unknown instruction", "0401000c 00000001 0003 0000", "OFPBIC_UNKNOWN_INST"),
        // Experimenters' errors, with an id behind, came with 1.2.
        ("1.0, without a name", "0101000c 00000001 ffff 0000", "error type 65535 code 0"),
        ("1.1, without a name", "0201000c 00000001 ffff 0000", "error type 65535 code 0"),
        (
            "1.2, an experimenter's",
            "03010010 00000001 ffff 0007 00002320",
            "experimenter 0x00002320 error type 7",
        ),
        ("1.4, a type of its own", "0501000c 00000001 0011 0002", "error type 17 code 2"),
    ];
    for (name, hex, text) in cases {
        let Body::Error(error) = exact(name, hex).body else { panic!("{name}: not an error") };
        assert_eq!(error.code.to_string(), text, "{name}");
    }
}

/// Padding says nothing: a peer that fills it with something else is understood all the same, and what we
/// write for it has zeros there.
#[test]
fn padding_of_other_bytes_is_read_and_written_as_zeros() {
    let cases = [
        (
            "role_request",
            "04180018 00000001 00000002 deadbeef 0000000000000009",
            "04180018 00000001 00000002 00000000 0000000000000009",
        ),
        (
            "a match, an instruction and an action",
            "040e0058 00000001 0000000000000001 0000000000000000 0000 0000 0000 0005 ffffffff ffffffff ffffffff 0000 beef \
             0001 000a 80000a02 0800 feedbeeffeed 0004 0018 cafecafe 0000 0010 00000002 ffff 010203040506",
            "040e0058 00000001 0000000000000001 0000000000000000 0000 0000 0000 0005 ffffffff ffffffff ffffffff 0000 0000 \
             0001 000a 80000a02 0800 000000000000 0004 0018 00000000 0000 0010 00000002 ffff 000000000000",
        ),
        (
            "table features, whose property is padded",
            "04120058 00000001 000c 0000 11111111 0048 03 2222222222 \
             6e616d65 00000000 0000000000000000 0000000000000000 0000000000000000 \
             0000000000000000 0000000000000000 00000000 00000007 0002 0005 09 333333",
            "04120058 00000001 000c 0000 00000000 0048 03 0000000000 \
             6e616d65 00000000 0000000000000000 0000000000000000 0000000000000000 \
             0000000000000000 0000000000000000 00000000 00000007 0002 0005 09 000000",
        ),
    ];
    for (name, theirs, ours) in cases {
        let theirs =
            Message::decode(bytes(theirs).into()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(theirs, exact(name, ours), "{name}");
        assert_eq!(theirs.encode().unwrap(), bytes(ours), "{name}");
    }
}
