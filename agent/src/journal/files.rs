//! The two files of a journal and the directory that they lie in: append, make durable, cut.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::JournalError;

/// A file that only grows, but for a torn end that is cut when it is opened.
#[derive(Debug)]
pub(super) struct Appender {
    path: PathBuf,
    file: File,
    length: u64,
}

impl Appender {
    /// Opens a file for appending behind its first `length` bytes; what stands after them is gone for good.
    pub(super) fn open(path: &Path, length: u64) -> Result<Self, JournalError> {
        let fault = |source| JournalError::File { path: path.to_owned(), source };
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(fault)?;
        if file.metadata().map_err(fault)?.len() > length {
            file.set_len(length).map_err(fault)?;
        }
        // Also what was found: a crash may have come between its writing and its sync.
        file.sync_all().map_err(fault)?;
        Ok(Self { path: path.to_owned(), file, length })
    }

    /// Where the next byte goes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Appends; durable only after [`Self::sync`].
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), JournalError> {
        self.file.write_all(bytes).map_err(|source| self.failed(source))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Comes back when everything appended is durable.
    pub(super) fn sync(&mut self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(|source| self.failed(source))
    }

    /// A file on a disk that is full.
    #[cfg(test)]
    pub(super) fn full() -> Self {
        let path = PathBuf::from("/dev/full");
        let file = OpenOptions::new().append(true).open(&path).expect("a Linux device");
        Self { path, file, length: 0 }
    }

    fn failed(&self, source: io::Error) -> JournalError {
        JournalError::Write { path: self.path.clone(), source }
    }
}

/// The state directory, held by this process alone until it is dropped.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the directory with mode 0700 if it is not there, and takes its lock.
    ///
    /// # Errors
    /// It cannot be made or written, or another process holds it.
    pub(crate) fn claim(path: &Path) -> Result<Self, JournalError> {
        let fault = |source| JournalError::File { path: path.to_owned(), source };
        make(path)?;
        let mode = std::fs::metadata(path).map_err(fault)?.mode();
        if mode & 0o077 != 0 {
            tracing::warn!(directory = %path.display(), "others can look into the state directory; chmod 700 it");
        }
        let at = path.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600).open(&at).map_err(fault)?;
        match wait_for(&lock) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(JournalError::InUse(path.to_owned())),
            Err(TryLockError::Error(source)) => Err(JournalError::File { path: at, source }),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the names of new files durable.
    pub(crate) fn sync(&self) -> Result<(), JournalError> {
        sync_directory(&self.path)
    }
}

/// Makes a directory with mode 0700 if it is not there, so that it stays.
pub(super) fn make(path: &Path) -> Result<(), JournalError> {
    let new = missing(path);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| JournalError::File { path: path.to_owned(), source })?;
    // Each new name stands in the directory above it: without that, all that follows could be gone with it.
    new.into_iter().try_for_each(|directory| sync_directory(parent(directory)))
}

/// This directory and those above it that are not there yet, the innermost first.
fn missing(path: &Path) -> Vec<&Path> {
    path.ancestors().take_while(|level| !level.as_os_str().is_empty() && !level.exists()).collect()
}

/// Where the name stands; a bare name stands in the working directory.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), JournalError> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|source| JournalError::File { path: path.to_owned(), source })
}

/// How long a lock is waited for: a holder that is just ending, or a child that it has forked and that has not begun its
/// own program yet, keeps it a moment longer.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

fn wait_for(file: &File) -> Result<(), TryLockError> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::park_timeout(LOCK_PATIENCE / 50),
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_that_is_made_is_made_durable_in_the_one_above() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/b");
        let made: Vec<_> = missing(&state).into_iter().map(parent).collect();
        assert_eq!(made, [dir.path().join("a"), dir.path().to_owned()]);
        drop(Directory::claim(&state).unwrap());
        assert!(missing(&state).is_empty());
        assert_eq!(parent(Path::new("state")), Path::new("."));
    }
}
