//! What is evicted or trimmed when there is too much, and who misses it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemas::class::Class;
use topology::matching::covers;
use topology::subscriptions::Subscription;

use super::plan::Plan;
use super::register::seen_row;
use super::{Action, Engine, ReplyTo};
use crate::catalogue::{Item, Size, Trimmed};
use crate::ids::{ExchangeId, LinkId, Position, Time};
use crate::records::{ItemRecord, Origin};
use crate::shard;
use crate::store::Write;

/// Answers whose items are not all out: what was asked for, and up to where.
pub(super) type Answers = BTreeMap<(LinkId, ExchangeId), (Arc<[Subscription]>, Position)>;

impl Engine {
    /// When the oldest item may go that is over the bound.
    pub(super) fn trims_at(&self) -> Option<Time> {
        let is_due = self.broken.is_none() && self.is_over_bound();
        let (_, oldest) = self.catalogue.iter().next().filter(|_| is_due)?;
        Some(oldest.record.accepted.after(self.config.transit))
    }

    fn is_over_bound(&self) -> bool {
        // In steps, so that who is behind is looked up rarely.
        let Size { items, bytes } = self.bound();
        self.catalogue.size().exceeds(Size { items: items + items / 16, bytes: bytes.saturating_add(bytes / 16) })
    }

    fn bound(&self) -> Size {
        Size { items: self.config.items_max, bytes: self.config.items_bytes_max }
    }

    pub(super) fn trim(&mut self) {
        if self.trims_at().is_none_or(|at| at > self.now) {
            return;
        }
        let (transit, through) = (self.config.transit, self.now);
        let may_go = |record: &ItemRecord| record.accepted.after(transit) <= through;
        self.evict(may_go);
        let Some(trimmed) = self.catalogue.trim(self.bound(), may_go) else { return };
        self.totals.trimmed += trimmed.items.len() as u64;
        self.forget_latest();
        let floor = trimmed.floor;
        let mut writes = vec![Write::Trim { below: floor.0 + 1 }, super::recover::floor_row(floor)];
        writes.extend(self.seen_rows(&trimmed.items));
        writes.extend(self.lacks_trimmed(&trimmed));
        self.store(Plan { writes, ..Plan::default() });
        self.cut_lists(&trimmed);
        self.tell_shards(&shard::Event::Trimmed(floor));
        let lacking = self.answers_lacking(&trimmed);
        lacking.into_iter().for_each(|link| self.is_behind(link, floor));
    }

    /// What others have replaced goes first; who waits for it gets what replaced it. Where nothing is kept, it goes with all that
    /// is older.
    fn evict(&mut self, may_go: impl Fn(&ItemRecord) -> bool) {
        if self.config.items_max == 0 {
            return;
        }
        let evicted = self.catalogue.evict(self.bound(), may_go);
        if evicted.is_empty() {
            return;
        }
        self.totals.evicted += evicted.len() as u64;
        let positions = evicted.iter().map(|(position, _)| position.0).collect();
        let mut writes = vec![Write::Evict { positions }];
        // Segments before all that is left go without a copy; but what is lost is known after a restart by its place in the log.
        if self.totals.damaged == 0 {
            writes.push(Write::Trim { below: self.catalogue.floor().0 + 1 });
        }
        writes.extend(self.seen_rows(&evicted));
        self.store(Plan { writes, ..Plan::default() });
    }

    /// What is not kept any more is the newest of nothing.
    pub(super) fn forget_latest(&mut self) {
        let (catalogue, appending) = (&self.catalogue, &self.appending);
        self.latest.retain(|_, latest| {
            catalogue.position_of(latest.digest).is_some() || appending.contains_key(&latest.digest)
        });
    }

    /// The records of what is gone said what was delivered already, also after a restart.
    fn seen_rows(&self, gone: &[(Position, Item)]) -> impl Iterator<Item = Write> {
        gone.iter().filter_map(|(_, Item { record, .. })| {
            let (Origin::Client(client), Some(id)) = (record.origin, record.message_id) else { return None };
            let key = (client, id);
            self.seen.contains_key(&key).then(|| seen_row(key, record.digest, record.accepted))
        })
    }

    /// A lane had not looked yet at all that was trimmed. What has its items on the way to it, or answered, misses nothing.
    pub(super) fn lags(&mut self, link: LinkId, class: Class, after: Position) {
        let Some(session) = self.sessions.get(&link) else { return };
        if self.catalogue.misses(self.subscriptions.of(session.client), class, after) {
            self.is_behind(link, self.catalogue.floor());
        }
    }

    pub(super) fn is_behind(&mut self, link: LinkId, position: Position) {
        self.totals.behind += 1;
        self.actions.push_back(Action::Behind(link, position));
    }

    /// Links with an answer under way that something trimmed belongs to.
    pub(super) fn answers_lacking(&self, trimmed: &Trimmed) -> BTreeSet<LinkId> {
        let mut lacking = BTreeSet::new();
        for (position, record) in trimmed.current() {
            let asks_for = |ask: &Subscription| covers(&ask.interest, record.reach.affected());
            let lacks =
                |(asks, snapshot): &(Arc<[Subscription]>, Position)| position <= *snapshot && asks.iter().any(asks_for);
            lacking.extend(self.answers.iter().filter(|(_, answer)| lacks(answer)).map(|((link, _), _)| *link));
        }
        lacking
    }

    /// What was trimmed is on its upstream's list: as an entry, or as content that came in an entry's place.
    pub(super) fn cut_lists(&mut self, trimmed: &Trimmed) {
        for (_, record) in trimmed.current() {
            let Origin::Upstream(server) = record.origin else { continue };
            let entry = record.subject.identity.as_ref().and_then(|identity| self.catalogue.current(identity, true));
            if let Some(uplink) = self.uplinks.get_mut(&server).filter(|_| record.is_entry || entry.is_none()) {
                uplink.cut_list();
            }
        }
    }

    pub(super) fn answer_begins(&mut self, reply: &ReplyTo) {
        if !reply.asks.is_empty() {
            self.answers.insert((reply.link, reply.exchange), (reply.asks.clone(), reply.snapshot));
        }
    }

    pub(super) fn answer_ended(&mut self, link: LinkId, exchange: ExchangeId) {
        self.answers.remove(&(link, exchange));
    }

    /// Nobody listens on this link any more.
    pub(super) fn answers_end(&mut self, link: LinkId) {
        self.answers.retain(|(of, _), _| *of != link);
    }
}
