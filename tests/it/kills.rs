//! SIGKILL of real processes at seeded instants: no gap in any journal, no item twice, nothing foreign.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tests::kills::{self, Plan, Report, tree};

/// Fifty agents are enough for this machine: one run at a time.
static ALONE: Mutex<()> = Mutex::new(());

const PLAN: Plan = Plan { seed: 1206, agents: 50, items: 500, rounds: 20, forgets: false, lies: false };

fn run(plan: Plan) -> Result<Report, String> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    kills::run(Path::new(env!("CARGO_BIN_EXE_party")), plan).map_err(|error| format!("seed {}: {error:#}", plan.seed))
}

/// At half of the instants at least, items of the round were still on their way.
fn was_killed_amid_deliveries(report: Report) {
    assert_eq!(report.instants, PLAN.rounds);
    assert!(report.amid >= 10, "{} of {} instants lay amid deliveries", report.amid, report.instants);
}

#[test]
fn killed_processes_lose_and_repeat_nothing() {
    let report = run(PLAN).unwrap();
    println!("{report:?}");
    was_killed_amid_deliveries(report);
}

#[test]
fn the_same_on_a_disk_that_forgets_what_was_not_synced() {
    let report = run(Plan { forgets: true, ..PLAN }).unwrap();
    println!("{report:?}");
    was_killed_amid_deliveries(report);
    assert!(report.failpoints >= 5);
}

#[test]
fn there_acknowledging_before_sync_is_noticed() {
    let honest = Plan { forgets: true, agents: 10, items: 100, rounds: 4, ..PLAN };
    run(honest).unwrap();
    let why =
        run(Plan { lies: true, ..honest }).expect_err("a server that acknowledges before it syncs loses something");
    assert!(why.contains("items are missing"), "{why}");
    println!("noticed: {}", why.lines().next().unwrap_or_default());
}

#[test]
fn in_a_tree_each_node_in_turn_and_two_at_once_likewise() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let plan = tree::Plan { seed: 1206, agents: 21, items: 30 };
    let report = tree::run(Path::new(env!("CARGO_BIN_EXE_party")), plan).unwrap();
    println!("{report:?}");
    assert_eq!((report.rounds, report.servers_killed, report.agents_killed), (9, 14, plan.agents));
    assert!(report.amid >= 7, "{} of {} rounds lay amid deliveries", report.amid, report.rounds);
}
