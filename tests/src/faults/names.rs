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
    /// The name that was changed last since the directory was synced.
    last: Option<String>,
}

/// One change of a name.
enum Change<'a> {
    Created(&'a str),
    Renamed { from: &'a str, to: &'a str },
    Replaced { from: &'a str, to: &'a str, kept_as: &'a str },
    Removed { name: &'a str, kept_as: &'a str },
}

impl Names {
    pub(super) fn open(directory: &Path, side: &Path) -> io::Result<Self> {
        let journal = OpenOptions::new().append(true).create(true).open(side.join(JOURNAL))?;
        Ok(Self { directory: directory.to_owned(), side: side.to_owned(), journal, removed: 0, last: None })
    }

    /// Notes that a file is about to be created.
    pub(super) fn create(&mut self, name: &str) -> io::Result<()> {
        self.note(&Change::Created(name))
    }

    /// Renames a file. One that bore the name is kept aside until the directory is synced, without what was not synced of it; as on a real disk there is
    /// no moment without either.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        if self.directory.join(to).exists() {
            let kept_as = self.aside();
            self.note(&Change::Replaced { from, to, kept_as: &kept_as })?;
            fs::hard_link(self.directory.join(to), self.side.join(kept_as))?;
        } else {
            self.note(&Change::Renamed { from, to })?;
        }
        fs::rename(self.directory.join(from), self.directory.join(to))?;
        fs::rename(side_path(&self.side, from), side_path(&self.side, to))
    }

    /// A name for what is kept aside.
    fn aside(&mut self) -> String {
        self.removed += 1;
        format!("{REMOVED}{}", self.removed)
    }

    /// Removes a file; it is kept aside until the directory is synced.
    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        let kept_as = self.aside();
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
        self.last = None;
        remove_kept(&self.side)
    }

    /// The name that was changed last since the directory was synced.
    pub(super) fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    fn note(&mut self, change: &Change<'_>) -> io::Result<()> {
        let line = match change {
            Change::Created(name) => format!("created\t{name}\n"),
            Change::Renamed { from, to } => format!("renamed\t{from}\t{to}\n"),
            Change::Replaced { from, to, kept_as } => format!("replaced\t{from}\t{to}\t{kept_as}\n"),
            Change::Removed { name, kept_as } => format!("removed\t{name}\t{kept_as}\n"),
        };
        let (Change::Created(name)
        | Change::Renamed { to: name, .. }
        | Change::Replaced { to: name, .. }
        | Change::Removed { name, .. }) = change;
        self.last = Some((*name).to_owned());
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
    Some(match (words.next()?, words.next()?, words.next(), words.next()) {
        ("created", name, None, None) => Change::Created(name),
        ("renamed", from, Some(to), None) => Change::Renamed { from, to },
        ("replaced", from, Some(to), Some(kept_as)) => Change::Replaced { from, to, kept_as },
        ("removed", name, Some(kept_as), None) => Change::Removed { name, kept_as },
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
            Self::Replaced { from, to, kept_as } => {
                // What was kept aside shows that the name was not lost, whatever of the change was made.
                if side.join(kept_as).exists() && !directory.join(from).exists() {
                    Self::Renamed { from, to }.take_back(directory, side)?;
                }
                fs::rename(side.join(kept_as), directory.join(to))
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
