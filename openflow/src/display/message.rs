//! Messages: `OFPT_FLOW_MOD (OF1.3) (xid=0x7): ADD table:2 priority=1,in_port=1 actions=output:2`.

use std::fmt;

use super::actions::{Actions, Instructions};
use super::flow_match::Prioritised;
use super::{Duration, Hex, Joined};
use crate::error::{ErrorCode, ErrorMsg};
use crate::id::{BufferId, GroupId, MeterId, PortNo, TableId};
use crate::message::*;
use crate::port::{Port, PortConfig, PortFeatures, PortState};

/// As `ovs-ofctl ofp-print` prints it, without a frame's or an echo's bytes; several
/// lines for what has lists.
impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = match self.version() {
            1 => "OF1.0",
            2 => "OF1.1",
            3 => "OF1.2",
            4 => "OF1.3",
            5 => "OF1.4",
            6 => "OF1.5",
            _ => "OF?",
        };
        match &self.body {
            Body::MultipartRequest(request) => {
                write!(f, "OFPST_{} request", multipart_name(request.multipart_type()))?;
            }
            Body::MultipartReply(reply) => {
                write!(f, "OFPST_{} reply", multipart_name(reply.multipart_type()))?;
            }
            body => write!(f, "OFPT_{}", body.message_type().to_string().to_uppercase())?,
        }
        write!(f, " ({version}) (xid={:#x}):{}", self.xid, self.body)
    }
}

/// Open vSwitch writes `PORT` for `PORT_STATS`, as earlier versions of the specification do.
fn multipart_name(kind: MultipartType) -> String {
    match kind {
        MultipartType::PortStats => "PORT".to_owned(),
        kind => kind.to_string().to_uppercase(),
    }
}

/// What follows the colon in the message's text, blank or line break included.
impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(hello) => hello.fmt(f),
            Self::Error(error) => error.fmt(f),
            Self::EchoRequest(data) | Self::EchoReply(data) => {
                write!(f, " {} bytes of payload", data.len())
            }
            Self::Experimenter(body) => {
                write!(
                    f,
                    " experimenter={:#010x} type={} data={}",
                    body.experimenter,
                    body.exp_type,
                    Hex(&body.data)
                )
            }
            Self::FeaturesReply(features) => features.fmt(f),
            Self::GetConfigReply(config) | Self::SetConfig(config) => config.fmt(f),
            Self::PacketIn(packet) => write!(f, " {packet}"),
            Self::FlowRemoved(removed) => write!(f, " {removed}"),
            Self::PortStatus(status) => {
                let reason = match status.reason {
                    PortReason::Add => "ADD".to_owned(),
                    PortReason::Delete => "DEL".to_owned(),
                    PortReason::Modify => "MOD".to_owned(),
                    PortReason::Other(reason) => reason.to_string(),
                };
                write!(f, " {reason}:{}", status.desc)
            }
            Self::PacketOut(packet) => write!(f, " {packet}"),
            Self::FlowMod(flow) => write!(f, " {flow}"),
            Self::GroupMod(group) => write!(f, "\n {group}"),
            Self::PortMod(port) => port.fmt(f),
            Self::TableMod(table) if table.table_id == TableId::ALL => f.write_str(" table_id=ALL"),
            Self::TableMod(table) => write!(f, " table_id={}", table.table_id),
            Self::MultipartRequest(request) => request.body.fmt(f),
            Self::MultipartReply(reply) => {
                reply.body.fmt(f)?;
                if reply.more() { f.write_str("\n(more follows)") } else { Ok(()) }
            }
            Self::QueueGetConfigRequest(request) => write!(f, " port={}", request.port),
            Self::QueueGetConfigReply(reply) => reply.fmt(f),
            Self::RoleRequest(role) | Self::RoleReply(role) => write!(f, " {role}"),
            Self::GetAsyncReply(config) | Self::SetAsync(config) => config.fmt(f),
            Self::MeterMod(meter) => write!(f, " {meter}"),
            Self::FeaturesRequest
            | Self::GetConfigRequest
            | Self::BarrierRequest
            | Self::BarrierReply
            | Self::GetAsyncRequest => Ok(()),
        }
    }
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions: Vec<String> = (0..=u8::MAX)
            .filter(|version| self.speaks(*version))
            .map(|v| format!("{v:#04x}"))
            .collect();
        write!(f, "\n version bitmap: {}", versions.join(", "))
    }
}

impl fmt::Display for ErrorMsg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {}", self.code)?;
        match (self.code, self.text()) {
            (_, Some(text)) => write!(f, "\n{}", text.escape_debug()),
            (ErrorCode::Experimenter { .. }, _) => write!(f, "\n{}", Hex(&self.data)),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for FeaturesReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            " dpid:{:016x}\nn_tables:{}, n_buffers:{}",
            self.datapath_id.0, self.n_tables, self.n_buffers
        )?;
        if self.auxiliary_id != 0 {
            write!(f, ", auxiliary_id:{}", self.auxiliary_id)?;
        }
        write!(f, "\ncapabilities: {}", self.capabilities.to_string().to_uppercase())
    }
}

impl fmt::Display for SwitchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frags = match self.flags {
            ConfigFlags::FragNormal => "normal".to_owned(),
            ConfigFlags::FragDrop => "drop".to_owned(),
            ConfigFlags::FragReasm => "reassemble".to_owned(),
            ConfigFlags::Other(flags) => flags.to_string(),
        };
        write!(f, " frags={frags} miss_send_len={}", self.miss_send_len)
    }
}

impl fmt::Display for PacketIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.table_id != TableId(0) {
            write!(f, "table_id={} ", self.table_id.0)?;
        }
        if self.cookie != u64::MAX {
            write!(f, "cookie={:#x} ", self.cookie)?;
        }
        let (match_, data) = (&self.match_, self.data.len());
        write!(f, "total_len={} {match_} (via {}) data_len={data}", self.total_len, self.reason)?;
        let total = usize::from(self.total_len);
        if self.buffer_id == BufferId::NONE {
            f.write_str(" (unbuffered)")?;
            if total != data { f.write_str(" (***total_len != data_len***)") } else { Ok(()) }
        } else {
            write!(f, " buffer={:#010x}", self.buffer_id.0)?;
            if total < data { f.write_str(" (***total_len < data_len***)") } else { Ok(()) }
        }
    }
}

impl fmt::Display for PacketOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "in_port={} actions={}", self.in_port, Actions(&self.actions))?;
        match self.buffer_id {
            BufferId::NONE => write!(f, " data_len={}", self.data.len()),
            BufferId(buffer) => write!(f, " buffer={buffer:#010x}"),
        }
    }
}

impl fmt::Display for FlowRemoved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let match_ = Prioritised(self.priority, &self.match_).to_string();
        let gap = if match_.is_empty() { "" } else { " " };
        let reason = match self.reason {
            FlowRemovedReason::IdleTimeout => "idle".to_owned(),
            FlowRemovedReason::HardTimeout => "hard".to_owned(),
            other => other.to_string(),
        };
        write!(f, "{match_}{gap}reason={reason}")?;
        if self.table_id != TableId(0) {
            write!(f, " table_id={}", self.table_id.0)?;
        }
        if self.cookie != 0 {
            write!(f, " cookie:{:#x}", self.cookie)?;
        }
        write!(
            f,
            " duration{} idle{}",
            Duration(self.duration_sec, self.duration_nsec),
            self.idle_timeout
        )?;
        if self.hard_timeout != 0 {
            write!(f, " hard{}", self.hard_timeout)?;
        }
        write!(f, " pkts{} bytes{}", self.packet_count, self.byte_count)
    }
}

impl fmt::Display for FlowMod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            FlowModCommand::Add => f.write_str("ADD")?,
            FlowModCommand::Modify => f.write_str("MOD")?,
            FlowModCommand::ModifyStrict => f.write_str("MOD_STRICT")?,
            FlowModCommand::Delete => f.write_str("DEL")?,
            FlowModCommand::DeleteStrict => f.write_str("DEL_STRICT")?,
            FlowModCommand::Other(command) => write!(f, "cmd:{command}")?,
        }
        if self.table_id != TableId(0) {
            write!(f, " table:{}", self.table_id.0)?;
        }
        let match_ = Prioritised(self.priority, &self.match_).to_string();
        let gap = if match_.is_empty() { "" } else { " " };
        write!(f, "{gap}{match_} ")?;
        // An addition writes its cookie, unless that is all ones; all else compares it.
        let written = self.command == FlowModCommand::Add && self.cookie != u64::MAX;
        if written && self.cookie != 0 {
            write!(f, "cookie:{:#x} ", self.cookie)?;
        } else if self.command != FlowModCommand::Add && self.cookie_mask != 0 {
            write!(f, "cookie:{:#x}/{:#x} ", self.cookie, self.cookie_mask)?;
        }
        if self.idle_timeout != 0 {
            write!(f, "idle:{} ", self.idle_timeout)?;
        }
        if self.hard_timeout != 0 {
            write!(f, "hard:{} ", self.hard_timeout)?;
        }
        if self.buffer_id != BufferId::NONE {
            write!(f, "buf:{:#x} ", self.buffer_id.0)?;
        }
        if self.out_port != PortNo::ANY {
            write!(f, "out_port:{} ", self.out_port)?;
        }
        if self.out_group != GroupId::ANY {
            write!(f, "out_group:{} ", self.out_group)?;
        }
        if !self.flags.is_empty() {
            write!(f, "{} ", self.flags)?;
        }
        write!(f, "actions={}", Instructions(&self.instructions))
    }
}

impl fmt::Display for GroupMod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            GroupModCommand::Add => f.write_str("ADD")?,
            GroupModCommand::Modify => f.write_str("MOD")?,
            GroupModCommand::Delete => f.write_str("DEL")?,
            GroupModCommand::Other(command) => write!(f, "cmd:{command}")?,
        }
        write!(f, " {}", Group(self.group_type, self.group_id, &self.buckets))
    }
}

/// What a group is, in changes and in descriptions.
pub(super) struct Group<'a>(pub(super) GroupType, pub(super) GroupId, pub(super) &'a [Bucket]);

impl fmt::Display for Group<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(kind, id, buckets) = *self;
        let kind = match kind {
            GroupType::FastFailover => "ff".to_owned(),
            other => other.to_string(),
        };
        write!(f, "group_id={},type={kind}", id.0)?;
        // What goes without saying: in select groups a weight of one, else none.
        let weight = (self.0 == GroupType::Select).into();
        buckets.iter().try_for_each(|bucket| write!(f, ",{}", Weighed(bucket, weight)))
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Weighed(self, 0).fmt(f)
    }
}

/// A bucket, and the weight that isn't printed.
struct Weighed<'a>(&'a Bucket, u16);

impl fmt::Display for Weighed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bucket, silent) = *self;
        f.write_str("bucket=")?;
        if bucket.weight != silent {
            write!(f, "weight:{},", bucket.weight)?;
        }
        if bucket.watch_port != PortNo::ANY {
            write!(f, "watch_port:{},", bucket.watch_port)?;
        }
        if bucket.watch_group != GroupId::ANY {
            write!(f, "watch_group:{},", bucket.watch_group.0)?;
        }
        write!(f, "actions={}", Actions(&bucket.actions))
    }
}

/// Open vSwitch's name of a meter.
pub(super) struct Meter(pub(super) MeterId);

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string().to_lowercase())
    }
}

impl fmt::Display for MeterMod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command {
            MeterModCommand::Add => f.write_str("ADD")?,
            MeterModCommand::Modify => f.write_str("MOD")?,
            MeterModCommand::Delete => f.write_str("DEL")?,
            MeterModCommand::Other(command) => write!(f, "cmd:{command}")?,
        }
        // A deletion's flags and bands don't count.
        match self.command {
            MeterModCommand::Delete => {
                write!(f, " {}", Bands(self.meter_id, MeterFlags::EMPTY, &[]))
            }
            _ => write!(f, " {}", Bands(self.meter_id, self.flags, &self.bands)),
        }
    }
}

/// What a meter is, in changes and in descriptions.
pub(super) struct Bands<'a>(pub(super) MeterId, pub(super) MeterFlags, pub(super) &'a [MeterBand]);

impl fmt::Display for Bands<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(id, flags, bands) = *self;
        write!(f, "meter={} ", Meter(id))?;
        if !flags.is_empty() {
            write!(f, "{flags} ")?;
        }
        f.write_str("bands=")?;
        for band in bands {
            write!(f, "\n{band}")?;
            // A burst counts only where the meter says so.
            if flags.contains(MeterFlags::BURST) {
                write!(f, " burst_size={}", band.burst_size)?;
            }
            if let MeterBandKind::DscpRemark { prec_level } = band.kind {
                write!(f, " prec_level={prec_level}")?;
            }
        }
        Ok(())
    }
}

/// Kind and rate; the meter's flags say what else counts.
impl fmt::Display for MeterBand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            MeterBandKind::Drop => f.write_str("type=drop")?,
            MeterBandKind::DscpRemark { .. } => f.write_str("type=dscp_remark")?,
            MeterBandKind::Experimenter { experimenter, data } => {
                write!(f, "type=experimenter({experimenter:#010x},{})", Hex(data))?;
            }
            MeterBandKind::Other { kind, data } => write!(f, "type={kind}({})", Hex(data))?,
        }
        write!(f, " rate={}", self.rate)
    }
}

impl fmt::Display for QueueGetConfigReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.queues.is_empty() {
            write!(f, " port={}", self.port)?;
        }
        for queue in &self.queues {
            write!(f, "\nqueue {}:", queue.queue_id.0)?;
            for property in &queue.properties {
                let (name, rate) = match property {
                    QueueProperty::MinRate(rate) => ("min_rate", *rate),
                    QueueProperty::MaxRate(rate) => ("max_rate", *rate),
                    QueueProperty::Experimenter { .. } | QueueProperty::Other { .. } => continue,
                };
                match rate {
                    0..=1000 => write!(f, " {name}:{}.{}%", rate / 10, rate % 10)?,
                    _ => write!(f, " {name}:(disabled)")?,
                }
            }
        }
        Ok(())
    }
}

/// The roles have the names that Open vSwitch gives them now.
impl fmt::Display for RoleRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Master => "primary".to_owned(),
            Role::Slave => "secondary".to_owned(),
            other => other.to_string(),
        };
        write!(f, "role={role}")?;
        // Asking for the role needs none; all ones is how Open vSwitch says that there was none yet.
        if self.generation_id != u64::MAX && self.role != Role::NoChange {
            write!(f, " generation_id={}", self.generation_id)?;
        }
        Ok(())
    }
}

impl fmt::Display for AsyncConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn row(f: &mut fmt::Formatter<'_>, title: &str, bits: u32, names: &[&str]) -> fmt::Result {
            write!(f, "\n{title:>16}:")?;
            if bits == 0 {
                return f.write_str(" (off)");
            }
            for bit in (0..32).filter(|bit| bits >> bit & 1 == 1) {
                match names.get(bit as usize) {
                    Some(name) => write!(f, " {name}")?,
                    None => write!(f, " {bit}")?,
                }
            }
            Ok(())
        }
        for (role, title) in ["primary", "secondary"].into_iter().enumerate() {
            write!(f, "{}\n {title}:", if role == 0 { "" } else { "\n" })?;
            row(f, "PACKET_IN", self.packet_in[role], &["no_match", "action", "invalid_ttl"])?;
            row(f, "PORT_STATUS", self.port_status[role], &["add", "delete", "modify"])?;
            row(
                f,
                "FLOW_REMOVED",
                self.flow_removed[role],
                &["idle", "hard", "delete", "group_delete"],
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for PortMod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " port: {}: addr:{}", self.port_no, self.hw_addr)?;
        write!(f, "\n     config: {}", upper(self.config))?;
        write!(f, "\n     mask:   {}", upper(self.mask))?;
        f.write_str("\n     advertise: ")?;
        if self.advertise.is_empty() {
            f.write_str("UNCHANGED")
        } else {
            write!(f, "{}", features(self.advertise))
        }
    }
}

fn upper(config: PortConfig) -> String {
    config.to_string().to_uppercase().replace("0X", "0x")
}

fn features(features: PortFeatures) -> String {
    let names = features.to_string().to_uppercase();
    names
        .replace("B_", "B-")
        .replace("PAUSE", "AUTO_PAUSE")
        .replace("AUTONEG", "AUTO_NEG")
        .replace("0X", "0x")
}

/// A blank, number and name, then what else is known in lines of its own.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = |state: PortState| state.to_string().to_uppercase().replace("0X", "0x");
        write!(f, " {}({}): addr:{}", self.port_no, self.name, self.hw_addr)?;
        write!(f, "\n     config:     {}", upper(self.config))?;
        write!(f, "\n     state:      {}", state(self.state))?;
        for (title, set) in [
            ("current:    ", self.curr),
            ("advertised: ", self.advertised),
            ("supported:  ", self.supported),
            ("peer:       ", self.peer),
        ] {
            if !set.is_empty() {
                write!(f, "\n     {title}{}", features(set))?;
            }
        }
        write!(
            f,
            "\n     speed: {} Mbps now, {} Mbps max",
            self.curr_speed / 1000,
            self.max_speed / 1000
        )
    }
}

/// The text of a list whose items have lines of their own.
pub(super) fn lines<T: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    before: &str,
    list: &[T],
) -> fmt::Result {
    if list.is_empty() { Ok(()) } else { write!(f, "{before}{}", Joined(list, "\n")) }
}
