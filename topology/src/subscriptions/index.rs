//! What is looked up by name instead of by client: who waits under a key, and what is wanted at all.

use std::collections::{BTreeMap, BTreeSet};

use schemas::guid::ClientGuid;

use super::wanted::Wanted;
use crate::interest::Interest;
use crate::key::{Keys, MatchKey};

/// Postings of clients, each with the number of its subscriptions that have the key: adding or ending one touches its
/// own keys alone. A key without clients is not kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    postings: BTreeMap<MatchKey, BTreeMap<ClientGuid, u32>>,
    wanted: Option<Wanted>,
}

impl Index {
    /// One that also counts wants.
    pub(super) fn counting() -> Self {
        Self { postings: BTreeMap::new(), wanted: Some(Wanted::default()) }
    }

    /// Adds one subscription of the client.
    pub(super) fn insert(&mut self, client: ClientGuid, interest: &Interest) {
        for key in interest.keys() {
            *self.postings.entry(key).or_default().entry(client).or_default() += 1;
        }
        if let Some(wanted) = &mut self.wanted {
            wanted.insert(interest);
        }
    }

    /// Takes one subscription of the client out, which was inserted before.
    pub(super) fn remove(&mut self, client: ClientGuid, interest: &Interest) {
        for key in &interest.keys() {
            let Some(clients) = self.postings.get_mut(key) else { continue };
            match clients.get_mut(&client) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => drop(clients.remove(&client)),
            }
            if clients.is_empty() {
                self.postings.remove(key);
            }
        }
        if let Some(wanted) = &mut self.wanted {
            wanted.remove(interest);
        }
    }

    /// Every client that waits under one of the keys.
    pub(super) fn waits(&self, key: &MatchKey) -> bool {
        self.postings.contains_key(key)
    }

    pub(super) fn candidates(&self, keys: &Keys) -> BTreeSet<ClientGuid> {
        keys.iter().filter_map(|key| self.postings.get(key)).flat_map(BTreeMap::keys).copied().collect()
    }

    pub(super) fn wanted(&self) -> Option<&Wanted> {
        self.wanted.as_ref()
    }

    pub(super) fn wanted_mut(&mut self) -> Option<&mut Wanted> {
        self.wanted.as_mut()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.postings.len()
    }
}
