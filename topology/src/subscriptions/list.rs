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

/// A subscription that waits for something else now.
pub(super) struct Change {
    /// Of the subscription, before and after.
    pub(super) mode: Mode,
    /// What it waited for; `None` if it is new.
    pub(super) before: Option<Interest>,
    /// Where among the entries it stands; `None` if it ended or became equal to another.
    pub(super) after: Option<usize>,
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
                let at = *at;
                if self.begin_by(at, subscription.since) { Added::Earlier } else { Added::Known }
            }
            None => {
                places.insert(key, self.entries.len());
                self.entries.push(subscription);
                Added::New
            }
        }
    }

    /// Lets the subscription there begin at `since`, if that is earlier; answers whether it is.
    pub(super) fn begin_by(&mut self, at: usize, since: u64) -> bool {
        let held = &mut self.entries[at].since;
        let earlier = since < *held;
        *held = since.min(*held);
        earlier
    }

    /// Lets the subscription there wait for this. One that then equals another of the list stays beside it.
    pub(super) fn exchange(&mut self, at: usize, interest: Interest) -> Change {
        self.places = None;
        let mode = self.entries[at].mode;
        Change { mode, before: Some(std::mem::replace(&mut self.entries[at].interest, interest)), after: Some(at) }
    }

    /// Applies Ends in one pass. What is left of a subscription goes behind those that stay as they are.
    pub(super) fn end(&mut self, ends: &Ends<'_>) -> Vec<Change> {
        let mut cuts = Vec::new();
        let mut left = Vec::new();
        let mut moved = Vec::with_capacity(self.entries.len());
        let mut kept = Vec::with_capacity(self.entries.len());
        for subscription in self.entries.drain(..) {
            let after = ends.after(&subscription.interest);
            moved.push(matches!(after, After::Untouched).then_some(kept.len()));
            match after {
                After::Untouched => kept.push(subscription),
                After::Ended => {
                    cuts.push(Change { mode: subscription.mode, before: Some(subscription.interest), after: None });
                }
                After::Left(interest) => {
                    left.push((cuts.len(), Subscription { interest, ..subscription }));
                    cuts.push(Change { mode: subscription.mode, before: Some(subscription.interest), after: None });
                }
            }
        }
        self.entries = kept;
        if let Some(places) = self.places.as_mut().filter(|_| !cuts.is_empty()) {
            places.retain(|_, at| moved[*at].inspect(|to| *at = *to).is_some());
        }
        for (cut, subscription) in left {
            let at = self.entries.len();
            cuts[cut].after = (self.add(subscription) == Added::New).then_some(at);
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
