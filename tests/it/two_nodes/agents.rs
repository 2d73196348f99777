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
use agent::view::View;
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
fn agent(server: (SocketAddr, ServerGuid), guid: ClientGuid, folder: &Path, list: &str) -> Config {
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

// R-10.2.8-2: who runs what a product of another name replaces finds that in the list of what concerns him, with the
// reason. The list is all that comes of it: an agent carries out nothing.
#[tokio::test]
async fn c10_2_8_users_of_the_old_product_are_told_of_its_successor() {
    let server = TestServer::with_providers(SERVER, &[PROVIDER]).await;
    let provider = TestClient::connect(&server, PROVIDER).await;
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let mut agents = tokio::task::JoinSet::new();
    for (guid, version) in [(CLIENT, "9.9"), (SIBLING, "9.8")] {
        let list = format!("[[asset]]\nname = \"P\"\nversion = \"{version}\"\n");
        let config = agent((server.addr(), server.guid()), guid, &folder.path().join(version), &list);
        let stop = stop.clone();
        agents.spawn(async move { agent::run::run(&config, stop).await });
    }
    server.snapshot_when(|snapshot| snapshot.registered == 2).await;
    for item in [successor(), draft::item("both", "P")] {
        provider.ask(draft::deliver(&[item])).await.succeeded();
    }
    // One of them gets two items, the other one.
    server.snapshot_when(|snapshot| snapshot.shard.taken >= 3 && snapshot.shard.unanswered == 0).await;
    stop.cancel();
    while let Some(ended) = agents.join_next().await {
        ended.unwrap().unwrap();
    }
    let listed = |version: &str| {
        let mut items = View::load(&folder.path().join(version).join("state")).unwrap().items;
        items.sort_by(|one, other| other.id.cmp(&one.id));
        items
    };
    let ids = |version: &str| listed(version).into_iter().map(|item| item.id).collect::<Vec<_>>();
    assert_eq!((ids("9.9"), ids("9.8")), (vec!["successor".into(), "both".into()], vec!["both".to_owned()]));
    let told = &listed("9.9")[0].reasons;
    let told: Vec<_> = told.iter().map(|because| (because.component.as_str(), because.version.as_str())).collect();
    assert_eq!(told, [("P", "9.9")]);
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
    journal::read(state).is_ok_and(|read| read.lines.iter().any(|line| line.event == journal::Kind::Gained))
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
