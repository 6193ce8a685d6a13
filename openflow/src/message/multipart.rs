//! Requests and replies that may take several messages (1.3.5, 7.3.5).

mod desc;
mod flow;
mod group;
mod meter;
mod port;
mod reply;
mod request;
mod split;
mod table;
mod table_features;

use bytes::Bytes;

pub use desc::Desc;
pub use flow::{AggregateStats, FlowStats, FlowStatsRequest};
pub use group::{BucketCounter, GroupCapabilities, GroupDesc, GroupFeatures, GroupStats};
pub use meter::{MeterBandStats, MeterConfig, MeterFeatures, MeterStats};
pub use port::{PortStats, QueueStats, QueueStatsRequest};
pub use reply::{MultipartReply, MultipartReplyBody};
pub use request::{MultipartRequest, MultipartRequestBody};
pub use table::TableStats;
pub use table_features::{ActionId, InstructionId, TableFeatures, TableProperty};

use crate::header::MessageType;
use crate::wire::{Failure, Reader, Writer};

wire_enum! {
    /// What a multipart message is about (`ofp_multipart_type`).
    pub enum MultipartType: u16 {
        /// Texts about the switch.
        Desc = 0 => "desc",
        /// Flows, each one.
        Flow = 1 => "flow",
        /// Flows, in sum.
        Aggregate = 2 => "aggregate",
        /// Tables' counters.
        Table = 3 => "table",
        /// Ports' counters.
        PortStats = 4 => "port_stats",
        /// Queues' counters.
        Queue = 5 => "queue",
        /// Groups' counters.
        Group = 6 => "group",
        /// Groups.
        GroupDesc = 7 => "group_desc",
        /// What groups the switch can do.
        GroupFeatures = 8 => "group_features",
        /// Meters' counters.
        Meter = 9 => "meter",
        /// Meters.
        MeterConfig = 10 => "meter_config",
        /// What meters the switch can do.
        MeterFeatures = 11 => "meter_features",
        /// What each table can do.
        TableFeatures = 12 => "table_features",
        /// Ports.
        PortDesc = 13 => "port_desc",
        /// Whatever an experimenter defined.
        Experimenter = 0xffff => "experimenter",
    }
}

macro_rules! full_names {
    ($( $variant:ident $name:literal )*) => {
        /// The name of a multipart message with that of its type, where it has one.
        pub(super) fn full_name(message: MessageType, kind: MultipartType) -> Option<&'static str> {
            match (message, kind) {
                $(
                    (MessageType::MultipartRequest, MultipartType::$variant) => {
                        Some(concat!("multipart_request.", $name))
                    }
                    (MessageType::MultipartReply, MultipartType::$variant) => {
                        Some(concat!("multipart_reply.", $name))
                    }
                )*
                _ => None,
            }
        }
    };
}

full_names! {
    Desc "desc" Flow "flow" Aggregate "aggregate" Table "table" PortStats "port_stats" Queue "queue"
    Group "group" GroupDesc "group_desc" GroupFeatures "group_features" Meter "meter"
    MeterConfig "meter_config" MeterFeatures "meter_features" TableFeatures "table_features"
    PortDesc "port_desc" Experimenter "experimenter"
}

wire_flags! {
    /// Whether there is more (`ofp_multipart_request_flags`, `ofp_multipart_reply_flags`).
    pub struct MultipartFlags(u16) {
        /// More messages of the same request or reply follow.
        MORE = 1 << 0 => "more",
    }
}

/// A multipart body that an experimenter defined (`ofp_experimenter_multipart_header`).
///
/// experimenter u32 | exp_type u32 | data …
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct ExperimenterMultipart {
    /// Who the experimenter is.
    pub experimenter: u32,
    /// The experimenter's own type.
    pub exp_type: u32,
    /// All behind.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
    pub data: Bytes,
}

impl ExperimenterMultipart {
    fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.experimenter);
        out.u32(self.exp_type);
        out.bytes(&self.data);
    }

    fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            experimenter: body.u32("experimenter")?,
            exp_type: body.u32("exp_type")?,
            data: body.remainder(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_multipart_has_a_full_name() {
        for message in [MessageType::MultipartRequest, MessageType::MultipartReply] {
            for kind in MultipartType::NAMED {
                let want = format!("{message}.{kind}");
                assert_eq!(full_name(message, *kind), Some(want.as_str()));
            }
        }
        assert_eq!(full_name(MessageType::MultipartReply, MultipartType::Other(99)), None);
    }
}
