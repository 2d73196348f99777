//! Clause 6: what the system is for, seen from where its users are.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use agent::config::AssetSource;
use agent::view::View;
use relay::config::Upstream;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::version::{Code, CodeContent, CodeKind, Container, Info, VersionInfo};
use tests::harness::draft::{self, component_item};
use tests::harness::{TestAgent, TestClient, TestServer, within};

use super::{PROVIDER, foreign, publish, root, under, under_all};

/// An agent with a list of assets.
fn agent(server: &TestServer, guid: u128, folder: &Path, list: &str) -> TestAgent {
    let path = folder.join("assets.toml");
    std::fs::write(&path, list).unwrap();
    let asset = AssetSource { name: "device".to_owned(), cargo_lock: None, list: Some(path) };
    TestAgent::start(server, ClientGuid(guid), &folder.join("state"), vec![asset])
}

// R-6-3: advice without any code, byte for byte as an example of the matrix has it, in the list that a user sees.
#[tokio::test(flavor = "multi_thread")]
async fn c6_advice_without_code_reaches_the_user() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/testdata/examples/valid");
    let file = std::fs::read_dir(example).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("06")).unwrap();
    let (own, provider) = (0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c01, 0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c21);
    let root = TestServer::with_providers(ServerGuid(own), &[ClientGuid(provider)]).await;
    let isp = under(&root, 0x4_0000, foreign()).await;
    let folder = tempfile::tempdir().unwrap();
    let agent = agent(&isp, 0x4_0001, folder.path(), "[[asset]]\nname = \"Quill Editor\"\nversion = \"4.1.0\"\n");
    let provider = TestClient::connect(&root, ClientGuid(provider)).await;
    provider.ask(std::fs::read(file).unwrap().into()).await.succeeded();
    let has_come = |lines: &[agent::journal::Line]| lines.iter().any(|line| line.id.as_deref() == Some("P1-2026-0007"));
    agent.lines_when("the advice", has_come).await;
    let view = View::load(&folder.path().join("state")).unwrap();
    let [item] = &view.items[..] else { panic!("{:?}", view.items) };
    assert_eq!((item.source.as_str(), item.title.as_str()), ("Provider 1", "Do not open macros from unknown senders."));
    assert_eq!(item.reasons[0].component, "Quill Editor");
    agent.stop().await;
}

// R-6-4: three vendors and an ISIRT, each with a server and a way of naming things of its own: one list, the same fields.
#[tokio::test(flavor = "multi_thread")]
async fn c6_items_of_all_sources_stand_in_one_list() {
    let by = |source: &str, mut item: VersionInfo| {
        item.info.iter_mut().for_each(|info| {
            info.source = Some(source.into());
            info.container.author_comments = Some(format!("What {source} says").into());
        });
        item
    };
    let items = [
        by("Vendor One", draft::item("one-1", "Editor")),
        by("Vendor Two", component_item("two-1", "lib.so", "1.2.8")),
        by("Vendor Three", component_item("three-1", "pkg:cargo/serde", "vers:cargo/<2.0.0")),
        by("ISIRT", component_item("isirt-1", "lib.so", "1.2.8")),
    ];
    let (mut servers, mut upstreams) = (Vec::new(), Vec::new());
    for (number, item) in items.iter().enumerate() {
        let server = root(0x4_1000 + number as u128).await;
        let provider = TestClient::connect(&server, PROVIDER).await;
        publish(&provider, std::slice::from_ref(item)).await;
        upstreams.push(Upstream::with(server.addr(), server.guid(), foreign()));
        servers.push(server);
    }
    let isp = under_all(0x4_1100, upstreams, |_| ()).await;
    let folder = tempfile::tempdir().unwrap();
    let list = "[[asset]]\nname = \"Editor\"\nversion = \"1\"\n\
                [[asset.component]]\nfile = \"lib.so\"\nversion = \"1.2.8\"\n\
                [[asset.component]]\nfile = \"pkg:cargo/serde\"\nversion = \"1.0.0\"\n";
    let agent = agent(&isp, 0x4_1001, folder.path(), list);
    let gained = |lines: &[agent::journal::Line]| lines.iter().filter(|line| line.id.is_some()).count() == 4;
    agent.lines_when("all four", gained).await;
    let view = View::load(&folder.path().join("state")).unwrap();
    let told: BTreeSet<(&str, &str, &str)> =
        view.items.iter().map(|item| (item.source.as_str(), item.id.as_str(), item.title.as_str())).collect();
    assert_eq!(
        told,
        [
            ("ISIRT", "isirt-1", "What ISIRT says"),
            ("Vendor One", "one-1", "What Vendor One says"),
            ("Vendor Three", "three-1", "What Vendor Three says"),
            ("Vendor Two", "two-1", "What Vendor Two says"),
        ]
        .into()
    );
    let json = serde_json::to_value(&view.items).unwrap();
    let fields = |item: &serde_json::Value| item.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let shapes: BTreeSet<Vec<String>> = json.as_array().unwrap().iter().map(fields).collect();
    assert_eq!(shapes.len(), 1, "{shapes:?}");
    let assets: BTreeSet<&str> =
        view.items.iter().flat_map(|item| item.reasons.iter().map(|because| because.asset.as_str())).collect();
    assert_eq!(assets.len(), 1, "{assets:?}");
    agent.stop().await;
}

/// An item with so many octets of code.
fn with_code(id: &str, octets: usize) -> VersionInfo {
    let text = "QUJD".repeat(octets / 3);
    let content = CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text: text.into() };
    let code = Code { content: Some(content), ..Code::default() };
    let container = Container { version: "2".into(), code: Some(code), ..Container::default() };
    let info = draft::said(id, Info { container, ..Info::default() });
    VersionInfo { info: vec![info], ..draft::product("Editor") }
}

// R-6-7: one association for all: fifty documents side by side; and while a client leaves a large answer unread, its
// Register is answered.
#[tokio::test(flavor = "multi_thread")]
async fn c6_small_messages_pass_a_large_transfer_on_the_same_link() {
    let server = root(0x4_2000).await;
    let provider = Arc::new(TestClient::connect(&server, PROVIDER).await);
    let mut sending = tokio::task::JoinSet::new();
    for number in 0..50 {
        let provider = provider.clone();
        let item = draft::item(&format!("item-{number}"), "Other");
        sending.spawn(async move { provider.ask(draft::deliver(&[item])).await.succeeded() });
    }
    while let Some(sent) = within("an answer", sending.join_next()).await {
        sent.unwrap();
    }
    provider.ask(draft::deliver(&[with_code("large", 24 << 20)])).await.succeeded();
    assert_eq!(server.snapshot().await.engine.accepted, 51);

    let client = TestClient::connect(&server, ClientGuid(0x4_2001)).await;
    let request = draft::request(&[draft::product("Editor")]);
    let mut unread = within("an exchange", client.link().open_exchange(&[request])).await.unwrap();
    assert!(within("its reply", unread.recv()).await.unwrap().is_some());
    client.ask(draft::register(&[draft::product("Other")])).await.succeeded();
    let large = within("the large item", unread.recv()).await.unwrap().unwrap();
    assert!(large.body.len() > 24 << 20, "it was on its way all the time");
    assert!(within("its end", unread.recv()).await.unwrap().is_none());
}
