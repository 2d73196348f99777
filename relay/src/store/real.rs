//! The file layer on a real directory.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use memmap2::Mmap;

use super::{
    disk::{Disk, File},
    error::OpenError,
};

/// The mode of the store's directory: the service user and nobody else.
const DIRECTORY_MODE: u32 = 0o700;

/// The mode of the files in it.
const FILE_MODE: u32 = 0o600;

/// A directory that this process alone works in, for as long as the disk or one of its files lives.
#[derive(Debug)]
pub struct RealDisk {
    directory: PathBuf,
    /// The open directory: it carries the lock, and syncing it makes names durable.
    handle: Arc<fs::File>,
}

impl RealDisk {
    /// Creates the directory if needed, closes it to other users (mode 0700) and locks it (`flock`).
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let handle =
            prepare(directory).map_err(|source| OpenError::Directory { directory: directory.to_owned(), source })?;
        match lock(&handle) {
            Ok(()) => Ok(Self { directory: directory.to_owned(), handle: Arc::new(handle) }),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { directory: directory.to_owned() }),
            Err(TryLockError::Error(source)) => Err(OpenError::Directory { directory: directory.to_owned(), source }),
        }
    }
}

/// How long a lock is waited for: a holder that is just ending, or a child that it has forked and that has not begun its
/// own program yet, keeps it a moment longer.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

fn lock(file: &fs::File) -> Result<(), TryLockError> {
    let until = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::park_timeout(LOCK_PATIENCE / 50),
            outcome => return outcome,
        }
    }
}

/// The directory, there and closed to others; its own name is durable in its parent.
fn prepare(directory: &Path) -> io::Result<fs::File> {
    let existed = directory.is_dir();
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
    let mode = fs::metadata(directory)?.permissions().mode();
    if mode & 0o077 != 0 {
        fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))?;
    }
    let handle = fs::File::open(directory)?;
    if !existed {
        fs::File::open(directory.join(".."))?.sync_all()?;
    }
    Ok(handle)
}

impl Disk for RealDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(self.directory.join(name))?;
        Ok(Box::new(RealFile { file, _lock: Arc::clone(&self.handle) }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.handle.sync_all()
    }
}

#[derive(Debug)]
struct RealFile {
    file: fs::File,
    /// Keeps the directory locked while any file of it can still be written.
    _lock: Arc<fs::File>,
}

impl File for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn map(&self) -> io::Result<Bytes> {
        if self.is_empty()? {
            return Ok(Bytes::new());
        }
        // The log maps a segment only when it is sealed, or compacted, or found when the store is opened. No other process of ours touches it: the
        // directory is locked exclusively for the life of this file, and a later holder of the lock begins a segment of its own.
        // SAFETY: a mapping is unsound if the file changes under it, and kills the process if the file is shortened. From here on no code path writes
        // to it or shortens it (it may be renamed, or unlinked, also by one that gets its name: that leaves the pages in place), no process
        // of ours does (above), and none of another user, since the directory has mode 0700.
        let map = unsafe { Mmap::map(&self.file)? };
        Ok(Bytes::from_owner(map))
    }
}
