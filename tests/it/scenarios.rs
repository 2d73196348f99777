//! Scenario files in virtual time: the very files that `distributary tree up` plays with processes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use relay::tree::builtin;
use relay::tree::scenario::Scenario;
use serde_json::Value;
use tests::data;
use tests::sim::scenario::{self, Heard, Played};

/// What `tree up` counts of the two ISPs' eight agents: items of the answers of cargo-audit for their lock files.
const ITEMS: usize = 247;

/// A vendor and two ISPs below it.
const TWO_ISPS: &str = r#"
    [scenario]
    name = "two ISPs"
    seconds = 30
    [[server]]
    name = "vendor"
    [[server]]
    name = "isp-{n}"
    count = 2
    upstreams = "vendor"
    delay_seconds = 0
"#;

/// Two devices below these, and somebody who takes ten seconds to publish what concerns them.
const TWO_DEVICES: &str = r#"
    [[provider]]
    name = "publisher"
    server = "vendor"
    publish = "builtin:rustsec"
    at = 2
    rate = 30
    [[agents]]
    name = "device-{n}"
    count = 2
    server = "isp-{n}"
    assets = "builtin:demo/diem-2021-07"
"#;

/// Another vendor who says the same, and a device that hears of it from both sides.
const TWO_WAYS: &str = r#"
    [[server]]
    name = "other-vendor"
    [[provider]]
    name = "other"
    server = "other-vendor"
    publish = "builtin:rustsec"
    at = 5
    rate = 100
    [[server]]
    name = "home"
    upstreams = ["isp-1", "other-vendor"]
    delay_seconds = 0
    [[agents]]
    name = "phone"
    server = "home"
    assets = "builtin:demo/alacritty-0.4.0"
"#;

/// Real inventories below the two ISPs, of which one is killed meanwhile; paths count from the folder of the test data.
fn fleet(publish: &str, count: usize, assets: &str) -> Scenario {
    let more = format!(
        r#"
        [[provider]]
        name = "publisher"
        server = "vendor"
        publish = {publish}
        at = 2
        rate = 100
        [[agents]]
        name = "device-{{n}}"
        count = {count}
        server = "isp-{{n}}"
        assets = "{assets}"
        [[fault]]
        at = 5
        kill = "isp-1"
        for = 3
        "#
    );
    Scenario::parse(&format!("{TWO_ISPS}{more}")).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/scenarios")
}

fn load(name: &str) -> Scenario {
    Scenario::load(&folder().join(name)).unwrap()
}

fn play(scenario: &Scenario, base: &Path) -> Played {
    scenario::play(scenario, base).unwrap_or_else(|why| panic!("{}, seed {}: {why:#}", scenario.name, scenario.seed))
}

/// Two devices and more.
fn play_devices(more: &str) -> Played {
    play(&Scenario::parse(&format!("{TWO_ISPS}{TWO_DEVICES}{more}")).unwrap(), Path::new("/"))
}

/// Holds every agent against what concerns it, by its place.
fn check(played: &Played, expected: impl Fn(usize, &Heard) -> BTreeSet<String>) {
    for (place, agent) in played.agents.iter().enumerate() {
        assert_eq!(agent.holds, expected(place, agent), "{} with {}", agent.name, agent.inventory);
    }
}

/// The same where nothing is ever revised: each item comes once.
fn check_once(played: &Played, expected: impl Fn(usize, &Heard) -> BTreeSet<String>) {
    check(played, expected);
    played.agents.iter().for_each(|agent| assert_eq!(agent.came.len(), agent.holds.len(), "{}", agent.name));
}

/// What cargo-audit finds in the lock files that `distributary` carries.
fn check_builtin(played: &Played) {
    let answers = builtin::expected().unwrap();
    check_once(played, |_, agent| answers[&agent.inventory].iter().map(|(.., id)| id.clone()).collect());
}

/// Deliveries within these seconds.
fn within(agent: &Heard, seconds: std::ops::Range<u64>) -> usize {
    let span = Duration::from_secs(seconds.start)..Duration::from_secs(seconds.end);
    agent.came.iter().filter(|at| span.contains(*at)).count()
}

#[test]
fn two_isps_come_to_the_same_as_with_processes() {
    let played = play(&load("two-isps.toml"), &folder());
    assert_eq!((played.items(), played.report.nodes), (ITEMS, 3 + 8));
    let lives: Vec<u64> = played.servers.iter().map(|server| server.lives).collect();
    assert_eq!(lives, [1, 2, 1], "isp-1 was killed once");
    check_builtin(&played);
}

#[test]
fn a_scenario_replays_exactly() {
    let scenario = load("two-isps.toml");
    assert_eq!(play(&scenario, &folder()), play(&scenario, &folder()));
}

#[test]
fn chances_do_not_matter() {
    let mut scenario = load("two-isps.toml");
    for seed in 1..=12 {
        scenario.seed = seed;
        check_builtin(&play(&scenario, &folder()));
    }
}

#[test]
fn a_thousand_customers_come_to_rest() {
    let played = play(&load("isp-1000.toml"), &folder());
    println!("{:?}", played.report);
    assert_eq!(played.items(), 1000 / 8 * ITEMS);
    let killed = ["town-1", "town-2"];
    let lives = |name: &str| 1 + u64::from(killed.contains(&name));
    assert!(played.servers.iter().all(|server| server.lives == lives(&server.name)), "{:?}", played.servers);
    check_builtin(&played);
}

#[test]
fn without_faults_each_item_crosses_each_edge_once() {
    // The simulator sees to it that nothing does twice.
    check_builtin(&play_devices(""));
}

#[test]
fn a_server_that_is_killed_gives_nothing_until_it_starts_again() {
    let played = play_devices("[[fault]]\nat = 4\nkill = \"isp-1\"\nfor = 4\n");
    let [below, beside] = &played.agents[..] else { panic!("two devices: {played:?}") };
    assert_eq!(within(below, 4..8), 0);
    assert!(within(beside, 4..8) > 0 && within(below, 2..4) > 0 && within(below, 8..30) > 0, "{below:?} {beside:?}");
    check_builtin(&played);
}

#[test]
fn behind_a_cut_link_nothing_new_comes_until_it_is_mended() {
    let played = play_devices("[[fault]]\nat = 4\ncut = \"isp-2 -> vendor\"\nfor = 5\n");
    let [beside, below] = &played.agents[..] else { panic!("two devices: {played:?}") };
    // What had crossed the link may still be on its way.
    assert_eq!(within(below, 5..9), 0);
    assert!(within(beside, 5..9) > 0 && within(below, 9..30) > 0, "{below:?} {beside:?}");
    assert!(played.servers.iter().all(|server| server.lives == 1));
    check_builtin(&played);
}

#[test]
fn a_server_can_be_put_below_another() {
    let played = play_devices("[[fault]]\nat = 4\nattach = \"isp-2\"\nto = \"isp-1\"\n");
    let moved = &played.servers[2];
    assert_eq!((moved.above.as_slice(), moved.lives), (&["isp-1".to_owned()][..], 2));
    assert!(within(&played.agents[1], 5..30) > 0);
    check_builtin(&played);
}

#[test]
fn whoever_is_killed_before_it_comes_comes_with_its_group() {
    let played = play_devices("at = 6\n[[fault]]\nat = 1\nkill = [\"device-1\", \"publisher\"]\nfor = 3\n");
    assert_eq!(within(&played.agents[0], 0..6), 0);
    check_builtin(&played);
}

#[test]
fn an_item_that_comes_by_two_ways_takes_effect_once() {
    let played = play_devices(TWO_WAYS);
    assert_eq!(played.servers[4].above, ["isp-1", "other-vendor"]);
    check_builtin(&played);
}

/// The states of 207 public projects.
#[test]
fn a_fleet_hears_what_cargo_audit_finds() {
    let Some(data) = data::dir() else { return };
    let scenario = fleet("\"advisories/rustsec/advisory-db\"", 207, "assets/rust/fleet-inventories.jsonl");
    let (played, members) = (play(&scenario, &data), data::fleet(&data));
    assert_eq!((members.len(), played.servers[1].lives), (207, 2));
    check_once(&played, |place, _| members[place].expected.iter().map(|(id, ..)| id.clone()).collect());
}

/// Advisories are added, changed and withdrawn, and one cannot be read.
#[test]
fn a_year_of_changes_ends_where_cargo_audit_does() {
    let Some(data) = data::dir() else { return };
    let sources = ["snapshot-2025-06-01.jsonl", "events-2025-06-01_2026-05-29.jsonl"];
    let publish = format!("{:?}", sources.map(|file| format!("advisories/rustsec/{file}")));
    let played = play(&fleet(&publish, 10, "assets/rust"), &data);
    let expected = after_a_year(&data);
    let of_asset =
        |name: &str| expected.iter().filter(|[asset, ..]| asset == name).map(|[_, id, ..]| id.clone()).collect();
    check(&played, |_, agent| of_asset(&agent.inventory));
}

/// Asset, advisory, component and version, after the last change.
fn after_a_year(data: &Path) -> BTreeSet<[String; 4]> {
    let text = std::fs::read_to_string(data.join("assets/rust/delivery-truth.jsonl")).unwrap();
    let reason =
        |found: &Value| ["asset", "id", "component", "version"].map(|key| found[key].as_str().unwrap().to_owned());
    let mut reasons = BTreeSet::new();
    for line in text.lines() {
        let step: Value = serde_json::from_str(line).unwrap();
        let of = |key: &str| step[key].as_array().into_iter().flatten().map(reason).collect::<Vec<_>>();
        of("removed").iter().for_each(|gone| _ = reasons.remove(gone));
        reasons.extend([of("matches"), of("added")].concat());
    }
    reasons
}
