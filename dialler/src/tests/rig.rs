//! A dialler with its owner's end of the link, and the server's end of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use link::budget::Budget;
use link::close::CloseCode;
use link::connection::Link;
use link::endpoint::{Client, Server};
use link::hello::{Hello, RequestPolicy, Resume as WireResume};
use link::identity::Identity;
use link::limits::LinkLimits;
use link::pki::{self, Role};
use link::reconnect::Target;
use node::answer::{Answer, AnswerBody, Leaf};
use schemas::class::Class;
use schemas::core::ReplyStatus;
use schemas::digest::Digest;
use schemas::guid::{Cid, ClientGuid, ServerGuid};
use schemas::names::Spelling;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{Dialler, Hop, Live, Said, Told, clock, dial};

pub(super) const HOP: Hop = Hop { client: ClientGuid(0xc1), server: ServerGuid(0x5e) };
const MIB: usize = 1 << 20;

/// See the module.
pub(super) struct Rig {
    /// The server's end of the link.
    pub(super) down: Link,
    /// The owner's.
    pub(super) live: Live,
    pub(super) told: mpsc::Receiver<Told>,
    pub(super) dialling: JoinHandle<()>,
    pub(super) stop: CancellationToken,
    server: Server,
    /// What the owner calls itself.
    pub(super) name: watch::Sender<ClientGuid>,
    _resume: watch::Sender<Option<node::ids::Resume>>,
}

impl Rig {
    pub(super) async fn new() -> Self {
        Self::saying(hello_of_server()).await
    }

    /// With a server that takes documents up to this length.
    pub(super) async fn taking(document_bytes_max: u64) -> Self {
        Self::saying(Hello { document_bytes_max, ..hello_of_server() }).await
    }

    /// With a server that says this.
    pub(super) async fn saying(of_server: Hello) -> Self {
        let dir = tempfile::tempdir().unwrap();
        pki::init(dir.path(), "test-ca").unwrap();
        let loopback: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        let budget = || Budget::new(256 * MIB, 256 * MIB);
        let identity = identity(dir.path(), HOP.server.0, Role::Server);
        let server = Server::bind(loopback, &identity, LinkLimits::server(), budget()).unwrap();
        let identity = self::identity(dir.path(), HOP.client.0, Role::Client);
        let endpoint = Client::bind(loopback, &identity, LinkLimits::device(), budget()).unwrap();
        let target = Target { addr: server.local_addr().unwrap(), server: HOP.server };
        let (teller, mut told) = mpsc::channel(1);
        let (resume_sender, resume) = watch::channel(None);
        let (name_sender, name) = watch::channel(HOP.client);
        let hello = Hello::default();
        let dialler = Dialler { endpoint: Arc::new(endpoint), target, hop: HOP, name, hello, resume, told: teller };
        let stop = CancellationToken::new();
        let dialling = tokio::spawn(dial(dialler, stop.clone()));
        let pending = server.accept().await.unwrap().complete().await.unwrap();
        let down = pending.accept(of_server).await.unwrap();
        let Some(Told::Up(live)) = soon(told.recv()).await else { panic!("a link") };
        Self { down, live: *live, told, dialling, stop, server, name: name_sender, _resume: resume_sender }
    }

    /// The link is cut by the server, and the dialler comes again; what it says then.
    pub(super) async fn again(&mut self) -> Hello {
        self.down.close(CloseCode::Drained, "");
        let Some(Told::Down) = soon(self.told.recv()).await else { panic!("the link was cut") };
        let pending = soon(self.server.accept()).await.unwrap().complete().await.unwrap();
        let hello = pending.hello().clone();
        self.down = pending.accept(hello_of_server()).await.unwrap();
        let Some(Told::Up(live)) = soon(self.told.recv()).await else { panic!("a link") };
        self.live = *live;
        hello
    }

    /// What the server said.
    pub(super) async fn said(&mut self) -> Said {
        soon(self.live.said.recv()).await.expect("the link stands")
    }
}

pub(super) fn hello_of_server() -> Hello {
    let resume = |class| WireResume { class, position: 7, digest: Digest::default() };
    let of_others = RequestPolicy { cid: 77, accepts: vec!["Other:".into()] };
    let policy = RequestPolicy { cid: Cid::VERSION.0, accepts: vec!["Request:Full".into()] };
    Hello {
        incarnation: Some(3),
        resume: Class::ALL.map(resume).to_vec(),
        policy: vec![of_others, policy],
        ..Hello::default()
    }
}

fn identity(dir: &Path, guid: u128, role: Role) -> Identity {
    let label = if role == Role::Server { "server" } else { "client" };
    let files = pki::issue(dir, &pki::Subject { guid, role, label }, dir).unwrap();
    let read = |path: &Path| std::fs::read(path).unwrap();
    Identity::load(&read(&files.certificate), &read(&files.key), &read(&dir.join(pki::CA_CERTIFICATE))).unwrap()
}

/// A reply document with one leaf for each status, in answer to this `Message_ID`.
pub(super) fn reply(statuses: &[ReplyStatus], reply_id: &str) -> Bytes {
    let leaf = |status: &ReplyStatus| Leaf {
        status: status.clone(),
        ..Leaf::failed(Some(reply_id.to_owned()), "not today".to_owned())
    };
    let body = AnswerBody::Leaves(statuses.iter().map(leaf).collect());
    let answer = Answer { server: Some(HOP.server), client: Some(HOP.client), body };
    answer.render(Spelling::Double, clock::message_id(), &clock::text(clock::now()))
}

/// Runs a future that must end soon.
pub(super) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("no end within a minute")
}
