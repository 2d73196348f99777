//! Rows of the project itself: metrics of a tree, and what they say the middle of it has saved.

use std::collections::BTreeMap;

use relay::config::{Asks, Upstream};
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::version::{Code, CodeContent, CodeKind, Container, Info, VersionInfo};
use tests::harness::{Forwarder, TestClient, TestServer, draft};
use tests::promtool;

use super::{PROVIDER, foreign, root, root_of, same_realm, under};

/// Every metric with its labels, and its value.
fn series(page: &str) -> BTreeMap<&str, f64> {
    let line = |line: &'_ str| line.starts_with("distributary_");
    let split = |line| str::rsplit_once(line, ' ').unwrap();
    page.lines().filter(|one| line(one)).map(split).map(|(name, value)| (name, value.parse().unwrap())).collect()
}

/// The client of this number asks for a product, gets one item about it, and leaves.
async fn come_and_go(server: &TestServer, provider: &TestClient, number: u64) {
    let client = TestClient::connect(server, ClientGuid(0xc_0000 + u128::from(number))).await;
    let (id, product) = (format!("item-{number}"), format!("Product {number}"));
    client.ask(draft::request_full(&[draft::product(&product)])).await.succeeded();
    provider.ask(draft::deliver(&[draft::item(&id, &product)])).await.succeeded();
    assert_eq!(client.take_until(&id).await.len(), 1);
    // An answer under way would be lost with the link; and the page is as old as the last snapshot.
    server.snapshot_when(|snapshot| snapshot.shard.taken == number).await;
    client.leave().await;
    server.snapshot_when(|snapshot| snapshot.connected == 0).await;
}

// P-9: every metric is there under load, Prometheus' own reader takes the page, and label sets stay as they are while
// clients grow.
#[tokio::test(flavor = "multi_thread")]
async fn p_9_labels_of_a_tree_do_not_grow_with_clients() {
    let root = root_of(0xc000, &[0xc100]).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    // Nothing ends meanwhile, so that what is said upwards is always the same.
    let isp = under(&root, 0xc100, Asks { hold_seconds: 3600, ..same_realm() }).await;
    come_and_go(&isp, &provider, 1).await;
    root.snapshot_when(|snapshot| snapshot.engine.answered.len() == 2).await;
    let few = [root.page("/metrics").await, isp.page("/metrics").await];
    for number in 2..=17 {
        come_and_go(&isp, &provider, number).await;
    }
    let many = [root.page("/metrics").await, isp.page("/metrics").await];
    for (few, many) in few.iter().zip(&many) {
        let (few, many) = (series(few), series(many));
        let new: Vec<_> = many.keys().filter(|name| !few.contains_key(*name)).collect();
        assert_eq!((few.len(), new), (many.len(), vec![]));
    }
    let isp = series(&many[1]);
    let value = |name: &str| isp[format!("distributary_{name}").as_str()];
    assert_eq!(value("uplinks_synchronised") + value("staleness_seconds"), 1.0);
    assert_eq!(value("cache_requests_total{outcome=\"miss\"}"), 17.0);
    assert_eq!(value("messages_answered_total{major=\"request\",minor=\"full\",status=\"succeeded\"}"), 17.0);
    assert_eq!(value("fanout_seconds_count"), value("items_answered_total{outcome=\"taken\"}"));
    assert_eq!(value("fanout_seconds_count"), 17.0);
    for page in many {
        let (_, body) = page.split_once("\r\n\r\n").unwrap();
        promtool::check_metrics(body).unwrap();
    }
}

/// Whether a count is what somebody else has counted, within one percent.
#[track_caller]
fn assert_near(what: &str, metric: f64, counted: u64) {
    assert!(
        (metric - counted as f64).abs() <= counted as f64 / 100.0,
        "{what}: {metric} by the metric, {counted} counted elsewhere"
    );
}

const CLIENTS: usize = 8;
const ITEMS: usize = 50;
/// Bytes of code in each item: too few to overrun any socket, because what is lost would be counted at one end only.
const CODE_BYTES: usize = 50_000;

/// An item about product P that brings code.
fn with_code(id: &str) -> VersionInfo {
    let text = "A".repeat(CODE_BYTES).into();
    let content = CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text };
    let code = Some(Code { content: Some(content), ..Code::default() });
    let info = Info { container: Container { code, ..Container::default() }, ..Info::default() };
    VersionInfo { info: vec![draft::said(id, info)], ..draft::product("P") }
}

// P-9, P-10: what metrics say of both edges of a local server is what was counted on the wire above it and at the
// sockets of its clients; and so is what it has saved.
#[tokio::test(flavor = "multi_thread")]
async fn p_10_what_was_saved_is_what_was_counted() {
    let root = root(0xd000).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    let way = Forwarder::to(root.addr()).await;
    let above = Upstream::with(way.addr(), root.guid(), foreign());
    let isp = TestServer::start(ServerGuid(0xd100), |config| config.upstream = vec![above]).await;
    isp.snapshot_when(|snapshot| snapshot.uplinks_synchronised == 1).await;
    let mut clients = Vec::new();
    for guid in 0..CLIENTS {
        let client = TestClient::connect(&isp, ClientGuid(0xd_0000 + guid as u128)).await;
        client.ask(draft::request_full(&[draft::product("P")])).await.succeeded();
        clients.push(client);
    }
    for number in 0..ITEMS {
        let id = format!("item-{number}");
        provider.ask(draft::deliver(&[with_code(&id)])).await.succeeded();
        for client in &clients {
            client.take_until(&id).await;
        }
    }
    isp.snapshot_when(|snapshot| snapshot.shard.taken == (CLIENTS * ITEMS) as u64).await;

    let (page, at_root) = (isp.page("/metrics").await, root.page("/metrics").await);
    let (page, at_root) = (series(&page), series(&at_root));
    let wire_bytes = |page: &BTreeMap<&str, f64>, side: &str, direction: &str| {
        page[format!("distributary_wire_bytes_total{{direction=\"{direction}\",side=\"{side}\"}}").as_str()]
    };
    let (carried, provided) = (way.forwarded(), provider.socket_bytes());
    let sockets: Vec<_> = clients.iter().map(TestClient::socket_bytes).collect();
    let (to, from) = (sockets.iter().map(|of| of.received).sum(), sockets.iter().map(|of| of.sent).sum());
    assert_near("down, out", wire_bytes(&page, "down", "out"), to);
    assert_near("down, in", wire_bytes(&page, "down", "in"), from);
    assert_near("up, in", wire_bytes(&page, "up", "in"), carried.down);
    assert_near("up, out", wire_bytes(&page, "up", "out"), carried.up);
    assert_near("root, out", wire_bytes(&at_root, "down", "out"), carried.down + provided.received);
    assert_near("root, in", wire_bytes(&at_root, "down", "in"), carried.up + provided.sent);

    let (without, with) =
        ("distributary_uplink_bytes_without_cache_total", "distributary_uplink_bytes_with_cache_total");
    assert_near("without", page[without], to + from);
    assert_near("with", page[with], carried.up + carried.down);
    let content = (ITEMS * CODE_BYTES) as f64;
    assert!(page[without] > content * CLIENTS as f64, "each client got all");
    // In segments, as all servers read them: less than its text has.
    assert!(page[with] > 0.0 && page[with] < 1.2 * content, "and the uplink carried it once");
    assert_eq!((at_root[without], at_root[with]), (0.0, 0.0), "nothing stands above a root");
}
