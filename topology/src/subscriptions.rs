//! The subscription table (R-8-1): who waits for what, in which mode, since when.
//!
//! An index from match keys to clients finds the candidates for an item, and matching verifies them: the answer is
//! that of a scan of the whole table.

use std::collections::BTreeMap;

use rkyv::{Archive, Deserialize, Serialize};
use schemas::guid::ClientGuid;

use crate::interest::{Interest, InterestRecord};
use crate::matching::covers;
use crate::record::{self, RecordError};
use crate::subject::Reach;

mod ending;
mod index;
mod joining;
mod list;
mod wanted;

use ending::Ends;
use index::Index;
pub use joining::NODES_MAX;
use list::{Added, Change, List};

/// What a subscriber is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Content.
    Full,
    /// The list.
    Catalog,
}

/// What made a subscription. Either is ended by End (R-8.2.2-20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A Register.
    Register,
    /// A Request with Minor Full or Catalog.
    Request,
}

/// A standing interest of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// What it waits for.
    pub interest: Interest,
    /// What it is sent.
    pub mode: Mode,
    /// What made it.
    pub origin: Origin,
    /// The log position at its acceptance: items after it are its own.
    pub since: u64,
}

/// The table, with its index.
#[derive(Clone, Debug, Default)]
pub struct Subscriptions {
    clients: BTreeMap<ClientGuid, List>,
    index: Index,
}

impl Subscriptions {
    /// Adds a subscription. One with the same interest and mode is kept instead, with the smaller `since`. Returns
    /// whether the table changed. The work is that of the interest's size, whatever else the client waits for.
    pub fn subscribe(&mut self, client: ClientGuid, subscription: Subscription) -> bool {
        let list = self.clients.entry(client).or_default();
        let added = list.add(subscription);
        if added == Added::New
            && let Some(new) = list.entries().last()
        {
            self.index.exchange(client, new.mode, None, Some(&new.interest));
        }
        added != Added::Known
    }

    /// Ends what an End with this `Version_Info` means for the client; an unknown one changes nothing (R-8.2.2-23).
    /// Returns the number of subscriptions that ended or lost components.
    ///
    /// An equal interest ends. An End whose top names an asset (its product, or its File_name; with the version or
    /// without) ends that asset. One whose top names a component ends that component and what lies in it, and leaves
    /// the asset's others (R-8.2.2-21). A top without fields of its own only holds the components that it ends.
    pub fn end(&mut self, client: ClientGuid, end: &Interest) -> usize {
        self.end_many(client, std::slice::from_ref(end))
    }

    /// Ends what several Ends mean together, in one pass over the client's subscriptions: each is cut once, however
    /// many Ends name parts of it, and what is then left and equals one of them ends too. Returns the number of
    /// subscriptions that ended or lost components, each counted once.
    pub fn end_many(&mut self, client: ClientGuid, ends: &[Interest]) -> usize {
        if ends.iter().any(Interest::is_everything) {
            return self.end_all(client);
        }
        let Some(list) = self.clients.get_mut(&client) else { return 0 };
        let cuts = list.end(&Ends::of(ends));
        self.index_changes(client, &cuts);
        cuts.len()
    }

    /// Brings the index up to what became of the client's list.
    fn index_changes(&mut self, client: ClientGuid, changes: &[Change]) {
        let entries = self.clients.get(&client).map(List::entries).unwrap_or_default();
        for Change { mode, before, after } in changes {
            self.index.exchange(client, *mode, before.as_ref(), after.map(|at| &entries[at].interest));
        }
        if entries.is_empty() {
            self.clients.remove(&client);
        }
    }

    /// How many pairs of nodes [`end_many`](Self::end_many) would compare: those alone of equal names. Few in any
    /// inventory, but whoever gives one name to all his components makes it the product of both numbers; a caller
    /// that serves others meanwhile refuses such Ends first. This count itself takes n log m steps.
    pub fn comparisons(&self, client: ClientGuid, ends: &[Interest]) -> usize {
        let ends = Ends::of(ends);
        self.of(client).iter().map(|subscription| ends.comparisons(&subscription.interest)).sum()
    }

    /// Ends every subscription of the client. Returns how many there were.
    pub fn end_all(&mut self, client: ClientGuid) -> usize {
        let ended = self.of(client).len();
        self.replace(client, Vec::new());
        ended
    }

    /// The client's subscriptions, in the order in which they were made or last cut.
    pub fn of(&self, client: ClientGuid) -> &[Subscription] {
        self.clients.get(&client).map(List::entries).unwrap_or_default()
    }

    /// Every client with a subscription, ascending.
    pub fn clients(&self) -> impl Iterator<Item = (ClientGuid, &[Subscription])> {
        self.clients.iter().map(|(client, list)| (*client, list.entries()))
    }

    /// The number of subscriptions of all clients.
    pub fn len(&self) -> usize {
        self.clients.values().map(|list| list.entries().len()).sum()
    }

    /// Whether nobody waits for anything.
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Who waits for an item of this reach at this position of the log, ascending; in both modes, twice.
    pub fn clients_for(&self, reach: &Reach, position: u64) -> Vec<(ClientGuid, Mode)> {
        let waits = |of: &[Subscription], mode| {
            of.iter().any(|subscription| {
                subscription.mode == mode
                    && subscription.since < position
                    && covers(&subscription.interest, reach.affected())
            })
        };
        let mut found = Vec::new();
        for client in self.index.candidates(&reach.keys()) {
            let of = self.of(client);
            found.extend(
                [Mode::Full, Mode::Catalog].into_iter().filter(|mode| waits(of, *mode)).map(|mode| (client, mode)),
            );
        }
        found
    }

    /// Whether anybody waits for the content of an item of this reach.
    pub fn wants_content(&self, reach: &Reach) -> bool {
        self.clients_for(reach, u64::MAX).iter().any(|(_, mode)| *mode == Mode::Full)
    }

    /// Sets the client's whole list, as read from the store. What begins and ends both lists alike stays in the index
    /// as it is.
    pub fn replace(&mut self, client: ClientGuid, list: Vec<Subscription>) {
        let before = self.clients.remove(&client).unwrap_or_default();
        let (old, new) = between(before.entries(), &list);
        for at in 0..old.len().max(new.len()) {
            match (old.get(at), new.get(at)) {
                (Some(old), Some(new)) if old.mode == new.mode => {
                    self.index.exchange(client, old.mode, Some(&old.interest), Some(&new.interest));
                }
                (old, new) => {
                    old.into_iter().for_each(|old| self.index.exchange(client, old.mode, Some(&old.interest), None));
                    new.into_iter().for_each(|new| self.index.exchange(client, new.mode, None, Some(&new.interest)));
                }
            }
        }
        if !list.is_empty() {
            self.clients.insert(client, List::new(list));
        }
    }
}

/// What lies between the subscriptions to the same interests, in the same modes, with which both lists begin and end.
fn between<'a>(old: &'a [Subscription], new: &'a [Subscription]) -> (&'a [Subscription], &'a [Subscription]) {
    let same = |(old, new): &(&Subscription, &Subscription)| old.mode == new.mode && old.interest == new.interest;
    let first = old.iter().zip(new).take_while(same).count();
    let (old, new) = (&old[first..], &new[first..]);
    let last = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    (&old[..old.len() - last], &new[..new.len() - last])
}

/// One client's list as it lies in the store.
pub fn encode(list: &[Subscription]) -> Vec<u8> {
    let record: Vec<SubscriptionRecord> = list.iter().map(SubscriptionRecord::from).collect();
    record::encode(&record)
}

/// Reads one client's list; damaged bytes are an error.
pub fn decode(bytes: &[u8]) -> Result<Vec<Subscription>, RecordError> {
    record::decode::<Vec<SubscriptionRecord>>(bytes)?.into_iter().map(Subscription::try_from).collect()
}

#[derive(Archive, Serialize, Deserialize)]
struct SubscriptionRecord {
    interest: InterestRecord,
    catalog: bool,
    requested: bool,
    since: u64,
}

impl From<&Subscription> for SubscriptionRecord {
    fn from(subscription: &Subscription) -> Self {
        Self {
            interest: (&subscription.interest).into(),
            catalog: subscription.mode == Mode::Catalog,
            requested: subscription.origin == Origin::Request,
            since: subscription.since,
        }
    }
}

impl TryFrom<SubscriptionRecord> for Subscription {
    type Error = RecordError;

    fn try_from(record: SubscriptionRecord) -> Result<Self, RecordError> {
        Ok(Self {
            interest: record.interest.try_into()?,
            mode: if record.catalog { Mode::Catalog } else { Mode::Full },
            origin: if record.requested { Origin::Request } else { Origin::Register },
            since: record.since,
        })
    }
}

#[cfg(test)]
mod tests;
