//! How long items take from their acceptance here to the answers of those they concern.

use std::time::Duration;

/// The longest time of each bucket, in milliseconds.
pub const BOUNDS_MS: [u64; 15] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000];

/// Times, counted by bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fanout {
    /// For each bound, how many kept it and not the one before; at the end, how many kept none.
    pub counts: [u64; BOUNDS_MS.len() + 1],
    /// All times together, in milliseconds.
    pub sum_ms: u64,
}

impl Fanout {
    pub(super) fn add(&mut self, took: Duration) {
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.counts[BOUNDS_MS.partition_point(|bound| *bound < ms)] += 1;
        self.sum_ms = self.sum_ms.saturating_add(ms);
    }
}
