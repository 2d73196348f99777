//! Whom an item concerns: what it applies to, and what those applied to that it replaces.

use crate::affected::{Affected, AffectedRecord, merged};
use crate::key::Keys;
use crate::record::{self, RecordError};
use crate::versions::Versions;

use super::Subject;

/// Entries of a reach. An advisory has one or two; what is over the bound is widened to any version first and then,
/// beginning with the predecessors', dropped: clients that hold only such an old revision learn of its end when they
/// synchronise anew. An item that names more things itself says so in [`Subject::faults`].
pub const REACH_MAX: usize = 4096;

/// Names of one predecessor's entry that are carried on: an advisory has few aliases, but each revision can have others.
const NAMES_KEPT: usize = 16;

/// An item's own range joined with the reach of what it replaces, so that a retraction finds those that hold a
/// predecessor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach(Vec<Affected>);

impl Reach {
    /// What the item itself applies to, at most [`REACH_MAX`] entries.
    pub fn of(subject: &Subject) -> Self {
        Self::bounded(subject.affected.clone())
    }

    /// The entries, sorted.
    pub fn affected(&self) -> &[Affected] {
        &self.0
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// This reach and a predecessor's, each entry once, at most [`REACH_MAX`], its own first.
    #[must_use]
    pub fn join(&self, predecessor: &Self) -> Self {
        let both = || self.0.iter().cloned().chain(predecessor.0.iter().map(carried_on));
        let joined = merged(both().collect());
        if joined.len() <= REACH_MAX {
            return Self(joined);
        }
        let own = widened(self.0.iter().cloned());
        let room = REACH_MAX.saturating_sub(own.len());
        let is_older = |one: &Affected| own.binary_search(one).is_err();
        let older: Vec<Affected> = widened(both()).into_iter().filter(is_older).take(room).collect();
        Self(merged(own.into_iter().chain(older).collect()))
    }

    /// The same things in any version: whom an item may concern if what it replaces is not known.
    #[must_use]
    pub fn widened(&self) -> Self {
        Self(widened(self.0.iter().cloned()))
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
        Ok(Self::bounded(merged(records.into_iter().map(Affected::from).collect())))
    }

    fn bounded(own: Vec<Affected>) -> Self {
        if own.len() <= REACH_MAX {
            return Self(own);
        }
        let mut widened = widened(own);
        widened.truncate(REACH_MAX);
        Self(widened)
    }
}

/// How many things an item names that no reach of it can hold.
pub(super) fn dropped(own: &[Affected]) -> usize {
    if own.len() <= REACH_MAX { 0 } else { widened(own.iter().cloned()).len().saturating_sub(REACH_MAX) }
}

/// The same things in any version, each once, sorted.
fn widened(entries: impl IntoIterator<Item = Affected>) -> Vec<Affected> {
    let any = |one: Affected| Affected { versions: Versions::any(), product_version: None, ..one };
    merged(entries.into_iter().map(any).collect())
}

fn carried_on(older: &Affected) -> Affected {
    let mut older = older.clone();
    older.named.truncate(NAMES_KEPT);
    older
}
