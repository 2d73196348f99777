//! Long items that come on streams of their own, also in two parts.

use bytes::Bytes;
use link::apart::{Notice, Octets, Rest};
use link::frame::{FrameHeader, Kind};
use link::hello::Partial;
use node::ids::Position;
use schemas::class::Class;
use schemas::digest::Digest;
use schemas::names::Spelling;
use schemas::version::{Code, CodeContent, CodeKind, Container, Info, VersionInfo};

use super::rig::{HOP, Rig, soon};
use crate::documents;

/// Many times what a link takes at once.
fn item() -> Bytes {
    let text = "QUJD".repeat(3_000_000).into();
    let content = CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text };
    let code = Code { content: Some(content), ..Code::default() };
    let container = Container { version: "1".into(), code: Some(code), ..Container::default() };
    documents::item(&[VersionInfo { info: vec![Info { container, ..Info::default() }], ..VersionInfo::default() }]).1
}

/// What stands in the lane for it.
fn apart(item: &Bytes, position: u64) -> (FrameHeader, [Bytes; 1]) {
    let document = documents::bundle(HOP, Spelling::Double, [item.clone()]);
    let [head, _, tail] = &document[..] else { panic!("an envelope around one item") };
    let (digest, item_bytes) = (Digest::of(item), item.len() as u32);
    let body = [Notice { digest, item_bytes, head: head.clone(), tail: tail.clone() }.to_wire().unwrap()];
    (FrameHeader::over(Kind::Apart, &body).in_class(Class::Bulk).at(position), body)
}

#[tokio::test]
async fn the_next_hello_lists_what_came_and_the_owner_gets_it_once() {
    let mut rig = Rig::new().await;
    let item = item();
    let (digest, part) = (Digest::of(&item), item.len() as u64 / 4);
    assert_eq!(rig.down.peer_hello().partials.as_deref(), Some(&[][..]), "nothing yet, and such items are welcome");
    let (header, body) = apart(&item, 3);
    let mut lane = rig.down.open_lane(Class::Bulk).await.unwrap();
    lane.deliver(&header, &body).await.unwrap();
    let down = rig.down.clone();
    let (offset, octets) = Octets::plain(&item, 0);
    let sending = tokio::spawn(async move { down.send_item(&Rest { position: 3, digest, offset, octets }).await });
    while rig.down.wire_bytes().sent < part {
        tokio::task::yield_now().await;
    }
    let partials = rig.again().await.partials.expect("such items are welcome");
    sending.abort();
    let [Partial { digest: of, offset }] = partials[..] else { panic!("{partials:?}") };
    assert!(of == digest && offset > 0 && offset < item.len() as u64, "{offset}");

    let (header, body) = apart(&item, 3);
    let mut lane = rig.down.open_lane(Class::Bulk).await.unwrap();
    lane.deliver(&header, &body).await.unwrap();
    let (offset, octets) = Octets::plain(&item, offset as u32);
    let down = rig.down.clone();
    let sending = tokio::spawn(async move { down.send_item(&Rest { position: 3, digest, offset, octets }).await });
    let (push, intake) = soon(rig.live.pushes.recv()).await.expect("a push");
    soon(sending).await.unwrap().unwrap();
    assert_eq!((push.class, push.position), (Class::Bulk, Position(3)));
    let items: Vec<_> = intake.items().into_iter().map(|found| found.unwrap().1.bytes.clone()).collect();
    assert!(items == [item], "byte for byte");
    assert_eq!(rig.again().await.partials, Some(Vec::new()), "whole, it is no more kept");
}
