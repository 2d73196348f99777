//! What can go wrong with the store, and what to do about it.

use std::{io, path::PathBuf};

/// Names an item that is lost, for the operator: the rest of the log is served, and who can bring it again is asked for it.
pub(super) fn tell_damaged(file: &str, offset: u64, position: u64) {
    tracing::error!(
        file,
        offset,
        position,
        "an item in the log is not what was written, and counts as missing: what came from an upstream is fetched again, what a \
         provider delivered here has to be delivered again; look at the disk"
    );
}

/// Why a store could not be opened. The store on disk is as it was, but for torn bytes that nobody was promised.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process works in the directory.
    #[error("the store {directory} is in use by another process", directory = directory.display())]
    Locked {
        /// The store's directory.
        directory: PathBuf,
    },
    /// The directory cannot be made, closed to others or locked.
    #[error("the store's directory {directory} cannot be used: {source}", directory = directory.display())]
    Directory {
        /// The store's directory.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error("{file}: {source}")]
    Io {
        /// The file's name in the store's directory.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// Bytes that were durable once are not what they were.
    #[error("{file} is damaged at byte {offset}: {what}; restore the store from a backup, then renew its incarnation")]
    Corrupt {
        /// The file's name in the store's directory.
        file: String,
        /// Where in it, in bytes.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A file that must be there is not.
    #[error("{file} is missing; restore the store from a backup, then renew its incarnation")]
    Missing {
        /// The file's name in the store's directory.
        file: String,
    },
    /// The tables know of items that the log does not have.
    #[error(
        "the log ends at position {log}, the tables know position {tables}: part of the log is lost; \
         restore the store from a backup, then renew its incarnation"
    )]
    LogBehindTables {
        /// The log's last position.
        log: u64,
        /// The log's last position as the tables recorded it.
        tables: u64,
    },
    /// The tables cannot be opened or read.
    #[error("{file}: {source}")]
    Tables {
        /// The file's name in the store's directory.
        file: &'static str,
        /// What the embedded database said.
        source: Box<redb::Error>,
    },
    /// The store was written by another version of this program.
    #[error("{file} has format {found}, this program reads format {known}")]
    Format {
        /// The file's name in the store's directory.
        file: String,
        /// The format found.
        found: u32,
        /// The only format this program knows.
        known: u32,
    },
}

impl OpenError {
    /// For `map_err` on an operation on `file`.
    pub(super) fn io(file: &str) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        |source| Self::Io { file, source }
    }
}

/// Why a commit failed. In every case nothing of it was stored for readers of this process, and what was stored before is not affected.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The batch breaks the order of the log. Nothing was written.
    #[error("position {position} does not follow {last}")]
    Order {
        /// The position that is out of order.
        position: u64,
        /// The position it has to exceed.
        last: u64,
    },
    /// One record, item, key or value is larger than the format can say. Nothing was written.
    #[error("{bytes} bytes in one field, at most {max} can be stored")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// The most that fits, in bytes.
        max: usize,
    },
    /// The log could not take the batch: a full disk, or one that fails. The segment it was going to is given up at its last durable byte;
    /// the next commit tries a fresh one, so the store works again as soon as the disk does.
    #[error("the log cannot be written: {0}")]
    Log(#[source] io::Error),
    /// The tables could not take the batch. Whether it reached the disk cannot be known without reopening, so every later commit fails with
    /// [`StoreError::Poisoned`].
    #[error("the tables cannot be written: {0}; the store takes no more writes until it is reopened")]
    Tables(#[source] Box<redb::Error>),
    /// An earlier commit failed in the tables.
    #[error("an earlier write to the tables failed; the store takes no more writes until it is reopened")]
    Poisoned,
}
