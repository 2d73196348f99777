//! The version message set (10.2), down to `Update_Path`.

use super::core::signature;
use super::cursor::{Cursor, Element};
use super::values::{identifier, major, minor};
use crate::base64;
use crate::core::{Description, Identifier, Signature};
use crate::error::Error;
use crate::guid::{Cid, ModuleUuid};
use crate::names::Place;
use crate::version::{
    Code, CodeContent, CodeKind, Container, Info, Major, MessageData, Minor, VersionControl, VersionInfo,
    VersionMessage,
};

/// How far reading has come in a sequence of the schema.
#[derive(Default)]
pub(super) struct Sequence {
    reached: u8,
}

impl Sequence {
    /// The child at this place of the sequence, which comes at most once.
    pub(super) fn one<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        child: &Element<'a>,
        place: u8,
        clause: &'static str,
    ) -> Result<(), Error> {
        if place > self.reached {
            self.reached = place;
            return Ok(());
        }
        let what = if place == self.reached { "repeated" } else { "out of order" };
        Err(cursor.grammar(child.start, clause, format!("{} is {what}", child.name.local)))
    }

    /// The child at this place of the sequence, of which there may be several.
    pub(super) fn many<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        child: &Element<'a>,
        place: u8,
        clause: &'static str,
    ) -> Result<(), Error> {
        if place == self.reached { Ok(()) } else { self.one(cursor, child, place, clause) }
    }
}

/// What a message is made of, as it comes.
#[derive(Default)]
struct Fields {
    cid: Option<Identifier<Cid>>,
    uuid: Option<Identifier<ModuleUuid>>,
    major: Option<Major>,
    minor: Option<Minor>,
    data: Option<MessageData>,
    signature: Option<Signature>,
}

/// `version:Message` (10.2.1). Members of other sets may stand for its children (R-9.4-4, S20).
pub(super) fn message<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<VersionMessage, Error> {
    const CLAUSE: &str = "10.2.1";
    cursor.count_message(element)?;
    let (mut fields, mut sequence) = (Fields::default(), Sequence::default());
    while let Some(child) = cursor.child(element)? {
        let place = match child.key() {
            (Place::Core | Place::Dsig, "Signature") => 6,
            (Place::Version | Place::Other, "CID") => 1,
            (Place::Version | Place::Other, "UUID") => 2,
            (Place::Version | Place::Other, "Major_Message") => 3,
            (Place::Version | Place::Other, "Minor_Message") => 4,
            (Place::Version, "Message_Data") | (Place::Other, _) => 5,
            _ => return Err(cursor.unexpected(&child, "Message", CLAUSE)),
        };
        sequence.one(cursor, &child, place, CLAUSE)?;
        match place {
            1 => fields.cid = Some(identifier(cursor, &child, CLAUSE, Cid::parse)?),
            2 => fields.uuid = Some(identifier(cursor, &child, CLAUSE, ModuleUuid::parse)?),
            3 => fields.major = Some(major(cursor.text(&child)?)),
            4 => fields.minor = minor(cursor.text(&child)?),
            5 => fields.data = Some(message_data(cursor, &child)?),
            _ => fields.signature = Some(signature(cursor, &child)?),
        }
    }
    let Some(cid) = fields.cid else { return Err(cursor.missing("10.1.4", "CID")) };
    let Some(major) = fields.major else { return Err(cursor.missing("10.1.4", "Major_Message")) };
    Ok(VersionMessage {
        span: cursor.span_from(element),
        cid,
        uuid: fields.uuid,
        major,
        minor: fields.minor,
        data: fields.data.unwrap_or(MessageData::Absent),
        signature: fields.signature,
    })
}

/// `Message_Data` (10.2.2), or another set's data in its place.
fn message_data<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<MessageData, Error> {
    if element.name.place != Place::Version {
        cursor.close(element)?;
        return Ok(MessageData::Foreign(cursor.span_from(element)));
    }
    let mut infos = Vec::new();
    while let Some(child) = cursor.child(element)? {
        match child.key() {
            (Place::Version, "Version_Info") => infos.push(version_info(cursor, &child)?),
            (Place::Other, _) => {
                cursor.close(element)?;
                return Ok(MessageData::Foreign(cursor.span_from(element)));
            }
            _ => return Err(cursor.unexpected(&child, "Message_Data", "10.2.2")),
        }
    }
    Ok(MessageData::Version { span: cursor.span_from(element), infos })
}

/// `Version_InfoType` (10.2.3), under whatever name.
pub(super) fn version_info<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<VersionInfo, Error> {
    const CLAUSE: &str = "10.2.3";
    let (mut version, mut sequence) = (VersionInfo::default(), Sequence::default());
    while let Some(child) = cursor.child(element)? {
        match child.key() {
            (Place::Version, "Product_Name") => {
                sequence.one(cursor, &child, 1, CLAUSE)?;
                version.product_name = Some(cursor.text(&child)?);
            }
            (Place::Version, "Product_Version") => {
                sequence.one(cursor, &child, 2, CLAUSE)?;
                version.product_version = Some(cursor.text(&child)?);
            }
            (Place::Version, "Company") => {
                sequence.one(cursor, &child, 3, CLAUSE)?;
                version.company = Some(cursor.text(&child)?);
            }
            (Place::Version, "Info") => {
                sequence.many(cursor, &child, 4, CLAUSE)?;
                version.info.push(info(cursor, &child)?);
            }
            (Place::Version | Place::Dsig, "Signature") => {
                sequence.one(cursor, &child, 5, CLAUSE)?;
                version.signature = Some(signature(cursor, &child)?);
            }
            _ => return Err(cursor.unexpected(&child, element.name.local, CLAUSE)),
        }
    }
    version.span = cursor.span_from(element);
    Ok(version)
}

/// `Info` (10.2.4).
fn info<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<Info, Error> {
    const CLAUSE: &str = "10.2.4";
    let (mut info, mut sequence) = (Info::default(), Sequence::default());
    let mut contained = None;
    while let Some(child) = cursor.child(element)? {
        let place = match child.key() {
            (Place::Version, "Source") => 1,
            (Place::Version, "ID") => 2,
            (Place::Version, "Date") => 3,
            (Place::Version, "Description") => 4,
            (Place::Version, "Container") => 5,
            (Place::Version | Place::Dsig, "Signature") => 6,
            _ => return Err(cursor.unexpected(&child, "Info", CLAUSE)),
        };
        sequence.one(cursor, &child, place, CLAUSE)?;
        match place {
            1 => info.source = Some(cursor.text(&child)?),
            2 => info.id = Some(cursor.text(&child)?),
            3 => info.date = Some(cursor.text(&child)?),
            4 => info.description = Some(description(cursor, &child)?),
            5 => contained = Some(container(cursor, &child)?),
            _ => info.signature = Some(signature(cursor, &child)?),
        }
    }
    let Some(container) = contained else { return Err(cursor.missing(CLAUSE, "Container")) };
    Ok(Info { span: cursor.span_from(element), container, ..info })
}

/// `Container` (10.2.5).
fn container<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<Container, Error> {
    const CLAUSE: &str = "10.2.5";
    let (mut container, mut sequence) = (Container::default(), Sequence::default());
    let mut version = None;
    while let Some(child) = cursor.child(element)? {
        let place = match child.key() {
            (Place::Version, "Package") => 1,
            (Place::Version, "Format") => 2,
            (Place::Version, "Version") => 3,
            (Place::Version, "Contained_Versions") => 4,
            // S1: the prose has a capital.
            (Place::Version, "File_name" | "File_Name") => 5,
            (Place::Version, "Language") => 6,
            (Place::Version, "Author_Comments") => 7,
            (Place::Version, "Description") => 8,
            (Place::Version, "Code") => 9,
            (Place::Version | Place::Dsig, "Signature") => 10,
            _ => return Err(cursor.unexpected(&child, "Container", CLAUSE)),
        };
        // S13: the prose calls Contained_Versions a list.
        if place == 4 {
            sequence.many(cursor, &child, place, CLAUSE)?;
        } else {
            sequence.one(cursor, &child, place, CLAUSE)?;
        }
        match place {
            1 => container.package = Some(cursor.text(&child)?),
            2 => container.format = Some(cursor.text(&child)?),
            3 => version = Some(cursor.text(&child)?),
            4 => container.contained_versions.push(version_info(cursor, &child)?),
            5 => container.file_name = Some(cursor.text(&child)?),
            6 => container.language = Some(cursor.text(&child)?),
            7 => container.author_comments = Some(cursor.text(&child)?),
            8 => container.description = Some(description(cursor, &child)?),
            9 => container.code = Some(code(cursor, &child)?),
            _ => container.signature = Some(signature(cursor, &child)?),
        }
    }
    let Some(version) = version else { return Err(cursor.missing(CLAUSE, "Version")) };
    Ok(Container { span: cursor.span_from(element), version, ..container })
}

/// `Code` (10.2.6): one content, then perhaps `Version_Control`, which S14 also takes alone.
fn code<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<Code, Error> {
    const CLAUSE: &str = "10.2.6";
    let (mut code, mut sequence) = (Code::default(), Sequence::default());
    while let Some(child) = cursor.child(element)? {
        let kind = match child.key() {
            (Place::Version, "Script") => CodeKind::Script,
            (Place::Version, "Binary") => CodeKind::Binary,
            (Place::Version, "Byte") => CodeKind::Byte,
            (Place::Version, "Version_Control") => {
                sequence.one(cursor, &child, 2, CLAUSE)?;
                code.version_control = Some(version_control(cursor, &child)?);
                continue;
            }
            _ => return Err(cursor.unexpected(&child, "Code", CLAUSE)),
        };
        if code.content.is_some() {
            return Err(cursor.grammar(child.start, CLAUSE, "more than one of Script, Binary and Byte"));
        }
        sequence.one(cursor, &child, 1, CLAUSE)?;
        code.content = Some(code_content(cursor, &child, kind)?);
    }
    if code.content.is_none() && code.version_control.is_none() {
        return Err(cursor.missing(CLAUSE, "Script, Binary or Byte"));
    }
    code.span = cursor.span_from(element);
    Ok(code)
}

fn code_content<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>, kind: CodeKind) -> Result<CodeContent, Error> {
    let reference = cursor.reference();
    let text = match kind {
        // D2: the published grammar has no room for text, the erratum has. The document's size bounds it.
        CodeKind::Script => cursor.bounded_text(element, "document_bytes", cursor.limits().document_bytes)?,
        CodeKind::Binary | CodeKind::Byte => cursor.raw_text(element)?,
    };
    if !matches!(kind, CodeKind::Script)
        && let Err(fault) = base64::check(&text)
    {
        return Err(cursor.grammar(element.start, "10.2.6", format!("{}: {fault}", element.name.local)));
    }
    Ok(CodeContent { span: cursor.span_from(element), kind, reference, text })
}

/// `Version_Control` (10.2.7).
fn version_control<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<VersionControl, Error> {
    const CLAUSE: &str = "10.2.7";
    let (mut control, mut sequence) = (VersionControl::default(), Sequence::default());
    while let Some(child) = cursor.child(element)? {
        match child.key() {
            (Place::Version, "Supersedes") => {
                sequence.one(cursor, &child, 1, CLAUSE)?;
                control.supersedes = version_list(cursor, &child, "10.2.8")?;
            }
            (Place::Version, "Update_Path") => {
                sequence.one(cursor, &child, 2, CLAUSE)?;
                control.update_path = Some(version_list(cursor, &child, "10.2.9")?);
            }
            _ => return Err(cursor.unexpected(&child, "Version_Control", CLAUSE)),
        }
    }
    control.span = cursor.span_from(element);
    Ok(control)
}

/// At least one, by either name (S2).
fn version_list<'a>(
    cursor: &mut Cursor<'a>,
    element: &Element<'a>,
    clause: &'static str,
) -> Result<Vec<VersionInfo>, Error> {
    let mut versions = Vec::new();
    while let Some(child) = cursor.child(element)? {
        match child.key() {
            (Place::Version, "Version_Info" | "Version_info") => versions.push(version_info(cursor, &child)?),
            _ => return Err(cursor.unexpected(&child, element.name.local, clause)),
        }
    }
    if versions.is_empty() {
        return Err(cursor.missing(clause, "a version"));
    }
    Ok(versions)
}

/// `Description_Type` (D1): text, CDATA, markup, `ref`, or both.
pub(super) fn description<'a>(cursor: &mut Cursor<'a>, element: &Element<'a>) -> Result<Description, Error> {
    let reference = cursor.reference();
    let text = cursor.mixed(element)?;
    Ok(Description { span: cursor.span_from(element), text, reference })
}
