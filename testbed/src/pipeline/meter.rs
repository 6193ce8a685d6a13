//! Meters (1.3.5, 5.7): they drop what exceeds a rate.

use std::collections::BTreeMap;
use std::time::Duration;

use openflow::{MeterBand, MeterFlags, MeterId};

/// All meters of a switch, the virtual ones included.
#[derive(Clone, Debug, Default)]
pub struct Meters {
    /// By id.
    pub by_id: BTreeMap<MeterId, Meter>,
}

/// One meter.
#[derive(Clone, Debug)]
pub struct Meter {
    /// As configured.
    pub flags: MeterFlags,
    /// As configured; all of them drop.
    pub bands: Vec<MeterBand>,
    /// Frames in.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When it was added, in nanoseconds since the switch started.
    pub added: u64,
    levels: Vec<Level>,
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// Millionths of a frame, or bits times 1,000: what one unit of rate fills in a microsecond counts 1.
    tokens: u64,
    filled: Duration,
    packets: u64,
    bytes: u64,
}

impl Meters {
    /// Whether a frame passes; a meter that isn't there lets all pass.
    pub fn pass(&mut self, now: Duration, meter: MeterId, bytes: usize) -> bool {
        self.by_id.get_mut(&meter).is_none_or(|meter| meter.pass(now, bytes as u64))
    }
}

impl Meter {
    /// A meter that is full.
    pub fn new(now: Duration, flags: MeterFlags, bands: Vec<MeterBand>) -> Self {
        let full = |band: &MeterBand| Level {
            tokens: capacity(flags, band),
            filled: now,
            packets: 0,
            bytes: 0,
        };
        let levels = bands.iter().map(full).collect();
        Self { flags, bands, packets: 0, bytes: 0, added: now.as_nanos() as u64, levels }
    }

    /// Frames and bytes that each band dropped.
    pub fn dropped(&self) -> impl Iterator<Item = (u64, u64)> {
        self.levels.iter().map(|level| (level.packets, level.bytes))
    }

    fn pass(&mut self, now: Duration, bytes: u64) -> bool {
        self.packets += 1;
        self.bytes += bytes;
        let cost =
            if self.flags.contains(MeterFlags::PKTPS) { 1_000_000 } else { bytes * 8 * 1_000 };
        let mut over = None;
        for (index, (band, level)) in self.bands.iter().zip(&mut self.levels).enumerate() {
            let passed = now.saturating_sub(level.filled).as_micros() as u64;
            let fill = passed.saturating_mul(u64::from(band.rate));
            level.tokens = level.tokens.saturating_add(fill).min(capacity(self.flags, band));
            level.filled += Duration::from_micros(passed);
            match level.tokens.checked_sub(cost) {
                Some(left) => level.tokens = left,
                // Of several bands that are exceeded, the one of the highest rate acts (1.3.5, 5.7.1).
                None if over.is_none_or(|(_, rate)| band.rate > rate) => {
                    over = Some((index, band.rate))
                }
                None => {}
            }
        }
        if let Some(level) = over.and_then(|(index, _)| self.levels.get_mut(index)) {
            level.packets += 1;
            level.bytes += bytes;
        }
        over.is_none()
    }
}

/// Without a burst size, what comes in a second.
fn capacity(flags: MeterFlags, band: &MeterBand) -> u64 {
    let burst = if flags.contains(MeterFlags::BURST) { band.burst_size } else { band.rate };
    u64::from(burst) * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_lets_a_burst_pass_and_then_its_rate() {
        let flags = MeterFlags::PKTPS | MeterFlags::BURST;
        let mut meter = Meter::new(Duration::ZERO, flags, vec![MeterBand::drop(10, 5)]);
        let passed = |meter: &mut Meter, at| {
            (0..20).filter(|_| meter.pass(Duration::from_millis(at), 100)).count()
        };
        assert_eq!(passed(&mut meter, 0), 5);
        assert_eq!(passed(&mut meter, 100), 1);
        assert_eq!(passed(&mut meter, 150), 0);
        assert_eq!(passed(&mut meter, 200), 1, "half a token was kept");
        assert_eq!(passed(&mut meter, 60_000), 5);
        assert_eq!(meter.dropped().collect::<Vec<_>>(), [(88, 8800)]);
    }

    #[test]
    fn a_rate_in_kilobits_counts_bits() {
        let mut meter = Meter::new(Duration::ZERO, MeterFlags::KBPS, vec![MeterBand::drop(8, 0)]);
        let passed = (0..20).filter(|_| meter.pass(Duration::ZERO, 100)).count();
        assert_eq!(passed, 10, "8 kbit/s are 1,000 bytes a second, and as many at once");
    }
}
