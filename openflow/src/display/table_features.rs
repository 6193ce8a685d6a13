//! Table features, in Open vSwitch's words, but each list as it came.

use std::fmt;

use super::multipart::ACTIONS;
use crate::action::ActionType;
use crate::message::{ActionId, TableFeatures, TableProperty};
use crate::oxm::OxmId;

impl fmt::Display for TableFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  table {}", self.table_id.0)?;
        if !self.name.is_empty() {
            write!(f, " (\"{}\")", self.name)?;
        }
        write!(
            f,
            ":\n    metadata: match={:#x} write={:#x}",
            self.metadata_match, self.metadata_write
        )?;
        write!(f, "\n    max_entries={}", self.max_entries)?;
        self.properties.iter().try_for_each(|property| write!(f, "\n    {property}"))
    }
}

impl fmt::Display for TableProperty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::NAMED
            .iter()
            .find(|(kind, _)| *kind == self.kind())
            .map_or("other", |(_, name)| *name);
        write!(f, "{}:", name.replace('_', " "))?;
        match self {
            Self::Instructions(list) | Self::InstructionsMiss(list) => {
                list.iter().try_for_each(|id| write!(f, " {}", id.kind))
            }
            Self::NextTables(list) | Self::NextTablesMiss(list) => {
                list.iter().try_for_each(|table| write!(f, " {}", table.0))
            }
            Self::WriteActions(list)
            | Self::WriteActionsMiss(list)
            | Self::ApplyActions(list)
            | Self::ApplyActionsMiss(list) => list.iter().try_for_each(|id| action(f, id)),
            Self::Match(list)
            | Self::Wildcards(list)
            | Self::WriteSetField(list)
            | Self::WriteSetFieldMiss(list)
            | Self::ApplySetField(list)
            | Self::ApplySetFieldMiss(list) => list.iter().try_for_each(|id| field(f, id)),
            Self::Experimenter(body) | Self::ExperimenterMiss(body) => {
                write!(
                    f,
                    " {:#010x} type={} data={}",
                    body.experimenter,
                    body.exp_type,
                    super::Hex(&body.data)
                )
            }
            Self::Other { data, .. } => write!(f, " {}", super::Hex(data)),
        }
    }
}

fn action(f: &mut fmt::Formatter<'_>, id: &ActionId) -> fmt::Result {
    match ACTIONS.iter().find(|(kind, _)| *kind == id.kind) {
        Some((_, name)) => write!(f, " {name}"),
        None if id.kind == ActionType::Experimenter => {
            write!(f, " experimenter({})", super::Hex(&id.data))
        }
        None => write!(f, " {}", id.kind),
    }
}

fn field(f: &mut fmt::Formatter<'_>, id: &OxmId) -> fmt::Result {
    match id.named() {
        Some(field) => write!(f, " {field}")?,
        None => write!(f, " oxm({:#06x},{})", id.class, id.field)?,
    }
    if id.has_mask { f.write_str("/mask") } else { Ok(()) }
}
