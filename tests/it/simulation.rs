//! Many seeds, each a life of one server, a provider and twelve devices, or of a random tree, with crashes, cuts and
//! partitions, held against a plain model.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tests::sim::{self, Options, Shape};

/// Seeds in CI. `DISTRIBUTARY_SEEDS=FIRST..END` runs others; a failure names its seed.
const SEEDS: std::ops::Range<u64> = 0..1000;
/// The same of random trees.
const TREES: std::ops::Range<u64> = 0..2000;

/// The same of random trees in which nothing goes wrong and nothing changes.
const CALM: std::ops::Range<u64> = 0..200;

#[test]
fn every_device_gets_each_item_once_and_in_order_whatever_crashes() {
    println!("{}", run_all(seeds(SEEDS), Options::default()));
}

#[test]
fn in_random_trees_likewise() {
    println!("{}", run_all(seeds(TREES), Options { shape: Shape::Tree, ..Options::default() }));
}

/// Runs these seeds on every core, and says how much happened; those that fail are named.
fn run_all(seeds: std::ops::Range<u64>, options: Options) -> String {
    let next = AtomicU64::new(seeds.start);
    let (steps, entries) = (AtomicU64::new(0), AtomicU64::new(0));
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    match sim::run(seed, options) {
                        Ok(report) => {
                            steps.fetch_add(report.steps, Ordering::Relaxed);
                            entries.fetch_add(report.entries as u64, Ordering::Relaxed);
                        }
                        Err(why) => {
                            let why = format!("seed {seed} (DISTRIBUTARY_SEEDS={seed}..{}): {why}", seed + 1);
                            failures.lock().unwrap().push(why);
                        }
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let some = failures.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} seeds fail, among them\n{some}", failures.len());
    let (count, steps, entries) = (seeds.end - seeds.start, steps.into_inner(), entries.into_inner());
    format!("{count} seeds, {steps} events, {entries} journal entries")
}

#[test]
fn a_seed_replays_exactly() {
    for shape in [Shape::One, Shape::Tree] {
        let options = Options { shape, ..Options::default() };
        assert_eq!(sim::run(7, options), sim::run(7, options));
    }
}

#[test]
fn where_nothing_goes_wrong_each_item_crosses_each_edge_once() {
    println!("{}", run_all(seeds(CALM), Options { shape: Shape::Tree, calm: true, ..Options::default() }));
}

#[test]
fn acknowledging_before_sync_is_noticed() {
    let lies = Options { lies: true, ..Options::default() };
    let mut lost = 0;
    for seed in 0..120 {
        let Err(why) = sim::run(seed, lies) else { continue };
        // Other things go wrong as well when a server forgets; that a device lacks an item is what must be seen.
        if is_loss(&why) {
            lost += 1;
            sim::run(seed, Options::default()).unwrap_or_else(|why| panic!("seed {seed} fails without lies: {why}"));
        }
    }
    println!("a device lacks something in {lost} of 120 seeds");
    assert!(lost >= 10, "a server that acknowledges before it syncs lost something in {lost} of 120 seeds only");
}

/// `device N: holds {...} instead of {...}`.
fn is_loss(why: &str) -> bool {
    let first = why.lines().next().unwrap_or_default();
    first.starts_with("device ") && first.contains(": holds ") && first.contains(" instead of ")
}

fn seeds(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    let Ok(text) = std::env::var("DISTRIBUTARY_SEEDS") else { return usual };
    let parsed = text.split_once("..").and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    parsed.unwrap_or_else(|| panic!("DISTRIBUTARY_SEEDS={text}: write FIRST..END, such as 7..8"))
}
