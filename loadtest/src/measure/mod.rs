//! What the server costs by itself, in rounds in which all cases of a measurement take turns. `scripts/measure` builds,
//! lays the wire and runs this; `docs/benchmarks.md` has the figures.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::ensure;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::figures;
use results::{Circumstances, Results};
use rounds::Rounds;

mod cases;
mod results;
mod rounds;
mod tables;

/// Something that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Measurement {
    /// What one of 200 clients that reads nothing costs the others
    Stalled,
    /// What a delivery costs with 100, 1,000 and 10,000 clients
    Scale,
    /// How late something critical is behind a full wire of 1 Gbit/s
    Bottleneck,
    /// What a registered link costs while nothing happens
    Idle,
    /// What 10,000 receivers of one item of 10 MB take of memory beyond what their links have
    Receivers,
    /// What congestion control makes of links that delay and lose
    Congestion,
}

impl Measurement {
    /// As on the command line and at its marks.
    pub fn label(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Scale => "scale",
            Self::Bottleneck => "bottleneck",
            Self::Idle => "idle",
            Self::Receivers => "receivers",
            Self::Congestion => "congestion",
        }
    }

    /// Rounds unless others are asked for: more where ratios near 1 are looked at.
    fn rounds(self) -> usize {
        match self {
            Self::Stalled => 10,
            Self::Scale | Self::Bottleneck | Self::Idle => 5,
            Self::Receivers => 3,
            // 27 cases, most of which wait for the clock and not for the processor.
            Self::Congestion => 3,
        }
    }
}

/// What `distributary-loadtest measure` is told.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Some of the measurements
    #[arg(long, value_delimiter = ',')]
    only: Vec<Measurement>,
    /// Rounds; by default 10, 5 or 3
    #[arg(long)]
    rounds: Option<usize>,
    /// A fourth of each load, to see that everything works
    #[arg(long)]
    quick: bool,
    /// Where all figures go; those of other measurements in it are kept
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
    /// Runs nothing: the tables of what that file has
    #[arg(long)]
    show: bool,
    /// Puts the tables into docs/benchmarks.md of this folder
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// The server's command; by default `distributary` beside this one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// The state of the program
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// Processor, cores and kernel
    #[arg(long, default_value = "unknown")]
    machine: String,
    /// The network namespaces of the server and of the clients, and the server's address: a wire for the bottleneck
    #[arg(long, num_args = 3, value_names = ["SERVER", "CLIENTS", "ADDRESS"])]
    wire: Vec<String>,
}

/// Measures, or shows what was measured; fails if a run did not hold.
///
/// # Errors
/// Something that is needed is not there.
pub fn measure(args: &Args, say: impl Fn(&str)) -> anyhow::Result<ExitCode> {
    let wanted = if args.only.is_empty() { Measurement::value_variants() } else { &args.only };
    let mut results = Results::read(&args.json)?;
    if !args.show {
        let rounds = Rounds::of(args, wanted)?;
        let circumstances = Circumstances {
            time: jiff::Timestamp::now().strftime("%F %H:%M UTC").to_string(),
            commit: args.commit.clone(),
            machine: args.machine.clone(),
            quick: args.quick,
        };
        rounds.run(&circumstances, &mut results, &args.json)?;
    }
    let measured: BTreeMap<_, _> = results.measured.iter().filter(|(what, _)| wanted.contains(what)).collect();
    ensure!(!measured.is_empty(), "{} has nothing of that", args.json.display());
    for (what, measured) in &measured {
        let text = tables::text(**what, measured);
        say(&text);
        if let Some(folder) = &args.write {
            figures::put(&folder.join("docs/benchmarks.md"), "scripts/measure", what.label(), &text)?;
        }
    }
    let held = measured.values().all(|measured| measured.failures.is_empty());
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
