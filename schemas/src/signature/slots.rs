//! The places of a document where the schemas allow a Signature, outer before inner.

use crate::core::{Document, Header, Message, MessageCore, MessageCoreReply, Part, Payload, ReplyPayload, Root};
use crate::core::{Signature, Span};
use crate::facts::Validated;
use crate::names::Place;
use crate::version::{Info, VersionInfo};

/// Where a Signature stands or may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    /// What it covers: its parent, or for a Header's the whole `Message_Core` or `Message_Core_Reply` (S18).
    pub(crate) scope: Span,
    /// Its parent.
    pub(crate) parent: Span,
    /// The schema that declares it (S17).
    pub(crate) place: Place,
    /// The Signature, if there is one.
    pub(crate) signature: Option<Span>,
}

/// The elements of a document that may be signed, outer before inner; a `Message_Core` stands for its Header.
pub fn signable(document: &Validated) -> Vec<Span> {
    of(document.document()).into_iter().map(|slot| slot.scope).collect()
}

/// All of them, those of bad parts and of opaque messages aside.
pub(crate) fn of(document: &Document) -> Vec<Slot> {
    let mut slots = Slots(Vec::new());
    match &document.root {
        Root::Message(core) => slots.message_core(core),
        Root::Reply(core) => slots.message_core_reply(core),
    }
    slots.0
}

struct Slots(Vec<Slot>);

impl Slots {
    fn add(&mut self, scope: Span, parent: Span, place: Place, signature: Option<Signature>) {
        self.0.push(Slot { scope, parent, place, signature: signature.map(|signature| signature.span) });
    }

    fn header(&mut self, core: Span, header: &Header) {
        self.add(core, header.span, Place::Core, header.signature);
    }

    fn message_core(&mut self, core: &MessageCore) {
        self.header(core.span, &core.header);
        match &core.payload {
            Payload::Bundle(parts) => parts.iter().for_each(|part| match part {
                Part::Good(core) => self.message_core(core),
                Part::Bad(_) => {}
            }),
            Payload::Messages(messages) => messages.iter().for_each(|message| match message {
                Message::Version(message) => {
                    self.add(message.span, message.span, Place::Core, message.signature);
                    message.data.infos().iter().for_each(|info| self.version_info(info));
                }
                Message::Opaque(_) => {}
            }),
        }
    }

    fn message_core_reply(&mut self, core: &MessageCoreReply) {
        self.header(core.span, &core.header);
        match &core.payload {
            ReplyPayload::Bundle(cores) => cores.iter().for_each(|core| self.message_core_reply(core)),
            ReplyPayload::Replies(replies) => replies.iter().for_each(|reply| {
                self.add(reply.span, reply.span, Place::Core, reply.signature);
                reply.data.iter().for_each(|info| self.version_info(info));
            }),
        }
    }

    fn version_info(&mut self, version: &VersionInfo) {
        self.add(version.span, version.span, Place::Version, version.signature);
        version.info.iter().for_each(|info| self.info(info));
    }

    fn info(&mut self, info: &Info) {
        self.add(info.span, info.span, Place::Version, info.signature);
        let container = &info.container;
        self.add(container.span, container.span, Place::Version, container.signature);
        container.contained_versions.iter().for_each(|version| self.version_info(version));
        let control = container.code.iter().filter_map(|code| code.version_control.as_ref());
        for control in control {
            control.supersedes.iter().for_each(|version| self.version_info(version));
            control.update_path.iter().flatten().for_each(|version| self.version_info(version));
        }
    }
}
