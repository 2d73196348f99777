//! What the server asks in an exchange, and the owner's answer.

use bytes::Bytes;
use link::close::CloseCode;
use link::error::RecvError;
use link::frame::Kind;
use node::answer::{Answer, AnswerBody, Leaf};
use node::client::Draft;
use node::intake::Body;
use schemas::core::{MessageCoreReply, ReplyPayload, ReplyStatus, Root};
use schemas::facts::Validated;
use schemas::guid::MessageId;
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::version::{Major, VersionInfo};

use super::rig::{HOP, Rig, reply, soon};
use crate::{Answering, Incoming, Said, documents};

fn request() -> Bytes {
    documents::ask(HOP, MessageId(5), &[Draft { major: Major::Request, minor: None, infos: Vec::new() }])
}

fn item(name: &str) -> Bytes {
    documents::item(&[VersionInfo { product_name: Some(name.into()), ..VersionInfo::default() }]).1
}

async fn incoming(rig: &mut Rig) -> Incoming {
    match rig.said().await {
        Said::Incoming(incoming) => incoming,
        other => panic!("{other:?}"),
    }
}

fn statuses(document: &Bytes) -> Vec<ReplyStatus> {
    let facts = Validated::new(document.clone(), &Limits::default()).unwrap();
    let Root::Reply(MessageCoreReply { payload: ReplyPayload::Replies(replies), .. }) = &facts.document().root else {
        panic!("replies")
    };
    replies.iter().map(|reply| reply.status.clone()).collect()
}

#[tokio::test]
async fn the_owner_answers_with_a_reply_and_deliveries() {
    let mut rig = Rig::new().await;
    let asked = rig.down.open_exchange(&[request()]).await.unwrap();
    let Incoming { intake, parts, answer } = incoming(&mut rig).await;
    assert!(parts.is_empty(), "its payload has messages");
    let Body::Orders(orders) = &intake.part.body else { panic!("messages") };
    let leaf = Leaf::new(&intake.part.hop, &orders.orders[0], Ok(()));
    let said = Answer { server: Some(HOP.server), client: Some(HOP.client), body: AnswerBody::Leaves(vec![leaf]) };
    let deliveries = [item("a"), item("b")];
    answer
        .send(Answering { answer: said, deliveries: deliveries.clone().map(|delivery| vec![delivery]).into() })
        .unwrap();
    let frames = frames(asked).await;
    assert_eq!(statuses(&frames[0].1), [ReplyStatus::Succeeded]);
    let delivered: Vec<_> = deliveries.into_iter().map(|delivery| (Kind::Delivery, delivery)).collect();
    assert_eq!(frames[1..], delivered);
}

#[tokio::test]
async fn a_returned_reply_goes_as_it_is_and_parts_come_as_documents_of_their_own() {
    let mut rig = Rig::new().await;
    let items = [item("a"), item("b")];
    let bundle = documents::bundle(HOP, Spelling::Double, items.clone());
    let asked = rig.down.open_exchange(&bundle).await.unwrap();
    let Incoming { parts, answer, .. } = incoming(&mut rig).await;
    assert_eq!(parts, items);
    let reply = reply(&[ReplyStatus::Succeeded, ReplyStatus::Failed], "#h05");
    answer.send(returned(reply.clone())).unwrap();
    assert_eq!(frames(asked).await, [(Kind::Reply, reply)]);
}

#[tokio::test]
async fn an_owner_who_does_not_answer_gives_the_exchange_up_and_not_the_link() {
    let mut rig = Rig::new().await;
    let mut asked = rig.down.open_exchange(&[request()]).await.unwrap();
    drop(incoming(&mut rig).await.answer);
    assert!(matches!(soon(asked.recv()).await, Err(RecvError::Reset(CloseCode::Drained))));
    let asked = rig.down.open_exchange(&[request()]).await.unwrap();
    let reply = reply(&[ReplyStatus::Succeeded], "#h05");
    incoming(&mut rig).await.answer.send(returned(reply)).unwrap();
    assert_eq!(frames(asked).await.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_without_the_owner_and_a_reply_is_not_answered() {
    let rig = Rig::new().await;
    let asked = rig.down.open_exchange(&[Bytes::from_static(b"nonsense")]).await.unwrap();
    assert_eq!(statuses(&frames(asked).await[0].1), [ReplyStatus::Failed]);
    let mut asked = rig.down.open_exchange(&[reply(&[ReplyStatus::Succeeded], "#h05")]).await.unwrap();
    assert!(matches!(soon(asked.recv()).await, Err(RecvError::Reset(CloseCode::Protocol))));
}

/// The answer of an owner who passes on somebody else's.
fn returned(reply: Bytes) -> Answering {
    let answer = Answer { server: None, client: None, body: AnswerBody::Returned(reply) };
    Answering { answer, deliveries: Vec::new() }
}

/// The frames of an answer.
async fn frames(mut asked: link::exchange::Outgoing) -> Vec<(Kind, Bytes)> {
    let mut frames = Vec::new();
    while let Some(frame) = soon(asked.recv()).await.unwrap() {
        frames.push((frame.header.kind, frame.body));
    }
    frames
}
