//! Crashes in the middle of commits: everything acknowledged is there, nothing is there by half.

use std::{path::Path, sync::Arc};

use node::store::Write;
use relay::store::{Options, Store};
use tempfile::tempdir;

use super::model::{Model, batch};
use crate::faults::{Failpoint, Faults, FaultyDisk, Random, Restart, Then, When};

const SEEDS: u64 = 300;
const LIVES: u64 = 5;
const COMMITS_PER_LIFE: u64 = 16;

/// Small, so that segments are sealed and trimmed within a life.
const OPTIONS: Options = Options { segment_bytes: 4096, table_cache_bytes: 1 << 20 };

#[test]
fn what_was_acknowledged_is_there_after_every_crash() {
    let mut compacted = 0;
    for seed in 0..SEEDS {
        match run(seed, false) {
            Ok(segments) => compacted += segments,
            Err(what) => panic!("seed {seed}: {what}"),
        }
    }
    assert!(compacted > SEEDS, "{compacted} segments were compacted between the crashes");
}

#[test]
fn acknowledging_before_the_sync_is_noticed() {
    let noticed = (0..SEEDS).any(|seed| run(seed, true).is_err());
    assert!(noticed, "syncs that do nothing pass the test, so it proves nothing");
}

/// Several lives of one store, each ended by a crash; how many segments were compacted. The error says what is wrong with what a life found.
fn run(seed: u64, lie_on_sync: bool) -> Result<u64, String> {
    let directory = tempdir().map_err(|error| error.to_string())?;
    let mut random = Random::new(seed);
    let mut history = History::default();
    for life in 0..LIVES {
        let restart = match random.below(3) {
            0 => Restart::Discard,
            1 => Restart::TornPrefix { seed: random.next_u64() },
            _ => Restart::Sectors { seed: random.next_u64() },
        };
        let faults = Faults { failpoint: Some(failpoint(&mut random)), lie_on_sync };
        history
            .live(directory.path(), restart, faults, &mut random)
            .map_err(|what| format!("life {life}, {restart:?}: {what}"))?;
    }
    Ok(history.compacted)
}

fn failpoint(random: &mut Random) -> Failpoint {
    let prefix = if random.one_in(2) { "log-" } else { "" };
    let when = if random.one_in(2) { When::BeforeSync } else { When::AfterSync };
    Failpoint { prefix: prefix.to_owned(), nth: 1 + random.below(40), when, then: Then::Die }
}

/// What the lives so far were promised.
#[derive(Default)]
struct History {
    acknowledged: Model,
    /// The batch that a crash interrupted.
    under_way: Vec<Write>,
    position: u64,
    compacted: u64,
}

impl History {
    fn live(&mut self, directory: &Path, restart: Restart, faults: Faults, random: &mut Random) -> Result<(), String> {
        let disk = FaultyDisk::open(directory, restart, faults).map_err(|error| error.to_string())?;
        let (mut store, recovered) = match Store::open(Arc::new(disk.clone()), OPTIONS, random.next_u64().into()) {
            Ok(opened) => opened,
            // It died while opening, before it promised anything.
            Err(_) if disk.has_crashed() => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        self.check(Model::of(&recovered, &store.reader())?)?;
        for _ in 0..COMMITS_PER_LIFE {
            let writes = batch(random, &mut self.position);
            match store.commit(&writes) {
                Ok(()) => self.acknowledged = std::mem::take(&mut self.acknowledged).with_all(&writes),
                Err(_) if disk.has_crashed() => {
                    self.under_way = writes;
                    break;
                }
                Err(error) => return Err(error.to_string()),
            }
            while random.one_in(2) && store.compact().is_some() {
                self.compacted += 1;
            }
        }
        let visible = self.acknowledged.is_read(&store.reader(), self.position);
        disk.crash();
        drop(store);
        if visible { Ok(()) } else { Err("a reader does not see exactly what was acknowledged".to_owned()) }
    }

    /// A store holds what was acknowledged and of the batch under way nothing, its items, or all.
    fn check(&mut self, found: Model) -> Result<(), String> {
        let nothing = self.acknowledged.clone();
        let items = nothing.clone().with_items(&self.under_way);
        let all = nothing.clone().with_all(&self.under_way);
        let Some(held) = [&nothing, &items, &all].into_iter().find(|model| model.may_be(&found)) else {
            return Err(format!("found {found:?}\nacknowledged {nothing:?}\nunder way {:?}", self.under_way));
        };
        self.acknowledged = held.clone().recovered(found);
        self.under_way.clear();
        Ok(())
    }
}
