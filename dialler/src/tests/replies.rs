//! Answers to pushes: short where the server takes it and there is nothing to add, else documents.

use link::frame::Form;
use link::hello::Hello;
use link::lane::ReplyBody;
use node::answer::{Answer, AnswerBody, Leaf};
use node::ids::Position;
use schemas::core::ReplyStatus;
use schemas::names::Spelling;

use super::rig::{Rig, hello_of_server, soon};
use crate::live::Answered;

/// An answer to a bundle of two, the second answered so.
fn answered(position: u64, status: ReplyStatus) -> Answered {
    let part = |status| {
        let leaf = Leaf { status, why: None, ..Leaf::failed(None, String::new()) };
        Answer { server: None, client: None, body: AnswerBody::Leaves(vec![leaf]) }
    };
    let body = AnswerBody::Parts(vec![part(ReplyStatus::Succeeded), part(status)]);
    let answer = Answer { server: None, client: None, body };
    Answered { position: Position(position), spelling: Spelling::Double, answer }
}

/// What a server that says this hears to two pushes, of which the second was not taken whole.
async fn heard(hello: Hello) -> [ReplyBody; 2] {
    let rig = Rig::saying(hello).await;
    let mut lane = rig.down.reply_lane().unwrap();
    for (position, status) in [(8, ReplyStatus::Succeeded), (9, ReplyStatus::Failed)] {
        rig.live.answers.send(answered(position, status)).await.unwrap();
    }
    let [first, second] = [soon(lane.recv()).await.unwrap(), soon(lane.recv()).await.unwrap()];
    assert_eq!((first.header.position, second.header.position), (8, 9));
    [first.body, second.body]
}

#[tokio::test]
async fn nothing_but_succeeded_is_said_short_to_who_takes_it() {
    let [first, second] = heard(Hello { forms: Form::all(), ..hello_of_server() }).await;
    assert!(matches!(first, ReplyBody::Short(reply) if reply.items == 2 && reply.sent_time > 0), "{first:?}");
    assert!(matches!(second, ReplyBody::Document(_)), "{second:?}");
}

#[tokio::test]
async fn who_does_not_take_it_gets_documents() {
    let replies = heard(hello_of_server()).await;
    assert!(replies.iter().all(|reply| matches!(reply, ReplyBody::Document(_))), "{replies:?}");
}
