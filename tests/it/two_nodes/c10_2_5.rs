//! Clauses 10.2.3 to 10.2.5: what the fields of Version_Info, Info and Container do on their way from a provider to a
//! client.

use schemas::version::{Info, VersionInfo};
use tests::harness::draft::{self, component, component_item, said};

use super::{Pair, SIBLING, ids, listener, pushed_to};

/// The same with a change to each Container.
fn packed(mut info: VersionInfo, change: impl Fn(&mut schemas::version::Container)) -> VersionInfo {
    info.info.iter_mut().for_each(|info| change(&mut info.container));
    info
}

/// Two clients that differ by one field, and an item for each.
async fn check_each_gets_its_own(change: impl Fn(&mut schemas::version::Container, &str), values: [&str; 2]) {
    let pair = Pair::start().await;
    let other = listener(&pair.server, SIBLING).await;
    let installed = || VersionInfo { info: vec![component("app", "1")], ..VersionInfo::default() };
    for (client, value) in [(&pair.client, values[0]), (&other, values[1])] {
        let asset = packed(installed(), |container| change(container, value));
        client.ask(draft::register(&[asset])).await.succeeded();
    }
    for value in values {
        pair.publish(&[packed(component_item(value, "app", "1"), |container| change(container, value))]).await;
    }
    pair.publish(&[component_item("both", "app", "1")]).await;
    assert_eq!(pair.pushed_ids().await, [values[0], "both"]);
    assert_eq!(ids(&pushed_to(&other, &pair.provider).await), [values[1], "both"]);
}

// R-10.2.5-1: packaging narrows where both sides give it.
#[tokio::test]
async fn c10_2_5_each_packaging_gets_its_own_items() {
    Box::pin(check_each_gets_its_own(|container, value| container.package = Some(value.into()), ["deb", "rpm"])).await;
}

// R-10.2.5-6: so does the language.
#[tokio::test]
async fn c10_2_5_each_language_gets_its_own_items() {
    Box::pin(check_each_gets_its_own(|container, value| container.language = Some(value.into()), ["es", "de"])).await;
}

// R-10.2.5-5: a file name is data, whatever it looks like.
#[tokio::test]
async fn c10_2_5_a_file_name_that_climbs_is_stored_harmlessly() {
    let pair = Pair::start().await;
    let name = "../../climbed";
    let installed = VersionInfo { info: vec![component(name, "1")], ..VersionInfo::default() };
    pair.ask(draft::register(&[installed])).await;
    pair.publish(&[component_item("item", name, "1")]).await;
    let pushed = pair.pushed().await;
    assert_eq!(ids(&pushed), ["item"]);
    assert!(String::from_utf8_lossy(&pushed[0].bytes).contains(&format!("<v:File_name>{name}</v:File_name>")));
    let beside: Vec<_> =
        std::fs::read_dir(pair.server.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["store"]);
    assert!(!pair.server.folder().join("../climbed").exists());
}

// R-10.2.4-2: an ID is a speaker's own.
#[tokio::test]
async fn c10_2_4_the_same_id_of_two_sources_is_two_items() {
    let pair = Pair::start().await;
    let by = |source: &str| {
        let mut item = component_item("CVE-2026-1", "app", "1");
        item.info[0].source = Some(source.into());
        item
    };
    pair.publish(&[by("Source A"), by("Source B")]).await;
    let filter = VersionInfo { info: vec![component("app", "1")], ..VersionInfo::default() };
    assert_eq!(pair.ask(draft::request(&[filter])).await.ids(), ["CVE-2026-1", "CVE-2026-1"]);
}

// R-10.2.4-3: any text is a date, and is kept.
#[tokio::test]
async fn c10_2_4_dates_are_kept_as_they_are_written() {
    let pair = Pair::start().await;
    let dates = ["2026-01-14", "14 Jan"];
    for date in dates {
        let info = said(date, Info { date: Some(date.into()), ..component("app", "1") });
        pair.publish(&[VersionInfo { info: vec![info], ..VersionInfo::default() }]).await;
    }
    let filter = VersionInfo { info: vec![component("app", "1")], ..VersionInfo::default() };
    let found = pair.ask(draft::request(&[filter])).await.items();
    let kept: Vec<_> = found.iter().map(|item| item.subject.date.as_deref().unwrap()).collect();
    assert_eq!(kept, dates);
}

// R-10.2.3-4: none, one or five Infos.
#[tokio::test]
async fn c10_2_3_any_number_of_infos_is_delivered() {
    let pair = Pair::start().await;
    let with = |count: usize| VersionInfo {
        info: (0..count).map(|number| said(&format!("{count}-{number}"), component("app", "1"))).collect(),
        ..draft::product("P")
    };
    pair.ask(draft::register(&[draft::product("P")])).await;
    for count in [0, 1, 5] {
        pair.publish(&[with(count)]).await;
    }
    let pushed = pair.pushed().await;
    assert_eq!(ids(&pushed), ["", "1-0", "5-0"]);
    let infos = |text: &[u8]| String::from_utf8_lossy(text).matches("<v:Info>").count();
    assert_eq!(pushed.iter().map(|item| infos(&item.bytes)).collect::<Vec<_>>(), [0, 1, 5]);
}

// R-10.2.3-5: the Info identifies; a product's name narrows only if the item gives one.
#[tokio::test]
async fn c10_2_3_the_product_name_is_no_key_of_an_item_without_product() {
    let pair = Pair::start().await;
    let other = listener(&pair.server, SIBLING).await;
    for (client, name) in [(&pair.client, "One Name"), (&other, "Another Name")] {
        let asset = VersionInfo { info: vec![component("app", "1")], ..draft::product(name) };
        client.ask(draft::register(&[asset])).await.succeeded();
    }
    let narrowed = VersionInfo { product_name: Some("One Name".into()), ..component_item("narrowed", "app", "1") };
    pair.publish(&[component_item("item", "app", "1"), narrowed]).await;
    assert_eq!(pair.pushed_ids().await, ["item", "narrowed"]);
    assert_eq!(ids(&pushed_to(&other, &pair.provider).await), ["item"]);
}

// R-10.2.5-3: an empty Version asks for all.
#[tokio::test]
async fn c10_2_5_an_empty_version_matches_all() {
    let pair = Pair::start().await;
    pair.publish(&[component_item("one", "app", "1"), component_item("two", "app", "2 beta")]).await;
    let filter = |version| VersionInfo { info: vec![component("app", version)], ..VersionInfo::default() };
    assert_eq!(pair.ask(draft::request(&[filter("")])).await.ids(), ["one", "two"]);
    assert_eq!(pair.ask(draft::request(&[filter("1")])).await.ids(), ["one"]);
}
