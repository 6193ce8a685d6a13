//! What a flow does with the frames it matches (1.3.5, 7.2.4).
//!
//! type u16 | length u16, a multiple of 8 | …

use bytes::Bytes;

use crate::action::Action;
use crate::id::{MeterId, TableId};
use crate::wire::{Failure, Reader, Scope, Writer};

wire_enum! {
    /// What an instruction does (`ofp_instruction_type`).
    pub enum InstructionType: u16 {
        /// Goes on in a later table.
        GotoTable = 1 => "goto_table",
        /// Writes metadata for later tables.
        WriteMetadata = 2 => "write_metadata",
        /// Adds actions to the action set.
        WriteActions = 3 => "write_actions",
        /// Carries actions out at once.
        ApplyActions = 4 => "apply_actions",
        /// Empties the action set.
        ClearActions = 5 => "clear_actions",
        /// Goes through a meter.
        Meter = 6 => "meter",
        /// Whatever an experimenter defined.
        Experimenter = 0xffff => "experimenter",
    }
}

/// One thing a flow does with a frame.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum Instruction {
    /// Goes on in a table with a higher number.
    GotoTable(TableId),
    /// Writes the bits of `metadata` that are set in `mask`.
    WriteMetadata {
        /// The bits to write.
        metadata: u64,
        /// Which bits to write.
        mask: u64,
    },
    /// Adds actions to the set that is carried out after the last table.
    WriteActions(Vec<Action>),
    /// Carries actions out at once, in this order.
    ApplyActions(Vec<Action>),
    /// Empties the action set.
    ///
    /// Its structure has room for actions, which the specification says are none;
    /// what came is kept.
    ClearActions(Vec<Action>),
    /// Goes through a meter, which may drop the frame.
    Meter(MeterId),
    /// Whatever an experimenter defined.
    Experimenter {
        /// Who the experimenter is.
        experimenter: u32,
        /// All behind the id; its end is padded with zeros to a multiple of 8.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
        data: Bytes,
    },
    /// An instruction that the specification doesn't name, as it came.
    Other {
        /// The instruction's type.
        kind: u16,
        /// All behind the length; its end is padded with zeros to 4 more than a multiple of 8.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
        data: Bytes,
    },
}

impl Instruction {
    /// Goes on in a table with a higher number.
    #[must_use]
    pub fn goto(table: impl Into<TableId>) -> Self {
        Self::GotoTable(table.into())
    }

    /// Writes all 64 bits of metadata.
    #[must_use]
    pub const fn write_metadata(metadata: u64) -> Self {
        Self::WriteMetadata { metadata, mask: u64::MAX }
    }

    /// Carries actions out at once, in this order.
    #[must_use]
    pub fn apply(actions: impl IntoIterator<Item = Action>) -> Self {
        Self::ApplyActions(actions.into_iter().collect())
    }

    /// Adds actions to the set that is carried out after the last table.
    #[must_use]
    pub fn write(actions: impl IntoIterator<Item = Action>) -> Self {
        Self::WriteActions(actions.into_iter().collect())
    }

    /// What this instruction does.
    #[must_use]
    pub fn instruction_type(&self) -> InstructionType {
        match self {
            Self::GotoTable(_) => InstructionType::GotoTable,
            Self::WriteMetadata { .. } => InstructionType::WriteMetadata,
            Self::WriteActions(_) => InstructionType::WriteActions,
            Self::ApplyActions(_) => InstructionType::ApplyActions,
            Self::ClearActions(_) => InstructionType::ClearActions,
            Self::Meter(_) => InstructionType::Meter,
            Self::Experimenter { .. } => InstructionType::Experimenter,
            Self::Other { kind, .. } => InstructionType::from(*kind),
        }
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        let kind: u16 = self.instruction_type().into();
        let start = out.len();
        match self {
            Self::GotoTable(table) => short(kind, [table.0, 0, 0, 0], out),
            Self::WriteMetadata { metadata, mask } => out.block::<24>(|block| {
                block.u16(kind);
                block.u16(24);
                block.pad(4);
                block.u64(*metadata);
                block.u64(*mask);
            }),
            Self::WriteActions(actions)
            | Self::ApplyActions(actions)
            | Self::ClearActions(actions) => {
                short(kind, [0; 4], out);
                Action::encode_list(actions, out);
                out.patch_len(start + 2, start);
            }
            Self::Meter(meter) => short(kind, meter.0.to_be_bytes(), out),
            Self::Experimenter { experimenter, data } => {
                short(kind, experimenter.to_be_bytes(), out);
                out.bytes(data);
                out.align(start);
                out.patch_len(start + 2, start);
            }
            Self::Other { data, .. } => {
                out.u16(kind);
                out.u16(0);
                out.bytes(data);
                out.align(start);
                out.patch_len(start + 2, start);
            }
        }
    }

    pub(crate) fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let (kind, mut body) = list.aligned("instruction length")?;
        let instruction = match InstructionType::from(kind) {
            InstructionType::GotoTable => {
                let table = TableId(body.u8("goto table_id")?);
                body.skip(3, "goto padding")?;
                body.finish("goto_table")?;
                Self::GotoTable(table)
            }
            InstructionType::WriteMetadata => {
                body.skip(4, "write_metadata padding")?;
                let metadata = body.u64("metadata")?;
                let mask = body.u64("metadata_mask")?;
                body.finish("write_metadata")?;
                Self::WriteMetadata { metadata, mask }
            }
            InstructionType::WriteActions => Self::WriteActions(Self::actions(body)?),
            InstructionType::ApplyActions => Self::ApplyActions(Self::actions(body)?),
            InstructionType::ClearActions => Self::ClearActions(Self::actions(body)?),
            InstructionType::Meter => {
                let meter = MeterId(body.u32("meter_id")?);
                body.finish("meter")?;
                Self::Meter(meter)
            }
            InstructionType::Experimenter => {
                let experimenter = body.u32("instruction experimenter")?;
                Self::Experimenter { experimenter, data: body.remainder() }
            }
            InstructionType::Other(kind) => Self::Other { kind, data: body.remainder() },
        };
        Ok(instruction)
    }

    fn actions(mut body: Reader<'_>) -> Result<Vec<Action>, Failure> {
        body.skip(4, "instruction padding")?;
        Action::decode_list(body)
    }

    /// A list that ends where `body` does.
    pub(crate) fn decode_list(body: Reader<'_>) -> Result<Vec<Self>, Failure> {
        body.scoped(Scope::Instruction).many(Self::decode)
    }

    pub(crate) fn encode_list(list: &[Self], out: &mut Writer<'_>) {
        for instruction in list {
            instruction.encode(out);
        }
    }
}

/// An instruction of 8 bytes, or the first 8 of a longer one.
fn short(kind: u16, content: [u8; 4], out: &mut Writer<'_>) {
    out.block::<8>(|block| {
        block.u16(kind);
        block.u16(8);
        block.bytes(content);
    });
}
