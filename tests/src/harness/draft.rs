//! Documents for tests, in few words. Each gets a `Message_ID` of its own; none names GUIDs, since the link implies them.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use schemas::guid::MessageId;
use schemas::names::Spelling;
use schemas::version::{Container, Info, Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, Kind, MessageDraft};

/// A `Message_ID` that no other document of this process has.
pub fn fresh_id() -> MessageId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    MessageId((0xd1 << 64) | u128::from(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// A header with nothing but a fresh `Message_ID`.
pub fn header() -> HeaderFields<'static> {
    HeaderFields { message_id: Some(fresh_id()), ..HeaderFields::default() }
}

/// One message. `data` of `None` leaves `Message_Data` out.
pub fn message(major: Major, minor: Option<Minor>, data: Option<&[VersionInfo]>) -> Bytes {
    messages(&[MessageDraft { major, minor, data }])
}

/// Several messages of one fate.
pub fn messages(drafts: &[MessageDraft<'_>]) -> Bytes {
    write::message(Spelling::default(), &header(), drafts)
}

/// Register without Minor.
pub fn register(data: &[VersionInfo]) -> Bytes {
    message(Major::Register, None, Some(data))
}

/// Register:End.
pub fn end(data: &[VersionInfo]) -> Bytes {
    message(Major::Register, Some(Minor::End), Some(data))
}

/// Request:Full.
pub fn request_full(data: &[VersionInfo]) -> Bytes {
    message(Major::Request, Some(Minor::Full), Some(data))
}

/// Request without Minor: current content once.
pub fn request(data: &[VersionInfo]) -> Bytes {
    message(Major::Request, None, Some(data))
}

/// Request:Catalog.
pub fn request_catalog(data: &[VersionInfo]) -> Bytes {
    message(Major::Request, Some(Minor::Catalog), Some(data))
}

/// Deliver:Full.
pub fn deliver(data: &[VersionInfo]) -> Bytes {
    message(Major::Deliver, Some(Minor::Full), Some(data))
}

/// Documents as the parts of one.
pub fn bundle(parts: &[Bytes]) -> Bytes {
    bundle_under(&header(), parts)
}

/// The same under a given header.
pub fn bundle_under(header: &HeaderFields<'_>, parts: &[Bytes]) -> Bytes {
    let envelope = write::envelope(Spelling::default(), Kind::Message, header);
    let mut document = BytesMut::from(&envelope.head[..]);
    parts.iter().for_each(|part| document.extend_from_slice(part));
    document.extend_from_slice(&envelope.tail);
    document.freeze()
}

/// A product, as a filter or the top of an asset.
pub fn product(name: &str) -> VersionInfo {
    VersionInfo { product_name: Some(name.into()), ..VersionInfo::default() }
}

/// A vendor.
pub fn company(name: &str) -> VersionInfo {
    VersionInfo { company: Some(name.into()), ..VersionInfo::default() }
}

/// A component by file name and version; an empty version is any.
pub fn component(file: &str, version: &str) -> Info {
    let container = Container { version: version.into(), file_name: Some(file.into()), ..Container::default() };
    Info { container, ..Info::default() }
}

/// A product with these components in it.
pub fn asset(name: &str, version: &str, components: Vec<Info>) -> VersionInfo {
    let contained = VersionInfo { info: components, ..VersionInfo::default() };
    let container = Container {
        version: version.into(),
        file_name: Some(name.to_lowercase().into()),
        contained_versions: vec![contained],
        ..Container::default()
    };
    VersionInfo {
        product_version: Some(version.into()),
        info: vec![Info { container, ..Info::default() }],
        ..product(name)
    }
}

/// An item about a product, whatever its version.
pub fn item(id: &str, product_name: &str) -> VersionInfo {
    VersionInfo { info: vec![said(id, Info::default())], ..product(product_name) }
}

/// An item about a component, and nothing else.
pub fn component_item(id: &str, file: &str, version: &str) -> VersionInfo {
    VersionInfo { info: vec![said(id, component(file, version))], ..VersionInfo::default() }
}

/// The same Info with a Source and an ID.
pub fn said(id: &str, info: Info) -> Info {
    Info { source: Some("A Provider".into()), id: Some(id.into()), ..info }
}

/// The same item with these lines of `Author_Comments`, such as `Revision: 2`.
pub fn commented(mut info: VersionInfo, lines: &str) -> VersionInfo {
    info.info.iter_mut().for_each(|info| info.container.author_comments = Some(lines.into()));
    info
}
