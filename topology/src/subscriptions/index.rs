//! From match keys to the clients that wait under them.

use std::collections::{BTreeMap, BTreeSet};

use schemas::guid::ClientGuid;

use crate::key::{Keys, MatchKey};

/// Postings of clients, each with the number of its subscriptions that have the key: adding or ending one touches its
/// own keys alone. A key without clients is not kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Index(BTreeMap<MatchKey, BTreeMap<ClientGuid, u32>>);

impl Index {
    /// Adds one subscription with these keys.
    pub(super) fn insert(&mut self, client: ClientGuid, keys: Keys) {
        for key in keys {
            *self.0.entry(key).or_default().entry(client).or_default() += 1;
        }
    }

    /// Takes one subscription with these keys out, which was inserted before.
    pub(super) fn remove(&mut self, client: ClientGuid, keys: &Keys) {
        for key in keys {
            let Some(clients) = self.0.get_mut(key) else { continue };
            match clients.get_mut(&client) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) | None => drop(clients.remove(&client)),
            }
            if clients.is_empty() {
                self.0.remove(key);
            }
        }
    }

    /// Every client that waits under one of the keys.
    pub(super) fn candidates(&self, keys: &Keys) -> BTreeSet<ClientGuid> {
        keys.iter().filter_map(|key| self.0.get(key)).flat_map(BTreeMap::keys).copied().collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
