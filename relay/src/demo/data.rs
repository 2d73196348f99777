//! What the demo publishes, in parts, and the right answers.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::tree::builtin;

/// A component, its version, and the advisory that applies to it.
pub(super) type Reason = (String, String, String);

const EXPECTED: &[u8] = include_bytes!("../tree/data/expected.json.gz");

/// The advisories in parts, as JSON lines: the first half, and two quarters. Each line says that it is added: a file
/// without that would be taken for the whole database, and what it lacks for withdrawn.
pub(super) fn publications() -> anyhow::Result<[String; PARTS]> {
    let text = builtin::advisories()?;
    let lines: Vec<&str> = text.lines().collect();
    let (first, rest) = lines.split_at(lines.len() / 2);
    let (second, third) = rest.split_at(rest.len() / 2);
    let added = |line: &&str| line.strip_prefix('{').map(|fields| format!("{{\"op\":\"add\",{fields}\n"));
    Ok([first, second, third].map(|lines| lines.iter().filter_map(added).collect()))
}

/// How many there are.
pub(super) const PARTS: usize = 3;

/// What must reach each product's agent, by the name of the product.
pub(super) fn expected() -> anyhow::Result<BTreeMap<String, Vec<Reason>>> {
    serde_json::from_str(&builtin::unpack(EXPECTED)?).context("the demo's answers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_has_its_answers() {
        let expected = expected().expect("unpacks");
        let products = builtin::products().expect("unpack");
        assert!(products.iter().all(|product| expected.contains_key(product.name)));
        assert_eq!(expected.values().map(Vec::len).sum::<usize>(), 263);
    }

    #[test]
    fn the_publications_together_are_all_advisories() {
        let lines: usize = publications().expect("unpacks").iter().map(|part| part.lines().count()).sum();
        assert_eq!(lines, 301);
    }
}
