//! What providers publish: where `publish` of a scenario says, looked for before anything starts.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use super::builtin;
use super::scenario::Scenario;

/// The sources of each provider, in order. Paths of the scenario count from `base`; what this program carries is written
/// into `folder`.
///
/// # Errors
/// Names the provider and what is not there.
pub fn find(scenario: &Scenario, base: &Path, folder: &Path) -> anyhow::Result<Vec<Vec<PathBuf>>> {
    let rustsec = folder.join("rustsec.jsonl");
    std::fs::write(&rustsec, builtin::advisories()?).with_context(|| rustsec.display().to_string())?;
    let find = |provider: &str, source: &String| {
        let path = if source == builtin::RUSTSEC { rustsec.clone() } else { base.join(source) };
        ensure!(
            path.exists(),
            "[[provider]] {provider}: publish = {source}: {} is not there; a folder or file, or {}",
            path.display(),
            builtin::RUSTSEC
        );
        Ok(std::path::absolute(path)?)
    };
    let providers = scenario.providers.iter();
    providers.map(|one| one.publish.iter().map(|source| find(&one.name, source)).collect()).collect()
}
