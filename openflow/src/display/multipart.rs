//! Multipart requests and replies.

use std::fmt;

use super::actions::Instructions;
use super::flow_match::Prioritised;
use super::message::{Bands, Group, Meter, lines};
use super::{Duration, Hex};
use crate::action::ActionType;
use crate::id::{GroupId, PortNo, QueueId, TableId};
use crate::message::*;
use crate::port::Port;

/// What follows the colon in the message's text, blank or line break included.
impl fmt::Display for MultipartRequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flow(request) | Self::Aggregate(request) => request.fmt(f),
            Self::PortStats(port) => write!(f, " port_no={port}"),
            Self::Queue(QueueStatsRequest { port_no, queue_id: QueueId::ALL }) => {
                write!(f, " port={port_no} queue=ALL")
            }
            Self::Queue(QueueStatsRequest { port_no, queue_id }) => {
                write!(f, " port={port_no} queue={}", queue_id.0)
            }
            Self::Group(GroupId::ALL) => f.write_str(" group_id=ALL"),
            Self::Group(group) => write!(f, " group_id={}", group.0),
            // Later versions may ask for one group, or one port; 1.3 always asks for all.
            Self::GroupDesc => f.write_str(" group_id=ALL"),
            Self::Meter(meter) | Self::MeterConfig(meter) => write!(f, " meter={}", Meter(*meter)),
            Self::TableFeatures(tables) => lines(f, "\n", tables),
            Self::Experimenter(body) => body.fmt(f),
            Self::Other { kind, data } => write!(f, " type={kind} data={}", Hex(data)),
            Self::PortDesc => f.write_str(" port=ANY"),
            Self::Desc | Self::Table | Self::GroupFeatures | Self::MeterFeatures => Ok(()),
        }
    }
}

impl fmt::Display for FlowStatsRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.table_id != TableId::ALL {
            write!(f, " table={}", self.table_id.0)?;
        }
        if self.out_port != PortNo::ANY {
            write!(f, " out_port={}", self.out_port)?;
        }
        if self.out_group != GroupId::ANY {
            write!(f, " out_group={}", self.out_group)?;
        }
        if self.cookie_mask != 0 {
            write!(f, " cookie={:#x}/{:#x}", self.cookie, self.cookie_mask)?;
        }
        let match_ = self.match_.to_string();
        if match_.is_empty() { Ok(()) } else { write!(f, " {match_}") }
    }
}

impl fmt::Display for ExperimenterMultipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            " experimenter={:#010x} type={} data={}",
            self.experimenter,
            self.exp_type,
            Hex(&self.data)
        )
    }
}

/// What follows the colon in the message's text, blank or line break included.
impl fmt::Display for MultipartReplyBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Desc(desc) => desc.fmt(f),
            Self::Flow(flows) => flows.iter().try_for_each(|flow| write!(f, "\n {flow}")),
            Self::Aggregate(sum) => write!(f, " {sum}"),
            Self::Table(tables) => lines(f, "\n", tables),
            Self::PortStats(ports) => {
                write!(f, " {} ports", ports.len())?;
                lines(f, "\n", ports)
            }
            Self::Queue(queues) => {
                write!(f, " {} queues", queues.len())?;
                lines(f, "\n", queues)
            }
            Self::Group(groups) => groups.iter().try_for_each(|group| write!(f, "\n {group}")),
            Self::GroupDesc(groups) => groups.iter().try_for_each(|group| write!(f, "\n {group}")),
            Self::GroupFeatures(features) => features.fmt(f),
            Self::Meter(meters) => lines(f, "\n", meters),
            Self::MeterConfig(meters) => lines(f, "\n", meters),
            Self::MeterFeatures(features) => features.fmt(f),
            Self::TableFeatures(tables) => lines(f, "\n", tables),
            Self::PortDesc(ports) => {
                let mut sorted: Vec<&Port> = ports.iter().collect();
                sorted.sort_by_key(|port| port.port_no);
                lines(f, "\n", &sorted)
            }
            Self::Experimenter(body) => body.fmt(f),
            Self::Other { kind, data } => write!(f, " type={kind} data={}", Hex(data)),
        }
    }
}

impl fmt::Display for Desc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\nManufacturer: {}\nHardware: {}\nSoftware: {}",
            self.mfr_desc, self.hw_desc, self.sw_desc
        )?;
        write!(f, "\nSerial Num: {}\nDP Description: {}", self.serial_num, self.dp_desc)
    }
}

impl fmt::Display for FlowStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = Duration(self.duration_sec, self.duration_nsec);
        write!(f, "cookie={:#x}, duration={duration}, table={}, ", self.cookie, self.table_id.0)?;
        write!(f, "n_packets={}, n_bytes={}, ", self.packet_count, self.byte_count)?;
        if self.idle_timeout != 0 {
            write!(f, "idle_timeout={}, ", self.idle_timeout)?;
        }
        if self.hard_timeout != 0 {
            write!(f, "hard_timeout={}, ", self.hard_timeout)?;
        }
        if !self.flags.is_empty() {
            write!(f, "{} ", self.flags)?;
        }
        let match_ = Prioritised(self.priority, &self.match_).to_string();
        let gap = if match_.is_empty() { "" } else { " " };
        write!(f, "{match_}{gap}actions={}", Instructions(&self.instructions))
    }
}

impl fmt::Display for AggregateStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { packet_count, byte_count, flow_count } = self;
        write!(f, "packet_count={packet_count} byte_count={byte_count} flow_count={flow_count}")
    }
}

impl fmt::Display for TableStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table_id, active_count, lookup_count, matched_count } = self;
        write!(f, "  table {}:", table_id.0)?;
        write!(f, "\n    active={active_count}, lookup={lookup_count}, matched={matched_count}")
    }
}

/// A counter, `?` where it isn't counted.
struct Counter(u64);

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == u64::MAX { f.write_str("?") } else { write!(f, "{}", self.0) }
    }
}

impl fmt::Display for PortStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [rx, rx_bytes, rx_drop] =
            [self.rx_packets, self.rx_bytes, self.rx_dropped].map(Counter);
        let [errs, frame, over, crc] =
            [self.rx_errors, self.rx_frame_err, self.rx_over_err, self.rx_crc_err].map(Counter);
        let [tx, tx_bytes, tx_drop] =
            [self.tx_packets, self.tx_bytes, self.tx_dropped].map(Counter);
        let [tx_errs, coll] = [self.tx_errors, self.collisions].map(Counter);
        write!(f, "  port {:>2}: rx pkts={rx}, bytes={rx_bytes}, drop={rx_drop}, ", self.port_no)?;
        writeln!(f, "errs={errs}, frame={frame}, over={over}, crc={crc}")?;
        write!(
            f,
            "           tx pkts={tx}, bytes={tx_bytes}, drop={tx_drop}, errs={tx_errs}, coll={coll}"
        )?;
        write!(f, "\n           duration={}", Duration(self.duration_sec, self.duration_nsec))
    }
}

impl fmt::Display for QueueStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [bytes, packets, errors] =
            [self.tx_bytes, self.tx_packets, self.tx_errors].map(Counter);
        write!(f, "  port {} queue {}: bytes={bytes}, ", self.port_no, self.queue_id.0)?;
        let duration = Duration(self.duration_sec, self.duration_nsec);
        write!(f, "pkts={packets}, errors={errors}, duration={duration}")
    }
}

impl fmt::Display for GroupStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = Duration(self.duration_sec, self.duration_nsec);
        write!(f, "group_id={},duration={duration},ref_count={}", self.group_id.0, self.ref_count)?;
        write!(f, ",packet_count={},byte_count={}", self.packet_count, self.byte_count)?;
        for (n, bucket) in self.bucket_stats.iter().enumerate() {
            write!(
                f,
                ",bucket{n}:packet_count={},byte_count={}",
                bucket.packet_count, bucket.byte_count
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for GroupDesc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Group(self.group_type, self.group_id, &self.buckets).fmt(f)
    }
}

impl fmt::Display for GroupFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\n Group table:\n    Types:  {:#x}\n    Capabilities:  {:#x}",
            self.types, self.capabilities.0
        )?;
        for (n, title) in ["all", "select", "indirect", "fast failover"].into_iter().enumerate() {
            if self.types >> n & 1 == 0 {
                continue;
            }
            write!(
                f,
                "\n    {title} group:\n       max_groups={:#x}\n       actions: ",
                self.max_groups[n]
            )?;
            let bits = self.actions[n];
            let has =
                |kind: &ActionType| bits.checked_shr(u16::from(*kind).into()).unwrap_or(0) & 1 == 1;
            let names: Vec<&str> =
                ACTIONS.iter().filter(|(kind, _)| has(kind)).map(|(_, name)| *name).collect();
            f.write_str(if names.is_empty() { "<none>" } else { "" })?;
            f.write_str(&names.join(" "))?;
        }
        Ok(())
    }
}

/// Actions in Open vSwitch's order, with its names; those it doesn't know last.
pub(super) const ACTIONS: [(ActionType, &str); 16] = [
    (ActionType::Output, "output"),
    (ActionType::Group, "group"),
    (ActionType::SetField, "set_field"),
    (ActionType::PopVlan, "strip_vlan"),
    (ActionType::PushVlan, "push_vlan"),
    (ActionType::SetNwTtl, "mod_nw_ttl"),
    (ActionType::DecNwTtl, "dec_ttl"),
    (ActionType::SetMplsTtl, "set_mpls_ttl"),
    (ActionType::DecMplsTtl, "dec_mpls_ttl"),
    (ActionType::PushMpls, "push_mpls"),
    (ActionType::PopMpls, "pop_mpls"),
    (ActionType::SetQueue, "set_queue"),
    (ActionType::CopyTtlOut, "copy_ttl_out"),
    (ActionType::CopyTtlIn, "copy_ttl_in"),
    (ActionType::PushPbb, "push_pbb"),
    (ActionType::PopPbb, "pop_pbb"),
];

impl fmt::Display for MeterStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "meter:{} flow_count:{}", Meter(self.meter_id), self.flow_count)?;
        write!(
            f,
            " packet_in_count:{} byte_in_count:{}",
            self.packet_in_count, self.byte_in_count
        )?;
        write!(f, " duration:{} bands:", Duration(self.duration_sec, self.duration_nsec))?;
        for (n, band) in self.band_stats.iter().enumerate() {
            write!(
                f,
                "\n{n}: packet_count:{} byte_count:{}",
                band.packet_band_count, band.byte_band_count
            )?;
        }
        f.write_str("\n")
    }
}

impl fmt::Display for MeterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", Bands(self.meter_id, self.flags, &self.bands))
    }
}

impl fmt::Display for MeterFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\nmax_meter:{} max_bands:{} max_color:{}",
            self.max_meter, self.max_bands, self.max_color
        )?;
        let bands = [(1, "drop"), (2, "dscp_remark")];
        let names: Vec<&str> = bands
            .iter()
            .filter(|(bit, _)| self.band_types >> bit & 1 == 1)
            .map(|(_, name)| *name)
            .collect();
        write!(
            f,
            "\nband_types: {}",
            if names.is_empty() { "0".to_owned() } else { names.join(" ") }
        )?;
        write!(f, "\ncapabilities: {}", MeterFlags(self.capabilities as u16))
    }
}
