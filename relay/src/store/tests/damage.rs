//! Bytes that are not what was written: a torn end is cut, anything else is refused by name and place.

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

use node::store::Write;
use tempfile::tempdir;

use super::{append, append_sized, item, open, positions, put, segments, try_open};
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
fn damage_before_the_last_batch_is_refused_even_in_the_newest_segment() {
    let directory = tempdir().unwrap();
    let (path, _) = three_items(directory.path(), append_sized(3, 50));
    flip(&path, 96 + 70);
    let refused = try_open(directory.path()).err().unwrap();
    assert!(matches!(&refused, OpenError::Corrupt { offset: 96, .. }), "{refused}");
}

#[test]
fn damage_in_a_sealed_segment_is_refused_with_file_and_offset() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    for position in 1..=12 {
        store.commit(&[append(position)]).unwrap();
    }
    drop(store);
    let names = segments(directory.path());
    let path = directory.path().join(&names[0]);
    let len = fs::metadata(&path).unwrap().len();
    for at in [0, 70, 97, 200, len / 2, len - 20] {
        flip(&path, at);
        let refused = try_open(directory.path()).err().unwrap();
        assert!(
            matches!(&refused, OpenError::Corrupt { file, offset, .. } if *file == names[0] && *offset <= at),
            "{refused}"
        );
        assert!(refused.to_string().contains(&names[0]));
        flip(&path, at);
    }
    OpenOptions::new().write(true).open(&path).unwrap().set_len(len - 16).unwrap();
    assert!(matches!(try_open(directory.path()), Err(OpenError::Corrupt { .. })));
    fs::remove_file(&path).unwrap();
    let refused = try_open(directory.path()).err().unwrap();
    assert!(matches!(&refused, OpenError::Missing { file } if *file == names[0]), "{refused}");
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

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}
