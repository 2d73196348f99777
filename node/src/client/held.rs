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
use super::lost::{self, Lost, Noted};
use super::word::{Contest, Place, Under, Word};
use crate::intake::{Intake, Item};
use crate::trust::{Reason, Signing, Verdict};

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
    /// The last word on each identity; the item itself is held only if it applies.
    seen: BTreeMap<(ItemIdentity, bool), Place>,
    lost: Lost,
    noted: Noted,
}

/// What an item that came means here.
#[derive(Debug, Default)]
pub(super) struct Came {
    /// To be journalled.
    pub(super) events: Vec<Event>,
    /// Why it may not be held.
    pub(super) refused: Option<Reason>,
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

    /// What an item that came means here. Applies it.
    pub(super) fn take(&mut self, assets: &[Asset], item: &Item, under: Under<'_>) -> Came {
        if self.items.contains_key(&item.digest) {
            return Came::default();
        }
        let slot = item.subject.identity.clone().map(|identity| (identity, item.is_entry));
        let before = slot.as_ref().and_then(|slot| self.seen.get_mut(slot));
        let place = Place::new(item, before.as_deref());
        let verdict = place.word.verdict(under);
        if let Verdict::Refused(reason) = verdict {
            return self.refuse(item, place.word, reason);
        }
        let mut replaced = None;
        if let Some(before) = before {
            match before.contest(item, under) {
                Contest::Kept => {
                    before.passes_by(item, under);
                    return Came::default();
                }
                Contest::Taken { lost: Some(word) } => {
                    self.lost.add(before.digest, word);
                }
                Contest::Taken { lost: None } => {}
            }
            replaced = Some(before.digest).filter(|digest| self.items.contains_key(digest));
        }
        let reasons = reasons(assets, &item.subject);
        let (digest, document) = (item.digest, item.bytes.clone());
        let event = match (replaced, reasons.is_empty()) {
            (None, false) => Some(Event::Gained { digest, document, reasons }),
            (Some(replaced), false) => Some(Event::Revised { digest, replaced, document, reasons }),
            (Some(replaced), true) => Some(Event::Retracted { digest, replaced, document }),
            (None, true) => None,
        };
        if let Some(slot) = slot {
            self.seen.insert(slot, place);
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
        Came { events, refused: None }
    }

    /// An item that is refused is written down the first time that it comes, while the journal has room for such.
    fn refuse(&mut self, item: &Item, word: Word, reason: Reason) -> Came {
        let id = item.subject.identity.as_ref().map(|identity| lost::shortened(&identity.id));
        let is_news = self.noted.add(item.digest);
        let mut why = lost::shortened(&reason.to_string());
        if self.noted.is_full() {
            why.push_str(lost::THE_LAST);
        }
        let event = Event::Refused { digest: item.digest, id, why };
        self.lost.add(item.digest, word);
        Came { events: is_news.then_some(event).into_iter().collect(), refused: Some(reason) }
    }

    /// Judges everything held again. Applies what it finds.
    pub(super) fn rejudge(&mut self, under: Under<'_>) -> Vec<Event> {
        let words: BTreeMap<Digest, &Word> = self.seen.values().map(|place| (place.digest, &place.word)).collect();
        let mut events = Vec::new();
        for (digest, held) in &mut self.items {
            let alone = || under.trust.judge(held.signing.as_deref(), under.at);
            let regard = Regard::from(&words.get(digest).map_or_else(alone, |word| word.verdict(under)));
            if regard != held.regard {
                held.regard.clone_from(&regard);
                events.push(Event::Regarded { digest: *digest, regard });
            }
        }
        events
    }

    /// Whether something that is not held may be welcome under another trust or at another time: what was lost, or what
    /// something that is welcome no more had replaced or kept out, or kept out no more.
    pub(super) fn may_miss(&mut self, then: Under<'_>, now: Under<'_>) -> bool {
        let is_welcome_again = self.lost.forget_welcome(then, now);
        // Without a trust file the newest is held, whoever has signed it.
        let has_begun = then.trust.signers.is_some() != now.trust.signers.is_some();
        let is_other = |place: &Place| place.word.passes(then) != place.word.passes(now);
        is_welcome_again || has_begun || self.seen.values().any(is_other)
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
            }
            Event::Regarded { digest, regard } => {
                if let Some(held) = self.items.get_mut(digest) {
                    held.regard.clone_from(regard);
                }
            }
            Event::Refused { digest, .. } => {
                // Who has signed it stands nowhere: it is found when it comes again, or with the next trust.
                self.noted.add(*digest);
                self.lost.add_other();
            }
            Event::Registered { .. } | Event::Ended { .. } | Event::Assigned { .. } | Event::Noted => {}
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
            let slot = (identity, item.is_entry);
            let place = Place::new(item, self.seen.get(&slot));
            self.seen.insert(slot, place);
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
