//! From match keys to the clients that wait under them.

use std::collections::{BTreeMap, BTreeSet};

use schemas::guid::ClientGuid;

use crate::key::{Keys, MatchKey};

/// Postings of clients. A key without clients is not kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Index(BTreeMap<MatchKey, BTreeSet<ClientGuid>>);

impl Index {
    pub(super) fn insert(&mut self, client: ClientGuid, keys: Keys) {
        for key in keys {
            self.0.entry(key).or_default().insert(client);
        }
    }

    pub(super) fn remove<'a>(&mut self, client: ClientGuid, keys: impl IntoIterator<Item = &'a MatchKey>) {
        for key in keys {
            if let Some(clients) = self.0.get_mut(key) {
                clients.remove(&client);
                if clients.is_empty() {
                    self.0.remove(key);
                }
            }
        }
    }

    /// Every client that waits under one of the keys.
    pub(super) fn candidates(&self, keys: &Keys) -> BTreeSet<ClientGuid> {
        keys.iter().filter_map(|key| self.0.get(key)).flatten().copied().collect()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
