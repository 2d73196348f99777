//! How fast items go up: as fast as they are answered, or so many a second.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// With a rate, a bundle holds what a tenth of a second brings: the items shall come evenly.
const BUNDLES_PER_SECOND: usize = 10;

/// The items of a publication in time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    rate: Option<NonZeroU32>,
    begin: Instant,
    sent: u64,
}

impl Pace {
    pub(super) fn new(rate: Option<NonZeroU32>) -> Self {
        Self { rate, begin: Instant::now(), sent: 0 }
    }

    /// As many items at most in one bundle.
    pub(super) fn items_max(&self, max: usize) -> usize {
        self.rate.map_or(max, |rate| (rate.get() as usize / BUNDLES_PER_SECOND).clamp(1, max))
    }

    /// When the next bundle may go.
    pub(super) fn due(&self) -> Instant {
        let after = |rate: NonZeroU32| Duration::from_secs_f64(self.sent as f64 / f64::from(rate.get()));
        self.rate.map_or(self.begin, |rate| self.begin + after(rate))
    }

    pub(super) fn is_due(&self) -> bool {
        self.due() <= Instant::now()
    }

    /// Counts what goes. What is sent again after a lost link counts again: it is as much work.
    pub(super) fn sent(&mut self, items: usize) {
        self.sent += items as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn items_go_as_the_rate_says() {
        let mut pace = Pace::new(NonZeroU32::new(20));
        assert_eq!((pace.items_max(64), pace.due()), (2, pace.begin));
        pace.sent(10);
        assert_eq!(pace.due(), pace.begin + Duration::from_millis(500));
        assert_eq!([1, 10_000].map(|rate| Pace::new(NonZeroU32::new(rate)).items_max(64)), [1, 64]);
    }

    #[tokio::test]
    async fn without_a_rate_nothing_waits() {
        let mut pace = Pace::new(None);
        pace.sent(1_000_000);
        assert_eq!((pace.items_max(64), pace.due()), (64, pace.begin));
    }
}
