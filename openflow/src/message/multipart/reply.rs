//! What a switch answers (1.3.5, 7.3.5, `ofp_multipart_reply`).

use bytes::Bytes;

use super::{
    AggregateStats, Desc, ExperimenterMultipart, FlowStats, GroupDesc, GroupFeatures, GroupStats,
    MeterConfig, MeterFeatures, MeterStats, MultipartFlags, MultipartType, PortStats, QueueStats,
    TableFeatures, TableStats,
};
use crate::port::Port;
use crate::wire::{Failure, Reader, Writer};

/// Statistics or descriptions, or a part of them.
///
/// type u16 | flags u16 | pad 4 | body
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MultipartReply {
    /// Whether the reply goes on in another message.
    pub flags: MultipartFlags,
    /// What is answered.
    pub body: MultipartReplyBody,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum MultipartReplyBody {
    /// Texts about the switch.
    Desc(Box<Desc>),
    /// Flows, each one.
    Flow(Vec<FlowStats>),
    /// Flows, in sum.
    Aggregate(AggregateStats),
    /// Tables' counters.
    Table(Vec<TableStats>),
    /// Ports' counters.
    PortStats(Vec<PortStats>),
    /// Queues' counters.
    Queue(Vec<QueueStats>),
    /// Groups' counters.
    Group(Vec<GroupStats>),
    /// Groups.
    GroupDesc(Vec<GroupDesc>),
    /// What groups the switch can do.
    GroupFeatures(GroupFeatures),
    /// Meters' counters.
    Meter(Vec<MeterStats>),
    /// Meters.
    MeterConfig(Vec<MeterConfig>),
    /// What meters the switch can do.
    MeterFeatures(MeterFeatures),
    /// What each table can do.
    TableFeatures(Vec<TableFeatures>),
    /// Ports.
    PortDesc(Vec<Port>),
    /// Whatever an experimenter defined.
    Experimenter(ExperimenterMultipart),
    /// A reply that the specification doesn't name, as it came.
    Other {
        /// The multipart type.
        kind: u16,
        /// All behind the padding.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
        data: Bytes,
    },
}

impl From<MultipartReplyBody> for MultipartReply {
    fn from(body: MultipartReplyBody) -> Self {
        Self { flags: MultipartFlags::EMPTY, body }
    }
}

impl MultipartReply {
    /// Whether the reply goes on in another message.
    #[must_use]
    pub fn more(&self) -> bool {
        self.flags.contains(MultipartFlags::MORE)
    }

    /// What the reply is about.
    #[must_use]
    pub fn multipart_type(&self) -> MultipartType {
        use MultipartReplyBody as Answer;
        match &self.body {
            Answer::Desc(_) => MultipartType::Desc,
            Answer::Flow(_) => MultipartType::Flow,
            Answer::Aggregate(_) => MultipartType::Aggregate,
            Answer::Table(_) => MultipartType::Table,
            Answer::PortStats(_) => MultipartType::PortStats,
            Answer::Queue(_) => MultipartType::Queue,
            Answer::Group(_) => MultipartType::Group,
            Answer::GroupDesc(_) => MultipartType::GroupDesc,
            Answer::GroupFeatures(_) => MultipartType::GroupFeatures,
            Answer::Meter(_) => MultipartType::Meter,
            Answer::MeterConfig(_) => MultipartType::MeterConfig,
            Answer::MeterFeatures(_) => MultipartType::MeterFeatures,
            Answer::TableFeatures(_) => MultipartType::TableFeatures,
            Answer::PortDesc(_) => MultipartType::PortDesc,
            Answer::Experimenter(_) => MultipartType::Experimenter,
            Answer::Other { kind, .. } => MultipartType::from(*kind),
        }
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        use MultipartReplyBody as Answer;
        out.u16(self.multipart_type().into());
        out.u16(self.flags.0);
        out.pad(4);
        match &self.body {
            Answer::Desc(desc) => desc.encode(out),
            Answer::Flow(list) => list.iter().for_each(|flow| flow.encode(out)),
            Answer::Aggregate(sum) => sum.encode(out),
            Answer::Table(list) => list.iter().for_each(|table| table.encode(out)),
            Answer::PortStats(list) => list.iter().for_each(|port| port.encode(out)),
            Answer::Queue(list) => list.iter().for_each(|queue| queue.encode(out)),
            Answer::Group(list) => list.iter().for_each(|group| group.encode(out)),
            Answer::GroupDesc(list) => list.iter().for_each(|group| group.encode(out)),
            Answer::GroupFeatures(features) => features.encode(out),
            Answer::Meter(list) => list.iter().for_each(|meter| meter.encode(out)),
            Answer::MeterConfig(list) => list.iter().for_each(|meter| meter.encode(out)),
            Answer::MeterFeatures(features) => features.encode(out),
            Answer::TableFeatures(list) => list.iter().for_each(|table| table.encode(out)),
            Answer::PortDesc(list) => list.iter().for_each(|port| port.encode(out)),
            Answer::Experimenter(experimenter) => experimenter.encode(out),
            Answer::Other { data, .. } => out.bytes(data),
        }
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        use MultipartReplyBody as Answer;
        let kind = body.u16("multipart type")?;
        let flags = MultipartFlags(body.u16("multipart flags")?);
        body.skip(4, "multipart pad")?;
        let body = match MultipartType::from(kind) {
            MultipartType::Desc => Answer::Desc(Box::new(Desc::decode(body)?)),
            MultipartType::Flow => Answer::Flow(body.many(FlowStats::decode)?),
            MultipartType::Aggregate => Answer::Aggregate(AggregateStats::decode(body)?),
            MultipartType::Table => Answer::Table(body.many(TableStats::decode)?),
            MultipartType::PortStats => Answer::PortStats(body.many(PortStats::decode)?),
            MultipartType::Queue => Answer::Queue(body.many(QueueStats::decode)?),
            MultipartType::Group => Answer::Group(body.many(GroupStats::decode)?),
            MultipartType::GroupDesc => Answer::GroupDesc(body.many(GroupDesc::decode)?),
            MultipartType::GroupFeatures => Answer::GroupFeatures(GroupFeatures::decode(body)?),
            MultipartType::Meter => Answer::Meter(body.many(MeterStats::decode)?),
            MultipartType::MeterConfig => Answer::MeterConfig(body.many(MeterConfig::decode)?),
            MultipartType::MeterFeatures => Answer::MeterFeatures(MeterFeatures::decode(body)?),
            MultipartType::TableFeatures => {
                Answer::TableFeatures(body.many(TableFeatures::decode)?)
            }
            MultipartType::PortDesc => Answer::PortDesc(body.many(Port::decode)?),
            MultipartType::Experimenter => {
                Answer::Experimenter(ExperimenterMultipart::decode(body)?)
            }
            MultipartType::Other(kind) => Answer::Other { kind, data: body.remainder() },
        };
        Ok(Self { flags, body })
    }
}
