//! The rounds of a run with one server.

use std::collections::BTreeSet;
use std::path::Path;

use agent::publish::Part;
use anyhow::{Context, ensure};

use super::model::{self, Advisory};
use super::stage::{PATIENCE, Stage};
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

impl Batch {
    /// Items in all journals when so many thousandths of the round's have come, on top of what was there before it.
    fn wanted(&self, before: usize, instant: u64) -> usize {
        before + self.own * usize::try_from(instant).unwrap_or(0) / 1000
    }
}

/// Carries out a plan; an error says what is wrong with which journal.
///
/// # Errors
/// A journal that is not what it must be, or a process that cannot be started.
pub fn run(program: &Path, plan: Plan) -> anyhow::Result<Report> {
    let mut random = Random::new(plan.seed);
    let stage = Stage::make(program, &[None], plan.agents, &mut random)?;
    let advisories = model::advisories(plan.items, &mut random);
    let mut run = Run { plan, random, stage, report: Report::default() };
    run.play(&advisories).with_context(|| run.stage.world.logs())?;
    run.report.deliveries = run.stage.judge(&advisories).with_context(|| run.stage.world.logs())?;
    Ok(run.report)
}

struct Run {
    plan: Plan,
    random: Random,
    stage: Stage,
    report: Report,
}

impl Run {
    fn play(&mut self, advisories: &[Advisory]) -> anyhow::Result<()> {
        let kills = self.kills();
        self.start_server(kills.first().copied())?;
        for index in 0..self.plan.agents {
            self.stage.world.start_agent(index)?;
        }
        let size = self.plan.items.div_ceil(self.plan.rounds);
        let mut total = 0;
        for (round, batch) in advisories.chunks(size).enumerate() {
            let own = self.stage.deliveries_of(batch);
            total += own;
            let batch = Batch { parts: batch.iter().map(|advisory| advisory.part()).collect(), own, total };
            let next = kills.get(round + 1).copied();
            self.round(kills[round], next, &batch).with_context(|| format!("round {round}, {:?}", kills[round]))?;
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
            kills.push(kind(round, self.random.below(800)));
        }
        kills
    }

    fn round(&mut self, kill: Kill, next: Option<Kill>, batch: &Batch) -> anyhow::Result<()> {
        let some = self.some_agents();
        if let Kill::ServerAfterTheLastAnswer = kill {
            self.kill_agents(&some);
        }
        let before = self.stage.world.look()?.gained;
        let publishing = self.stage.publish(&batch.parts)?;
        match kill {
            Kill::Server(instant) => {
                self.stage.wait_for(batch.wanted(before, instant), &publishing)?;
                self.stage.world.kill_server(0);
                self.killed(batch)?;
                self.report.servers_killed += 1;
                self.start_server(next)?;
            }
            Kill::Failpoint => {
                let died = self.stage.world.server_dies_within(0, PATIENCE)?;
                ensure!(died, "the failpoint was not met");
                self.killed(batch)?;
                self.report.failpoints += 1;
                self.start_server(next)?;
            }
            Kill::Agents(instant) => {
                self.stage.wait_for(batch.wanted(before, instant), &publishing)?;
                self.kill_agents(&some);
                self.killed(batch)?;
                self.start_agents(&some)?;
            }
            Kill::ServerAfterTheLastAnswer => {}
        }
        self.stage.finish(publishing)?;
        match kill {
            Kill::ServerAfterTheLastAnswer => {
                self.stage.world.kill_server(0);
                self.killed(batch)?;
                self.report.servers_killed += 1;
                self.start_server(next)?;
                self.start_agents(&some)
            }
            // A failpoint is armed when the server starts: give it a server that has one.
            Kill::Agents(_) if matches!(next, Some(Kill::Failpoint)) => {
                self.stage.world.kill_server(0);
                self.report.servers_killed += 1;
                self.start_server(next)
            }
            Kill::Agents(_) | Kill::Server(_) | Kill::Failpoint => Ok(()),
        }
    }

    /// Somebody was just killed: was it amid the deliveries of the round?
    fn killed(&mut self, batch: &Batch) -> anyhow::Result<()> {
        self.report.instants += 1;
        self.report.amid += usize::from(self.stage.world.look()?.gained < batch.total);
        Ok(())
    }

    fn start_server(&mut self, next: Option<Kill>) -> anyhow::Result<()> {
        let failpoint = matches!(next, Some(Kill::Failpoint))
            .then(|| Point { nth: 1 + self.random.below(3), before: self.random.one_in(2) });
        let Plan { forgets, lies, .. } = self.plan;
        self.stage.world.start_server(0, ServerFaults { forgets, seed: self.random.next_u64(), lies, failpoint })
    }

    fn some_agents(&mut self) -> BTreeSet<usize> {
        let count = 1 + self.random.below(4);
        (0..count).map(|_| self.random.below(self.plan.agents as u64) as usize).collect()
    }

    fn kill_agents(&mut self, agents: &BTreeSet<usize>) {
        agents.iter().for_each(|index| self.stage.world.kill_agent(*index));
        self.report.agents_killed += agents.len();
    }

    fn start_agents(&mut self, agents: &BTreeSet<usize>) -> anyhow::Result<()> {
        agents.iter().try_for_each(|index| self.stage.world.start_agent(*index))
    }
}
