//! What is read is what was written, whatever a crash left of it.

use std::fs;

use bytes::Bytes;
use dialler::documents;
use node::client::Client;
use node::client::journal::{Reasons, Regard};
use node::ids::{Position, Resume, Time};
use schemas::class::Class;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::version::{Container, Info, VersionInfo};
use tempfile::TempDir;
use topology::interest::Interest;
use topology::matching::{By, Reason};

use super::*;

fn info(id: &str, version: &str) -> VersionInfo {
    let container = Container {
        package: Some("cargo".into()),
        file_name: Some("pkg:cargo/serde".into()),
        version: version.into(),
        author_comments: Some("Überlauf & <more>\nKind: vulnerability".into()),
        ..Container::default()
    };
    let info = Info { source: Some("RustSec".into()), id: Some(id.to_owned().into()), container, ..Info::default() };
    VersionInfo { product_name: Some("app \"one\"".into()), info: vec![info], ..VersionInfo::default() }
}

fn item(id: &str, version: &str) -> (Digest, Bytes) {
    let (_, document) = documents::item(&[info(id, version)]);
    (Digest::of(&document), document)
}

fn reasons() -> Reasons {
    let reason = |by, path: &[&str]| Reason {
        component: "serde".into(),
        version: "1.0.0".into(),
        path: path.iter().map(|name| (*name).to_owned()).collect(),
        affected: "vers:cargo/<1.2.3".into(),
        by,
    };
    let all = [By::Product, By::Company, By::Component, By::Id, By::Source, By::Everything];
    vec![
        ("app".into(), all.into_iter().map(|by| reason(by, &["app", "lib"])).collect()),
        ("other\n\"".into(), vec![reason(By::Component, &[])]),
    ]
}

/// One entry of each kind.
pub(super) fn entries() -> Vec<Entry> {
    let ((one, first), (two, second), (three, third)) =
        (item("A-1", "1.0.0"), item("A-1", "1.0.1"), item("A-1", "2.0.0"));
    let resume = |position, digest| {
        let mut resume = Resume::at(0xfeed, Position(position), digest);
        resume.places[Class::Normal] = node::ids::Place { position: Position(5), digest: None };
        Some(resume)
    };
    let registered = |name: &str| Event::Registered { name: name.into(), info: Box::new(info("", "1.0.0")) };
    let events = [
        (registered("app"), None),
        (Event::Gained { digest: one, document: first, reasons: reasons() }, resume(3, Some(one))),
        (Event::Noted, resume(4, None)),
        (Event::Revised { digest: two, replaced: one, document: second, reasons: reasons() }, None),
        (Event::Rematched { digest: two, reasons: Reasons::new() }, None),
        (Event::Retracted { digest: three, replaced: two, document: third }, resume(u64::MAX, Some(three))),
        (Event::Left { digest: two }, None),
        (Event::Ended { name: "app".into() }, None),
        (Event::Assigned { client: schemas::guid::ClientGuid(0xc2), incarnation: 0xfeed }, None),
    ];
    let numbered = events.into_iter().zip(1..);
    numbered.map(|((event, resume), n)| Entry { number: n, at: Time(1_768_469_400_000 + n), event, resume }).collect()
}

/// What is read has the places of its elements; those are of no importance.
pub(super) fn assert_same(read: &[Entry], written: &[Entry]) {
    assert_eq!(read.len(), written.len());
    for (read, written) in read.iter().zip(written) {
        match (&read.event, &written.event) {
            (Event::Registered { name, info }, Event::Registered { name: own, info: sent }) => {
                assert_eq!((name, read.number, read.at), (own, written.number, written.at));
                assert_eq!(info::write(info), info::write(sent));
                assert_eq!(Interest::from_version_info(info), Interest::from_version_info(sent));
            }
            _ => assert_eq!(read, written),
        }
    }
}

/// Opens a journal, with what is in it.
pub(super) fn open(directory: &Path) -> Result<(Journal, Vec<Entry>), JournalError> {
    let mut entries = Vec::new();
    let journal = Journal::open(directory, |entry| entries.push(entry))?;
    Ok((journal, entries))
}

/// What is in it for those who only read.
pub(super) fn read_entries(directory: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    read(directory, |entry| entries.push(entry)).unwrap();
    entries
}

fn written(batches: &[&[Entry]]) -> TempDir {
    let dir = TempDir::new().unwrap();
    let (mut journal, before) = open(dir.path()).unwrap();
    assert!(before.is_empty());
    for batch in batches {
        journal.append(batch).unwrap();
    }
    dir
}

/// The files of a crash: of each the first bytes only.
fn cut(lines: &[u8], documents: &[u8]) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(JOURNAL), lines).unwrap();
    fs::write(dir.path().join(DOCUMENTS), documents).unwrap();
    dir
}

#[test]
fn every_event_reads_back_as_it_was() {
    let all = entries();
    let dir = written(&[&all[..3], &all[3..]]);
    assert_same(&read_entries(dir.path()), &all);
    let (_, again) = open(dir.path()).unwrap();
    assert_same(&again, &all);
    let client = |entries| Client::recover(ClientGuid(1), ServerGuid(2), entries);
    assert_eq!(client(again).resume(), client(all).resume());
}

#[test]
fn what_an_item_is_taken_for_reads_back_as_it_was() {
    let digest = Digest([7; 32]);
    let regards = [
        Regard::Authorised("RustSec".into()),
        Regard::Refused("its key is not in the trust file".into()),
        Regard::Unsigned,
        Regard::Unchecked,
    ];
    let regarded = regards.into_iter().map(|regard| Event::Regarded { digest, regard });
    let refused = Event::Refused { digest, id: Some("A-1".into()), why: "it is not signed".into() };
    let numbered = regarded.chain([refused]).zip(1..);
    let all: Vec<Entry> =
        numbered.map(|(event, number)| Entry { number, at: Time(1_768_469_400_000), event, resume: None }).collect();
    let dir = written(&[&all]);
    assert_eq!(read_entries(dir.path()), all);
    let lines = lines(dir.path()).unwrap();
    let kinds: Vec<_> = lines.iter().map(|line| line.event.as_str()).collect();
    assert_eq!(kinds, ["trusted", "distrusted", "unsigned", "unchecked", "refused"]);
    assert_eq!((lines[4].id.as_deref(), lines[0].trust.as_deref()), (Some("A-1"), Some("RustSec")));
}

#[test]
fn lines_speak_to_people() {
    let dir = written(&[&entries()]);
    let lines = lines(dir.path()).unwrap();
    let kinds: Vec<_> = lines.iter().map(|line| line.event.as_str()).collect();
    let all = ["registered", "gained", "noted", "revised", "rematched", "retracted", "left", "ended", "assigned"];
    assert_eq!(kinds, all);
    let gained = &lines[1];
    assert_eq!((gained.source.as_deref(), gained.id.as_deref()), (Some("RustSec"), Some("A-1")));
    assert_eq!(gained.title.as_deref(), Some("Überlauf & <more>"));
    assert_eq!(gained.at, "2026-01-15T09:30:00.002Z");
}

#[test]
fn cut_at_any_byte_it_reopens_to_what_was_acknowledged() {
    let all = entries();
    let acknowledged = written(&[&all[..3]]);
    let kept = fs::read(acknowledged.path().join(JOURNAL)).unwrap();
    let kept_documents = fs::read(acknowledged.path().join(DOCUMENTS)).unwrap();
    let whole = written(&[&all[..3], &all[3..]]);
    let lines = fs::read(whole.path().join(JOURNAL)).unwrap();
    let documents = fs::read(whole.path().join(DOCUMENTS)).unwrap();
    assert!(lines.starts_with(&kept) && documents.starts_with(&kept_documents));
    // The documents were synced before the first line of their batch was written.
    for end in kept.len()..=lines.len() {
        let dir = cut(&lines[..end], &documents);
        let (mut journal, read) = open(dir.path()).unwrap();
        let count = lines[..end].iter().filter(|byte| **byte == b'\n').count();
        assert!(count >= 3);
        assert_same(&read, &all[..count]);
        // It goes on as if nothing had happened.
        journal.append(&all[count..]).unwrap();
        drop(journal);
        assert_eq!(unmarked(&fs::read(dir.path().join(JOURNAL)).unwrap()), unmarked(&lines), "cut at {end}");
        assert_eq!(fs::read(dir.path().join(DOCUMENTS)).unwrap(), documents, "cut at {end}");
    }
    for end in kept_documents.len()..=documents.len() {
        let dir = cut(&kept, &documents[..end]);
        let (mut journal, read) = open(dir.path()).unwrap();
        assert_same(&read, &all[..3]);
        journal.append(&all[3..]).unwrap();
        drop(journal);
        assert_eq!(fs::read(dir.path().join(DOCUMENTS)).unwrap(), documents, "documents cut at {end}");
    }
}

/// The lines without saying where batches begin.
fn unmarked(lines: &[u8]) -> String {
    std::str::from_utf8(lines).unwrap().replace(",\"begins\":true", "")
}

#[test]
fn a_hole_in_the_last_batch_was_never_acknowledged() {
    let all = entries();
    let dir = written(&[&all[..3], &all[3..]]);
    let lines = fs::read(dir.path().join(JOURNAL)).unwrap();
    let documents = fs::read(dir.path().join(DOCUMENTS)).unwrap();
    let ends: Vec<usize> = (0..lines.len()).filter(|at| lines[*at] == b'\n').collect();
    for line in 1..all.len() {
        // A page that never came: the end of one line and the beginning of the next.
        let mut holed = lines.clone();
        holed[ends[line - 1] + 1..ends[line] - 1].fill(0);
        let dir = cut(&holed, &documents);
        match open(dir.path()) {
            Ok((mut journal, read)) => {
                assert!(line >= 3);
                assert_same(&read, &all[..line]);
                journal.append(&all[line..]).unwrap();
                drop(journal);
                assert_same(&open(dir.path()).unwrap().1, &all);
            }
            Err(error) => assert!(line < 3 && matches!(error, JournalError::Damaged { .. }), "{line}: {error}"),
        }
        // Nobody knows where the batches of an older journal begin.
        let dir = cut(unmarked(&holed).as_bytes(), &documents);
        assert_eq!(open(dir.path()).is_ok(), line == all.len() - 1);
    }
}

#[test]
fn a_last_line_that_is_no_json_was_never_acknowledged() {
    let all = entries();
    let dir = written(&[&all[..3]]);
    let path = dir.path().join(JOURNAL);
    let mut lines = fs::read(&path).unwrap();
    lines.extend(b"\0\0\0\0\n");
    fs::write(&path, &lines).unwrap();
    assert_same(&open(dir.path()).unwrap().1, &all[..3]);
    assert_eq!(fs::read(&path).unwrap().len(), lines.len() - 5);
}

#[test]
fn damage_elsewhere_names_the_line_and_what_to_do() {
    let all = entries();
    let dir = written(&[&all[..3], &all[3..]]);
    let lines = fs::read_to_string(dir.path().join(JOURNAL)).unwrap();
    let documents = fs::read(dir.path().join(DOCUMENTS)).unwrap();
    let refused = |lines: &str, documents: &[u8]| {
        let dir = cut(lines.as_bytes(), documents);
        open(dir.path()).expect_err("damaged").to_string()
    };
    let error = refused(&lines.replacen("gained", "gainde", 1), &documents);
    assert!(error.contains("line 2") && error.contains("backup"), "{error}");
    let gap: String = lines.lines().skip(1).map(|line| format!("{line}\n")).collect();
    assert!(refused(&gap, &documents).contains("line 1: it counts 2 where 1 follows"));
    let mut other = documents.clone();
    other[5] ^= 1;
    assert!(refused(&lines, &other).contains("line 2: its document at byte 0"));
    assert!(refused(&lines, &documents[..documents.len() - 1]).contains("line 6"));
}

#[test]
fn one_process_writes_and_any_number_reads() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(lines(dir.path()), Err(JournalError::Missing(_))));
    let state = dir.path().join("state");
    let (mut journal, _) = open(&state).unwrap();
    assert!(matches!(open(&state), Err(JournalError::InUse(_))));
    journal.append(&entries()).unwrap();
    assert_eq!(read_entries(&state).len(), entries().len());
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&state).unwrap());
    assert_eq!(mode & 0o777, 0o700);
    drop(journal);
    open(&state).expect("free again");
}

#[test]
fn what_could_not_be_written_stops_the_journal() {
    let dir = TempDir::new().unwrap();
    let (mut journal, _) = open(dir.path()).unwrap();
    // Every write to this device fails as a full disk does.
    fs::remove_file(dir.path().join(DOCUMENTS)).unwrap();
    journal.documents = Appender::full();
    let error = journal.append(&entries()[1..2]).expect_err("full");
    assert!(error.to_string().contains("nothing of it was acknowledged"), "{error}");
    assert!(matches!(journal.append(&entries()[..1]), Err(JournalError::Broken)));
}
