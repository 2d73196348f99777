//! A report as tables for people.

use comfy_table::{Cell, CellAlignment, Table, presets};

use super::{Quantiles, Report, TierReport};

impl Report {
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
            row("servers: processor time", format!("{:.2} s", server.cpu_seconds));
            row("  for a million receipts", format!("{:.2} s", server.cpu_seconds_per_million));
            row("  for a GB of content", format!("{:.3} s", server.cpu_seconds_per_gb));
            row("servers: most memory", format!("{:.1} MiB", server.resident_bytes_max as f64 / 1_048_576.0));
        }
        if let Some(clients) = &self.clients {
            row("clients: processor time", format!("{:.2} s", clients.cpu_seconds));
        }
        row("connecting", format!("{:.2} s", self.idle.connecting_seconds));
        if let (Some(cpu), Some(kib)) = (self.idle.cpu_milliseconds_each, self.idle.kib_each) {
            row("  servers: processor time for each", format!("{cpu:.2} ms"));
            row("  servers: memory for each, idle", format!("{kib:.1} KiB"));
        }
        if let Some((out, into)) = self.wire {
            let ratio = out as f64 / self.content_bytes.max(1) as f64;
            row("wire, out", format!("{:.1} MB ({ratio:.3} of content)", out as f64 / 1e6));
            row("wire, in", format!("{:.1} MB", into as f64 / 1e6));
        }
        for fault in self.faults.iter().take(5) {
            row("fault", fault.clone());
        }
        let parts = [self.name.clone(), format!("{table}\n"), self.latency_table().to_string()];
        let tiers = (self.tiers.len() > 1).then(|| format!("\n{}", self.tier_table()));
        parts.into_iter().chain(tiers).collect::<Vec<_>>().join("\n")
    }

    /// For each group of clients, and for each publication if there are several: a group that wants them all tells
    /// them not apart.
    fn latency_table(&self) -> Table {
        let mut table = table(&["latency, ms", "clients", "receipts", "p50", "p90", "p99", "p99.9", "max"]);
        let mut row = |head: [String; 3], latency: Quantiles| {
            let Quantiles { p50, p90, p99, p999, max } = latency;
            let times = [p50, p90, p99, p999, max].map(|time| format!("{time:.2}"));
            table.add_row(head.into_iter().chain(times));
        };
        for group in &self.groups {
            row([group.name.clone(), group.clients.to_string(), group.receipts.to_string()], group.latency);
        }
        for publication in self.publications.iter().filter(|_| self.publications.len() > 1) {
            row(
                [format!("of {}", publication.name), String::new(), publication.receipts.to_string()],
                publication.latency,
            );
        }
        table
    }

    fn tier_table(&self) -> Table {
        let mut table =
            table(&["tier", "servers", "processor time, s", "s/million", "memory, MiB", "out, MB", "in, MB"]);
        for TierReport { name, servers, cost, wire } in &self.tiers {
            let of = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
            table.add_row([
                name.clone(),
                servers.to_string(),
                of(cost.map(|cost| cost.cpu_seconds)),
                of(cost.map(|cost| cost.cpu_seconds_per_million)),
                of(cost.map(|cost| cost.resident_bytes_max as f64 / 1_048_576.0)),
                of(wire.map(|wire| wire.0 as f64 / 1e6)),
                of(wire.map(|wire| wire.1 as f64 / 1e6)),
            ]);
        }
        table
    }
}

/// An empty table whose numbers stand at the right.
fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN);
    table.set_header(head);
    (1..head.len())
        .filter_map(|column| table.column_mut(column).map(|column| column.set_cell_alignment(CellAlignment::Right)))
        .for_each(drop);
    table
}
