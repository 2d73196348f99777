//! The processes of a world: who plays which part, and who is on the stage.

use std::path::Path;

use anyhow::bail;
use node::ids::Time;

use super::process::Process;
use super::scenario::{Link, Party, Uplink, What};
use super::scrape::page;
use super::world::World;

/// So many agents may have a process of their own; more share some.
const ALONE_MAX: usize = 40;
/// Agents that share a process: each takes some files and a socket of its share.
const TOGETHER: usize = 100;

/// See the module. Processes end before the folder goes.
pub(crate) struct Cast {
    servers: Vec<Option<Process>>,
    houses: Vec<House>,
    providers: Vec<Publishing>,
    /// How many upstreams each server has by now.
    upstreams: Vec<usize>,
    pub(crate) world: World,
}

/// Agents of one group in one process.
struct House {
    group: usize,
    agents: Vec<usize>,
    process: Option<Process>,
    /// When it started last.
    since: Option<Time>,
}

/// How far a provider is.
#[derive(Default)]
struct Publishing {
    process: Option<Process>,
    done: usize,
    has_begun: bool,
    has_failed: bool,
}

impl Cast {
    /// Nobody is on the stage yet.
    pub(crate) fn new(world: World) -> anyhow::Result<Self> {
        let servers = world.scenario.servers.iter().map(|_| None).collect();
        let providers = world.scenario.providers.iter().map(|_| Publishing::default()).collect();
        let upstreams = world.scenario.servers.iter().map(|server| server.upstreams.len()).collect();
        Ok(Self { servers, houses: houses(&world)?, providers, upstreams, world })
    }

    /// Starts a server; it is ready later.
    pub(crate) fn start_server(&mut self, index: usize) -> anyhow::Result<()> {
        self.servers[index] = Some(self.world.run(&self.world.scenario.servers[index].name, &["run"])?);
        Ok(())
    }

    /// Whether a server takes links and stores what is sent to it.
    pub(crate) fn is_ready(&self, index: usize) -> bool {
        page(self.world.admin(index), "/readyz").is_some()
    }

    /// Starts the agents of a group.
    pub(crate) fn start_group(&mut self, group: usize) -> anyhow::Result<()> {
        let houses = (0..self.houses.len()).filter(|index| self.houses[*index].group == group);
        houses.collect::<Vec<_>>().into_iter().try_for_each(|index| self.start_house(index))
    }

    fn start_house(&mut self, index: usize) -> anyhow::Result<()> {
        let house = &mut self.houses[index];
        let agents = &self.world.scenario.agents;
        house.since = Some(dialler::clock::wall());
        house.process = Some(match house.agents.as_slice() {
            [only] => self.world.run(&agents[*only].name, &["agent", "run"])?,
            many => {
                let name = format!("agents-{}", index + 1);
                let configs = many.iter().map(|agent| self.world.folder.config(&agents[*agent].name));
                let list: String = configs.map(|path| format!("{}\n", path.display())).collect();
                let list = self.world.folder.write(&format!("{name}.list"), &list)?;
                Process::start(&name, ["agents".as_ref(), list.as_os_str()], &self.world.folder.log(&name))?
            }
        });
        Ok(())
    }

    /// Ends somebody as by SIGKILL.
    pub(crate) fn kill(&mut self, party: Party) -> anyhow::Result<()> {
        let process = match party {
            Party::Server(index) => self.servers[index].take(),
            Party::Provider(index) => self.providers[index].process.take(),
            Party::Agent(index) => self.house_of(index)?.process.take(),
        };
        process.map_or(Ok(()), |mut process| process.kill())
    }

    /// Starts somebody again after that.
    pub(crate) fn start(&mut self, party: Party) -> anyhow::Result<()> {
        match party {
            Party::Server(index) => self.start_server(index),
            Party::Provider(index) => self.publish_next(index),
            Party::Agent(agent) => {
                let index = self.houses.iter().position(|house| house.agents == [agent] && house.since.is_some());
                // One that had not come yet comes with its group.
                index.map_or(Ok(()), |index| self.start_house(index))
            }
        }
    }

    fn house_of(&mut self, agent: usize) -> anyhow::Result<&mut House> {
        let house = self.houses.iter_mut().find(|house| house.agents == [agent]);
        match house {
            Some(house) => Ok(house),
            None => bail!("{} shares its process", self.world.scenario.agents[agent].name),
        }
    }

    /// Puts a server below others.
    pub(super) fn attach(&mut self, server: usize, to: &[usize]) -> anyhow::Result<()> {
        let asks = self.world.scenario.servers[server].asks;
        let upstreams: Vec<Uplink> = to.iter().map(|above| Uplink { server: *above, asks }).collect();
        self.upstreams[server] = to.len();
        self.kill(Party::Server(server))?;
        self.world.write_server(server, &upstreams)?;
        self.start_server(server)
    }

    /// Cuts links, or mends them.
    pub(super) fn set_cut(&self, links: &[Link], cut: bool) {
        let forwarders = self.world.forwarders().filter(|(link, _)| links.contains(link));
        forwarders.for_each(|(_, forwarder)| forwarder.set_cut(cut));
    }

    /// A provider begins.
    pub(super) fn begin(&mut self, provider: usize) -> anyhow::Result<()> {
        self.providers[provider].has_begun = true;
        self.publish_next(provider)
    }

    fn publish_next(&mut self, index: usize) -> anyhow::Result<()> {
        let publishing = &self.providers[index];
        let source = self.world.publications(index).get(publishing.done);
        let may_begin = publishing.has_begun && publishing.process.is_none();
        let (true, Some(source)) = (may_begin, source.cloned()) else { return Ok(()) };
        self.providers[index].process = Some(self.publish(index, &source)?);
        Ok(())
    }

    /// A publication by a provider, as a process that ends with it.
    fn publish(&self, provider: usize, source: &Path) -> anyhow::Result<Process> {
        self.publish_with(provider, source, &[])
    }

    /// The same with more flags.
    pub(crate) fn publish_with(&self, provider: usize, source: &Path, flags: &[&str]) -> anyhow::Result<Process> {
        let provider = &self.world.scenario.providers[provider];
        let rate = provider.rate.map(|rate| rate.to_string());
        let source = source.to_string_lossy();
        let mut args = vec!["agent", "publish", &source];
        args.extend(rate.iter().flat_map(|rate| ["--rate", rate]));
        args.extend(flags);
        self.world.run(&provider.name, &args)
    }

    /// Looks after everybody: a provider whose publication is over goes on to the next. Answers what went wrong since
    /// the last time.
    pub(super) fn look_after(&mut self) -> anyhow::Result<Vec<String>> {
        let mut wrong = Vec::new();
        let (servers, houses) = (self.servers.iter_mut(), self.houses.iter_mut().map(|house| &mut house.process));
        for process in servers.chain(houses) {
            if let Some(Err(error)) = process.as_mut().map(Process::check) {
                wrong.push(error.to_string());
                *process = None;
            }
        }
        for index in 0..self.providers.len() {
            let publishing = &mut self.providers[index];
            let Some(process) = &mut publishing.process else { continue };
            let Some(status) = process.ended()? else { continue };
            publishing.process = None;
            if status.success() {
                publishing.done += 1;
                self.publish_next(index)?;
            } else {
                publishing.has_failed = true;
                let name = &self.world.scenario.providers[index].name;
                wrong.push(format!("{name} could not publish: see {}", self.world.folder.log(name).display()));
            }
        }
        Ok(wrong)
    }

    /// Fails if anybody but a provider has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        let houses = self.houses.iter_mut().map(|house| &mut house.process);
        self.servers.iter_mut().chain(houses).flatten().try_for_each(Process::check)
    }

    /// Providers that have begun and are not through.
    pub(super) fn publishing(&self) -> impl Iterator<Item = &str> {
        let providers = self.world.scenario.providers.iter().zip(&self.providers).enumerate();
        let open = providers.filter(|(index, (_, publishing))| {
            publishing.has_begun && publishing.done < self.world.publications(*index).len()
        });
        open.map(|(_, (provider, _))| provider.name.as_str())
    }

    /// Whether a publication has failed: then waiting for the rest of it is in vain.
    pub(super) fn has_failed(&self) -> bool {
        self.providers.iter().any(|publishing| publishing.has_failed)
    }

    /// Since when an agent has been on the stage, if it has.
    pub(super) fn since(&self) -> Vec<Option<Time>> {
        let mut since = vec![None; self.world.scenario.agents.len()];
        for house in &self.houses {
            house.agents.iter().for_each(|agent| since[*agent] = house.since);
        }
        since
    }

    /// How many upstreams a server has by now.
    pub(super) fn upstreams(&self, server: usize) -> usize {
        self.upstreams[server]
    }

    /// How many agents that dial a server have started.
    pub(super) fn agents_of(&self, server: usize) -> usize {
        let started = self.houses.iter().filter(|house| house.since.is_some()).flat_map(|house| &house.agents);
        started.filter(|agent| self.world.scenario.agents[**agent].server == server).count()
    }

    /// Whether a server's process is there.
    pub(super) fn is_on_stage(&self, server: usize) -> bool {
        self.servers[server].is_some()
    }
}

impl World {
    /// Starts one of the parties by its name: its configuration and its log are called so.
    fn run(&self, name: &str, args: &[&str]) -> anyhow::Result<Process> {
        let config = self.folder.config(name);
        let args = args.iter().map(|arg| arg.as_ref()).chain(["--config".as_ref(), config.as_os_str()]);
        Process::start(name, args, &self.folder.log(name))
    }
}

/// Who shares a process with whom. Whoever is killed has one of its own.
fn houses(world: &World) -> anyhow::Result<Vec<House>> {
    let scenario = &world.scenario;
    let killed = |agent: usize| {
        scenario.faults.iter().any(|fault| match &fault.what {
            What::Kill { parties, .. } => parties.contains(&Party::Agent(agent)),
            What::Cut { .. } | What::Attach { .. } => false,
        })
    };
    let count = scenario.agents.len();
    let alone: Vec<usize> = (0..count).filter(|agent| count <= ALONE_MAX || killed(*agent)).collect();
    if alone.len() > ALONE_MAX {
        bail!("{} agents are killed: of more than {ALONE_MAX} agents, {ALONE_MAX} at most", alone.len());
    }
    let house = |group, agents| House { group, agents, process: None, since: None };
    let mut houses: Vec<House> = alone.iter().map(|agent| house(scenario.agents[*agent].group, vec![*agent])).collect();
    for group in 0..scenario.groups.len() {
        let others = (0..count).filter(|agent| scenario.agents[*agent].group == group && !alone.contains(agent));
        let others: Vec<usize> = others.collect();
        houses.extend(others.chunks(TOGETHER).map(|agents| house(group, agents.to_vec())));
    }
    Ok(houses)
}
