//! The client end of a link: what a device registers, what it holds, and what it writes down.
//!
//! The journal is the only truth: [`Client::replay`] folds it into the state that wrote it. Decisions apply at once in
//! memory; whatever is said to the server waits until the entries behind it are durable. A client whose journal cannot be
//! written stops, and goes on from the journal when it is started again.

mod asked;
mod delivery;
pub mod held;
pub mod journal;
mod lost;
mod names;
mod sync;
#[cfg(test)]
mod tests;
mod trust;
mod word;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use schemas::core::ReplyStatus;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::names::Spelling;
use schemas::version::{Major, Minor, VersionInfo};
use topology::interest::Interest;

use crate::answer::Answer;
use crate::ids::{ExchangeId, Position, Push, Resume, Ticket, Time};
use crate::intake::Intake;
use crate::trust::Trust;

use self::asked::Watch;
use self::held::Holdings;
use self::journal::{Entry, Event as JournalEvent};
use self::names::Assigned;
use self::sync::Sync;

/// An asset of this device, as it is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    /// Unique on this device.
    pub name: String,
    /// As the inventory found it.
    pub info: VersionInfo,
    /// The same, for matching.
    pub interest: Interest,
}

impl Asset {
    /// An asset under a name.
    pub fn new(name: impl Into<String>, info: VersionInfo) -> Self {
        let interest = Interest::from_version_info(&info);
        Self { name: name.into(), info, interest }
    }
}

/// What happens to a client.
#[derive(Clone, Debug)]
pub enum Event {
    /// The inventory, at the start and whenever it changes.
    Assets(Vec<Asset>),
    /// The trust file, at the start, before the inventory, and whenever it changes.
    Trust(Arc<Trust>),
    /// The server accepted the Hello.
    Connected {
        /// Whether everything must be asked for again.
        behind: bool,
        /// Where the lanes begin.
        start: Resume,
    },
    /// The link is gone, and every exchange with it. A shell closes the link when an exchange breaks before its end.
    Disconnected,
    /// The server says that items up to here may have been missed.
    Behind(Position),
    /// A Delivery came.
    Delivery {
        /// On a lane or as an answer.
        via: Via,
        /// What it says.
        intake: Box<Intake>,
    },
    /// The server opened an exchange.
    Asked {
        /// Never used before by this shell.
        exchange: ExchangeId,
        /// What it says.
        intake: Box<Intake>,
    },
    /// The reply of an exchange came.
    Replied {
        /// Which exchange.
        exchange: ExchangeId,
        /// What each message of it was answered, and why.
        outcomes: Vec<(ReplyStatus, Option<String>)>,
    },
    /// The server calls this client otherwise from now on; comes before the reply that says so.
    Assigned(ClientGuid),
    /// An exchange ended after its reply and all its deliveries.
    Ended(ExchangeId),
    /// The oldest `Store` is durable.
    Stored(Ticket),
    /// It is not.
    StoreFailed(Ticket, String),
}

/// How a Delivery came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Pushed. To be answered.
    Lane(Push),
    /// Asked for. Not answered: the end of the exchange is the receipt.
    Exchange(ExchangeId),
}

/// What a shell is to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Append to the journal, make it durable, and say so; in order.
    Store(Ticket, Vec<Entry>),
    /// Open an exchange with these messages in one Payload.
    Open(ExchangeId, Vec<Draft>),
    /// Answer a pushed Delivery on the reply lane.
    Answer {
        /// Which.
        push: Push,
        /// In the spelling of who delivered.
        spelling: Spelling,
        /// What is said.
        answer: Answer,
    },
    /// Answer an exchange of the server. One of a link that is gone has nobody to be answered to.
    Respond {
        /// Which.
        exchange: ExchangeId,
        /// What is said.
        answer: Answer,
        /// The messages of the one document that is delivered after it; none, no document.
        delivery: Vec<Draft>,
    },
    /// Use this GUID in headers from now on.
    Name(ClientGuid),
    /// Close the link, say why, and dial again after a pause.
    Hangup(String),
    /// Nothing more can be done: stop, and say why.
    Stop(String),
}

/// A message to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What to do.
    pub major: Major,
    /// In which mode.
    pub minor: Option<Minor>,
    /// On what.
    pub infos: Vec<VersionInfo>,
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    client: ClientGuid,
    server: ServerGuid,
    next_entry: u64,
    assets: Vec<Asset>,
    holdings: Holdings,
    trust: Arc<Trust>,
    /// When everything held was judged last.
    judged: Time,
    now: Time,
    /// What the server has accepted as registered, by name.
    registered: BTreeMap<String, VersionInfo>,
    sync: Sync,
    /// What the server wants to hear, while the link lives.
    watch: Watch,
    assigned: Option<Assigned>,
    /// Pushed while an answer was under way.
    held_back: VecDeque<(Push, Box<Intake>)>,
    /// As journalled.
    resume: Option<Resume>,
    next_ticket: Ticket,
    pending: VecDeque<(Ticket, Vec<Action>)>,
    actions: VecDeque<Action>,
}

impl Client {
    /// A client without a past.
    pub fn new(client: ClientGuid, server: ServerGuid) -> Self {
        Self {
            client,
            server,
            next_entry: 1,
            assets: Vec::new(),
            holdings: Holdings::default(),
            trust: Arc::default(),
            judged: Time(0),
            now: Time(0),
            registered: BTreeMap::new(),
            sync: Sync::default(),
            watch: Watch::default(),
            assigned: None,
            held_back: VecDeque::new(),
            resume: None,
            next_ticket: Ticket(0),
            pending: VecDeque::new(),
            actions: VecDeque::new(),
        }
    }

    /// A client that goes on where its journal stopped.
    pub fn recover(client: ClientGuid, server: ServerGuid, entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut recovered = Self::new(client, server);
        entries.into_iter().for_each(|entry| recovered.replay(entry));
        recovered
    }

    /// Takes the next entry of its journal, before any event.
    pub fn replay(&mut self, entry: Entry) {
        self.next_entry = entry.number + 1;
        self.resume = entry.resume.or(self.resume);
        match entry.event {
            JournalEvent::Registered { name, info } => {
                self.registered.insert(name, *info);
            }
            JournalEvent::Ended { name } => {
                self.registered.remove(&name);
            }
            JournalEvent::Assigned { client, incarnation } => self.assigned = Some((client, incarnation)),
            event => self.holdings.fold(&event),
        }
    }

    /// Takes one event. Drain [`Self::poll_action`] before the next.
    pub fn handle(&mut self, now: Time, event: Event) {
        self.now = now;
        self.look_at_clock(now);
        match event {
            Event::Trust(trust) => self.trust_changed(now, trust),
            Event::Assets(assets) => self.assets_changed(now, assets),
            Event::Connected { behind, start } => {
                self.check_name(now, start.incarnation);
                self.connected(now, behind, start);
            }
            Event::Assigned(client) => self.assigned(now, client),
            Event::Disconnected => {
                self.sync.disconnected();
                // Not answered, so it comes again: and not on the next link what was pushed on this one.
                self.held_back.clear();
                for (_, then) in &mut self.pending {
                    then.retain(|action| !matches!(action, Action::Answer { .. }));
                }
                self.watch = Watch::default();
            }
            Event::Behind(_) => self.resynchronise(now),
            Event::Delivery { via: Via::Lane(push), intake } if self.sync.is_asking() => {
                self.held_back.push_back((push, intake));
            }
            Event::Delivery { via, intake } => self.delivery(now, via, &intake),
            Event::Asked { exchange, intake } => self.asked(now, exchange, &intake),
            Event::Replied { exchange, outcomes } => self.replied(now, exchange, &outcomes),
            Event::Ended(exchange) => {
                self.push_ended(exchange);
                self.exchange_ended(now, exchange);
                self.push_changes();
                self.release(now);
            }
            Event::Stored(ticket) => self.stored(ticket),
            Event::StoreFailed(_, why) => {
                self.actions.push_back(Action::Stop(format!("the journal cannot be written: {why}")));
            }
        }
    }

    /// The next thing to do, until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// For the Hello: where this client stands.
    pub fn resume(&self) -> Option<Resume> {
        self.resume
    }

    /// What applies here.
    pub fn holdings(&self) -> &Holdings {
        &self.holdings
    }

    /// The inventory as it was last given.
    pub fn assets(&self) -> &[Asset] {
        &self.assets
    }

    /// Whether lanes are to be read now. While an answer is under way, what is pushed waits its turn, so that the journal
    /// keeps the order of the log (an item that is replaced while it is held back comes where it was read); at most what
    /// the server's window allows is held back here.
    pub fn takes_pushes(&self) -> bool {
        self.held_back.is_empty()
    }

    /// Whether everything that was asked for since the link came up has arrived.
    pub fn is_synchronised(&self) -> bool {
        self.sync.is_done()
    }

    /// Journals events; `then` happens when they are durable.
    fn store(&mut self, now: Time, events: Vec<JournalEvent>, resume: Option<Resume>, then: Vec<Action>) {
        if events.is_empty() && resume.is_none() {
            return self.after_pending(then);
        }
        let mut events = events;
        if events.is_empty() {
            events.push(JournalEvent::Noted);
        }
        let last = events.len() - 1;
        let entries = events.into_iter().enumerate().map(|(index, event)| {
            let number = self.next_entry + index as u64;
            Entry { number, at: now, event, resume: resume.filter(|_| index == last) }
        });
        let entries: Vec<Entry> = entries.collect();
        self.next_entry += entries.len() as u64;
        self.resume = resume.or(self.resume);
        self.next_ticket = Ticket(self.next_ticket.0 + 1);
        self.actions.push_back(Action::Store(self.next_ticket, entries));
        self.pending.push_back((self.next_ticket, then));
    }

    /// Answers keep their order: what needs no entry waits for what was journalled before it.
    fn after_pending(&mut self, then: Vec<Action>) {
        match self.pending.back_mut() {
            Some((_, waiting)) => waiting.extend(then),
            None => self.actions.extend(then),
        }
    }

    fn stored(&mut self, ticket: Ticket) {
        if let Some((expected, then)) = self.pending.pop_front() {
            debug_assert_eq!(expected, ticket, "tickets come back in order");
            self.actions.extend(then);
        }
    }
}
