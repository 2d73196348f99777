//! Documents that agents of one host keep together (`state.documents`): each stands once in a folder of theirs, named by
//! its digest, and each journal that has it has a link to it. So a journal is read without the folder, nobody can take a
//! document away from another, and one that no journal has any more is known by its single link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use schemas::digest::Digest;

use super::JournalError;
use super::files::{make, sync_directory};

/// The folder of links, in the state directory.
pub(super) const LINKS: &str = "documents";

/// The folder of all, and that of this agent's links.
#[derive(Debug)]
pub(super) struct Shared {
    folder: PathBuf,
    links: PathBuf,
    lock: File,
}

impl Shared {
    /// Makes both folders if they are not there.
    ///
    /// # Errors
    /// They cannot be used, or not with each other.
    pub(super) fn open(folder: &Path, state: &Path) -> Result<Self, JournalError> {
        let links = state.join(LINKS);
        make(folder)?;
        make(&links)?;
        let device =
            |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).map_err(|source| fault(path, source));
        if device(folder)? != device(&links)? {
            return Err(JournalError::Apart { documents: folder.to_owned(), state: state.to_owned() });
        }
        let at = folder.join("lock");
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600).open(&at);
        Ok(Self { folder: folder.to_owned(), links, lock: lock.map_err(|source| fault(&at, source))? })
    }

    /// Keeps a document, or finds that somebody does. Its bytes are durable then; its link is after [`Self::sync`].
    pub(super) fn keep(&self, digest: Digest, document: &[u8]) -> Result<(), JournalError> {
        // A new item comes to all agents at the same moment: the first writes it while the others wait.
        self.lock.lock().map_err(|source| fault(&self.folder, source))?;
        let kept = self.keep_alone(&digest.to_string(), document);
        let unlocked = self.lock.unlock().map_err(|source| fault(&self.folder, source));
        kept.and(unlocked)
    }

    fn keep_alone(&self, name: &str, document: &[u8]) -> Result<(), JournalError> {
        let (kept, link) = (self.folder.join(name), self.links.join(name));
        // What a name promises is looked at: a copy that was damaged must not become everybody's.
        if !holds(&kept, document)? {
            self.write(&kept, document)?;
        }
        let mut linked = fs::hard_link(&kept, &link);
        if linked.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
            if holds(&link, document)? {
                return Ok(());
            }
            linked = fs::remove_file(&link).and_then(|()| fs::hard_link(&kept, &link));
        }
        linked.map_err(|source| JournalError::Write { path: link, source })
    }

    fn write(&self, path: &Path, document: &[u8]) -> Result<(), JournalError> {
        let new = self.folder.join("new");
        let write = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(document)?;
            file.sync_all()?;
            fs::rename(&new, path)
        };
        write().map_err(|source| JournalError::Write { path: path.to_owned(), source })?;
        sync_directory(&self.folder)
    }

    /// Makes the links durable.
    pub(super) fn sync(&self) -> Result<(), JournalError> {
        sync_directory(&self.links)
    }
}

/// Whether a file is there and holds exactly this.
fn holds(path: &Path, document: &[u8]) -> Result<bool, JournalError> {
    match compare(path, document) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        compared => compared.map_err(|source| fault(path, source)),
    }
}

fn compare(path: &Path, document: &[u8]) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() != document.len() as u64 {
        return Ok(false);
    }
    let mut buffer = vec![0; COMPARED_BYTES.min(document.len())];
    for part in document.chunks(COMPARED_BYTES) {
        let read = &mut buffer[..part.len()];
        file.read_exact(read)?;
        if read != part {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Bytes that are compared in one step.
const COMPARED_BYTES: usize = 256 << 10;

fn fault(path: &Path, source: io::Error) -> JournalError {
    JournalError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::tests::{assert_same, entries, open, read_entries};
    use super::super::{DOCUMENTS, JOURNAL};
    use super::*;

    /// A folder of documents, and state directories beside it.
    struct Host(TempDir);

    impl Host {
        fn new() -> Self {
            Self(TempDir::new().unwrap())
        }

        fn state(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn folder(&self) -> PathBuf {
            self.0.path().join("shared")
        }

        /// An agent that journals everything there is.
        fn agent(&self, name: &str) {
            let (mut journal, before) = open(&self.state(name)).unwrap();
            journal.share(&self.folder()).unwrap();
            journal.append(&entries()[before.len()..]).unwrap();
        }

        /// The documents of the folder.
        fn documents(&self) -> Vec<PathBuf> {
            let files = fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path());
            files.filter(|path| !path.ends_with("lock")).collect()
        }
    }

    #[test]
    fn agents_of_one_host_keep_each_document_once() {
        let host = Host::new();
        for name in ["one", "other"] {
            host.agent(name);
            assert_same(&read_entries(&host.state(name)), &entries());
            assert_eq!(fs::metadata(host.state(name).join(DOCUMENTS)).unwrap().len(), 0);
        }
        let documents = host.documents();
        assert_eq!(documents.len(), 3);
        assert!(
            documents.iter().all(|path| fs::metadata(path).unwrap().nlink() == 3),
            "its own, and one for each agent"
        );
        // Whoever reads needs no folder.
        fs::remove_dir_all(host.folder()).unwrap();
        assert_same(&open(&host.state("one")).unwrap().1, &entries());
    }

    #[test]
    fn a_journal_may_begin_to_share_and_cease() {
        let host = Host::new();
        let all = entries();
        let (mut journal, _) = open(&host.state("one")).unwrap();
        journal.append(&all[..3]).unwrap();
        journal.share(&host.folder()).unwrap();
        journal.append(&all[3..5]).unwrap();
        drop(journal);
        let (mut journal, _) = open(&host.state("one")).unwrap();
        journal.append(&all[5..]).unwrap();
        assert_same(&read_entries(&host.state("one")), &all);
    }

    #[test]
    fn what_a_crash_left_is_taken_up_again() {
        let host = Host::new();
        host.agent("one");
        let lines = fs::read_to_string(host.state("one").join(JOURNAL)).unwrap();
        let first: String = lines.lines().take(1).map(|line| format!("{line}\n")).collect();
        fs::write(host.state("one").join(JOURNAL), first).unwrap();
        // Links of lines that never came, one of them to something that was never whole, and an unfinished document.
        let link = host.documents()[0].file_name().unwrap().to_owned();
        let link = host.state("one").join(LINKS).join(link);
        fs::remove_file(&link).unwrap();
        fs::write(&link, "half").unwrap();
        fs::write(host.folder().join("new"), "half").unwrap();
        host.agent("one");
        assert_same(&read_entries(&host.state("one")), &entries());
    }

    #[test]
    fn a_damaged_copy_becomes_nobody_elses() {
        let host = Host::new();
        host.agent("one");
        let damaged = host.documents().remove(0);
        let mut bytes = fs::read(&damaged).unwrap();
        bytes[7] ^= 1;
        fs::write(&damaged, bytes).unwrap();
        host.agent("other");
        assert_same(&read_entries(&host.state("other")), &entries());
        let error = open(&host.state("one")).expect_err("damaged").to_string();
        assert!(error.contains("in documents is not what was written") && error.contains("backup"), "{error}");
    }

    #[test]
    fn a_folder_on_another_file_system_is_refused() {
        let host = Host::new();
        let (mut journal, _) = open(&host.state("one")).unwrap();
        let error = journal.share(Path::new("/proc")).expect_err("another file system").to_string();
        assert!(error.contains("state.documents (/proc) must lie on the file system of"), "{error}");
    }
}
