//! Clause 8.2.2: the steps of figure 3 between a server and its clients.

use schemas::version::{Info, Major, Minor, VersionInfo};
use schemas::write::MessageDraft;
use tests::harness::draft::{self, component, component_item};
use tests::harness::{TestClient, TestServer};

use super::{CLIENT, PROVIDER, Pair, SERVER, ids};

/// Ten documents of a thousand items each.
const DOCUMENTS: usize = 10;
const ITEMS: usize = 1000;

// R-8.2.2-3: one entry of a long list, fetched as exactly one element.
#[tokio::test]
async fn c8_2_2_one_of_ten_thousand_entries_is_fetched_alone() {
    let pair = Pair::start().await;
    for document in 0..DOCUMENTS {
        let deliver = |number| draft::deliver(&[draft::item(&format!("item-{}", document * ITEMS + number), "P")]);
        pair.deliver(draft::bundle(&(0..ITEMS).map(deliver).collect::<Vec<_>>())).await;
    }
    let list = pair.ask(draft::request_catalog(&[draft::product("P")])).await.items();
    assert_eq!(list.len(), DOCUMENTS * ITEMS);
    let entry = list.iter().find(|entry| entry.id == "item-4711").unwrap();
    let identity = entry.subject.identity.clone().unwrap();
    let wanted = Info { source: Some(identity.source.into()), id: Some(identity.id.into()), ..Info::default() };
    let filter = VersionInfo { info: vec![wanted], ..VersionInfo::default() };
    let fetched = pair.ask(draft::request_full(&[filter])).await;
    assert_eq!(fetched.ids(), ["item-4711"]);
    assert!(!fetched.items()[0].is_entry);
}

// R-8.2.2-7: who asked for the list hears of what comes later.
#[tokio::test]
async fn c8_2_2_a_request_for_the_catalog_is_a_subscription() {
    let pair = Pair::start().await;
    pair.publish(&[draft::item("first", "P")]).await;
    assert_eq!(pair.ask(draft::request_catalog(&[draft::product("P")])).await.ids(), ["first"]);
    pair.publish(&[draft::item("second", "P")]).await;
    let announced = pair.pushed().await;
    assert_eq!(ids(&announced), ["second"]);
    assert!(announced[0].is_entry);
}

// R-8.2.2-10 in part (no installer speaks to an agent yet): what is there, what comes, and what concerns a component.
#[tokio::test]
async fn c8_2_2_request_full_brings_present_later_and_component_items() {
    let pair = Pair::start().await;
    let editor = draft::asset("Editor", "4.1.0", vec![component("lib.so", "1.2.8")]);
    pair.publish(&[draft::item("present", "Editor")]).await;
    assert_eq!(pair.ask(draft::request_full(&[editor])).await.ids(), ["present"]);
    pair.publish(&[draft::item("later", "Editor"), component_item("component", "lib.so", "1.2.8")]).await;
    assert_eq!(pair.pushed_ids().await, ["later", "component"]);
}

// R-8.2.2-18: End of the old and Register of the new version in one Payload, then Request:Full.
#[tokio::test]
async fn c8_2_2_an_upgrade_loses_nothing_and_brings_nothing_old() {
    let pair = Pair::start().await;
    let version = |version: &str| [draft::asset("Editor", version, vec![])];
    let (old, new) = (version("4.0.2"), version("4.1.0"));
    let item = |id: &str, version: &str| component_item(id, "editor", version);
    pair.ask(draft::request_full(&old)).await;
    pair.publish(&[item("old-1", "4.0.2"), item("new-1", "4.1.0")]).await;
    assert_eq!(pair.pushed_ids().await, ["old-1"]);

    let upgrade = draft::messages(&[
        MessageDraft { major: Major::Register, minor: Some(Minor::End), data: Some(&old) },
        MessageDraft { major: Major::Register, minor: None, data: Some(&new) },
    ]);
    assert_eq!(pair.ask(upgrade).await.leaves().len(), 2);
    pair.publish(&[item("old-2", "4.0.2"), item("new-2", "4.1.0")]).await;
    let answered = pair.ask(draft::request_full(&new)).await;
    pair.publish(&[item("old-3", "4.0.2"), item("new-3", "4.1.0")]).await;
    assert_eq!(answered.ids(), ["new-1", "new-2"]);
    assert_eq!(pair.pushed_ids().await, ["new-2", "new-3"]);
}

// R-8.2.2-20: Register:End ends what Request began, in either mode.
#[tokio::test]
async fn c8_2_2_register_end_ends_what_request_began() {
    let pair = Pair::start().await;
    let data = [draft::product("P")];
    for (mode, request) in [("full", draft::request_full(&data)), ("catalog", draft::request_catalog(&data))] {
        pair.ask(request).await;
        pair.publish(&[draft::item(&format!("{mode}, before"), "P")]).await;
        assert_eq!(pair.pushed_ids().await, [format!("{mode}, before")]);
        pair.ask(draft::end(&data)).await;
        pair.publish(&[draft::item(&format!("{mode}, after"), "P")]).await;
        assert!(pair.pushed().await.is_empty(), "{mode}");
    }
}

// R-8.2.2-21: one component is upgraded, the others stay subscribed.
#[tokio::test]
async fn c8_2_2_the_end_of_a_component_leaves_the_others() {
    let pair = Pair::start().await;
    let editor = |library: &str| {
        draft::asset("Editor", "4.1.0", vec![component("libzed.so.1", library), component("spell.dll", "4.1.0-17")])
    };
    pair.ask(draft::request_full(&[editor("1.2.8")])).await;
    let old = VersionInfo { info: vec![component("libzed.so.1", "1.2.8")], ..VersionInfo::default() };
    pair.ask(draft::end(&[old])).await;
    pair.publish(&[
        component_item("zed", "libzed.so.1", "1.2.8"),
        component_item("spell", "spell.dll", "4.1.0-17"),
        draft::item("editor", "Editor"),
    ])
    .await;
    assert_eq!(pair.pushed_ids().await, ["spell", "editor"]);
}

// R-8.2.2-23: an End for nothing does nothing.
#[tokio::test]
async fn c8_2_2_an_end_for_what_was_never_registered_is_harmless() {
    let pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    for _ in 0..2 {
        pair.ask(draft::end(&[draft::product("Q")])).await;
    }
    pair.publish(&[draft::item("item", "P")]).await;
    assert_eq!(pair.pushed_ids().await, ["item"]);
}

// R-8-1: subscriptions of each mode and origin outlive a restart, and the metric counts them.
#[tokio::test]
async fn c8_the_subscription_table_survives_a_restart() {
    let mut server = TestServer::with_providers(SERVER, &[PROVIDER]).await;
    let data = [draft::product("P"), draft::product(super::LAST)];
    let asks = [draft::register(&data), draft::request_full(&data), draft::request_catalog(&data)];
    let guid = |number: usize| schemas::guid::ClientGuid(CLIENT.0 + number as u128);
    for (number, ask) in asks.iter().enumerate() {
        TestClient::connect(&server, guid(number)).await.ask(ask.clone()).await.succeeded();
    }
    let expected = asks.len() * data.len();
    let counted = async |server: &TestServer| {
        let snapshot = server.snapshot_when(|snapshot| snapshot.subscriptions == expected).await;
        assert_eq!(snapshot.registered, asks.len());
        let page = server.page("/metrics").await;
        assert!(page.contains(&format!("\ndistributary_subscriptions {expected}\n")), "{page}");
    };
    counted(&server).await;
    server.restart().await;
    counted(&server).await;
    let mut clients = Vec::new();
    for (number, _) in asks.iter().enumerate() {
        clients.push(TestClient::connect(&server, guid(number)).await);
    }
    let provider = TestClient::connect(&server, PROVIDER).await;
    provider.ask(draft::deliver(&[draft::item("item", "P")])).await.succeeded();
    for (number, client) in clients.iter().enumerate() {
        assert_eq!(client.take_until("item").await[0].is_entry, number == 2);
    }
}
