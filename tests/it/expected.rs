//! `EXPECTED.tsv` over real links: every example, sent by whom its outer header names, to whom it names.
//!
//! An example that is a reply answers an exchange that our client opens; the test's server answers with the file, and
//! the verdict is on the document as the client reads it. A verdict is checked by its meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use link::budget::Budget;
use link::connection::Link;
use link::endpoint::{Client, Server};
use link::hello::Hello;
use link::limits::LinkLimits;
use link::pki::Role;
use node::answer;
use relay::config::Guid;
use schemas::core::{MessageCoreReply, Reply, ReplyPayload, ReplyStatus, Root};
use schemas::facts::{SignatureState, Validated};
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use schemas::names::{CORE, CORE_SINGLE};
use tests::harness::{Answered, Authority, TestClient, TestServer, draft, leaves, within};

/// For examples whose own GUIDs cannot be read.
const SERVER: ServerGuid = ServerGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c01);
const CLIENT: ClientGuid = ClientGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c21);
/// The local server that 08 comes from, and for whom it speaks there.
const LOCAL_SERVER: ClientGuid = ClientGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c10);
const BELOW_IT: [ClientGuid; 4] = [
    CLIENT,
    ClientGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2cff),
    ClientGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c22),
    ClientGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c23),
];

/// One line of the table.
struct Example {
    name: String,
    verdict: String,
    document: Bytes,
    server: ServerGuid,
    client: ClientGuid,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/testdata/examples")
}

fn examples() -> Vec<Example> {
    let table = fs::read_to_string(folder().join("EXPECTED.tsv")).unwrap();
    let lines = table.lines().skip(1).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let (name, verdict) = line.split_once('\t').unwrap();
            let document = fs::read(folder().join(name)).unwrap();
            let text = String::from_utf8(document.clone()).unwrap();
            let field = |name: &str| {
                let (_, rest) = text.split_once(&format!("{name}>"))?;
                rest.split_once('<').map(|(value, _)| value.to_owned())
            };
            Example {
                name: name.to_owned(),
                verdict: verdict.to_owned(),
                document: document.into(),
                server: field("Server_GUID").and_then(|text| ServerGuid::parse(&text).ok()).unwrap_or(SERVER),
                client: field("Client_GUID").and_then(|text| ClientGuid::parse(&text).ok()).unwrap_or(CLIENT),
            }
        })
        .collect()
}

impl Example {
    /// By its root's name, which is what the sender meant it to be.
    fn is_reply(&self) -> bool {
        let text = std::str::from_utf8(&self.document).unwrap();
        let roots = ["Message_Core_Reply", "Message_Core"].map(|name| text.find(name));
        roots[0].is_some() && roots[0] == roots[1]
    }
}

#[test]
fn the_table_names_every_example() {
    let named: Vec<String> = examples().into_iter().map(|example| example.name).collect();
    let mut found = Vec::new();
    for kind in ["erratum", "invalid", "semantic", "valid"] {
        for file in fs::read_dir(folder().join(kind)).unwrap() {
            found.push(format!("{kind}/{}", file.unwrap().file_name().into_string().unwrap()));
        }
    }
    found.sort();
    assert_eq!(named, found);
    assert_eq!(named.len(), 46);
}

/// Every server that an example names, and who may do what there.
async fn servers(examples: &[Example]) -> BTreeMap<ServerGuid, TestServer> {
    let mut servers = BTreeMap::new();
    let guids: BTreeSet<ServerGuid> =
        examples.iter().filter(|example| !example.is_reply()).map(|example| example.server).collect();
    for guid in guids {
        let started = TestServer::start(guid, |config| {
            config.policy.providers = examples.iter().map(|example| Guid(example.client)).collect();
            let below = BELOW_IT.into_iter().map(Guid).collect();
            config.policy.subtrees = [(Guid(LOCAL_SERVER), below)].into();
        });
        servers.insert(guid, started.await);
    }
    servers
}

#[tokio::test]
async fn each_message_is_answered_as_expected() {
    let examples = examples();
    let servers = servers(&examples).await;
    let mut answered = 0;
    for example in examples.iter().filter(|example| !example.is_reply()) {
        let client = TestClient::connect(&servers[&example.server], example.client).await;
        let answer = client.ask(example.document.clone()).await;
        check_answer(example, &answer);
        // Whatever it was, the link lives.
        client.ask(draft::request(&[draft::product("none")])).await.succeeded();
        client.leave().await;
        answered += 1;
    }
    assert_eq!(answered, 37);
}

/// The answer says what the verdict says.
fn check_answer(example: &Example, answer: &Answered) {
    let Example { name, verdict, .. } = example;
    let leaves = answer.leaves();
    let said = format!("{name}: {verdict}: {leaves:?}");
    let all = |status: ReplyStatus| assert!(leaves.iter().all(|leaf| leaf.status == status), "{said}");
    assert!(!leaves.is_empty(), "{said}");
    if verdict.starts_with("accept") {
        all(ReplyStatus::Succeeded);
        assert_eq!(leaves.len(), example.document_messages(), "{said}");
    } else if let Some(why) = verdict.strip_prefix("Failed: ") {
        all(ReplyStatus::Failed);
        assert!(leaves.iter().all(|leaf| names_the_fault(&leaf.why, &clauses(why))), "{said}");
    } else if verdict.contains("Handler not available") {
        // Messages of one Payload share one fate, and only the cause has this status (R-10.1.5-6).
        let (cause, others) = leaves.split_first().unwrap();
        assert_eq!(cause.status, ReplyStatus::HandlerNotAvailable, "{said}");
        assert!(others.iter().all(|leaf| leaf.status == ReplyStatus::Failed), "{said}");
        assert!(others.iter().all(|leaf| leaf.why.contains("message 1 of this Payload")), "{said}");
    } else if verdict.starts_with("Minor Message Not Supported") {
        all(ReplyStatus::MinorNotSupported);
    } else if verdict.contains("answers Major Message Not Supported") {
        all(ReplyStatus::MajorNotSupported);
    } else if verdict.contains("its signature is a placeholder") {
        all(ReplyStatus::Succeeded);
        let read = Validated::new(example.document.clone(), &Limits::default()).unwrap();
        assert!(!read.signatures().is_empty(), "{said}");
        let unknown = |fact: &schemas::facts::SignatureFact| matches!(fact.state, SignatureState::KeyUnknown(_));
        assert!(read.signatures().iter().all(unknown), "{said}");
    } else {
        panic!("a verdict that this test does not know: {said}");
    }
    check_spelling(example, answer);
}

impl Example {
    fn document_messages(&self) -> usize {
        std::str::from_utf8(&self.document).unwrap().matches("Major_Message>").count() / 2
    }
}

/// The answer stands in the namespaces of who asked, or in the canonical ones where his are no known spelling.
fn check_spelling(example: &Example, answer: &Answered) {
    let expected = if example.verdict.contains("answer in that spelling") { CORE_SINGLE } else { CORE };
    let text = std::str::from_utf8(answer.reply.bytes()).unwrap();
    assert!(text.contains(&format!("\"{expected}\"")), "{}: {text}", example.name);
}

/// What, where (line and byte), and the clause.
fn names_the_fault(why: &str, clauses: &[String]) -> bool {
    let place = why.starts_with("line ") && why.contains(", byte ");
    place && clauses.iter().any(|clause| why.contains(&format!("({clause})")))
}

/// The clauses and decisions in a verdict's brackets, rows as their clause.
fn clauses(verdict: &str) -> Vec<String> {
    let (_, bracket) = verdict.rsplit_once('(').unwrap();
    let names = bracket.trim_end_matches(')').split(", ");
    names
        .map(|name| match name.strip_prefix("R-") {
            Some(row) => row.rsplit_once('-').unwrap().0.to_owned(),
            None => name.to_owned(),
        })
        .collect()
}

/// A client and a server with a link between them; the server's end is the test's.
async fn link_between(client: ClientGuid, server: ServerGuid) -> (Client, Link, Server, Link) {
    let authority = Authority::shared();
    let dials = authority.identity(client.0, Role::Client, authority);
    let listens = authority.identity(server.0, Role::Server, authority);
    let budget = || Budget::new(64 << 20, 64 << 20);
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let listening = Server::bind(loopback, &listens, LinkLimits::server(), budget()).unwrap();
    let addr = listening.local_addr().unwrap();
    let dialling = Client::bind(Client::any_local(addr), &dials, LinkLimits::device(), budget()).unwrap();
    let accept = async {
        let pending = listening.accept().await.unwrap().complete().await.unwrap();
        pending.accept(Hello::default()).await.unwrap()
    };
    let (above, below) =
        Box::pin(within("a link", async { tokio::join!(accept, dialling.connect(addr, server, Hello::default())) }))
            .await;
    (dialling, below.unwrap(), listening, above)
}

#[tokio::test]
async fn each_reply_is_read_as_expected() {
    let mut read = 0;
    for example in examples().iter().filter(|example| example.is_reply()) {
        let (_dialling, below, _listening, above) = Box::pin(link_between(example.client, example.server)).await;
        let request = draft::request(&[draft::product("any")]);
        let answering = async {
            let mut exchange = above.accept_exchange().await.unwrap().document().await.unwrap();
            exchange.reply(0, std::slice::from_ref(&example.document)).await.unwrap();
            exchange.end().await.unwrap();
        };
        let asking = async {
            let mut exchange = below.open_exchange(&[request]).await.unwrap();
            let frame = exchange.recv().await.unwrap().unwrap();
            assert_eq!(exchange.recv().await.unwrap(), None);
            frame
        };
        let ((), frame) = within("an answer", Box::pin(async { tokio::join!(answering, asking) })).await;
        let document = Validated::new(frame.body, &Limits::default()).unwrap_or_else(|refused| {
            panic!("{}: {}: {refused}", example.name, example.verdict);
        });
        check_read(example, &document);
        read += 1;
    }
    assert_eq!(read, 9);
}

/// The client has read every reply of the file, with the status that stands there.
fn check_read(example: &Example, document: &Validated) {
    let Example { name, verdict, .. } = example;
    assert!(verdict.starts_with("accept") || verdict.starts_with("read leniently"), "{name}: {verdict}");
    let text = std::str::from_utf8(&example.document).unwrap();
    let written: Vec<String> = text
        .split("ReplyStatus>")
        .skip(1)
        .step_by(2)
        .map(|rest| rest.split_once('<').unwrap().0.trim().to_lowercase())
        .collect();
    let read: Vec<String> = leaves(document).iter().map(|leaf| leaf.status.as_str().to_lowercase()).collect();
    assert!(!read.is_empty() && read == written, "{name}: {read:?}, not {written:?}");
    let known = |leaf: &tests::harness::Leaf| !matches!(leaf.status, ReplyStatus::Other(_));
    assert!(leaves(document).iter().all(known), "{name}");
    let Root::Reply(core) = &document.document().root else { panic!("{name}: a message") };
    let taken = answer::outcomes(core).iter().all(Result::is_ok);
    assert_eq!(taken, read.iter().all(|status| status == "succeeded"), "{name}");
    if name.contains("reply-data") {
        assert!(replies(core).iter().all(|reply| reply.data.is_some()), "{name}: Reply_Data was lost");
    }
}

fn replies(core: &MessageCoreReply) -> Vec<&Reply> {
    match &core.payload {
        ReplyPayload::Bundle(parts) => parts.iter().flat_map(replies).collect(),
        ReplyPayload::Replies(replies) => replies.iter().collect(),
    }
}
