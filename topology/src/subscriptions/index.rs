//! What is looked up by name instead of by client: who waits under a key, and what is wanted at all.

use std::collections::BTreeMap;

use schemas::guid::ClientGuid;

use super::Mode;
use super::wanted::Wanted;
use crate::interest::Interest;
use crate::key::{Keys, MatchKey};

/// Postings of clients, each with the number of its subscriptions that have the key: adding or ending one touches its
/// own keys alone, and changing it those that it gains or loses. A key without clients is not kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    postings: BTreeMap<MatchKey, BTreeMap<ClientGuid, u32>>,
    wanted: Option<Wanted>,
}

/// So many clients are gathered before it is looked at who came twice.
const BATCH: usize = 4096;

/// Puts them in order, each once: says how many there are.
fn ascending(clients: &mut Vec<ClientGuid>) -> usize {
    // It finds and merges those of one key, which are in order.
    clients.sort();
    clients.dedup();
    clients.len()
}

impl Index {
    /// One that also counts wants.
    pub(super) fn counting() -> Self {
        Self { postings: BTreeMap::new(), wanted: Some(Wanted::default()) }
    }

    /// One subscription of the client now waits for `after` instead of `before`: `None` before it begins and after it
    /// has ended.
    pub(super) fn exchange(
        &mut self,
        client: ClientGuid,
        mode: Mode,
        before: Option<&Interest>,
        after: Option<&Interest>,
    ) {
        let keys = |interest: Option<&Interest>| interest.map(Interest::keys).unwrap_or_default();
        let (old, new) = (keys(before), keys(after));
        for key in new.difference(&old) {
            *self.postings.entry(key.clone()).or_default().entry(client).or_default() += 1;
        }
        for key in old.difference(&new) {
            self.remove(client, key);
        }
        if let Some(wanted) = &mut self.wanted {
            wanted.exchange(mode, before, after);
        }
    }

    fn remove(&mut self, client: ClientGuid, key: &MatchKey) {
        let Some(clients) = self.postings.get_mut(key) else { return };
        match clients.get_mut(&client) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) | None => drop(clients.remove(&client)),
        }
        if clients.is_empty() {
            self.postings.remove(key);
        }
    }

    /// Every client that waits under one of the keys, ascending.
    pub(super) fn candidates(&self, keys: &Keys) -> Vec<ClientGuid> {
        let (mut clients, mut distinct) = (Vec::new(), 0);
        for waiting in keys.iter().filter_map(|key| self.postings.get(key)) {
            clients.extend(waiting.keys());
            // Else thousands of keys that all have in common would take as much as thousands of times all.
            if clients.len() > 2 * distinct + BATCH {
                distinct = ascending(&mut clients);
            }
        }
        ascending(&mut clients);
        clients
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::tests::version_info;

    #[test]
    fn clients_of_many_keys_are_each_named_once_and_take_no_room_for_each_key() {
        const KEYS: usize = 300;
        const CLIENTS: usize = 200;
        let mut index = Index::default();
        let interests: Vec<Interest> =
            (0..KEYS).map(|name| Interest::from_version_info(&version_info(&format!("File=f{name}")))).collect();
        for client in (0..CLIENTS).rev() {
            for interest in &interests {
                index.exchange(ClientGuid(client as u128), Mode::Full, None, Some(interest));
            }
        }
        let keys: Keys = interests.iter().flat_map(Interest::keys).collect();
        assert!(keys.len() >= KEYS);
        let found = index.candidates(&keys);
        assert_eq!(found, (0..CLIENTS).map(|client| ClientGuid(client as u128)).collect::<Vec<_>>());
        assert!(found.capacity() <= 2 * BATCH + 4 * CLIENTS, "{} of {}", found.capacity(), KEYS * CLIENTS);
    }
}
