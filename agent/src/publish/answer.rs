//! Which part got which reply: by order, and by the `Message_ID` that it repeats (10.1.5, 10.1.6).

use node::answer;
use schemas::core::{MessageCoreReply, Reply, ReplyPayload, ReplyStatus};
use schemas::guid::MessageId;

/// Of each part whether it was taken; `Err` says how it was refused.
///
/// # Errors
/// The reply is not one to these parts.
pub(super) fn outcomes(reply: &MessageCoreReply, parts: &[MessageId]) -> Result<Vec<Result<(), String>>, String> {
    match &reply.payload {
        ReplyPayload::Bundle(replies) if replies.len() == parts.len() => {
            replies.iter().zip(parts).map(|(reply, part)| outcome(reply, Some(*part))).collect()
        }
        ReplyPayload::Bundle(replies) => Err(format!("{} replies to {} parts (10.1.5)", replies.len(), parts.len())),
        // Refused as a whole, in answer to the envelope.
        ReplyPayload::Replies(_) => match outcome(reply, None)? {
            Ok(()) => Err("one reply to a bundle (10.1.5)".to_owned()),
            Err(why) => Ok(vec![Err(why); parts.len()]),
        },
    }
}

fn outcome(reply: &MessageCoreReply, part: Option<MessageId>) -> Result<Result<(), String>, String> {
    match &reply.payload {
        ReplyPayload::Bundle(replies) => {
            let each: Result<Vec<_>, String> = replies.iter().map(|reply| outcome(reply, part)).collect();
            Ok(each?.into_iter().collect())
        }
        ReplyPayload::Replies(replies) => {
            let id = |reply: &Reply| reply.reply_id.as_ref().map(|id| id.value);
            let stranger = replies.iter().filter_map(id).find(|id| part.is_some_and(|part| part != *id));
            match stranger {
                Some(id) => Err(format!("a reply to {id} where another is due (10.1.6)")),
                None => Ok(replies.iter().try_for_each(status)),
            }
        }
    }
}

fn status(reply: &Reply) -> Result<(), String> {
    match &reply.status {
        ReplyStatus::Succeeded => Ok(()),
        status => Err(format!("{}: {}", status.as_str(), answer::description(reply))),
    }
}

#[cfg(test)]
mod tests {
    use node::answer::{Answer, AnswerBody, Leaf};
    use schemas::core::Root;
    use schemas::facts::Validated;
    use schemas::limits::Limits;
    use schemas::names::Spelling;

    use super::*;

    fn leaf(id: u128, status: ReplyStatus) -> Answer {
        // In another notation than the one that was sent.
        let leaf = Leaf { status, ..Leaf::failed(Some(format!("#h{id:x}")), "not yours".to_owned()) };
        Answer { server: None, client: None, body: AnswerBody::Leaves(vec![leaf]) }
    }

    fn heard(answer: &Answer, parts: &[u128]) -> Result<Vec<Result<(), String>>, String> {
        let document = answer.render(Spelling::Double, MessageId(99), "2026-01-15T09:30:00Z");
        let facts = Validated::new(document, &Limits::default()).unwrap();
        let Root::Reply(reply) = &facts.document().root else { panic!("a reply") };
        outcomes(reply, &parts.iter().map(|id| MessageId(*id)).collect::<Vec<_>>())
    }

    #[test]
    fn c10_1_6_each_part_gets_its_own_reply_matched_by_value() {
        let parts = vec![leaf(1, ReplyStatus::Succeeded), leaf(2, ReplyStatus::Failed)];
        let answer = Answer { server: None, client: None, body: AnswerBody::Parts(parts) };
        let refused = Err("Failed: not yours".to_owned());
        assert_eq!(heard(&answer, &[1, 2]), Ok(vec![Ok(()), refused.clone()]));
        assert!(heard(&answer, &[2, 1]).is_err(), "in another order");
        assert!(heard(&answer, &[1]).is_err(), "more replies than parts");
        assert_eq!(heard(&leaf(7, ReplyStatus::Failed), &[1, 2]), Ok(vec![refused.clone(), refused]));
        assert!(heard(&leaf(7, ReplyStatus::Succeeded), &[1]).is_err(), "no success without its part");
    }
}
