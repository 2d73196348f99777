//! The documents that whoever dials writes, and the one door by which it reads others'.

use bytes::Bytes;
use node::bundle::{self, Outer};
use node::client::Draft;
use node::intake::Intake;
use schemas::core::{Message, MessageCore, Payload, Root, Span};
use schemas::error::Refused;
use schemas::facts::Validated;
use schemas::guid::MessageId;
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::signature::{Options, PrivateKey, SignError, sign};
use schemas::version::{Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};

use crate::{Hop, clock};

/// Above this a document is read on a thread that may take its time.
const INLINE_BYTES: usize = 256 << 10;

/// Register and Request: messages of one fate in one Payload.
pub fn ask(hop: Hop, message_id: MessageId, drafts: &[Draft]) -> Bytes {
    let time = clock::text(clock::now());
    let header = HeaderFields {
        server_guid: Some(hop.server),
        client_guid: Some(hop.client),
        message_id: Some(message_id),
        sent_time: Some(&time),
    };
    let messages: Vec<MessageDraft<'_>> = drafts
        .iter()
        .map(|draft| MessageDraft {
            major: draft.major.clone(),
            minor: draft.minor.clone(),
            data: (!draft.infos.is_empty()).then_some(&draft.infos[..]),
        })
        .collect();
    write::message(Spelling::Double, &header, &messages)
}

/// One item: a Deliver:Full of its own, the same bytes for the same content. Its `Message_ID` is taken from the content
/// and there is no `Sent_Time`, so that a repeated delivery is known as one (R-10.1.2-6).
pub fn item(infos: &[VersionInfo]) -> (MessageId, Bytes) {
    let draft = MessageDraft { major: Major::Deliver, minor: Some(Minor::Full), data: Some(infos) };
    let content = write::message(Spelling::Double, &HeaderFields::default(), std::slice::from_ref(&draft));
    let message_id = id_of(&content);
    let header = HeaderFields { message_id: Some(message_id), ..HeaderFields::default() };
    (message_id, write::message(Spelling::Double, &header, &[draft]))
}

/// The same, with its message signed: what it says and that it is delivered, and so the item by itself, wherever it is
/// taken out. The `Message_ID` is taken from what was signed, so that no two documents have the same.
///
/// # Errors
/// If the key does not sign, or the item is no document.
pub fn signed_item(
    infos: &[VersionInfo],
    key: &PrivateKey,
    options: &Options<'_>,
) -> Result<(MessageId, Bytes), SignError> {
    let (_, bytes) = item(infos);
    let limits = Limits::default();
    let plain = Validated::new(bytes, &limits).map_err(|refused| SignError::Document(Box::new(refused)))?;
    let message = message_span(&plain).ok_or(SignError::NoPlace)?;
    let signed = sign(&plain, message, key, options, &limits)?;
    let message_id = id_of(signed.bytes());
    Ok((message_id, with_message_id(&signed, message_id)))
}

fn id_of(content: &[u8]) -> MessageId {
    let mut half = [0; 16];
    half.copy_from_slice(&schemas::digest::Digest::of(content).0[..16]);
    MessageId(u128::from_be_bytes(half))
}

fn root(document: &Validated) -> Option<&MessageCore> {
    match &document.document().root {
        Root::Message(core) => Some(core),
        Root::Reply(_) => None,
    }
}

/// The only message.
fn message_span(document: &Validated) -> Option<Span> {
    match &root(document)?.payload {
        Payload::Messages(messages) => match &messages[..] {
            [Message::Version(message)] => Some(message.span),
            _ => None,
        },
        Payload::Bundle(_) => None,
    }
}

/// With another `Message_ID` of the same length in its Header, which no signature of a message covers.
fn with_message_id(document: &Validated, message_id: MessageId) -> Bytes {
    let mut bytes = document.bytes().to_vec();
    if let Some(known) = root(document).and_then(|core| core.header.message_id.as_ref()) {
        let (element, text) = (known.span.range(), known.text.as_bytes());
        let within = bytes[element.clone()].windows(text.len()).position(|window| window == text);
        if let Some(at) = within.map(|at| element.start + at) {
            bytes.splice(at..at + text.len(), message_id.to_string().into_bytes());
        }
    }
    bytes.into()
}

/// A bundle of items for the server, with a fresh outer header.
pub fn bundle(hop: Hop, spelling: Spelling, items: impl IntoIterator<Item = Bytes>) -> Vec<Bytes> {
    let time = clock::text(clock::now());
    let outer =
        Outer { server: hop.server, client: Some(hop.client), message_id: clock::message_id(), sent_time: &time };
    bundle::document(spelling, &outer, items)
}

/// From bytes to facts, and to what they mean; the latter is `None` for a reply.
///
/// # Errors
/// The bytes are no document of X.1206.
pub async fn read(body: Bytes) -> Result<(Validated, Option<Intake>), Refused> {
    decode(body, |facts| {
        let intake = Intake::of(&facts);
        (facts, intake)
    })
    .await
}

/// The only door from bytes to facts. What a document speaks about (names, ranges of versions) takes longer than to read
/// it, so that `find` runs in the same place.
pub(crate) async fn decode<T: Send + 'static>(body: Bytes, find: fn(Validated) -> T) -> Result<T, Refused> {
    let here = move |body| Validated::new(body, &Limits::default()).map(find);
    if body.len() <= INLINE_BYTES {
        return here(body);
    }
    let again = body.clone();
    let read = tokio::task::spawn_blocking(move || here(body)).await;
    // The runtime is stopping: whoever waits for the facts is too, and this thread may as well find them.
    read.unwrap_or_else(|_| here(again))
}

#[cfg(test)]
mod tests {
    use node::intake::{Body, Meaning};
    use schemas::guid::{ClientGuid, ServerGuid};
    use schemas::signature::KeyKind;
    use schemas::version::{Container, Info};

    use super::*;

    const HOP: Hop = Hop { client: ClientGuid(7), server: ServerGuid(9) };

    fn info(version: &str) -> VersionInfo {
        let container = Container {
            package: Some("cargo".into()),
            file_name: Some("pkg:cargo/serde".into()),
            version: version.into(),
            ..Container::default()
        };
        let info = Info { id: Some("RUSTSEC-2026-0001".into()), container, ..Info::default() };
        VersionInfo { product_name: Some("app".into()), info: vec![info], ..VersionInfo::default() }
    }

    fn intake(document: &[Bytes]) -> Intake {
        let facts = Validated::new(document.concat().into(), &Limits::default()).expect("reads back");
        Intake::of(&facts).expect("a message")
    }

    // R-8.3-2: an item verifies by itself, and keeps its bytes where the method lets it.
    #[test]
    fn c8_3_a_signed_item_verifies_by_itself() {
        for (kind, is_steady) in [(KeyKind::Ed25519, true), (KeyKind::P256, false)] {
            let key = PrivateKey::generate(kind).unwrap();
            let make = || signed_item(&[info("1.0.0")], &key, &Options::default()).unwrap();
            let (message_id, bytes) = make();
            let facts = Validated::new(bytes.clone(), &Limits::default()).unwrap();
            let keys: Vec<_> = facts.covering(message_span(&facts).unwrap()).map(|verified| verified.key).collect();
            assert_eq!(keys, [key.public().fingerprint()]);
            assert_eq!(root(&facts).unwrap().header.message_id.as_ref().unwrap().value, message_id);
            assert_ne!(message_id, item(&[info("1.0.0")]).0, "another document under another name");
            let (again, same) = make();
            assert_eq!((again == message_id, same == bytes), (is_steady, is_steady));
        }
    }

    #[test]
    fn what_is_asked_reads_back() {
        let drafts = [
            Draft { major: Major::Register, minor: Some(Minor::End), infos: vec![info("1.0.0")] },
            Draft { major: Major::Register, minor: None, infos: vec![info("1.1.0")] },
        ];
        let intake = intake(&[ask(HOP, MessageId(5), &drafts)]);
        let hop = &intake.part.hop;
        assert_eq!((hop.server, hop.client), (Some(HOP.server), Some(HOP.client)));
        assert_eq!(hop.message_id.as_ref().map(|id| id.value), Some(MessageId(5)));
        let Body::Orders(orders) = &intake.part.body else { panic!("messages") };
        let meanings: Vec<_> = orders.orders.iter().map(|order| order.meaning.clone().unwrap()).collect();
        assert!(matches!(&meanings[..], [Meaning::End(_), Meaning::Subscribe { now: false, .. }]), "{meanings:?}");
    }

    #[test]
    fn an_item_has_the_same_bytes_each_time() {
        let (id, bytes) = item(&[info("1.0.0")]);
        assert_eq!((id, bytes.clone()), item(&[info("1.0.0")]));
        assert_ne!(id, item(&[info("1.0.1")]).0);
        assert!(!bytes.windows(9).any(|window| window == b"Sent_Time"));
    }

    #[test]
    fn items_come_out_of_a_bundle_as_they_went_in() {
        let items = [item(&[info("1.0.0")]), item(&[info("2.0.0")])];
        let document = bundle(HOP, Spelling::Double, items.iter().map(|(_, bytes)| bytes.clone()));
        let intake = intake(&document);
        let read: Vec<_> = intake.items().into_iter().map(|item| item.expect("a Deliver").1.bytes.clone()).collect();
        assert_eq!(read, items.map(|(_, bytes)| bytes));
    }

    #[tokio::test]
    async fn a_document_comes_with_its_meaning_whatever_its_size() {
        let padding = "x".repeat(INLINE_BYTES);
        for version in ["1.0.0", padding.as_str()] {
            let (_, document) = item(&[info(version)]);
            let (facts, intake) = read(document).await.expect("valid");
            assert_eq!(facts.bytes().len() > INLINE_BYTES, version.len() > 5);
            assert_eq!(intake.expect("a message").items().len(), 1);
        }
        assert!(read(Bytes::from_static(b"nonsense")).await.is_err());
    }
}
