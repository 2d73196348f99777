//! What an engine counts.

use std::collections::BTreeMap;

/// Counts for the operator; label sets are bounded by construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Leaves answered, by major, minor and status.
    pub answered: BTreeMap<(&'static str, &'static str, &'static str), u64>,
    /// Items accepted into the log.
    pub accepted: u64,
    /// Items that repeated what was there.
    pub duplicates: u64,
    /// Hellos answered with *behind*.
    pub behind: u64,
    /// Requests at a local server that were answered from what is here.
    pub cache_hits: u64,
    /// Requests for something that upstreams may have more of.
    pub cache_misses: u64,
    /// Of these, how many waited for what others had asked for already.
    pub coalesced: u64,
    /// Items that left the log because it was full, and others had replaced them.
    pub evicted: u64,
    /// Items trimmed from the log.
    pub trimmed: u64,
    /// Items that are lost because their bytes in the log are not what was stored, those found so at the start among them.
    pub damaged: u64,
    /// Items refused because of who has signed them, or that nobody has, by reason (R-8.3-6).
    pub refused: BTreeMap<&'static str, u64>,
}
