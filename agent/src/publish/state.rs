//! What a provider has published, in its state directory: replaced as a whole, so that a crash leaves the old or the new.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::journal::{Directory, JournalError};
use crate::rustsec::publication::{State, StateError};

/// The file in the state directory.
pub const PUBLISHED: &str = "published.json";

/// Why the state cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The state directory cannot be used.
    #[error(transparent)]
    Directory(#[from] JournalError),
    /// The file cannot be read or written.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what was written.
    #[error("{path}: {source}; restore it from a backup: without it, revisions would count from 1 again")]
    State {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        source: StateError,
    },
}

/// The state directory of a provider, held by one process.
#[derive(Debug)]
pub struct Keeper {
    directory: Directory,
}

impl Keeper {
    /// Takes the directory, and reads what was published so far.
    ///
    /// # Errors
    /// It is in use, or holds something else.
    pub fn open(directory: &Path) -> Result<(Self, State), KeepError> {
        let directory = Directory::claim(directory)?;
        let path = directory.path().join(PUBLISHED);
        let state = match fs::read_to_string(&path) {
            Ok(json) => State::from_json(&json).map_err(|source| KeepError::State { path, source })?,
            Err(error) if error.kind() == ErrorKind::NotFound => State::default(),
            Err(source) => return Err(KeepError::File { path, source }),
        };
        Ok((Self { directory }, state))
    }

    /// Puts a state in the place of the last one, durably.
    ///
    /// # Errors
    /// The disk; the last state then stands as it was.
    pub fn keep(&self, state: &State) -> Result<(), KeepError> {
        let path = self.directory.path().join(PUBLISHED);
        let json = state.to_json().map_err(|source| KeepError::State { path: path.clone(), source })?;
        let fault = |source| KeepError::File { path: path.clone(), source };
        let new = self.directory.path().join("published.json.new");
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).map_err(fault)?;
        file.write_all(json.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)?;
        fs::rename(&new, &path).map_err(fault)?;
        Ok(self.directory.sync()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again_by_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let (keeper, state) = Keeper::open(dir.path()).unwrap();
        assert_eq!(state, State::default());
        assert!(matches!(Keeper::open(dir.path()), Err(KeepError::Directory(JournalError::InUse(_)))));
        keeper.keep(&state).unwrap();
        drop(keeper);
        assert_eq!(Keeper::open(dir.path()).unwrap().1, state);
        fs::write(dir.path().join(PUBLISHED), "{}").unwrap();
        assert!(matches!(Keeper::open(dir.path()), Err(KeepError::State { .. })));
    }
}
