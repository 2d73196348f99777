//! What is stored is there again; what is trimmed is not.

use bytes::Bytes;
use node::store::{Table, Write};
use tempfile::tempdir;

use super::{OPTIONS, append, append_sized, item, open, positions, put, record, segments, try_open};
use crate::store::{OpenError, StoreError, renew_incarnation};

#[test]
fn items_records_and_rows_are_there_after_reopening() {
    let directory = tempdir().unwrap();
    let (mut store, recovered) = open(directory.path());
    assert_eq!((recovered.incarnation, recovered.records.len(), recovered.rows.len()), (7, 0, 0));
    for position in [1, 2, 5, 9] {
        store.commit(&[append(position), put("head", &position.to_string())]).unwrap();
        assert_eq!(store.reader().read(position), Some(item(position, 700)));
    }
    store.commit(&[Write::Delete { table: Table::Cursors, key: Bytes::from_static(b"none") }]).unwrap();
    drop(store);

    let (store, recovered) = open(directory.path());
    assert_eq!(recovered.records, [1, 2, 5, 9].map(|position| (position, record(position))));
    assert_eq!(recovered.rows, [(Table::Cursors, Bytes::from("head"), Bytes::from("9"))]);
    for position in [1, 2, 5, 9] {
        assert_eq!(store.reader().read(position), Some(item(position, 700)));
    }
    assert_eq!([0, 3, 4, 10].map(|position| store.reader().read(position)), [None, None, None, None]);
}

#[test]
fn a_full_segment_is_sealed_and_served_from_its_file() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    let reader = store.reader();
    for position in 1..=20 {
        store.commit(&[append(position)]).unwrap();
    }
    assert!(segments(directory.path()).len() >= 4);
    for position in 1..=20 {
        assert_eq!(reader.read(position), Some(item(position, 700)));
    }
    // A slice of the mapping twice is the same memory; a copy would not be.
    let (one, other) = (reader.read(1).unwrap(), reader.read(1).unwrap());
    assert_eq!(one.as_ptr(), other.as_ptr());
}

#[test]
fn readers_get_the_very_bytes_that_were_appended() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    let bytes = item(1, 100);
    store.commit(&[Write::Append { position: 1, record: Bytes::new(), item: bytes.clone() }]).unwrap();
    assert_eq!(store.reader().read(1).unwrap().as_ptr(), bytes.as_ptr());
}

#[test]
fn an_item_larger_than_a_segment_has_one_of_its_own() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    let sizes = [10, 3 * OPTIONS.segment_bytes as usize, 1 << 20, 0];
    for (position, len) in (1..).zip(sizes) {
        store.commit(&[append_sized(position, len)]).unwrap();
    }
    assert_eq!(segments(directory.path()).len(), 4);
    drop(store);
    let (store, _) = open(directory.path());
    for (position, len) in (1..).zip(sizes) {
        assert_eq!(store.reader().read(position), Some(item(position, len)));
    }
}

#[test]
fn a_batch_of_items_is_read_back_whole() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    let batch: Vec<Write> = (1..=30).map(append).collect();
    store.commit(&batch).unwrap();
    drop(store);
    let (_, recovered) = open(directory.path());
    assert_eq!(positions(&recovered), (1..=30).collect::<Vec<_>>());
}

#[test]
fn trimmed_items_are_gone_and_their_segments_deleted() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    for position in 1..=20 {
        store.commit(&[append(position)]).unwrap();
    }
    let before = segments(directory.path()).len();
    let kept = store.reader().read(3).unwrap();
    store.commit(&[Write::Trim { below: 12 }]).unwrap();
    assert!(segments(directory.path()).len() < before);
    assert_eq!((store.reader().read(11), store.reader().read(12)), (None, Some(item(12, 700))));
    assert_eq!(kept, item(3, 700), "what a reader holds outlives the file");
    drop(store);

    let (mut store, recovered) = open(directory.path());
    assert_eq!(positions(&recovered), (12..=20).collect::<Vec<_>>());
    assert_eq!(store.reader().read(11), None);
    store.commit(&[Write::Trim { below: 5 }]).unwrap();
    assert_eq!(store.reader().read(11), None, "a lower trim brings nothing back");
}

#[test]
fn positions_go_on_after_everything_was_trimmed() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    store.commit(&[append(1), append(8)]).unwrap();
    store.commit(&[Write::Trim { below: u64::MAX }]).unwrap();
    for life in 0..3 {
        drop(store);
        let recovered;
        (store, recovered) = open(directory.path());
        assert_eq!(positions(&recovered), [0; 0], "life {life}");
        assert!(matches!(store.commit(&[append(8)]), Err(StoreError::Order { position: 8, last: 8 })));
    }
    store.commit(&[append(9)]).unwrap();
    drop(store);
    let (_, recovered) = open(directory.path());
    assert_eq!(positions(&recovered), [9]);
}

#[test]
fn positions_out_of_order_are_refused_and_nothing_is_written() {
    let directory = tempdir().unwrap();
    let (mut store, _) = open(directory.path());
    store.commit(&[append(4)]).unwrap();
    for batch in [[append(4), put("a", "1")], [append(3), put("a", "1")]] {
        assert!(matches!(store.commit(&batch), Err(StoreError::Order { last: 4, .. })));
    }
    assert!(matches!(store.commit(&[append(6), append(6)]), Err(StoreError::Order { last: 6, .. })));
    store.commit(&[append(5)]).unwrap();
    drop(store);
    let (_, recovered) = open(directory.path());
    assert_eq!((positions(&recovered), recovered.rows.len()), (vec![4, 5], 0));
}

#[test]
fn a_directory_in_use_is_refused_by_name() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("deep/store");
    let (store, _) = open(&path);
    let refused = try_open(&path).err().unwrap();
    assert!(matches!(&refused, OpenError::Locked { directory } if *directory == path), "{refused}");
    assert!(refused.to_string().contains("deep/store"));
    drop(store);
    open(&path);
}

#[test]
fn the_directory_is_closed_to_other_users() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempdir().unwrap();
    let path = directory.path().join("store");
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    open(&path);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn the_incarnation_stays_until_it_is_renewed() {
    let directory = tempdir().unwrap();
    assert!(matches!(renew_incarnation(directory.path(), 8), Err(OpenError::Missing { .. })));
    drop(open(directory.path()));
    assert_eq!(open(directory.path()).1.incarnation, 7);
    renew_incarnation(directory.path(), 8).unwrap();
    assert_eq!(open(directory.path()).1.incarnation, 8);
}
