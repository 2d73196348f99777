//! Clause 9.6.2, server pull: a server that asks a whole agent. What there is of the server is its end of the link.

use std::fs;

use agent::view::View;
use bytes::Bytes;
use link::budget::Budget;
use link::connection::Link;
use link::endpoint::Server;
use link::hello::{Hello, Resume};
use link::limits::LinkLimits;
use link::pki::Role;
use node::answer::{Answer, AnswerBody, Leaf};
use node::intake::{Body, Intake};
use schemas::class::Class;
use schemas::core::{Message, Payload, Root};
use schemas::digest::Digest;
use schemas::facts::Validated;
use schemas::limits::Limits;
use schemas::version::{Major, Minor, VersionInfo};
use tests::harness::{Answered, Authority, draft, within};
use tokio_util::sync::CancellationToken;

use super::agents::agent;
use super::{CLIENT, SERVER};

/// The server's end of an agent's link.
struct Above {
    link: Link,
    _server: Server,
}

impl Above {
    fn bind() -> Server {
        let identity = Authority::shared().identity(SERVER.0, Role::Server, Authority::shared());
        let budget = Budget::new(64 << 20, 64 << 20);
        Server::bind(([127, 0, 0, 1], 0).into(), &identity, LinkLimits::server(), budget).unwrap()
    }

    async fn accept(server: Server) -> Self {
        let resume = Resume { class: Class::Normal, position: 0, digest: Digest::default() };
        let hello = Hello { incarnation: Some(1), resume: vec![resume], ..Hello::default() };
        let pending = within("an agent", server.accept()).await.unwrap().complete().await.unwrap();
        Self { link: pending.accept(hello).await.unwrap(), _server: server }
    }

    /// Agrees to the next thing that the agent says: its messages.
    async fn heard(&self) -> Vec<(Major, Option<Minor>, Vec<VersionInfo>)> {
        let incoming = within("an exchange of the agent", self.link.accept_exchange()).await.unwrap();
        let mut exchange = incoming.document().await.unwrap();
        let facts = Validated::new(exchange.document().body.clone(), &Limits::default()).unwrap();
        let intake = Intake::of(&facts).unwrap();
        let Body::Orders(orders) = &intake.part.body else { panic!("messages") };
        let leaves = orders.orders.iter().map(|order| Leaf::new(&intake.part.hop, order, Ok(()))).collect();
        let answer = Answer { server: None, client: None, body: AnswerBody::Leaves(leaves) };
        let reply = answer.render(intake.spelling, draft::fresh_id(), "2026-01-15T09:30:00Z");
        exchange.reply(0, &[reply]).await.unwrap();
        exchange.end().await.unwrap();
        messages(&facts)
    }

    /// Asks the agent.
    async fn ask(&self, document: Bytes) -> Answered {
        let asked = async {
            let mut asked = self.link.open_exchange(&[document]).await.unwrap();
            let reply = read(asked.recv().await.unwrap().unwrap().body);
            let mut deliveries = Vec::new();
            while let Some(frame) = asked.recv().await.unwrap() {
                deliveries.push(read(frame.body));
            }
            Answered { reply, deliveries, snapshot: 0 }
        };
        within("the agent's answer", asked).await.succeeded()
    }
}

fn read(body: Bytes) -> Validated {
    Validated::new(body, &Limits::default()).unwrap()
}

fn messages(facts: &Validated) -> Vec<(Major, Option<Minor>, Vec<VersionInfo>)> {
    let Root::Message(core) = &facts.document().root else { panic!("a reply") };
    let hop = (core.header.server_guid.as_ref(), core.header.client_guid.as_ref());
    assert_eq!((hop.0.unwrap().value, hop.1.unwrap().value), (SERVER, CLIENT), "in the agent's own header");
    let Payload::Messages(messages) = &core.payload else { panic!("parts") };
    let version = |message: &Message| match message {
        Message::Version(message) => (message.major.clone(), message.minor.clone(), message.data.infos().to_vec()),
        Message::Opaque(_) => panic!("another message set"),
    };
    messages.iter().map(version).collect()
}

/// The agent's one message, and the versions of product P in it.
fn list(messages: &[(Major, Option<Minor>, Vec<VersionInfo>)]) -> (Major, Option<Minor>, Vec<String>) {
    let [(major, minor, infos)] = messages else { panic!("{} messages", messages.len()) };
    let version = |info: &VersionInfo| info.info[0].container.version.to_string();
    (major.clone(), minor.clone(), infos.iter().map(version).collect())
}

/// An inventory of one asset.
fn inventory(version: &str) -> String {
    format!("[[asset]]\nname = \"P\"\nversion = \"{version}\"\n")
}

// R-9.6.2-2, R-8.1-1: the server asks and the client provides, by the messages of the other way: the inventory at once,
// its changes from then on, and an item that the server brings by itself.
#[tokio::test]
async fn c9_6_2_server_pull_is_answered_with_the_inventory_and_its_changes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Above::bind();
    let mut config = agent((server.local_addr().unwrap(), SERVER), CLIENT, folder.path(), &inventory("1.0"));
    config.rescan_seconds = 1;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (config, stop) = (config.clone(), stop.clone());
        async move { agent::run::run(&config, stop).await }
    });
    let above = Above::accept(server).await;
    assert_eq!(list(&above.heard().await), (Major::Request, Some(Minor::Full), vec!["1.0".to_owned()]));

    let catalogue = |version: &str| (Major::Deliver, Some(Minor::Catalog), vec![version.to_owned()]);
    let answered = above.ask(draft::request(&[draft::product("P")])).await;
    assert_eq!(list(&messages(&answered.deliveries[0])), catalogue("1.0"));
    assert!(above.ask(draft::request(&[draft::product("Q")])).await.deliveries.is_empty());

    above.ask(draft::register(&[draft::product("P")])).await;
    fs::write(folder.path().join("assets.toml"), inventory("2.0")).unwrap();
    assert_eq!(above.heard().await.len(), 2, "the End of the old version and the Register of the new one");
    assert_eq!(list(&above.heard().await).0, Major::Request);
    assert_eq!(list(&above.heard().await), catalogue("2.0"));

    above.ask(draft::deliver(&[draft::item("brought", "P")])).await;
    let ids: Vec<String> = View::load(&config.state.directory).unwrap().items.into_iter().map(|item| item.id).collect();
    assert_eq!(ids, ["brought"], "answered when it is in the journal");
    stop.cancel();
    within("the agent to stop", running).await.unwrap().unwrap();
}
