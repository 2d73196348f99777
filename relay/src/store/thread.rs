//! One thread that writes: it takes what is queued, commits it as one, and reports each ticket.
//!
//! A slow disk makes the batches larger instead of the queue longer. The queue is bounded; who submits to a full one waits or is told.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::{Builder, JoinHandle},
    time::Instant,
};

use node::store::Write;
use tokio::sync::mpsc;

use super::{Store, StoreError, segment};

/// Bounds of a store thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Submissions that may wait in the queue. At least 1.
    pub queue_max: usize,
    /// Submissions that one commit takes at most. At least 1.
    pub batch_max: usize,
    /// Bytes after which a commit takes no further submission; so a commit holds at most this and one submission more.
    pub batch_bytes_max: usize,
}

impl Default for Limits {
    /// 1,024 waiting; 256 or 4 MiB in one commit: half a segment, and some hundred times what one sync costs.
    fn default() -> Self {
        Self { queue_max: 1024, batch_max: 256, batch_bytes_max: 4 << 20 }
    }
}

/// What became of one submission. An error concerns the whole commit that it was part of, so several tickets may report the same one.
#[derive(Clone, Debug)]
pub struct Report {
    /// As given to `submit`.
    pub ticket: u64,
    /// `Ok` when its writes are durable.
    pub outcome: Result<(), Arc<StoreError>>,
}

/// Totals since the thread was started. Each only grows; read them one by one.
#[derive(Debug, Default)]
pub struct Counters {
    commits: AtomicU64,
    failures: AtomicU64,
    submissions: AtomicU64,
    item_bytes: AtomicU64,
    commit_micros: AtomicU64,
}

impl Counters {
    /// Commits tried.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Commits that failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Submissions in all commits; divided by the commits, the mean batch.
    #[must_use]
    pub fn submissions(&self) -> u64 {
        self.submissions.load(Ordering::Relaxed)
    }

    /// Bytes of items and their records appended to the log.
    #[must_use]
    pub fn item_bytes(&self) -> u64 {
        self.item_bytes.load(Ordering::Relaxed)
    }

    /// Time spent in commits, in microseconds.
    #[must_use]
    pub fn commit_micros(&self) -> u64 {
        self.commit_micros.load(Ordering::Relaxed)
    }
}

/// Why a submission was not taken. Nothing of it will be stored or reported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// As many submissions wait as may; this one comes back.
    #[error("the store's queue is full")]
    Full(Vec<Write>),
    /// The store thread has ended.
    #[error("the store thread has ended")]
    Ended,
}

/// The way to the store thread. Cloning it is cheap; the thread ends when all clones are gone and what was queued is stored.
#[derive(Clone, Debug)]
pub struct Queue {
    sender: mpsc::Sender<Submission>,
}

impl Queue {
    /// Queues a batch, waiting while the queue is full. Batches are stored in the order in which they were queued.
    pub async fn submit(&self, ticket: u64, writes: Vec<Write>) -> Result<(), SubmitError> {
        let sent = self.sender.send(Submission { ticket, writes }).await;
        sent.map_err(|_| SubmitError::Ended)
    }

    /// Queues a batch if there is room now.
    pub fn try_submit(&self, ticket: u64, writes: Vec<Write>) -> Result<(), SubmitError> {
        self.sender.try_send(Submission { ticket, writes }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(submission) => SubmitError::Full(submission.writes),
            mpsc::error::TrySendError::Closed(_) => SubmitError::Ended,
        })
    }
}

/// A running store thread.
#[derive(Debug)]
pub struct StoreThread {
    handle: JoinHandle<()>,
    counters: Arc<Counters>,
}

impl StoreThread {
    /// Starts the thread. `report` is called on it, once for each ticket, in the order of the queue; while it waits, so does the store.
    pub fn start(
        store: Store,
        limits: Limits,
        report: impl FnMut(Report) + Send + 'static,
    ) -> io::Result<(Self, Queue)> {
        let (sender, queue) = mpsc::channel(limits.queue_max.max(1));
        let counters = Arc::new(Counters::default());
        let writer = Writer { store, limits, report, counters: Arc::clone(&counters), owed: 0 };
        let handle = Builder::new().name("store".to_owned()).spawn(move || writer.run(queue))?;
        Ok((Self { handle, counters }, Queue { sender }))
    }

    /// What the thread has done so far.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Waits until everything queued is stored and reported and the store is closed. Call it when every [`Queue`] is dropped, and not on a runtime's
    /// own thread. False if the thread panicked.
    #[must_use]
    pub fn join(self) -> bool {
        self.handle.join().is_ok()
    }
}

struct Submission {
    ticket: u64,
    writes: Vec<Write>,
}

struct Writer<F> {
    store: Store,
    limits: Limits,
    report: F,
    counters: Arc<Counters>,
    /// Bytes of the log that were taken and not taken back yet; below 0, the other way round.
    owed: i64,
}

impl<F: FnMut(Report)> Writer<F> {
    fn run(mut self, mut queue: mpsc::Receiver<Submission>) {
        while let Some(first) = self.next(&mut queue) {
            let (tickets, writes) = self.gather(first, &mut queue);
            let outcome = self.commit(tickets.len(), &writes);
            for ticket in tickets {
                (self.report)(Report { ticket, outcome: outcome.clone() });
            }
            if outcome.is_ok() {
                self.keep_up(&writes);
            }
        }
    }

    /// Takes back as much room as was taken, if there is any to take: also while others wait, or the log would grow as long as there is no pause.
    fn keep_up(&mut self, writes: &[Write]) {
        let appended = writes.iter().map(appended).filter(|bytes| *bytes > 0);
        self.owed += appended.map(|bytes| segment::stored_len(bytes as u64)).sum::<u64>().cast_signed();
        while self.owed > 0 {
            match self.store.compact() {
                Some(freed) => self.owed -= freed.cast_signed(),
                None => self.owed = 0,
            }
        }
    }

    /// What is to be committed next; while nothing is, room is taken back.
    fn next(&mut self, queue: &mut mpsc::Receiver<Submission>) -> Option<Submission> {
        loop {
            match queue.try_recv() {
                Err(mpsc::error::TryRecvError::Empty) if self.store.compact().is_some() => {}
                Err(mpsc::error::TryRecvError::Empty) => return queue.blocking_recv(),
                received => return received.ok(),
            }
        }
    }

    /// Everything that is queued, up to the bounds.
    fn gather(&self, first: Submission, queue: &mut mpsc::Receiver<Submission>) -> (Vec<u64>, Vec<Write>) {
        let mut tickets = vec![first.ticket];
        let mut writes = first.writes;
        let mut bytes: usize = writes.iter().map(size).sum();
        while tickets.len() < self.limits.batch_max && bytes < self.limits.batch_bytes_max {
            let Ok(next) = queue.try_recv() else {
                break;
            };
            bytes += next.writes.iter().map(size).sum::<usize>();
            tickets.push(next.ticket);
            writes.extend(next.writes);
        }
        (tickets, writes)
    }

    fn commit(&mut self, submissions: usize, writes: &[Write]) -> Result<(), Arc<StoreError>> {
        let begun = Instant::now();
        let outcome = self.store.commit(writes).map_err(Arc::new);
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        let counters = &self.counters;
        counters.commits.fetch_add(1, Ordering::Relaxed);
        counters.submissions.fetch_add(submissions as u64, Ordering::Relaxed);
        counters.commit_micros.fetch_add(micros, Ordering::Relaxed);
        match &outcome {
            Ok(()) => {
                let appended: usize = writes.iter().map(appended).sum();
                counters.item_bytes.fetch_add(appended as u64, Ordering::Relaxed);
            }
            Err(error) => {
                counters.failures.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, submissions, "a commit failed");
            }
        }
        outcome
    }
}

/// Bytes of one write, for the bound of a batch.
fn size(write: &Write) -> usize {
    match write {
        Write::Append { record, item, .. } => record.len() + item.len(),
        Write::Put { key, value, .. } => key.len() + value.len(),
        Write::Delete { key, .. } => key.len(),
        Write::Trim { .. } => 0,
        Write::Evict { positions } => size_of_val(positions.as_slice()),
    }
}

/// Bytes of one write that go to the log.
fn appended(write: &Write) -> usize {
    match write {
        Write::Append { record, item, .. } => record.len() + item.len(),
        Write::Put { .. } | Write::Delete { .. } | Write::Trim { .. } | Write::Evict { .. } => 0,
    }
}
