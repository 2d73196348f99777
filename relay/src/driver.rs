//! The shell around the pure machines: one task that owns the engine and its shard.
//!
//! Mutate once, drain, wait. Links may wait for this task; it never waits for a link, and for the store only by taking
//! no new input while the store's queue is full. So nothing waits in a circle.

mod input;
mod snapshot;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dialler::clock;
use node::engine::{self, Action, CloseReason, Engine, ReplyTo, Welcome};
use node::ids::{ExchangeId, LinkId, Ticket, Time};
use node::shard::{self, Shard};
use node::store::Write;
use node::uplink;
use schemas::guid::ServerGuid;
use schemas::mark::Mark;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::control::{self, Listed};
use crate::freshness::Freshness;
use crate::links::bundles::Recent;
use crate::links::lane::Pushed;
use crate::reach::Reach;
use crate::store::Reader;
use crate::store::thread::{Queue, Report, SubmitError};
use crate::uplinks;

pub(crate) use input::{Closing, Handle, Input, Newcomer};
pub use snapshot::{Shared, Snapshot};

/// What is taken from links before the store and the clock are looked at again.
const INPUTS: usize = 64;
const SNAPSHOT_EVERY: Duration = Duration::from_millis(250);

/// See the module.
pub(crate) struct Driver {
    pub(crate) engine: Engine,
    pub(crate) shard: Shard,
    pub(crate) reader: Reader,
    pub(crate) queue: Queue,
    pub(crate) snapshot: Shared,
    uplinks: HashMap<ServerGuid, uplinks::Handle>,
    reach: Reach,
    stale_after: Duration,
    links: HashMap<LinkId, Handle>,
    newcomers: HashMap<LinkId, (oneshot::Sender<Welcome>, Handle)>,
    exchanges: HashMap<(LinkId, ExchangeId), oneshot::Sender<Box<ReplyTo>>>,
    /// What the store's queue had no room for, in order.
    unsent: VecDeque<(Ticket, Vec<Write>)>,
    refreshed: Instant,
    recent: Recent,
    /// The engine's, for answers that are being written.
    epoch: Arc<AtomicU64>,
    freshness: Freshness,
}

impl Driver {
    pub(crate) fn new(
        engine: Engine,
        shard: Shard,
        recent: Recent,
        (reader, queue): (Reader, Queue),
        snapshot: Shared,
        uplinks: HashMap<ServerGuid, uplinks::Handle>,
        stale_after: Duration,
    ) -> Self {
        let mut driver = Self {
            engine,
            shard,
            reader,
            queue,
            snapshot,
            uplinks,
            reach: Reach::default(),
            stale_after,
            links: HashMap::new(),
            newcomers: HashMap::new(),
            exchanges: HashMap::new(),
            unsent: VecDeque::new(),
            refreshed: Instant::now(),
            recent,
            epoch: Arc::default(),
            freshness: Freshness::default(),
        };
        driver.refresh();
        driver
    }

    /// Counts changes of what may go on.
    pub(crate) fn epoch(&self) -> Arc<AtomicU64> {
        self.epoch.clone()
    }

    /// Runs until `stop`, which comes when every link is closed.
    pub(crate) async fn run(
        mut self,
        mut inputs: mpsc::Receiver<Input>,
        mut reports: mpsc::Receiver<Report>,
        stop: CancellationToken,
    ) {
        let mut taken = Vec::with_capacity(INPUTS);
        loop {
            let deadline = self.pass_time();
            tokio::select! {
                biased;
                Some(report) = reports.recv() => self.stored(report),
                () = stop.cancelled(), if self.unsent.is_empty() => break,
                () = tokio::time::sleep_until(deadline) => {}
                // Many at once: a thousand links have something to say after each bundle.
                _ = inputs.recv_many(&mut taken, INPUTS), if self.unsent.is_empty() => {}
            }
            // What the disk has made durable at once is one moment.
            while let Ok(report) = reports.try_recv() {
                self.drain();
                self.stored(report);
            }
            self.drain();
            for input in taken.drain(..) {
                self.input(input);
                self.drain();
            }
            if self.refreshed.elapsed() >= SNAPSHOT_EVERY {
                self.refresh();
            }
        }
        self.refresh();
    }

    fn input(&mut self, input: Input) {
        let now = clock::now();
        match input {
            Input::Hello(Newcomer { link, client, resume, mark, welcome, handle }) => {
                self.newcomers.insert(link, (welcome, handle));
                self.engine.handle(now, engine::Event::Hello { link, client, resume, mark });
            }
            Input::LinkDown(link) => {
                self.newcomers.remove(&link);
                self.links.remove(&link);
                self.exchanges.retain(|(of, _), _| *of != link);
                self.engine.handle(now, engine::Event::LinkDown(link));
            }
            Input::Document { link, exchange, intake, answer } => {
                if self.links.contains_key(&link) {
                    self.exchanges.insert((link, exchange), answer);
                    self.engine.handle(now, engine::Event::Document { link, exchange, intake });
                }
            }
            Input::Stretch { asks, after, snapshot, answer } => {
                // Whoever asked may be gone with his link.
                drop(answer.send(self.engine.answer_stretch(&asks, after, snapshot)));
            }
            Input::AnswerEnded(link, exchange) => {
                self.engine.handle(now, engine::Event::AnswerEnded { link, exchange });
            }
            Input::Policy(policy) => self.engine.handle(now, engine::Event::Policy(policy)),
            Input::UplinkUp(server, life, ends, event) => {
                if let Some(uplink) = self.uplinks.get_mut(&server).filter(|uplink| uplink.is_of(life)) {
                    uplink.up(ends);
                    self.engine.handle(now, engine::Event::Uplink(server, event));
                }
            }
            Input::Uplink(server, life, event) => {
                let Some(uplink) = self.uplinks.get_mut(&server).filter(|uplink| uplink.is_of(life)) else { return };
                if matches!(event, uplink::Event::Disconnected) {
                    uplink.down();
                }
                self.engine.handle(now, engine::Event::Uplink(server, event));
            }
            Input::Attach(config, handle) => {
                self.uplinks.insert(config.server, handle);
                self.engine.handle(now, engine::Event::Attach(*config));
            }
            Input::Detach(server) => self.engine.handle(now, engine::Event::Detach(server)),
            Input::Inventory { after, answer } => {
                let listed = self.engine.inventory(after, control::LISTED).into_iter().map(Listed::from).collect();
                // He may have gone.
                drop(answer.send(listed));
            }
            Input::Reach(input) => {
                let event = self.reach.event(input);
                self.engine.handle(now, engine::Event::Reach(event));
            }
            Input::Damaged(positions) => self.engine.handle(now, engine::Event::Lost(positions)),
            Input::DigestRefused => self.recent.forget(),
            Input::Ready(link, class) => self.shard.handle(now, shard::Event::Ready(link, class)),
            Input::Answered { link, class, position, outcomes } => {
                self.shard.handle(now, shard::Event::Answered { link, class, position, outcomes });
            }
        }
    }

    fn stored(&mut self, report: Report) {
        let ticket = Ticket(report.ticket);
        let event = match report.outcome {
            Ok(()) => engine::Event::Stored(ticket),
            Err(error) => engine::Event::StoreFailed(ticket, error.to_string()),
        };
        self.engine.handle(clock::now(), event);
    }

    /// What is due now is done now: the runtime's timer is a millisecond late, and waits while there is other work. Answers
    /// when to look at the clock again.
    fn pass_time(&mut self) -> Instant {
        let now = clock::now();
        let mut next = self.next();
        if next <= now {
            self.engine.handle_timeout(now);
            self.shard.handle_timeout(now);
            self.drain();
            next = self.next();
        }
        (Instant::now() + next.since(now)).min(self.refreshed + SNAPSHOT_EVERY)
    }

    /// The machines' next deadline.
    fn next(&self) -> Time {
        let (engine, _) = self.engine.poll_timeout();
        self.shard.poll_timeout().map_or(engine, |(shard, _)| shard.min(engine))
    }

    /// Carries out everything that the machines want done.
    fn drain(&mut self) {
        loop {
            if let Some(action) = self.engine.poll_action() {
                self.engine_action(action);
            } else if let Some(action) = self.shard.poll_action() {
                self.shard_action(action);
            } else {
                break;
            }
        }
        for (server, uplink) in &self.uplinks {
            uplink.resume(self.engine.resume_above(*server));
        }
        self.epoch.store(self.engine.epoch(), Ordering::Release);
        self.submit();
    }

    fn engine_action(&mut self, action: Action) {
        match action {
            Action::Store(ticket, writes) => self.unsent.push_back((ticket, writes)),
            Action::Welcome(link, welcome) => self.welcome(link, welcome),
            Action::Reply(reply) => {
                if let Some(answer) = self.exchanges.remove(&(reply.link, reply.exchange)) {
                    // Whoever waited may be gone with his link.
                    drop(answer.send(reply));
                }
            }
            Action::Behind(link, position) => {
                if let Some(handle) = self.links.get(&link) {
                    handle.notes.send_modify(|notes| notes.say_behind(position.0));
                }
            }
            Action::Close(link, CloseReason::Replaced) => self.close(link, Closing::Replaced),
            // Nobody but a newcomer is refused so: his Hello stays without an answer.
            Action::Close(link, CloseReason::StoreFailed) => drop(self.newcomers.remove(&link)),
            Action::Shard(_, event) => self.shard.handle(clock::now(), event),
            Action::Uplink(server, action) => {
                let left = matches!(action, uplink::Action::Left);
                if let Some(uplink) = self.uplinks.get_mut(&server) {
                    uplink.name(self.engine.client_above(server));
                    uplink.carry_out(action);
                }
                if left {
                    self.uplinks.remove(&server);
                }
            }
            Action::Reach(action) => {
                if let Some(event) = self.reach.carry_out(action, &self.links) {
                    self.engine.handle(clock::now(), engine::Event::Reach(event));
                }
            }
            Action::Path(path) => {
                let path: Arc<[Mark]> = path.into();
                for handle in self.links.values() {
                    handle.notes.send_modify(|notes| notes.path = Some(Arc::clone(&path)));
                }
            }
        }
    }

    fn shard_action(&mut self, action: shard::Action) {
        let now = clock::now();
        match action {
            shard::Action::Need { link, class, after } => {
                self.engine.handle(now, engine::Event::Need { link, class, after });
            }
            shard::Action::Lags { link, class, after } => {
                self.engine.handle(now, engine::Event::Lags { link, class, after });
            }
            shard::Action::Read { link, class, positions } => {
                let items = positions.into_iter().map(|position| (position, self.reader.read(position.0))).collect();
                self.shard.handle(now, shard::Event::Data { link, class, items });
            }
            shard::Action::Send { link, push, spelling, positions, parts } => {
                if let Some(handle) = self.links.get(&link) {
                    let bundle = self.recent.bundle(push.class, spelling, positions, parts);
                    if handle.lanes.put(push.class, Pushed { bundle, settled: push.settled }) {
                        self.shard.handle(now, shard::Event::Ready(link, push.class));
                    }
                }
            }
            shard::Action::Cursors(reports) => self.engine.handle(now, engine::Event::Cursors(reports)),
            shard::Action::Breach(link, why) => self.close(link, Closing::Breach(why)),
        }
    }

    fn welcome(&mut self, link: LinkId, welcome: Welcome) {
        let Some((answer, handle)) = self.newcomers.remove(&link) else { return };
        self.links.insert(link, handle);
        // If nobody waits any more, LinkDown is on its way.
        let _ = answer.send(welcome);
    }

    fn close(&mut self, link: LinkId, closing: Closing) {
        if let Some(handle) = self.links.remove(&link) {
            drop(handle.close.send(closing));
        }
    }

    fn submit(&mut self) {
        while let Some((ticket, writes)) = self.unsent.pop_front() {
            match self.queue.try_submit(ticket.0, writes) {
                Ok(()) => {}
                Err(SubmitError::Full(writes)) => {
                    self.unsent.push_front((ticket, writes));
                    break;
                }
                Err(SubmitError::Ended) => {
                    self.unsent.clear();
                    let why = "the store has stopped".to_owned();
                    self.engine.handle(clock::now(), engine::Event::StoreLost(why));
                    return self.drain();
                }
            }
        }
    }

    fn refresh(&mut self) {
        self.refreshed = Instant::now();
        let mut shared = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let staleness = self.freshness.look(self.refreshed, self.engine.uplinks());
        let of = Snapshot::of(shared.number + 1, &self.engine, &self.shard);
        *shared = Snapshot { staleness, stale: self.engine.stale(clock::now(), self.stale_after), ..of };
    }
}
