//! So many a second, and a burst: a bucket of tokens that fills up with time.

use std::time::Instant;

/// Pure: time comes in with every call.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    at: Option<Instant>,
}

impl Bucket {
    /// Full at first.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self { per_second: per_second.into(), burst, tokens: burst, at: None }
    }

    /// Takes one token, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        if let Some(at) = self.at {
            let passed = now.saturating_duration_since(at).as_secs_f64();
            self.tokens = (self.tokens + passed * self.per_second).min(self.burst);
        }
        self.at = Some(now);
        let has = self.tokens >= 1.0;
        if has {
            self.tokens -= 1.0;
        }
        has
    }
}

/// A bucket for log lines that counts what it held back.
#[derive(Clone, Debug)]
pub(super) struct LogLimit {
    bucket: Bucket,
    held_back: u64,
}

impl LogLimit {
    /// So many lines a second, and three times as many at once.
    pub(super) fn new(per_second: u32) -> Self {
        Self { bucket: Bucket::new(per_second, per_second.saturating_mul(3)), held_back: 0 }
    }

    /// How many lines were held back before this one; `None` if it is, too.
    pub(super) fn pass(&mut self, now: Instant) -> Option<u64> {
        if self.bucket.take(now) {
            Some(std::mem::take(&mut self.held_back))
        } else {
            self.held_back += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 20);
        let burst = (0..100).filter(|_| bucket.take(start)).count();
        assert_eq!(burst, 20);
        let rate = (1..=1000).filter(|ms| bucket.take(start + Duration::from_millis(*ms))).count();
        assert!((9..=10).contains(&rate), "{rate}");
    }

    #[test]
    fn lines_that_were_held_back_are_told_with_the_next() {
        let start = Instant::now();
        let mut lines = LogLimit::new(1);
        let passed: Vec<_> = (0..5).map(|_| lines.pass(start)).collect();
        assert_eq!(passed, [Some(0), Some(0), Some(0), None, None]);
        assert_eq!(lines.pass(start + Duration::from_secs(1)), Some(2));
    }
}
