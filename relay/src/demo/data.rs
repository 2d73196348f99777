//! What the demo publishes and who runs what: real advisories and lock files, with the right answers. See
//! `data/SOURCES.md` for origins and licences.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::Context;
use flate2::read::GzDecoder;

/// A product and its lock file.
pub(super) struct Product {
    /// As in `data/`.
    pub(super) name: &'static str,
    /// The `Cargo.lock`.
    pub(super) lock: String,
}

/// A component, its version, and the advisory that applies to it.
pub(super) type Reason = (String, String, String);

const ADVISORIES: &[u8] = include_bytes!("data/advisories.jsonl.gz");
const EXPECTED: &[u8] = include_bytes!("data/expected.json.gz");
const LOCKS: [(&str, &[u8]); 8] = [
    ("ripgrep-0.8.1", include_bytes!("data/ripgrep-0.8.1.lock.gz")),
    ("ripgrep-2026-08", include_bytes!("data/ripgrep-2026-08.lock.gz")),
    ("alacritty-0.4.0", include_bytes!("data/alacritty-0.4.0.lock.gz")),
    ("alacritty-2026-06", include_bytes!("data/alacritty-2026-06.lock.gz")),
    ("starship-1.11.0", include_bytes!("data/starship-1.11.0.lock.gz")),
    ("linkerd2-proxy-2.95.0", include_bytes!("data/linkerd2-proxy-2.95.0.lock.gz")),
    ("diem-2021-07", include_bytes!("data/diem-2021-07.lock.gz")),
    ("cratesio-2017-12", include_bytes!("data/cratesio-2017-12.lock.gz")),
];

/// The products.
pub(super) fn products() -> anyhow::Result<Vec<Product>> {
    LOCKS.iter().map(|(name, packed)| Ok(Product { name, lock: unpack(packed)? })).collect()
}

/// The advisories in parts, as JSON lines: the first half, and two quarters. Each line says that it is added: a file
/// without that would be taken for the whole database, and what it lacks for withdrawn.
pub(super) fn publications() -> anyhow::Result<[String; PARTS]> {
    let text = unpack(ADVISORIES)?;
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
    serde_json::from_str(&unpack(EXPECTED)?).context("the demo's answers")
}

fn unpack(packed: &[u8]) -> anyhow::Result<String> {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).context("the demo's data")?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_has_its_answers() {
        let expected = expected().expect("unpacks");
        let products = products().expect("unpack");
        assert!(products.iter().all(|product| expected.contains_key(product.name)));
        assert_eq!(expected.values().map(Vec::len).sum::<usize>(), 263);
    }

    #[test]
    fn the_publications_together_are_all_advisories() {
        let lines: usize = publications().expect("unpacks").iter().map(|part| part.lines().count()).sum();
        assert_eq!(lines, 301);
    }
}
