//! A frame for the controller (1.3.5, 7.4.1).

use bytes::Bytes;

use crate::flow_match::Match;
use crate::id::{BufferId, PortNo, TableId};
use crate::wire::{Failure, Reader, Writer};

/// A frame for the controller (`ofp_packet_in`).
///
/// buffer_id u32 | total_len u16 | reason u8 | table_id u8 | cookie u64 | match | pad 2 | frame …
///
/// The frame is never copied: it shares the message's buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PacketIn {
    /// Where the switch keeps the whole frame, or `NONE`.
    pub buffer_id: BufferId,
    /// Bytes of the whole frame; `data` may have fewer.
    pub total_len: u16,
    /// Why it is sent.
    pub reason: PacketInReason,
    /// The table whose flow sent it.
    pub table_id: TableId,
    /// That flow's cookie; all ones if there is none.
    pub cookie: u64,
    /// What the switch knows beside the frame: `in_port`, metadata, tunnel id.
    #[cfg_attr(feature = "serde", serde(rename = "match"))]
    pub match_: Match,
    /// The frame, or its first bytes.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
    pub data: Bytes,
}

wire_enum! {
    /// Why a frame is sent to the controller (`ofp_packet_in_reason`).
    pub enum PacketInReason: u8 {
        /// No flow matched but the table-miss one.
        NoMatch = 0 => "no_match",
        /// A flow's or group's output to the controller.
        Action = 1 => "action",
        /// The TTL is invalid.
        InvalidTtl = 2 => "invalid_ttl",
    }
}

impl PacketIn {
    /// The port the frame came in by; every switch has to say.
    #[must_use]
    pub fn in_port(&self) -> Option<PortNo> {
        self.match_.in_port_field().map(|port| port.value)
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.buffer_id.0);
        out.u16(self.total_len);
        out.u8(self.reason.into());
        out.u8(self.table_id.0);
        out.u64(self.cookie);
        self.match_.encode(out);
        out.pad(2);
        out.bytes(&self.data);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let buffer_id = BufferId(body.u32("buffer_id")?);
        let total_len = body.u16("total_len")?;
        let reason = body.u8("reason")?.into();
        let table_id = TableId(body.u8("table_id")?);
        let cookie = body.u64("cookie")?;
        let match_ = Match::decode(body)?;
        body.skip(2, "packet_in pad")?;
        Ok(Self { buffer_id, total_len, reason, table_id, cookie, match_, data: body.remainder() })
    }
}
