//! A plain list of assets, written by a person.
//!
//! ```toml
//! [[asset]]
//! name = "Quill Editor"         # Product_Name; may be left out if `file` is there
//! version = "4.1.0"             # of the product and of its own package
//! company = "Quill Software"    # optional, as is everything below
//! package = "deb"
//! file = "quill-editor"         # File_name: a bare name or a package URL without version
//! language = "en"
//!
//! [[asset.component]]           # what it contains, to any depth up to 16
//! file = "libzed.so.1"
//! version = "1.2.8"
//!
//! [[asset.component.component]]
//! file = "tinycrc.so"
//! version = "0.9"
//! source = "Tiny CRC Authors"   # its author
//! ```

use schemas::version::{Container, Info, VersionInfo};
use serde::Deserialize;
use toml::Spanned;

use super::{is_carried, line_of, text};

/// Nesting of components; deeper documents are refused by receivers (S27).
pub const DEPTH_MAX: usize = 16;

/// Why a text is no list of assets: where, and what is wrong there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Error {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    asset: Vec<Spanned<AssetEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetEntry {
    name: Option<String>,
    version: Option<String>,
    company: Option<String>,
    package: Option<String>,
    file: Option<String>,
    language: Option<String>,
    #[serde(default)]
    component: Vec<Spanned<ComponentEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ComponentEntry {
    file: String,
    version: Option<String>,
    package: Option<String>,
    source: Option<String>,
    language: Option<String>,
    #[serde(default)]
    component: Vec<Spanned<Self>>,
}

/// Reads the list, in its order.
pub fn read(list: &str) -> Result<Vec<VersionInfo>, Error> {
    let read: List = toml::from_str(list).map_err(|error| Error {
        line: line_of(list, error.span().map_or(0, |span| span.start)),
        reason: error.message().trim().to_owned(),
    })?;
    let fault = |at: usize, reason: &str| Error { line: line_of(list, at), reason: reason.to_owned() };
    read.asset
        .into_iter()
        .map(|entry| {
            let at = entry.span().start;
            asset(entry.into_inner()).map_err(|(inner, reason)| fault(inner.unwrap_or(at), reason))
        })
        .collect()
}

/// Byte of the entry, if it is not the asset itself, and what is wrong with it.
type Fault = (Option<usize>, &'static str);

fn asset(entry: AssetEntry) -> Result<VersionInfo, Fault> {
    let given = |value: &Option<String>| value.as_deref().is_some_and(|value| !value.trim().is_empty());
    if !given(&entry.name) && !given(&entry.file) {
        return Err((None, "an asset needs a name or a file"));
    }
    let texts = [&entry.name, &entry.version, &entry.company, &entry.package, &entry.file, &entry.language];
    carried(texts).map_err(|reason| (None, reason))?;
    let product = VersionInfo {
        product_name: entry.name.and_then(text),
        product_version: entry.version.clone().and_then(text),
        company: entry.company.and_then(text),
        ..VersionInfo::default()
    };
    let contained = components(entry.component, 1)?;
    let container = Container {
        package: entry.package.and_then(text),
        version: entry.version.unwrap_or_default().into(),
        file_name: entry.file.and_then(text),
        language: entry.language.and_then(text),
        contained_versions: contained.map(|info| VersionInfo { info, ..product.clone() }).into_iter().collect(),
        ..Container::default()
    };
    Ok(VersionInfo { info: vec![Info { container, ..Info::default() }], ..product })
}

/// `None` if there are none: an empty list is not written.
fn components(entries: Vec<Spanned<ComponentEntry>>, depth: usize) -> Result<Option<Vec<Info>>, Fault> {
    if entries.is_empty() {
        return Ok(None);
    }
    if depth > DEPTH_MAX {
        return Err((Some(entries[0].span().start), "components are nested too deeply"));
    }
    let infos = entries.into_iter().map(|entry| {
        let at = entry.span().start;
        component(entry.into_inner(), at, depth)
    });
    infos.collect::<Result<_, _>>().map(Some)
}

fn component(entry: ComponentEntry, at: usize, depth: usize) -> Result<Info, Fault> {
    let here = |reason| (Some(at), reason);
    if entry.file.trim().is_empty() {
        return Err(here("a component needs a file"));
    }
    let file = Some(entry.file);
    carried([&file, &entry.version, &entry.package, &entry.source, &entry.language]).map_err(here)?;
    let contained = components(entry.component, depth + 1)?;
    let container = Container {
        package: entry.package.and_then(text),
        version: entry.version.unwrap_or_default().into(),
        file_name: file.and_then(text),
        language: entry.language.and_then(text),
        contained_versions: contained.map(|info| VersionInfo { info, ..VersionInfo::default() }).into_iter().collect(),
        ..Container::default()
    };
    Ok(Info { source: entry.source.and_then(text), container, ..Info::default() })
}

fn carried<const N: usize>(texts: [&Option<String>; N]) -> Result<(), &'static str> {
    let carried = texts.into_iter().flatten().all(|text| is_carried(text));
    carried.then_some(()).ok_or("a text holds control characters")
}

#[cfg(test)]
mod tests {
    use topology::affected::Affected;
    use topology::interest::Interest;
    use topology::matching::applies;

    use super::*;

    const LIST: &str = r#"
[[asset]]
name = "Quill Editor"
version = "4.1.0"
company = "Quill Software"
package = "deb"
file = "quill-editor"

[[asset.component]]
file = "libzed.so.1"
version = "1.2.8"

[[asset.component.component]]
file = "tinycrc.so"
version = "0.9"
source = "Tiny CRC Authors"

[[asset]]
file = "firmware.bin"
"#;

    #[test]
    fn listed_assets_are_matched_at_any_depth() {
        let assets = read(LIST).unwrap();
        assert_eq!(assets.len(), 2);
        let item = Info {
            container: Container { file_name: text("tinycrc.so"), version: "0.9".into(), ..Container::default() },
            ..Info::default()
        };
        let affected = Affected::of(&[VersionInfo { info: vec![item], ..VersionInfo::default() }]);
        let reasons = applies(&Interest::from_version_info(&assets[0]), &affected);
        assert_eq!(reasons[0].path, ["quill-editor", "libzed.so.1"]);
        assert_eq!(assets[0].info[0].container.contained_versions[0].product_name, assets[0].product_name);
        assert_eq!(assets[1].info[0].container.contained_versions, []);
        assert_eq!(read("").unwrap(), []);
    }

    #[test]
    fn bad_list_is_refused_with_its_line() {
        let deep = format!(
            "[[asset]]\nname = \"a\"\n{}",
            (1..=DEPTH_MAX + 1)
                .map(|depth| { format!("[[asset{}]]\nfile = \"f\"\n", ".component".repeat(depth)) })
                .collect::<String>()
        );
        for (bad, line) in [
            ("[[asset]]\nname = \"a\"\nvendor = \"b\"\n", 3),
            ("[[asset]]\nversion = \"1\"\n", 1),
            ("\n[[asset]]\nname = \"a\"\n[[asset.component]]\nfile = \"\"\n", 4),
            ("[[asset]]\nname = \"a\"\nversion = 1.0\n", 3),
            ("[[asset]]\nname = \"a\\u0000\"\n", 1),
            (deep.as_str(), 3 + 2 * DEPTH_MAX),
        ] {
            let error = read(bad).unwrap_err();
            assert_eq!(error.line, line, "{error}");
        }
    }
}
