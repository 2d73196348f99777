//! `Cargo.lock`, versions 1 to 4 of the file, as an asset.
//!
//! The asset is the root package, or the name given; every other package is a component of it, flat, since a lock file
//! states dependencies and not containment. `source` decides the name:
//!
//! | source | File_name |
//! |---|---|
//! | crates.io, by its git or its sparse index | `pkg:cargo/NAME` |
//! | another registry | `pkg:cargo/NAME?repository_url=URL` |
//! | git | `pkg:cargo/NAME?vcs_url=git+URL@COMMIT` |
//! | none, or a path of this machine | `pkg:cargo/NAME?repository_url=local` |
//!
//! So what is not from crates.io never matches a public advisory, and no path and no credential leaves the machine:
//! `local` stands for every local place, and the user part of a URL is cut out.

use std::collections::BTreeSet;

use schemas::version::{Container, Info, VersionInfo};
use serde::Deserialize;

use super::{is_carried, line_of, text};

/// The newest version of the file that is known.
const VERSION_MAX: u32 = 4;

/// Why a text is no lock file that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not TOML, or not of the shape of a lock file.
    #[error("line {line}: {reason}")]
    Form {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Written by a newer cargo.
    #[error("lock file version {0} is not known (1 to {VERSION_MAX} are)")]
    Version(u32),
    /// A workspace: several local packages on which no other depends.
    #[error("which of these is the asset? {}", .0.join(", "))]
    Root(Vec<String>),
    /// No local package at all.
    #[error("no package of its own; give the asset a name")]
    NoRoot,
}

#[derive(Deserialize)]
struct Lock {
    version: Option<u32>,
    /// Before 2017 the root stood apart.
    root: Option<Package>,
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize, Clone, PartialEq, Eq)]
struct Package {
    name: toml::Spanned<String>,
    version: toml::Spanned<String>,
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// Reads a lock file. `name` is the product's; without it the root package's, which must then be the only candidate.
pub fn read(lock: &str, name: Option<&str>) -> Result<VersionInfo, Error> {
    let form = |at: Option<usize>, reason: &str| Error::Form {
        line: line_of(lock, at.unwrap_or(0)),
        reason: reason.trim().to_owned(),
    };
    let read: Lock =
        toml::from_str(lock).map_err(|error| form(error.span().map(|span| span.start), error.message()))?;
    if let Some(version) = read.version.filter(|version| *version > VERSION_MAX) {
        return Err(Error::Version(version));
    }
    for package in read.root.iter().chain(&read.package) {
        for field in [&package.name, &package.version] {
            let value = field.get_ref();
            if value.trim().is_empty() || !is_carried(value) {
                return Err(form(Some(field.span().start), "a name or version is empty or holds control characters"));
            }
        }
    }
    let root = root(&read, name)?;
    let components = read.package.iter().filter(|package| Some(*package) != root).map(component).collect();
    Ok(asset(name, root, components))
}

/// The root package. With a name given, one of that name, else the only candidate if there is one.
fn root<'a>(lock: &'a Lock, name: Option<&str>) -> Result<Option<&'a Package>, Error> {
    if lock.root.is_some() {
        return Ok(lock.root.as_ref());
    }
    let local = || lock.package.iter().filter(|package| package.source.is_none());
    if let Some(named) = local().find(|package| Some(package.name.get_ref().as_str()) == name) {
        return Ok(Some(named));
    }
    // A dependency is `name`, `name version` or `name version (source)`.
    let needed: BTreeSet<&str> = lock
        .package
        .iter()
        .flat_map(|package| {
            let own = package.name.get_ref().as_str();
            package
                .dependencies
                .iter()
                .filter_map(|dependency| dependency.split(' ').next())
                .filter(move |it| *it != own)
        })
        .collect();
    let candidates: Vec<&Package> =
        local().filter(|package| !needed.contains(package.name.get_ref().as_str())).collect();
    match (candidates.as_slice(), name) {
        ([only], _) => Ok(Some(*only)),
        (_, Some(_)) => Ok(None),
        ([], None) => Err(Error::NoRoot),
        (several, None) => Err(Error::Root(several.iter().map(|package| package.name.get_ref().clone()).collect())),
    }
}

fn asset(name: Option<&str>, root: Option<&Package>, components: Vec<Info>) -> VersionInfo {
    let root_name = root.map(|root| root.name.get_ref().as_str());
    let version = root.map(|root| root.version.get_ref().as_str());
    let product = VersionInfo {
        product_name: name.or(root_name).and_then(text),
        product_version: version.and_then(text),
        ..VersionInfo::default()
    };
    let own = Container {
        package: text("cargo"),
        file_name: text(package_url(root_name.or(name).unwrap_or_default(), None)),
        version: version.unwrap_or_default().to_owned().into(),
        contained_versions: vec![VersionInfo { info: components, ..product.clone() }],
        ..Container::default()
    };
    VersionInfo { info: vec![Info { container: own, ..Info::default() }], ..product }
}

fn component(package: &Package) -> Info {
    let container = Container {
        package: text("cargo"),
        file_name: text(package_url(package.name.get_ref(), package.source.as_deref())),
        version: package.version.get_ref().clone().into(),
        ..Container::default()
    };
    Info { container, ..Info::default() }
}

const CRATES_IO: [&str; 3] = [
    "registry+https://github.com/rust-lang/crates.io-index",
    "sparse+https://index.crates.io/",
    "sparse+https://index.crates.io",
];

fn package_url(name: &str, source: Option<&str>) -> String {
    let name = encoded(name);
    if source.is_some_and(|source| CRATES_IO.contains(&source)) {
        return format!("pkg:cargo/{name}");
    }
    match source.and_then(origin) {
        Some((key, url)) => format!("pkg:cargo/{name}?{key}={}", encoded(&url)),
        None => format!("pkg:cargo/{name}?repository_url=local"),
    }
}

/// Where a package is from, unless that is a place on this machine.
fn origin(source: &str) -> Option<(&'static str, String)> {
    let (kind, url) = source.split_once('+')?;
    let (url, commit) = url.split_once('#').unwrap_or((url, ""));
    // A branch or tag is beside the point once the commit is known.
    let url = without_user(url.split('?').next().unwrap_or(url))?;
    match kind {
        "registry" | "sparse" => Some(("repository_url", url)),
        "git" if commit.is_empty() => Some(("vcs_url", format!("git+{url}"))),
        "git" => Some(("vcs_url", format!("git+{url}@{commit}"))),
        _ => None,
    }
}

/// The URL without user and password; `None` for a path.
fn without_user(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://").filter(|(scheme, _)| *scheme != "file")?;
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = authority.rsplit('@').next().filter(|host| !host.is_empty())?;
    Some(format!("{scheme}://{host}{path}"))
}

/// Percent-encoded as package URLs want names and values.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_~:/@".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests;
