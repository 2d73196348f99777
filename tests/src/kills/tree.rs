//! The rounds of a run with a tree of servers: each node in turn is killed while items are on their way, then two at
//! once.

use std::path::Path;

use anyhow::Context;
use relay::config::Realm;

use super::ServerFaults;
use super::model::{self, Advisory};
use super::stage::Stage;
use super::world::Above;
use crate::faults::Random;

/// A root; one local server of its realm with another below it, and one of a foreign realm.
const SERVERS: [Above; 4] = [None, Some((0, Realm::Same)), Some((1, Realm::Same)), Some((0, Realm::Foreign))];

/// Who dies together in each round.
const DEATHS: [&[usize]; 9] = [&[0], &[1], &[2], &[3], &[0, 1], &[1, 2], &[0, 3], &[2, 3], &[0, 2]];

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// Agents, as many under each local server.
    pub agents: usize,
    /// Items published in each round.
    pub items: usize,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Rounds: in each one or two servers and some agents are killed.
    pub rounds: usize,
    /// In so many of them items of the round had not reached everybody yet.
    pub amid: usize,
    /// Servers killed by SIGKILL.
    pub servers_killed: usize,
    /// Agents killed so, each once.
    pub agents_killed: usize,
    /// Items in all journals.
    pub deliveries: usize,
}

/// Carries out a plan; an error says what is wrong with which journal.
///
/// # Errors
/// A journal that is not what it must be, or a process that cannot be started.
pub fn run(program: &Path, plan: Plan) -> anyhow::Result<Report> {
    let mut random = Random::new(plan.seed);
    let mut stage = Stage::make(program, &SERVERS, plan.agents, &mut random)?;
    let advisories = model::advisories(plan.items * DEATHS.len(), &mut random);
    let mut report = Report::default();
    let logs = |stage: &Stage| stage.world.logs();
    let played = play(&mut stage, plan, &advisories, &mut random, &mut report);
    played.with_context(|| logs(&stage))?;
    report.deliveries = stage.judge(&advisories).with_context(|| logs(&stage))?;
    Ok(report)
}

fn play(
    stage: &mut Stage,
    plan: Plan,
    advisories: &[Advisory],
    random: &mut Random,
    report: &mut Report,
) -> anyhow::Result<()> {
    (0..SERVERS.len()).try_for_each(|index| stage.world.start_server(index, ServerFaults::default()))?;
    (0..plan.agents).try_for_each(|index| stage.world.start_agent(index))?;
    let mut total = 0;
    for (round, (batch, dying)) in advisories.chunks(plan.items).zip(DEATHS).enumerate() {
        let own = stage.deliveries_of(batch);
        total += own;
        let agents = (round..plan.agents).step_by(DEATHS.len());
        let wanted = stage.world.look()?.gained + own * random.below(800) as usize / 1000;
        let parts: Vec<_> = batch.iter().map(|advisory| advisory.part()).collect();
        let publishing = stage.publish(&parts)?;
        stage.wait_for(wanted, &publishing)?;
        dying.iter().for_each(|index| stage.world.kill_server(*index));
        agents.clone().for_each(|agent| stage.world.kill_agent(agent));
        report.rounds += 1;
        report.servers_killed += dying.len();
        report.agents_killed += agents.len();
        report.amid += usize::from(stage.world.look()?.gained < total);
        dying.iter().try_for_each(|index| stage.world.start_server(*index, ServerFaults::default()))?;
        agents.clone().try_for_each(|agent| stage.world.start_agent(agent))?;
        stage.finish(publishing).with_context(|| format!("{dying:?} had died"))?;
    }
    Ok(())
}
