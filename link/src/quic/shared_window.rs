//! How much connections may have under way, when many have more to send than that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::connection::{Shared, State};

/// What each may have at least: two trains of ten packets.
const LEAST: u64 = 32 << 10;
/// What urgent streams of a connection may have beyond its window, all together.
const BEYOND: u64 = 64 << 10;
/// How many pieces a window is filled with. The protocol counts a piece as under way until all of it is acknowledged.
const PIECES: u64 = 8;

/// What the connections of a port may have under way: bytes that were taken from tasks and are not acknowledged.
///
/// The bytes are shared, but the protocol remembers each packet until it is acknowledged: some 15 bytes for each 100. So
/// all that have more to send than their window takes share a window.
pub(crate) struct SharedWindow {
    each: u64,
    all: u64,
    /// Connections with streams that wait.
    waiting: AtomicU64,
}

impl SharedWindow {
    /// `each` connection may have so many bytes under way, as long as it is not more than `all` divided by those that
    /// wait; 32 KiB it may have always.
    pub(crate) fn new(each: u64, all: u64) -> Arc<Self> {
        Arc::new(Self { each, all, waiting: AtomicU64::new(0) })
    }

    /// What one may have now.
    pub(super) fn bytes(&self) -> u64 {
        (self.all / self.waiting.load(Relaxed).max(1)).max(LEAST).min(self.each)
    }

    /// The longest piece of an urgent stream or another one that is handed over.
    pub(super) fn piece(&self, is_urgent: bool) -> usize {
        let room = if is_urgent { self.bytes().min(BEYOND) } else { self.bytes() };
        usize::try_from(room / PIECES).unwrap_or(usize::MAX).max(1)
    }
}

impl State {
    /// The connection's window is that of an urgent stream, or of another one.
    pub(super) fn set_window(&mut self, window: &SharedWindow, is_urgent: bool) {
        self.quic.set_send_window(window.bytes() + if is_urgent { BEYOND } else { 0 });
    }
}

/// A stream that has more to send than there is room for; its connection is one of those that share the window.
pub(crate) struct Waiting(Arc<Shared>);

impl Waiting {
    pub(super) fn new(connection: &Arc<Shared>) -> Self {
        let mut state = connection.lock();
        state.waiting += 1;
        if state.waiting == 1 {
            connection.window.waiting.fetch_add(1, Relaxed);
        }
        drop(state);
        Self(Arc::clone(connection))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.waiting -= 1;
        if state.waiting == 0 {
            self.0.window.waiting.fetch_sub(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_wait_share_what_all_may_have() {
        let window = SharedWindow::new(1 << 20, 4 << 20);
        let shares = [0, 1, 4, 8, 1000].map(|waiting| {
            window.waiting.store(waiting, Relaxed);
            window.bytes()
        });
        assert_eq!(shares, [1 << 20, 1 << 20, 1 << 20, 512 << 10, LEAST]);
        assert_eq!(window.piece(false), 4 << 10);
    }

    #[test]
    fn none_has_more_than_is_good_for_one() {
        assert_eq!(SharedWindow::new(1000, 4 << 20).bytes(), 1000);
    }

    #[test]
    fn a_window_is_filled_with_several_pieces_and_what_is_beyond_it_too() {
        let window = SharedWindow::new(1 << 20, 4 << 20);
        assert_eq!([false, true].map(|is_urgent| window.piece(is_urgent)), [128 << 10, 8 << 10]);
    }
}
