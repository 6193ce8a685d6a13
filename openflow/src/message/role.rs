//! Who commands a switch, and who hears what from it (1.3.5, 7.3.9, 7.3.10).

use crate::wire::{Failure, Reader, Writer};

/// Claims or releases this switch, or says who has it (`ofp_role_request`).
///
/// role u32 | pad 4 | generation_id u64
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RoleRequest {
    /// The role.
    pub role: Role,
    /// Grows with each claim, so that a late one is known; compared as a signed distance.
    pub generation_id: u64,
}

/// The answer has the same structure.
pub type RoleReply = RoleRequest;

wire_enum! {
    /// What a controller may do to a switch (`ofp_controller_role`).
    pub enum Role: u32 {
        /// Only asks.
        NoChange = 0 => "nochange",
        /// Everything, as others may.
        Equal = 1 => "equal",
        /// Everything, alone.
        Master = 2 => "master",
        /// Read.
        Slave = 3 => "slave",
    }
}

impl RoleRequest {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.role.into());
        out.pad(4);
        out.u64(self.generation_id);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let role = body.u32("role")?.into();
        body.skip(4, "role pad")?;
        Ok(Self { role, generation_id: body.u64("generation_id")? })
    }
}

/// Which asynchronous messages a controller gets (`ofp_async_config`).
///
/// packet_in u32 × 2 | port_status u32 × 2 | flow_removed u32 × 2
///
/// Bit `n` stands for reason `n`; the first word of each pair counts while the
/// controller is master or equal, the second while it is slave.
///
/// ```
/// use openflow::{AsyncConfig, PacketInReason};
/// let quiet = AsyncConfig { packet_in: [AsyncConfig::bit(PacketInReason::Action), 0], ..AsyncConfig::SPEC };
/// assert_eq!(quiet.packet_in, [2, 0]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct AsyncConfig {
    /// By `PacketInReason`.
    pub packet_in: [u32; 2],
    /// By `PortReason`.
    pub port_status: [u32; 2],
    /// By `FlowRemovedReason`.
    pub flow_removed: [u32; 2],
}

impl AsyncConfig {
    /// How a switch is set at first: all to masters and equals, port-status alone to slaves.
    pub const SPEC: Self =
        Self { packet_in: [0b111, 0], port_status: [0b111, 0b111], flow_removed: [0b1111, 0] };

    /// The bit of a reason; none for reasons from 32 on.
    #[must_use]
    pub fn bit(reason: impl Into<u8>) -> u32 {
        1u32.checked_shl(reason.into().into()).unwrap_or(0)
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        for word in [self.packet_in, self.port_status, self.flow_removed].as_flattened() {
            out.u32(*word);
        }
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut pair = |field| -> Result<_, Failure> { Ok([body.u32(field)?, body.u32(field)?]) };
        Ok(Self {
            packet_in: pair("packet_in_mask")?,
            port_status: pair("port_status_mask")?,
            flow_removed: pair("flow_removed_mask")?,
        })
    }
}
