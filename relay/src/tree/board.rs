//! What is known of a tree while it plays: the newest look at it, rates, and sums over the lives of its servers.

use std::time::{Duration, Instant};

use node::ids::Time;

use super::observe::{Counts, Server, Sight};
use super::scenario::Scenario;

/// See the module.
pub(super) struct Board {
    /// Since the play began.
    pub(super) at: Duration,
    pub(super) servers: Vec<Seen>,
    pub(super) agents: Agents,
    /// Whether anything came to an agent since the look before.
    pub(super) is_moving: bool,
}

/// A server, as it was seen.
pub(super) struct Seen {
    pub(super) name: String,
    pub(super) tier: usize,
    /// As it answered last; `None` while it is down.
    pub(super) server: Option<Server>,
    /// Of earlier lives.
    before: Counts,
    /// Of this life.
    counts: Counts,
    /// A second.
    pub(super) rates: Counts<f64>,
    /// When this life began.
    since: Instant,
}

/// All agents together.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Agents {
    pub(super) all: usize,
    /// Those that have started.
    pub(super) started: usize,
    pub(super) synchronised: usize,
    pub(super) items: usize,
    /// Items a second.
    pub(super) rate: f64,
    /// The first few that have started and are not synchronised.
    pub(super) waited_for: Vec<String>,
}

/// How many are named.
const NAMED: usize = 5;

impl Board {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let seen = |server: &super::scenario::Server| Seen {
            name: server.name.clone(),
            tier: server.tier,
            server: None,
            before: Counts::default(),
            counts: Counts::default(),
            rates: Counts::default(),
            since: Instant::now(),
        };
        let agents = Agents { all: scenario.agents.len(), ..Agents::default() };
        let servers = scenario.servers.iter().map(seen).collect();
        Self { at: Duration::ZERO, servers, agents, is_moving: true }
    }

    /// A server ended or starts again: its counters begin at 0.
    pub(super) fn begins(&mut self, server: usize) {
        let seen = &mut self.servers[server];
        seen.before = seen.totals();
        (seen.counts, seen.rates) = (Counts::default(), Counts::default());
        (seen.server, seen.since) = (None, Instant::now());
    }

    /// Takes in what was seen. `since` says for each agent when it started.
    pub(super) fn update(&mut self, at: Duration, sight: Sight, since: &[Option<Time>], names: &Scenario) {
        let passed = at.saturating_sub(self.at).as_secs_f64().max(0.001);
        self.at = at;
        for (seen, server) in self.servers.iter_mut().zip(sight.servers) {
            // What an earlier life said does not count for this one.
            if sight.begun >= seen.since {
                seen.update(server, passed);
            }
        }
        let mut agents = Agents { all: self.agents.all, ..Agents::default() };
        for (index, (agent, since)) in sight.agents.iter().zip(since).enumerate() {
            agents.items += agent.items;
            let Some(since) = since else { continue };
            agents.started += 1;
            // What it said before it started again does not count either.
            if agent.synchronised.is_some_and(|at| at >= *since) {
                agents.synchronised += 1;
            } else if agents.waited_for.len() < NAMED {
                agents.waited_for.push(names.agents[index].name.clone());
            }
        }
        let came = agents.items.abs_diff(self.agents.items);
        (agents.rate, self.is_moving) = (came as f64 / passed, came > 0);
        self.agents = agents;
    }
}

impl Seen {
    fn update(&mut self, server: Option<Server>, passed: f64) {
        let counts = server.as_ref().map(|server| server.counts).unwrap_or_default();
        for (index, count) in counts.into_iter().enumerate() {
            let came = count.map(|count| count.saturating_sub(self.counts[index].unwrap_or(0)));
            self.rates[index] = came.map(|came| came as f64 / passed);
            self.counts[index] = count.or(self.counts[index]);
        }
        self.server = server;
    }

    /// Of all its lives.
    pub(super) fn totals(&self) -> Counts {
        std::array::from_fn(|index| sum([self.before[index], self.counts[index]]))
    }

    /// Whether it takes links and stores what it is sent.
    pub(super) fn is_ready(&self) -> bool {
        self.server.as_ref().is_some_and(|server| server.ready)
    }
}

/// The sum of what is known; nothing, if nothing is.
pub(super) fn sum<T: std::iter::Sum>(values: impl IntoIterator<Item = Option<T>>) -> Option<T> {
    let mut known = values.into_iter().flatten().peekable();
    known.peek().is_some().then_some(())?;
    Some(known.sum())
}

#[cfg(test)]
mod tests {
    use super::super::observe::{Agent, PUSHED, UP_IN};
    use super::*;

    fn board() -> (Board, Scenario) {
        let text = "[scenario]\nname = \"t\"\nseconds = 9\n[[server]]\nname = \"root\"\n\
                    [[agents]]\nname = \"a-{n}\"\ncount = 2\nserver = \"root\"\nassets = \"builtin:demo\"\n";
        let scenario = Scenario::parse(text).expect("good");
        (Board::new(&scenario), scenario)
    }

    fn sight(pushed: u64, synchronised: [u64; 2]) -> Sight {
        let mut counts = Counts::default();
        counts[PUSHED] = Some(pushed);
        let server = Server { ready: true, links: Some(2), uplinks: None, items: Some(3), open: 0, counts };
        let agents = synchronised.map(|at| Agent { synchronised: Some(Time(at)), items: 4 }).to_vec();
        Sight { begun: Instant::now(), servers: vec![Some(server)], agents }
    }

    #[test]
    fn counters_go_on_over_a_servers_lives() {
        let (mut board, scenario) = board();
        let since = [None, None];
        board.update(Duration::from_secs(1), sight(10, [0, 0]), &since, &scenario);
        board.update(Duration::from_secs(3), sight(30, [0, 0]), &since, &scenario);
        assert_eq!(board.servers[0].rates[PUSHED], Some(10.0));
        let late = sight(31, [0, 0]);
        board.begins(0);
        board.update(Duration::from_secs(4), late, &since, &scenario);
        assert!(!board.servers[0].is_ready());
        board.update(Duration::from_secs(5), sight(7, [0, 0]), &since, &scenario);
        assert_eq!((board.servers[0].totals()[PUSHED], board.servers[0].totals()[UP_IN]), (Some(37), None));
        assert!(board.servers[0].is_ready());
    }

    #[test]
    fn what_an_agent_said_before_it_started_again_does_not_count() {
        let (mut board, scenario) = board();
        let since = [Some(Time(5)), Some(Time(7))];
        board.update(Duration::from_secs(1), sight(0, [6, 6]), &since, &scenario);
        assert!(board.is_moving);
        board.update(Duration::from_secs(2), sight(0, [6, 6]), &since, &scenario);
        assert!(!board.is_moving);
        let agents = &board.agents;
        assert_eq!((agents.all, agents.started, agents.synchronised, agents.items), (2, 2, 1, 8));
        assert_eq!(agents.waited_for, ["a-2"]);
    }
}
