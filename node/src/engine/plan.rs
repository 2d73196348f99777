//! What one document, or one Hello, will have changed once the store has it.

use std::sync::Arc;

use schemas::core::ReplyStatus;
use schemas::digest::Digest;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::names::Spelling;
use topology::subscriptions::{Mode, Subscription};

use super::below::Known;
use super::reports::Report;
use super::session::Joining;
use super::{Action, CloseReason, Engine, ReplyTo, shard};
use crate::answer::Answer;
use crate::catalogue::Rights;
use crate::ids::{ExchangeId, LinkId, Position, Push, Resume, Ticket, Time};
use crate::records::ItemRecord;
use crate::store::Write;
use crate::uplink::{self, Assigned, Gone};

/// Decisions on their way to the store.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) writes: Vec<Write>,
    pub(super) items: Vec<NewItem>,
    /// Whole subscription lists of clients, and the time of contact.
    pub(super) lists: Vec<(ClientGuid, Vec<Subscription>)>,
    /// Clients whose subscriptions shrank: their shard must look again at what it has queued.
    pub(super) ended: Vec<ClientGuid>,
    pub(super) contact: Option<(ClientGuid, Time)>,
    /// Clients whose lease is over.
    pub(super) expired: Vec<ClientGuid>,
    pub(super) seen: Vec<((ClientGuid, MessageId), Digest)>,
    /// What was asked for now.
    pub(super) asks: Vec<Subscription>,
    pub(super) reply: Option<Box<ReplyTo>>,
    pub(super) joining: Option<Joining>,
    /// What is known then of clients below; nothing: they are gone.
    pub(super) below: Vec<(ClientGuid, Option<Known>)>,
    /// What upstreams of the same realm are told then.
    pub(super) reports: Vec<Report>,
    /// Who is known neither here nor below then, if nothing comes between.
    pub(super) gone: Vec<Gone>,
    /// Clients that are called otherwise then.
    pub(super) renamed: Vec<ClientGuid>,
    /// What an upstream calls this node then.
    pub(super) assigned: Option<(ServerGuid, Assigned)>,
    /// The exchange with an upstream that goes out then.
    pub(super) opens: Option<(ServerGuid, ExchangeId)>,
    /// What an upstream is told then.
    pub(super) upward: Option<Upward>,
}

/// The answer to a Delivery of an upstream.
#[derive(Debug)]
pub(super) struct Upward {
    pub(super) server: ServerGuid,
    /// None for what came because it was asked for.
    pub(super) answer: Option<(Push, Spelling, Answer)>,
    /// Where this node stands there then.
    pub(super) resume: Option<Resume>,
}

/// An item that has a place in the log, but is not stored yet.
#[derive(Debug)]
pub(super) struct NewItem {
    pub(super) position: Position,
    pub(super) record: ItemRecord,
    pub(super) bytes: bytes::Bytes,
}

impl Engine {
    /// The store has it: now it is true.
    pub(super) fn apply(&mut self, ticket: Ticket, plan: Plan) {
        for (client, list) in plan.lists {
            if self.staged.get(&client).is_some_and(|(newest, _)| *newest == ticket) {
                self.staged.remove(&client);
            }
            self.replace_list(client, list);
        }
        if let Some((client, time)) = plan.contact {
            self.registered.insert(client, time);
        }
        for client in plan.ended {
            if let Some(link) = self.links.get(&client).copied() {
                self.tell_shard(link, shard::Event::Recheck(link));
            }
        }
        for item in plan.items {
            self.append(item);
        }
        for client in plan.expired {
            if self.is_changing(client) {
                // It came back while the sweep was on its way: what follows writes its row again.
                continue;
            }
            self.registered.remove(&client);
            self.cursors.remove(&client);
            self.replace_list(client, Vec::new());
        }
        for (client, known) in plan.below {
            self.below.commit(ticket, client, known);
        }
        for report in &plan.reports {
            self.report(self.now, report);
        }
        if let Some((server, assigned)) = plan.assigned
            && let Some(uplink) = self.uplinks.get_mut(&server)
        {
            uplink.set_assigned(assigned);
        }
        if let Some((server, exchange)) = plan.opens {
            self.open_above(server, exchange);
        }
        plan.gone.iter().for_each(|gone| self.report_gone(self.now, gone));
        plan.renamed.into_iter().for_each(|client| self.report_state(self.now, client));
        if let Some(joining) = plan.joining {
            self.join(joining);
        }
        if let Some(reply) = plan.reply {
            self.answer(reply);
        }
        if let Some(upward) = plan.upward {
            self.answer_above(upward);
        }
        self.trim();
    }

    fn replace_list(&mut self, client: ClientGuid, list: Vec<Subscription>) {
        let mut touched = self.version_keys(client);
        self.subscriptions.replace(client, list);
        touched.extend(self.version_keys(client));
        self.tell_versions(self.now, &touched);
    }

    /// The store has it not: every good word is taken back.
    pub(super) fn fail(&mut self, plan: Plan) {
        for (key, _) in &plan.seen {
            self.seen.remove(key);
        }
        for (client, _) in &plan.lists {
            self.staged.remove(client);
        }
        self.below.unstage(&plan.below);
        if let Some(joining) = plan.joining {
            self.actions.push_back(Action::Close(joining.link, CloseReason::StoreFailed));
        }
        if let Some(upward) = plan.upward {
            // Not answered: an answer would take it out of the upstream's window.
            let why = format!("not stored: {}", self.broken.as_deref().unwrap_or("unknown"));
            self.actions.push_back(Action::Uplink(upward.server, uplink::Action::Hangup(why)));
        }
        if let Some(mut reply) = plan.reply {
            let why = format!("not stored: {}; nothing was changed", self.broken.as_deref().unwrap_or("unknown"));
            self.answer_ended(reply.link, reply.exchange);
            reply.asks = Arc::default();
            for leaf in reply.answer.leaves_mut() {
                if leaf.status == ReplyStatus::Succeeded {
                    leaf.status = ReplyStatus::Failed;
                    leaf.why = Some(why.clone());
                }
            }
            self.answer(reply);
        }
    }

    /// Counts and sends a reply.
    pub(super) fn answer(&mut self, reply: Box<ReplyTo>) {
        for leaf in reply.answer.leaves() {
            let status = status_label(&leaf.status);
            *self.totals.answered.entry((leaf.major, leaf.minor, status)).or_default() += 1;
        }
        self.actions.push_back(Action::Reply(reply));
    }

    fn append(&mut self, item: NewItem) {
        let NewItem { position, record, bytes } = item;
        self.appending.remove(&record.digest);
        self.totals.accepted += 1;
        let (reach, class, spelling) = (record.reach.clone(), record.class, record.spelling);
        let accepted = record.accepted;
        let trust = Arc::clone(&self.policy.trust);
        // What may go on was decided under another policy, perhaps.
        let inserted = self.catalogue.insert(position, record, &Rights { trust: &trust, at: self.now });
        for position in inserted.off_offer {
            self.tell_shards(&shard::Event::Outdated(position));
        }
        if !inserted.current {
            // A list says what there is to ask for, whoever answers for it.
            if self.catalogue.get(position).is_some_and(|item| item.record.is_entry && item.barred.is_some()) {
                self.announced(self.now, position);
            }
            return;
        }
        let mut by_shard: Vec<Vec<(LinkId, crate::catalogue::Form)>> = vec![Vec::new(); self.config.shards];
        let Some(item) = self.catalogue.get(position) else { return };
        // Which form a client gets depends on the mode alone: looked up once, and not for each of thousands.
        let (full, catalog) = (self.catalogue.form(item, Mode::Full), self.catalogue.form(item, Mode::Catalog));
        for (client, mode) in self.subscriptions.clients_for(&reach, position.0) {
            let Some(link) = self.links.get(&client).copied() else { continue };
            let form = match mode {
                Mode::Full => full,
                Mode::Catalog => catalog,
            };
            if let Some(form) = form {
                by_shard[self.shard_of(link)].push((link, form));
            }
        }
        for (shard, mut links) in by_shard.into_iter().enumerate() {
            // A client with subscriptions of both modes is listed once for each: the whole item serves both.
            links.sort_unstable();
            links.dedup_by_key(|(link, _)| *link);
            if !links.is_empty() {
                let (replaces, bytes) = (inserted.replaced, bytes.clone());
                let item = shard::Item { position, replaces, accepted, class, spelling, bytes };
                self.actions.push_back(Action::Shard(shard, shard::Event::Item { item, links }));
            }
        }
        self.announced(self.now, position);
    }
}

/// A subscription that exists only to be looked up once.
pub(super) fn ask(interest: topology::interest::Interest, mode: Mode) -> Subscription {
    Subscription { interest, mode, origin: topology::subscriptions::Origin::Request, since: 0 }
}

fn status_label(status: &ReplyStatus) -> &'static str {
    match status {
        ReplyStatus::Succeeded => "succeeded",
        ReplyStatus::Failed => "failed",
        ReplyStatus::MajorNotSupported => "major_not_supported",
        ReplyStatus::MinorNotSupported => "minor_not_supported",
        ReplyStatus::HandlerNotAvailable => "handler_not_available",
        ReplyStatus::Other(_) => "other",
    }
}
