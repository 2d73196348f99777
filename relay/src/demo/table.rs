//! The tables that a person reads.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};

use super::journals::Journal;
use super::world::World;

/// Components named for each agent; the rest is counted.
const NAMED: usize = 3;

/// Per agent: what reached it, and through which component.
pub(super) fn agents(world: &World, journals: &[Journal]) -> String {
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    let head = ["agent", "components", "advisories", "through"];
    table.set_header(head.map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    for (product, journal) in world.products.iter().zip(journals) {
        let installed = product.lock.matches("[[package]]").count();
        let number = |number: usize| Cell::new(number).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(product.name),
            number(installed),
            number(journal.items()),
            Cell::new(through(journal)),
        ]);
    }
    table.to_string()
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
