//! Few subscriptions for many components: what a local server asks for piece by piece is held as a whole.

use std::collections::{BTreeMap, BTreeSet};

use schemas::guid::ClientGuid;

use super::list::{Added, Change, List};
use super::{Mode, Origin, Subscription, Subscriptions};
use crate::interest::{Interest, Node};

/// Nodes of one joined interest, its holder included.
pub const NODES_MAX: usize = 65_536;

/// The components that bare holders of one mode and origin bring together.
struct Bundle {
    mode: Mode,
    origin: Origin,
    since: u64,
    components: BTreeSet<Node>,
}

impl Subscriptions {
    /// Adds subscriptions, and joins those to bare holders of components ([`Want::version_infos`]) into what the client
    /// has of that form, mode and origin: each component once, since the earlier of both. What would be more than
    /// [`NODES_MAX`] nodes is several subscriptions. Returns whether the table changed. The work is that of the
    /// client's list, so a caller brings together all that one message says.
    ///
    /// [`Want::version_infos`]: crate::want::Want::version_infos
    pub fn subscribe_joined(
        &mut self,
        client: ClientGuid,
        subscriptions: impl IntoIterator<Item = Subscription>,
    ) -> bool {
        let mut changed = false;
        let mut bundles: BTreeMap<(Mode, Origin), Bundle> = BTreeMap::new();
        for subscription in subscriptions {
            let Subscription { mode, origin, since, .. } = subscription;
            let Some(components) = subscription.interest.bare_components() else {
                changed |= self.subscribe(client, subscription);
                continue;
            };
            let empty = Bundle { mode, origin, since, components: BTreeSet::new() };
            let bundle = bundles.entry((mode, origin)).or_insert(empty);
            bundle.since = bundle.since.min(since);
            bundle.components.extend(components.iter().cloned());
        }
        for bundle in bundles.into_values() {
            changed |= self.join(client, bundle);
        }
        changed
    }

    fn join(&mut self, client: ClientGuid, bundle: Bundle) -> bool {
        let list = self.clients.entry(client).or_default();
        let pieces = bundle.pieces(list.entries());
        let mut changed = false;
        for at in &pieces {
            changed |= list.begin_by(*at, bundle.since);
        }
        let changes = bundle.fill(list, pieces);
        self.index_changes(client, &changes);
        changed || !changes.is_empty()
    }
}

impl Bundle {
    /// Where the client has subscriptions that these can be joined to.
    fn pieces(&self, entries: &[Subscription]) -> Vec<usize> {
        let alike = |held: &Subscription| {
            held.mode == self.mode && held.origin == self.origin && held.interest.bare_components().is_some()
        };
        entries.iter().enumerate().filter(|(_, held)| alike(held)).map(|(at, _)| at).collect()
    }

    /// Puts what no piece has into those with room, and the rest into new ones.
    fn fill(self, list: &mut List, pieces: Vec<usize>) -> Vec<Change> {
        let of = |list: &List, at: usize| list.entries()[at].interest.bare_components().unwrap_or_default().to_vec();
        let held: BTreeSet<Node> = pieces.iter().flat_map(|at| of(list, *at)).collect();
        let mut fresh = self.components.into_iter().filter(|node| !held.contains(node)).peekable();
        let mut changes = Vec::new();
        for at in pieces {
            let mut components = of(list, at);
            let room = (NODES_MAX - 1).saturating_sub(components.len());
            if room > 0 && fresh.peek().is_some() {
                components.extend(fresh.by_ref().take(room));
                // In one order, whatever came first: what is written next to what was written before is alike.
                components.sort_unstable();
                changes.push(list.exchange(at, Interest::of_bare_components(components)));
            }
        }
        while fresh.peek().is_some() {
            let interest = Interest::of_bare_components(fresh.by_ref().take(NODES_MAX - 1));
            let at = list.entries().len();
            let piece = Subscription { interest, mode: self.mode, origin: self.origin, since: self.since };
            if list.add(piece) == Added::New {
                changes.push(Change { mode: self.mode, before: None, after: Some(at) });
            }
        }
        changes
    }
}
