//! Clause 10.1.6: replies.

use schemas::core::ReplyStatus;
use schemas::guid::{MessageId, ModuleUuid};
use schemas::names::Spelling;
use schemas::version::Major;
use schemas::write::{self, HeaderFields, MessageDraft, ReplyDraft, ReplyForm};
use tests::harness::draft;

use super::observed::wire;
use super::{Pair, REQUEST, by_hand};

fn reply(cid: &str, status: ReplyStatus) -> bytes::Bytes {
    let draft =
        ReplyDraft { cid, uuid: None, reply_id: None, status, description: None, form: ReplyForm::Version, data: None };
    write::reply(Spelling::default(), &HeaderFields::default(), &draft)
}

/// A server with this many items under way to its client, and nothing answered.
async fn with_items_under_way(count: u64) -> Pair {
    let pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    for number in 0..count {
        pair.publish(&[draft::item(&format!("item-{number}"), "P")]).await;
    }
    pair
}

// R-10.1.6-1: the CID of what is answered goes out; it or the PID's text comes in.
#[tokio::test]
async fn c10_1_6_a_reply_may_name_the_cid_or_the_pid() {
    let pair = with_items_under_way(1).await;
    assert_eq!(pair.ask(by_hand("", REQUEST)).await.leaf().cid, "#h02");
    for (taken, cid) in [(1, "#h02"), (2, "#h00000001")] {
        let pushed = pair.client.pushed().await;
        pair.client.send_reply(&pushed.header, reply(cid, ReplyStatus::Succeeded)).await;
        pair.server.snapshot_when(|snapshot| snapshot.shard.taken == taken).await;
        pair.publish(&[draft::item(&format!("next-{taken}"), "P")]).await;
    }
}

// R-10.1.6-2: the request's UUID comes back, and none where there was none.
#[tokio::test]
async fn c10_1_6_the_uuid_is_repeated() {
    let pair = Pair::start().await;
    let uuid = "0B0D8A6E-3f6c-4e7b-8f53-9d2a3f6f0001";
    let with = REQUEST.replace("</v:CID>", &format!("</v:CID><v:UUID>{uuid}</v:UUID>"));
    assert_eq!(pair.ask(by_hand("", &with)).await.leaf().uuid.as_deref(), Some(uuid));
    assert_eq!(pair.ask(by_hand("", REQUEST)).await.leaf().uuid, None);
    let ours = MessageDraft { major: Major::Request, minor: None, data: None };
    let answered = pair.ask(draft::messages(&[ours])).await;
    assert_eq!(answered.leaf().uuid, Some(ModuleUuid::DISTRIBUTARY.to_string()));
}

// R-10.1.6-3: the text is copied, and matched by value.
#[tokio::test]
async fn c10_1_6_the_reply_id_is_the_exact_text_of_the_message_id() {
    let pair = Pair::start().await;
    let uuid = "00000000-0000-0000-0000-000000000102";
    for text in ["#h0102", "#H102", uuid] {
        let answered = pair.ask(by_hand(&format!("<m:Message_ID>{text}</m:Message_ID>"), REQUEST)).await;
        let id = answered.leaf().reply_id.unwrap();
        assert_eq!(id, text);
        assert_eq!(MessageId::parse(&id).unwrap(), MessageId::parse(uuid).unwrap());
    }
}

// R-10.1.6-4: a request without Message_ID is answered on its own stream, without Reply_ID.
#[tokio::test]
async fn c10_1_6_a_request_without_message_id_is_answered_without_reply_id() {
    let pair = Pair::start().await;
    assert_eq!(pair.ask(by_hand("", REQUEST)).await.leaf().reply_id, None);
}

// R-10.1.6-5: a status of another set is kept, shown, and no success.
#[tokio::test]
async fn c10_1_6_an_unknown_status_is_kept_and_counts_as_a_failure() {
    let pair = with_items_under_way(1).await;
    let pushed = pair.client.pushed().await;
    let text = String::from_utf8(reply("#h02", ReplyStatus::Failed).to_vec()).unwrap().replace("Failed", "Queued");
    let log = super::observed::log();
    pair.client.send_reply(&pushed.header, text.into()).await;
    let snapshot = pair.server.snapshot_when(|snapshot| snapshot.shard.refused == 1).await;
    assert_eq!((snapshot.shard.taken, snapshot.shard.unanswered), (0, 0), "taken out of the window all the same");
    assert!(log.text().contains("Queued"), "{}", log.text());
}

// R-10.1.6-9: version:Reply for version messages, AbstractReply for those of sets without a handler.
#[tokio::test]
async fn c10_1_6_foreign_messages_get_an_abstract_reply() {
    let pair = Pair::start().await;
    let ours = pair.client.ask(by_hand("", REQUEST)).await;
    assert!(wire(&ours.reply).contains("<v:Reply>") && !wire(&ours.reply).contains("AbstractReply"));
    let foreign = "<o:Message xmlns:o='urn:other'><o:CID>#h77</o:CID></o:Message>";
    let theirs = pair.client.ask(by_hand("", foreign)).await;
    assert_eq!(theirs.leaf().status, ReplyStatus::HandlerNotAvailable);
    assert!(wire(&theirs.reply).contains("<m:AbstractReply>") && !wire(&theirs.reply).contains("<v:Reply>"));
}

// R-10.1.6-10: one reply for each message, none for a reply.
#[tokio::test]
async fn c10_1_6_a_reply_is_never_answered() {
    let pair = Pair::start().await;
    let document = draft::bundle(&[by_hand("", REQUEST), by_hand("", REQUEST)]);
    assert_eq!(pair.ask(document).await.leaves().len(), 2);
    let answered = |snapshot: &relay::driver::Snapshot| snapshot.engine.answered.values().sum::<u64>();
    // Two requests and the client's Register.
    pair.server.snapshot_when(|snapshot| answered(snapshot) == 3).await;
    let nothing = pair.client.try_ask(reply("#h02", ReplyStatus::Succeeded)).await;
    assert!(nothing.is_err(), "{nothing:?}");
    pair.ask(by_hand("", REQUEST)).await;
    pair.server.snapshot_when(|snapshot| answered(snapshot) == 4).await;
}
