use proptest::prelude::*;

use super::*;
use crate::ranges::tests::{any_ranges, any_version, version};

#[test]
fn canonical_texts_read_and_print_alike() {
    for text in [
        "vers:cargo/>=1.0.0|<1.2.3",
        "vers:cargo/!=0.2.0|!=0.2.6|<0.2.23",
        "vers:cargo/!=1.0.0",
        "vers:cargo/1.0.0|1.1.0",
        "vers:cargo/<1.0.0|1.0.1|>=1.1.0|!=1.2.0|<=2.0.0-alpha.1|>3.0.0",
        "vers:cargo/*",
        "vers:none/*",
        "vers:deb/1%3A2.0-1%2Bdeb12u1",
        "vers:deb/!=1|!=2",
        "vers:all/*",
    ] {
        assert_eq!(Vers::parse(text).map(|vers| vers.to_string()), Ok(text.to_owned()));
    }
}

#[test]
fn other_spellings_of_a_range_are_read() {
    for (text, canonical) in [
        ("VERS:Cargo/ <1.2.3 | >=1.0.0 ", "vers:cargo/>=1.0.0|<1.2.3"),
        ("vers:cargo/=1.0.0", "vers:cargo/1.0.0"),
        ("vers:cargo/>1.0.0|>2.0.0", "vers:cargo/>1.0.0"),
        ("vers:cargo/<1.0.0|<2.0.0", "vers:cargo/<2.0.0"),
        ("vers:cargo/>1.0.0|1.5.0|<2.0.0", "vers:cargo/>1.0.0|<2.0.0"),
        ("vers:cargo/<1.0.0|>=1.0.0", "duplicate"),
        ("vers:cargo/1.0.0%2Bbuild", "vers:cargo/1.0.0"),
    ] {
        match Vers::parse(text) {
            Ok(vers) => assert_eq!(vers.to_string(), canonical),
            Err(error) => assert_eq!((error, canonical), (VersError::Twice("1.0.0".to_owned()), "duplicate")),
        }
    }
}

#[test]
fn anything_else_is_refused_with_its_reason() {
    for (text, error) in [
        ("1.0.0", VersError::Form),
        ("vers:cargo", VersError::Form),
        ("vers:/1.0.0", VersError::Form),
        ("vers:cargo/", VersError::Form),
        ("vers:none/1.0.0", VersError::Form),
        ("vers:cargo/<", VersError::Version(String::new())),
        ("vers:cargo/1.0", VersError::Version("1.0".to_owned())),
        ("vers:cargo/%zz", VersError::Version("%zz".to_owned())),
        ("vers:cargo/1.0.0|!=2.0.0", VersError::Contradiction),
        ("vers:deb/<2", VersError::Unordered("deb".to_owned())),
        ("vers:deb/1|!=2", VersError::Contradiction),
        ("vers:deb/1|1", VersError::Twice("1".to_owned())),
    ] {
        assert_eq!(Vers::parse(text), Err(error), "{text}");
    }
    let many = format!("vers:deb/{}", vec!["1"; COMPARATORS_MAX + 1].join("|"));
    assert_eq!(Vers::parse(&many), Err(VersError::TooMany));
}

#[test]
fn excluded_version_is_a_hole() {
    let Ok(Vers::Cargo(ranges)) = Vers::parse("vers:cargo/!=0.2.0|<0.2.23") else { panic!("a cargo range") };
    assert!(ranges.contains(&version("0.1.0")) && ranges.contains(&version("0.2.1")));
    assert!(!ranges.contains(&version("0.2.0")) && !ranges.contains(&version("0.2.23")));
}

#[test]
fn the_most_comparators_are_read_and_printed_back() {
    let listed = |signs: &[&str]| {
        let texts: Vec<_> = (0..COMPARATORS_MAX).map(|n| format!("{}1.0.{n}", signs[n % signs.len()])).collect();
        format!("vers:cargo/{}", texts.join("|"))
    };
    for (signs, intervals) in
        [(&[""][..], COMPARATORS_MAX), (&["!="], COMPARATORS_MAX + 1), (&[">=", "<"], COMPARATORS_MAX / 2)]
    {
        let text = listed(signs);
        let Ok(Vers::Cargo(ranges)) = Vers::parse(&text) else { panic!("a cargo range") };
        assert_eq!(ranges.intervals().len(), intervals);
        assert_eq!(Vers::of(ranges).to_string(), text);
    }
}

proptest! {
    #[test]
    fn printed_ranges_read_back(ranges in any_ranges(), v in any_version()) {
        let vers = Vers::of(ranges.clone());
        let again = Vers::parse(&vers.to_string());
        prop_assert_eq!(again.as_ref(), Ok(&vers));
        if let Ok(Vers::Cargo(read)) = again {
            prop_assert_eq!(read.contains(&v), ranges.contains(&v));
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in prop_oneof![".*", "vers:[a-z]{0,6}/[-<>=!|.0-9a*%]{0,40}"]) {
        if let Ok(vers) = Vers::parse(&text) {
            prop_assert_eq!(Vers::parse(&vers.to_string()), Ok(vers));
        }
    }
}
