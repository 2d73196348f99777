//! The clients' side of one run: everybody connects, messages are published, receipts counted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt, stream};
use loadtest::sample::usage;
use serde::{Deserialize, Serialize};

use crate::peers::{Peer, Site};
use crate::tally::Tally;
use crate::workload::{Pace, Workload};

/// Subscribers that connect at once.
const DIALS_AT_ONCE: usize = 32;
/// Silence after everybody is connected.
pub const IDLE: Duration = Duration::from_secs(2);
/// So long nothing may come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What one run came to.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Messages received, each counted once for each subscriber; as many as there should be.
    pub receipts: u64,
    /// Bytes that the subscribers' application got.
    pub content_bytes: u64,
    /// Seconds from the first publication to the last receipt.
    pub seconds: f64,
    /// Seconds of the relay's processor time meanwhile.
    pub cpu_seconds: f64,
    /// Milliseconds from when a message was due to its receipt: the median.
    pub p50_ms: f64,
    /// The same: 99 of 100.
    pub p99_ms: f64,
    /// Most memory of the relay.
    pub resident_bytes_max: u64,
    /// What each connection added to the relay's memory, before anything was published.
    pub idle_kib: f64,
    /// Bytes on the wire towards the subscribers, all together.
    pub wire_bytes: u64,
}

/// Drives a peer.
///
/// # Errors
/// It loses a message, refuses somebody, or ends.
pub async fn drive<P: Peer>(site: &Site, workload: &Workload) -> anyhow::Result<Figures> {
    let tally = Arc::new(Tally::new(workload.payloads(&site.data)?, workload.clients)?);
    let mut publisher = P::publisher(site).await.context("the publisher cannot connect")?;
    let before = usage(site.pid).context("the relay has ended")?;
    stream::iter(0..workload.clients)
        .map(|number| P::subscribe(site, number, tally.inbox()))
        .buffer_unordered(DIALS_AT_ONCE)
        .try_collect::<()>()
        .await
        .context("a subscriber cannot connect")?;
    tokio::time::sleep(IDLE).await;

    let (wire, begin, resting) = (received_on_wire()?, Instant::now(), usage(site.pid).context("the relay has ended")?);
    let published = publish(&mut publisher, workload, &tally, begin).await;
    published.with_context(|| format!("after {} bytes on the wire", received_on_wire().unwrap_or(wire) - wire))?;
    let seconds = begin.elapsed().as_secs_f64();
    let after = usage(site.pid).context("the relay has ended")?;
    let clients = workload.clients as f64;
    let (receipts, content_bytes) = tally.received();
    Ok(Figures {
        receipts,
        content_bytes,
        seconds,
        cpu_seconds: after.cpu.saturating_sub(resting.cpu).as_secs_f64(),
        p50_ms: tally.latency(0.5),
        p99_ms: tally.latency(0.99),
        resident_bytes_max: after.resident_max,
        idle_kib: resting.resident.saturating_sub(before.resident) as f64 / 1024.0 / clients,
        wire_bytes: received_on_wire()? - wire,
    })
}

async fn publish<P: Peer>(publisher: &mut P, workload: &Workload, tally: &Tally, begin: Instant) -> anyhow::Result<()> {
    let count = tally.messages();
    for number in 0..count {
        let due = match workload.pace {
            Pace::Window(window) => {
                if let Some(oldest) = number.checked_sub(window) {
                    tally.received_by_all(oldest, PATIENCE).await?;
                }
                Instant::now()
            }
            Pace::Rate(rate) => {
                let due = begin + Duration::from_secs_f64(number as f64 / rate);
                tokio::time::sleep_until(due.into()).await;
                due
            }
        };
        publisher.publish(tally.publish(number, due)).await.context("a message cannot be published")?;
    }
    tally.received_by_all(count - 1, PATIENCE).await
}

/// Bytes that this namespace's end of the wire has received, with the headers of Ethernet and above. A train of segments
/// that the relay hands over as one counts as one, with one header.
///
/// # Errors
/// The kernel does not say.
pub fn received_on_wire() -> anyhow::Result<u64> {
    let table = std::fs::read_to_string("/proc/self/net/dev")?;
    let devices = table.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    devices.map(|(_, counters)| Ok(counters.split_whitespace().next().context("no counter")?.parse::<u64>()?)).sum()
}
