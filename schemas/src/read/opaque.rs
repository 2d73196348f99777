//! A message of a set that is not known here (R-9.4-5): carried, with just enough read to answer it.

use bytestring::ByteString;

use super::cursor::{Cursor, Element};
use super::values::trimmed;
use crate::core::{Identifier, OpaqueMessage};
use crate::error::Error;
use crate::guid::{Cid, ModuleUuid, NotA128BitValue};
use crate::wellformed::TokenKind;

/// Reads the heads of a message by their local names. What they are worth, its own set decides: nothing here is a
/// fault, and a value that is no 128-bit one is as good as none.
pub(super) fn message<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<OpaqueMessage, Error> {
    cursor.count_message(element)?;
    let mut message = OpaqueMessage {
        span: Default::default(),
        namespace: cursor.namespace(element),
        name: cursor.local_name(element),
        cid: None,
        uuid: None,
        major: None,
    };
    while let Some(child) = any_child(cursor, element)? {
        match child.name.local {
            "CID" if message.cid.is_none() => message.cid = value(cursor, &child, Cid::parse)?,
            "UUID" if message.uuid.is_none() => message.uuid = value(cursor, &child, ModuleUuid::parse)?,
            "Major_Message" if message.major.is_none() => message.major = text(cursor, &child)?,
            _ => cursor.close(&child)?,
        }
    }
    message.span = cursor.span_from(element);
    Ok(message)
}

/// The next child, whatever text stands before it.
fn any_child<'a>(cursor: &mut Cursor<'a>, parent: &Element<'a>) -> Result<Option<Element<'a>>, Error> {
    loop {
        match cursor.token()? {
            (_, Some(child)) => return Ok(Some(child)),
            (TokenKind::End, None) if cursor.is_closed(parent) => return Ok(None),
            _ => {}
        }
    }
}

fn value<'a, T>(
    cursor: &mut Cursor<'a>,
    child: &Element<'a>,
    parse: fn(&str) -> Result<T, NotA128BitValue>,
) -> Result<Option<Identifier<T>>, Error> {
    let text = cursor.simple_text(child, cursor.limits().guid_bytes)?.map(trimmed);
    let span = cursor.span_from(child);
    Ok(text.and_then(|text| parse(&text).ok().map(|value| Identifier { value, text, span })))
}

fn text<'a>(cursor: &mut Cursor<'a>, child: &Element<'a>) -> Result<Option<ByteString>, Error> {
    let text = cursor.simple_text(child, cursor.limits().text_bytes)?;
    Ok(text.map(trimmed))
}
