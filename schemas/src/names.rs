//! Names on the wire, and the spellings in which they occur (schema-notes N1 to N7).

use std::borrow::Cow;

/// The core namespace as the undamaged language versions print it (N1).
pub const CORE: &str = "http://www.itu.int//xml-namespace/itu-t/x.1206/CORE/";
/// The version namespace (N1).
pub const VERSION: &str = "http://www.itu.int//xml-namespace/itu-t/x.1206/CORE/MESSAGE/VERSION/";
/// The core namespace as the English version prints it.
pub const CORE_SINGLE: &str = "http://www.itu.int/xml-namespace/itu-t/x.1206/CORE/";
/// The version namespace with a single slash.
pub const VERSION_SINGLE: &str = "http://www.itu.int/xml-namespace/itu-t/x.1206/CORE/MESSAGE/VERSION/";
/// XML Signature.
pub const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// XML Schema instance (`xsi:type`).
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// How an author spells the namespaces, and how he is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spelling {
    /// Double slash; also the answer to damaged spellings (N3 to N5).
    #[default]
    Double,
    /// Single slash (N1).
    Single,
}

impl Spelling {
    /// The core namespace in this spelling.
    pub fn core(self) -> &'static str {
        match self {
            Self::Double => CORE,
            Self::Single => CORE_SINGLE,
        }
    }

    /// The version namespace in this spelling.
    pub fn version(self) -> &'static str {
        match self {
            Self::Double => VERSION,
            Self::Single => VERSION_SINGLE,
        }
    }
}

/// What a namespace name means to an X.1206 reader, in whatever spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// No namespace at all.
    Unqualified,
    /// The core schema (11.1).
    Core,
    /// The version schema (11.2).
    Version,
    /// XML Signature.
    Dsig,
    /// XML Schema instance.
    Xsi,
    /// Anything else: another message set, or content of one.
    Other,
}

impl Place {
    /// Classifies a namespace name, after [`norm`].
    pub fn of(namespace: &str) -> Self {
        match norm(namespace).as_ref() {
            "" => Self::Unqualified,
            CORE => Self::Core,
            VERSION => Self::Version,
            DSIG => Self::Dsig,
            XSI => Self::Xsi,
            _ => Self::Other,
        }
    }
}

/// Brings every accepted spelling of the two namespaces into the canonical one (N1 to N5); other names stay as they
/// are, for blanks and slashes in them are somebody else's.
pub fn norm(namespace: &str) -> Cow<'_, str> {
    if matches!(namespace, CORE | VERSION | DSIG | XSI) {
        return Cow::Borrowed(namespace);
    }
    match repaired(namespace).as_deref() {
        Some(CORE) => Cow::Borrowed(CORE),
        Some(VERSION) => Cow::Borrowed(VERSION),
        _ => Cow::Borrowed(namespace),
    }
}

/// The spelling in which to answer an author who writes this core or version namespace: single slash only to whom
/// writes it undamaged, blanks aside (N1 to N4).
pub fn spelling_of(namespace: &str) -> Spelling {
    match without_blanks(namespace).as_ref() {
        CORE_SINGLE | VERSION_SINGLE => Spelling::Single,
        _ => Spelling::Double,
    }
}

fn repaired(namespace: &str) -> Option<String> {
    // Longer than any spelling with a sensible number of blanks and slashes: not worth the copy.
    const BYTES_MAX: usize = 512;
    if namespace.len() > BYTES_MAX {
        return None;
    }
    let plain = without_blanks(namespace);
    if matches!(plain.as_ref(), "http://www.example.com/CORE" | "http://www.example.com/CORE/") {
        return Some(CORE.to_owned());
    }
    let rest = plain.strip_prefix("http://www.itu.int/")?.trim_start_matches('/');
    let rest = rest.replace("xml-namespact", "xml-namespace");
    let slash = if rest.ends_with('/') { "" } else { "/" };
    Some(format!("http://www.itu.int//{rest}{slash}"))
}

fn without_blanks(text: &str) -> Cow<'_, str> {
    const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];
    if text.contains(BLANKS) { Cow::Owned(text.replace(BLANKS, "")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R-11.1-4: the listed spellings.
    #[test]
    fn c11_1_every_listed_spelling_becomes_canonical() {
        for (name, place, spelling) in [
            (CORE, Place::Core, Spelling::Double),
            (CORE_SINGLE, Place::Core, Spelling::Single),
            (" http://www.itu.int//xml-namespace/itu-t/x.1206/CORE/", Place::Core, Spelling::Double),
            ("http://www.itu.int//xml-namespace/itu-\n t/x.1206/CORE/", Place::Core, Spelling::Double),
            ("http://www.itu.int/xml-namespact/itu-t/x.1206/CORE/", Place::Core, Spelling::Double),
            ("http://www.itu.int////xml-namespace/itu-t/x.1206/CORE", Place::Core, Spelling::Double),
            ("http://www.example.com/CORE", Place::Core, Spelling::Double),
            ("http://www.example.com/CORE/", Place::Core, Spelling::Double),
            (VERSION, Place::Version, Spelling::Double),
            (VERSION_SINGLE, Place::Version, Spelling::Single),
            (" http://www.itu.int/xml-namespace/itu-t/x.1206/CORE/MESSAGE/VERSION/ ", Place::Version, Spelling::Single),
            ("http://www.itu.int/xml-namespact/itu-t/x.1206/CORE/MESSAGE/VERSION", Place::Version, Spelling::Double),
        ] {
            assert_eq!((Place::of(name), spelling_of(name)), (place, spelling), "{name}");
        }
    }

    #[test]
    fn other_names_stay_as_they_are() {
        for name in ["", DSIG, XSI, "urn:x", " urn:x", "http://www.itu.int//xml-namespace/itu-t/x.1207/CORE/"] {
            assert_eq!(norm(name), name);
        }
        assert_eq!(Place::of("http://www.itu.int/other"), Place::Other);
        assert_eq!(Place::of(""), Place::Unqualified);
        assert_eq!(Place::of(&"x".repeat(100_000)), Place::Other);
    }
}
