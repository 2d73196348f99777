//! What is written reads back equal.

use bytestring::ByteString;
use proptest::prelude::*;

use super::{message_of, messages_of, reply_of, version_message_of};
use crate::core::{Description, Payload, ReplyStatus, Span};
use crate::facts::Validated;
use crate::guid::{ClientGuid, MessageId, ModuleUuid, Pid, ServerGuid};
use crate::limits::Limits;
use crate::names::{CORE, Spelling};
use crate::version::{Code, CodeContent, CodeKind, Container, Info, Major, Minor, VersionControl, VersionInfo};
use crate::write::{self, HeaderFields, Kind, MessageDraft, ReplyDraft, ReplyForm};

fn validated(bytes: bytes::Bytes) -> Validated {
    Validated::new(bytes.clone(), &Limits::default())
        .unwrap_or_else(|refused| panic!("{refused}\n{}", String::from_utf8_lossy(&bytes)))
}

/// Text with everything that needs escaping, and what XML can carry only as a replacement left out.
fn text() -> impl Strategy<Value = ByteString> {
    "[ \\t\\r\\n<>&'\"\\]a-zé\u{2163}\u{1d4b3}]{0,12}".prop_map(ByteString::from)
}

fn optional_text() -> impl Strategy<Value = Option<ByteString>> {
    proptest::option::of(text())
}

fn description() -> impl Strategy<Value = Option<Description>> {
    let reference = |uri: String| Description { reference: Some(uri.into()), ..Description::default() };
    proptest::option::of("(https://)?[a-z/&'é]{0,20}([?][a-z]{0,3})?".prop_map(reference))
}

fn code(inner: BoxedStrategy<VersionInfo>) -> impl Strategy<Value = Code> {
    let list = proptest::collection::vec(inner, 1..3);
    let control = (list.clone(), proptest::option::of(list)).prop_map(|(supersedes, update_path)| VersionControl {
        supersedes,
        update_path,
        ..VersionControl::default()
    });
    let bytes = proptest::collection::vec(any::<u8>(), 0..50);
    let kind = prop::sample::select(vec![CodeKind::Binary, CodeKind::Byte, CodeKind::Script]);
    let reference = proptest::option::of("[a-z/]{1,9}".prop_map(ByteString::from));
    (kind, bytes, reference, proptest::option::of(control)).prop_map(|(kind, bytes, reference, version_control)| {
        let content = match kind {
            // A script goes by reference.
            CodeKind::Script => CodeContent {
                span: Span::default(),
                kind,
                reference: Some(reference.unwrap_or_else(|| "urn:x".into())),
                text: ByteString::new(),
            },
            CodeKind::Binary | CodeKind::Byte => {
                CodeContent { span: Span::default(), kind, reference, text: crate::base64::encode(&bytes).into() }
            }
        };
        Code { span: Span::default(), content: Some(content), version_control }
    })
}

fn container(inner: BoxedStrategy<VersionInfo>) -> impl Strategy<Value = Container> {
    let texts = (optional_text(), optional_text(), text(), optional_text(), optional_text(), optional_text());
    let contained = proptest::option::of(inner.clone());
    (texts, contained, description(), proptest::option::of(code(inner))).prop_map(
        |((package, format, version, file_name, language, author_comments), contained, description, code)| Container {
            package,
            format,
            version,
            contained_versions: contained.into_iter().collect(),
            file_name,
            language,
            author_comments,
            description,
            code,
            ..Container::default()
        },
    )
}

fn with_infos(inner: BoxedStrategy<VersionInfo>) -> impl Strategy<Value = VersionInfo> {
    let fields = (optional_text(), optional_text(), optional_text(), description(), container(inner));
    let info = fields.prop_map(|(source, id, date, description, container)| Info {
        source,
        id,
        date,
        description,
        container,
        ..Info::default()
    });
    (optional_text(), optional_text(), optional_text(), proptest::collection::vec(info, 0..3)).prop_map(
        |(product_name, product_version, company, info)| VersionInfo {
            product_name,
            product_version,
            company,
            info,
            ..VersionInfo::default()
        },
    )
}

fn version_info() -> impl Strategy<Value = VersionInfo> {
    let leaf =
        (optional_text(), optional_text(), optional_text()).prop_map(|(product_name, product_version, company)| {
            VersionInfo { product_name, product_version, company, ..VersionInfo::default() }
        });
    leaf.prop_recursive(3, 12, 2, with_infos)
}

/// The same without places, as it was before it was written.
fn without_spans(mut version: VersionInfo) -> VersionInfo {
    version.span = Span::default();
    version.info.iter_mut().for_each(|info| {
        info.span = Span::default();
        info.description.iter_mut().for_each(|description| description.span = Span::default());
        let container = &mut info.container;
        container.span = Span::default();
        container.description.iter_mut().for_each(|description| description.span = Span::default());
        all_without_spans(&mut container.contained_versions);
        container.code.iter_mut().for_each(code_without_spans);
    });
    version
}

fn all_without_spans(versions: &mut [VersionInfo]) {
    versions.iter_mut().for_each(|version| *version = without_spans(std::mem::take(version)));
}

fn code_without_spans(code: &mut Code) {
    code.span = Span::default();
    code.content.iter_mut().for_each(|content| content.span = Span::default());
    code.version_control.iter_mut().for_each(|control| {
        control.span = Span::default();
        all_without_spans(&mut control.supersedes);
        control.update_path.iter_mut().for_each(|path| all_without_spans(path));
    });
}

fn spelling() -> impl Strategy<Value = Spelling> {
    prop::sample::select(vec![Spelling::Double, Spelling::Single])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    // R-10.2.2-2: any subset of fields is a legal identification. R-7-3: versions come back as they were.
    #[test]
    fn c10_2_2_messages_read_back_equal_whatever_fields_they_have(
        infos in proptest::collection::vec(version_info(), 0..3),
        major in prop::sample::select(vec![Major::Register, Major::Request, Major::Deliver, Major::Analyse]),
        minor in proptest::option::of(prop::sample::select(vec![Minor::Full, Minor::Catalog, Minor::End])),
        spelling in spelling(),
    ) {
        let draft = MessageDraft { major: major.clone(), minor: minor.clone(), data: Some(&infos) };
        let read = validated(write::message(spelling, &HeaderFields::default(), &[draft]));
        prop_assert_eq!(read.document().spelling, spelling);
        let message = version_message_of(read.document());
        prop_assert_eq!((&message.major, &message.minor), (&major, &minor));
        prop_assert_eq!(message.uuid.as_ref().map(|uuid| uuid.value), Some(ModuleUuid::DISTRIBUTARY));
        let back: Vec<VersionInfo> = message.data.infos().iter().cloned().map(without_spans).collect();
        prop_assert_eq!(back, infos);
    }

    #[test]
    fn headers_read_back_equal(
        server in proptest::option::of(1..=u128::MAX),
        client in proptest::option::of(1..=u128::MAX),
        id in proptest::option::of(any::<u128>()),
    ) {
        let header = HeaderFields {
            server_guid: server.map(ServerGuid),
            client_guid: client.map(ClientGuid),
            message_id: id.map(MessageId),
            sent_time: Some("2026-01-15T09:30:00Z"),
        };
        let draft = MessageDraft { major: Major::Request, minor: None, data: None };
        let read = validated(write::message(Spelling::Double, &header, &[draft]));
        let back = &message_of(read.document()).header;
        prop_assert_eq!(back.pid.value, Pid::X1206);
        prop_assert_eq!(back.server_guid.as_ref().map(|guid| guid.value), header.server_guid);
        prop_assert_eq!(back.client_guid.as_ref().map(|guid| guid.value), header.client_guid);
        prop_assert_eq!(back.message_id.as_ref().map(|id| id.value), header.message_id);
        prop_assert_eq!(back.sent_time.as_deref(), header.sent_time);
    }

    // R-10.1.6-1, R-10.1.6-2: CID and UUID of the request come back as they were.
    #[test]
    fn c10_1_6_replies_read_back_equal(
        data in proptest::option::of(version_info()),
        text in optional_text(),
        form in prop::sample::select(vec![ReplyForm::Version, ReplyForm::Abstract]),
        spelling in spelling(),
    ) {
        let draft = ReplyDraft {
            cid: "#H0002",
            uuid: Some("5F0C7A52-6A3E-4D0B-9A55-0D1F6F7B2C21"),
            reply_id: Some("#h0102"),
            status: ReplyStatus::MajorNotSupported,
            description: text.as_deref(),
            form,
            data: data.as_ref(),
        };
        let read = validated(write::reply(spelling, &HeaderFields::default(), &draft));
        let back = reply_of(read.document());
        prop_assert_eq!(&*back.cid.text, draft.cid);
        prop_assert_eq!(back.uuid.as_ref().map(|uuid| &*uuid.text), draft.uuid);
        prop_assert_eq!(back.reply_id.as_ref().map(|id| &*id.text), draft.reply_id);
        prop_assert_eq!(&back.status, &draft.status);
        prop_assert_eq!(back.data.clone().map(without_spans), data);
        let reference = back.description.as_ref().and_then(|description| description.reference.clone());
        prop_assert_eq!(reference.is_some(), text.is_some());
    }
}

#[test]
fn what_xml_cannot_carry_is_replaced() {
    let info = VersionInfo { product_name: Some("a\0b\u{1b}[31m\u{ffff}".into()), ..VersionInfo::default() };
    let draft = MessageDraft { major: Major::Deliver, minor: None, data: Some(std::slice::from_ref(&info)) };
    let read = validated(write::message(Spelling::Double, &HeaderFields::default(), &[draft]));
    let back = &version_message_of(read.document()).data.infos()[0];
    assert_eq!(back.product_name.as_deref(), Some("a\u{fffd}b\u{fffd}[31m\u{fffd}"));
}

#[test]
fn descriptions_are_cut_at_8_kib_of_text_between_characters() {
    let long = "é".repeat(5_000);
    let draft = ReplyDraft {
        cid: "#h02",
        uuid: None,
        reply_id: None,
        status: ReplyStatus::Failed,
        description: Some(&long),
        form: ReplyForm::Version,
        data: None,
    };
    let read = validated(write::reply(Spelling::Double, &HeaderFields::default(), &draft));
    let description = reply_of(read.document()).description.clone().unwrap();
    let uri = description.reference.unwrap();
    assert_eq!(uri.strip_prefix("data:text/plain;charset=utf-8,"), Some("%C3%A9".repeat(4_096).as_str()));
}

/// One message in an envelope of its own.
fn inner(spelling: Spelling, id: u128) -> bytes::Bytes {
    let header = HeaderFields { message_id: Some(MessageId(id)), ..HeaderFields::default() };
    write::message(spelling, &header, &[MessageDraft { major: Major::Request, minor: None, data: None }])
}

// R-10.1.1-8 (emission): parts declare their own namespaces, so that envelope, copied parts and end tags are a document.
#[test]
fn c10_1_1_parts_are_bundled_by_copy_and_come_out_unchanged() {
    let parts: Vec<bytes::Bytes> = (1..=3).map(|id| inner(Spelling::Double, id)).collect();
    let envelope = write::envelope(Spelling::Double, Kind::Message, &HeaderFields::default());
    let document = validated([&[envelope.head], &parts[..], &[envelope.tail]].concat().concat().into());
    let core = message_of(document.document());
    let Payload::Bundle(read) = &core.payload else { panic!("no bundle") };
    assert_eq!(read.len(), parts.len());
    for (part, bytes) in read.iter().zip(&parts) {
        let crate::core::Part::Good(part) = part else { panic!("a bad part") };
        assert_eq!(crate::part::self_contained(&document, part), bytes);
        assert_eq!(crate::part::self_contained(&document, part).as_ptr(), document.slice(part.span).as_ptr());
    }
}

// R-10.1.5-3 (emission): one reply in each Message_Core_Reply. R-11.1-3: no ds:Signature is ever written.
#[test]
fn replies_are_bundled_one_by_one() {
    let draft = ReplyDraft {
        cid: "#h02",
        uuid: None,
        reply_id: None,
        status: ReplyStatus::Succeeded,
        description: None,
        form: ReplyForm::Version,
        data: None,
    };
    let one = write::reply(Spelling::Single, &HeaderFields::default(), &draft);
    let envelope = write::envelope(Spelling::Single, Kind::Reply, &HeaderFields::default());
    let document = validated([envelope.head, one.clone(), one, envelope.tail].concat().into());
    let crate::core::Root::Reply(core) = &document.document().root else { panic!("a message") };
    assert!(matches!(&core.payload, crate::core::ReplyPayload::Bundle(replies) if replies.len() == 2));
}

#[test]
fn several_messages_share_one_payload() {
    let draft = |major| MessageDraft { major, minor: None, data: None };
    let drafts = [draft(Major::Register), draft(Major::Request)];
    let read = validated(write::message(Spelling::Double, &HeaderFields::default(), &drafts));
    assert_eq!(messages_of(read.document()).len(), 2);
    assert!(read.bytes().starts_with(format!("<m:Message_Core xmlns:m=\"{CORE}\"").as_bytes()));
}
