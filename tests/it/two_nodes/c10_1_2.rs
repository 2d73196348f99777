//! Clause 10.1.2: the Header.

use bytes::Bytes;
use schemas::core::{MessageCore, Part, Payload, ReplyStatus, Root};
use schemas::facts::Validated;
use schemas::names::Spelling;
use schemas::version::Major;
use schemas::write::{self, HeaderFields, MessageDraft};
use tests::harness::{TestClient, draft, items};

use super::{CLIENT, Pair, REQUEST, SERVER, SIBLING, assert_status, by_hand};

fn register_under(header: &HeaderFields<'_>) -> Bytes {
    let data = [draft::product("P")];
    let message = MessageDraft { major: Major::Register, minor: None, data: Some(&data) };
    write::message(Spelling::default(), header, &[message])
}

/// Nothing of what was refused has happened.
async fn nothing_came_of_it(pair: &Pair) {
    pair.publish(&[draft::item("item", "P")]).await;
    assert!(pair.pushed().await.is_empty());
}

// R-10.1.2-1: every notation of the value 1.
#[tokio::test]
async fn c10_1_2_each_notation_of_the_pid_is_the_same() {
    let pair = Pair::start().await;
    let document = String::from_utf8(by_hand("", REQUEST).to_vec()).unwrap();
    for pid in ["#h1", "#h00000001", "00000000-0000-0000-0000-000000000001"] {
        pair.ask(document.replace("#h00000001", pid).into()).await;
    }
}

// R-10.1.2-3: a message to another server.
#[tokio::test]
async fn c10_1_2_another_server_guid_is_failed_and_not_processed() {
    let pair = Pair::start().await;
    let other = schemas::guid::ServerGuid(7);
    let header = HeaderFields { server_guid: Some(other), ..draft::header() };
    assert_status(&pair.client.ask(register_under(&header)).await, &ReplyStatus::Failed);
    nothing_came_of_it(&pair).await;
    let header = HeaderFields { server_guid: Some(SERVER), client_guid: Some(CLIENT), ..draft::header() };
    pair.ask(register_under(&header)).await;
}

// R-10.1.2-4: a sibling's name is refused, and counted.
#[tokio::test]
async fn c10_1_2_a_siblings_client_guid_is_refused_and_counted() {
    let pair = Pair::start().await;
    let sibling = super::listener(&pair.server, SIBLING).await;
    let header = HeaderFields { client_guid: Some(SIBLING), ..draft::header() };
    assert_status(&pair.client.ask(register_under(&header)).await, &ReplyStatus::Failed);
    let counted = |totals: &node::engine::Totals| totals.answered.get(&("register", "none", "failed")) == Some(&1);
    pair.server.snapshot_when(|snapshot| counted(&snapshot.engine)).await;
    let page = pair.server.page("/metrics").await;
    assert!(page.contains("messages_answered_total{major=\"register\",minor=\"none\",status=\"failed\"} 1"), "{page}");
    pair.publish(&[draft::item("item", "P")]).await;
    assert!(super::pushed_to(&sibling, &pair.provider).await.is_empty());
    assert!(pair.pushed().await.is_empty());
}

// R-10.1.2-5: without either GUID the link's two ends are meant.
#[tokio::test]
async fn c10_1_2_without_guids_the_ends_of_the_link_are_meant() {
    let pair = Pair::start().await;
    pair.ask(register_under(&HeaderFields::default())).await;
    pair.publish(&[draft::item("item", "P")]).await;
    assert_eq!(pair.pushed_ids().await, ["item"]);
}

// R-10.1.2-6: the same Message_ID twice has one effect and two equal replies; with other content it is refused.
#[tokio::test]
async fn c10_1_2_a_repeated_message_has_one_effect_and_two_equal_replies() {
    let pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    let document = draft::deliver(&[draft::item("item", "P")]);
    let first = pair.deliver(document.clone()).await;
    let second = pair.deliver(document).await;
    assert_eq!(first.leaves(), second.leaves());
    assert_eq!(pair.pushed_ids().await, ["item"]);

    // The first Register changes nothing, the second one does: neither undoes the End that came in between.
    let mut header = draft::header();
    for before in [draft::register(&[draft::product("P")]), draft::end(&[draft::product("P")])] {
        pair.ask(before).await;
        header = draft::header();
        let register = register_under(&header);
        let first = pair.ask(register.clone()).await;
        pair.ask(draft::end(&[draft::product("P")])).await;
        let second = pair.ask(register).await;
        assert_eq!(first.leaves(), second.leaves());
        pair.publish(&[draft::item(&format!("later-{:?}", header.message_id), "P")]).await;
        assert!(pair.pushed().await.is_empty(), "the repeated Register undid the End");
    }

    let data = [draft::product("Q")];
    let other = MessageDraft { major: Major::Register, minor: None, data: Some(&data) };
    let answered = pair.client.ask(write::message(Spelling::default(), &header, &[other])).await;
    assert_status(&answered, &ReplyStatus::Failed);
}

/// Sent_Time of the outer Header and of each part.
fn times(document: &Validated) -> (String, Vec<String>) {
    let time = |core: &MessageCore| core.header.sent_time.as_deref().unwrap().to_owned();
    let Root::Message(outer) = &document.document().root else { panic!("a reply") };
    let Payload::Bundle(parts) = &outer.payload else { panic!("no bundle") };
    let inner = parts.iter().map(|part| match part {
        Part::Good(core) => time(core),
        Part::Bad(bad) => panic!("{}", bad.error),
    });
    (time(outer), inner.collect())
}

// R-10.1.2-7: an item keeps the time of its first sending, however late it is handed on; the envelope has its own, in UTC.
#[tokio::test]
async fn c10_1_2_sent_time_of_an_item_stays_and_that_of_its_envelope_is_new() {
    let mut pair = Pair::start().await;
    let then = "2020-02-29T23:59:59+02:00";
    let data = [draft::item("item", "P")];
    let message = MessageDraft { major: Major::Deliver, minor: None, data: Some(&data) };
    let header = HeaderFields { sent_time: Some(then), ..draft::header() };
    pair.ask(draft::register(&[draft::product("P")])).await;
    pair.deliver(write::message(Spelling::default(), &header, &[message])).await;
    let pushed = pair.client.take().await;
    pair.server.restart().await;
    pair.client = TestClient::connect(&pair.server, CLIENT).await;
    let asked = pair.ask(draft::request(&[draft::product("P")])).await;
    for document in [&pushed.document, &asked.deliveries[0]] {
        let (outer, inner) = times(document);
        assert_eq!((items(document).len(), inner), (1, vec![then.to_owned()]));
        assert!(outer.as_str() > "2026" && outer.ends_with('Z'), "{outer}");
    }
}

// R-10.1.2-11: header fields are never repeated.
#[tokio::test]
async fn c10_1_2_two_client_guids_are_refused() {
    let pair = Pair::start().await;
    let guid = format!("<m:Client_GUID>{CLIENT}</m:Client_GUID>");
    let answered = pair.client.ask(by_hand(&format!("{guid}{guid}"), REQUEST)).await;
    assert_status(&answered, &ReplyStatus::Failed);
    assert!(answered.leaf().why.contains("10.1.2"), "{}", answered.leaf().why);
}
