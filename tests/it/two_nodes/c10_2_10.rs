//! Clause 10.2.10: when each status is said.

use schemas::core::ReplyStatus;
use schemas::version::Major;
use tests::harness::{TestClient, draft};

use super::{CLIENT, Pair, assert_status, by_hand, message_by_hand};

// R-10.2.10-3: a Major that is known, and not offered or not allowed here.
#[tokio::test]
async fn c10_2_10_major_not_supported_for_what_a_node_does_not_offer() {
    let pair = Pair::start().await;
    let analyse = draft::message(Major::Analyse, None, Some(&[draft::product("P")]));
    assert_status(&pair.client.ask(analyse).await, &ReplyStatus::MajorNotSupported);
    // This client is no provider.
    let deliver = draft::deliver(&[draft::item("a", "P")]);
    assert_status(&pair.client.ask(deliver).await, &ReplyStatus::MajorNotSupported);
}

// R-10.2.10-5, R-10.2.1-2: another CID, another set, another PID.
#[tokio::test]
async fn c10_2_10_handler_not_available_for_other_sets() {
    let pair = Pair::start().await;
    let major = "<v:Major_Message>Request</v:Major_Message>";
    let other_cid = message_by_hand(major).replace("#h02", "#h03");
    let other_set = "<o:Message xmlns:o='urn:other'><o:CID>#h77</o:CID></o:Message>";
    for payload in [other_cid.as_str(), other_set] {
        assert_status(&pair.client.ask(by_hand("", payload)).await, &ReplyStatus::HandlerNotAvailable);
    }
    let document = String::from_utf8(by_hand("", &message_by_hand(major)).to_vec()).unwrap();
    let other_protocol = document.replace("#h00000001", "#h00000002");
    assert_status(&pair.client.ask(other_protocol.into()).await, &ReplyStatus::HandlerNotAvailable);
}

// R-10.2.10-2 in part: what was answered Succeeded is there after a restart.
#[tokio::test]
async fn c10_2_10_succeeded_outlives_a_restart() {
    let mut pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    pair.publish(&[draft::item("stored", "Q")]).await;
    pair.server.restart().await;
    pair.provider = TestClient::connect(&pair.server, super::PROVIDER).await;
    pair.client = TestClient::connect(&pair.server, CLIENT).await;
    pair.publish(&[draft::item("pushed", "P")]).await;
    assert_eq!(pair.pushed_ids().await, ["pushed"]);
    assert_eq!(pair.ask(draft::request(&[draft::product("Q")])).await.ids(), ["stored"]);
}
