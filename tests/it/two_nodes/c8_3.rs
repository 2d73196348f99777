//! Clause 8.3: nothing individual, nothing that leaks, nothing that an old copy could undo.

use std::collections::BTreeSet;

use schemas::guid::ClientGuid;
use tests::harness::draft::{self, commented};
use tests::harness::{TestClient, TestServer};
use tokio::task::JoinSet;

use super::{CLIENT, PROVIDER, Pair, SERVER, ids};

/// How many receivers the matrix asks for, and how many of them are connected at once.
const RECEIVERS: u128 = 1000;
const AT_ONCE: u128 = 50;

// R-8.3-4: every receiver gets the same content, whoever he is and whatever else he asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c8_3_content_is_the_same_for_a_thousand_receivers() {
    let server = std::sync::Arc::new(TestServer::with_providers(SERVER, &[PROVIDER]).await);
    let provider = TestClient::connect(&server, PROVIDER).await;
    let items = ["a", "b", "c"].map(|id| {
        let mut item = draft::item(id, "P");
        item.info[0].description = Some(schemas::core::Description {
            reference: Some(format!("https://vendor.example/{id}").into()),
            ..Default::default()
        });
        item
    });
    for item in &items {
        provider.ask(draft::deliver(std::slice::from_ref(item))).await.succeeded();
    }
    let mut seen = BTreeSet::new();
    for batch in 0..RECEIVERS / AT_ONCE {
        let mut receivers = JoinSet::new();
        for number in 0..AT_ONCE {
            let server = server.clone();
            receivers.spawn(async move {
                let guid = ClientGuid(0x1000 + batch * AT_ONCE + number);
                let client = TestClient::connect(&server, guid).await;
                let wanted = [draft::product("P"), draft::product(&format!("Product of {number}"))];
                let got = client.ask(draft::request_full(&wanted)).await.succeeded().items();
                got.into_iter().map(|item| (item.id, item.digest.0, item.subject.reference)).collect::<Vec<_>>()
            });
        }
        seen.extend(receivers.join_all().await);
    }
    assert_eq!(seen.len(), 1, "each receiver got the same");
    let content = seen.pop_first().unwrap();
    let references: Vec<_> = content.iter().map(|(_, _, reference)| reference.clone().unwrap()).collect();
    assert_eq!(references, ["a", "b", "c"].map(|id| format!("https://vendor.example/{id}")));
    server.snapshot_when(|snapshot| snapshot.registered as u128 == RECEIVERS).await;
}

// R-8.3-8: metrics and logs name neither clients nor what they run.
#[tokio::test]
async fn c8_3_metrics_and_logs_name_no_client_and_no_asset() {
    let log = super::observed::log();
    let pair = Pair::start().await;
    pair.ask(draft::request_full(&[draft::asset("Secret Product", "4.1", vec![draft::component("lib.so", "1")])]))
        .await;
    pair.publish(&[draft::item("ADV-77", "Secret Product")]).await;
    assert_eq!(pair.pushed_ids().await, ["ADV-77"]);
    // A refusal and a protocol breach are logged too.
    let spoofed = super::by_hand("<m:Client_GUID>#h77</m:Client_GUID>", super::REQUEST);
    drop(pair.client.ask(spoofed).await);
    drop(pair.client.ask("<not-x1206/>".into()).await);
    let page = pair.server.page("/metrics").await;
    let logged = log.text();
    assert!(page.contains("distributary_items_pushed_total") && logged.contains("link up"), "{page}\n{logged}");
    let guids = [CLIENT, PROVIDER].into_iter().flat_map(|guid| [guid.to_string(), format!("{:x}", guid.0)]);
    for secret in guids.chain(["Secret Product", "lib.so", "ADV-77"].map(str::to_owned)) {
        assert!(!page.to_lowercase().contains(&secret.to_lowercase()), "{secret} in {page}");
        assert!(!logged.to_lowercase().contains(&secret.to_lowercase()), "{secret} in {logged}");
    }
}

// R-8.3-10: an old copy does not come back, neither under its own Message_ID nor under a new one.
#[tokio::test]
async fn c8_3_a_replayed_old_message_does_not_downgrade() {
    let pair = Pair::start().await;
    let revision = |number: u32| commented(draft::item("ADV-1", "P"), &format!("Revision: {number}"));
    let old = draft::deliver(&[revision(1)]);
    pair.deliver(old.clone()).await;
    pair.deliver(draft::deliver(&[revision(2)])).await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    pair.deliver(old).await;
    pair.publish(&[revision(1)]).await;
    assert!(pair.pushed().await.is_empty());
    let withdrawn = commented(draft::item("ADV-1", "P"), "Revision: 3\nStatus: withdrawn");
    pair.publish(&[withdrawn, revision(2)]).await;
    assert_eq!(pair.pushed_ids().await, ["ADV-1"]);
    let current = pair.ask(draft::request(&[draft::product("P")])).await.items();
    assert_eq!((ids(&current), current[0].subject.revision), (vec!["ADV-1".to_owned()], 3));
}
