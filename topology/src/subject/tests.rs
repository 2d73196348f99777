use bytestring::ByteString;
use proptest::prelude::*;

use super::*;
use crate::interest::tests::any_version_info;
use crate::matching::tests::version_info;
use crate::record::tests::check_robust;
use crate::versions::Versions;

fn advisory(fields: &str, comments: &str) -> VersionInfo {
    let mut made = version_info(fields);
    made.info[0].container.author_comments = Some(ByteString::from(comments.to_owned()));
    made
}

fn subject(fields: &str, comments: &str) -> Subject {
    Subject::from_version_infos(&[advisory(fields, comments)])
}

const FIELDS: &str = "Source=RustSec, ID=RUSTSEC-2026-0001, Package=cargo, Version=vers:cargo/<1.0.0, File=pkg:cargo/a";

#[test]
fn facts_come_from_the_comments() {
    let mut made = advisory(
        FIELDS,
        "Title of it\nMore.\nCVSS3: CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\nPatched: >=1.0.0\nKind: unsound\nRevision: 4",
    );
    made.info[0].date = Some("2026-01-02".into());
    made.info.extend(advisory(&FIELDS.replace("RUSTSEC-2026-0001", "CVE-2026-1"), "Title of it\nRevision: 4").info);
    let read = Subject::from_version_infos(&[made]);
    let identity = ItemIdentity {
        source: "RustSec".into(),
        company: String::new(),
        id: "RUSTSEC-2026-0001".into(),
        asset: "pkg:cargo/a".into(),
    };
    assert_eq!(read.identity, Some(identity));
    assert_eq!((read.revision, read.status, read.class), (4, Status::Current, Class::Critical));
    assert_eq!((read.title.as_str(), read.kind.as_deref()), ("Title of it", Some("unsound")));
    assert_eq!((read.score_tenths, read.patched.as_deref()), (Some(98), Some(">=1.0.0")));
    assert_eq!((read.date.as_deref(), read.aliases), (Some("2026-01-02"), vec!["CVE-2026-1".to_owned()]));
    assert_eq!(read.affected.len(), 1, "an alias is another name, not another thing");
    assert_eq!(read.affected[0].named.len(), 2);
}

#[test]
fn severity_is_critical_from_nine_and_never_guessed() {
    for (comments, class) in [
        ("CVSS3: CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N", Class::Critical),
        ("CVSS3: CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", Class::Normal),
        ("CVSS3: nonsense", Class::Normal),
        ("CVSS2: AV:N/AC:L/Au:N/C:C/I:C/A:C", Class::Normal),
        ("", Class::Normal),
    ] {
        assert_eq!(subject(FIELDS, comments).class, class, "{comments}");
    }
    assert_eq!(subject(FIELDS, "CVSS2: AV:N").cvss.as_deref(), Some("AV:N"));
}

#[test]
fn withdrawn_subject_applies_to_nothing_but_its_reach_remains() {
    let (current, withdrawn) = (subject(FIELDS, "Revision: 1"), subject(FIELDS, "Status: withdrawn\nRevision: 2"));
    assert_eq!(withdrawn.status, Status::Withdrawn);
    assert!(withdrawn.affected.iter().all(|one| one.versions == Versions::nothing()));
    let reach = Reach::of(&withdrawn).join(&Reach::of(&current));
    let client = crate::interest::Interest::from_version_info(&version_info("Package=cargo, File=a, Version=0.9.0"));
    assert!(crate::matching::covers(&client, reach.affected()));
    assert!(!crate::matching::covers(&client, &withdrawn.affected));
}

// The higher revision replaces; at equal ones the greater digest; a lower one never becomes current.
#[test]
fn revisions_are_ordered() {
    let (small, great) = (Digest([1; 32]), Digest([2; 32]));
    let second = subject(FIELDS, "Revision: 2");
    assert!(second.replaces(1, great, small));
    assert!(!second.replaces(3, small, great));
    assert!(second.replaces(2, small, great));
    assert!(!second.replaces(2, great, small) && !second.replaces(2, small, small));
}

// R-10.2.4-2: an ID is unique per asset and source only.
#[test]
fn c10_2_4_same_id_of_two_sources_is_two_items() {
    let of = |fields: &str| subject(fields, "").identity;
    assert_ne!(of("Source=A, ID=X, File=f"), of("Source=B, ID=X, File=f"));
    assert_ne!(of("Source=A, ID=X, File=f"), of("Source=A, ID=X, File=g"));
    assert_eq!(
        of("Source=A, ID=X, Package=cargo, File=f"),
        of("Source=A, ID=X, Package=cargo, File=pkg:cargo/f, Version=2")
    );
    assert_eq!(of("Source=A, Product=P"), None);
}

// R-10.2.4-3: any text is a date.
#[test]
fn c10_2_4_date_is_stored_as_it_stands() {
    for date in ["2026-01-14", "14 Jan"] {
        let mut made = version_info(FIELDS);
        made.info[0].date = Some(date.into());
        let read = Subject::from_version_infos(&[made]);
        assert_eq!(Subject::decode(&read.encode()).unwrap().date.as_deref(), Some(date));
    }
}

// R-7-3: version texts are stored and returned verbatim.
#[test]
fn c7_version_text_survives_the_record() {
    for text in ["v1", "1.0-beta²", "Ⅳ", "2008 R2", "007.0100"] {
        let read = Subject::decode(&subject(&format!("File=f, Version={text}"), "").encode()).unwrap();
        assert_eq!(read.affected[0].versions.as_str(), text);
    }
}

#[test]
fn unreadable_range_is_reported() {
    assert_eq!(subject(FIELDS, "").faults(), Vec::<String>::new());
    let faults = subject("Package=cargo, File=a, Version=vers:cargo/<one", "").faults();
    assert_eq!(faults, ["a: vers:cargo/<one: \"one\" is no version of this scheme"]);
}

#[test]
fn damaged_records_are_refused_without_panic() {
    let read = subject(FIELDS, "Text\nStatus: withdrawn");
    check_robust(&read.encode(), Subject::decode);
    check_robust(&Reach::of(&read).encode(), Reach::decode);
}

#[test]
fn joined_reach_is_bounded_and_keeps_its_own() {
    let reach = |names: std::ops::Range<usize>, version: &str| {
        let info = names.map(|n| crate::interest::tests::component(&format!("c{n}"), version)).collect();
        Reach::of(&Subject::from_version_infos(&[VersionInfo { info, ..VersionInfo::default() }]))
    };
    let own = reach(0..10, "1.0.0");
    assert_eq!(own.join(&reach(0..10, "2.0.0")).affected().len(), 20);
    let many = own.join(&reach(0..3000, "2.0.0")).join(&reach(0..3000, "3.0.0"));
    assert_eq!(many.affected().len(), 3000, "widened to any version");
    let most = own.join(&reach(0..REACH_MAX + 100, "2.0.0"));
    assert_eq!(most.affected().len(), REACH_MAX);
    assert!(own.keys().is_subset(&most.keys()));
}

// Whatever it is made of, and its own names no longer than those of one document.
#[test]
fn no_reach_is_longer_than_its_bound() {
    let subject = |names: std::ops::Range<usize>, version: &dyn Fn(usize) -> String| {
        let info = names.map(|n| crate::interest::tests::component(&format!("c{n}"), &version(n))).collect();
        Subject::from_version_infos(&[VersionInfo { info, ..VersionInfo::default() }])
    };
    let too_wide = subject(0..REACH_MAX + 7, &|_| "1.0.0".to_owned());
    let reach = Reach::of(&too_wide);
    assert_eq!(reach.affected().len(), REACH_MAX);
    assert_eq!(Reach::decode(&reach.encode()), Ok(reach.clone()));
    assert!(too_wide.faults()[0].starts_with("7 things"), "{:?}", too_wide.faults());
    let just = Reach::of(&subject(0..REACH_MAX, &|n| format!("{n}.0.0")));
    for (own, older) in [(&reach, &just), (&just, &reach)] {
        let joined = own.join(older);
        assert_eq!(joined.affected().len(), REACH_MAX);
        assert!(own.keys().is_subset(&joined.keys()));
    }
    let info = crate::interest::tests::component("one", "1.0.0");
    let many = Subject::from_version_infos(&[VersionInfo {
        info: (0..REACH_MAX + 7)
            .map(|n| {
                let mut info = info.clone();
                info.container.version = format!("{n}.0.0").into();
                info
            })
            .collect(),
        ..VersionInfo::default()
    }]);
    assert_eq!(Reach::of(&many).affected().len(), 1, "widened to any version, nothing is dropped");
    assert_eq!(many.faults(), Vec::<String>::new());
}

#[test]
fn widened_reach_is_that_of_every_version() {
    let second = Reach::of(&subject("Package=cargo, File=a, Product=P, ProductVersion=1, Version=2.0.0", ""));
    let client = |fields: &str| crate::interest::Interest::from_version_info(&version_info(fields));
    let first = client("Package=cargo, File=a, Version=1.0.0, Product=P, ProductVersion=7");
    assert!(!crate::matching::covers(&first, second.affected()));
    assert!(crate::matching::covers(&first, second.widened().affected()));
    assert!(!crate::matching::covers(&client("Package=cargo, File=b"), second.widened().affected()));
    let withdrawn = Reach::of(&subject(FIELDS, "Status: withdrawn"));
    assert!(crate::matching::covers(&client("File=pkg:cargo/a, Version=0.9.0"), withdrawn.widened().affected()));
    assert_eq!(second.widened().keys(), second.keys());
}

#[test]
fn names_of_predecessors_do_not_pile_up() {
    let named = |n: usize| Reach::of(&subject(&format!("Source=S, ID=X{n:04}, File=f, Version=1.0.0"), ""));
    let joined = (0..100).map(named).reduce(|older, own| own.join(&older)).unwrap();
    assert_eq!(joined.affected().len(), 1);
    let ids: Vec<_> = joined.affected()[0].named.iter().filter_map(|named| named.id.as_deref()).collect();
    assert!(ids.contains(&"X0099") && ids.len() < 20, "{ids:?}");
}

proptest! {
    #[test]
    fn subject_reads_back_from_its_record(items in proptest::collection::vec(any_version_info(), 0..3)) {
        let read = Subject::from_version_infos(&items);
        prop_assert_eq!(Subject::decode(&read.encode()), Ok(read.clone()));
        let reach = Reach::of(&read);
        prop_assert_eq!(Reach::decode(&reach.encode()), Ok(reach.clone()));
        prop_assert_eq!(reach.join(&reach), reach.clone());
        prop_assert_eq!(reach.keys(), read.keys());
    }
}
