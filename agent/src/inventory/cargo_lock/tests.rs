use super::*;

const NEW: &str = r#"
version = 4

[[package]]
name = "app"
version = "0.1.0"
dependencies = ["serde", "helper"]

[[package]]
name = "helper"
version = "0.2.0"
dependencies = ["serde 1.0.1 (registry+https://github.com/rust-lang/crates.io-index)"]

[[package]]
name = "serde"
version = "1.0.1"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "00"
"#;

const OLD: &str = r#"
[root]
name = "app"
version = "0.1.0"
dependencies = [
 "serde 1.0.1 (registry+https://github.com/rust-lang/crates.io-index)",
]

[[package]]
name = "serde"
version = "1.0.1"
source = "registry+https://github.com/rust-lang/crates.io-index"

[metadata]
"checksum serde 1.0.1 (registry+https://github.com/rust-lang/crates.io-index)" = "00"
"#;

/// Product, version, own name, and the components as `File_name Version`.
fn flat(info: &VersionInfo) -> (String, String, String, Vec<String>) {
    let text = |text: &Option<bytestring::ByteString>| text.as_ref().map(ToString::to_string).unwrap_or_default();
    let own = &info.info[0].container;
    let components = own.contained_versions[0].info.iter().map(|info| {
        assert_eq!(info.container.package.as_deref(), Some("cargo"));
        format!("{} {}", text(&info.container.file_name), info.container.version)
    });
    (text(&info.product_name), text(&info.product_version), text(&own.file_name), components.collect())
}

#[test]
fn root_is_the_asset_and_the_rest_its_components() {
    let (product, version, file_name, components) = flat(&read(NEW, None).unwrap());
    assert_eq!((product.as_str(), version.as_str()), ("app", "0.1.0"));
    assert_eq!(file_name, "pkg:cargo/app?repository_url=local");
    assert_eq!(components, ["pkg:cargo/helper?repository_url=local 0.2.0", "pkg:cargo/serde 1.0.1"]);
}

#[test]
fn old_file_keeps_its_root_apart() {
    let (product, _, _, components) = flat(&read(OLD, None).unwrap());
    assert_eq!((product.as_str(), components), ("app", vec!["pkg:cargo/serde 1.0.1".to_owned()]));
}

#[test]
fn given_name_is_the_product() {
    let (product, version, file_name, _) = flat(&read(NEW, Some("kiosk 7")).unwrap());
    assert_eq!((product.as_str(), version.as_str()), ("kiosk 7", "0.1.0"));
    assert_eq!(file_name, "pkg:cargo/app?repository_url=local");
    let (product, version, ..) = flat(&read(NEW, Some("helper")).unwrap());
    assert_eq!((product.as_str(), version.as_str()), ("helper", "0.2.0"));
}

#[test]
fn workspace_needs_a_name() {
    let workspace = NEW.replace("\"helper\"]", "]").replace("dependencies = [\"serde\", ]", "");
    assert_eq!(read(&workspace, None), Err(Error::Root(vec!["app".to_owned(), "helper".to_owned()])));
    let (product, version, file_name, components) = flat(&read(&workspace, Some("fleet")).unwrap());
    assert_eq!((product.as_str(), version.as_str()), ("fleet", ""));
    assert_eq!((file_name.as_str(), components.len()), ("pkg:cargo/fleet?repository_url=local", 3));
    assert_eq!(read("version = 3\n", None), Err(Error::NoRoot));
}

#[test]
fn origin_is_carried_and_no_path_or_credential_leaks() {
    for (source, expected) in [
        ("sparse+https://index.crates.io/", "pkg:cargo/a"),
        ("registry+https://crates.example/index", "pkg:cargo/a?repository_url=https://crates.example/index"),
        (
            "sparse+https://user:secret@crates.example/index/",
            "pkg:cargo/a?repository_url=https://crates.example/index/",
        ),
        ("git+https://git.example/a?branch=main#0123abcd", "pkg:cargo/a?vcs_url=git%2Bhttps://git.example/a@0123abcd"),
        ("git+ssh://git@git.example/a.git#0123", "pkg:cargo/a?vcs_url=git%2Bssh://git.example/a.git@0123"),
        ("git+file:///home/ann/a#0123", "pkg:cargo/a?repository_url=local"),
        ("path+file:///home/ann/a", "pkg:cargo/a?repository_url=local"),
        ("directory+file:///home/ann/vendor", "pkg:cargo/a?repository_url=local"),
        ("nonsense", "pkg:cargo/a?repository_url=local"),
    ] {
        assert_eq!(package_url("a", Some(source)), expected);
    }
    assert_eq!(package_url("a", None), "pkg:cargo/a?repository_url=local");
}

#[test]
fn bad_file_is_refused_with_its_line() {
    for (bad, line) in [
        ("version = 4\n[[package]]\nname = 7\nversion = \"1\"\n", 3),
        ("version = 4\n[[package]\n", 2),
        ("[[package]]\nname = \"a\"\n", 1),
        ("[[package]]\nname = \"a\"\nversion = \"\"\n", 3),
        ("[[package]]\nname = \"a\\u0001\"\nversion = \"1\"\n", 2),
    ] {
        let Err(Error::Form { line: found, reason }) = read(bad, None) else { panic!("{bad} was read") };
        assert_eq!(found, line, "{reason}");
    }
    assert_eq!(read("version = 5\n", None), Err(Error::Version(5)));
}
