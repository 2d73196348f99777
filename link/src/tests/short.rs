//! Short replies: to servers that take them, on the reply lane, and nowhere else.

use bytes::Bytes;
use schemas::class::Class;
use schemas::guid::MessageId;

use super::pair::{Pair, body, soon};
use crate::close::CloseCode;
use crate::error::{RecvError, SendError};
use crate::frame::{Form, FrameError, FrameHeader, Kind};
use crate::hello::Hello;
use crate::lane::ReplyBody;
use crate::limits::LinkLimits;
use crate::short::ShortReply;

const REPLY: ShortReply = ShortReply { items: 3, message_id: MessageId(7), sent_time: 9 };

/// A server that takes them, and a client that says nothing of forms.
async fn taking() -> Pair {
    let hello = Hello { forms: Form::all(), ..Hello::default() };
    Pair::saying(LinkLimits::server(), LinkLimits::device(), hello, Hello::default()).await.unwrap()
}

fn delivery() -> FrameHeader {
    FrameHeader::over(Kind::Delivery, &[]).in_class(Class::Critical).at(77)
}

#[tokio::test]
async fn a_short_reply_carries_class_and_position_and_stands_beside_documents() {
    let pair = taking().await;
    let (mut replies, mut lane) = (pair.up.replies().unwrap(), pair.down.reply_lane().unwrap());
    assert!(replies.takes_short());
    replies.succeed(&delivery(), REPLY).await.unwrap();
    replies.reply(&delivery(), &body("<reply/>")).await.unwrap();
    let short = soon(lane.recv()).await.unwrap();
    assert_eq!((short.header.position, short.header.class, short.body), (77, Class::Critical, ReplyBody::Short(REPLY)));
    assert_eq!(soon(lane.recv()).await.unwrap().body, ReplyBody::Document(Bytes::from_static(b"<reply/>")));
}

#[tokio::test]
async fn a_server_that_does_not_say_so_is_sent_none_and_takes_none() {
    let pair = Pair::new().await;
    let mut replies = pair.up.replies().unwrap();
    assert!(!replies.takes_short());
    assert!(matches!(replies.succeed(&delivery(), REPLY).await, Err(SendError::Order(_))));
    let body = [Bytes::copy_from_slice(&REPLY.to_wire())];
    let header = FrameHeader::over(Kind::Reply, &body).in_form(Form::Short);
    pair.up.inner().control_out.lock().await.write(&header, 26, &body).await.unwrap();
    let refused = soon(pair.down.reply_lane().unwrap().recv()).await;
    assert_eq!(refused, Err(RecvError::Frame(FrameError::Form(2))));
    assert_eq!(soon(pair.up.closed()).await.code, CloseCode::Protocol);
}

#[tokio::test]
async fn a_short_reply_to_nothing_closes_the_link() {
    let pair = taking().await;
    pair.up.replies().unwrap().succeed(&delivery(), ShortReply { items: 0, ..REPLY }).await.unwrap();
    assert!(matches!(soon(pair.down.reply_lane().unwrap().recv()).await, Err(RecvError::Frame(_))));
    assert_eq!(soon(pair.up.closed()).await.code, CloseCode::Protocol);
}

#[tokio::test]
async fn an_exchange_is_not_answered_by_a_short_reply() {
    let pair = taking().await;
    let mut asked = pair.down.open_exchange(&body("<request/>")).await.unwrap();
    let (mut send, _recv) = soon(pair.up.inner().connection.accept_bi()).await.unwrap();
    let wire = REPLY.to_wire();
    let header = FrameHeader::over(Kind::Reply, &[Bytes::copy_from_slice(&wire)]).in_form(Form::Short);
    send.write_all(&[&header.encode(26)[..], &wire].concat()).await.unwrap();
    assert!(matches!(soon(asked.recv()).await, Err(RecvError::Frame(FrameError::Unexpected { .. }))));
    assert_eq!(soon(pair.up.closed()).await.code, CloseCode::Protocol);
}
