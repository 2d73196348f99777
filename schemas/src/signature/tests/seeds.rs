//! Documents that were signed once with keys that are gone: the seeds of the fuzz target `verify`.

use std::path::Path;

use super::documents::{text, validated};

/// What was signed stays valid from version to version, and the target does not begin with nothing.
#[test]
fn c8_3_what_was_signed_by_an_earlier_version_stays_valid() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds/verify");
    let (mut documents, mut signatures) = (0, 0);
    for seed in std::fs::read_dir(seeds).unwrap() {
        let document = validated(std::fs::read_to_string(seed.unwrap().path()).unwrap());
        let facts = document.signatures();
        assert!(!facts.is_empty() && facts.iter().all(|fact| fact.verified().is_some()), "{}", text(&document));
        (documents, signatures) = (documents + 1, signatures + facts.len());
    }
    assert_eq!((documents, signatures), (13, 25));
}
