//! What must hold at the end.

use std::collections::BTreeMap;

use super::data::Reason;
use super::journals::Journal;
use super::world::World;

/// One check.
pub(super) struct Check {
    pub(super) what: String,
    pub(super) held: bool,
}

impl Check {
    pub(super) fn new(what: impl Into<String>, held: bool) -> Self {
        Self { what: what.into(), held }
    }
}

/// Holds all journals against the answers.
pub(super) fn journals(world: &World, journals: &[Journal], expected: &BTreeMap<String, Vec<Reason>>) -> Vec<Check> {
    let (mut missing, mut extra, mut twice, mut gaps, mut reasons) = (0, 0, 0, 0, 0);
    for (product, journal) in world.products.iter().zip(journals) {
        let wanted = expected.get(product.name).map(Vec::as_slice).unwrap_or_default();
        let got = journal.reasons();
        reasons += got.len();
        missing += wanted.iter().filter(|reason| !got.contains(reason)).count();
        extra += got.iter().filter(|reason| !wanted.contains(reason)).count();
        twice += got.windows(2).filter(|pair| pair[0] == pair[1]).count();
        gaps += usize::from(!journal.is_without_gap());
    }
    let total: usize = expected.values().map(Vec::len).sum();
    vec![
        Check::new(
            format!("{reasons} of {total} reasons arrived as cargo-audit finds them: {missing} missing"),
            missing == 0,
        ),
        Check::new(format!("nobody was bothered with anything else: {extra} too many"), extra == 0),
        Check::new(format!("nothing arrived twice: {twice} repeated"), twice == 0),
        Check::new(format!("every journal is numbered without a gap: {gaps} with one"), gaps == 0),
    ]
}
