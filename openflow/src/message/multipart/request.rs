//! What a controller asks (1.3.5, 7.3.5, `ofp_multipart_request`).

use bytes::Bytes;

use super::{
    ExperimenterMultipart, FlowStatsRequest, MultipartFlags, MultipartType, QueueStatsRequest,
    TableFeatures,
};
use crate::id::{GroupId, MeterId, PortNo};
use crate::wire::{Failure, Reader, Writer};

/// Asks for statistics or descriptions.
///
/// type u16 | flags u16 | pad 4 | body
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MultipartRequest {
    /// Whether the request goes on in another message.
    pub flags: MultipartFlags,
    /// What is asked.
    pub body: MultipartRequestBody,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum MultipartRequestBody {
    /// Texts about the switch.
    Desc,
    /// Flows, each one.
    Flow(FlowStatsRequest),
    /// Flows, in sum.
    Aggregate(FlowStatsRequest),
    /// Tables' counters.
    Table,
    /// A port's counters, or with `ANY` all ports'.
    PortStats(PortNo),
    /// A queue's counters.
    Queue(QueueStatsRequest),
    /// A group's counters, or with `ALL` all groups'.
    Group(GroupId),
    /// All groups.
    GroupDesc,
    /// What groups the switch can do.
    GroupFeatures,
    /// A meter's counters, or with `ALL` all meters'.
    Meter(MeterId),
    /// A meter, or with `ALL` all.
    MeterConfig(MeterId),
    /// What meters the switch can do.
    MeterFeatures,
    /// What each table can do; tables given here ask to change that.
    TableFeatures(Vec<TableFeatures>),
    /// All ports.
    PortDesc,
    /// Whatever an experimenter defined.
    Experimenter(ExperimenterMultipart),
    /// A request that the specification doesn't name, as it came.
    Other {
        /// The multipart type.
        kind: u16,
        /// All behind the padding.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
        data: Bytes,
    },
}

impl From<MultipartRequestBody> for MultipartRequest {
    fn from(body: MultipartRequestBody) -> Self {
        Self { flags: MultipartFlags::EMPTY, body }
    }
}

impl MultipartRequest {
    /// What the request is about.
    #[must_use]
    pub fn multipart_type(&self) -> MultipartType {
        use MultipartRequestBody as Ask;
        match &self.body {
            Ask::Desc => MultipartType::Desc,
            Ask::Flow(_) => MultipartType::Flow,
            Ask::Aggregate(_) => MultipartType::Aggregate,
            Ask::Table => MultipartType::Table,
            Ask::PortStats(_) => MultipartType::PortStats,
            Ask::Queue(_) => MultipartType::Queue,
            Ask::Group(_) => MultipartType::Group,
            Ask::GroupDesc => MultipartType::GroupDesc,
            Ask::GroupFeatures => MultipartType::GroupFeatures,
            Ask::Meter(_) => MultipartType::Meter,
            Ask::MeterConfig(_) => MultipartType::MeterConfig,
            Ask::MeterFeatures => MultipartType::MeterFeatures,
            Ask::TableFeatures(_) => MultipartType::TableFeatures,
            Ask::PortDesc => MultipartType::PortDesc,
            Ask::Experimenter(_) => MultipartType::Experimenter,
            Ask::Other { kind, .. } => MultipartType::from(*kind),
        }
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        use MultipartRequestBody as Ask;
        out.u16(self.multipart_type().into());
        out.u16(self.flags.0);
        out.pad(4);
        match &self.body {
            Ask::Desc
            | Ask::Table
            | Ask::GroupDesc
            | Ask::GroupFeatures
            | Ask::MeterFeatures
            | Ask::PortDesc => {}
            Ask::Flow(request) | Ask::Aggregate(request) => request.encode(out),
            Ask::Queue(request) => request.encode(out),
            Ask::PortStats(PortNo(id))
            | Ask::Group(GroupId(id))
            | Ask::Meter(MeterId(id))
            | Ask::MeterConfig(MeterId(id)) => {
                out.u32(*id);
                out.pad(4);
            }
            Ask::TableFeatures(tables) => tables.iter().for_each(|table| table.encode(out)),
            Ask::Experimenter(experimenter) => experimenter.encode(out),
            Ask::Other { data, .. } => out.bytes(data),
        }
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        use MultipartRequestBody as Ask;
        let kind = body.u16("multipart type")?;
        let flags = MultipartFlags(body.u16("multipart flags")?);
        body.skip(4, "multipart pad")?;
        let id = |body: &mut Reader<'_>, field| -> Result<u32, Failure> {
            let id = body.u32(field)?;
            body.skip(4, "multipart request pad")?;
            Ok(id)
        };
        let body = match MultipartType::from(kind) {
            MultipartType::Desc => Ask::Desc,
            MultipartType::Flow => Ask::Flow(FlowStatsRequest::decode(body)?),
            MultipartType::Aggregate => Ask::Aggregate(FlowStatsRequest::decode(body)?),
            MultipartType::Table => Ask::Table,
            MultipartType::PortStats => Ask::PortStats(PortNo(id(body, "port_no")?)),
            MultipartType::Queue => Ask::Queue(QueueStatsRequest::decode(body)?),
            MultipartType::Group => Ask::Group(GroupId(id(body, "group_id")?)),
            MultipartType::GroupDesc => Ask::GroupDesc,
            MultipartType::GroupFeatures => Ask::GroupFeatures,
            MultipartType::Meter => Ask::Meter(MeterId(id(body, "meter_id")?)),
            MultipartType::MeterConfig => Ask::MeterConfig(MeterId(id(body, "meter_id")?)),
            MultipartType::MeterFeatures => Ask::MeterFeatures,
            MultipartType::TableFeatures => Ask::TableFeatures(body.many(TableFeatures::decode)?),
            MultipartType::PortDesc => Ask::PortDesc,
            MultipartType::Experimenter => Ask::Experimenter(ExperimenterMultipart::decode(body)?),
            MultipartType::Other(kind) => Ask::Other { kind, data: body.remainder() },
        };
        Ok(Self { flags, body })
    }
}
