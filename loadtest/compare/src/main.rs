//! The same load on Distributary and on the relays that a user could pick instead. `scripts/compare` installs those, lays the
//! wire and runs this; `docs/benchmarks.md` has the rules and the figures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::{Args, Parser, Subcommand};
use loadtest::figures::put;

use peers::{Name, Site};
use results::Results;
use rounds::Rounds;
use workload::{WORKLOADS, Workload};

mod drive;
mod peers;
mod plot;
mod relay;
mod results;
mod rounds;
mod table;
mod tally;
mod tls;
mod workload;

/// Who writes figures into documents.
const SCRIPT: &str = "scripts/compare";

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All rounds, between two network namespaces that scripts/compare has made
    Run(RunArgs),
    /// Tables and plot of earlier results again
    Show {
        results: PathBuf,
        /// Into README.md, docs/benchmarks.md and docs/comparison.svg of this folder
        #[arg(long)]
        write: Option<PathBuf>,
    },
    /// The clients' side of one run, in their namespace
    Drive {
        #[arg(long)]
        peer: Name,
        #[arg(long)]
        workload: String,
        #[arg(long)]
        quick: bool,
        #[command(flatten)]
        site: Site,
    },
    /// The reference relay over stock quinn
    QuinnRelay { folder: PathBuf },
    /// The reference that only sends, so many datagrams at once
    IdealSender { train: usize },
}

#[derive(Args)]
struct RunArgs {
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Relays with what each says of its version, as NAME=VERSION
    #[arg(long)]
    peer: Vec<String>,
    #[arg(long)]
    quick: bool,
    #[arg(long)]
    json: PathBuf,
    #[arg(long)]
    commit: String,
    #[arg(long)]
    machine: String,
    #[arg(long)]
    relay_namespace: String,
    #[arg(long)]
    client_namespace: String,
    #[command(flatten)]
    site: Site,
}

fn main() -> ExitCode {
    let done = act(Cli::parse().command);
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn act(command: Command) -> anyhow::Result<ExitCode> {
    // Libraries that make their own offers take the process's.
    tls::provider().install_default().ok().context("cryptography is set up already")?;
    match command {
        Command::Run(args) => return run(args),
        Command::Show { results, write } => {
            let text = std::fs::read(&results).with_context(|| results.display().to_string())?;
            show(&serde_json::from_slice(&text)?, write.as_deref())?;
        }
        Command::Drive { peer, workload, quick, site } => {
            let workload = Workload::named(&workload)?;
            let workload = if quick { workload.quick(&site.data)? } else { workload };
            let figures = runtime()?.block_on(peer.drive(&site, &workload))?;
            println!("{}", serde_json::to_string(&figures)?);
        }
        Command::QuinnRelay { folder } => runtime()?.block_on(peers::quinn::relay(&folder))?,
        Command::IdealSender { train } => runtime()?.block_on(peers::ideal::relay(train))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// With one thread, as there is one core.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    ensure!(args.rounds > 0, "at least one round");
    let versions: BTreeMap<Name, String> = args.peer.iter().map(|text| named(text)).collect::<anyhow::Result<_>>()?;
    let chosen: Vec<Workload> = if args.only.is_empty() {
        WORKLOADS.to_vec()
    } else {
        args.only.iter().map(|name| Workload::named(name)).collect::<anyhow::Result<_>>()?
    };
    let (there, missing): (Vec<_>, Vec<_>) =
        chosen.into_iter().partition(|workload: &Workload| workload.is_there(&args.site.data));
    for workload in missing {
        eprintln!("{} is left out: its data is not there; set DISTRIBUTARY_TEST_DATA to the test data", workload.name);
    }
    let quick = |workload: Workload| if args.quick { workload.quick(&args.site.data) } else { Ok(workload) };
    let rounds = Rounds {
        rounds: args.rounds,
        workloads: there.into_iter().map(quick).collect::<anyhow::Result<_>>()?,
        peers: versions.keys().copied().collect(),
        quick: args.quick,
        namespaces: [args.relay_namespace, args.client_namespace],
        site: args.site,
    };
    let mut results = Results {
        time: jiff::Timestamp::now().strftime("%F %H:%M UTC").to_string(),
        commit: args.commit,
        machine: args.machine,
        versions,
        rounds: args.rounds,
        quick: args.quick,
        runs: Vec::new(),
        failures: Vec::new(),
    };
    rounds.run(&mut results, &args.json)?;
    show(&results, None)?;
    eprintln!("all figures: {}", args.json.display());
    Ok(if results.runs.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn named(text: &str) -> anyhow::Result<(Name, String)> {
    let Some((name, version)) = text.split_once('=') else { bail!("--peer {text:?}: NAME=VERSION") };
    let name = clap::ValueEnum::from_str(name, false).map_err(|error| anyhow::anyhow!("--peer {text:?}: {error}"))?;
    Ok((name, version.to_owned()))
}

fn show(results: &Results, write: Option<&Path>) -> anyhow::Result<()> {
    let (circumstances, short, long) = (table::circumstances(results), table::short(results), table::long(results));
    println!("{circumstances}\n\n{short}\n{long}");
    if let Some(folder) = write {
        std::fs::write(folder.join("docs/comparison.svg"), plot::svg(results))?;
        put(&folder.join("README.md"), SCRIPT, "comparison", &format!("{short}\n{circumstances}"))?;
        put(&folder.join("docs/benchmarks.md"), SCRIPT, "figures", &format!("{circumstances}\n\n{short}\n{long}"))?;
    }
    Ok(())
}
