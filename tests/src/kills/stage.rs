//! What a run's rounds have in common: publishing, waiting for what comes of it, and the judgement at the end.

use std::path::Path;
use std::time::{Duration, Instant};

use agent::publish::{self, Part};
use anyhow::ensure;

use super::model::{self, Advisory};
use super::process::pause;
use super::world::{Above, World};
use crate::faults::Random;

/// A publication under way.
pub(super) type Publishing = tokio::task::JoinHandle<anyhow::Result<()>>;

/// How long anything may take; ten times what it takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// Journals that do not grow for so long, though items are missing, have come to rest.
const REST: Duration = Duration::from_secs(15);
/// When everything has come: what comes twice, or should not come, comes within this.
const AFTERMATH: Duration = Duration::from_secs(4);
/// Items in one publication. A round takes several, so that its deliveries are spread over many commits.
const PUBLISHED_AT_ONCE: usize = 7;

/// See the module.
pub(super) struct Stage {
    pub(super) world: World,
    runtime: tokio::runtime::Runtime,
}

impl Stage {
    pub(super) fn make(program: &Path, servers: &[Above], agents: usize, random: &mut Random) -> anyhow::Result<Self> {
        let world = World::make(program, servers, agents, random)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { world, runtime })
    }

    /// How many entries these advisories make in all journals.
    pub(super) fn deliveries_of(&self, advisories: &[Advisory]) -> usize {
        self.world.components.iter().map(|components| model::expected(advisories, components).len()).sum()
    }

    /// Begins to publish to the first server.
    pub(super) fn publish(&self, parts: &[Part]) -> anyhow::Result<Publishing> {
        let (config, parts) = (self.world.provider()?, parts.to_vec());
        Ok(self.runtime.spawn(async move {
            for parts in parts.chunks(PUBLISHED_AT_ONCE) {
                let published = publish::publish(&config, parts, |_| {}).await?;
                let refused: Vec<_> = published.refused().map(|(part, why)| format!("{part}: {why}")).collect();
                ensure!(refused.is_empty(), "refused: {refused:?}");
            }
            Ok(())
        }))
    }

    /// Waits until so many items have come, or nothing more comes (on a disk that lies).
    pub(super) fn wait_for(&mut self, wanted: usize, publishing: &Publishing) -> anyhow::Result<()> {
        let (mut last, mut grown) = (self.world.look()?, Instant::now());
        while last.gained < wanted && !(publishing.is_finished() && grown.elapsed() > AFTERMATH) {
            ensure!(grown.elapsed() < PATIENCE, "{} items of {wanted} have come", last.gained);
            pause(Duration::from_millis(1));
            let now = self.world.look()?;
            if now != last {
                (last, grown) = (now, Instant::now());
            }
        }
        Ok(())
    }

    /// Waits for a publication, unless a server cannot even start again.
    pub(super) fn finish(&mut self, publishing: Publishing) -> anyhow::Result<()> {
        while !publishing.is_finished() {
            self.world.servers_live()?;
            pause(Duration::from_millis(10));
        }
        self.runtime.block_on(publishing)?
    }

    /// Waits until every journal has what it must have and nothing comes any more, then looks at each line. Answers how
    /// many items have come.
    pub(super) fn judge(&mut self, advisories: &[Advisory]) -> anyhow::Result<usize> {
        let wanted = self.deliveries_of(advisories);
        let deliveries = self.rest(wanted)?;
        self.world.servers_live()?;
        for index in 0..self.world.components.len() {
            self.world.agent_lives(index)?;
            let expected = model::expected(advisories, &self.world.components[index]);
            model::check(&self.world.journal(index)?, &expected)
                .map_err(|why| anyhow::anyhow!("agent {index}: {why}"))?;
        }
        Ok(deliveries)
    }

    /// Looks until the journals do not grow any more; answers how many items have come.
    fn rest(&mut self, wanted: usize) -> anyhow::Result<usize> {
        let (mut last, mut grown) = (self.world.look()?, Instant::now());
        while grown.elapsed() < if last.gained < wanted { REST } else { AFTERMATH } {
            pause(Duration::from_millis(50));
            let now = self.world.look()?;
            if now != last {
                (last, grown) = (now, Instant::now());
            }
        }
        Ok(last.gained)
    }
}
