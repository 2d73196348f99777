//! Whole agents: what their users are told, and what their logs say of others.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use agent::config::{AssetSource, Config};
use agent::journal;
use agent::publish::{self, Part};
use agent::view::{Item, View};
use link::pki::Role;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::version::{Code, CodeContent, CodeKind, Container, Info, VersionControl, VersionInfo};
use tests::harness::{self, Authority, TestClient, TestServer, draft, within};
use tests::kills::ServerFaults;
use tokio_util::sync::CancellationToken;

use super::{CLIENT, PROVIDER, SERVER, SIBLING};

/// A client without the right to publish.
const INTRUDER: ClientGuid = ClientGuid(0x5f0c_7a52_6a3e_4d0b_9a55_0d1f_6f7b_2c66);

/// An agent's configuration: its state, and a list of one asset, lie in this folder.
pub(crate) fn agent(server: (SocketAddr, ServerGuid), guid: ClientGuid, folder: &Path, list: &str) -> Config {
    let files = Authority::shared().issue(guid.0, Role::Client);
    let mut config = Config::new(server.1);
    config.server.address = server.0;
    config.identity.certificate = files.certificate;
    config.identity.key = files.key;
    config.identity.ca = Authority::shared().certificate();
    fs::create_dir_all(folder).unwrap();
    config.state.directory = folder.join("state");
    let path = folder.join("assets.toml");
    fs::write(&path, list).unwrap();
    config.assets = vec![AssetSource { name: "device".to_owned(), cargo_lock: None, list: Some(path) }];
    config
}

/// Product Q in version 1.0, whose code takes the place of P 9.9.
fn successor() -> VersionInfo {
    let old =
        VersionInfo { info: vec![Info { container: of_version("9.9"), ..Info::default() }], ..draft::product("P") };
    let content =
        CodeContent { span: Default::default(), kind: CodeKind::Binary, reference: None, text: "f0VMRgIBAQA=".into() };
    let control = VersionControl { supersedes: vec![old], ..VersionControl::default() };
    let code = Code { content: Some(content), version_control: Some(control), ..Code::default() };
    let container = Container { code: Some(code), ..of_version("1.0") };
    let info = draft::said("successor", Info { container, ..Info::default() });
    VersionInfo { info: vec![info], ..draft::product("Q") }
}

fn of_version(version: &str) -> Container {
    Container { version: version.into(), ..Container::default() }
}

/// What the users of two agents are told: to each list of assets, the items in the order of their IDs. `pushed` says how
/// many items concern them altogether.
async fn told(assets: [&str; 2], items: &[VersionInfo], pushed: u64) -> [Vec<Item>; 2] {
    let server = TestServer::with_providers(SERVER, &[PROVIDER]).await;
    let provider = TestClient::connect(&server, PROVIDER).await;
    let folder = tempfile::tempdir().unwrap();
    let folders = [folder.path().join("one"), folder.path().join("other")];
    let stop = CancellationToken::new();
    let mut agents = tokio::task::JoinSet::new();
    for ((guid, list), folder) in [CLIENT, SIBLING].into_iter().zip(assets).zip(&folders) {
        let config = agent((server.addr(), server.guid()), guid, folder, list);
        let stop = stop.clone();
        agents.spawn(async move { agent::run::run(&config, stop).await });
    }
    server.snapshot_when(|snapshot| snapshot.registered == assets.len()).await;
    for item in items {
        provider.ask(draft::deliver(std::slice::from_ref(item))).await.succeeded();
    }
    server.snapshot_when(|snapshot| snapshot.shard.taken >= pushed && snapshot.shard.unanswered == 0).await;
    stop.cancel();
    while let Some(ended) = agents.join_next().await {
        ended.unwrap().unwrap();
    }
    folders.map(|folder| {
        let mut items = View::load(&folder.join("state")).unwrap().items;
        items.sort_by(|one, other| one.id.cmp(&other.id));
        items
    })
}

/// Items, and why they are there: the component and its version.
fn reasons(items: &[Item]) -> Vec<(&str, &str, &str)> {
    let each = items.iter().flat_map(|item| item.reasons.iter().map(|because| (item.id.as_str(), because)));
    each.map(|(id, because)| (id, because.component.as_str(), because.version.as_str())).collect()
}

// R-7-1: of four advisories each user's list has those that apply to what he runs, with the reason, and no others.
#[tokio::test]
async fn c7_the_list_of_a_user_is_what_applies() {
    let device = |serde: &str| {
        format!(
            "[[asset]]\nname = \"Device\"\nversion = \"1\"\n\
             [[asset.component]]\nfile = \"pkg:cargo/serde\"\nversion = \"{serde}\"\n\
             [[asset.component]]\nfile = \"lib.so\"\nversion = \"1.2.8\"\n"
        )
    };
    let advisory = |id: &str, name: &str| draft::component_item(id, &format!("pkg:cargo/{name}"), "vers:cargo/<2.0.0");
    let items = [
        advisory("A-1", "serde"),
        draft::component_item("A-2", "lib.so", "1.2.8"),
        draft::component_item("A-3", "lib.so", "1.2.9"),
        advisory("A-4", "serde_json"),
    ];
    let [old, new] = told([&device("1.9.9"), &device("2.0.0")], &items, 3).await;
    assert_eq!(reasons(&old), [("A-1", "serde", "1.9.9"), ("A-2", "lib.so", "1.2.8")]);
    assert_eq!(reasons(&new), [("A-2", "lib.so", "1.2.8")]);
}

// R-10.2.8-2: who runs what a product of another name replaces finds that in the list of what concerns him, with the
// reason. The list is all that comes of it: an agent carries out nothing.
#[tokio::test]
async fn c10_2_8_users_of_the_old_product_are_told_of_its_successor() {
    let device = |version: &str| format!("[[asset]]\nname = \"P\"\nversion = \"{version}\"\n");
    let items = [draft::item("about both", "P"), successor()];
    let [old, other] = told([&device("9.9"), &device("9.8")], &items, 3).await;
    assert_eq!(reasons(&old), [("about both", "P", "9.9"), ("successor", "P", "9.9")]);
    assert_eq!(reasons(&other), [("about both", "P", "9.8")]);
}

/// A process; killed when it is dropped.
struct Process(Child);

impl Process {
    fn start(args: &[&OsStr], log: &Path) -> Self {
        let log = File::create(log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_party"));
        command.args(args).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// As much as an operator may switch on.
const FILTER: &str = "info,relay=debug,node=debug,link=debug,agent=debug,party=debug";

fn start_server(folder: &Path) -> (Process, SocketAddr, SocketAddr) {
    let quic = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let files = Authority::shared().issue(SERVER.0, Role::Server);
    let ca = Authority::shared().certificate();
    let mut config = relay::config::Config {
        listen: relay::config::Listen { quic, admin },
        identity: relay::config::Identity { certificate: files.certificate, key: files.key, ca },
        ..relay::config::Config::default()
    };
    config.store.directory = folder.join("store");
    config.policy.providers = [relay::config::Guid(PROVIDER)].into();
    config.log.filter = FILTER.to_owned();
    let path = folder.join("server.toml");
    fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
    let faults = serde_json::to_string(&ServerFaults::default()).unwrap();
    let args = ["server".as_ref(), path.as_os_str(), faults.as_ref()];
    (Process::start(&args, &folder.join("server.log")), quic, admin)
}

/// Waits until something holds that no event tells of.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    within(what, async {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        while !holds() {
            every.tick().await;
        }
    })
    .await;
}

/// The metrics once they have this line; what they count is as old as the last snapshot.
async fn metrics_with(admin: SocketAddr, line: &str) -> String {
    let look = async {
        let mut every = tokio::time::interval(Duration::from_millis(50));
        loop {
            every.tick().await;
            let page = harness::page(admin, "/metrics").await;
            if page.lines().any(|one| one == line) {
                return page;
            }
        }
    };
    within(line, look).await
}

fn has_gained(state: &Path) -> bool {
    // Not there yet, or in the middle of a line: the next look will see it.
    journal::lines(state).is_ok_and(|lines| lines.iter().any(|line| line.event == journal::Kind::Gained))
}

/// Every notation that a log or a page could choose.
fn notations(guid: ClientGuid) -> [String; 3] {
    let hex = format!("{:032x}", guid.0);
    let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
    [guid.to_string().to_lowercase(), parts.join("-"), hex]
}

/// Who, what it runs (asset and component), and the item about it.
const DEVICES: [(ClientGuid, [&str; 3]); 2] =
    [(CLIENT, ["Secret Product", "lib.so", "ADV-77"]), (SIBLING, ["Other Thing", "spell.dll", "ADV-88"])];

// R-8.3-8: a server, two agents and a provider as processes of their own, at their most talkative: the server's log and
// metrics name no client, no asset and no item, and an agent's log nobody and nothing but its own.
#[tokio::test]
async fn c8_3_no_process_tells_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, quic, admin) = start_server(folder.path());
    until("the server", || std::net::TcpStream::connect(admin).is_ok()).await;
    let mut processes = Vec::new();
    for (guid, [asset, component, _]) in DEVICES {
        let own = folder.path().join(component);
        let list = format!(
            "[[asset]]\nname = \"{asset}\"\nversion = \"4.1\"\n[[asset.component]]\nfile = \"{component}\"\nversion = \"1\"\n"
        );
        let mut config = agent((quic, SERVER), guid, &own, &list);
        config.log.filter = FILTER.to_owned();
        let path = own.join("agent.toml");
        fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
        let args = ["agent", "run", "--config"].map(OsStr::new);
        let args: Vec<&OsStr> = args.into_iter().chain([path.as_os_str()]).collect();
        processes.push(Process::start(&args, &own.join("log")));
    }
    metrics_with(admin, "distributary_registered_clients 2").await;
    let items = DEVICES.map(|(_, [_, component, id])| Part::new(id, &[draft::component_item(id, component, "1")]));
    for (guid, refused) in [(INTRUDER, items.len()), (PROVIDER, 0)] {
        let config = agent((quic, SERVER), guid, &folder.path().join(format!("{:x}", guid.0)), "");
        let published = within("an answer", publish::publish(&config, &items, |_| {})).await.unwrap();
        assert_eq!(published.refused().count(), refused);
    }
    for (_, [_, component, _]) in DEVICES {
        until("an item", || has_gained(&folder.path().join(component).join("state"))).await;
    }
    let page = metrics_with(admin, "distributary_items_pushed_total 2").await;
    drop(processes);

    let log = |path: &Path| fs::read_to_string(path).unwrap().to_lowercase();
    let server_log = log(&folder.path().join("server.log"));
    assert!(server_log.contains("link up"), "{server_log}");
    let names =
        |(guid, words): (ClientGuid, [&str; 3])| notations(guid).into_iter().chain(words.map(str::to_lowercase));
    let others: Vec<String> = [PROVIDER, INTRUDER].into_iter().flat_map(notations).collect();
    for secret in DEVICES.into_iter().flat_map(names).chain(others.clone()) {
        assert!(!server_log.contains(&secret), "{secret} in {server_log}");
        assert!(!page.to_lowercase().contains(&secret), "{secret} in {page}");
    }
    for (number, (_, [_, component, id])) in DEVICES.into_iter().enumerate() {
        let own = log(&folder.path().join(component).join("log"));
        assert!(own.contains("link up") && own.contains(&id.to_lowercase()), "{own}");
        for secret in names(DEVICES[1 - number]).chain(others.clone()) {
            assert!(!own.contains(&secret), "{secret} in {own}");
        }
    }
}
