//! `distributary demo`: a vendor's server, two ISPs' servers below it, a provider and three agents per lock file, as
//! processes of their own on loopback.
//!
//! Two publications of real advisories: the first undisturbed, with what it cost on each edge; during the second an
//! ISP's server is killed with SIGKILL and started again. What reached each agent is held against `cargo-audit`'s
//! answers, and verified with the key that the provider signs with. Every node is this program started again, so a kill
//! is a kill.

mod checks;
mod data;
mod edges;
mod journals;
mod story;
mod table;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

/// Flags of the demo.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Keep everything (keys, journals, logs) in this directory, which must not exist, to look at afterwards
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The result as JSON instead of tables
    #[arg(long)]
    json: bool,
}

/// Runs the demo; success only if every check held.
///
/// # Errors
/// Says what could not be started or did not come to its end.
pub fn main(options: &Options) -> anyhow::Result<ExitCode> {
    let held = story::tell(options)?;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[allow(clippy::print_stdout, reason = "the demo is there to be read")]
fn say(text: &str) {
    println!("{text}");
}
