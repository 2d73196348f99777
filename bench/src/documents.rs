//! Documents of the sizes that matter, made in memory.

use bytes::Bytes;
use schemas::base64;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::names::Spelling;
use schemas::version::{Code, CodeContent, CodeKind, Container, Info, Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, Kind, MessageDraft};

/// A Deliver of information alone, its comments filled up to about this many bytes.
pub fn advisory(bytes: usize) -> Bytes {
    numbered_advisory(1, bytes)
}

/// A bundle of this many advisories.
pub fn bundle(parts: usize) -> Bytes {
    let envelope = write::envelope(Spelling::Double, Kind::Message, &header(0));
    let inner = (0..parts).map(|number| numbered_advisory(number, 2 << 10));
    let pieces: Vec<Bytes> = std::iter::once(envelope.head).chain(inner).chain([envelope.tail]).collect();
    pieces.concat().into()
}

/// A Deliver with code of this many bytes, before base64.
pub fn update(code_bytes: usize) -> Bytes {
    let content = CodeContent {
        span: Default::default(),
        kind: CodeKind::Binary,
        reference: None,
        text: base64::encode(&bytes(code_bytes)).into(),
    };
    let container = Container {
        package: Some("deb".into()),
        version: "1.2.13-1".into(),
        file_name: Some("pkg:deb/debian/zlib1g".into()),
        code: Some(Code { content: Some(content), ..Code::default() }),
        ..Container::default()
    };
    let info = Info { source: Some("Debian".into()), id: Some("DSA-1-1".into()), container, ..Info::default() };
    message(2, Major::Deliver, Some(Minor::Full), VersionInfo { info: vec![info], ..VersionInfo::default() })
}

/// A Register of an asset with this many components.
pub fn register(components: usize) -> Bytes {
    let component = |number: usize| Info {
        container: Container {
            package: Some("cargo".into()),
            version: format!("1.{}.{}", number / 10, number % 10).into(),
            file_name: Some(format!("pkg:cargo/component-{number}").into()),
            ..Container::default()
        },
        ..Info::default()
    };
    let contained = VersionInfo { info: (0..components).map(component).collect(), ..VersionInfo::default() };
    let container = Container {
        package: Some("cargo".into()),
        version: "4.1.0".into(),
        file_name: Some("quill".into()),
        contained_versions: vec![contained],
        ..Container::default()
    };
    let asset = VersionInfo {
        product_name: Some("Quill Editor".into()),
        product_version: Some("4.1.0".into()),
        info: vec![Info { container, ..Info::default() }],
        ..VersionInfo::default()
    };
    message(3, Major::Register, None, asset)
}

/// Bytes that do not compress, the same each time.
pub fn bytes(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A text of ASCII in lines of this width.
pub fn wrapped(text: &str, width: usize) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / width + 1);
    for (index, c) in text.chars().enumerate() {
        if index > 0 && index % width == 0 {
            out.push('\n');
        }
        out.push(c);
    }
    out
}

fn numbered_advisory(number: usize, bytes: usize) -> Bytes {
    const FRAME_BYTES: usize = 1_020;
    let comments = "A crafted archive makes the decoder read beyond its buffer. ".repeat(bytes / 60 + 1);
    let container = Container {
        package: Some("cargo".into()),
        version: "vers:cargo/<1.2.13".into(),
        file_name: Some(format!("pkg:cargo/component-{number}").into()),
        author_comments: Some(comments[..bytes.saturating_sub(FRAME_BYTES).min(comments.len())].into()),
        ..Container::default()
    };
    let info = Info {
        source: Some("RustSec".into()),
        id: Some(format!("RUSTSEC-2026-{number:04}").into()),
        date: Some("2026-01-14".into()),
        container,
        ..Info::default()
    };
    message(number, Major::Deliver, Some(Minor::Full), VersionInfo { info: vec![info], ..VersionInfo::default() })
}

fn message(number: usize, major: Major, minor: Option<Minor>, info: VersionInfo) -> Bytes {
    let data = [info];
    write::message(Spelling::Double, &header(number), &[MessageDraft { major, minor, data: Some(&data) }])
}

fn header(number: usize) -> HeaderFields<'static> {
    HeaderFields {
        server_guid: Some(ServerGuid(0x5f0c)),
        client_guid: Some(ClientGuid(0x7a52)),
        message_id: Some(MessageId(number as u128 + 1)),
        sent_time: Some("2026-01-15T09:30:00Z"),
    }
}
