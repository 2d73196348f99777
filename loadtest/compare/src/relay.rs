//! The relay's side of one run: a process in its namespace, on its core.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::peers::{Name, PORT};

/// How long a relay may take to listen.
const START: Duration = Duration::from_secs(20);
/// The core of relays. Clients are on the other.
pub const RELAY_CORE: usize = 0;
/// The core of the publisher and the subscribers.
pub const CLIENT_CORE: usize = 1;

/// A running relay, which ends with this.
pub struct Relay(Child);

impl Relay {
    /// Starts it; returns when it listens.
    ///
    /// # Errors
    /// It does not; says what it wrote.
    pub fn start(command: &Command, peer: Name, namespace: &str, log: &Path) -> anyhow::Result<Self> {
        let output = File::create(log)?;
        let mut placed = placed(command, namespace, RELAY_CORE);
        placed.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let mut relay = Self(placed.spawn().with_context(|| format!("cannot start {command:?}"))?);
        let until = Instant::now() + START;
        while !listens(relay.pid(), peer) {
            if relay.0.try_wait()?.is_some() || Instant::now() > until {
                let written = std::fs::read_to_string(log).unwrap_or_default();
                bail!("{command:?} does not listen: {}", written.trim());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(relay)
    }

    /// Its process: what was started gives its place to it.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The same command, in a network namespace and on one core.
pub fn placed(command: &Command, namespace: &str, core: usize) -> Command {
    let mut placed = Command::new("ip");
    placed.args(["netns", "exec", namespace, "taskset", "--cpu-list", &core.to_string()]);
    placed.arg(command.get_program()).args(command.get_args());
    placed.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
    placed
}

/// Whether somebody in the process's namespace listens at the port.
fn listens(pid: u32, peer: Name) -> bool {
    let (tables, state) = if peer.is_quic() { (["udp", "udp6"], "07") } else { (["tcp", "tcp6"], "0A") };
    let port = format!(":{PORT:04X}");
    tables.iter().filter_map(|table| std::fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok()).any(|table| {
        let mut sockets = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        sockets.any(|socket| {
            socket.get(1).is_some_and(|local| local.ends_with(&port)) && socket.get(3).is_some_and(|is| *is == state)
        })
    })
}
