//! How much there is.

/// How much a catalogue holds, or may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Items.
    pub items: usize,
    /// Their bytes in the log.
    pub bytes: u64,
}

impl Size {
    /// Whether there is more of anything than `other` has.
    pub fn exceeds(self, other: Self) -> bool {
        self.items > other.items || self.bytes > other.bytes
    }
}
