//! The bounds of an engine, and who it is.

use std::time::Duration;

use schemas::class::Class;
use schemas::guid::ServerGuid;
use schemas::mark::Mark;

use crate::uplink;

/// Every bound of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This node's GUID.
    pub server: ServerGuid,
    /// How many shards own its links.
    pub shards: usize,
    /// Items kept on offer; older ones are trimmed, and who may have missed one is told that it is behind.
    pub items_max: usize,
    /// Bytes of the items kept on offer, in the log; likewise.
    pub items_bytes_max: u64,
    /// Exchanges remembered to recognise repeated ones.
    pub seen_max: usize,
    /// For how long.
    pub seen_for: Duration,
    /// How long a registration lasts without contact.
    pub lease: Duration,
    /// Subscriptions of one client.
    pub subscriptions_max: usize,
    /// Clients below local servers.
    pub below_max: usize,
    /// Bytes in memory for them together.
    pub below_bytes_max: usize,
    /// Bytes of one item: a document's limit less the envelope that it is passed on in.
    pub item_bytes_max: usize,
    /// Bytes of an item that is critical or normal; a longer one is bulk, however severe.
    pub small_bytes_max: usize,
    /// Items looked up for a link in one step.
    pub stretch_items: usize,
    /// How long an item is kept at least, whatever the bounds say: with a cache of nothing, what passes through must
    /// reach those whom it is for (R-8.2.2-15).
    pub transit: Duration,
    /// How others see this node on the way to the top.
    pub mark: Mark,
    /// Random, for delays.
    pub entropy: u64,
    /// The upstreams of a local server.
    pub upstreams: Vec<uplink::Config>,
}

/// Room for the envelope around one item: header and namespaces, with a margin.
pub const ENVELOPE_BYTES_MAX: usize = 4 << 10;

impl Config {
    /// The defaults of design.md for this server.
    pub fn new(server: ServerGuid) -> Self {
        Self {
            server,
            shards: 1,
            items_max: 1_000_000,
            items_bytes_max: 64 << 30,
            seen_max: 1_000_000,
            seen_for: Duration::from_secs(24 * 3600),
            lease: Duration::from_secs(90 * 24 * 3600),
            subscriptions_max: 1024,
            below_max: 1_000_000,
            below_bytes_max: 1 << 30,
            item_bytes_max: (64 << 20) - ENVELOPE_BYTES_MAX,
            small_bytes_max: 256 << 10,
            stretch_items: 256,
            transit: Duration::ZERO,
            mark: Mark::of(server.0),
            entropy: 0,
            upstreams: Vec::new(),
        }
    }

    /// The lane of an item that is so urgent and has so many bytes. Size before severity: what is long would stand in the
    /// way of what is urgent.
    pub fn class_of(&self, urgency: Class, bytes: usize) -> Class {
        if bytes > self.small_bytes_max { Class::Bulk } else { urgency }
    }
}
