//! The credit that this end grants its peer, counted against the node's budget.

use std::sync::{Mutex, PoisonError};

use quinn::VarInt;
use tokio::sync::OwnedSemaphorePermit;

use crate::budget::Budget;
use crate::limits::LinkLimits;

/// The connection window of one link. It starts small and is raised for a long document while the budget allows; credit
/// once announced cannot be called back, so it stays counted until the link is gone.
pub(crate) struct Windows {
    connection: quinn::Connection,
    budget: Budget,
    bytes_max: u32,
    granted: Mutex<Granted>,
}

struct Granted {
    bytes: u32,
    permits: OwnedSemaphorePermit,
}

impl Windows {
    /// Takes the first window's credit; `None` if the node has none left.
    pub(crate) fn open(connection: &quinn::Connection, budget: &Budget, limits: &LinkLimits) -> Option<Self> {
        let bytes = limits.connection_window;
        let granted = Mutex::new(Granted { bytes, permits: budget.credit(bytes)? });
        let bytes_max = limits.connection_window_max;
        Some(Self { connection: connection.clone(), budget: budget.clone(), bytes_max, granted })
    }

    /// Raises the window towards the length of a body, if that is longer and there is credit. Without credit the body
    /// comes all the same, only slower.
    pub(crate) fn raise_for(&self, body_bytes: u32) {
        let mut granted = self.granted.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = body_bytes.checked_next_power_of_two().unwrap_or(u32::MAX).min(self.bytes_max);
        if wanted <= granted.bytes {
            return;
        }
        let Some(more) = self.budget.credit(wanted - granted.bytes) else { return };
        granted.permits.merge(more);
        granted.bytes = wanted;
        self.connection.set_receive_window(VarInt::from_u32(wanted));
    }

    /// What is granted now, in bytes.
    pub(crate) fn bytes(&self) -> u32 {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}
