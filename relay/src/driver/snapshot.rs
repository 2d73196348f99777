//! What the driver lets others see.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use node::engine::{self, Engine};
use node::shard::{self, Shard};
use node::uplink::Uplink;

/// What the driver lets others see; refreshed four times a second at most.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Counts snapshots.
    pub number: u64,
    /// Live links.
    pub connected: usize,
    /// Clients with a registration.
    pub registered: usize,
    /// Of these, how many have been silent for too long.
    pub stale: usize,
    /// Their standing subscriptions.
    pub subscriptions: usize,
    /// Upstreams that this server is configured under.
    pub upstreams: usize,
    /// Of these, how many links stand.
    pub uplinks_connected: usize,
    /// And how many have brought everything that was asked for.
    pub uplinks_synchronised: usize,
    /// Wants that upstreams have.
    pub wants_asked: usize,
    /// For how long the longest, an upstream may have something new that is not here.
    pub staleness: Duration,
    /// Requests that wait for upstreams.
    pub parked: usize,
    /// Items on offer.
    pub items: usize,
    /// Items that are kept and may not go on, because of who has signed them.
    pub barred: usize,
    /// The log's last position.
    pub head: u64,
    /// The engine's counts.
    pub engine: engine::Totals,
    /// The shard's counts.
    pub shard: shard::Totals,
    /// Why nothing is accepted any more, if so.
    pub broken: Option<String>,
}

/// The last snapshot, shared.
pub type Shared = Arc<Mutex<Snapshot>>;

impl Snapshot {
    /// What the machines say now; how stale it all is, only the driver knows.
    pub(super) fn of(number: u64, engine: &Engine, shard: &Shard) -> Self {
        let uplinks = |holds: fn(&Uplink) -> bool| engine.uplinks().filter(|uplink| holds(uplink)).count();
        Self {
            number,
            connected: engine.connected(),
            registered: engine.registered(),
            subscriptions: engine.subscriptions().len(),
            upstreams: engine.uplinks().count(),
            uplinks_connected: uplinks(Uplink::is_connected),
            uplinks_synchronised: uplinks(Uplink::is_synchronised),
            wants_asked: engine.uplinks().map(Uplink::asked).sum(),
            parked: engine.parked(),
            items: engine.catalogue().len() - engine.catalogue().barred(),
            barred: engine.catalogue().barred(),
            head: engine.catalogue().head().0,
            engine: engine.totals().clone(),
            shard: shard.totals(),
            broken: engine.broken().map(str::to_owned),
            ..Self::default()
        }
    }
}
