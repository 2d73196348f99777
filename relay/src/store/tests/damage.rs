//! Bytes that are not what was written: a torn end is cut, an item is lost by name and place, anything else is refused.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

use node::store::{Lost, Write};
use tempfile::tempdir;

use super::{append, append_sized, item, open, positions, put, record, segments, try_open};
use crate::store::OpenError;

/// Three commits of one item, of which the last is `last`; the path of their segment and the offset where the last one starts.
fn three_items(directory: &Path, last: Write) -> (std::path::PathBuf, usize) {
    let (mut store, _) = open(directory);
    store.commit(&[append_sized(1, 50)]).unwrap();
    store.commit(&[append_sized(2, 50)]).unwrap();
    let path = directory.join(&segments(directory)[0]);
    let start = fs::metadata(&path).unwrap().len() as usize;
    store.commit(&[last]).unwrap();
    (path, start)
}

#[test]
fn a_torn_end_is_cut_at_every_byte_of_the_last_record() {
    let directory = tempdir().unwrap();
    let (path, start) = three_items(directory.path(), append_sized(3, 50));
    let whole = fs::read(&path).unwrap();
    for len in start..whole.len() {
        fs::write(&path, &whole[..len]).unwrap();
        let (store, recovered) = open(directory.path());
        assert_eq!(positions(&recovered), [1, 2], "cut at {len}");
        assert_eq!(store.reader().read(2), Some(item(2, 50)));
        assert_eq!(store.reader().read(3), None);
    }
}

#[test]
fn a_last_record_with_any_byte_changed_is_cut() {
    let directory = tempdir().unwrap();
    let (path, start) = three_items(directory.path(), append_sized(3, 55));
    let whole = fs::read(&path).unwrap();
    // Behind header (64), record (8) and item (55) comes padding, which means nothing.
    for at in start..start + 64 + 8 + 55 {
        let mut changed = whole.clone();
        changed[at] ^= 0x40;
        fs::write(&path, &changed).unwrap();
        assert_eq!(positions(&open(directory.path()).1), [1, 2], "changed at {at}");
    }
}

#[test]
fn a_torn_batch_leaves_none_of_its_items() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    store.commit(&[append_sized(1, 50)]).unwrap();
    store.commit(&[append_sized(2, 50), append_sized(3, 50), append_sized(4, 50)]).unwrap();
    drop(store);
    let path = directory.path().join(&segments(directory.path())[0]);
    let whole = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(whole - 1).unwrap();
    let (mut store, recovered) = open(directory.path());
    assert_eq!(positions(&recovered), [1]);
    store.commit(&[append(2)]).unwrap();
    drop(store);
    assert_eq!(positions(&open(directory.path()).1), [1, 2], "the log goes on behind the cut");
}

#[test]
fn a_damaged_item_before_the_last_batch_is_lost_and_named_also_in_the_newest_segment() {
    let directory = tempdir().unwrap();
    let (path, _) = three_items(directory.path(), append_sized(3, 50));
    // Header of the segment, then of the record, then its 8 bytes, then the item.
    flip(&path, 96 + 64 + 8 + 10);
    let (mut store, recovered) = open(directory.path());
    assert_eq!(positions(&recovered), [2, 3]);
    assert_eq!(recovered.lost, [Lost { position: 1, record: Some(record(1)) }]);
    assert_eq!((store.reader().read(1), store.reader().read(3)), (None, Some(item(3, 50))));
    store.commit(&[append(4)]).unwrap();
    drop(store);
    assert_eq!(positions(&open(directory.path()).1), [2, 3, 4], "sealed with the damage in it");
}

#[test]
fn damage_in_the_last_batch_is_told_from_a_torn_end_by_the_tables() {
    let directory = tempdir().unwrap();
    let (path, start) = three_items(directory.path(), append_sized(3, 50));
    let whole = fs::read(&path).unwrap();
    let (mut store, _) = open(directory.path());
    store.commit(&[put("any", "row")]).unwrap();
    drop(store);
    for (at, record) in [(start + 5, None), (start + 66, None), (start + 64 + 8 + 20, Some(record(3)))] {
        fs::write(&path, &whole).unwrap();
        flip(&path, at as u64);
        let (_, recovered) = open(directory.path());
        assert_eq!(positions(&recovered), [1, 2], "changed at {at}");
        assert_eq!(recovered.lost, [Lost { position: 3, record }], "changed at {at}");
    }
}

/// A store whose first segment is sealed: its path, and how many items stand in it.
fn sealed(directory: &Path) -> (std::path::PathBuf, u64) {
    let (mut store, _) = open(directory);
    for position in 1..=12 {
        store.commit(&[append(position)]).unwrap();
    }
    drop(store);
    let [first, second, ..] = &segments(directory)[..] else { panic!("several segments") };
    let next = fs::read(directory.join(second)).unwrap();
    (directory.join(first), u64::from_le_bytes(next[24..32].try_into().unwrap()) - 1)
}

#[test]
fn one_damaged_byte_in_a_sealed_segment_loses_one_item_wherever_it_is() {
    let directory = tempdir().unwrap();
    let (path, items) = sealed(directory.path());
    let whole = fs::read(&path).unwrap();
    let each = (whole.len() as u64 - 96) / items;
    // One byte in seventeen: every part of header, record and item of each.
    for at in (96..whole.len() as u64).step_by(17) {
        fs::write(&path, &whole).unwrap();
        flip(&path, at);
        let (store, recovered) = open(directory.path());
        let (hit, within) = ((at - 96) / each + 1, (at - 96) % each);
        if within >= 64 + 8 + 700 && within >= 64 + record(hit).len() as u64 + 700 {
            assert_eq!(recovered.lost, [], "padding means nothing");
            continue;
        }
        let kept: Vec<u64> = (1..=12).filter(|position| *position != hit).collect();
        assert_eq!(positions(&recovered), kept, "changed at {at}");
        let is_readable = within >= 64 + record(hit).len() as u64;
        assert_eq!(
            recovered.lost,
            [Lost { position: hit, record: is_readable.then(|| record(hit)) }],
            "changed at {at}"
        );
        assert_eq!(store.reader().read(hit), None);
        assert!(kept.iter().all(|position| store.reader().read(*position) == Some(item(*position, 700))));
    }
}

#[test]
fn a_sealed_segment_without_its_header_or_its_end_is_refused_with_file_and_offset() {
    let directory = tempdir().unwrap();
    let (path, _) = sealed(directory.path());
    let name = &segments(directory.path())[0];
    for at in [0, 70] {
        flip(&path, at);
        let refused = try_open(directory.path()).err().unwrap();
        assert!(matches!(&refused, OpenError::Corrupt { file, offset: 0, .. } if file == name), "{refused}");
        assert!(refused.to_string().contains(name));
        flip(&path, at);
    }
    let len = fs::metadata(&path).unwrap().len();
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 16).unwrap();
    assert!(matches!(try_open(directory.path()), Err(OpenError::Corrupt { .. })));
    fs::remove_file(&path).unwrap();
    let refused = try_open(directory.path()).err().unwrap();
    assert!(matches!(&refused, OpenError::Missing { file } if file == name), "{refused}");
}

#[test]
fn an_item_that_changes_under_its_mapping_is_found_when_it_is_looked_at_and_not_read_again() {
    let directory = tempdir().unwrap();
    let (path, _) = sealed(directory.path());
    let (store, _) = open(directory.path());
    let reader = store.reader();
    assert!((1..=12).all(|position| reader.is_intact(position)));
    flip(&path, 96 + 64 + 8 + 100);
    let shown = reader.read(1).expect("nobody has looked");
    assert_ne!(shown, item(1, 700), "the mapping shows the file");
    assert!(!reader.is_intact(1));
    assert_eq!(reader.read(1), None);
    flip(&path, 96 + 64 + 8 + 100);
    assert!(!reader.is_intact(1), "who has read it before must not send it either");
    assert!((2..=12).all(|position| reader.is_intact(position) && reader.read(position).is_some()));
}

#[test]
fn damage_in_what_was_trimmed_does_not_matter() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    for position in 1..=12 {
        store.commit(&[append(position)]).unwrap();
    }
    let path = directory.path().join(&segments(directory.path())[0]);
    let trimmed = fs::read(&path).unwrap();
    store.commit(&[Write::Trim { below: 11 }]).unwrap();
    drop(store);
    // As if the removal had not reached the disk.
    fs::write(&path, trimmed).unwrap();
    flip(&path, 200);
    assert_eq!(positions(&open(directory.path()).1), [11, 12]);
    assert!(!path.exists());
}

#[test]
fn a_log_that_ends_below_what_the_tables_know_is_refused() {
    let directory = tempdir().unwrap();
    let (path, start) = three_items(directory.path(), append_sized(3, 50));
    let (mut store, _) = open(directory.path());
    store.commit(&[put("any", "row")]).unwrap();
    drop(store);
    OpenOptions::new().write(true).open(&path).unwrap().set_len(start as u64).unwrap();
    let refused = try_open(directory.path()).err().unwrap();
    assert!(matches!(refused, OpenError::LogBehindTables { log: 2, tables: 3 }), "{refused}");
    for name in segments(directory.path()) {
        fs::remove_file(directory.path().join(name)).unwrap();
    }
    assert!(matches!(try_open(directory.path()), Err(OpenError::LogBehindTables { log: 0, tables: 3 })));
}

#[test]
fn a_log_without_tables_is_refused() {
    let directory = tempdir().unwrap();
    three_items(directory.path(), append_sized(3, 50));
    fs::remove_file(directory.path().join("tables.redb")).unwrap();
    assert!(matches!(try_open(directory.path()), Err(OpenError::Missing { .. })));
}

#[test]
fn an_item_that_looks_like_a_record_is_not_taken_for_one() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    store.commit(&[append_sized(1, 50)]).unwrap();
    let path = directory.path().join(&segments(directory.path())[0]);
    let header_and_record = fs::read(&path).unwrap();
    // Record bytes are padded to 16 so that the copy inside the item lies where a record could.
    let forged =
        Write::Append { position: 2, record: vec![0; 16].into(), item: header_and_record[96..].to_vec().into() };
    let start = header_and_record.len() as u64;
    store.commit(&[forged]).unwrap();
    drop(store);
    flip(&path, start);
    assert_eq!(positions(&open(directory.path()).1), [1]);
}

pub(super) fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}
