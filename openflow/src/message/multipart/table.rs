//! Tables' counters (1.3.5, 7.3.5.4).

use crate::id::TableId;
use crate::wire::{Failure, Reader, Writer};

/// What one table counted (`ofp_table_stats`).
///
/// table_id u8 | pad 3 | active_count u32 | lookup_count u64 | matched_count u64
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TableStats {
    /// The table.
    pub table_id: TableId,
    /// Flows in it.
    pub active_count: u32,
    /// Frames that were looked up.
    pub lookup_count: u64,
    /// Frames that matched a flow.
    pub matched_count: u64,
}

impl TableStats {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u8(self.table_id.0);
        out.pad(3);
        out.u32(self.active_count);
        out.u64(self.lookup_count);
        out.u64(self.matched_count);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let table_id = TableId(body.u8("table_id")?);
        body.skip(3, "table stats pad")?;
        Ok(Self {
            table_id,
            active_count: body.u32("active_count")?,
            lookup_count: body.u64("lookup_count")?,
            matched_count: body.u64("matched_count")?,
        })
    }
}
