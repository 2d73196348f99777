//! The tables that a person reads.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};

use super::edges::Edge;
use super::journals::Journal;
use super::world::{ISPS, World};

/// Components named for each agent; the rest is counted.
const NAMED: usize = 3;

/// Per agent: what reached it, and through which component.
pub(super) fn agents(world: &World, journals: &[Journal]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    let head = ["server", "agent", "components", "advisories", "verified", "through"];
    table.set_header(head.map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    for (device, journal) in world.devices.iter().zip(journals) {
        let installed = world.product(device).lock.matches("[[package]]").count();
        let number = |number: usize| Cell::new(number).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(ISPS[device.isp].1),
            Cell::new(&device.name),
            number(installed),
            number(journal.items()),
            number(journal.verified()),
            Cell::new(through(journal)),
        ]);
    }
    table.to_string()
}

/// What crossed each edge, and what it saved.
pub(super) fn edges(edges: &[Edge]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    let head = ["edge", "agents below", "bytes carried", "bytes without the tree", "saved"];
    table.set_header(head.map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    for edge in edges {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(edge.name),
            right(edge.agents.to_string()),
            right(grouped(edge.carried)),
            right(grouped(edge.direct)),
            right(format!("{:.1} %", edge.saved() * 100.0)),
        ]);
    }
    table.to_string()
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let (head, rest) = digits.split_at(first);
    let groups = rest.as_bytes().chunks(3).map(|group| String::from_utf8_lossy(group).into_owned());
    let groups = std::iter::once(head.to_owned()).filter(|head| !head.is_empty()).chain(groups);
    groups.collect::<Vec<_>>().join(" ")
}

fn through(journal: &Journal) -> String {
    let components = journal.components();
    if components.is_empty() {
        return "nothing concerns it, and nothing was sent".to_owned();
    }
    let named: Vec<String> = components
        .iter()
        .take(NAMED)
        .map(|(component, count)| if *count > 1 { format!("{component} ({count})") } else { component.clone() })
        .collect();
    match components.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}
