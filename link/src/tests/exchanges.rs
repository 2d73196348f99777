//! Exchanges in both directions.

use std::time::Duration;

use bytes::Bytes;
use schemas::class::Class;

use super::pair::{Pair, body, soon};
use crate::close::CloseCode;
use crate::connection::Link;
use crate::error::{RecvError, SendError};
use crate::frame::{FrameHeader, HEADER_BYTES, Kind};
use crate::limits::LinkLimits;

/// Answers one exchange: the Reply and so many Deliveries.
pub(super) async fn answer(link: &Link, deliveries: u64) {
    let mut exchange = link.accept_exchange().await.unwrap().document().await.unwrap();
    exchange.reply(100, &body("<reply/>")).await.unwrap();
    for number in 0..deliveries {
        let parts = [Bytes::from_static(b"<head>"), Bytes::from(number.to_string()), Bytes::from_static(b"</head>")];
        let header = FrameHeader::over(Kind::Delivery, &parts).at(number).in_class(Class::Critical).fresh(1234);
        exchange.deliver(&header, &parts).await.unwrap();
    }
    exchange.end().await.unwrap();
}

/// Opens an exchange and returns the bodies of its answer.
pub(super) async fn ask(link: &Link) -> Vec<String> {
    let mut asked = link.open_exchange(&body("<request/>")).await.unwrap();
    let mut bodies = Vec::new();
    while let Some(frame) = asked.recv().await.unwrap() {
        assert_eq!(asked.snapshot(), Some(100));
        bodies.push(String::from_utf8(frame.body.to_vec()).unwrap());
    }
    bodies
}

#[tokio::test]
async fn a_request_is_answered_by_its_reply_then_every_delivery() {
    let pair = Pair::new().await;
    let ((), bodies) = soon(async { tokio::join!(answer(&pair.down, 3), ask(&pair.up)) }).await;
    assert_eq!(bodies, ["<reply/>", "<head>0</head>", "<head>1</head>", "<head>2</head>"]);
}

#[tokio::test]
async fn either_side_opens_exchanges_on_one_connection() {
    let pair = Pair::new().await;
    let down = async { tokio::join!(answer(&pair.down, 0), ask(&pair.down)).1 };
    let up = async { tokio::join!(answer(&pair.up, 1), ask(&pair.up)).1 };
    let (from_client, from_server) = soon(async { tokio::join!(down, up) }).await;
    assert_eq!(from_client, ["<reply/>", "<head>0</head>"]);
    assert_eq!(from_server, ["<reply/>"]);
}

#[tokio::test]
async fn a_delivery_keeps_its_header() {
    let pair = Pair::new().await;
    let asking = async {
        let mut asked = pair.up.open_exchange(&body("<request/>")).await.unwrap();
        let reply = asked.recv().await.unwrap().unwrap();
        (reply.header, asked.recv().await.unwrap().unwrap().header)
    };
    let answering = async {
        let mut exchange = pair.down.accept_exchange().await.unwrap().document().await.unwrap();
        assert_eq!(
            (exchange.document().header.kind, &exchange.document().body[..]),
            (Kind::Document, &b"<request/>"[..])
        );
        exchange.reply(100, &body("<reply/>")).await.unwrap();
        let header = FrameHeader::over(Kind::Delivery, &body("<a/>")).at(77).in_class(Class::Bulk).fresh(1234);
        exchange.deliver(&header, &body("<a/>")).await.unwrap();
        exchange.end().await.unwrap();
    };
    let ((reply, delivery), ()) = soon(async { tokio::join!(asking, answering) }).await;
    assert_eq!((reply.kind, reply.position), (Kind::Reply, 100));
    assert_eq!((delivery.position, delivery.class, delivery.freshness), (77, Class::Bulk, 1234));
}

#[tokio::test]
async fn a_slow_document_holds_up_no_other_exchange() {
    let pair = Pair::new().await;
    let (mut slow, _answer) = pair.up.inner().connection.open_bi().await.unwrap();
    slow.write_all(&[0; 10]).await.unwrap();
    let first = soon(pair.down.accept_exchange()).await.unwrap();
    let ((), bodies) = soon(async { tokio::join!(answer(&pair.down, 1), ask(&pair.up)) }).await;
    assert_eq!(bodies.len(), 2);
    let waiting = tokio::time::timeout(Duration::from_millis(50), first.document()).await;
    assert!(waiting.is_err(), "the slow one still waits");
}

#[tokio::test]
async fn a_document_that_does_not_come_costs_its_stream_only() {
    let quick = Duration::from_millis(50);
    let limits = LinkLimits { exchange_timeout: quick, frame_timeout: quick, ..LinkLimits::server() };
    let pair = Pair::with(limits, LinkLimits::device()).await;
    let (mut slow, _answer) = pair.up.inner().connection.open_bi().await.unwrap();
    slow.write_all(&[0; 10]).await.unwrap();
    let late = soon(async { pair.down.accept_exchange().await.unwrap().document().await }).await;
    assert!(matches!(late, Err(RecvError::Timeout(_))));
    let stopped = soon(slow.stopped()).await;
    assert_eq!(CloseCode::from_wire(stopped), CloseCode::Timeout);
    let ((), bodies) = soon(async { tokio::join!(answer(&pair.down, 0), ask(&pair.up)) }).await;
    assert_eq!(bodies, ["<reply/>"]);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let limits = LinkLimits { reply_timeout: Duration::from_millis(50), ..LinkLimits::device() };
    let pair = Pair::with(LinkLimits::server(), limits).await;
    let mut asked = pair.up.open_exchange(&body("<request/>")).await.unwrap();
    let _unanswered = soon(async { pair.down.accept_exchange().await.unwrap().document().await }).await.unwrap();
    assert!(matches!(soon(asked.recv()).await, Err(RecvError::Timeout(_))));
    assert_eq!(pair.up.close_reason(), None);
}

#[tokio::test]
async fn an_answer_dropped_halfway_is_not_taken_for_whole() {
    let pair = Pair::new().await;
    let answering = async {
        let mut exchange = pair.down.accept_exchange().await.unwrap().document().await.unwrap();
        exchange.reply(5, &body("<reply/>")).await.unwrap();
    };
    let asking = async {
        let mut asked = pair.up.open_exchange(&body("<request/>")).await.unwrap();
        loop {
            match asked.recv().await {
                Ok(Some(_)) => {}
                other => return other,
            }
        }
    };
    let ((), end) = soon(async { tokio::join!(answering, asking) }).await;
    assert_eq!(end, Err(RecvError::Reset(CloseCode::Internal)));
    assert_eq!(pair.up.close_reason(), None, "the exchange may be repeated on the same link");
}

#[tokio::test]
async fn an_exchange_is_abandoned_with_its_code() {
    let pair = Pair::new().await;
    let answering = async {
        let exchange = pair.down.accept_exchange().await.unwrap().document().await.unwrap();
        exchange.abandon(CloseCode::Busy);
    };
    let asking = async { pair.up.open_exchange(&body("<request/>")).await.unwrap().recv().await };
    let ((), end) = soon(async { tokio::join!(answering, asking) }).await;
    assert_eq!(end, Err(RecvError::Reset(CloseCode::Busy)));
}

#[tokio::test]
async fn an_answer_has_its_order() {
    let pair = Pair::new().await;
    let asking = async { pair.up.open_exchange(&body("<request/>")).await.unwrap().recv().await };
    let answering = async {
        let mut exchange = pair.down.accept_exchange().await.unwrap().document().await.unwrap();
        let delivery = FrameHeader::over(Kind::Delivery, &[]);
        assert!(matches!(exchange.deliver(&delivery, &[]).await, Err(SendError::Order(_))));
        exchange.reply(0, &body("<reply/>")).await.unwrap();
        assert!(matches!(exchange.reply(0, &[]).await, Err(SendError::Order(_))));
        let reply = FrameHeader::over(Kind::Reply, &[]);
        assert!(matches!(exchange.deliver(&reply, &[]).await, Err(SendError::Order(_))));
        exchange.end().await.unwrap();
    };
    soon(async { tokio::join!(asking, answering) }).await.0.unwrap();
}

#[tokio::test]
async fn what_the_peer_cannot_take_is_not_sent() {
    let limits = LinkLimits { document_bytes_max: 10, ..LinkLimits::server() };
    let pair = Pair::with(limits, LinkLimits::device()).await;
    let error = pair.up.open_exchange(&body("<too-long-a-request/>")).await.err().unwrap();
    assert_eq!(error, SendError::TooLong { length: 21, limit: 10 });
    assert_eq!(pair.up.close_reason(), None);
}

/// P-6, at link level: the limit on streams.
#[tokio::test]
async fn p_6_no_more_exchanges_are_open_at_once_than_allowed() {
    let quick = LinkLimits { exchange_timeout: Duration::from_millis(100), ..LinkLimits::device() };
    let pair = Pair::with(LinkLimits::server(), quick).await;
    // Eight streams, one of which is the control stream.
    let mut open = Vec::new();
    for _ in 0..7 {
        open.push(pair.up.open_exchange(&body("<request/>")).await.unwrap());
    }
    assert_eq!(soon(pair.up.open_exchange(&body("<request/>"))).await.err(), Some(SendError::Timeout));
}

#[tokio::test]
async fn both_ends_count_the_same_bytes() {
    let pair = Pair::new().await;
    let (up, down) = (pair.up.counters(), pair.down.counters());
    soon(async { tokio::join!(answer(&pair.down, 1), ask(&pair.up)) }).await;
    let header = HEADER_BYTES as u64;
    assert_eq!(pair.up.counters().sent - up.sent, header + 10);
    assert_eq!(pair.down.counters().received - down.received, header + 10);
    let answered = 3 * header + 8 + 14;
    assert_eq!(pair.down.counters().sent - down.sent, answered);
    assert_eq!(pair.up.counters().received - up.received, answered);
}
