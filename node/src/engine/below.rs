//! The clients of this node: which there are, what they run, and the way to each.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::time::Duration;

use schemas::guid::{ClientGuid, ServerGuid};
use topology::subscriptions::Subscription;

use super::Engine;
use crate::ids::Time;

/// The hops to a client, from above: of each, its server and its client.
pub type Route = Vec<(ServerGuid, ClientGuid)>;

/// One client that is registered here or below, for the operator.
#[derive(Clone, Debug)]
pub struct Listed<'a> {
    /// Who.
    pub client: ClientGuid,
    /// From this node down to it.
    pub route: Route,
    /// What it runs and waits for.
    pub subscriptions: Cow<'a, [Subscription]>,
    /// When it was last heard of.
    pub contact: Time,
    /// Whether it has a link to this very node.
    pub connected: bool,
}

impl Engine {
    /// The hops from this node down to a client.
    pub fn route(&self, client: ClientGuid) -> Option<Route> {
        let is_known = self.links.contains_key(&client) || self.registered.contains_key(&client);
        is_known.then(|| vec![(self.config.server, client)])
    }

    /// The next clients after one, in the order of their GUIDs.
    pub fn inventory(&self, after: Option<ClientGuid>, count: usize) -> Vec<Listed<'_>> {
        let from = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let (here, known) = (self.links.range(from).take(count), self.registered.range(from).take(count));
        let next: BTreeSet<ClientGuid> =
            here.map(|(client, _)| *client).chain(known.map(|(client, _)| *client)).collect();
        next.into_iter().take(count).map(|client| self.listed(client)).collect()
    }

    fn listed(&self, client: ClientGuid) -> Listed<'_> {
        Listed {
            client,
            route: self.route(client).unwrap_or_default(),
            subscriptions: Cow::Borrowed(self.subscriptions.of(client)),
            contact: self.registered.get(&client).copied().unwrap_or(self.now),
            connected: self.links.contains_key(&client),
        }
    }

    /// Clients that were not heard of for this long, and have no link (R-6-1).
    pub fn stale(&self, now: Time, silence: Duration) -> usize {
        let is_stale = |(client, contact): &(&ClientGuid, &Time)| {
            now.since(**contact) >= silence && !self.links.contains_key(client)
        };
        self.registered.iter().filter(is_stale).count()
    }
}
