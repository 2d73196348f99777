//! What is true of a document's bytes, found out once.

use std::sync::Arc;

use bytes::Bytes;

use crate::core::{
    Document, Message, MessageCore, MessageCoreReply, Part, Payload, Reply, ReplyPayload, Root, Signature, Span,
};
use crate::digest::Digest;
use crate::error::Refused;
use crate::limits::Limits;
use crate::names::Spelling;
use crate::version::{Info, VersionInfo};
use crate::{read, text, wellformed};

/// A document that has passed encoding, well-formedness, limits and grammar. There is no other way to make one, so
/// who holds it need not look again. Clones share everything.
///
/// Signatures are not verified here; [`Validated::signatures`] says so of each.
#[derive(Clone, Debug)]
pub struct Validated(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    bytes: Bytes,
    document: Document,
    digest: Digest,
    signatures: Vec<SignatureFact>,
}

/// A signature, and what it claims to cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureFact {
    /// The `Signature` element.
    pub span: Span,
    /// The element that it claims to cover: its parent, or for a Header's signature the whole Message_Core (S18).
    pub covers: Span,
    /// What is known of it.
    pub state: SignatureState,
}

/// What is known of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureState {
    /// Nobody has looked: it proves nothing.
    Unverified,
}

impl Validated {
    /// Takes a document as it came, in UTF-8 or UTF-16.
    ///
    /// # Errors
    /// The first fault that spoils the whole document. A fault of the grammar inside a nested part spoils that part
    /// only and is found in the document ([`Part::Bad`]).
    pub fn new(bytes: Bytes, limits: &Limits) -> Result<Self, Refused> {
        let bytes = text::to_utf8(bytes, limits).map_err(|error| Refused {
            error,
            message_id: None,
            is_reply: false,
            spelling: Spelling::default(),
        })?;
        let document = read::document(&bytes, limits)?;
        let mut signatures = Vec::new();
        match &document.root {
            Root::Message(core) => of_message_core(core, &mut signatures),
            Root::Reply(core) => of_message_core_reply(core, &mut signatures),
        }
        Ok(Self(Arc::new(Facts { digest: Digest::of(&bytes), bytes, document, signatures })))
    }

    /// The document in UTF-8, without a byte order mark.
    pub fn bytes(&self) -> &Bytes {
        &self.0.bytes
    }

    /// What it says.
    pub fn document(&self) -> &Document {
        &self.0.document
    }

    /// The digest of [`Validated::bytes`].
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Its signatures, outer before inner, those of bad parts and of opaque messages aside.
    pub fn signatures(&self) -> &[SignatureFact] {
        &self.0.signatures
    }

    /// A part of the bytes, shared. A span that is not of this document gives what of it there is.
    pub fn slice(&self, span: Span) -> Bytes {
        let end = span.end.min(self.0.bytes.len());
        self.0.bytes.slice(span.start.min(end)..end)
    }

    /// The line of a byte, counted from 1.
    pub fn line_of(&self, byte: usize) -> usize {
        wellformed::line_at(&self.0.bytes, byte)
    }
}

fn fact(signature: Option<Signature>, covers: Span, facts: &mut Vec<SignatureFact>) {
    let state = SignatureState::Unverified;
    facts.extend(signature.map(|Signature { span }| SignatureFact { span, covers, state }));
}

fn of_message_core(core: &MessageCore, facts: &mut Vec<SignatureFact>) {
    fact(core.header.signature, core.span, facts);
    match &core.payload {
        Payload::Bundle(parts) => parts.iter().for_each(|part| match part {
            Part::Good(core) => of_message_core(core, facts),
            Part::Bad(_) => {}
        }),
        Payload::Messages(messages) => messages.iter().for_each(|message| match message {
            Message::Version(message) => {
                fact(message.signature, message.span, facts);
                message.data.infos().iter().for_each(|info| of_version_info(info, facts));
            }
            Message::Opaque(_) => {}
        }),
    }
}

fn of_message_core_reply(core: &MessageCoreReply, facts: &mut Vec<SignatureFact>) {
    fact(core.header.signature, core.span, facts);
    match &core.payload {
        ReplyPayload::Bundle(cores) => cores.iter().for_each(|core| of_message_core_reply(core, facts)),
        ReplyPayload::Replies(replies) => replies.iter().for_each(|reply: &Reply| {
            fact(reply.signature, reply.span, facts);
            reply.data.iter().for_each(|info| of_version_info(info, facts));
        }),
    }
}

fn of_version_info(version: &VersionInfo, facts: &mut Vec<SignatureFact>) {
    fact(version.signature, version.span, facts);
    version.info.iter().for_each(|info| of_info(info, facts));
}

fn of_info(info: &Info, facts: &mut Vec<SignatureFact>) {
    fact(info.signature, info.span, facts);
    let container = &info.container;
    fact(container.signature, container.span, facts);
    container.contained_versions.iter().for_each(|version| of_version_info(version, facts));
    let control = container.code.iter().filter_map(|code| code.version_control.as_ref());
    for control in control {
        control.supersedes.iter().for_each(|version| of_version_info(version, facts));
        control.update_path.iter().flatten().for_each(|version| of_version_info(version, facts));
    }
}
