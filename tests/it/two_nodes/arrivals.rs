//! One blob that many bring at the same time is read once.

use std::sync::mpsc;
use std::time::Duration;

use schemas::guid::{ClientGuid, ServerGuid};
use schemas::version::{Code, CodeContent, CodeKind, Container, Info, VersionInfo};
use tests::harness::{TestClient, TestServer, draft, within};
use tokio::task::JoinSet;

/// Links, and on each as many exchanges as a server takes at once: eight streams, one of them for control.
const LINKS: u128 = 143;
const EXCHANGES: usize = 7;
const ARRIVALS: usize = LINKS as usize * EXCHANGES;

/// An item so long that it is read on a thread of its own.
fn long() -> VersionInfo {
    let content = CodeContent {
        span: Default::default(),
        kind: CodeKind::Binary,
        reference: None,
        text: "QUJD".repeat(66 << 10).into(),
    };
    let code = Code { content: Some(content), ..Code::default() };
    let container = Container { version: "2".into(), code: Some(code), ..Container::default() };
    VersionInfo { info: vec![draft::said("long", Info { container, ..Info::default() })], ..draft::product("Editor") }
}

/// A metric of a server.
async fn counted(server: &TestServer, name: &str) -> usize {
    let page = server.page("/metrics").await;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{page}")).parse().unwrap()
}

async fn arrive() {
    let clients: Vec<ClientGuid> = (1..=LINKS).map(|number| ClientGuid(0x6_0000 + number)).collect();
    let providers = clients.iter().copied().map(relay::config::Guid).collect();
    let server = TestServer::start(ServerGuid(0x6_ffff), |config| {
        config.policy.providers = providers;
        config.limits.inbound_bytes = 2 << 30;
    })
    .await;
    let mut links = Vec::new();
    for client in clients {
        links.push(std::sync::Arc::new(TestClient::connect(&server, client).await));
    }
    // The one thread on which long documents are read has something else to do until everybody is there.
    let (free, until_free) = mpsc::sync_channel::<()>(1);
    let busy = tokio::task::spawn_blocking(move || until_free.recv());
    let document = draft::deliver(&[long()]);
    let mut sending = JoinSet::new();
    for link in links.iter().flat_map(|link| std::iter::repeat_n(link, EXCHANGES)) {
        let (link, document) = (link.clone(), document.clone());
        sending.spawn(async move { drop(link.ask(document).await.succeeded()) });
    }
    let all_are_there = async {
        while counted(&server, "distributary_documents_received_total").await < ARRIVALS {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("every document", all_are_there).await;
    assert_eq!(sending.try_join_next().map(|sent| sent.is_ok()), None, "nobody is answered yet");
    free.send(()).unwrap();
    busy.await.unwrap().unwrap();
    while let Some(answered) = within("an answer", sending.join_next()).await {
        answered.unwrap();
    }
    assert_eq!(counted(&server, "distributary_documents_received_total").await, ARRIVALS);
    assert_eq!(counted(&server, "distributary_documents_read_total").await, 1, "all others waited for the first");
    let snapshot = server.snapshot().await;
    assert_eq!((snapshot.engine.accepted, snapshot.engine.duplicates), (1, ARRIVALS as u64 - 1));
}

// P-3: over real links. One thread for tasks, so that whoever is counted as there has been seen to wait; and one for long
// documents, so that the test says when the first is read.
#[test]
fn p_3_a_thousand_arrivals_over_links_are_read_once() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(arrive());
}
