//! The names that were changed since the directory was last synced, and how to take the changes back.
//!
//! The journal is written before the change, one line each, so that after a kill every change that was made is in it. Taking back tolerates a change that was not made.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use super::{Random, Restart, unsynced::side_path};

const JOURNAL: &str = "names";

/// Prefix of what was removed; no writes file starts so.
const REMOVED: &str = "removed-";

/// The journal of one directory.
#[derive(Debug)]
pub(super) struct Names {
    directory: PathBuf,
    side: PathBuf,
    journal: fs::File,
    removed: u64,
}

/// One change of a name.
enum Change<'a> {
    Created(&'a str),
    Renamed { from: &'a str, to: &'a str },
    Removed { name: &'a str, kept_as: &'a str },
}

impl Names {
    pub(super) fn open(directory: &Path, side: &Path) -> io::Result<Self> {
        let journal = OpenOptions::new().append(true).create(true).open(side.join(JOURNAL))?;
        Ok(Self { directory: directory.to_owned(), side: side.to_owned(), journal, removed: 0 })
    }

    /// Notes that a file is about to be created.
    pub(super) fn create(&mut self, name: &str) -> io::Result<()> {
        self.note(&Change::Created(name))
    }

    /// Renames a file to a name that no file bears.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        if self.directory.join(to).exists() {
            return Err(io::Error::new(ErrorKind::AlreadyExists, "the faulty disk cannot take back a replaced file"));
        }
        self.note(&Change::Renamed { from, to })?;
        fs::rename(self.directory.join(from), self.directory.join(to))?;
        fs::rename(side_path(&self.side, from), side_path(&self.side, to))
    }

    /// Removes a file; it is kept aside until the directory is synced.
    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        let kept_as = format!("{REMOVED}{}", self.removed);
        self.removed += 1;
        if !self.directory.join(name).exists() {
            return Err(ErrorKind::NotFound.into());
        }
        self.note(&Change::Removed { name, kept_as: &kept_as })?;
        fs::rename(self.directory.join(name), self.side.join(kept_as))?;
        tolerate_missing(fs::remove_file(side_path(&self.side, name)))
    }

    /// Makes all changes durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.journal.set_len(0)?;
        remove_kept(&self.side)
    }

    fn note(&mut self, change: &Change<'_>) -> io::Result<()> {
        let line = match change {
            Change::Created(name) => format!("created\t{name}\n"),
            Change::Renamed { from, to } => format!("renamed\t{from}\t{to}\n"),
            Change::Removed { name, kept_as } => format!("removed\t{name}\t{kept_as}\n"),
        };
        self.journal.write_all(line.as_bytes())
    }
}

/// After a crash: takes back the last changes, all or a seeded part, and forgets the rest.
pub(super) fn restart(directory: &Path, side: &Path, restart: Restart) -> io::Result<()> {
    let journal = match fs::read_to_string(side.join(JOURNAL)) {
        Ok(journal) => journal,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let changes: Vec<_> = journal.split_inclusive('\n').filter_map(parse).collect();
    let kept = match restart {
        Restart::Discard => 0,
        Restart::TornPrefix { seed } | Restart::Sectors { seed } => {
            Random::of(seed, JOURNAL).below(changes.len() as u64 + 1) as usize
        }
    };
    for change in changes[kept..].iter().rev() {
        tolerate_missing(change.take_back(directory, side))?;
    }
    remove_kept(side)?;
    fs::remove_file(side.join(JOURNAL))
}

/// A whole line of the journal.
fn parse(line: &str) -> Option<Change<'_>> {
    let mut words = line.strip_suffix('\n')?.split('\t');
    Some(match (words.next()?, words.next()?, words.next()) {
        ("created", name, None) => Change::Created(name),
        ("renamed", from, Some(to)) => Change::Renamed { from, to },
        ("removed", name, Some(kept_as)) => Change::Removed { name, kept_as },
        _ => return None,
    })
}

impl Change<'_> {
    fn take_back(&self, directory: &Path, side: &Path) -> io::Result<()> {
        match self {
            Self::Created(name) => {
                tolerate_missing(fs::remove_file(side_path(side, name)))?;
                fs::remove_file(directory.join(name))
            }
            Self::Renamed { from, to } => {
                tolerate_missing(fs::rename(side_path(side, to), side_path(side, from)))?;
                fs::rename(directory.join(to), directory.join(from))
            }
            Self::Removed { name, kept_as } => fs::rename(side.join(kept_as), directory.join(name)),
        }
    }
}

fn remove_kept(side: &Path) -> io::Result<()> {
    for entry in fs::read_dir(side)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(REMOVED) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn tolerate_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
