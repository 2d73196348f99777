use proptest::prelude::*;
use schemas::version::{Container, Info, VersionInfo};

use super::*;
use crate::record::tests::check_robust;

pub(crate) fn component(file_name: &str, version: &str) -> Info {
    Info {
        container: Container {
            package: Some("cargo".into()),
            file_name: Some(file_name.into()),
            version: version.into(),
            ..Container::default()
        },
        ..Info::default()
    }
}

/// An asset as an inventory states it: its own Info, and one for each component.
pub(crate) fn asset(name: &str, version: &str, components: Vec<Info>) -> VersionInfo {
    let contained = VersionInfo { info: components, ..VersionInfo::default() };
    let mut own = component(&format!("{name}-bin"), version);
    own.container.contained_versions = vec![contained];
    VersionInfo {
        product_name: Some(name.to_owned().into()),
        product_version: Some(version.to_owned().into()),
        info: vec![own],
        ..VersionInfo::default()
    }
}

/// Filters and small assets over few names, so that they meet often.
pub(crate) fn any_version_info() -> impl Strategy<Value = VersionInfo> {
    let leaf = any_info().prop_map(|info| vec![info]);
    let infos = leaf.prop_recursive(3, 12, 3, |inner| {
        let contained = (text(&["P", "Q"]), inner).prop_map(|(product_name, info)| VersionInfo {
            product_name,
            info,
            ..VersionInfo::default()
        });
        (any_info(), proptest::collection::vec(contained, 0..3)).prop_map(|(mut info, contained)| {
            info.container.contained_versions = contained;
            vec![info]
        })
    });
    (text(&["P", "Q"]), text(&["1.0.0", "2.0.0"]), text(&["C", "D"]), proptest::collection::vec(infos, 0..3)).prop_map(
        |(product_name, product_version, company, infos)| VersionInfo {
            product_name,
            product_version,
            company,
            info: infos.into_iter().flatten().collect(),
            ..VersionInfo::default()
        },
    )
}

fn any_info() -> impl Strategy<Value = Info> {
    let versions = ["1.0.0", "1.0", "vers:cargo/<1.0.0", "vers:cargo/>=1.0.0", "vers:none/*", "vers:cargo/?", ""];
    (
        text(&["A", "B"]),
        text(&["CVE-2026-0001", "cve-2026-0001", "X"]),
        text(&["cargo", "deb"]),
        proptest::sample::select(versions.to_vec()),
        text(&["a-b", "A_b", "pkg:cargo/a-b", "pkg:cargo/a-b?vcs_url=x", "c"]),
        text(&["es", "de", "es-MX"]),
    )
        .prop_map(|(source, id, package, version, file_name, language)| Info {
            source,
            id,
            container: Container { package, version: version.into(), file_name, language, ..Container::default() },
            ..Info::default()
        })
}

fn text(choices: &[&'static str]) -> impl Strategy<Value = Option<bytestring::ByteString>> {
    proptest::option::of(proptest::sample::select(choices.to_vec()).prop_map(bytestring::ByteString::from_static))
}

proptest! {
    #[test]
    fn interest_reads_back_from_its_record(version_info in any_version_info()) {
        let interest = Interest::from_version_info(&version_info);
        let bytes = interest.encode();
        prop_assert_eq!(Interest::decode(&bytes), Ok(interest.clone()));
        prop_assert_eq!(Interest::decode(&bytes).unwrap().digest(), interest.digest());
    }
}

proptest! {
    #[test]
    fn interest_is_equal_when_it_is_stated_again(version_info in any_version_info()) {
        let interest = Interest::from_version_info(&version_info);
        prop_assert_eq!(Interest::from_version_info(&interest.to_version_info()), interest);
    }

    #[test]
    fn what_is_left_of_an_interest_is_equal_when_it_is_stated_again(
        version_info in any_version_info(),
        gone in proptest::collection::vec(any::<bool>(), 40),
    ) {
        let interest = Interest::from_version_info(&version_info);
        let gone: Vec<bool> = gone.into_iter().cycle().take(interest.nodes().count()).collect();
        if let Some(left) = interest.without(&gone) {
            prop_assert_eq!(Interest::from_version_info(&left.to_version_info()), left);
        }
    }
}

#[test]
fn damaged_interest_is_refused_without_panic() {
    let tree = asset("quill", "1.0.0", vec![component("a", "1.0.0"), component("b", "2.0.0")]);
    check_robust(&Interest::from_version_info(&tree).encode(), Interest::decode);
}

// R-10.2.3-1, R-10.2.3-2: inside Contained_Versions the product fields are those of the product at the top.
#[test]
fn c10_2_3_contained_versions_keep_the_product_at_the_top() {
    let interest = Interest::from_version_info(&asset("quill", "4.1.0", vec![component("libzed", "1.2.8")]));
    let nodes: Vec<_> = interest.nodes().map(|node| interest.host(node).product.as_deref()).collect();
    assert_eq!(nodes, [Some("quill"), Some("quill")]);
    assert!(interest.nodes().all(|node| interest.host(node).version.as_str() == "4.1.0"));
    assert_eq!(interest.path(1), ["quill-bin"]);
}

// R-10.2.2-1, R-10.2.3-4: no Version_Info, or one without Info, is legal.
#[test]
fn c10_2_2_empty_data_is_everything() {
    assert!(Interest::everything().is_everything());
    assert_eq!(Interest::from_version_info(&VersionInfo::default()), Interest::everything());
    assert!(
        Interest::from_version_info(&VersionInfo { info: vec![Info::default()], ..VersionInfo::default() })
            .is_everything()
    );
    let product = VersionInfo { product_name: Some("quill".into()), ..VersionInfo::default() };
    assert!(!Interest::from_version_info(&product).is_everything());
    let version = VersionInfo { product_version: Some("1".into()), ..VersionInfo::default() };
    assert!(!Interest::from_version_info(&version).is_everything());
}
