//! What `Container/Version` says: any version, one, or a range in VERS notation.
//!
//! A version is an opaque text (R-7-3): kept and shown as it stands, equal only to the same text, or in cargo's packaging to a
//! text of the same precedence. Order exists only where a range names its scheme.

use std::cmp::Ordering;
use std::fmt;

use crate::ranges::{CargoVersion, Ranges};
use crate::vers::{Listed, Vers, VersError};

/// The versions that one Container means, on either side of a match. Compared by text.
#[derive(Clone)]
pub struct Versions {
    text: Box<str>,
    meaning: Meaning,
}

#[derive(Clone)]
enum Meaning {
    Any,
    Nothing,
    One(Option<CargoVersion>),
    Cargo(Ranges),
    Listed(Box<Listed>),
    Unreadable(Box<VersError>),
}

impl Versions {
    /// Reads the text of a Version element, blanks trimmed. Never fails: a broken range means nothing and says why.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let meaning = if text.is_empty() {
            Meaning::Any
        } else if Vers::is_claimed(text) {
            match Vers::parse(text) {
                Ok(Vers::Nothing) => Meaning::Nothing,
                Ok(Vers::All(_)) => Meaning::Any,
                Ok(Vers::Cargo(ranges)) => Meaning::Cargo(ranges),
                Ok(Vers::Listed(listed)) => Meaning::Listed(Box::new(listed)),
                Err(error) => Meaning::Unreadable(Box::new(error)),
            }
        } else {
            Meaning::One(CargoVersion::parse(text))
        };
        Self { text: text.into(), meaning }
    }

    /// Every version: the empty text.
    pub fn any() -> Self {
        Self { text: "".into(), meaning: Meaning::Any }
    }

    /// No version: what a withdrawn item applies to.
    pub fn nothing() -> Self {
        Self { text: "vers:none/*".into(), meaning: Meaning::Nothing }
    }

    /// The text, blanks trimmed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether every version is meant, so that a filter without more says nothing.
    pub fn is_any(&self) -> bool {
        matches!(self.meaning, Meaning::Any)
    }

    /// Whether a single version is stated.
    pub fn is_one(&self) -> bool {
        matches!(self.meaning, Meaning::One(_))
    }

    /// Why the text could not be read as the range that it claims to be.
    pub fn fault(&self) -> Option<&VersError> {
        match &self.meaning {
            Meaning::Unreadable(error) => Some(error),
            Meaning::Any | Meaning::Nothing | Meaning::One(_) | Meaning::Cargo(_) | Meaning::Listed(_) => None,
        }
    }

    /// Whether some version is in both. `cargo` says that single versions are in cargo's notation, so that build
    /// metadata does not count. A single version that is no SemVer is in no cargo range but `*`.
    pub fn meets(&self, other: &Self, cargo: bool) -> bool {
        use Meaning::{Any, Cargo, Listed, Nothing, One, Unreadable};
        match (&self.meaning, &other.meaning) {
            (Nothing | Unreadable(_), _) | (_, Nothing | Unreadable(_)) => false,
            (Any, _) | (_, Any) => true,
            (One(own), One(its)) => self.text == other.text || (cargo && own.is_some() && own == its),
            (One(version), Cargo(ranges)) | (Cargo(ranges), One(version)) => {
                version.as_ref().is_some_and(|version| ranges.contains(version))
            }
            (Cargo(own), Cargo(its)) => own.overlaps(its),
            (One(_), Listed(listed)) => listed.versions.contains(&self.text) != listed.excluded,
            (Listed(listed), One(_)) => listed.versions.contains(&other.text) != listed.excluded,
            (Listed(own), Listed(its)) => lists_meet(own, its),
            // Two notations: not compared.
            (Listed(_), Cargo(_)) | (Cargo(_), Listed(_)) => false,
        }
    }

    /// Whether an End that states these versions ends a subscription to `held`: it states none, or the very one. A
    /// subscription without version is wider than an End with one.
    pub(crate) fn ends(&self, held: &Self) -> bool {
        self.is_any() || self == held || (held.is_one() && held.meets(self, true))
    }
}

fn lists_meet(own: &Listed, its: &Listed) -> bool {
    let outside = |list: &Listed, version: &str| list.versions.contains(version) == list.excluded;
    match (own.excluded, its.excluded) {
        (true, true) => true,
        (false, _) => own.versions.iter().any(|version| !outside(its, version)),
        (true, false) => its.versions.iter().any(|version| !outside(own, version)),
    }
}

impl fmt::Display for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Versions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Versions({:?})", self.text)
    }
}

impl Default for Versions {
    fn default() -> Self {
        Self::any()
    }
}

impl PartialEq for Versions {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Versions {}

impl PartialOrd for Versions {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Versions {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(left: &str, right: &str, expected: bool) {
        let (own, its) = (Versions::parse(left), Versions::parse(right));
        assert_eq!(own.meets(&its, true), expected, "{left} and {right}");
        assert_eq!(its.meets(&own, true), expected, "{right} and {left}");
    }

    #[test]
    fn versions_meet_as_they_are_written() {
        check("", "1.0.0", true);
        check("", "", true);
        check("1.0.0", "1.0.0", true);
        check("1.0.0", "1.0.0+build", true);
        check("1.0.0", "1.0.1", false);
        check("1.2.3", "vers:cargo/>=1.0.0|<1.2.4", true);
        check("1.2.4-alpha", "vers:cargo/>=1.0.0|<1.2.4", true);
        check("1.2.4", "vers:cargo/>=1.0.0|<1.2.4", false);
        check("1.2", "vers:cargo/>=1.0.0|<1.2.4", false);
        check("1.2", "vers:cargo/*", true);
        check("2.0", "vers:deb/2.0|3.0", true);
        check("2.0", "vers:deb/!=2.0", false);
        check("vers:deb/1|2", "vers:deb/2|3", true);
        check("vers:deb/1", "vers:deb/!=1", false);
        check("vers:deb/!=1", "vers:deb/!=1", true);
        check("vers:deb/1.0.0", "vers:cargo/<2.0.0", false);
        check("vers:cargo/<1.0.0", "vers:cargo/>=1.0.0", false);
        check("vers:cargo/<=1.0.0", "vers:cargo/>=1.0.0", true);
    }

    #[test]
    fn nothing_and_the_unreadable_meet_nothing() {
        for text in ["vers:none/*", "vers:cargo/broken", "vers:deb/<1"] {
            for other in ["", "1.0.0", "vers:cargo/*", "vers:none/*"] {
                check(text, other, false);
            }
        }
        assert!(Versions::parse("vers:cargo/broken").fault().is_some());
        assert!(Versions::nothing().fault().is_none());
    }

    // R-7-3: opaque text, kept verbatim; without cargo's packaging only the same text is equal.
    #[test]
    fn c7_version_text_is_kept_and_compared_as_it_stands() {
        for text in ["v1", "1.0-beta²", "Ⅳ", "2008 R2", "007"] {
            let versions = Versions::parse(text);
            assert_eq!(versions.as_str(), text);
            assert!(versions.meets(&Versions::parse(text), false));
        }
        assert!(!Versions::parse("007").meets(&Versions::parse("7"), false));
        assert!(!Versions::parse("1.0.0").meets(&Versions::parse("1.0.0+1"), false));
    }

    // The order of SemVer against node-semver's, on version strings that occurred.
    #[test]
    fn order_agrees_with_the_oracle() {
        let Some(data) = std::env::var_os("DISTRIBUTARY_TEST_DATA") else {
            assert!(std::env::var_os("CI").is_none(), "DISTRIBUTARY_TEST_DATA is not set");
            eprintln!("not run: DISTRIBUTARY_TEST_DATA is not set");
            return;
        };
        let path = std::path::Path::new(&data).join("versions/semver-compare.tsv");
        let table = std::fs::read_to_string(path).unwrap();
        let mut compared = 0;
        for line in table.lines() {
            let [left, right, expected] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (Some(left), Some(right)) = (CargoVersion::parse(left), CargoVersion::parse(right)) else { continue };
            assert_eq!((left.cmp(&right) as i8).to_string(), expected, "{line}");
            compared += 1;
        }
        assert!(compared > 400, "{compared} of {}", table.lines().count());
    }
}
