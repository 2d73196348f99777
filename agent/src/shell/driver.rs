//! The task that owns the client: mutate once, drain, wait.
//!
//! Links may wait for this task; it never waits for a link, and for the disk only by taking no new input. So nothing
//! waits in a circle, and unread pushes stay in the server's window.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use dialler::{Answered, Answering, Content, Hop, Incoming, Live, Outgoing, Said, Told, clock, documents};
use node::answer::Answer;
use node::client::journal::Entry;
use node::client::{self, Action, Client, Draft, Via};
use node::ids::{ExchangeId, Push, Resume, Ticket, Time};
use node::intake::Intake;
use schemas::guid::ClientGuid;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::store::{Refused, Report, Store};

/// How long what is under way may take when the agent stops.
const GRACE: Duration = Duration::from_secs(5);

/// See the module.
pub(crate) struct Driver {
    hop: Hop,
    /// What the server calls this client, as journalled.
    name: watch::Sender<ClientGuid>,
    client: Client,
    store: Store,
    live: Option<Live>,
    /// Exchanges of the server that wait for their answer; QUIC's stream limit bounds how many do.
    asked: HashMap<ExchangeId, oneshot::Sender<Answering>>,
    last_asked: u64,
    /// What the store's queue had no room for, in order.
    unsent: VecDeque<(Ticket, Vec<Entry>)>,
    /// Where each batch that is not durable yet leads.
    undurable: VecDeque<Option<Resume>>,
    /// For the next Hello: what is held durably.
    resume: watch::Sender<Option<Resume>>,
    /// For lists: whether everything that the server has for this device is here.
    synchronised: watch::Sender<bool>,
    stopped: Option<String>,
}

/// What reaches the driver.
pub(crate) struct Inputs {
    /// Links.
    pub(crate) told: mpsc::Receiver<Told>,
    /// The inventory or the trust file, whenever it changes.
    pub(crate) changed: mpsc::Receiver<client::Event>,
    /// What became of what was to be journalled.
    pub(crate) reports: mpsc::Receiver<Report>,
}

/// What the loop woke up for.
enum Woken {
    Stored(Report),
    Told(Told),
    Changed(client::Event),
    Said(Option<Said>),
    Pushed(Option<(Push, Box<Intake>)>),
    Due,
    Stop,
}

impl Driver {
    pub(crate) fn new(
        hop: Hop,
        name: watch::Sender<ClientGuid>,
        client: Client,
        store: Store,
        resume: watch::Sender<Option<Resume>>,
        synchronised: watch::Sender<bool>,
    ) -> Self {
        Self {
            hop: Hop { client: client.name(), ..hop },
            name,
            client,
            store,
            live: None,
            asked: HashMap::new(),
            last_asked: 0,
            unsent: VecDeque::new(),
            undurable: VecDeque::new(),
            resume,
            synchronised,
            stopped: None,
        }
    }

    /// Runs until `stop`, or until nothing more can be done: then says why. Either way everything journalled is durable
    /// when it comes back, or was acknowledged to nobody.
    pub(crate) async fn run(
        mut self,
        first: impl IntoIterator<Item = client::Event>,
        mut inputs: Inputs,
        stop: CancellationToken,
    ) -> Option<String> {
        first.into_iter().for_each(|event| self.handle(event));
        while self.stopped.is_none() {
            match self.wake(&mut inputs, &stop).await {
                Woken::Stored(report) => self.stored(report),
                Woken::Told(told) => self.told(told),
                Woken::Changed(event) => self.handle(event),
                Woken::Said(Some(said)) => self.said(said),
                Woken::Pushed(Some((push, intake))) => {
                    self.handle(client::Event::Delivery { via: Via::Lane(push), intake });
                }
                // The link is going, and `Down` is on its way.
                Woken::Said(None) | Woken::Pushed(None) => self.down(),
                Woken::Due => {
                    self.client.handle_timeout(clock::wall());
                    self.carry_out_all();
                }
                Woken::Stop => break,
            }
        }
        self.finish(inputs.reports).await
    }

    async fn wake(&mut self, inputs: &mut Inputs, stop: &CancellationToken) -> Woken {
        let takes = self.unsent.is_empty();
        let takes_pushes = takes && self.client.takes_pushes();
        let due = self.client.poll_timeout().map(|(at, _)| at);
        let (said, pushes) = match &mut self.live {
            Some(live) => (Some(&mut live.said), Some(&mut live.pushes)),
            None => (None, None),
        };
        tokio::select! {
            biased;
            Some(report) = inputs.reports.recv() => Woken::Stored(report),
            () = stop.cancelled() => Woken::Stop,
            Some(told) = inputs.told.recv(), if takes => Woken::Told(told),
            Some(event) = inputs.changed.recv(), if takes => Woken::Changed(event),
            said = next(said), if takes => Woken::Said(said),
            // Before pushes, of which there may be always more.
            () = reached(due), if takes => Woken::Due,
            pushed = next(pushes), if takes_pushes => Woken::Pushed(pushed),
        }
    }

    fn told(&mut self, told: Told) {
        match told {
            Told::Up(live) => {
                let event = client::Event::Connected { behind: live.behind, start: live.start };
                self.live = Some(*live);
                self.handle(event);
            }
            Told::Down => self.down(),
        }
    }

    fn down(&mut self) {
        if self.live.take().is_some() {
            self.asked.clear();
            self.handle(client::Event::Disconnected);
        }
    }

    fn said(&mut self, said: Said) {
        let was_synchronised = self.client.is_synchronised();
        match said {
            Said::Replied(exchange, outcomes) => self.handle(client::Event::Replied { exchange, outcomes }),
            Said::Delivered(exchange, intake) => {
                self.handle(client::Event::Delivery { via: Via::Exchange(exchange), intake });
            }
            Said::Ended(exchange) => self.handle(client::Event::Ended(exchange)),
            Said::Assigned(client) => self.handle(client::Event::Assigned(client)),
            // An agent sends no ready-made parts.
            Said::Named(..) => {}
            // To ask again would not help.
            Said::TooLong(_, why) => self.stopped = Some(format!("the inventory cannot be sent: {why}")),
            Said::Behind(position) => {
                tracing::info!(position = position.0, "the server says that items may be missing: asking again");
                self.handle(client::Event::Behind(position));
            }
            // Nothing stands below an agent: no cycle goes through it.
            Said::Path(_) => {}
            Said::Incoming(Incoming { intake, parts: _, answer }) => {
                self.last_asked += 1;
                let exchange = ExchangeId(self.last_asked);
                self.asked.insert(exchange, answer);
                self.handle(client::Event::Asked { exchange, intake });
            }
        }
        if !was_synchronised && self.client.is_synchronised() {
            tracing::info!(items = self.client.holdings().len(), "synchronised");
        }
    }

    fn stored(&mut self, Report { ticket, outcome }: Report) {
        let resume = self.undurable.pop_front().flatten();
        match outcome {
            Ok(()) => {
                if resume.is_some() {
                    self.resume.send_replace(resume);
                }
                self.handle(client::Event::Stored(ticket));
            }
            Err(why) => self.handle(client::Event::StoreFailed(ticket, why)),
        }
    }

    fn handle(&mut self, event: client::Event) {
        self.client.handle(clock::wall(), event);
        self.carry_out_all();
    }

    fn carry_out_all(&mut self) {
        while let Some(action) = self.client.poll_action() {
            self.carry_out(action);
        }
        self.submit();
        let is = self.client.is_synchronised();
        self.synchronised.send_if_modified(|was| std::mem::replace(was, is) != is);
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Store(ticket, entries) => {
                self.undurable.push_back(entries.iter().rev().find_map(|entry| entry.resume));
                self.unsent.push_back((ticket, entries));
            }
            // There is room for all that a server may leave unanswered; one that sends more loses its link.
            Action::Answer { push, spelling, answer } => {
                self.say(|live| live.answers.try_send(Answered { push, spelling, answer }).is_ok())
            }
            Action::Open(exchange, drafts) => {
                let outgoing = Outgoing { exchange, content: Content::Drafts(drafts) };
                self.say(|live| live.asks.try_send(outgoing).is_ok());
            }
            Action::Respond { exchange, answer, delivery } => self.respond(exchange, answer, &delivery),
            Action::Name(client) => {
                tracing::info!(%client, "the server has this GUID for this client");
                self.hop.client = client;
                self.name.send_replace(client);
            }
            Action::Hangup(why) => {
                tracing::warn!(why, "the link is given up; trying again after a pause");
                self.say(|_| false);
            }
            Action::Stop(why) => self.stopped = Some(why),
        }
    }

    fn respond(&mut self, exchange: ExchangeId, answer: Answer, delivery: &[Draft]) {
        if let Some(asker) = self.asked.remove(&exchange) {
            let document = || documents::ask(self.hop, clock::message_id(), delivery);
            let deliveries = if delivery.is_empty() { Vec::new() } else { vec![vec![document()]] };
            // Whoever asked may be gone with the link.
            drop(asker.send(Answering { answer, deliveries }));
        }
    }

    /// What is said to a link that is gone is lost with it.
    fn say(&mut self, say: impl FnOnce(&Live) -> bool) {
        if self.live.as_ref().is_some_and(|live| !say(live)) {
            // Not by `down`: the client is told between two events, when its receivers are seen to have ended.
            if let Some(live) = &mut self.live {
                live.said.close();
                live.pushes.close();
            }
        }
    }

    fn submit(&mut self) {
        while let Some((ticket, entries)) = self.unsent.pop_front() {
            match self.store.try_submit(ticket, entries) {
                Ok(()) => {}
                Err(Refused::Full(entries)) => {
                    self.unsent.push_front((ticket, entries));
                    break;
                }
                Err(Refused::Ended) => self.stopped = Some("the journal's thread has ended".to_owned()),
            }
        }
    }

    /// Lets the disk finish, so that what was decided is also answered; then closes the link by dropping its ends.
    async fn finish(mut self, mut reports: mpsc::Receiver<Report>) -> Option<String> {
        let deadline = tokio::time::sleep(GRACE);
        tokio::pin!(deadline);
        while self.stopped.is_none() && !self.undurable.is_empty() {
            tokio::select! {
                report = reports.recv() => match report {
                    Some(report) => self.stored(report),
                    None => break,
                },
                () = &mut deadline => break,
            }
        }
        self.live = None;
        drop(reports);
        let store = self.store;
        // The task neither panics nor is aborted.
        drop(tokio::task::spawn_blocking(move || store.join()).await);
        self.stopped
    }
}

/// The next of a receiver that may not be there.
async fn next<T>(receiver: Option<&mut mpsc::Receiver<T>>) -> Option<T> {
    match receiver {
        Some(receiver) => receiver.recv().await,
        None => std::future::pending().await,
    }
}

/// When the wall clock shows this time.
async fn reached(due: Option<Time>) {
    match due {
        Some(due) => tokio::time::sleep(due.since(clock::wall())).await,
        None => std::future::pending().await,
    }
}
