//! Lanes down, replies up, Behind and Path.

use std::time::Duration;

use bytes::Bytes;
use schemas::class::Class;
use schemas::digest::Digest;
use schemas::guid::ServerGuid;
use tokio::time::timeout;

use super::pair::{CLIENT, Pair, SERVER, Site, body, budget, client, soon};
use crate::apart::{Octets, Partials, Rest};
use crate::endpoint::ConnectError;
use crate::error::{RecvError, SendError};
use crate::frame::{FrameHeader, Kind};
use crate::hello::Hello;
use crate::lane::{ControlEvent, LaneReceiver, LaneSender, ReplyBody};
use crate::limits::LinkLimits;
use crate::path::PATH_MARKS_MAX;
use crate::pki::Role;
use schemas::mark::Mark;

const KIB: usize = 1 << 10;

async fn lane(pair: &Pair, class: Class) -> (LaneSender, LaneReceiver) {
    let (sender, receiver) = soon(async { tokio::join!(pair.down.open_lane(class), pair.up.accept_lane()) }).await;
    let (sender, receiver) = (sender.unwrap(), receiver.unwrap());
    assert_eq!((sender.class(), receiver.class()), (class, class));
    (sender, receiver)
}

async fn deliver(lane: &mut LaneSender, position: u64, body: &[Bytes]) -> Result<(), SendError> {
    let header = FrameHeader::over(Kind::Delivery, body).at(position).in_class(lane.class());
    lane.deliver(&header, body).await
}

/// Sends until nothing more is taken; returns how many.
async fn fill(lane: &mut LaneSender, body: &[Bytes]) -> u64 {
    let mut sent = 0;
    while timeout(Duration::from_millis(200), deliver(lane, sent, body)).await.is_ok() {
        sent += 1;
        assert!(sent < 10_000, "nothing stops the sender");
    }
    sent
}

#[tokio::test]
async fn deliveries_come_in_order_on_the_lane_of_their_class() {
    let pair = Pair::new().await;
    let (mut critical, mut critical_in) = lane(&pair, Class::Critical).await;
    let (mut bulk, mut bulk_in) = lane(&pair, Class::Bulk).await;
    for position in 0..20 {
        deliver(&mut critical, position, &body("<urgent/>")).await.unwrap();
        deliver(&mut bulk, 100 + position, &body("<large/>")).await.unwrap();
    }
    for position in 0..20 {
        let urgent = soon(critical_in.recv()).await.unwrap().unwrap();
        assert_eq!((urgent.header.position, &urgent.body[..]), (position, &b"<urgent/>"[..]));
        let large = soon(bulk_in.recv()).await.unwrap().unwrap();
        assert_eq!((large.header.position, large.header.class), (100 + position, Class::Bulk));
    }
}

/// A client takes streams in order: one whose first octets waited for all that is more urgent would keep back the critical lane
/// behind it.
#[tokio::test]
async fn what_a_stream_is_goes_before_whatever_waits() {
    let hello = Hello { partials: Some(Vec::new()), ..Hello::default() };
    let (server, client) = (LinkLimits::server(), LinkLimits::device());
    let pair = Pair::saying(server, client, Hello::default(), hello).await.unwrap();
    pair.up.keep_partials(&Partials::default());
    let asking = async { pair.up.open_exchange(&body("<request/>")).await };
    let answering = async { pair.down.accept_exchange().await.unwrap().document().await };
    let (asked, exchange) = soon(async { tokio::join!(asking, answering) }).await;
    let (mut asked, mut exchange) = (asked.unwrap(), exchange.unwrap());
    // Many flights, and less than what the client's window takes.
    let long = [Bytes::from(vec![b' '; 200 * KIB])];
    let sending = async {
        exchange.reply(0, &body("<reply/>")).await.unwrap();
        exchange.deliver(&FrameHeader::over(Kind::Delivery, &long), &long).await.unwrap();
        let item = Bytes::from_static(b"<item/>");
        let rest = Rest { position: 1, digest: Digest::of(&item), offset: 0, octets: Octets::plain(&item, 0).1 };
        pair.down.send_item(&rest).await.unwrap();
        pair.down.open_lane(Class::Bulk).await.unwrap()
    };
    let receiving = async {
        assert_eq!(&asked.recv().await.unwrap().unwrap().body[..], b"<reply/>");
        tokio::select! {
            biased;
            _ = asked.recv() => panic!("the whole answer came before the lane"),
            lane = pair.up.accept_lane() => lane.unwrap(),
        }
    };
    let (sender, receiver) = soon(async { tokio::join!(sending, receiving) }).await;
    assert_eq!((sender.class(), receiver.class()), (Class::Bulk, Class::Bulk));
}

/// R-3.1.3-1: a client that nobody can dial receives what the server pushes.
#[tokio::test]
async fn r_3_1_3_1_a_client_without_inbound_reachability_receives_pushes() {
    let pair = Pair::new().await;
    let site = Site::new();
    let limits = LinkLimits { handshake_timeout: Duration::from_millis(300), ..LinkLimits::device() };
    let stranger = client(&site.identity(SERVER, Role::Server), limits, budget());
    let dialled = stranger.connect(pair.down.remote_addr(), ServerGuid(CLIENT), Hello::default()).await;
    assert!(matches!(dialled, Err(ConnectError::Timeout(_))), "{dialled:?}");
    let (mut normal, mut receiver) = lane(&pair, Class::Normal).await;
    deliver(&mut normal, 1, &body("<item/>")).await.unwrap();
    assert_eq!(&soon(receiver.recv()).await.unwrap().unwrap().body[..], b"<item/>");
}

#[tokio::test]
async fn a_reply_carries_class_and_position_of_its_delivery() {
    let pair = Pair::new().await;
    let (mut critical, mut receiver) = lane(&pair, Class::Critical).await;
    deliver(&mut critical, 77, &body("<item/>")).await.unwrap();
    let item = soon(receiver.recv()).await.unwrap().unwrap();
    let mut replies = pair.up.replies().unwrap();
    replies.reply(&item.header, &body("<reply/>")).await.unwrap();
    let reply = soon(pair.down.reply_lane().unwrap().recv()).await.unwrap();
    assert_eq!((reply.header.kind, reply.header.position, reply.header.class), (Kind::Reply, 77, Class::Critical));
    assert_eq!(reply.body, ReplyBody::Document(Bytes::from_static(b"<reply/>")));
}

#[tokio::test]
async fn each_half_of_the_control_stream_is_given_once_and_to_its_side() {
    let pair = Pair::new().await;
    let (replies, control) = (pair.up.replies(), pair.up.control());
    assert!(replies.is_some() && control.is_some());
    assert!(pair.up.replies().is_none() && pair.up.control().is_none() && pair.up.reply_lane().is_none());
    let lane = pair.down.reply_lane();
    assert!(lane.is_some());
    assert!(pair.down.reply_lane().is_none() && pair.down.replies().is_none() && pair.down.control().is_none());
    assert!(matches!(pair.up.open_lane(Class::Normal).await, Err(SendError::Side(_))));
    assert!(matches!(pair.up.behind(1).await, Err(SendError::Side(_))));
    assert!(matches!(pair.up.path(&[]).await, Err(SendError::Side(_))));
}

#[tokio::test]
async fn behind_reaches_the_client_beside_the_lanes() {
    let pair = Pair::new().await;
    let mut control = pair.up.control().unwrap();
    pair.down.behind(17).await.unwrap();
    pair.down.behind(18).await.unwrap();
    assert_eq!(soon(control.recv()).await, Ok(ControlEvent::Behind { position: 17 }));
    assert_eq!(soon(control.recv()).await, Ok(ControlEvent::Behind { position: 18 }));
}

#[tokio::test]
async fn a_changed_path_reaches_the_client_in_order_with_behind() {
    let pair = Pair::new().await;
    let mut control = pair.up.control().unwrap();
    let longest: Vec<Mark> = (0..PATH_MARKS_MAX as u128).map(Mark::of).collect();
    pair.down.path(&longest).await.unwrap();
    pair.down.behind(17).await.unwrap();
    pair.down.path(&[]).await.unwrap();
    assert_eq!(soon(control.recv()).await, Ok(ControlEvent::Path(longest)));
    assert_eq!(soon(control.recv()).await, Ok(ControlEvent::Behind { position: 17 }));
    assert_eq!(soon(control.recv()).await, Ok(ControlEvent::Path(Vec::new())));
}

#[tokio::test]
async fn a_path_that_is_too_long_is_not_sent() {
    let pair = Pair::new().await;
    let refused = pair.down.path(&[Mark::of(1); PATH_MARKS_MAX + 1]).await;
    assert_eq!(refused, Err(SendError::TooLong { length: 65 * 16, limit: 64 * 16 }));
    pair.down.behind(1).await.unwrap();
    assert_eq!(soon(pair.up.control().unwrap().recv()).await, Ok(ControlEvent::Behind { position: 1 }));
}

#[tokio::test]
async fn a_client_that_said_no_path_is_told_none() {
    let silent = Hello { path: None, ..Hello::default() };
    let pair = Pair::saying(LinkLimits::server(), LinkLimits::device(), Hello::default(), silent).await.unwrap();
    pair.down.path(&[Mark::of(1)]).await.unwrap();
    pair.down.behind(1).await.unwrap();
    assert_eq!(soon(pair.up.control().unwrap().recv()).await, Ok(ControlEvent::Behind { position: 1 }));
}

#[tokio::test]
async fn a_lane_that_is_not_read_stalls_itself_alone_and_its_memory_is_bounded() {
    let pair = Pair::new().await;
    let (mut bulk, mut bulk_in) = lane(&pair, Class::Bulk).await;
    let (mut critical, mut critical_in) = lane(&pair, Class::Critical).await;
    let chunk = [Bytes::from(vec![b' '; 64 * KIB])];
    let sent = fill(&mut bulk, &chunk).await;
    // The stream's window of 256 KiB, less four headers, holds three bodies of 64 KiB whole.
    assert_eq!(sent, 3);
    for position in 0..100 {
        deliver(&mut critical, position, &body("<urgent/>")).await.unwrap();
        let item = timeout(Duration::from_secs(1), critical_in.recv()).await.expect("critical is stalled");
        assert_eq!(item.unwrap().unwrap().header.position, position);
    }
    assert_eq!(pair.client_budget.frame_bytes_left(), 256 << 20, "nothing was read that nobody asked for");
    for position in 0..sent {
        assert_eq!(soon(bulk_in.recv()).await.unwrap().unwrap().header.position, position);
    }
}

#[tokio::test]
async fn a_send_dropped_halfway_leaves_its_lane_unusable_and_says_so() {
    let pair = Pair::new().await;
    let (mut bulk, _bulk_in) = lane(&pair, Class::Bulk).await;
    fill(&mut bulk, &[Bytes::from(vec![b' '; 64 * KIB])]).await;
    assert_eq!(deliver(&mut bulk, 1, &body("<item/>")).await, Err(SendError::Unfinished));
}

#[tokio::test]
async fn what_the_receiver_holds_is_bounded_by_its_share() {
    let limits = LinkLimits { held_bytes_max: 200 << 10, ..LinkLimits::device() };
    let pair = Pair::with(LinkLimits::server(), limits).await;
    let (mut normal, mut receiver) = lane(&pair, Class::Normal).await;
    // Four fit into the stream's window, three into the share.
    let chunk = [Bytes::from(vec![b' '; 60 * KIB])];
    for position in 0..4 {
        soon(deliver(&mut normal, position, &chunk)).await.unwrap();
    }
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(soon(receiver.recv()).await.unwrap().unwrap());
    }
    assert!(timeout(Duration::from_millis(100), receiver.recv()).await.is_err(), "three are held, a fourth waits");
    held.pop();
    assert_eq!(soon(receiver.recv()).await.unwrap().unwrap().header.position, 3);
}

#[tokio::test]
async fn a_lane_takes_deliveries_of_its_class_only() {
    let pair = Pair::new().await;
    let (mut normal, _receiver) = lane(&pair, Class::Normal).await;
    let other = FrameHeader::over(Kind::Delivery, &[]).in_class(Class::Bulk);
    assert!(matches!(normal.deliver(&other, &[]).await, Err(SendError::Order(_))));
    let reply = FrameHeader::over(Kind::Reply, &[]);
    assert!(matches!(normal.deliver(&reply, &[]).await, Err(SendError::Order(_))));
}

#[tokio::test]
async fn a_second_lane_of_a_class_breaks_the_protocol() {
    let pair = Pair::new().await;
    let (_sender, _receiver) = lane(&pair, Class::Normal).await;
    let (_second, refused) =
        soon(async { tokio::join!(pair.down.open_lane(Class::Normal), pair.up.accept_lane()) }).await;
    assert!(matches!(refused, Err(RecvError::Frame(_))));
}
