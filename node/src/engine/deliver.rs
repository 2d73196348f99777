//! Deliver: new, repeated, older or newer than what is there.

use schemas::core::ReplyStatus;
use schemas::digest::Digest;
use topology::subject::Reach;

use super::Engine;
use super::exchange::refusal;
use super::plan::{NewItem, Plan};
use crate::catalogue::{Contest, Rights, Word};
use crate::ids::{Position, Time};
use crate::intake::{Hop, Item, Refusal};
use crate::records::{ItemRecord, Origin};
use crate::store::Write;
use crate::trust::Signing;

/// Publishers count revisions of one thing from here.
const FIRST_REVISION: u64 = 1;

/// The newest accepted revision of an identity.
#[derive(Clone, Debug)]
pub(super) struct Latest {
    pub(super) revision: u64,
    pub(super) digest: Digest,
    pub(super) reach: Reach,
    pub(super) signing: Option<Box<Signing>>,
}

impl Latest {
    pub(super) fn of(record: &ItemRecord) -> Self {
        let ItemRecord { subject, digest, reach, signing, .. } = record;
        Self { revision: subject.revision, digest: *digest, reach: reach.clone(), signing: signing.clone() }
    }

    pub(super) fn word(&self) -> Word<'_> {
        Word { revision: self.revision, digest: self.digest, signing: self.signing.as_deref() }
    }
}

impl Engine {
    /// Accepts an item into the log, unless it repeats or is older than what was accepted. Both are answered Succeeded:
    /// the sender's work is done.
    pub(super) fn deliver(
        &mut self,
        now: Time,
        origin: Origin,
        hop: &Hop,
        item: &Item,
        repeated: bool,
        plan: &mut Plan,
    ) -> Result<(), Refusal> {
        if let Some(why) = &self.broken {
            // Also for what seems to be held: it may be what the store has lost.
            return Err(refusal(ReplyStatus::Failed, &format!("not stored: {why}; nothing was changed")));
        }
        if item.bytes.len() > self.config.item_bytes_max {
            let why =
                format!("longer than {} bytes, and could not be passed on in an envelope", self.config.item_bytes_max);
            return Err(refusal(ReplyStatus::Failed, &why));
        }
        self.admit_item(origin, item, plan)?;
        let contest = self.contest(item);
        if repeated || self.is_held(item) || contest == Some(Contest::IsOlder) {
            self.totals.duplicates += 1;
            return Ok(());
        }
        if contest == Some(Contest::MayNotSucceed) {
            return self.refuse_successor(origin, item, plan);
        }
        self.assigned = Position(self.assigned.0 + 1);
        let position = self.assigned;
        let record = ItemRecord {
            digest: item.digest,
            bytes: item.bytes.len() as u64,
            origin,
            message_id: hop.message_id.as_ref().map(|id| id.value),
            accepted: now,
            is_entry: item.is_entry,
            spelling: item.spelling,
            class: self.config.class_of(item.subject.class, item.bytes.len()),
            subject: item.subject.clone(),
            reach: self.take_latest(origin, item),
            signing: item.signing.clone(),
        };
        self.appending.insert(item.digest, position);
        if let (Some(id), Origin::Client(client)) = (record.message_id, origin) {
            self.remember(now, (client, id), item.digest);
        }
        plan.writes.push(Write::Append { position: position.0, record: record.encode(), item: item.bytes.clone() });
        plan.items.push(NewItem { position, record, bytes: item.bytes.clone() });
        Ok(())
    }

    fn is_held(&self, item: &Item) -> bool {
        self.appending.contains_key(&item.digest) || self.catalogue.position_of(item.digest).is_some()
    }

    /// The item beside the newest of its identity, if there is one.
    fn contest(&self, item: &Item) -> Option<Contest> {
        let latest = self.latest_of(item)?;
        let rights = Rights { trust: &self.policy.trust, at: self.now };
        Some(rights.contest(Word::new(&item.subject, item.digest, item.signing.as_deref()), latest.word()))
    }

    pub(super) fn latest_of(&self, item: &Item) -> Option<&Latest> {
        self.latest.get(&(item.subject.identity.clone()?, item.is_entry))
    }

    /// The item becomes the newest of its identity, and concerns whomever those before it concerned, content and entries alike,
    /// also those that may not go on any more.
    fn take_latest(&mut self, origin: Origin, item: &Item) -> Reach {
        let own = Reach::of(&item.subject);
        let Some(identity) = item.subject.identity.clone() else { return own };
        let slots = [item.is_entry, !item.is_entry].map(|is_entry| (identity.clone(), is_entry));
        let is_later = item.subject.revision > FIRST_REVISION;
        let is_known = slots.iter().any(|slot| self.latest.contains_key(slot));
        let was_trimmed = self.catalogue.may_have_trimmed(&identity.id);
        // Earlier ones may have gone by other ways, or be trimmed, and whom they concerned is not known here: whoever has the
        // name at all.
        let may_miss_some = match (origin, is_known) {
            (Origin::Upstream(_), true) | (Origin::Client(_), false) => was_trimmed,
            (Origin::Upstream(_), false) => true,
            (Origin::Client(_), true) => false,
        };
        let own = if is_later && may_miss_some { own.widened() } else { own };
        let latest = slots.iter().filter_map(|slot| self.latest.get(slot)).map(|latest| &latest.reach);
        let barred = slots.iter().filter_map(|slot| self.catalogue.barred_reach(slot));
        let reach = latest.chain(barred).fold(own, |reach, before| reach.join(before));
        let (revision, signing) = (item.subject.revision, item.signing.clone());
        let latest = Latest { revision, digest: item.digest, reach: reach.clone(), signing };
        let [slot, _] = slots;
        self.latest.insert(slot, latest);
        reach
    }
}
