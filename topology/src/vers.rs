//! VERS: ranges of versions as text, `vers:<scheme>/<comparators>`.
//!
//! Order comparators (`<`, `>=` …) need a scheme whose order is known; here that is `cargo`. In any other scheme a list
//! of single versions, a list of excluded ones, or `*` can be read, compared as exact text. Printing gives the
//! canonical form: ascending, each version once, a single excluded version as `!=`, versions percent-encoded.

use std::collections::BTreeSet;
use std::fmt;

use crate::percent;
use crate::ranges::{CargoVersion, Cut, Ranges, Side};

/// More comparators than any real range has; the bound keeps one comparison short.
pub const COMPARATORS_MAX: usize = 1024;

/// A readable range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vers {
    /// `vers:none/*`: no version of anything.
    Nothing,
    /// `vers:<scheme>/*`: every version, also one that is not in the scheme's notation.
    All(Box<str>),
    /// Intervals of cargo versions, neither none nor all.
    Cargo(Ranges),
    /// Single versions of another scheme.
    Listed(Listed),
}

/// Single versions of a scheme without known order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The scheme, in lower case.
    pub scheme: Box<str>,
    /// Whether the versions are left out (`!=`) of all, or are all there is.
    pub excluded: bool,
    /// The versions, decoded.
    pub versions: BTreeSet<Box<str>>,
}

/// Why a text is no range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersError {
    /// Not `vers:<scheme>/<comparators>`.
    #[error("not of the form vers:<scheme>/<comparators>")]
    Form,
    /// A version is empty, not in the scheme's notation, or badly encoded.
    #[error("{0:?} is no version of this scheme")]
    Version(String),
    /// A version occurs twice.
    #[error("version {0:?} occurs twice")]
    Twice(String),
    /// Single and excluded versions without an order comparator: what they mean together is not defined.
    #[error("single versions beside excluded ones say nothing")]
    Contradiction,
    /// `<` or `>` in a scheme whose order is not known here.
    #[error("the order of scheme {0:?} is not known")]
    Unordered(String),
    /// Over [`COMPARATORS_MAX`].
    #[error("more than {COMPARATORS_MAX} comparators")]
    TooMany,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparator {
    /// Splits the comparator off; none means equal.
    fn split(text: &str) -> (Self, &str) {
        const WRITTEN: [(&str, Comparator); 6] = [
            ("!=", Comparator::NotEqual),
            ("<=", Comparator::LessOrEqual),
            (">=", Comparator::GreaterOrEqual),
            ("<", Comparator::Less),
            (">", Comparator::Greater),
            ("=", Comparator::Equal),
        ];
        let found = WRITTEN.iter().find_map(|(sign, comparator)| Some((*comparator, text.strip_prefix(sign)?)));
        found.unwrap_or((Self::Equal, text))
    }
}

impl Vers {
    /// The range of these cargo versions.
    pub fn of(ranges: Ranges) -> Self {
        if ranges.is_empty() {
            Self::Nothing
        } else if ranges == Ranges::all() {
            Self::All("cargo".into())
        } else {
            Self::Cargo(ranges)
        }
    }

    /// Whether the text claims to be in this notation.
    pub fn is_claimed(text: &str) -> bool {
        text.trim_start().get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("vers:"))
    }

    /// Reads a range. Comparators may stand in any order; blanks do not count.
    pub fn parse(text: &str) -> Result<Self, VersError> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if !Self::is_claimed(&text) {
            return Err(VersError::Form);
        }
        let (scheme, constraints) = text[5..].split_once('/').ok_or(VersError::Form)?;
        let scheme = scheme.to_ascii_lowercase();
        if !scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+_".contains(&byte)) || scheme.is_empty() {
            return Err(VersError::Form);
        }
        match (scheme.as_str(), constraints.trim_matches('|')) {
            ("none", "*") => Ok(Self::Nothing),
            ("none", _) | (_, "") => Err(VersError::Form),
            ("all", "*") | (_, "*") => Ok(Self::All(scheme.into())),
            ("cargo", constraints) => cargo(&split(constraints)?).map(Self::of),
            (_, constraints) => listed(&scheme, &split(constraints)?).map(Self::Listed),
        }
    }
}

fn split(constraints: &str) -> Result<Vec<(Comparator, String)>, VersError> {
    if constraints.split('|').nth(COMPARATORS_MAX).is_some() {
        return Err(VersError::TooMany);
    }
    constraints
        .split('|')
        .map(|constraint| {
            let (comparator, version) = Comparator::split(constraint);
            let decoded = percent::decode(version).filter(|version| !version.is_empty());
            Ok((comparator, decoded.ok_or_else(|| VersError::Version(version.to_owned()))?))
        })
        .collect()
}

fn cargo(constraints: &[(Comparator, String)]) -> Result<Ranges, VersError> {
    let mut read = Vec::with_capacity(constraints.len());
    for (comparator, text) in constraints {
        read.push((CargoVersion::parse(text).ok_or_else(|| VersError::Version(text.clone()))?, *comparator));
    }
    read.sort_by(|left, right| left.0.cmp(&right.0));
    if let Some(pair) = read.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(VersError::Twice(pair[0].0.to_string()));
    }
    let has = |wanted: Comparator| read.iter().any(|(_, comparator)| *comparator == wanted);
    let ordered = read.iter().any(|(_, comparator)| !matches!(comparator, Comparator::Equal | Comparator::NotEqual));
    if !ordered && has(Comparator::Equal) && has(Comparator::NotEqual) {
        return Err(VersError::Contradiction);
    }
    let mut within =
        if !ordered && has(Comparator::NotEqual) { vec![(Cut::Start, Cut::End)] } else { intervals(&read) };
    within.extend(points(&read, Comparator::Equal));
    let without = Ranges::from_intervals(points(&read, Comparator::NotEqual).collect());
    Ok(Ranges::from_intervals(within).intersection(without.complement()))
}

/// The single versions behind one comparator.
fn points(read: &[(CargoVersion, Comparator)], wanted: Comparator) -> impl Iterator<Item = (Cut, Cut)> {
    let chosen = read.iter().filter(move |(_, comparator)| *comparator == wanted);
    chosen.map(|(version, _)| (Cut::before(version.clone()), Cut::after(version.clone())))
}

/// The order comparators alone, ascending. Of two lower bounds in a row the first counts, of two upper ones the last.
fn intervals(ascending: &[(CargoVersion, Comparator)]) -> Vec<(Cut, Cut)> {
    let mut found = Vec::new();
    let mut low = Some(Cut::Start);
    let mut pending: Option<(Cut, Cut)> = None;
    for (version, comparator) in ascending {
        match comparator {
            Comparator::Equal | Comparator::NotEqual => {}
            Comparator::Greater | Comparator::GreaterOrEqual => {
                if let Some(interval) = pending.take() {
                    found.push(interval);
                    low = None;
                }
                let inclusive = *comparator == Comparator::GreaterOrEqual;
                let cut = if inclusive { Cut::before(version.clone()) } else { Cut::after(version.clone()) };
                // The start of the line is only a bound if an upper one comes first.
                low = low.filter(|low| *low != Cut::Start).or(Some(cut));
            }
            Comparator::Less | Comparator::LessOrEqual => {
                let inclusive = *comparator == Comparator::LessOrEqual;
                let cut = if inclusive { Cut::after(version.clone()) } else { Cut::before(version.clone()) };
                let from = low.take().or_else(|| pending.take().map(|(from, _)| from));
                pending = from.map(|from| (from, cut));
            }
        }
    }
    let open = low.filter(|low| *low != Cut::Start).map(|low| (low, Cut::End));
    found.extend(pending.into_iter().chain(open));
    found
}

fn listed(scheme: &str, constraints: &[(Comparator, String)]) -> Result<Listed, VersError> {
    let excluded = matches!(constraints, [(Comparator::NotEqual, _), ..]);
    let mut versions = BTreeSet::new();
    for (comparator, version) in constraints {
        match comparator {
            Comparator::Equal | Comparator::NotEqual if (*comparator == Comparator::NotEqual) != excluded => {
                return Err(VersError::Contradiction);
            }
            Comparator::Equal | Comparator::NotEqual => {
                if !versions.insert(version.as_str().into()) {
                    return Err(VersError::Twice(version.clone()));
                }
            }
            Comparator::Less | Comparator::LessOrEqual | Comparator::Greater | Comparator::GreaterOrEqual => {
                return Err(VersError::Unordered(scheme.to_owned()));
            }
        }
    }
    Ok(Listed { scheme: scheme.into(), excluded, versions })
}

impl fmt::Display for Vers {
    /// The canonical form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("vers:none/*"),
            Self::All(scheme) => write!(f, "vers:{scheme}/*"),
            Self::Cargo(ranges) => write!(f, "vers:cargo/{}", comparators(ranges).join("|")),
            Self::Listed(Listed { scheme, excluded, versions }) => {
                let sign = if *excluded { "!=" } else { "" };
                let texts: Vec<_> =
                    versions.iter().map(|version| format!("{sign}{}", percent::encode(version))).collect();
                write!(f, "vers:{scheme}/{}", texts.join("|"))
            }
        }
    }
}

fn comparators(ranges: &Ranges) -> Vec<String> {
    let mut texts = Vec::new();
    let mut write = |sign: &str, version: &CargoVersion| {
        texts.push(format!("{sign}{}", percent::encode(&version.to_string())));
    };
    let intervals = ranges.intervals();
    for (at, (low, high)) in intervals.iter().enumerate() {
        let before = at.checked_sub(1).map(|previous| &intervals[previous].1);
        match (low, high) {
            (Cut::At(low, Side::Before), Cut::At(high, Side::After)) if low == high => {
                write("", low);
                continue;
            }
            // The hole between this interval and the one before was written with that one.
            (Cut::At(hole, Side::After), _) if before == Some(&Cut::before(hole.clone())) => {}
            (Cut::At(low, Side::Before), _) => write(">=", low),
            (Cut::At(low, Side::After), _) => write(">", low),
            (Cut::Start | Cut::End, _) => {}
        }
        let next = intervals.get(at + 1).map(|(low, _)| low);
        match high {
            Cut::At(hole, Side::Before) if next == Some(&Cut::after(hole.clone())) => write("!=", hole),
            Cut::At(high, Side::Before) => write("<", high),
            Cut::At(high, Side::After) => write("<=", high),
            Cut::Start | Cut::End => {}
        }
    }
    texts
}

#[cfg(test)]
mod tests;
