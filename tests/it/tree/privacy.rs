//! What leaves a realm: every frame that a local server sends upwards in a whole run, searched for what its clients wrote.

use agent::config::AssetSource;
use link::frame::Kind;
use link::hello::Hello;
use node::answer::{Answer, AnswerBody, Leaf};
use relay::config::{Ask, Asks, Upstream};
use schemas::core::{Description, ReplyStatus};
use schemas::facts::Validated;
use schemas::guid::ClientGuid;
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::version::{Container, Info, Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};
use tests::harness::draft::{self, component_item};
use tests::harness::{Capture, Recorder, TestAgent, TestClient, TestServer, Way, leaves};

use super::{PROVIDER, foreign, publish, root_of, same_realm, synchronised, under_all};

/// No two clients have a digit in common where it matters, and none is in anything else.
const CLIENTS: [ClientGuid; 4] = [
    ClientGuid(0x9a1d_77c3_5b0e_4f62_8d19_c4e0_6b7a_2f31),
    ClientGuid(0x2c8e_10f5_d7b9_4a36_b5e2_7f90_3c1d_8a64),
    ClientGuid(0x6f43_b2a8_0e9c_4d17_a1c6_58d3_f70b_9e25),
    ClientGuid(0xe1b6_4d92_8f05_4c7a_97f3_2a6e_d81c_05b9),
];

/// What clients write where their server must look at it: each must be passed on within a realm, and none beyond.
const WRITTEN: [&str; 18] = [
    "Quokka Product",
    "quokka-4.1.0",
    "Quokka Company",
    "Quokka Source",
    "QUOKKA-2026-0001",
    "<p>Quokka & what it is for</p>",
    "https://host.quokka.example/info?a=1&b=2",
    "quokka-package",
    "quokka-format",
    "/home/quokka/bin/editor",
    "quokka-language",
    "Installed by quokka on host17.quokka.example \"at home\"",
    "quokka-component.so",
    "0.9-quokka",
    // Beside the name of a component that everybody knows.
    "1.0.150+quokka",
    "quokka agent product",
    "7.7.7-quokka",
    "quokka-agent-lib.so",
];

/// What they write beside it: it stays with their server in every case.
const ASIDE: [&str; 5] =
    ["quokka program 1.0", "Quokka has no room", "Quokka publishes", "Quokka asks for an analysis", "Quokka dances"];

/// An asset with something in each place where a client can write.
fn asset() -> VersionInfo {
    let known = draft::component("pkg:cargo/serde", WRITTEN[14]);
    let own = draft::component(WRITTEN[12], WRITTEN[13]);
    let container = Container {
        package: Some(WRITTEN[7].into()),
        format: Some(WRITTEN[8].into()),
        version: WRITTEN[1].into(),
        contained_versions: vec![VersionInfo { info: vec![known, own], ..VersionInfo::default() }],
        file_name: Some(WRITTEN[9].into()),
        language: Some(WRITTEN[10].into()),
        author_comments: Some(WRITTEN[11].into()),
        description: Some(Description { reference: Some(WRITTEN[6].into()), ..Description::default() }),
        ..Container::default()
    };
    let info = Info {
        source: Some(WRITTEN[3].into()),
        id: Some(WRITTEN[4].into()),
        date: Some("2026-01-14".into()),
        description: Some(Description { text: Some(WRITTEN[5].into()), ..Description::default() }),
        container,
        ..Info::default()
    };
    VersionInfo {
        product_version: Some(WRITTEN[1].into()),
        company: Some(WRITTEN[2].into()),
        info: vec![info],
        ..draft::product(WRITTEN[0])
    }
}

/// What the agent lists.
const LIST: &str = "[[asset]]\nname = \"quokka agent product\"\nversion = \"7.7.7-quokka\"\n\
    [[asset.component]]\nfile = \"quokka-agent-lib.so\"\nversion = \"7.7.7-quokka\"\n\
    [[asset.component]]\nfile = \"pkg:cargo/serde\"\nversion = \"1.0.150+quokka\"\n";

/// A message in the client's own header, whose GUID stands there in one of the two notations.
fn said(client: ClientGuid, as_hex: bool, drafts: &[MessageDraft<'_>]) -> bytes::Bytes {
    let header = HeaderFields { client_guid: Some(client), ..draft::header() };
    let document = write::message(Spelling::Double, &header, drafts);
    if !as_hex {
        return document;
    }
    let text = String::from_utf8(document.to_vec()).unwrap();
    let hex = format!("#h{:032X}", client.0);
    let other = text.replace(&client.to_string(), &hex);
    assert!(other.contains(&hex), "{other}");
    other.into_bytes().into()
}

/// Both notations, with and without what stands around the digits, and the octets themselves.
fn notations(client: ClientGuid) -> Vec<Vec<u8>> {
    let hex = format!("{:032x}", client.0);
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    vec![parts.join("-").into(), hex.clone().into(), client.0.to_be_bytes().into(), client.0.to_le_bytes().into()]
}

/// A run in which clients write everything that they can write wherever they can write it, and all that leaves.
async fn a_run(guid: u128, asks: Asks) -> (Recorder, Capture) {
    let root = root_of(guid, &[guid + 0x100]).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    let advisory = |id: &str, name: &str| component_item(id, &format!("pkg:cargo/{name}"), "vers:cargo/<2.0.0");
    publish(&provider, &[advisory("A-1", "serde"), advisory("A-2", "log"), draft::item("A-3", "Public Product")]).await;
    let recorder = Recorder::before(&root);
    let upstream = Upstream::with(recorder.addr(), root.guid(), asks);
    let mut local = under_all(guid + 0x100, vec![upstream], |_| ()).await;
    let folder = tempfile::Builder::new().prefix("quokka-folder-").tempdir().unwrap();
    everything_is_written(&local, &provider, folder.path()).await;
    local.restart().await;
    synchronised(&local, 1).await;
    for client in &CLIENTS[..3] {
        let client = TestClient::connect(&local, *client).await;
        client.ask(draft::end(&[])).await.succeeded();
    }
    // What is gathered for the upstream goes before this.
    publish(&provider, &[advisory("A-9", "serde")]).await;
    let last = TestClient::connect(&local, ClientGuid(guid << 16)).await;
    last.ask(draft::request_full(&[draft::asset("Any", "1", vec![draft::component("pkg:cargo/serde", "1.0.0")])]))
        .await;
    synchronised(&local, 1).await;
    local.stop().await;
    let capture = Capture::new(recorder.up().into_iter().map(|kept| kept.body));
    (recorder, capture)
}

async fn everything_is_written(local: &TestServer, provider: &TestClient, folder: &std::path::Path) {
    let data = [asset()];
    let draft = |major, minor| MessageDraft { major, minor, data: Some(&data) };
    let asks = [draft(Major::Register, None), draft(Major::Request, Some(Minor::Full)), draft(Major::Request, None)];
    let mut clients = Vec::new();
    for (number, (guid, ask)) in CLIENTS.into_iter().zip(asks).enumerate() {
        let hello = Hello { implementation: ASIDE[0].to_owned(), ..Hello::default() };
        let client = TestClient::connect_with(local, guid, hello).await.unwrap();
        client.ask(said(guid, number == 1, &[ask])).await.succeeded();
        client.ask(said(guid, number == 0, &[draft(Major::Request, Some(Minor::Catalog))])).await.succeeded();
        clients.push(client);
    }
    std::fs::write(folder.join("assets.toml"), LIST).unwrap();
    let list = AssetSource { name: "quokka".to_owned(), cargo_lock: None, list: Some(folder.join("assets.toml")) };
    let agent = TestAgent::start(local, CLIENTS[3], &folder.join("state"), vec![list]);
    agent.lines_when("the advisory", |lines| lines.iter().any(|line| line.id.as_deref() == Some("A-1"))).await;

    publish(provider, &[component_item("A-4", "pkg:cargo/serde", "vers:cargo/<3.0.0")]).await;
    let pushed = clients[0].pushed().await;
    clients[0].send_reply(&pushed.header, refusal(&pushed.document)).await;
    for (major, word) in [(Major::Deliver, 2), (Major::Analyse, 3), (Major::Other(ASIDE[4].into()), 4)] {
        let data = [draft::item(ASIDE[word], ASIDE[word])];
        let message = MessageDraft { major, minor: None, data: Some(&data) };
        let refused = clients[0].ask(said(CLIENTS[0], false, &[message])).await.statuses();
        assert_ne!(refused, [ReplyStatus::Succeeded]);
    }
    // An upgrade, in a bundle of its own.
    let ends = [draft(Major::Register, Some(Minor::End)), draft(Major::Register, None)];
    clients[1].ask(draft::bundle(&[said(CLIENTS[1], true, &ends)])).await.succeeded();
    agent.stop().await;
}

/// Failed, with a reason in the client's own words.
fn refusal(delivery: &Validated) -> bytes::Bytes {
    let leaf = Leaf::failed(None, ASIDE[1].to_owned());
    let leaves = tests::harness::items(delivery).iter().map(|_| leaf.clone()).collect();
    let answer = Answer { server: None, client: Some(CLIENTS[0]), body: AnswerBody::Leaves(leaves) };
    answer.render(Spelling::Double, draft::fresh_id(), "2026-01-15T09:30:00Z")
}

/// What asks for something by this name.
fn requests_for(recorder: &Recorder, name: &str) -> usize {
    let asked = recorder.asked().into_iter().map(|(_, message)| message);
    asked.filter(|(major, _, infos)| *major == Major::Request && format!("{infos:?}").contains(name)).count()
}

// R-8.3-1: nothing of any client, whatever is asked for and however often.
#[tokio::test(flavor = "multi_thread")]
async fn c8_3_nothing_that_a_client_wrote_leaves_for_a_foreign_realm() {
    for (guid, ask) in [(0xf000, Ask::Names), (0xf200, Ask::Elements), (0xf400, Ask::Everything)] {
        let (recorder, capture) = Box::pin(a_run(guid, Asks { ask, ..foreign() })).await;
        assert!(recorder.up().len() >= 5, "there is something to search: {:?}", recorder.up());
        match ask {
            Ask::Names => assert_eq!(requests_for(&recorder, "pkg:cargo/serde"), 1, "one for all who run it"),
            Ask::Elements => assert_eq!(requests_for(&recorder, "A-1"), 1, "one for all who run it"),
            Ask::Everything => assert_eq!(requests_for(&recorder, "serde"), 0),
        }
        for secret in WRITTEN.iter().chain(&ASIDE).chain(&["quokka", "127.0.0.1"]) {
            assert!(!capture.tells(secret), "{ask:?}: {secret}");
        }
        for secret in CLIENTS.into_iter().flat_map(notations) {
            assert!(!capture.tells(&secret), "{ask:?}: {secret:x?}");
        }
    }
}

// The same search finds all of it where it may go.
#[tokio::test(flavor = "multi_thread")]
async fn within_a_realm_everything_is_passed_on() {
    let (recorder, capture) = Box::pin(a_run(0xf600, same_realm())).await;
    let replies = recorder.kept().into_iter().filter(|kept| (kept.way, kept.kind) == (Way::Down, Kind::Reply));
    for kept in replies {
        let reply = Validated::new(kept.body, &Limits::default()).unwrap();
        assert!(leaves(&reply).iter().all(|leaf| leaf.status == ReplyStatus::Succeeded), "{:?}", leaves(&reply));
    }
    for written in WRITTEN {
        assert!(capture.tells(written), "{written}");
    }
    for client in CLIENTS {
        assert!(notations(client).iter().any(|notation| capture.tells(notation)), "{client}");
    }
    for secret in ASIDE {
        assert!(!capture.tells(secret), "{secret}");
    }
}
