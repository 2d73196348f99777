//! Names on the wire, and the spellings in which they occur (schema-notes N1 to N7).

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
