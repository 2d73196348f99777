//! Whole trees on this machine: a scenario file says which, and what happens to them.
//!
//! `world` writes a [`scenario`] down, `cast` starts and ends its processes, which are this program again, `play` does
//! everything at its time; `inventory` and `publications` read what it names; `observe` looks from outside, `board` keeps what was seen, `show` shows it.

mod board;
pub mod builtin;
pub(crate) mod cast;
pub(crate) mod folder;
mod forwarder;
mod host;
pub mod inventory;
mod observe;
mod play;
mod ports;
pub(crate) mod process;
pub mod publications;
pub mod scenario;
pub(crate) mod scrape;
mod show;
pub(crate) mod world;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use clap::{Args, Subcommand};

use self::cast::Cast;
use self::play::Play;
use self::scenario::Scenario;
use self::show::Screen;
use self::world::World;

const EXAMPLES: &str = "Examples:
  distributary tree up deploy/scenarios/two-isps.toml
  distributary tree up deploy/scenarios/isp-1000.toml --seconds 60 --keep /tmp/isp
  distributary tree up deploy/scenarios/two-isps.toml --json | jq .agents";

/// What can be done with a scenario.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everybody in a scenario as processes on loopback, run its faults, and end when everything is at rest
    #[command(after_help = EXAMPLES)]
    Up(Up),
}

/// How to play a scenario.
#[derive(Clone, Debug, Args)]
pub struct Up {
    /// Scenario file; deploy/scenarios/two-isps.toml is a commented one
    file: PathBuf,
    /// Another length than the scenario's; what would begin later is left out
    #[arg(long, value_name = "N")]
    seconds: Option<f64>,
    /// Keep everything (keys, journals, logs) in this directory, which must not exist, to look at afterwards
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// One JSON object a second, the last with a summary, instead of tables
    #[arg(long)]
    json: bool,
}

/// Carries out a command; success only if everything held.
///
/// # Errors
/// Says what is wrong with the scenario, or what could not be started.
pub fn main(command: Command) -> anyhow::Result<ExitCode> {
    let Command::Up(up) = command;
    let mut scenario = Scenario::load(&up.file)?;
    if let Some(seconds) = up.seconds {
        ensure!(seconds > 0.0 && seconds <= 86_400.0, "--seconds {seconds}: more than 0, at most 86400");
        scenario.length = Duration::from_secs_f64(seconds);
    }
    crate::cli::runtime()?.block_on(play(up, scenario))
}

async fn play(up: Up, scenario: Scenario) -> anyhow::Result<ExitCode> {
    let base = up.file.parent().unwrap_or(Path::new("")).to_owned();
    let keep = up.keep.clone();
    let stop = stopped()?;
    tokio::pin!(stop);
    let mut screen = Screen::new(up.json);
    screen.say(&announced(&scenario));
    let making = tokio::task::spawn_blocking(move || World::make(scenario, &base, keep.as_deref()));
    let world = tokio::select! {
        made = making => made??,
        signal = &mut stop => anyhow::bail!("ended by {signal}"),
    };
    let mut play = Play::new(Cast::new(world)?, screen);
    let outcome = tokio::select! {
        outcome = play.run() => outcome,
        signal = &mut stop => {
            play.wrong.push(format!("ended by {signal}"));
            return Ok(finish(play));
        }
    };
    if let Err(error) = outcome {
        play.wrong.push(format!("{error:#}"));
    }
    let is_wrong = !play.wrong.is_empty();
    if is_wrong {
        let kept = play.cast.world.folder.keep();
        play.wrong.push(format!("everything that was written is kept in {}", kept.display()));
    }
    Ok(finish(play))
}

/// What is going to be played.
fn announced(scenario: &Scenario) -> String {
    let counted = |count: usize, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    let parts = [
        counted(scenario.servers.len(), "server"),
        counted(scenario.tiers(), "tier"),
        counted(scenario.agents.len(), "agent"),
        counted(scenario.providers.len(), "provider"),
        counted(scenario.faults.len(), "fault"),
    ];
    format!("{}: {}, {} s; writing keys and files", scenario.name, parts.join(", "), scenario.length.as_secs_f64())
}

/// Everything that was started ends with the play.
fn finish(mut play: Play) -> ExitCode {
    play.screen.summary(&play.board, &play.wrong);
    if play.wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Comes back with the signal that ends this.
fn stopped() -> std::io::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
}

/// Runs an agent or a provider inside this program.
pub fn agent(args: Vec<OsString>) -> ExitCode {
    agent::cli::main(std::iter::once(OsString::from("distributary-agent")).chain(args))
}

/// Runs the agents whose configurations a file lists inside this program.
///
/// # Errors
/// Says which configuration cannot be used.
pub fn agents(list: &Path) -> anyhow::Result<ExitCode> {
    host::main(list)
}
