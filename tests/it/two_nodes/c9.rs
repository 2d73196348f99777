//! Clauses 9.5 and 9.6.2: who speaks first, and that the carrier does not care what about.

use schemas::version::{Code, CodeContent, CodeKind, VersionInfo};
use tests::harness::{TestClient, draft, items};

use super::{CLIENT, Pair, ids};

// R-9.6.2-1: what was registered for comes unasked; what was not does not come.
#[tokio::test]
async fn c9_6_2_server_push_brings_what_was_registered_for() {
    let pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    pair.publish(&[draft::item("outside", "Q"), draft::item("inside", "P"), draft::item("outside too", "PP")]).await;
    assert_eq!(pair.pushed_ids().await, ["inside"]);
}

// R-9.6.2-3: a vendor that is only a client feeds its items to the server, which hands them on.
#[tokio::test]
async fn c9_6_2_client_push_is_stored_and_redistributed() {
    let pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    pair.deliver(draft::deliver(&[draft::item("item", "P")])).await;
    assert_eq!(pair.pushed_ids().await, ["item"]);
    assert_eq!(pair.ask(draft::request(&[draft::product("P")])).await.ids(), ["item"]);
}

// R-9.6.2-4: a request is answered by its reply and what is there, on its own stream.
#[tokio::test]
async fn c9_6_2_client_pull_is_answered_with_content_at_once() {
    let pair = Pair::start().await;
    pair.publish(&[draft::item("a", "P"), draft::item("b", "Q"), draft::item("c", "P")]).await;
    let answered = pair.ask(draft::request_full(&[draft::product("P")])).await;
    assert_eq!(answered.ids(), ["a", "c"]);
    // The items before the snapshot come here, those after it by push: no gap, no repeat.
    pair.publish(&[draft::item("d", "P")]).await;
    let pushed = pair.client.take().await;
    assert_eq!(ids(&items(&pushed.document)), ["d"]);
    assert!(pushed.header.position > answered.snapshot);
}

fn with_code(id: &str, base64: &str, format: &str) -> VersionInfo {
    let content =
        CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text: base64.into() };
    let mut item = draft::item(id, "P");
    item.info[0].container.format = Some(format.into());
    item.info[0].container.code = Some(Code { content: Some(content), ..Code::default() });
    item
}

// R-9.5-3: payloads of two platforms go the same way, unchanged.
#[tokio::test]
async fn c9_5_code_of_any_platform_is_carried_unchanged() {
    let pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    // The first bytes of a PE file and of an ELF file.
    let payloads = [("windows", "TVqQAAMAAAAEAAAA"), ("linux", "f0VMRgIBAQAAAAAA")];
    let documents = payloads.map(|(id, base64)| draft::deliver(&[with_code(id, base64, id)]));
    for document in &documents {
        pair.deliver(document.clone()).await;
    }
    let pushed = pair.pushed().await;
    assert_eq!(ids(&pushed), ["windows", "linux"]);
    for (got, sent) in pushed.iter().zip(&documents) {
        assert_eq!(got.bytes, sent);
    }
}

// R-3.1.3-1: a client behind an address translator, which lets nothing in that was not called for.
#[tokio::test]
async fn c3_1_3_a_client_without_a_reachable_address_is_pushed_to() {
    let pair = Pair::start().await;
    let outside = super::c3::translator(pair.server.addr()).await;
    let client = TestClient::connect_via(&pair.server, outside, CLIENT).await;
    client.ask(draft::register(&[draft::product("P"), draft::product(super::LAST)])).await.succeeded();
    pair.publish(&[draft::item("item", "P")]).await;
    assert_eq!(ids(&client.take_until("item").await), ["item"]);
}
