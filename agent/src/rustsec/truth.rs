//! The whole way without a network: lock files and advisories in, matches out, against what cargo-audit reported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use schemas::version::VersionInfo;
use serde_json::Value;
use topology::affected::Affected;
use topology::interest::Interest;
use topology::matching::applies;
use topology::subject::Subject;

use super::publication::State;
use super::read_source;
use crate::inventory::cargo_lock;

/// Advisory, component, version.
type Match = (String, String, String);

/// The large data; `None`, said aloud, if it is not there. Under CI it must be.
fn data() -> Option<PathBuf> {
    let data = std::env::var_os("DISTRIBUTARY_TEST_DATA").map(PathBuf::from);
    assert!(data.is_some() || std::env::var_os("CI").is_none(), "DISTRIBUTARY_TEST_DATA is not set");
    if data.is_none() {
        eprintln!("not run: DISTRIBUTARY_TEST_DATA is not set");
    }
    data
}

struct Database(Vec<(String, Vec<Affected>)>);

impl Database {
    fn of(items: &[(String, VersionInfo)]) -> Self {
        let subjects = items.iter().map(|(_, item)| Subject::from_version_infos(std::slice::from_ref(item)));
        Self(subjects.map(|subject| (subject.identity.unwrap().id, subject.affected)).collect())
    }

    fn read(data: &std::path::Path) -> Self {
        let source = read_source(&data.join("advisories/rustsec/advisory-db")).unwrap();
        let plan = State::default().plan(source, true);
        assert_eq!(plan.refusals, []);
        assert_eq!(plan.publish.len(), 1_099);
        Self::of(&plan.publish)
    }

    fn matches(&self, asset: &VersionInfo) -> Vec<Match> {
        let interest = Interest::from_version_info(asset);
        let of = |(id, affected): &(String, Vec<Affected>)| {
            let reasons = applies(&interest, affected);
            reasons.into_iter().map(|reason| (id.clone(), reason.component, reason.version)).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }
}

fn compare(asset: &str, expected: &BTreeSet<Match>, found: &[Match]) -> usize {
    let set: BTreeSet<Match> = found.iter().cloned().collect();
    let missing: Vec<_> = expected.difference(&set).collect();
    let extra: Vec<_> = set.difference(expected).collect();
    assert_eq!((missing, extra), (vec![], vec![]), "{asset}: missing, extra");
    assert_eq!(set.len(), found.len(), "{asset}: a reason is given twice");
    set.len()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn lock_files(data: &std::path::Path) -> Vec<(String, VersionInfo)> {
    let mut assets = Vec::new();
    for entry in std::fs::read_dir(data.join("assets/rust")).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(lock) = std::fs::read_to_string(path.join("Cargo.lock")) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            assets.push((name.clone(), cargo_lock::read(&lock, Some(&name)).unwrap()));
        }
    }
    assets.sort_by(|left, right| left.0.cmp(&right.0));
    assets
}

// R-7-1: what a list shows is what applies, with the reason, and nothing that the device lacks.
#[test]
fn c7_ten_lock_files_match_what_cargo_audit_reported() {
    let Some(data) = data() else { return };
    let database = Database::read(&data);
    let (mut reasons, mut items) = (0, 0);
    let assets = lock_files(&data);
    assert_eq!(assets.len(), 10);
    for (name, asset) in assets {
        let truth = std::fs::read_to_string(data.join("assets/rust").join(&name).join("truth.json")).unwrap();
        let truth: Value = serde_json::from_str(&truth).unwrap();
        let warnings = truth["warnings"].as_object().unwrap().values();
        let reported = warnings.chain([&truth["vulnerabilities"]]).flat_map(|list| list.as_array().unwrap());
        let expected: BTreeSet<Match> =
            reported.map(|one| (text(&one["id"]), text(&one["package"]), text(&one["version"]))).collect();
        let found = database.matches(&asset);
        reasons += compare(&name, &expected, &found);
        items += found.iter().map(|(id, ..)| id).collect::<BTreeSet<_>>().len();
        eprintln!("{name}: {} expected, {} found", expected.len(), found.len());
    }
    assert_eq!((reasons, items), (302, 283));
}

#[test]
fn fleet_inventories_match_what_cargo_audit_reported() {
    let Some(data) = data() else { return };
    let database = Database::read(&data);
    let read = |file: &str| std::fs::read_to_string(data.join("assets/rust").join(file)).unwrap();
    let (inventories, truths) = (read("fleet-inventories.jsonl"), read("fleet-truth.jsonl"));
    let (mut assets, mut reasons) = (0, 0);
    for (inventory, truth) in inventories.lines().zip(truths.lines()) {
        let (inventory, truth): (Value, Value) =
            (serde_json::from_str(inventory).unwrap(), serde_json::from_str(truth).unwrap());
        assert_eq!((&inventory["project"], &inventory["ref"]), (&truth["project"], &truth["ref"]));
        let lists =
            [&truth["vulnerable"], &truth["informational"]].into_iter().flat_map(|list| list.as_array().unwrap());
        let expected: BTreeSet<Match> = lists.map(|one| (text(&one[0]), text(&one[1]), text(&one[2]))).collect();
        let asset = cargo_lock::read(&as_lock_file(&inventory), Some("fleet")).unwrap();
        reasons += compare(&text(&inventory["ref"]), &expected, &database.matches(&asset));
        assets += 1;
    }
    assert_eq!((assets, reasons), (207, 5_212));
}

/// An inventory line says name, version and kind of source; cargo would have written this.
fn as_lock_file(inventory: &Value) -> String {
    let package = |component: &Value| {
        let source = match component[2].as_str() {
            Some("crates.io") => "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
            Some("git") => "source = \"git+https://git.example/a#0123\"\n",
            _ => "",
        };
        format!("[[package]]\nname = {}\nversion = {}\n{source}", component[0], component[1])
    };
    inventory["components"].as_array().unwrap().iter().map(package).collect()
}

/// Replays a year of the database: which asset gains or loses which advisory, commit by commit.
#[test]
fn a_year_of_changes_moves_assets_as_cargo_audit_reported() {
    let Some(data) = data() else { return };
    let folder = data.join("advisories/rustsec");
    let assets: Vec<(String, Interest)> =
        lock_files(&data).iter().map(|(name, asset)| (name.clone(), Interest::from_version_info(asset))).collect();
    let mut state = State::default();
    let mut current = BTreeMap::new();
    let mut affected = BTreeSet::new();
    let start = state.plan(read_source(&folder.join("snapshot-2025-06-01.jsonl")).unwrap(), true);
    assert_eq!(start.publish.len(), 783);
    take(&assets, &mut current, &mut affected, &start.publish);
    let steps = std::fs::read_to_string(data.join("assets/rust/delivery-truth.jsonl")).unwrap();
    let mut steps = steps.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert_eq!(affected, pairs(&steps.next().unwrap()["matches"]));
    let (mut expected, mut found) = (BTreeSet::new(), BTreeSet::new());
    for step in steps.filter(|step| step["step"] == "event") {
        expected.extend(pairs(&step["added"]).into_iter().map(|pair| (true, pair)));
        expected.extend(pairs(&step["removed"]).into_iter().map(|pair| (false, pair)));
    }
    let source = read_source(&folder.join("events-2025-06-01_2026-05-29.jsonl")).unwrap();
    assert!(!source.is_complete());
    let changes = state.plan(source, false);
    assert_eq!(changes.refusals.len(), 1, "{:?}", changes.refusals);
    for item in &changes.publish {
        let (gained, lost) = take(&assets, &mut current, &mut affected, std::slice::from_ref(item));
        found.extend(gained.into_iter().map(|pair| (true, pair)));
        found.extend(lost.into_iter().map(|pair| (false, pair)));
    }
    // A placeholder lives until it gets its number; cargo-audit was not asked for what it gains meanwhile.
    found.retain(|(_, (_, id))| !id.starts_with("RUSTSEC-0000-"));
    assert_eq!(found, expected);
}

/// Asset, advisory.
type Pair = (String, String);

fn pairs(list: &Value) -> BTreeSet<Pair> {
    list.as_array().unwrap().iter().map(|one| (text(&one["asset"]), text(&one["id"]))).collect()
}

/// Publishes items over what was current before; tells what each asset gains and loses.
fn take(
    assets: &[(String, Interest)],
    current: &mut BTreeMap<topology::subject::ItemIdentity, Subject>,
    affected: &mut BTreeSet<Pair>,
    items: &[(String, VersionInfo)],
) -> (Vec<Pair>, Vec<Pair>) {
    let (mut gained, mut lost) = (Vec::new(), Vec::new());
    for (_, item) in items {
        let subject = Subject::from_version_infos(std::slice::from_ref(item));
        let identity = subject.identity.clone().unwrap();
        let before = current.insert(identity.clone(), subject.clone());
        assert!(before.is_none_or(|before| subject.revision == before.revision + 1));
        for (asset, interest) in assets {
            let pair = (asset.clone(), identity.id.clone());
            let applies = topology::matching::covers(interest, &subject.affected);
            if applies && affected.insert(pair.clone()) {
                gained.push(pair);
            } else if !applies && affected.remove(&pair) {
                lost.push(pair);
            }
        }
    }
    (gained, lost)
}
