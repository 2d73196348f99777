//! Answers: one leaf for each message, in the shape and order of the document that is answered (10.1.5).

use bytes::{Bytes, BytesMut};
use schemas::core::{MessageCoreReply, ReplyPayload, ReplyStatus};
use schemas::error::Refused;
use schemas::guid::{ClientGuid, MessageId, Pid, ServerGuid};
use schemas::names::Spelling;
use schemas::version::{Major, Minor};
use schemas::write::{self, HeaderFields, Kind, ReplyDraft, ReplyForm};

use crate::intake::{Hop, Order, Refusal};

/// The answer to one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Repeated in the reply's header: the answer goes back between the same two.
    pub server: Option<ServerGuid>,
    /// The client of the part that is answered.
    pub client: Option<ClientGuid>,
    /// What is said.
    pub body: AnswerBody,
}

/// Leaves or parts, as in what is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerBody {
    /// One for each message of the Payload.
    Leaves(Vec<Leaf>),
    /// One for each nested part.
    Parts(Vec<Answer>),
    /// Somebody else's `Message_Core_Reply`, byte for byte: that of a client to what was passed on to it.
    Returned(Bytes),
}

/// The answer to one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The CID of what is answered.
    pub cid: String,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Its `Message_ID`, exactly as it stood.
    pub reply_id: Option<String>,
    /// How it went.
    pub status: ReplyStatus,
    /// Why, if not well.
    pub why: Option<String>,
    /// Whether it was a version message: others get `AbstractReply` (S6).
    pub is_version: bool,
    /// The major of what is answered, for counting; never on the wire.
    pub major: &'static str,
    /// Its minor, likewise.
    pub minor: &'static str,
}

impl Leaf {
    /// The answer to `order`, which came with `hop`.
    pub fn new(hop: &Hop, order: &Order, outcome: Result<(), Refusal>) -> Self {
        let (status, why) = match outcome {
            Ok(()) => (ReplyStatus::Succeeded, None),
            Err(refusal) => (refusal.status, Some(refusal.why)),
        };
        Self {
            cid: order.cid.clone(),
            uuid: order.uuid.clone(),
            reply_id: reply_id(hop),
            status,
            why,
            is_version: order.is_version,
            major: major_label(&order.major),
            minor: minor_label(order.minor.as_ref()),
        }
    }

    /// The answers to messages of one Payload, which share one fate (R-10.1.5-6): `Err` says which of them was refused, and
    /// why; the others failed with it.
    pub fn of_one_fate(hop: &Hop, orders: &[Order], outcome: &Result<(), (usize, Refusal)>) -> Vec<Self> {
        let result = |index| match outcome {
            Err((cause, refusal)) if index == *cause => Err(refusal.clone()),
            Err((cause, _)) => {
                let why = format!("message {} of this Payload was refused", cause + 1);
                Err(Refusal { status: ReplyStatus::Failed, why })
            }
            Ok(()) => Ok(()),
        };
        orders.iter().enumerate().map(|(index, order)| Self::new(hop, order, result(index))).collect()
    }

    /// `Failed` for something that could not be read as a message.
    pub fn failed(reply_id: Option<String>, why: String) -> Self {
        // S4: where no CID was readable, the PID's text stands in its place.
        let cid = Pid::X1206.to_string();
        Self {
            cid,
            uuid: None,
            reply_id,
            status: ReplyStatus::Failed,
            why: Some(why),
            is_version: true,
            major: "unreadable",
            minor: minor_label(None),
        }
    }
}

fn major_label(major: &Major) -> &'static str {
    match major {
        Major::Register => "register",
        Major::Request => "request",
        Major::Deliver => "deliver",
        Major::Analyse => "analyse",
        Major::Other(_) => "other",
    }
}

fn minor_label(minor: Option<&Minor>) -> &'static str {
    match minor {
        None => "none",
        Some(Minor::Full) => "full",
        Some(Minor::Catalog) => "catalog",
        Some(Minor::End) => "end",
        Some(Minor::Other(_)) => "other",
    }
}

/// The text to repeat as `Reply_ID`.
pub fn reply_id(hop: &Hop) -> Option<String> {
    hop.message_id.as_ref().map(|id| id.text.to_string())
}

impl Answer {
    /// The answer to a whole document that was refused; `None` if it was itself a reply (R-10.1.6-10).
    pub fn to_refused(refused: &Refused) -> Option<Self> {
        let reply_id = refused.message_id.as_ref().map(|id| id.text.to_string());
        let leaf = Leaf::failed(reply_id, refused.error.to_string());
        (!refused.is_reply).then(|| Self { server: None, client: None, body: AnswerBody::Leaves(vec![leaf]) })
    }

    /// How many items were answered, if every message in them was answered Succeeded and there is nothing to add: all that
    /// such an answer to a push says follows from the push (`link::short`).
    pub fn items_succeeded(&self) -> Option<usize> {
        let items = match &self.body {
            AnswerBody::Leaves(_) => 1,
            AnswerBody::Parts(parts) => parts.len(),
            AnswerBody::Returned(_) => return None,
        };
        self.has_succeeded().then_some(items)
    }

    fn has_succeeded(&self) -> bool {
        match &self.body {
            AnswerBody::Leaves(leaves) => {
                leaves.iter().all(|leaf| leaf.status == ReplyStatus::Succeeded && leaf.why.is_none())
            }
            AnswerBody::Parts(parts) => parts.iter().all(Self::has_succeeded),
            AnswerBody::Returned(_) => false,
        }
    }

    /// Every leaf that is this node's own, in document order.
    pub fn leaves(&self) -> Vec<&Leaf> {
        match &self.body {
            AnswerBody::Leaves(leaves) => leaves.iter().collect(),
            AnswerBody::Parts(parts) => parts.iter().flat_map(Self::leaves).collect(),
            AnswerBody::Returned(_) => Vec::new(),
        }
    }

    /// Every leaf, to be changed when the store has spoken.
    pub fn leaves_mut(&mut self) -> Vec<&mut Leaf> {
        match &mut self.body {
            AnswerBody::Leaves(leaves) => leaves.iter_mut().collect(),
            AnswerBody::Parts(parts) => parts.iter_mut().flat_map(Self::leaves_mut).collect(),
            AnswerBody::Returned(_) => Vec::new(),
        }
    }

    /// The `Message_Core_Reply` document. `message_id` and `sent_time` are the shell's.
    pub fn render(&self, spelling: Spelling, message_id: MessageId, sent_time: &str) -> Bytes {
        self.render_part(spelling, Some(message_id), Some(sent_time))
    }

    fn render_part(&self, spelling: Spelling, message_id: Option<MessageId>, sent_time: Option<&str>) -> Bytes {
        let header = HeaderFields { server_guid: self.server, client_guid: self.client, message_id, sent_time };
        match &self.body {
            AnswerBody::Leaves(leaves) if leaves.len() == 1 => write::reply(spelling, &header, &draft(&leaves[0])),
            AnswerBody::Leaves(leaves) => {
                let inner = HeaderFields { message_id: None, sent_time: None, ..header };
                bundle(spelling, &header, leaves.iter().map(|leaf| write::reply(spelling, &inner, &draft(leaf))))
            }
            AnswerBody::Parts(parts) => {
                bundle(spelling, &header, parts.iter().map(|part| part.render_part(spelling, None, None)))
            }
            AnswerBody::Returned(bytes) => bytes.clone(),
        }
    }
}

fn bundle(spelling: Spelling, header: &HeaderFields<'_>, parts: impl Iterator<Item = Bytes>) -> Bytes {
    let envelope = write::envelope(spelling, Kind::Reply, header);
    let mut document = BytesMut::from(&envelope.head[..]);
    parts.for_each(|part| document.extend_from_slice(&part));
    document.extend_from_slice(&envelope.tail);
    document.freeze()
}

fn draft(leaf: &Leaf) -> ReplyDraft<'_> {
    ReplyDraft {
        cid: &leaf.cid,
        uuid: leaf.uuid.as_deref(),
        reply_id: leaf.reply_id.as_deref(),
        status: leaf.status.clone(),
        description: leaf.why.as_deref(),
        form: if leaf.is_version { ReplyForm::Version } else { ReplyForm::Abstract },
        data: None,
    }
}

/// What each part of a pushed bundle was answered, in order: `Err` says how it was refused.
pub fn outcomes(reply: &MessageCoreReply) -> Vec<Result<(), String>> {
    match &reply.payload {
        ReplyPayload::Bundle(parts) => parts.iter().map(outcome).collect(),
        ReplyPayload::Replies(_) => vec![outcome(reply)],
    }
}

fn outcome(part: &MessageCoreReply) -> Result<(), String> {
    match &part.payload {
        ReplyPayload::Bundle(parts) => parts.iter().try_for_each(outcome),
        ReplyPayload::Replies(replies) => replies.iter().try_for_each(|reply| match &reply.status {
            ReplyStatus::Succeeded => Ok(()),
            status => Err(format!("{}: {}", status.as_str(), description(reply))),
        }),
    }
}

/// What a reply says about its status, as far as it says so itself.
pub fn description(reply: &schemas::core::Reply) -> String {
    let description = reply.description.as_ref();
    let text = description.and_then(|description| description.text.as_deref().map(str::to_owned));
    let data = || schemas::data_uri::text(description?.reference.as_deref()?);
    text.or_else(data).unwrap_or_else(|| "no reason given".to_owned())
}
