//! The journal on disk: `journal.jsonl`, one event a line, and `documents.bin`, the providers' bytes.
//!
//! Both only grow. A batch is durable in this order: documents, then lines; only then is anything acknowledged. So after
//! a crash the lines are a prefix of what was written, each with its document, and whatever stands behind them was
//! acknowledged to nobody: it is cut, and `documents.bin` to what the lines know. The first line of each batch says so,
//! because a batch is more than one page of the disk, and any of them may be missing after a power cut: a hole is cut
//! with what follows it if no other batch does. Damage anywhere else is an error. Each document's digest is checked when
//! it is read. With [`Journal::share`] documents are files of their own instead, which agents of one host share; the order
//! is the same.

mod error;
mod files;
mod info;
mod line;
mod read;
mod resume;
mod shared;
#[cfg(test)]
mod tests;

use std::path::Path;

use bytes::Bytes;
use node::client::journal::{Entry, Event};
use node::intake::Intake;
use schemas::digest::Digest;
use schemas::facts::Validated;
use schemas::limits::Limits;
use topology::subject::Subject;

pub use self::error::JournalError;
pub(crate) use self::files::Directory;
pub use self::line::{AssetLine, Kind, Line, Place, ReasonLine};
pub use self::read::{lines, read};
pub use self::resume::{ClassName, PlaceLine, ResumeLine};

use self::files::Appender;
use self::shared::Shared;

/// The file of events, in the state directory.
pub const JOURNAL: &str = "journal.jsonl";
/// The file of documents, in the state directory.
pub const DOCUMENTS: &str = "documents.bin";

/// A journal that is open for writing, by one process at a time.
#[derive(Debug)]
pub struct Journal {
    lines: Appender,
    documents: Appender,
    shared: Option<Shared>,
    broken: bool,
    directory: Directory,
}

impl Journal {
    /// Opens the journal of a state directory, or begins one. `take` gets everything in it, for `Client::replay`.
    ///
    /// # Errors
    /// The directory is in use or cannot be used, or the journal is damaged elsewhere than at its end.
    pub fn open(directory: &Path, take: impl FnMut(Entry)) -> Result<Self, JournalError> {
        let directory = Directory::claim(directory)?;
        let scanned = read::scan(directory.path())?;
        scanned.each_entry(take)?;
        if scanned.torn > 0 {
            tracing::warn!(
                bytes = scanned.torn,
                "the journal ended in a batch that was never finished, and so never acknowledged: cut"
            );
        }
        let lines = Appender::open(&directory.path().join(JOURNAL), scanned.lines_end)?;
        let documents = Appender::open(&directory.path().join(DOCUMENTS), scanned.documents_end)?;
        directory.sync()?;
        Ok(Self { lines, documents, shared: None, broken: false, directory })
    }

    /// Keeps documents in a folder of all agents of this host from now on: each once, however many have it.
    ///
    /// # Errors
    /// The folder cannot be used, or lies on another file system than the state directory.
    pub fn share(&mut self, folder: &Path) -> Result<(), JournalError> {
        self.shared = Some(Shared::open(folder, self.directory.path())?);
        Ok(())
    }

    /// Appends entries and makes them durable.
    ///
    /// # Errors
    /// Nothing of them may be acknowledged, and nothing more can be written: open the journal again.
    pub fn append(&mut self, entries: &[Entry]) -> Result<Vec<Line>, JournalError> {
        if self.broken {
            return Err(JournalError::Broken);
        }
        let appended = self.try_append(entries);
        self.broken = appended.is_err();
        appended
    }

    fn try_append(&mut self, entries: &[Entry]) -> Result<Vec<Line>, JournalError> {
        let mut lines = Vec::with_capacity(entries.len());
        let mut has_documents = false;
        for entry in entries {
            let document = document(&entry.event);
            let place = document.map(|(digest, document)| self.keep(digest, document)).transpose()?;
            has_documents |= place.is_some();
            let subject = document.and_then(|(_, document)| subject(document));
            let line = line::of_entry(entry, place, subject.as_ref());
            lines.push(line.map_err(|why| JournalError::Asset(asset(&entry.event).to_owned(), why))?);
        }
        if let Some(first) = lines.first_mut() {
            first.begins = true;
        }
        if has_documents {
            self.shared.as_ref().map_or_else(|| self.documents.sync(), Shared::sync)?;
        }
        let mut text = String::new();
        for line in &lines {
            // Strings, numbers and no maps with other keys: JSON can carry it.
            text.push_str(&serde_json::to_string(line).expect("a line is JSON"));
            text.push('\n');
        }
        self.lines.append(text.as_bytes())?;
        self.lines.sync()?;
        Ok(lines)
    }

    fn keep(&mut self, digest: Digest, document: &Bytes) -> Result<Place, JournalError> {
        let length = document.len() as u64;
        if let Some(shared) = &self.shared {
            return shared.keep(digest, document).map(|()| Place { offset: None, length });
        }
        let place = Place { offset: Some(self.documents.length()), length };
        self.documents.append(document)?;
        // For people who look into the file.
        self.documents.append(b"\n")?;
        Ok(place)
    }
}

fn document(event: &Event) -> Option<(Digest, &Bytes)> {
    match event {
        Event::Gained { digest, document, .. }
        | Event::Revised { digest, document, .. }
        | Event::Retracted { digest, document, .. } => Some((*digest, document)),
        Event::Rematched { .. }
        | Event::Left { .. }
        | Event::Registered { .. }
        | Event::Ended { .. }
        | Event::Assigned { .. }
        | Event::Regarded { .. }
        | Event::Refused { .. }
        | Event::Noted => None,
    }
}

fn asset(event: &Event) -> &str {
    match event {
        Event::Registered { name, .. } => name,
        _ => "",
    }
}

/// What an item says of itself; `None` for bytes that are no item.
fn subject(document: &Bytes) -> Option<Subject> {
    let facts = Validated::new(document.clone(), &Limits::default()).ok()?;
    subject_of(&facts)
}

/// The same of bytes that were read.
pub(crate) fn subject_of(facts: &Validated) -> Option<Subject> {
    let intake = Intake::of(facts)?;
    let (_, item) = intake.items().into_iter().next()??;
    Some(item.subject.clone())
}

/// Whether bytes are those that a digest names.
fn is_whole(document: &[u8], digest: Digest) -> bool {
    Digest::of(document) == digest
}
