//! What is said of bytes that are no message: which message, which field, where, what was expected,
//! and the OpenFlow error to answer with.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use openflow::{Action, Body, EncodeError, FlowMod, Instruction, Match, Message, Oxm, OxmRaw};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

/// A flow-mod up to its match.
const FLOW: &str =
    "00000000000000000000000000000000 0000 0000 0000 0000 ffffffff ffffffff ffffffff 0000 0000";

#[test]
fn errors_name_message_field_offset_and_what_was_expected() {
    let flow = |rest: &str| {
        let body = bytes(&format!("{FLOW}{rest}"));
        let mut message = bytes("040e000000000001");
        message.extend(body);
        let length = (message.len() as u16).to_be_bytes();
        message[2..4].copy_from_slice(&length);
        message
    };
    let cases: Vec<(Vec<u8>, &str, Option<&str>)> = vec![
        // The header.
        (bytes(""), "header: version at byte 0: 1 bytes needed, 0 left", None),
        (bytes("04140008000000"), "header: xid at byte 4: 4 bytes needed, 3 left", None),
        (
            bytes("0414000900000001"),
            "barrier_request: length at byte 2: 9, but there are 8 bytes",
            Some("OFPBRC_BAD_LEN"),
        ),
        (
            bytes("0514000800000001"),
            "barrier_request: version at byte 0: value 5, expected 4, OpenFlow 1.3",
            Some("OFPBRC_BAD_VERSION"),
        ),
        (
            bytes("041e000800000001"),
            "message: type at byte 1: value 30, expected a message type, 0 to 29",
            Some("OFPBRC_BAD_TYPE"),
        ),
        // Bodies that are too long or too short.
        (
            bytes("0414000a00000001 0000"),
            "barrier_request: end of message at byte 8: 2 bytes too many",
            Some("OFPBRC_BAD_LEN"),
        ),
        (
            bytes("0418001400000001 00000002 00000000 00000000"),
            "role_request: generation_id at byte 16: 8 bytes needed, 4 left",
            Some("OFPBRC_BAD_LEN"),
        ),
        (
            bytes("0410000c00000001 00000001"),
            "port_mod: port_mod pad at byte 12: 4 bytes needed, 0 left",
            Some("OFPBRC_BAD_LEN"),
        ),
        // Matches.
        (
            flow("0000 0004 00000000"),
            "flow_mod: match type at byte 48: value 0, expected 1, OXM",
            Some("OFPBMC_BAD_TYPE"),
        ),
        (
            flow("0001 0003 00000000"),
            "flow_mod: match length at byte 48: length 3, expected 4 or more",
            Some("OFPBMC_BAD_LEN"),
        ),
        (
            flow("0001 0010 00000000"),
            "flow_mod: match length at byte 48: 16 bytes needed, 8 left",
            Some("OFPBMC_BAD_LEN"),
        ),
        (
            flow("0001 000a 80000a03 8100 000000000000"),
            "flow_mod: eth_type at byte 55: length 3, expected the field's size",
            Some("OFPBMC_BAD_LEN"),
        ),
        (
            flow("0001 000a 80000b02 8100 000000000000"),
            "flow_mod: eth_type at byte 55: length 2, expected the field's size, twice",
            Some("OFPBMC_BAD_LEN"),
        ),
        (
            flow("0001 000b 80004c08 010203 0000000000"),
            "flow_mod: tunnel_id at byte 56: 8 bytes needed, 3 left",
            Some("OFPBMC_BAD_LEN"),
        ),
        // Instructions and actions.
        (
            flow("0001 0004 00000000 0001 000c 00000000 00000000"),
            "flow_mod: instruction length at byte 58: length 12, expected a multiple of 8, and not 0",
            Some("OFPBIC_BAD_LEN"),
        ),
        (
            flow("0001 0004 00000000 0001 0010 00000000 0000000000000000"),
            "flow_mod: goto_table at byte 64: 8 bytes too many",
            Some("OFPBIC_BAD_LEN"),
        ),
        (
            flow("0001 0004 00000000 0004 0010 00000000 0000 0008 00000001"),
            "flow_mod: output max_len at byte 72: 2 bytes needed, 0 left",
            Some("OFPBAC_BAD_LEN"),
        ),
        (
            flow("0001 0004 00000000 0004 0010 00000000 0000 0000 00000001"),
            "flow_mod: action length at byte 66: length 0, expected a multiple of 8, and not 0",
            Some("OFPBAC_BAD_LEN"),
        ),
        (
            flow("0001 0004 00000000 0004 0018 00000000 0019 0010 80000c03 106400 0000000000"),
            "flow_mod: vlan_vid at byte 71: length 3, expected the field's size",
            Some("OFPBAC_BAD_SET_LEN"),
        ),
        (
            flow(
                "0001 0004 00000000 0004 0020 00000000 0019 0018 80000c02 1064 0000 000000000000 00000000 0000",
            ),
            "flow_mod: set_field at byte 74: 14 bytes too many",
            Some("OFPBAC_BAD_SET_LEN"),
        ),
        // Groups, tables, replies.
        (
            bytes("040f001800000001 0000 00 00 00000001 0008 0000 00000000"),
            "group_mod: bucket length at byte 16: length 8, expected at least the structure's header",
            Some("OFPGMFC_BAD_BUCKET"),
        ),
        (
            bytes("041d001800000001 0000 0001 00000001 0001 000c 00000001"),
            "meter_mod: band length at byte 16: 12 bytes needed, 8 left",
            Some("OFPBRC_BAD_LEN"),
        ),
        (
            bytes(&format!(
                "041200580000000100 0c 0000 00000000 0048 00 0000000000 {} 0000 0002 00000000",
                "00".repeat(56)
            )),
            "multipart_request.table_features: table property length at byte 82: length 2, expected at least the structure's header",
            Some("OFPTFFC_BAD_LEN"),
        ),
        // Nobody asked for replies to be judged.
        (
            bytes("0413001800000001 0001 0000 00000000 0038 0000 00000000"),
            "multipart_reply.flow: flow stats length at byte 16: 56 bytes needed, 8 left",
            None,
        ),
    ];
    for (message, text, code) in cases {
        let error = Message::decode(message.clone().into()).expect_err(text);
        assert_eq!(error.to_string(), text);
        let answer = error.answer(&message.clone().into()).map(|answer| match answer.body {
            Body::Error(error) => {
                assert_eq!(
                    (answer.xid, &error.data[..]),
                    (1, &message[..message.len().min(64)]),
                    "{text}"
                );
                error.code.name().unwrap()
            }
            other => panic!("{text}: {other:?}"),
        });
        assert_eq!(answer, code, "{text}");
    }
}

#[test]
fn messages_that_do_not_fit_are_refused_and_leave_the_buffer_as_it_was() {
    let too_many = vec![Action::output(1); 5000];
    let message = Message::new(1, FlowMod::add(0).instruction(Instruction::ApplyActions(too_many)));
    let mut out = bytes::BytesMut::from(&b"before"[..]);
    let error = message.encode_into(&mut out).unwrap_err();
    assert_eq!(error, EncodeError::TooLong { message: "flow_mod", length: 64 + 5000 * 16 });
    assert_eq!(&out[..], b"before");

    let data = vec![0; 300].into();
    let raw = Oxm::Other(OxmRaw { class: 1, field: 1, has_mask: false, data });
    let message = Message::new(1, FlowMod::add(0).matching(Match::from(vec![raw])));
    assert_eq!(
        message.encode(),
        Err(EncodeError::FieldTooLong { message: "flow_mod", length: 300 })
    );
}
