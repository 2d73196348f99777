//! A provider's real advisories reach exactly the agents they concern: ten lock files, the whole advisory database, one
//! server, real QUIC, held against `cargo-audit`'s answers.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use agent::config::AssetSource;
use agent::journal::{Kind, Line};
use agent::publish::{self, Part};
use agent::rustsec;
use agent::rustsec::publication::State;
use relay::driver::Snapshot;
use schemas::guid::{ClientGuid, ServerGuid};
use tests::data;
use tests::harness::{TestAgent, TestServer, agent_config};

const PROVIDER: ClientGuid = ClientGuid(0x7001);

/// (asset, component, version, advisory)
type Reason = (String, String, String, String);

#[tokio::test(flavor = "multi_thread")]
async fn what_reaches_the_agents_is_what_cargo_audit_finds() {
    let Some(data) = data::dir() else { return };
    let names = data::locked_assets(&data);
    assert_eq!(names.len(), 10);
    let server = TestServer::with_providers(ServerGuid(0x7000), &[PROVIDER]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut agents = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let lock = data::lock_file(&data, name);
        let asset = AssetSource { name: name.clone(), cargo_lock: Some(lock), list: None };
        let guid = ClientGuid(0x7100 + index as u128);
        agents.push(TestAgent::start(&server, guid, &folder.path().join(name), vec![asset]));
    }
    server.snapshot_when(|snapshot| snapshot.registered == names.len()).await;

    let parts = parts(&data.join("advisories/rustsec/advisory-db"));
    assert_eq!(parts.len(), 1099);
    let provider = agent_config((server.addr(), server.guid()), PROVIDER, &folder.path().join("provider"));
    let published = publish::publish(&provider, &parts, |_| {}).await.unwrap();
    assert_eq!(published.refused().count(), 0);

    let expected: BTreeSet<Reason> = names.iter().flat_map(|name| truth(&data, name)).collect();
    let wanted = items(&expected).len();
    server.snapshot_when(|snapshot| snapshot.shard.taken as usize >= wanted).await;
    server.snapshot_when(at_rest(names.len())).await;
    let mut journals = Vec::new();
    for (name, agent) in names.iter().zip(agents) {
        journals.push((name.clone(), agent.stop().await));
    }
    let (got, deliveries) = found(&journals);
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
fn found(journals: &[(String, Vec<Line>)]) -> (BTreeSet<Reason>, usize) {
    let (mut reasons, mut deliveries) = (BTreeSet::new(), 0);
    for (name, lines) in journals {
        for line in lines.iter().filter(|line| line.event == Kind::Gained) {
            deliveries += 1;
            for because in line.reasons.iter().flat_map(|asset| &asset.because) {
                let id = line.id.clone().unwrap();
                reasons.insert((name.clone(), because.component.clone(), because.version.clone(), id));
            }
        }
    }
    (reasons, deliveries)
}
