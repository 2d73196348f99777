//! Processes that this program starts: itself again, with other arguments.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// A process; killed when it is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
}

/// How long anything may take before whoever waits gives up. Ten times what it takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

impl Process {
    /// Starts this program again with other arguments. What it says goes to a file.
    pub(crate) fn start<A: AsRef<OsStr>>(
        name: &str,
        args: impl IntoIterator<Item = A>,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// SIGKILL, and nothing else.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Fails if the process has ended by itself.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} ended by itself: {status}", self.name),
        }
    }

    /// Waits for the end; true if it was a good one.
    pub(crate) fn wait(&mut self) -> anyhow::Result<bool> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status.success());
            }
            anyhow::ensure!(Instant::now() < until, "{} does not come to its end", self.name);
            pause();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Between two looks at something that another process does.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(2));
}

/// Asks until `check` says yes.
pub(crate) fn wait_for(what: &str, mut check: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    while !check()? {
        anyhow::ensure!(Instant::now() < until, "gave up waiting for {what}");
        pause();
    }
    Ok(())
}
