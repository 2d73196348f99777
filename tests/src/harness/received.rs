//! What a client receives, as a test looks at it.

use bytes::{Bytes, BytesMut};
use node::answer;
use node::intake::Intake;
use schemas::core::{MessageCoreReply, Reply, ReplyPayload, ReplyStatus, Root};
use schemas::digest::Digest;
use schemas::facts::Validated;
use schemas::names::Spelling;
use schemas::write::{self, HeaderFields, Kind, ReplyDraft, ReplyForm};
use topology::subject::Subject;

/// The whole answer to one document.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The `Message_Core_Reply`.
    pub reply: Validated,
    /// What was asked for.
    pub deliveries: Vec<Validated>,
    /// The position at which it was current.
    pub snapshot: u64,
}

/// The answer to one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// How it went.
    pub status: ReplyStatus,
    /// Why.
    pub why: String,
    /// The text of `Reply_ID`.
    pub reply_id: Option<String>,
    /// The text of the CID.
    pub cid: String,
    /// The text of the UUID.
    pub uuid: Option<String>,
}

/// One item.
#[derive(Clone, Debug)]
pub struct Got {
    /// `ID` of its first Info; empty if there is none.
    pub id: String,
    /// Whether it is a catalogue entry.
    pub is_entry: bool,
    /// The part's bytes in their intake form.
    pub bytes: Bytes,
    /// Of these bytes.
    pub digest: Digest,
    /// What it says.
    pub subject: Subject,
}

impl Answered {
    /// Every leaf of the reply, in document order.
    pub fn leaves(&self) -> Vec<Leaf> {
        leaves(&self.reply)
    }

    /// The status of each leaf.
    pub fn statuses(&self) -> Vec<ReplyStatus> {
        self.leaves().into_iter().map(|leaf| leaf.status).collect()
    }

    /// The only leaf.
    ///
    /// # Panics
    ///
    /// If there are several.
    pub fn leaf(&self) -> Leaf {
        let mut leaves = self.leaves();
        assert_eq!(leaves.len(), 1, "{leaves:?}");
        leaves.remove(0)
    }

    /// The same, if every leaf says Succeeded.
    ///
    /// # Panics
    ///
    /// With what went wrong.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        let leaves = self.leaves();
        assert!(leaves.iter().all(|leaf| leaf.status == ReplyStatus::Succeeded), "{leaves:?}");
        self
    }

    /// Every item that was sent after the reply.
    pub fn items(&self) -> Vec<Got> {
        self.deliveries.iter().flat_map(items).collect()
    }

    /// Their IDs, sorted.
    pub fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self.items().into_iter().map(|item| item.id).collect();
        ids.sort();
        ids
    }
}

/// Every leaf of a reply, in document order.
///
/// # Panics
///
/// If it is a message.
pub fn leaves(reply: &Validated) -> Vec<Leaf> {
    let Root::Reply(core) = &reply.document().root else { panic!("a message where a reply belongs") };
    let mut all = Vec::new();
    collect(core, &mut all);
    all
}

fn collect(core: &MessageCoreReply, all: &mut Vec<Leaf>) {
    match &core.payload {
        ReplyPayload::Bundle(parts) => parts.iter().for_each(|part| collect(part, all)),
        ReplyPayload::Replies(replies) => all.extend(replies.iter().map(leaf)),
    }
}

fn leaf(reply: &Reply) -> Leaf {
    Leaf {
        status: reply.status.clone(),
        why: answer::description(reply),
        reply_id: reply.reply_id.as_ref().map(|id| id.text.to_string()),
        cid: reply.cid.text.to_string(),
        uuid: reply.uuid.as_ref().map(|uuid| uuid.text.to_string()),
    }
}

/// Every item of a message, in document order.
///
/// # Panics
///
/// If it is a reply, or a part of it is no item.
pub fn items(document: &Validated) -> Vec<Got> {
    let intake = Intake::of(document).expect("a message");
    let item = |(_, item): (_, &node::intake::Item)| Got {
        id: item.subject.identity.as_ref().map(|identity| identity.id.clone()).unwrap_or_default(),
        is_entry: item.is_entry,
        bytes: item.bytes.clone(),
        digest: item.digest,
        subject: item.subject.clone(),
    };
    intake.items().into_iter().map(|found| item(found.expect("an item"))).collect()
}

/// A reply to a Delivery, with the same status for each item.
pub(super) fn reply_to(delivery: &Validated, status: &ReplyStatus) -> Bytes {
    let spelling = Spelling::default();
    let header = HeaderFields::default();
    let draft = ReplyDraft {
        cid: "#h02",
        uuid: None,
        reply_id: None,
        status: status.clone(),
        description: None,
        form: ReplyForm::Version,
        data: None,
    };
    let envelope = write::envelope(spelling, Kind::Reply, &header);
    let mut document = BytesMut::from(&envelope.head[..]);
    for _ in items(delivery) {
        document.extend_from_slice(&write::reply(spelling, &header, &draft));
    }
    document.extend_from_slice(&envelope.tail);
    document.freeze()
}
