//! The exchanges that the client opens: a document up, its reply and deliveries down.

use std::fmt;

use link::connection::Link;
use link::error::{RecvError, SendError};
use link::frame::{Frame, Kind};
use node::answer;
use node::client::Draft;
use node::ids::ExchangeId;
use schemas::core::{MessageCoreReply, Reply, ReplyPayload, ReplyStatus, Root};
use schemas::guid::MessageId;
use tokio::sync::mpsc;

use super::driver::Said;
use crate::clock;
use crate::documents::{self, Hop};

/// An exchange to be opened.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The driver's name for it.
    pub(crate) exchange: ExchangeId,
    /// Its messages.
    pub(crate) drafts: Vec<Draft>,
}

/// Why an exchange did not come to its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// The server takes no such document: to ask again would not help.
    TooLong(String),
    /// The link goes with it, and the next one asks again.
    Link(String),
    /// The driver is gone.
    Unheard,
}

impl From<SendError> for Broken {
    fn from(error: SendError) -> Self {
        match error {
            SendError::TooLong { .. } => Self::TooLong(format!("the inventory cannot be sent: {error}")),
            SendError::Closed(_)
            | SendError::Stopped(_)
            | SendError::Unfinished
            | SendError::Order(_)
            | SendError::Side(_)
            | SendError::Timeout => Self::Link(error.to_string()),
        }
    }
}

impl From<RecvError> for Broken {
    fn from(error: RecvError) -> Self {
        Self::Link(error.to_string())
    }
}

/// Carries out one exchange, and tells the driver of each part of its answer.
pub(super) async fn run(link: Link, hop: Hop, asked: Asked, said: mpsc::Sender<Said>) -> Result<(), Broken> {
    let Asked { exchange, drafts } = asked;
    let message_id = clock::message_id();
    let document = documents::ask(hop, message_id, &drafts);
    tracing::debug!(exchange = exchange.0, messages = drafts.len(), bytes = document.len(), "asking");
    let mut outgoing = link.open_exchange(&[document]).await?;
    while let Some(Frame { header, body }) = outgoing.recv().await? {
        let (facts, intake) = documents::read(body).await.map_err(|refused| unreadable(&refused))?;
        let heard = match (header.kind, &facts.document().root) {
            (Kind::Reply, Root::Reply(reply)) => {
                Said::Replied(exchange, outcomes(reply, message_id, drafts.len()).map_err(Broken::Link)?)
            }
            (Kind::Delivery, Root::Message(_)) => {
                let intake = intake.ok_or_else(|| unreadable(&"no message"))?;
                Said::Delivered(exchange, Box::new(intake))
            }
            _ => return Err(Broken::Link("a document that is not what its frame says (10.1.5)".to_owned())),
        };
        said.send(heard).await.map_err(|_| Broken::Unheard)?;
    }
    said.send(Said::Ended(exchange)).await.map_err(|_| Broken::Unheard)
}

fn unreadable(why: &dyn fmt::Display) -> Broken {
    Broken::Link(format!("an answer that cannot be read: {why}"))
}

/// What each message was answered. There is one reply for each, in their order, and each repeats the `Message_ID`.
fn outcomes(
    reply: &MessageCoreReply,
    asked: MessageId,
    count: usize,
) -> Result<Vec<(ReplyStatus, Option<String>)>, String> {
    let mut replies = Vec::new();
    collect(reply, &mut replies);
    if let Some(other) = replies.iter().filter_map(|reply| reply.reply_id.as_ref()).find(|id| id.value != asked) {
        return Err(format!("a reply to {} where one to {asked} belongs (10.1.6)", other.text));
    }
    let outcome = |reply: &Reply| match &reply.status {
        ReplyStatus::Succeeded => (ReplyStatus::Succeeded, None),
        status => (status.clone(), Some(answer::description(reply))),
    };
    let outcomes: Vec<_> = replies.into_iter().map(outcome).collect();
    // A document that was refused as a whole has one answer.
    let is_whole =
        outcomes.len() == count || matches!(&outcomes[..], [(status, _)] if *status != ReplyStatus::Succeeded);
    if is_whole { Ok(outcomes) } else { Err(format!("{} replies to {count} messages (10.1.5)", outcomes.len())) }
}

fn collect<'a>(core: &'a MessageCoreReply, replies: &mut Vec<&'a Reply>) {
    match &core.payload {
        ReplyPayload::Bundle(cores) => cores.iter().for_each(|core| collect(core, replies)),
        ReplyPayload::Replies(own) => replies.extend(own),
    }
}

#[cfg(test)]
mod tests {
    use node::answer::{Answer, AnswerBody, Leaf};
    use schemas::facts::Validated;
    use schemas::limits::Limits;
    use schemas::names::Spelling;

    use super::*;

    fn leaf(status: ReplyStatus) -> Leaf {
        let reply_id = Some(MessageId(5).to_string());
        Leaf { status, ..Leaf::failed(reply_id, "not today".to_owned()) }
    }

    fn heard(statuses: &[ReplyStatus], asked: u128, count: usize) -> Result<Vec<ReplyStatus>, String> {
        let leaves = statuses.iter().cloned().map(leaf).collect();
        let answer = Answer { server: None, client: None, body: AnswerBody::Leaves(leaves) };
        let document = answer.render(Spelling::Double, MessageId(1), "2026-01-15T09:30:00Z");
        let facts = Validated::new(document, &Limits::default()).unwrap();
        let Root::Reply(reply) = &facts.document().root else { panic!("a reply") };
        let outcomes = outcomes(reply, MessageId(asked), count)?;
        Ok(outcomes.into_iter().map(|(status, _)| status).collect())
    }

    #[test]
    fn each_message_has_its_reply() {
        use ReplyStatus::{Failed, Succeeded};
        assert_eq!(heard(&[Succeeded, Failed], 5, 2), Ok(vec![Succeeded, Failed]));
        assert_eq!(heard(&[Failed], 5, 2), Ok(vec![Failed]), "refused as a whole");
        assert!(heard(&[Succeeded], 5, 2).is_err(), "half an answer");
        assert!(heard(&[Succeeded], 6, 1).is_err(), "the answer to something else");
    }
}
