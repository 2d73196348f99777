//! A local server with two providers' servers above it.

use relay::config::{Asks, Upstream};
use schemas::guid::ClientGuid;
use schemas::version::VersionInfo;
use tests::harness::draft::{self, component_item};
use tests::harness::{Forwarder, TestClient, TestServer};

use super::{PROVIDER, foreign, publish, root, same_realm, synchronised, under_all};

struct Source {
    server: TestServer,
    provider: TestClient,
    way: Forwarder,
}

impl Source {
    async fn start(guid: u128) -> Self {
        let server = root(guid).await;
        let provider = TestClient::connect(&server, PROVIDER).await;
        let way = Forwarder::to(server.addr()).await;
        Self { server, provider, way }
    }

    async fn start_again(&mut self) {
        self.server.start_again().await;
        self.way.lead_to(self.server.addr());
        self.provider = TestClient::connect(&self.server, PROVIDER).await;
    }
}

async fn under_both(guid: u128, sources: [&Source; 2], asks: Asks) -> TestServer {
    let upstreams = sources.map(|source| Upstream::with(source.way.addr(), source.server.guid(), asks)).into();
    under_all(guid, upstreams, |_| ()).await
}

fn runs(file: &str) -> VersionInfo {
    draft::asset("Editor", "1", vec![draft::component(file, "1")])
}

async fn ids_until(client: &TestClient, last: &str) -> Vec<String> {
    client.take_until(last).await.into_iter().map(|item| item.id).collect()
}

/// The same bytes come from both: with what was there when it was asked for, and pushed.
async fn both_ways(guid: u128, asks: Asks) {
    let (one, other) = (Source::start(guid).await, Source::start(guid + 0x100).await);
    let both = async |item: VersionInfo| {
        let document = draft::deliver(&[item]);
        one.provider.ask(document.clone()).await.succeeded();
        other.provider.ask(document).await.succeeded();
    };
    both(component_item("before", "a.so", "1")).await;
    publish(&one.provider, &[component_item("of one", "a.so", "1")]).await;
    publish(&other.provider, &[component_item("of the other", "a.so", "1")]).await;
    let isp = under_both(guid + 0x200, [&one, &other], asks).await;
    let client = TestClient::connect(&isp, ClientGuid(guid << 16)).await;
    let answered = client.ask(draft::request_full(&[runs("a.so")])).await.succeeded();
    assert_eq!(answered.ids(), ["before", "of one", "of the other"], "combined, each once");
    synchronised(&isp, 2).await;
    for number in 0..20 {
        both(component_item(&format!("after-{number}"), "a.so", "1")).await;
    }
    // What each upstream has sent before these is here before these.
    publish(&one.provider, &[component_item("end of one", "a.so", "1")]).await;
    publish(&other.provider, &[component_item("end of the other", "a.so", "1")]).await;
    let mut got = Vec::new();
    while !(got.contains(&"end of one".to_owned()) && got.contains(&"end of the other".to_owned())) {
        got.extend(client.take().await.items().into_iter().map(|item| item.id));
    }
    got.retain(|id| id.starts_with("after-"));
    got.sort();
    let mut wanted: Vec<String> = (0..20).map(|number| format!("after-{number}")).collect();
    wanted.sort();
    assert_eq!(got, wanted, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_that_comes_both_ways_takes_effect_once() {
    Box::pin(both_ways(0xe000, same_realm())).await;
    Box::pin(both_ways(0xe400, foreign())).await;
}

// R-9.3-15: one of two servers above is gone; what the other has comes as ever, and the first catches up when it is
// back.
#[tokio::test(flavor = "multi_thread")]
async fn c9_3_losing_one_upstream_leaves_the_other() {
    for (guid, asks) in [(0xe800, same_realm()), (0xec00, foreign())] {
        let (mut one, other) = (Source::start(guid).await, Source::start(guid + 0x100).await);
        for source in [&one, &other] {
            publish(&source.provider, &[component_item("first", "a.so", "1"), component_item("b", "b.so", "1")]).await;
        }
        let isp = under_both(guid + 0x200, [&one, &other], asks).await;
        let client = TestClient::connect(&isp, ClientGuid(guid << 16)).await;
        client.ask(draft::request_full(&[runs("a.so")])).await.succeeded();
        synchronised(&isp, 2).await;

        one.server.stop().await;
        synchronised(&isp, 1).await;
        publish(&other.provider, &[component_item("of the other", "a.so", "1")]).await;
        assert!(ids_until(&client, "of the other").await.contains(&"of the other".to_owned()));
        let late = TestClient::connect(&isp, ClientGuid((guid << 16) + 1)).await;
        let answered = late.ask(draft::request_full(&[runs("b.so")])).await.succeeded();
        assert_eq!(answered.ids(), ["b"], "asked of the one that is there");

        one.start_again().await;
        publish(&one.provider, &[component_item("of one", "a.so", "1")]).await;
        assert!(ids_until(&client, "of one").await.contains(&"of one".to_owned()));
    }
}
