//! Where advisories come from: a tree of documents, or JSON lines.
//!
//! A line holds `path` and `text`: together they are a whole database, as a tree is. If lines also hold `op` (`add`,
//! `modify`, `remove`), they are changes of one, in order. One bad document is refused and the rest goes on.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::advisory::{Advisory, Error, parse};

/// What a source says of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It reads so.
    Put(Box<Advisory>),
    /// It is gone.
    Remove {
        /// Where it stood.
        path: String,
    },
}

/// One document that could not be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its content is wrong.
    #[error(transparent)]
    Document(#[from] Error),
    /// It could not be read at all.
    #[error("{path}: {reason}")]
    Unreadable {
        /// The document.
        path: String,
        /// Why.
        reason: String,
    },
    /// A line that does not even say which document it holds.
    #[error("{place}: {reason}")]
    Line {
        /// The file and the line.
        place: String,
        /// Why.
        reason: String,
    },
}

impl Refusal {
    /// The document, or the place where one was to be.
    pub fn path(&self) -> &str {
        match self {
            Self::Document(error) => &error.path,
            Self::Unreadable { path, .. } => path,
            Self::Line { place, .. } => place,
        }
    }

    /// The document; `None` if nobody knows which it was: then any of them may be in what could not be read.
    pub fn document(&self) -> Option<&str> {
        match self {
            Self::Document(_) | Self::Unreadable { .. } => Some(self.path()),
            Self::Line { .. } => None,
        }
    }
}

/// The source as a whole cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}")]
pub struct SourceError {
    /// The tree or file.
    pub path: String,
    /// Why.
    #[source]
    pub error: io::Error,
}

/// The documents of a source, read one by one, those of a tree in the order of their paths.
#[derive(Debug)]
pub struct Source {
    is_complete: bool,
    reader: Reader,
}

#[derive(Debug)]
enum Reader {
    Tree { root: PathBuf, files: VecDeque<PathBuf> },
    Lines { name: String, text: String, at: usize, line: usize },
}

#[derive(Deserialize)]
struct Line {
    path: String,
    text: Option<String>,
    op: Option<Op>,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Op {
    Add,
    Modify,
    Remove,
}

/// The parts of an advisory database: crates, and the toolchain.
const COLLECTIONS: [&str; 2] = ["crates", "rust"];

/// Opens a directory (an advisory database: its collections, or whatever lies below) or a file of JSON lines.
pub fn read_source(path: &Path) -> Result<Source, SourceError> {
    let opened = if path.is_dir() { tree(path) } else { lines(path) };
    opened.map_err(|error| SourceError { path: path.display().to_string(), error })
}

fn tree(root: &Path) -> io::Result<Source> {
    let mut files = Vec::new();
    let mut directories: Vec<PathBuf> =
        COLLECTIONS.iter().map(|name| root.join(name)).filter(|collection| collection.is_dir()).collect();
    if directories.is_empty() {
        directories.push(root.to_owned());
    }
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            // A link could lead in a circle; advisory trees have none.
            let kind = entry.file_type()?;
            if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file() && is_advisory(&entry.path()) {
                files.push(entry.path());
            }
        }
    }
    files.sort_unstable();
    Ok(Source { is_complete: true, reader: Reader::Tree { root: root.to_owned(), files: files.into() } })
}

/// Named for its ID. Databases hold a README and templates too.
fn is_advisory(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    (name.starts_with("RUSTSEC-") || name.starts_with("CVE-")) && name.ends_with(".md")
}

fn lines(path: &Path) -> io::Result<Source> {
    let text = fs::read_to_string(path)?;
    let is_changes = |line: &str| serde_json::from_str::<Line>(line).is_ok_and(|line| line.op.is_some());
    let is_complete = !text.lines().any(is_changes);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Source { is_complete, reader: Reader::Lines { name, text, at: 0, line: 0 } })
}

impl Source {
    /// Whether what it does not mention does not exist.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }
}

impl Iterator for Source {
    type Item = Result<Change, Refusal>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.reader {
            Reader::Tree { root, files } => files.pop_front().map(|file| document(root, &file)),
            Reader::Lines { name, text, at, line } => loop {
                let rest = text.get(*at..).filter(|rest| !rest.is_empty())?;
                let taken = rest.split_once('\n').map_or(rest, |(taken, _)| taken);
                *at += taken.len() + 1;
                *line += 1;
                if !taken.trim().is_empty() {
                    return Some(json_line(taken, &format!("{name}:{line}")));
                }
            },
        }
    }
}

fn document(root: &Path, file: &Path) -> Result<Change, Refusal> {
    let path: Vec<_> = file.strip_prefix(root).unwrap_or(file).iter().map(|part| part.to_string_lossy()).collect();
    let path = path.join("/");
    let text = fs::read_to_string(file)
        .map_err(|error| Refusal::Unreadable { path: path.clone(), reason: error.to_string() })?;
    Ok(Change::Put(Box::new(parse(&path, &text)?)))
}

fn json_line(line: &str, place: &str) -> Result<Change, Refusal> {
    let line: Line = serde_json::from_str(line)
        .map_err(|error| Refusal::Line { place: place.to_owned(), reason: error.to_string() })?;
    match (line.op, line.text) {
        (Some(Op::Remove), _) => Ok(Change::Remove { path: line.path }),
        (Some(Op::Add | Op::Modify) | None, Some(text)) => Ok(Change::Put(Box::new(parse(&line.path, &text)?))),
        (Some(Op::Add | Op::Modify) | None, None) => {
            Err(Refusal::Unreadable { path: line.path, reason: format!("{place} has no text") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::advisory::tests::DOCUMENT;
    use super::*;

    fn paths(source: Source) -> Vec<String> {
        source
            .map(|change| match change {
                Ok(Change::Put(advisory)) => format!("put {}", advisory.path),
                Ok(Change::Remove { path }) => format!("remove {path}"),
                Err(refusal) => format!("refuse {}", refusal.path()),
            })
            .collect()
    }

    #[test]
    fn tree_is_read_in_order_and_a_bad_document_stops_nothing() {
        let directory = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("crates/b/RUSTSEC-2024-0002.md", "nonsense"),
            ("crates/c/RUSTSEC-2024-0003.md", DOCUMENT),
            ("crates/a/RUSTSEC-2024-0001.md", DOCUMENT),
            ("crates/a/README.md", "about"),
            ("README.md", "about"),
        ] {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let source = read_source(directory.path()).unwrap();
        assert!(source.is_complete());
        assert_eq!(
            paths(source),
            [
                "put crates/a/RUSTSEC-2024-0001.md",
                "refuse crates/b/RUSTSEC-2024-0002.md",
                "put crates/c/RUSTSEC-2024-0003.md"
            ]
        );
        assert!(read_source(&directory.path().join("absent")).is_err());
    }

    #[test]
    fn json_lines_are_a_database_or_its_changes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("lines.jsonl");
        let line =
            |op: &str| format!("{{\"path\": \"p\", {op} \"text\": {}}}\n", serde_json::to_string(DOCUMENT).unwrap());
        fs::write(&file, line("")).unwrap();
        let source = read_source(&file).unwrap();
        assert!(source.is_complete());
        assert_eq!(paths(source), ["put p"]);
        let changes =
            format!("{}\n{{\"path\": \"p\", \"op\": \"remove\"}}\n[]\n{{\"path\": \"q\"}}", line("\"op\": \"add\","));
        fs::write(&file, changes).unwrap();
        let source = read_source(&file).unwrap();
        assert!(!source.is_complete());
        assert_eq!(paths(source), ["put p", "remove p", "refuse lines.jsonl:4", "refuse q"]);
    }
}
