//! What must hold at the end.

use std::collections::BTreeMap;

use super::journals::Journal;
use super::world::World;
use crate::tree::builtin::Reason;

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
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    let (mut surprises, mut twice, mut gaps, mut reasons) = (0, 0, 0, 0);
    let (mut total, mut items, mut verified) = (0, 0, 0);
    for (device, journal) in world.devices.iter().zip(journals) {
        let wanted = expected.get(world.product(device).name).map(Vec::as_slice).unwrap_or_default();
        let got = journal.reasons();
        (reasons, total) = (reasons + got.len(), total + wanted.len());
        let named = |reason: &Reason| format!("{} {} {} {}", device.name, reason.0, reason.1, reason.2);
        missing.extend(wanted.iter().filter(|reason| !got.contains(reason)).map(named));
        extra.extend(got.iter().filter(|reason| !wanted.contains(reason)).map(named));
        (items, verified) = (items + journal.items(), verified + journal.verified());
        surprises += journal.surprises();
        twice += got.windows(2).filter(|pair| pair[0] == pair[1]).count();
        gaps += usize::from(!journal.is_without_gap());
    }
    vec![
        Check::new(
            format!("{reasons} of {total} reasons arrived as cargo-audit finds them: {}", listed(&missing, "missing")),
            missing.is_empty(),
        ),
        Check::new(
            format!(
                "nobody was bothered with anything else: {}, {surprises} other entries",
                listed(&extra, "too many")
            ),
            extra.is_empty() && surprises == 0,
        ),
        Check::new(
            format!("{verified} of {items} items verified with the provider's key where they arrived"),
            verified == items,
        ),
        Check::new(format!("nothing arrived twice: {twice} repeated"), twice == 0),
        Check::new(format!("every journal is numbered without a gap: {gaps} with one"), gaps == 0),
    ]
}

/// How many, and the first few by name.
fn listed(names: &[String], what: &str) -> String {
    let few: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    if few.is_empty() { format!("0 {what}") } else { format!("{} {what} ({}, ...)", names.len(), few.join("; ")) }
}
