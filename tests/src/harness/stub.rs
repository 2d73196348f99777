//! A server of which there is only its end of a link: it says what a test tells it, when a test tells it.

use std::net::SocketAddr;

use bytes::Bytes;
use dialler::places;
use link::budget::Budget;
use link::connection::Link;
use link::endpoint::Server;
use link::exchange::Exchange;
use link::frame::{FrameHeader, Kind};
use link::hello::Hello;
use link::limits::LinkLimits;
use link::pki::Role;
use node::answer::{Answer, AnswerBody, Leaf};
use node::ids::{Position, Resume};
use node::intake::{Body, Intake};
use schemas::core::{Message, Payload, ReplyStatus, Root};
use schemas::facts::Validated;
use schemas::guid::ServerGuid;
use schemas::limits::Limits;
use schemas::mark::Mark;
use schemas::version::{Major, Minor, VersionInfo};

use super::{Answered, Authority, draft, within};

/// See the module.
pub struct Stub {
    guid: ServerGuid,
    server: Server,
}

/// One link of a stub.
pub struct StubLink(Link);

/// Something that was asked of a stub, and is not answered yet.
pub struct Heard {
    exchange: Exchange,
    facts: Validated,
}

/// A message: what is wanted, and of what.
pub type Said = (Major, Option<Minor>, Vec<VersionInfo>);

const BUDGET_BYTES: usize = 256 << 20;

impl Stub {
    /// A server of this GUID that listens.
    ///
    /// # Panics
    ///
    /// If there is no socket.
    pub fn bind(guid: ServerGuid) -> Self {
        let identity = Authority::shared().identity(guid.0, Role::Server, Authority::shared());
        let budget = Budget::new(BUDGET_BYTES, BUDGET_BYTES);
        let server = Server::bind(([127, 0, 0, 1], 0).into(), &identity, LinkLimits::server(), budget);
        Self { guid, server: server.expect("a socket") }
    }

    /// Where it listens.
    ///
    /// # Panics
    ///
    /// If the system does not say.
    pub fn addr(&self) -> SocketAddr {
        self.server.local_addr().expect("its address")
    }

    /// Who it is.
    pub fn guid(&self) -> ServerGuid {
        self.guid
    }

    /// The next that dials, welcomed without a word of what may be asked.
    ///
    /// # Panics
    ///
    /// If nobody comes.
    pub async fn accept(&self) -> StubLink {
        let path = Some(vec![Mark::of(self.guid.0)]);
        let own = Hello { path, ..Hello::default() };
        let hello = places::write(own, Some(Resume::at(1, Position(0), None)));
        let handshake = within("somebody who dials", self.server.accept()).await.expect("a server that listens");
        let pending = within("a Hello", handshake.complete()).await.expect("a Hello");
        StubLink(within("a link", pending.accept(hello)).await.expect("a link"))
    }
}

impl StubLink {
    /// The link itself.
    pub fn link(&self) -> &Link {
        &self.0
    }

    /// The next thing that is asked.
    ///
    /// # Panics
    ///
    /// If it is no message.
    pub async fn heard(&self) -> Heard {
        let incoming = within("an exchange", self.0.accept_exchange()).await.expect("an exchange");
        let exchange = within("its document", incoming.document()).await.expect("a document");
        let body = exchange.document().body.clone();
        let facts = Validated::new(body, &Limits::default()).expect("a document that can be read");
        Heard { exchange, facts }
    }

    /// Asks whoever dialled, and reads the whole answer.
    ///
    /// # Panics
    ///
    /// If the answer breaks off.
    pub async fn ask(&self, document: Bytes) -> Answered {
        let read = |body| Validated::new(body, &Limits::default()).expect("an answer that can be read");
        let asked = async {
            let mut asked = self.0.open_exchange(&[document]).await.expect("an exchange");
            let reply = read(asked.recv().await.expect("an answer").expect("its reply").body);
            let mut deliveries = Vec::new();
            while let Some(frame) = asked.recv().await.expect("an answer") {
                deliveries.push(read(frame.body));
            }
            Answered { reply, deliveries, snapshot: 0 }
        };
        within("an answer from below", asked).await
    }
}

impl Heard {
    /// Its messages.
    ///
    /// # Panics
    ///
    /// If it has parts, or a message of another set.
    pub fn messages(&self) -> Vec<Said> {
        messages(&self.facts)
    }

    /// The only one.
    ///
    /// # Panics
    ///
    /// If there are several.
    pub fn message(&self) -> Said {
        let mut messages = self.messages();
        assert_eq!(messages.len(), 1);
        messages.remove(0)
    }

    /// The document.
    pub fn facts(&self) -> &Validated {
        &self.facts
    }

    /// Agrees to all of it and delivers these documents.
    pub async fn succeed(self, deliveries: &[Bytes]) {
        let statuses = vec![ReplyStatus::Succeeded; self.messages().len()];
        self.answer(&statuses, deliveries).await;
    }

    /// Answers with these statuses, whatever was asked, and delivers these documents.
    ///
    /// # Panics
    ///
    /// If the link is gone.
    pub async fn answer(mut self, statuses: &[ReplyStatus], deliveries: &[Bytes]) {
        let intake = Intake::of(&self.facts).expect("a message");
        let Body::Orders(orders) = &intake.part.body else { panic!("parts") };
        let leaf = |status: &ReplyStatus| Leaf {
            status: status.clone(),
            why: (*status != ReplyStatus::Succeeded).then(|| "not here".to_owned()),
            ..Leaf::new(&intake.part.hop, &orders.orders[0], Ok(()))
        };
        let body = AnswerBody::Leaves(statuses.iter().map(leaf).collect());
        let answer = Answer { server: None, client: None, body };
        let reply = answer.render(intake.spelling, draft::fresh_id(), "2026-01-15T09:30:00Z");
        let answered = async {
            self.exchange.reply(0, &[reply]).await?;
            for delivery in deliveries {
                let header = FrameHeader::over(Kind::Delivery, std::slice::from_ref(delivery));
                self.exchange.deliver(&header, std::slice::from_ref(delivery)).await?;
            }
            self.exchange.end().await
        };
        within("room for an answer", answered).await.expect("an answer");
    }
}

/// The messages of a document.
///
/// # Panics
///
/// If it is a reply, or has parts, or a message of another set.
pub fn messages(facts: &Validated) -> Vec<Said> {
    let Root::Message(core) = &facts.document().root else { panic!("a reply") };
    let Payload::Messages(messages) = &core.payload else { panic!("parts") };
    let version = |message: &Message| match message {
        Message::Version(message) => (message.major.clone(), message.minor.clone(), message.data.infos().to_vec()),
        Message::Opaque(_) => panic!("another message set"),
    };
    messages.iter().map(version).collect()
}
