//! Faults: who is meant, for how long, and that none comes while an equal one lasts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::{Place, ScenarioError};
use super::expand::seconds;
use super::names::{self, Names};
use super::{Fault, Link, Party, Scenario, What, file};

/// More are no story.
const FAULTS_MAX: usize = 10_000;

/// Writes them out in the order of time.
pub(super) fn faults(blocks: &[file::Fault], scenario: &Scenario, names: &Names) -> Result<Vec<Fault>, ScenarioError> {
    if blocks.len() > FAULTS_MAX {
        return Place { block: "[[fault]]", which: "" }.bad("count", blocks.len(), "at most 10000 faults");
    }
    let mut ordered: Vec<&file::Fault> = blocks.iter().collect();
    ordered.sort_by(|one, other| one.at.total_cmp(&other.at));
    let mut play = Play::new(scenario, names);
    ordered.into_iter().map(|block| play.fault(block)).collect()
}

/// What holds when the next fault comes.
struct Play<'a> {
    scenario: &'a Scenario,
    names: &'a Names,
    /// The upstreams of each server.
    upstreams: Vec<Vec<usize>>,
    /// Until when somebody is down.
    down: BTreeMap<Party, Duration>,
    /// Until when a link is cut.
    cut: BTreeMap<Link, Duration>,
}

impl<'a> Play<'a> {
    fn new(scenario: &'a Scenario, names: &'a Names) -> Self {
        let servers = scenario.servers.iter();
        let upstreams = servers.map(|server| server.upstreams.iter().map(|uplink| uplink.server).collect()).collect();
        Self { scenario, names, upstreams, down: BTreeMap::new(), cut: BTreeMap::new() }
    }

    fn fault(&mut self, block: &file::Fault) -> Result<Fault, ScenarioError> {
        let which = format!("at {}", block.at);
        let place = Place { block: "[[fault]]", which: &which };
        let at = seconds(place, "at", block.at)?;
        let what = match (&block.kill, &block.cut, &block.attach) {
            (Some(kill), None, None) => self.kill(place, at, &kill.0, self.until(place, at, block)?)?,
            (None, Some(cut), None) => self.cut(place, at, &cut.0, self.until(place, at, block)?)?,
            (None, None, Some(attach)) => self.attach(place, at, &attach.0, block)?,
            _ => return place.bad("kill, cut, attach", "?", "exactly one of them; two faults may have the same time"),
        };
        if block.to.is_some() && block.attach.is_none() {
            return place.bad("to", "?", "only with attach");
        }
        Ok(Fault { at, what })
    }

    fn until(&self, place: Place<'_>, at: Duration, block: &file::Fault) -> Result<Duration, ScenarioError> {
        let Some(lasts) = block.lasts else { return place.bad("for", "?", "say for how many seconds") };
        let until = at + seconds(place, "for", lasts)?;
        if until > self.scenario.length {
            let why = format!(
                "it must be over by the end, after {} s: the tree must mend",
                self.scenario.length.as_secs_f64()
            );
            return place.bad("for", lasts, why);
        }
        Ok(until)
    }

    fn kill(
        &mut self,
        place: Place<'_>,
        at: Duration,
        written: &[String],
        until: Duration,
    ) -> Result<What, ScenarioError> {
        let mut parties = Vec::new();
        for name in written {
            for party in self.names.all(place, "kill", name)? {
                if self.down.insert(*party, until).is_some_and(|before| before > at) {
                    return place.bad("kill", name, "it is down already at this time");
                }
                parties.push(*party);
            }
        }
        if parties.is_empty() {
            return place.bad("kill", "[]", "name who ends");
        }
        Ok(What::Kill { parties, until })
    }

    fn cut(
        &mut self,
        place: Place<'_>,
        at: Duration,
        written: &[String],
        until: Duration,
    ) -> Result<What, ScenarioError> {
        let mut all = Vec::new();
        for name in written {
            let links = names::links(self.names, place, name, |party| self.dialled(party))?;
            for link in links {
                if self.cut.insert(link, until).is_some_and(|before| before > at) {
                    return place.bad("cut", name, "it is cut already at this time");
                }
                all.push(link);
            }
        }
        if all.is_empty() {
            return place.bad("cut", "[]", "name who is cut off");
        }
        Ok(What::Cut { links: all, until })
    }

    fn attach(
        &mut self,
        place: Place<'_>,
        at: Duration,
        written: &[String],
        block: &file::Fault,
    ) -> Result<What, ScenarioError> {
        if block.lasts.is_some() {
            return place.bad("for", "?", "not with attach: another attach puts it back");
        }
        let [name] = written else {
            return place.bad("attach", written.join(", "), "one server; two faults may have the same time");
        };
        let server = self.names.server(place, "attach", name, 0)?;
        if self.down.get(&Party::Server(server)).is_some_and(|until| *until > at) {
            return place.bad("attach", name, "it is down at this time");
        }
        let Some(to) = &block.to else { return place.bad("to", "?", "its upstreams from then on; [] for none") };
        let to = self.upstreams_named(place, &to.0)?;
        self.upstreams[server].clone_from(&to);
        Ok(What::Attach { server, to })
    }

    fn upstreams_named(&self, place: Place<'_>, written: &[String]) -> Result<Vec<usize>, ScenarioError> {
        let mut upstreams = Vec::new();
        for name in written {
            let server = self.names.server(place, "to", name, 0)?;
            if upstreams.contains(&server) {
                return place.bad("to", name, "each upstream once");
            }
            upstreams.push(server);
        }
        Ok(upstreams)
    }

    fn dialled(&self, party: Party) -> Vec<usize> {
        match party {
            Party::Server(index) => self.upstreams[index].clone(),
            Party::Provider(index) => vec![self.scenario.providers[index].server],
            Party::Agent(index) => vec![self.scenario.agents[index].server],
        }
    }
}
