//! The items that a client holds, and the revisions it has seen.

use std::collections::BTreeMap;

use bytes::Bytes;
use schemas::digest::Digest;
use schemas::facts::Validated;
use schemas::limits::Limits;
use topology::matching;
use topology::subject::{ItemIdentity, Status, Subject};

use super::Asset;
use super::journal::{Event, Reasons, Regard};
use crate::ids::Time;
use crate::intake::{Intake, Item};
use crate::trust::{Reason, Signing, Trust, Verdict};

/// A held item. The provider's bytes are in the journal and nowhere else: they may be many.
#[derive(Clone, Debug)]
pub struct Held {
    /// What it is about.
    pub subject: Subject,
    /// Why it applies.
    pub reasons: Reasons,
    /// Who has signed it; none, if it carries no signature.
    pub signing: Option<Box<Signing>>,
    /// What it is taken for.
    pub regard: Regard,
}

impl Held {
    fn new(item: &Item, reasons: &Reasons, verdict: &Verdict) -> Self {
        let (subject, signing) = (item.subject.clone(), item.signing.clone());
        Self { subject, reasons: reasons.clone(), signing, regard: verdict.into() }
    }

    /// Whether it lost its right.
    pub fn is_distrusted(&self) -> bool {
        matches!(self.regard, Regard::Refused(_))
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Holdings {
    items: BTreeMap<Digest, Held>,
    /// Which revision of each identity was seen last; the item itself is held only if it applies.
    seen: BTreeMap<(ItemIdentity, bool), (u64, Digest)>,
}

impl Holdings {
    /// Held items in the order of their digests.
    pub fn iter(&self) -> impl Iterator<Item = (Digest, &Held)> {
        self.items.iter().map(|(digest, held)| (*digest, held))
    }

    /// A held item.
    pub fn get(&self, digest: Digest) -> Option<&Held> {
        self.items.get(&digest)
    }

    /// How many items are held.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// What an item that came means here: the events to journal, if any. Applies them.
    ///
    /// # Errors
    /// Why it may not be held.
    pub(super) fn take(
        &mut self,
        assets: &[Asset],
        item: &Item,
        trust: &Trust,
        now: Time,
    ) -> Result<Vec<Event>, Reason> {
        if self.items.contains_key(&item.digest) {
            return Ok(Vec::new());
        }
        if let Verdict::Refused(reason) = trust.judge(item.signing.as_deref(), now) {
            return Err(reason);
        }
        let slot = item.subject.identity.clone().map(|identity| (identity, item.is_entry));
        let seen = slot.as_ref().and_then(|slot| self.seen.get(slot)).copied();
        let before = seen.and_then(|(_, digest)| self.items.get(&digest));
        let counts = !before.is_some_and(Held::is_distrusted);
        if counts && seen.is_some_and(|(revision, digest)| !item.subject.replaces(revision, digest, item.digest)) {
            return Ok(Vec::new());
        }
        let signed_before = before.and_then(|before| before.signing.as_deref());
        let verdict = trust.judge_successor(item.signing.as_deref(), signed_before, now);
        if let Verdict::Refused(reason) = verdict {
            return Err(reason);
        }
        let replaced = seen.map(|(_, digest)| digest).filter(|digest| self.items.contains_key(digest));
        let reasons = reasons(assets, &item.subject);
        let (digest, document) = (item.digest, item.bytes.clone());
        let event = match (replaced, reasons.is_empty()) {
            (None, false) => Some(Event::Gained { digest, document, reasons }),
            (Some(replaced), false) => Some(Event::Revised { digest, replaced, document, reasons }),
            (Some(replaced), true) => Some(Event::Retracted { digest, replaced, document }),
            (None, true) => None,
        };
        if let Some(slot) = slot {
            self.seen.insert(slot, (item.subject.revision, item.digest));
        }
        if let Some(replaced) = replaced {
            self.items.remove(&replaced);
        }
        let mut events = Vec::from_iter(event);
        if let Some(Event::Gained { reasons, .. } | Event::Revised { reasons, .. }) = events.first() {
            self.items.insert(item.digest, Held::new(item, reasons, &verdict));
            if verdict != Verdict::unjudged(item.signing.as_deref()) {
                events.push(Event::Regarded { digest: item.digest, regard: (&verdict).into() });
            }
        }
        Ok(events)
    }

    /// Judges everything held again. Applies what it finds.
    pub(super) fn rejudge(&mut self, trust: &Trust, now: Time) -> Vec<Event> {
        let mut events = Vec::new();
        for (digest, held) in &mut self.items {
            let regard = Regard::from(&trust.judge(held.signing.as_deref(), now));
            if regard != held.regard {
                held.regard.clone_from(&regard);
                events.push(Event::Regarded { digest: *digest, regard });
            }
        }
        events
    }

    /// Matches everything held against a changed inventory. Applies what it finds.
    pub(super) fn rematch(&mut self, assets: &[Asset]) -> Vec<Event> {
        let mut events = Vec::new();
        self.items.retain(|digest, held| {
            let reasons = reasons(assets, &held.subject);
            if reasons.is_empty() {
                events.push(Event::Left { digest: *digest });
                return false;
            }
            if reasons != held.reasons {
                events.push(Event::Rematched { digest: *digest, reasons: reasons.clone() });
                held.reasons = reasons;
            }
            true
        });
        events
    }

    /// What left is forgotten, revisions included: it may apply, and be asked for, again.
    pub(super) fn forget_unheld(&mut self) {
        let items = &self.items;
        self.seen.retain(|_, (_, digest)| items.contains_key(digest));
    }

    /// Applies an event of the journal.
    pub(super) fn fold(&mut self, event: &Event) {
        match event {
            Event::Gained { digest, document, reasons } => self.hold(*digest, None, document, Some(reasons)),
            Event::Revised { digest, replaced, document, reasons } => {
                self.hold(*digest, Some(*replaced), document, Some(reasons));
            }
            Event::Retracted { digest, replaced, document } => self.hold(*digest, Some(*replaced), document, None),
            Event::Rematched { digest, reasons } => {
                if let Some(held) = self.items.get_mut(digest) {
                    held.reasons.clone_from(reasons);
                }
            }
            Event::Left { digest } => {
                self.items.remove(digest);
                self.forget_unheld();
            }
            Event::Regarded { digest, regard } => {
                if let Some(held) = self.items.get_mut(digest) {
                    held.regard.clone_from(regard);
                }
            }
            Event::Registered { .. }
            | Event::Ended { .. }
            | Event::Assigned { .. }
            | Event::Refused { .. }
            | Event::Noted => {}
        }
    }

    fn hold(&mut self, digest: Digest, replaced: Option<Digest>, document: &Bytes, reasons: Option<&Reasons>) {
        if let Some(replaced) = replaced {
            self.items.remove(&replaced);
        }
        // The journal holds what was validated before it was written.
        let Ok(facts) = Validated::new(document.clone(), &Limits::default()) else { return };
        let Some(intake) = Intake::of(&facts) else { return };
        let Some(Some((_, item))) = intake.items().into_iter().next() else { return };
        if let Some(identity) = item.subject.identity.clone() {
            self.seen.insert((identity, item.is_entry), (item.subject.revision, digest));
        }
        if let Some(reasons) = reasons {
            let verdict = Verdict::unjudged(item.signing.as_deref());
            self.items.insert(digest, Held::new(item, reasons, &verdict));
        }
    }
}

fn reasons(assets: &[Asset], subject: &Subject) -> Reasons {
    if subject.status == Status::Withdrawn {
        return Reasons::new();
    }
    assets
        .iter()
        .map(|asset| (asset.name.clone(), matching::applies(&asset.interest, &subject.affected)))
        .filter(|(_, reasons)| !reasons.is_empty())
        .collect()
}
