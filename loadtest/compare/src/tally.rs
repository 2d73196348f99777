//! Who has received what, and when: for the peers' subscribers, which get messages in the order of publication.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::bail;
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::sync::Notify;

/// See the module. Shared by the publisher and all subscribers.
pub struct Tally {
    begin: Instant,
    clients: u32,
    messages: Vec<Message>,
    receipts: AtomicU64,
    content_bytes: AtomicU64,
    latencies: Mutex<Histogram<u64>>,
    fault: Mutex<Option<String>>,
    /// Told when a message has been received by everybody, and of faults.
    moved: Notify,
}

struct Message {
    payload: Bytes,
    /// Microseconds after the beginning.
    due: AtomicU64,
    received: AtomicU32,
}

/// Where a subscriber puts what it receives.
pub struct Inbox {
    tally: Arc<Tally>,
    next: usize,
}

impl Tally {
    /// Nothing has been received yet.
    ///
    /// # Errors
    /// None that can happen with these bounds.
    pub fn new(payloads: Vec<Bytes>, clients: usize) -> anyhow::Result<Self> {
        let message = |payload| Message { payload, due: AtomicU64::new(0), received: AtomicU32::new(0) };
        Ok(Self {
            begin: Instant::now(),
            clients: u32::try_from(clients)?,
            messages: payloads.into_iter().map(message).collect(),
            receipts: AtomicU64::new(0),
            content_bytes: AtomicU64::new(0),
            latencies: Mutex::new(Histogram::new_with_max(900_000_000, 3)?),
            fault: Mutex::new(None),
            moved: Notify::new(),
        })
    }

    /// For one subscriber.
    pub fn inbox(self: &Arc<Self>) -> Inbox {
        Inbox { tally: Arc::clone(self), next: 0 }
    }

    /// How many messages there are.
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    /// The message of this number, which is due at this time.
    pub fn publish(&self, number: usize, due: Instant) -> Bytes {
        let micros = due.saturating_duration_since(self.begin).as_micros() as u64;
        self.messages[number].due.store(micros, Ordering::Relaxed);
        self.messages[number].payload.clone()
    }

    /// Waits until everybody has received this message.
    ///
    /// # Errors
    /// Nothing came for so long, or a subscriber failed.
    pub async fn received_by_all(&self, number: usize, patience: Duration) -> anyhow::Result<()> {
        let mut last = (Instant::now(), 0);
        loop {
            let moved = self.moved.notified();
            if let Some(fault) = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take() {
                bail!("{fault}");
            }
            if self.messages[number].received.load(Ordering::Acquire) >= self.clients {
                return Ok(());
            }
            // Woken for the fault of a subscriber too; once a second it is looked whether anything still comes.
            if tokio::time::timeout(Duration::from_secs(1), moved).await.is_err() {
                let receipts = self.receipts.load(Ordering::Relaxed);
                if receipts > last.1 {
                    last = (Instant::now(), receipts);
                }
                if last.0.elapsed() > patience {
                    let expected = self.messages.len() as u64 * u64::from(self.clients);
                    bail!("nothing came for {} s: {receipts} receipts of {expected}", patience.as_secs());
                }
            }
        }
    }

    /// Receipts, and the bytes in them.
    pub fn received(&self) -> (u64, u64) {
        (self.receipts.load(Ordering::Relaxed), self.content_bytes.load(Ordering::Relaxed))
    }

    /// Milliseconds within which this share of all receipts came.
    pub fn latency(&self, quantile: f64) -> f64 {
        let latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.value_at_quantile(quantile) as f64 / 1e3
    }
}

impl Inbox {
    /// The next message is here. It has to be the next one published, byte for byte.
    pub fn take(&mut self, payload: &[u8]) {
        match self.tally.messages.get(self.next) {
            Some(message) if message.payload == payload => self.take_unseen(),
            Some(_) | None => self.fail(&format!("message {} is lost, altered or out of order", self.next)),
        }
    }

    /// How long the next message is, if there is one.
    pub fn length(&self) -> Option<usize> {
        self.tally.messages.get(self.next).map(|message| message.payload.len())
    }

    /// The next message is here, and need not be looked at.
    pub fn take_unseen(&mut self) {
        let tally = &self.tally;
        let Some(message) = tally.messages.get(self.next) else { return };
        let due = message.due.load(Ordering::Relaxed);
        let latency = (tally.begin.elapsed().as_micros() as u64).saturating_sub(due);
        tally.latencies.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(latency);
        tally.content_bytes.fetch_add(message.payload.len() as u64, Ordering::Relaxed);
        tally.receipts.fetch_add(1, Ordering::Relaxed);
        self.next += 1;
        if message.received.fetch_add(1, Ordering::Release) + 1 == tally.clients {
            tally.moved.notify_one();
        }
    }

    /// The subscriber cannot go on.
    pub fn fail(&self, why: &str) {
        *self.tally.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
        self.tally.moved.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Arc<Tally> {
        Arc::new(Tally::new(vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")], 2).unwrap())
    }

    #[tokio::test]
    async fn a_message_is_received_when_everybody_has_it() {
        let tally = tally();
        let (mut first, mut second) = (tally.inbox(), tally.inbox());
        first.take(b"one");
        first.take(b"two");
        second.take(b"one");
        tally.received_by_all(0, Duration::ZERO).await.unwrap();
        assert_eq!(tally.received(), (3, 9));
        tally.received_by_all(1, Duration::ZERO).await.expect_err("the second has not got it");
    }

    #[tokio::test]
    async fn what_is_left_out_is_noticed() {
        let tally = tally();
        tally.inbox().take(b"two");
        let error = tally.received_by_all(0, Duration::ZERO).await.expect_err("refused").to_string();
        assert!(error.contains("message 0"), "{error}");
    }
}
