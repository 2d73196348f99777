//! SIGKILL of real processes at seeded instants: no gap in any journal, no item twice, nothing foreign.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tests::kills::{self, Plan, Report};

/// Fifty agents are enough for this machine: one run at a time.
static ALONE: Mutex<()> = Mutex::new(());

const PLAN: Plan = Plan { seed: 1206, agents: 50, items: 500, rounds: 20, forgets: false, lies: false };

fn run(plan: Plan) -> Result<Report, String> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    kills::run(Path::new(env!("CARGO_BIN_EXE_party")), plan).map_err(|error| format!("seed {}: {error:#}", plan.seed))
}

#[test]
fn killed_processes_lose_and_repeat_nothing() {
    let report = run(PLAN).unwrap();
    println!("{report:?}");
    assert!(report.servers_killed + report.agents_killed >= PLAN.rounds);
}

#[test]
fn the_same_on_a_disk_that_forgets_what_was_not_synced() {
    let report = run(Plan { forgets: true, ..PLAN }).unwrap();
    println!("{report:?}");
    assert!(report.failpoints >= 5);
}

#[test]
fn there_acknowledging_before_sync_is_noticed() {
    let plan = Plan { forgets: true, lies: true, agents: 10, items: 100, rounds: 4, ..PLAN };
    let why = run(plan).expect_err("a server that acknowledges before it syncs loses something");
    assert!(why.contains("items are missing"), "{why}");
    println!("noticed: {}", why.lines().next().unwrap_or_default());
}
