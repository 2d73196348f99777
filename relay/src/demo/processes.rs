//! Starting, asking and killing the processes of the demo.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

/// A process of the demo; killed when it is dropped.
pub(super) struct Process {
    name: String,
    child: Child,
}

/// How long anything may take before the demo gives up. Ten times what it takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

impl Process {
    /// Starts this program again with other arguments. What it says goes to a file.
    pub(super) fn start(name: &str, args: &[&str], config: &Path, log: &Path) -> anyhow::Result<Self> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::new(std::env::current_exe()?)
            .args(args)
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// SIGKILL, and nothing else.
    pub(super) fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Fails if the process has ended by itself.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} ended by itself: {status}", self.name),
        }
    }

    /// Waits for the end; true if it was a good one.
    pub(super) fn wait(&mut self) -> anyhow::Result<bool> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait()? {
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
pub(super) fn pause() {
    std::thread::park_timeout(Duration::from_millis(2));
}

/// Asks until `check` says yes.
pub(super) fn wait_for(what: &str, mut check: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let until = Instant::now() + PATIENCE;
    while !check()? {
        anyhow::ensure!(Instant::now() < until, "gave up waiting for {what}");
        pause();
    }
    Ok(())
}

/// A page of the server's admin interface; `None` while nobody answers.
pub(super) fn page(admin: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&admin, Duration::from_millis(200)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

/// A metric without labels.
pub(super) fn metric(admin: SocketAddr, name: &str) -> Option<u64> {
    let page = page(admin, "/metrics")?;
    page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}
