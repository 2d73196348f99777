//! The engine: sessions, message sets and the log of one node. It decides who gets what; shards carry it out.
//!
//! Whatever changes durable state becomes a `Store` action, and takes effect (in memory, towards subscribers, in the
//! reply) when its `Stored` comes back. `Stored` events come in the order of the actions, so effects apply in the order
//! of decisions, live and after a restart alike.

mod behind;
mod below;
mod config;
mod deliver;
mod exchange;
mod inventory;
mod lost;
mod names;
mod parked;
mod plan;
pub mod reach;
mod recover;
mod register;
mod reports;
mod session;
#[cfg(test)]
mod tests;
mod totals;
mod trust;
mod uplinks;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use schemas::class::{Class, PerClass};
use schemas::digest::Digest;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::mark::Mark;
use schemas::names::Spelling;
use topology::subscriptions::{Subscription, Subscriptions};

use crate::answer::Answer;
use crate::catalogue::{Catalogue, Stretch};
use crate::ids::{ExchangeId, LinkId, Position, Resume, Ticket, Time};
use crate::intake::Intake;
use crate::policy::Policy;
use crate::records::Cursor;
use crate::shard;
use crate::store::Write;
use crate::uplink::{self, ParkedId, Uplink};

use self::behind::Answers;
use self::below::Below;
use self::deliver::Latest;
use self::names::Names;
use self::parked::Parked;
use self::plan::Plan;
use self::session::Session;
use self::trust::Restored;

pub use self::below::Route;
pub use self::config::{Config, ENVELOPE_BYTES_MAX};
pub use self::inventory::Listed;
pub use self::totals::Totals;

/// What happens to an engine.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client connected; its identity was proved by its certificate.
    Hello {
        /// The new link.
        link: LinkId,
        /// Whose it is.
        client: ClientGuid,
        /// Where it stands, if it ever held anything from here.
        resume: Option<Resume>,
        /// Its mark, if it is a local server.
        mark: Option<Mark>,
    },
    /// A link is gone.
    LinkDown(LinkId),
    /// A client opened an exchange with this document.
    Document {
        /// On this link.
        link: LinkId,
        /// To be answered here.
        exchange: ExchangeId,
        /// What it says.
        intake: Box<Intake>,
    },
    /// The items of an answer are all out; what is trimmed from now on, it does not lack.
    AnswerEnded {
        /// On this link.
        link: LinkId,
        /// To this exchange.
        exchange: ExchangeId,
    },
    /// The oldest unanswered `Store` is durable.
    Stored(Ticket),
    /// It is not, and nothing of it may be believed.
    StoreFailed(Ticket, String),
    /// The store is gone: nothing that it was asked will be answered.
    StoreLost(String),
    /// A link of a shard is not caught up.
    Need {
        /// Which.
        link: LinkId,
        /// Its lane of this class.
        class: Class,
        /// That has everything up to here.
        after: Position,
    },
    /// A link of a shard has not looked at everything that was trimmed.
    Lags {
        /// Which.
        link: LinkId,
        /// Its lane of this class.
        class: Class,
        /// That has everything up to here.
        after: Position,
    },
    /// The bytes of these items in the log are not what was stored, and cannot be read any more.
    Lost(Vec<Position>),
    /// Links of a shard advanced.
    Cursors(Vec<CursorReport>),
    /// The operator changed who may do what.
    Policy(Policy),
    /// On the link to an upstream.
    Uplink(ServerGuid, uplink::Event),
    /// The operator puts this node, with all that is below it, under an upstream.
    Attach(uplink::Config),
    /// And takes it away from there.
    Detach(ServerGuid),
    /// Somebody above asks a client below, or an answer has come.
    Reach(reach::Event),
}

/// How far one client has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorReport {
    /// Who.
    pub client: ClientGuid,
    /// On which of its links; a report of an older one is refused.
    pub generation: u64,
    /// Everything of each class up to here is answered.
    pub positions: PerClass<Position>,
}

/// What a shell is to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Make these durable, all or none, and say so; strictly in order.
    Store(Ticket, Vec<Write>),
    /// Answer a Hello.
    Welcome(LinkId, Welcome),
    /// Answer an exchange: the reply, then the items that are due, then the end.
    Reply(Box<ReplyTo>),
    /// Tell a client that it may have missed items up to here.
    Behind(LinkId, Position),
    /// Close a link.
    Close(LinkId, CloseReason),
    /// Tell a shard.
    Shard(usize, shard::Event),
    /// On the link to an upstream.
    Uplink(ServerGuid, uplink::Action),
    /// Tell every link what stands above it now.
    Path(Vec<Mark>),
    /// For somebody above who asks a client below.
    Reach(reach::Action),
}

/// The content of a Hello's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Counts this client's links.
    pub generation: u64,
    /// Whether the client must ask again for everything.
    pub behind: bool,
    /// Where the lanes begin: what comes lies after this.
    pub start: Resume,
    /// This node's mark, then those of what stands above it.
    pub path: Vec<Mark>,
    /// Whether everything may be asked for in full (R-8.2.2-6).
    pub full_of_everything: bool,
}

/// The answer to an exchange.
#[derive(Clone, Debug)]
pub struct ReplyTo {
    /// On this link.
    pub link: LinkId,
    /// To this exchange.
    pub exchange: ExchangeId,
    /// In the spelling of who asked.
    pub spelling: Spelling,
    /// What is said.
    pub answer: Answer,
    /// The log as the answer saw it: what is pushed later lies after this.
    pub snapshot: Position,
    /// What was asked for: to be fetched in stretches by [`Engine::answer_stretch`], up to the snapshot. If it is
    /// anything, [`Event::AnswerEnded`] follows.
    pub asks: Arc<[Subscription]>,
}

/// Why the engine closes a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The same GUID has connected again: the newer link replaces the older.
    Replaced,
    /// The store failed, so that the link's generation could not be kept.
    StoreFailed,
}

/// See the module.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    policy: Policy,
    incarnation: u128,
    subscriptions: Subscriptions,
    /// Last contact of each registered client.
    registered: BTreeMap<ClientGuid, Time>,
    cursors: BTreeMap<ClientGuid, Cursor>,
    catalogue: Catalogue,
    /// What came back on offer, and to whom it may be news.
    restored: Restored,
    /// Upstreams of whose items some were refused.
    refused_above: BTreeSet<ServerGuid>,
    /// Newest accepted revision of each identity, those on their way to the store included.
    latest: BTreeMap<(topology::subject::ItemIdentity, bool), Latest>,
    /// Digests on their way to the store.
    appending: BTreeMap<Digest, Position>,
    seen: BTreeMap<(ClientGuid, MessageId), Digest>,
    seen_order: VecDeque<(Time, (ClientGuid, MessageId))>,
    /// Forgotten, with rows that are deleted at the next sweep.
    forgotten: Vec<(ClientGuid, MessageId)>,
    /// Subscription lists on their way to the store: the newest of each client.
    staged: BTreeMap<ClientGuid, (Ticket, Vec<Subscription>)>,
    sessions: BTreeMap<LinkId, Session>,
    links: BTreeMap<ClientGuid, LinkId>,
    uplinks: BTreeMap<ServerGuid, Uplink>,
    /// Whether somebody waits for the list, as the uplinks were told.
    lists: bool,
    /// Answers whose items are not all out.
    answers: Answers,
    /// Clients below local servers.
    below: Below,
    names: Names,
    /// Documents whose answer waits for upstreams.
    parked: BTreeMap<ParkedId, Parked>,
    /// What they hold.
    parked_bytes: usize,
    deadlines: BTreeSet<(Time, ParkedId)>,
    reach: reach::Reach,
    next_parked: ParkedId,
    now: Time,
    assigned: Position,
    next_ticket: Ticket,
    pending: VecDeque<(Ticket, Plan)>,
    /// A store that failed once is not trusted again: nothing more is accepted until a restart.
    broken: Option<String>,
    next_sweep: Time,
    next_refresh: Time,
    actions: VecDeque<Action>,
    totals: Totals,
}

const SWEEP: Duration = Duration::from_secs(3600);

impl Engine {
    /// Takes one event. Drain [`Self::poll_action`] before the next.
    pub fn handle(&mut self, now: Time, event: Event) {
        self.now = now;
        match event {
            Event::Hello { link, client, resume, mark } => self.hello(now, link, client, resume, mark),
            Event::LinkDown(link) => self.link_down(now, link),
            Event::Document { link, exchange, intake } => self.document(now, link, exchange, intake),
            Event::AnswerEnded { link, exchange } => self.answer_ended(link, exchange),
            Event::Stored(ticket) => self.stored(ticket),
            Event::StoreFailed(ticket, why) => self.store_failed(ticket, why),
            Event::StoreLost(why) => self.store_lost(&why),
            Event::Need { link, class, after } => self.need(link, class, after),
            Event::Lags { link, class, after } => self.lags(link, class, after),
            Event::Lost(positions) => positions.into_iter().for_each(|position| self.lose(now, position)),
            Event::Cursors(reports) => self.cursors(&reports),
            Event::Policy(policy) => self.set_policy(now, policy),
            Event::Uplink(server, event) => self.uplink(now, server, event),
            Event::Attach(config) => self.attach(now, config),
            Event::Detach(server) => self.detach(now, server),
            Event::Reach(event) => self.reach(event),
        }
        self.tell_changes(now);
    }

    /// Time has passed: to be called at [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Time) {
        self.now = now;
        self.unpark_overdue(now);
        self.uplink_timeouts(now);
        self.trim();
        if now >= self.next_sweep {
            self.next_sweep = now.after(SWEEP);
            self.expire_leases(now);
            self.expire_below(now);
            self.refresh_reports(now);
            self.expire_seen(now);
            self.expire_certificates(now);
        }
        self.tell_changes(now);
    }

    /// The next thing to do, until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_timeout`], and what for.
    pub fn poll_timeout(&self) -> (Time, &'static str) {
        let sweep = (self.next_sweep, "expire leases and remembered exchanges");
        let parked = self.deadlines.first().map(|(until, _)| (*until, "answer a Request that waited for upstreams"));
        let uplinks = self.uplinks.values().filter_map(Uplink::poll_timeout).min();
        let trim = self.trims_at().map(|at| (at, "trim what has passed through"));
        let uplinks = uplinks.map(|at| (at, "ask an upstream for what was gathered"));
        [Some(sweep), parked, uplinks, trim].into_iter().flatten().min().unwrap_or(sweep)
    }

    fn next_entropy(&mut self) -> u64 {
        self.config.entropy = self.config.entropy.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.config.entropy
    }

    /// Counts for the operator.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The next stretch of an answer: what was asked for, after `after`, as the snapshot saw it. Complete when it says so.
    pub fn answer_stretch(&self, asks: &[Subscription], after: Position, snapshot: Position) -> Stretch {
        let mut stretch = self.catalogue.due(asks, None, after, self.config.stretch_items);
        if stretch.through >= snapshot {
            stretch.due.retain(|due| due.position <= snapshot);
            stretch.complete = true;
        }
        stretch
    }

    /// Counts changes of what may go on: what was looked up under an older one is to be looked up again.
    pub fn epoch(&self) -> u64 {
        self.policy.epoch
    }

    /// Why nothing more is accepted, if so.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// The life of this log.
    pub fn incarnation(&self) -> u128 {
        self.incarnation
    }

    /// What is on offer.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Who wants what.
    pub fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// Registered clients.
    pub fn registered(&self) -> usize {
        self.registered.len()
    }

    /// The shard that owns a link.
    pub fn shard_of(&self, link: LinkId) -> usize {
        usize::try_from(link.0 % self.config.shards as u64).unwrap_or(0)
    }

    fn tell_shard(&mut self, link: LinkId, event: shard::Event) {
        let shard = self.shard_of(link);
        self.actions.push_back(Action::Shard(shard, event));
    }

    fn tell_shards(&mut self, event: &shard::Event) {
        self.actions.extend((0..self.config.shards).map(|shard| Action::Shard(shard, event.clone())));
    }

    /// Sends a plan to the store. Its effects apply when it comes back.
    fn store(&mut self, mut plan: Plan) {
        self.next_ticket = Ticket(self.next_ticket.0 + 1);
        let ticket = self.next_ticket;
        for (client, list) in &plan.lists {
            self.staged.insert(*client, (ticket, list.clone()));
        }
        self.below.stage(ticket, &plan.below);
        self.actions.push_back(Action::Store(ticket, std::mem::take(&mut plan.writes)));
        self.pending.push_back((ticket, plan));
    }

    fn stored(&mut self, ticket: Ticket) {
        let Some((expected, plan)) = self.pending.pop_front() else { return };
        debug_assert_eq!(expected, ticket, "tickets come back in order");
        if self.broken.is_some() {
            // Durable, but behind something that is not: told as failed, and harmless when it is sent again.
            return self.fail(plan);
        }
        self.apply(ticket, plan);
    }

    fn store_failed(&mut self, ticket: Ticket, why: String) {
        let Some((expected, plan)) = self.pending.pop_front() else { return };
        debug_assert_eq!(expected, ticket, "tickets come back in order");
        self.broken.get_or_insert(why);
        self.fail(plan);
    }

    fn store_lost(&mut self, why: &str) {
        self.broken.get_or_insert_with(|| why.to_owned());
        while let Some((_, plan)) = self.pending.pop_front() {
            self.fail(plan);
        }
    }
}
