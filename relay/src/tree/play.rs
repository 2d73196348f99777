//! Playing a scenario: everybody enters, faults come at their times, and at the end everything must come to rest.

use std::time::Duration;

use anyhow::{bail, ensure};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{Instant, MissedTickBehavior};

use super::board::Board;
use super::cast::Cast;
use super::observe::{Eyes, Sight};
use super::process::PATIENCE;
use super::scenario::{Act, Party};
use super::show::Screen;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two questions whether a server is ready.
const ASK_EVERY: Duration = Duration::from_millis(5);

/// A play under way.
pub(super) struct Play {
    pub(super) cast: Cast,
    pub(super) board: Board,
    pub(super) screen: Screen,
    /// What went wrong for good.
    pub(super) wrong: Vec<String>,
}

impl Play {
    pub(super) fn new(cast: Cast, screen: Screen) -> Self {
        let board = Board::new(&cast.world.scenario);
        Self { cast, board, screen, wrong: Vec::new() }
    }

    /// From the first server to the rest at the end. What did not hold is in `wrong`.
    pub(super) async fn run(&mut self) -> anyhow::Result<()> {
        // Tasks end with this.
        let mut tasks = JoinSet::new();
        for (_, forwarder) in self.cast.world.forwarders() {
            tasks.spawn(forwarder.carry()?);
        }
        self.enter_servers().await?;
        let (sender, mut sights) = mpsc::channel(1);
        tasks.spawn(look(self.eyes(), sender));
        let begin = Instant::now();
        let length = self.cast.world.scenario.length;
        let mut acts = self.cast.world.scenario.acts().into_iter().peekable();
        loop {
            let next = acts.peek().map(|(at, _)| begin + *at);
            tokio::select! {
                // What is due comes before what was seen.
                biased;
                () = tokio::time::sleep_until(next.unwrap_or(begin)), if next.is_some() => {
                    if let Some((at, act)) = acts.next() {
                        self.carry_out(at, act)?;
                    }
                }
                sight = sights.recv() => {
                    let Some(sight) = sight else { bail!("nobody looks any more") };
                    self.take_in(begin.elapsed(), sight)?;
                    let is_last = acts.peek().is_none() && begin.elapsed() >= length;
                    if is_last && self.is_over(begin.elapsed() - length) {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The uppermost tier first: whoever enters finds whom it dials.
    async fn enter_servers(&mut self) -> anyhow::Result<()> {
        let scenario = &self.cast.world.scenario;
        let tiers: Vec<usize> = scenario.servers.iter().map(|server| server.tier).collect();
        for tier in 0..scenario.tiers() {
            let servers: Vec<usize> = (0..tiers.len()).filter(|index| tiers[*index] == tier).collect();
            servers.iter().try_for_each(|index| self.cast.start_server(*index))?;
            for index in servers {
                self.until_ready(index).await?;
            }
        }
        Ok(())
    }

    async fn until_ready(&mut self, server: usize) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        while !block_in_place(|| self.cast.is_ready(server)) {
            let name = &self.cast.world.scenario.servers[server].name;
            let log = self.cast.world.folder.log(name);
            ensure!(Instant::now() < until, "{name} does not get ready: see {}", log.display());
            if let Err(error) = self.cast.check() {
                bail!("{error}: see {}", log.display());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
        Ok(())
    }

    fn eyes(&self) -> Eyes {
        let world = &self.cast.world;
        let admins = (0..world.scenario.servers.len()).map(|server| world.admin(server)).collect();
        Eyes::new(admins, world.scenario.agents.iter().map(|agent| world.state(&agent.name)).collect())
    }

    fn carry_out(&mut self, at: Duration, act: Act) -> anyhow::Result<()> {
        let text = act.describe(&self.cast.world.scenario);
        match act {
            Act::Enter(group) => self.cast.start_group(group)?,
            Act::Publish(provider) => self.cast.begin(provider)?,
            Act::Kill(parties) => {
                for party in parties {
                    self.cast.kill(party)?;
                    self.begins(party);
                }
            }
            Act::Start(parties) => {
                for party in parties {
                    self.cast.start(party)?;
                    self.begins(party);
                }
            }
            Act::Cut(links) => self.cast.set_cut(&links, true),
            Act::Mend(links) => self.cast.set_cut(&links, false),
            Act::Attach(server, to) => {
                self.cast.attach(server, &to)?;
                self.begins(Party::Server(server));
            }
        }
        self.screen.event(at, &text);
        Ok(())
    }

    fn begins(&mut self, party: Party) {
        if let Party::Server(server) = party {
            self.board.begins(server);
        }
    }

    fn take_in(&mut self, at: Duration, sight: Sight) -> anyhow::Result<()> {
        self.board.update(at, sight, &self.cast.since(), &self.cast.world.scenario);
        for wrong in self.cast.look_after()? {
            self.screen.event(at, &wrong);
            self.wrong.push(wrong);
        }
        self.screen.show(&self.board);
        Ok(())
    }

    /// Whether everything is at rest, or has been waited for long enough.
    fn is_over(&mut self, waited: Duration) -> bool {
        let open = self.open();
        if open.is_empty() && !self.board.is_moving {
            return true;
        }
        let is_over = waited >= PATIENCE || self.cast.has_failed();
        if is_over {
            self.wrong.extend(open);
        }
        is_over
    }

    /// What keeps the tree from its rest.
    fn open(&self) -> Vec<String> {
        let mut open = Vec::new();
        for (index, seen) in self.board.servers.iter().enumerate() {
            let wrong = |what: String| format!("{}: {what}", seen.name);
            let Some(server) = seen.server.as_ref().filter(|server| server.ready && self.cast.is_on_stage(index))
            else {
                open.push(wrong("is not up".into()));
                continue;
            };
            let above = self.cast.upstreams(index);
            if server.uplinks.is_some_and(|uplinks| uplinks < above as u64) {
                open.push(wrong(format!("is connected to {} of {above} upstreams", server.uplinks.unwrap_or(0))));
            }
            let started = self.cast.agents_of(index);
            if server.links.is_some_and(|links| links < started as u64) {
                open.push(wrong(format!("has {} links, and {started} agents", server.links.unwrap_or(0))));
            }
            if server.open > 0 {
                open.push(wrong(format!("{} items are not answered", server.open)));
            }
        }
        let agents = &self.board.agents;
        if agents.synchronised < agents.started {
            let count = agents.started - agents.synchronised;
            open.push(format!("{count} agents are not synchronised: {} ...", agents.waited_for.join(", ")));
        }
        open.extend(self.cast.publishing().map(|name| format!("{name}: is not through with publishing")));
        open
    }
}

/// Looks again and again, until nobody wants to know.
async fn look(mut eyes: Eyes, sights: mpsc::Sender<Sight>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let looked = tokio::task::spawn_blocking(move || {
            let sight = eyes.look();
            (eyes, sight)
        });
        let Ok((again, sight)) = looked.await else { return };
        eyes = again;
        if sights.send(sight).await.is_err() {
            return;
        }
    }
}
