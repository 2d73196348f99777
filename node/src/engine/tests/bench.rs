//! An engine on a table: documents in, actions out, a store that answers when told to.

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::version::{Container, Info, Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};

use crate::catalogue::Due;
use crate::engine::{Action, Config, Engine, Event, ReplyTo, Welcome};
use crate::ids::{ExchangeId, LinkId, Position, Resume, Ticket, Time};
use crate::intake::Intake;
use crate::policy::Policy;
use crate::store::{Recovered, Table, Write};

pub(super) const SERVER: ServerGuid = ServerGuid(0x5e);
pub(super) const PROVIDER: ClientGuid = ClientGuid(0xf0);
pub(super) const DEVICE: ClientGuid = ClientGuid(0xd1);
pub(super) const OTHER: ClientGuid = ClientGuid(0xd2);

/// See the module.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) now: Time,
    /// What the store was asked, oldest first, and has not answered.
    pub(super) asked: Vec<(Ticket, Vec<Write>)>,
    /// What it holds.
    pub(super) kept: Recovered,
    pub(super) actions: Vec<Action>,
    next: u64,
}

pub(super) fn config() -> Config {
    Config::new(SERVER)
}

pub(super) fn policy() -> Policy {
    Policy { providers: [PROVIDER].into(), ..Policy::default() }
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(config(), Recovered { incarnation: 0x1c, ..Recovered::default() })
    }

    pub(super) fn with(config: Config, kept: Recovered) -> Self {
        let now = Time(1_700_000_000_000);
        let engine = Engine::recover(config, policy(), kept.clone(), now).expect("good records");
        Self { engine, now, asked: Vec::new(), kept, actions: Vec::new(), next: 1 }
    }

    /// A new engine on what the store holds.
    pub(super) fn restart(self) -> Self {
        Self::with(config(), self.kept)
    }

    pub(super) fn handle(&mut self, event: Event) {
        self.engine.handle(self.now, event);
        self.drain();
    }

    /// It has become `now`.
    pub(super) fn handle_time(&mut self) {
        self.engine.handle_timeout(self.now);
        self.drain();
        self.settle();
    }

    pub(super) fn drain(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            match action {
                Action::Store(ticket, writes) => self.asked.push((ticket, writes)),
                action => self.actions.push(action),
            }
        }
    }

    /// The store makes everything durable that it was asked.
    pub(super) fn settle(&mut self) {
        while !self.asked.is_empty() {
            let (ticket, writes) = self.asked.remove(0);
            writes.into_iter().for_each(|write| self.keep(write));
            self.handle(Event::Stored(ticket));
        }
    }

    fn keep(&mut self, write: Write) {
        let kept = &mut self.kept;
        let without = |rows: &mut Vec<(Table, Bytes, Bytes)>, table: Table, key: &Bytes| {
            rows.retain(|row| row.0 != table || row.1 != key);
        };
        match write {
            Write::Append { position, record, .. } => kept.records.push((position, record)),
            Write::Put { table, key, value } => {
                without(&mut kept.rows, table, &key);
                kept.rows.push((table, key, value));
            }
            Write::Delete { table, key } => without(&mut kept.rows, table, &key),
            Write::Trim { below } => kept.records.retain(|(position, _)| *position >= below),
            Write::Evict { positions } => kept.records.retain(|(position, _)| !positions.contains(position)),
        }
    }

    pub(super) fn unique(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Connects a client and answers its link.
    pub(super) fn connect(&mut self, client: ClientGuid, resume: Option<Resume>) -> (LinkId, Welcome) {
        let link = LinkId(self.unique());
        self.handle(Event::Hello { link, client, resume, mark: None });
        self.settle();
        let welcome = self.actions.iter().rev().find_map(|action| match action {
            Action::Welcome(to, welcome) if *to == link => Some(welcome.clone()),
            _ => None,
        });
        (link, welcome.expect("every Hello is answered"))
    }

    /// Sends a document and stores what it asks for.
    pub(super) fn send(&mut self, link: LinkId, document: &Bytes) -> ReplyTo {
        let exchange = self.open(link, document);
        self.settle();
        self.reply(exchange).expect("every document is answered")
    }

    /// What a reply's asker gets.
    pub(super) fn due(&self, reply: &ReplyTo) -> Vec<Due> {
        let (mut due, mut after) = (Vec::new(), Position(0));
        loop {
            let stretch = self.engine.answer_stretch(&reply.asks, after, reply.snapshot);
            due.extend(stretch.due);
            if stretch.complete {
                return due;
            }
            after = stretch.through;
        }
    }

    pub(super) fn open(&mut self, link: LinkId, document: &Bytes) -> ExchangeId {
        let facts = Validated::new(document.clone(), &Limits::default()).expect("a good document");
        let intake = Box::new(Intake::of(&facts).expect("a message"));
        let exchange = ExchangeId(self.unique());
        self.handle(Event::Document { link, exchange, intake });
        exchange
    }

    pub(super) fn reply(&self, exchange: ExchangeId) -> Option<ReplyTo> {
        self.actions.iter().find_map(|action| match action {
            Action::Reply(reply) if reply.exchange == exchange => Some((**reply).clone()),
            _ => None,
        })
    }

    /// A provider's link, the device's link, and the device registered for `serde` 1.2.3.
    pub(super) fn with_device() -> (Self, LinkId, LinkId) {
        let mut bench = Self::new();
        let (provider, _) = bench.connect(PROVIDER, None);
        let (device, _) = bench.connect(DEVICE, None);
        let reply = bench.send(device, &request(1, &[runs("serde", "1.2.3")]));
        assert_eq!(statuses(&reply), [ReplyStatus::Succeeded]);
        (bench, provider, device)
    }

    /// Items pushed to a link so far.
    pub(super) fn pushed(&self, link: LinkId) -> Vec<Position> {
        let mut positions = Vec::new();
        for action in &self.actions {
            if let Action::Shard(_, crate::shard::Event::Item { item, links }) = action
                && links.iter().any(|(to, _)| *to == link)
            {
                positions.push(item.position);
            }
        }
        positions
    }
}

pub(super) fn statuses(reply: &ReplyTo) -> Vec<ReplyStatus> {
    reply.answer.leaves().iter().map(|leaf| leaf.status.clone()).collect()
}

pub(super) fn document(id: u128, messages: &[MessageDraft<'_>]) -> Bytes {
    let header = HeaderFields { message_id: Some(MessageId(id)), ..HeaderFields::default() };
    write::message(Spelling::Double, &header, messages)
}

pub(super) fn draft<'a>(major: Major, minor: Option<Minor>, data: &'a [VersionInfo]) -> MessageDraft<'a> {
    MessageDraft { major, minor, data: (!data.is_empty()).then_some(data) }
}

pub(super) fn request(id: u128, assets: &[VersionInfo]) -> Bytes {
    document(id, &[draft(Major::Request, Some(Minor::Full), assets)])
}

pub(super) fn register(id: u128, assets: &[VersionInfo]) -> Bytes {
    document(id, &[draft(Major::Register, None, assets)])
}

/// An asset that is one crate.
pub(super) fn runs(name: &str, version: &str) -> VersionInfo {
    VersionInfo { info: vec![info(name, version)], ..VersionInfo::default() }
}

fn info(name: &str, version: &str) -> Info {
    let container = Container {
        package: Some("cargo".into()),
        file_name: Some(format!("pkg:cargo/{name}").into()),
        version: version.into(),
        ..Container::default()
    };
    Info { container, ..Info::default() }
}

/// An advisory on a range of versions of a crate.
pub(super) fn advisory(id: &str, revision: u64, name: &str, range: &str, status: &str) -> VersionInfo {
    let mut info = info(name, range);
    info.source = Some("Tests".into());
    info.id = Some(id.into());
    info.container.author_comments = Some(format!("{id}\nRevision: {revision}{status}").into());
    VersionInfo { info: vec![info], ..VersionInfo::default() }
}

pub(super) fn deliver(message_id: u128, info: VersionInfo) -> Bytes {
    document(message_id, &[draft(Major::Deliver, Some(Minor::Full), &[info])])
}
