//! What came of a run: for people, for programs, and for plots.

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, Table, presets};
use serde::Serialize;

use crate::items::Item;
use crate::ledger::{Latencies, Ledger, Received};
use crate::plan::{Clients, Plan};
use crate::sample::{Sample, Usage};

/// How the links came to be, and what they cost while nothing happened.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Time until all were connected and answered.
    pub connecting: Duration,
    /// The server before the first, if its process is known.
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
    /// Bytes of the server's sockets towards clients meanwhile: out, in.
    pub wire: Option<(u64, u64)>,
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
    /// Whether nothing was missing, nothing came twice on a link that stood, no link failed, and a server that was started for
    /// this run had nothing else.
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
    /// Of the server, if its process is known.
    pub server: Option<Cost>,
    /// Of the clients and providers, which are one process.
    pub clients: Option<Cost>,
    /// What links cost before anything was published.
    pub idle: IdleCost,
    /// Bytes that the server's sockets towards clients carried, UDP payload: out, in. None if it does not say.
    pub wire: Option<(u64, u64)>,
    /// For each group of clients.
    pub groups: Vec<Group>,
    /// Ten times a second.
    pub timeline: Vec<Point>,
}

/// What a process took for the publication.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// Seconds of processor time.
    pub cpu_seconds: f64,
    /// The same for a million receipts.
    pub cpu_seconds_per_million: f64,
    /// The same for a gigabyte (10^9) of content in receipts.
    pub cpu_seconds_per_gb: f64,
    /// Most memory in RAM at any time, in bytes.
    pub resident_bytes_max: u64,
}

/// What links cost before anything was published.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct IdleCost {
    /// Seconds until all were connected, registered and answered.
    pub connecting_seconds: f64,
    /// The server's processor time for that, in milliseconds for each, if its process is known.
    pub cpu_milliseconds_each: Option<f64>,
    /// The server's memory, in KiB for each.
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
#[derive(Clone, Copy, Debug, Default, Serialize)]
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
    /// The server's processor time so far, in seconds.
    pub server_cpu: f64,
    /// The server's memory, in bytes.
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
        let first = samples.first().copied().unwrap_or_default();
        let last =
            samples.iter().find(|sample| sample.receipts >= receipts).or(samples.last()).copied().unwrap_or_default();
        let cost = |usage: fn(&Sample) -> Option<Usage>| {
            let (first, last) = (usage(&first)?, usage(&last)?);
            let cpu_seconds = last.cpu.saturating_sub(first.cpu).as_secs_f64();
            Some(Cost {
                cpu_seconds,
                cpu_seconds_per_million: cpu_seconds / (receipts.max(1) as f64 / 1e6),
                cpu_seconds_per_gb: cpu_seconds / (content_bytes.max(1) as f64 / 1e9),
                resident_bytes_max: last.resident_max,
            })
        };
        let expected = ledger.expected();
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
            good: receipts == expected && unasked == 0 && (strangers == 0 || !is_own) && faults.is_empty(),
            expected,
            receipts,
            repeats,
            strangers,
            faults,
            seconds: last_receipt.saturating_sub(begin).as_secs_f64(),
            content_bytes,
            document_bytes,
            server: cost(|sample| sample.server),
            clients: cost(|sample| sample.own),
            idle: idle.cost(clients),
            wire,
            groups: plan.clients.iter().enumerate().map(group).collect(),
            timeline: samples.iter().map(Point::of).collect(),
        }
    }

    /// A table for people.
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        let mut row = |name: &str, value: String| {
            table.add_row([Cell::new(name), Cell::new(value).set_alignment(CellAlignment::Right)]);
        };
        row("items published", self.items.to_string());
        row("receipts", format!("{} of {}", self.receipts, self.expected));
        row("repeated, unknown", format!("{}, {}", self.repeats, self.strangers));
        row("from the first item to the last receipt", format!("{:.2} s", self.seconds));
        row("receipts a second", format!("{:.0}", self.receipts as f64 / self.seconds.max(1e-9)));
        row("content received", format!("{:.1} MB", self.content_bytes as f64 / 1e6));
        if let Some(server) = &self.server {
            row("server: processor time", format!("{:.2} s", server.cpu_seconds));
            row("  for a million receipts", format!("{:.2} s", server.cpu_seconds_per_million));
            row("  for a GB of content", format!("{:.3} s", server.cpu_seconds_per_gb));
            row("server: most memory", format!("{:.1} MiB", server.resident_bytes_max as f64 / 1_048_576.0));
        }
        if let Some(clients) = &self.clients {
            row("clients: processor time", format!("{:.2} s", clients.cpu_seconds));
        }
        row("connecting", format!("{:.2} s", self.idle.connecting_seconds));
        if let (Some(cpu), Some(kib)) = (self.idle.cpu_milliseconds_each, self.idle.kib_each) {
            row("  server: processor time for each", format!("{cpu:.2} ms"));
            row("  server: memory for each, idle", format!("{kib:.1} KiB"));
        }
        if let Some((out, into)) = self.wire {
            let ratio = out as f64 / self.content_bytes.max(1) as f64;
            row("wire, out", format!("{:.1} MB ({ratio:.3} of content)", out as f64 / 1e6));
            row("wire, in", format!("{:.1} MB", into as f64 / 1e6));
        }
        for fault in self.faults.iter().take(5) {
            row("fault", fault.clone());
        }
        format!("{}\n{table}\n\n{}", self.name, self.latency_table())
    }

    fn latency_table(&self) -> Table {
        let mut table = Table::new();
        table.load_preset(presets::ASCII_MARKDOWN);
        table.set_header(["latency, ms", "clients", "receipts", "p50", "p90", "p99", "p99.9", "max"]);
        for group in &self.groups {
            let Quantiles { p50, p90, p99, p999, max } = group.latency;
            let times = [p50, p90, p99, p999, max].map(|time| format!("{time:.2}"));
            let head = [group.name.clone(), group.clients.to_string(), group.receipts.to_string()];
            table.add_row(head.into_iter().chain(times));
        }
        (1..8)
            .filter_map(|column| table.column_mut(column).map(|column| column.set_cell_alignment(CellAlignment::Right)))
            .for_each(drop);
        table
    }
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
        let server = sample.server.unwrap_or_default();
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
