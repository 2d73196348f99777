//! Many agents in one process, so that a thousand of them fit into one machine.

use std::path::Path;
use std::process::ExitCode;

use agent::config::{Config, Overrides};
use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Runs the agents whose configurations a file lists, until SIGTERM or until none is left.
pub(crate) fn main(list: &Path) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(list).with_context(|| list.display().to_string())?;
    let load = |path: &str| Ok(Config::load(Path::new(path), &Overrides::default())?);
    let configs: Vec<Config> = text.lines().map(load).collect::<anyhow::Result<_>>()?;
    if let Some(first) = configs.first() {
        agent::logging::start(&first.log);
    }
    crate::cli::runtime()?.block_on(run(configs))
}

async fn run(configs: Vec<Config>) -> anyhow::Result<ExitCode> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, stop) = (signal(SignalKind::terminate())?, CancellationToken::new());
    let mut agents = JoinSet::new();
    for config in configs {
        let stop = stop.clone();
        agents.spawn(async move { agent::run::run(&config, stop).await });
    }
    let mut failed = 0;
    loop {
        let ended = tokio::select! {
            ended = agents.join_next() => ended,
            _ = terminate.recv() => {
                stop.cancel();
                continue;
            }
        };
        match ended {
            None => break,
            Some(Ok(Ok(_))) => {}
            Some(Ok(Err(error))) => {
                failed += 1;
                tracing::error!(%error, "an agent ended by itself");
            }
            Some(Err(error)) => {
                failed += 1;
                tracing::error!(%error, "an agent panicked");
            }
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
