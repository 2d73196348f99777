//! `Message_Core_Reply` and what it carries (10.1.5, 10.1.6, 10.2.10).

use super::core::{first_header, nothing_more, signature, the_payload};
use super::cursor::{Cursor, Element};
use super::values::{identifier, status};
use super::version::{Sequence, description, version_info};
use crate::core::{Description, Identifier, MessageCoreReply, Reply, ReplyPayload, ReplyStatus, Signature};
use crate::error::Error;
use crate::guid::{Cid, MessageId, ModuleUuid};
use crate::names::Place;
use crate::version::VersionInfo;

pub(super) fn message_core_reply<'a>(
    cursor: &mut Cursor<'a>,
    element: &Element<'a>,
) -> Result<MessageCoreReply, Error> {
    let header = first_header(cursor, element)?;
    let payload_element = the_payload(cursor, element)?;
    let payload = payload(cursor, &payload_element)?;
    nothing_more(cursor, element)?;
    Ok(MessageCoreReply { span: cursor.span_from(element), header, payload })
}

/// Nested replies, or replies: the schema has one, S12 takes several.
fn payload<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<ReplyPayload, Error> {
    let (mut bundle, mut replies) = (Vec::new(), Vec::new());
    while let Some(child) = cursor.child(element)? {
        let nested = child.key() == (Place::Core, "Message_Core_Reply");
        if (nested && !replies.is_empty()) || (!nested && !bundle.is_empty()) {
            return Err(cursor.grammar(child.start, "10.1.5", "a mixture of Message_Core_Reply and replies"));
        }
        if nested {
            cursor.count_part(&child)?;
            bundle.push(message_core_reply(cursor, &child)?);
        } else {
            replies.push(member(cursor, &child)?);
        }
    }
    match (bundle.is_empty(), replies.is_empty()) {
        (true, true) => Err(cursor.grammar(element.start, "10.1.5", "Payload is empty")),
        (false, _) => Ok(ReplyPayload::Bundle(bundle)),
        (true, false) => Ok(ReplyPayload::Replies(replies)),
    }
}

/// `AbstractReply`, which is not abstract (S6), or a member of its substitution group.
fn member<'a>(cursor: &mut Cursor<'a>, child: &Element<'a>) -> Result<Reply, Error> {
    match child.key() {
        (Place::Core, "AbstractReply") | (Place::Version, "Reply") | (Place::Other, _) => reply(cursor, child),
        (Place::Core, "Message_Core") | (Place::Version, "Message") => {
            Err(cursor.grammar(child.start, "10.1.5", "message and reply in one document"))
        }
        _ => Err(cursor.unexpected(child, "Payload", "10.1.5")),
    }
}

/// What a reply is made of, as it comes.
#[derive(Default)]
struct Fields {
    cid: Option<Identifier<Cid>>,
    uuid: Option<Identifier<ModuleUuid>>,
    reply_id: Option<Identifier<MessageId>>,
    status: Option<ReplyStatus>,
    description: Option<Description>,
    data: Option<VersionInfo>,
    signature: Option<Signature>,
}

fn reply<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<Reply, Error> {
    const CLAUSE: &str = "10.1.6";
    let (mut fields, mut sequence) = (Fields::default(), Sequence::default());
    while let Some(child) = cursor.child(element)? {
        let Some(place) = place(&child, fields.status.is_some()) else {
            return Err(cursor.unexpected(&child, "Reply", CLAUSE));
        };
        sequence.one(cursor, &child, place, CLAUSE)?;
        match place {
            1 => fields.cid = Some(identifier(cursor, &child, CLAUSE, Cid::parse)?),
            2 => fields.uuid = Some(identifier(cursor, &child, CLAUSE, ModuleUuid::parse)?),
            3 => fields.reply_id = Some(identifier(cursor, &child, CLAUSE, MessageId::parse)?),
            4 => fields.status = Some(status(cursor.text(&child)?)),
            5 => fields.description = Some(description(cursor, &child)?),
            6 => fields.data = reply_data(cursor, &child)?,
            _ => fields.signature = Some(signature(cursor, &child)?),
        }
    }
    let Some(cid) = fields.cid else { return Err(cursor.missing(CLAUSE, "CID")) };
    let Some(status) = fields.status else { return Err(cursor.missing(CLAUSE, "ReplyStatus")) };
    Ok(Reply {
        span: cursor.span_from(element),
        cid,
        uuid: fields.uuid,
        reply_id: fields.reply_id,
        status,
        description: fields.description,
        data: fields.data,
        signature: fields.signature,
    })
}

/// Where a child stands in the sequence; another set's elements stand for the status first, then for the data.
fn place(child: &Element<'_>, has_status: bool) -> Option<u8> {
    match child.key() {
        // S4: the elements are the core's own, but CID and UUID of the version set are taken for them.
        (Place::Core | Place::Version, "CID") => Some(1),
        (Place::Core | Place::Version, "UUID") => Some(2),
        (Place::Core, "Reply_ID") => Some(3),
        // S5: the prose's name for the status.
        (Place::Version, "ReplyStatus") | (Place::Core, "AbstractReplyString") => Some(4),
        (Place::Core, "Reply_Description") => Some(5),
        (Place::Version, "Reply_Data") => Some(6),
        (Place::Core | Place::Dsig, "Signature") => Some(7),
        (Place::Other, _) => Some(if has_status { 6 } else { 4 }),
        _ => None,
    }
}

/// S7: typed as `Version_InfoType`, or not typed but with content. Other types and other sets' data are carried unread.
fn reply_data<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<Option<VersionInfo>, Error> {
    let typed = cursor.xsi_type();
    let ours = match &typed {
        Some((place, name)) => (*place, name.as_str()) == (Place::Version, "Version_InfoType"),
        None => element.name.place == Place::Version,
    };
    if !ours {
        cursor.close(element)?;
        return Ok(None);
    }
    let data = version_info(cursor, element)?;
    let empty = VersionInfo { span: data.span, ..VersionInfo::default() };
    Ok((typed.is_some() || data != empty).then_some(data))
}
