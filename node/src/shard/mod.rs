//! A shard: cursors, windows and bundles of the links it owns.
//!
//! The engine says which items concern which links, in log order. A link that keeps up gets them as they come; one that
//! does not is dropped from the stream and read through the postings later (`Need`, `Due`), so a slow client costs its
//! place in the log and nothing else.

mod deadlines;
mod fanout;
mod lane;
mod link;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use schemas::class::{Class, PerClass};
use schemas::guid::ClientGuid;
use schemas::names::Spelling;

use crate::bundle;
use crate::catalogue::{Form, Stretch};
use crate::engine::CursorReport;
use crate::ids::{LinkId, Position, Push, Time};

use self::deadlines::Deadlines;
pub use self::fanout::{BOUNDS_MS, Fanout};
use self::lane::{Lane, Moment};
use self::link::Link;

/// Bounds on what one lane of a link may have queued and unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Bounds on a bundle.
    pub bundle: bundle::Limits,
    /// Items sent and not answered.
    pub window_items_max: usize,
    /// Their bytes; one larger item may stand alone.
    pub window_bytes_max: u64,
    /// Items queued for a lane that keeps up, behind the window.
    pub queue_items_max: usize,
    /// Their bytes.
    pub queue_bytes_max: u64,
    /// How long cursors are gathered before they are stored.
    pub cursor_wait_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bundle: bundle::Limits::default(),
            window_items_max: 256,
            window_bytes_max: 4 << 20,
            queue_items_max: 256,
            queue_bytes_max: 1 << 20,
            cursor_wait_max: Duration::from_secs(1),
        }
    }
}

/// An item as it comes from the engine.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its place in the log.
    pub position: Position,
    /// What it supersedes: not to be sent any more.
    pub replaces: Option<Position>,
    /// When it was accepted here.
    pub accepted: Time,
    /// The lane that it goes on.
    pub class: Class,
    /// Parts of one spelling share envelopes (N7).
    pub spelling: Spelling,
    /// Its bytes, shared by all links.
    pub bytes: Bytes,
}

/// What happens to a shard.
#[derive(Clone, Debug)]
pub enum Event {
    /// A link that is now this shard's.
    LinkUp {
        /// Which.
        link: LinkId,
        /// Whose.
        client: ClientGuid,
        /// Counts the client's links.
        generation: u64,
        /// What is sent of each class lies after this.
        start: PerClass<Position>,
    },
    /// A link is gone.
    LinkDown(LinkId),
    /// A new item, and whom it concerns.
    Item {
        /// The item.
        item: Item,
        /// The links, with the form each gets.
        links: Vec<(LinkId, Form)>,
    },
    /// The answer to `Need`.
    Due {
        /// For this link.
        link: LinkId,
        /// And this lane of it.
        class: Class,
        /// What it is to get next.
        stretch: Stretch,
    },
    /// The answer to `Read`; `None` where the item was trimmed meanwhile.
    Data {
        /// For this link.
        link: LinkId,
        /// And this lane of it.
        class: Class,
        /// The items' bytes.
        items: Vec<(Position, Option<Bytes>)>,
    },
    /// A subscription of this link's client ended: what is queued may not concern it any more.
    Recheck(LinkId),
    /// This item is outdated, and what takes its place is still to come: it is not sent any more.
    Outdated(Position),
    /// Everything up to here was trimmed.
    Trimmed(Position),
    /// The transport took the last bundle of this class, and takes another.
    Ready(LinkId, Class),
    /// The client answered the bundle that ends at `position`.
    Answered {
        /// On this link.
        link: LinkId,
        /// On the lane of this class.
        class: Class,
        /// The position of the bundle's last item.
        position: Position,
        /// For each item, in order, whether it was taken.
        outcomes: Vec<bool>,
    },
}

/// What a shell is to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Ask the engine what this link is to get next.
    Need {
        /// Which link.
        link: LinkId,
        /// Its lane of this class.
        class: Class,
        /// That has everything up to here.
        after: Position,
    },
    /// Ask the engine whether this link is behind: what was trimmed, it had not looked at.
    Lags {
        /// Which link.
        link: LinkId,
        /// Its lane of this class.
        class: Class,
        /// That has everything up to here.
        after: Position,
    },
    /// Read items from the log.
    Read {
        /// For this link.
        link: LinkId,
        /// And this lane of it.
        class: Class,
        /// Which.
        positions: Vec<Position>,
    },
    /// Send a bundle, and say `Ready` when the transport has taken it.
    Send {
        /// On this link.
        link: LinkId,
        /// On which lane, up to where, and what is beside it.
        push: Push,
        /// Of all of them.
        spelling: Spelling,
        /// Where the items stand in the log.
        positions: Vec<Position>,
        /// Their bytes, in log order.
        parts: Vec<Bytes>,
    },
    /// Store how far clients have answered.
    Cursors(Vec<CursorReport>),
    /// The client broke the protocol: close the link and say why.
    Breach(LinkId, String),
}

/// Counts for the operator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bundles sent.
    pub bundles: u64,
    /// Items sent.
    pub items: u64,
    /// Their bytes.
    pub item_bytes: u64,
    /// Items answered Succeeded.
    pub taken: u64,
    /// Items answered otherwise.
    pub refused: u64,
    /// Items that wait to be sent now.
    pub queued: u64,
    /// Items sent and not answered now.
    pub unanswered: u64,
    /// Links that do not keep up now.
    pub lagging: u64,
    /// How long items took that were pushed as they came.
    pub fanout: Fanout,
}

/// See the module.
#[derive(Debug)]
pub struct Shard {
    config: Config,
    links: BTreeMap<LinkId, Link>,
    deadlines: Deadlines,
    /// Links that have something to report.
    dirty: Vec<LinkId>,
    reports: Vec<CursorReport>,
    report_at: Option<Time>,
    actions: VecDeque<Action>,
    totals: Totals,
}

impl Shard {
    /// A shard without links.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            links: BTreeMap::new(),
            deadlines: Deadlines::new(),
            dirty: Vec::new(),
            reports: Vec::new(),
            report_at: None,
            actions: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    /// Takes one event. Drain [`Self::poll_action`] before the next.
    pub fn handle(&mut self, now: Time, event: Event) {
        match event {
            Event::LinkUp { link, client, generation, start } => {
                self.links.insert(link, Link::new(client, generation, start));
                self.pump_all(now, link);
            }
            Event::LinkDown(link) => self.link_down(now, link),
            Event::Item { item, links } => self.item(now, &item, &links),
            Event::Due { link, class, stretch } => self.with(now, link, class, |lane| lane.due(stretch)),
            Event::Data { link, class, items } => self.with(now, link, class, |lane| lane.data(items)),
            Event::Recheck(link) => {
                if let Some(own) = self.links.get_mut(&link) {
                    own.lanes.iter_mut().for_each(|(_, lane)| lane.recheck());
                    self.pump_all(now, link);
                }
            }
            Event::Outdated(position) => self.links.values_mut().for_each(|link| link.unqueue(position)),
            Event::Trimmed(floor) => self.trimmed(floor),
            Event::Ready(link, class) => self.with(now, link, class, |lane| lane.ready = true),
            Event::Answered { link, class, position, outcomes } => {
                self.answered(now, link, class, position, &outcomes);
            }
        }
    }

    /// Time has passed: to be called at [`Self::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some((link, class)) = self.deadlines.pop(now) {
            self.pump_at(now, Moment::IsOver, link, class);
        }
        if self.report_at.is_some_and(|at| at <= now) {
            self.report();
        }
    }

    /// The next thing to do, until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`Self::handle_timeout`], and what for.
    pub fn poll_timeout(&self) -> Option<(Time, &'static str)> {
        let flush = self.deadlines.first().map(|at| (at, "send a bundle that waited for company"));
        let report = self.report_at.map(|at| (at, "store cursors"));
        flush.into_iter().chain(report).min()
    }

    /// Counts for the operator.
    pub fn totals(&self) -> Totals {
        let lanes = || self.links.values().flat_map(|link| link.lanes.iter().map(|(_, lane)| lane));
        let unanswered = lanes().map(|lane| lane.unanswered() as u64).sum();
        let queued = lanes().map(|lane| lane.queued() as u64).sum();
        let lagging = self.links.values().filter(|link| !link.keeps_up()).count() as u64;
        Totals { queued, unanswered, lagging, ..self.totals }
    }

    fn with(&mut self, now: Time, link: LinkId, class: Class, change: impl FnOnce(&mut Lane)) {
        if let Some(own) = self.links.get_mut(&link) {
            change(&mut own.lanes[class]);
            self.pump(now, link, class);
        }
    }

    fn trimmed(&mut self, floor: Position) {
        for (link, own) in &self.links {
            let lagging = own.lanes.iter().filter_map(|(class, lane)| Some((class, lane.lags(floor)?)));
            self.actions.extend(lagging.map(|(class, after)| Action::Lags { link: *link, class, after }));
        }
    }

    fn item(&mut self, now: Time, item: &Item, links: &[(LinkId, Form)]) {
        // Derived once for all links of this shard that want it.
        let derived = links.iter().any(|(_, form)| *form == Form::Derived);
        let entry = derived.then(|| crate::entry::derive(&item.bytes)).flatten();
        for (link, form) in links {
            let bytes = match form {
                Form::Whole => Some(&item.bytes),
                Form::Derived => entry.as_ref(),
            };
            let Some(bytes) = bytes.cloned() else { continue };
            if let Some(own) = self.links.get_mut(link) {
                own.item(now, item, *form, bytes, &self.config);
                if !own.lanes[item.class].gathers(&self.config) {
                    self.pump(now, *link, item.class);
                }
            }
        }
    }

    fn answered(&mut self, now: Time, link: LinkId, class: Class, position: Position, outcomes: &[bool]) {
        let Some(own) = self.links.get_mut(&link) else { return };
        match own.lanes[class].answered(position, outcomes.len()) {
            Ok(accepted) => {
                accepted.into_iter().for_each(|accepted| self.totals.fanout.add(now.since(accepted)));
                let taken = outcomes.iter().filter(|taken| **taken).count() as u64;
                self.totals.taken += taken;
                self.totals.refused += outcomes.len() as u64 - taken;
                self.pump(now, link, class);
            }
            Err(why) => self.actions.push_back(Action::Breach(link, why)),
        }
    }

    fn pump_all(&mut self, now: Time, link: LinkId) {
        Class::ALL.into_iter().for_each(|class| self.pump(now, link, class));
    }

    /// Does for a lane whatever can be done while more may come.
    fn pump(&mut self, now: Time, link: LinkId, class: Class) {
        self.pump_at(now, Moment::Lasts, link, class);
    }

    fn pump_at(&mut self, now: Time, moment: Moment, link: LinkId, class: Class) {
        let Some(own) = self.links.get_mut(&link) else { return };
        let lane = &mut own.lanes[class];
        if let Some(after) = lane.wants_more() {
            self.actions.push_back(Action::Need { link, class, after });
        }
        let next = lane.next(now, moment, &self.config);
        let deadline = if let lane::Next::Wait(until) = next { Some(until) } else { None };
        self.deadlines.replace(now, link, class, lane.deadline, deadline);
        lane.deadline = deadline;
        match next {
            lane::Next::Nothing | lane::Next::Wait(_) => {}
            lane::Next::Read(positions) => self.actions.push_back(Action::Read { link, class, positions }),
            lane::Next::Send { position, spelling, positions, parts } => {
                self.totals.bundles += 1;
                self.totals.items += parts.len() as u64;
                self.totals.item_bytes += parts.iter().map(|part| part.len() as u64).sum::<u64>();
                let push = Push { class, position, settled: own.settled() };
                self.actions.push_back(Action::Send { link, push, spelling, positions, parts });
            }
        }
        if own.mark_dirty() {
            self.dirty.push(link);
            self.report_at.get_or_insert(now.after(self.config.cursor_wait_max));
        }
    }

    fn link_down(&mut self, now: Time, link: LinkId) {
        let Some(mut own) = self.links.remove(&link) else { return };
        for (class, lane) in own.lanes.iter() {
            if let Some(at) = lane.deadline {
                self.deadlines.remove(link, class, at);
            }
        }
        if own.has_news() {
            self.reports.push(own.report());
            self.report_at = Some(now);
        }
    }

    fn report(&mut self) {
        self.report_at = None;
        let mut reports = std::mem::take(&mut self.reports);
        for link in std::mem::take(&mut self.dirty) {
            if let Some(own) = self.links.get_mut(&link) {
                reports.push(own.report());
            }
        }
        if !reports.is_empty() {
            self.actions.push_back(Action::Cursors(reports));
        }
    }
}
