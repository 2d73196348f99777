//! What the server asks in an exchange. This client takes deliveries on its lane and in answers, and does nothing else
//! for others.

use node::answer::{Answer, AnswerBody, Leaf, reply_id};
use node::intake::{Body, IntakePart, Order, Refusal};
use schemas::core::ReplyStatus;

/// A refusal of each message; one that has a fault of its own keeps that.
pub(super) fn refusal(part: &IntakePart) -> Answer {
    let leaf = |order: &Order| {
        let own = order.meaning.as_ref().err().cloned();
        let refusal = own.unwrap_or_else(|| Refusal {
            status: ReplyStatus::MajorNotSupported,
            why: format!("this client takes no {} in an exchange", order.major.as_str()),
        });
        Leaf::new(&part.hop, order, Err(refusal))
    };
    let body = match &part.body {
        Body::Bad(why) => AnswerBody::Leaves(vec![Leaf::failed(reply_id(&part.hop), why.clone())]),
        Body::Parts(parts) => AnswerBody::Parts(parts.iter().map(refusal).collect()),
        Body::Orders(orders) => AnswerBody::Leaves(orders.orders.iter().map(leaf).collect()),
    };
    Answer { server: part.hop.server, client: part.hop.client, body }
}

#[cfg(test)]
mod tests {
    use dialler::{Hop, documents};
    use node::client::Draft;
    use node::intake::Intake;
    use schemas::facts::Validated;
    use schemas::guid::{ClientGuid, MessageId, ServerGuid};
    use schemas::limits::Limits;
    use schemas::names::Spelling;
    use schemas::version::{Major, Minor};

    use super::*;

    #[test]
    fn every_message_of_the_server_is_answered_once() {
        let drafts = [
            Draft { major: Major::Register, minor: None, infos: Vec::new() },
            Draft { major: Major::Request, minor: Some(Minor::Other("Some".into())), infos: Vec::new() },
        ];
        let hop = Hop { client: ClientGuid(7), server: ServerGuid(9) };
        let document = documents::ask(hop, MessageId(5), &drafts);
        let facts = Validated::new(document, &Limits::default()).unwrap();
        let answer = refusal(&Intake::of(&facts).unwrap().part);
        let leaves = answer.leaves();
        let statuses: Vec<_> = leaves.iter().map(|leaf| &leaf.status).collect();
        assert_eq!(statuses, [&ReplyStatus::MajorNotSupported, &ReplyStatus::MinorNotSupported]);
        assert!(leaves.iter().all(|leaf| leaf.reply_id.as_deref() == Some(&MessageId(5).to_string())));
        let reply = answer.render(Spelling::Double, MessageId(1), "2026-01-15T09:30:00Z");
        Validated::new(reply, &Limits::default()).expect("reads back");
    }
}
