//! The inventory, for the operator: who is registered here or below, what each runs, and when it was last heard of.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use schemas::guid::ClientGuid;
use topology::subscriptions::Subscription;

use super::Engine;
use super::below::Route;
use crate::ids::Time;

/// One client that is registered here or below.
#[derive(Clone, Debug)]
pub struct Listed<'a> {
    /// Who.
    pub client: ClientGuid,
    /// From this node down to it.
    pub route: Route,
    /// What it runs and waits for.
    pub subscriptions: Cow<'a, [Subscription]>,
    /// When it was last heard of; of one that is connected, when its link came up or it last registered.
    pub contact: Time,
    /// Whether it has a link to this very node.
    pub connected: bool,
}

impl Engine {
    /// Of everybody who is connected, registered or reported the next `count` after one, in one order.
    pub fn inventory(&self, after: Option<ClientGuid>, count: usize) -> Vec<Listed<'_>> {
        // By keys, which names stand for.
        let from = after.map_or(Bound::Unbounded, |name| Bound::Excluded(self.key_of(name).unwrap_or(name)));
        let here = self.links.range((from, Bound::Unbounded)).map(|(client, _)| *client).take(count);
        let registered = self.registered.range((from, Bound::Unbounded)).map(|(client, _)| *client).take(count);
        let below = self.below.after(from).map(|(client, _)| *client).take(count);
        let next: BTreeSet<ClientGuid> = here.chain(registered).chain(below).collect();
        next.into_iter().take(count).map(|client| self.listed(client)).collect()
    }

    pub(super) fn listed(&self, client: ClientGuid) -> Listed<'_> {
        let (key, client) = (client, self.names.shown(client));
        let route = self.route_to(key).unwrap_or_default();
        match self.below.get(key) {
            Some(known) => {
                let subscriptions = Cow::Owned(known.list());
                Listed { client, route, subscriptions, contact: known.renewed, connected: false }
            }
            None => Listed {
                client,
                route,
                subscriptions: Cow::Borrowed(self.subscriptions.of(key)),
                contact: self.registered.get(&key).copied().unwrap_or(self.now),
                connected: self.links.contains_key(&key),
            },
        }
    }

    /// Clients that were not heard of for so long, here or below, and have no link to this node (R-6-1).
    pub fn stale(&self, now: Time, silence: Duration) -> usize {
        let is_silent = |contact: Time| now.since(contact) >= silence;
        let is_away = |client: &ClientGuid| !self.links.contains_key(client) && self.below.get(*client).is_none();
        let here = self.registered.iter().filter(|(client, contact)| is_silent(**contact) && is_away(client));
        here.count() + self.below.after(Bound::Unbounded).filter(|(_, known)| is_silent(known.renewed)).count()
    }
}
