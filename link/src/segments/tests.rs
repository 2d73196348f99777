use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// A body in segments, as it stands on the wire.
fn body(document: &Bytes, dictionary: Option<&'static Dictionary>) -> Vec<u8> {
    let prelude = Prelude { document_bytes: u32::try_from(document.len()).unwrap(), dictionary };
    [&prelude.to_wire()[..], &make(document, dictionary).concat()].concat()
}

/// Restores a body that comes in pieces of at most so many bytes.
fn restored(body: &[u8], at_once: usize) -> Result<Vec<u8>, SegmentError> {
    let (prelude, mut rest) = body.split_first_chunk().expect("a prelude");
    let length = u32::try_from(body.len()).unwrap();
    let mut restoring = Restoring::new(Prelude::from_wire(prelude)?, length)?;
    let (mut document, most) = (Vec::new(), restoring.waiting_bytes_max() as usize);
    loop {
        while let Some(piece) = restoring.next_piece()? {
            let before = document.len();
            restoring.restore(&mut document)?;
            assert_eq!(document.len(), before + piece);
        }
        let (came, later) = rest.split_at(restoring.wants().min(at_once).min(rest.len()));
        if came.is_empty() {
            assert!(rest.is_empty() && restoring.wants() == 0);
            return Ok(document);
        }
        restoring.waiting_mut().extend_from_slice(came);
        restoring.came(came.len());
        assert!(restoring.waiting_mut().len() <= most);
        rest = later;
    }
}

fn transforms(document: &Bytes, dictionary: Option<&'static Dictionary>) -> Vec<u8> {
    let coded = make(document, dictionary).concat();
    let (mut at, mut found) = (0, Vec::new());
    while at < coded.len() {
        let header = SegmentHeader::from_wire(*coded[at..].first_chunk().unwrap()).unwrap();
        found.push(header.transform as u8);
        at += SEGMENT_HEADER_BYTES + header.coded;
    }
    found
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..bytes).map(|_| next()).collect()
}

fn base64(bytes: &[u8]) -> String {
    base64_simd::STANDARD.encode_to_string(bytes)
}

/// None of those from which the dictionary was made.
const ADVISORY: &str = include_str!("../../testdata/advisory.xml");

fn check(document: &str, expected: &[u8]) {
    let document = Bytes::from(document.to_owned());
    for dictionary in [None, Some(Dictionary::advisories())] {
        assert_eq!(restored(&body(&document, dictionary), 1 << 20).as_deref(), Ok(&document[..]));
    }
    assert_eq!(transforms(&document, Some(Dictionary::advisories())), expected);
}

#[test]
fn each_piece_gets_what_suits_it() {
    let (noise, code) = (base64(&noise(3000)), base64(&b"push eax; ret; ".repeat(300)));
    check("", &[]);
    check("<a/>", &[0]);
    check(ADVISORY, &[3]);
    check(&format!("<a>{noise}</a>"), &[0, 1, 0]);
    check(&format!("<a>{code}</a>"), &[0, 4, 0]);
    check(&"<long/>".repeat(20_000), &[2]);
    // Not what its bytes would give back: left as it stands.
    check(&format!("<a>{}R==</a>", &noise[..3997]), &[3]);
}

#[test]
fn what_is_long_comes_in_pieces_of_a_mebibyte() {
    let document = format!("<a>{}</a>", base64(&noise(3 << 20)));
    check(&document, &[0, 1, 1, 1, 1, 0]);
    check(&"<long/>".repeat(300_000), &[2, 2, 3]);
}

#[test]
fn a_dictionary_saves_most_of_a_short_message() {
    let document = Bytes::from_static(ADVISORY.as_bytes());
    let [alone, shared] = [None, Some(Dictionary::advisories())].map(|dictionary| body(&document, dictionary).len());
    assert!(shared * 5 < document.len() && shared * 2 < alone, "{shared}, {alone} of {}", document.len());
}

#[test]
fn a_body_that_is_cut_is_refused_and_a_changed_one_does_no_harm() {
    let text = format!("{ADVISORY}{}{}", base64(&noise(600)), base64(&b"nop; ".repeat(200)));
    let document = Bytes::from(text);
    let whole = body(&document, Some(Dictionary::advisories()));
    for end in PRELUDE_BYTES..whole.len() {
        assert!(restored(&whole[..end], usize::MAX).is_err(), "cut at {end}");
    }
    for at in 0..whole.len() {
        for bit in [0, 3, 7] {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            // What is restored is believed by its digest only; here nothing longer may come than what is announced.
            if let Ok(other) = restored(&changed, usize::MAX) {
                assert_eq!(other.len(), u32::from_be_bytes(*changed.first_chunk().unwrap()) as usize);
            }
        }
    }
}

#[track_caller]
fn refused(prelude: Prelude, header: SegmentHeader, coded: &[u8], expected: SegmentError) {
    let bytes = [&prelude.to_wire()[..], &header.to_wire(), coded].concat();
    assert_eq!(restored(&bytes, usize::MAX), Err(expected));
}

#[test]
fn lengths_that_lie_are_refused_before_anything_is_restored() {
    let prelude = Prelude { document_bytes: 8, dictionary: None };
    let length = |piece, coded, coded_room| SegmentError::Length { piece, coded, piece_room: 8, coded_room };
    let header = |piece, coded| SegmentHeader { transform: Transform::Copied, piece, coded };
    refused(prelude, header(9, 8), b"12345678", length(9, 8, 8));
    refused(prelude, header(8, 9), b"12345678", length(8, 9, 8));
    refused(prelude, header(8, 8), b"1234567", length(8, 8, 7));
    refused(prelude, header(0, 0), b"", length(0, 0, 0));
    refused(prelude, header(8, 0), b"12345678", length(8, 0, 8));
    refused(prelude, header(8, 7), b"1234567", SegmentError::Coded(Transform::Copied));
    refused(prelude, header(4, 4), b"1234", SegmentError::Cut(4));
    let long = Prelude { document_bytes: u32::MAX, dictionary: None };
    let (piece, coded) = (PIECE_BYTES_MAX + 1, 1);
    let (piece_room, coded_room) = (u32::MAX as usize, 1);
    refused(long, header(piece, coded), b"1", SegmentError::Length { piece, coded, piece_room, coded_room });
}

#[test]
fn a_bomb_is_refused_at_the_length_that_it_states() {
    let bomb = zstd::bulk::compress(&vec![0; 8 << 20], 3).unwrap();
    for transform in [Transform::Compressed, Transform::PackedCompressed, Transform::Shared] {
        let prelude = Prelude { document_bytes: 1 << 20, dictionary: Some(Dictionary::advisories()) };
        let header = SegmentHeader { transform, piece: PIECE_BYTES_MAX, coded: bomb.len() };
        refused(prelude, header, &bomb, SegmentError::Coded(transform));
    }
}

#[test]
fn what_is_not_known_is_refused() {
    let mut bytes = body(&Bytes::from_static(b"<a/>"), None);
    bytes[PRELUDE_BYTES] = 5;
    assert_eq!(restored(&bytes, usize::MAX), Err(SegmentError::Transform(5)));
    bytes[4] = 1;
    assert_eq!(restored(&bytes, usize::MAX), Err(SegmentError::Dictionary));
    let shared = body(&Bytes::from_static(ADVISORY.as_bytes()), Some(Dictionary::advisories()));
    let unnamed = [&shared[..4], &[0; Dictionary::NAME_BYTES], &shared[PRELUDE_BYTES..]].concat();
    assert_eq!(restored(&unnamed, usize::MAX), Err(SegmentError::Dictionary));
}

/// What a document may consist of.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,80}",
        Just(ADVISORY.to_owned()),
        proptest::collection::vec(any::<u8>(), 0..3000).prop_map(|bytes| base64(&bytes)),
        (1_usize..4000).prop_map(|count| base64(&b"mov eax, 1; ".repeat(count))),
        "[A-Za-z0-9+/]{250,700}={0,3}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_document_is_restored_to_the_byte(
        parts in proptest::collection::vec(part(), 0..8),
        cut in any::<prop::sample::Index>(),
        at_once in 1_usize..5000,
    ) {
        let document = Bytes::from(parts.concat());
        for dictionary in [None, Some(Dictionary::advisories())] {
            prop_assert_eq!(restored(&body(&document, dictionary), at_once), Ok(document.to_vec()));
            // Parts that were coded apart are one document too.
            let cut = cut.index(document.len() + 1);
            let (left, right) = (document.slice(..cut), document.slice(cut..));
            let prelude = Prelude { document_bytes: document.len() as u32, dictionary };
            let slices = [make(&left, dictionary).concat(), make(&right, dictionary).concat()];
            let bytes = [&prelude.to_wire()[..], &slices.concat()].concat();
            prop_assert_eq!(restored(&bytes, at_once), Ok(document.to_vec()));
        }
    }

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), PRELUDE_BYTES..200), transform in 0_u8..6) {
        let mut bytes = bytes;
        bytes[4..12].fill(0);
        bytes[..4].copy_from_slice(&2000_u32.to_be_bytes());
        if let Some(first) = bytes.get_mut(12..16) {
            first.copy_from_slice(&[transform, 0, 1, 0]);
        }
        drop(restored(&bytes, usize::MAX));
    }
}
