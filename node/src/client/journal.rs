//! The entries of a client's journal.

use bytes::Bytes;
use schemas::digest::Digest;
use schemas::version::VersionInfo;
use topology::matching::Reason;

use crate::ids::{Resume, Time};
use crate::trust::Verdict;

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

/// What an item is taken for: a verdict, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Regard {
    /// Authorised by this signer.
    Authorised(String),
    /// Not signed.
    Unsigned,
    /// Signed, and there was no trust file to judge it by.
    Unchecked,
    /// Not authorised any more, for this reason.
    Refused(String),
}

impl From<&Verdict> for Regard {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Authorised(name) => Self::Authorised(name.to_string()),
            Verdict::Unsigned => Self::Unsigned,
            Verdict::Unchecked => Self::Unchecked,
            Verdict::Refused(reason) => Self::Refused(reason.to_string()),
        }
    }
}

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
    /// A held item is regarded otherwise from here on; until then it is unsigned or unchecked, as its document shows.
    Regarded {
        /// The held item.
        digest: Digest,
        /// As what.
        regard: Regard,
    },
    /// An item came that may not be held (R-8.3-6).
    Refused {
        /// Its identity.
        digest: Digest,
        /// The first identifier in it.
        id: Option<String>,
        /// Why not.
        why: String,
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
