//! The files and processes of a run.

use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::journal::{self, Line};
use anyhow::{Context, ensure};
use link::pki::{self, Role, Subject};
use relay::config::Realm;
use schemas::guid::{ClientGuid, ServerGuid};
use serde_json::json;

use super::ServerFaults;
use super::model::{self, Components};
use super::process::Process;
use crate::faults::Random;

const SERVER: u128 = 0x5e00;
const PROVIDER: u128 = 0xf00d;

/// What stands above a server: the index of another, and whose realm that is.
pub(super) type Above = Option<(usize, Realm)>;

/// A server's place.
#[derive(Debug)]
struct Server {
    above: Above,
    quic: SocketAddr,
    admin: SocketAddr,
    process: Option<Process>,
}

/// See the module. The first server is the root, where the provider publishes; agents stand under the others in turn, if
/// there are any.
#[derive(Debug)]
pub(super) struct World {
    root: tempfile::TempDir,
    program: PathBuf,
    servers: Vec<Server>,
    pub(super) components: Vec<Components>,
    agents: Vec<Option<Process>>,
    /// Each agent's journal at the last look.
    seen: Vec<Look>,
}

/// Journals as they were at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Items that have come.
    pub(super) gained: usize,
    pub(super) bytes: u64,
}

impl World {
    pub(super) fn make(program: &Path, servers: &[Above], agents: usize, random: &mut Random) -> anyhow::Result<Self> {
        let server = |above: &Above| -> anyhow::Result<Server> {
            let quic = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
            let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            Ok(Server { above: *above, quic, admin, process: None })
        };
        let world = Self {
            root: tempfile::Builder::new().prefix("distributary-kills-").tempdir()?,
            program: program.to_owned(),
            servers: servers.iter().map(server).collect::<anyhow::Result<_>>()?,
            components: (0..agents).map(|_| model::components(random)).collect(),
            agents: (0..agents).map(|_| None).collect(),
            seen: vec![Look::default(); agents],
        };
        world.write()?;
        Ok(world)
    }

    fn write(&self) -> anyhow::Result<()> {
        let pki_dir = self.path("pki");
        pki::init(&pki_dir, "test-ca")?;
        let issue = |label: &str, role, guid| pki::issue(&pki_dir, &Subject { guid, role, label }, &pki_dir);
        issue("provider", Role::Client, PROVIDER)?;
        write_toml(&self.path("provider.toml"), &self.client("provider", 0, &[]))?;
        for index in 0..self.servers.len() {
            let name = server_name(index);
            issue(&name, Role::Server, server_guid(index).0)?;
            write_toml(&self.path(&format!("{name}.toml")), &self.server(index))?;
        }
        for (index, components) in self.components.iter().enumerate() {
            let name = format!("agent-{index}");
            issue(&name, Role::Client, 0xa000 + index as u128)?;
            let lock = self.path(&format!("{name}.lock"));
            std::fs::write(&lock, model::lock_file(components))?;
            let asset = json!({ "name": name, "cargo_lock": lock });
            let under = if self.servers.len() == 1 { 0 } else { 1 + index % (self.servers.len() - 1) };
            write_toml(&self.path(&format!("{name}.toml")), &self.client(&name, under, &[asset]))?;
        }
        Ok(())
    }

    fn server(&self, index: usize) -> serde_json::Value {
        let Server { above, quic, admin, .. } = &self.servers[index];
        let upstream = |(above, realm): &(usize, Realm)| {
            let (address, guid) = (self.servers[*above].quic, server_guid(*above).to_string());
            json!({ "address": address, "guid": guid, "realm": realm, "delay_seconds": 0 })
        };
        let local_servers: Vec<String> =
            (1..self.servers.len()).map(|index| ClientGuid(server_guid(index).0).to_string()).collect();
        json!({
            "listen": { "quic": quic, "admin": admin },
            "identity": self.identity(&server_name(index)),
            // Small segments, so that several are sealed and mapped.
            "store": { "directory": self.path(&format!("{}-store", server_name(index))), "segment_bytes": 65536 },
            "policy": { "providers": [ClientGuid(PROVIDER).to_string()], "local_servers": local_servers },
            "log": { "filter": "warn" },
            "upstream": above.iter().map(upstream).collect::<Vec<_>>(),
        })
    }

    fn client(&self, name: &str, under: usize, assets: &[serde_json::Value]) -> serde_json::Value {
        json!({
            "server": { "address": self.servers[under].quic, "guid": server_guid(under).to_string() },
            "identity": self.identity(name),
            "state": { "directory": self.path(&format!("{name}-state")) },
            "log": { "filter": "warn" },
            "assets": assets,
        })
    }

    fn identity(&self, label: &str) -> serde_json::Value {
        let file = |name: String| self.path("pki").join(name);
        json!({
            "certificate": file(format!("{label}.pem")),
            "key": file(format!("{label}.key")),
            "ca": file("ca.pem".to_owned()),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// For publishing from within the test.
    pub(super) fn provider(&self) -> anyhow::Result<agent::config::Config> {
        Ok(agent::config::Config::load(&self.path("provider.toml"), &agent::config::Overrides::default())?)
    }

    pub(super) fn start_server(&mut self, index: usize, faults: ServerFaults) -> anyhow::Result<()> {
        let name = server_name(index);
        let (faults, config) = (serde_json::to_string(&faults)?, self.path(&format!("{name}.toml")));
        let args = [OsStr::new("server"), config.as_os_str(), OsStr::new(&faults)];
        let process = Process::start(&self.program, &args, &self.path(&format!("{name}.log")))?;
        self.servers[index].process = Some(process);
        Ok(())
    }

    /// Waits for a death by failpoint.
    pub(super) fn server_dies_within(&mut self, index: usize, patience: Duration) -> anyhow::Result<bool> {
        self.servers[index].process.as_mut().map_or(Ok(false), |server| server.dies_within(patience))
    }

    /// Says which server ended by itself, if one did.
    pub(super) fn servers_live(&mut self) -> anyhow::Result<()> {
        for (index, server) in self.servers.iter_mut().enumerate() {
            ensure!(server.process.as_mut().is_some_and(Process::is_alive), "{} ended by itself", server_name(index));
        }
        Ok(())
    }

    /// Says whether an agent ended by itself.
    pub(super) fn agent_lives(&mut self, index: usize) -> anyhow::Result<()> {
        ensure!(self.agents[index].as_mut().is_some_and(Process::is_alive), "agent {index} ended by itself");
        Ok(())
    }

    pub(super) fn start_agent(&mut self, index: usize) -> anyhow::Result<()> {
        let config = self.path(&format!("agent-{index}.toml"));
        let args = ["agent", "run", "--config"].map(OsStr::new);
        let args: Vec<&OsStr> = args.into_iter().chain([config.as_os_str()]).collect();
        self.agents[index] = Some(Process::start(&self.program, &args, &self.path(&format!("agent-{index}.log")))?);
        Ok(())
    }

    pub(super) fn kill_server(&mut self, index: usize) {
        self.servers[index].process.iter_mut().for_each(Process::kill);
    }

    pub(super) fn kill_agent(&mut self, index: usize) {
        self.agents[index].iter_mut().for_each(Process::kill);
    }

    /// How many items all agents have written down, and how long their journals are. Cheap: only what has grown since the
    /// last look is read, and no line is parsed.
    pub(super) fn look(&mut self) -> anyhow::Result<Look> {
        let mut all = Look::default();
        for index in 0..self.agents.len() {
            let path = self.path(&format!("agent-{index}-state")).join(journal::JOURNAL);
            let length = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            let seen = &mut self.seen[index];
            if length != seen.bytes {
                let text = std::fs::read(&path).with_context(|| path.display().to_string())?;
                *seen = Look { gained: model::gained(&text), bytes: text.len() as u64 };
            }
            all.gained += seen.gained;
            all.bytes += seen.bytes;
        }
        Ok(all)
    }

    /// An agent's journal as it stands; empty if there is none yet.
    pub(super) fn journal(&self, index: usize) -> anyhow::Result<Vec<Line>> {
        let directory = self.path(&format!("agent-{index}-state"));
        if !directory.join(journal::JOURNAL).exists() {
            return Ok(Vec::new());
        }
        journal::lines(&directory).with_context(|| format!("agent {index}"))
    }

    /// What the parties said, for a failure's message.
    pub(super) fn logs(&self) -> String {
        let mut logs = String::new();
        let servers = (0..self.servers.len()).map(server_name);
        for name in servers.chain((0..self.agents.len()).map(|index| format!("agent-{index}"))) {
            let text = std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
            text.lines().rev().take(3).for_each(|line| logs.push_str(&format!("{name}: {line}\n")));
        }
        logs
    }
}

fn server_name(index: usize) -> String {
    format!("server-{index}")
}

fn server_guid(index: usize) -> ServerGuid {
    ServerGuid(SERVER + index as u128)
}

fn write_toml(path: &Path, value: &serde_json::Value) -> anyhow::Result<()> {
    std::fs::write(path, toml::to_string(value)?).with_context(|| path.display().to_string())
}
