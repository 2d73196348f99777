//! What was measured, as it stands in the file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::Measurement;
use crate::figures::median;
use crate::report::{Cost, IdleCost, Publication};

/// Everything, by what was measured.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Results {
    pub(super) measured: BTreeMap<Measurement, Measured>,
}

/// One measurement.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) circumstances: Circumstances,
    /// Rounds that were begun.
    pub(super) rounds: usize,
    /// Runs that held.
    pub(super) runs: Vec<Run>,
    /// Those that did not.
    pub(super) failures: Vec<Failure>,
}

/// What a reader has to know beside the figures.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Circumstances {
    /// When it began.
    pub(super) time: String,
    /// Of this project.
    pub(super) commit: String,
    /// Processor, cores and kernel.
    pub(super) machine: String,
    /// Whether loads were a fourth.
    pub(super) quick: bool,
}

/// One run that held.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) round: usize,
    pub(super) case: String,
    pub(super) figures: Figures,
}

/// One run that did not, and why.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) round: usize,
    pub(super) case: String,
    pub(super) why: String,
}

/// What is kept of a report; keys are the report's.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) receipts: u64,
    pub(super) seconds: f64,
    pub(super) server: Cost,
    pub(super) idle: IdleCost,
    pub(super) publications: Vec<Publication>,
    /// Bytes that the server's sockets towards clients carried: out, in.
    #[serde(default)]
    pub(super) wire: Option<(u64, u64)>,
}

impl Results {
    /// Those of a file; none, if it is not there.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            read => read.with_context(|| path.display().to_string())?,
        };
        serde_json::from_slice(&bytes).with_context(|| format!("{} is no file of these figures", path.display()))
    }
}

impl Measured {
    /// Nothing yet.
    pub(super) fn under(circumstances: &Circumstances) -> Self {
        Self { circumstances: circumstances.clone(), rounds: 0, runs: Vec::new(), failures: Vec::new() }
    }

    /// The median of a figure over the runs of a case; none if no run held.
    pub(super) fn median(&self, case: &str, of: impl Fn(&Figures) -> f64) -> Option<f64> {
        let values: Vec<f64> = self.runs_of(case).map(|run| of(&run.figures)).collect();
        (!values.is_empty()).then(|| median(values))
    }

    /// The median over the rounds of one case's figure divided by another's in the same round; none if no round has both.
    pub(super) fn ratio(&self, case: &str, to: &str, of: impl Fn(&Figures) -> f64) -> Option<f64> {
        let ratios = self.runs_of(case).filter_map(|run| {
            let other = self.runs_of(to).find(|other| other.round == run.round)?;
            Some(of(&run.figures) / of(&other.figures))
        });
        let ratios: Vec<f64> = ratios.collect();
        (!ratios.is_empty()).then(|| median(ratios))
    }

    pub(super) fn runs_of(&self, case: &str) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.case == case)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::report::Quantiles;

    /// A measurement of these rounds, cases, seconds of the server, and 99th percentiles.
    pub(in crate::measure) fn measured(runs: &[(usize, &str, f64, f64)]) -> Measured {
        let circumstances = Circumstances { time: "now".into(), commit: "c".into(), machine: "m".into(), quick: false };
        let run = |(round, case, cpu_seconds, p99): &(usize, &str, f64, f64)| {
            let server = Cost {
                cpu_seconds: *cpu_seconds,
                cpu_seconds_per_million: *cpu_seconds,
                cpu_seconds_per_gb: 0.0,
                resident_bytes_max: 0,
                resident_bytes_grown: (*p99 * 1e6) as u64,
            };
            let idle = IdleCost { connecting_seconds: 1.0, cpu_milliseconds_each: Some(2.0), kib_each: Some(*p99) };
            let latency = Quantiles { p99: *p99, max: 2.0 * p99, ..Quantiles::default() };
            let publication = |name: &str, end| {
                let name = name.to_owned();
                Publication { name, receipts: 7, content_bytes: 1_000_000, begin: 1.0, end, latency }
            };
            let publications = vec![publication("updates", 9.0), publication("news", 3.0)];
            let wire = Some((50_000_000, 0));
            let figures = Figures { receipts: 1_000_000, seconds: 1.0, server, idle, publications, wire };
            Run { round: *round, case: (*case).to_owned(), figures }
        };
        let rounds = runs.iter().map(|run| run.0).max().unwrap_or_default();
        Measured { circumstances, rounds, runs: runs.iter().map(run).collect(), failures: Vec::new() }
    }

    #[test]
    fn a_ratio_is_of_one_round_and_the_median_of_all() {
        let rounds = [(1, "a", 2.0, 10.0), (1, "b", 1.0, 10.0), (2, "b", 4.0, 1.0), (2, "a", 4.0, 3.0)];
        let measured = measured(&[&rounds[..], &[(3, "a", 9.0, 9.0)]].concat());
        let cpu = |figures: &Figures| figures.server.cpu_seconds;
        assert_eq!(measured.median("a", cpu), Some(4.0));
        assert_eq!(measured.ratio("a", "b", cpu), Some(1.5), "the third round has no b");
        assert_eq!((measured.median("c", cpu), measured.ratio("a", "c", cpu)), (None, None));
    }

    #[test]
    fn results_are_read_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("measure.json");
        assert!(Results::read(&path).unwrap().measured.is_empty());
        let results = Results { measured: BTreeMap::from([(Measurement::Idle, measured(&[(1, "a", 2.0, 3.0)]))]) };
        std::fs::write(&path, serde_json::to_vec(&results).unwrap()).unwrap();
        let read = Results::read(&path).unwrap();
        assert_eq!(read.measured[&Measurement::Idle].median("a", |figures| figures.server.cpu_seconds), Some(2.0));
        std::fs::write(&path, "{\"idle\": 1}").unwrap();
        assert!(Results::read(&path).is_err());
    }
}
