//! The rounds of a run, and the judgement at its end.

use std::collections::BTreeSet;
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
    /// Seeded instants at which somebody was killed: one a round.
    pub instants: usize,
    /// At so many of them items of the round had not reached everybody yet.
    pub amid: usize,
    /// The server was killed by SIGKILL.
    pub servers_killed: usize,
    /// The server was killed by a failpoint between append and sync, or between sync and reply.
    pub failpoints: usize,
    /// Agents killed by SIGKILL; one that dies in two rounds counts twice.
    pub agents_killed: usize,
    /// Items in all journals.
    pub deliveries: usize,
}

/// A publication under way.
type Publishing = tokio::task::JoinHandle<anyhow::Result<()>>;

/// Who dies in a round, and when.
#[derive(Clone, Copy, Debug)]
enum Kill {
    /// The server, when so many thousandths of the round's items have come.
    Server(u64),
    /// The server, by the failpoint that it was started with.
    Failpoint,
    /// Some agents, likewise by what has come.
    Agents(u64),
    /// Some agents before the publication and the server right after its last answer: what was acknowledged must be
    /// there for agents that were not.
    ServerAfterTheLastAnswer,
}

/// A round's publication, and what must come of it.
struct Batch {
    parts: Vec<Part>,
    /// Items that agents get of this round.
    own: usize,
    /// Of this and all earlier rounds.
    total: usize,
}

/// How long anything may take; ten times what it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Journals that do not grow for so long, though items are missing, have come to rest.
const REST: Duration = Duration::from_secs(15);
/// When everything has come: what comes twice, or should not come, comes within this.
const AFTERMATH: Duration = Duration::from_secs(4);
/// Items in one publication. A round takes several, so that its deliveries are spread over many commits.
const PUBLISHED_AT_ONCE: usize = 7;

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
        let mut total = 0;
        for (round, batch) in advisories.chunks(size).enumerate() {
            let own = self.deliveries_of(batch);
            total += own;
            let batch = Batch { parts: batch.iter().map(|advisory| advisory.part()).collect(), own, total };
            let next = kills.get(round + 1).copied();
            self.round(kills[round], next, &batch).with_context(|| format!("round {round}, {:?}", kills[round]))?;
        }
        Ok(())
    }

    /// How many entries these advisories make in all journals.
    fn deliveries_of(&self, advisories: &[Advisory]) -> usize {
        self.world.components.iter().map(|components| model::expected(advisories, components).len()).sum()
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
            kills.push(kind(round, self.random.below(800)));
        }
        kills
    }

    fn round(&mut self, kill: Kill, next: Option<Kill>, batch: &Batch) -> anyhow::Result<()> {
        let some = self.some_agents();
        if let Kill::ServerAfterTheLastAnswer = kill {
            self.kill_agents(&some);
        }
        let before = self.world.look()?.gained;
        let publishing = self.publish(&batch.parts)?;
        match kill {
            Kill::Server(instant) => {
                self.wait_for(before, instant, batch, &publishing)?;
                self.world.kill_server();
                self.killed(batch)?;
                self.report.servers_killed += 1;
                self.start_server(next)?;
            }
            Kill::Failpoint => {
                let died = self.world.server.as_mut().map(|server| server.dies_within(PATIENCE)).transpose()?;
                ensure!(died == Some(true), "the failpoint was not met");
                self.killed(batch)?;
                self.report.failpoints += 1;
                self.start_server(next)?;
            }
            Kill::Agents(instant) => {
                self.wait_for(before, instant, batch, &publishing)?;
                self.kill_agents(&some);
                self.killed(batch)?;
                self.start_agents(&some)?;
            }
            Kill::ServerAfterTheLastAnswer => {}
        }
        self.finish(publishing)?;
        match kill {
            Kill::ServerAfterTheLastAnswer => {
                self.world.kill_server();
                self.killed(batch)?;
                self.report.servers_killed += 1;
                self.start_server(next)?;
                self.start_agents(&some)
            }
            // A failpoint is armed when the server starts: give it a server that has one.
            Kill::Agents(_) if matches!(next, Some(Kill::Failpoint)) => {
                self.world.kill_server();
                self.report.servers_killed += 1;
                self.start_server(next)
            }
            Kill::Agents(_) | Kill::Server(_) | Kill::Failpoint => Ok(()),
        }
    }

    /// Waits until so many thousandths of a round's items have come on top of what was there before it, or nothing more
    /// comes (on a disk that lies).
    fn wait_for(&mut self, before: usize, instant: u64, batch: &Batch, publishing: &Publishing) -> anyhow::Result<()> {
        let wanted = before + batch.own * usize::try_from(instant)? / 1000;
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

    /// Somebody was just killed: was it amid the deliveries of the round?
    fn killed(&mut self, batch: &Batch) -> anyhow::Result<()> {
        self.report.instants += 1;
        self.report.amid += usize::from(self.world.look()?.gained < batch.total);
        Ok(())
    }

    /// Waits for a publication, unless the server cannot even start again.
    fn finish(&mut self, publishing: Publishing) -> anyhow::Result<()> {
        while !publishing.is_finished() {
            let alive = self.world.server.as_mut().is_some_and(Process::is_alive);
            ensure!(alive, "the server ended by itself");
            pause(Duration::from_millis(10));
        }
        self.runtime.block_on(publishing)?
    }

    fn publish(&self, parts: &[Part]) -> anyhow::Result<Publishing> {
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

    fn start_server(&mut self, next: Option<Kill>) -> anyhow::Result<()> {
        let failpoint = matches!(next, Some(Kill::Failpoint))
            .then(|| Point { nth: 1 + self.random.below(3), before: self.random.one_in(2) });
        let Plan { forgets, lies, .. } = self.plan;
        self.world.start_server(ServerFaults { forgets, seed: self.random.next_u64(), lies, failpoint })
    }

    fn some_agents(&mut self) -> BTreeSet<usize> {
        let count = 1 + self.random.below(4);
        (0..count).map(|_| self.random.below(self.plan.agents as u64) as usize).collect()
    }

    fn kill_agents(&mut self, agents: &BTreeSet<usize>) {
        agents.iter().for_each(|index| self.world.kill_agent(*index));
        self.report.agents_killed += agents.len();
    }

    fn start_agents(&mut self, agents: &BTreeSet<usize>) -> anyhow::Result<()> {
        agents.iter().try_for_each(|index| self.world.start_agent(*index))
    }

    /// Waits until every journal has what it must have and nothing comes any more, then looks at each line.
    fn judge(&mut self, advisories: &[Advisory]) -> anyhow::Result<()> {
        let wanted = self.deliveries_of(advisories);
        self.report.deliveries = self.rest(wanted)?;
        let alive = |process: &mut Option<Process>| process.as_mut().is_some_and(Process::is_alive);
        ensure!(alive(&mut self.world.server), "the server ended by itself");
        for index in 0..self.plan.agents {
            ensure!(alive(&mut self.world.agents[index]), "agent {index} ended by itself");
            let expected = model::expected(advisories, &self.world.components[index]);
            model::check(&self.world.journal(index)?, &expected)
                .map_err(|why| anyhow::anyhow!("agent {index}: {why}"))?;
        }
        Ok(())
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
