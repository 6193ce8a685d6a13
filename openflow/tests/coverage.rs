//! The table of everything the specification has, and how each is shown to work: `docs/coverage.md`,
//! which is part of the crate's documentation. This test makes it, and fails if it is out of date.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use openflow::{
    Action, ActionType, Body, ErrorCode, Field, GroupType, Instruction, InstructionType, Match,
    Message, MessageType, MeterBandKind, MultipartReplyBody, MultipartType, QueueProperty,
    TableProperty,
};

const GOLDEN: &str = include_str!("vectors/golden.hex");
const OS_KEN: &str = include_str!("vectors/os_ken.hex");
const RECORDED: [&str; 2] =
    [include_str!("vectors/ovs_session.hex"), include_str!("vectors/os_ken_corpus.hex")];

/// What the evidence for a row is.
struct Evidence {
    by_hand: BTreeSet<String>,
    by_os_ken: BTreeSet<String>,
    recorded: BTreeSet<String>,
    samples: BTreeMap<String, Message>,
}

impl Evidence {
    fn collect() -> Self {
        let names = |line: &str| line.split(" | ").next().unwrap().to_owned();
        let mut recorded = BTreeSet::new();
        for line in
            RECORDED.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with('#'))
        {
            let hex = line.rsplit_once(" | ").unwrap().1;
            let bytes: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            if let Ok(message) = Message::decode(bytes.into()) {
                parts(&message.body, &mut recorded);
            }
        }
        Self {
            by_hand: GOLDEN
                .lines()
                .filter_map(|line| line.strip_prefix('[')?.strip_suffix(']').map(Into::into))
                .collect(),
            by_os_ken: OS_KEN.lines().filter(|line| !line.starts_with('#')).map(names).collect(),
            recorded,
            samples: samples::all().into_iter().collect(),
        }
    }

    /// A row of the table: the sample's bytes go both ways in `tests/vectors.rs`, against what `Bytes by`
    /// says; whoever reads them compares values in `tests/oracle_*.rs`.
    fn row(&self, title: &str, sample: &str, part: &str) -> String {
        let message =
            self.samples.get(sample).unwrap_or_else(|| panic!("no sample {sample} for {title}"));
        let encoded = message.encode().unwrap();
        let encodes = if encoded.len() >= 8 { "yes" } else { "no" };
        let decodes = if Message::decode(encoded).as_ref() == Ok(message) { "yes" } else { "no" };
        let mut bytes = Vec::new();
        if self.by_hand.contains(sample) {
            bytes.push("hand");
        }
        if self.by_os_ken.contains(sample) {
            bytes.push("os-ken");
        }
        assert!(!bytes.is_empty(), "{title}: nobody else has written {sample}");
        if self.recorded.contains(part) {
            bytes.push("recorded");
        }
        let mut readers = vec!["tshark"];
        // Of table features, ovs-ofctl's text is compared in part only.
        let in_part = sample.ends_with("table_features");
        if !in_part && !samples::UNKNOWN_TO_OVS.iter().any(|(unknown, _)| *unknown == sample) {
            readers.push("ovs-ofctl");
        }
        format!(
            "| {title} | {encodes} | {decodes} | {} | {} |\n",
            bytes.join(", "),
            readers.join(", ")
        )
    }
}

/// What a recorded message holds, by the names of the rows.
fn parts(body: &Body, all: &mut BTreeSet<String>) {
    all.insert(body.name());
    match body {
        Body::FlowMod(flow) => {
            match_parts(&flow.match_, all);
            flow.instructions.iter().for_each(|instruction| instruction_parts(instruction, all));
        }
        Body::PacketIn(packet) => match_parts(&packet.match_, all),
        Body::FlowRemoved(removed) => match_parts(&removed.match_, all),
        Body::PacketOut(packet) => {
            packet.actions.iter().for_each(|action| action_parts(action, all))
        }
        Body::GroupMod(group) => {
            all.insert(format!("group.{}", group.group_type));
            group
                .buckets
                .iter()
                .flat_map(|bucket| &bucket.actions)
                .for_each(|action| action_parts(action, all));
        }
        Body::MeterMod(meter) => {
            for band in &meter.bands {
                let name = match band.kind {
                    MeterBandKind::Drop => "drop",
                    MeterBandKind::DscpRemark { .. } => "dscp_remark",
                    MeterBandKind::Experimenter { .. } => "experimenter",
                    MeterBandKind::Other { .. } => "other",
                };
                all.insert(format!("band.{name}"));
            }
        }
        Body::Error(error) => {
            all.insert(format!("error.{}", error.code.type_name().unwrap_or("other")));
        }
        Body::QueueGetConfigReply(reply) => {
            for property in reply.queues.iter().flat_map(|queue| &queue.properties) {
                all.insert(format!("queue.{}", queue_name(property)));
            }
        }
        Body::MultipartReply(reply) => match &reply.body {
            MultipartReplyBody::Flow(flows) => {
                for flow in flows {
                    match_parts(&flow.match_, all);
                    flow.instructions
                        .iter()
                        .for_each(|instruction| instruction_parts(instruction, all));
                }
            }
            MultipartReplyBody::TableFeatures(tables) => {
                for property in tables.iter().flat_map(|table| &table.properties) {
                    all.insert(format!("table.{}", property.kind()));
                }
            }
            _ => {}
        },
        _ => {}
    }
}

fn match_parts(match_: &Match, all: &mut BTreeSet<String>) {
    for oxm in match_.fields() {
        let name = oxm.field().map_or("other".to_owned(), |field| field.to_string());
        all.insert(format!("field.{name}{}", if oxm.has_mask() { ".masked" } else { "" }));
    }
}

fn instruction_parts(instruction: &Instruction, all: &mut BTreeSet<String>) {
    all.insert(format!("instruction.{}", instruction.instruction_type()));
    if let Instruction::ApplyActions(actions) | Instruction::WriteActions(actions) = instruction {
        actions.iter().for_each(|action| action_parts(action, all));
    }
}

fn action_parts(action: &Action, all: &mut BTreeSet<String>) {
    all.insert(format!("action.{}", action.action_type()));
    if let Action::SetField(oxm) = action {
        all.insert(format!(
            "set_field.{}",
            oxm.field().map_or("other".to_owned(), |field| field.to_string())
        ));
    }
}

fn queue_name(property: &QueueProperty) -> &'static str {
    match property {
        QueueProperty::MinRate(_) => "min_rate",
        QueueProperty::MaxRate(_) => "max_rate",
        QueueProperty::Experimenter { .. } => "experimenter",
        QueueProperty::Other { .. } => "other",
    }
}

fn table(title: &str, rows: impl IntoIterator<Item = String>) -> String {
    let mut text = format!(
        "\n## {title}\n\n| | Encode | Decode | Bytes by | Values read by |\n|---|---|---|---|---|\n"
    );
    rows.into_iter().for_each(|row| text.push_str(&row));
    text
}

fn document(evidence: &Evidence) -> String {
    let same = |name: &str| evidence.row(&format!("`{name}`"), name, name);
    let mut text = String::from(
        "Everything that OpenFlow Switch Specification 1.3.5 has. Each row has a sample in which every value \
         differs; *Bytes by* says who else wrote its bytes, by hand from the specification or with os-ken, and \
         whether recorded messages of other implementations hold it; *Values read by* whose reading of our bytes \
         has the values we meant. Made by `tests/coverage.rs`.\n",
    );
    let single = |kind: &&MessageType| {
        !matches!(
            kind,
            MessageType::MultipartRequest | MessageType::MultipartReply | MessageType::Error
        )
    };
    let mut messages: Vec<String> =
        MessageType::NAMED.iter().filter(single).map(|kind| same(&kind.to_string())).collect();
    for code in ErrorCode::named().filter(|code| code.to_wire().1 == 0) {
        let kind = code.type_name().unwrap();
        let count = ErrorCode::named().filter(|code| code.type_name() == Some(kind)).count();
        let title = format!("`error`, `{kind}`, all {count} codes");
        let sample = format!("error.{code}");
        messages.push(evidence.row(&title, &sample, &format!("error.{kind}")));
        // The row stands for the others of its type.
        for other in ErrorCode::named().filter(|code| code.type_name() == Some(kind)) {
            evidence.row("", &format!("error.{other}"), "");
        }
    }
    messages.push(evidence.row(
        "`error`, `OFPET_EXPERIMENTER`",
        "error.experimenter",
        "error.OFPET_EXPERIMENTER",
    ));
    text += &table("Messages", messages);
    let multiparts = ["multipart_request", "multipart_reply"]
        .into_iter()
        .flat_map(|way| MultipartType::NAMED.iter().map(move |kind| format!("{way}.{kind}")));
    text += &table("Multiparts", multiparts.map(|name| same(&name)));

    let mut fields = Vec::new();
    for field in Field::NAMED {
        let name = format!("field.{field}");
        fields.push(evidence.row(&format!("`{field}`"), &name, &name));
        let masked = format!("field.{field}.masked");
        if field.maskable() {
            fields.push(evidence.row(&format!("`{field}`, masked"), &masked, &masked));
        } else {
            assert!(!evidence.samples.contains_key(&masked), "{masked} can't be");
        }
    }
    text += &table(&format!("Match fields ({})", Field::NAMED.len()), fields);
    let of = |kind: &str, names: Vec<String>| -> Vec<String> {
        names
            .iter()
            .map(|name| {
                evidence.row(
                    &format!("`{name}`"),
                    &format!("{kind}.{name}"),
                    &format!("{kind}.{name}"),
                )
            })
            .collect()
    };
    text += &table(
        "Actions",
        of("action", ActionType::NAMED.iter().map(ToString::to_string).collect()),
    );
    text += &table(
        "Instructions",
        of("instruction", InstructionType::NAMED.iter().map(ToString::to_string).collect()),
    );
    text += &table(
        "Group types",
        of("group", GroupType::NAMED.iter().map(ToString::to_string).collect()),
    );
    text += &table(
        "Meter bands",
        of("band", ["drop", "dscp_remark", "experimenter"].map(Into::into).to_vec()),
    );

    let queue = "queue_get_config_reply";
    let Body::QueueGetConfigReply(reply) = &evidence.samples[queue].body else {
        panic!("not a {queue}")
    };
    let properties = reply.queues.iter().flat_map(|queue| &queue.properties).map(queue_name);
    text += &table(
        "Queue properties",
        properties.map(|name| evidence.row(&format!("`{name}`"), queue, &format!("queue.{name}"))),
    );

    let features = "multipart_reply.table_features";
    let Body::MultipartReply(reply) = &evidence.samples[features].body else {
        panic!("not a {features}")
    };
    let MultipartReplyBody::TableFeatures(tables) = &reply.body else { panic!("not {features}") };
    let held: BTreeSet<u16> =
        tables.iter().flat_map(|table| &table.properties).map(TableProperty::kind).collect();
    let rows = TableProperty::NAMED.iter().map(|(kind, name)| {
        assert!(held.contains(kind), "the sample has no {name}");
        evidence.row(&format!("`{name}`"), features, &format!("table.{kind}"))
    });
    text += &table("Table features", rows);
    writeln!(text).unwrap();
    text
}

#[test]
fn the_table_of_what_is_covered_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/coverage.md");
    let text = document(&Evidence::collect());
    assert!(!text.contains("| no |"), "{text}");
    if std::env::var_os("OPENFLOW_WRITE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/coverage.md is out of date: run this test with OPENFLOW_WRITE_DOCS=1"
    );
}
