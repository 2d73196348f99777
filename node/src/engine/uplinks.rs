//! The uplinks of a local server: what is wanted below goes up, what comes from above goes the way of every item.

use std::collections::BTreeSet;

use schemas::core::ReplyStatus;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::mark::Mark;

use super::exchange::refusal;
use super::plan::{Plan, Upward};
use super::{Action, Engine};
use crate::answer::{Answer, AnswerBody, Leaf, reply_id};
use crate::client::Via;
use crate::ids::{ExchangeId, Time};
use crate::intake::{Body, Hop, Intake, IntakePart, Orders, Refusal};
use crate::records::Origin;
use crate::uplink::{self, Effects, Uplink};

impl Engine {
    /// Becomes a client of an upstream, from the next link on.
    pub(super) fn attach(&mut self, now: Time, config: uplink::Config) {
        let server = config.server;
        let entropy = self.next_entropy();
        let mut uplink = Uplink::new(config, entropy);
        self.learn_words(&mut uplink);
        self.answers_no_more(server);
        if let Some(leaving) = self.uplinks.insert(server, uplink) {
            self.forget_above(now, &leaving);
        }
        self.tell(now, server);
        self.report_everything(server);
        self.turn(now, server);
    }

    /// An upstream that was not left in time is attached again: what it is believed to have does not count, nor does
    /// anybody wait for it.
    fn forget_above(&mut self, now: Time, leaving: &Uplink) {
        if self.broken.is_none() {
            self.store(Plan { writes: leaving.delete_all(), ..Plan::default() });
        }
        self.unpark(now, leaving.waiting().collect());
    }

    /// Ends everything at an upstream, then leaves it.
    pub(super) fn detach(&mut self, now: Time, server: ServerGuid) {
        let all = self.all_gone(server);
        if let Some(uplink) = self.uplinks.get_mut(&server) {
            uplink.leave(all);
            self.turn(now, server);
        }
    }

    pub(super) fn uplink(&mut self, now: Time, server: ServerGuid, event: uplink::Event) {
        let before = self.path();
        if let uplink::Event::Connected { path, .. } | uplink::Event::Path(path) = &event
            && path.contains(&self.config.mark)
        {
            let why = "the upstream stands below this node: together they would close a cycle".to_owned();
            return self.actions.push_back(Action::Uplink(server, uplink::Action::Hangup(why)));
        }
        if matches!(event, uplink::Event::Disconnected) {
            self.answers_no_more(server);
        }
        let Some(uplink) = self.uplinks.get_mut(&server) else { return };
        let mut effects = Effects::default();
        let delivery = uplink.handle(now, event, &mut effects);
        self.carry_out_effects(now, server, effects);
        if let Some((via, intake)) = delivery {
            self.take_from(now, server, via, &intake);
        }
        self.turn(now, server);
        let after = self.path();
        if after != before {
            self.actions.push_back(Action::Path(after));
        }
    }

    /// What was pushed on a link that is gone is not answered on the next: there it was not pushed yet, or not in this bundle.
    fn answers_no_more(&mut self, server: ServerGuid) {
        let upwards = self.pending.iter_mut().filter_map(|(_, plan)| plan.upward.as_mut());
        upwards.filter(|upward| upward.server == server).for_each(|upward| upward.answer = None);
    }

    /// Takes what was held back, and lets the uplink do the next thing.
    pub(super) fn turn(&mut self, now: Time, server: ServerGuid) {
        while let Some((via, intake)) = self.uplinks.get_mut(&server).and_then(Uplink::release) {
            self.take_from(now, server, via, &intake);
        }
        self.word_reports(now, server);
        let mut effects = Effects::default();
        if let Some(uplink) = self.uplinks.get_mut(&server) {
            uplink.step(now, &mut effects);
        }
        self.carry_out_effects(now, server, effects);
        self.note_told(server);
    }

    fn carry_out_effects(&mut self, now: Time, server: ServerGuid, effects: Effects) {
        let Effects { actions, writes, opens, ready, tell_again, report_again, renamed, assigned } = effects;
        let assigned = assigned.map(|assigned| (server, assigned));
        let opens = opens.map(|exchange| (server, exchange));
        if self.broken.is_none() && !(writes.is_empty() && opens.is_none()) {
            self.store(Plan { writes, assigned, opens, ..Plan::default() });
        }
        renamed.into_iter().for_each(|renamed| self.renamed_above(renamed));
        for action in actions {
            if matches!(action, uplink::Action::Left) {
                self.uplinks.remove(&server);
            }
            self.actions.push_back(Action::Uplink(server, action));
        }
        if tell_again {
            self.ask_otherwise(now, server);
        }
        if report_again {
            self.report_everything(server);
        }
        self.unpark(now, ready);
    }

    /// That an upstream may be told something is durable: it is told.
    pub(super) fn open_above(&mut self, server: ServerGuid, exchange: ExchangeId) {
        let action = self.uplinks.get_mut(&server).and_then(|uplink| uplink.may_open(exchange));
        self.actions.extend(action.map(|action| Action::Uplink(server, action)));
    }

    /// Carries out a Delivery of an upstream; it is answered when it is stored.
    fn take_from(&mut self, now: Time, server: ServerGuid, via: Via, intake: &Intake) {
        if let Some(why) = &self.broken {
            // An answer would take the item out of the upstream's window, and it would be lost.
            let why = format!("nothing can be stored: {why}");
            return self.actions.push_back(Action::Uplink(server, uplink::Action::Hangup(why)));
        }
        let mut plan = Plan::default();
        let answer = self.part_from_above(now, server, true, &intake.part, &mut plan);
        let Some(uplink) = self.uplinks.get_mut(&server) else { return };
        let mut upward = Upward { server, answer: None, resume: None };
        if let Via::Lane(push) = via {
            let last = intake.items().last().copied().flatten().map(|(_, item)| item.digest);
            upward.resume = uplink.advance(push, last);
            plan.writes.extend(upward.resume.map(|resume| uplink.put_resume(resume)));
            upward.answer = Some((push, intake.spelling, answer));
        }
        plan.upward = Some(upward);
        if plan.writes.is_empty() && self.pending.is_empty() {
            return self.apply(self.next_ticket, plan);
        }
        self.store(plan);
    }

    fn part_from_above(
        &mut self,
        now: Time,
        server: ServerGuid,
        outer: bool,
        part: &IntakePart,
        plan: &mut Plan,
    ) -> Answer {
        let leaves = |why: Refusal| AnswerBody::Leaves(refused(part, &why));
        let body = match (self.fits_from_above(server, outer, &part.hop), &part.body) {
            (Err(why), _) => leaves(why),
            (Ok(()), Body::Bad(why)) => AnswerBody::Leaves(vec![Leaf::failed(reply_id(&part.hop), why.clone())]),
            (Ok(()), Body::Parts(parts)) => AnswerBody::Parts(
                parts.iter().map(|part| self.part_from_above(now, server, false, part, plan)).collect(),
            ),
            (Ok(()), Body::Orders(orders)) => match self.take_from_above(now, server, &part.hop, orders, plan) {
                Ok(()) => {
                    AnswerBody::Leaves(orders.orders.iter().map(|order| Leaf::new(&part.hop, order, Ok(()))).collect())
                }
                Err(why) => leaves(why),
            },
        };
        Answer { server: part.hop.server, client: part.hop.client, body }
    }

    pub(super) fn fits_from_above(&self, server: ServerGuid, outer: bool, hop: &Hop) -> Result<(), Refusal> {
        let is_own = |named| self.uplinks.get(&server).is_some_and(|uplink| uplink.is_called(named));
        let failed = |why: &str| Err(refusal(ReplyStatus::Failed, why));
        match (hop.server, hop.client) {
            _ if !hop.is_x1206 => failed("the PID names another protocol"),
            (Some(named), _) if outer && named != server => failed("Server_GUID names another server"),
            (_, Some(named)) if outer && !is_own(named) => failed("Client_GUID names another client"),
            _ => Ok(()),
        }
    }

    fn take_from_above(
        &mut self,
        now: Time,
        server: ServerGuid,
        hop: &Hop,
        orders: &Orders,
        plan: &mut Plan,
    ) -> Result<(), Refusal> {
        match &orders.item {
            Some(item) => {
                let before = plan.items.len();
                self.deliver(now, Origin::Upstream(server), hop, item, false, plan)?;
                if plan.items.len() == before {
                    self.announced_too(now, server, item);
                }
                Ok(())
            }
            None => Err(refusal(ReplyStatus::MajorNotSupported, "this client takes Deliver only in a push")),
        }
    }

    /// Stored: the upstream may forget it.
    pub(super) fn answer_above(&mut self, upward: Upward) {
        let Upward { server, answer, resume } = upward;
        if let (Some(uplink), Some(resume)) = (self.uplinks.get_mut(&server), resume) {
            uplink.resumed(resume);
        }
        if let Some((push, spelling, answer)) = answer {
            let action = uplink::Action::Answer { push, spelling, answer };
            self.actions.push_back(Action::Uplink(server, action));
        }
    }

    /// This node's mark, then those of everything above it, the nearer ones first.
    pub fn path(&self) -> Vec<Mark> {
        let above: Vec<&[Mark]> = self.uplinks.values().map(Uplink::path).collect();
        let tiers = above.iter().map(|path| path.len()).max().unwrap_or(0);
        let in_order = (0..tiers).flat_map(|tier| above.iter().filter_map(move |path| path.get(tier)).copied());
        let mut seen = BTreeSet::new();
        let all = std::iter::once(self.config.mark).chain(in_order);
        all.filter(|mark| seen.insert(*mark)).take(PATH_MAX).collect()
    }

    /// For the Hello to an upstream: what is durable here.
    pub fn resume_above(&self, server: ServerGuid) -> Option<crate::ids::Resume> {
        self.uplinks.get(&server)?.resume()
    }

    /// Who this node is there.
    pub fn client_above(&self, server: ServerGuid) -> Option<ClientGuid> {
        Some(self.uplinks.get(&server)?.client())
    }

    /// The uplinks, for the operator.
    pub fn uplinks(&self) -> impl Iterator<Item = &Uplink> {
        self.uplinks.values()
    }

    /// Whether this node has upstreams.
    pub(super) fn is_local(&self) -> bool {
        !self.uplinks.is_empty()
    }

    pub(super) fn uplink_timeouts(&mut self, now: Time) {
        let due = |uplink: &&Uplink| uplink.poll_timeout().is_some_and(|at| at <= now);
        let servers: Vec<ServerGuid> = self.uplinks.values().filter(due).map(|uplink| uplink.config().server).collect();
        servers.into_iter().for_each(|server| self.turn(now, server));
    }
}

/// Marks in one path: of a longer one the farthest are cut. Cycles of more nodes than this are not seen.
const PATH_MAX: usize = 64;

/// Each message keeps its own refusal if it has one.
pub(super) fn refused(part: &IntakePart, refusal: &Refusal) -> Vec<Leaf> {
    match &part.body {
        Body::Orders(orders) => {
            let leaf = |order: &crate::intake::Order| {
                let own = order.meaning.as_ref().err().unwrap_or(refusal);
                Leaf::new(&part.hop, order, Err(own.clone()))
            };
            orders.orders.iter().map(leaf).collect()
        }
        Body::Parts(_) | Body::Bad(_) => vec![Leaf::failed(reply_id(&part.hop), refusal.why.clone())],
    }
}
