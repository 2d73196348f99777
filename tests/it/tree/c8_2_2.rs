//! Clause 8.2.2 between tiers: what a local server asks of its upstream, and what its clients get when.

use std::collections::BTreeSet;

use schemas::guid::ClientGuid;
use tests::harness::draft::{self, component_item};
use tests::harness::{TestClient, within};

use super::{PROVIDER, clients, foreign, root, same_realm, under};

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
    let requests = |snapshot: &relay::driver::Snapshot| {
        let of =
            |major| snapshot.engine.answered.iter().filter(move |((of, ..), _)| *of == major).map(|(_, count)| *count);
        (of("request").sum::<u64>(), of("register").sum::<u64>())
    };
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
    let isp = under(&root, 0xb100, relay::config::Asks { ask: relay::config::Ask::Elements, ..foreign() }).await;
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
