//! Clauses 10.1.1 and 10.1.3: parts in parts.

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::names::{CORE, VERSION};
use schemas::version::{Major, Minor};
use schemas::write::MessageDraft;
use tests::harness::draft;

use super::{Pair, REQUEST, by_hand};

// R-10.1.1-9: parts are carried out in document order.
#[tokio::test]
async fn c10_1_1_parts_are_carried_out_in_document_order() {
    let pair = Pair::start().await;
    let register = |product: &str| draft::register(&[draft::product(product)]);
    let end = |product: &str| draft::end(&[draft::product(product)]);
    pair.ask(register("A")).await;
    pair.ask(register("B")).await;
    // Interleaved: A ends and begins again, B begins again and ends.
    pair.ask(draft::bundle(&[end("A"), register("B"), register("A"), end("B")])).await;
    pair.publish(&[draft::item("b", "B"), draft::item("a", "A")]).await;
    assert_eq!(pair.pushed_ids().await, ["a"]);
}

// R-10.1.1-9: the same for messages of one Payload.
#[tokio::test]
async fn c10_1_1_messages_of_one_payload_are_carried_out_in_order() {
    let pair = Pair::start().await;
    let (a, b) = ([draft::product("A")], [draft::product("B")]);
    let register = |data| MessageDraft { major: Major::Register, minor: None, data: Some(data) };
    let end = |data| MessageDraft { major: Major::Register, minor: Some(Minor::End), data: Some(data) };
    pair.ask(draft::messages(&[register(&a[..]), register(&b), end(&a), end(&b), register(&a)])).await;
    pair.publish(&[draft::item("b", "B"), draft::item("a", "A")]).await;
    assert_eq!(pair.pushed_ids().await, ["a"]);
}

// R-10.1.1-10: one bad part of ten spoils nothing but itself.
#[tokio::test]
async fn c10_1_1_a_bad_part_gets_its_own_failed_and_the_others_are_processed() {
    let pair = Pair::start().await;
    let mut parts: Vec<Bytes> =
        (0..10).map(|number| draft::deliver(&[draft::item(&format!("item-{number}"), "P")])).collect();
    let text = String::from_utf8(parts[4].to_vec()).unwrap();
    parts[4] = text.replace("<v:Version></v:Version>", "").replace("<v:Version/>", "").into();
    assert_ne!(text.as_bytes(), &parts[4][..]);
    let answered = pair.provider.ask(draft::bundle(&parts)).await;
    let statuses = answered.statuses();
    let failed: Vec<usize> = (0..10).filter(|at| statuses[*at] == ReplyStatus::Failed).collect();
    assert_eq!((statuses.len(), failed), (10, vec![4]));
    assert!(answered.leaves()[4].why.contains("line 1"), "{}", answered.leaves()[4].why);
    let held = pair.ask(draft::request(&[draft::product("P")])).await.ids();
    assert_eq!(held.len(), 9);
    assert!(!held.contains(&"item-4".to_owned()));
}

// R-10.1.3-1: prefixes and the place of declarations mean nothing.
#[tokio::test]
async fn c10_1_3_other_prefixes_have_the_same_effect() {
    let pair = Pair::start().await;
    pair.publish(&[draft::item("one", "P")]).await;
    let with_defaults = format!(
        "<Message_Core xmlns='{CORE}'><Header><PID>#h1</PID></Header><Payload><Message xmlns='{VERSION}'><CID>#h02</CID>\
         <Major_Message>Request</Major_Message></Message></Payload></Message_Core>"
    );
    let with_odd_ones = format!(
        "<v:Message_Core xmlns:v='{CORE}' xmlns:m='{VERSION}'><v:Header><v:PID>#h1</v:PID></v:Header><v:Payload>\
         <m:Message><m:CID>#h02</m:CID><m:Major_Message>Request</m:Major_Message></m:Message></v:Payload></v:Message_Core>"
    );
    for document in [by_hand("", REQUEST), with_defaults.into(), with_odd_ones.into()] {
        assert_eq!(pair.ask(document).await.ids(), ["one"]);
    }
}
