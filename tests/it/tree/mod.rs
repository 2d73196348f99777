//! Servers in a tree, each a whole server with a store of its own, over real QUIC.

mod annex_a;
mod below;
mod c6;
mod c8_2_2;
mod c9_3;
mod damage;
mod fidelity;
mod fleet;
mod outage;
mod privacy;
mod project;
mod providers;
mod replay;
mod several;
mod trust;

use relay::config::{Asks, Config, Upstream};
use relay::driver::Snapshot;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::version::VersionInfo;
use tests::harness::{TestClient, TestServer, draft};

/// A provider that every root knows.
const PROVIDER: ClientGuid = ClientGuid(0x9001);

/// A server without upstream that takes this provider's items.
async fn root(guid: u128) -> TestServer {
    root_of(guid, &[]).await
}

/// The same, to which these local servers may speak for those below them.
async fn root_of(guid: u128, local_servers: &[u128]) -> TestServer {
    TestServer::start(ServerGuid(guid), |config| {
        config.policy.providers = [relay::config::Guid(PROVIDER)].into();
        config.policy.local_servers = local_servers.iter().map(|guid| relay::config::Guid(ClientGuid(*guid))).collect();
    })
    .await
}

/// A server under another.
async fn under(upstream: &TestServer, guid: u128, asks: Asks) -> TestServer {
    under_all(guid, vec![Upstream::with(upstream.addr(), upstream.guid(), asks)], |_| ()).await
}

/// A server under several, with its configuration changed.
async fn under_all(guid: u128, upstreams: Vec<Upstream>, change: impl FnOnce(&mut Config)) -> TestServer {
    let count = upstreams.len();
    let server = TestServer::start(ServerGuid(guid), |config| {
        config.upstream = upstreams;
        // However slow the machine: whoever asks is answered with what the upstreams have.
        config.policy.combine_milliseconds = 30_000;
        change(config);
    })
    .await;
    synchronised(&server, count).await;
    server
}

/// Waits until so many links to upstreams stand and have brought what was asked for.
async fn synchronised(server: &TestServer, uplinks: usize) {
    server.snapshot_when(|snapshot| snapshot.uplinks_synchronised == uplinks).await;
}

/// How many messages of a Major a server has answered.
fn answered(snapshot: &Snapshot, major: &str) -> u64 {
    let of_major = snapshot.engine.answered.iter().filter(|((of, ..), _)| *of == major);
    of_major.map(|(_, count)| *count).sum()
}

/// Delivers items, each in a document of its own.
async fn publish(provider: &TestClient, items: &[VersionInfo]) {
    for item in items {
        provider.ask(draft::deliver(std::slice::from_ref(item))).await.succeeded();
    }
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
