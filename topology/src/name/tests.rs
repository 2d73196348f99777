use proptest::prelude::*;

use super::*;

fn name(file_name: &str, package: &str) -> Name {
    Name::parse(file_name, Some(package)).unwrap()
}

#[test]
fn bare_name_means_the_default_registry_of_its_packaging() {
    assert_eq!(name("serde", "cargo"), name("pkg:cargo/serde", ""));
    assert_eq!(name("@scope/name", "npm"), name("pkg:npm/%40scope/name", "npm"));
    assert_eq!(name("@scope/name", "npm"), name("pkg:npm/@scope/name@1.0.0", "npm"));
    assert!(name("serde", "").same(&name("pkg:cargo/serde", "cargo")));
    assert!(!name("openssl", "generic").same(&name("pkg:generic/openssl", "generic")), "generic has no default");
    assert!(!name("openssl", "deb").same(&name("pkg:deb/debian/openssl", "deb")), "the namespace matters");
}

#[test]
fn own_registry_or_checkout_is_not_the_public_one() {
    let public = name("pkg:cargo/serde", "cargo");
    for other in [
        "pkg:cargo/serde?repository_url=https://crates.example/index",
        "pkg:cargo/serde?vcs_url=git%2Bhttps://example.org/serde",
    ] {
        assert!(!public.same(&name(other, "cargo")), "{other}");
        assert!(!name("serde", "").same(&name(other, "cargo")), "{other}");
        assert!(name(other, "cargo").same(&name(other, "cargo")));
    }
}

#[test]
fn names_are_compared_as_their_registry_does() {
    assert!(name("Inflector", "cargo").same(&name("inflector", "cargo")));
    assert!(name("tokio_util", "cargo").same(&name("tokio-util", "cargo")));
    assert!(!name("tokio--util", "cargo").same(&name("tokio-util", "cargo")));
    assert!(name("Zope..Interface", "pypi").same(&name("zope-interface", "pypi")));
    assert!(!name("JSONStream", "npm").same(&name("jsonstream", "npm")), "old npm names differ by case");
    assert!(!name("serde", "cargo").same(&name("serde", "npm")));
}

#[test]
fn arch_and_distro_take_part_when_both_state_them() {
    let source = name("pkg:deb/debian/openssl?arch=source&distro=bookworm", "deb");
    assert!(source.same(&name("pkg:deb/debian/openssl?distro=bookworm&arch=source", "deb")));
    assert!(!source.same(&name("pkg:deb/debian/openssl?arch=amd64&distro=bookworm", "deb")));
    assert!(!source.same(&name("pkg:deb/debian/openssl?arch=source&distro=buster", "deb")));
    assert!(source.same(&name("pkg:deb/debian/openssl", "deb")));
}

#[test]
fn what_is_no_package_url_is_a_bare_name() {
    for text in
        ["pkg:", "pkg:cargo", "pkg:cargo/", "pkg:cargo/a?b", "pkg:/x", "pkg:cargo/%zz", "../../x", "libzed.so.1"]
    {
        let parsed = Name::parse(text, None).unwrap();
        assert_eq!(parsed.shown(), text);
        assert_eq!(parsed.packaging(), None);
    }
    assert_eq!(Name::parse("  ", None), None);
}

proptest! {
    #[test]
    fn printed_name_reads_back(
        text in prop_oneof![".*", "pkg:(cargo|npm|deb|x y)/[ -~]{0,20}", "[@a-zA-Z_./%-]{0,12}"],
        package in prop_oneof![Just(""), Just("cargo"), Just("npm"), Just("deb")],
    ) {
        if let Some(parsed) = Name::parse(&text, Some(package)) {
            let again = Name::parse(&parsed.to_string(), Some(package)).unwrap();
            prop_assert_eq!(&again, &parsed);
            prop_assert!(parsed.same(&again));
        }
    }

    #[test]
    fn same_names_have_one_key(
        left in "(pkg:(cargo|pypi)/)?[aA_.-]{1,5}", right in "(pkg:(cargo|pypi)/)?[aA_.-]{1,5}",
        package in prop_oneof![Just(None), Just(Some("cargo")), Just(Some("pypi"))],
    ) {
        let (left, right) = (Name::parse(&left, package).unwrap(), Name::parse(&right, None).unwrap());
        if left.same(&right) {
            prop_assert_eq!(left.folded(), right.folded());
            prop_assert!(right.same(&left));
        }
        prop_assert_eq!(left.cmp_folded(&right), left.folded().chars().cmp(right.folded().chars()));
    }
}
