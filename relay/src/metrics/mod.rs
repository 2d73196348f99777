//! Metrics for Prometheus: names by its conventions, label sets bounded, never a GUID (R-8.3-8, P-9). What each one means
//! stands in `docs/metrics.md` as well.

mod fanout;
mod sockets;
mod state;

use std::sync::{Arc, Mutex, PoisonError};

use link::traffic::Meter;
use prometheus::core::Collector;
use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use schemas::error::{ErrorKind, Refused};

use crate::driver::Snapshot;
use crate::store::thread::Counters as StoreCounters;

use self::sockets::Sockets;
use self::state::State;

/// The handles that tasks count with, and the registry behind them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    pub(crate) handshakes_failed: IntCounter,
    pub(crate) documents_in: IntCounter,
    pub(crate) documents_read: IntCounter,
    pub(crate) items_answered: IntCounter,
    documents_refused: IntCounterVec,
    sockets: Sockets,
    state: State,
    /// One scrape at a time: counters follow totals by reading and adding.
    scrape: Arc<Mutex<()>>,
}

impl Metrics {
    /// A registry of its own: several servers fit into one process.
    ///
    /// # Errors
    /// A name that is taken twice, which a test excludes.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let new = New(&registry);
        Ok(Self {
            handshakes_failed: new.counter("handshakes_failed_total", "Connections that did not become links.")?,
            documents_in: new.counter("documents_received_total", "Documents that opened an exchange.")?,
            documents_read: new.counter(
                "documents_read_total",
                "Documents read and checked: of equal ones that come at the same time, one.",
            )?,
            items_answered: new.counter("items_requested_total", "Items sent because they were asked for.")?,
            documents_refused: new.counters(
                "documents_refused_total",
                "Documents refused, by the layer that did.",
                &["layer"],
            )?,
            sockets: Sockets::new(&new)?,
            state: State::new(&new)?,
            scrape: Arc::default(),
            registry,
        })
    }

    /// The socket on which clients' links are.
    pub(crate) fn add_down(&self, meter: Meter) {
        self.sockets.add_down(meter);
    }

    /// The socket on which the link to an upstream is.
    pub(crate) fn add_up(&self, meter: Meter) {
        self.sockets.add_up(meter);
    }

    /// Counts a refused document.
    pub(crate) fn refused(&self, refused: &Refused) {
        let layer = match refused.error.kind {
            ErrorKind::Encoding(_) => "encoding",
            ErrorKind::NotWellFormed(_) => "well_formedness",
            ErrorKind::Limit { .. } => "limit",
            ErrorKind::Grammar(_) => "grammar",
        };
        self.documents_refused.with_label_values(&[layer]).inc();
    }

    /// The exposition text, with what the machines say now.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn render(&self, snapshot: &Snapshot, store: &StoreCounters) -> prometheus::Result<String> {
        let scrape = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.update(snapshot, store);
        self.sockets.update();
        drop(scrape);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// Makes metrics with their prefix, and registers them.
struct New<'a>(&'a Registry);

impl New<'_> {
    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::new(full(name), help)?)
    }

    fn seconds(&self, name: &str, help: &str) -> prometheus::Result<prometheus::Counter> {
        self.add(prometheus::Counter::new(full(name), help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::new(full(name), help)?)
    }

    fn fraction(&self, name: &str, help: &str) -> prometheus::Result<prometheus::Gauge> {
        self.add(prometheus::Gauge::new(full(name), help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(full(name), help), labels)?)
    }

    fn add<M: Collector + Clone + 'static>(&self, metric: M) -> prometheus::Result<M> {
        self.0.register(Box::new(metric.clone())).map(|()| metric)
    }
}

fn full(name: &str) -> String {
    format!("distributary_{name}")
}

/// A counter follows a total that only grows.
fn advance(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prometheus::proto::MetricType;

    use super::*;

    /// (name, type) of every metric.
    fn metrics() -> BTreeSet<(String, String)> {
        let metrics = Metrics::new().expect("no name is taken twice");
        metrics.documents_refused.with_label_values(&["limit"]).inc();
        let mut snapshot = Snapshot::default();
        snapshot.engine.answered.insert(("register", "none", "failed"), 1);
        snapshot.engine.refused.insert("source", 1);
        metrics.state.update(&snapshot, &StoreCounters::default());
        metrics.sockets.update();
        let kind = |kind: MetricType| match kind {
            MetricType::COUNTER => "counter",
            MetricType::GAUGE => "gauge",
            MetricType::HISTOGRAM => "histogram",
            MetricType::SUMMARY | MetricType::UNTYPED => "another",
        };
        let families = metrics.registry.gather();
        families.iter().map(|family| (family.name().to_owned(), kind(family.get_field_type()).to_owned())).collect()
    }

    #[test]
    fn the_documentation_names_every_metric() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let text = std::fs::read_to_string(path).expect("the documentation");
        let row = |line: &str| {
            let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
            Some((full(name), rest.split_once(" | ")?.0.to_owned()))
        };
        let documented: BTreeSet<_> = text.lines().filter_map(row).collect();
        assert_eq!(documented, metrics());
    }
}
