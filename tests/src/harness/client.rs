//! A client that does what a test tells it, and nothing by itself.

use std::net::SocketAddr;

use bytes::Bytes;
use dialler::places;
use link::budget::Budget;
use link::connection::Link;
use link::endpoint::{Client, ConnectError};
use link::error::RecvError;
use link::frame::{Frame, FrameHeader};
use link::hello::Hello;
use link::lane::{LaneReceiver, ReplySender};
use link::limits::LinkLimits;
use link::pki::Role;
use link::traffic::WireBytes;
use node::ids::{Position, Resume};
use schemas::class::{Class, PerClass};
use schemas::core::ReplyStatus;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use tokio::sync::{Mutex, OnceCell, mpsc};
use tokio::task::JoinSet;

use super::received::{Answered, Got, items, reply_to};
use super::{Authority, TestServer, within};

/// Bytes of frames that a test client holds at once.
const FRAME_BYTES: usize = 256 << 20;
/// Credit that a test client may grant.
const CREDIT_BYTES: usize = 512 << 20;

/// One link of one client.
pub struct TestClient {
    guid: ClientGuid,
    link: Link,
    // Dropped last: the endpoint drives the link.
    endpoint: Client,
    lanes: OnceCell<Mutex<Lanes>>,
    replies: Mutex<ReplySender>,
}

/// A Delivery that came without being asked for.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// Its frame's header.
    pub header: FrameHeader,
    /// What it says.
    pub document: Validated,
}

impl Pushed {
    /// Its items.
    pub fn items(&self) -> Vec<Got> {
        items(&self.document)
    }
}

impl TestClient {
    /// A client that has never been here.
    ///
    /// # Panics
    ///
    /// If it is not let in.
    pub async fn connect(server: &TestServer, guid: ClientGuid) -> Self {
        Self::connect_with(server, guid, Hello::default()).await.expect("a link")
    }

    /// A client that holds everything up to a position of the log of this incarnation.
    ///
    /// # Panics
    ///
    /// If it is not let in.
    pub async fn resume(server: &TestServer, guid: ClientGuid, incarnation: u128, position: u64) -> Self {
        Self::resume_at(server, guid, Resume::at(incarnation, Position(position), None)).await
    }

    /// A client that holds of each class what this says.
    ///
    /// # Panics
    ///
    /// If it is not let in.
    pub async fn resume_at(server: &TestServer, guid: ClientGuid, resume: Resume) -> Self {
        let hello = places::write(Hello::default(), Some(resume));
        Self::connect_with(server, guid, hello).await.expect("a link")
    }

    /// The same by way of another address, behind which the server is.
    ///
    /// # Panics
    ///
    /// If it is not let in.
    pub async fn connect_via(server: &TestServer, addr: SocketAddr, guid: ClientGuid) -> Self {
        Self::dial(addr, server.guid(), guid, Hello::default()).await.expect("a link")
    }

    /// Dials with any Hello.
    ///
    /// # Errors
    ///
    /// What the link says.
    pub async fn connect_with(server: &TestServer, guid: ClientGuid, hello: Hello) -> Result<Self, ConnectError> {
        Self::dial(server.addr(), server.guid(), guid, hello).await
    }

    async fn dial(addr: SocketAddr, server: ServerGuid, guid: ClientGuid, hello: Hello) -> Result<Self, ConnectError> {
        let identity = Authority::shared().identity(guid.0, Role::Client, Authority::shared());
        let budget = Budget::new(FRAME_BYTES, CREDIT_BYTES);
        let endpoint =
            Client::bind(Client::any_local(addr), &identity, LinkLimits::device(), budget).expect("a socket");
        let link = within("a link", endpoint.connect(addr, server, hello)).await?;
        let replies = Mutex::new(link.replies().expect("the reply lane is taken once"));
        Ok(Self { guid, link, endpoint, lanes: OnceCell::new(), replies })
    }

    /// Who it is.
    pub fn guid(&self) -> ClientGuid {
        self.guid
    }

    /// Its link.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Bytes that have crossed its socket.
    pub fn socket_bytes(&self) -> WireBytes {
        self.endpoint.socket_bytes()
    }

    /// What the server said in its Hello.
    pub fn hello(&self) -> &Hello {
        self.link.peer_hello()
    }

    /// The life of the server's log.
    ///
    /// # Panics
    ///
    /// If the server did not name it.
    pub fn incarnation(&self) -> u128 {
        self.hello().incarnation.expect("a server names its log's incarnation")
    }

    /// Sends a document and reads the whole answer.
    ///
    /// # Panics
    ///
    /// If the answer breaks off.
    pub async fn ask(&self, document: Bytes) -> Answered {
        self.try_ask(document).await.expect("an answer")
    }

    /// Sends a document and reads the whole answer, if there is one.
    ///
    /// # Errors
    ///
    /// How the answer broke off.
    ///
    /// # Panics
    ///
    /// If the document cannot be sent, or the answer is no document.
    pub async fn try_ask(&self, document: Bytes) -> Result<Answered, RecvError> {
        let mut exchange = within("an exchange", self.link.open_exchange(&[document])).await.expect("an exchange");
        let mut reply = None;
        let mut deliveries = Vec::new();
        while let Some(frame) = within("an answer", exchange.recv()).await? {
            let document = Validated::new(frame.body, &Limits::default()).expect("an answer that can be read");
            match reply {
                None => reply = Some((document, frame.header.position)),
                Some(_) => deliveries.push(document),
            }
        }
        let (reply, snapshot) = reply.expect("an answer begins with its reply");
        Ok(Answered { reply, deliveries, snapshot })
    }

    /// The next Delivery of any lane, which stays unanswered.
    ///
    /// # Panics
    ///
    /// If a lane ends.
    pub async fn pushed(&self) -> Pushed {
        self.next_of(Class::ALL.to_vec()).await
    }

    /// The next Delivery of the lane of this class, which stays unanswered. Nothing is read of the others.
    ///
    /// # Panics
    ///
    /// If the lane ends.
    pub async fn pushed_of(&self, class: Class) -> Pushed {
        self.next_of(vec![class]).await
    }

    async fn next_of(&self, classes: Vec<Class>) -> Pushed {
        let lanes = self.lanes.get_or_init(|| async { Mutex::new(Lanes::of(self.link.clone())) });
        let mut lanes = lanes.await.lock().await;
        let frame = within("a Delivery", Box::pin(lanes.next(&classes))).await;
        let frame = frame.expect("a Delivery").expect("a lane that goes on");
        let document = Validated::new(frame.body, &Limits::default()).expect("a Delivery that can be read");
        Pushed { header: frame.header, document }
    }

    /// Answers each item of a Delivery with the same status.
    ///
    /// # Panics
    ///
    /// If the link is gone.
    pub async fn answer(&self, pushed: &Pushed, status: &ReplyStatus) {
        let reply = reply_to(&pushed.document, status);
        self.send_reply(&pushed.header, reply).await;
    }

    /// Sends any bytes as the answer of a Delivery.
    ///
    /// # Panics
    ///
    /// If the link is gone.
    pub async fn send_reply(&self, delivery: &FrameHeader, reply: Bytes) {
        within("room for a reply", self.replies.lock().await.reply(delivery, &[reply])).await.expect("a sent reply");
    }

    /// The next Delivery of any lane, answered Succeeded.
    pub async fn take(&self) -> Pushed {
        let pushed = self.pushed().await;
        self.answer(&pushed, &ReplyStatus::Succeeded).await;
        pushed
    }

    /// What is pushed up to and with the item of this ID; everything is answered Succeeded.
    pub async fn take_until(&self, id: &str) -> Vec<Got> {
        let mut got = Vec::new();
        while !got.iter().any(|item: &Got| item.id == id) {
            got.extend(self.take().await.items());
        }
        got
    }

    /// Closes the link in good order and waits until the other side can know it.
    pub async fn leave(self) {
        self.link.close(link::close::CloseCode::Done, "");
        let Self { endpoint, link, lanes, replies, .. } = self;
        drop((link, lanes, replies));
        within("a quiet endpoint", endpoint.wait_idle()).await;
    }
}

/// The lanes that the server has opened so far, of which nothing is read that nobody asks for.
struct Lanes {
    opened: mpsc::Receiver<LaneReceiver>,
    lanes: PerClass<Option<LaneReceiver>>,
    _accepting: JoinSet<()>,
}

impl Lanes {
    fn of(link: Link) -> Self {
        let (sender, opened) = mpsc::channel(3);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            while let Ok(lane) = link.accept_lane().await
                && sender.send(lane).await.is_ok()
            {}
        });
        Self { opened, lanes: PerClass::default(), _accepting: accepting }
    }

    /// The next Delivery of any of these classes.
    async fn next(&mut self, classes: &[Class]) -> Result<Option<Frame>, RecvError> {
        loop {
            let [critical, normal, bulk] = self.lanes.each_mut();
            let reads = |class| classes.contains(&class);
            tokio::select! {
                Some(lane) = self.opened.recv() => {
                    let class = lane.class();
                    self.lanes[class] = Some(lane);
                }
                frame = next(critical), if reads(Class::Critical) => return frame,
                frame = next(normal), if reads(Class::Normal) => return frame,
                frame = next(bulk), if reads(Class::Bulk) => return frame,
            }
        }
    }
}

async fn next(lane: &mut Option<LaneReceiver>) -> Result<Option<Frame>, RecvError> {
    match lane {
        Some(lane) => lane.recv().await,
        None => std::future::pending().await,
    }
}
