//! The exchanges that the owner opens: a document up, its reply and deliveries down.

use std::fmt;

use bytes::Bytes;
use link::close::CloseCode;
use link::connection::Link;
use link::error::{RecvError, SendError};
use link::exchange;
use link::frame::{Frame, Kind};
use node::answer;
use node::ids::ExchangeId;
use schemas::core::{MessageCoreReply, Reply, ReplyPayload, ReplyStatus, Root};
use schemas::guid::MessageId;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};

use crate::live::{Content, Outcome, Outgoing, Said};
use crate::{Hop, clock, documents};

/// Exchanges that are under way at once: a long answer holds up no other, and a server grants streams for more.
const EXCHANGES_MAX: usize = 4;

/// Why an exchange did not come to its end.
#[derive(Debug)]
enum Broken {
    /// The link goes with it, and whoever asked asks again on the next.
    Link(String),
    /// The owner is gone.
    Unheard,
}

impl From<RecvError> for Broken {
    fn from(error: RecvError) -> Self {
        Self::Link(error.to_string())
    }
}

/// Carries out what the owner asks for. Documents are sent one after the other, in the order of `asks`; their answers come
/// side by side.
pub(crate) async fn run(link: Link, hop: Hop, mut asks: mpsc::Receiver<Outgoing>, said: mpsc::Sender<Said>) {
    let mut answers = JoinSet::new();
    loop {
        let ended = tokio::select! {
            outgoing = asks.recv(), if answers.len() < EXCHANGES_MAX => match outgoing {
                Some(outgoing) => open(&link, hop, outgoing, &said).await.map(|expected| {
                    if let Some(expected) = expected {
                        answers.spawn(expected.hear(said.clone()));
                    }
                }),
                None => break,
            },
            Some(ended) = answers.join_next() => outcome(ended),
        };
        if !goes_on(&link, ended) {
            return;
        }
    }
    while let Some(ended) = answers.join_next().await {
        if !goes_on(&link, outcome(ended)) {
            return;
        }
    }
}

/// A task that is lost took an answer with it.
fn outcome(ended: Result<Result<(), Broken>, JoinError>) -> Result<(), Broken> {
    ended.unwrap_or_else(|error| Err(Broken::Link(error.to_string())))
}

/// Whether anybody listens still.
fn goes_on(link: &Link, ended: Result<(), Broken>) -> bool {
    match ended {
        Ok(()) => true,
        Err(Broken::Link(why)) => {
            tracing::warn!(why, "an exchange broke: the link is closed, the next one asks again");
            link.close(CloseCode::Internal, &why);
            true
        }
        Err(Broken::Unheard) => false,
    }
}

/// Sends a document. Nothing comes of one that the server does not take.
async fn open(
    link: &Link,
    hop: Hop,
    outgoing: Outgoing,
    said: &mpsc::Sender<Said>,
) -> Result<Option<Expected>, Broken> {
    let Outgoing { exchange, content } = outgoing;
    let (document, asked) = match content {
        Content::Drafts(drafts) => {
            let message_id = clock::message_id();
            (vec![documents::ask(hop, message_id, &drafts)], Some((message_id, drafts.len())))
        }
        Content::Parts(spelling, parts) => (documents::bundle(hop, spelling, parts), None),
    };
    let bytes = document.iter().map(Bytes::len).sum::<usize>();
    tracing::debug!(exchange = exchange.0, bytes, "asking");
    match link.open_exchange(&document).await {
        Ok(stream) => Ok(Some(Expected { exchange, asked, stream })),
        Err(error @ SendError::TooLong { .. }) => {
            said.send(Said::TooLong(exchange, error.to_string())).await.map_err(|_| Broken::Unheard)?;
            Ok(None)
        }
        Err(error) => Err(Broken::Link(error.to_string())),
    }
}

/// An answer that is on its way.
struct Expected {
    exchange: ExchangeId,
    /// The `Message_ID` that every reply repeats, and how many there are; parts have their own.
    asked: Option<(MessageId, usize)>,
    stream: exchange::Outgoing,
}

impl Expected {
    /// Tells the owner of each part of the answer.
    async fn hear(mut self, said: mpsc::Sender<Said>) -> Result<(), Broken> {
        while let Some(Frame { header, body }) = self.stream.recv().await? {
            let (facts, intake) = documents::read(body).await.map_err(|refused| unreadable(&refused))?;
            let heard = match (header.kind, &facts.document().root) {
                (Kind::Reply, Root::Reply(reply)) => {
                    Said::Replied(self.exchange, outcomes(reply, self.asked).map_err(Broken::Link)?)
                }
                (Kind::Delivery, Root::Message(_)) => {
                    let intake = intake.ok_or_else(|| unreadable(&"no message"))?;
                    Said::Delivered(self.exchange, Box::new(intake))
                }
                _ => return Err(Broken::Link("a document that is not what its frame says (10.1.5)".to_owned())),
            };
            said.send(heard).await.map_err(|_| Broken::Unheard)?;
        }
        said.send(Said::Ended(self.exchange)).await.map_err(|_| Broken::Unheard)
    }
}

fn unreadable(why: &dyn fmt::Display) -> Broken {
    Broken::Link(format!("an answer that cannot be read: {why}"))
}

/// What each message was answered, in document order. Messages of one Payload have one reply each, which repeats their
/// `Message_ID`.
fn outcomes(reply: &MessageCoreReply, asked: Option<(MessageId, usize)>) -> Result<Vec<Outcome>, String> {
    let mut replies = Vec::new();
    collect(reply, &mut replies);
    let outcome = |reply: &Reply| match &reply.status {
        ReplyStatus::Succeeded => (ReplyStatus::Succeeded, None),
        status => (status.clone(), Some(answer::description(reply))),
    };
    let outcomes: Vec<_> = replies.iter().map(|reply| outcome(reply)).collect();
    let Some((message_id, count)) = asked else { return Ok(outcomes) };
    let other = replies.iter().filter_map(|reply| reply.reply_id.as_ref()).find(|id| id.value != message_id);
    if let Some(other) = other {
        return Err(format!("a reply to {} where one to {message_id} belongs (10.1.6)", other.text));
    }
    // A document that was refused as a whole has one answer, or one for each thing that is not supported (8.2.2).
    let is_refused = !outcomes.is_empty() && outcomes.iter().all(|(status, _)| *status != ReplyStatus::Succeeded);
    let is_whole = outcomes.len() == count || is_refused;
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

    fn heard(statuses: &[ReplyStatus], asked: Option<u128>, count: usize) -> Result<Vec<ReplyStatus>, String> {
        let leaves = statuses.iter().cloned().map(leaf).collect();
        let answer = Answer { server: None, client: None, body: AnswerBody::Leaves(leaves) };
        let document = answer.render(Spelling::Double, MessageId(1), "2026-01-15T09:30:00Z");
        let facts = Validated::new(document, &Limits::default()).unwrap();
        let Root::Reply(reply) = &facts.document().root else { panic!("a reply") };
        let outcomes = outcomes(reply, asked.map(|id| (MessageId(id), count)))?;
        Ok(outcomes.into_iter().map(|(status, _)| status).collect())
    }

    #[test]
    fn each_message_has_its_reply() {
        use ReplyStatus::{Failed, MajorNotSupported, MinorNotSupported, Succeeded};
        assert_eq!(heard(&[Succeeded, Failed], Some(5), 2), Ok(vec![Succeeded, Failed]));
        assert_eq!(heard(&[Failed], Some(5), 2), Ok(vec![Failed]), "refused as a whole");
        let both = [MajorNotSupported, MinorNotSupported];
        assert_eq!(heard(&both, Some(5), 1), Ok(both.to_vec()), "refused in two ways");
        assert!(heard(&[Succeeded, Failed], Some(5), 1).is_err(), "more than an answer");
        assert!(heard(&[Succeeded], Some(5), 2).is_err(), "half an answer");
        assert!(heard(&[Succeeded], Some(6), 1).is_err(), "the answer to something else");
        assert_eq!(heard(&[Succeeded, Failed], None, 1), Ok(vec![Succeeded, Failed]), "parts count for themselves");
    }
}
