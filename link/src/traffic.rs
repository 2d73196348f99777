//! What links and sockets have carried, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of frames, headers included, since the link began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Of frames received whole.
    pub received: u64,
    /// Of frames handed to the transport whole.
    pub sent: u64,
}

/// Bytes as they cross a UDP socket: whole datagrams, with handshakes, acknowledgements and what was sent again, and
/// without the headers of UDP and IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireBytes {
    /// Handed to the kernel.
    pub sent: u64,
    /// Taken from the kernel.
    pub received: u64,
}

/// The live form of [`Counters`] or [`WireBytes`].
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
}

impl Traffic {
    pub(crate) fn counters(&self) -> Counters {
        Counters { received: self.received.load(Ordering::Relaxed), sent: self.sent.load(Ordering::Relaxed) }
    }

    pub(crate) fn wire_bytes(&self) -> WireBytes {
        WireBytes { sent: self.sent.load(Ordering::Relaxed), received: self.received.load(Ordering::Relaxed) }
    }
}
