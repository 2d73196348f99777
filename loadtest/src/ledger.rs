//! Who has received what, and when: each receipt is counted once and timed from when its item was due.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use schemas::digest::Digest;
use tokio::sync::Notify;

use crate::items::Item;
use crate::plan::{Clients, Habit, Plan, Publish};
use crate::readings::Readings;

/// Longest latency that is told apart, in microseconds: a quarter of an hour.
const LATENCY_MAX: u64 = 900_000_000;

/// Times of receipt after an item was due, in microseconds.
pub type Latencies = Histogram<u64>;

/// See the module. Shared by all clients and providers.
#[derive(Debug)]
pub struct Ledger {
    /// What came, whoever it came to.
    pub readings: Readings,
    begin: Instant,
    index: HashMap<Digest, u32>,
    publications: Vec<Publication>,
    expected: u64,
    entries: Vec<Entry>,
    /// For each group of clients.
    groups: Vec<Group>,
    /// Told when a window moves.
    moved: Notify,
}

#[derive(Debug, Default)]
struct Entry {
    /// Microseconds after the beginning, and 1; 0 if it is not published yet.
    due: AtomicU64,
    content_bytes: u64,
    document_bytes: u64,
    /// By clients that are waited for.
    received: AtomicU32,
}

#[derive(Debug)]
struct Publication {
    /// Where its items begin.
    start: usize,
    /// How many receipts of an item are waited for.
    waited_for: u32,
    latencies: Mutex<Latencies>,
    counts: Counts,
}

#[derive(Debug)]
struct Group {
    latencies: Mutex<Latencies>,
    counts: Counts,
    is_waited_for: bool,
}

#[derive(Debug, Default)]
struct Counts {
    receipts: AtomicU64,
    repeats: AtomicU64,
    strangers: AtomicU64,
    content_bytes: AtomicU64,
    document_bytes: AtomicU64,
    last: AtomicU64,
}

/// What a group has received so far, or what all have received of a publication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// Items, each counted once for each client.
    pub receipts: u64,
    /// Items that a client had already.
    pub repeats: u64,
    /// Items that no provider of this run has published.
    pub strangers: u64,
    /// Bytes of content in the receipts.
    pub content_bytes: u64,
    /// Bytes of the documents.
    pub document_bytes: u64,
    /// When the last one came, in microseconds after the beginning.
    pub last: u64,
}

/// What one client has.
#[derive(Debug)]
pub struct Held(Vec<u64>);

impl Ledger {
    /// A ledger of these items, one list for each publication.
    ///
    /// # Errors
    /// Never: the bounds of the latencies are good ones.
    pub fn new(plan: &Plan, items: &[Vec<Item>]) -> anyhow::Result<Self> {
        let all = || items.iter().flatten();
        let entry = |item: &Item| Entry {
            content_bytes: item.content_bytes,
            document_bytes: item.document.len() as u64,
            ..Entry::default()
        };
        let starts = items.iter().scan(0, |next, items| Some(std::mem::replace(next, *next + items.len())));
        let waited_for = |publish: &Publish| {
            let groups = plan.clients.iter().filter(|group| group.habit.is_waited_for() && group.want(publish));
            groups.map(|group| u32::try_from(group.count).unwrap_or(u32::MAX)).sum()
        };
        let expected = |clients: &Clients| -> usize {
            let wanted = plan.publish.iter().zip(items).filter(|(publish, _)| clients.want(publish));
            if clients.habit == Habit::Stalled {
                0
            } else {
                clients.count * wanted.map(|(_, items)| items.len()).sum::<usize>()
            }
        };
        let latencies: Latencies = Histogram::new_with_max(LATENCY_MAX, 3)?;
        let publication = |(publish, start): (&Publish, usize)| Publication {
            start,
            waited_for: waited_for(publish),
            latencies: Mutex::new(latencies.clone()),
            counts: Counts::default(),
        };
        let group = |clients: &Clients| Group {
            latencies: Mutex::new(latencies.clone()),
            counts: Counts::default(),
            is_waited_for: clients.habit.is_waited_for(),
        };
        Ok(Self {
            readings: Readings::default(),
            begin: Instant::now(),
            index: (0..).zip(all()).map(|(index, item)| (item.digest, index)).collect(),
            publications: plan.publish.iter().zip(starts).map(publication).collect(),
            expected: plan.clients.iter().map(|clients| expected(clients) as u64).sum(),
            entries: all().map(entry).collect(),
            groups: plan.clients.iter().map(group).collect(),
            moved: Notify::new(),
        })
    }

    /// Receipts without which something is missing.
    pub fn expected(&self) -> u64 {
        self.expected
    }

    /// What a client holds that has nothing.
    pub fn nothing(&self) -> Held {
        Held(vec![0; self.entries.len().div_ceil(64)])
    }

    /// Since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// An item is published, or is due though it can only be published later.
    pub fn publish(&self, publication: usize, number: usize, due: Duration) {
        let entry = self.entry(publication, number);
        entry.due.store(micros(due) + 1, Ordering::Release);
    }

    /// A client of a group has received an item.
    pub fn receive(&self, group: usize, held: &mut Held, digest: Digest) {
        let Group { latencies, counts, is_waited_for } = &self.groups[group];
        let Some(index) = self.index.get(&digest).map(|index| *index as usize) else {
            counts.strangers.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if !held.insert(index) {
            counts.repeats.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let (now, entry) = (micros(self.elapsed()), &self.entries[index]);
        let latency = now.saturating_sub(entry.due.load(Ordering::Acquire).saturating_sub(1)).max(1);
        let publication = self.publication_of(index);
        for (latencies, counts) in [(latencies, counts), (&publication.latencies, &publication.counts)] {
            latencies.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(latency);
            counts.receive(entry, now);
        }
        if *is_waited_for && entry.received.fetch_add(1, Ordering::AcqRel) + 1 == publication.waited_for {
            self.moved.notify_waiters();
        }
    }

    fn publication_of(&self, index: usize) -> &Publication {
        let following = self.publications.partition_point(|publication| publication.start <= index);
        &self.publications[following.saturating_sub(1)]
    }

    fn entry(&self, publication: usize, number: usize) -> &Entry {
        &self.entries[self.publications[publication].start + number]
    }

    /// Waits until an item has been received by everybody who is waited for.
    pub async fn received_by_all(&self, publication: usize, number: usize) {
        let entry = self.entry(publication, number);
        loop {
            let moved = self.moved.notified();
            if entry.received.load(Ordering::Acquire) >= self.publications[publication].waited_for {
                return;
            }
            moved.await;
        }
    }

    /// What a group has received.
    pub fn received(&self, group: usize) -> Received {
        self.groups[group].counts.read()
    }

    /// What all have received of a publication.
    pub fn received_of(&self, publication: usize) -> Received {
        self.publications[publication].counts.read()
    }

    /// When the first item of a publication was due.
    pub fn begin_of(&self, publication: usize) -> Duration {
        Duration::from_micros(self.entry(publication, 0).due.load(Ordering::Acquire).saturating_sub(1))
    }

    /// Receipts of all groups.
    pub fn receipts(&self) -> u64 {
        self.groups.iter().map(|group| group.counts.receipts.load(Ordering::Relaxed)).sum()
    }

    /// A group's latencies.
    pub fn latencies(&self, group: usize) -> Latencies {
        self.groups[group].latencies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A publication's latencies.
    pub fn latencies_of(&self, publication: usize) -> Latencies {
        self.publications[publication].latencies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Counts {
    /// An item that is new to somebody, now.
    fn receive(&self, entry: &Entry, now: u64) {
        self.receipts.fetch_add(1, Ordering::Relaxed);
        self.content_bytes.fetch_add(entry.content_bytes, Ordering::Relaxed);
        self.document_bytes.fetch_add(entry.document_bytes, Ordering::Relaxed);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    fn read(&self) -> Received {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Received {
            receipts: read(&self.receipts),
            repeats: read(&self.repeats),
            strangers: read(&self.strangers),
            content_bytes: read(&self.content_bytes),
            document_bytes: read(&self.document_bytes),
            last: read(&self.last),
        }
    }
}

impl Held {
    /// Whether it is new.
    fn insert(&mut self, index: usize) -> bool {
        let (word, bit) = (&mut self.0[index / 64], 1 << (index % 64));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::items;

    fn ledger() -> (Ledger, Vec<Vec<Item>>) {
        let text = "name = \"two\"\n[[clients]]\nname = \"all\"\ncount = 2\n\
                    [[clients]]\nname = \"stuck\"\ncount = 5\nhabit = \"stalled\"\n\
                    [[publish]]\nname = \"a\"\ncontent = { text = 10 }\ncount = 2\n\
                    [[publish]]\nname = \"b\"\ncontent = { text = 20 }\ncount = 3\n";
        let plan: Plan = toml::from_str(text).unwrap();
        let items: Vec<_> = plan.publish.iter().map(|publish| items::make(publish, 1).unwrap()).collect();
        (Ledger::new(&plan, &items).unwrap(), items)
    }

    #[test]
    fn a_receipt_counts_once_and_a_stranger_never() {
        let (ledger, items) = ledger();
        let mut held = ledger.nothing();
        ledger.publish(1, 2, Duration::ZERO);
        for digest in [items[1][2].digest, items[1][2].digest, Digest::default()] {
            ledger.receive(0, &mut held, digest);
        }
        let received = ledger.received(0);
        assert_eq!((received.receipts, received.repeats, received.strangers), (1, 1, 1));
        assert_eq!(received.document_bytes, items[1][2].document.len() as u64);
        assert_eq!((ledger.latencies(0).len(), ledger.receipts()), (1, 1));
        assert_eq!([0, 1].map(|publication| ledger.received_of(publication).receipts), [0, 1]);
        assert_eq!([0, 1].map(|publication| ledger.latencies_of(publication).len()), [0, 1]);
        assert_eq!(ledger.expected(), 2 * 5, "of who is stalled nothing is");
    }

    #[tokio::test]
    async fn a_window_moves_when_all_have_received_who_are_waited_for() {
        let (ledger, items) = ledger();
        let receive = |group, digest| ledger.receive(group, &mut ledger.nothing(), digest);
        receive(1, items[0][1].digest);
        receive(0, items[0][1].digest);
        let waited = tokio::time::timeout(Duration::from_millis(20), ledger.received_by_all(0, 1)).await;
        assert!(waited.is_err(), "one is missing, and who is stalled does not count");
        receive(0, items[0][1].digest);
        ledger.received_by_all(0, 1).await;
    }
}
