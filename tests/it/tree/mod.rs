//! Servers in a tree, each a whole server with a store of its own, over real QUIC.

mod c8_2_2;
mod project;

use relay::config::{Asks, Upstream};
use schemas::guid::{ClientGuid, ServerGuid};
use tests::harness::{TestClient, TestServer};

/// A provider that every root knows.
const PROVIDER: ClientGuid = ClientGuid(0x9001);

/// A server without upstream that takes this provider's items.
async fn root(guid: u128) -> TestServer {
    TestServer::start(ServerGuid(guid), |config| {
        config.policy.providers = [relay::config::Guid(PROVIDER)].into();
    })
    .await
}

/// A server under another.
async fn under(upstream: &TestServer, guid: u128, asks: Asks) -> TestServer {
    let above = Upstream::with(upstream.addr(), upstream.guid(), asks);
    let server = TestServer::start(ServerGuid(guid), |config| config.upstream = vec![above]).await;
    server.snapshot_when(|snapshot| snapshot.uplinks_synchronised == 1).await;
    server
}

/// Connected clients, one after the other: a server shakes hands with a few hundred at once only.
async fn clients(server: &TestServer, count: u128) -> Vec<TestClient> {
    let mut clients = Vec::new();
    for number in 1..=count {
        clients.push(TestClient::connect(server, ClientGuid((server.guid().0 << 32) | number)).await);
    }
    clients
}

/// How a server asks one of its own realm.
fn same_realm() -> Asks {
    Asks { realm: relay::config::Realm::Same, hold_seconds: 1, ..Asks::default() }
}

/// How a server asks a stranger, without the delay that would make a test wait.
fn foreign() -> Asks {
    Asks { delay_seconds: 0, hold_seconds: 1, ..Asks::default() }
}
