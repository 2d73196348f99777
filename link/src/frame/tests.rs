use schemas::guid::MessageId;

use super::*;
use crate::segments::{self, Dictionary, Prelude};

/// BLAKE3 of `<a/>`, of nothing, of a Hello that says version 1, of a short reply, of what stands around `<a/>`, and of a path
/// of two marks.
const OF_A: &str = "c1259a287ddd17568e2284779ddc43eeb595db3754589bee069412e8c337c9eb";
const OF_NOTHING: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
const OF_HELLO: &str = "0ede33ac464485443dd3a10d7334bb684b8771be61eaddae3bb50cb28e99080a";
const OF_SHORT: &str = "f880a6e6222a0a3b2e0edee2d897eee589547dd51e21e99eeb89cf82a8a8b534";
const OF_APART: &str = "deedbd537f09622784b0919d3f0bd901419c2a1b84f102628351f933933ade12";
const OF_PATH: &str = "4635e1e09eeb47befd82aff61a4029004592ff58f931080047ec1476dd65e295";

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// What other teams read.
const PAGE: &str = include_str!("../../../docs/protocol.md");

/// The frame must be written so, be read back from that, and stand so in the protocol's page.
#[track_caller]
fn check(header: &FrameHeader, body: &[u8], expected: &str) {
    let mut bytes = header.encode(u32::try_from(body.len()).unwrap()).to_vec();
    bytes.extend_from_slice(body);
    assert_eq!(bytes, hex(expected));
    let squeeze = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    assert!(squeeze(PAGE).contains(&squeeze(expected)), "docs/protocol.md shows no such frame");
    let (read, length) = FrameHeader::decode(bytes.first_chunk().unwrap()).unwrap();
    assert_eq!((&read, length as usize), (header, body.len()));
}

fn over_a(kind: Kind) -> FrameHeader {
    FrameHeader::over(kind, &[Bytes::from_static(b"<a"), Bytes::from_static(b"/>")])
}

#[test]
fn hello_on_the_wire() {
    // length 8, kind 1, plain, normal, no flags; no position, no freshness; digest; field 1 of 2 bytes: version 1
    let body = hex("0001 00000002 0001");
    let expected = format!("00000008 01 00 01 00 0000000000000000 0000000000000000 {OF_HELLO} 0001 00000002 0001");
    check(&FrameHeader::over(Kind::Hello, &[Bytes::from(body.clone())]), &body, &expected);
}

#[test]
fn document_on_the_wire() {
    // length 4, kind 2, plain, normal, no flags; no position, no freshness; digest; <a/>
    let expected = format!("00000004 02 00 01 00 0000000000000000 0000000000000000 {OF_A} 3c612f3e");
    check(&over_a(Kind::Document), b"<a/>", &expected);
}

#[test]
fn delivery_on_the_wire() {
    // length 4, kind 3, plain, critical, nothing normal or bulk on its way; position 258; 2026-06-09T09:05:42.912Z in
    // milliseconds; digest; <a/>
    let expected = format!("00000004 03 00 00 06 0000000000000102 0000019eaba16a00 {OF_A} 3c612f3e");
    let beside = PerClass::of([false, true, true]);
    let header = over_a(Kind::Delivery).in_class(Class::Critical).beside(beside).at(258).fresh(0x0000_019e_aba1_6a00);
    check(&header, b"<a/>", &expected);
}

#[test]
fn reply_on_the_wire() {
    // length 4, kind 4, plain, bulk, no flags; position 258; no freshness; digest; <a/>
    let expected = format!("00000004 04 00 02 00 0000000000000102 0000000000000000 {OF_A} 3c612f3e");
    check(&over_a(Kind::Reply).in_class(Class::Bulk).at(258), b"<a/>", &expected);
}

#[test]
fn apart_on_the_wire() {
    // length 47, kind 9, plain, bulk, nothing critical on its way; position 258; no freshness; digest of the body; that of
    // the item, 4 octets, a head of 3: <m> before it, </m> behind it
    let expected = format!(
        "0000002f 09 00 02 01 0000000000000102 0000000000000000 {OF_APART}
         {OF_A} 00000004 00000003 3c6d3e 3c2f6d3e"
    );
    let (head, tail) = (Bytes::from_static(b"<m>"), Bytes::from_static(b"</m>"));
    let body = Notice { digest: over_a(Kind::Item).digest, item_bytes: 4, head, tail }.to_wire().unwrap();
    let header = FrameHeader::over(Kind::Apart, std::slice::from_ref(&body)).in_class(Class::Bulk).at(258);
    check(&header.beside(PerClass::of([true, false, false])), &body, &expected);
}

#[test]
fn item_on_the_wire() {
    // length 10, kind 10, plain, bulk, no flags; position 258; no freshness; digest of the item; 2 octets are there, the rest
    let expected = format!(
        "0000000a 0a 00 02 00 0000000000000102 0000000000000000 {OF_A}
         0000000000000002 2f3e"
    );
    check(&over_a(Kind::Item).in_class(Class::Bulk).at(258), &hex("0000000000000002 2f3e"), &expected);
}

#[test]
fn item_in_segments_on_the_wire() {
    // length 29, kind 10, segmented, bulk; the same rest: 2 octets, no dictionary; copied, 2 in 2
    let expected = format!(
        "0000001d 0a 01 02 00 0000000000000102 0000000000000000 {OF_A}
         0000000000000002 00000002 0000000000000000 00 000002 000002 2f3e"
    );
    let body = hex("0000000000000002 00000002 0000000000000000 00 000002 000002 2f3e");
    check(&over_a(Kind::Item).in_form(Form::Segmented).in_class(Class::Bulk).at(258), &body, &expected);
}

#[test]
fn delivery_in_segments_on_the_wire() {
    // length 23, kind 3, segmented, normal, no flags; position 258; no freshness; digest of the document;
    // a document of 4 bytes, no dictionary; copied, 4 bytes in 4: <a/>
    let expected = format!(
        "00000017 03 01 01 00 0000000000000102 0000000000000000 {OF_A}
         00000004 0000000000000000 00 000004 000004 3c612f3e"
    );
    let prelude = Prelude { document_bytes: 4, dictionary: None }.to_wire();
    let body = [&prelude[..], &segments::make(&Bytes::from_static(b"<a/>"), None).concat()].concat();
    check(&over_a(Kind::Delivery).in_form(Form::Segmented).at(258), &body, &expected);
}

#[test]
fn the_page_names_the_dictionary() {
    let digest: String = Dictionary::advisories().digest().0.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(PAGE.contains(&digest), "docs/protocol.md does not name {digest}");
    assert!(include_str!("../../dictionaries/README.md").contains(&digest), "the README does not name {digest}");
}

#[test]
fn short_reply_on_the_wire() {
    // length 26, kind 4, short, normal, no flags; position 258; no freshness; digest; 3 items, Message_ID, Sent_Time
    let message_id = MessageId(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c21);
    let body = ShortReply { items: 3, message_id, sent_time: 0x0000_019e_aba1_6a00 }.to_wire();
    let expected = format!(
        "0000001a 04 02 01 00 0000000000000102 0000000000000000 {OF_SHORT}
         0003 5f0c7a526a3e4d0b9a550d1f6f7b2c21 0000019eaba16a00"
    );
    let header = FrameHeader::over(Kind::Reply, &[Bytes::copy_from_slice(&body)]).in_form(Form::Short).at(258);
    check(&header, &body, &expected);
}

#[test]
fn a_short_reply_has_one_length_only() {
    let header = FrameHeader::over(Kind::Reply, &[]).in_form(Form::Short);
    for length in [0, 25, 27, u32::MAX] {
        let refused = FrameError::Body { kind: Kind::Reply, form: Form::Short, length };
        assert_eq!(FrameHeader::decode(&header.encode(length)), Err(refused));
    }
}

#[test]
fn end_lane_and_behind_on_the_wire() {
    // no body, kind 5, plain, normal, no flags; position 258; no freshness; digest of nothing
    let end = format!("00000000 05 00 01 00 0000000000000102 0000000000000000 {OF_NOTHING}");
    check(&FrameHeader::over(Kind::End, &[]).at(258), b"", &end);
    // no body, kind 6, plain, critical, no flags; no position, no freshness; digest of nothing
    let lane = format!("00000000 06 00 00 00 0000000000000000 0000000000000000 {OF_NOTHING}");
    check(&FrameHeader::over(Kind::Lane, &[]).in_class(Class::Critical), b"", &lane);
    // no body, kind 7, plain, normal, no flags; position 65535; no freshness; digest of nothing
    let behind = format!("00000000 07 00 01 00 000000000000ffff 0000000000000000 {OF_NOTHING}");
    check(&FrameHeader::over(Kind::Behind, &[]).at(65535), b"", &behind);
}

#[test]
fn path_on_the_wire() {
    // length 32, kind 8, plain, normal, no flags; no position, no freshness; digest; two marks
    let marks = "54256f75d9314da568e94d8c119471dc 72da788a00992eda5d92a67b91c70345";
    let body = hex(marks);
    let expected = format!("00000020 08 00 01 00 0000000000000000 0000000000000000 {OF_PATH} {marks}");
    check(&FrameHeader::over(Kind::Path, &[Bytes::from(body.clone())]), &body, &expected);
}

#[track_caller]
fn refused(at: usize, value: u8, expected: &FrameError) {
    let mut bytes = over_a(Kind::Document).encode(4);
    bytes[at] = value;
    assert_eq!(FrameHeader::decode(&bytes).as_ref(), Err(expected));
    assert_eq!(expected.code(), CloseCode::Protocol);
}

#[test]
fn what_this_version_does_not_know_is_refused() {
    refused(4, 0, &FrameError::Kind(0));
    refused(4, 11, &FrameError::Kind(11));
    refused(5, 3, &FrameError::Form(3));
    refused(5, 1, &FrameError::Body { kind: Kind::Document, form: Form::Segmented, length: 4 });
    refused(6, 3, &FrameError::Class(3));
    refused(7, 0x80, &FrameError::Flags(0x80));
    refused(7, 1, &FrameError::Flags(1));
    refused(4, 5, &FrameError::Body { kind: Kind::End, form: Form::Plain, length: 4 });
    refused(4, 8, &FrameError::Body { kind: Kind::Path, form: Form::Plain, length: 4 });
    refused(4, 9, &FrameError::Body { kind: Kind::Apart, form: Form::Plain, length: 4 });
    refused(4, 10, &FrameError::Body { kind: Kind::Item, form: Form::Plain, length: 4 });
    refused(5, 2, &FrameError::Body { kind: Kind::Document, form: Form::Short, length: 4 });
}

#[test]
fn a_path_has_the_length_of_whole_marks_and_of_at_most_64() {
    let decoded =
        |length| FrameHeader::decode(&FrameHeader::over(Kind::Path, &[]).encode(length)).map(|(_, length)| length);
    for length in [0, 16, 1024] {
        assert_eq!(decoded(length), Ok(length));
    }
    for length in [1, 17, 1023, 1025, 65 * 16, u32::MAX] {
        assert_eq!(decoded(length), Err(FrameError::Body { kind: Kind::Path, form: Form::Plain, length }));
    }
}

#[test]
fn any_56_bytes_are_a_header_or_an_error() {
    for value in 0..=255u8 {
        for at in 0..HEADER_BYTES {
            let mut bytes = over_a(Kind::Delivery).encode(4);
            bytes[at] = value;
            if let Ok((header, length)) = FrameHeader::decode(&bytes) {
                assert_eq!(header.encode(length), bytes);
            }
        }
    }
}
