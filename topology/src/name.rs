//! Names of components: `Container/File_name` read together with `Container/Package`.
//!
//! A name is a package URL without version where registry or namespace matter, else a bare name. A bare name in a
//! packaging with a default registry (cargo, npm, pypi) means that registry, so `serde` with Package `cargo` is
//! `pkg:cargo/serde`. A registry of its own (`?repository_url=`) or a checkout (`?vcs_url=`) is another identity.
//! What is no readable package URL is a bare name and compared as it stands.

use std::cmp::Ordering;
use std::fmt;

use crate::percent;

/// How a component is packed, and with it how its names and versions are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Packaging {
    /// Rust crates.
    Cargo,
    /// JavaScript packages.
    Npm,
    /// Python packages.
    Pypi,
    /// Any other, in lower case.
    Other(Box<str>),
}

impl Packaging {
    /// Reads the text of a Package element or of a package URL's type; blank text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "" => None,
            "cargo" => Some(Self::Cargo),
            "npm" => Some(Self::Npm),
            "pypi" => Some(Self::Pypi),
            _ => Some(Self::Other(text.into())),
        }
    }

    /// The name, in lower case.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Cargo => "cargo",
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Other(text) => text,
        }
    }

    fn has_default_registry(&self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

/// Where a name is registered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Registry {
    /// A bare name without a default registry to mean.
    Unstated,
    /// The one that the packaging (and the namespace) implies.
    Public,
    /// `repository_url=…` or `vcs_url=…`.
    Own(Box<str>),
}

/// The identity of a component but for its version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    packaging: Option<Packaging>,
    registry: Registry,
    /// Namespace and name, joined by `/`, as written.
    text: Box<str>,
    /// Further qualifiers such as `arch` and `distro`, sorted by key.
    qualifiers: Box<[(Box<str>, Box<str>)]>,
}

impl Name {
    /// Reads a File_name beside its Package. Blank text is none.
    pub fn parse(file_name: &str, package: Option<&str>) -> Option<Self> {
        let file_name = file_name.trim();
        if file_name.is_empty() {
            return None;
        }
        Some(Self::from_package_url(file_name).unwrap_or_else(|| Self::bare(file_name, package)))
    }

    fn bare(file_name: &str, package: Option<&str>) -> Self {
        let packaging = package.and_then(Packaging::parse);
        let public = packaging.as_ref().is_some_and(Packaging::has_default_registry);
        let joined = if public { join_segments(file_name.split('/').map(str::to_owned)) } else { String::new() };
        let (registry, text) =
            if joined.is_empty() { (Registry::Unstated, file_name.into()) } else { (Registry::Public, joined.into()) };
        Self { packaging, registry, text, qualifiers: Box::default() }
    }

    fn from_package_url(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("pkg:")?.trim_start_matches('/');
        let rest = rest.split('#').next()?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (kind, path) = path.split_once('/')?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".+-".contains(&byte);
        let packaging = Packaging::parse(kind).filter(|packaging| packaging.as_str().bytes().all(plain))?;
        let segments: Option<Vec<String>> = without_version(path).split('/').map(percent::decode).collect();
        let name = join_segments(segments?.into_iter().map(|segment| segment.trim().to_owned()));
        if name.is_empty() {
            return None;
        }
        let (registry, qualifiers) = read_qualifiers(query)?;
        Some(Self { packaging: Some(packaging), registry, text: name.into(), qualifiers: qualifiers.into() })
    }

    /// Namespace and name as a person reads them: `serde`, `@scope/name`, `debian/openssl`.
    pub fn shown(&self) -> &str {
        &self.text
    }

    /// How the component is packed, if the name or its Package says so.
    pub fn packaging(&self) -> Option<&Packaging> {
        self.packaging.as_ref()
    }

    /// Whether both name the same component, as far as they say. Packaging counts only if both state it, qualifiers
    /// other than the registry likewise.
    pub fn same(&self, other: &Self) -> bool {
        let packaging = match (&self.packaging, &other.packaging) {
            (Some(own), Some(its)) if own != its => return false,
            (own, its) => own.as_ref().or(its.as_ref()),
        };
        self.registry_meets(other)
            && texts_equal(&self.text, &other.text, packaging)
            && self.qualifiers.iter().all(|(key, own)| other.qualifier(key).is_none_or(|its| **own == *its))
    }

    fn registry_meets(&self, other: &Self) -> bool {
        let open = |bare: &Self, public: &Self| {
            bare.registry == Registry::Unstated
                && bare.packaging.is_none()
                && public.registry == Registry::Public
                && public.packaging.as_ref().is_some_and(Packaging::has_default_registry)
        };
        self.registry == other.registry || open(self, other) || open(other, self)
    }

    fn qualifier(&self, key: &str) -> Option<&str> {
        self.qualifiers.iter().find(|(own, _)| **own == *key).map(|(_, value)| &**value)
    }

    /// What all names that can be the [`same`](Self::same) have in common: the key of indexes.
    pub fn folded(&self) -> Box<str> {
        self.folded_chars().collect::<String>().into()
    }

    /// The order of [`folded`](Self::folded) texts, without making them.
    pub(crate) fn cmp_folded(&self, other: &Self) -> Ordering {
        self.folded_chars().cmp(other.folded_chars())
    }

    fn folded_chars(&self) -> impl Iterator<Item = char> {
        fold(&self.text)
    }
}

impl fmt::Display for Name {
    /// The form that reads back to an equal name: a package URL where the registry is known, the bare name else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(packaging), false) = (&self.packaging, self.registry == Registry::Unstated) else {
            return f.write_str(&self.text);
        };
        write!(f, "pkg:{}", packaging.as_str())?;
        self.text.split('/').try_for_each(|segment| write!(f, "/{}", percent::encode(segment)))?;
        let own = match &self.registry {
            Registry::Own(text) => text.split_once('='),
            Registry::Unstated | Registry::Public => None,
        };
        let mut pairs: Vec<(&str, &str)> = self.qualifiers.iter().map(|(key, value)| (&**key, &**value)).collect();
        pairs.extend(own);
        pairs.sort_unstable();
        pairs.iter().enumerate().try_for_each(|(at, (key, value))| {
            write!(f, "{}{}={}", if at == 0 { '?' } else { '&' }, percent::encode(key), percent::encode(value))
        })
    }
}

/// The path without `@version`; an `@` that opens a segment is a scope.
fn without_version(path: &str) -> &str {
    match path.rfind('@') {
        Some(at) if at > 0 && path.as_bytes()[at - 1] != b'/' => &path[..at],
        _ => path,
    }
}

fn join_segments(segments: impl Iterator<Item = String>) -> String {
    // A segment may hold an encoded slash; splitting again keeps one form for one name.
    let joined = segments.collect::<Vec<_>>().join("/");
    joined.split('/').map(str::trim).filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/")
}

type Qualifiers = Vec<(Box<str>, Box<str>)>;

fn read_qualifiers(query: &str) -> Option<(Registry, Qualifiers)> {
    let mut registry = Registry::Public;
    let mut qualifiers = Qualifiers::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=')?;
        let (key, value) = (percent::decode(key)?.to_ascii_lowercase(), percent::decode(value)?);
        match key.as_str() {
            _ if value.is_empty() => {}
            "repository_url" | "vcs_url" => registry = Registry::Own(format!("{key}={value}").into()),
            // They say where one copy of the bytes is, not what the component is.
            "checksum" | "download_url" | "file_name" => {}
            _ => qualifiers.push((key.into(), value.into())),
        }
    }
    qualifiers.sort_unstable();
    qualifiers.dedup_by(|later, earlier| later.0 == earlier.0);
    Some((registry, qualifiers))
}

/// Compares as the packaging's registry does. Each rule must imply equal [`fold`]s, or indexes lose matches.
fn texts_equal(left: &str, right: &str, packaging: Option<&Packaging>) -> bool {
    match packaging {
        // crates.io registers one name for all its spellings with `-`, `_` and letters of either case.
        Some(Packaging::Cargo) => {
            let plain = |byte: u8| if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
            left.len() == right.len() && left.bytes().map(plain).eq(right.bytes().map(plain))
        }
        Some(Packaging::Pypi) => fold(left).eq(fold(right)),
        Some(Packaging::Npm | Packaging::Other(_)) | None => left == right,
    }
}

/// Lower case, and each run of `-`, `_`, `.` as one `-` (the rule of PyPI, which is the widest).
fn fold(text: &str) -> impl Iterator<Item = char> {
    let separator = |c: char| matches!(c, '-' | '_' | '.');
    let mut after_separator = false;
    text.chars().filter_map(move |c| {
        let repeated = separator(c) && after_separator;
        after_separator = separator(c);
        if repeated { None } else { Some(if separator(c) { '-' } else { c.to_ascii_lowercase() }) }
    })
}

#[cfg(test)]
mod tests;
