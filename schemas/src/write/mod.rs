//! From types to bytes: valid against the published schemas, in the spelling that the peer writes.
//!
//! Every part declares its namespaces on its own root, with the prefixes `m` and `v`, so that its bytes can be put
//! into any envelope. Signatures are never written: what is signed is spliced, byte for byte.

mod uri;
mod version;
mod xml;

use bytes::Bytes;

use self::xml::Xml;
pub(crate) use self::xml::escape_attribute;
use crate::core::ReplyStatus;
use crate::guid::{Cid, ClientGuid, MessageId, ModuleUuid, Pid, ServerGuid};
use crate::names::{Spelling, XSI};
use crate::version::{Major, Minor, VersionInfo};

/// What goes into a Header. The PID is always this Recommendation's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeaderFields<'a> {
    /// The server of this hop.
    pub server_guid: Option<ServerGuid>,
    /// The client of this hop.
    pub client_guid: Option<ClientGuid>,
    /// Unique for each message.
    pub message_id: Option<MessageId>,
    /// An `xs:dateTime` in UTC ([`crate::read::is_date_time`]).
    pub sent_time: Option<&'a str>,
}

/// A version message to be written; its CID is `#h02` and its UUID [`ModuleUuid::DISTRIBUTARY`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageDraft<'a> {
    /// What to do.
    pub major: Major,
    /// In which mode.
    pub minor: Option<Minor>,
    /// On what; `None` leaves `Message_Data` out.
    pub data: Option<&'a [VersionInfo]>,
}

/// Which root an envelope has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `Message_Core`.
    Message,
    /// `Message_Core_Reply`.
    Reply,
}

/// What stands before and after the parts of a bundle. There must be at least one part (S11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// From the root's start tag to the Payload's.
    pub head: Bytes,
    /// Their end tags.
    pub tail: Bytes,
}

/// A reply to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyDraft<'a> {
    /// The CID of what is answered, as it stood there (S4).
    pub cid: &'a str,
    /// The UUID of what is answered, as it stood there.
    pub uuid: Option<&'a str>,
    /// The Message_ID of what is answered, as it stood there (R-10.1.6-3).
    pub reply_id: Option<&'a str>,
    /// How it went.
    pub status: ReplyStatus,
    /// Why; at most 8 KiB are written.
    pub description: Option<&'a str>,
    /// As which element.
    pub form: ReplyForm,
    /// `Reply_Data`.
    pub data: Option<&'a VersionInfo>,
}

/// The element that a reply is (S6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyForm {
    /// `version:Reply`, to version messages.
    Version,
    /// `messagecore:AbstractReply`, to messages of sets that have no handler here.
    Abstract,
}

/// A `Message_Core` with one or more version messages. `messages` must not be empty (S11).
pub fn message(spelling: Spelling, header: &HeaderFields<'_>, messages: &[MessageDraft<'_>]) -> Bytes {
    let mut xml = Xml::default();
    open(&mut xml, spelling, Kind::Message, header);
    for message in messages {
        xml.open("v:Message");
        xml.text("v:CID", &Cid::VERSION.to_string());
        xml.text("v:UUID", &ModuleUuid::DISTRIBUTARY.to_string());
        xml.text("v:Major_Message", message.major.as_str());
        if let Some(minor) = &message.minor {
            xml.text("v:Minor_Message", minor.as_str());
        }
        if let Some(infos) = message.data {
            xml.open("v:Message_Data");
            infos.iter().for_each(|info| version::version_info(&mut xml, "v:Version_Info", info));
            xml.close("v:Message_Data");
        }
        xml.close("v:Message");
    }
    close(&mut xml, Kind::Message);
    xml.into_bytes()
}

/// The envelope of a bundle, whose parts are spliced between head and tail.
pub fn envelope(spelling: Spelling, kind: Kind, header: &HeaderFields<'_>) -> Envelope {
    let (mut head, mut tail) = (Xml::default(), Xml::default());
    open(&mut head, spelling, kind, header);
    close(&mut tail, kind);
    Envelope { head: head.into_bytes(), tail: tail.into_bytes() }
}

/// A `Message_Core_Reply` with one reply (R-10.1.5-3).
pub fn reply(spelling: Spelling, header: &HeaderFields<'_>, reply: &ReplyDraft<'_>) -> Bytes {
    let element = match reply.form {
        ReplyForm::Version => "v:Reply",
        ReplyForm::Abstract => "m:AbstractReply",
    };
    let mut xml = Xml::default();
    open(&mut xml, spelling, Kind::Reply, header);
    xml.open(element);
    xml.text("m:CID", reply.cid);
    if let Some(uuid) = reply.uuid {
        xml.text("m:UUID", uuid);
    }
    if let Some(id) = reply.reply_id {
        xml.text("m:Reply_ID", id);
    }
    xml.text("v:ReplyStatus", written_status(&reply.status));
    if let Some(text) = reply.description {
        xml.reference("m:Reply_Description", &version::text_uri(text));
    }
    if let Some(data) = reply.data {
        // R-11.2-2: the type's prefix is bound on the element itself, so that it survives being moved.
        let attributes = [("xmlns:xsi", XSI), ("xmlns:v", spelling.version()), ("xsi:type", "v:Version_InfoType")];
        xml.open_with("v:Reply_Data", &attributes);
        version::version_info_content(&mut xml, data);
        xml.close("v:Reply_Data");
    }
    xml.close(element);
    close(&mut xml, Kind::Reply);
    xml.into_bytes()
}

/// Another set's status has no place in the version set's enumeration, and is a failure here (R-10.1.6-5).
fn written_status(status: &ReplyStatus) -> &str {
    match status {
        ReplyStatus::Other(_) => ReplyStatus::Failed.as_str(),
        ReplyStatus::Succeeded
        | ReplyStatus::Failed
        | ReplyStatus::MajorNotSupported
        | ReplyStatus::MinorNotSupported
        | ReplyStatus::HandlerNotAvailable => status.as_str(),
    }
}

fn root(kind: Kind) -> &'static str {
    match kind {
        Kind::Message => "m:Message_Core",
        Kind::Reply => "m:Message_Core_Reply",
    }
}

/// Root, Header in the order of the schema (R-10.1.2-9), Payload.
fn open(xml: &mut Xml, spelling: Spelling, kind: Kind, header: &HeaderFields<'_>) {
    xml.open_with(root(kind), &[("xmlns:m", spelling.core()), ("xmlns:v", spelling.version())]);
    xml.open("m:Header");
    xml.text("m:PID", &Pid::X1206.to_string());
    if let Some(guid) = header.server_guid {
        xml.text("m:Server_GUID", &guid.to_string());
    }
    if let Some(guid) = header.client_guid {
        xml.text("m:Client_GUID", &guid.to_string());
    }
    if let Some(id) = header.message_id {
        xml.text("m:Message_ID", &id.to_string());
    }
    if let Some(time) = header.sent_time {
        xml.text("m:Sent_Time", time);
    }
    xml.close("m:Header");
    xml.open("m:Payload");
}

fn close(xml: &mut Xml, kind: Kind) {
    xml.close("m:Payload");
    xml.close(root(kind));
}
