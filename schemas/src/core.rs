//! The core document types (clause 10.1): `Message_Core`, `Message_Core_Reply` and what they are made of.
//!
//! Every part holds the [`Span`] of its element, from `<` of the start tag to `>` of the end tag, in the bytes of the
//! document it was read from. Parts that were made by this program, to be written, have the empty span.

use bytestring::ByteString;

use crate::error::Error;
use crate::guid::{Cid, ClientGuid, MessageId, ModuleUuid, Pid, ServerGuid};
use crate::names::Spelling;
use crate::version::{VersionInfo, VersionMessage};

/// A byte range of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// As a range, for slicing.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start..self.end
    }
}

/// A 128-bit value as it stood in a document: its value to compare, its text to repeat (`Reply_ID`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier<T> {
    /// The value.
    pub value: T,
    /// The exact text, blanks trimmed.
    pub text: ByteString,
    /// The element.
    pub span: Span,
}

/// A whole document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// `Message_Core` or `Message_Core_Reply`.
    pub root: Root,
    /// How its author spells the namespaces (N1); answers use the same.
    pub spelling: Spelling,
}

/// The two roots (S23).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Root {
    /// A message or a bundle of messages.
    Message(MessageCore),
    /// A reply or a bundle of replies.
    Reply(MessageCoreReply),
}

/// `Message_Core` (10.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCore {
    /// The element.
    pub span: Span,
    /// Who to whom, on this hop.
    pub header: Header,
    /// The `Payload` element's span, and what is in it.
    pub payload_span: Span,
    /// What is carried.
    pub payload: Payload,
}

/// `Payload` of a message (10.1.3): never empty, never mixed (S11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nested parts, independent of each other.
    Bundle(Vec<Part>),
    /// One or more messages, which share one fate (R-10.1.5-6).
    Messages(Vec<Message>),
}

/// A nested part: good, or bad by itself without harm to its siblings (R-10.1.1-10).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every part is good, and a box would cost each one an allocation")]
pub enum Part {
    /// Conforms to the grammar.
    Good(MessageCore),
    /// Does not; to be answered `Failed`.
    Bad(BadPart),
}

/// A nested `Message_Core` that breaks the grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPart {
    /// The element.
    pub span: Span,
    /// Its `Message_ID`, if the fault lies behind it.
    pub message_id: Option<Identifier<MessageId>>,
    /// What is wrong.
    pub error: Error,
}

/// `Header` (10.1.2), the same for messages and replies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The element.
    pub span: Span,
    /// Protocol identifier, `#h00000001` for this Recommendation.
    pub pid: Identifier<Pid>,
    /// The server of this hop.
    pub server_guid: Option<Identifier<ServerGuid>>,
    /// The client of this hop.
    pub client_guid: Option<Identifier<ClientGuid>>,
    /// Unique value that a reply repeats.
    pub message_id: Option<Identifier<MessageId>>,
    /// An `xs:dateTime`, kept as text.
    pub sent_time: Option<ByteString>,
    /// Enveloped signature over the `Message_Core` (S18).
    pub signature: Option<Signature>,
}

/// A member of the substitution group of `AbstractMessage` (10.1.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// `version:Message` (10.2).
    Version(VersionMessage),
    /// A message of another set: carried, never looked into.
    Opaque(OpaqueMessage),
}

impl Message {
    /// The element.
    pub fn span(&self) -> Span {
        match self {
            Self::Version(message) => message.span,
            Self::Opaque(message) => message.span,
        }
    }
}

/// A message of a set that this program has no grammar for (R-9.4-5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpaqueMessage {
    /// The element.
    pub span: Span,
    /// Namespace name of the element.
    pub namespace: ByteString,
    /// Local name of the element.
    pub name: ByteString,
    /// Text of its first child with the local name `CID`, which is all that a refusal needs.
    pub cid: Option<Identifier<Cid>>,
    /// Text of its child with the local name `UUID`.
    pub uuid: Option<Identifier<ModuleUuid>>,
    /// Text of its child with the local name `Major_Message`.
    pub major: Option<ByteString>,
}

/// `Signature` in one of the places where the schemas allow it. Carried byte for byte; verification comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The `Signature` element.
    pub span: Span,
}

/// `Message_Core_Reply` (10.1.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCoreReply {
    /// The element.
    pub span: Span,
    /// Who to whom, on this hop.
    pub header: Header,
    /// What is carried.
    pub payload: ReplyPayload,
}

/// `Payload` of a reply: nested replies, or one reply (several are read, S12, and never written).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyPayload {
    /// Nested replies in the order of what they answer.
    Bundle(Vec<MessageCoreReply>),
    /// One reply.
    Replies(Vec<Reply>),
}

/// A member of the substitution group of `AbstractReply` (10.1.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The element.
    pub span: Span,
    /// The CID of what is answered (S4).
    pub cid: Identifier<Cid>,
    /// The module of what is answered.
    pub uuid: Option<Identifier<ModuleUuid>>,
    /// The `Message_ID` of what is answered.
    pub reply_id: Option<Identifier<MessageId>>,
    /// How it went.
    pub status: ReplyStatus,
    /// Why.
    pub description: Option<Description>,
    /// `Reply_Data`, if it is a `Version_Info` (S7).
    pub data: Option<VersionInfo>,
    /// Enveloped signature of the reply.
    pub signature: Option<Signature>,
}

/// The five statuses of the version set (10.2.10), and those of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyStatus {
    /// Done, and durable.
    Succeeded,
    /// Could not be done; the description says why.
    Failed,
    /// The major value is unknown here or not allowed now.
    MajorNotSupported,
    /// The same for the minor value.
    MinorNotSupported,
    /// No handler for this CID or PID.
    HandlerNotAvailable,
    /// A status of another set: a failure, shown as it stands (R-10.1.6-5).
    Other(ByteString),
}

impl ReplyStatus {
    /// The text on the wire (schema spelling, S3).
    pub fn as_str(&self) -> &str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::MajorNotSupported => "Major Message Not Supported",
            Self::MinorNotSupported => "Minor Message Not Supported",
            Self::HandlerNotAvailable => "Handler not available",
            Self::Other(text) => text,
        }
    }
}

/// `Description_Type` (D1): text, a reference, or both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The element.
    pub span: Span,
    /// Character data, which the published grammar has no room for but many will write.
    pub text: Option<ByteString>,
    /// The `ref` attribute.
    pub reference: Option<ByteString>,
}
