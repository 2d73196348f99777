//! Wrapping: whatever becomes of the signed seeds, under their keys nothing is verified that they do not say.
//!
//! The private keys of the seeds are gone, so every valid Signature by one of their keys is one of theirs. What is read
//! from the element that it covers, written anew, must be what some seed says under that key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use schemas::core::{Header, Message, MessageCore, MessageCoreReply, Part, Payload, ReplyPayload, Root, Span};
use schemas::facts::Validated;
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::signature::KeyId;
use schemas::version::{Major, Minor, VersionInfo, VersionMessage};
use schemas::write::{self, HeaderFields, MessageDraft};

/// What each key has signed, as statements.
static SIGNED: LazyLock<BTreeMap<KeyId, Vec<Vec<u8>>>> = LazyLock::new(|| {
    // Beside this package as in it: the tests of the tree run this file too.
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/verify");
    let mut signed: BTreeMap<KeyId, Vec<Vec<u8>>> = BTreeMap::new();
    for seed in std::fs::read_dir(seeds).expect("the seeds") {
        let bytes = std::fs::read(seed.expect("a seed").path()).expect("a seed");
        let Ok(document) = Validated::new(bytes.into(), &Limits::default()) else { continue };
        for (key, statement) in statements(&document) {
            signed.entry(key).or_default().push(statement);
        }
    }
    assert!(!signed.is_empty(), "no seed is signed");
    signed
});

/// One input.
///
/// # Panics
/// If that is found which the target looks for.
pub fn run(data: &[u8]) {
    let Ok(document) = Validated::new(data.to_vec().into(), &Limits::default()) else { return };
    for (key, statement) in statements(&document) {
        if let Some(known) = SIGNED.get(&key) {
            assert!(known.contains(&statement), "never said: {}", String::from_utf8_lossy(&statement));
        }
    }
}

/// What is verified, element by element: under which key, and what is read there.
fn statements(document: &Validated) -> Vec<(KeyId, Vec<u8>)> {
    let mut found = Vec::new();
    let mut find = |span: Span, statement: Vec<u8>| {
        found.extend(document.covering(span).map(|verified| (verified.key, statement.clone())));
    };
    match &document.document().root {
        Root::Message(core) => gather(core, &mut find),
        Root::Reply(core) => gather_replies(core, &mut find),
    }
    found
}

/// Each Header, each message and each description in it.
fn gather(core: &MessageCore, found: &mut impl FnMut(Span, Vec<u8>)) {
    header(&core.header, found);
    match &core.payload {
        Payload::Bundle(parts) => parts.iter().for_each(|part| {
            if let Part::Good(core) = part {
                gather(core, found);
            }
        }),
        Payload::Messages(messages) => messages.iter().for_each(|message| {
            if let Message::Version(message) = message {
                found(message.span, said(message));
                message.data.infos().iter().for_each(|info| version_info(info, found));
            }
        }),
    }
}

fn gather_replies(core: &MessageCoreReply, found: &mut impl FnMut(Span, Vec<u8>)) {
    header(&core.header, found);
    match &core.payload {
        ReplyPayload::Bundle(cores) => cores.iter().for_each(|core| gather_replies(core, found)),
        ReplyPayload::Replies(replies) => replies.iter().for_each(|reply| {
            let id = reply.reply_id.as_ref().map(|id| id.value);
            let description = reply.description.as_ref().map(|description| (&description.text, &description.reference));
            let said = format!("{} {id:?} {} {description:?}", reply.cid.value, reply.status.as_str());
            found(reply.span, said.into_bytes());
            reply.data.iter().for_each(|info| version_info(info, found));
        }),
    }
}

fn header(header: &Header, found: &mut impl FnMut(Span, Vec<u8>)) {
    let server = header.server_guid.as_ref().map(|guid| guid.value);
    let client = header.client_guid.as_ref().map(|guid| guid.value);
    let id = header.message_id.as_ref().map(|id| id.value);
    let said = format!("{} {server:?} {client:?} {id:?} {:?}", header.pid.value, header.sent_time);
    found(header.span, said.into_bytes());
}

fn version_info(info: &VersionInfo, found: &mut impl FnMut(Span, Vec<u8>)) {
    found(info.span, written(&Major::Deliver, None, std::slice::from_ref(info)));
    info.info.iter().for_each(|info| {
        info.container.contained_versions.iter().for_each(|inner| version_info(inner, found));
    });
}

fn said(message: &VersionMessage) -> Vec<u8> {
    let mut said = written(&message.major, message.minor.clone(), message.data.infos());
    said.extend_from_slice(message.cid.value.to_string().as_bytes());
    said
}

fn written(major: &Major, minor: Option<Minor>, infos: &[VersionInfo]) -> Vec<u8> {
    let draft = MessageDraft { major: major.clone(), minor, data: Some(infos) };
    write::message(Spelling::Double, &HeaderFields::default(), &[draft]).to_vec()
}
