//! Critical, normal and bulk beside each other on one real link.

use node::ids::{Position, Resume};
use schemas::class::Class;
use schemas::core::ReplyStatus;
use schemas::version::VersionInfo;
use tests::harness::{Pushed, TestClient, draft};

use super::{CLIENT, Pair};

const PRODUCT: &str = "P";

/// Longer than what is not bulk.
fn bulk(id: &str, revision: u32) -> VersionInfo {
    let padding = "x".repeat(300 << 10);
    draft::commented(draft::item(id, PRODUCT), &format!("Revision: {revision}\n{padding}"))
}

fn critical(id: &str, revision: u32) -> VersionInfo {
    let severe = "CVSS3: CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
    draft::commented(draft::item(id, PRODUCT), &format!("Revision: {revision}\n{severe}"))
}

fn ids(pushed: &Pushed) -> Vec<String> {
    super::ids(&pushed.items())
}

async fn start() -> Pair {
    let pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product(PRODUCT)])).await;
    pair
}

// Design decision 4: a cursor and a window for each class.
#[tokio::test]
async fn what_a_client_does_not_read_of_bulk_holds_up_nothing_critical() {
    let pair = start().await;
    // More than the stream's window and the lane's window take.
    let many: Vec<VersionInfo> = (0..20).map(|number| bulk(&format!("bulk-{number}"), 1)).collect();
    pair.publish(&many).await;
    for number in 0..3 {
        let id = format!("critical-{number}");
        pair.publish(&[critical(&id, 1)]).await;
        let pushed = pair.client.pushed_of(Class::Critical).await;
        assert_eq!((ids(&pushed), pushed.header.class), (vec![id], Class::Critical));
        let settled = pushed.header.settled;
        assert!(!settled[Class::Bulk] && settled[Class::Normal], "bulk is on its way, and nothing normal is");
        pair.client.answer(&pushed, &ReplyStatus::Succeeded).await;
    }
    for number in 0..20 {
        let pushed = pair.client.pushed_of(Class::Bulk).await;
        assert_eq!(ids(&pushed), [format!("bulk-{number}")], "in order, each alone");
        pair.client.answer(&pushed, &ReplyStatus::Succeeded).await;
    }
}

#[tokio::test]
async fn after_a_cut_each_class_goes_on_where_it_stood() {
    let Pair { server, provider, client } = start().await;
    let incarnation = client.incarnation();
    for item in [bulk("bulk", 1), critical("first", 1)] {
        provider.ask(draft::deliver(&[item])).await.succeeded();
    }
    let first = client.pushed_of(Class::Critical).await;
    client.answer(&first, &ReplyStatus::Succeeded).await;
    server.snapshot_when(|snapshot| snapshot.shard.taken == 1).await;
    client.leave().await;
    server.snapshot_when(|snapshot| snapshot.connected == 1).await;
    provider.ask(draft::deliver(&[critical("second", 1)])).await.succeeded();

    let mut resume = Resume::at(incarnation, Position(first.header.position), None);
    resume.places[Class::Bulk].position = Position(0);
    let client = TestClient::resume_at(&server, CLIENT, resume).await;
    assert!(!client.hello().behind);
    let second = client.pushed_of(Class::Critical).await;
    assert_eq!(ids(&second), ["second"], "not the first again");
    assert_eq!(ids(&client.pushed_of(Class::Bulk).await), ["bulk"]);
}

// P-7: also across lanes.
#[tokio::test]
async fn p_7_what_waits_on_one_lane_is_not_sent_when_another_brings_what_replaces_it() {
    let pair = start().await;
    let many: Vec<VersionInfo> = (0..20).map(|number| bulk(&format!("bulk-{number}"), 1)).collect();
    pair.publish(&many).await;
    pair.publish(&[critical("bulk-19", 2)]).await;
    let pushed = pair.client.pushed_of(Class::Critical).await;
    assert_eq!(ids(&pushed), ["bulk-19"]);
    pair.client.answer(&pushed, &ReplyStatus::Succeeded).await;
    for number in 0..19 {
        let pushed = pair.client.pushed_of(Class::Bulk).await;
        assert_eq!(ids(&pushed), [format!("bulk-{number}")]);
        pair.client.answer(&pushed, &ReplyStatus::Succeeded).await;
    }
    pair.server.snapshot_when(|snapshot| snapshot.shard.taken == 20 && snapshot.shard.unanswered == 0).await;
    assert_eq!(pair.server.snapshot().await.shard.queued, 0, "and nothing more is to come");
}
