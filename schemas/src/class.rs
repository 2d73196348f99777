//! The three delivery classes, most urgent first.

/// How urgent an item is. Fixed when the item is accepted; each class has a lane and a cursor of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// CVSS 9.0 and above: sent at once.
    Critical,
    /// Everything else that is small.
    #[default]
    Normal,
    /// Large content that must never stand in the way of the others.
    Bulk,
}
