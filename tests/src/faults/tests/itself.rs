//! The faulty disk does what it says, also when the process really dies.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use relay::store::disk::Disk;
use tempfile::tempdir;

use crate::faults::{Failpoint, Faults, FaultyDisk, Restart, Then, When};

fn open(directory: &Path, restart: Restart) -> FaultyDisk {
    FaultyDisk::open(directory, restart, Faults::default()).unwrap()
}

/// The whole file, or nothing if there is none.
fn read(disk: &FaultyDisk, name: &str) -> Option<Vec<u8>> {
    if !disk.list().unwrap().iter().any(|there| there == name) {
        return None;
    }
    Some(disk.open(name).unwrap().map().unwrap().to_vec())
}

/// Writes `durable` and syncs it, then writes `unsynced` behind it.
fn write(disk: &FaultyDisk, name: &str, durable: &[u8], unsynced: &[u8]) {
    let file = disk.open(name).unwrap();
    disk.sync_dir().unwrap();
    file.write_at(0, durable).unwrap();
    file.sync_data().unwrap();
    file.write_at(durable.len() as u64, unsynced).unwrap();
    assert_eq!(read(disk, name).unwrap(), [durable, unsynced].concat(), "the process sees its own writes");
}

#[test]
fn unsynced_bytes_are_discarded() {
    let directory = tempdir().unwrap();
    write(&open(directory.path(), Restart::Discard), "a", b"durable", b" lost");
    for _ in 0..2 {
        assert_eq!(read(&open(directory.path(), Restart::Discard), "a").unwrap(), b"durable");
    }
}

#[test]
fn a_torn_prefix_is_cut_at_any_byte_and_the_seed_decides_where() {
    let after_restart = |seed| {
        let directory = tempdir().unwrap();
        write(&open(directory.path(), Restart::Discard), "a", b"durable", b"0123456789");
        read(&open(directory.path(), Restart::TornPrefix { seed }), "a").unwrap()
    };
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let found = after_restart(seed);
        assert!(b"durable0123456789".starts_with(&found) && found.starts_with(b"durable"), "seed {seed}");
        assert_eq!(found, after_restart(seed), "seed {seed}");
        lengths.insert(found.len());
    }
    assert_eq!(lengths, (7..=17).collect());
}

#[test]
fn sectors_survive_in_any_combination() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let directory = tempdir().unwrap();
        write(&open(directory.path(), Restart::Discard), "a", &[0; 1024], &[1; 1024]);
        let disk = open(directory.path(), Restart::Sectors { seed });
        let mut found = read(&disk, "a").unwrap();
        found.resize(2048, 0);
        assert!(found.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])), "seed {seed}");
        seen.insert((found[1024], found[1536]));
    }
    assert_eq!(seen.len(), 4);
}

#[test]
fn a_shortened_file_is_long_again_if_that_was_not_synced() {
    let directory = tempdir().unwrap();
    let disk = open(directory.path(), Restart::Discard);
    write(&disk, "a", b"durable", b"");
    let file = disk.open("a").unwrap();
    file.set_len(3).unwrap();
    file.set_len(5).unwrap();
    assert_eq!(read(&disk, "a").unwrap(), b"dur\0\0");
    drop((file, disk));
    assert_eq!(read(&open(directory.path(), Restart::Discard), "a").unwrap(), b"durable");
}

#[test]
fn names_are_as_they_were_when_the_directory_was_last_synced() {
    let directory = tempdir().unwrap();
    let disk = open(directory.path(), Restart::Discard);
    write(&disk, "kept", b"1", b"");
    write(&disk, "renamed", b"2", b"");
    disk.open("created").unwrap();
    disk.rename("renamed", "other").unwrap();
    disk.remove("kept").unwrap();
    write_new(&disk, "kept");
    drop(disk);
    let disk = open(directory.path(), Restart::Discard);
    assert_eq!((read(&disk, "kept"), read(&disk, "renamed")), (Some(b"1".to_vec()), Some(b"2".to_vec())));
    assert_eq!((read(&disk, "created"), read(&disk, "other")), (None, None));

    disk.remove("kept").unwrap();
    disk.sync_dir().unwrap();
    drop(disk);
    assert_eq!(read(&open(directory.path(), Restart::Discard), "kept"), None);
}

#[test]
fn a_file_that_took_anothers_name_gives_it_back_unless_the_directory_was_synced() {
    let replaced = |is_synced: bool, restart| {
        let directory = tempdir().unwrap();
        let disk = open(directory.path(), Restart::Discard);
        write(&disk, "a", b"old", b"");
        write_new(&disk, "b");
        disk.rename("b", "a").unwrap();
        assert_eq!((read(&disk, "a").unwrap(), read(&disk, "b")), (b"new".to_vec(), None));
        if is_synced {
            disk.sync_dir().unwrap();
        }
        drop(disk);
        let disk = open(directory.path(), restart);
        (read(&disk, "a").unwrap(), read(&disk, "b"))
    };
    assert_eq!(replaced(true, Restart::Discard), (b"new".to_vec(), None));
    assert_eq!(replaced(false, Restart::Discard), (b"old".to_vec(), None));
    let mut found: Vec<_> = (0..40).map(|seed| replaced(false, Restart::TornPrefix { seed })).collect();
    found.sort();
    found.dedup();
    let (old, new) = (b"old".to_vec(), b"new".to_vec());
    assert_eq!(found, [(new.clone(), None), (old.clone(), None), (old, Some(new))]);
}

/// Writes a file and syncs it, but not its name.
fn write_new(disk: &FaultyDisk, name: &str) {
    let file = disk.open(name).unwrap();
    file.write_at(0, b"new").unwrap();
    file.sync_data().unwrap();
}

#[test]
fn a_lying_sync_makes_nothing_durable() {
    let directory = tempdir().unwrap();
    let faults = Faults { lie_on_sync: true, ..Faults::default() };
    write(&FaultyDisk::open(directory.path(), Restart::Discard, faults).unwrap(), "a", b"durable?", b"");
    assert_eq!(read(&open(directory.path(), Restart::Discard), "a"), None);
}

#[test]
fn a_killed_process_leaves_what_it_synced_and_no_more() {
    const CHILD: &str = "DISTRIBUTARY_FAULTS_CHILD";
    const NAME: &str = "faults::tests::itself::a_killed_process_leaves_what_it_synced_and_no_more";
    if let Some(directory) = std::env::var_os(CHILD) {
        let when = if Path::new(&directory).ends_with("before") { When::BeforeSync } else { When::AfterSync };
        let failpoint = Failpoint { prefix: "log-".to_owned(), nth: 4, when, then: Then::Abort };
        let faults = Faults { failpoint: Some(failpoint), lie_on_sync: false };
        let disk = FaultyDisk::open(Path::new(&directory), Restart::Discard, faults).unwrap();
        for round in 0_u64.. {
            write_at_end(&disk, "other", round);
            write_at_end(&disk, "log-1", round);
        }
    }
    for (when, rounds) in [("before", 2), ("after", 3)] {
        let parent = tempdir().unwrap();
        let directory = parent.path().join(when);
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env(CHILD, &directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(6), "{status}");
        let disk = open(&directory, Restart::Discard);
        assert_eq!((read(&disk, "other").unwrap().len(), read(&disk, "log-1").unwrap().len()), (24, 8 * rounds));
    }
}

fn write_at_end(disk: &FaultyDisk, name: &str, number: u64) {
    let file = disk.open(name).unwrap();
    disk.sync_dir().unwrap();
    file.write_at(file.len().unwrap(), &number.to_le_bytes()).unwrap();
    file.sync_data().unwrap();
}
