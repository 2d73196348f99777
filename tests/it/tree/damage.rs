//! A bit changes on a server's disk: the item counts as missing and is fetched again, and nobody takes other bytes for it.

use std::os::unix::fs::FileExt;
use std::path::Path;

use agent::config::AssetSource;
use agent::view::View;
use dialler::places;
use link::close::CloseCode;
use link::endpoint::ConnectError;
use link::hello::Hello;
use node::ids::{Position, Resume};
use relay::config::Upstream;
use schemas::guid::ClientGuid;
use schemas::version::VersionInfo;
use tests::harness::draft::{self, commented};
use tests::harness::{TestAgent, TestClient, TestServer, within};

use super::{PROVIDER, publish, root, same_realm, under_all};
use crate::two_nodes::observed;

/// What the items say: found again in the files of the log.
const SAID: [&str; 3] = ["The first of three things to say", "The second of three things", "The last of three things"];

fn items() -> Vec<VersionInfo> {
    let item = |(number, said): (usize, &&str)| commented(draft::item(&format!("item-{number}"), "Editor"), said);
    SAID.iter().enumerate().map(item).collect()
}

/// Changes one bit of this text in a server's log, as it stands in the file.
fn flip(server: &TestServer, said: &str) {
    let mut flipped = 0;
    for file in std::fs::read_dir(server.folder().join("store")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "seg") {
            flipped += flip_in(&path, said.as_bytes());
        }
    }
    assert_eq!(flipped, 1, "it stands in one place");
}

fn flip_in(path: &Path, said: &[u8]) -> usize {
    let bytes = std::fs::read(path).unwrap();
    // The item: what is known of it stands before it, and may say the same.
    let Some(at) = bytes.windows(said.len()).rposition(|window| window == said) else { return 0 };
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    // What a bit makes of an upper case letter is the lower case one: still a document, and another.
    file.write_all_at(&[bytes[at] ^ 0x20], at as u64).unwrap();
    1
}

/// A root with its provider, and a local server below with small segments. These clients of it wait for the items and are
/// away; it has them.
async fn local_with_items(guid: u128, waiting: &[ClientGuid]) -> (TestServer, TestClient, TestServer) {
    let root = root(guid).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    let upstream = Upstream::with(root.addr(), root.guid(), same_realm());
    let local = under_all(guid + 0x100, vec![upstream], |config| config.store.segment_bytes = 1024).await;
    wait_for_items(&local, waiting).await;
    publish(&provider, &items()).await;
    local.snapshot_when(|snapshot| snapshot.items == SAID.len()).await;
    (root, provider, local)
}

/// Clients with a standing subscription, which leave.
async fn wait_for_items(server: &TestServer, clients: &[ClientGuid]) {
    for client in clients {
        let client = TestClient::connect(server, *client).await;
        client.ask(draft::register(&[draft::product("Editor")])).await.succeeded();
        client.leave().await;
    }
}

fn agent(server: &TestServer, guid: ClientGuid, folder: &Path) -> TestAgent {
    let path = folder.join("assets.toml");
    std::fs::write(&path, "[[asset]]\nname = \"Editor\"\nversion = \"1\"\n").unwrap();
    let asset = AssetSource { name: "device".to_owned(), cargo_lock: None, list: Some(path) };
    TestAgent::start(server, guid, &folder.join("state"), vec![asset])
}

/// Waits until an agent has everything, as it was said.
async fn has_all(agent: TestAgent, folder: &Path) {
    let has_come = |lines: &[agent::journal::Line]| lines.iter().filter(|line| line.id.is_some()).count() >= SAID.len();
    agent.lines_when("every item", has_come).await;
    agent.stop().await;
    let mut said: Vec<String> =
        View::load(&folder.join("state")).unwrap().items.iter().map(|item| item.title.to_string()).collect();
    said.sort();
    let mut expected = SAID.to_vec();
    expected.sort_unstable();
    assert_eq!(said, expected);
}

#[tokio::test]
async fn what_was_damaged_while_the_server_was_down_is_named_and_fetched_again() {
    let waiting = ClientGuid(0x5_0001);
    let (_root, _provider, mut local) = local_with_items(0x5_0000, &[waiting]).await;
    local.stop().await;
    flip(&local, SAID[1]);
    let log = observed::log();
    local.start_again().await;
    let named = log.text();
    let line = named.lines().find(|line| line.contains("counts as missing")).unwrap_or_else(|| panic!("{named}"));
    assert!(line.starts_with("ERROR") && line.contains(".seg") && line.contains("position=2"), "{line}");
    // Nobody asks: by itself.
    let snapshot = local.snapshot_when(|snapshot| snapshot.items == SAID.len()).await;
    assert_eq!((snapshot.engine.damaged, snapshot.engine.accepted), (1, 1), "no more than what is missing");
    let folder = tempfile::tempdir().unwrap();
    has_all(agent(&local, ClientGuid(0x5_0002), folder.path()), folder.path()).await;

    local.restart().await;
    let again = local.snapshot_when(|snapshot| snapshot.uplinks_synchronised == 1).await;
    assert_eq!((again.engine.damaged, again.items), (1, SAID.len()), "the damage is still there, and the item too");
}

#[tokio::test]
async fn without_upstream_whoever_may_miss_it_is_behind_and_it_can_be_delivered_again() {
    let (concerned, other) = (ClientGuid(0x5_1001), ClientGuid(0x5_1002));
    let mut server = root(0x5_1000).await;
    let provider = TestClient::connect(&server, PROVIDER).await;
    wait_for_items(&server, &[concerned]).await;
    let stranger = TestClient::connect(&server, other).await;
    stranger.ask(draft::register(&[draft::product("Another")])).await.succeeded();
    let incarnation = stranger.incarnation();
    stranger.leave().await;
    let documents: Vec<_> = items().iter().map(|item| draft::deliver(std::slice::from_ref(item))).collect();
    for document in &documents {
        provider.ask(document.clone()).await.succeeded();
    }
    server.stop().await;
    flip(&server, SAID[0]);
    server.start_again().await;
    let client = TestClient::resume(&server, concerned, incarnation, 0).await;
    assert!(client.hello().behind, "never silence");
    assert!(!TestClient::resume(&server, other, incarnation, 0).await.hello().behind, "it misses nothing");
    let answered = client.ask(draft::request_full(&[draft::product("Editor")])).await.succeeded();
    assert_eq!(answered.ids(), ["item-1", "item-2"], "everything else is served");
    let provider = TestClient::connect(&server, PROVIDER).await;
    // The same document with the same Message_ID: what is lost is not taken for delivered.
    provider.ask(documents[0].clone()).await.succeeded();
    assert_eq!(client.take_until("item-0").await.len(), 1);
}

#[tokio::test]
async fn what_is_damaged_under_a_running_server_is_found_before_it_is_pushed() {
    let folder = tempfile::tempdir().unwrap();
    let guid = ClientGuid(0x5_2001);
    let (_root, _provider, mut local) = local_with_items(0x5_2000, &[guid]).await;
    // Now the log is read from its files.
    local.restart().await;
    flip(&local, SAID[2]);
    let log = observed::log();
    has_all(agent(&local, guid, folder.path()), folder.path()).await;
    assert_eq!(local.snapshot().await.engine.damaged, 1);
    assert!(log.text().contains("counts as missing"), "{}", log.text());
}

/// Dials as who holds nothing of this log yet.
async fn from_the_start(server: &TestServer, guid: ClientGuid, incarnation: u128) -> Result<TestClient, ConnectError> {
    let resume = Resume::at(incarnation, Position(0), None);
    TestClient::connect_with(server, guid, places::write(Hello::default(), Some(resume))).await
}

/// What ends a link that a client holds from the start of the log, if it ends before every item has come.
async fn end_of_link(client: &TestClient) -> Option<CloseCode> {
    let mut lane = match within("a lane", client.link().accept_lane()).await {
        Ok(lane) => lane,
        Err(_) => return Some(client.link().closed().await.code),
    };
    match within("a Delivery", lane.recv()).await {
        Ok(Some(frame)) => {
            assert_eq!(frame.header.position, SAID.len() as u64);
            None
        }
        Ok(None) | Err(_) => Some(within("the end of the link", client.link().closed()).await.code),
    }
}

#[tokio::test]
async fn what_changes_after_it_was_looked_at_the_receiver_refuses_and_it_is_not_sent_again() {
    let (first, second) = (ClientGuid(0x5_3001), ClientGuid(0x5_3002));
    let (_root, _provider, mut local) = local_with_items(0x5_3000, &[first, second]).await;
    local.restart().await;
    let client = TestClient::connect(&local, ClientGuid(0x5_3003)).await;
    let incarnation = client.incarnation();
    // The bundle is made and digested for the first; the second gets the same.
    let client = TestClient::resume(&local, first, incarnation, 0).await;
    assert_eq!(end_of_link(&client).await, None);
    flip(&local, SAID[1]);
    let log = observed::log();
    let mut ends = Vec::new();
    let last = loop {
        match from_the_start(&local, second, incarnation).await {
            Ok(client) if client.hello().behind => break client,
            Ok(client) => ends.push(end_of_link(&client).await),
            // So early that it was no link yet.
            Err(ConnectError::Refused(reason)) => ends.push(Some(reason.code)),
            Err(error) => panic!("{error}"),
        }
        assert!(ends.len() < 10, "{ends:?}");
    };
    assert_eq!(ends, [Some(CloseCode::Digest), Some(CloseCode::Internal)], "refused, then looked at again");
    assert!(log.text().contains("not what its digest says"), "{}", log.text());
    let mut ids = last.ask(draft::request_full(&[draft::product("Editor")])).await.succeeded().ids();
    if ids.len() < SAID.len() {
        ids.extend(last.take_until("item-1").await.into_iter().map(|item| item.id));
    }
    ids.sort();
    assert_eq!(ids, ["item-0", "item-1", "item-2"]);
    assert_eq!(local.snapshot().await.engine.damaged, 1);
}
