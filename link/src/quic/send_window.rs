//! How much connections may have under way, when many have more to send than that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What each may have at least: two trains of ten packets.
const LEAST: u64 = 32 << 10;
/// What a stream that [`super::SendStream::exceed_window`]s may have beyond that.
pub(super) const BEYOND: u64 = 64 << 10;

/// What the connections of a port may have under way: bytes that were taken from tasks and are not acknowledged.
///
/// The bytes are shared, but the protocol remembers each packet until it is acknowledged: some 15 bytes for each 100. So
/// all connections together have a bound as well, which is divided among those whose window is full.
pub(crate) struct SendWindow {
    each: u64,
    all: u64,
    /// How many [`Full`] there are.
    full: AtomicU64,
}

impl SendWindow {
    /// `each` connection may have so many bytes under way, as long as it is not more than `all` divided by those that
    /// want more; 32 KiB it may have always.
    pub(crate) fn new(each: u64, all: u64) -> Arc<Self> {
        Arc::new(Self { each, all, full: AtomicU64::new(0) })
    }

    /// What one may have now.
    pub(super) fn bytes(&self) -> u64 {
        (self.all / self.full.load(Relaxed).max(1)).max(LEAST).min(self.each)
    }

    /// One more wants more, until this is dropped.
    pub(super) fn fill(self: &Arc<Self>) -> Full {
        self.full.fetch_add(1, Relaxed);
        Full(Arc::clone(self))
    }
}

/// A stream for which the window is too small.
pub(crate) struct Full(Arc<SendWindow>);

impl Drop for Full {
    fn drop(&mut self) {
        self.0.full.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_want_more_share_what_all_may_have() {
        let window = SendWindow::new(1 << 20, 4 << 20);
        let full: Vec<_> = (0..1000).map(|_| (window.bytes(), window.fill())).collect();
        let seen = [0, 4, 8, 999].map(|index| full[index].0);
        assert_eq!(seen, [1 << 20, 1 << 20, 512 << 10, LEAST]);
        drop(full);
        assert_eq!(window.bytes(), 1 << 20);
    }

    #[test]
    fn none_has_more_than_is_good_for_one() {
        assert_eq!(SendWindow::new(1000, 4 << 20).bytes(), 1000);
    }
}
