//! How long to wait before dialling again.

use std::time::Duration;

/// Exponential backoff with full jitter: a delay is drawn from nought to a ceiling that doubles with each failure, so
/// that a thousand clients of one server that came back do not come back together.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// The first ceiling and the last.
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first: first.min(max), max, failures: 0 }
    }

    /// The next delay, after one more failure. `random` is uniform over all of `u64`.
    pub fn next(&mut self, random: u64) -> Duration {
        let ceiling = self.ceiling();
        self.failures = self.failures.saturating_add(1);
        let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
        // The high half of the product is uniform over 0..=nanos.
        let drawn = (u128::from(random) * (u128::from(nanos) + 1)) >> 64;
        Duration::from_nanos(u64::try_from(drawn).unwrap_or(nanos))
    }

    /// The longest that the next delay can be.
    pub fn ceiling(&self) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.max)
    }

    /// After success: from the beginning.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// Straight to the last ceiling, where trying soon is known to do harm.
    pub fn exhaust(&mut self) {
        self.failures = u32::MAX;
    }
}

impl Default for Backoff {
    /// From 200 milliseconds to a minute.
    fn default() -> Self {
        Self::new(Duration::from_millis(200), Duration::from_secs(60))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceilings(backoff: &mut Backoff, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.next(u64::MAX).as_millis()).collect()
    }

    #[test]
    fn the_ceiling_doubles_up_to_its_bound() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        assert_eq!(ceilings(&mut backoff, 6), [100, 200, 400, 800, 1000, 1000]);
        backoff.reset();
        assert_eq!(ceilings(&mut backoff, 2), [100, 200]);
        backoff.exhaust();
        assert_eq!(ceilings(&mut backoff, 2), [1000, 1000]);
    }

    #[test]
    fn delays_are_spread_from_nought_to_the_ceiling() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(backoff.next(0), Duration::ZERO);
        assert_eq!(backoff.next(1 << 63).as_millis(), 500);
        assert_eq!(backoff.next(u64::MAX), Duration::from_secs(1));
    }

    #[test]
    fn any_number_of_failures_is_bounded() {
        let mut backoff = Backoff::default();
        for _ in 0..100 {
            assert!(backoff.next(u64::MAX) <= Duration::from_secs(60));
        }
    }
}
