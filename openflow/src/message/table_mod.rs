//! Changes to a table (1.3.5, 7.3.3).

use crate::id::TableId;
use crate::wire::{Failure, Reader, Writer};

/// Sets a table (`ofp_table_mod`).
///
/// table_id u8 | pad 3 | config u32
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TableMod {
    /// The table, or `ALL`.
    pub table_id: TableId,
    /// Bits that 1.3 keeps for earlier versions (`OFPTC_DEPRECATED_MASK`, 3).
    pub config: u32,
}

impl TableMod {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u8(self.table_id.0);
        out.pad(3);
        out.u32(self.config);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let table_id = TableId(body.u8("table_id")?);
        body.skip(3, "table_mod pad")?;
        Ok(Self { table_id, config: body.u32("config")? })
    }
}
