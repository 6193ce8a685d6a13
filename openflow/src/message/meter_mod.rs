//! Changes to meters (1.3.5, 7.3.4.4).

use bytes::Bytes;

use crate::id::MeterId;
use crate::wire::{Failure, Reader, Writer};

/// Adds, changes or deletes a meter (`ofp_meter_mod`).
///
/// command u16 | flags u16 | meter_id u32 | bands …
///
/// ```
/// use openflow::{MeterBand, MeterFlags, MeterId, MeterMod};
/// let slow = MeterMod::add(7, MeterFlags::PKTPS | MeterFlags::BURST).band(MeterBand::drop(1000, 100));
/// assert_eq!(slow.to_string(), "ADD meter=7 pktps burst bands=\ntype=drop rate=1000 burst_size=100");
/// let gone = MeterMod::delete(MeterId::ALL);
/// # let _ = gone;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MeterMod {
    /// What to do.
    pub command: MeterModCommand,
    /// Units of the bands, and what is counted.
    pub flags: MeterFlags,
    /// The meter; `ALL` in deletions for every one.
    pub meter_id: MeterId,
    /// What happens above which rate.
    pub bands: Vec<MeterBand>,
}

wire_enum! {
    /// What to do with a meter (`ofp_meter_mod_command`).
    pub enum MeterModCommand: u16 {
        /// Adds a meter that is not there.
        Add = 0 => "add",
        /// Changes a meter that is there.
        Modify = 1 => "modify",
        /// Deletes a meter, if it is there, and the flows that use it.
        Delete = 2 => "delete",
    }
}

wire_flags! {
    /// Units of a meter's bands, and what is counted (`ofp_meter_flags`).
    pub struct MeterFlags(u16) {
        /// Rates in kbit/s, bursts in kbit.
        KBPS = 1 << 0 => "kbps",
        /// Rates in frames per second, bursts in frames.
        PKTPS = 1 << 1 => "pktps",
        /// Bursts count.
        BURST = 1 << 2 => "burst",
        /// Statistics are collected.
        STATS = 1 << 3 => "stats",
    }
}

impl MeterMod {
    /// Adds a meter without bands.
    #[must_use]
    pub fn add(meter_id: impl Into<MeterId>, flags: MeterFlags) -> Self {
        let (command, meter_id) = (MeterModCommand::Add, meter_id.into());
        Self { command, flags, meter_id, bands: Vec::new() }
    }

    /// Replaces a meter's flags and bands, by none so far.
    #[must_use]
    pub fn modify(meter_id: impl Into<MeterId>, flags: MeterFlags) -> Self {
        Self { command: MeterModCommand::Modify, ..Self::add(meter_id, flags) }
    }

    /// Deletes a meter, or with `MeterId::ALL` every one.
    #[must_use]
    pub fn delete(meter_id: impl Into<MeterId>) -> Self {
        Self { command: MeterModCommand::Delete, ..Self::add(meter_id, MeterFlags::EMPTY) }
    }

    /// Adds a band.
    #[must_use]
    pub fn band(mut self, band: MeterBand) -> Self {
        self.bands.push(band);
        self
    }

    pub(crate) fn encode(&self, out: &mut Writer<'_>) {
        out.u16(self.command.into());
        out.u16(self.flags.0);
        out.u32(self.meter_id.0);
        MeterBand::encode_list(&self.bands, out);
    }

    pub(crate) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let command = body.u16("command")?.into();
        let flags = MeterFlags(body.u16("flags")?);
        let meter_id = MeterId(body.u32("meter_id")?);
        let bands = body.many(MeterBand::decode)?;
        Ok(Self { command, flags, meter_id, bands })
    }
}

/// What happens above a rate (`ofp_meter_band_header`).
///
/// type u16 | length u16 | rate u32 | burst_size u32 | …
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MeterBand {
    /// The rate above which this happens, in the meter's units.
    pub rate: u32,
    /// How much may come at once, in the meter's units.
    pub burst_size: u32,
    /// What happens.
    pub kind: MeterBandKind,
}

/// What a band does with frames above its rate (`ofp_meter_band_type`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
pub enum MeterBandKind {
    /// Drops them.
    Drop,
    /// Makes them likelier to be dropped: raises the drop precedence of their DSCP.
    DscpRemark {
        /// By how many levels.
        prec_level: u8,
    },
    /// Whatever an experimenter defined.
    Experimenter {
        /// Who the experimenter is.
        experimenter: u32,
        /// All behind the id.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
        data: Bytes,
    },
    /// A band that the specification doesn't name, as it came.
    Other {
        /// The band's type.
        kind: u16,
        /// All behind the burst size.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::json::hex"))]
        data: Bytes,
    },
}

impl MeterBand {
    const DROP: u16 = 1;
    const DSCP_REMARK: u16 = 2;
    const EXPERIMENTER: u16 = 0xffff;

    /// Drops what is above a rate, with this burst, both in the meter's units.
    #[must_use]
    pub const fn drop(rate: u32, burst_size: u32) -> Self {
        Self { rate, burst_size, kind: MeterBandKind::Drop }
    }

    pub(crate) fn encode_list(list: &[Self], out: &mut Writer<'_>) {
        for band in list {
            let start = out.len();
            out.u16(match band.kind {
                MeterBandKind::Drop => Self::DROP,
                MeterBandKind::DscpRemark { .. } => Self::DSCP_REMARK,
                MeterBandKind::Experimenter { .. } => Self::EXPERIMENTER,
                MeterBandKind::Other { kind, .. } => kind,
            });
            out.u16(0);
            out.u32(band.rate);
            out.u32(band.burst_size);
            match &band.kind {
                MeterBandKind::Drop => out.pad(4),
                MeterBandKind::DscpRemark { prec_level } => {
                    out.u8(*prec_level);
                    out.pad(3);
                }
                MeterBandKind::Experimenter { experimenter, data } => {
                    out.u32(*experimenter);
                    out.bytes(data);
                }
                MeterBandKind::Other { data, .. } => out.bytes(data),
            }
            out.patch_len(start + 2, start);
        }
    }

    pub(crate) fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut body = list.sized(2, 12, "band length")?;
        let kind = body.u16("band type")?;
        body.skip(2, "band length")?;
        let rate = body.u32("band rate")?;
        let burst_size = body.u32("band burst_size")?;
        let kind = match kind {
            Self::DROP => {
                body.skip(4, "band pad")?;
                MeterBandKind::Drop
            }
            Self::DSCP_REMARK => {
                let prec_level = body.u8("prec_level")?;
                body.skip(3, "band pad")?;
                MeterBandKind::DscpRemark { prec_level }
            }
            Self::EXPERIMENTER => {
                let experimenter = body.u32("band experimenter")?;
                MeterBandKind::Experimenter { experimenter, data: body.remainder() }
            }
            kind => MeterBandKind::Other { kind, data: body.remainder() },
        };
        body.finish("band")?;
        Ok(Self { rate, burst_size, kind })
    }
}
