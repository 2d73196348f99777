//! One party of a test with real processes: a server, on a good disk or on one with faults, or an agent. The tests kill it.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use relay::config::{Config, Overrides};
use relay::store::RealDisk;
use relay::store::disk::Disk;
use tests::faults::FaultyDisk;
use tests::kills::ServerFaults;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let role = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    match role.to_str() {
        Some("server") => match serve(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                tracing::error!("{error:#}");
                ExitCode::FAILURE
            }
        },
        Some("run") => relay::cli::main(["distributary".into(), role].into_iter().chain(args)),
        Some("agent") => agent::cli::main(std::iter::once(OsString::from("distributary-agent")).chain(args)),
        _ => ExitCode::FAILURE,
    }
}

/// `party server CONFIG FAULTS`, the faults as JSON.
fn serve(args: &[OsString]) -> anyhow::Result<()> {
    let [config, faults] = args else { anyhow::bail!("party server CONFIG FAULTS") };
    let config = Config::load(Path::new(config), &Overrides::default())?;
    relay::logging::start(&config.log);
    let faults: ServerFaults = serde_json::from_str(&faults.to_string_lossy()).context("FAULTS")?;
    let disk: Arc<dyn Disk> = match faults.of_disk() {
        Some((restart, faults)) => Arc::new(FaultyDisk::open(&config.store.directory, restart, faults)?),
        None => Arc::new(RealDisk::open(&config.store.directory)?),
    };
    relay::cli::runtime()?.block_on(async {
        let _running = relay::run::start_on(&config, disk).await?;
        // Until it is killed: nothing here ends in good order.
        std::future::pending::<()>().await;
        Ok(())
    })
}
