//! Bytes as they cross this server's sockets, and what the uplink would have carried without it (P-10).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use link::traffic::{Meter, WireBytes};
use prometheus::{IntCounter, IntCounterVec};

use super::{New, advance};

/// The sockets on both sides of a server. An uplink that was left stays counted.
#[derive(Clone, Debug)]
pub(super) struct Sockets {
    meters: Arc<Mutex<Meters>>,
    wire: IntCounterVec,
    without_cache: IntCounter,
    with_cache: IntCounter,
}

#[derive(Debug, Default)]
struct Meters {
    down: Vec<Meter>,
    up: Vec<Meter>,
}

impl Sockets {
    pub(super) fn new(new: &New<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            meters: Arc::default(),
            wire: new.counters(
                "wire_bytes_total",
                "Bytes in UDP datagrams that crossed the sockets: side down is the links of clients, up is the uplinks.",
                &["side", "direction"],
            )?,
            without_cache: new.counter(
                "uplink_bytes_without_cache_total",
                "Bytes that the uplinks would have carried, both ways, had each client below dialled the upstream itself: \
                 what crossed the links of clients. 0 without upstream.",
            )?,
            with_cache: new.counter("uplink_bytes_with_cache_total", "Bytes that the uplinks carried, both ways.")?,
        })
    }

    fn meters(&self) -> MutexGuard<'_, Meters> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_down(&self, meter: Meter) {
        self.meters().down.push(meter);
    }

    pub(super) fn add_up(&self, meter: Meter) {
        self.meters().up.push(meter);
    }

    pub(super) fn update(&self) {
        let meters = self.meters();
        let (down, up) = (sum(&meters.down), sum(&meters.up));
        for (side, bytes) in [("down", down), ("up", up)] {
            advance(&self.wire.with_label_values(&[side, "in"]), bytes.received);
            advance(&self.wire.with_label_values(&[side, "out"]), bytes.sent);
        }
        if !meters.up.is_empty() {
            advance(&self.without_cache, down.received + down.sent);
            advance(&self.with_cache, up.received + up.sent);
        }
    }
}

fn sum(meters: &[Meter]) -> WireBytes {
    meters.iter().map(Meter::bytes).fold(WireBytes::default(), |sum, bytes| WireBytes {
        sent: sum.sent + bytes.sent,
        received: sum.received + bytes.received,
    })
}
