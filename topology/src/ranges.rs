//! Sets of cargo versions as intervals in SemVer's total order, prereleases included.
//!
//! A requirement's `matches` skips prereleases that it does not name; an advisory's range does not. Here every
//! version has its place: `1.0.0-alpha` lies in `<1.0.0`. Between neighbours such as `1.2.3` and `1.2.4-0` lies
//! nothing, yet the open interval between them is kept as written: sets that hold the same versions may differ.

use std::fmt;

/// A version in cargo's notation, compared by SemVer precedence. Build metadata is dropped, since it has none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CargoVersion(semver::Version);

impl CargoVersion {
    /// Reads cargo's notation; blanks outside are trimmed. `None` if the text is no SemVer version.
    pub fn parse(text: &str) -> Option<Self> {
        semver::Version::parse(text.trim()).ok().map(Self::from)
    }
}

impl From<semver::Version> for CargoVersion {
    fn from(mut version: semver::Version) -> Self {
        version.build = semver::BuildMetadata::EMPTY;
        Self(version)
    }
}

impl fmt::Display for CargoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place between versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// Below all versions.
    Start,
    /// Beside one version.
    At(CargoVersion, Side),
    /// Above all versions.
    End,
}

/// On which side of its version a cut lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Just below it.
    Before,
    /// Just above it.
    After,
}

impl Cut {
    /// Just below the version: where `>=` begins and `<` ends.
    pub fn before(version: CargoVersion) -> Self {
        Self::At(version, Side::Before)
    }

    /// Just above the version: where `>` begins and `<=` ends.
    pub fn after(version: CargoVersion) -> Self {
        Self::At(version, Side::After)
    }
}

/// A set of versions: intervals between two cuts each, ascending, neither overlapping nor touching.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ranges {
    intervals: Vec<(Cut, Cut)>,
}

impl Ranges {
    /// No version.
    pub fn none() -> Self {
        Self::default()
    }

    /// Every version.
    pub fn all() -> Self {
        Self { intervals: vec![(Cut::Start, Cut::End)] }
    }

    /// What lies between two cuts; nothing if they are not in ascending order.
    pub fn between(low: Cut, high: Cut) -> Self {
        Self { intervals: if low < high { vec![(low, high)] } else { Vec::new() } }
    }

    /// What lies between any of these pairs of cuts: sorted and merged once, so n log n in their number.
    pub fn from_intervals(mut intervals: Vec<(Cut, Cut)>) -> Self {
        intervals.retain(|(low, high)| low < high);
        intervals.sort_unstable();
        intervals.dedup_by(|(low, high), (_, end)| {
            let joined = *low <= *end;
            if joined && *high > *end {
                std::mem::swap(high, end);
            }
            joined
        });
        Self { intervals }
    }

    /// Exactly this version.
    pub fn one(version: CargoVersion) -> Self {
        Self::between(Cut::before(version.clone()), Cut::after(version))
    }

    /// The intervals, ascending.
    pub fn intervals(&self) -> &[(Cut, Cut)] {
        &self.intervals
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.intervals.is_empty()
    }

    /// Whether the version is in the set. Logarithmic in the number of intervals.
    pub fn contains(&self, version: &CargoVersion) -> bool {
        let above = |low: &Cut| match low {
            Cut::Start => false,
            Cut::At(at, Side::Before) => at > version,
            Cut::At(at, Side::After) => at >= version,
            Cut::End => true,
        };
        let begun = self.intervals.partition_point(|(low, _)| !above(low));
        begun.checked_sub(1).is_some_and(|last| match &self.intervals[last].1 {
            Cut::Start => false,
            Cut::At(at, Side::Before) => version < at,
            Cut::At(at, Side::After) => version <= at,
            Cut::End => true,
        })
    }

    /// What is in either set.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.intervals.extend(other.intervals);
        Self::from_intervals(self.intervals)
    }

    /// What is not in the set.
    #[must_use]
    pub fn complement(self) -> Self {
        let mut gaps = Vec::with_capacity(self.intervals.len() + 1);
        let mut from = Cut::Start;
        for (low, high) in self.intervals {
            if from < low {
                gaps.push((from, low));
            }
            from = high;
        }
        if from < Cut::End {
            gaps.push((from, Cut::End));
        }
        Self { intervals: gaps }
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        self.complement().union(other.complement()).complement()
    }

    /// Whether the sets share an interval.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (mut own, mut its) = (self.intervals.as_slice(), other.intervals.as_slice());
        while let ([(low, high), own_rest @ ..], [(its_low, its_high), its_rest @ ..]) = (own, its) {
            if low < its_high && its_low < high {
                return true;
            }
            if high <= its_high { own = own_rest } else { its = its_rest }
        }
        false
    }
}

#[cfg(test)]
pub(crate) mod tests;
