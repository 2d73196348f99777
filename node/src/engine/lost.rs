//! Items whose bytes are lost: who may miss one is told so, and whoever brought it is asked again.
//!
//! A disk can change what was written. The store finds it, when it is opened or before the bytes go out; here such an item
//! counts as if it had been trimmed, wherever it stands in the log.

use std::collections::BTreeSet;

use schemas::guid::{ClientGuid, ServerGuid};
use topology::want::{Granularity, Want};

use super::Engine;
use super::plan::Plan;
use super::words::words_of;
use crate::catalogue::{Rights, slot_of};
use crate::ids::{LinkId, Position, Time};
use crate::records::{ItemRecord, Origin};
use crate::shard;
use crate::store::Lost;
use crate::uplink::{self, Ask, Kind, Realm, Uplink};

/// What is missing after a restart; of some nothing is known.
pub(super) type Missing = Option<Box<ItemRecord>>;

impl Engine {
    /// An item that is on offer is lost.
    pub(super) fn lose(&mut self, now: Time, position: Position) {
        let Some(gone) = self.catalogue.lose(position) else { return };
        self.totals.damaged += 1;
        self.forget_latest();
        self.tell_shards(&shard::Event::Outdated(position));
        self.cut_lists(&gone);
        let writes = self.lacks_trimmed(&gone);
        if !writes.is_empty() && self.broken.is_none() {
            self.store(Plan { writes, ..Plan::default() });
        }
        let mut lacking = self.answers_lacking(&gone);
        for (_, item) in &gone.items {
            if let (Some(id), Origin::Client(client)) = (item.record.message_id, item.record.origin) {
                // Who brings it again is not told that it is here.
                self.seen.remove(&(client, id));
            }
            if item.current {
                lacking.extend(self.links_before(position, &item.record));
                self.fetch_lost(now, &item.record);
            }
        }
        lacking.into_iter().for_each(|link| self.is_behind(link, position));
    }

    /// Links of those whom an item concerns and who have not answered for it, as far as is known. Errs towards yes.
    fn links_before(&self, position: Position, record: &ItemRecord) -> BTreeSet<LinkId> {
        let has_it = |client: &ClientGuid| {
            self.cursors.get(client).is_some_and(|cursor| cursor.position(record.class) >= position)
        };
        let concerned = self.subscriptions.clients_for(&record.reach, position.0);
        let lacking = concerned.into_iter().filter(|(client, _)| !has_it(client));
        lacking.filter_map(|(client, _)| self.links.get(&client).copied()).collect()
    }

    /// What the store has found lost when it was opened takes its place in the order of the log, as far as it is known.
    pub(super) fn recover_lost(&mut self, lost: &Lost, missing: &mut Vec<Missing>) {
        let position = Position(lost.position);
        // Below the floor: trimmed, but its segment is still there.
        if position <= self.catalogue.head() {
            return;
        }
        self.assigned = position;
        self.totals.damaged += 1;
        let Some(record) = lost.record.as_ref().and_then(|record| ItemRecord::decode(record).ok()) else {
            self.catalogue.lose_unknown(position);
            return missing.push(None);
        };
        let trust = self.policy.trust.clone();
        self.catalogue.insert(position, record.clone(), &Rights { trust: &trust, at: self.now });
        self.catalogue.lose(position);
        missing.push(Some(Box::new(record)));
    }

    /// After a restart: what is missing is fetched again, unless it was, or something newer has come.
    pub(super) fn fetch_missing(&mut self, now: Time, missing: Vec<Missing>) {
        for record in missing {
            match record {
                Some(record) if !self.is_here_again(&record) => self.fetch_lost(now, &record),
                Some(_) => {}
                None => {
                    let servers: Vec<ServerGuid> = self.uplinks.keys().copied().collect();
                    servers.into_iter().for_each(|server| self.fetch_all(now, server));
                }
            }
        }
    }

    fn is_here_again(&self, record: &ItemRecord) -> bool {
        let latest = slot_of(record).and_then(|slot| self.latest.get(&slot));
        self.catalogue.position_of(record.digest).is_some()
            || latest.is_some_and(|latest| latest.revision >= record.subject.revision)
    }

    /// Asks the upstream that sent an item for it; what is to be fetched is durable.
    fn fetch_lost(&mut self, now: Time, record: &ItemRecord) {
        let Origin::Upstream(server) = record.origin else { return };
        let Some(uplink) = self.uplinks.get_mut(&server) else { return };
        let mut writes = Vec::new();
        if record.is_entry {
            uplink.cut_list();
        }
        uplink.relist(&mut writes);
        if !record.is_entry {
            let wants = naming(uplink, record);
            if wants.is_empty() && !uplink.uses_words() {
                return self.fetch_all(now, server);
            }
            wants.iter().for_each(|want| uplink.fetch(Kind::Refetch, want, &mut writes));
        }
        if !writes.is_empty() && self.broken.is_none() {
            self.store(Plan { writes, ..Plan::default() });
        }
        self.turn(now, server);
    }

    /// Asks an upstream for everything that it was asked for.
    fn fetch_all(&mut self, now: Time, server: ServerGuid) {
        let head = self.catalogue.head();
        self.uplink(now, server, uplink::Event::Behind(head));
    }
}

/// How an item is asked for again: as narrowly as may be said to its upstream. Where its words are used, what is not asked
/// for by one of them nobody waits for.
fn naming(uplink: &Uplink, record: &ItemRecord) -> BTreeSet<Want> {
    if uplink.uses_words() {
        let asked =
            |(word, _): (Want, _)| uplink.told_as(&word).iter().filter(|want| uplink.has(want)).cloned().collect();
        return words_of(uplink, &record.subject).into_iter().flat_map(|word| -> Vec<Want> { asked(word) }).collect();
    }
    if uplink.asks() == Ask::Everything && uplink.config().realm == Realm::Foreign {
        return BTreeSet::from([Want::Everything]);
    }
    let named = |affected| Want::of_affected(affected, Granularity::Element);
    record.subject.affected.iter().filter_map(named).collect()
}
