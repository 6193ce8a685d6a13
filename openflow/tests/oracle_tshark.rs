//! What tshark's dissector reads in our messages: every value of every sample must be in it,
//! under the name it has there.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod samples;

use std::io::Write as _;
use std::process::{Command, Stdio};

use openflow::{Field, Message};
use serde_json::Value;

/// One field of tshark's, as it shows it.
#[derive(Debug)]
struct Seen {
    /// Such as `openflow_v4.flowmod.cookie`.
    name: String,
    /// Such as `0x0000000000000007`.
    show: String,
    /// Such as `Command: OFPFC_ADD (0)`.
    title: String,
}

/// The fields of each message, or `None` where there is no tshark.
fn dissect(messages: &[Vec<u8>]) -> Option<Vec<Vec<Seen>>> {
    let mut capture = Vec::new();
    // A pcap file whose link type is user-defined, so that each packet is a message.
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x0004_0000, 147] {
        capture.extend(word.to_le_bytes());
    }
    for message in messages {
        for word in [0, 0, message.len() as u32, message.len() as u32] {
            capture.extend(word.to_le_bytes());
        }
        capture.extend(message);
    }
    let mut tshark = match Command::new("tshark")
        .args([
            "-r",
            "-",
            "-T",
            "pdml",
            "-o",
            r#"uat:user_dlts:"User 0 (DLT=147)","openflow_v4","0","","0","""#,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
    {
        Ok(tshark) => tshark,
        Err(_) => {
            let _ = writeln!(std::io::stderr(), "SKIPPED: tshark isn't installed");
            return None;
        }
    };
    let mut stdin = tshark.stdin.take().unwrap();
    let feed = std::thread::spawn(move || stdin.write_all(&capture));
    let output = tshark.wait_with_output().unwrap();
    feed.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.split("<packet>").skip(1).map(fields).collect())
}

fn fields(packet: &str) -> Vec<Seen> {
    let attribute = |line: &str, name: &str| {
        let start = format!(" {name}=\"");
        let from = line.find(&start)? + start.len();
        let value = &line[from..from + line[from..].find('"')?];
        Some(
            value
                .replace("&quot;", "\"")
                .replace("&lt;", "<")
                .replace("&gt;", ">")
                .replace("&amp;", "&"),
        )
    };
    packet
        .lines()
        .filter(|line| line.trim_start().starts_with("<field "))
        .map(|line| {
            let get = |name| attribute(line, name).unwrap_or_default();
            let (name, show, title) = (get("name"), get("show"), get("showname"));
            // These two are shown as bytes in hex.
            let bytes = matches!(name.as_str(), "openflow_v4.oxm.value" | "openflow_v4.oxm.mask");
            let show = if bytes { format!("0x{}", show.replace(':', "")) } else { show };
            Seen { name, show, title }
        })
        .collect()
}

/// A value as a number, whatever it looks like.
fn number(text: &str) -> Option<u128> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u128::from_str_radix(hex, 16).ok();
    }
    let groups: Vec<&str> = text.split(':').collect();
    if groups.len() > 1 && groups.iter().all(|group| group.len() == 2) {
        return u128::from_str_radix(&groups.concat(), 16).ok();
    }
    if let Ok(ip) = text.parse::<std::net::Ipv4Addr>() {
        return Some(ip.to_bits().into());
    }
    if let Ok(ip) = text.parse::<std::net::Ipv6Addr>() {
        return Some(ip.to_bits());
    }
    text.parse().ok()
}

/// The leaves of a body: key and value.
fn leaves(key: &str, value: &Value, all: &mut Vec<(String, Value)>) {
    match value {
        // A match field: its number, value and mask.
        Value::Object(object)
            if object.get("field").is_some_and(Value::is_string)
                && !object.contains_key("has_mask") =>
        {
            let name = object["field"].as_str().unwrap();
            let field = Field::NAMED.iter().find(|field| field.name() == Some(name)).unwrap();
            all.push(("oxm.field".into(), u8::from(*field).into()));
            match (*field, object["value"].as_u64()) {
                // The bit that says that there is a tag is a field of its own in tshark.
                (Field::VlanVid, Some(vid)) => {
                    all.push(("oxm.value_vlan_present".into(), (vid >> 12).into()));
                    all.push(("oxm.value_vlan_vid".into(), (vid & 0xfff).into()));
                }
                _ => all.push(("oxm.value".into(), object["value"].clone())),
            }
            if let Some(mask) = object.get("mask") {
                all.push(("oxm.mask".into(), mask.clone()));
            }
        }
        // A field's header in table features.
        Value::Object(object) if object.contains_key("has_mask") => {
            for (name, key) in
                [("class", "class"), ("number", "field"), ("has_mask", "hm"), ("length", "length")]
            {
                all.push((format!("oxm.{key}"), object[name].clone()));
            }
        }
        Value::Object(object) => object.iter().for_each(|(key, value)| leaves(key, value, all)),
        Value::Array(list) => list.iter().for_each(|value| leaves(key, value, all)),
        leaf => all.push((key.to_owned(), leaf.clone())),
    }
}

/// What tshark calls what we call something else.
fn their_name(key: &str) -> &str {
    match key {
        "kind" | "group_type" | "body" => "type",
        "goto_table" => "goto_table.table_id",
        "curr" => "current",
        "matched_count" => "match_count",
        "metadata" => "write_metadata.value",
        "next_tables_miss" => "next_tables",
        "version_bitmap" => "version.bitmap",
        "instructions" => "instruction.type",
        key => key,
    }
}

/// Whether tshark has this value, in a field that is not yet `used`.
fn find(key: &str, value: &Value, seen: &[Seen], used: &mut [bool]) -> bool {
    let name = match key {
        // An action that has no content is but its name.
        "actions" | "apply_actions" | "write_actions" if value.is_string() => "action.type",
        key => their_name(key),
    };
    let text = match value {
        Value::Null => return true,
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        Value::String(text) => {
            text.strip_prefix("of:").map_or(text.clone(), |hex| format!("0x{hex}"))
        }
        other => panic!("{key}: {other} is no leaf"),
    };
    let wanted = number(&text);
    let reserved: &[u128] = match text.as_str() {
        "ANY" | "NONE" => &[0xffff_ffff],
        "ALL" => &[0xff, 0xffff_fffc, 0xffff_ffff],
        "CONTROLLER" => &[0xffff_fffd],
        "LOCAL" => &[0xffff_fffe],
        _ => &[],
    };
    let same = |field: &Seen| {
        let has = number(&field.show);
        // An enumeration's name is in the title, a flag has a field of its own.
        has.is_some_and(|has| wanted == Some(has) || reserved.contains(&has))
            || field.show == text
            || field.title.to_lowercase().contains(&format!("_{} (", their_value(&text)))
            // Meters' flags are misspelt in one of two places.
            || field.show == "1" && field.name.ends_with(".ptkps") && text == "pktps"
            || field.show == "1" && field.name.ends_with(&format!(".{}", their_value(&text)))
    };
    let named = |field: &Seen| {
        let path = field.name.as_str();
        path.contains(&format!(".{name}"))
            || path.starts_with("openflow_v4.oxm.") && path.ends_with("mask") && name == "oxm.mask"
            // tshark's own word for a port's state.
            || path == "openflow_v4.port.sate" && name == "state"
    };
    let at =
        seen.iter().enumerate().position(|(at, field)| !used[at] && named(field) && same(field));
    if let Some(at) = at {
        used[at] = true;
    }
    at.is_some()
}

/// What tshark calls a value that we call something else.
fn their_value(value: &str) -> String {
    match value {
        "fast_failover" => "ff".to_owned(),
        value => value.to_lowercase(),
    }
}

/// What tshark 4.0 shows no value of.
fn hidden(sample: &str, key: &str) -> bool {
    match key {
        // The name that our type gives a variant, or a number that tshark shows as text only.
        "data" | "type_name" | "code_name" | "version" => true,
        // A frame goes to the dissector of its protocol.
        _ if key == "reserved" => true,
        _ => sample == "error.experimenter" && key == "type",
    }
}

#[test]
fn tshark_reads_in_every_sample_what_we_meant() {
    let samples = samples::all();
    let bytes: Vec<Vec<u8>> =
        samples.iter().map(|(_, message)| message.encode().unwrap().to_vec()).collect();
    let Some(dissected) = dissect(&bytes) else { return };
    assert_eq!(dissected.len(), samples.len());
    let mut wrong = Vec::new();
    for ((name, message), seen) in samples.iter().zip(&dissected) {
        check(name, message, seen, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(name: &str, message: &Message, seen: &[Seen], wrong: &mut Vec<String>) {
    let mut used = vec![false; seen.len()];
    let mut all = vec![("xid".to_owned(), message.xid.into())];
    leaves("", &serde_json::to_value(&message.body).unwrap(), &mut all);
    for (key, value) in all {
        if !hidden(name, &key) && !find(&key, &value, seen, &mut used) {
            let shown: Vec<String> = seen
                .iter()
                .filter(|field| field.name.starts_with("openflow_v4."))
                .map(|field| format!("{}={}", &field.name[12..], field.show))
                .collect();
            wrong.push(format!("{name}: {key}={value} is not in: {}", shown.join(" ")));
        }
    }
    // Experimenters' bodies and the frames of packets are beyond tshark; errors carry our text.
    let beyond = |field: &Seen| {
        !field.name.starts_with("openflow_v4")
            || field.title.contains("xperimenter")
            || name.starts_with("error.") && field.title.contains("Unknown message body")
    };
    for field in seen.iter().filter(|field| field.name.contains("expert") && !beyond(field)) {
        wrong.push(format!("{name}: {}", field.title));
    }
}
