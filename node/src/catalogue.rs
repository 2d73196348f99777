//! What is on offer: the items of the log, which of them are current, and where each match key occurs.
//!
//! Built from log records alone, by [`Catalogue::insert`] in log order, live and after a restart alike.

mod rights;
mod trim;

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::ops::Bound;

use schemas::class::{Class, PerClass};
use schemas::digest::Digest;
use schemas::names::Spelling;
use topology::key::{MatchKey, id_key};
use topology::matching;
use topology::subject::ItemIdentity;
use topology::subscriptions::{Mode, Subscription};

use crate::ids::Position;
use crate::records::{ItemRecord, Origin};
use crate::trust::Weight;

use rights::Barred;

pub use rights::{Contest, Reconsidered, Rights, Word};
pub use trim::{Size, Trimmed};

/// An item of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What the log says of it.
    pub record: ItemRecord,
    /// Whether nothing has replaced it.
    pub current: bool,
    /// Whether it may not go on, as things stand: it is on offer to nobody, and in nothing's place.
    pub barred: Option<Bar>,
    /// What its word weighs, as things stand.
    pub weight: Weight,
}

/// Why an item may not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// Because of who has signed it.
    Own,
    /// It might by itself, and not beside what is here of the same thing.
    Beside,
}

/// Keys of trimmed items that are told apart.
const TRIMMED_KEYS_MAX: usize = 1_000_000;

/// Candidates that one look-up looks at.
const LOOKED_AT_MAX: usize = 4096;

/// The next posting of a key for a subscription.
type Head = (Position, usize, MatchKey);

/// Content and catalogue entries of one thing replace their own kind only.
pub type Slot = (ItemIdentity, bool);

/// Where a record's item stands, if it says what it is about.
pub fn slot_of(record: &ItemRecord) -> Option<Slot> {
    Some((record.subject.identity.clone()?, record.is_entry))
}

/// See the module.
#[derive(Debug, Default)]
pub struct Catalogue {
    items: BTreeMap<Position, Item>,
    /// Of all items together, in the log.
    bytes: u64,
    slots: BTreeMap<Slot, Position>,
    digests: BTreeMap<Digest, Position>,
    /// Current items only: superseded ones are skipped by everybody.
    postings: BTreeMap<MatchKey, PerClass<BTreeSet<Position>>>,
    /// For each key the highest position of each class that was trimmed while current.
    trimmed: BTreeMap<MatchKey, PerClass<Position>>,
    /// The same for all keys together, as far as it happened before the last restart.
    trimmed_before: Position,
    head: Position,
    barred: Barred,
}

/// What an insertion changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Whether the item is current: an older revision that came late is not.
    pub current: bool,
    /// What it replaced.
    pub replaced: Option<Position>,
    /// What else is off the offer now: content that an entry of an upstream's catalogue says to be outdated (R-8.2.2-8), an
    /// entry that lists what may not go on, or what an item displaced that is not on offer itself.
    pub off_offer: Vec<Position>,
}

impl Trimmed {
    /// What is gone though nothing had replaced it.
    pub fn current(&self) -> impl Iterator<Item = (Position, &ItemRecord)> {
        self.items.iter().filter(|(_, item)| item.current).map(|(position, item)| (*position, &item.record))
    }
}

/// How an item goes to a subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// The provider's bytes.
    Whole,
    /// A catalogue entry that this node derives (design decision 8).
    Derived,
}

/// One item that a subscriber is to get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub position: Position,
    /// In which form.
    pub form: Form,
    /// Length of its bytes.
    pub bytes: u64,
    /// Parts of one spelling share envelopes (N7).
    pub spelling: Spelling,
}

/// A stretch of a subscriber's due items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// In log order.
    pub due: Vec<Due>,
    /// Everything up to here is in `due` or does not concern the subscriber.
    pub through: Position,
    /// Whether that is the head of the log.
    pub complete: bool,
}

impl Catalogue {
    /// An empty catalogue of a log whose items up to `floor` were trimmed earlier.
    pub fn new(floor: Position) -> Self {
        Self { trimmed_before: floor, head: floor, ..Self::default() }
    }

    /// Adds the next item of the log.
    pub fn insert(&mut self, position: Position, record: ItemRecord, rights: &Rights<'_>) -> Inserted {
        debug_assert!(position > self.head, "positions ascend");
        self.head = position;
        if let Some(older) = self.digests.insert(record.digest, position) {
            // It was evicted, came again, and is there again after a restart.
            self.remove(older);
        }
        self.enter(position, record, rights)
    }

    /// Decides what becomes of an item, and keeps it.
    fn enter(&mut self, position: Position, record: ItemRecord, rights: &Rights<'_>) -> Inserted {
        let (weight, slot) = (rights.weight(&record), slot_of(&record));
        let holder = slot.as_ref().and_then(|slot| self.slots.get(slot).copied());
        let contest = holder
            .and_then(|holder| self.items.get(&holder))
            .map_or(Contest::Succeeds, |holder| rights.contest(Word::of(&record), Word::of(&holder.record)));
        let barred = match rights.passes(record.signing.as_deref()) {
            false => Some(Bar::Own),
            true if contest == Contest::MayNotSucceed || self.lists_barred(&record, weight) => Some(Bar::Beside),
            true => None,
        };
        let has_place = barred.is_none() && contest.is_won();
        let current = has_place && !self.is_announced_newer(&record, weight);
        let mut off_offer = Vec::new();
        if let Some(slot) = slot.filter(|_| has_place) {
            off_offer.extend(holder.filter(|_| !current));
            holder.into_iter().for_each(|holder| self.retire(holder));
            if let Some(holder) = holder.filter(|_| contest == Contest::Displaces) {
                self.bar(holder);
            }
            self.slots.insert(slot, position);
        }
        if current {
            let outdated = self.outdated_by(&record, weight);
            outdated.into_iter().for_each(|outdated| self.retire(outdated));
            off_offer.extend(outdated);
            for key in record.reach.keys() {
                self.postings.entry(key).or_default()[record.class].insert(position);
            }
        }
        if let Some(bar) = barred {
            self.barred.add(&record, bar == Bar::Own);
        }
        self.bytes += record.bytes;
        self.items.insert(position, Item { record, current, barred, weight });
        if let Some(entry) = self.entry_of_barred(position) {
            self.bar(entry);
            off_offer.push(entry);
        }
        Inserted { current, replaced: holder.filter(|_| current), off_offer }
    }

    /// The entry on offer that lists this content, if that may not go on and nothing else stands for it.
    fn entry_of_barred(&self, content: Position) -> Option<Position> {
        let content = self.items.get(&content).filter(|item| !item.record.is_entry && !self.barred.is_empty())?;
        let position = self.slots.get(&(content.record.subject.identity.clone()?, true)).copied()?;
        let entry = self.items.get(&position).filter(|entry| entry.current)?;
        self.lists_barred(&entry.record, entry.weight).then_some(position)
    }

    /// Nothing has the place any more that this item has.
    fn vacate(&mut self, position: Position) {
        let slot = self.items.get(&position).and_then(|item| slot_of(&item.record));
        if let Some(slot) = slot.filter(|slot| self.slots.get(slot) == Some(&position)) {
            self.slots.remove(&slot);
        }
    }

    /// The content of an upstream's item that is older than this entry for it. What nobody answers for takes nothing off the
    /// offer that somebody does: it only lets the newer one be fetched.
    fn outdated_by(&self, entry: &ItemRecord, weight: Weight) -> Option<Position> {
        let identity = entry.subject.identity.clone().filter(|_| is_announcement(entry))?;
        let position = self.slots.get(&(identity, false))?;
        let content = self.items.get(position).filter(|content| content.current && content.weight <= weight)?;
        (content.record.subject.revision < entry.subject.revision).then_some(*position)
    }

    /// Whether an upstream has announced a newer revision of this content.
    fn is_announced_newer(&self, content: &ItemRecord, weight: Weight) -> bool {
        let identity = content.subject.identity.as_ref().filter(|_| !content.is_entry);
        let entry = identity.and_then(|identity| self.current(identity, true));
        entry.is_some_and(|entry| {
            let is_newer = entry.record.subject.revision > content.subject.revision;
            is_newer && is_announcement(&entry.record) && entry.weight >= weight
        })
    }

    fn retire(&mut self, position: Position) {
        let Some(item) = self.items.get_mut(&position) else { return };
        item.current = false;
        remove_postings(&mut self.postings, position, &item.record);
    }

    /// Whether an entry came from elsewhere: what repeats one is not kept a second time.
    pub fn has_entries_of_others(&self, origin: Origin) -> bool {
        self.items.values().any(|item| item.record.is_entry && item.record.origin != origin)
    }

    /// Whether anything was ever trimmed.
    pub fn is_trimmed(&self) -> bool {
        self.trimmed_before > Position(0) || !self.trimmed.is_empty()
    }

    /// Whether something that has this identifier was trimmed while nothing had replaced it. Errs towards yes.
    pub fn may_have_trimmed(&self, id: &str) -> bool {
        self.trimmed_before > Position(0) || self.trimmed.contains_key(&MatchKey::Id(id_key(id)))
    }

    /// Whether something of a class that `subscriptions` may have asked for was trimmed after `position`. Errs towards
    /// yes.
    pub fn misses(&self, subscriptions: &[Subscription], class: Class, position: Position) -> bool {
        self.trimmed_before > position
            || subscriptions
                .iter()
                .flat_map(|subscription| subscription.interest.keys())
                .any(|key| self.trimmed.get(&key).is_some_and(|trimmed| trimmed[class] > position))
    }

    /// The current items of a class, or of any, after `after` that `subscriptions` cover, `most` at the most, found by
    /// merging the postings of their keys: the work grows with what is looked at, never with what lies behind it. At
    /// most `LOOKED_AT_MAX` candidates are looked at in one step, so that a step has a bound also where few match.
    pub fn due(&self, subscriptions: &[Subscription], class: Option<Class>, after: Position, most: usize) -> Stretch {
        let mut heads = self.heads(subscriptions, class, after);
        let (mut due, mut through, mut looked_at) = (Vec::new(), after, 0);
        while let Some(Reverse((position, ..))) = heads.peek() {
            let position = *position;
            if due.len() == most || looked_at == LOOKED_AT_MAX {
                return Stretch { due, through, complete: false };
            }
            let mut wanting = Vec::new();
            while let Some(mut head) = heads.peek_mut().filter(|head| head.0.0 == position) {
                wanting.push(head.0.1);
                match self.next_posting(&head.0.2, class, position) {
                    Some(next) => head.0.0 = next,
                    None => drop(PeekMut::pop(head)),
                }
            }
            looked_at += 1;
            through = position;
            due.extend(self.due_at(position, wanting.into_iter().filter_map(|index| subscriptions.get(index))));
        }
        Stretch { due, through: self.head.max(after), complete: true }
    }

    /// For each subscription and key the first posting after where it begins.
    fn heads(
        &self,
        subscriptions: &[Subscription],
        class: Option<Class>,
        after: Position,
    ) -> BinaryHeap<Reverse<Head>> {
        let mut heads = BinaryHeap::new();
        for (index, subscription) in subscriptions.iter().enumerate() {
            let from = after.max(Position(subscription.since));
            for key in subscription.interest.keys() {
                if let Some(first) = self.next_posting(&key, class, from) {
                    heads.push(Reverse((first, index, key)));
                }
            }
        }
        heads
    }

    fn next_posting(&self, key: &MatchKey, class: Option<Class>, after: Position) -> Option<Position> {
        let of_key = self.postings.get(key)?;
        let next = |class| of_key[class].range((Bound::Excluded(after), Bound::Unbounded)).next().copied();
        match class {
            Some(class) => next(class),
            None => Class::ALL.into_iter().filter_map(next).min(),
        }
    }

    fn due_at<'a>(&self, position: Position, wanting: impl Iterator<Item = &'a Subscription>) -> Option<Due> {
        let item = self.items.get(&position)?;
        let covering =
            wanting.filter(|subscription| matching::covers(&subscription.interest, item.record.reach.affected()));
        let form = covering.filter_map(|subscription| self.form(item, subscription.mode)).min()?;
        Some(Due { position, form, bytes: item.record.bytes, spelling: item.record.spelling })
    }

    /// How `item` goes to a subscription of this mode. Where a provider publishes both content and entry, each mode gets
    /// its own; where there is one of them only, it serves both (an entry of content is then derived).
    ///
    /// An entry of an upstream's catalogue never stands for its content: that can be fetched. And it stands for the list
    /// only as long as no newer content has come without one. What nobody answers for stands for nothing that somebody does.
    pub fn form(&self, item: &Item, mode: Mode) -> Option<Form> {
        let revision = |item: &Item| item.record.subject.revision;
        let other = || self.current(item.record.subject.identity.as_ref()?, !item.record.is_entry);
        let lists = |entry: &Item, content: &Item| {
            let is_as_new = !is_announcement(&entry.record) || revision(entry) >= revision(content);
            is_as_new && entry.weight >= content.weight
        };
        let is_outweighed = |content: &Item| content.weight > item.weight && revision(content) >= revision(item);
        let derived = || (!other().is_some_and(|entry| lists(entry, item))).then_some(Form::Derived);
        let is_alone = || !is_announcement(&item.record) && other().is_none();
        match (item.record.is_entry, mode) {
            (false, Mode::Full) => Some(Form::Whole),
            (false, Mode::Catalog) => derived(),
            (true, Mode::Catalog) => (!other().is_some_and(is_outweighed)).then_some(Form::Whole),
            (true, Mode::Full) => is_alone().then_some(Form::Whole),
        }
    }

    /// The last position that was inserted.
    pub fn head(&self) -> Position {
        self.head
    }

    /// Everything up to here was trimmed or evicted, or never there.
    pub fn floor(&self) -> Position {
        self.items.keys().next().map_or(self.head, |first| Position(first.0.saturating_sub(1)))
    }

    /// The item at a position, unless it was trimmed.
    pub fn get(&self, position: Position) -> Option<&Item> {
        self.items.get(&position)
    }

    /// Where bytes of this digest stand, current or not.
    pub fn position_of(&self, digest: Digest) -> Option<Position> {
        self.digests.get(&digest).copied()
    }

    /// The current content or entry of an identity.
    pub fn current(&self, identity: &ItemIdentity, is_entry: bool) -> Option<&Item> {
        self.slots.get(&(identity.clone(), is_entry)).and_then(|position| self.items.get(position))
    }

    /// All items with their positions, in log order.
    pub fn iter(&self) -> impl Iterator<Item = (Position, &Item)> {
        self.items.iter().map(|(position, item)| (*position, item))
    }

    /// How many items are kept.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// All there is, current or not.
    pub fn size(&self) -> Size {
        Size { items: self.items.len(), bytes: self.bytes }
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

fn remove_postings(
    postings: &mut BTreeMap<MatchKey, PerClass<BTreeSet<Position>>>,
    position: Position,
    record: &ItemRecord,
) {
    for key in record.reach.keys() {
        if let Some(positions) = postings.get_mut(&key) {
            positions[record.class].remove(&position);
            if positions.iter().all(|(_, positions)| positions.is_empty()) {
                postings.remove(&key);
            }
        }
    }
}

/// Whether it says what an upstream has, which can be fetched from there.
fn is_announcement(record: &ItemRecord) -> bool {
    record.is_entry && matches!(record.origin, Origin::Upstream(_))
}
