//! The rounds of a run, and the judgement at its end.

use std::path::Path;
use std::time::{Duration, Instant};

use agent::publish::{self, Part};
use anyhow::{Context, ensure};

use super::model::{self, Advisory};
use super::process::{Process, pause};
use super::world::World;
use super::{Point, ServerFaults};
use crate::faults::Random;

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Agents.
    pub agents: usize,
    /// Items published, spread over the rounds.
    pub items: usize,
    /// Rounds: each kills somebody once.
    pub rounds: usize,
    /// Whether the server's disk forgets what was not synced; failpoints need that.
    pub forgets: bool,
    /// Whether it acknowledges before it syncs.
    pub lies: bool,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The server was killed by SIGKILL.
    pub servers_killed: usize,
    /// The server was killed by a failpoint between append and sync, or between sync and reply.
    pub failpoints: usize,
    /// Agents killed by SIGKILL.
    pub agents_killed: usize,
    /// Items in all journals.
    pub deliveries: usize,
}

/// Who dies in a round, and when.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// The server, so many milliseconds after the publication began.
    Server(u64),
    /// The server, by the failpoint that it was started with.
    Failpoint,
    /// Some agents, likewise.
    Agents(u64),
    /// Some agents before the publication and the server right after its last answer: what was acknowledged must be
    /// there for agents that were not.
    ServerAfterTheLastAnswer,
}

/// How long anything may take; ten times what it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Journals that do not grow for so long have come to rest.
const REST: Duration = Duration::from_secs(15);

/// Carries out a plan; an error says what is wrong with which journal.
///
/// # Errors
/// A journal that is not what it must be, or a process that cannot be started.
pub fn run(program: &Path, plan: Plan) -> anyhow::Result<Report> {
    let mut random = Random::new(plan.seed);
    let world = World::make(program, plan.agents, &mut random)?;
    let advisories = model::advisories(plan.items, &mut random);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let mut run = Run { plan, random, world, runtime, report: Report::default() };
    run.play(&advisories).with_context(|| run.world.logs())?;
    run.judge(&advisories).with_context(|| run.world.logs())?;
    Ok(run.report)
}

struct Run {
    plan: Plan,
    random: Random,
    world: World,
    runtime: tokio::runtime::Runtime,
    report: Report,
}

impl Run {
    fn play(&mut self, advisories: &[Advisory]) -> anyhow::Result<()> {
        let kills = self.kills();
        self.start_server(kills.first().copied())?;
        for index in 0..self.plan.agents {
            self.world.start_agent(index)?;
        }
        let size = self.plan.items.div_ceil(self.plan.rounds);
        for (round, batch) in advisories.chunks(size).enumerate() {
            let parts: Vec<Part> = batch.iter().map(|advisory| advisory.part()).collect();
            let next = kills.get(round + 1).copied();
            self.round(kills[round], next, &parts).with_context(|| format!("round {round}, {:?}", kills[round]))?;
        }
        Ok(())
    }

    /// One kill a round, each kind in turn, at seeded instants.
    fn kills(&mut self) -> Vec<Kill> {
        let kind = |round: usize, instant: u64| match round % 4 {
            0 if self.plan.forgets => Kill::Failpoint,
            0 | 2 => Kill::Server(instant),
            1 => Kill::Agents(instant),
            _ => Kill::ServerAfterTheLastAnswer,
        };
        let mut kills = Vec::new();
        for round in 0..self.plan.rounds {
            kills.push(kind(round, self.random.below(150)));
        }
        kills
    }

    fn round(&mut self, kill: Kill, next: Option<Kill>, parts: &[Part]) -> anyhow::Result<()> {
        let some = self.some_agents();
        if let Kill::ServerAfterTheLastAnswer = kill {
            self.kill_agents(&some);
        }
        let publishing = self.publish(parts)?;
        match kill {
            Kill::Server(instant) => {
                pause(Duration::from_millis(instant));
                self.kill_server(next)?;
            }
            Kill::Failpoint => {
                let died = self.world.server.as_mut().map(|server| server.dies_within(PATIENCE)).transpose()?;
                ensure!(died == Some(true), "the failpoint was not met");
                self.report.failpoints += 1;
                self.start_server(next)?;
            }
            Kill::Agents(instant) => {
                pause(Duration::from_millis(instant));
                self.kill_agents(&some);
                self.start_agents(&some)?;
            }
            Kill::ServerAfterTheLastAnswer => {}
        }
        self.finish(publishing)?;
        match kill {
            Kill::ServerAfterTheLastAnswer => {
                self.kill_server(next)?;
                self.start_agents(&some)
            }
            // A failpoint is armed when the server starts: give it a server that has one.
            Kill::Agents(_) if matches!(next, Some(Kill::Failpoint)) => self.kill_server(next),
            Kill::Agents(_) | Kill::Server(_) | Kill::Failpoint => Ok(()),
        }
    }

    /// Waits for a publication, unless the server cannot even start again.
    fn finish(&mut self, publishing: tokio::task::JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
        while !publishing.is_finished() {
            let alive = self.world.server.as_mut().is_some_and(Process::is_alive);
            ensure!(alive, "the server ended by itself");
            pause(Duration::from_millis(10));
        }
        self.runtime.block_on(publishing)?
    }

    fn publish(&self, parts: &[Part]) -> anyhow::Result<tokio::task::JoinHandle<anyhow::Result<()>>> {
        let (config, parts) = (self.world.provider()?, parts.to_vec());
        Ok(self.runtime.spawn(async move {
            let published = publish::publish(&config, &parts, |_| {}).await?;
            let refused: Vec<_> = published.refused().map(|(part, why)| format!("{part}: {why}")).collect();
            ensure!(refused.is_empty(), "refused: {refused:?}");
            Ok(())
        }))
    }

    fn kill_server(&mut self, next: Option<Kill>) -> anyhow::Result<()> {
        self.world.kill_server();
        self.report.servers_killed += 1;
        self.start_server(next)
    }

    fn start_server(&mut self, next: Option<Kill>) -> anyhow::Result<()> {
        let failpoint = matches!(next, Some(Kill::Failpoint))
            .then(|| Point { nth: 1 + self.random.below(2), before: self.random.one_in(2) });
        let Plan { forgets, lies, .. } = self.plan;
        self.world.start_server(ServerFaults { forgets, seed: self.random.next_u64(), lies, failpoint })
    }

    fn some_agents(&mut self) -> Vec<usize> {
        let count = 1 + self.random.below(4);
        (0..count).map(|_| self.random.below(self.plan.agents as u64) as usize).collect()
    }

    fn kill_agents(&mut self, agents: &[usize]) {
        for index in agents {
            self.world.kill_agent(*index);
            self.report.agents_killed += 1;
        }
    }

    fn start_agents(&mut self, agents: &[usize]) -> anyhow::Result<()> {
        let mut agents = agents.to_vec();
        agents.sort_unstable();
        agents.dedup();
        agents.into_iter().try_for_each(|index| self.world.start_agent(index))
    }

    /// Waits until every journal has what it must have, or none grows any more; then looks at each line.
    fn judge(&mut self, advisories: &[Advisory]) -> anyhow::Result<()> {
        let expected: Vec<_> =
            self.world.components.iter().map(|components| model::expected(advisories, components)).collect();
        let wanted: usize = expected.iter().map(std::collections::BTreeSet::len).sum();
        let (mut deliveries, mut grown) = (0, Instant::now());
        while deliveries < wanted && grown.elapsed() < REST {
            let now = self.deliveries()?;
            if now > deliveries {
                (deliveries, grown) = (now, Instant::now());
            }
            pause(Duration::from_millis(50));
        }
        self.report.deliveries = deliveries;
        let alive = |process: &mut Option<Process>| process.as_mut().is_some_and(Process::is_alive);
        ensure!(alive(&mut self.world.server), "the server ended by itself");
        for (index, expected) in expected.iter().enumerate() {
            ensure!(alive(&mut self.world.agents[index]), "agent {index} ended by itself");
            model::check(&self.world.journal(index)?, expected)
                .map_err(|why| anyhow::anyhow!("agent {index}: {why}"))?;
        }
        Ok(())
    }

    fn deliveries(&self) -> anyhow::Result<usize> {
        (0..self.plan.agents).map(|index| Ok(model::gained(&self.world.journal(index)?))).sum()
    }
}
