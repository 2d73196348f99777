//! Catalogue entries that a node derives from content whose provider published none (design decision 8, S14).

use bytes::Bytes;
use bytestring::ByteString;
use schemas::core::{Document, Message, Payload, Root};
use schemas::digest::Digest;
use schemas::facts::Validated;
use schemas::guid::MessageId;
use schemas::limits::Limits;
use schemas::version::{CodeContent, CodeKind, Container, Info, Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};

/// Line of Author_Comments that marks an entry as derived, with what the content is known by.
const MARK: &str = "Catalogue-Entry: derived by a relay";

/// The entry for an item in its intake form, as a part of its own; `None` if the bytes are no item.
///
/// The same item gives the same bytes on every node: the `Message_ID` is taken from the digest.
pub fn derive(item: &Bytes) -> Option<Bytes> {
    let facts = Validated::new(item.clone(), &Limits::default()).ok()?;
    let digest = Digest::of(item);
    let infos: Vec<VersionInfo> = version_infos(facts.document()).map(|info| entry(info, digest, item.len())).collect();
    let (id, _) = digest.0.split_first_chunk::<16>()?;
    let header = HeaderFields {
        server_guid: None,
        client_guid: None,
        message_id: Some(MessageId(u128::from_be_bytes(*id))),
        sent_time: None,
    };
    let draft = MessageDraft { major: Major::Deliver, minor: Some(Minor::Catalog), data: Some(&infos) };
    Some(write::message(facts.document().spelling, &header, &[draft]))
}

fn version_infos(document: &Document) -> impl Iterator<Item = &VersionInfo> {
    let messages = match &document.root {
        Root::Message(core) => match &core.payload {
            Payload::Messages(messages) => messages.as_slice(),
            // An item is a leaf: intake made it of one Payload of messages.
            Payload::Bundle(_) => &[],
        },
        Root::Reply(_) => &[],
    };
    messages.iter().flat_map(|message| match message {
        Message::Version(message) => message.data.infos(),
        Message::Opaque(_) => &[],
    })
}

fn entry(info: &VersionInfo, digest: Digest, bytes: usize) -> VersionInfo {
    let mark = format!("{MARK}; content blake3:{digest}, {bytes} bytes");
    VersionInfo {
        info: info.info.iter().map(|info| entry_info(info, &mark)).collect(),
        signature: None,
        ..info.clone()
    }
}

fn entry_info(info: &Info, mark: &str) -> Info {
    let container = &info.container;
    let comments = match &container.author_comments {
        Some(comments) => format!("{comments}\n{mark}"),
        None => mark.to_owned(),
    };
    let code = container.code.clone().map(|mut code| {
        let reference = code.content.as_ref().and_then(|content| content.reference.clone());
        // S14: a catalogue uses an empty Binary, which makes room for Version_Control.
        code.content =
            Some(CodeContent { span: Default::default(), kind: CodeKind::Binary, reference, text: ByteString::new() });
        code
    });
    let container = Container { author_comments: Some(comments.into()), code, signature: None, ..container.clone() };
    Info { container, signature: None, ..info.clone() }
}
