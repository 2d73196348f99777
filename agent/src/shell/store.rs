//! The journal's thread: what waits together is made durable together.

use std::io;
use std::thread::JoinHandle;

use node::client::journal::Entry;
use node::ids::Ticket;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::journal::{Journal, JournalError};

/// Batches that may wait for the disk.
const BATCHES: usize = 64;

/// What became of a batch.
#[derive(Debug)]
pub(crate) struct Report {
    /// Which.
    pub(crate) ticket: Ticket,
    /// Whether it is durable.
    pub(crate) outcome: Result<(), String>,
}

type Batch = (Ticket, Vec<Entry>);

/// The driver's end of the thread.
pub(crate) struct Store {
    batches: mpsc::Sender<Batch>,
    thread: JoinHandle<()>,
}

/// There is no room now, or never again.
pub(crate) enum Refused {
    /// Later.
    Full(Vec<Entry>),
    /// The thread has ended.
    Ended,
}

impl Store {
    /// Starts the thread; reports come in the order of batches.
    pub(crate) fn start(journal: Journal) -> io::Result<(Self, mpsc::Receiver<Report>)> {
        let (batches, incoming) = mpsc::channel(BATCHES);
        // The driver always takes a report first, so the thread never waits long for it.
        let (reports, outcomes) = mpsc::channel(BATCHES);
        let thread = std::thread::Builder::new().name("journal".into()).spawn(|| work(journal, incoming, reports))?;
        Ok((Self { batches, thread }, outcomes))
    }

    /// Hands a batch over, if there is room.
    pub(crate) fn try_submit(&self, ticket: Ticket, entries: Vec<Entry>) -> Result<(), Refused> {
        self.batches.try_send((ticket, entries)).map_err(|error| match error {
            TrySendError::Full((_, entries)) => Refused::Full(entries),
            TrySendError::Closed(_) => Refused::Ended,
        })
    }

    /// Waits for the last batch and closes the journal. Blocks.
    pub(crate) fn join(self) {
        drop(self.batches);
        // The thread does not panic; if it did, what it wrote is whole lines all the same.
        drop(self.thread.join());
    }
}

fn work(mut journal: Journal, mut incoming: mpsc::Receiver<Batch>, reports: mpsc::Sender<Report>) {
    while let Some((ticket, mut entries)) = incoming.blocking_recv() {
        let mut tickets = vec![ticket];
        while tickets.len() < BATCHES
            && let Ok((ticket, more)) = incoming.try_recv()
        {
            tickets.push(ticket);
            entries.extend(more);
        }
        let outcome = append(&mut journal, &entries).map_err(|error| error.to_string());
        for ticket in tickets {
            if reports.blocking_send(Report { ticket, outcome: outcome.clone() }).is_err() {
                return;
            }
        }
    }
}

fn append(journal: &mut Journal, entries: &[Entry]) -> Result<(), JournalError> {
    for line in journal.append(entries)? {
        let event = line.event.as_str();
        match (line.id, line.asset) {
            (Some(id), _) => tracing::info!(n = line.n, event, id, title = line.title, "journalled"),
            (None, Some(asset)) => tracing::info!(n = line.n, event, asset, "journalled"),
            (None, None) => tracing::debug!(n = line.n, event, item = line.item, "journalled"),
        }
    }
    Ok(())
}
