//! The commands of `distributary-loadtest`.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::plan::Plan;
use crate::run::{self, Options, Progress};
use crate::{html, measure, server};

/// Synthetic clients and providers against a real server, over QUIC: what it costs, and how long it takes.
#[derive(Parser)]
#[command(name = "distributary-loadtest", version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  distributary-loadtest run loadtest/plans/fan-out-1k.toml
  distributary-loadtest run loadtest/plans/paced.toml --html report.html --json > report.json
  distributary-loadtest check loadtest/plans/storm.toml      what it would do, and the providers' GUIDs

A plan without server.address starts a server of its own on loopback. docs/loadtest.md explains plans.";

#[derive(Subcommand)]
enum Command {
    /// Carry out a plan; exits with 1 if anything was missing or came twice
    Run {
        /// The plan file
        plan: PathBuf,
        /// The report as JSON on standard output, for programs
        #[arg(long)]
        json: bool,
        /// Write the report with plots to this file, too
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
        /// The server's command; by default `distributary` beside this one
        #[arg(long, value_name = "FILE")]
        program: Option<PathBuf>,
        /// Keep configuration, log and store of the server in this folder, which must not exist
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
    /// What the server costs by itself, in rounds, as tables; scripts/measure runs it
    Measure(measure::Args),
    /// Check a plan, and print what it would do
    Check {
        /// The plan file
        plan: PathBuf,
    },
}

/// Runs the command that the arguments name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let command = Cli::parse_from(args).command;
    allow_files();
    let done = match command {
        Command::Run { plan, json, html, program, keep } => {
            Plan::read(&plan).and_then(|plan| carry_out(&plan, json, html, program, keep))
        }
        Command::Measure(args) => measure::measure(&args, say),
        Command::Check { plan } => Plan::read(&plan).and_then(|plan| check(&plan)),
    };
    done.unwrap_or_else(|error| {
        complain(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

/// As many open files as the system lets this process have: each client may have a socket, and one more behind a `[network]`.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    // With fewer, a plan that needs more says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn carry_out(
    plan: &Plan,
    json: bool,
    html: Option<PathBuf>,
    program: Option<PathBuf>,
    keep: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    let (folder, temporary) = run::folder(keep.as_deref())?;
    let report = run::run(plan, &Options { folder, program }, &mut Bar::default());
    drop(temporary);
    let report = report?;
    if let Some(path) = html {
        std::fs::write(&path, html::page(&report)?).with_context(|| path.display().to_string())?;
    }
    say(&if json { serde_json::to_string_pretty(&report)? } else { report.text() });
    Ok(if report.good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(plan: &Plan) -> anyhow::Result<ExitCode> {
    for tier in &plan.tier {
        say(&format!("tier {:?}: {} servers", tier.name, tier.servers));
    }
    for group in &plan.clients {
        say(&format!("clients {:?}: {}, {:?}", group.name, group.count, group.habit));
    }
    for (publish, provider) in plan.publish.iter().zip(server::providers(plan)) {
        say(&format!("publish {:?}: {} items by the provider {provider}", publish.name, publish.count));
    }
    Ok(ExitCode::SUCCESS)
}

/// Progress on the terminal; nothing where there is none.
#[derive(Default)]
struct Bar(Option<ProgressBar>);

impl Progress for Bar {
    fn begin(&mut self, what: &str, steps: u64) {
        let bar = ProgressBar::new(steps).with_message(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template("{msg:12} {wide_bar} {pos}/{len} {per_sec} {elapsed}") {
            bar.set_style(style);
        }
        if let Some(before) = self.0.replace(bar) {
            before.finish_and_clear();
        }
    }

    fn at(&mut self, done: u64) {
        self.0.iter().for_each(|bar| bar.set_position(done));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.iter().for_each(|bar| bar.finish_and_clear());
    }
}

/// To standard output; who does not read it any more wants no more.
fn say(text: &str) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

fn complain(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}
