use proptest::prelude::*;
use schemas::guid::ClientGuid;

use super::*;
use crate::interest::tests::any_version_info;
use crate::key::Keys;
use crate::matching::covers;
use crate::matching::tests::{quill, version_info};
use crate::record::tests::check_robust;
use crate::subscriptions::{Mode, Origin, Subscription, Subscriptions};

/// File_name and Package of components of all kinds; no two of them are the same one.
const COMPONENTS: [(&str, &str); 14] = [
    ("serde", "cargo"),
    ("pkg:cargo/tokio_util", ""),
    ("pkg:cargo/serde?repository_url=https://crates.example/index", "cargo"),
    ("pkg:cargo/serde?vcs_url=git%2Bhttps://example.org/serde", ""),
    ("@scope/name", "npm"),
    ("pkg:npm/%40scope/JSONStream", "npm"),
    ("Zope..Interface", "pypi"),
    ("openssl", "deb"),
    ("openssl", "RPM"),
    ("pkg:deb/debian/openssl?arch=source&distro=bookworm", "deb"),
    ("pkg:deb/debian/openssl?arch=amd64&distro=bookworm", "deb"),
    ("pkg:cargo/packed", "deb"),
    ("libzed.so.1", ""),
    ("pkg:cargo/%zz & <odd>", ""),
];

fn component((file_name, package): (&str, &str)) -> Want {
    Want::component(&Name::parse(file_name, Some(package)).unwrap(), Some(package), None)
}

fn of(fields: &str) -> Vec<Want> {
    Want::of_interest(&Interest::from_version_info(&version_info(fields))).into_iter().collect()
}

pub(crate) fn filters<'a>(wants: impl IntoIterator<Item = &'a Want>) -> Vec<Interest> {
    Want::version_infos(wants).iter().map(Interest::from_version_info).collect()
}

/// The wants with single versions that a client's own can be narrowed to.
fn versioned(want: Want, version: Option<&str>) -> Want {
    match want {
        Want::Component { name, package, .. } => Want::component(&name, package.as_deref(), version),
        other => other,
    }
}

pub(crate) fn any_want() -> impl Strategy<Value = Want> {
    let text = || proptest::sample::select(vec!["A", "b", "CVE-2026-1"]).prop_map(Box::<str>::from);
    let version = proptest::option::of(proptest::sample::select(vec!["1.0.0", "1.0.0+x", "2", "vers:cargo/<1.0.0"]));
    let spelled = ["a-b", "A_b", "pkg:cargo/a-b", "a.b"].into_iter().flat_map(|name| [(name, ""), (name, "cargo")]);
    let names: Vec<_> = COMPONENTS.into_iter().chain(spelled).collect();
    prop_oneof![
        8 => (proptest::sample::select(names), version).prop_map(|(named, version)| versioned(component(named), version)),
        1 => Just(Want::Everything),
        1 => text().prop_map(Want::Product),
        1 => text().prop_map(Want::Company),
        1 => text().prop_map(Want::Id),
        1 => text().prop_map(Want::Source),
        1 => (text(), text()).prop_map(|(source, id)| Want::Element { source, id }),
    ]
}

#[test]
fn components_read_back_from_their_filter() {
    let wants: Vec<Want> = COMPONENTS.into_iter().map(component).collect();
    let [filter] = &filters(&wants)[..] else { panic!("one Version_Info for all components") };
    let read = filter.nodes().filter_map(|node| Some((node.name()?.clone(), node.packaging())));
    let given = COMPONENTS.map(|(file_name, package)| Name::parse(file_name, Some(package)).unwrap());
    let packaging = wants.iter().map(Want::packaging);
    assert_eq!(read.collect::<Vec<_>>(), given.into_iter().zip(packaging).collect::<Vec<_>>());
    let keys: Keys = wants.iter().map(Want::key).collect();
    assert_eq!(filter.keys(), keys, "the holder asks for nothing itself");
}

#[test]
fn one_component_is_one_want_however_it_is_written() {
    for written in [("pkg:cargo/serde", ""), ("pkg:cargo/serde@1.0.0", "cargo"), ("serde", " Cargo ")] {
        assert_eq!(component(written), component(("serde", "cargo")), "{written:?}");
    }
    assert_ne!(component(("pkg:cargo/serde", "deb")), component(("serde", "cargo")));
    assert_ne!(component(("openssl", "deb")), component(("openssl", "")));
}

#[test]
fn interest_becomes_what_covers_it() {
    let text = |text: &str| Box::<str>::from(text);
    assert_eq!(Vec::from_iter(Want::of_interest(&Interest::everything())), [Want::Everything]);
    assert_eq!(of("Version=7"), [Want::Everything], "of whatever item");
    assert_eq!(of("Product=P, Company=C, ID=X"), [Want::Product(text("P")), Want::Company(text("C"))]);
    assert_eq!(of("Company=C"), [Want::Company(text("C"))]);
    assert_eq!(of("ID=X"), [Want::Id(text("X"))]);
    assert_eq!(of("Source=S"), [Want::Source(text("S"))]);
    assert_eq!(of("Source=S, ID=X"), [Want::Element { source: text("S"), id: text("X") }]);
    let asset = Want::of_interest(&Interest::from_version_info(&quill("1.2.8")));
    let mut expected: BTreeSet<Want> =
        [("quill-editor", "deb"), ("libzed.so.1", ""), ("tinycrc.so", ""), ("spell.dll", "")].map(component).into();
    expected.extend([Want::Product(text("Quill Editor")), Want::Company(text("Quill Software"))]);
    assert_eq!(asset, expected);
}

#[test]
fn everything_takes_the_place_of_all_others() {
    let mut both = quill("1.2.8");
    both.product_name = None;
    both.company = None;
    both.info.push(Info::default());
    assert_eq!(Vec::from_iter(Want::of_interest(&Interest::from_version_info(&both))), [Want::Everything]);
}

#[test]
fn entry_is_asked_for_as_closely_as_is_allowed() {
    let asked = |fields: &str, granularity| {
        let [one] = &Affected::of(&[version_info(fields)])[..] else { panic!("one thing") };
        Want::of_affected(one, granularity)
    };
    let (source, id) = (Box::<str>::from("S"), Box::<str>::from("X"));
    let full = "Company=C, Product=P, Package=deb, File=openssl, Version=1, Source=S, ID=X";
    assert_eq!(asked(full, Granularity::Vendor), Some(Want::Company("C".into())));
    assert_eq!(asked(full, Granularity::Product), Some(component(("openssl", "deb"))));
    assert_eq!(asked(full, Granularity::Version), asked(full, Granularity::Product));
    assert_eq!(asked(full, Granularity::Element), Some(Want::Element { source: source.clone(), id: id.clone() }));
    assert_eq!(asked("Product=P, Source=S", Granularity::Vendor), Some(Want::Product("P".into())));
    assert_eq!(asked("Product=P, Source=S", Granularity::Element), Some(Want::Product("P".into())));
    assert_eq!(asked("Source=S, ID=X", Granularity::Product), Some(Want::Source(source)));
    assert_eq!(asked("ID=X", Granularity::Vendor), Some(Want::Id(id)));
    assert_eq!(asked("Language=es", Granularity::Element), None);
}

#[test]
fn damaged_wants_are_refused_without_panic() {
    check_robust(&versioned(component(COMPONENTS[11]), Some("1.0.0")).encode(), Want::decode);
    check_robust(&Want::Element { source: "S".into(), id: "X".into() }.encode(), Want::decode);
}

proptest! {
    #[test]
    fn what_applies_to_an_interest_is_taken_by_its_wants(interest in any_version_info(), item in any_version_info()) {
        let interest = Interest::from_version_info(&interest);
        let wants = Want::of_interest(&interest);
        prop_assert_eq!(wants.contains(&Want::Everything), interest.keys().contains(&MatchKey::Everything));
        let affected = Affected::of(&[item]);
        if covers(&interest, &affected) {
            prop_assert!(filters(&wants).iter().any(|filter| covers(filter, &affected)));
        }
    }

    #[test]
    fn filters_wait_under_the_keys_of_their_wants(wants in proptest::collection::btree_set(any_want(), 0..8)) {
        let keys: Keys = filters(&wants).iter().flat_map(Interest::keys).collect();
        prop_assert_eq!(keys, wants.iter().map(Want::key).collect::<Keys>());
    }

    #[test]
    fn filters_want_themselves(want in any_want()) {
        let expected = BTreeSet::from([versioned(want.clone(), None)]);
        prop_assert_eq!(filters([&want]).iter().flat_map(Want::of_interest).collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn entry_is_taken_by_what_it_is_asked_for(
        item in any_version_info(),
        granularity in proptest::sample::select(vec![
            Granularity::Vendor, Granularity::Product, Granularity::Version, Granularity::Element,
        ]),
    ) {
        for one in Affected::of(&[item]) {
            let Some(want) = Want::of_affected(&one, granularity) else { continue };
            let is_component = matches!(want, Want::Component { .. });
            let none = !one.versions.meets(&Versions::any(), false);
            let taken = filters([&want]).iter().any(|filter| covers(filter, std::slice::from_ref(&one)));
            prop_assert_eq!(taken, !(is_component && none), "{:?}", want);
        }
    }

    // R-8.2.2-21: an End for one want cuts that component, and what cannot be told from it, out of the others.
    #[test]
    fn end_of_a_want_leaves_the_others(
        wants in proptest::collection::btree_set(any_want(), 1..8), which in any::<prop::sample::Index>(),
    ) {
        const ANN: ClientGuid = ClientGuid(1);
        let mut table = Subscriptions::default();
        for interest in filters(&wants) {
            table.subscribe(ANN, Subscription { interest, mode: Mode::Full, origin: Origin::Request, since: 0 });
        }
        let ended = which.get(&Vec::from_iter(&wants)).to_owned();
        let [end] = &filters([ended])[..] else { panic!("one want, one Version_Info") };
        prop_assert_eq!(table.end(ANN, end), table_changes(&wants, ended));
        let left: Vec<&Want> = wants.iter().filter(|want| !ended.ends(want)).collect();
        let held: BTreeSet<Interest> = table.of(ANN).iter().map(|held| held.interest.clone()).collect();
        prop_assert_eq!(held, filters(left).into_iter().collect::<BTreeSet<_>>());
    }

    #[test]
    fn want_reads_back_from_its_record(want in any_want()) {
        prop_assert_eq!(Want::decode(&want.encode()), Ok(want));
    }
}

/// All subscriptions if everything is ended, else the one that held what is ended.
fn table_changes(wants: &BTreeSet<Want>, ended: &Want) -> usize {
    if *ended == Want::Everything { filters(wants).len() } else { 1 }
}

#[test]
fn end_of_one_component_ends_no_other() {
    for ended in COMPONENTS.map(component) {
        let others = COMPONENTS.map(component);
        assert_eq!(others.iter().filter(|other| ended.ends(other)).collect::<Vec<_>>(), [&ended]);
    }
}
