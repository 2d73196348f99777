//! Clause 7: what applies to whom.

use schemas::version::{Container, Info, VersionInfo};
use tests::harness::draft::{self, component_item, said};
use tests::harness::items;

use super::{Pair, SIBLING, example, ids, listener, pushed_to};

fn with_company(company: &str, item: VersionInfo) -> VersionInfo {
    VersionInfo { company: Some(company.into()), ..item }
}

// R-7-3: a version is text, and comes back as it was written.
#[tokio::test]
async fn c7_a_version_is_carried_verbatim() {
    let pair = Pair::start().await;
    let versions = ["v1", "1.0-beta²", "Ⅳ", "2008 R2", "007.010", " 1.0 "];
    for (number, version) in versions.iter().enumerate() {
        pair.publish(&[component_item(&format!("item-{number}"), "any.so", version)]).await;
    }
    let filter = VersionInfo { info: vec![draft::component("any.so", "")], ..VersionInfo::default() };
    let answered = pair.ask(draft::request(&[filter])).await;
    let held: Vec<String> =
        answered.items().iter().map(|item| String::from_utf8(item.bytes.to_vec()).unwrap()).collect();
    assert_eq!(held.len(), versions.len());
    for (document, version) in held.iter().zip(versions) {
        assert!(document.contains(&format!("<v:Version>{version}</v:Version>")), "{document}");
    }
}

// R-7-5: two devices with the same product version and different components.
#[tokio::test]
async fn c7_only_the_one_with_the_affected_component_is_served() {
    let pair = Pair::start().await;
    let other = listener(&pair.server, SIBLING).await;
    let device =
        |version| draft::register(&[draft::asset("Editor", "4.1.0", vec![draft::component("lib.so", version)])]);
    pair.ask(device("1.2.8")).await;
    other.ask(device("1.2.13")).await.succeeded();
    pair.publish(&[component_item("item", "lib.so", "1.2.8")]).await;
    assert_eq!(pair.pushed_ids().await, ["item"]);
    assert!(pushed_to(&other, &pair.provider).await.is_empty());
}

// R-7-6: every level of figure 1, alone and combined, is a filter.
#[tokio::test]
async fn c7_every_level_of_the_figure_is_a_filter() {
    let pair = Pair::start().await;
    let about = |id: &str, company: &str, product: &str, version: &str, file: &str, file_version: &str| VersionInfo {
        product_name: Some(product.into()),
        product_version: Some(version.into()),
        company: Some(company.into()),
        info: vec![Info {
            source: Some(format!("{company} itself").into()),
            ..said(id, draft::component(file, file_version))
        }],
        ..VersionInfo::default()
    };
    pair.publish(&[
        about("1", "X", "P", "1", "app", "1"),
        about("2", "X", "P", "2", "app", "2"),
        about("3", "X", "Q", "1", "lib.so", "1"),
        about("4", "Y", "P", "1", "lib.so", "2"),
    ])
    .await;
    let product = |name: &str| draft::product(name);
    let of_version = |version: &str, filter| VersionInfo { product_version: Some(version.into()), ..filter };
    let file =
        |name: &str, version: &str, filter| VersionInfo { info: vec![draft::component(name, version)], ..filter };
    let any = VersionInfo::default;
    let of_source = Info { source: Some("X itself".into()), ..Info::default() };
    let container = Container { version: "2".into(), ..Container::default() };
    let of_any_version = Info { container, ..Info::default() };
    for (filter, expected) in [
        (draft::company("X"), &["1", "2", "3"][..]),
        (product("P"), &["1", "2", "4"]),
        (of_version("1", product("P")), &["1", "4"]),
        (with_company("X", product("P")), &["1", "2"]),
        (with_company("X", of_version("2", product("P"))), &["2"]),
        (file("app", "", any()), &["1", "2"]),
        (file("lib.so", "", any()), &["3", "4"]),
        (file("lib.so", "2", any()), &["4"]),
        (file("lib.so", "", product("Q")), &["3"]),
        (file("lib.so", "1", with_company("Y", any())), &[]),
        (VersionInfo { info: vec![of_source], ..any() }, &["1", "2", "3"]),
        (VersionInfo { info: vec![of_any_version], ..any() }, &["2", "4"]),
    ] {
        let found = pair.ask(draft::request(std::slice::from_ref(&filter))).await;
        assert_eq!(found.ids(), expected, "{filter:?}");
    }
}

// R-7-7, R-7-8: an item that names nothing but a component of the third level, and its author.
#[tokio::test]
async fn c7_a_component_deep_inside_another_vendors_product_is_affected() {
    let pair = Pair::start().await;
    pair.ask(example("valid/01-register-null.xml")).await;
    let item = with_company("Tiny CRC Authors", component_item("item", "tinycrc.so", "0.9"));
    assert!(item.product_name.is_none());
    pair.publish(&[item, component_item("other", "tinycrc.so", "1.0")]).await;
    assert_eq!(pair.pushed_ids().await, ["item"]);
}

// R-7-10: file name and version are enough on either side.
#[tokio::test]
async fn c7_file_name_and_version_alone_match() {
    let pair = Pair::start().await;
    let installed = VersionInfo { info: vec![draft::component("x64_hlp.bin", "77")], ..VersionInfo::default() };
    pair.ask(draft::register(&[installed])).await;
    pair.publish(&[component_item("hit", "x64_hlp.bin", "77"), component_item("miss", "x64_hlp.bin", "78")]).await;
    assert_eq!(pair.pushed_ids().await, ["hit"]);
}

// R-9.2-4: what only a handler can read is carried.
#[tokio::test]
async fn c9_2_unknown_formats_and_packages_are_passed_on() {
    let pair = Pair::start().await;
    pair.ask(draft::register(&[draft::product("P")])).await;
    let container = Container {
        package: Some("x-box".into()),
        format: Some("x-unknown".into()),
        version: "1".into(),
        ..Container::default()
    };
    let item = VersionInfo { info: vec![said("item", Info { container, ..Info::default() })], ..draft::product("P") };
    pair.publish(&[item]).await;
    let pushed = pair.client.take().await;
    assert_eq!(ids(&items(&pushed.document)), ["item"]);
    let text = super::observed::wire(&pushed.document);
    assert!(text.contains("<v:Package>x-box</v:Package><v:Format>x-unknown</v:Format>"), "{text}");
}
