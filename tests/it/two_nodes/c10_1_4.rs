//! Clauses 10.1.4 and 10.1.5: messages of one Payload, and what is not known.

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::version::VersionInfo;
use tests::harness::draft;

use super::{Pair, assert_status, by_hand, example, message_by_hand};

// R-10.1.4-2: no CID, no message.
#[tokio::test]
async fn c10_1_4_a_message_without_cid_is_failed() {
    let pair = Pair::start().await;
    let payload = "<v:Message><v:Major_Message>Request</v:Major_Message></v:Message>";
    assert_status(&pair.client.ask(by_hand("", payload)).await, &ReplyStatus::Failed);
}

// R-10.1.4-6: an unknown Major of a known set.
#[tokio::test]
async fn c10_1_4_an_unknown_major_is_not_supported() {
    let pair = Pair::start().await;
    let dance = message_by_hand("<v:Major_Message>Dance</v:Major_Message>");
    assert_status(&pair.client.ask(by_hand("", &dance)).await, &ReplyStatus::MajorNotSupported);
}

// R-10.1.4-7: a Minor that makes no sense with its Major.
#[tokio::test]
async fn c10_1_4_a_senseless_minor_is_not_supported() {
    let pair = Pair::start().await;
    let document = String::from_utf8(example("semantic/s4-deliver-end.xml").to_vec()).unwrap();
    // The example names its own client.
    let document = document.replace(
        "<m:Client_GUID>#h5f0c7a526a3e4d0b9a550d1f6f7b2c21</m:Client_GUID>",
        &format!("<m:Client_GUID>{}</m:Client_GUID>", pair.provider.guid()),
    );
    assert_status(&pair.provider.ask(document.into()).await, &ReplyStatus::MinorNotSupported);
}

// R-10.1.5-6: messages of one Payload share one fate, and each has its leaf.
#[tokio::test]
async fn c10_1_5_if_one_message_of_a_payload_fails_none_is_carried_out() {
    let pair = Pair::start().await;
    let text = String::from_utf8(example("valid/07-upgrade-end-and-null.xml").to_vec()).unwrap();
    let items = |suffix: &str| {
        ["4.0.2", "4.1.0"].map(|version| draft::component_item(&format!("{version}{suffix}"), "quill-editor", version))
    };
    let old = VersionInfo { info: vec![draft::component("quill-editor", "4.0.2")], ..draft::product("Quill Editor") };
    pair.ask(draft::register(&[old])).await;
    // The second message fails: it registers more than is allowed, or asks for what nobody can do. The cause keeps the
    // status that says most; the other message has only failed with it.
    let at = text.rfind("<v:Major_Message>Register</v:Major_Message>").unwrap();
    let (head, tail) = text.split_at(at);
    let product =
        |number| format!("<v:Version_Info><v:Product_Name>Product {number}</v:Product_Name></v:Version_Info>");
    let products: String = (0..1100).map(product).collect();
    let data = "<v:Message_Data>";
    for (broken, status) in [
        (tail.replacen(data, &format!("{data}{products}"), 1), ReplyStatus::Failed),
        (tail.replacen("Register", "Dance", 1), ReplyStatus::MajorNotSupported),
    ] {
        let broken: Bytes = format!("{head}{broken}").into();
        let leaves = pair.client.ask(broken).await.leaves();
        let statuses: Vec<_> = leaves.iter().map(|leaf| leaf.status.clone()).collect();
        assert_eq!(statuses, [ReplyStatus::Failed, status]);
        assert!(leaves[0].why.contains("message 2"), "{}", leaves[0].why);
        assert!(!leaves[1].why.contains("message 2"), "{}", leaves[1].why);
        assert!(leaves.iter().all(|leaf| leaf.reply_id.as_deref() == Some("#h0107")));
    }
    // Neither the End nor the Register has happened.
    pair.publish(&items("-before")).await;
    assert_eq!(pair.pushed_ids().await, ["4.0.2-before"]);

    // Whole, both happen.
    let leaves = pair.ask(text.into()).await.leaves();
    assert_eq!(leaves.len(), 2);
    pair.publish(&items("-after")).await;
    assert_eq!(pair.pushed_ids().await, ["4.1.0-after"]);
}
