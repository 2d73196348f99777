//! The disk itself: files with an overlay, a journal of names, failpoints.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use relay::store::{
    RealDisk,
    disk::{Disk, File},
};

use super::{
    Faults, Restart, Then, When,
    names::{self, Names},
    unsynced::{self, Overlay, side_path},
};

/// The folder of side files inside the store's directory.
const SIDE: &str = "unsynced";

/// A directory of which only synced bytes and names outlive the process. Cloning it gives another handle to the same.
#[derive(Clone, Debug)]
pub struct FaultyDisk {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    real: RealDisk,
    side: PathBuf,
    faults: Faults,
    dead: AtomicBool,
    /// Syncs that the failpoint counts.
    syncs: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    names: Names,
    /// The files in use, by name.
    files: BTreeMap<String, Arc<Mutex<Overlay>>>,
}

impl FaultyDisk {
    /// Opens a directory as after a crash: of what was not synced there only what `restart` says is left.
    pub fn open(directory: &Path, restart: Restart, faults: Faults) -> io::Result<Self> {
        let real = RealDisk::open(directory).map_err(io::Error::other)?;
        let side = directory.join(SIDE);
        fs::create_dir_all(&side)?;
        // Names first: the writes of a file that was never durably created go with it.
        names::restart(directory, &side, restart)?;
        for name in real.list()? {
            let writes = side_path(&side, &name);
            if writes.exists() {
                unsynced::restart(&*real.open(&name)?, &name, &writes, restart)?;
            }
        }
        let state = Mutex::new(State { names: Names::open(directory, &side)?, files: BTreeMap::new() });
        let (dead, syncs) = (AtomicBool::new(false), AtomicU64::new(0));
        Ok(Self { shared: Arc::new(Shared { real, side, faults, dead, syncs, state }) })
    }

    /// From now on every operation fails, as if the machine were gone: what is dropped later cannot tidy up.
    pub fn crash(&self) {
        self.shared.dead.store(true, Ordering::SeqCst);
    }

    /// Whether it crashed, by [`FaultyDisk::crash`] or at its failpoint.
    #[must_use]
    pub fn has_crashed(&self) -> bool {
        self.shared.dead.load(Ordering::SeqCst)
    }

    /// Syncs so far that a failpoint with this disk's prefix counts.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.shared.syncs.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn alive(&self) -> io::Result<()> {
        if self.dead.load(Ordering::SeqCst) { Err(io::Error::other("the disk has crashed")) } else { Ok(()) }
    }

    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        self.alive()?;
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts a sync; whether it is the one that the failpoint means.
    fn count(&self, name: &str) -> bool {
        let prefix = self.faults.failpoint.as_ref().map_or("", |failpoint| &failpoint.prefix);
        if !name.starts_with(prefix) {
            return false;
        }
        let nth = self.syncs.fetch_add(1, Ordering::SeqCst) + 1;
        self.faults.failpoint.as_ref().is_some_and(|failpoint| failpoint.nth == nth)
    }

    /// Ends things if the failpoint lies on this side of the sync.
    fn pass(&self, when: When) -> io::Result<()> {
        match &self.faults.failpoint {
            Some(failpoint) if failpoint.when == when => match failpoint.then {
                Then::Abort => std::process::abort(),
                Then::Die => {
                    self.dead.store(true, Ordering::SeqCst);
                    self.alive()
                }
            },
            _ => Ok(()),
        }
    }
}

impl Disk for FaultyDisk {
    fn open(&self, name: &str) -> io::Result<Box<dyn File>> {
        let mut state = self.shared.state()?;
        let overlay = if let Some(open) = state.files.get(name) {
            Arc::clone(open)
        } else {
            if !self.shared.real.list()?.iter().any(|there| there == name) {
                state.names.create(name)?;
            }
            let durable = self.shared.real.open(name)?;
            let overlay = Arc::new(Mutex::new(Overlay::open(durable, &side_path(&self.shared.side, name))?));
            state.files.insert(name.to_owned(), Arc::clone(&overlay));
            overlay
        };
        Ok(Box::new(FaultyFile { name: name.to_owned(), shared: Arc::clone(&self.shared), overlay }))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let _state = self.shared.state()?;
        self.shared.real.list()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.shared.state()?;
        state.files.remove(name);
        state.names.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.shared.state()?;
        state.names.rename(from, to)?;
        if let Some(file) = state.files.remove(from) {
            state.files.insert(to.to_owned(), file);
        }
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.shared.state()?;
        let meant = state.names.last().is_some_and(|name| self.shared.count(name));
        if meant {
            self.shared.pass(When::BeforeSync)?;
        }
        if !self.shared.faults.lie_on_sync {
            state.names.sync()?;
        }
        if meant { self.shared.pass(When::AfterSync) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct FaultyFile {
    /// The name it was opened under.
    name: String,
    shared: Arc<Shared>,
    overlay: Arc<Mutex<Overlay>>,
}

impl FaultyFile {
    fn overlay(&self) -> io::Result<MutexGuard<'_, Overlay>> {
        self.shared.alive()?;
        Ok(self.overlay.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl File for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.overlay()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.overlay()?.read(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.overlay()?.write(offset, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.overlay()?.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut overlay = self.overlay()?;
        if overlay.is_synced() {
            return Ok(());
        }
        let meant = self.shared.count(&self.name);
        if meant {
            self.shared.pass(When::BeforeSync)?;
        }
        if !self.shared.faults.lie_on_sync {
            overlay.sync()?;
        }
        if meant { self.shared.pass(When::AfterSync) } else { Ok(()) }
    }

    fn map(&self) -> io::Result<Bytes> {
        let overlay = self.overlay()?;
        if overlay.is_synced() {
            return overlay.durable().map();
        }
        let len = usize::try_from(overlay.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; len];
        overlay.read(0, &mut bytes)?;
        Ok(bytes.into())
    }
}
