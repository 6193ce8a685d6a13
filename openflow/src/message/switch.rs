//! Who a switch is and how it is set (1.3.5, 7.3.1, 7.3.2).

use crate::id::{DatapathId, NO_BUFFER};
use crate::wire::{Failure, Reader, Writer};

/// Who the switch is (`ofp_switch_features`).
///
/// datapath_id u64 | n_buffers u32 | n_tables u8 | auxiliary_id u8 | pad 2 | capabilities u32 | reserved u32
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct FeaturesReply {
    /// The switch.
    pub datapath_id: DatapathId,
    /// Frames it can keep for packet-ins.
    pub n_buffers: u32,
    /// Tables it has.
    pub n_tables: u8,
    /// 0 on a main connection, else the number of the auxiliary one.
    pub auxiliary_id: u8,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Not used by the specification.
    pub reserved: u32,
}

wire_flags! {
    /// What a switch can do (`ofp_capabilities`).
    pub struct Capabilities(u32) {
        /// Flow statistics.
        FLOW_STATS = 1 << 0 => "flow_stats",
        /// Table statistics.
        TABLE_STATS = 1 << 1 => "table_stats",
        /// Port statistics.
        PORT_STATS = 1 << 2 => "port_stats",
        /// Group statistics.
        GROUP_STATS = 1 << 3 => "group_stats",
        /// Reassembles IP fragments.
        IP_REASM = 1 << 5 => "ip_reasm",
        /// Queue statistics.
        QUEUE_STATS = 1 << 6 => "queue_stats",
        /// Blocks ports that would make loops.
        PORT_BLOCKED = 1 << 8 => "port_blocked",
    }
}

impl FeaturesReply {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u64(self.datapath_id.0);
        out.u32(self.n_buffers);
        out.u8(self.n_tables);
        out.u8(self.auxiliary_id);
        out.pad(2);
        out.u32(self.capabilities.0);
        out.u32(self.reserved);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let datapath_id = DatapathId(body.u64("datapath_id")?);
        let n_buffers = body.u32("n_buffers")?;
        let n_tables = body.u8("n_tables")?;
        let auxiliary_id = body.u8("auxiliary_id")?;
        body.skip(2, "features pad")?;
        let capabilities = Capabilities(body.u32("capabilities")?);
        let reserved = body.u32("reserved")?;
        Ok(Self { datapath_id, n_buffers, n_tables, auxiliary_id, capabilities, reserved })
    }
}

/// How a switch is set (`ofp_switch_config`).
///
/// flags u16 | miss_send_len u16
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct SwitchConfig {
    /// What happens to IP fragments.
    pub flags: ConfigFlags,
    /// Bytes of a frame to send in a packet-in; `NO_BUFFER` (`0xffff`) for all, unbuffered.
    pub miss_send_len: u16,
}

wire_enum! {
    /// What happens to IP fragments (`ofp_config_flags`).
    pub enum ConfigFlags: u16 {
        /// Nothing special.
        FragNormal = 0 => "frag_normal",
        /// They are dropped.
        FragDrop = 1 => "frag_drop",
        /// They are reassembled.
        FragReasm = 2 => "frag_reasm",
    }
}

/// Fragments are nothing special, packet-ins hold whole frames.
impl Default for SwitchConfig {
    fn default() -> Self {
        Self { flags: ConfigFlags::FragNormal, miss_send_len: NO_BUFFER }
    }
}

impl SwitchConfig {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u16(self.flags.into());
        out.u16(self.miss_send_len);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        Ok(Self { flags: body.u16("flags")?.into(), miss_send_len: body.u16("miss_send_len")? })
    }
}
