//! What crossed each edge of the tree, against what it would have been without the tree.

use super::world::{ISPS, VENDOR, World};
use crate::tree::scrape::{Metrics, page};

/// One edge between the vendor and an ISP.
pub(super) struct Edge {
    pub(super) name: &'static str,
    /// Agents behind it.
    pub(super) agents: usize,
    /// UDP payload that crossed it, both ways.
    pub(super) carried: u64,
    /// The same on the links of the agents behind it: without the ISP's server each of those would cross the edge.
    pub(super) direct: u64,
}

impl Edge {
    /// Which share the tree saved.
    pub(super) fn saved(&self) -> f64 {
        1.0 - self.carried as f64 / self.direct.max(1) as f64
    }
}

/// All edges, and the vendor's links together; as they were since the servers started.
pub(super) fn measure(world: &World) -> anyhow::Result<Vec<Edge>> {
    let mut edges = Vec::new();
    for (place, (server, name)) in ISPS.iter().enumerate() {
        let metrics = metrics(world, *server)?;
        let agents = world.devices.iter().filter(|device| device.isp == place).count();
        edges.push(Edge { name, agents, carried: wire(&metrics, "up"), direct: wire(&metrics, "down") });
    }
    let all = |of: fn(&Edge) -> u64| edges.iter().map(of).sum();
    let (agents, carried, direct) = (world.devices.len(), all(|edge| edge.carried), all(|edge| edge.direct));
    edges.push(Edge { name: "vendor, all ISPs", agents, carried, direct });
    Ok(edges)
}

/// Items that the vendor's server has pushed to ISPs, and they to agents.
pub(super) fn items(world: &World) -> anyhow::Result<(u64, u64)> {
    let pushed = |server| {
        let value = |name| metrics(world, server).map(|metrics| metrics.value(name, &[]).unwrap_or_default());
        Ok::<u64, anyhow::Error>(
            value("distributary_items_pushed_total")? + value("distributary_items_requested_total")?,
        )
    };
    let below = ISPS.iter().map(|(server, _)| pushed(*server)).sum::<anyhow::Result<u64>>()?;
    Ok((pushed(VENDOR)?, below))
}

fn metrics(world: &World, server: usize) -> anyhow::Result<Metrics> {
    let text = page(world.cast.world.admin(server), "/metrics");
    text.map(Metrics).ok_or_else(|| anyhow::anyhow!("a server shows no metrics"))
}

fn wire(metrics: &Metrics, side: &str) -> u64 {
    let of = |direction| metrics.value("distributary_wire_bytes_total", &[("side", side), ("direction", direction)]);
    of("in").unwrap_or_default() + of("out").unwrap_or_default()
}
