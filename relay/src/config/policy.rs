//! Who may do what: the table `[policy]`, and GUIDs as a file spells them.

use std::collections::{BTreeMap, BTreeSet};

use schemas::guid::{ClientGuid, NotA128BitValue};
use serde::{Deserialize, Serialize};

use super::{ConfigError, bad};

/// Rights of clients, by GUID, and how they are served.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyTable {
    /// Clients that may Deliver.
    pub providers: BTreeSet<Guid>,
    /// Clients that are local servers: they may nest messages of whatever is below them.
    pub local_servers: BTreeSet<Guid>,
    /// Whether a Request:Full without Message_Data, which asks for everything, is answered.
    pub full_of_everything: bool,
    /// How long a client's Request may wait for what the upstreams have not answered yet; 0: it never does.
    pub combine_milliseconds: u64,
    /// Client → the clients whose messages it may nest in its own.
    pub subtrees: BTreeMap<Guid, BTreeSet<Guid>>,
}

impl Default for PolicyTable {
    fn default() -> Self {
        Self {
            providers: BTreeSet::new(),
            local_servers: BTreeSet::new(),
            full_of_everything: true,
            combine_milliseconds: 2000,
            subtrees: BTreeMap::new(),
        }
    }
}

/// A client that waits longer for an answer would take its server for dead.
const COMBINE_MILLISECONDS_MAX: u64 = 60_000;

impl PolicyTable {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.combine_milliseconds > COMBINE_MILLISECONDS_MAX {
            return bad("policy.combine_milliseconds", self.combine_milliseconds, "at most 60000");
        }
        Ok(())
    }
}

/// A client's GUID in the file: any accepted notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Guid(pub ClientGuid);

impl TryFrom<String> for Guid {
    type Error = NotA128BitValue;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        ClientGuid::parse(&text).map(Self)
    }
}

impl From<Guid> for String {
    fn from(guid: Guid) -> Self {
        guid.0.to_string()
    }
}
