//! The load test against a real server: everybody gets everything once, whatever their habits are.

use std::path::PathBuf;

use loadtest::plan::Plan;
use loadtest::run::{self, Options, Progress};
use loadtest::{html, items};

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

struct Silent;

impl Progress for Silent {
    fn begin(&mut self, _: &str, _: u64) {}
    fn at(&mut self, _: u64) {}
}

#[test]
fn a_load_test_counts_what_real_clients_of_a_real_server_receive() {
    let folder = tempfile::tempdir().unwrap();
    let mut other: Plan = toml::from_str(PLAN).unwrap();
    other.publish[0].name = "other".to_owned();
    for (number, item) in items::make(&other.publish[0], 1).unwrap().iter().take(4).enumerate() {
        std::fs::write(folder.path().join(format!("{number}.xml")), &item.document).unwrap();
    }
    let path = folder.path().join("plan.toml");
    std::fs::write(&path, PLAN.replace("FOLDER", &folder.path().display().to_string())).unwrap();
    let plan = Plan::read(&path).unwrap();
    let program = Some(PathBuf::from(env!("CARGO_BIN_EXE_party")));
    let report = run::run(&plan, &Options { folder: folder.path().join("run"), program }, &mut Silent).unwrap();

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
    let page = html::page(&report).unwrap();
    assert_eq!(page.matches("<svg").count(), 4);
    assert!(serde_json::to_value(&report).unwrap()["groups"][0]["latency"]["p99"].as_f64().unwrap() > 0.0);
}
