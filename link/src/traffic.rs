//! What a link has carried, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of frames, headers included, since the link began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Of frames received whole.
    pub received: u64,
    /// Of frames handed to the transport whole.
    pub sent: u64,
}

/// The live form of [`Counters`].
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
}

impl Traffic {
    pub(crate) fn counters(&self) -> Counters {
        Counters { received: self.received.load(Ordering::Relaxed), sent: self.sent.load(Ordering::Relaxed) }
    }
}
