use std::collections::BTreeSet;

use super::*;
use crate::name::Name;
use crate::want::Want;
use crate::want::tests::{any_want, filters};

fn named(names: impl IntoIterator<Item = usize>) -> Interest {
    let want = |n| Want::component(&Name::parse(&format!("c{n}"), Some("cargo")).unwrap(), None, None);
    let wants: Vec<Want> = names.into_iter().map(want).collect();
    Interest::from_version_info(&Want::version_infos(&wants)[0])
}

fn requested(interest: Interest) -> Subscription {
    Subscription { interest, mode: Mode::Full, origin: Origin::Request, since: 5 }
}

fn sizes(table: &Subscriptions) -> Vec<usize> {
    table.of(ANN).iter().map(|held| held.interest.nodes().count() - 1).collect()
}

#[test]
fn components_are_joined_each_once() {
    let mut table = Subscriptions::default();
    assert!(table.subscribe_joined(ANN, [requested(named([1, 2]))]));
    assert!(table.subscribe_joined(ANN, [requested(named([3])), requested(named([0, 2]))]));
    assert_eq!(table.of(ANN), [requested(named(0..4))]);
    assert!(!table.subscribe_joined(ANN, [requested(named([3, 1]))]));
    assert!(table.subscribe_joined(ANN, [Subscription { since: 2, ..requested(named([1])) }]));
    assert_eq!(table.of(ANN), [Subscription { since: 2, ..requested(named(0..4)) }]);
    assert!(table.subscribe_joined(BOB, [requested(named([1]))]));
    assert_eq!(served(&table, "File=pkg:cargo/c3"), []);
    assert_eq!(table.clients_for(&reach("File=pkg:cargo/c3"), 9), [(ANN, Mode::Full)]);
}

#[test]
fn what_is_no_bare_holder_or_of_another_kind_stays_apart() {
    let mut table = Subscriptions::default();
    let mut asset = full(&quill("1.2.8"));
    asset.origin = Origin::Request;
    let kinds = [
        requested(named([1])),
        Subscription { mode: Mode::Catalog, ..requested(named([2])) },
        Subscription { origin: Origin::Register, ..requested(named([3])) },
        requested(Interest::from_version_info(&version_info("ID=X"))),
        requested(Interest::everything()),
        asset,
    ];
    for _ in 0..2 {
        for kind in &kinds {
            table.subscribe_joined(ANN, [kind.clone()]);
        }
    }
    assert_eq!(table.of(ANN), kinds);
}

// P-6: a holder is bounded, and what an End took out of one is room for others.
#[test]
fn p_6_no_joined_interest_is_longer_than_its_bound() {
    let most = NODES_MAX - 1;
    let mut table = Subscriptions::counting();
    table.subscribe_joined(ANN, [requested(named(0..most - 1))]);
    table.subscribe_joined(ANN, [requested(named(10..most + 10))]);
    assert_eq!(sizes(&table), [most, 10]);
    assert!(!table.subscribe_joined(ANN, [requested(named(0..most + 10))]));
    assert_eq!(table.end(ANN, &named(0..100)), 1);
    assert_eq!(sizes(&table), [10, most - 100]);
    table.subscribe_joined(ANN, [requested(named(0..2 * most + 50))]);
    assert_eq!(sizes(&table), [most, most, 50]);
    assert!(table.wants().map(|(_, count)| count).eq(std::iter::repeat_n(1, 2 * most + 50)));
}

#[derive(Clone, Debug)]
enum Joining {
    Ask(BTreeSet<Want>, bool),
    End(BTreeSet<Want>),
    Reload,
}

fn any_joining() -> impl Strategy<Value = Joining> {
    let wants = || proptest::collection::btree_set(any_want(), 1..4);
    prop_oneof![
        4 => (wants(), any::<bool>()).prop_map(|(wants, is_full)| Joining::Ask(wants, is_full)),
        2 => wants().prop_map(Joining::End),
        1 => Just(Joining::Reload),
    ]
}

/// An item that names what is wanted.
fn about(want: &Want) -> VersionInfo {
    let filter = Want::version_infos([want]).remove(0);
    let contained = filter.info.first().and_then(|holder| holder.container.contained_versions.first());
    contained.cloned().unwrap_or(filter)
}

/// The same done to one table with joining and to one with each want by itself.
fn take_both(joined: &mut Subscriptions, apart: &mut Subscriptions, step: Joining) {
    match step {
        Joining::Ask(wants, is_full) => {
            let mode = if is_full { Mode::Full } else { Mode::Catalog };
            let of = |interest| Subscription { mode, since: 0, ..requested(interest) };
            for interest in wants.iter().flat_map(|want| filters([want])) {
                apart.subscribe(ANN, of(interest));
            }
            joined.subscribe_joined(ANN, filters(&wants).into_iter().map(of));
        }
        Joining::End(wants) => {
            let ends = filters(&wants);
            assert_eq!(joined.end_many(ANN, &ends) > 0, apart.end_many(ANN, &ends) > 0);
        }
        Joining::Reload => joined.replace(ANN, decode(&encode(joined.of(ANN))).unwrap()),
    }
}

proptest! {
    #[test]
    fn joined_subscriptions_are_those_that_they_were_made_of(
        steps in proptest::collection::vec(any_joining(), 1..12),
        items in proptest::collection::vec(any_want(), 1..12),
    ) {
        let (mut joined, mut apart) = (Subscriptions::counting(), Subscriptions::counting());
        for step in steps {
            take_both(&mut joined, &mut apart, step);
            for item in &items {
                let reach = Reach::of(&Subject::from_version_infos(&[about(item)]));
                prop_assert_eq!(joined.clients_for(&reach, 1), apart.clients_for(&reach, 1), "{:?}", item);
            }
            prop_assert!(joined.wants().map(|(want, _)| want).eq(apart.wants().map(|(want, _)| want)));
            let held = |table: &Subscriptions| table.clients().flat_map(|(_, list)| list).count();
            prop_assert!(held(&joined) <= held(&apart));
        }
        joined.end_all(ANN);
        prop_assert_eq!((joined.index.len(), joined.wants().count()), (0, 0));
    }
}
