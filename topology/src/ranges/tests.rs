use proptest::prelude::*;

use super::*;

pub(crate) fn version(text: &str) -> CargoVersion {
    CargoVersion::parse(text).unwrap()
}

/// Few enough versions that bounds often coincide.
pub(crate) fn any_version() -> impl Strategy<Value = CargoVersion> {
    (0u8..2, 0u8..3, prop_oneof![Just(""), Just("-0"), Just("-alpha.1"), Just("-rc.2")])
        .prop_map(|(minor, patch, pre)| version(&format!("1.{minor}.{patch}{pre}")))
}

fn any_cut() -> impl Strategy<Value = Cut> {
    prop_oneof![
        1 => Just(Cut::Start),
        4 => any_version().prop_map(Cut::before),
        4 => any_version().prop_map(Cut::after),
        1 => Just(Cut::End),
    ]
}

pub(crate) fn any_ranges() -> impl Strategy<Value = Ranges> {
    proptest::collection::vec((any_cut(), any_cut()), 0..5).prop_map(|pairs| {
        pairs.into_iter().fold(Ranges::none(), |set, (low, high)| set.union(Ranges::between(low, high)))
    })
}

proptest! {
    #[test]
    fn algebra_agrees_with_membership(a in any_ranges(), b in any_ranges(), v in any_version()) {
        let (in_a, in_b) = (a.contains(&v), b.contains(&v));
        prop_assert_eq!(a.clone().union(b.clone()).contains(&v), in_a || in_b);
        prop_assert_eq!(a.clone().intersection(b.clone()).contains(&v), in_a && in_b);
        prop_assert_eq!(a.clone().complement().contains(&v), !in_a);
        prop_assert_eq!(a.clone().complement().complement(), a.clone());
        prop_assert_eq!(a.overlaps(&b), !a.clone().intersection(b.clone()).is_empty());
        prop_assert_eq!(a.clone().union(a.clone().complement()), Ranges::all());
        prop_assert!(a.intersection(b).intervals().windows(2).all(|pair| pair[0].1 < pair[1].0));
    }

    #[test]
    fn membership_agrees_with_a_linear_scan(set in any_ranges(), v in any_version()) {
        let (before, after) = (Cut::before(v.clone()), Cut::after(v.clone()));
        let scanned = set.intervals().iter().any(|(low, high)| *low <= before && after <= *high);
        prop_assert_eq!(set.contains(&v), scanned);
    }
}

proptest! {
    // Reversed and empty pairs are nothing, and the order in which pairs stand does not count.
    #[test]
    fn merging_once_equals_joining_one_by_one(pairs in proptest::collection::vec((any_cut(), any_cut()), 0..40)) {
        let one_by_one = pairs.iter().fold(Vec::<(Cut, Cut)>::new(), |set, (low, high)| {
            if low >= high {
                return set;
            }
            let (touching, apart): (Vec<_>, Vec<_>) = set.into_iter().partition(|(from, to)| from <= high && low <= to);
            let from = touching.iter().map(|(from, _)| from).chain([low]).min().unwrap().clone();
            let to = touching.iter().map(|(_, to)| to).chain([high]).max().unwrap().clone();
            let mut set: Vec<_> = apart.into_iter().chain([(from, to)]).collect();
            set.sort();
            set
        });
        prop_assert_eq!(Ranges::from_intervals(pairs), Ranges { intervals: one_by_one });
    }
}

#[test]
fn prereleases_have_their_place() {
    let below = Ranges::between(Cut::Start, Cut::before(version("1.0.0")));
    assert!(below.contains(&version("1.0.0-alpha")));
    assert!(!below.contains(&version("1.0.0")));
    let below_lowest = Ranges::between(Cut::Start, Cut::before(version("2.0.0-0")));
    assert!(!below_lowest.contains(&version("2.0.0-alpha")));
}

#[test]
fn build_metadata_does_not_count() {
    assert_eq!(version("1.2.3+9"), version("1.2.3"));
    assert!(Ranges::one(version("1.2.3")).contains(&version("1.2.3+deb1")));
}
