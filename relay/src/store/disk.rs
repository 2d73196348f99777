//! The file layer under the store: what it asks of a directory, and nothing more.
//!
//! Everything durable goes through these two traits, so that a test can stand between the store and the disk and decide which bytes outlive a crash.

use std::{fmt::Debug, io};

use bytes::Bytes;

/// One directory of plain files, used by one process at a time.
pub trait Disk: Debug + Send + Sync + 'static {
    /// Opens a file for reading and writing; creates it empty if it is not there. The name becomes durable with [`Disk::sync_dir`].
    fn open(&self, name: &str) -> io::Result<Box<dyn File>>;

    /// The names of all plain files, in no particular order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Removes a file; what is mapped of it stays readable.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, replacing what bore it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Returns when every name created, changed or removed before the call is durable.
    fn sync_dir(&self) -> io::Result<()>;
}

/// One open file. Offsets and lengths are bytes.
pub trait File: Debug + Send + Sync + 'static {
    /// The file's length, unsynced writes included.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file has no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }

    /// Fills `buffer` from `offset`; an end of file before that is an error.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, extending the file if needed. On an error any part of them may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros. Never called once the file is mapped.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Returns when all bytes written before the call are durable. After an error nothing may be concluded about any of them, and a second call
    /// proves nothing: the kernel may already have dropped the pages that it could not write.
    fn sync_data(&self) -> io::Result<()>;

    /// The whole file as it is now, without copying where the system can. The caller promises that nobody shortens or rewrites the file from now on.
    fn map(&self) -> io::Result<Bytes>;
}
