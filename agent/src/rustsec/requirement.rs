//! From cargo's requirements to intervals.
//!
//! What cargo-audit reports decides in doubt, so an absent minor or patch number is 0 in every bound, also in `>0.25` and
//! `<=0.36`; the upper bound of `^` and `~` is the lowest prerelease of the next version.

use semver::{Comparator, Op, Prerelease, Version, VersionReq};
use topology::ranges::{CargoVersion, Cut, Ranges};

/// The versions that meet none of the requirements. Each comes with its byte in the document, for an error.
pub(super) fn affected(requirements: &[(usize, VersionReq)]) -> Result<Ranges, (usize, String)> {
    let mut safe = Ranges::none();
    for (at, requirement) in requirements {
        let met = requirement
            .comparators
            .iter()
            .try_fold(Ranges::all(), |met, comparator| Some(met.intersection(interval(comparator)?)));
        let met = met.ok_or_else(|| (*at, format!("{requirement} is not supported")))?;
        if met.is_empty() {
            return Err((*at, format!("no version meets {requirement}")));
        }
        safe = safe.union(met);
    }
    Ok(safe.complement())
}

/// `None` for an operator that advisories do not use, or a number at its limit.
fn interval(comparator: &Comparator) -> Option<Ranges> {
    let low = CargoVersion::from(Version {
        pre: comparator.pre.clone(),
        ..Version::new(comparator.major, comparator.minor.unwrap_or(0), comparator.patch.unwrap_or(0))
    });
    let up_to = |next: Version| Ranges::between(Cut::before(low.clone()), Cut::before(lowest(next)));
    Some(match comparator.op {
        Op::Exact => Ranges::one(low),
        Op::Greater => Ranges::between(Cut::after(low), Cut::End),
        Op::GreaterEq => Ranges::between(Cut::before(low), Cut::End),
        Op::Less => Ranges::between(Cut::Start, Cut::before(low)),
        Op::LessEq => Ranges::between(Cut::Start, Cut::after(low)),
        Op::Tilde => up_to(match comparator.minor {
            Some(minor) => Version::new(comparator.major, minor.checked_add(1)?, 0),
            None => Version::new(comparator.major.checked_add(1)?, 0, 0),
        }),
        Op::Caret => up_to(match (comparator.major, comparator.minor, comparator.patch) {
            (0, Some(0), Some(patch)) => Version::new(0, 0, patch.checked_add(1)?),
            (0, Some(minor), _) => Version::new(0, minor.checked_add(1)?, 0),
            (major, _, _) => Version::new(major.checked_add(1)?, 0, 0),
        }),
        _ => return None,
    })
}

/// The lowest prerelease of a version.
fn lowest(version: Version) -> CargoVersion {
    CargoVersion::from(Version { pre: Prerelease::new("0").unwrap_or(Prerelease::EMPTY), ..version })
}

#[cfg(test)]
mod tests {
    use super::*;
    use topology::vers::Vers;

    fn check(requirements: &[&str], expected: &str) {
        let read: Vec<_> = requirements.iter().map(|text| (0, VersionReq::parse(text).unwrap())).collect();
        assert_eq!(
            affected(&read).map(|ranges| Vers::of(ranges).to_string()),
            Ok(expected.to_owned()),
            "{requirements:?}"
        );
    }

    #[test]
    fn affected_is_what_meets_no_requirement() {
        check(&[], "vers:cargo/*");
        check(&["*"], "vers:none/*");
        check(&[">= 0"], "vers:cargo/<0.0.0");
        check(&["> 0"], "vers:cargo/<=0.0.0");
        check(&[">=1.2.3", "<1.0.0"], "vers:cargo/>=1.0.0|<1.2.3");
        check(&["^1.2.3"], "vers:cargo/<1.2.3|>=2.0.0-0");
        check(&["1.2.3"], "vers:cargo/<1.2.3|>=2.0.0-0");
        check(&["^0.2.3"], "vers:cargo/<0.2.3|>=0.3.0-0");
        check(&["^0.0.3"], "vers:cargo/<0.0.3|>=0.0.4-0");
        check(&["^0.0"], "vers:cargo/<0.0.0|>=0.1.0-0");
        check(&["^0"], "vers:cargo/<0.0.0|>=1.0.0-0");
        check(&["~1.2.3"], "vers:cargo/<1.2.3|>=1.3.0-0");
        check(&["~1"], "vers:cargo/<1.0.0|>=2.0.0-0");
        check(&["<= 0.36"], "vers:cargo/>0.36.0");
        check(&[">= 0.2.23", "= 0.2.0", "= 0.2.6"], "vers:cargo/!=0.2.0|!=0.2.6|<0.2.23");
        check(&["< 2.0.0, >= 1.0.0", ">= 2.0.0-alpha.1"], "vers:cargo/<1.0.0");
    }

    // RUSTSEC-2024-0399 and the like: intervals that touch leave nothing between them.
    #[test]
    fn touching_requirements_leave_no_version_between() {
        check(&[">= 0.23.18", ">= 0.23, < 0.23.13", "< 0.23"], "vers:cargo/>=0.23.13|<0.23.18");
        check(&[">= 1.0.0", "< 1.0.0"], "vers:none/*");
    }

    #[test]
    fn numbers_at_their_limit_do_not_overflow() {
        let limit = format!("^{}", u64::MAX);
        assert!(affected(&[(0, VersionReq::parse(&limit).unwrap())]).is_err());
    }
}
