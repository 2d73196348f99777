//! One TOML file that describes a tree: servers, providers and agents, who dials whom, and what goes wrong when.
//!
//! `distributary tree up` plays it with real processes, the simulated tree in virtual time. The file is written for
//! people, with templates and names (`file`); a [`Scenario`] is the same written out, by index and checked. The examples
//! are in `deploy/scenarios`.

mod act;
mod error;
mod expand;
mod fault;
mod file;
mod names;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

pub use act::Act;
pub use error::ScenarioError;

use schemas::guid::ClientGuid;

use crate::config::{Asks, Guid, PolicyTable};

/// A tree and what happens to it; everything is there by its index.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// For people.
    pub name: String,
    /// How long it takes, from when every server is up.
    pub length: Duration,
    /// Where the simulated tree takes its chances from.
    pub seed: u64,
    /// In the order of the file.
    pub servers: Vec<Server>,
    /// In the order of the file.
    pub providers: Vec<Provider>,
    /// What agents have in common.
    pub groups: Vec<Group>,
    /// In the order of the file.
    pub agents: Vec<Agent>,
    /// In the order of time.
    pub faults: Vec<Fault>,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Unlike every other name.
    pub name: String,
    /// 0 without an upstream, else one more than that of its lowest upstream.
    pub tier: usize,
    /// The servers above it at the beginning.
    pub upstreams: Vec<Uplink>,
    /// What it asks an upstream for that it is attached to later.
    pub asks: Asks,
    /// Its `policy.full_of_everything`.
    pub full_of_everything: bool,
    /// Its `policy.combine_milliseconds`.
    pub combine_milliseconds: u64,
}

/// One upstream of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// Index of the upstream in [`Scenario::servers`].
    pub server: usize,
    /// What it is asked for.
    pub asks: Asks,
}

/// Somebody who publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Unlike every other name.
    pub name: String,
    /// Index of the server that it dials.
    pub server: usize,
    /// What it publishes, one after the other: files, folders, or built-in names.
    pub publish: Vec<String>,
    /// When it begins.
    pub at: Duration,
    /// Items a second; as fast as it goes if there is none.
    pub rate: Option<u32>,
}

/// What the agents of one block have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// As it is in the file, such as `agent-{n}`.
    pub name: String,
    /// Where their inventories come from: a file, a folder, or a built-in name.
    pub assets: String,
    /// Crates that each of them has besides.
    pub always: Vec<Crate>,
    /// When they start.
    pub at: Duration,
}

/// A crate of crates.io in one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Unlike every other name.
    pub name: String,
    /// Index of its group.
    pub group: usize,
    /// Its place in the group, from 0: which inventory is its own.
    pub place: usize,
    /// Index of the server that it dials.
    pub server: usize,
}

/// Somebody who can be stopped or cut off, by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// Of [`Scenario::servers`].
    Server(usize),
    /// Of [`Scenario::providers`].
    Provider(usize),
    /// Of [`Scenario::agents`].
    Agent(usize),
}

/// The link from whoever dials to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Who dials.
    pub from: Party,
    /// Index of the server.
    pub to: usize,
}

/// Something that goes wrong, or changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What goes wrong, or changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// They end at once as by SIGKILL, and start again later.
    Kill {
        /// Who.
        parties: Vec<Party>,
        /// When they start again.
        until: Duration,
    },
    /// Nothing crosses these links; neither end is told.
    Cut {
        /// Which.
        links: Vec<Link>,
        /// When they are whole again.
        until: Duration,
    },
    /// A server ends, and starts again at once below others.
    Attach {
        /// Which.
        server: usize,
        /// Its upstreams from now on; none makes it a root.
        to: Vec<usize>,
    },
}

impl Scenario {
    /// Reads a file and checks it. What it publishes and where inventories are is not looked at yet.
    ///
    /// # Errors
    /// Names the file, the block and the key, and says what to do.
    pub fn load(path: &Path) -> Result<Self, ScenarioError> {
        let in_file = |error: ScenarioError| error.in_file(path);
        let text = std::fs::read_to_string(path).map_err(|error| in_file(error.into()))?;
        Self::parse(&text).map_err(in_file)
    }

    /// The same from a text.
    ///
    /// # Errors
    /// Names the block and the key, and says what to do.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        expand::expand(toml::from_str(text)?)
    }

    /// The name of somebody.
    pub fn name_of(&self, party: Party) -> &str {
        match party {
            Party::Server(index) => &self.servers[index].name,
            Party::Provider(index) => &self.providers[index].name,
            Party::Agent(index) => &self.agents[index].name,
        }
    }

    /// What a fault does, in words.
    pub fn describe(&self, what: &What) -> String {
        let few = |names: Vec<String>| match names.len() {
            0..=4 => names.join(", "),
            count => format!("{} and {} more", names[..3].join(", "), count - 3),
        };
        let parties = |parties: &[Party]| few(parties.iter().map(|one| self.name_of(*one).to_owned()).collect());
        match what {
            What::Kill { parties: who, .. } => format!("kill {}", parties(who)),
            What::Cut { links, .. } => {
                let link = |link: &Link| format!("{} -> {}", self.name_of(link.from), self.servers[link.to].name);
                format!("cut {}", few(links.iter().map(link).collect()))
            }
            What::Attach { server, to } if to.is_empty() => format!("detach {}", self.servers[*server].name),
            What::Attach { server, to } => {
                let to: Vec<Party> = to.iter().map(|index| Party::Server(*index)).collect();
                format!("attach {} to {}", self.servers[*server].name, parties(&to))
            }
        }
    }

    /// How many tiers of servers there are.
    pub fn tiers(&self) -> usize {
        self.servers.iter().map(|server| server.tier + 1).max().unwrap_or_default()
    }

    /// Who may do what at each server: whoever publishes there, and the servers that are ever below it, known by the
    /// GUIDs that they have as clients.
    pub fn policies(&self, guid_of: impl Fn(Party) -> ClientGuid) -> Vec<PolicyTable> {
        let of_server = |server: &Server| PolicyTable {
            full_of_everything: server.full_of_everything,
            combine_milliseconds: server.combine_milliseconds,
            ..PolicyTable::default()
        };
        let mut policies: Vec<PolicyTable> = self.servers.iter().map(of_server).collect();
        for (index, provider) in self.providers.iter().enumerate() {
            policies[provider.server].providers.insert(Guid(guid_of(Party::Provider(index))));
        }
        for below in 0..self.servers.len() {
            for above in self.upstreams_ever(below) {
                policies[above].local_servers.insert(Guid(guid_of(Party::Server(below))));
            }
        }
        policies
    }

    /// Every upstream that a server ever has, those it is attached to later included.
    pub fn upstreams_ever(&self, server: usize) -> impl Iterator<Item = usize> {
        let later = self.faults.iter().flat_map(move |fault| match &fault.what {
            What::Attach { server: moved, to } if *moved == server => to.as_slice(),
            What::Attach { .. } | What::Kill { .. } | What::Cut { .. } => &[],
        });
        self.servers[server].upstreams.iter().map(|uplink| uplink.server).chain(later.copied())
    }

    /// Every link that is ever cut.
    pub fn links_cut(&self) -> impl Iterator<Item = Link> {
        self.faults.iter().flat_map(|fault| match &fault.what {
            What::Cut { links, .. } => links.clone(),
            What::Kill { .. } | What::Attach { .. } => Vec::new(),
        })
    }
}
