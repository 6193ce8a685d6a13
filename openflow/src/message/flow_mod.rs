//! Changes to flows (1.3.5, 7.3.4.1).

use crate::flow_match::Match;
use crate::id::{BufferId, GroupId, PortNo, TableId};
use crate::instruction::Instruction;
use crate::wire::{Failure, Reader, Writer};

/// Adds, changes or deletes flows (`ofp_flow_mod`).
///
/// cookie u64 | cookie_mask u64 | table_id u8 | command u8 | idle_timeout u16 | hard_timeout u16 |
/// priority u16 | buffer_id u32 | out_port u32 | out_group u32 | flags u16 | pad 2 | match | instructions …
///
/// ```
/// use openflow::{Action, FlowMod, Instruction, Match};
/// let flow = FlowMod::add(0)
///     .priority(100)
///     .cookie(7)
///     .matching(Match::new().in_port(1).eth_type(0x0806))
///     .instruction(Instruction::write_metadata(42))
///     .instruction(Instruction::goto(1));
/// let gone = FlowMod::delete(0).cookie(7).cookie_mask(u64::MAX);
/// # let _ = (flow, gone, Action::output(1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FlowMod {
    /// The controller's own mark; for changes and deletions what to compare.
    pub cookie: u64,
    /// Bits of the cookie that must be equal; 0 doesn't compare. Not for additions.
    pub cookie_mask: u64,
    /// The table; `ALL` in deletions for every one.
    pub table_id: TableId,
    /// What to do.
    pub command: FlowModCommand,
    /// Seconds without a frame after which the flow goes; 0 never.
    pub idle_timeout: u16,
    /// Seconds after which the flow goes; 0 never.
    pub hard_timeout: u16,
    /// Of several flows that match, the highest priority wins.
    pub priority: u16,
    /// A frame that the switch keeps and the new flow should see, or `NONE`.
    pub buffer_id: BufferId,
    /// Deletes only flows that send here; `ANY` doesn't compare.
    pub out_port: PortNo,
    /// Deletes only flows that go to this group; `ANY` doesn't compare.
    pub out_group: GroupId,
    /// How to do it.
    pub flags: FlowModFlags,
    /// Which frames it is about.
    #[cfg_attr(feature = "serde", serde(rename = "match"))]
    pub match_: Match,
    /// What to do with them.
    pub instructions: Vec<Instruction>,
}

wire_enum! {
    /// What to do with flows (`ofp_flow_mod_command`).
    pub enum FlowModCommand: u8 {
        /// Adds a flow, over one with the same match and priority.
        Add = 0 => "add",
        /// Changes the instructions of all flows that the match covers.
        Modify = 1 => "modify",
        /// Changes the flow with this match and priority.
        ModifyStrict = 2 => "modify_strict",
        /// Deletes all flows that the match covers.
        Delete = 3 => "delete",
        /// Deletes the flow with this match and priority.
        DeleteStrict = 4 => "delete_strict",
    }
}

wire_flags! {
    /// How to treat a flow (`ofp_flow_mod_flags`).
    pub struct FlowModFlags(u16) {
        /// Send a flow-removed when it goes.
        SEND_FLOW_REM = 1 << 0 => "send_flow_rem",
        /// Refuse it if another of the same priority overlaps.
        CHECK_OVERLAP = 1 << 1 => "check_overlap",
        /// Start counting anew.
        RESET_COUNTS = 1 << 2 => "reset_counts",
        /// Frames needn't be counted.
        NO_PKT_COUNTS = 1 << 3 => "no_packet_counts",
        /// Bytes needn't be counted.
        NO_BYT_COUNTS = 1 << 4 => "no_byte_counts",
    }
}

/// Adds a flow to table 0 that matches every frame and drops it, at priority 0.
impl Default for FlowMod {
    fn default() -> Self {
        Self {
            cookie: 0,
            cookie_mask: 0,
            table_id: TableId(0),
            command: FlowModCommand::Add,
            idle_timeout: 0,
            hard_timeout: 0,
            priority: 0,
            buffer_id: BufferId::NONE,
            out_port: PortNo::ANY,
            out_group: GroupId::ANY,
            flags: FlowModFlags::EMPTY,
            match_: Match::new(),
            instructions: Vec::new(),
        }
    }
}

impl FlowMod {
    /// A command on a table; nothing compared, nothing matched, nothing done yet.
    #[must_use]
    pub fn new(command: FlowModCommand, table_id: impl Into<TableId>) -> Self {
        Self { command, table_id: table_id.into(), ..Self::default() }
    }

    /// Adds a flow to a table.
    #[must_use]
    pub fn add(table_id: impl Into<TableId>) -> Self {
        Self::new(FlowModCommand::Add, table_id)
    }

    /// Changes what all flows of a table that the match covers do.
    #[must_use]
    pub fn modify(table_id: impl Into<TableId>) -> Self {
        Self::new(FlowModCommand::Modify, table_id)
    }

    /// Changes what the flow with just this match and priority does.
    #[must_use]
    pub fn modify_strict(table_id: impl Into<TableId>) -> Self {
        Self::new(FlowModCommand::ModifyStrict, table_id)
    }

    /// Deletes all flows of a table, or of `TableId::ALL`, that the match covers.
    #[must_use]
    pub fn delete(table_id: impl Into<TableId>) -> Self {
        Self::new(FlowModCommand::Delete, table_id)
    }

    /// Deletes the flow with just this match and priority.
    #[must_use]
    pub fn delete_strict(table_id: impl Into<TableId>) -> Self {
        Self::new(FlowModCommand::DeleteStrict, table_id)
    }

    /// Sets the cookie.
    #[must_use]
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.cookie = cookie;
        self
    }

    /// Sets which bits of the cookie to compare.
    #[must_use]
    pub fn cookie_mask(mut self, mask: u64) -> Self {
        self.cookie_mask = mask;
        self
    }

    /// Sets the priority.
    #[must_use]
    pub fn priority(mut self, priority: u16) -> Self {
        self.priority = priority;
        self
    }

    /// Sets after how many seconds without a frame the flow goes.
    #[must_use]
    pub fn idle_timeout(mut self, seconds: u16) -> Self {
        self.idle_timeout = seconds;
        self
    }

    /// Sets after how many seconds the flow goes.
    #[must_use]
    pub fn hard_timeout(mut self, seconds: u16) -> Self {
        self.hard_timeout = seconds;
        self
    }

    /// Deletes only flows that send to this port.
    #[must_use]
    pub fn out_port(mut self, port: impl Into<PortNo>) -> Self {
        self.out_port = port.into();
        self
    }

    /// Deletes only flows that go to this group.
    #[must_use]
    pub fn out_group(mut self, group: impl Into<GroupId>) -> Self {
        self.out_group = group.into();
        self
    }

    /// Adds flags.
    #[must_use]
    pub fn flags(mut self, flags: FlowModFlags) -> Self {
        self.flags |= flags;
        self
    }

    /// Sets which frames it is about.
    #[must_use]
    pub fn matching(mut self, match_: Match) -> Self {
        self.match_ = match_;
        self
    }

    /// Adds an instruction.
    #[must_use]
    pub fn instruction(mut self, instruction: Instruction) -> Self {
        self.instructions.push(instruction);
        self
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.block::<40>(|block| {
            block.u64(self.cookie);
            block.u64(self.cookie_mask);
            block.u8(self.table_id.0);
            block.u8(self.command.into());
            block.u16(self.idle_timeout);
            block.u16(self.hard_timeout);
            block.u16(self.priority);
            block.u32(self.buffer_id.0);
            block.u32(self.out_port.0);
            block.u32(self.out_group.0);
            block.u16(self.flags.0);
            block.pad(2);
        });
        self.match_.encode(out);
        Instruction::encode_list(&self.instructions, out);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let cookie = body.u64("cookie")?;
        let cookie_mask = body.u64("cookie_mask")?;
        let table_id = TableId(body.u8("table_id")?);
        let command = body.u8("command")?.into();
        let idle_timeout = body.u16("idle_timeout")?;
        let hard_timeout = body.u16("hard_timeout")?;
        let priority = body.u16("priority")?;
        let buffer_id = BufferId(body.u32("buffer_id")?);
        let out_port = PortNo(body.u32("out_port")?);
        let out_group = GroupId(body.u32("out_group")?);
        let flags = FlowModFlags(body.u16("flags")?);
        body.skip(2, "flow_mod pad")?;
        let match_ = Match::decode(body)?;
        let instructions = Instruction::decode_list(body.part(body.left(), "instructions")?)?;
        Ok(Self {
            cookie,
            cookie_mask,
            table_id,
            command,
            idle_timeout,
            hard_timeout,
            priority,
            buffer_id,
            out_port,
            out_group,
            flags,
            match_,
            instructions,
        })
    }
}
