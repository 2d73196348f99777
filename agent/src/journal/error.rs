//! Why a journal cannot be opened, read or written, and what to do.

use std::io;
use std::path::PathBuf;

/// See the module.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The state directory or a file in it cannot be used.
    #[error("cannot use {path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes here.
    #[error("another agent uses the state directory {0}; stop it first, or give this one a directory of its own")]
    InUse(PathBuf),
    /// No links from one to the other.
    #[error(
        "state.documents ({documents}) must lie on the file system of state.directory ({state}): journals link to it"
    )]
    Apart {
        /// The folder of documents.
        documents: PathBuf,
        /// The state directory.
        state: PathBuf,
    },
    /// There is no journal yet.
    #[error("no journal in {0}: has the agent run with this state directory?")]
    Missing(PathBuf),
    /// A line before the last one is not what was written.
    #[error(
        "{path}, line {line}: {what}; restore the state directory from a backup, or move it away and start anew: the \
         agent will ask the server for everything again"
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Something could not be made durable; nothing more is written by this process.
    #[error("cannot write {path}: {source}; nothing of it was acknowledged. Free the disk and start the agent again")]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An earlier write failed.
    #[error("the journal failed before")]
    Broken,
    /// An asset that cannot be written as a document that reads back.
    #[error("the description of asset {0:?} cannot be journalled: {1}")]
    Asset(String, String),
}
