//! SIGTERM's other half: what a server that stops does with what is under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agent::config::{Config, Guid};
use agent::publish::{self, Part, Told};
use link::pki::Role;
use relay::config::Guid as ClientGuidText;
use relay::run::Stopped;
use schemas::guid::{ClientGuid, ServerGuid};
use tests::harness::{Authority, TestServer, draft, within};

const PROVIDER: ClientGuid = ClientGuid(0x7201);
const ITEMS: usize = 400;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_finishes_the_exchanges_that_are_under_way() {
    let mut server = TestServer::start(ServerGuid(0x7200), |config| {
        config.policy.providers = [ClientGuidText(PROVIDER)].into();
        config.limits.drain_seconds = 30;
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let config = provider(&server, folder.path());
    let items = (0..ITEMS).map(|number| draft::component_item(&format!("D-{number}"), "drained", "1.0"));
    let parts: Vec<Part> = items.map(|info| Part::new("", &[info])).collect();
    let (answered, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
    let (count, notify) = (answered.clone(), seen.clone());
    // The link ends in the middle, and nobody answers at that port again: the provider is given up below.
    let publishing = tokio::spawn(async move {
        let told = |told: Told<'_>| {
            if let Told::Answered { outcome: Ok(()), .. } = told {
                count.fetch_add(1, Ordering::SeqCst);
                notify.notify_one();
            }
        };
        publish::publish(&config, &parts, told).await
    });
    within("the first answer", seen.notified()).await;
    assert_eq!(server.stop().await, Stopped::Drained);
    publishing.abort();
    let told = answered.load(Ordering::SeqCst);
    server.start_again().await;
    let kept = server.snapshot_when(|snapshot| snapshot.number > 0).await.items;
    assert!(kept >= told, "{told} items were acknowledged, {kept} are kept");
}

fn provider(server: &TestServer, state: &std::path::Path) -> Config {
    let authority = Authority::shared();
    let files = authority.issue(PROVIDER.0, Role::Client);
    let mut config = Config::new(server.guid());
    config.server.address = server.addr();
    config.server.guid = Guid(server.guid());
    config.identity.certificate = files.certificate;
    config.identity.key = files.key;
    config.identity.ca = authority.certificate();
    config.state.directory = state.to_owned();
    config
}
