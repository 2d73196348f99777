//! What all this is for, in its size: one server, ten local servers, a thousand agents with the real inventories of a
//! fleet, the whole advisory database, and one long item for everybody. Bytes are those that crossed sockets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent::config::AssetSource;
use agent::contact::Contact;
use agent::journal::{self, JOURNAL, Kind};
use agent::publish::Part;
use agent::rustsec;
use agent::rustsec::publication::State;
use schemas::digest::Digest;
use schemas::guid::ClientGuid;
use schemas::version::{Code, CodeContent, CodeKind, Container, Info, VersionInfo};
use tests::data::{self, Finding, Member};
use tests::harness::{TestAgent, TestClient, TestServer, agent_config, draft, open_files};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::{PROVIDER, foreign, root, same_realm, under};

const LOCAL_SERVERS: usize = 10;
const AGENTS: usize = 1000;
/// Those that are there when everything is published, and get it pushed; the others come later and fetch it.
const EARLY: usize = 100;
/// Agents that start or end at once: each may hold the long item in memory a few times.
const AT_ONCE: usize = 32;
/// What an agent has open: its socket, its journal, locks.
const FILES_EACH: u64 = 8;
/// Reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(600);

/// The product that every agent runs beside its project.
const DEVICE: &str = "Device";
const LONG: &str = "for everybody";
const LONG_BYTES: usize = 10_000_000;
/// What comes last to each agent.
const LAST: &str = "the last word";

// R-6-5: who published pays for one delivery, the server for ten, and each local server for one.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_agents_cost_their_provider_one_delivery_and_each_edge_one() {
    let Some(data) = data::dir() else { return };
    open_files(FILES_EACH * AGENTS as u64 + 2048);
    let members = data::fleet(&data);
    assert_eq!(members.iter().map(|member| member.expected.len()).sum::<usize>(), 5212);
    let folder = tempfile::tempdir().unwrap();
    let root = root(0x1_0000).await;
    let mut local = Vec::new();
    for number in 0..LOCAL_SERVERS {
        let asks = if number % 2 == 0 { foreign() } else { same_realm() };
        local.push(under(&root, 0x1_1000 + number as u128, asks).await);
    }
    let fleet = fleet(folder.path(), &members, &local);
    let (early, late) = fleet.split_at(EARLY);
    let mut agents = start(early).await;
    let provider = TestClient::connect(&root, PROVIDER).await;
    publish(&provider, &data).await;
    agents.extend(start(late).await);
    provider.ask(draft::deliver(&[draft::item(LAST, DEVICE)])).await.succeeded();
    for device in &fleet {
        until("the last word", || device.has_heard(LAST)).await;
    }

    let edges = edges(&provider, &root, &local).await;
    println!("{}", table(&edges));
    for (edge, least) in edges.iter().zip([0.998].into_iter().chain([0.98; LOCAL_SERVERS + 1])) {
        assert!(edge.fewer() >= least, "{}: {}", edge.name, edge.fewer());
    }
    stop(agents, &fleet, &members).await;
}

/// A device of the fleet, before its agent starts.
#[derive(Clone)]
struct Device {
    config: agent::config::Config,
    member: usize,
}

impl Device {
    fn state(&self) -> &Path {
        &self.config.state.directory
    }

    fn is_synchronised(&self) -> bool {
        Contact::read(self.state()).is_some_and(|contact| contact.synchronised)
    }

    fn has_heard(&self, id: &str) -> bool {
        fs::read_to_string(self.state().join(JOURNAL)).is_ok_and(|text| text.contains(id))
    }

    /// Whether its journal has gained exactly what it should, each once.
    fn check(&self, expected: &BTreeSet<Finding>) {
        let lines = journal::lines(self.state()).unwrap();
        let gained: Vec<_> = lines.iter().filter(|line| line.event == Kind::Gained).collect();
        let mut found = BTreeSet::new();
        for line in &gained {
            let project = line.reasons.iter().filter(|asset| asset.asset != DEVICE);
            for because in project.flat_map(|asset| &asset.because) {
                found.insert((line.id.clone().unwrap(), because.component.clone(), because.version.clone()));
            }
        }
        assert_eq!(found, *expected);
        let mut items: Vec<&str> = gained.iter().filter_map(|line| line.id.as_deref()).collect();
        items.sort_unstable();
        let wanted: BTreeSet<&str> = expected.iter().map(|(id, ..)| id.as_str()).chain([LONG, LAST]).collect();
        assert_eq!(items, wanted.into_iter().collect::<Vec<_>>(), "each once");
    }
}

/// Waits until something holds that no event tells of.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let look = async {
        let mut every = tokio::time::interval(Duration::from_millis(50));
        while !holds() {
            every.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"));
}

/// The projects of the fleet in rotation, on devices below each local server in turn. The documents of all lie together:
/// this is one host.
fn fleet(folder: &Path, members: &[Member], local: &[TestServer]) -> Vec<Device> {
    let list = folder.join("device.toml");
    fs::write(&list, format!("[[asset]]\nname = \"{DEVICE}\"\nversion = \"1\"\n")).unwrap();
    let device = AssetSource { name: DEVICE.to_owned(), cargo_lock: None, list: Some(list) };
    let lock = |(number, member): (usize, &Member)| -> PathBuf {
        let path = folder.join(format!("{number}.lock"));
        fs::write(&path, &member.lock).unwrap();
        path
    };
    let locks: Vec<PathBuf> = members.iter().enumerate().map(lock).collect();
    let device = |number: usize| {
        let (server, member) = (&local[number % local.len()], number % members.len());
        let guid = ClientGuid(0x1_0000_0000 + number as u128);
        let mut config = agent_config((server.addr(), server.guid()), guid, &folder.join(format!("agent-{number}")));
        config.state.documents = Some(folder.join("documents"));
        let project = AssetSource { name: "project".to_owned(), cargo_lock: Some(locks[member].clone()), list: None };
        config.assets = vec![project, device.clone()];
        Device { config, member }
    };
    (0..AGENTS).map(device).collect()
}

/// Starts agents, a few at a time, and waits until each has everything that is there.
async fn start(fleet: &[Device]) -> Vec<TestAgent> {
    let (permits, mut starting, mut agents) = (few(), JoinSet::new(), Vec::new());
    for device in fleet {
        let permit = one(&permits).await;
        agents.push(TestAgent::run(device.config.clone()));
        let device = device.clone();
        starting.spawn(async move {
            until("an agent to be synchronised", || device.is_synchronised()).await;
            drop(permit);
        });
    }
    while let Some(started) = starting.join_next().await {
        started.unwrap();
    }
    agents
}

/// Stops agents, a few at a time, and looks at their journals.
async fn stop(agents: Vec<TestAgent>, fleet: &[Device], members: &[Member]) {
    let (permits, mut stopping) = (few(), JoinSet::new());
    for (agent, device) in agents.into_iter().zip(fleet) {
        let permit = one(&permits).await;
        let (device, expected) = (device.clone(), members[device.member].expected.clone());
        stopping.spawn(async move {
            agent.stop().await;
            tokio::task::spawn_blocking(move || device.check(&expected)).await.unwrap();
            drop(permit);
        });
    }
    while let Some(stopped) = stopping.join_next().await {
        stopped.unwrap();
    }
}

fn few() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(AT_ONCE))
}

async fn one(permits: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    permits.clone().acquire_owned().await.unwrap()
}

async fn publish(provider: &TestClient, data: &Path) {
    let source = rustsec::read_source(&data.join("advisories/rustsec/advisory-db")).unwrap();
    let is_complete = source.is_complete();
    let plan = State::default().plan(source, is_complete);
    assert_eq!(plan.publish.len(), 1099);
    let part = |(path, info): &(String, VersionInfo)| Part::new(path, std::slice::from_ref(info)).bytes().clone();
    let parts: Vec<_> = plan.publish.iter().map(part).collect();
    for parts in parts.chunks(64) {
        provider.ask(draft::bundle(parts)).await.succeeded();
    }
    provider.ask(draft::deliver(&[long()])).await.succeeded();
}

/// An item that brings code for every device, of which no form makes much less.
fn long() -> VersionInfo {
    let noise = (0_u32..).flat_map(|number| Digest::of(&number.to_be_bytes()).0);
    let code: Vec<u8> = noise.take(LONG_BYTES / 4 * 3).collect();
    let text = schemas::base64::encode(&code).into();
    let content = CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text };
    let code = Some(Code { content: Some(content), ..Code::default() });
    let info = Info { container: Container { code, ..Container::default() }, ..Info::default() };
    VersionInfo { info: vec![draft::said(LONG, info)], ..draft::product(DEVICE) }
}

/// What crossed one edge, both ways, and what would have: everything that the agents behind it exchanged with the server
/// that they dial, each over a link of its own.
struct Edge {
    name: String,
    agents: usize,
    carried: u64,
    direct: u64,
}

impl Edge {
    /// Which share did not have to cross.
    fn fewer(&self) -> f64 {
        1.0 - self.carried as f64 / self.direct as f64
    }
}

/// The provider's edge first, then that of each local server, then those together, as the server has counted them.
async fn edges(provider: &TestClient, root: &TestServer, local: &[TestServer]) -> Vec<Edge> {
    let mut below = Vec::new();
    for (number, server) in local.iter().enumerate() {
        let page = server.page("/metrics").await;
        let name =
            format!("server - local server {}, {}", number + 1, if number % 2 == 0 { "foreign" } else { "same realm" });
        let (carried, direct) = (wire(&page, "up"), wire(&page, "down"));
        below.push(Edge { name, agents: AGENTS / local.len(), carried, direct });
    }
    let direct = below.iter().map(|edge| edge.direct).sum();
    let published = provider.socket_bytes();
    let published = published.sent + published.received;
    let at_root = wire(&root.page("/metrics").await, "down");
    let all = |name: &str, carried| Edge { name: name.to_owned(), agents: AGENTS, carried, direct };
    below.insert(0, all("provider - server", published));
    below.push(all("server - all local servers", at_root - published));
    below
}

fn wire(page: &str, side: &str) -> u64 {
    let of = |direction: &str| -> u64 {
        let name = format!("distributary_wire_bytes_total{{direction=\"{direction}\",side=\"{side}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
    };
    of("in") + of("out")
}

fn table(edges: &[Edge]) -> String {
    let mega = |bytes: u64| bytes as f64 / 1e6;
    let each = mega(edges[0].direct) / AGENTS as f64;
    let direct = mega(edges[0].direct);
    let mut text =
        format!("direct delivery: {AGENTS} agents x {each:.3} MB = {direct:.1} MB, as counted at their links\n");
    text += &format!("{:38} {:>6} {:>10} {:>10} {:>8}\n", "edge", "agents", "MB", "direct MB", "fewer");
    for edge in edges {
        let (carried, direct, fewer) = (mega(edge.carried), mega(edge.direct), 100.0 * edge.fewer());
        text += &format!("{:38} {:>6} {carried:>10.1} {direct:>10.1} {fewer:>7.2}%\n", edge.name, edge.agents);
    }
    text
}
