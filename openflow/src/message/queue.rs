//! The queues of a port (1.3.5, 7.2.2, 7.3.6).

use bytes::Bytes;

use crate::id::{PortNo, QueueId};
use crate::wire::{Failure, Reader, Writer};

/// Asks for the queues of a port (`ofp_queue_get_config_request`).
///
/// port u32 | pad 4
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct QueueGetConfigRequest {
    /// The port, or `ANY`.
    pub port: PortNo,
}

impl QueueGetConfigRequest {
    pub(crate) fn encode(self, out: &mut Writer<'_>) {
        out.u32(self.port.0);
        out.pad(4);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let port = PortNo(body.u32("port")?);
        body.skip(4, "queue_get_config pad")?;
        Ok(Self { port })
    }
}

/// The queues of a port (`ofp_queue_get_config_reply`).
///
/// port u32 | pad 4 | queues …
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct QueueGetConfigReply {
    /// The port that was asked for.
    pub port: PortNo,
    /// Its queues.
    pub queues: Vec<PacketQueue>,
}

impl QueueGetConfigReply {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.port.0);
        out.pad(4);
        for queue in &self.queues {
            queue.encode(out);
        }
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let port = PortNo(body.u32("port")?);
        body.skip(4, "queue_get_config pad")?;
        Ok(Self { port, queues: body.many(PacketQueue::decode)? })
    }
}

/// One queue (`ofp_packet_queue`).
///
/// queue_id u32 | port u32 | length u16 | pad 6 | properties …
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PacketQueue {
    /// The queue.
    pub queue_id: QueueId,
    /// Its port.
    pub port: PortNo,
    /// How it is set.
    pub properties: Vec<QueueProperty>,
}

impl PacketQueue {
    fn encode(&self, out: &mut Writer<'_>) {
        let start = out.len();
        out.u32(self.queue_id.0);
        out.u32(self.port.0);
        out.u16(0);
        out.pad(6);
        for property in &self.properties {
            property.encode(out);
        }
        out.patch_len(start + 8, start);
    }

    fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut body = list.sized(8, 16, "queue length")?;
        let queue_id = QueueId(body.u32("queue_id")?);
        let port = PortNo(body.u32("queue port")?);
        body.skip(8, "queue pad")?;
        Ok(Self { queue_id, port, properties: body.many(QueueProperty::decode)? })
    }
}

/// How a queue is set (`ofp_queue_prop_header`).
///
/// property u16 | length u16 | pad 4 | …
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum QueueProperty {
    /// Guaranteed rate in 1/1000 of the port's; above 1000, none.
    MinRate(u16),
    /// Highest rate in 1/1000 of the port's; above 1000, none.
    MaxRate(u16),
    /// Whatever an experimenter defined.
    Experimenter {
        /// Who the experimenter is.
        experimenter: u32,
        /// All behind the padding.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
        data: Bytes,
    },
    /// A property that the specification doesn't name, as it came.
    Other {
        /// The property's type.
        kind: u16,
        /// All behind the header's padding.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
        data: Bytes,
    },
}

impl QueueProperty {
    const MIN_RATE: u16 = 1;
    const MAX_RATE: u16 = 2;
    const EXPERIMENTER: u16 = 0xffff;

    fn encode(&self, out: &mut Writer<'_>) {
        let start = out.len();
        out.u16(match self {
            Self::MinRate(_) => Self::MIN_RATE,
            Self::MaxRate(_) => Self::MAX_RATE,
            Self::Experimenter { .. } => Self::EXPERIMENTER,
            Self::Other { kind, .. } => *kind,
        });
        out.u16(0);
        out.pad(4);
        match self {
            Self::MinRate(rate) | Self::MaxRate(rate) => {
                out.u16(*rate);
                out.pad(6);
            }
            Self::Experimenter { experimenter, data } => {
                out.u32(*experimenter);
                out.pad(4);
                out.bytes(data);
            }
            Self::Other { data, .. } => out.bytes(data),
        }
        out.patch_len(start + 2, start);
    }

    fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut body = list.sized(2, 8, "queue property length")?;
        let kind = body.u16("queue property")?;
        body.skip(6, "queue property pad")?;
        let rate = |body: &mut Reader<'_>| -> Result<u16, Failure> {
            let rate = body.u16("queue rate")?;
            body.skip(6, "queue rate pad")?;
            body.finish("queue property")?;
            Ok(rate)
        };
        Ok(match kind {
            Self::MIN_RATE => Self::MinRate(rate(&mut body)?),
            Self::MAX_RATE => Self::MaxRate(rate(&mut body)?),
            Self::EXPERIMENTER => {
                let experimenter = body.u32("queue experimenter")?;
                body.skip(4, "queue experimenter pad")?;
                Self::Experimenter { experimenter, data: body.remainder() }
            }
            kind => Self::Other { kind, data: body.remainder() },
        })
    }
}
