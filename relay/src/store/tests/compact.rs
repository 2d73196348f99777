//! What others have replaced gives its room back, wherever it stands in the log.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use node::store::Write;
use tempfile::tempdir;

use super::damage::flip;
use super::failure::{Faults, open_failing};
use super::{append, append_sized, item, open, positions, segments, stored, try_open};
use crate::store::{OpenError, Store, compact};

/// A store of this many items, five of which fill a segment, each in a commit of its own.
fn filled(directory: &Path, items: u64) -> Store {
    let (mut store, _) = open(directory);
    (1..=items).for_each(|position| store.commit(&[append(position)]).unwrap());
    store
}

fn evict(store: &mut Store, positions: impl IntoIterator<Item = u64>) {
    store.commit(&[Write::Evict { positions: positions.into_iter().collect() }]).unwrap();
}

fn compact_all(store: &mut Store) {
    while store.compact().is_some() {}
}

fn assert_holds(store: &Store, kept: &[u64], through: u64) {
    for position in 1..=through {
        let expected = kept.contains(&position).then(|| item(position, 700));
        assert_eq!(store.reader().read(position), expected, "{position}");
        assert!(store.reader().is_intact(position), "what is gone is not damaged: {position}");
    }
}

#[test]
fn what_is_evicted_is_not_served_and_its_room_is_taken_back() {
    let directory = tempdir().unwrap();
    let mut store = filled(directory.path(), 40);
    let (before, held) = (stored(directory.path()), store.reader().read(7).unwrap());
    let kept: Vec<u64> = (1..=40).filter(|position| position % 4 == 0).collect();
    evict(&mut store, (1..=40).filter(|position| position % 4 != 0));
    assert_holds(&store, &kept, 40);
    assert_eq!(stored(directory.path()), before, "not before it is asked for");
    compact_all(&mut store);
    assert_holds(&store, &kept, 40);
    assert_eq!(held, item(7, 700), "what a reader holds outlives the file");
    let after = stored(directory.path());
    assert!(after < before / 2, "{before} bytes before, {after} after");
    for life in 0..2_u64 {
        drop(store);
        let (opened, recovered) = open(directory.path());
        store = opened;
        let served: Vec<u64> = kept.iter().copied().chain(41..41 + life).collect();
        let found = positions(&recovered);
        // What stands in the newest segments is left there.
        assert!(served.iter().all(|position| found.contains(position)), "{found:?}");
        assert!(found.iter().all(|position| served.contains(position) || *position > 30), "{found:?}");
        store.commit(&[append(41 + life)]).unwrap();
    }
}

#[test]
fn segments_with_next_to_nothing_become_one() {
    let directory = tempdir().unwrap();
    let mut store = filled(directory.path(), 400);
    let before = segments(directory.path()).len();
    // As it happens while items are published: a few at a time, and of each segment one stays.
    for upto in (20..=400).step_by(20) {
        evict(&mut store, (upto - 19..=upto).filter(|position| position % 10 != 0));
        compact_all(&mut store);
    }
    let kept: Vec<u64> = (1..=400).filter(|position| position % 10 == 0).collect();
    assert_holds(&store, &kept, 400);
    let after = segments(directory.path()).len();
    assert!(before >= 80 && after <= before / 5, "{before} segments before, {after} after");
    drop(store);
    let (store, recovered) = open(directory.path());
    assert!(kept.iter().all(|position| positions(&recovered).contains(position)));
    kept.iter().for_each(|position| assert_eq!(store.reader().read(*position), Some(item(*position, 700))));
}

#[test]
fn a_fifth_of_a_segment_is_not_worth_a_copy() {
    let directory = tempdir().unwrap();
    let mut store = filled(directory.path(), 20);
    evict(&mut store, [2]);
    assert_eq!(store.compact(), None);
    evict(&mut store, [3]);
    assert!(store.compact().is_some());
}

#[test]
fn without_a_copy_what_was_evicted_is_there_again_after_a_restart() {
    let directory = tempdir().unwrap();
    let mut store = filled(directory.path(), 20);
    evict(&mut store, 1..=20);
    drop(store);
    assert_eq!(positions(&open(directory.path()).1), (1..=20).collect::<Vec<_>>());
}

#[test]
fn trimming_goes_on_over_what_was_compacted() {
    let directory = tempdir().unwrap();
    let mut store = filled(directory.path(), 40);
    evict(&mut store, (1..=30).filter(|position| position % 5 != 0));
    compact_all(&mut store);
    store.commit(&[Write::Trim { below: 12 }]).unwrap();
    evict(&mut store, [15, 20]);
    compact_all(&mut store);
    assert_eq!(store.reader().read(10), None);
    drop(store);
    let (mut store, recovered) = open(directory.path());
    let found = positions(&recovered);
    assert!([25, 30, 35, 40].iter().all(|position| found.contains(position)) && found[0] > 11, "{found:?}");
    store.commit(&[Write::Trim { below: u64::MAX }]).unwrap();
    drop(store);
    assert_eq!(positions(&open(directory.path()).1), [0; 0]);
}

#[test]
fn a_full_disk_leaves_everything_as_it_was() {
    let directory = tempdir().unwrap();
    let (mut store, faults) = open_failing(directory.path());
    (1..=40).for_each(|position| store.commit(&[append(position)]).unwrap());
    let kept: Vec<u64> = (1..=40).filter(|position| position % 2 == 0).collect();
    for quota in [0, 95, 96, 500, 900] {
        faults.log_quota.store(quota, Ordering::Relaxed);
        evict(&mut store, (1..=40).filter(|position| position % 2 != 0));
        assert_eq!(store.compact(), None, "{quota}");
        assert_holds(&store, &kept, 40);
        assert!(!directory.path().join(compact::NAME).exists(), "{quota}");
    }
    faults.log_quota.store(1 << 30, Ordering::Relaxed);
    faults.log_sync_fails.store(true, Ordering::Relaxed);
    evict(&mut store, [1]);
    assert_eq!(store.compact(), None);
    faults.log_sync_fails.store(false, Ordering::Relaxed);
    let before = stored(directory.path());
    evict(&mut store, [1]);
    compact_all(&mut store);
    assert!(stored(directory.path()) < before * 3 / 4);
    assert_holds(&store, &kept, 40);
}

// What was renamed and then failed must not leave one predecessor in memory and another on the disk.
#[test]
fn what_fails_around_the_new_name_leaves_a_log_that_opens() {
    let faults: [fn(&Faults) -> &AtomicBool; 2] = [|faults| &faults.map_fails, |faults| &faults.dir_sync_fails];
    for fault in faults {
        let directory = tempdir().unwrap();
        let (mut store, faults) = open_failing(directory.path());
        (1..=40).for_each(|position| store.commit(&[append(position)]).unwrap());
        let mut kept: Vec<u64> =
            (1..=40).filter(|position| !(11..=30).contains(position) || position % 5 == 0).collect();
        // The third segment and what joins it fail under way.
        fault(&faults).store(true, Ordering::Relaxed);
        evict(&mut store, (11..=30).filter(|position| position % 5 != 0));
        compact_all(&mut store);
        assert_holds(&store, &kept, 40);
        fault(&faults).store(false, Ordering::Relaxed);
        // Then those before it, which it may join.
        kept.retain(|position| ![1, 2, 3, 4, 6, 7, 8, 9].contains(position));
        evict(&mut store, [1, 2, 3, 4, 6, 7, 8, 9]);
        compact_all(&mut store);
        assert_holds(&store, &kept, 40);
        drop(store);
        let (store, recovered) = open(directory.path());
        let found = positions(&recovered);
        assert!(kept.iter().all(|position| found.contains(position)), "{found:?}");
        kept.iter().for_each(|position| assert_eq!(store.reader().read(*position), Some(item(*position, 700))));
    }
}

fn lost(directory: &Path) -> Vec<u64> {
    open(directory).1.lost.iter().map(|lost| lost.position).collect()
}

#[test]
fn damage_is_not_copied_and_keeps_no_other_segment_from_it() {
    // In the item, in the record, and in the record's header.
    for offset in [96 + 64 + 8 + 300, 96 + 64 + 2, 96 + 20] {
        let directory = tempdir().unwrap();
        let mut store = filled(directory.path(), 20);
        let first = directory.path().join(&segments(directory.path())[0]);
        flip(&first, offset);
        evict(&mut store, (2..=4).chain(6..=9));
        let before = stored(directory.path());
        compact_all(&mut store);
        assert!(stored(directory.path()) < before, "others give their room back: {offset}");
        assert!(store.reader().is_intact(5) && store.reader().is_intact(10));
        drop(store);
        assert_eq!(lost(directory.path()), [1], "{offset}");
        // Nor is what is known of it lost when there is more to take.
        let (mut store, _) = open(directory.path());
        evict(&mut store, 2..=5);
        compact_all(&mut store);
        drop(store);
        assert_eq!(lost(directory.path()), [1], "{offset}");
    }
}

#[test]
fn damage_in_a_compacted_segment_is_found_like_any() {
    let directory = tempdir().unwrap();
    let mut store = filled(directory.path(), 30);
    evict(&mut store, [1, 3, 5, 6, 7]);
    compact_all(&mut store);
    drop(store);
    let first = directory.path().join(&segments(directory.path())[0]);
    // The header of the record at 4, which is the second, and the item at 2: what it may have been is the place before the next.
    let second = 96 + 64 + (8_u64 + 700).next_multiple_of(16);
    flip(&first, second + 20);
    assert_eq!(lost(directory.path()), [7]);
    flip(&first, second + 20);
    flip(&first, 96 + 64 + 8 + 300);
    assert_eq!(lost(directory.path()), [2]);
}

#[test]
fn what_was_compacted_is_compacted_again_in_another_life() {
    let directory = tempdir().unwrap();
    let mut store = filled(directory.path(), 60);
    for left in [2_u64, 4, 8, 16, 32] {
        evict(&mut store, (1..=40).filter(|position| position % left != 0));
        compact_all(&mut store);
        drop(store);
        let (opened, recovered) = open(directory.path());
        store = opened;
        let found = positions(&recovered);
        let kept: Vec<u64> = (1..=40).filter(|position| position % left == 0).chain(41..=60).collect();
        assert_eq!(found, kept);
    }
    evict(&mut store, 1..=40);
    compact_all(&mut store);
    drop(store);
    assert_eq!(positions(&open(directory.path()).1), (41..=60).collect::<Vec<_>>());
}

#[test]
fn what_a_crash_left_of_a_copy_is_removed() {
    let directory = tempdir().unwrap();
    drop(filled(directory.path(), 20));
    let left = directory.path().join(compact::NAME);
    fs::write(&left, b"half").unwrap();
    assert_eq!(positions(&open(directory.path()).1), (1..=20).collect::<Vec<_>>());
    assert!(!left.exists());
}

#[test]
fn a_compacted_segment_that_was_cut_is_refused() {
    let directory = tempdir().unwrap();
    let mut store = filled(directory.path(), 20);
    evict(&mut store, [1, 2]);
    compact_all(&mut store);
    drop(store);
    let path = directory.path().join(&segments(directory.path())[0]);
    let len = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 16).unwrap();
    let refused = try_open(directory.path()).map(|_| ()).unwrap_err();
    assert!(matches!(&refused, OpenError::Corrupt { what, .. } if what.contains("its header says")), "{refused}");
}

#[test]
fn a_long_batch_in_a_segment_of_its_own_is_compacted_too() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    let batch: Vec<Write> = (1..=10).map(|position| append_sized(position, 3000)).collect();
    store.commit(&batch).unwrap();
    store.commit(&[append(11)]).unwrap();
    store.commit(&(12..=20).map(append).collect::<Vec<_>>()).unwrap();
    let before = stored(directory.path());
    evict(&mut store, 1..=9);
    compact_all(&mut store);
    assert!(stored(directory.path()) < before / 2);
    assert_eq!(store.reader().read(10), Some(item(10, 3000)));
    drop(store);
    assert_eq!(positions(&open(directory.path()).1), (10..=20).collect::<Vec<_>>());
}
