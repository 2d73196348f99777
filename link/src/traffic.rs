//! What links and sockets have carried, counted.

use std::sync::Arc;
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

/// What has crossed one socket; it can be read also when the endpoint on it is gone.
#[derive(Clone, Debug)]
pub struct Meter(pub(crate) Arc<Traffic>);

impl Meter {
    /// Bytes so far, of every link that is or was, and of what came to none.
    pub fn bytes(&self) -> WireBytes {
        self.0.wire_bytes()
    }
}

/// The live form of [`Counters`] or [`WireBytes`].
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) received: AtomicU64,
    /// Of a link only: bytes off its streams, of frames that are not whole too.
    pub(crate) read: AtomicU64,
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
