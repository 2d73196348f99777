//! What all runs came to, and the medians of it.

use std::collections::BTreeMap;

use loadtest::figures::median;
use serde::{Deserialize, Serialize};

use crate::drive::Figures;
use crate::peers::Name;
use crate::workload::{Key, Workload};

/// Everything that was seen, with what a reader has to know of the circumstances.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// When it began, RFC 3339.
    pub time: String,
    /// Of this project.
    pub commit: String,
    /// Processor, cores and kernel.
    pub machine: String,
    /// What each relay says of itself.
    pub versions: BTreeMap<Name, String>,
    /// How many rounds were asked for.
    pub rounds: usize,
    /// Whether loads were a fourth: such figures are for a look only.
    pub quick: bool,
    /// Those that held.
    pub runs: Vec<Run>,
    /// Those that did not.
    pub failures: Vec<Failure>,
}

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    pub round: usize,
    pub workload: String,
    pub peer: Name,
    pub figures: Figures,
}

/// A relay that lost something, refused somebody, or ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    pub workload: String,
    pub peer: Name,
    pub why: String,
}

impl Results {
    /// The medians of a workload for each relay that held in every round, the least costly first.
    pub fn medians(&self, workload: &Workload) -> Vec<(Name, Figures)> {
        let is_this = |name: &str| name == workload.name;
        let mut by_peer: BTreeMap<Name, Vec<Figures>> = BTreeMap::new();
        for run in self.runs.iter().filter(|run| is_this(&run.workload)) {
            by_peer.entry(run.peer).or_default().push(run.figures);
        }
        for failure in self.failures.iter().filter(|failure| is_this(&failure.workload)) {
            by_peer.remove(&failure.peer);
        }
        let mut medians: Vec<_> = by_peer.into_iter().map(|(peer, figures)| (peer, median_of(&figures))).collect();
        medians.sort_by(|one, other| workload.key.of(&one.1).total_cmp(&workload.key.of(&other.1)));
        medians
    }
}

impl Key {
    /// This figure.
    pub fn of(self, figures: &Figures) -> f64 {
        match self {
            Self::Gigabyte => figures.cpu_seconds / (figures.content_bytes.max(1) as f64 / 1e9),
            Self::Million => figures.cpu_seconds / (figures.receipts.max(1) as f64 / 1e6),
            Self::Wire => figures.wire_bytes as f64 / figures.content_bytes.max(1) as f64,
        }
    }

    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Gigabyte => "s/GB",
            Self::Million => "s/million",
            Self::Wire => "wire",
        }
    }
}

fn median_of(all: &[Figures]) -> Figures {
    let of = |field: fn(&Figures) -> f64| median(all.iter().map(field));
    Figures {
        receipts: all[0].receipts,
        content_bytes: all[0].content_bytes,
        seconds: of(|figures| figures.seconds),
        cpu_seconds: of(|figures| figures.cpu_seconds),
        p50_ms: of(|figures| figures.p50_ms),
        p99_ms: of(|figures| figures.p99_ms),
        resident_bytes_max: of(|figures| figures.resident_bytes_max as f64) as u64,
        idle_kib: of(|figures| figures.idle_kib),
        wire_bytes: of(|figures| figures.wire_bytes as f64) as u64,
    }
}
