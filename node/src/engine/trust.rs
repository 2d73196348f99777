//! Whose items may go on (8.3): refused when they come, withdrawn and restored with the trust, by what records say alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::digest::Digest;
use schemas::guid::ServerGuid;
use topology::key::MatchKey;
use topology::subscriptions::Subscription;

use super::Engine;
use super::deliver::Latest;
use super::exchange::refusal;
use super::plan::Plan;
use crate::catalogue::{Rights, Trimmed, Word, slot_of};
use crate::ids::{Position, Time};
use crate::intake::{Item, Refusal};
use crate::policy::Policy;
use crate::records::{Damaged, ItemRecord, Origin};
use crate::shard;
use crate::store::{Table, Write};
use crate::trust::{Trust, Verdict};
use crate::uplink;

/// The row with the fingerprint of the trust that was in force last, and where the log stood when items were restored.
const TRUST: &[u8] = b"trust";
/// Rows that name an upstream of whose items some were refused.
const REFUSED: &[u8] = b"refused:";

/// What came back on offer. Who passed it by while it was not must ask again.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// For each key where the log stood when an item came back last.
    keys: BTreeMap<MatchKey, Position>,
    /// The same for all keys together, as far as it happened before the last restart.
    before: Position,
    /// Of the trust that was in force then.
    fingerprint: Option<Digest>,
}

/// Keys of restored items that are told apart.
const RESTORED_KEYS_MAX: usize = 1_000_000;

impl Restored {
    /// Whether something that these may have asked for came back when or after the log stood here. Errs towards yes.
    pub(super) fn is_news(&self, subscriptions: &[Subscription], position: Position) -> bool {
        let later = |restored: &Position| *restored > Position(0) && *restored >= position;
        let keys = || subscriptions.iter().flat_map(|subscription| subscription.interest.keys());
        later(&self.before) || (!self.keys.is_empty() && keys().any(|key| self.keys.get(&key).is_some_and(later)))
    }

    fn add(&mut self, record: &ItemRecord, head: Position) {
        self.keys.extend(record.reach.keys().into_iter().map(|key| (key, head)));
        if self.keys.len() > RESTORED_KEYS_MAX {
            self.before = head;
            self.keys.clear();
        }
    }
}

impl Engine {
    pub(super) fn set_policy(&mut self, now: Time, policy: Policy) {
        let is_other = policy.trust != self.policy.trust;
        self.policy = Policy { epoch: self.policy.epoch + 1, ..policy };
        if is_other {
            self.reconsider(now);
            self.ask_for_refused(now);
        }
    }

    /// Refuses an item that may not go on, counts it, and remembers that an upstream has more than is here (R-8.3-6).
    pub(super) fn admit_item(&mut self, origin: Origin, item: &Item, plan: &mut Plan) -> Result<(), Refusal> {
        let verdict = self.policy.trust.judge(item.signing.as_deref(), self.now);
        self.refuse_unless_passes(origin, &verdict, plan)
    }

    /// Refuses one that may go on by itself, and not in the place of what is there.
    pub(super) fn refuse_successor(&mut self, origin: Origin, item: &Item, plan: &mut Plan) -> Result<(), Refusal> {
        let latest = self.latest_of(item).and_then(|latest| latest.signing.as_deref());
        let verdict = self.policy.trust.judge_successor(item.signing.as_deref(), latest, self.now);
        self.refuse_unless_passes(origin, &verdict, plan)
    }

    fn refuse_unless_passes(&mut self, origin: Origin, verdict: &Verdict, plan: &mut Plan) -> Result<(), Refusal> {
        let Verdict::Refused(reason) = verdict else { return Ok(()) };
        *self.totals.refused.entry(reason.label()).or_default() += 1;
        plan.writes.extend(self.lacks_of(origin));
        Err(refusal(ReplyStatus::Failed, &reason.to_string()))
    }

    /// An upstream has something that is not here because of who has signed it.
    fn lacks_of(&mut self, origin: Origin) -> Option<Write> {
        let Origin::Upstream(server) = origin else { return None };
        let row = || Write::Put { table: Table::Meta, key: refused_key(server), value: Bytes::new() };
        self.refused_above.insert(server).then(row)
    }

    /// What may not go on was trimmed: when it may, it has to be fetched again.
    pub(super) fn lacks_trimmed(&mut self, trimmed: &Trimmed) -> Vec<Write> {
        let barred = trimmed.items.iter().filter(|(_, item)| item.barred.is_some());
        barred.filter_map(|(_, item)| self.lacks_of(item.record.origin)).collect()
    }

    /// Decides of every item again. What may not go on any more leaves every queue; who may have missed what came back is
    /// told to ask again, now or when it comes.
    fn reconsider(&mut self, now: Time) {
        let trust = self.policy.trust.clone();
        let changes = self.catalogue.reconsider(&Rights { trust: &trust, at: now });
        self.relearn_latest();
        if !changes.lost.is_empty() {
            self.policy.epoch += 1;
            let links: Vec<_> = self.sessions.keys().copied().collect();
            links.into_iter().for_each(|link| self.tell_shard(link, shard::Event::Recheck(link)));
        }
        self.restore(&changes.gained);
        self.remember_trust(!changes.gained.is_empty());
    }

    fn restore(&mut self, gained: &[Position]) {
        let head = self.catalogue.head();
        let mut links = BTreeSet::new();
        for position in gained {
            let Some(item) = self.catalogue.get(*position) else { continue };
            self.restored.add(&item.record, head);
            let clients = self.subscriptions.clients_for(&item.record.reach, u64::MAX);
            links.extend(clients.into_iter().filter_map(|(client, _)| self.links.get(&client).copied()));
        }
        links.into_iter().for_each(|link| self.is_behind(link, head));
    }

    /// The newest revisions are those that may go on.
    pub(super) fn relearn_latest(&mut self) {
        self.latest.clear();
        let trust = self.policy.trust.clone();
        let rights = Rights { trust: &trust, at: self.now };
        let kept = self.catalogue.iter().filter(|(_, item)| item.barred.is_none()).map(|(_, item)| &item.record);
        let pending = self.pending.iter().flat_map(|(_, plan)| plan.items.iter().map(|item| &item.record));
        let pending = pending.filter(|record| rights.passes(record.signing.as_deref()));
        for record in kept.chain(pending) {
            let Some(slot) = slot_of(record) else { continue };
            if self.latest.get(&slot).is_none_or(|latest| rights.contest(Word::of(record), latest.word()).is_won()) {
                self.latest.insert(slot, Latest::of(record));
            }
        }
    }

    /// What upstreams have and was refused here may be welcome now: they are asked again for everything. That is durable
    /// before the reason for it is forgotten.
    fn ask_for_refused(&mut self, now: Time) {
        let servers = std::mem::take(&mut self.refused_above);
        let forget = |server: &ServerGuid| Write::Delete { table: Table::Meta, key: refused_key(*server) };
        let writes: Vec<Write> = servers.iter().map(forget).collect();
        let head = self.catalogue.head();
        servers.into_iter().for_each(|server| self.uplink(now, server, uplink::Event::Behind(head)));
        if !writes.is_empty() && self.broken.is_none() {
            self.store(Plan { writes, ..Plan::default() });
        }
    }

    /// Certificates end without anybody saying so.
    pub(super) fn expire_certificates(&mut self, now: Time) {
        let trust = Arc::clone(&self.policy.trust);
        if trust.depends_on_time() {
            self.reconsider(now);
        }
    }

    fn remember_trust(&mut self, has_restored: bool) {
        let fingerprint = self.policy.trust.fingerprint();
        if (self.restored.fingerprint == Some(fingerprint) && !has_restored) || self.broken.is_some() {
            return;
        }
        self.restored.fingerprint = Some(fingerprint);
        let restored = if has_restored { self.catalogue.head() } else { self.restored.newest() };
        let value = Bytes::from([&fingerprint.0[..], &restored.0.to_be_bytes()].concat());
        let writes = vec![Write::Put { table: Table::Meta, key: Bytes::from_static(TRUST), value }];
        self.store(Plan { writes, ..Plan::default() });
    }

    pub(super) fn recover_trust(&mut self, key: &[u8], value: &[u8]) -> Result<(), Damaged> {
        let damaged = |what| Damaged { what, reason: "of another length".into() };
        if key == TRUST {
            let (fingerprint, restored) = value.split_first_chunk::<32>().ok_or_else(|| damaged("trust"))?;
            self.restored.fingerprint = Some(Digest(*fingerprint));
            self.restored.before = Position(u64::from_be_bytes(restored.try_into().map_err(|_| damaged("trust"))?));
        } else if let Some(server) = key.strip_prefix(REFUSED) {
            let server = server.try_into().map_err(|_| damaged("refused"))?;
            self.refused_above.insert(ServerGuid(u128::from_be_bytes(server)));
        }
        Ok(())
    }

    /// At the start: under another trust than before, anything may have come back.
    pub(super) fn check_trust(&mut self, now: Time) {
        let fingerprint = self.policy.trust.fingerprint();
        match self.restored.fingerprint {
            Some(before) if before == fingerprint => {}
            // Nothing was ever barred without a trust file.
            None if *self.policy.trust == Trust::default() => {}
            None => self.remember_trust(false),
            Some(_) => {
                self.restored.before = self.catalogue.head();
                self.remember_trust(true);
                self.ask_for_refused(now);
            }
        }
    }
}

impl Restored {
    fn newest(&self) -> Position {
        self.keys.values().copied().max().unwrap_or_default().max(self.before)
    }
}

fn refused_key(server: ServerGuid) -> Bytes {
    Bytes::from([REFUSED, &server.0.to_be_bytes()].concat())
}
