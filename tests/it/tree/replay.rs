//! A year of the advisory database, commit by commit, through two tiers: what the agents gain and lose is what
//! `cargo-audit` says, and at the commit at which it says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use agent::config::AssetSource;
use agent::journal::{Kind, Line};
use agent::publish::Part;
use agent::rustsec;
use agent::rustsec::publication::{Plan, State};
use schemas::guid::ClientGuid;
use serde_json::Value;
use tests::data;
use tests::harness::{TestAgent, TestClient, draft};

use super::{PROVIDER, foreign, root, same_realm, under};

/// (asset, advisory, component, version)
type Reason = (String, String, String, String);

/// At this commit one advisory is malformed: cargo-audit refuses the whole database, and sees what else is new at the
/// next.
const MALFORMED: (&str, &str) = ("34340505ee03", "crates/scratchpad/RUSTSEC-0000-0000.md");

/// What comes last to each agent, and is no advisory.
const END: &str = "the end";

#[tokio::test(flavor = "multi_thread")]
async fn a_year_of_advisories_moves_agents_in_the_tree_as_cargo_audit_says() {
    let Some(data) = data::dir() else { return };
    let (root, folder) = (root(0xc000).await, tempfile::tempdir().unwrap());
    let realms = [under(&root, 0xc100, foreign()).await, under(&root, 0xc200, same_realm()).await];
    let names = data::locked_assets(&data);
    let mut agents = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        let asset = AssetSource { name: name.clone(), cargo_lock: Some(data::lock_file(&data, name)), list: None };
        let guid = ClientGuid(0xc_0000 + index as u128);
        let state = folder.path().join(name);
        agents.insert(name.clone(), TestAgent::start(&realms[index % 2], guid, &state, vec![asset]));
    }
    let provider = TestClient::connect(&root, PROVIDER).await;
    let advisories = data.join("advisories/rustsec");
    let mut state = State::default();
    publish(&provider, plan(&mut state, &advisories.join("snapshot-2025-06-01.jsonl"), true)).await;

    let mut steps = truth(&data);
    let (mut expected, _) = steps.remove("start").unwrap();
    reached(&agents, &expected).await;
    let at_first: BTreeMap<&String, usize> = agents.iter().map(|(name, agent)| (name, agent.lines().len())).collect();
    let (mut commits, mut refused) = (0, Vec::new());
    for (commit, lines) in changes(&advisories) {
        commits += 1;
        let file = folder.path().join("commit.jsonl");
        std::fs::write(&file, lines).unwrap();
        let plan = plan(&mut state, &file, false);
        refused.extend(plan.refusals.iter().map(|refusal| (commit.clone(), refusal.path().to_owned())));
        publish(&provider, plan).await;
        if let Some((added, removed)) = steps.remove(&commit) {
            expected.extend(added);
            expected.retain(|reason| !removed.contains(reason));
            reached(&agents, &expected).await;
        }
    }
    assert_eq!(commits, 455);
    assert!(steps.is_empty(), "{:?}", steps.keys());
    assert!(matches!(&refused[..], [(commit, path)] if commit.starts_with(MALFORMED.0) && path == MALFORMED.1));
    for name in &names {
        provider.ask(draft::deliver(&[draft::item(END, name)])).await.succeeded();
    }

    let (mut gained, mut lost, mut held) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (name, agent) in &agents {
        let is_over = |lines: &[Line]| lines.iter().any(|line| line.id.as_deref() == Some(END));
        let lines = agent.lines_when("the end", is_over).await;
        let (first, year) = lines.split_at(at_first[name]);
        let mut moved = Moved { gained: Vec::new(), lost: Vec::new(), ..Moved::of(name, first) };
        year.iter().for_each(|line| moved.take(name, line));
        let retracted = year.iter().filter(|line| line.event == Kind::Retracted && !is_placeholder(line));
        assert_eq!(retracted.count(), moved.lost.len(), "what is lost is taken back");
        gained.extend(moved.gained);
        lost.extend(moved.lost);
        held.extend(moved.held.into_values().flatten());
    }
    assert_eq!((gained.len(), lost.len()), (62, 2), "{gained:?} {lost:?}");
    let all = |number: usize, list: &[Reason]| list.iter().cloned().collect::<BTreeSet<_>>().len() == number;
    assert!(all(62, &gained) && all(2, &lost), "nothing moves twice");
    assert_eq!(held, expected);
}

/// What an agent's journal says that it gained and lost since a moment, and what it holds.
#[derive(Default)]
struct Moved {
    held: BTreeMap<String, BTreeSet<Reason>>,
    gained: Vec<Reason>,
    lost: Vec<Reason>,
}

impl Moved {
    fn of(asset: &str, lines: &[Line]) -> Self {
        let mut moved = Self::default();
        lines.iter().for_each(|line| moved.take(asset, line));
        moved
    }

    fn take(&mut self, asset: &str, line: &Line) {
        let Some(id) = line.id.as_ref().filter(|id| id.starts_with("RUSTSEC-") && !is_placeholder(line)) else {
            return;
        };
        match line.event {
            Kind::Gained | Kind::Revised | Kind::Retracted => {}
            other => panic!("{asset} has the same inventory all the time: {other:?}"),
        }
        let because = line.reasons.iter().flat_map(|reasons| &reasons.because);
        let now: BTreeSet<Reason> =
            because.map(|one| (asset.to_owned(), id.clone(), one.component.clone(), one.version.clone())).collect();
        let before = self.held.insert(id.clone(), now.clone()).unwrap_or_default();
        self.gained.extend(now.difference(&before).cloned());
        self.lost.extend(before.difference(&now).cloned());
    }
}

/// It lives until it gets its number; cargo-audit was not asked for it.
fn is_placeholder(line: &Line) -> bool {
    line.id.as_ref().is_some_and(|id| id.starts_with("RUSTSEC-0000-"))
}

/// Waits until each agent holds what it should.
async fn reached(agents: &BTreeMap<String, TestAgent>, expected: &BTreeSet<Reason>) {
    for (name, agent) in agents {
        let own: BTreeSet<Reason> = expected.iter().filter(|(asset, ..)| asset == name).cloned().collect();
        let holds = |lines: &[Line]| {
            let held: BTreeSet<Reason> = Moved::of(name, lines).held.into_values().flatten().collect();
            held == own
        };
        agent.lines_when("what cargo-audit says", holds).await;
    }
}

fn plan(state: &mut State, source: &Path, is_complete: bool) -> Plan {
    state.plan(rustsec::read_source(source).unwrap(), is_complete)
}

/// One after the other, as they were committed.
async fn publish(provider: &TestClient, plan: Plan) {
    for (path, info) in plan.publish {
        provider.ask(Part::new(path, &[info]).bytes().clone()).await.succeeded();
    }
}

/// The lines of each commit, in order.
fn changes(advisories: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(advisories.join("events-2025-06-01_2026-05-29.jsonl")).unwrap();
    let mut commits: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        let change: Value = serde_json::from_str(line).unwrap();
        let commit = change["commit"].as_str().unwrap();
        if commits.last().is_none_or(|(last, _)| last != commit) {
            commits.push((commit.to_owned(), String::new()));
        }
        let (_, lines) = commits.last_mut().unwrap();
        lines.push_str(line);
        lines.push('\n');
    }
    commits
}

/// By commit, or `start`: what is gained and what is lost.
fn truth(data: &Path) -> BTreeMap<String, (BTreeSet<Reason>, BTreeSet<Reason>)> {
    let text = std::fs::read_to_string(data.join("assets/rust/delivery-truth.jsonl")).unwrap();
    let mut steps = BTreeMap::new();
    for line in text.lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        match step["step"].as_str().unwrap() {
            "start" => _ = steps.insert("start".to_owned(), (reasons(&step["matches"]), BTreeSet::new())),
            "event" => {
                let commit = step["commit"].as_str().unwrap().to_owned();
                steps.insert(commit, (reasons(&step["added"]), reasons(&step["removed"])));
            }
            _ => {}
        }
    }
    steps
}

fn reasons(list: &Value) -> BTreeSet<Reason> {
    let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    let one = |one: &Value| (text(one, "asset"), text(one, "id"), text(one, "component"), text(one, "version"));
    list.as_array().unwrap().iter().map(one).collect()
}
