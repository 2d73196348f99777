//! A server under load: one that this run starts with files of its own, or one that is there.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use link::pki::Role;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use schemas::guid::{ServerGuid, parse_128};
use serde::Serialize;

use crate::people::{Authority, guid};
use crate::plan::{self, CLIENTS_MAX, PUBLICATIONS_MAX, Plan};
use crate::sample;
use crate::tiers::{Ask, Realm};

/// How long a server may take to start: ten times what it takes on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Links that a server takes which is started: all clients and providers, and as many again while lost ones are not noticed.
const LINKS_MAX: usize = 2 * (CLIENTS_MAX + PUBLICATIONS_MAX);

/// See the module. A process that was started ends with it.
#[derive(Debug)]
pub struct Server {
    /// Where it speaks X.1206.
    pub address: SocketAddr,
    /// Who it is.
    pub guid: ServerGuid,
    /// Whom it trusts.
    pub authority: Authority,
    /// Its process, if it is known.
    pub pid: Option<u32>,
    /// Where it says what crossed its sockets.
    pub admin: Option<SocketAddr>,
    child: Option<Child>,
}

/// What a server is told that is started.
pub(crate) struct Place<'a> {
    /// Of its files.
    pub(crate) name: String,
    pub(crate) guid: u128,
    pub(crate) core: Option<usize>,
    /// Where it listens, and in which network namespace if not in this one.
    pub(crate) host: IpAddr,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) congestion: Option<&'a str>,
    pub(crate) policy: Policy,
    pub(crate) upstream: Vec<Upstream>,
}

/// The configuration of a server that is started: everything else is the default.
#[derive(Serialize)]
struct Config<'a> {
    listen: Listen,
    identity: Identity<'a>,
    store: Store<'a>,
    policy: &'a Policy,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<Transport<'a>>,
    limits: Limits,
    log: Log,
    upstream: &'a [Upstream],
}

#[derive(Serialize)]
struct Transport<'a> {
    congestion: &'a str,
}

#[derive(Serialize)]
struct Listen {
    quic: SocketAddr,
    admin: SocketAddr,
}

#[derive(Serialize)]
struct Identity<'a> {
    certificate: &'a Path,
    key: &'a Path,
    ca: &'a Path,
}

#[derive(Serialize)]
struct Store<'a> {
    directory: &'a Path,
}

/// Who has which rights at a server that is started.
#[derive(Default, Serialize)]
pub(crate) struct Policy {
    pub(crate) providers: Vec<String>,
    pub(crate) local_servers: Vec<String>,
}

/// The server above one that is started.
#[derive(Serialize)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    pub(crate) guid: String,
    pub(crate) realm: Realm,
    pub(crate) ask: Ask,
    pub(crate) delay_seconds: u64,
}

#[derive(Serialize)]
struct Limits {
    links_max: usize,
}

#[derive(Serialize)]
struct Log {
    filter: &'static str,
}

impl Server {
    /// One that runs already, if the plan names one.
    ///
    /// # Errors
    /// What the plan says of it makes no sense, or its authority is not there.
    pub(crate) fn there(plan: &Plan, people: &Path) -> anyhow::Result<Option<Self>> {
        let plan::Server { address, guid, pki, pid, admin, .. } = &plan.server;
        let (Some(address), Some(guid), Some(pki)) = (*address, guid, pki) else { return Ok(None) };
        let guid = ServerGuid(parse_128(guid).ok().with_context(|| format!("server.guid {guid:?} is no GUID"))?);
        let authority = Authority::open(pki, people)?;
        Ok(Some(Self { address, guid, authority, pid: *pid, admin: *admin, child: None }))
    }

    /// Starts one, with its files in `folder`; returns when it takes links, and has one to each server above it.
    ///
    /// # Errors
    /// It cannot be started; says what it wrote.
    pub(crate) fn start(
        authority: &Authority,
        folder: &Path,
        program: &Path,
        place: &Place<'_>,
    ) -> anyhow::Result<Self> {
        let (address, admin) =
            (free(|any| UdpSocket::bind(any)?.local_addr())?, free(|any| TcpListener::bind(any)?.local_addr())?);
        let [address, admin] = [address, admin].map(|free| SocketAddr::new(place.host, free.port()));
        let files = authority.issue(place.guid, Role::Server, &place.name)?;
        let config = Config {
            listen: Listen { quic: address, admin },
            identity: Identity { certificate: &files.certificate, key: &files.key, ca: &authority.certificate() },
            store: Store { directory: &folder.join(format!("{}-store", place.name)) },
            policy: &place.policy,
            transport: place.congestion.map(|congestion| Transport { congestion }),
            limits: Limits { links_max: LINKS_MAX },
            log: Log { filter: "warn" },
            upstream: &place.upstream,
        };
        let path = folder.join(format!("{}.toml", place.name));
        std::fs::write(&path, toml::to_string(&config)?)?;
        let log = folder.join(format!("{}.log", place.name));
        let mut command = inside(place.namespace, program);
        command.arg("run").arg("--config").arg(path);
        let child = on_core(place.core, || start(command, &log))?;
        let (pid, admin) = (Some(child.id()), Some(admin));
        let guid = ServerGuid(place.guid);
        let mut server = Self { address, guid, authority: authority.clone(), pid, admin, child: Some(child) };
        server.wait_until(&log, |server| server.page("/readyz").is_some())?;
        server.wait_until(&log, |server| server.is_below(place.upstream.len()))?;
        Ok(server)
    }

    /// Whether a link stands to each of so many servers above.
    fn is_below(&self, upstreams: usize) -> bool {
        let linked = || sample::value(&self.page("/metrics")?, "distributary_uplinks_connected", &[]);
        upstreams == 0 || linked() == Some(upstreams as u64)
    }

    fn wait_until(&mut self, log: &Path, is_there: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let until = Instant::now() + START;
        while !is_there(self) {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > until {
                bail!("the server did not start: {}", std::fs::read_to_string(log).unwrap_or_default().trim());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(())
    }

    /// A page of its admin interface; none while nobody answers.
    pub fn page(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect_timeout(&self.admin?, Duration::from_secs(1)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: loadtest\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
    }

    /// Fails if it has ended.
    ///
    /// # Errors
    /// Says how it ended.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
            Some(status) => bail!("the server ended by itself: {status}"),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The GUIDs of a plan's providers, as a server's policy names them.
pub fn providers(plan: &Plan) -> Vec<String> {
    (0..plan.publish.len()).map(|number| ServerGuid(guid(&plan.name, "provider", number)).to_string()).collect()
}

/// The server's command: beside this program, where a build or a package puts it.
///
/// # Errors
/// It is not there.
pub fn program() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.with_file_name("distributary");
    ensure!(
        beside.is_file(),
        "no {} to load: build it (cargo build --release --workspace), or name one with --program",
        beside.display()
    );
    Ok(beside)
}

fn start(mut command: Command, log: &Path) -> anyhow::Result<Child> {
    let log = File::create(log)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("cannot start {command:?}"))
}

/// A program's command, in a network namespace: `ip` gives its process to the program.
pub(crate) fn inside(namespace: Option<&str>, program: &Path) -> Command {
    let Some(namespace) = namespace else { return Command::new(program) };
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program);
    command
}

/// Does something on one core; a process that it starts stays there.
fn on_core<T>(core: Option<usize>, act: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let Some(core) = core else { return act() };
    let before = sched_getaffinity(None)?;
    stay_on(&[core])?;
    let done = act();
    sched_setaffinity(None, &before)?;
    done
}

/// Keeps this thread, and those that it starts, on these cores; anywhere if there are none.
///
/// # Errors
/// There is no such core.
pub fn stay_on(cores: &[usize]) -> anyhow::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on cores {cores:?}"))
}

/// An address of loopback that nobody had a moment ago.
fn free(bind: impl FnOnce(SocketAddr) -> std::io::Result<SocketAddr>) -> anyhow::Result<SocketAddr> {
    Ok(bind((Ipv4Addr::LOCALHOST, 0).into())?)
}
