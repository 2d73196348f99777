//! A provider's real advisories reach exactly the agents they concern: ten lock files, the whole advisory database, one
//! server, real QUIC, held against `cargo-audit`'s answers.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent::config::{AssetSource, Config, Guid};
use agent::journal::{self, Kind};
use agent::publish::{self, Part};
use agent::rustsec;
use agent::rustsec::publication::State;
use link::pki::Role;
use relay::driver::Snapshot;
use schemas::guid::{ClientGuid, ServerGuid};
use tests::data;
use tests::harness::{Authority, TestServer};
use tokio_util::sync::CancellationToken;

const PROVIDER: ClientGuid = ClientGuid(0x7001);

/// (asset, component, version, advisory)
type Reason = (String, String, String, String);

#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_the_agents_is_what_cargo_audit_finds() {
    let Some(data) = data::dir() else { return };
    let names = lock_files(&data);
    assert_eq!(names.len(), 10);
    let server = TestServer::with_providers(ServerGuid(0x7000), &[PROVIDER]).await;
    let folder = tempfile::tempdir().unwrap();
    let stop = CancellationToken::new();
    let mut agents = tokio::task::JoinSet::new();
    for (index, name) in names.iter().enumerate() {
        let mut config = config(&server, 0x7100 + index as u128, folder.path().join(name));
        let lock = data.join("assets/rust").join(name).join("Cargo.lock");
        config.assets = vec![AssetSource { name: name.clone(), cargo_lock: Some(lock), list: None }];
        let stop = stop.clone();
        agents.spawn(async move { agent::run::run(&config, stop).await });
    }
    server.snapshot_when(|snapshot| snapshot.registered == names.len()).await;

    let parts = parts(&data.join("advisories/rustsec/advisory-db"));
    assert_eq!(parts.len(), 1099);
    let provider = config(&server, PROVIDER.0, folder.path().join("provider"));
    let published = publish::publish(&provider, &parts, |_| {}).await.unwrap();
    assert_eq!(published.refused().count(), 0);

    let expected: BTreeSet<Reason> = names.iter().flat_map(|name| truth(&data, name)).collect();
    let wanted = items(&expected).len();
    server.snapshot_when(|snapshot| snapshot.shard.taken as usize >= wanted).await;
    server.snapshot_when(at_rest(names.len())).await;
    stop.cancel();
    while let Some(ended) = agents.join_next().await {
        ended.unwrap().unwrap();
    }
    let (got, deliveries) = journals(folder.path(), &names);
    let missing: Vec<_> = expected.difference(&got).collect();
    let extra: Vec<_> = got.difference(&expected).collect();
    println!(
        "reasons: {} expected, {} arrived; items: {wanted} expected, {} arrived in {deliveries} deliveries; missing {missing:?}; extra {extra:?}",
        expected.len(),
        got.len(),
        items(&got).len()
    );
    assert_eq!((expected.len(), wanted), (302, 283), "the answers are the ones that the issue counts");
    assert!(missing.is_empty() && extra.is_empty());
    assert_eq!(deliveries, wanted, "each item once");
}

/// Whether for a second, which is four refreshed snapshots, every agent is there and keeps up, nothing is unanswered and
/// nothing more is sent: also what comes twice, or should not come, has come by then.
fn at_rest(agents: usize) -> impl Fn(&Snapshot) -> bool {
    let last = Cell::new((u64::MAX, Instant::now()));
    move |snapshot| {
        let shard = &snapshot.shard;
        let quiet = snapshot.connected >= agents && shard.unanswered == 0 && shard.lagging == 0;
        if !quiet || shard.items != last.get().0 {
            last.set((shard.items, Instant::now()));
        }
        quiet && last.get().1.elapsed() >= Duration::from_secs(1)
    }
}

fn lock_files(data: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(data.join("assets/rust")).unwrap().map(|entry| entry.unwrap());
    let mut names: Vec<String> = entries
        .filter(|entry| entry.path().join("Cargo.lock").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn config(server: &TestServer, guid: u128, state: PathBuf) -> Config {
    let authority = Authority::shared();
    let files = authority.issue(guid, Role::Client);
    let mut config = Config::new(server.guid());
    config.server.address = server.addr();
    config.server.guid = Guid(server.guid());
    config.identity.certificate = files.certificate;
    config.identity.key = files.key;
    config.identity.ca = authority.certificate();
    config.state.directory = state;
    config
}

fn parts(source: &Path) -> Vec<Part> {
    let source = rustsec::read_source(source).unwrap();
    let is_complete = source.is_complete();
    let plan = State::default().plan(source, is_complete);
    assert_eq!(plan.refusals.len(), 0);
    plan.publish.iter().map(|(path, info)| Part::new(path, std::slice::from_ref(info))).collect()
}

/// Vulnerabilities and warnings of all kinds.
fn truth(data: &Path, name: &str) -> Vec<Reason> {
    let text = std::fs::read_to_string(data.join("assets/rust").join(name).join("truth.json")).unwrap();
    let truth: serde_json::Value = serde_json::from_str(&text).unwrap();
    let warnings = truth["warnings"].as_object().unwrap().values().flat_map(|kind| kind.as_array().unwrap());
    let found = truth["vulnerabilities"].as_array().unwrap().iter().chain(warnings);
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    found.map(|one| (name.to_owned(), text(&one["package"]), text(&one["version"]), text(&one["id"]))).collect()
}

fn items(reasons: &BTreeSet<Reason>) -> BTreeSet<(&str, &str)> {
    reasons.iter().map(|(asset, _, _, id)| (asset.as_str(), id.as_str())).collect()
}

/// What the agents wrote down, and in how many entries.
fn journals(folder: &Path, names: &[String]) -> (BTreeSet<Reason>, usize) {
    let (mut reasons, mut deliveries) = (BTreeSet::new(), 0);
    for name in names {
        for line in journal::lines(&folder.join(name)).unwrap() {
            if line.event != Kind::Gained {
                continue;
            }
            deliveries += 1;
            for because in line.reasons.iter().flat_map(|asset| &asset.because) {
                let id = line.id.clone().unwrap();
                reasons.insert((name.clone(), because.component.clone(), because.version.clone(), id));
            }
        }
    }
    (reasons, deliveries)
}
