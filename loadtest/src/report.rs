//! What came of a run: for people, for programs, and for plots.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::items::Item;
use crate::ledger::{Latencies, Ledger, Received};
use crate::plan::{Clients, Plan, Publish};
use crate::sample::{Sample, Usage};
use crate::tiers::TOP;

mod text;

/// How the links came to be, and what they cost while nothing happened.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Time until all were connected and answered.
    pub connecting: Duration,
    /// All servers before the first, if their processes are known.
    pub before: Option<Usage>,
    /// After the last.
    pub after: Option<Usage>,
    /// A while later.
    pub resting: Option<Usage>,
}

/// What was seen of a run, beside what the ledger says.
#[derive(Clone, Debug)]
pub struct Seen {
    /// How the links came to be.
    pub idle: Idle,
    /// When the publication began, by the ledger's clock.
    pub begin: Duration,
    /// Ten looks a second from then on.
    pub samples: Vec<Sample>,
    /// Bytes of each tier's sockets towards what is below meanwhile: out, in.
    pub wire: Vec<Option<(u64, u64)>>,
    /// Links that ended and should not have.
    pub faults: Vec<String>,
}

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of the plan.
    pub name: String,
    /// RFC 3339, in UTC.
    pub time: String,
    /// The plan, whole.
    pub plan: Plan,
    /// Items published.
    pub items: usize,
    /// Whether nothing was missing (unless the plan says after which time a run is over), nothing came twice on a link that
    /// stood, no link failed, and a server that was started for this run had nothing else.
    pub good: bool,
    /// Receipts that there should have been.
    pub expected: u64,
    /// Those that there were.
    pub receipts: u64,
    /// Items that a client had already: after a lost link there may be some.
    pub repeats: u64,
    /// Items that nobody of this run published: a server that ran before may have some.
    pub strangers: u64,
    /// Links that ended and should not have.
    pub faults: Vec<String>,
    /// Seconds from the beginning of the publication to the last receipt.
    pub seconds: f64,
    /// Bytes of content in all receipts.
    pub content_bytes: u64,
    /// Bytes of documents in them.
    pub document_bytes: u64,
    /// Of all servers together, if their processes are known.
    pub server: Option<Cost>,
    /// Of the clients and providers, which are one process.
    pub clients: Option<Cost>,
    /// What links cost before anything was published.
    pub idle: IdleCost,
    /// Bytes that all servers' sockets towards what is below carried, UDP payload: out, in. None if one does not say.
    pub wire: Option<(u64, u64)>,
    /// The server at the top, and each tier below it.
    pub tiers: Vec<TierReport>,
    /// For each publication.
    pub publications: Vec<Publication>,
    /// For each group of clients.
    pub groups: Vec<Group>,
    /// Ten times a second.
    pub timeline: Vec<Point>,
}

/// Servers that are alike, and what they took.
#[derive(Clone, Debug, Serialize)]
pub struct TierReport {
    /// Of the plan; `top` is the first.
    pub name: String,
    /// How many.
    pub servers: usize,
    /// Of all of them, if their processes are known.
    pub cost: Option<Cost>,
    /// What their sockets towards what is below carried, UDP payload: out, in. None if one does not say.
    pub wire: Option<(u64, u64)>,
}

/// What became of a publication, at all clients that want it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Publication {
    /// Of the plan.
    pub name: String,
    /// What they received.
    pub receipts: u64,
    /// Bytes of content in that.
    pub content_bytes: u64,
    /// Seconds from the beginning of the run's publications to when the first item was due.
    pub begin: f64,
    /// The same to the last receipt; 0 if there is none.
    pub end: f64,
    /// From when an item was due to its receipt, in milliseconds.
    pub latency: Quantiles,
}

/// What processes took for the publication.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// Seconds of processor time.
    pub cpu_seconds: f64,
    /// The same for a million receipts.
    pub cpu_seconds_per_million: f64,
    /// The same for a gigabyte (10^9) of content in receipts.
    pub cpu_seconds_per_gb: f64,
    /// Most memory in RAM at any time, in bytes; of several processes the most of each.
    pub resident_bytes_max: u64,
    /// By how much memory in RAM was more than at the beginning, at most, in bytes.
    pub resident_bytes_grown: u64,
}

/// What links cost before anything was published.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct IdleCost {
    /// Seconds until all were connected, registered and answered.
    pub connecting_seconds: f64,
    /// The servers' processor time for that, in milliseconds for each client, if their processes are known.
    pub cpu_milliseconds_each: Option<f64>,
    /// The servers' memory, in KiB for each client.
    pub kib_each: Option<f64>,
}

/// A group of clients.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Of the plan.
    pub name: String,
    /// How many.
    pub clients: usize,
    /// What they received.
    pub receipts: u64,
    /// From when an item was due to its receipt, in milliseconds.
    pub latency: Quantiles,
    /// Quantiles and milliseconds, for a plot.
    pub curve: Vec<(f64, f64)>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are the quantiles")]
pub struct Quantiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// One look.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Point {
    /// Seconds.
    pub at: f64,
    /// Receipts so far.
    pub receipts: u64,
    /// Processor time of all servers so far, in seconds.
    pub server_cpu: f64,
    /// Their memory, in bytes.
    pub server_resident: u64,
}

impl Report {
    /// Puts together what was seen.
    pub fn of(plan: &Plan, ledger: &Ledger, made: &[Vec<Item>], seen: Seen) -> Self {
        let Seen { idle, begin, samples, wire, faults } = seen;
        let received: Vec<_> = (0..plan.clients.len()).map(|group| ledger.received(group)).collect();
        let sum = |field: fn(&Received) -> u64| received.iter().map(field).sum::<u64>();
        let receipts = sum(|group| group.receipts);
        let unasked = plan.clients.iter().zip(&received).filter(|(group, _)| !group.habit.may_repeat());
        let unasked: u64 = unasked.map(|(_, received)| received.repeats).sum();
        let (repeats, strangers) = (sum(|group| group.repeats), sum(|group| group.strangers));
        let (content_bytes, document_bytes) = (sum(|group| group.content_bytes), sum(|group| group.document_bytes));
        let spent = Spent::of(&samples, receipts, content_bytes);
        let expected = ledger.expected();
        let is_whole = receipts == expected || plan.seconds_max.is_some();
        let is_own = plan.server.address.is_none();
        let last_receipt = Duration::from_micros(received.iter().map(|group| group.last).max().unwrap_or_default());
        let clients: usize = plan.clients.iter().map(|group| group.count).sum();
        let group = |(number, group): (usize, &Clients)| {
            let latencies = ledger.latencies(number);
            Group {
                name: group.name.clone(),
                clients: group.count,
                receipts: received[number].receipts,
                latency: quantiles(&latencies),
                curve: curve(&latencies),
            }
        };
        Self {
            name: plan.name.clone(),
            time: jiff::Timestamp::now().to_string(),
            plan: plan.clone(),
            items: made.iter().map(Vec::len).sum(),
            good: is_whole && unasked == 0 && (strangers == 0 || !is_own) && faults.is_empty(),
            expected,
            receipts,
            repeats,
            strangers,
            faults,
            seconds: last_receipt.saturating_sub(begin).as_secs_f64(),
            content_bytes,
            document_bytes,
            server: spent.cost(Sample::servers),
            clients: spent.cost(|sample| sample.own),
            idle: idle.cost(clients),
            wire: wire.iter().copied().try_fold((0, 0), |sum, one| one.map(|one| (sum.0 + one.0, sum.1 + one.1))),
            tiers: tiers(plan, &spent, &wire),
            publications: publications(plan, ledger, begin),
            groups: plan.clients.iter().enumerate().map(group).collect(),
            timeline: samples.iter().map(Point::of).collect(),
        }
    }
}

/// From the first look to the one at which everything had been received, or to the last if nothing was.
struct Spent<'a> {
    samples: &'a [Sample],
    receipts: u64,
    content_bytes: u64,
}

impl<'a> Spent<'a> {
    fn of(samples: &'a [Sample], receipts: u64, content_bytes: u64) -> Self {
        let last =
            samples.iter().position(|sample| sample.receipts >= receipts.max(1)).map_or(samples.len(), |last| last + 1);
        Self { samples: &samples[..last], receipts, content_bytes }
    }

    /// What somebody took, if it is known.
    fn cost(&self, usage: impl Fn(&Sample) -> Option<Usage>) -> Option<Cost> {
        let (first, last) = (usage(self.samples.first()?)?, usage(self.samples.last()?)?);
        let most = self.samples.iter().filter_map(&usage).map(|usage| usage.resident).max().unwrap_or_default();
        let cpu_seconds = last.cpu.saturating_sub(first.cpu).as_secs_f64();
        Some(Cost {
            cpu_seconds,
            cpu_seconds_per_million: cpu_seconds / (self.receipts.max(1) as f64 / 1e6),
            cpu_seconds_per_gb: cpu_seconds / (self.content_bytes.max(1) as f64 / 1e9),
            resident_bytes_max: last.resident_max,
            resident_bytes_grown: most.saturating_sub(first.resident),
        })
    }
}

fn tiers(plan: &Plan, spent: &Spent<'_>, wire: &[Option<(u64, u64)>]) -> Vec<TierReport> {
    let below = plan.tier.iter().map(|tier| (tier.name.as_str(), tier.servers));
    let tiers = std::iter::once((TOP, 1)).chain(below).enumerate();
    let report = |(number, (name, servers)): (usize, (&str, usize))| TierReport {
        name: name.to_owned(),
        servers,
        cost: spent.cost(|sample| sample.tiers.get(number).copied().flatten()),
        wire: wire.get(number).copied().flatten(),
    };
    tiers.map(report).collect()
}

fn publications(plan: &Plan, ledger: &Ledger, begin: Duration) -> Vec<Publication> {
    let report = |(number, publish): (usize, &Publish)| {
        let received = ledger.received_of(number);
        let since = |at: Duration| at.saturating_sub(begin).as_secs_f64();
        Publication {
            name: publish.name.clone(),
            receipts: received.receipts,
            content_bytes: received.content_bytes,
            begin: since(ledger.begin_of(number)),
            end: since(Duration::from_micros(received.last)),
            latency: quantiles(&ledger.latencies_of(number)),
        }
    };
    plan.publish.iter().enumerate().map(report).collect()
}

impl Idle {
    fn cost(&self, clients: usize) -> IdleCost {
        let each = clients.max(1) as f64;
        let cpu = self.after.zip(self.before).map(|(after, before)| after.cpu.saturating_sub(before.cpu));
        let grown =
            |(resting, before): (Usage, Usage)| resting.resident.saturating_sub(before.resident) as f64 / 1024.0;
        IdleCost {
            connecting_seconds: self.connecting.as_secs_f64(),
            cpu_milliseconds_each: cpu.map(|cpu| cpu.as_secs_f64() * 1e3 / each),
            kib_each: self.resting.zip(self.before).map(|both| grown(both) / each),
        }
    }
}

impl Point {
    fn of(sample: &Sample) -> Self {
        let server = sample.servers().unwrap_or_default();
        Self {
            at: sample.at.as_secs_f64(),
            receipts: sample.receipts,
            server_cpu: server.cpu.as_secs_f64(),
            server_resident: server.resident,
        }
    }
}

fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1e3
}

fn quantiles(latencies: &Latencies) -> Quantiles {
    let at = |quantile| milliseconds(latencies.value_at_quantile(quantile));
    Quantiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: milliseconds(latencies.max()) }
}

fn curve(latencies: &Latencies) -> Vec<(f64, f64)> {
    let points = latencies
        .iter_quantiles(10)
        .map(|point| (point.quantile_iterated_to(), milliseconds(point.value_iterated_to())));
    if latencies.is_empty() { Vec::new() } else { points.collect() }
}
