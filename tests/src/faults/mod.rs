//! A disk that keeps only what was synced.
//!
//! [`FaultyDisk`] stands under the store in place of the real file layer. The files in its directory hold what is durable; a write that was not synced lives in memory and,
//! so that a test can tell after SIGKILL what was under way, in a side file under `unsynced/`. Opening the directory again is the restart after a crash: as
//! [`Restart`] says, the unsynced bytes are dropped or a seeded part of them is kept. The same goes for names that were created, changed or removed
//! without syncing the directory.
//!
//! A [`Failpoint`] ends the process, or the disk, at a counted sync. [`Faults::lie_on_sync`] makes every sync a lie: a test that still passes with it proves
//! nothing about durability.

mod disk;
mod names;
mod random;
mod unsynced;

#[cfg(test)]
mod tests;

pub use self::{disk::FaultyDisk, random::Random};

/// What a crash leaves of bytes and names that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Nothing.
    Discard,
    /// Of each file the first part of its writes, in their order, cut at any byte; of the names the first changes.
    TornPrefix {
        /// Decides where the cuts are.
        seed: u64,
    },
    /// Of each file any of the 512-byte sectors written, in any combination; of the names the first changes.
    Sectors {
        /// Decides which ones.
        seed: u64,
    },
}

/// What goes wrong while the disk is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Where it ends.
    pub failpoint: Option<Failpoint>,
    /// Every sync returns at once and makes nothing durable.
    pub lie_on_sync: bool,
}

/// A place in the life of a disk, and what happens there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failpoint {
    /// Syncs count only of files whose name starts so: `log-` for the log, nothing for all.
    pub prefix: String,
    /// The sync that is meant, from 1. Syncs of a file without unsynced writes do not count. A sync of the directory counts as one of the
    /// name that was changed last, and not if none was.
    pub nth: u64,
    /// Before or after it.
    pub when: When,
    /// What happens.
    pub then: Then,
}

/// On which side of a sync a failpoint lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Between append and sync: what was written is not durable.
    BeforeSync,
    /// Between sync and reply: it is durable, and nobody was told.
    AfterSync,
}

/// How a failpoint ends things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The process dies on the spot: no destructor runs, no buffer is flushed.
    Abort,
    /// The disk fails in this and every later operation; for a crash within one process.
    Die,
}
