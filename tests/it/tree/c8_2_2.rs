//! Clause 8.2.2 between tiers: what a local server asks of its upstream, and what its clients get when.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use relay::config::{Ask, Asks, Upstream};
use relay::driver::Snapshot;
use schemas::guid::ClientGuid;
use schemas::version::VersionInfo;
use tests::harness::draft::{self, component_item};
use tests::harness::{TestClient, within};

use super::{PROVIDER, answered, clients, foreign, publish, root, same_realm, under, under_all};

/// An asset that contains this.
fn runs(file: &str) -> VersionInfo {
    draft::asset("Editor", "1", vec![draft::component(file, "1")])
}

// R-8.2.2-14, -16 and R-6-5 in small: a thousand ask two tiers for the same at once; one Request leaves each upwards.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_a_thousand_equal_requests_are_one_request_at_each_tier() {
    let root = root(0xa000).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    provider.ask(draft::deliver(&[component_item("hole", "lib.so", "1.2.8")])).await.succeeded();
    let upper = under(&root, 0xa100, same_realm()).await;
    let lower = under(&upper, 0xa200, same_realm()).await;
    let clients = clients(&lower, 1000).await;
    let mut asking = tokio::task::JoinSet::new();
    for client in clients {
        asking.spawn(async move {
            let asset = draft::asset("Editor", "1", vec![draft::component("lib.so", "1.2.8")]);
            let answer = client.ask(draft::request_full(&[asset])).await.succeeded();
            let mut got = answer.ids();
            if got.is_empty() {
                // The upstream took longer than an answer waits: it is pushed.
                got.extend(client.take_until("hole").await.into_iter().map(|item| item.id));
            }
            got
        });
    }
    while let Some(got) = within("an answer", asking.join_next()).await {
        assert_eq!(got.unwrap(), ["hole"]);
    }
    let requests = |snapshot: &Snapshot| (answered(snapshot, "request"), answered(snapshot, "register"));
    let at_root = root.snapshot_when(|snapshot| requests(snapshot).0 > 0).await;
    let at_upper = upper.snapshot_when(|snapshot| requests(snapshot).0 > 0).await;
    assert_eq!(requests(&at_root), (1, 0), "{:?}", at_root.engine.answered);
    assert_eq!(requests(&at_upper), (1, 0), "{:?}", at_upper.engine.answered);
    let at_lower = lower.snapshot_when(|snapshot| requests(snapshot).0 == 1000).await;
    let totals = &at_lower.engine;
    assert_eq!(totals.cache_hits + totals.cache_misses, 1000);
    assert_eq!(totals.cache_misses, totals.coalesced + 1);
}

// R-8.2.2-8, steps 5, 10 to 13 and 17 of Annex A: list first, the element when somebody runs it, the newest only.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_an_element_is_fetched_when_it_concerns_somebody() {
    let root = root(0xb000).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    for (id, file) in [("one", "a.so"), ("two", "b.so")] {
        provider.ask(draft::deliver(&[component_item(id, file, "1")])).await.succeeded();
    }
    let isp = under(&root, 0xb100, Asks { ask: Ask::Elements, ..foreign() }).await;
    isp.snapshot_when(|snapshot| snapshot.items == 2).await;
    let client = TestClient::connect(&isp, ClientGuid(0xb_0001)).await;
    let answer =
        client.ask(draft::request_full(&[draft::asset("Editor", "1", vec![draft::component("a.so", "1")])])).await;
    let items = answer.succeeded().items();
    let got: BTreeSet<(String, bool)> = items.into_iter().map(|item| (item.id, item.is_entry)).collect();
    assert_eq!(got, [("one".to_owned(), false)].into());
    let next = draft::commented(component_item("one", "a.so", "1"), "Revision: 2");
    provider.ask(draft::deliver(&[next])).await.succeeded();
    provider.ask(draft::deliver(&[component_item("three", "a.so", "1")])).await.succeeded();
    let pushed = client.take_until("three").await;
    let ids: Vec<(String, bool)> = pushed.into_iter().map(|item| (item.id, item.is_entry)).collect();
    assert_eq!(ids, [("one".to_owned(), false), ("three".to_owned(), false)], "unasked, content only");
}

// R-8.2.2-14: what one client has caused to be fetched costs the next no word upwards.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_a_hit_asks_nothing_of_the_upstream() {
    for (guid, asks) in [(0x2_0000, same_realm()), (0x2_0400, foreign())] {
        let root = root(guid).await;
        let provider = TestClient::connect(&root, PROVIDER).await;
        publish(&provider, &[component_item("item", "a.so", "1")]).await;
        let local = under(&root, guid + 0x100, asks).await;
        let mut asked = Vec::new();
        for client in clients(&local, 10).await {
            assert_eq!(client.ask(draft::request_full(&[runs("a.so")])).await.succeeded().ids(), ["item"]);
            asked.push(answered(&root.snapshot().await, "request"));
        }
        assert!(asked.iter().all(|count| *count == asked[0]), "the first asked, and nobody after it: {asked:?}");
        let totals = local.snapshot().await.engine;
        assert_eq!((totals.cache_misses, totals.cache_hits), (1, 9));
    }
}

// R-8.2.2-15: the same is asked with a cache and without one, and the same comes.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_without_a_cache_clients_get_the_same() {
    let mut results = BTreeSet::new();
    for (guid, items_max) in [(0x2_1000, 1_000_000), (0x2_1400, 0)] {
        let root = root(guid).await;
        let provider = TestClient::connect(&root, PROVIDER).await;
        publish(&provider, &[component_item("a-1", "a.so", "1"), component_item("b-1", "b.so", "1")]).await;
        let upstream = Upstream::with(root.addr(), root.guid(), same_realm());
        let local = under_all(guid + 0x100, vec![upstream], |config| config.limits.items_max = items_max).await;
        let clients = clients(&local, 3).await;
        let mut got = Vec::new();
        for (client, asset) in clients.iter().zip([runs("a.so"), runs("b.so"), runs("a.so")]) {
            got.push(client.ask(draft::request_full(&[asset])).await.succeeded().ids());
        }
        let next = draft::commented(component_item("a-1", "a.so", "1"), "Revision: 2");
        publish(&provider, &[next, component_item("b-2", "b.so", "1"), component_item("a-2", "a.so", "1")]).await;
        for (client, last) in clients.iter().zip(["a-2", "b-2", "a-2"]) {
            got.push(client.take_until(last).await.into_iter().map(|item| item.id).collect());
        }
        results.insert(got);
    }
    assert_eq!(results.len(), 1, "{results:?}");
}

// R-8.2.2-22: a hundred want it, ninety-nine end it; the last End is one End upwards.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_the_last_end_is_one_end_upwards() {
    let root = root(0x2_2000).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    let local = under(&root, 0x2_2100, same_realm()).await;
    let mut clients = clients(&local, 100).await;
    for client in &clients {
        client.ask(draft::request_full(&[runs("a.so")])).await.succeeded();
    }
    let last = clients.pop().unwrap();
    for client in &clients {
        client.ask(draft::end(&[runs("a.so")])).await.succeeded();
    }
    publish(&provider, &[component_item("item", "a.so", "1")]).await;
    assert_eq!(last.take_until("item").await.len(), 1);
    let before = root.snapshot().await;
    assert_eq!(answered(&before, "register"), 0);
    assert!(before.subscriptions > 0);
    last.ask(draft::end(&[runs("a.so")])).await.succeeded();
    let after = root.snapshot_when(|snapshot| snapshot.subscriptions == 0).await;
    assert_eq!(answered(&after, "register"), 1);
}

// R-8.2.2-8: a thousand requests while new versions are announced: none is answered with what an acknowledged
// announcement has made old.
#[tokio::test(flavor = "multi_thread")]
async fn c8_2_2_nothing_old_is_given_out_after_an_announcement() {
    const VERSIONS: u64 = 8;
    let root = root(0x2_3000).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    let version = |number: u64| draft::commented(component_item("item", "a.so", "1"), &format!("Revision: {number}"));
    publish(&provider, &[version(1)]).await;
    let isp = under(&root, 0x2_3100, Asks { ask: Ask::Elements, ..foreign() }).await;
    let (acknowledged, over) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicBool::new(false)));
    let mut asking = tokio::task::JoinSet::new();
    for client in clients(&isp, 20).await {
        let (acknowledged, over) = (acknowledged.clone(), over.clone());
        asking.spawn(async move {
            let (mut asked, mut newest) = (0, 0);
            while asked < 50 || !over.load(Ordering::SeqCst) {
                let oldest = acknowledged.load(Ordering::SeqCst);
                let items = client.ask(draft::request(&[runs("a.so")])).await.succeeded().items();
                for item in items {
                    assert!(!item.is_entry && item.subject.revision >= oldest, "{} < {oldest}", item.subject.revision);
                    newest = newest.max(item.subject.revision);
                }
                asked += 1;
            }
            (asked, newest)
        });
    }
    for number in 2..=VERSIONS {
        let taken = root.snapshot().await.shard.taken;
        publish(&provider, &[version(number)]).await;
        root.snapshot_when(|snapshot| snapshot.shard.taken > taken && snapshot.shard.unanswered == 0).await;
        acknowledged.store(number, Ordering::SeqCst);
    }
    over.store(true, Ordering::SeqCst);
    let mut all = 0;
    while let Some(ended) = within("the clients", asking.join_next()).await {
        let (asked, newest) = ended.unwrap();
        all += asked;
        assert_eq!(newest, VERSIONS);
    }
    assert!(all >= 1000, "{all}");
}
