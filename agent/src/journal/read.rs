//! Reading a journal, also while an agent writes it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use node::client::journal::Entry;
use schemas::digest::Digest;

use super::line::{self, Line, Place};
use super::shared::LINKS;
use super::{DOCUMENTS, JOURNAL, JournalError, is_whole};

/// Reads the lines of a state directory's journal, with every document checked; see [`read`].
///
/// # Errors
/// See [`read`].
pub fn lines(directory: &Path) -> Result<Vec<Line>, JournalError> {
    read(directory, drop)
}

/// Reads the journal of a state directory without taking its lock. `take` gets each entry, such as for `Client::replay`,
/// with one document in memory at a time; answers the lines as they stand in the file. A line that is being written is not
/// seen yet.
///
/// # Errors
/// There is none, or it is damaged elsewhere than at its end.
pub fn read(directory: &Path, take: impl FnMut(Entry)) -> Result<Vec<Line>, JournalError> {
    let scanned = scan(directory)?;
    if !scanned.is_there {
        return Err(JournalError::Missing(directory.to_owned()));
    }
    scanned.each_entry(take)?;
    Ok(scanned.lines)
}

/// What the two files hold.
pub(super) struct Scanned {
    journal: PathBuf,
    documents: Option<File>,
    links: PathBuf,
    /// Whether there is a journal at all.
    pub(super) is_there: bool,
    /// Whole lines.
    pub(super) lines: Vec<Line>,
    /// One past the last whole line.
    pub(super) lines_end: u64,
    /// Bytes behind it.
    pub(super) torn: u64,
    /// One past the last document that a line knows.
    pub(super) documents_end: u64,
}

/// Reads the lines; the documents are read by [`Scanned::each_entry`].
pub(super) fn scan(directory: &Path) -> Result<Scanned, JournalError> {
    let journal = directory.join(JOURNAL);
    let text = match std::fs::read(&journal) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(source) => return Err(JournalError::File { path: journal, source }),
    };
    // After the lines: whatever these know is in there by now.
    let path = directory.join(DOCUMENTS);
    let documents = match File::open(&path) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(source) => return Err(JournalError::File { path, source }),
    };
    let (is_there, links) = (text.is_some(), directory.join(LINKS));
    let mut scanned =
        Scanned { journal, documents, links, is_there, lines: Vec::new(), lines_end: 0, torn: 0, documents_end: 0 };
    scanned.take(&text.unwrap_or_default())?;
    Ok(scanned)
}

impl Scanned {
    fn take(&mut self, text: &[u8]) -> Result<(), JournalError> {
        let mut rest = text;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            match serde_json::from_slice::<Line>(line) {
                Ok(line) => self.push(line)?,
                // A batch that was not synced may have reached the disk with holes; only the last one can look so.
                Err(_) if !self.begins_later(after) => break,
                Err(error) => return Err(self.damaged(self.lines.len(), error.to_string())),
            }
            rest = after;
            self.lines_end += end as u64 + 1;
        }
        self.torn = rest.len() as u64;
        Ok(())
    }

    /// Whether a batch begins in what follows, so that everything before it was durable.
    fn begins_later(&self, after: &[u8]) -> bool {
        // An older journal marks no batches, and without a first line nobody knows: then each line counts as one.
        let is_marked = self.lines.first().is_some_and(|line| line.begins);
        let mut rest = after.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
        rest.any(|line| line.begins || !is_marked)
    }

    fn push(&mut self, line: Line) -> Result<(), JournalError> {
        let expected = self.lines.len() as u64 + 1;
        if line.n != expected {
            return Err(self.damaged(self.lines.len(), format!("it counts {} where {expected} follows", line.n)));
        }
        if let Some(place) = line.document {
            let end = place
                .next(self.documents_end)
                .ok_or_else(|| self.damaged(self.lines.len(), "its document has another's place".into()))?;
            self.documents_end = end;
        }
        self.lines.push(line);
        Ok(())
    }

    /// Reads every document, one after the other, and checks it.
    pub(super) fn each_entry(&self, mut take: impl FnMut(Entry)) -> Result<(), JournalError> {
        for (index, line) in self.lines.iter().enumerate() {
            let entry = line::to_entry(line, |place, digest| self.document(place, digest));
            take(entry.map_err(|what| self.damaged(index, what))?);
        }
        Ok(())
    }

    fn document(&self, place: Place, digest: Digest) -> Result<Bytes, String> {
        let (stands, bytes) = match place.offset {
            Some(offset) => {
                let file = self.documents.as_ref().ok_or_else(|| ErrorKind::NotFound.into());
                let bytes = file.and_then(|file| part(file, offset, place.length.saturating_add(1)));
                (format!("at byte {offset} of {DOCUMENTS}"), bytes.map(without_newline))
            }
            None => {
                let file = File::open(self.links.join(digest.to_string()));
                (format!("{digest} in {LINKS}"), file.and_then(|file| part(&file, 0, place.length)))
            }
        };
        let bytes = bytes.map_err(|error| format!("its document {stands}: {error}"))?;
        if is_whole(&bytes, digest) {
            Ok(bytes.into())
        } else {
            Err(format!("its document {stands} is not what was written"))
        }
    }

    fn damaged(&self, index: usize, what: String) -> JournalError {
        JournalError::Damaged { path: self.journal.clone(), line: index + 1, what }
    }
}

/// Bytes of a file.
fn part(file: &File, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    // Before memory is spent on a length that nobody wrote.
    if offset.checked_add(length).is_none_or(|end| file.metadata().is_ok_and(|metadata| end > metadata.len())) {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, offset).map(|()| bytes)
}

fn without_newline(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.pop();
    bytes
}
