use std::collections::BTreeSet;

use super::*;
use crate::name::Name;
use crate::want::Want;

#[test]
fn wants_appear_with_the_first_who_has_them_and_vanish_with_the_last() {
    let mut table = Subscriptions::counting();
    let changes = |table: &mut Subscriptions| -> Vec<String> {
        let shown = |(want, is_wanted): (Want, bool)| format!("{want:?} {is_wanted}");
        table.take_want_changes().into_iter().map(shown).collect()
    };
    table.subscribe(ANN, full(&version_info("ID=X")));
    table.subscribe(BOB, full(&version_info("ID=X")));
    table.subscribe(BOB, full(&version_info("Product=P")));
    assert_eq!(changes(&mut table), ["Product(\"P\") true", "Id(\"X\") true"]);
    table.end_all(ANN);
    table.subscribe(ANN, full(&version_info("Source=S")));
    table.end_all(ANN);
    assert_eq!(changes(&mut table), [""; 0], "one still wants it; what came and went is not named");
    table.replace(BOB, vec![full(&version_info("ID=X")), full(&version_info("Company=C"))]);
    assert_eq!(changes(&mut table), ["Product(\"P\") false", "Company(\"C\") true"]);
    let mut plain = Subscriptions::default();
    plain.subscribe(ANN, full(&version_info("ID=X")));
    assert_eq!((plain.wants().count(), changes(&mut plain).len()), (0, 0));
}

#[test]
fn each_client_counts_once_for_each_version_that_it_has() {
    let serde = |spelled: &str, version: &str| version_info(&format!("{spelled}, Version={version}"));
    let table = table(&[
        (ANN, asset("app", "1.0.0", vec![component("serde", "1.0.0"), component("serde", "2.0.0")])),
        (ANN, asset("other", "1.0.0", vec![component("serde", "1.0.0")])),
        (BOB, serde("File=pkg:cargo/serde", "1.0.0")),
        (BOB, serde("File=Serde, Package=cargo", "")),
        (BOB, serde("File=serde, Package=npm", "3.0.0")),
        (BOB, serde("File=pkg:cargo/serde?vcs_url=x", "4.0.0")),
    ]);
    let versions = |name: &str| table.versions_wanted(&Name::parse(name, Some("cargo")).unwrap());
    assert_eq!(versions("serde"), [("".into(), 1), ("1.0.0".into(), 2), ("2.0.0".into(), 1)].into());
    assert_eq!(versions("pkg:cargo/serde?vcs_url=x"), [("4.0.0".into(), 1)].into());
    assert_eq!(versions("unknown"), BTreeMap::new());
}

/// Each want with the number of subscriptions that need its content.
fn scanned_wants(table: &Subscriptions) -> BTreeMap<Want, u32> {
    let mut counts = BTreeMap::new();
    for held in table.clients().flat_map(|(_, list)| list).filter(|held| held.mode == Mode::Full) {
        Want::of_interest(&held.interest).into_iter().for_each(|want| *counts.entry(want).or_default() += 1);
    }
    counts
}

proptest! {
    #[test]
    fn wants_equal_a_scan_of_all_clients(steps in proptest::collection::vec((any_step(), any::<bool>()), 0..20)) {
        let (mut table, mut known) = (Subscriptions::counting(), BTreeSet::new());
        for (step, look) in steps {
            take(&mut table, step);
            let counted: BTreeMap<Want, u32> = table.wants().map(|(want, count)| (want.clone(), count)).collect();
            prop_assert_eq!(counted, scanned_wants(&table));
            let lists = table.clients().flat_map(|(_, list)| list).filter(|held| held.mode == Mode::Catalog).count();
            prop_assert_eq!(table.lists() as usize, lists);
            if look {
                for (want, is_wanted) in table.take_want_changes() {
                    prop_assert_eq!(is_wanted, table.is_wanted(&want));
                    let is_news = if is_wanted { known.insert(want) } else { known.remove(&want) };
                    prop_assert!(is_news);
                }
                prop_assert_eq!(&known, &table.wants().map(|(want, _)| want.clone()).collect());
            }
        }
    }
}
