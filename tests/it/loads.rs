//! The load test against a real server: everybody gets everything once, whatever their habits are.

use std::path::{Path, PathBuf};

use loadtest::plan::Plan;
use loadtest::report::Report;
use loadtest::run::{self, Options, Progress};
use loadtest::{html, items};
use schemas::class::Class;
use schemas::core::{Message, MessageCore, Payload, Root};
use schemas::limits::Limits;
use schemas::version::{MessageData, VersionMessage};
use topology::subject::Subject;

/// Every habit of clients, every kind of content, every pace.
const PLAN: &str = r#"
name = "all habits"
idle_seconds = 0.1
[network]
delay = 2.0
loss = 0.005
reorder = 0.01
duplicate = 0.01
seed = 3
[[clients]]
name = "steady"
count = 4
[[clients]]
name = "choosy"
count = 2
wants = ["news"]
[[clients]]
name = "stalled"
count = 1
habit = "stalled"
[[clients]]
name = "slow"
count = 2
habit = { slow = 400000 }
[[clients]]
name = "away"
count = 3
habit = "away"
[[clients]]
name = "restless"
count = 2
habit = { churn = 8.0 }
[[clients]]
name = "struck"
count = 3
habit = { storm = 0.4 }
[[publish]]
name = "news"
content = { text = 700 }
count = 60
rate = 60.0
burst = 5
[[publish]]
name = "updates"
content = { random = 40000 }
count = 12
window = 3
[[publish]]
name = "documents"
content = { documents = "FOLDER" }
count = 4
start = 0.2
"#;

/// One item, long enough that a copy for each client would be seen.
const LONG: &str = r#"
name = "one long item"
idle_seconds = 0.5
[[clients]]
name = "all"
count = 60
[[publish]]
name = "update"
content = { random = 4000000 }
count = 1
"#;

/// A tree of three tiers, of which the middle is somebody else's, with clients at each.
const TIERS: &str = r#"
name = "a tree"
idle_seconds = 0.1
[[tier]]
name = "isp"
servers = 2
realm = "foreign"
ask = "everything"
[[tier]]
name = "site"
servers = 3
[[clients]]
name = "below"
count = 9
wants = ["news", "updates"]
[[clients]]
name = "at an isp"
count = 4
tier = "isp"
wants = ["updates"]
[[clients]]
name = "at the top"
count = 1
tier = "top"
[[publish]]
name = "news"
content = { text = 700 }
critical = true
count = 10
rate = 20.0
[[publish]]
name = "updates"
content = { random = 60000 }
count = 8
window = 2
"#;

const SHORT: &str = r#"
name = "cut short"
idle_seconds = 0.0
seconds_max = 1.0
[[clients]]
name = "all"
count = 2
[[publish]]
name = "news"
content = { text = 700 }
count = 1000
rate = 5.0
"#;

/// Each item waits until those before it are received by everybody who reads: eight are under way at any time.
const THOUSAND: &str = r#"
name = "one of a thousand"
clients_of_a_socket = 20
idle_seconds = 0.0
[[clients]]
name = "reading"
count = 999
[[clients]]
name = "stalled"
count = 1
habit = "stalled"
[[publish]]
name = "news"
content = { text = 2000 }
count = 120
window = 8
[[publish]]
name = "updates"
content = { random = 100000 }
count = 2
window = 1
"#;

struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _: &str, _: u64) {}
    fn at(&mut self, _: u64) {}
}

/// Carries out a plan with files in a folder.
fn run(folder: &Path, plan: &str) -> Report {
    let path = folder.join("plan.toml");
    std::fs::write(&path, plan).unwrap();
    let plan = Plan::read(&path).unwrap();
    let program = Some(PathBuf::from(env!("CARGO_BIN_EXE_party")));
    run::run(&plan, &Options { folder: folder.join("run"), program }, &mut Silent).unwrap()
}

#[test]
fn a_load_test_counts_what_real_clients_of_a_real_server_receive() {
    let folder = tempfile::tempdir().unwrap();
    let mut other: Plan = toml::from_str(PLAN).unwrap();
    other.publish[0].name = "other".to_owned();
    for (number, item) in items::make(&other.publish[0], 1).unwrap().iter().take(4).enumerate() {
        std::fs::write(folder.path().join(format!("{number}.xml")), &item.document).unwrap();
    }
    let report = run(folder.path(), &PLAN.replace("FOLDER", &folder.path().display().to_string()));

    // 14 clients want all 76 items, of whom one never reads; two want news alone.
    assert_eq!((report.items, report.expected), (76, 14 * 76 + 2 * 60));
    assert!(report.good, "{}", report.text());
    let receipts: Vec<u64> = report.groups.iter().map(|group| group.receipts).collect();
    assert_eq!(receipts, [4 * 76, 2 * 60, 0, 2 * 76, 3 * 76, 2 * 76, 3 * 76]);
    let (out, _) = report.wire.expect("its own server says what crossed its sockets");
    assert!(
        out > report.document_bytes / 2 && report.server.is_some_and(|server| server.cpu_seconds > 0.0),
        "{}",
        report.text()
    );
    let [news, updates, documents] = &report.publications[..] else { panic!("{:?}", report.publications) };
    assert_eq!([news.receipts, updates.receipts, documents.receipts], [16 * 60, 14 * 12, 14 * 4]);
    assert!(news.begin < documents.begin && documents.begin < documents.end, "{:?}", report.publications);
    let page = html::page(&report).unwrap();
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(serde_json::to_value(&report).unwrap()["groups"][0]["latency"]["p99"].as_f64().unwrap() > 0.0);
}

#[test]
fn p_2_a_long_item_is_in_memory_for_itself_and_not_for_each_receiver() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(folder.path(), LONG);
    assert!(report.good && report.receipts == 60, "{}", report.text());
    let document = report.document_bytes / 60;
    assert!(document > 5_000_000, "base64 makes it longer: {document}");
    let (most, idle) = (report.server.unwrap().resident_bytes_max, report.timeline[0].server_resident);
    // As it comes in, with room to grow; in the log's pages; and what a link may take beside it. Sixty copies were 320 MB.
    let bound = 4 * document + 60 * (16 << 10);
    assert!(most - idle <= bound, "{} bytes more than idle, of {bound}", most - idle);
}

/// How long they wait is measured and not tested: `scripts/measure --only stalled`.
#[test]
fn p_1_one_stalled_of_a_thousand_keeps_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(folder.path(), THOUSAND);
    assert!(report.good, "{}", report.text());
    let receipts: Vec<u64> = report.groups.iter().map(|group| group.receipts).collect();
    assert_eq!(receipts, [999 * 122, 0], "all that were to come after what the stalled one has not read");
}

#[test]
fn a_run_that_may_take_so_long_ends_then_and_misses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(folder.path(), SHORT);
    assert!(report.good, "{}", report.text());
    assert!(
        (1..report.expected / 2).contains(&report.receipts),
        "200 s of news, of which one is over: {}",
        report.text()
    );
}

#[test]
fn a_tree_tells_what_each_of_its_tiers_sends() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(folder.path(), TIERS);
    assert!(report.good, "{}", report.text());
    let receipts: Vec<u64> = report.groups.iter().map(|group| group.receipts).collect();
    assert_eq!(receipts, [9 * 18, 4 * 8, 18]);
    assert!(report.groups.iter().all(|group| group.latency.p50 > 0.0), "from the top to the clients");

    let tiers: Vec<_> = report.tiers.iter().map(|tier| (tier.name.as_str(), tier.servers)).collect();
    assert_eq!(tiers, [("top", 1), ("isp", 2), ("site", 3)]);
    assert!(report.tiers.iter().all(|tier| tier.cost.is_some()), "{:?}", report.tiers);
    let out: Vec<u64> = report.tiers.iter().map(|tier| tier.wire.expect("each says it").0).collect();
    let updates = 8 * 60_000;
    // Two servers and a client, three servers and four clients, nine clients.
    for (out, receivers) in out.iter().zip([3, 7, 9]) {
        assert!(*out >= receivers * updates, "{out} bytes for {receivers} times {updates}");
    }
    assert!(out[0] < 6 * updates, "what goes to nine clients goes once to each server above them: {out:?}");
    assert_eq!(report.wire.expect("the sum").0, out.iter().sum::<u64>());
    assert!(report.text().contains("| site | "), "{}", report.text());
}

#[test]
fn what_a_plan_calls_critical_has_the_lane_of_what_is() {
    let mut plan: Plan = toml::from_str(TIERS).unwrap();
    let class = |plan: &Plan| {
        let item = &items::make(&plan.publish[0], 1).unwrap()[0];
        let read = schemas::read::document(&item.document, &Limits::default()).unwrap();
        let Root::Message(MessageCore { payload: Payload::Messages(messages), .. }) = read.root else { panic!("one") };
        let [Message::Version(VersionMessage { data: MessageData::Version { infos, .. }, .. })] = &messages[..] else {
            panic!("one")
        };
        Subject::from_version_infos(infos).class
    };
    assert_eq!(class(&plan), Class::Critical);
    plan.publish[0].critical = false;
    assert_eq!(class(&plan), Class::Normal);
}
