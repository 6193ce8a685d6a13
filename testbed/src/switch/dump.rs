//! Tables and groups as text, as `ovs-ofctl dump-flows --no-stats` would print them, for tests to compare.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use openflow::{Action, Field, GroupType, Instruction, MacAddr, Masked, Match, Oxm};

use super::Datapath;
use super::flows::Filter;
use crate::pipeline::pattern::to_match;

impl Datapath {
    /// All flows, one a line, sorted, without counters and ages.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        for (table, priority, pattern, flow) in self.select(&Filter::everything()) {
            let mut line = format!(" cookie={:#x}, table={table}", flow.cookie);
            for (name, seconds) in
                [("idle_timeout", flow.idle_timeout), ("hard_timeout", flow.hard_timeout)]
            {
                if seconds != 0 {
                    line += &format!(", {name}={seconds}");
                }
            }
            line += &format!(", priority={priority}");
            for field in match_fields(&to_match(&pattern)) {
                line += &format!(",{field}");
            }
            let _ = writeln!(text, "{line} actions={}", program(&flow.program));
        }
        text
    }

    /// All groups, one a line, by id.
    pub fn groups(&self) -> String {
        let mut text = String::new();
        for group in self.group_desc() {
            let kind = match group.group_type {
                GroupType::FastFailover => "ff".to_owned(),
                kind => kind.to_string(),
            };
            let mut line = format!(" group_id={},type={kind}", group.group_id);
            for bucket in &group.buckets {
                line += ",bucket=";
                if group.group_type == GroupType::Select {
                    line += &format!("weight:{},", bucket.weight);
                }
                for (name, watched) in
                    [("watch_port", bucket.watch_port.0), ("watch_group", bucket.watch_group.0)]
                {
                    if watched != u32::MAX {
                        line += &format!("{name}:{watched},");
                    }
                }
                line += &format!("actions={}", actions(&bucket.actions));
            }
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

fn match_fields(wanted: &Match) -> Vec<String> {
    wanted.fields().iter().map(|field| oxm(field, "=")).collect()
}

fn program(list: &[Instruction]) -> String {
    let parts: Vec<_> = list.iter().filter_map(instruction).collect();
    if parts.is_empty() { "drop".to_owned() } else { parts.join(",") }
}

fn instruction(instruction: &Instruction) -> Option<String> {
    Some(match instruction {
        Instruction::ApplyActions(list) if list.is_empty() => return None,
        Instruction::ApplyActions(list) => actions(list),
        Instruction::WriteActions(list) => format!("write_actions({})", actions(list)),
        Instruction::ClearActions(_) => "clear_actions".to_owned(),
        Instruction::WriteMetadata { metadata, mask: u64::MAX } => {
            format!("write_metadata:{metadata:#x}")
        }
        Instruction::WriteMetadata { metadata, mask } => {
            format!("write_metadata:{metadata:#x}/{mask:#x}")
        }
        Instruction::GotoTable(table) => format!("goto_table:{table}"),
        Instruction::Meter(meter) => format!("meter:{meter}"),
        other => format!("{other:?}"),
    })
}

fn actions(list: &[Action]) -> String {
    if list.is_empty() {
        return "drop".to_owned();
    }
    list.iter().map(action).collect::<Vec<_>>().join(",")
}

fn action(action: &Action) -> String {
    match action {
        Action::Output { port, max_len } if port.reserved_name() == Some("CONTROLLER") => {
            format!("CONTROLLER:{max_len}")
        }
        Action::Output { port, .. } if port.reserved_name().is_some() => port.to_string(),
        Action::Output { port, .. } => format!("output:{port}"),
        Action::Group(group) => format!("group:{group}"),
        Action::PushVlan(tpid) => format!("push_vlan:{tpid:#06x}"),
        Action::PopVlan => "pop_vlan".to_owned(),
        Action::SetField(field) => {
            let text = oxm(field, ":");
            let (name, value) = text.split_once(':').unwrap_or((&text, ""));
            format!("set_field:{value}->{name}")
        }
        Action::SetNwTtl(ttl) => format!("mod_nw_ttl:{ttl}"),
        Action::DecNwTtl => "dec_ttl".to_owned(),
        other => format!("{other:?}"),
    }
}

fn oxm(oxm: &Oxm, equals: &str) -> String {
    let (Some(field), Some(Masked { value, mask })) = (oxm.field(), oxm.to_bits()) else {
        return format!("{oxm:?}");
    };
    let value = value_text(field, value);
    let mask = mask.map(|mask| format!("/{}", value_text(field, mask))).unwrap_or_default();
    format!("{field}{equals}{value}{mask}")
}

fn value_text(field: Field, bits: u128) -> String {
    match field {
        Field::EthDst
        | Field::EthSrc
        | Field::ArpSha
        | Field::ArpTha
        | Field::Ipv6NdSll
        | Field::Ipv6NdTll => {
            let [_, _, a, b, c, d, e, f] = (bits as u64).to_be_bytes();
            MacAddr([a, b, c, d, e, f]).to_string()
        }
        Field::Ipv4Src | Field::Ipv4Dst | Field::ArpSpa | Field::ArpTpa => {
            Ipv4Addr::from(bits as u32).to_string()
        }
        Field::Ipv6Src | Field::Ipv6Dst | Field::Ipv6NdTarget => Ipv6Addr::from(bits).to_string(),
        Field::EthType | Field::VlanVid => format!("{bits:#06x}"),
        Field::Metadata | Field::TunnelId => format!("{bits:#x}"),
        _ => bits.to_string(),
    }
}
