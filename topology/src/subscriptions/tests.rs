use std::collections::BTreeSet;

use proptest::prelude::*;
use schemas::version::VersionInfo;

use super::*;
use crate::affected::Affected;
use crate::interest::tests::{any_version_info, asset, component};
use crate::matching::tests::{quill, version_info};
use crate::record::tests::check_robust;
use crate::subject::Subject;

mod joining;
mod wanted;

const ANN: ClientGuid = ClientGuid(1);
const BOB: ClientGuid = ClientGuid(2);

fn full(version_info: &VersionInfo) -> Subscription {
    Subscription {
        interest: Interest::from_version_info(version_info),
        mode: Mode::Full,
        origin: Origin::Register,
        since: 0,
    }
}

fn reach(item: &str) -> Reach {
    Reach::of(&Subject::from_version_infos(&[version_info(item)]))
}

fn table(entries: &[(ClientGuid, VersionInfo)]) -> Subscriptions {
    let mut table = Subscriptions::default();
    for (client, version_info) in entries {
        assert!(table.subscribe(*client, full(version_info)));
    }
    table
}

fn end(table: &mut Subscriptions, version_info: &VersionInfo) -> usize {
    table.end(ANN, &Interest::from_version_info(version_info))
}

fn served(table: &Subscriptions, item: &str) -> Vec<ClientGuid> {
    table.clients_for(&reach(item), 1).into_iter().map(|(client, _)| client).collect()
}

// R-7-5: the same product version, another component version.
#[test]
fn c7_only_the_client_with_the_affected_component_is_served() {
    let table = table(&[(ANN, quill("1.2.8")), (BOB, quill("1.2.13"))]);
    assert_eq!(served(&table, "File=libzed.so.1, Version=1.2.8"), [ANN]);
    assert_eq!(served(&table, "Product=Quill Editor, Version=4.1.0"), [ANN, BOB]);
}

#[test]
fn subscription_begins_after_its_acceptance_and_the_earlier_one_is_kept() {
    let mut table = Subscriptions::default();
    let at = |since| Subscription { since, ..full(&version_info("File=f")) };
    assert!(table.subscribe(ANN, at(7)));
    assert!(!table.subscribe(ANN, at(9)));
    assert_eq!(table.clients_for(&reach("File=f"), 7), []);
    assert_eq!(table.clients_for(&reach("File=f"), 8), [(ANN, Mode::Full)]);
    assert!(table.subscribe(ANN, at(3)));
    assert_eq!((table.of(ANN).len(), table.of(ANN)[0].since), (1, 3));
}

#[test]
fn who_waits_in_both_modes_is_named_twice() {
    let mut table = Subscriptions::default();
    table.subscribe(ANN, Subscription { mode: Mode::Catalog, ..full(&VersionInfo::default()) });
    assert_eq!(table.clients_for(&reach("File=f"), 1), [(ANN, Mode::Catalog)]);
    table.subscribe(ANN, full(&version_info("File=f")));
    assert_eq!(table.clients_for(&reach("File=f"), 1), [(ANN, Mode::Full), (ANN, Mode::Catalog)]);
    assert_eq!(table.clients_for(&reach("File=g"), 1), [(ANN, Mode::Catalog)]);
}

// R-8.2.2-20: End also ends what a Request began.
#[test]
fn c8_2_2_end_ends_a_subscription_of_either_origin() {
    for (origin, mode) in
        [(Origin::Register, Mode::Full), (Origin::Request, Mode::Full), (Origin::Request, Mode::Catalog)]
    {
        let mut table = Subscriptions::default();
        table.subscribe(ANN, Subscription { origin, mode, ..full(&quill("1.2.8")) });
        assert_eq!(served(&table, "File=spell.dll"), [ANN]);
        assert_eq!(end(&mut table, &quill("1.2.8")), 1);
        assert_eq!(served(&table, "File=spell.dll"), []);
        assert!(table.is_empty() && table.index.len() == 0);
    }
}

// R-8.2.2-23: an End for what was never registered changes nothing.
#[test]
fn c8_2_2_end_of_the_unknown_is_harmless() {
    let mut table = table(&[(ANN, quill("1.2.8")), (BOB, quill("1.2.8"))]);
    for unknown in
        ["File=other", "Product=Other", "Product=Quill Editor, Version=9", "File=libzed.so.1, Version=9", "ID=X"]
    {
        assert_eq!(end(&mut table, &version_info(unknown)), 0, "{unknown}");
    }
    assert_eq!(end(&mut table, &quill("1.2.8")), 1);
    assert_eq!(end(&mut table, &quill("1.2.8")), 0);
    assert_eq!(served(&table, "File=tinycrc.so"), [BOB]);
}

// R-8.2.2-21: an End that names one component leaves the others.
#[test]
fn c8_2_2_end_of_a_component_leaves_the_others() {
    let mut wrapped = version_info("Product=Quill Editor, ProductVersion=4.1.0");
    wrapped.info[0].container.contained_versions = vec![version_info("Version=1.2.8, File=libzed.so.1")];
    let named = [
        version_info("File=libzed.so.1, Version=1.2.8"),
        version_info("Product=Quill Editor, ProductVersion=4.1.0, File=libzed.so.1"),
        wrapped,
    ];
    for component in named {
        let mut table = table(&[(ANN, quill("1.2.8"))]);
        assert_eq!(end(&mut table, &component), 1);
        assert_eq!(served(&table, "File=libzed.so.1"), []);
        assert_eq!(served(&table, "File=tinycrc.so"), [], "it lay in libzed");
        assert_eq!(served(&table, "File=spell.dll"), [ANN]);
        assert_eq!(served(&table, "Product=Quill Editor"), [ANN]);
        assert_eq!(end(&mut table, &component), 0);
    }
}

#[test]
fn end_of_an_asset_may_name_it_by_product_or_file() {
    for (named, ended) in [
        ("Product=Quill Editor", 1),
        ("Product=Quill Editor, ProductVersion=4.1.0", 1),
        ("Product=Quill Editor, Version=4.1.0, Company=Quill Software", 1),
        ("Product=Quill Editor, Company=Other", 0),
        ("Product=Quill Editor, ProductVersion=4.0.2", 0),
        ("Package=deb, File=quill-editor, Version=4.1.0", 1),
        ("Package=rpm, File=quill-editor", 0),
        ("Company=Quill Software", 0),
        ("", 1),
    ] {
        let mut table = table(&[(ANN, quill("1.2.8"))]);
        assert_eq!(end(&mut table, &version_info(named)), ended, "{named}");
        assert_eq!(table.is_empty(), ended == 1, "{named}");
    }
}

#[test]
fn end_without_data_ends_everything_of_its_sender_only() {
    let mut table = table(&[(ANN, quill("1.2.8")), (ANN, version_info("ID=X")), (BOB, version_info("ID=X"))]);
    assert_eq!(table.end(ANN, &Interest::everything()), 2);
    assert_eq!(served(&table, "ID=X"), [BOB]);
    assert_eq!(table.end_all(ANN), 0);
}

#[test]
fn what_two_ends_leave_equal_is_one_subscription() {
    let mut table = table(&[
        (ANN, asset("app", "1.0.0", vec![component("a", "1.0.0"), component("b", "1.0.0")])),
        (ANN, asset("app", "1.0.0", vec![component("a", "1.0.0")])),
    ]);
    assert_eq!(end(&mut table, &version_info("Package=cargo, File=b")), 1);
    assert_eq!(table.len(), 1);
}

// R-8.2.2-21: what held nothing but the ended component is not left as a wish for everything.
#[test]
fn c8_2_2_end_never_widens_a_subscription() {
    let mut holder = version_info("");
    holder.info = vec![component("", "")];
    holder.info[0].container.package = None;
    holder.info[0].container.contained_versions = vec![version_info("Version=1.0.0, File=a, Package=cargo")];
    let mut table = table(&[(ANN, holder)]);
    assert_eq!(end(&mut table, &version_info("Package=cargo, File=a")), 1);
    assert!(table.is_empty(), "{:?}", table.of(ANN));
}

#[test]
fn ends_of_one_message_are_applied_together() {
    let parts = |names: &[&str]| asset("app", "1.0.0", names.iter().map(|name| component(name, "1.0.0")).collect());
    let mut table = table(&[(ANN, parts(&["a", "b", "c"])), (ANN, parts(&["c"])), (ANN, version_info("ID=X"))]);
    let read = |fields: &str| Interest::from_version_info(&version_info(fields));
    assert_eq!(table.end_many(ANN, &[]), 0);
    let ends = [read("Package=cargo, File=a"), read("ID=X"), read("Package=cargo, File=b"), read("File=unknown")];
    assert_eq!(table.end_many(ANN, &ends), 2, "each subscription is counted once");
    assert_eq!(table.of(ANN), [full(&parts(&["c"]))]);
    assert_eq!(table.end_many(ANN, &[read("Package=cargo, File=c"), read("Product=app")]), 1);
    assert!(table.is_empty() && table.index.len() == 0);
}

// P-6: Ends are compared with the nodes of their own name alone, and what is compared can be asked before.
#[test]
fn p_6_ends_of_other_names_cost_no_comparison() {
    const COUNT: usize = 1_000;
    let named = |name: &dyn Fn(usize) -> String| -> Vec<VersionInfo> {
        (0..COUNT).map(|n| version_info(&format!("File={}, Version={n}.0.0", name(n)))).collect()
    };
    let (distinct, alike) = (named(&|n| format!("f{n}")), named(&|_| "f".to_owned()));
    for (infos, expected) in [(distinct, COUNT), (alike, COUNT * COUNT)] {
        let mut table = Subscriptions::default();
        infos.iter().for_each(|info| assert!(table.subscribe(ANN, full(info))));
        infos.iter().for_each(|info| assert!(!table.subscribe(ANN, full(info))));
        let ends: Vec<_> = infos.iter().map(Interest::from_version_info).collect();
        assert_eq!(table.comparisons(ANN, &ends), expected);
        assert_eq!(table.comparisons(BOB, &ends), 0);
        assert_eq!(table.end_many(ANN, &ends), COUNT);
        assert!(table.is_empty());
    }
}

#[test]
fn damaged_list_is_refused_without_panic() {
    let list = [full(&quill("1.2.8")), full(&version_info("ID=X"))];
    assert_eq!(decode(&encode(&list)).as_deref(), Ok(&list[..]));
    check_robust(&encode(&list[1..]), decode);
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe(u8, VersionInfo, bool, u64),
    End(u8, Vec<VersionInfo>),
    EndOne(u8, usize),
    Reload(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0u8..4, any_version_info(), any::<bool>(), 0u64..4)
            .prop_map(|(client, interest, full, since)| Step::Subscribe(client, interest, full, since)),
        2 => (0u8..4, proptest::collection::vec(any_version_info(), 0..3)).prop_map(|(client, ends)| Step::End(client, ends)),
        1 => (0u8..4, 0usize..4).prop_map(|(client, which)| Step::EndOne(client, which)),
        1 => (0u8..4).prop_map(Step::Reload),
    ]
}

fn take(table: &mut Subscriptions, step: Step) {
    match step {
        Step::Subscribe(client, interest, is_full, since) => {
            let mode = if is_full { Mode::Full } else { Mode::Catalog };
            table.subscribe(ClientGuid(client.into()), Subscription { mode, since, ..full(&interest) });
        }
        Step::End(client, ends) => {
            let ends: Vec<_> = ends.iter().map(Interest::from_version_info).collect();
            table.end_many(ClientGuid(client.into()), &ends);
        }
        Step::EndOne(client, which) => {
            let client = ClientGuid(client.into());
            if let Some(held) = table.of(client).get(which).map(|held| held.interest.clone()) {
                assert!(table.end(client, &held) > 0);
            }
        }
        Step::Reload(client) => {
            let client = ClientGuid(client.into());
            let list = decode(&encode(table.of(client))).unwrap();
            table.replace(client, list);
        }
    }
}

/// The list as it is without any look-up: each compared with all.
fn naive_subscribe(list: &mut Vec<Subscription>, subscription: Subscription) -> bool {
    let same = |held: &&mut Subscription| held.interest == subscription.interest && held.mode == subscription.mode;
    let Some(held) = list.iter_mut().find(same) else {
        list.push(subscription);
        return true;
    };
    let earlier = subscription.since < held.since;
    held.since = held.since.min(subscription.since);
    earlier
}

proptest! {
    #[test]
    fn subscribing_equals_comparing_with_all(
        made in proptest::collection::vec((any_version_info(), any::<bool>(), 0u64..4), 0..20),
        again in proptest::collection::vec((any::<prop::sample::Index>(), 0u64..4), 0..20),
        end in any_version_info(),
    ) {
        let (mut table, mut list) = (Subscriptions::default(), Vec::new());
        let mut all: Vec<_> = made.iter().map(|(interest, is_full, since)| {
            let mode = if *is_full { Mode::Full } else { Mode::Catalog };
            Subscription { mode, since: *since, ..full(interest) }
        }).collect();
        if !all.is_empty() {
            all.extend(again.iter().map(|(at, since)| Subscription { since: *since, ..at.get(&all).clone() }).collect::<Vec<_>>());
        }
        for (at, subscription) in all.into_iter().enumerate() {
            if at == made.len() {
                // What is looked up stays right when the list is cut.
                table.end(ANN, &Interest::from_version_info(&end));
                list = table.of(ANN).to_vec();
            }
            prop_assert_eq!(table.subscribe(ANN, subscription.clone()), naive_subscribe(&mut list, subscription));
            prop_assert_eq!(table.of(ANN), list.as_slice());
        }
    }

    #[test]
    fn index_equals_a_linear_scan(
        steps in proptest::collection::vec(any_step(), 0..20), items in proptest::collection::vec(any_version_info(), 1..4),
    ) {
        let mut table = Subscriptions::default();
        steps.into_iter().for_each(|step| take(&mut table, step));
        for item in &items {
            let affected = Affected::of(std::slice::from_ref(item));
            let reach = Reach::of(&Subject::from_version_infos(std::slice::from_ref(item)));
            let scanned: Vec<_> = table.clients().flat_map(|(client, list)| {
                let fits = |held: &&Subscription| held.since < 2 && covers(&held.interest, &affected);
                let modes: BTreeSet<Mode> = list.iter().filter(fits).map(|held| held.mode).collect();
                modes.into_iter().map(move |mode| (client, mode))
            }).collect();
            prop_assert_eq!(table.clients_for(&reach, 2), scanned);
        }
        for client in 0..4 {
            table.end_all(ClientGuid(client));
        }
        prop_assert_eq!(table.index.len(), 0);
    }
}
