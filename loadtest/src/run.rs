//! A run, from a plan to a report.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use link::budget::Budget;
use link::connection::Link;
use link::endpoint;
use link::hello::Hello;
use link::limits::LinkLimits;
use tokio::task::JoinSet;

use crate::crowd::Crowd;
use crate::items::{self, Item};
use crate::ledger::Ledger;
use crate::network::{Network, Way};
use crate::people::guid;
use crate::plan::{Clients, Habit, Plan, Publish};
use crate::publisher;
use crate::report::{Idle, Report, Seen};
use crate::sample::{Sample, Usage, usage};
use crate::server::{self, Server};
use crate::tiers::Servers;

/// Between two looks at what a run costs.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes of frames that a provider holds at once.
const FRAME_BYTES: usize = 64 << 20;

/// What a run is told beside its plan.
pub struct Options {
    /// Where its files are.
    pub folder: PathBuf,
    /// The server's command.
    pub program: Option<PathBuf>,
}

/// Told how far a run is.
pub trait Progress {
    /// A new stretch of so many steps.
    fn begin(&mut self, what: &str, steps: u64);
    /// So many are done.
    fn at(&mut self, done: u64);
}

/// Carries out a plan.
///
/// # Errors
/// Something that the plan needs is not there, or the server or a client fails.
pub fn run(plan: &Plan, options: &Options, progress: &mut dyn Progress) -> anyhow::Result<Report> {
    let program = match (&plan.server.address, &options.program) {
        (Some(_), _) => PathBuf::new(),
        (None, Some(program)) => program.clone(),
        (None, None) => server::program()?,
    };
    let servers = Servers::of(plan, &options.folder, &program)?;
    server::stay_on(&plan.cores)?;
    let threads = if plan.cores.is_empty() { 2 } else { plan.cores.len() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?;
    runtime.block_on(stages(plan, servers, progress))
}

async fn stages(plan: &Plan, mut servers: Servers, progress: &mut dyn Progress) -> anyhow::Result<Report> {
    let run = link::tls::random_u64();
    let made: Result<Vec<_>, _> = plan.publish.iter().map(|publish| items::make(publish, run)).collect();
    let made: Arc<Vec<Vec<Item>>> = Arc::new(made?);
    let ledger = Arc::new(Ledger::new(plan, &made)?);
    let before = total(&servers);

    let clients: u64 = plan.clients.iter().map(|group| group.count as u64).sum();
    progress.begin("connecting", clients);
    let (begin, mut connected) = (Instant::now(), 0);
    let ways = Ways::open(plan, &servers).await?;
    let target_of = |group: &Clients, number| {
        let (tier, place) = servers.place_of(plan, group, number);
        let server = &servers.tiers()[tier][place];
        (ways.address(tier, place).unwrap_or(server.address), server.guid)
    };
    let crowd = Crowd::connect(plan, target_of, &servers.top().authority, &ledger, || {
        connected += 1;
        progress.at(connected);
    });
    let crowd = crowd.await?;
    let connecting = begin.elapsed();
    let after = total(&servers);
    tokio::time::sleep(Duration::from_secs_f64(plan.idle_seconds)).await;
    let idle = Idle { connecting, before, after, resting: total(&servers) };

    let providers = Providers::connect(plan, servers.top()).await?;
    let wire = servers.wire();
    progress.begin("delivering", ledger.expected());
    let begin = ledger.elapsed();
    let samples = publish(plan, &mut servers, &crowd, providers, &made, &ledger, &mut |done| progress.at(done)).await?;
    let wire = servers.wire().into_iter().zip(wire);
    let wire = wire.map(|both| both.0.zip(both.1).map(|(now, then)| (now.0 - then.0, now.1 - then.1))).collect();
    let faults = crowd.end().await;
    Ok(Report::of(plan, &ledger, &made, Seen { idle, begin, samples, wire, faults }))
}

/// What all servers have taken so far.
fn total(servers: &Servers) -> Option<Usage> {
    servers.usage().into_iter().sum()
}

/// What a plan says that lies between clients and their server: each server has its own.
struct Ways(Vec<Vec<Way>>);

impl Ways {
    async fn open(plan: &Plan, servers: &Servers) -> anyhow::Result<Self> {
        let mut ways = Vec::new();
        let (Some(network), mut seed) = (plan.network, 0) else { return Ok(Self(ways)) };
        for tier in servers.tiers() {
            let mut beside = Vec::new();
            for server in tier {
                let network = Network { seed: network.seed.wrapping_add(seed), ..network };
                beside.push(Way::open(network, server.address).await?);
                // A way takes two of them.
                seed += 2;
            }
            ways.push(beside);
        }
        Ok(Self(ways))
    }

    /// Where clients dial instead of this server, if there is anything between.
    fn address(&self, tier: usize, place: usize) -> Option<SocketAddr> {
        Some(self.0.get(tier)?.get(place)?.address())
    }
}

/// The links of all providers, which live as long as their sockets.
struct Providers(Vec<(endpoint::Client, Link)>);

impl Providers {
    async fn connect(plan: &Plan, server: &Server) -> anyhow::Result<Self> {
        let mut links = Vec::new();
        for number in 0..plan.publish.len() {
            let guid = guid(&plan.name, "provider", number);
            let identity = server.authority.identity(guid, &format!("provider-{number}"))?;
            let limits = LinkLimits::trunk();
            let budget = Budget::new(FRAME_BYTES, 2 * limits.connection_window as usize);
            let any = endpoint::Client::any_local(server.address);
            let socket = endpoint::Client::bind(any, &identity, limits, budget)?;
            let link = socket.connect(server.address, server.guid, Hello::default()).await;
            links.push((socket, link.context("a provider cannot connect")?));
        }
        Ok(Self(links))
    }
}

/// Publishes everything, and looks at what happens until everything has arrived or nothing comes any more.
async fn publish(
    plan: &Plan,
    servers: &mut Servers,
    crowd: &Crowd,
    providers: Providers,
    made: &Arc<Vec<Vec<Item>>>,
    ledger: &Arc<Ledger>,
    progress: &mut dyn FnMut(u64),
) -> anyhow::Result<Vec<Sample>> {
    let mut publishing = JoinSet::new();
    for (number, (publish, (_, link))) in plan.publish.iter().zip(&providers.0).enumerate() {
        let (publish, link, made, ledger) = (publish.clone(), link.clone(), Arc::clone(made), Arc::clone(ledger));
        publishing.spawn(async move { publisher::publish(&publish, number, &made[number], link, &ledger).await });
    }
    let (begin, mut samples, mut last) = (Instant::now(), Vec::new(), (Instant::now(), 0));
    let mut unrest = Unrest::default();
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        while let Some(ended) = publishing.try_join_next() {
            ended??;
        }
        if publishing.is_empty() {
            crowd.published();
        }
        let at = begin.elapsed();
        let (own, receipts) = (usage(Some(std::process::id())), ledger.receipts());
        samples.push(Sample { at, tiers: servers.usage(), own, receipts });
        progress(receipts);
        servers.check()?;
        unrest.stir(plan, crowd, at);
        if receipts > last.1 {
            last = (Instant::now(), receipts);
        }
        let is_over = publishing.is_empty() && (receipts >= ledger.expected() || last.0.elapsed() > plan.patience());
        let is_enough = plan.seconds_max.is_some_and(|most| at.as_secs_f64() >= most);
        if is_over || is_enough || last.0.elapsed() > plan.patience() + Duration::from_secs_f64(longest_pause(plan)) {
            return Ok(samples);
        }
    }
}

/// Seconds for which a plan may have nothing to publish.
fn longest_pause(plan: &Plan) -> f64 {
    let pause = |publish: &Publish| publish.start.max(publish.rate.map_or(0.0, |rate| publish.burst as f64 / rate));
    plan.publish.iter().map(pause).fold(0.0, f64::max)
}

/// Whose links are cut, and when.
#[derive(Default)]
struct Unrest {
    cut: Vec<u64>,
}

impl Unrest {
    fn stir(&mut self, plan: &Plan, crowd: &Crowd, at: Duration) {
        self.cut.resize(plan.clients.len(), 0);
        for (group, (clients, cut)) in plan.clients.iter().zip(&mut self.cut).enumerate() {
            let due = match clients.habit {
                Habit::Churn(rate) => (at.as_secs_f64() * rate) as u64,
                Habit::Storm(second) if at.as_secs_f64() >= second => clients.count as u64,
                Habit::Storm(_) | Habit::Steady | Habit::Stalled | Habit::Slow(_) | Habit::Away => 0,
            };
            for number in *cut..due {
                crowd.cut(group, number as usize % clients.count);
            }
            *cut = due.max(*cut);
        }
    }
}

/// A folder for a run.
///
/// # Errors
/// It cannot be made.
pub fn folder(keep: Option<&Path>) -> anyhow::Result<(PathBuf, Option<tempfile::TempDir>)> {
    match keep {
        Some(keep) => {
            std::fs::create_dir(keep).with_context(|| format!("--keep {}", keep.display()))?;
            Ok((std::path::absolute(keep)?, None))
        }
        None => {
            let temporary = tempfile::Builder::new().prefix("distributary-loadtest-").tempdir()?;
            Ok((temporary.path().to_owned(), Some(temporary)))
        }
    }
}
