//! Flows and what they counted (1.3.5, 7.3.5.2, 7.3.5.3).

use crate::flow_match::Match;
use crate::id::{GroupId, PortNo, TableId};
use crate::instruction::Instruction;
use crate::message::FlowModFlags;
use crate::wire::{Failure, Reader, Writer};

/// Which flows are asked for (`ofp_flow_stats_request`, `ofp_aggregate_stats_request`).
///
/// table_id u8 | pad 3 | out_port u32 | out_group u32 | pad 4 | cookie u64 | cookie_mask u64 | match
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FlowStatsRequest {
    /// The table, or `ALL`.
    pub table_id: TableId,
    /// Only flows that send here; `ANY` doesn't compare.
    pub out_port: PortNo,
    /// Only flows that go to this group; `ANY` doesn't compare.
    pub out_group: GroupId,
    /// Only flows with this cookie,
    pub cookie: u64,
    /// in these bits; 0 doesn't compare.
    pub cookie_mask: u64,
    /// Only flows that this match covers.
    #[cfg_attr(feature = "serde", serde(rename = "match"))]
    pub match_: Match,
}

/// All flows of all tables.
impl Default for FlowStatsRequest {
    fn default() -> Self {
        Self {
            table_id: TableId::ALL,
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
            cookie: 0,
            cookie_mask: 0,
            match_: Match::new(),
        }
    }
}

impl FlowStatsRequest {
    /// All flows whose cookie is `cookie` in the bits of `mask`.
    #[must_use]
    pub fn by_cookie(cookie: u64, mask: u64) -> Self {
        Self { cookie, cookie_mask: mask, ..Self::default() }
    }

    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u8(self.table_id.0);
        out.pad(3);
        out.u32(self.out_port.0);
        out.u32(self.out_group.0);
        out.pad(4);
        out.u64(self.cookie);
        out.u64(self.cookie_mask);
        self.match_.encode(out);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let table_id = TableId(body.u8("table_id")?);
        body.skip(3, "flow request pad")?;
        let out_port = PortNo(body.u32("out_port")?);
        let out_group = GroupId(body.u32("out_group")?);
        body.skip(4, "flow request pad")?;
        let cookie = body.u64("cookie")?;
        let cookie_mask = body.u64("cookie_mask")?;
        let match_ = Match::decode(body)?;
        Ok(Self { table_id, out_port, out_group, cookie, cookie_mask, match_ })
    }
}

/// One flow and what it counted (`ofp_flow_stats`).
///
/// length u16 | table_id u8 | pad 1 | duration_sec u32 | duration_nsec u32 | priority u16 |
/// idle_timeout u16 | hard_timeout u16 | flags u16 | pad 4 | cookie u64 | packet_count u64 |
/// byte_count u64 | match | instructions …
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FlowStats {
    /// The flow's table.
    pub table_id: TableId,
    /// Whole seconds that it has lived.
    pub duration_sec: u32,
    /// Nanoseconds beyond those.
    pub duration_nsec: u32,
    /// The flow's priority.
    pub priority: u16,
    /// The flow's idle timeout in seconds.
    pub idle_timeout: u16,
    /// The flow's hard timeout in seconds.
    pub hard_timeout: u16,
    /// How the flow is treated.
    pub flags: FlowModFlags,
    /// The flow's cookie.
    pub cookie: u64,
    /// Frames that it matched; all ones if they aren't counted.
    pub packet_count: u64,
    /// Bytes of those frames; all ones if they aren't counted.
    pub byte_count: u64,
    /// The flow's match.
    #[cfg_attr(feature = "serde", serde(rename = "match"))]
    pub match_: Match,
    /// The flow's instructions.
    pub instructions: Vec<Instruction>,
}

impl FlowStats {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        let start = out.len();
        out.block::<48>(|block| {
            block.u16(0);
            block.u8(self.table_id.0);
            block.pad(1);
            block.u32(self.duration_sec);
            block.u32(self.duration_nsec);
            block.u16(self.priority);
            block.u16(self.idle_timeout);
            block.u16(self.hard_timeout);
            block.u16(self.flags.0);
            block.pad(4);
            block.u64(self.cookie);
            block.u64(self.packet_count);
            block.u64(self.byte_count);
        });
        self.match_.encode(out);
        Instruction::encode_list(&self.instructions, out);
        out.patch_len(start, start);
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut body = list.sized(0, 56, "flow stats length")?;
        body.skip(2, "flow stats length")?;
        let table_id = TableId(body.u8("table_id")?);
        body.skip(1, "flow stats pad")?;
        let duration_sec = body.u32("duration_sec")?;
        let duration_nsec = body.u32("duration_nsec")?;
        let priority = body.u16("priority")?;
        let idle_timeout = body.u16("idle_timeout")?;
        let hard_timeout = body.u16("hard_timeout")?;
        let flags = FlowModFlags(body.u16("flags")?);
        body.skip(4, "flow stats pad")?;
        let cookie = body.u64("cookie")?;
        let packet_count = body.u64("packet_count")?;
        let byte_count = body.u64("byte_count")?;
        let match_ = Match::decode(&mut body)?;
        let instructions = Instruction::decode_list(body)?;
        Ok(Self {
            table_id,
            duration_sec,
            duration_nsec,
            priority,
            idle_timeout,
            hard_timeout,
            flags,
            cookie,
            packet_count,
            byte_count,
            match_,
            instructions,
        })
    }
}

/// What several flows counted together (`ofp_aggregate_stats_reply`).
///
/// packet_count u64 | byte_count u64 | flow_count u32 | pad 4
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct AggregateStats {
    /// Frames that they matched.
    pub packet_count: u64,
    /// Bytes of those frames.
    pub byte_count: u64,
    /// How many flows.
    pub flow_count: u32,
}

impl AggregateStats {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.packet_count);
        out.u64(self.byte_count);
        out.u32(self.flow_count);
        out.pad(4);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let packet_count = body.u64("packet_count")?;
        let byte_count = body.u64("byte_count")?;
        let flow_count = body.u32("flow_count")?;
        body.skip(4, "aggregate pad")?;
        Ok(Self { packet_count, byte_count, flow_count })
    }
}
