//! The node's bytes for what comes in, shared by all its links.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Two node-wide amounts: bytes of frame bodies in memory, and credit granted to peers for bytes not yet read.
///
/// They are apart because idle links hold credit as long as they live: taken from one amount, enough idle links would
/// leave nothing to read a frame into. Clones share the same amounts.
#[derive(Clone, Debug)]
pub struct Budget {
    frames: Arc<Semaphore>,
    frame_bytes: usize,
    credit: Arc<Semaphore>,
}

impl Budget {
    /// A budget of so many bytes for frame bodies and for flow-control credit. A link needs its connection window from
    /// the credit to exist at all: 64 KiB for each link of a server, 7 MiB for that of a device.
    pub fn new(frame_bytes: usize, credit_bytes: usize) -> Self {
        let frame_bytes = frame_bytes.min(Semaphore::MAX_PERMITS);
        let credit_bytes = credit_bytes.min(Semaphore::MAX_PERMITS);
        Self {
            frames: Arc::new(Semaphore::new(frame_bytes)),
            frame_bytes,
            credit: Arc::new(Semaphore::new(credit_bytes)),
        }
    }

    /// Bytes that frame bodies may still take.
    pub fn frame_bytes_left(&self) -> usize {
        self.frames.available_permits()
    }

    /// Bytes of credit that may still be granted.
    pub fn credit_bytes_left(&self) -> usize {
        self.credit.available_permits()
    }

    /// One link's part of the frame bytes: never more than `bytes` at once.
    pub(crate) fn share(&self, bytes: u32) -> Share {
        let bytes = bytes.min(u32::try_from(self.frame_bytes).unwrap_or(u32::MAX));
        Share { own: Arc::new(Semaphore::new(bytes as usize)), node: Arc::clone(&self.frames), bytes }
    }

    /// Takes credit now, or not at all.
    pub(crate) fn credit(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.credit).try_acquire_many_owned(bytes).ok()
    }
}

/// One link's part of a [`Budget`].
#[derive(Clone, Debug)]
pub(crate) struct Share {
    own: Arc<Semaphore>,
    node: Arc<Semaphore>,
    bytes: u32,
}

impl Share {
    /// The longest body that this share can ever admit; to wait for a longer one would be to wait for ever.
    pub(crate) fn bytes(&self) -> u32 {
        self.bytes
    }

    /// Waits until so many bytes are free here and in the node. `None` would need a closed semaphore; none is closed.
    pub(crate) async fn take(&self, bytes: u32) -> Option<Permit> {
        // The link's own part first: who waits for it holds nothing that another link waits for.
        let own = Arc::clone(&self.own).acquire_many_owned(bytes).await.ok()?;
        let node = Arc::clone(&self.node).acquire_many_owned(bytes).await.ok()?;
        Some(Permit { _own: own, _node: node })
    }
}

/// Bytes taken; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _own: OwnedSemaphorePermit,
    _node: OwnedSemaphorePermit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_taken_comes_back() {
        let budget = Budget::new(100, 100);
        let share = budget.share(60);
        let permit = share.take(60).await.expect("free");
        assert_eq!(budget.frame_bytes_left(), 40);
        assert!(share.own.clone().try_acquire_owned().is_err(), "a link cannot have more than its share");
        drop(permit);
        assert_eq!(budget.frame_bytes_left(), 100);
    }

    #[tokio::test]
    async fn a_share_is_never_larger_than_the_budget() {
        assert_eq!(Budget::new(10, 0).share(1000).bytes(), 10);
    }

    #[test]
    fn credit_is_given_or_refused_at_once() {
        let budget = Budget::new(0, 100);
        let held = budget.credit(70);
        assert!(held.is_some());
        assert!(budget.credit(70).is_none());
        assert_eq!(budget.credit_bytes_left(), 30);
    }
}
