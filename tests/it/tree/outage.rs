//! The link upwards is lost, or the local server is: what is here is served, and what was missed comes later, once.

use relay::config::{Asks, Upstream};
use schemas::guid::ClientGuid;
use schemas::version::VersionInfo;
use tests::harness::draft::{self, component_item};
use tests::harness::{Authority, Forwarder, TestClient, TestServer};

use super::{PROVIDER, foreign, publish, root, same_realm, synchronised, under, under_all};

/// What runs on a client.
fn runs(file: &str) -> VersionInfo {
    draft::asset("Editor", "1", vec![draft::component(file, "1")])
}

fn ids(items: Vec<tests::harness::Got>) -> Vec<String> {
    items.into_iter().map(|item| item.id).collect()
}

/// A root, its provider, and a local server whose way up can be cut, with an identity of its own towards the root.
async fn with_a_way_up(guid: u128, asks: Asks) -> (TestServer, TestClient, Forwarder, TestServer) {
    let root = root(guid).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    publish(&provider, &[component_item("cached", "a.so", "1"), component_item("other", "b.so", "1")]).await;
    let way = Forwarder::to(root.addr()).await;
    let above = Authority::shared().issue(guid + 0x101, link::pki::Role::Client);
    let upstream = Upstream {
        certificate: Some(above.certificate),
        key: Some(above.key),
        ..Upstream::with(way.addr(), root.guid(), asks)
    };
    let local = under_all(guid + 0x100, vec![upstream], |config| config.policy.combine_milliseconds = 100).await;
    (root, provider, way, local)
}

/// The way up is cut while items are published; `restart` says whether the local server dies meanwhile.
async fn cut(guid: u128, asks: Asks, restart: bool) {
    let (root, provider, way, mut local) = with_a_way_up(guid, asks).await;
    let client = |number: u128| ClientGuid(guid << 16 | number);
    let first = TestClient::connect(&local, client(1)).await;
    let mut got = first.ask(draft::request_full(&[runs("a.so")])).await.succeeded().ids();
    if got.is_empty() {
        got = ids(first.take_until("cached").await);
    }
    assert_eq!(got, ["cached"]);

    way.cut();
    publish(&provider, &[component_item("late", "a.so", "1"), component_item("later", "b.so", "1")]).await;
    if restart {
        // It knows at once that there is no link; otherwise it believes in the one that it had.
        local.restart().await;
    }
    let first = if restart { TestClient::connect(&local, client(1)).await } else { first };
    let again = first.ask(draft::request_full(&[runs("a.so")])).await.succeeded();
    assert_eq!(again.ids(), ["cached"], "from here");
    let second = TestClient::connect(&local, client(2)).await;
    let answered = second.ask(draft::request_full(&[runs("a.so"), runs("b.so")])).await.succeeded();
    assert_eq!(answered.ids(), ["cached"], "what is here, and the rest when it comes");

    way.mend();
    assert_eq!(ids(first.take_until("late").await), ["late"]);
    let (mut got, mut wanted) = (Vec::new(), vec!["late", "later", "other"]);
    while got.len() < wanted.len() {
        got.extend(ids(second.take().await.items()));
    }
    got.sort();
    wanted.sort_unstable();
    assert_eq!(got, wanted, "each once");
    synchronised(&local, 1).await;
    let registered = root.snapshot_when(|snapshot| snapshot.connected == 2).await.registered;
    assert_eq!(registered, 1, "one client of the root, whoever asks below");
}

// R-3.1.6-1: a client upwards and a server downwards, each with an identity of its own; cut off, it serves what it has.
#[tokio::test(flavor = "multi_thread")]
async fn c3_1_6_cut_off_it_serves_what_it_has_and_catches_up() {
    Box::pin(cut(0xd000, same_realm(), false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_1_6_cut_off_in_a_foreign_realm_likewise() {
    Box::pin(cut(0xd200, foreign(), false)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c3_1_6_cut_off_and_started_again_likewise() {
    Box::pin(cut(0xd400, same_realm(), true)).await;
    Box::pin(cut(0xd600, foreign(), true)).await;
}

// P-7 of a child that is a local server: away during three versions, it receives the last only, and so does who is
// below.
#[tokio::test(flavor = "multi_thread")]
async fn p_7_a_local_server_that_was_away_gets_the_last_of_three_versions() {
    let version = |number: u32| draft::commented(component_item("item", "a.so", "1"), &format!("Revision: {number}"));
    for (guid, asks) in [(0xd800, same_realm()), (0xda00, foreign())] {
        let root = root(guid).await;
        let provider = TestClient::connect(&root, PROVIDER).await;
        publish(&provider, &[version(1)]).await;
        let mut local = under(&root, guid + 0x100, asks).await;
        let client = TestClient::connect(&local, ClientGuid(guid << 16)).await;
        let answered = client.ask(draft::request_full(&[runs("a.so")])).await.succeeded();
        assert_eq!(answered.ids(), ["item"]);
        synchronised(&local, 1).await;
        let before = root.snapshot().await.shard.items;

        local.stop().await;
        publish(&provider, &[version(2), version(3), version(4)]).await;
        local.start_again().await;
        publish(&provider, &[component_item("last", "a.so", "1")]).await;
        let client = TestClient::connect(&local, client.guid()).await;
        let mut items = client.ask(draft::request_full(&[runs("a.so")])).await.succeeded().items();
        while !items.iter().any(|item| item.id == "last") {
            items.extend(client.take().await.items());
        }
        let versions: Vec<u64> =
            items.iter().filter(|item| item.id == "item").map(|item| item.subject.revision).collect();
        assert!(versions.iter().all(|version| [1, 4].contains(version)), "{versions:?}");
        assert_eq!(versions.last(), Some(&4));
        let after = root.snapshot().await.shard.items;
        assert_eq!(after - before, 2, "the last version, and the last word");
    }
}
