//! CVSS 3.0 and 3.1 vectors and their base scores (X.1521). Versions 2 and 4 are kept and shown as text.
//!
//! The formula is computed in `f64` from constants of at most four decimals; the only step that could turn a rounding
//! error into a wrong tenth is the round-up, which therefore drops what lies below a hundred-thousandth first, as
//! version 3.1 prescribes.

use std::fmt;
use std::str::FromStr;

/// A readable vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cvss3 {
    minor: u8,
    /// Metrics and values as they stood, in their order.
    metrics: Vec<(Box<str>, char)>,
}

/// Why a text is no CVSS 3 vector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CvssError {
    /// The prefix is not `CVSS:3.0/` or `CVSS:3.1/`.
    #[error("not a CVSS 3.0 or 3.1 vector")]
    Prefix,
    /// No such metric, or no such value of it.
    #[error("{0:?} is no metric with its value")]
    Metric(String),
    /// A metric stands twice.
    #[error("metric {0} stands twice")]
    Twice(String),
    /// A base metric is not there.
    #[error("metric {0} is missing")]
    Missing(&'static str),
}

const BASE: [&str; 8] = ["AV", "AC", "PR", "UI", "S", "C", "I", "A"];

/// Every metric with its values.
const METRICS: [(&str, &str); 22] = [
    ("AV", "NALP"),
    ("AC", "LH"),
    ("PR", "NLH"),
    ("UI", "NR"),
    ("S", "UC"),
    ("C", "NLH"),
    ("I", "NLH"),
    ("A", "NLH"),
    ("E", "XUPFH"),
    ("RL", "XOTWU"),
    ("RC", "XURC"),
    ("CR", "XLMH"),
    ("IR", "XLMH"),
    ("AR", "XLMH"),
    ("MAV", "XNALP"),
    ("MAC", "XLH"),
    ("MPR", "XNLH"),
    ("MUI", "XNR"),
    ("MS", "XUC"),
    ("MC", "XNLH"),
    ("MI", "XNLH"),
    ("MA", "XNLH"),
];

impl FromStr for Cvss3 {
    type Err = CvssError;

    fn from_str(text: &str) -> Result<Self, CvssError> {
        let (minor, rest) = match text.trim().split_once('/') {
            Some(("CVSS:3.0", rest)) => (0, rest),
            Some(("CVSS:3.1", rest)) => (1, rest),
            _ => return Err(CvssError::Prefix),
        };
        let mut metrics: Vec<(Box<str>, char)> = Vec::with_capacity(BASE.len());
        for part in rest.trim_end_matches('/').split('/') {
            let (metric, value) = metric(part).ok_or_else(|| CvssError::Metric(part.to_owned()))?;
            if metrics.iter().any(|(earlier, _)| **earlier == *metric) {
                return Err(CvssError::Twice(metric.to_owned()));
            }
            metrics.push((metric.into(), value));
        }
        let vector = Self { minor, metrics };
        match BASE.iter().find(|metric| vector.value(metric).is_none()) {
            Some(missing) => Err(CvssError::Missing(missing)),
            None => Ok(vector),
        }
    }
}

fn metric(part: &str) -> Option<(&'static str, char)> {
    let (name, value) = part.split_once(':')?;
    let (name, values) = METRICS.iter().find(|(metric, _)| *metric == name)?;
    let mut letters = value.chars();
    let (letter, None) = (letters.next()?, letters.next()) else { return None };
    values.contains(letter).then_some((*name, letter))
}

impl fmt::Display for Cvss3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CVSS:3.{}", self.minor)?;
        self.metrics.iter().try_for_each(|(metric, value)| write!(f, "/{metric}:{value}"))
    }
}

impl Cvss3 {
    /// The base score in tenths, 0 to 100.
    pub fn base_tenths(&self) -> u8 {
        let is = |metric: &str| self.value(metric).unwrap_or_default();
        let changed = is("S") == 'C';
        let loss = 1.0 - ["C", "I", "A"].iter().map(|metric| 1.0 - impact_weight(is(metric))).product::<f64>();
        let impact = if changed { 7.52 * (loss - 0.029) - 3.25 * (loss - 0.02).powi(15) } else { 6.42 * loss };
        if impact <= 0.0 {
            return 0;
        }
        let exploitability = 8.22
            * attack_vector_weight(is("AV"))
            * if is("AC") == 'L' { 0.77 } else { 0.44 }
            * privileges_weight(is("PR"), changed)
            * if is("UI") == 'N' { 0.85 } else { 0.62 };
        let sum = impact + exploitability;
        rounded_up(if changed { 1.08 * sum } else { sum }.min(10.0))
    }

    fn value(&self, metric: &str) -> Option<char> {
        self.metrics.iter().find(|(own, _)| **own == *metric).map(|(_, value)| *value)
    }
}

fn impact_weight(value: char) -> f64 {
    match value {
        'H' => 0.56,
        'L' => 0.22,
        _ => 0.0,
    }
}

fn attack_vector_weight(value: char) -> f64 {
    match value {
        'N' => 0.85,
        'A' => 0.62,
        'L' => 0.55,
        _ => 0.2,
    }
}

fn privileges_weight(value: char, changed: bool) -> f64 {
    match (value, changed) {
        ('N', _) => 0.85,
        ('L', true) => 0.68,
        ('L', false) => 0.62,
        (_, true) => 0.5,
        (_, false) => 0.27,
    }
}

/// The smallest number of tenths that is not below the score.
fn rounded_up(score: f64) -> u8 {
    let tenths = ((score * 100_000.0).round() / 10_000.0).ceil();
    // A score is between 0 and 10.
    tenths as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenths(text: &str) -> u8 {
        text.parse::<Cvss3>().unwrap().base_tenths()
    }

    // X.1521 row V-4: exact to one decimal.
    #[test]
    fn v4_base_scores_are_exact() {
        assert_eq!(tenths("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), 98);
        assert_eq!(tenths("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"), 61);
        assert_eq!(tenths("CVSS:3.0/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"), 0);
        assert_eq!(tenths("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H"), 100);
    }

    // X.1521 row V-1: every metric value is read and printed.
    #[test]
    fn v1_every_metric_value_reads_and_prints() {
        for (metric, values) in METRICS {
            for value in values.chars() {
                let parts = BASE.iter().map(|base| {
                    format!("{base}:{}", METRICS.iter().find(|m| m.0 == *base).unwrap().1.chars().next().unwrap())
                });
                let mut parts: Vec<String> = parts.filter(|part| !part.starts_with(&format!("{metric}:"))).collect();
                parts.push(format!("{metric}:{value}"));
                let text = format!("CVSS:3.1/{}", parts.join("/"));
                assert_eq!(text.parse::<Cvss3>().map(|vector| vector.to_string()), Ok(text));
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "AV:N/AC:L/Au:N/C:N/I:N/A:C",
            "CVSS:4.0/AV:N",
            "CVSS:3.1/AV:N",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:X",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:HH",
            "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/A:H",
        ] {
            assert!(text.parse::<Cvss3>().is_err(), "{text}");
        }
    }

    // Published vectors with their scores; the first of the three is the base score.
    #[test]
    fn v4_base_scores_agree_with_the_oracle() {
        let Some(data) = std::env::var_os("DISTRIBUTARY_TEST_DATA") else {
            assert!(std::env::var_os("CI").is_none(), "DISTRIBUTARY_TEST_DATA is not set");
            eprintln!("not run: DISTRIBUTARY_TEST_DATA is not set");
            return;
        };
        let mut checked = 0;
        for file in ["vectors_simple3", "vectors_simple31", "vectors_calculator3", "vectors_cvsslib3"] {
            let path = std::path::Path::new(&data).join("scoring/cvss").join(file);
            for line in std::fs::read_to_string(path).unwrap().lines() {
                let (vector, scores) = line.split_once(" - (").unwrap();
                let expected = scores.split(',').next().unwrap();
                let tenths = tenths(vector);
                assert_eq!(format!("{}.{}", tenths / 10, tenths % 10), expected, "{vector}");
                checked += 1;
            }
        }
        assert!(checked > 5_000, "{checked}");
    }
}
