use super::*;
use crate::path::PATH_MARKS_MAX;

fn full() -> Hello {
    Hello {
        versions: vec![1, 7],
        forms: vec![0, 2],
        document_bytes_max: 123_456,
        dictionaries: vec![Digest([1; 32]), Digest([2; 32])],
        incarnation: Some(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
        resume: vec![
            Resume { class: Class::Critical, position: 9, digest: Digest([3; 32]) },
            Resume { class: Class::Normal, position: 0, digest: Digest([0; 32]) },
        ],
        partials: Some(vec![Partial { digest: Digest([4; 32]), offset: 77 }]),
        policy: vec![
            RequestPolicy { cid: 2, accepts: vec!["Request:Catalog".to_owned(), "Register:".to_owned()] },
            RequestPolicy { cid: 3, accepts: Vec::new() },
        ],
        behind: true,
        generation: Some(5),
        implementation: "sümmtest/1".to_owned(),
        path: Some(vec![Mark::of(1), Mark::of(2)]),
    }
}

fn field(tag: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = tag.to_be_bytes().to_vec();
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

#[track_caller]
fn value_refused(tag: u16, value: &[u8]) {
    let error = Hello::decode(&field(tag, value)).unwrap_err();
    assert!(matches!(error, HelloError::Value { tag: of, .. } if of == tag), "{error}");
}

#[test]
fn hello_comes_back_whole() {
    for hello in [full(), Hello::default()] {
        assert_eq!(Hello::decode(&hello.encode().unwrap()), Ok(hello));
    }
}

#[test]
fn nothing_said_is_the_plain_minimum() {
    let hello = Hello::decode(b"").unwrap();
    assert_eq!(hello, Hello { implementation: String::new(), path: None, ..Hello::default() });
    assert_eq!((hello.versions, hello.forms, hello.document_bytes_max), (vec![1], vec![Form::Plain as u8], 64 << 20));
}

#[test]
fn cut_at_every_byte_it_is_an_error_or_a_shorter_hello() {
    let bytes = full().encode().unwrap();
    let mut whole = 0;
    for end in 0..bytes.len() {
        match Hello::decode(&bytes[..end]) {
            Ok(_) => whole += 1,
            Err(error) => assert!(matches!(error, HelloError::Cut { .. }), "cut at {end}: {error}"),
        }
    }
    assert_eq!(whole, 13, "once before each of the 13 fields");
}

#[test]
fn an_unknown_field_is_skipped_and_may_repeat() {
    let mut bytes = field(999, b"anything");
    bytes.extend_from_slice(&Hello::default().encode().unwrap());
    bytes.extend_from_slice(&field(999, b""));
    assert_eq!(Hello::decode(&bytes), Ok(Hello::default()));
}

#[test]
fn a_known_field_stands_once() {
    let twice = [field(tag::FORMS, &[0]), field(tag::FORMS, &[0])].concat();
    assert_eq!(Hello::decode(&twice), Err(HelloError::Repeated(tag::FORMS)));
    let paths = [field(tag::PATH, &[]), field(tag::PATH, &[0; 16])].concat();
    assert_eq!(Hello::decode(&paths), Err(HelloError::Repeated(tag::PATH)));
    let policies = [field(tag::POLICY, &[0; 16]), field(tag::POLICY, &[0; 16])].concat();
    assert!(matches!(Hello::decode(&policies), Err(HelloError::Value { .. })), "two policies for one CID");
    let many: Vec<u8> = (0..=64u128).flat_map(|cid| field(tag::POLICY, &cid.to_be_bytes())).collect();
    assert!(matches!(Hello::decode(&many), Err(HelloError::Value { .. })), "too many policies");
}

#[test]
fn a_value_that_is_none_of_its_kind_is_refused() {
    value_refused(tag::VERSIONS, &[1]);
    value_refused(tag::DOCUMENT_BYTES_MAX, &[0; 7]);
    value_refused(tag::DICTIONARIES, &[0; 33]);
    value_refused(tag::INCARNATION, &[0; 15]);
    value_refused(tag::RESUME, &[3; 41]);
    value_refused(tag::RESUME, &[0; 82]);
    value_refused(tag::PARTIALS, &[0; 41]);
    value_refused(tag::POLICY, &[0; 15]);
    value_refused(tag::POLICY, &[[0; 16].as_slice(), &[200, b'x']].concat());
    value_refused(tag::BEHIND, &[2]);
    value_refused(tag::GENERATION, &[]);
    value_refused(tag::IMPLEMENTATION, &[0xff]);
    value_refused(tag::IMPLEMENTATION, b"a\nb");
    value_refused(tag::IMPLEMENTATION, &[b'x'; 256]);
    value_refused(tag::PATH, &[0; 17]);
    value_refused(tag::PATH, &[0; (PATH_MARKS_MAX + 1) * Mark::BYTES]);
}

#[test]
fn a_hello_is_bounded_both_ways() {
    let bytes = vec![0; HELLO_BYTES_MAX as usize + 1];
    assert_eq!(Hello::decode(&bytes), Err(HelloError::TooLong(bytes.len())));
    let hello = Hello { dictionaries: vec![Digest([0; 32]); 4096], ..Hello::default() };
    assert!(matches!(hello.encode(), Err(HelloError::TooLong(_))));
    let hello = Hello { path: Some(vec![Mark::of(1); PATH_MARKS_MAX + 1]), ..Hello::default() };
    assert!(matches!(hello.encode(), Err(HelloError::Value { tag: tag::PATH, .. })));
    let length = [0, 1, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(Hello::decode(&length), Err(HelloError::Cut { tag: 1, at: 0 }));
}

#[test]
fn a_path_stands_as_marks_one_after_the_other() {
    let path = vec![Mark::of(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c21), Mark::of(0)];
    let hello = Hello { path: Some(path), ..Hello::default() };
    let marks = [0x5425_6f75_d931_4da5_68e9_4d8c_1194_71dc, 0x72da_788a_0099_2eda_5d92_a67b_91c7_0345u128];
    // tag 12, 32 bytes, two marks
    let expected = [&[0, 12, 0, 0, 0, 32], marks.map(u128::to_be_bytes).as_flattened()].concat();
    assert!(hello.encode().unwrap().ends_with(&expected));
}

#[test]
fn an_empty_path_is_told_from_none() {
    let says = |path| Hello { implementation: String::new(), path, ..Hello::default() };
    assert_eq!(Hello::decode(&field(tag::PATH, &[])), Ok(says(Some(Vec::new()))));
    assert_eq!(Hello::decode(&[]), Ok(says(None)));
    for path in [None, Some(Vec::new())] {
        assert_eq!(Hello::decode(&says(path.clone()).encode().unwrap()), Ok(says(path)));
    }
}

#[test]
fn the_highest_common_version_is_spoken() {
    let old = Hello::default();
    let new = Hello { versions: vec![2, 1, 3], ..Hello::default() };
    let other = Hello { versions: vec![9], ..Hello::default() };
    assert_eq!(old.common_version(&new), Some(1));
    assert_eq!(new.common_version(&new), Some(3));
    assert_eq!(old.common_version(&other), None);
}
