//! The two roots and the header they share (10.1.1, 10.1.2).

use bytestring::ByteString;

use super::cursor::{Cursor, Element};
use super::values::{identifier, is_date_time, trimmed};
use super::{payload, reply};
use crate::core::{Document, Header, Identifier, MessageCore, Root, Signature, Span};
use crate::error::Error;
use crate::guid::{ClientGuid, MessageId, Pid, ServerGuid};
use crate::names::Place;

/// A document: one of the two roots (S23), well-formed to its end.
pub(super) fn document(cursor: &mut Cursor<'_>) -> Result<Document, Error> {
    let element = cursor.root()?;
    let root = match element.key() {
        (Place::Core, "Message_Core") => {
            cursor.spelling = cursor.spelling_of(&element);
            Root::Message(message_core(cursor, &element)?)
        }
        (Place::Core, "Message_Core_Reply") => {
            cursor.spelling = cursor.spelling_of(&element);
            cursor.is_reply = true;
            Root::Reply(reply::message_core_reply(cursor, &element)?)
        }
        _ => {
            let what = "the root is neither Message_Core nor Message_Core_Reply of the core namespace";
            return Err(cursor.grammar(element.start, "10.1.1", what));
        }
    };
    cursor.finish()?;
    Ok(Document { root, spelling: cursor.spelling })
}

/// R-10.1.1-3, R-10.1.1-4: exactly one Header, then exactly one Payload.
pub(super) fn message_core<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<MessageCore, Error> {
    let header = first_header(cursor, element)?;
    let payload_element = the_payload(cursor, element)?;
    let payload = payload::payload(cursor, &payload_element, header.pid.value)?;
    let payload_span = cursor.span_from(&payload_element);
    nothing_more(cursor, element)?;
    Ok(MessageCore { span: cursor.span_from(element), header, payload_span, payload })
}

/// The Header, which comes first.
pub(super) fn first_header<'a>(cursor: &mut Cursor<'a>, parent: &Element<'a>) -> Result<Header, Error> {
    match cursor.child(parent)? {
        Some(child) if child.key() == (Place::Core, "Header") => header(cursor, &child),
        Some(child) => Err(cursor.unexpected(&child, "place of the Header", "10.1.1")),
        None => Err(cursor.missing("10.1.1", "Header")),
    }
}

/// The Payload, which comes second.
pub(super) fn the_payload<'a>(cursor: &mut Cursor<'a>, parent: &Element<'a>) -> Result<Element<'a>, Error> {
    match cursor.child(parent)? {
        Some(child) if child.key() == (Place::Core, "Payload") => Ok(child),
        Some(child) => Err(cursor.unexpected(&child, "place of the Payload", "10.1.1")),
        None => Err(cursor.missing("10.1.1", "Payload")),
    }
}

/// A second Header, a second Payload or anything else.
pub(super) fn nothing_more<'a>(cursor: &mut Cursor<'a>, parent: &Element<'a>) -> Result<(), Error> {
    match cursor.child(parent)? {
        Some(child) => Err(cursor.unexpected(&child, "what follows the Payload", "10.1.1")),
        None => Ok(()),
    }
}

/// The fields of a header as they come.
#[derive(Default)]
struct Fields {
    pid: Option<Identifier<Pid>>,
    server_guid: Option<Identifier<ServerGuid>>,
    client_guid: Option<Identifier<ClientGuid>>,
    message_id: Option<Identifier<MessageId>>,
    sent_time: Option<ByteString>,
    signature: Option<Signature>,
    /// The highest place in the order of the schema so far, and whether one came after a higher one.
    reached: u8,
    disordered: bool,
}

fn header<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<Header, Error> {
    cursor.message_id = None;
    let mut fields = Fields::default();
    while let Some(child) = cursor.child(element)? {
        field(cursor, &child, &mut fields)?;
    }
    // R-10.1.2-9 and S22: another order says the same, but a signature would cover bytes that no schema allows.
    if fields.disordered && fields.signature.is_some() {
        return Err(cursor.grammar(element.start, "10.1.2", "a signed Header in another order than the schema's"));
    }
    let Some(pid) = fields.pid else { return Err(cursor.missing("10.1.2", "PID")) };
    Ok(Header {
        span: cursor.span_from(element),
        pid,
        server_guid: fields.server_guid,
        client_guid: fields.client_guid,
        message_id: fields.message_id,
        sent_time: fields.sent_time,
        signature: fields.signature,
    })
}

fn field<'a>(cursor: &mut Cursor<'a>, child: &Element<'a>, fields: &mut Fields) -> Result<(), Error> {
    const CLAUSE: &str = "10.1.2";
    let place = match child.key() {
        (Place::Core, "PID") => 1,
        (Place::Core, "Server_GUID") => 2,
        (Place::Core, "Client_GUID") => 3,
        (Place::Core, "Message_ID") => 4,
        (Place::Core, "Sent_Time") => 5,
        (Place::Core | Place::Dsig, "Signature") => 6,
        // S24: without meaning here, kept in the bytes.
        _ => return cursor.close(child),
    };
    fields.disordered |= place < fields.reached;
    fields.reached = fields.reached.max(place);
    match place {
        1 => once(cursor, child, &mut fields.pid, |cursor| identifier(cursor, child, CLAUSE, Pid::parse)),
        2 => once(cursor, child, &mut fields.server_guid, |cursor| {
            let guid = identifier(cursor, child, CLAUSE, ServerGuid::parse)?;
            not_reserved(cursor, guid.value.0, child).map(|()| guid)
        }),
        3 => once(cursor, child, &mut fields.client_guid, |cursor| {
            let guid = identifier(cursor, child, CLAUSE, ClientGuid::parse)?;
            not_reserved(cursor, guid.value.0, child).map(|()| guid)
        }),
        4 => {
            let message_id = &mut fields.message_id;
            once(cursor, child, message_id, |cursor| identifier(cursor, child, CLAUSE, MessageId::parse))?;
            cursor.note_message_id(message_id.as_ref());
            Ok(())
        }
        5 => once(cursor, child, &mut fields.sent_time, |cursor| sent_time(cursor, child)),
        _ => once(cursor, child, &mut fields.signature, |cursor| signature(cursor, child)),
    }
}

/// R-10.1.2-11: no field is repeated.
fn once<'a, T>(
    cursor: &mut Cursor<'a>,
    child: &Element<'a>,
    slot: &mut Option<T>,
    read: impl FnOnce(&mut Cursor<'a>) -> Result<T, Error>,
) -> Result<(), Error> {
    if slot.is_some() {
        return Err(cursor.grammar(child.start, "10.1.2", format!("a second {} in the Header", child.name.local)));
    }
    *slot = Some(read(cursor)?);
    Ok(())
}

/// R-9.3-5: zero names nobody.
fn not_reserved(cursor: &mut Cursor<'_>, guid: u128, child: &Element<'_>) -> Result<(), Error> {
    if guid != 0 {
        return Ok(());
    }
    Err(cursor.grammar(child.start, "9.3", format!("{} is zero, which is reserved", child.name.local)))
}

fn sent_time<'a>(cursor: &mut Cursor<'a>, child: &Element<'a>) -> Result<ByteString, Error> {
    let text = trimmed(cursor.text(child)?);
    if is_date_time(&text) {
        return Ok(text);
    }
    Err(cursor.grammar(child.start, "10.1.2", "Sent_Time is no xs:dateTime"))
}

/// A Signature in its place: carried, not looked into.
pub(super) fn signature<'a>(cursor: &mut Cursor<'a>, child: &Element<'a>) -> Result<Signature, Error> {
    cursor.close(child)?;
    let span: Span = cursor.span_from(child);
    Ok(Signature { span })
}
