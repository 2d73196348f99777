//! Plans: who connects, what is published, how fast.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use crate::network::Network;
use crate::tiers::{self, Tier};

/// Clients that one run may have.
pub const CLIENTS_MAX: usize = 10_000;
/// Publications that one run may have, each with a provider of its own.
pub const PUBLICATIONS_MAX: usize = 100;
/// Items that one run may publish.
pub const ITEMS_MAX: usize = 10_000_000;
/// Bytes of items that a run holds in memory.
pub const ITEM_BYTES_MAX: usize = 4 << 30;

/// A plan file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// For people.
    pub name: String,
    /// What it is for, for people.
    #[serde(default)]
    pub about: String,
    /// The server; one is started if its address is not given.
    #[serde(default)]
    pub server: Server,
    /// The cores on which the clients and providers run; all if empty.
    #[serde(default)]
    pub cores: Vec<usize>,
    /// How many clients share a UDP socket. If not given: one has it alone, as a device does, as long as there are no more than
    /// 500, and that many sockets are shared beyond that.
    #[serde(default)]
    pub clients_of_a_socket: Option<usize>,
    /// What lies between clients and their server.
    #[serde(default)]
    pub network: Option<Network>,
    /// Local servers below the server, from the top down, each tier below the one before.
    #[serde(default)]
    pub tier: Vec<Tier>,
    /// Groups of clients.
    pub clients: Vec<Clients>,
    /// What is published, each by a provider of its own, at the same time.
    pub publish: Vec<Publish>,
    /// Seconds without a receipt after which what is missing counts as lost.
    #[serde(default = "default_patience")]
    pub patience_seconds: f64,
    /// Seconds after which a run is over whatever has not arrived, which is then not missing; none, if not given.
    #[serde(default)]
    pub seconds_max: Option<f64>,
    /// Seconds for which links are idle before anything is published, to see what they cost.
    #[serde(default = "default_idle")]
    pub idle_seconds: f64,
}

fn default_patience() -> f64 {
    30.0
}

fn default_idle() -> f64 {
    2.0
}

/// The server under load.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// The core on which a server that is started runs; any, if not given.
    pub core: Option<usize>,
    /// The address at which a server that is started listens; loopback, if not given.
    pub host: Option<IpAddr>,
    /// The network namespace (ip-netns(8)) in which it runs, which needs root; this one, if not given.
    pub namespace: Option<String>,
    /// What a server that is started takes for congestion: `cubic`, `newreno` or `bbr`; its default, if not given.
    pub congestion: Option<String>,
    /// A server that runs already. `guid` and `pki` go with it, and it must have the providers in its policy that
    /// `distributary-loadtest check` names.
    pub address: Option<SocketAddr>,
    /// Its GUID.
    pub guid: Option<String>,
    /// The folder of the authority that it trusts, with its key: each client needs a certificate.
    pub pki: Option<PathBuf>,
    /// The same server's process, on this machine: its time and memory are measured.
    pub pid: Option<u32>,
    /// Its admin address, for what crossed its sockets.
    pub admin: Option<SocketAddr>,
}

/// Clients that are alike.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Clients {
    /// For people.
    pub name: String,
    /// How many.
    pub count: usize,
    /// At which tier's servers they are, in turn: its name, or `top`; the lowest, if not given.
    #[serde(default)]
    pub tier: Option<String>,
    /// Which publications they want, by name; all of them and whatever else there is, if empty.
    #[serde(default)]
    pub wants: Vec<String>,
    /// Components in the inventory that each registers.
    #[serde(default = "default_components")]
    pub components: usize,
    /// Whether they speak the plain form only, as those of another implementer may.
    #[serde(default)]
    pub plain: bool,
    /// What is special about them.
    #[serde(default)]
    pub habit: Habit,
}

fn default_components() -> usize {
    20
}

/// How clients behave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Habit {
    /// They read and answer as fast as they can.
    #[default]
    Steady,
    /// They never read what is pushed.
    Stalled,
    /// They read so many bytes a second.
    Slow(u32),
    /// They register, leave, and come back when everything is published.
    Away,
    /// So many of them a second lose their link and come back.
    Churn(f64),
    /// All lose their link at this second of the publication, and come back at once.
    Storm(f64),
}

impl Habit {
    /// Whether they may get an item again: a server that has not heard yet how far a lost link came sends the rest of it
    /// once more, and clients drop it.
    pub fn may_repeat(self) -> bool {
        matches!(self, Self::Churn(_) | Self::Storm(_))
    }

    /// Whether a provider that waits for receipts waits for theirs.
    pub fn is_waited_for(self) -> bool {
        matches!(self, Self::Steady | Self::Churn(_) | Self::Storm(_))
    }
}

/// One stream of items.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// By which clients want it.
    pub name: String,
    /// What an item is.
    pub content: Content,
    /// Whether its text is of something critical, which has a lane of its own.
    #[serde(default)]
    pub critical: bool,
    /// How many. A folder's files are published again under other names until there are so many.
    pub count: usize,
    /// So many items, at most, are published and not received by everybody who is waited for.
    #[serde(default)]
    pub window: Option<usize>,
    /// So many a second, whether or not anybody has received the ones before (an open loop).
    #[serde(default)]
    pub rate: Option<f64>,
    /// With a rate: so many at once, the rate being kept on the average.
    #[serde(default = "one")]
    pub burst: usize,
    /// Seconds after the beginning.
    #[serde(default)]
    pub start: f64,
}

fn one() -> usize {
    1
}

/// What an item carries.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// Code of so many bytes that do not compress.
    Random(usize),
    /// An advisory with comments of so many bytes.
    Text(usize),
    /// Code from the files of a folder, each as it is.
    Files(PathBuf),
    /// X.1206 documents (`*.xml`) of a folder as they are, each once. Only clients that want everything get them.
    Documents(PathBuf),
}

impl Plan {
    /// Reads a plan and checks it. Paths in it are relative to it.
    ///
    /// # Errors
    /// Says what is wrong, and what would be right.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the plan {}", path.display()))?;
        let mut plan: Self = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let beside = path.parent().unwrap_or(Path::new(""));
        let contents = plan.publish.iter_mut().filter_map(|publish| match &mut publish.content {
            Content::Files(folder) | Content::Documents(folder) => Some(folder),
            Content::Random(_) | Content::Text(_) => None,
        });
        for folder in contents.chain(&mut plan.server.pki) {
            *folder = beside.join(&*folder);
        }
        plan.check().with_context(|| path.display().to_string())?;
        Ok(plan)
    }

    fn check(&self) -> anyhow::Result<()> {
        let clients: usize = self.clients.iter().map(|group| group.count).sum();
        let items: usize = self.publish.iter().map(|publish| publish.count).sum();
        ensure!((1..=CLIENTS_MAX).contains(&clients), "{clients} clients: 1 to {CLIENTS_MAX} can be run");
        ensure!((1..=ITEMS_MAX).contains(&items), "{items} items: 1 to {ITEMS_MAX} can be published");
        ensure!(self.clients_of_a_socket != Some(0), "clients_of_a_socket must be at least 1");
        let publications = self.publish.len();
        ensure!(publications <= PUBLICATIONS_MAX, "{publications} publications: {PUBLICATIONS_MAX} at most");
        // GUIDs and items are made from them.
        ensure!(are_unique(self.clients.iter().map(|group| &group.name)), "two groups of clients have the same name");
        ensure!(are_unique(self.publish.iter().map(|publish| &publish.name)), "two publications have the same name");
        let seconds = [self.patience_seconds, self.idle_seconds, self.seconds_max.unwrap_or_default()];
        ensure!(seconds.into_iter().all(is_time), "seconds must be 0 to 86400");
        self.network.as_ref().map_or(Ok(()), Network::check).context("network")?;
        for publish in &self.publish {
            publish.check().with_context(|| format!("publish {:?}", publish.name))?;
        }
        for group in &self.clients {
            group.check(&self.publish).with_context(|| format!("clients {:?}", group.name))?;
        }
        tiers::check(&self.tier)?;
        for group in &self.clients {
            let is_there = group.tier.as_ref().is_none_or(|name| self.tier_named(name).is_some());
            ensure!(is_there, "clients {:?}: there is no tier {:?}", group.name, group.tier);
        }
        self.server.check()?;
        ensure!(
            self.tier.is_empty() || self.server.address.is_none(),
            "a tier is below a server that the run starts: leave server.address out"
        );
        Ok(())
    }

    /// How many clients share a socket. By default there are at most 500 sockets: half of the files that a process usually may
    /// have open.
    pub fn share(&self) -> usize {
        const SOCKETS_MAX: usize = 500;
        let clients: usize = self.clients.iter().map(|group| group.count).sum();
        self.clients_of_a_socket.unwrap_or(clients.div_ceil(SOCKETS_MAX)).max(1)
    }

    /// The number of the tier at whose servers a group is; 0 is the top.
    pub fn tier_of(&self, group: &Clients) -> usize {
        group.tier.as_ref().and_then(|name| self.tier_named(name)).unwrap_or(self.tier.len())
    }

    fn tier_named(&self, name: &str) -> Option<usize> {
        let mut names = std::iter::once(tiers::TOP).chain(self.tier.iter().map(|tier| tier.name.as_str()));
        names.position(|is| is == name)
    }

    /// How long nothing may come.
    pub fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.patience_seconds)
    }
}

impl Server {
    fn check(&self) -> anyhow::Result<()> {
        let Self { core, host, namespace, congestion, address, guid, pki, pid, admin } = self;
        let is_told = core.is_some() || host.is_some() || namespace.is_some() || congestion.is_some();
        match address {
            Some(_) => ensure!(
                guid.is_some() && pki.is_some() && !is_told,
                "server.address needs server.guid and server.pki, and excludes server.core, host, namespace and congestion"
            ),
            None => ensure!(
                guid.is_none() && pki.is_none() && pid.is_none() && admin.is_none(),
                "server.guid, pki, pid and admin go with server.address"
            ),
        }
        Ok(())
    }
}

impl Publish {
    fn check(&self) -> anyhow::Result<()> {
        ensure!(!self.name.trim().is_empty() && self.count > 0, "needs a name and a count");
        ensure!(is_time(self.start), "start must be 0 to 86400 seconds");
        ensure!(self.window.is_none() || self.rate.is_none(), "has a window or a rate, not both");
        ensure!(self.window != Some(0) && self.burst > 0, "window and burst are at least 1");
        ensure!(self.burst == 1 || self.rate.is_some(), "a burst needs a rate");
        let is_text = matches!(self.content, Content::Text(_));
        ensure!(is_text || !self.critical, "only text is critical: other content says by itself what it is");
        ensure!(self.rate.is_none_or(|rate| (0.001..=1e6).contains(&rate)), "rate must be 0.001 to 1000000 a second");
        if let Content::Random(bytes) | Content::Text(bytes) = self.content {
            ensure!((1..=40 << 20).contains(&bytes), "an item has 1 byte to 40 MiB");
            let total = bytes.saturating_mul(self.count);
            ensure!(total <= ITEM_BYTES_MAX, "{total} bytes of items: {ITEM_BYTES_MAX} are held in memory at most");
        }
        Ok(())
    }
}

impl Clients {
    fn check(&self, published: &[Publish]) -> anyhow::Result<()> {
        ensure!(self.count > 0 && self.components <= 10_000, "count is at least 1, components at most 10000");
        for want in &self.wants {
            let publish = published.iter().find(|publish| publish.name == *want);
            let publish = publish.with_context(|| format!("wants {want:?}, which nobody publishes"))?;
            ensure!(
                !matches!(publish.content, Content::Documents(_)),
                "wants {want:?}: whole documents say by themselves what they are about; leave wants out"
            );
        }
        match self.habit {
            Habit::Churn(rate) => ensure!((0.001..=10_000.0).contains(&rate), "churn must be 0.001 to 10000 a second"),
            Habit::Storm(at) => ensure!(is_time(at), "a storm is at 0 to 86400 seconds"),
            Habit::Slow(rate) => ensure!(rate > 0, "slow clients read at least 1 byte a second"),
            Habit::Steady | Habit::Stalled | Habit::Away => {}
        }
        Ok(())
    }

    /// Whether they want this publication.
    pub fn want(&self, publish: &Publish) -> bool {
        self.wants.is_empty() || self.wants.contains(&publish.name)
    }
}

fn are_unique<'a>(names: impl Iterator<Item = &'a String>) -> bool {
    let mut seen = BTreeSet::new();
    names.into_iter().all(|name| seen.insert(name))
}

fn is_time(seconds: f64) -> bool {
    (0.0..=86_400.0).contains(&seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> anyhow::Result<Plan> {
        let plan: Plan = toml::from_str(text)?;
        plan.check().map(|()| plan)
    }

    const SMALL: &str = "name = \"small\"\n[[clients]]\nname = \"all\"\ncount = 3\n\
                         [[publish]]\nname = \"news\"\ncontent = { text = 100 }\ncount = 5\n";

    #[test]
    fn a_short_plan_is_a_plan() {
        let plan = parse(SMALL).unwrap();
        assert_eq!((plan.clients[0].habit, plan.publish[0].burst), (Habit::Steady, 1));
        assert!(plan.clients[0].want(&plan.publish[0]));
    }

    #[test]
    fn clients_are_at_the_lowest_tier_unless_they_say_where() {
        let tiers = "[[tier]]\nname = \"isp\"\nservers = 2\n[[tier]]\nname = \"site\"\nservers = 4\n";
        let plan = |tier: &str| parse(&format!("{}{tiers}", SMALL.replace("count = 3", &format!("count = 3\n{tier}"))));
        for (tier, number) in [("", 2), ("tier = \"site\"", 2), ("tier = \"isp\"", 1), ("tier = \"top\"", 0)] {
            let plan = plan(tier).unwrap();
            assert_eq!(plan.tier_of(&plan.clients[0]), number, "{tier}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        let with = |line: &str| format!("{SMALL}{line}\n");
        for (text, says) in [
            (with("window = 0"), "at least 1"),
            (with("window = 3\nrate = 1.0"), "not both"),
            (with("burst = 5"), "needs a rate"),
            (with("speed = 5"), "unknown field"),
            (SMALL.replace("count = 3", "count = 0"), "1 to 10000"),
            (SMALL.replace("count = 3", "count = 3\nwants = [\"olds\"]"), "nobody publishes"),
            (SMALL.replace("count = 3", "count = 3\nhabit = { churn = 0.0 }"), "0.001"),
            (format!("{SMALL}[[clients]]\nname = \"all\"\ncount = 1\n"), "same name"),
            (format!("{SMALL}[[publish]]\nname = \"news\"\ncontent = {{ text = 9 }}\ncount = 1\n"), "same name"),
            (format!("{SMALL}[network]\nloss = 0.9\n"), "0 to 0.5"),
            (format!("{SMALL}[network]\nqueue = 9\n"), "needs megabits"),
            (with("critical = true").replace("text", "random"), "only text"),
            (SMALL.replace("count = 3", "count = 3\ntier = \"isp\""), "no tier"),
            (format!("{SMALL}[[tier]]\nname = \"isp\"\nservers = 0\n"), "at least 1"),
            (
                format!(
                    "{SMALL}[server]\naddress = \"127.0.0.1:1\"\nguid = \"1\"\npki = \"p\"\n\
                     [[tier]]\nname = \"isp\"\nservers = 1\n"
                ),
                "leave server.address out",
            ),
            (format!("{SMALL}[server]\nguid = \"1\"\n"), "go with server.address"),
            (format!("{SMALL}[server]\naddress = \"127.0.0.1:1\"\n"), "needs server.guid"),
        ] {
            let error = format!("{:#}", parse(&text).expect_err(says));
            assert!(error.contains(says), "{error:?} does not say {says:?}");
        }
    }

    #[test]
    fn the_shipped_plans_are_good() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plans");
        let plans: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(plans.len() >= 8, "{plans:?}");
        for plan in plans {
            Plan::read(&plan).unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}
