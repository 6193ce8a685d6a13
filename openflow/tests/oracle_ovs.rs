//! What Open vSwitch reads in our messages: the text of each must be what
//! `ovs-ofctl ofp-print` makes of its bytes.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod samples;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use openflow::{
    Action, Body, Bucket, FlowMod, GroupMod, GroupType, Instruction, Match, Message, MeterBand,
    MeterFlags, MeterId, MeterMod, MultipartReplyBody, MultipartRequestBody, Oxm,
};

/// `ovs-ofctl`'s texts, or `None` where there is no `ovs-ofctl`.
fn print(messages: &[Vec<u8>]) -> Option<Vec<String>> {
    let found = Command::new("ovs-ofctl").arg("--version").stdout(Stdio::null()).status();
    if found.is_err() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: ovs-ofctl isn't installed");
        return None;
    }
    let text = |bytes: &Vec<u8>| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let output = Command::new("ovs-ofctl").args(["ofp-print", &hex, "2"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    Some(messages.iter().map(text).collect())
}

/// What of a text can be compared.
fn comparable(message: &Message, text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    let text = match &message.body {
        // The frame, or the data, follows.
        Body::PacketIn(_)
        | Body::PacketOut(_)
        | Body::EchoRequest(_)
        | Body::EchoReply(_)
        | Body::Error(_) => lines[0].to_owned(),
        // Open vSwitch has rows for messages that 1.3 has not.
        Body::GetAsyncReply(_) | Body::SetAsync(_) => {
            let later = ["ROLE_STATUS", "TABLE_STATUS", "REQUESTFORWARD"];
            let ours = |line: &&str| !later.iter().any(|name| line.contains(name));
            lines.into_iter().filter(ours).collect::<Vec<_>>().join("\n")
        }
        Body::MultipartReply(reply)
            if matches!(reply.body, MultipartReplyBody::TableFeatures(_)) =>
        {
            lines[..4].join("\n")
        }
        Body::MultipartRequest(request) => match &request.body {
            MultipartRequestBody::TableFeatures(tables) => {
                lines[..lines.len().min(1 + 3 * tables.len())].join("\n")
            }
            _ => without(&lines.join("\n"), &[" out_group=", " cookie="]),
        },
        Body::FlowMod(_) => without(&lines.join("\n"), &[" out_group:"]),
        _ => lines.join("\n"),
    };
    // Errors that Open vSwitch calls by the names of other versions.
    let names = [
        ("OFPBRC_BAD_STAT", "OFPBRC_BAD_MULTIPART"),
        ("BAD_VENDOR_TYPE", "BAD_EXP_TYPE"),
        ("BAD_VENDOR", "BAD_EXPERIMENTER"),
        ("OFPBRC_BAD_SUBTYPE", "OFPBRC_BAD_EXP_TYPE"),
        ("OFPBRC_IS_SECONDARY", "OFPBRC_IS_SLAVE"),
        ("OFPBPC_BAD_VALUE", "OFPTFFC_BAD_ARGUMENT"),
        ("OFPBPC_", "OFPTFFC_"),
    ];
    let text = match &message.body {
        Body::Error(_) => {
            names.iter().fold(text, |text, (theirs, ours)| text.replace(theirs, ours))
        }
        _ => text,
    };
    text.trim_end().to_owned()
}

/// The text without words that Open vSwitch leaves out.
fn without(text: &str, words: &[&str]) -> String {
    let mut text = text.to_owned();
    for word in words {
        if let Some(at) = text.find(word) {
            let end = text[at + 1..].find([' ', '\n']).map_or(text.len(), |end| at + 1 + end);
            text.replace_range(at..end, "");
        }
    }
    text
}

#[test]
fn open_vswitch_reads_in_every_sample_what_we_meant() {
    let samples = samples::all();
    let bytes: Vec<Vec<u8>> =
        samples.iter().map(|(_, message)| message.encode().unwrap().to_vec()).collect();
    let Some(texts) = print(&bytes) else { return };
    let mut unknown: BTreeMap<&str, &str> = samples::UNKNOWN_TO_OVS.into_iter().collect();
    let mut wrong = Vec::new();
    for ((name, message), theirs) in samples.iter().zip(&texts) {
        if let Some(error) = unknown.remove(name.as_str()) {
            assert!(theirs.contains(error), "{name}: {theirs}");
            continue;
        }
        let (ours, theirs) =
            (comparable(message, &message.to_string()), comparable(message, theirs));
        if ours != theirs {
            wrong.push(format!("{name}\nours:   {ours}\ntheirs: {theirs}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(unknown.is_empty(), "no such samples: {unknown:?}");
}

/// Zeros, masks of all bits and of none, and what goes without saying.
fn at_the_edge() -> Vec<Body> {
    let set = |field| Instruction::apply([Action::set_field(field)]);
    let any = |oxm| Match::from(vec![oxm]);
    let weighed = |kind, weight| {
        GroupMod::add(kind, 1).bucket(Bucket::new([Action::output(1)]).weight(weight))
    };
    let ipv6 = |label| Match::new().ipv6().ipv6_flabel(label);
    vec![
        FlowMod::add(0).matching(Match::new().metadata(0).tunnel_id(0)).into(),
        FlowMod::add(0).matching(Match::new().metadata_masked(0, 0).in_port(1)).into(),
        FlowMod::add(0).matching(any(Oxm::metadata_masked(7, u64::MAX))).into(),
        FlowMod::add(0).matching(any(Oxm::eth_src_masked([2; 6], [0xff; 6]))).into(),
        FlowMod::add(0).matching(any(Oxm::eth_dst_masked([0; 6], [0; 6]))).into(),
        FlowMod::add(0).matching(Match::new().arp().arp_sha_masked([2; 6], [0xff; 6])).into(),
        FlowMod::add(0).matching(Match::new().ip().ipv4_src_masked([10, 0, 0, 0], [0; 4])).into(),
        FlowMod::add(0).matching(Match::new().ip().ipv4_src_masked([10; 4], [0xff; 4])).into(),
        FlowMod::add(0).matching(Match::new().ip().ip_proto(2)).into(),
        FlowMod::add(0).matching(ipv6(0)).instruction(set(Oxm::ipv6_flabel(0))).into(),
        FlowMod::add(0).matching(ipv6(0x12)).instruction(set(Oxm::ipv6_flabel(0x12))).into(),
        FlowMod::add(0).matching(Match::new().ipv6().ipv6_flabel_masked(1, 0xf_ffff)).into(),
        FlowMod::add(0).matching(Match::new().ipv6().ipv6_flabel_masked(1, 3)).into(),
        FlowMod::add(0).instruction(set(Oxm::tunnel_id(0))).into(),
        FlowMod::add(0).instruction(Instruction::write_metadata(0)).into(),
        FlowMod::add(0).instruction(Instruction::WriteMetadata { metadata: 0, mask: 0 }).into(),
        FlowMod::add(0).cookie(u64::MAX).into(),
        FlowMod::add(254).cookie(1).priority(0x8000).into(),
        FlowMod::delete_strict(0).cookie(u64::MAX).cookie_mask(u64::MAX).out_port(3).into(),
        FlowMod::modify_strict(1).cookie(0).cookie_mask(1).into(),
        weighed(GroupType::Select, 1).into(),
        weighed(GroupType::Select, 0).into(),
        weighed(GroupType::All, 0).into(),
        MeterMod::delete(MeterId::ALL).band(MeterBand::drop(1, 2)).into(),
        MeterMod::add(0xffff_0000, MeterFlags::KBPS).band(MeterBand::drop(0, 0)).into(),
    ]
}

#[test]
fn values_at_the_edge_are_printed_as_open_vswitch_prints_them() {
    let messages: Vec<Message> =
        at_the_edge().into_iter().map(|body| Message::new(1, body)).collect();
    let bytes: Vec<Vec<u8>> =
        messages.iter().map(|message| message.encode().unwrap().to_vec()).collect();
    let Some(texts) = print(&bytes) else { return };
    for (message, theirs) in messages.iter().zip(&texts) {
        let ours = comparable(message, &message.to_string());
        assert_eq!(ours, comparable(message, theirs), "{message:?}");
    }
}

/// The recorded session, as far as it is plain OpenFlow 1.3.
#[test]
fn open_vswitch_reads_its_own_messages_as_we_do() {
    let session = include_str!("vectors/ovs_session.hex");
    let bytes = |hex: &str| -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect()
    };
    // Open vSwitch's own fields and actions, a port-mod's address of the wrong request, and
    // tables' statistics, which it shortens.
    let extended = [
        "tcp_flags",
        "ct_state",
        "NXM",
        "NXT",
        "OFPST_TABLE reply",
        "OFPST_FLOW reply (OF1.3) (xid=0x2)",
    ];
    let messages: Vec<Message> = session
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("wrong"))
        .map(|line| Message::decode(bytes(line.rsplit_once(" | ").unwrap().1).into()).unwrap())
        .collect();
    let encoded: Vec<Vec<u8>> =
        messages.iter().map(|message| message.encode().unwrap().to_vec()).collect();
    let Some(texts) = print(&encoded) else { return };
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (message, theirs) in messages.iter().zip(&texts) {
        if extended.iter().any(|name| theirs.contains(name)) {
            continue;
        }
        let (ours, theirs) =
            (comparable(message, &message.to_string()), comparable(message, theirs));
        if ours != theirs {
            wrong.push(format!("ours:   {ours}\ntheirs: {theirs}"));
        }
        compared += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(compared > 100, "{compared} messages only");
}
