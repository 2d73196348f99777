//! All runs in order: in each round every measurement, in each measurement its cases in turn, so that what the machine does
//! meanwhile falls on all of them. Each run is a process of its own, with a server of its own.

use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::cases::Case;
use super::results::{Circumstances, Failure, Figures, Measured, Results, Run};
use super::{Args, Measurement};
use crate::server;

/// What is asked for.
pub(super) struct Rounds {
    measurements: Vec<(Measurement, usize, Vec<Case>)>,
    program: PathBuf,
    wire: Option<Wire>,
}

/// Two network namespaces with a wire between them.
struct Wire {
    server: String,
    clients: String,
    address: IpAddr,
}

/// What a report says of whether it holds.
#[derive(Deserialize)]
struct Outcome {
    good: bool,
    expected: u64,
    receipts: u64,
    faults: Vec<String>,
}

impl Rounds {
    pub(super) fn of(args: &Args, wanted: &[Measurement]) -> anyhow::Result<Self> {
        ensure!(args.rounds != Some(0), "at least one round");
        let wire = match args.wire.as_slice() {
            [server, clients, address] => {
                let address = address.parse().with_context(|| format!("--wire: {address:?} is no address"))?;
                Some(Wire { server: server.clone(), clients: clients.clone(), address })
            }
            _ => None,
        };
        ensure!(
            wire.is_some() || !wanted.contains(&Measurement::Bottleneck),
            "a bottleneck needs a wire, which scripts/measure lays"
        );
        let program = args.program.clone().map_or_else(server::program, Ok)?;
        let with_cases =
            |what: &Measurement| Ok((*what, args.rounds.unwrap_or(what.rounds()), what.cases(args.quick)?));
        Ok(Self { measurements: wanted.iter().map(with_cases).collect::<anyhow::Result<_>>()?, program, wire })
    }

    /// Carries everything out, says how it goes, and keeps what was seen in a file.
    pub(super) fn run(&self, circumstances: &Circumstances, results: &mut Results, file: &Path) -> anyhow::Result<()> {
        for (what, _, _) in &self.measurements {
            results.measured.insert(*what, Measured::under(circumstances));
        }
        let rounds = self.measurements.iter().map(|(_, rounds, _)| *rounds).max().unwrap_or_default();
        for round in 1..=rounds {
            for (what, _, cases) in self.measurements.iter().filter(|(_, rounds, _)| round <= *rounds) {
                // Nobody is always the first.
                for case in cases.iter().cycle().skip(round % cases.len()).take(cases.len()) {
                    let run = self.once(*what, case);
                    told(&format!("round {round}, {}, {}: ", what.label(), case.name), &run);
                    let measured = results.measured.entry(*what).or_insert_with(|| Measured::under(circumstances));
                    measured.add(round, &case.name, run);
                    // After each run: what has been seen is not lost if the next is broken off.
                    std::fs::write(file, serde_json::to_vec_pretty(results)?)
                        .with_context(|| file.display().to_string())?;
                }
            }
        }
        Ok(())
    }

    fn once(&self, what: Measurement, case: &Case) -> anyhow::Result<Figures> {
        let folder = tempfile::Builder::new().prefix("distributary-measure-").tempdir()?;
        let (path, mut plan) = (folder.path().join("plan.toml"), case.plan.clone());
        let wire = self.wire.as_ref().filter(|_| what == Measurement::Bottleneck);
        if let Some(wire) = wire {
            plan.server.host = Some(wire.address);
            plan.server.namespace = Some(wire.server.clone());
        }
        std::fs::write(&path, toml::to_string(&plan)?)?;
        let own = std::env::current_exe()?;
        let mut command = server::inside(wire.map(|wire| wire.clients.as_str()), &own);
        command.arg("run").arg(&path).arg("--json").arg("--program").arg(&self.program);
        let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
        let Ok(outcome) = serde_json::from_slice::<Outcome>(&output.stdout) else {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        };
        let Outcome { good, expected, receipts, faults } = outcome;
        ensure!(good, "{receipts} receipts of {expected}; {}", faults.join("; "));
        let figures: Figures = serde_json::from_slice(&output.stdout).context("the report lacks something")?;
        what.check(&figures)?;
        Ok(figures)
    }
}

impl Measurement {
    /// Whether the run was one of this measurement.
    fn check(self, figures: &Figures) -> anyhow::Result<()> {
        if let (Self::Bottleneck, [bulk, critical]) = (self, figures.publications.as_slice()) {
            let (over, last) = (bulk.end, critical.end);
            ensure!(over > last, "bulk was over after {over:.1} s, before the last critical receipt after {last:.1} s");
        }
        Ok(())
    }
}

impl Measured {
    fn add(&mut self, round: usize, case: &str, run: anyhow::Result<Figures>) {
        let case = case.to_owned();
        self.rounds = self.rounds.max(round);
        match run {
            Ok(figures) => self.runs.push(Run { round, case, figures }),
            Err(error) => self.failures.push(Failure { round, case, why: format!("{error:#}") }),
        }
    }
}

/// How a run went, for who waits.
fn told(head: &str, run: &anyhow::Result<Figures>) {
    let text = match run {
        Ok(figures) => {
            let (cost, seconds) = (figures.server.cpu_seconds_per_million, figures.seconds);
            format!("{cost:.2} s/million, {seconds:.1} s")
        }
        Err(error) => format!("failed: {error:#}"),
    };
    // Who does not read it any more wants no more.
    drop(writeln!(std::io::stderr(), "{head}{text}"));
}
