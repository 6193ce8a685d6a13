//! A flow is gone (1.3.5, 7.4.2).

use crate::flow_match::Match;
use crate::id::TableId;
use crate::wire::{Failure, Reader, Writer};

/// A flow is gone, and what it counted (`ofp_flow_removed`).
///
/// cookie u64 | priority u16 | reason u8 | table_id u8 | duration_sec u32 | duration_nsec u32 |
/// idle_timeout u16 | hard_timeout u16 | packet_count u64 | byte_count u64 | match
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FlowRemoved {
    /// The flow's cookie.
    pub cookie: u64,
    /// The flow's priority.
    pub priority: u16,
    /// Why it went.
    pub reason: FlowRemovedReason,
    /// The flow's table.
    pub table_id: TableId,
    /// Whole seconds that it lived.
    pub duration_sec: u32,
    /// Nanoseconds beyond those.
    pub duration_nsec: u32,
    /// The flow's idle timeout in seconds.
    pub idle_timeout: u16,
    /// The flow's hard timeout in seconds.
    pub hard_timeout: u16,
    /// Frames that it matched.
    pub packet_count: u64,
    /// Bytes of those frames.
    pub byte_count: u64,
    /// The flow's match.
    #[cfg_attr(feature = "serde", serde(rename = "match"))]
    pub match_: Match,
}

wire_enum! {
    /// Why a flow went (`ofp_flow_removed_reason`).
    pub enum FlowRemovedReason: u8 {
        /// No frame for too long.
        IdleTimeout = 0 => "idle_timeout",
        /// Its time was over.
        HardTimeout = 1 => "hard_timeout",
        /// A flow-mod deleted it.
        Delete = 2 => "delete",
        /// Its group was deleted.
        GroupDelete = 3 => "group_delete",
    }
}

impl FlowRemoved {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.cookie);
        out.u16(self.priority);
        out.u8(self.reason.into());
        out.u8(self.table_id.0);
        out.u32(self.duration_sec);
        out.u32(self.duration_nsec);
        out.u16(self.idle_timeout);
        out.u16(self.hard_timeout);
        out.u64(self.packet_count);
        out.u64(self.byte_count);
        self.match_.encode(out);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        Ok(Self {
            cookie: body.u64("cookie")?,
            priority: body.u16("priority")?,
            reason: body.u8("reason")?.into(),
            table_id: TableId(body.u8("table_id")?),
            duration_sec: body.u32("duration_sec")?,
            duration_nsec: body.u32("duration_nsec")?,
            idle_timeout: body.u16("idle_timeout")?,
            hard_timeout: body.u16("hard_timeout")?,
            packet_count: body.u64("packet_count")?,
            byte_count: body.u64("byte_count")?,
            match_: Match::decode(body)?,
        })
    }
}
