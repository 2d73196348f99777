//! Register and Request: what a client wants, and what it gets at once.

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::digest::Digest;
use schemas::guid::{ClientGuid, MessageId};
use topology::interest::Interest;
use topology::subscriptions::{self, Mode, Subscription, Subscriptions};

use super::Engine;
use super::exchange::{Speaker, refusal};
use super::plan::{Plan, ask};
use super::session::put_registration;
use crate::ids::Time;
use crate::intake::{Hop, Meaning, Refusal};
use crate::records::{Seen, seen_key};
use crate::store::{Table, Write};

/// Pairs of components that one End may compare: an inventory has few of a name.
const END_COMPARISONS_MAX: usize = 1_000_000;

/// The Registers and Requests of one Payload, and who says them.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) speaker: &'a Speaker,
    pub(super) hop: &'a Hop,
    pub(super) digest: Digest,
    /// The part as it came.
    pub(super) bytes: &'a Bytes,
    pub(super) meanings: &'a [&'a Meaning],
    /// Carried out before.
    pub(super) repeated: bool,
}

impl Engine {
    /// Carries them out in order, as one change.
    pub(super) fn register(&mut self, now: Time, said: &Said<'_>, plan: &mut Plan) -> Result<(), (usize, Refusal)> {
        let Said { speaker, meanings, repeated, .. } = *said;
        if self.closes_a_cycle(speaker.link) {
            let why = "this registration would close a cycle: this node stands below its client";
            return Err((0, refusal(ReplyStatus::Failed, why)));
        }
        if speaker.is_below() {
            return self.register_below(now, said, plan);
        }
        if let Some(index) = meanings.iter().position(|meaning| !self.policy.full_of_everything && mirrors(meaning)) {
            let why = "not in full without Message_Data: ask for the list (Catalog), or for what it names";
            return Err((index, refusal(ReplyStatus::MinorNotSupported, why)));
        }
        let client = speaker.client;
        let planned = plan.lists.iter().rev().find(|(planned, _)| *planned == client).map(|(_, list)| list.clone());
        let before = planned.unwrap_or_else(|| self.subscriptions_of(client).to_vec());
        let (after, ended) = self.folded(client, before.clone(), meanings)?;
        plan.asks.extend(meanings.iter().flat_map(|meaning| asks(meaning)));
        // A repeated message was carried out before: it is answered again, and changes nothing.
        let known = self.registered.contains_key(&client);
        let registers = meanings.iter().any(|meaning| changes(meaning));
        if repeated || !registers {
            return Ok(());
        }
        if client == speaker.link_client {
            self.assign_by_policy(client, plan);
        }
        if after == before && known {
            // Nothing to store; but a late copy must not undo what comes after it.
            if let Some(id) = &said.hop.message_id {
                self.remember(now, (speaker.author(), id.value), said.digest);
            }
            return Ok(());
        }
        plan.writes.push(put_registration(client, now, subscriptions::encode(&after)));
        plan.lists.push((client, after));
        plan.contact = Some((client, now));
        plan.ended.extend(ended.then_some(client));
        self.is_here(client, plan);
        self.note_seen(now, said, plan);
        self.plan_report(client, now, said, plan);
        Ok(())
    }

    /// A client's list after these meanings, and whether something in it ended.
    pub(super) fn folded(
        &self,
        client: ClientGuid,
        before: Vec<Subscription>,
        meanings: &[&Meaning],
    ) -> Result<(Vec<Subscription>, bool), (usize, Refusal)> {
        if let Some(index) = meanings.iter().position(|meaning| interests(meaning) > self.config.subscriptions_max) {
            // Before any of them is looked at: the work for one message is bounded.
            return Err((index, self.too_many()));
        }
        let mut scratch = Subscriptions::default();
        scratch.replace(client, before);
        let mut ended = false;
        for (index, meaning) in meanings.iter().enumerate() {
            if let Meaning::End(ends) = meaning
                && scratch.comparisons(client, ends) > END_COMPARISONS_MAX
            {
                let why = "this End compares too many components of one name; end whole assets instead";
                return Err((index, refusal(ReplyStatus::Failed, why)));
            }
            ended |= self.change(&mut scratch, client, meaning);
            if scratch.of(client).len() > self.config.subscriptions_max {
                return Err((index, self.too_many()));
            }
        }
        Ok((scratch.of(client).to_vec(), ended))
    }

    /// A message that changes something is known again, also after a restart.
    pub(super) fn note_seen(&mut self, now: Time, said: &Said<'_>, plan: &mut Plan) {
        let Some(id) = &said.hop.message_id else { return };
        let key = (said.speaker.author(), id.value);
        plan.writes.push(seen_row(key, said.digest, now));
        plan.seen.push((key, said.digest));
        self.remember(now, key, said.digest);
    }

    fn too_many(&self) -> Refusal {
        let why = format!("more than {} subscriptions of one client", self.config.subscriptions_max);
        refusal(ReplyStatus::Failed, &why)
    }

    /// Applies one meaning to a client's list; answers whether something ended.
    fn change(&self, scratch: &mut Subscriptions, client: ClientGuid, meaning: &Meaning) -> bool {
        match meaning {
            Meaning::End(interests) => scratch.end_many(client, interests) > 0,
            Meaning::Subscribe { mode, origin, standing: true, interests, .. } => {
                let since = self.assigned.0;
                let subscription = |interest: &Interest| Subscription {
                    interest: interest.clone(),
                    mode: *mode,
                    origin: *origin,
                    since,
                };
                scratch.subscribe_joined(client, interests.iter().map(subscription));
                false
            }
            Meaning::Subscribe { .. } | Meaning::Presence | Meaning::Deliver => false,
        }
    }

    /// A client's subscriptions, what is on its way to the store included.
    pub(super) fn subscriptions_of(&self, client: ClientGuid) -> &[Subscription] {
        match self.staged.get(&client) {
            Some((_, staged)) => staged,
            None => self.subscriptions.of(client),
        }
    }

    pub(super) fn remember(&mut self, now: Time, key: (ClientGuid, MessageId), digest: Digest) {
        if self.seen.insert(key, digest).is_none() {
            self.seen_order.push_back((now, key));
        }
        while self.seen_order.len() > self.config.seen_max {
            self.forget_oldest();
        }
    }

    pub(super) fn expire_seen(&mut self, now: Time) {
        while let Some((at, _)) = self.seen_order.front()
            && now.since(*at) > self.config.seen_for
        {
            self.forget_oldest();
        }
        let delete = |(origin, id)| Write::Delete { table: Table::Seen, key: seen_key(origin, id) };
        let writes: Vec<Write> = std::mem::take(&mut self.forgotten).into_iter().map(delete).collect();
        if !writes.is_empty() {
            self.store(Plan { writes, ..Plan::default() });
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, key)) = self.seen_order.pop_front() {
            self.seen.remove(&key);
            self.forgotten.push(key);
        }
    }
}

pub(super) fn seen_row((author, id): (ClientGuid, MessageId), digest: Digest, at: Time) -> Write {
    let seen = Seen { digest: digest.0, at: at.0 };
    Write::Put { table: Table::Seen, key: seen_key(author, id), value: seen.encode() }
}

fn interests(meaning: &Meaning) -> usize {
    match meaning {
        Meaning::Subscribe { interests, .. } | Meaning::End(interests) => interests.len(),
        Meaning::Presence | Meaning::Deliver => 0,
    }
}

/// Whether everything is asked for in full.
fn mirrors(meaning: &Meaning) -> bool {
    match meaning {
        Meaning::Subscribe { mode: Mode::Full, interests, .. } => interests.iter().any(Interest::is_everything),
        Meaning::Subscribe { .. } | Meaning::End(_) | Meaning::Presence | Meaning::Deliver => false,
    }
}

fn asks(meaning: &Meaning) -> Vec<Subscription> {
    match meaning {
        Meaning::Subscribe { mode, now: true, interests, .. } => {
            interests.iter().map(|interest| ask(interest.clone(), *mode)).collect()
        }
        Meaning::Subscribe { .. } | Meaning::End(_) | Meaning::Presence | Meaning::Deliver => Vec::new(),
    }
}

pub(super) fn changes(meaning: &Meaning) -> bool {
    match meaning {
        Meaning::Subscribe { standing, .. } => *standing,
        Meaning::End(_) | Meaning::Presence => true,
        Meaning::Deliver => false,
    }
}
