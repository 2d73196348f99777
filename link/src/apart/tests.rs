use super::*;

fn notice() -> Notice {
    let (head, tail) = (Bytes::from_static(b"<m>"), Bytes::from_static(b"</m>"));
    Notice { digest: Digest([7; 32]), item_bytes: 9, head, tail }
}

#[test]
fn a_notice_says_what_stands_around_its_item() {
    let wire = notice().to_wire().unwrap();
    assert_eq!(wire.len(), Notice::BYTES_MIN + 7);
    assert_eq!(Notice::from_wire(&wire), Ok(notice()));
    let bare = Notice { head: Bytes::new(), tail: Bytes::new(), ..notice() };
    assert_eq!(Notice::from_wire(&bare.to_wire().unwrap()), Ok(bare));
    let long = Bytes::from(vec![b' '; Notice::BYTES_MAX]);
    assert_eq!(Notice { tail: long, ..notice() }.to_wire(), None, "no envelope is so long");
}

#[test]
fn a_notice_that_contradicts_itself_is_none() {
    let wire = notice().to_wire().unwrap();
    for end in 0..Notice::BYTES_MIN + 3 {
        assert!(Notice::from_wire(&wire.slice(..end)).is_err(), "cut at {end}, within its head");
    }
    let with = |at: usize, value: u32| [&wire[..at], &value.to_be_bytes(), &wire[at + 4..]].concat().into();
    assert!(Notice::from_wire(&with(32, 0)).is_err(), "no item");
    assert!(Notice::from_wire(&with(36, 8)).is_err(), "a head over the end");
}

#[test]
fn an_item_goes_on_at_the_octet_or_at_the_segment() {
    let item = Bytes::from(b"0123456789".repeat(300_000));
    let item_bytes = item.len() as u32;
    let rest = |held: u32| (held, Octets::Plain(item.slice(held as usize..)));
    for held in [0, 1, item_bytes - 1, item_bytes] {
        assert_eq!(Octets::plain(&item, held), rest(held));
    }
    assert_eq!(Octets::plain(&item, item_bytes + 1), rest(0), "nobody holds more than there is");

    // Three pieces, of which the last is short; copied ones stand in two slices.
    let noise: Vec<u8> = (0_u32..100_000).flat_map(|number| Digest::of(&number.to_be_bytes()).0).collect();
    for item in [item, noise.into()] {
        let (made, item_bytes) = (segments::make(&item, None), item.len() as u32);
        let piece = segments::PIECE_BYTES_MAX as u32;
        let held = [
            (0, 0),
            (1, 0),
            (piece - 1, 0),
            (piece, piece),
            (piece + 1, piece),
            (item_bytes - 1, item_bytes / piece * piece),
        ];
        for (held, expected) in held.into_iter().chain([(item_bytes, item_bytes), (item_bytes + 1, 0)]) {
            let (offset, octets) = Octets::segmented(item_bytes, &made, None, held);
            let Octets::Segmented { prelude, segments } = octets else { panic!("segments") };
            assert_eq!((offset, prelude.document_bytes), (expected, item_bytes - expected), "{held} held");
            assert_eq!(restored(prelude, &segments.concat()), item.slice(offset as usize..), "{held} held");
        }
    }
}

fn restored(prelude: Prelude, coded: &[u8]) -> Vec<u8> {
    let mut restoring = segments::Restoring::new(prelude, (PRELUDE_BYTES + coded.len()) as u32).unwrap();
    let mut document = Vec::new();
    restoring.waiting_mut().extend_from_slice(coded);
    restoring.came(coded.len());
    while restoring.next_piece().unwrap().is_some() {
        restoring.restore(&mut document).unwrap();
    }
    document
}
