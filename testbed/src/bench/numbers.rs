//! Times in order.

use std::fmt;
use std::time::Duration;

/// How long each of many calls took.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn add(&mut self, took: Duration) {
        self.0.push(took);
    }

    /// All of another's.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The least time that this share of all calls, 0 to 1, stayed within; zero of none.
    pub fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Half of all calls stayed within it.
    pub fn median(&self) -> Duration {
        self.quantile(0.5)
    }
}

impl fmt::Display for Times {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |share| self.quantile(share).as_secs_f64() * 1e3;
        write!(
            out,
            "p50 {:7.3} ms  p90 {:7.3} ms  p99 {:7.3} ms  ({} calls)",
            at(0.5),
            at(0.9),
            at(0.99),
            self.count()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_taken() {
        let mut times = Times::default();
        assert_eq!(times.median(), Duration::ZERO);
        (1..=100).rev().for_each(|n| times.add(Duration::from_millis(n)));
        let ms = |share| times.quantile(share).as_millis();
        assert_eq!((ms(0.0), ms(0.5), ms(0.9), ms(0.99), ms(1.0)), (1, 50, 90, 99, 100));
    }
}
