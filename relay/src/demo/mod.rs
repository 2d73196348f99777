//! The demonstration.
use std::process::ExitCode;
/// Options.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {}
/// Runs it.
pub fn main(_options: Options) -> anyhow::Result<ExitCode> {
    anyhow::bail!("not yet")
}
