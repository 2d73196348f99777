//! The scenario that all this is for: one server, ten local servers, a thousand agents with the real inventories of a
//! fleet, the whole advisory database, and one long item for everybody. Bytes are counted at the sockets.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent::config::AssetSource;
use agent::contact::Contact;
use agent::journal::{self, JOURNAL, Kind};
use agent::publish::Part;
use agent::rustsec;
use agent::rustsec::publication::State;
use link::traffic::WireBytes;
use schemas::guid::ClientGuid;
use schemas::version::{Code, CodeContent, CodeKind, Container, Info, VersionInfo};
use tests::data::{self, Member};
use tests::harness::{TestAgent, TestClient, TestServer, agent_config, draft};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{PROVIDER, foreign, root, same_realm, under};

const ISPS: usize = 10;
/// Agents that are there when everything is published; the others come later.
const EARLY: usize = 100;
/// Agents that fetch what is there at once: each holds the long item in memory while it does.
const AT_ONCE: usize = 32;
/// The product that every agent runs beside its lock file.
const DEVICE: &str = "Fleet Device";
const LONG: &str = "for everybody";
const LONG_BYTES: usize = 10_000_000;
/// What comes last to each agent.
const LAST: &str = "the last word";

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_agents_cost_their_provider_ten_deliveries() {
    let Some(data) = data::dir() else { return };
    let count = 1000;
    let begun = std::time::Instant::now();
    let at = |what: &str| println!("{:6.1} s {what}", begun.elapsed().as_secs_f64());
    let members = data::fleet(&data);
    assert_eq!(members.iter().map(|member| member.expected.len()).sum::<usize>(), 5212);
    let folder = tempfile::tempdir().unwrap();
    let root = root(0x1_0000).await;
    let mut isps = Vec::new();
    for number in 0..ISPS {
        let asks = if number % 2 == 0 { foreign() } else { same_realm() };
        isps.push(under(&root, 0x1_1000 + number as u128, asks).await);
    }
    let sources = inventories(folder.path(), &members);
    let fleet: Vec<Device> = (0..count)
        .map(|number| Device {
            guid: ClientGuid(0x1_0000_0000 + number as u128),
            state: folder.path().join(format!("state-{number}")),
            member: number % members.len(),
        })
        .collect();
    at("servers");
    let mut agents = start(&isps, &fleet[..EARLY.min(count)], 0, &sources).await;
    at("early agents");
    let provider = TestClient::connect(&root, PROVIDER).await;
    publish(&provider, &data).await;
    at("published");
    agents.extend(start(&isps, &fleet[EARLY.min(count)..], EARLY, &sources).await);
    at("late agents");
    provider.ask(draft::deliver(&[draft::item(LAST, DEVICE)])).await.succeeded();
    for device in &fleet {
        device.reaches(|state| journal_has(state, LAST)).await;
    }
    at("last word");
    for isp in &isps {
        let p = isp.page("/metrics").await;
        println!(
            "{:?} {:?} {:?}",
            edge(&p, "up"),
            edge(&p, "down"),
            p.lines()
                .filter(|l| l.contains("items_trimmed")
                    || l.contains("cache_req")
                    || l.contains("distributary_items_")
                    || l.contains("commit"))
                .collect::<Vec<_>>()
        );
    }
    println!("provider {:?}", provider.socket_bytes());
    let mut stopping = JoinSet::new();
    for (agent, device) in agents.into_iter().zip(&fleet) {
        let (state, expected) = (device.state.clone(), members[device.member].expected.clone());
        stopping.spawn(async move {
            drop(agent.stop().await);
            check(&state, &expected);
        });
    }
    while let Some(stopped) = stopping.join_next().await {
        stopped.unwrap();
    }
    at("checked");
}

struct Device {
    guid: ClientGuid,
    state: PathBuf,
    member: usize,
}

impl Device {
    async fn reaches(&self, holds: impl Fn(&Path) -> bool) {
        let mut every = tokio::time::interval(Duration::from_millis(50));
        while !holds(&self.state) {
            every.tick().await;
        }
    }
}

fn journal_has(state: &Path, id: &str) -> bool {
    std::fs::read_to_string(state.join(JOURNAL)).is_ok_and(|text| text.contains(id))
}

fn inventories(folder: &Path, members: &[Member]) -> Vec<Vec<AssetSource>> {
    let list = folder.join("device.toml");
    std::fs::write(&list, format!("[[asset]]\nname = \"{DEVICE}\"\nversion = \"1\"\n")).unwrap();
    let device = AssetSource { name: "device".into(), cargo_lock: None, list: Some(list) };
    let source = |(number, member): (usize, &Member)| {
        let path = folder.join(format!("{number}.lock"));
        std::fs::write(&path, &member.lock).unwrap();
        vec![AssetSource { name: "project".into(), cargo_lock: Some(path), list: None }, device.clone()]
    };
    members.iter().enumerate().map(source).collect()
}

async fn start(isps: &[TestServer], fleet: &[Device], from: usize, sources: &[Vec<AssetSource>]) -> Vec<TestAgent> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut agents = Vec::new();
    for (number, device) in fleet.iter().enumerate() {
        let permit = permits.clone().acquire_owned().await.unwrap();
        let isp = &isps[(from + number) % isps.len()];
        let mut config = agent_config((isp.addr(), isp.guid()), device.guid, &device.state);
        config.assets = sources[device.member].clone();
        config.rescan_seconds = 3600;
        agents.push(TestAgent::run(config));
        let device = Device { guid: device.guid, state: device.state.clone(), member: device.member };
        tokio::spawn(async move {
            device.reaches(|state| Contact::read(state).is_some_and(|contact| contact.synchronised)).await;
            drop(permit);
        });
    }
    drop(permits.acquire_many(AT_ONCE as u32).await.unwrap());
    agents
}

async fn publish(provider: &TestClient, data: &Path) {
    let source = rustsec::read_source(&data.join("advisories/rustsec/advisory-db")).unwrap();
    let is_complete = source.is_complete();
    let plan = State::default().plan(source, is_complete);
    assert_eq!(plan.publish.len(), 1099);
    let parts: Vec<_> =
        plan.publish.iter().map(|(path, info)| Part::new(path, std::slice::from_ref(info)).bytes().clone()).collect();
    for parts in parts.chunks(50) {
        provider.ask(draft::bundle(parts)).await.succeeded();
    }
    provider.ask(draft::deliver(&[long()])).await.succeeded();
}

fn long() -> VersionInfo {
    let text = "A".repeat(LONG_BYTES).into();
    let content = CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text };
    let code = Some(Code { content: Some(content), ..Code::default() });
    let info = Info { container: Container { code, ..Container::default() }, ..Info::default() };
    VersionInfo { info: vec![draft::said(LONG, info)], ..draft::product(DEVICE) }
}

fn edge(page: &str, side: &str) -> WireBytes {
    let of = |direction: &str| {
        let name = format!("distributary_wire_bytes_total{{direction=\"{direction}\",side=\"{side}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(name.as_str())).unwrap().parse().unwrap()
    };
    WireBytes { sent: of("out"), received: of("in") }
}

fn check(state: &Path, expected: &BTreeSet<(String, String, String)>) {
    let mut got = BTreeSet::new();
    let mut items = Vec::new();
    for line in journal::lines(state).unwrap() {
        if line.event == Kind::Gained {
            let id = line.id.clone().unwrap();
            items.push(id.clone());
            for asset in line.reasons.iter().filter(|asset| asset.asset == "project") {
                for because in &asset.because {
                    got.insert((id.clone(), because.component.clone(), because.version.clone()));
                }
            }
        }
    }
    assert_eq!(&got, expected);
    let ids: BTreeSet<&str> = expected.iter().map(|(id, ..)| id.as_str()).chain([LONG, LAST]).collect();
    assert_eq!(items.len(), ids.len(), "each once");
    assert_eq!(items.iter().map(String::as_str).collect::<BTreeSet<_>>(), ids);
}
