//! `Payload` of a message (10.1.3): nested parts or messages, never both, never none.

use super::cursor::{Cursor, Element};
use super::{core, opaque, version};
use crate::core::{BadPart, Message, Part, Payload};
use crate::error::{Error, ErrorKind};
use crate::guid::Pid;
use crate::names::Place;

pub(super) fn payload<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>, pid: Pid) -> Result<Payload, Error> {
    if pid != Pid::X1206 {
        return foreign_payload(cursor, element);
    }
    let (mut parts, mut messages) = (Vec::new(), Vec::new());
    while let Some(child) = cursor.child(element)? {
        if child.key() == (Place::Core, "Message_Core") {
            not_mixed(cursor, &child, messages.is_empty())?;
            parts.push(part(cursor, &child)?);
        } else {
            not_mixed(cursor, &child, parts.is_empty())?;
            messages.push(message(cursor, &child)?);
        }
    }
    match (parts.is_empty(), messages.is_empty()) {
        (true, true) => Err(cursor.grammar(element.start, "10.1.1", "Payload is empty")),
        (false, _) => Ok(Payload::Bundle(parts)),
        (true, false) => Ok(Payload::Messages(messages)),
    }
}

/// S11 and S28, in either order.
fn not_mixed(cursor: &mut Cursor<'_>, child: &Element<'_>, alone: bool) -> Result<(), Error> {
    if alone {
        return Ok(());
    }
    Err(cursor.grammar(child.start, "10.1.1", "a mixture of Message_Core and messages in one Payload (S11)"))
}

/// A nested part. Its faults of grammar are its own (R-10.1.1-10).
fn part<'a>(cursor: &mut Cursor<'a>, child: &Element<'a>) -> Result<Part, Error> {
    cursor.count_part(child)?;
    let enclosing = cursor.message_id.take();
    let read = core::message_core(cursor, child);
    let message_id = std::mem::replace(&mut cursor.message_id, enclosing);
    match read {
        Ok(good) => Ok(Part::Good(good)),
        Err(error) if matches!(error.kind, ErrorKind::Grammar(_)) => {
            cursor.close(child)?;
            Ok(Part::Bad(BadPart { span: cursor.span_from(child), message_id, error }))
        }
        Err(fatal) => Err(fatal),
    }
}

/// A member of the substitution group of AbstractMessage; which one it is says its namespace, never its prefix.
fn message<'a>(cursor: &mut Cursor<'a>, child: &Element<'a>) -> Result<Message, Error> {
    match child.key() {
        (Place::Version, "Message") => version::message(cursor, child).map(Message::Version),
        (Place::Version, "Reply") | (Place::Core, "AbstractReply" | "Message_Core_Reply") => {
            Err(cursor.grammar(child.start, "10.1.5", "message and reply in one document"))
        }
        (Place::Core | Place::Version, _) => Err(cursor.unexpected(child, "Payload", "10.1.1")),
        (Place::Unqualified | Place::Dsig | Place::Xsi | Place::Other, _) => {
            opaque::message(cursor, child).map(Message::Opaque)
        }
    }
}

/// R-10.1.2-2: under another PID only the header means what it says here. What is below is carried unread.
fn foreign_payload<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<Payload, Error> {
    let mut messages = Vec::new();
    while let Some(child) = cursor.child(element)? {
        messages.push(opaque::message(cursor, &child).map(Message::Opaque)?);
    }
    if messages.is_empty() {
        return Err(cursor.grammar(element.start, "10.1.1", "Payload is empty"));
    }
    Ok(Payload::Messages(messages))
}
