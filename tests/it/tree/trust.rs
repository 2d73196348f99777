//! Clause 8.3: what a provider has signed goes on as long as each node's trust file lets it, and comes back with it.

use std::path::{Path, PathBuf};

use agent::config::{AssetSource, Config};
use agent::journal::{Kind, Line};
use agent::view::View;
use bytes::Bytes;
use dialler::trust::{Settings, Unsigned};
use relay::config::Upstream;
use schemas::core::ReplyStatus;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use schemas::signature::{KeyKind, Options, PrivateKey, sign, signable};
use tempfile::TempDir;
use tests::harness::{TestAgent, TestClient, TestServer, agent_config, draft};

use super::{PROVIDER, same_realm, synchronised, under_all};

/// What every item of the drafts says of its Source.
const SOURCE: &str = "A Provider";

/// The trust files of the nodes of one test, and the key that they may name.
struct Files {
    folder: TempDir,
    key: PrivateKey,
}

impl Files {
    fn new() -> Self {
        let key = PrivateKey::generate(KeyKind::P256).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), key }
    }

    fn path(&self, node: &str) -> PathBuf {
        self.folder.path().join(format!("{node}.toml"))
    }

    /// The settings of a node that may or may not believe in the key.
    fn settings(&self, node: &str, believes: bool) -> Settings {
        self.say(node, believes);
        Settings { file: Some(self.path(node)), unsigned: Unsigned::Pass }
    }

    /// Writes a node's file anew.
    fn say(&self, node: &str, believes: bool) {
        let signer = if believes { table(&self.key, SOURCE) } else { String::new() };
        let (path, new) = (self.path(node), self.path(&format!("{node}-new")));
        std::fs::write(&new, signer).unwrap();
        std::fs::rename(new, path).unwrap();
    }
}

fn table(key: &PrivateKey, source: &str) -> String {
    let id = key.public().fingerprint();
    format!("[[signer]]\nname = \"the key of {source}\"\nkey = \"sha256:{id}\"\nsources = [\"{source}\"]\n")
}

/// A Deliver of this item about product P, its message signed.
fn signed(id: &str, key: &PrivateKey) -> Bytes {
    let facts = Validated::new(draft::deliver(&[draft::item(id, "P")]), &Limits::default()).unwrap();
    // The Message_Core, then its message.
    let message = signable(&facts)[1];
    sign(&facts, message, key, &Options::default(), &Limits::default()).unwrap().bytes().clone()
}

/// A server without upstream that takes this provider's items.
async fn root(guid: u128, trust: Settings) -> TestServer {
    TestServer::start(ServerGuid(guid), |config| {
        config.policy.providers = [relay::config::Guid(PROVIDER)].into();
        config.trust = trust;
    })
    .await
}

async fn local(root: &TestServer, guid: u128, trust: Settings) -> TestServer {
    let upstream = Upstream::with(root.addr(), root.guid(), same_realm());
    under_all(guid, vec![upstream], |config| config.trust = trust).await
}

/// An agent of a device that is product P; it looks at its files every second.
fn agent(server: &TestServer, guid: u128, folder: &Path, trust: Settings) -> TestAgent {
    let state = folder.join(format!("{guid:x}"));
    let list = folder.join("list.toml");
    std::fs::write(&list, "[[asset]]\nname = \"P\"\nversion = \"1\"\n").unwrap();
    let assets = vec![AssetSource { name: "device".to_owned(), cargo_lock: None, list: Some(list) }];
    let config = agent_config((server.addr(), server.guid()), ClientGuid(guid), &state);
    TestAgent::run(Config { assets, trust, rescan_seconds: 1, ..config })
}

fn count(lines: &[Line], kind: Kind) -> usize {
    lines.iter().filter(|line| line.event == kind).count()
}

/// What each item is shown as, by its ID.
fn shown(folder: &Path, guid: u128) -> Vec<(String, String)> {
    let view = View::load(&folder.join(format!("{guid:x}"))).unwrap();
    view.items.into_iter().map(|item| (item.id, item.signature)).collect()
}

/// What a client that was never there gets.
async fn late(server: &TestServer, guid: u128) -> Vec<String> {
    let client = TestClient::connect(server, ClientGuid(guid)).await;
    let mut ids = client.ask(draft::request_full(&[draft::product("P")])).await.succeeded().ids();
    ids.sort();
    ids
}

// R-8.3-2, R-8.3-3: what the provider signed is what the agent verifies two hops on; the key is withdrawn on each node
// while the tree runs, and given back.
#[tokio::test(flavor = "multi_thread")]
async fn c8_3_a_withdrawn_key_takes_an_item_off_every_node_and_back() {
    let files = Files::new();
    let mut root = root(0x83_0001, files.settings("root", true)).await;
    let mut local = local(&root, 0x83_0002, files.settings("local", true)).await;
    let folder = files.folder.path();
    let holder = agent(&local, 0x83_0003, folder, files.settings("holder", true));
    let provider = TestClient::connect(&root, PROVIDER).await;
    provider.ask(signed("signed", &files.key)).await.succeeded();
    provider.ask(draft::deliver(&[draft::item("plain", "P")])).await.succeeded();
    holder.lines_when("both items", |lines| count(lines, Kind::Gained) == 2 && count(lines, Kind::Trusted) == 1).await;
    let authorised = format!("authorised by the key of {SOURCE}");
    let is_shown = |signature: &str| {
        let expected = [("plain".to_owned(), "unsigned".to_owned()), ("signed".to_owned(), signature.to_owned())];
        assert_eq!(shown(folder, 0x83_0003), expected);
    };
    is_shown(&authorised);

    ["root", "local", "holder"].iter().for_each(|node| files.say(node, false));
    root.reload(|_| ()).await;
    local.reload(|_| ()).await;
    holder.lines_when("the mark", |lines| count(lines, Kind::Distrusted) == 1).await;
    assert!(shown(folder, 0x83_0003)[1].1.starts_with("not authorised: its key"), "{:?}", shown(folder, 0x83_0003));
    assert_eq!(late(&root, 0x83_0011).await, ["plain"]);
    assert_eq!(late(&local, 0x83_0012).await, ["plain"]);
    assert_eq!(root.snapshot_when(|snapshot| snapshot.barred == 1).await.items, 1);
    let newcomer = agent(&local, 0x83_0004, folder, files.settings("newcomer", true));
    newcomer.lines_when("what is not signed", |lines| count(lines, Kind::Gained) == 1).await;

    ["root", "local", "holder"].iter().for_each(|node| files.say(node, true));
    root.reload(|_| ()).await;
    local.reload(|_| ()).await;
    holder.lines_when("the right again", |lines| count(lines, Kind::Trusted) == 2).await;
    is_shown(&authorised);
    newcomer.lines_when("what came back", |lines| count(lines, Kind::Trusted) == 1).await;
    assert_eq!(late(&root, 0x83_0013).await, ["plain", "signed"]);
    assert_eq!(late(&local, 0x83_0014).await, ["plain", "signed"]);
    let lines = holder.stop().await;
    assert_eq!(count(&lines, Kind::Gained), 2, "nothing came twice");
    newcomer.stop().await;
}

// R-8.3-6: a key that may not speak for that Source: Failed, counted once, and nobody gets it.
#[tokio::test(flavor = "multi_thread")]
async fn c8_3_a_key_that_may_not_speak_for_a_source_is_refused_and_counted() {
    let (files, other) = (Files::new(), PrivateKey::generate(KeyKind::Ed25519).unwrap());
    let settings = files.settings("root", true);
    let both = format!("{}{}", table(&files.key, SOURCE), table(&other, "Somebody else"));
    std::fs::write(files.path("root"), both).unwrap();
    let mut root = root(0x83_0101, settings).await;
    let local = local(&root, 0x83_0102, Settings::default()).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    let answered = provider.ask(signed("stolen", &other)).await;
    assert_eq!(answered.statuses(), [ReplyStatus::Failed]);
    let why = &answered.leaves()[0].why;
    assert_eq!(why, "the key of Somebody else may not speak for the Source \"A Provider\"");
    root.snapshot_when(|snapshot| snapshot.engine.refused == [("source", 1)].into()).await;
    let page = root.page("/metrics").await;
    assert!(page.contains("distributary_items_refused_total{reason=\"source\"} 1\n"), "{page}");
    assert!(late(&local, 0x83_0111).await.is_empty() && late(&root, 0x83_0112).await.is_empty());

    // What is not signed passes, until the policy refuses it.
    provider.ask(draft::deliver(&[draft::item("first", "P")])).await.succeeded();
    root.reload(|config| config.trust.unsigned = Unsigned::Refuse).await;
    let answered = provider.ask(draft::deliver(&[draft::item("second", "P")])).await;
    assert_eq!(answered.statuses(), [ReplyStatus::Failed]);
    assert!(late(&root, 0x83_0113).await.is_empty());
    provider.ask(signed("third", &files.key)).await.succeeded();
    assert_eq!(late(&root, 0x83_0114).await, ["third"]);
}

// R-8.3-6: each node decides for itself; what it refused comes when it may, from above, without anybody publishing it.
#[tokio::test(flavor = "multi_thread")]
async fn c8_3_what_a_node_refused_is_asked_for_when_it_may_come() {
    let files = Files::new();
    let root = root(0x83_0201, Settings::default()).await;
    let mut local = local(&root, 0x83_0202, files.settings("local", false)).await;
    let folder = files.folder.path();
    let near = agent(&root, 0x83_0203, folder, files.settings("near", false));
    let far = agent(&local, 0x83_0204, folder, files.settings("far", true));
    synchronised(&local, 1).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    provider.ask(signed("signed", &files.key)).await.succeeded();
    let lines = near.lines_when("the refusal", |lines| count(lines, Kind::Refused) == 1).await;
    let refused = lines.iter().find(|line| line.event == Kind::Refused).unwrap();
    assert_eq!(refused.id.as_deref(), Some("signed"));
    local.snapshot_when(|snapshot| snapshot.engine.refused.get("unknown_key") == Some(&1)).await;
    assert_eq!((count(&far.lines(), Kind::Gained), count(&near.lines(), Kind::Gained)), (0, 0));

    files.say("near", true);
    near.lines_when("the item after all", |lines| count(lines, Kind::Trusted) == 1).await;
    files.say("local", true);
    local.reload(|_| ()).await;
    far.lines_when("the item after all", |lines| count(lines, Kind::Trusted) == 1).await;
    near.stop().await;
    far.stop().await;
}
