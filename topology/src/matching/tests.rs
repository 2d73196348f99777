use bytestring::ByteString;
use proptest::prelude::*;
use schemas::version::{Code, CodeContent, CodeKind, Info, VersionControl, VersionInfo};

use super::*;
use crate::interest::tests::{any_version_info, asset, component};

fn some(text: &str) -> Option<ByteString> {
    (!text.is_empty()).then(|| text.to_owned().into())
}

/// A `Version_Info` of one Info, from `Field=value` words.
pub(crate) fn version_info(fields: &str) -> VersionInfo {
    let mut made = VersionInfo { info: vec![Info::default()], ..VersionInfo::default() };
    for (field, value) in fields.split(", ").filter_map(|field| field.split_once('=')) {
        let info = &mut made.info[0];
        match field {
            "Product" => made.product_name = some(value),
            "ProductVersion" => made.product_version = some(value),
            "Company" => made.company = some(value),
            "Source" => info.source = some(value),
            "ID" => info.id = some(value),
            "Package" => info.container.package = some(value),
            "Version" => info.container.version = value.to_owned().into(),
            "File" => info.container.file_name = some(value),
            "Language" => info.container.language = some(value),
            _ => panic!("no field {field}"),
        }
    }
    made
}

/// The Quill Editor of examples/valid/01: components three levels deep.
pub(crate) fn quill(libzed: &str) -> VersionInfo {
    let mut editor = version_info(
        "Product=Quill Editor, ProductVersion=4.1.0, Company=Quill Software, Source=Quill Software, Package=deb, \
         Version=4.1.0, File=quill-editor",
    );
    let tinycrc = version_info("Source=Tiny CRC Authors, Version=0.9, File=tinycrc.so");
    let mut zed = version_info(&format!("Source=Zed Compression Project, Version={libzed}, File=libzed.so.1"));
    zed.info[0].container.contained_versions = vec![tinycrc];
    let spell = version_info("Source=Quill Software, Version=4.1.0-17, File=spell.dll, Language=es");
    let mut contained = version_info("Product=Quill Editor, ProductVersion=4.1.0, Company=Quill Software");
    contained.info = [zed.info, spell.info].concat();
    editor.info[0].container.contained_versions = vec![contained];
    editor
}

fn reasons(interest: &VersionInfo, item: &VersionInfo) -> Vec<Reason> {
    applies(&Interest::from_version_info(interest), &Affected::of(std::slice::from_ref(item)))
}

/// What matched, as `by component version`.
fn check(interest: &VersionInfo, item: &str, expected: &[&str]) {
    let found: Vec<_> = reasons(interest, &version_info(item))
        .iter()
        .map(|reason| format!("{:?} {} {}", reason.by, reason.component, reason.version))
        .collect();
    assert_eq!(found, expected, "{item}");
}

fn wants(interest: &str, item: &str) -> bool {
    !reasons(&version_info(interest), &version_info(item)).is_empty()
}

// R-7-7, R-7-8: the item names a component at the third level, and its author, not the product that holds it.
#[test]
fn c7_component_in_anothers_product_is_found_by_its_name_alone() {
    let item = version_info("Company=Tiny CRC Authors, Source=Provider 1, ID=CVE-2026-1, Version=0.9, File=tinycrc.so");
    let found = reasons(&quill("1.2.8"), &item);
    assert_eq!(
        found,
        [Reason {
            component: "tinycrc.so".to_owned(),
            version: "0.9".to_owned(),
            path: vec!["quill-editor".to_owned(), "libzed.so.1".to_owned()],
            affected: "0.9".to_owned(),
            by: By::Component,
        }]
    );
}

// R-7-6: every level of Figure 1, alone and combined, against one inventory.
#[test]
fn c7_every_level_of_identity_is_a_filter() {
    let inventory = quill("1.2.8");
    for (item, expected) in [
        ("Company=Quill Software", vec!["Company Quill Editor 4.1.0"]),
        ("Product=Quill Editor", vec!["Product Quill Editor 4.1.0"]),
        ("Product=Quill Editor, Version=4.1.0", vec!["Product Quill Editor 4.1.0"]),
        ("Product=Quill Editor, ProductVersion=4.1.0", vec!["Product Quill Editor 4.1.0"]),
        ("Product=Quill Editor, Version=4.0.2", vec![]),
        ("Product=Quill Editor, ProductVersion=4.0.2", vec![]),
        ("Company=Other, Product=Quill Editor", vec![]),
        ("Company=Quill Software, Product=Other", vec![]),
        ("File=quill-editor, Version=4.1.0", vec!["Component quill-editor 4.1.0"]),
        ("File=libzed.so.1", vec!["Component libzed.so.1 1.2.8"]),
        ("File=libzed.so.1, Version=1.2.8", vec!["Component libzed.so.1 1.2.8"]),
        ("File=libzed.so.1, Version=1.2.13", vec![]),
        ("Product=Quill Editor, File=libzed.so.1", vec!["Component libzed.so.1 1.2.8"]),
        ("Product=Quill Editor, ProductVersion=4.0.2, File=libzed.so.1", vec![]),
        ("Product=Other, File=libzed.so.1", vec![]),
        ("Company=Quill Software, Product=Quill Editor, File=spell.dll", vec!["Component spell.dll 4.1.0-17"]),
        ("Company=Other, Product=Quill Editor, File=spell.dll", vec![]),
        ("File=other.so", vec![]),
        ("Source=Quill Software, ID=X", vec![]),
    ] {
        check(&inventory, item, &expected);
    }
}

// R-7-10: a component without any name that a user would know.
#[test]
fn c7_file_name_and_version_alone_match() {
    assert!(wants("File=x86_0f3a.bin, Version=0017", "File=x86_0f3a.bin, Version=0017"));
    assert!(!wants("File=x86_0f3a.bin, Version=0017", "File=x86_0f3a.bin, Version=17"));
}

// R-3.1.12-1: an item without product, file or code reaches who did not ask for a product.
#[test]
fn c3_1_12_general_item_reaches_filters_without_product() {
    let item = "Source=ISIRT, ID=ADM-1";
    for filter in ["", "Source=ISIRT", "ID=ADM-1", "ID=adm-1, Source=ISIRT"] {
        assert!(wants(filter, item), "{filter}");
    }
    for filter in ["Product=P", "Company=ISIRT", "File=f", "Source=other", "ID=ADM-2", "ID=ADM-1, Source=other"] {
        assert!(!wants(filter, item), "{filter}");
    }
}

// R-3.1.2-1: identity comes from the fields; there is no list of kinds of assets.
#[test]
fn c3_1_2_any_kind_of_asset_is_matched() {
    for identity in [
        "Product=DVD drive DW-22, Version=1.07b",
        "Product=Example OS, ProductVersion=12.4",
        "File=libz.so.1, Version=1.2.8",
        "Package=generic, File=rotate-logs.sh, Version=3",
    ] {
        assert!(wants(identity, identity), "{identity}");
        assert!(!wants(identity, "Product=Quill Editor, File=other"), "{identity}");
    }
}

// R-10.2.1-6: every field that the request gives must match; the item may say more.
#[test]
fn c10_2_1_request_asks_for_all_that_satisfies_its_fields() {
    let items = [
        "Company=C, Product=P, Version=1, Source=A, ID=1",
        "Company=C, Product=Q, Version=1, Source=B, ID=2",
        "Company=C, Product=P, File=f, Version=7, Source=A, ID=3",
        "File=f, Version=7, Source=B, ID=4",
        "File=f, Version=8, Source=B, ID=5",
        "Company=C, ID=6",
    ];
    for (request, expected) in [
        ("Company=C", "1 2 3 6"),
        ("Company=C, Product=P", "1 3 6"),
        ("Company=D, Product=P", ""),
        ("Product=P", "1 3"),
        ("Product=P, Version=1", "1"),
        ("Product=P, Version=2", ""),
        ("File=f, Version=7", "3 4"),
        ("File=f", "3 4 5"),
        ("Source=B", "2 4 5"),
        ("Source=B, Product=Q", "2"),
        ("Source=A, Product=Q", ""),
        ("", "1 2 3 4 5 6"),
        ("Version=7", "3 4 6"),
    ] {
        let found: Vec<_> =
            items.iter().filter(|item| wants(request, item)).filter_map(|item| item.rsplit_once("ID=")).collect();
        assert_eq!(found.iter().map(|(_, id)| *id).collect::<Vec<_>>().join(" "), expected, "{request}");
    }
}

// C-10 (X.1520): all items that name the identifier in any of their Infos.
#[test]
fn request_by_cve_finds_every_item_that_names_it() {
    let mut item = version_info("Source=RustSec, ID=RUSTSEC-2026-0001, File=pkg:cargo/a, Version=1.0.0");
    item.info.extend(version_info("Source=RustSec, ID=CVE-2026-1234, File=pkg:cargo/a, Version=1.0.0").info);
    for (filter, found) in [
        ("ID=CVE-2026-1234", true),
        ("ID=cve-2026-1234", true),
        ("ID=CAN-2026-1234", true),
        ("ID=CVE-2026-123", false),
        ("ID=CVE-2026-1234, Source=RustSec", true),
        ("ID=CVE-2026-1234, Source=Other", false),
    ] {
        let reasons = reasons(&version_info(filter), &item);
        assert_eq!(
            reasons.iter().map(|reason| reason.by).collect::<Vec<_>>(),
            if found { vec![By::Id] } else { vec![] }
        );
    }
}

// R-10.2.3-5: the product fields only narrow.
#[test]
fn c10_2_3_same_info_under_another_product_still_matches() {
    for product in ["Quill Editor", "Quill Editor Pro", ""] {
        assert!(wants(
            &format!("Product={product}, File=libzed.so.1, Version=1.2.8"),
            "File=libzed.so.1, Version=1.2.8"
        ));
    }
    assert!(!wants("Product=Quill Editor, File=libzed.so.1", "Product=Quill Editor Pro, File=libzed.so.1"));
}

// R-10.2.3-3: a vendor is found by Company, a component's vendor by Info/Source.
#[test]
fn c10_2_3_vendor_is_found_by_company_and_by_source() {
    let item = "Company=Quill Software, Source=Zed Compression Project, ID=Z-1, File=libzed.so.1";
    assert!(wants("Company=Quill Software", item));
    assert!(wants("Source=Zed Compression Project", item));
    assert!(!wants("Company=Zed Compression Project", item));
}

// R-10.2.3-4: any number of Infos.
#[test]
fn c10_2_3_none_one_or_five_infos() {
    for count in [0, 1, 5] {
        let info: Vec<Info> = (0..count).map(|n| component(&format!("c{n}"), "1.0.0")).collect();
        let item = VersionInfo { product_name: some("P"), info, ..VersionInfo::default() };
        let interest = asset("P", "1.0.0", (0..5).map(|n| component(&format!("c{n}"), "1.0.0")).collect());
        assert_eq!(reasons(&interest, &item).len(), count.max(1));
    }
}

// R-10.2.5-1: Package is a filter only if both sides give it.
#[test]
fn c10_2_5_package_narrows_when_both_give_it() {
    let item = |package: &str| format!("Product=P, Package={package}, Version=1");
    assert!(wants("Product=P, Package=deb, Version=1", &item("deb")));
    assert!(!wants("Product=P, Package=deb, Version=1", &item("rpm")));
    assert!(wants("Product=P, Package=rpm, Version=1", &item("rpm")));
    assert!(wants("Product=P, Version=1", &item("rpm")));
    assert!(wants("Product=P, Package=deb, Version=1", &item("")));
    assert!(!wants("Package=npm, File=serde", "Package=cargo, File=serde"));
}

// R-10.2.5-3: an empty Version matches all.
#[test]
fn c10_2_5_empty_version_is_any() {
    for version in ["", "1.0.0", "Ⅳ", "vers:cargo/<2.0.0"] {
        assert!(wants("File=f", &format!("File=f, Version={version}")));
        assert!(wants(&format!("File=f, Version={version}"), "File=f"));
    }
}

// R-10.2.5-6: Language narrows when both sides give it.
#[test]
fn c10_2_5_language_narrows_when_both_give_it() {
    assert!(wants("File=f, Language=es", "File=f, Language=es"));
    assert!(!wants("File=f, Language=es", "File=f, Language=de"));
    assert!(wants("File=f, Language=es-MX", "File=f, Language=ES"));
    assert!(!wants("File=f, Language=es-MX", "File=f, Language=es-ES"));
    assert!(wants("File=f", "File=f, Language=de"));
}

#[test]
fn ranges_match_components_and_nothing_matches_none() {
    let serde = asset("app", "1.0.0", vec![component("serde", "1.0.5"), component("serde", "2.0.0-alpha")]);
    check(&serde, "File=pkg:cargo/serde, Version=vers:cargo/<1.0.6", &["Component serde 1.0.5"]);
    check(
        &serde,
        "File=pkg:cargo/serde, Version=vers:cargo/<2.0.0",
        &["Component serde 1.0.5", "Component serde 2.0.0-alpha"],
    );
    check(&serde, "File=pkg:cargo/serde, Version=vers:cargo/<2.0.0-0", &["Component serde 1.0.5"]);
    check(&serde, "File=pkg:cargo/serde, Version=vers:none/*", &[]);
    check(&serde, "File=pkg:cargo/serde, Version=vers:cargo/nonsense", &[]);
    check(&serde, "File=pkg:cargo/serde?vcs_url=git%2Bhttps://example.org, Version=", &[]);
}

#[test]
fn withdrawn_item_is_news_to_filters_only() {
    let withdrawn = "Source=A, ID=X, File=f, Product=P, Version=vers:none/*";
    for (filter, wanted) in [
        ("", true),
        ("ID=X", true),
        ("Source=A", true),
        ("Product=P", true),
        ("File=f", false),
        ("Product=P, Version=1", false),
    ] {
        assert_eq!(wants(filter, withdrawn), wanted, "{filter}");
    }
}

fn update(fields: &str, supersedes: Vec<VersionInfo>, update_path: Option<Vec<VersionInfo>>) -> VersionInfo {
    let mut made = version_info(fields);
    let content =
        CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text: "QQ==".into() };
    let version_control = (update_path.is_some() || !supersedes.is_empty()).then(|| VersionControl {
        supersedes,
        update_path,
        ..VersionControl::default()
    });
    made.info[0].container.code = Some(Code { content: Some(content), version_control, ..Code::default() });
    made
}

#[test]
fn update_is_for_the_versions_that_its_lists_name() {
    let new = "Product=Quill Editor, ProductVersion=4.1.1, Package=bsdiff, Version=4.1.1, File=q_4.1.0_4.1.1.delta";
    let entry =
        |version: &str| version_info(&format!("Product=Quill Editor, ProductVersion={version}, Version={version}"));
    let delta = update(new, vec![entry("4.1.0"), entry("4.0.2")], Some(vec![entry("4.1.0")]));
    assert_eq!(reasons(&quill("1.2.8"), &delta)[0].by, By::Product);
    assert_eq!(reasons(&version_info("Product=Quill Editor, Version=4.0.1"), &delta), []);
    let full = update("Product=Quill Editor, ProductVersion=4.1.1, Version=4.1.1, File=quill.deb", vec![], None);
    assert_eq!(reasons(&quill("1.2.8"), &full)[0].by, By::Product);
}

// R-10.2.8-2: a successor product supersedes another; who runs that one sees it.
#[test]
fn c10_2_8_successor_product_reaches_clients_of_the_old_one() {
    let successor = update("Product=Q, Company=V, Version=1.0", vec![version_info("Product=P, Version=9.9")], None);
    assert_eq!(reasons(&version_info("Product=P, Company=V, Version=9.9"), &successor).len(), 1);
    assert_eq!(reasons(&version_info("Product=P, Company=V, Version=9.8"), &successor), []);
}

proptest! {
    // R-10.2.2-2: any subset of the fields identifies.
    #[test]
    fn c10_2_2_any_subset_of_fields_identifies(taken in proptest::collection::vec(any::<bool>(), 8)) {
        let fields = ["Product=P", "ProductVersion=1", "Company=C", "Source=S", "ID=I", "Package=deb", "Version=2", "Language=es"];
        let subset: Vec<_> = fields.iter().zip(taken).filter_map(|(field, taken)| taken.then_some(*field)).collect();
        prop_assert!(wants(&subset.join(", "), &fields.join(", ")));
        let with_file = [&subset[..], &["File=f"]].concat().join(", ");
        prop_assert!(wants(&with_file, &[fields.join(", "), "File=f".to_owned()].join(", ")));
    }

    #[test]
    fn a_match_shares_a_key(interest in any_version_info(), items in proptest::collection::vec(any_version_info(), 0..3)) {
        let interest = Interest::from_version_info(&interest);
        let affected = Affected::of(&items);
        let reasons = applies(&interest, &affected);
        prop_assert_eq!(covers(&interest, &affected), !reasons.is_empty());
        if !reasons.is_empty() {
            let keys: std::collections::BTreeSet<_> = affected.iter().flat_map(Affected::keys).collect();
            prop_assert!(!keys.is_disjoint(&interest.keys()));
        }
        if interest.is_everything() {
            prop_assert_eq!(reasons.is_empty(), affected.is_empty());
        }
    }

    #[test]
    fn lookup_by_name_equals_a_scan(interest in any_version_info(), item in any_version_info()) {
        let interest = Interest::from_version_info(&interest);
        for name in Affected::of(&[item]).iter().filter_map(|one| one.name.as_ref()) {
            let folded = |node: &Node| node.name().is_some_and(|own| own.folded() == name.folded());
            prop_assert_eq!(interest.named(name).count(), interest.nodes().filter(|node| folded(node)).count());
        }
    }
}
