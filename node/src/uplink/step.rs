//! One exchange with an upstream: what is said in it, and what follows from that.

use topology::want::Want;

use super::Action;
use crate::ids::ExchangeId;

/// The exchange that is under way.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) exchange: ExchangeId,
    pub(super) step: Step,
    /// What is said in it, until what it may change there is durable here.
    pub(super) unsent: Option<Action>,
    pub(super) accepted: bool,
}

#[derive(Debug)]
pub(super) enum Step {
    /// Request:Catalog for everything.
    Catalog,
    /// Request:Full; it stands.
    Ask(Vec<Want>),
    /// Request without Minor, once.
    Refetch(Vec<Want>),
    /// Register:End.
    End(Vec<Want>),
    /// Register:End of everything, before it is asked for anew.
    Clear,
    /// The same, for good.
    Leave,
}

impl Step {
    /// What the upstream will have, or have no longer, if it succeeds.
    pub(super) fn changes(&self) -> &[Want] {
        match self {
            Self::Ask(wants) | Self::End(wants) => wants,
            Self::Catalog | Self::Refetch(_) | Self::Clear | Self::Leave => &[],
        }
    }

    /// Whether the upstream will count on less or more than before, so that nothing here may count on the contrary.
    pub(super) fn changes_what_stands(&self) -> bool {
        matches!(self, Self::Ask(_) | Self::End(_) | Self::Clear | Self::Leave)
    }

    /// Whether content comes in its answer, for which pushes wait their turn.
    pub(super) fn brings_items(&self) -> bool {
        matches!(self, Self::Catalog | Self::Ask(_) | Self::Refetch(_))
    }
}
