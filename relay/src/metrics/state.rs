//! What is read off the machines when somebody asks.

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::fanout::FanoutSeconds;
use super::{New, advance};
use crate::driver::Snapshot;
use crate::store::thread::Counters as StoreCounters;

#[derive(Clone, Debug)]
pub(super) struct State {
    links: IntGauge,
    clients: IntGauge,
    stale: IntGauge,
    subscriptions: IntGauge,
    items: IntGauge,
    barred: IntGauge,
    head: IntGauge,
    queued: IntGauge,
    unanswered: IntGauge,
    lagging: IntGauge,
    accepted: IntCounter,
    duplicates: IntCounter,
    evicted: IntCounter,
    trimmed: IntCounter,
    damaged: IntCounter,
    refused: IntCounterVec,
    behind: IntCounter,
    pushed: IntCounter,
    pushed_bytes: IntCounter,
    bundles: IntCounter,
    taken: IntCounterVec,
    fanout: FanoutSeconds,
    messages: IntCounterVec,
    above: Above,
    commits: IntCounter,
    commit_failures: IntCounter,
    commit_seconds: prometheus::Counter,
}

/// What a local server has to do with its upstreams; all zero at a server without.
#[derive(Clone, Debug)]
struct Above {
    uplinks: IntGauge,
    connected: IntGauge,
    synchronised: IntGauge,
    staleness: prometheus::Gauge,
    wants: IntGauge,
    parked: IntGauge,
    cache: IntCounterVec,
    coalesced: IntCounter,
}

impl State {
    pub(super) fn new(new: &New<'_>) -> prometheus::Result<Self> {
        let answered = "Messages of clients, by what they ask for and how they were answered.";
        Ok(Self {
            links: new.gauge("links", "Live links of clients.")?,
            clients: new.gauge("registered_clients", "Clients with a registration.")?,
            stale: new.gauge("stale_clients", "Clients without contact for longer than they should be.")?,
            subscriptions: new.gauge("subscriptions", "Standing subscriptions of all clients.")?,
            items: new.gauge("items", "Items on offer.")?,
            barred: new.gauge("items_barred", "Items kept that may not go on, because of who has signed them.")?,
            head: new.gauge("log_position", "Last position of the log.")?,
            queued: new.gauge("items_queued", "Items that wait to be pushed.")?,
            unanswered: new.gauge("items_unanswered", "Items pushed and not answered yet.")?,
            lagging: new.gauge("links_lagging", "Links that are read from the log because they do not keep up.")?,
            accepted: new.counter("items_accepted_total", "Items accepted into the log.")?,
            duplicates: new.counter("items_duplicate_total", "Delivered items that repeated what was there.")?,
            evicted: new.counter("items_evicted_total", "Replaced items that left the log because it was full.")?,
            trimmed: new.counter("items_trimmed_total", "Oldest items that left the log because it was full.")?,
            damaged: new
                .counter("items_damaged_total", "Items lost because the log has other bytes than were stored.")?,
            refused: new.counters("items_refused_total", "Delivered items refused by the trust file.", &["reason"])?,
            behind: new.counter("links_behind_total", "Clients told that they must ask again for everything.")?,
            pushed: new.counter("items_pushed_total", "Items pushed to clients.")?,
            pushed_bytes: new.counter("item_bytes_pushed_total", "Bytes of the items pushed to clients.")?,
            bundles: new.counter("bundles_pushed_total", "Documents in which items were pushed.")?,
            taken: new.counters("items_answered_total", "Pushed items by the client's answer.", &["outcome"])?,
            fanout: FanoutSeconds::new(new)?,
            messages: new.counters("messages_answered_total", answered, &["major", "minor", "status"])?,
            above: Above::new(new)?,
            commits: new.counter("store_commits_total", "Commits of the store.")?,
            commit_failures: new.counter("store_commit_failures_total", "Commits that failed.")?,
            commit_seconds: new.seconds("store_commit_seconds_total", "Time spent in commits.")?,
        })
    }

    pub(super) fn update(&self, snapshot: &Snapshot, store: &StoreCounters) {
        set(&self.links, snapshot.connected as u64);
        set(&self.clients, snapshot.registered as u64);
        set(&self.stale, snapshot.stale as u64);
        set(&self.subscriptions, snapshot.subscriptions as u64);
        set(&self.items, snapshot.items as u64);
        set(&self.barred, snapshot.barred as u64);
        set(&self.head, snapshot.head);
        let shard = &snapshot.shard;
        set(&self.queued, shard.queued);
        set(&self.unanswered, shard.unanswered);
        set(&self.lagging, shard.lagging);
        advance(&self.pushed, shard.items);
        advance(&self.pushed_bytes, shard.item_bytes);
        advance(&self.bundles, shard.bundles);
        advance(&self.taken.with_label_values(&["taken"]), shard.taken);
        advance(&self.taken.with_label_values(&["refused"]), shard.refused);
        self.fanout.set(shard.fanout);
        let engine = &snapshot.engine;
        advance(&self.accepted, engine.accepted);
        advance(&self.duplicates, engine.duplicates);
        advance(&self.evicted, engine.evicted);
        advance(&self.trimmed, engine.trimmed);
        advance(&self.damaged, engine.damaged);
        advance(&self.behind, engine.behind);
        for (reason, count) in &engine.refused {
            advance(&self.refused.with_label_values(&[*reason]), *count);
        }
        for ((major, minor, status), count) in &engine.answered {
            advance(&self.messages.with_label_values(&[*major, *minor, *status]), *count);
        }
        self.above.update(snapshot);
        advance(&self.commits, store.commits());
        advance(&self.commit_failures, store.failures());
        let seconds = store.commit_micros() as f64 / 1e6;
        self.commit_seconds.inc_by((seconds - self.commit_seconds.get()).max(0.0));
    }
}

impl Above {
    fn new(new: &New<'_>) -> prometheus::Result<Self> {
        let staleness = "For how long an upstream, the worst of all, may have had something that is not here: since it was \
                         last connected with everything of it here, or since this server started.";
        let cache = "Requests of clients by whether all that they ask for was here; a miss may be more at an upstream.";
        Ok(Self {
            uplinks: new.gauge("uplinks", "Upstreams that this server is configured under.")?,
            connected: new.gauge("uplinks_connected", "Upstreams to which a link stands.")?,
            synchronised: new.gauge("uplinks_synchronised", "Upstreams of which all that was asked for is here.")?,
            staleness: new.fraction("staleness_seconds", staleness)?,
            wants: new.gauge("wants_asked", "Subscriptions that upstreams hold for this server.")?,
            parked: new.gauge("requests_waiting", "Requests of clients that wait for an upstream's answer.")?,
            cache: new.counters("cache_requests_total", cache, &["outcome"])?,
            coalesced: new.counter(
                "requests_coalesced_total",
                "Misses that waited for what others had asked the upstream for already.",
            )?,
        })
    }

    fn update(&self, snapshot: &Snapshot) {
        set(&self.uplinks, snapshot.upstreams as u64);
        set(&self.connected, snapshot.uplinks_connected as u64);
        set(&self.synchronised, snapshot.uplinks_synchronised as u64);
        self.staleness.set(snapshot.staleness.as_secs_f64());
        set(&self.wants, snapshot.wants_asked as u64);
        set(&self.parked, snapshot.parked as u64);
        advance(&self.cache.with_label_values(&["hit"]), snapshot.engine.cache_hits);
        advance(&self.cache.with_label_values(&["miss"]), snapshot.engine.cache_misses);
        advance(&self.coalesced, snapshot.engine.coalesced);
    }
}

fn set(gauge: &IntGauge, value: u64) {
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
