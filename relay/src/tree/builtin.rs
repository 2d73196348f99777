//! What this program carries, so that a tree can be shown without any files: real advisories and lock files. See
//! `data/SOURCES.md` for origins and licences.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::Context;
use flate2::read::GzDecoder;

/// A product and its lock file.
pub(crate) struct Product {
    /// As in `data/`.
    pub(crate) name: &'static str,
    /// The `Cargo.lock`.
    pub(crate) lock: String,
}

/// A component, its version, and the advisory that applies to it.
pub type Reason = (String, String, String);

/// The advisories as a source of a publication.
pub(super) const RUSTSEC: &str = "builtin:rustsec";
/// The products as inventories, in turn; with a slash and a name only that one.
pub(super) const PRODUCTS: &str = "builtin:demo";

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
pub(crate) fn products() -> anyhow::Result<Vec<Product>> {
    LOCKS.iter().map(|(name, packed)| Ok(Product { name, lock: unpack(packed)? })).collect()
}

/// The advisories, as JSON lines: together they are a whole database.
pub(crate) fn advisories() -> anyhow::Result<String> {
    unpack(ADVISORIES)
}

/// The right answers: which of the advisories concern each product, by its name.
///
/// # Errors
/// Nothing that anybody can do something about.
pub fn expected() -> anyhow::Result<BTreeMap<String, Vec<Reason>>> {
    serde_json::from_str(&unpack(EXPECTED)?).context("the answers that this program carries")
}

/// What is shipped compressed.
fn unpack(packed: &[u8]) -> anyhow::Result<String> {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).context("what this program carries")?;
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
}
