//! Changes to meters (1.3.5, 6.6, 7.3.4.4).

use std::time::Duration;

use openflow::{
    ErrorCode, FlowRemovedReason, MeterBandKind, MeterFlags, MeterId, MeterMod, MeterModCommand,
    MeterModFailed,
};

use super::{Datapath, Output};
use crate::pipeline::meter::Meter;

/// Bands a meter can have.
pub const MAX_BANDS: u8 = 8;
const KNOWN_FLAGS: u16 = 0xf;

impl Datapath {
    pub(super) fn meter_mod(
        &mut self,
        now: Duration,
        change: &MeterMod,
        out: &mut Vec<Output>,
    ) -> Result<(), ErrorCode> {
        let failed = |code| Err(ErrorCode::MeterModFailed(code));
        let id = change.meter_id;
        let known = self.pipeline.meters.by_id.contains_key(&id);
        match change.command {
            MeterModCommand::Add | MeterModCommand::Modify => {
                self.check_meter(change).map_err(ErrorCode::MeterModFailed)?;
                if change.command == MeterModCommand::Add && known {
                    return failed(MeterModFailed::MeterExists);
                }
                if change.command == MeterModCommand::Modify && !known {
                    return failed(MeterModFailed::UnknownMeter);
                }
                let proper =
                    self.pipeline.meters.by_id.keys().filter(|id| **id <= MeterId::MAX).count();
                if !known && id <= MeterId::MAX && proper >= self.limits.meters as usize {
                    return failed(MeterModFailed::OutOfMeters);
                }
                self.pipeline
                    .meters
                    .by_id
                    .insert(id, Meter::new(now, change.flags, change.bands.clone()));
                Ok(())
            }
            MeterModCommand::Delete => {
                let which = match id {
                    MeterId::ALL => self.pipeline.meters.by_id.keys().copied().collect(),
                    one => vec![one],
                };
                for id in which {
                    if self.pipeline.meters.by_id.remove(&id).is_some() {
                        // The flows that use a meter go with it (1.3.5, 6.6).
                        let gone = self.extract_meter(id);
                        self.tell_gone(now, FlowRemovedReason::Delete, gone, out);
                    }
                }
                Ok(())
            }
            MeterModCommand::Other(_) => failed(MeterModFailed::BadCommand),
        }
    }

    fn check_meter(&self, change: &MeterMod) -> Result<(), MeterModFailed> {
        let proper = change.meter_id.0 >= 1 && change.meter_id <= MeterId::MAX;
        let taken = change.meter_id == MeterId::CONTROLLER && self.limits.controller_meter;
        if !proper && !taken {
            return Err(MeterModFailed::InvalidMeter);
        }
        let both = MeterFlags::KBPS | MeterFlags::PKTPS;
        if change.flags.0 & !KNOWN_FLAGS != 0 || change.flags.contains(both) {
            return Err(MeterModFailed::BadFlags);
        }
        if change.bands.len() > usize::from(MAX_BANDS) {
            return Err(MeterModFailed::OutOfBands);
        }
        for band in &change.bands {
            if band.kind != MeterBandKind::Drop {
                return Err(MeterModFailed::BadBand);
            }
            if band.rate == 0 {
                return Err(MeterModFailed::BadRate);
            }
        }
        Ok(())
    }
}
