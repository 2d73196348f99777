//! Clause 1: both directions, any vendor, one format, rights as a matter of operation.

use bytes::Bytes;
use relay::config::Guid;
use schemas::core::ReplyStatus;
use schemas::version::{Container, Info, VersionInfo};
use tests::harness::draft::{self, said};
use tests::harness::{TestClient, TestServer};

use super::{CLIENT, PROVIDER, Pair, SERVER, SIBLING, assert_status, ids, listener, pushed_to};

// R-1-1: on one connection each side delivers to the other, and each is answered.
#[tokio::test]
async fn c1_both_ends_of_a_link_deliver() {
    let server = TestServer::with_providers(SERVER, &[PROVIDER, SIBLING]).await;
    let both = TestClient::connect(&server, PROVIDER).await;
    both.ask(draft::register(&[draft::product("theirs")])).await.succeeded();
    let other = TestClient::connect(&server, SIBLING).await;
    other.ask(draft::register(&[draft::product("ours")])).await.succeeded();
    both.ask(draft::deliver(&[draft::item("up", "ours")])).await.succeeded();
    other.ask(draft::deliver(&[draft::item("down", "theirs")])).await.succeeded();
    assert_eq!(ids(&both.take_until("down").await), ["down"]);
    assert_eq!(ids(&other.take_until("up").await), ["up"]);
    server.snapshot_when(|snapshot| snapshot.shard.taken == 2 && snapshot.shard.unanswered == 0).await;
}

/// What one vendor says about one of its components.
fn advisory(vendor: &str, package: &str, file: &str, versions: &str) -> VersionInfo {
    let container = Container {
        package: Some(package.into()),
        version: versions.into(),
        file_name: Some(file.into()),
        ..Container::default()
    };
    let info = Info { source: Some(vendor.into()), ..said("ADV-1", Info { container, ..Info::default() }) };
    VersionInfo { company: Some(vendor.into()), info: vec![info], ..VersionInfo::default() }
}

fn installed(package: &str, file: &str, version: &str) -> VersionInfo {
    let container = Container { package: Some(package.into()), ..draft::component(file, version).container };
    VersionInfo { info: vec![Info { container, ..Info::default() }], ..VersionInfo::default() }
}

/// The same journey for any vendor: its notation of versions is data.
async fn check_vendor(guid: u128, advisory: &VersionInfo, hit: &VersionInfo, miss: &VersionInfo) {
    let provider_guid = schemas::guid::ClientGuid(guid);
    let server = TestServer::with_providers(SERVER, &[provider_guid]).await;
    let provider = TestClient::connect(&server, provider_guid).await;
    let (affected, safe) = (listener(&server, CLIENT).await, listener(&server, SIBLING).await);
    affected.ask(draft::request_full(std::slice::from_ref(hit))).await.succeeded();
    safe.ask(draft::request_full(std::slice::from_ref(miss))).await.succeeded();
    provider.ask(draft::deliver(std::slice::from_ref(advisory))).await.succeeded();
    assert_eq!(ids(&pushed_to(&affected, &provider).await), ["ADV-1"]);
    assert!(pushed_to(&safe, &provider).await.is_empty());
}

// R-1-3: two vendors, two ways to count versions, one test.
#[tokio::test]
async fn c1_any_vendor_is_served_by_configuration_alone() {
    let quill = advisory("Quill Software", "cargo", "quill-core", "vers:cargo/<1.4.0");
    let (affected, safe) = (installed("cargo", "quill-core", "1.3.9"), installed("cargo", "quill-core", "1.4.0"));
    Box::pin(check_vendor(0xa1, &quill, &affected, &safe)).await;
    let zed = advisory("Zed Werke", "zed-box", "zed.img", "Spring 2026");
    let (affected, safe) =
        (installed("zed-box", "zed.img", "Spring 2026"), installed("zed-box", "zed.img", "Autumn 2026"));
    Box::pin(check_vendor(0xa2, &zed, &affected, &safe)).await;
}

// R-1-4 in part (one server and a test client; no relay behind a relay, no agent): the provider's bytes, in the log, after
// a restart, pushed and asked for.
#[tokio::test]
async fn c1_the_inner_message_is_the_same_bytes_everywhere() {
    let mut pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    let source: Vec<Bytes> =
        (0..20).map(|number| draft::deliver(&[draft::item(&format!("item-{number}"), "P")])).collect();
    for document in &source {
        pair.deliver(document.clone()).await;
    }
    let digests: Vec<_> = source.iter().map(|document| schemas::digest::Digest::of(document)).collect();
    let of = |got: Vec<tests::harness::Got>| got.into_iter().map(|item| item.digest).collect::<Vec<_>>();
    assert_eq!(of(pair.pushed().await), digests);
    pair.server.restart().await;
    let client = TestClient::connect(&pair.server, CLIENT).await;
    assert_eq!(of(client.ask(draft::request(&[draft::product("P")])).await.items()), digests);
}

// R-1-6: who may deliver is written in the configuration.
#[tokio::test]
async fn c1_a_change_of_policy_lets_in_what_was_refused() {
    let mut server = TestServer::start(SERVER, |_| ()).await;
    let document = draft::deliver(&[draft::item("item", "P")]);
    let vendor = TestClient::connect(&server, PROVIDER).await;
    assert_status(&vendor.ask(document.clone()).await, &ReplyStatus::MajorNotSupported);
    server.restart_with(|config| config.policy.providers = [Guid(PROVIDER)].into()).await;
    let vendor = TestClient::connect(&server, PROVIDER).await;
    vendor.ask(document).await.succeeded();
    server.restart_with(|config| config.policy.providers.clear()).await;
    let vendor = TestClient::connect(&server, PROVIDER).await;
    assert_status(&vendor.ask(draft::deliver(&[draft::item("more", "P")])).await, &ReplyStatus::MajorNotSupported);
    assert_eq!(vendor.ask(draft::request(&[draft::product("P")])).await.ids(), ["item"]);
}
