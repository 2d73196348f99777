//! The node's bytes for what comes in, shared by all its links.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::LinkLimits;

/// Bodies up to so many bytes are short: replies, requests, bundles. Long ones never take the last of an amount.
pub const SHORT_BYTES_MAX: u32 = 64 << 10;

/// One part in so many of an amount is kept for short bodies.
const SHORT_PART: usize = 16;

/// The longest body that an amount of so many bytes admits: 15/16 of it, as the rest is for short bodies alone.
pub const fn body_bytes_max(bytes: usize) -> usize {
    let (long, short) = (bytes - bytes / SHORT_PART, SHORT_BYTES_MAX as usize);
    if long > short {
        long
    } else if bytes < short {
        bytes
    } else {
        short
    }
}

/// Three node-wide amounts: bytes of frame bodies in memory, the credit with which links begin, and the credit by which
/// windows are raised for long documents.
///
/// They are apart because they are held for different times by different peers: idle links hold their first credit as
/// long as they live, and who sends long documents must neither keep others from having a link nor from sending short
/// ones. Clones share the same amounts.
#[derive(Clone, Debug)]
pub struct Budget {
    frames: Amount,
    credit: Arc<Semaphore>,
    raises: Arc<Semaphore>,
}

impl Budget {
    /// A budget of so many bytes for frame bodies and for the credit with which links begin; no window is ever raised.
    /// A link needs its connection window to exist at all: 64 KiB for each link of a server, 7 MiB for that of a device.
    pub fn new(frame_bytes: usize, credit_bytes: usize) -> Self {
        Self { frames: Amount::new(frame_bytes), credit: semaphore(credit_bytes), raises: semaphore(0) }
    }

    /// The same with so many bytes by which windows may be raised, all links together.
    #[must_use]
    pub fn raising(self, raise_bytes: usize) -> Self {
        Self { raises: semaphore(raise_bytes), ..self }
    }

    /// A listener's budget: the first window of `links_max` links, and of as many more as may be in their handshake, is
    /// always there; windows are raised by a quarter of `frame_bytes` beyond that.
    ///
    /// What peers may have sent and nobody has read is then at most `(links_max + handshakes_max) * connection_window +
    /// frame_bytes / 4`: 641 MiB + 64 MiB for 10,000 links and 256 MiB, if every client fills its window and this node
    /// reads nothing.
    pub fn listening(frame_bytes: usize, links_max: usize, limits: &LinkLimits) -> Self {
        let links = links_max.saturating_add(limits.handshakes_max);
        let credit_bytes = links.saturating_mul(limits.connection_window as usize);
        Self::new(frame_bytes, credit_bytes).raising(frame_bytes / 4)
    }

    /// Bytes that frame bodies may still take.
    pub fn frame_bytes_left(&self) -> usize {
        self.frames.all.available_permits()
    }

    /// Bytes of credit that links may still begin with.
    pub fn credit_bytes_left(&self) -> usize {
        self.credit.available_permits()
    }

    /// Bytes by which windows may still be raised.
    pub fn raise_bytes_left(&self) -> usize {
        self.raises.available_permits()
    }

    /// One link's part of the frame bytes: never more than `bytes` at once.
    pub(crate) fn share(&self, bytes: u32) -> Share {
        Share { own: Amount::new(self.frames.bytes.min(bytes as usize)), node: self.frames.clone() }
    }

    /// Takes a link's first credit now, or not at all.
    pub(crate) fn credit(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.credit).try_acquire_many_owned(bytes).ok()
    }

    /// Takes credit for a raise now, or not at all.
    pub(crate) fn raise(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.raises).try_acquire_many_owned(bytes).ok()
    }
}

fn semaphore(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS)))
}

/// Bytes for bodies, of which long ones can only have a part.
#[derive(Clone, Debug)]
struct Amount {
    all: Arc<Semaphore>,
    /// What long bodies may have of it. They take from here first, so that who waits here is in nobody else's way.
    long: Arc<Semaphore>,
    bytes: usize,
}

impl Amount {
    fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self { all: semaphore(bytes), long: semaphore(bytes - bytes / SHORT_PART), bytes }
    }

    /// Waits until so many bytes are free for a body of this length. `None` would need a closed semaphore; none is.
    async fn take(&self, length: u32, bytes: u32) -> Option<Taken> {
        let long = if length > SHORT_BYTES_MAX {
            Some(Arc::clone(&self.long).acquire_many_owned(bytes).await.ok()?)
        } else {
            None
        };
        Some(Taken { all: Arc::clone(&self.all).acquire_many_owned(bytes).await.ok()?, long })
    }
}

/// Bytes of one [`Amount`]; given back when dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    all: OwnedSemaphorePermit,
    long: Option<OwnedSemaphorePermit>,
}

impl Taken {
    /// Adds to what was taken of the same amount.
    fn add(all: &mut Vec<Self>, more: Self) {
        match all.iter_mut().find(|had| Arc::ptr_eq(had.all.semaphore(), more.all.semaphore())) {
            Some(had) => had.merge(more),
            None => all.push(more),
        }
    }

    fn merge(&mut self, more: Self) {
        self.all.merge(more.all);
        match (&mut self.long, more.long) {
            (Some(had), Some(more)) => had.merge(more),
            (had, more) => *had = had.take().or(more),
        }
    }
}

/// One link's part of a [`Budget`].
#[derive(Clone, Debug)]
pub(crate) struct Share {
    own: Amount,
    node: Amount,
}

impl Share {
    /// The longest body that this share can ever admit; to wait for a longer one would be to wait for ever.
    pub(crate) fn body_bytes_max(&self) -> u32 {
        u32::try_from(body_bytes_max(self.own.bytes)).unwrap_or(u32::MAX)
    }

    /// Waits for a whole body's room in the link's own part, which costs this link alone, and so that two bodies never
    /// wait for each other's second halves. Of the node's bytes it takes none yet.
    pub(crate) async fn admit(&self, length: u32) -> Option<Permit> {
        let own = self.own.take(length, length).await?;
        Some(Permit { _own: own, amount: self.node.clone(), node: Vec::new(), length })
    }
}

/// The room of one body: all of it in the link's own part, and so much as was taken in the node. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _own: Taken,
    amount: Amount,
    /// Of one amount, unless bytes of an earlier link came out of another.
    node: Vec<Taken>,
    length: u32,
}

impl Permit {
    /// Waits until so many bytes more are free in the node, and takes them. Dropped while it waits, it has taken none.
    pub(crate) async fn grow(&mut self, bytes: u32) -> Option<()> {
        let more = self.amount.take(self.length, bytes).await?;
        Taken::add(&mut self.node, more);
        Some(())
    }

    /// What was taken in the node, without the link's own part: its bytes outlive the link.
    pub(crate) fn into_node(self) -> Vec<Taken> {
        self.node
    }

    /// Takes over what was taken in the node for bytes of an earlier link.
    pub(crate) fn merge_node(&mut self, earlier: Vec<Taken>) {
        earlier.into_iter().for_each(|earlier| Taken::add(&mut self.node, earlier));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const KIB: u32 = 1 << 10;
    const MOMENT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn what_is_taken_comes_back() {
        let budget = Budget::new(100, 100);
        let share = budget.share(60);
        let mut permit = share.admit(60).await.expect("free");
        assert_eq!(budget.frame_bytes_left(), 100, "nothing has come yet");
        permit.grow(40).await.expect("free");
        permit.grow(20).await.expect("free");
        assert_eq!(budget.frame_bytes_left(), 40);
        assert!(timeout(MOMENT, share.admit(1)).await.is_err(), "a link cannot have more than its share");
        drop(permit);
        assert_eq!(budget.frame_bytes_left(), 100);
        assert!(timeout(MOMENT, share.admit(60)).await.is_ok());
    }

    #[tokio::test]
    async fn what_an_earlier_link_took_is_kept_also_if_it_came_out_of_another_budget() {
        let (first, second) = (Budget::new(100, 0), Budget::new(100, 0));
        let take = async |budget: &Budget| {
            let mut permit = budget.share(60).admit(60).await.expect("free");
            permit.grow(40).await.expect("free");
            permit
        };
        let left = || [&first, &second].map(Budget::frame_bytes_left);
        let mut permit = take(&second).await;
        permit.merge_node(take(&first).await.into_node());
        permit.merge_node(take(&first).await.into_node());
        permit.grow(10).await.expect("free");
        assert_eq!(left(), [20, 50]);
        drop(permit.into_node());
        assert_eq!(left(), [100, 100]);
    }

    #[tokio::test]
    async fn long_bodies_leave_room_for_short_ones() {
        let budget = Budget::new(1600 << 10, 0);
        let mut long = budget.share(u32::MAX).admit(1500 * KIB).await.expect("free");
        long.grow(1500 * KIB).await.expect("free");
        let mut more = budget.share(u32::MAX).admit(100 * KIB).await.expect("its own part is free");
        assert!(timeout(MOMENT, more.grow(1)).await.is_err());
        let mut short = budget.share(u32::MAX).admit(64 * KIB).await.expect("free");
        timeout(MOMENT, short.grow(64 * KIB)).await.expect("short bodies do not wait behind long ones");
        drop(long);
        timeout(MOMENT, more.grow(100 * KIB)).await.expect("given back in both parts");
        drop((more, short));
        assert_eq!(budget.frame_bytes_left(), 1600 << 10);
        assert_eq!(budget.frames.long.available_permits(), 1500 << 10);
    }

    #[test]
    fn an_amount_admits_what_it_can_hold() {
        for (bytes, longest) in [(0, 0), (10, 10), (64 << 10, 64 << 10), (65 << 10, 64 << 10), (16 << 20, 15 << 20)] {
            assert_eq!(body_bytes_max(bytes), longest);
            assert_eq!(Budget::new(bytes, 0).share(u32::MAX).body_bytes_max() as usize, longest);
        }
        assert_eq!(Budget::new(10, 0).share(1000).body_bytes_max(), 10, "never more than the budget");
    }

    #[test]
    fn credit_is_given_or_refused_at_once_and_raises_take_none_of_it() {
        let budget = Budget::new(0, 100).raising(50);
        let held = budget.credit(70);
        assert!(held.is_some());
        assert!(budget.credit(70).is_none());
        let raised = budget.raise(50);
        assert!(raised.is_some() && budget.raise(1).is_none());
        assert_eq!((budget.credit_bytes_left(), budget.raise_bytes_left()), (30, 0));
    }

    #[test]
    fn a_listener_has_the_first_window_of_every_link() {
        let budget = Budget::listening(256 << 20, 10_000, &LinkLimits::server());
        assert_eq!(budget.credit_bytes_left(), (10_000 + 256) * (64 << 10));
        assert_eq!(budget.raise_bytes_left(), 64 << 20);
    }
}
