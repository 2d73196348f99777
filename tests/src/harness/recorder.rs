//! Between a server and who dials it: passes every frame on, both ways, and writes it down.
//!
//! It holds a certificate of the server's GUID towards whoever dials, and one of theirs towards the server, which a test's
//! CA issues and nobody else's would. What it passes on is what `link` reads and writes: all that can cross.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use link::budget::Budget;
use link::close::CloseCode;
use link::connection::Link;
use link::endpoint::{Client, Pending, Server};
use link::exchange::Incoming;
use link::frame::Kind;
use link::hello::Hello;
use link::lane::{ControlEvent, LaneReceiver, Reply, ReplyBody};
use link::limits::LinkLimits;
use link::pki::Role;
use schemas::facts::Validated;
use schemas::guid::ServerGuid;
use schemas::limits::Limits;
use tokio::task::JoinSet;

use super::stub::{self, Said};
use super::{Authority, TestServer};

/// Bytes of frames that it holds at once, and credit that it may grant.
const BUDGET_BYTES: usize = 512 << 20;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the server.
    Up,
    /// From it.
    Down,
}

/// A frame that has come.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Which way.
    pub way: Way,
    /// What it is for.
    pub kind: Kind,
    /// The exchange that it belongs to, counted from 1; `None` for Hello, lanes and what is said beside them.
    pub exchange: Option<u64>,
    /// What it carries.
    pub body: Bytes,
}

/// See the module.
pub struct Recorder {
    addr: SocketAddr,
    shared: Arc<Shared>,
    // Ends with the recorder.
    _tasks: JoinSet<()>,
}

struct Shared {
    guid: ServerGuid,
    target: SocketAddr,
    edit: fn(&mut Hello),
    exchanges: AtomicU64,
    kept: Mutex<Vec<Kept>>,
}

impl Recorder {
    /// In front of a server.
    pub fn before(server: &TestServer) -> Self {
        Self::editing(server, |_| ())
    }

    /// The same; what the server says in its Hello is changed on the way.
    ///
    /// # Panics
    ///
    /// If there is no socket.
    pub fn editing(server: &TestServer, edit: fn(&mut Hello)) -> Self {
        let identity = Authority::shared().identity(server.guid().0, Role::Server, Authority::shared());
        let budget = Budget::new(BUDGET_BYTES, BUDGET_BYTES);
        let listening = Server::bind(([127, 0, 0, 1], 0).into(), &identity, LinkLimits::trunk(), budget);
        let listening = listening.expect("a socket");
        let addr = listening.local_addr().expect("its address");
        let (exchanges, kept) = (AtomicU64::new(0), Mutex::default());
        let shared = Arc::new(Shared { guid: server.guid(), target: server.addr(), edit, exchanges, kept });
        let mut tasks = JoinSet::new();
        tasks.spawn(listen(shared.clone(), listening));
        Self { addr, shared, _tasks: tasks }
    }

    /// What to dial in place of the server.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every frame so far, in the order in which they came.
    pub fn kept(&self) -> Vec<Kept> {
        self.shared.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every message of the documents that have gone to the server, with its exchange, in the order in which they went.
    ///
    /// # Panics
    ///
    /// If one of them has parts, or a message of another set.
    pub fn asked(&self) -> Vec<(u64, Said)> {
        let documents = self.up().into_iter().filter(|kept| kept.kind == Kind::Document);
        let messages = documents.flat_map(|kept| {
            let facts = Validated::new(kept.body, &Limits::default()).expect("a document that can be read");
            stub::messages(&facts).into_iter().map(move |message| (kept.exchange.unwrap_or(0), message))
        });
        messages.collect()
    }

    /// What has gone to the server so far.
    pub fn up(&self) -> Vec<Kept> {
        self.kept().into_iter().filter(|kept| kept.way == Way::Up).collect()
    }
}

impl Shared {
    fn keep(&self, way: Way, kind: Kind, exchange: Option<u64>, body: &[u8]) {
        // A copy: the frame's own memory counts against the link's budget.
        let kept = Kept { way, kind, exchange, body: Bytes::copy_from_slice(body) };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
    }
}

async fn listen(shared: Arc<Shared>, listening: Server) {
    let mut links = JoinSet::new();
    while let Some(handshake) = listening.accept().await {
        let shared = shared.clone();
        links.spawn(async move {
            if let Ok(pending) = handshake.complete().await {
                pass_on(shared, pending).await;
            }
        });
    }
}

/// One link, until either end closes it.
async fn pass_on(shared: Arc<Shared>, pending: Pending) {
    let identity = Authority::shared().identity(pending.peer().guid, Role::Client, Authority::shared());
    let local = Client::any_local(shared.target);
    let budget = Budget::new(BUDGET_BYTES, BUDGET_BYTES);
    let dialling = Client::bind(local, &identity, LinkLimits::trunk(), budget).expect("a socket");
    shared.keep(Way::Up, Kind::Hello, None, &pending.hello().encode().expect("a Hello that was decoded"));
    // What is kept is looked for by what it says: both ends speak plain.
    let hello = Hello { forms: Vec::new(), ..pending.hello().clone() };
    let Ok(above) = dialling.connect(shared.target, shared.guid, hello).await else {
        return pending.refuse(CloseCode::Busy, "the server does not answer");
    };
    let mut hello = Hello { forms: Vec::new(), ..above.peer_hello().clone() };
    (shared.edit)(&mut hello);
    shared.keep(Way::Down, Kind::Hello, None, &hello.encode().expect("a Hello that was decoded"));
    let Ok(below) = pending.accept(hello).await else { return };
    let mut tasks = JoinSet::new();
    tasks.spawn(exchanges(shared.clone(), Way::Up, below.clone(), above.clone()));
    tasks.spawn(exchanges(shared.clone(), Way::Down, above.clone(), below.clone()));
    tasks.spawn(lanes(shared.clone(), above.clone(), below.clone()));
    tasks.spawn(replies(shared.clone(), below.clone(), above.clone()));
    tasks.spawn(control(shared, above.clone(), below.clone()));
    tokio::select! {
        reason = below.closed() => above.close(reason.code, &reason.text),
        reason = above.closed() => below.close(reason.code, &reason.text),
    }
    dialling.wait_idle().await;
}

/// Exchanges that one end opens.
async fn exchanges(shared: Arc<Shared>, way: Way, from: Link, to: Link) -> Option<()> {
    let mut exchanges = JoinSet::new();
    loop {
        let incoming = from.accept_exchange().await.ok()?;
        exchanges.spawn(exchange(shared.clone(), way, incoming, to.clone()));
    }
}

/// What breaks off on one side breaks off on the other: dropped, its stream is reset.
async fn exchange(shared: Arc<Shared>, way: Way, incoming: Incoming, to: Link) -> Option<()> {
    let mut exchange = incoming.document().await.ok()?;
    let document = exchange.document().body.clone();
    let number = Some(1 + shared.exchanges.fetch_add(1, Ordering::Relaxed));
    shared.keep(way, Kind::Document, number, &document);
    let mut answer = to.open_exchange(&[document]).await.ok()?;
    let back = if way == Way::Up { Way::Down } else { Way::Up };
    while let Some(frame) = answer.recv().await.ok()? {
        shared.keep(back, frame.header.kind, number, &frame.body);
        match frame.header.kind {
            Kind::Reply => exchange.reply(frame.header.position, &[frame.body]).await.ok()?,
            _ => exchange.deliver(&frame.header, &[frame.body]).await.ok()?,
        }
    }
    exchange.end().await.ok()
}

async fn lanes(shared: Arc<Shared>, above: Link, below: Link) -> Option<()> {
    let mut lanes = JoinSet::new();
    loop {
        let lane = above.accept_lane().await.ok()?;
        lanes.spawn(lane_of(shared.clone(), lane, below.clone()));
    }
}

async fn lane_of(shared: Arc<Shared>, mut lane: LaneReceiver, below: Link) -> Option<()> {
    let mut sender = below.open_lane(lane.class()).await.ok()?;
    while let Some(frame) = lane.recv().await.ok()? {
        shared.keep(Way::Down, frame.header.kind, None, &frame.body);
        sender.deliver(&frame.header, &[frame.body]).await.ok()?;
    }
    Some(())
}

async fn replies(shared: Arc<Shared>, below: Link, above: Link) -> Option<()> {
    let (mut lane, mut sender) = (below.reply_lane()?, above.replies()?);
    loop {
        let Reply { header, body: ReplyBody::Document(body) } = lane.recv().await.ok()? else {
            unreachable!("no end was told that the other takes anything but plain")
        };
        shared.keep(Way::Up, header.kind, None, &body);
        sender.reply(&header, &[body]).await.ok()?;
    }
}

async fn control(shared: Arc<Shared>, above: Link, below: Link) -> Option<()> {
    let mut control = above.control()?;
    loop {
        match control.recv().await.ok()? {
            ControlEvent::Behind { position } => {
                shared.keep(Way::Down, Kind::Behind, None, &[]);
                below.behind(position).await.ok()?;
            }
            ControlEvent::Path(marks) => {
                shared.keep(Way::Down, Kind::Path, None, &[]);
                below.path(&marks).await.ok()?;
            }
        }
    }
}
