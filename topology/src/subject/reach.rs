//! Whom an item concerns: what it applies to, and what those applied to that it replaces.

use crate::affected::{Affected, AffectedRecord, merged};
use crate::key::Keys;
use crate::record::{self, RecordError};
use crate::versions::Versions;

use super::Subject;

/// Entries that a joined reach keeps. An advisory has one or two; what is over the bound is widened first and then,
/// beginning with the predecessors', dropped: clients that hold only such an old revision learn of its end when they
/// synchronise anew.
pub const REACH_MAX: usize = 4096;

/// An item's own range joined with the reach of what it replaces, so that a retraction finds those that hold a
/// predecessor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach(Vec<Affected>);

impl Reach {
    /// What the item itself applies to.
    pub fn of(subject: &Subject) -> Self {
        Self(subject.affected.clone())
    }

    /// The entries, sorted.
    pub fn affected(&self) -> &[Affected] {
        &self.0
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This reach and a predecessor's, each entry once, at most [`REACH_MAX`] unless its own are more.
    #[must_use]
    pub fn join(&self, predecessor: &Self) -> Self {
        let joined = merged(self.0.iter().chain(&predecessor.0).cloned().collect());
        if joined.len() <= REACH_MAX {
            return Self(joined);
        }
        let widened = |one: &Affected| Affected { versions: Versions::any(), product_version: None, ..one.clone() };
        let own = merged(self.0.iter().map(widened).collect());
        let all = merged(self.0.iter().chain(&predecessor.0).map(widened).collect());
        let room = REACH_MAX.saturating_sub(own.len());
        let older: Vec<Affected> = all.into_iter().filter(|one| !own.contains(one)).take(room).collect();
        Self(merged(own.into_iter().chain(older).collect()))
    }

    /// Every key under which an interest may wait for it.
    pub fn keys(&self) -> Keys {
        self.0.iter().flat_map(Affected::keys).collect()
    }

    /// The bytes for a record.
    pub fn encode(&self) -> Vec<u8> {
        record::encode(&self.0.iter().map(AffectedRecord::from).collect::<Vec<_>>())
    }

    /// Reads a record; damaged bytes are an error.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let records = record::decode::<Vec<AffectedRecord>>(bytes)?;
        Ok(Self(merged(records.into_iter().map(Affected::from).collect())))
    }
}
