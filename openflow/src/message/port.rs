//! A port changed, or should change (1.3.5, 7.4.3, 7.3.4.3).

use crate::id::{MacAddr, PortNo};
use crate::port::{Port, PortConfig, PortFeatures};
use crate::wire::{Failure, Reader, Writer};

/// A port changed (`ofp_port_status`).
///
/// reason u8 | pad 7 | port
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PortStatus {
    /// What happened.
    pub reason: PortReason,
    /// The port as it is now, or as it was when it went.
    pub desc: Port,
}

wire_enum! {
    /// What happened to a port (`ofp_port_reason`).
    pub enum PortReason: u8 {
        /// It is new.
        Add = 0 => "add",
        /// It is gone.
        Delete = 1 => "delete",
        /// Something about it changed.
        Modify = 2 => "modify",
    }
}

impl PortStatus {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u8(self.reason.into());
        out.pad(7);
        self.desc.encode(out);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let reason = body.u8("reason")?.into();
        body.skip(7, "port_status pad")?;
        Ok(Self { reason, desc: Port::decode(body)? })
    }
}

/// Sets a port (`ofp_port_mod`).
///
/// port_no u32 | pad 4 | hw_addr 6 | pad 2 | config u32 | mask u32 | advertise u32 | pad 4
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PortMod {
    /// The port.
    pub port_no: PortNo,
    /// Its address, as a check that the number still means the same port.
    pub hw_addr: MacAddr,
    /// How to set it.
    pub config: PortConfig,
    /// Which bits of `config` to change.
    pub mask: PortConfig,
    /// What to advertise to the neighbour; none changes nothing.
    pub advertise: PortFeatures,
}

impl PortMod {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.port_no.0);
        out.pad(4);
        out.bytes(&self.hw_addr.0);
        out.pad(2);
        out.u32(self.config.0);
        out.u32(self.mask.0);
        out.u32(self.advertise.0);
        out.pad(4);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let port_no = PortNo(body.u32("port_no")?);
        body.skip(4, "port_mod pad")?;
        let hw_addr = MacAddr(body.array("hw_addr")?);
        body.skip(2, "port_mod pad")?;
        let config = PortConfig(body.u32("config")?);
        let mask = PortConfig(body.u32("mask")?);
        let advertise = PortFeatures(body.u32("advertise")?);
        body.skip(4, "port_mod pad")?;
        Ok(Self { port_no, hw_addr, config, mask, advertise })
    }
}
