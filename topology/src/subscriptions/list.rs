//! One client's subscriptions, each found by what it waits for.

use std::collections::BTreeMap;

use schemas::digest::Digest;

use super::ending::{After, Ends};
use super::{Mode, Subscription};
use crate::interest::Interest;

#[derive(Clone, Debug, Default)]
pub(super) struct List {
    entries: Vec<Subscription>,
    /// Where each stands in `entries`. Made when first needed: a list that is only read never pays for it.
    places: Option<Places>,
}

type Places = BTreeMap<(Digest, Mode), usize>;

/// What became of a subscription that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Added {
    /// It is there now.
    New,
    /// One with the same interest and mode was there, and begins earlier now.
    Earlier,
    /// One with the same interest and mode was there.
    Known,
}

/// A subscription that an End changed.
pub(super) struct Cut {
    /// What it waited for.
    pub(super) before: Interest,
    /// Where among the entries stands what is left; `None` if it ended or became equal to another.
    pub(super) left: Option<usize>,
}

impl List {
    pub(super) fn new(entries: Vec<Subscription>) -> Self {
        Self { entries, places: None }
    }

    pub(super) fn entries(&self) -> &[Subscription] {
        &self.entries
    }

    /// Looks the subscription up by its interest's digest: no interest is compared with another.
    pub(super) fn add(&mut self, subscription: Subscription) -> Added {
        let key = key(&subscription);
        let places = self.places.get_or_insert_with(|| places(&self.entries));
        match places.get(&key) {
            Some(at) => {
                let held = &mut self.entries[*at];
                let earlier = subscription.since < held.since;
                held.since = held.since.min(subscription.since);
                if earlier { Added::Earlier } else { Added::Known }
            }
            None => {
                places.insert(key, self.entries.len());
                self.entries.push(subscription);
                Added::New
            }
        }
    }

    /// Applies Ends in one pass. What is left of a subscription goes behind those that stay as they are.
    pub(super) fn end(&mut self, ends: &Ends<'_>) -> Vec<Cut> {
        let mut cuts = Vec::new();
        let mut left = Vec::new();
        let mut moved = Vec::with_capacity(self.entries.len());
        let mut kept = Vec::with_capacity(self.entries.len());
        for subscription in self.entries.drain(..) {
            let after = ends.after(&subscription.interest);
            moved.push(matches!(after, After::Untouched).then_some(kept.len()));
            match after {
                After::Untouched => kept.push(subscription),
                After::Ended => cuts.push(Cut { before: subscription.interest, left: None }),
                After::Left(interest) => {
                    left.push((cuts.len(), Subscription { interest, ..subscription }));
                    cuts.push(Cut { before: subscription.interest, left: None });
                }
            }
        }
        self.entries = kept;
        if let Some(places) = self.places.as_mut().filter(|_| !cuts.is_empty()) {
            places.retain(|_, at| moved[*at].inspect(|to| *at = *to).is_some());
        }
        for (cut, subscription) in left {
            let at = self.entries.len();
            cuts[cut].left = (self.add(subscription) == Added::New).then_some(at);
        }
        cuts
    }
}

fn key(subscription: &Subscription) -> (Digest, Mode) {
    (subscription.interest.digest(), subscription.mode)
}

fn places(entries: &[Subscription]) -> Places {
    // Of two that are equal the first is meant, as by a search from the front.
    entries.iter().enumerate().rev().map(|(at, subscription)| (key(subscription), at)).collect()
}
