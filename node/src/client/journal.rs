//! The entries of a client's journal.

use bytes::Bytes;
use schemas::digest::Digest;
use schemas::version::VersionInfo;
use topology::matching::Reason;

use crate::ids::{Resume, Time};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Counts entries from 1, without a gap.
    pub number: u64,
    /// When.
    pub at: Time,
    /// What happened.
    pub event: Event,
    /// With this entry the client holds everything up to here.
    pub resume: Option<Resume>,
}

/// Why an item applies: for each asset that it concerns, the parts of it.
pub type Reasons = Vec<(String, Vec<Reason>)>;

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An item that applies came for the first time.
    Gained {
        /// Its identity.
        digest: Digest,
        /// The provider's bytes.
        document: Bytes,
        /// Why it applies.
        reasons: Reasons,
    },
    /// A newer revision of a held item came, and applies.
    Revised {
        /// Its identity.
        digest: Digest,
        /// What it takes the place of.
        replaced: Digest,
        /// The provider's bytes.
        document: Bytes,
        /// Why it applies.
        reasons: Reasons,
    },
    /// A newer revision of a held item came, and does not apply any more.
    Retracted {
        /// Its identity.
        digest: Digest,
        /// What it takes back.
        replaced: Digest,
        /// The provider's bytes.
        document: Bytes,
    },
    /// The inventory changed: the held item applies for other reasons now.
    Rematched {
        /// The held item.
        digest: Digest,
        /// Why it applies now.
        reasons: Reasons,
    },
    /// The inventory changed: the held item does not apply any more.
    Left {
        /// The item that was held.
        digest: Digest,
    },
    /// The server accepted this asset.
    Registered {
        /// Its name on this device.
        name: String,
        /// As it was registered.
        info: Box<VersionInfo>,
    },
    /// The server ended what was registered under this name.
    Ended {
        /// The asset's name.
        name: String,
    },
    /// The server gave this client another GUID (R-9.3-7).
    Assigned {
        /// For headers from now on.
        client: schemas::guid::ClientGuid,
        /// In this life of the server's log: another one does not know it.
        incarnation: u128,
    },
    /// Only the position changed.
    Noted,
}
