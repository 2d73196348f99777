//! Processes of a run, ended only by SIGKILL.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A party; killed when it is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    pub(super) fn start(program: &Path, args: &[&std::ffi::OsStr], log: &PathBuf) -> anyhow::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let child =
            Command::new(program).args(args).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        Ok(Self { child })
    }

    pub(super) fn kill(&mut self) {
        // It may be dead already, by its failpoint.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for a death by failpoint.
    pub(super) fn dies_within(&mut self, patience: Duration) -> anyhow::Result<bool> {
        let until = Instant::now() + patience;
        while Instant::now() < until {
            if self.child.try_wait()?.is_some() {
                return Ok(true);
            }
            pause(Duration::from_millis(1));
        }
        Ok(false)
    }

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Lets others run.
pub(super) fn pause(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}
