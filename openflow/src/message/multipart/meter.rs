//! Meters, what they counted, what a switch can do with them (1.3.5, 7.3.5.12 to 7.3.5.14).

use crate::id::MeterId;
use crate::message::{MeterBand, MeterFlags};
use crate::wire::{Failure, Reader, Writer};

/// What one meter counted (`ofp_meter_stats`).
///
/// meter_id u32 | length u16 | pad 6 | flow_count u32 | packet_in_count u64 | byte_in_count u64 |
/// duration_sec u32 | duration_nsec u32 | bands: packet_band_count u64 | byte_band_count u64 …
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MeterStats {
    /// The meter.
    pub meter_id: MeterId,
    /// Flows that use it.
    pub flow_count: u32,
    /// Frames that went in.
    pub packet_in_count: u64,
    /// Bytes of those frames.
    pub byte_in_count: u64,
    /// Whole seconds that it has lived.
    pub duration_sec: u32,
    /// Nanoseconds beyond those.
    pub duration_nsec: u32,
    /// What each band counted.
    pub band_stats: Vec<MeterBandStats>,
}

/// What one band counted (`ofp_meter_band_stats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MeterBandStats {
    /// Frames above its rate.
    pub packet_band_count: u64,
    /// Bytes of those frames.
    pub byte_band_count: u64,
}

impl MeterStats {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        let start = out.len();
        out.u32(self.meter_id.0);
        out.u16(0);
        out.pad(6);
        out.u32(self.flow_count);
        out.u64(self.packet_in_count);
        out.u64(self.byte_in_count);
        out.u32(self.duration_sec);
        out.u32(self.duration_nsec);
        for band in &self.band_stats {
            out.u64(band.packet_band_count);
            out.u64(band.byte_band_count);
        }
        out.patch_len(start + 4, start);
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut body = list.sized(4, 40, "meter stats length")?;
        let meter_id = MeterId(body.u32("meter_id")?);
        body.skip(8, "meter stats pad")?;
        Ok(Self {
            meter_id,
            flow_count: body.u32("flow_count")?,
            packet_in_count: body.u64("packet_in_count")?,
            byte_in_count: body.u64("byte_in_count")?,
            duration_sec: body.u32("duration_sec")?,
            duration_nsec: body.u32("duration_nsec")?,
            band_stats: body.many(|band| {
                Ok(MeterBandStats {
                    packet_band_count: band.u64("packet_band_count")?,
                    byte_band_count: band.u64("byte_band_count")?,
                })
            })?,
        })
    }
}

/// One meter (`ofp_meter_config`).
///
/// length u16 | flags u16 | meter_id u32 | bands …
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MeterConfig {
    /// Units of the bands, and what is counted.
    pub flags: MeterFlags,
    /// The meter.
    pub meter_id: MeterId,
    /// What happens above which rate.
    pub bands: Vec<MeterBand>,
}

impl MeterConfig {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        let start = out.len();
        out.u16(0);
        out.u16(self.flags.0);
        out.u32(self.meter_id.0);
        MeterBand::encode_list(&self.bands, out);
        out.patch_len(start, start);
    }

    pub(super) fn decode(list: &mut Reader<'_>) -> Result<Self, Failure> {
        let mut body = list.sized(0, 8, "meter config length")?;
        body.skip(2, "meter config length")?;
        let flags = MeterFlags(body.u16("flags")?);
        let meter_id = MeterId(body.u32("meter_id")?);
        Ok(Self { flags, meter_id, bands: body.many(MeterBand::decode)? })
    }
}

/// What meters a switch can do (`ofp_meter_features`).
///
/// max_meter u32 | band_types u32 | capabilities u32 | max_bands u8 | max_color u8 | pad 2
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct MeterFeatures {
    /// How many meters there can be; 0 if the switch has none.
    pub max_meter: u32,
    /// Bit `b` for band type `b`.
    pub band_types: u32,
    /// What meters can do, by the bits of `MeterFlags`.
    pub capabilities: u32,
    /// How many bands a meter can have.
    pub max_bands: u8,
    /// Highest colour value.
    pub max_color: u8,
}

impl MeterFeatures {
    pub(super) fn encode(&self, out: &mut Writer<'_>) {
        out.u32(self.max_meter);
        out.u32(self.band_types);
        out.u32(self.capabilities);
        out.u8(self.max_bands);
        out.u8(self.max_color);
        out.pad(2);
    }

    pub(super) fn decode(body: &mut Reader<'_>) -> Result<Self, Failure> {
        let max_meter = body.u32("max_meter")?;
        let band_types = body.u32("band_types")?;
        let capabilities = body.u32("capabilities")?;
        let max_bands = body.u8("max_bands")?;
        let max_color = body.u8("max_color")?;
        body.skip(2, "meter features pad")?;
        Ok(Self { max_meter, band_types, capabilities, max_bands, max_color })
    }
}
