//! Clause 8.3: what a provider has signed is byte for byte what it sent, four tiers on, out of bundles and caches, and
//! after every restart.

mod documents;

use std::collections::BTreeSet;
use std::path::Path;

use agent::config::{AssetSource, Config};
use agent::journal::{self, Kind, Line};
use agent::view::View;
use bytes::Bytes;
use dialler::trust::{Settings, Unsigned};
use node::client::journal::Event;
use relay::config::Upstream;
use schemas::digest::Digest;
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::signature::{KeyKind, PrivateKey, verify};
use schemas::version::{Major, Minor};
use schemas::write::{self, MessageDraft};
use tempfile::TempDir;
use tests::harness::{TestAgent, TestClient, TestServer, agent_config, draft};
use tests::xmlsec::{Xmlsec, for_others, text};

use self::documents::{KINDS, SOURCE};
use super::{PROVIDER, same_realm, under_all};

const ROOT: u128 = 0x8310_0001;
const MIDDLE: u128 = 0x8310_0002;
const LAST: u128 = 0x8310_0003;

/// The keys of the provider, and a trust file that names them.
struct Keys {
    folder: TempDir,
    keys: [PrivateKey; 4],
}

impl Keys {
    fn new() -> Self {
        let keys = KINDS.map(|kind| PrivateKey::generate(kind).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let table = |key: &PrivateKey| {
            let (kind, id) = (key.public().kind(), key.public().fingerprint());
            format!("[[signer]]\nname = \"{kind:?}\"\nkey = \"sha256:{id}\"\nsources = [\"{SOURCE}\"]\n")
        };
        std::fs::write(folder.path().join("trust.toml"), keys.iter().map(table).collect::<String>()).unwrap();
        Self { folder, keys }
    }

    /// Nothing passes but what these keys have signed.
    fn settings(&self) -> Settings {
        Settings { file: Some(self.folder.path().join("trust.toml")), unsigned: Unsigned::Refuse }
    }

    /// An item's signatures are the provider's: here, and by another program if it knows the kind. Gives the kinds.
    fn check(&self, item: &Bytes, xmlsec: &Xmlsec) -> Vec<KeyKind> {
        let document = Validated::new(item.clone(), &Limits::default()).unwrap();
        let check = |fact: &schemas::facts::SignatureFact| {
            let verified = verify(text(&document), fact.covers, fact.span, &|_| None, &Limits::default()).unwrap();
            let key = self.keys.iter().map(PrivateKey::public).find(|key| key.fingerprint() == verified.key).unwrap();
            let other = for_others(&document, fact);
            let is_known = key.kind() != KeyKind::Ed25519;
            assert_eq!(xmlsec.verifies(&other, key, &verified.key.to_string()), is_known, "{other}");
            key.kind()
        };
        document.signatures().iter().map(check).collect()
    }
}

/// A server under this one, or a root.
async fn server(guid: u128, upstream: Option<&TestServer>, trust: Settings) -> TestServer {
    match upstream {
        Some(upstream) => {
            let upstream = Upstream::with(upstream.addr(), upstream.guid(), same_realm());
            under_all(guid, vec![upstream], |config| config.trust = trust).await
        }
        None => {
            TestServer::start(ServerGuid(guid), |config| {
                config.policy.providers = [relay::config::Guid(PROVIDER)].into();
                config.trust = trust;
            })
            .await
        }
    }
}

fn agent(server: &TestServer, guid: u128, folder: &Path, trust: Settings) -> TestAgent {
    let list = folder.join("list.toml");
    std::fs::write(&list, "[[asset]]\nname = \"P\"\nversion = \"1\"\n").unwrap();
    let assets = vec![AssetSource { name: "device".to_owned(), cargo_lock: None, list: Some(list) }];
    let config = agent_config((server.addr(), server.guid()), ClientGuid(guid), &folder.join(format!("{guid:x}")));
    TestAgent::run(Config { assets, trust, ..config })
}

fn gained(lines: &[Line]) -> usize {
    lines.iter().filter(|line| line.event == Kind::Gained).count()
}

/// What stands in an agent's journal once so many items have come; each is shown as authorised.
async fn held(agent: TestAgent, guid: u128, folder: &Path, count: usize) -> BTreeSet<Bytes> {
    agent.lines_when("every item", |lines| gained(lines) >= count).await;
    agent.stop().await;
    let state = folder.join(format!("{guid:x}"));
    let mut documents = BTreeSet::new();
    journal::read(&state, |entry| {
        if let Event::Gained { document, .. } = entry.event {
            assert!(documents.insert(document), "nothing comes twice");
        }
    })
    .unwrap();
    let shown = View::load(&state).unwrap().items;
    assert_eq!(shown.len(), count);
    assert!(shown.iter().all(|item| item.signature.starts_with("authorised by ")), "{shown:#?}");
    documents
}

/// What a client that was never there gets, in bundles, whichever spelling it asks in.
async fn late(server: &TestServer, guid: u128, spelling: Spelling, expected: &BTreeSet<Bytes>) {
    let client = TestClient::connect(server, ClientGuid(guid)).await;
    let data = [draft::product("P")];
    let draft = MessageDraft { major: Major::Request, minor: Some(Minor::Full), data: Some(&data) };
    let answered = client.ask(write::message(spelling, &draft::header(), &[draft])).await.succeeded();
    let items = answered.items();
    assert!(answered.deliveries.len() < items.len(), "{} deliveries", answered.deliveries.len());
    assert!(items.iter().all(|item| item.digest == Digest::of(&item.bytes)));
    assert_eq!(items.len(), expected.len());
    assert!(items.into_iter().map(|item| item.bytes).collect::<BTreeSet<_>>() == *expected);
}

// R-8.3-2, R-9.3-12
#[tokio::test(flavor = "multi_thread")]
async fn c8_3_what_is_signed_comes_byte_for_byte_through_every_tier_and_restart() {
    let (keys, xmlsec) = (Keys::new(), Xmlsec::new());
    let folder = keys.folder.path();
    let mut root = server(ROOT, None, keys.settings()).await;
    let mut middle = server(MIDDLE, Some(&root), keys.settings()).await;
    let mut last = server(LAST, Some(&middle), keys.settings()).await;
    let first = agent(&last, 0x8310_0011, folder, keys.settings());
    first.lines_when("its registration", |lines| lines.iter().any(|line| line.event == Kind::Registered)).await;

    let guids =
        format!("<m:Server_GUID>{}</m:Server_GUID><m:Client_GUID >{PROVIDER}</m:Client_GUID>", ServerGuid(ROOT));
    let sent = documents::all(&keys.keys, &guids);
    let expected: BTreeSet<Bytes> = sent.iter().flat_map(|document| document.items.iter().cloned()).collect();
    let provider = TestClient::connect(&root, PROVIDER).await;
    for document in &sent {
        provider.ask(document.bytes.clone()).await.succeeded();
    }
    let count = expected.len();
    assert!(held(first, 0x8310_0011, folder, count).await == expected);

    let kinds: Vec<KeyKind> = expected.iter().flat_map(|item| keys.check(item, &xmlsec)).collect();
    let by_others = kinds.iter().filter(|kind| **kind != KeyKind::Ed25519).count();
    println!("{} documents, {count} items, {} signatures, {by_others} of them by xmlsec1", sent.len(), kinds.len());
    assert_eq!((sent.len(), count, kinds.len(), by_others), (80, 96, 128, 120));
    late(&root, 0x8310_0021, Spelling::Double, &expected).await;
    late(&middle, 0x8310_0022, Spelling::Single, &expected).await;
    late(&last, 0x8310_0023, Spelling::Double, &expected).await;

    // The last server has nothing but what it keeps.
    root.stop().await;
    middle.stop().await;
    last.restart().await;
    let second = agent(&last, 0x8310_0012, folder, keys.settings());
    assert!(held(second, 0x8310_0012, folder, count).await == expected);
    late(&last, 0x8310_0024, Spelling::Single, &expected).await;
    root.start_again().await;
    late(&root, 0x8310_0025, Spelling::Single, &expected).await;
    middle.start_again().await;
    late(&middle, 0x8310_0026, Spelling::Double, &expected).await;
}
