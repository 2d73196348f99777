//! Metrics for Prometheus: names by its conventions, label sets bounded, never a GUID (R-8.3-8, P-9).

use std::sync::{Arc, Mutex, PoisonError};

use link::traffic::Counters;
use prometheus::{Encoder, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use schemas::error::{ErrorKind, Refused};

use crate::driver::Snapshot;
use crate::store::thread::Counters as StoreCounters;

/// The handles that tasks count with, and the registry behind them.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    pub(crate) handshakes_failed: IntCounter,
    pub(crate) documents_in: IntCounter,
    pub(crate) items_answered: IntCounter,
    documents_refused: IntCounterVec,
    link_bytes: IntCounterVec,
    messages: IntCounterVec,
    state: State,
    /// One scrape at a time: counters follow totals by reading and adding.
    scrape: Arc<Mutex<()>>,
}

/// What is read off the machines when somebody asks.
#[derive(Clone, Debug)]
struct State {
    links: IntGauge,
    clients: IntGauge,
    stale: IntGauge,
    subscriptions: IntGauge,
    items: IntGauge,
    head: IntGauge,
    queued: IntGauge,
    unanswered: IntGauge,
    lagging: IntGauge,
    accepted: IntCounter,
    duplicates: IntCounter,
    behind: IntCounter,
    pushed: IntCounter,
    pushed_bytes: IntCounter,
    bundles: IntCounter,
    taken: IntCounterVec,
    commits: IntCounter,
    commit_failures: IntCounter,
    commit_seconds: prometheus::Counter,
}

impl Metrics {
    /// A registry of its own: several servers fit into one process.
    ///
    /// # Errors
    /// A name that is taken twice, which a test excludes.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| {
            let metric = IntCounter::new(format!("distributary_{name}"), help)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(format!("distributary_{name}"), help)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let family = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(format!("distributary_{name}"), help), labels)?;
            registry.register(Box::new(metric.clone())).map(|()| metric)
        };
        let commit_seconds =
            prometheus::Counter::new("distributary_store_commit_seconds_total", "Time spent in commits.")?;
        registry.register(Box::new(commit_seconds.clone()))?;
        let state = State {
            links: gauge("links", "Live links.")?,
            clients: gauge("registered_clients", "Clients with a registration.")?,
            stale: gauge("stale_clients", "Clients without contact for longer than they should be.")?,
            subscriptions: gauge("subscriptions", "Standing subscriptions of all clients.")?,
            items: gauge("items", "Items on offer.")?,
            head: gauge("log_position", "Last position of the log.")?,
            queued: gauge("items_queued", "Items that wait to be pushed.")?,
            unanswered: gauge("items_unanswered", "Items pushed and not answered yet.")?,
            lagging: gauge("links_lagging", "Links that are read from the log because they do not keep up.")?,
            accepted: counter("items_accepted_total", "Items accepted into the log.")?,
            duplicates: counter("items_duplicate_total", "Delivered items that repeated what was there.")?,
            behind: counter("links_behind_total", "Clients told that they must ask again for everything.")?,
            pushed: counter("items_pushed_total", "Items pushed to clients.")?,
            pushed_bytes: counter("item_bytes_pushed_total", "Bytes of the items pushed to clients.")?,
            bundles: counter("bundles_pushed_total", "Documents in which items were pushed.")?,
            taken: family("items_answered_total", "Pushed items by the client's answer.", &["outcome"])?,
            commits: counter("store_commits_total", "Commits of the store.")?,
            commit_failures: counter("store_commit_failures_total", "Commits that failed.")?,
            commit_seconds,
        };
        Ok(Self {
            handshakes_failed: counter("handshakes_failed_total", "Connections that did not become links.")?,
            documents_in: counter("documents_received_total", "Documents that opened an exchange.")?,
            items_answered: counter("items_requested_total", "Items sent because they were asked for.")?,
            documents_refused: family("documents_refused_total", "Documents refused, by the layer.", &["layer"])?,
            link_bytes: family("link_frame_bytes_total", "Bytes of frames on links that ended.", &["direction"])?,
            messages: family("messages_answered_total", "Messages by major and answer.", &["major", "status"])?,
            state,
            scrape: Arc::default(),
            registry,
        })
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

    /// Adds the bytes of a link that ended.
    pub(crate) fn add_link(&self, counters: Counters) {
        self.link_bytes.with_label_values(&["in"]).inc_by(counters.received);
        self.link_bytes.with_label_values(&["out"]).inc_by(counters.sent);
    }

    /// The exposition text, with what the machines say now.
    ///
    /// # Errors
    /// What the encoder says.
    pub fn render(&self, snapshot: &Snapshot, store: &StoreCounters) -> prometheus::Result<String> {
        let scrape = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.update(snapshot, store);
        drop(scrape);
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    fn update(&self, snapshot: &Snapshot, store: &StoreCounters) {
        let state = &self.state;
        let set = |gauge: &IntGauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        set(&state.links, snapshot.connected as u64);
        set(&state.clients, snapshot.registered as u64);
        set(&state.stale, snapshot.stale as u64);
        set(&state.subscriptions, snapshot.subscriptions as u64);
        set(&state.items, snapshot.items as u64);
        set(&state.head, snapshot.head);
        set(&state.queued, snapshot.shard.queued);
        set(&state.unanswered, snapshot.shard.unanswered);
        set(&state.lagging, snapshot.shard.lagging);
        advance(&state.accepted, snapshot.engine.accepted);
        advance(&state.duplicates, snapshot.engine.duplicates);
        advance(&state.behind, snapshot.engine.behind);
        advance(&state.pushed, snapshot.shard.items);
        advance(&state.pushed_bytes, snapshot.shard.item_bytes);
        advance(&state.bundles, snapshot.shard.bundles);
        advance(&state.taken.with_label_values(&["taken"]), snapshot.shard.taken);
        advance(&state.taken.with_label_values(&["refused"]), snapshot.shard.refused);
        advance(&state.commits, store.commits());
        advance(&state.commit_failures, store.failures());
        let seconds = store.commit_micros() as f64 / 1e6;
        state.commit_seconds.inc_by((seconds - state.commit_seconds.get()).max(0.0));
        for ((major, status), count) in &snapshot.engine.answered {
            advance(&self.messages.with_label_values(&[*major, *status]), *count);
        }
    }
}

/// A counter follows a total that only grows.
fn advance(counter: &IntCounter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}
