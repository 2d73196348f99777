//! The credit that this end grants its peer, counted against the node's budget.

use std::sync::{Arc, Mutex, PoisonError};

use quinn_proto::VarInt;
use tokio::sync::OwnedSemaphorePermit;

use crate::budget::Budget;
use crate::limits::LinkLimits;
use crate::quic::Connection;

/// The connection window of one link. It begins small, is raised for a long document while the budget allows, and goes
/// back. Credit that was announced cannot be called back: a lowered window only means that what is read next earns no new
/// credit. Until that much has been read, it stays counted.
pub(crate) struct Windows {
    connection: Connection,
    budget: Budget,
    bytes_first: u32,
    bytes_max: u32,
    granted: Mutex<Granted>,
}

struct Granted {
    /// The window as the transport has it.
    bytes: u32,
    /// Credit beyond it that the peer still has.
    owed: Option<OwnedSemaphorePermit>,
    _first: OwnedSemaphorePermit,
}

impl Granted {
    fn owed_bytes(&self) -> u32 {
        // Never more than the `u32` by which the window was raised.
        self.owed.as_ref().map_or(0, |owed| u32::try_from(owed.num_permits()).unwrap_or(u32::MAX))
    }
}

impl Windows {
    /// Takes the first window's credit; `None` if the node has none left.
    pub(crate) fn open(connection: &Connection, budget: &Budget, limits: &LinkLimits) -> Option<Self> {
        let bytes_first = limits.connection_window;
        let granted = Mutex::new(Granted { bytes: bytes_first, owed: None, _first: budget.credit(bytes_first)? });
        let bytes_max = limits.connection_window_max;
        Some(Self { connection: connection.clone(), budget: budget.clone(), bytes_first, bytes_max, granted })
    }

    /// What the peer may have sent and nobody has read, in bytes.
    pub(crate) fn bytes(&self) -> u32 {
        self.with(|granted| granted.bytes + granted.owed_bytes())
    }

    /// So many bytes were read off this link's streams: credit that is owed is earned back first.
    pub(crate) fn read(&self, bytes: usize) {
        self.with(|granted| {
            // Split off, it is dropped here; if more was read than is owed, all of it goes.
            if granted.owed.as_mut().is_some_and(|owed| owed.split(bytes).is_none() || owed.num_permits() == 0) {
                granted.owed = None;
            }
        });
    }

    fn raise(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        self.with(|granted| {
            let room = self.bytes_max.saturating_sub(granted.bytes + granted.owed_bytes());
            let bytes = bytes.min(room);
            let permit = if bytes == 0 { None } else { self.budget.raise(bytes) }?;
            self.set(granted, granted.bytes + bytes);
            Some(permit)
        })
    }

    fn lower(&self, raised: OwnedSemaphorePermit) {
        self.with(|granted| {
            // A raise is a `u32` that was added to the window before.
            let bytes = u32::try_from(raised.num_permits()).unwrap_or(granted.bytes);
            self.set(granted, granted.bytes.saturating_sub(bytes));
            match &mut granted.owed {
                Some(owed) => owed.merge(raised),
                None => granted.owed = Some(raised),
            }
        });
    }

    fn set(&self, granted: &mut Granted, bytes: u32) {
        granted.bytes = bytes;
        self.connection.set_receive_window(VarInt::from_u32(bytes));
    }

    fn with<T>(&self, change: impl FnOnce(&mut Granted) -> T) -> T {
        change(&mut self.granted.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// By how much the window is raised for one body. Dropped, it is lowered again.
pub(crate) struct Raise {
    windows: Arc<Windows>,
    permit: Option<OwnedSemaphorePermit>,
    /// The peer has credit for the rest of the body.
    settled: bool,
}

impl Raise {
    /// None yet.
    pub(crate) fn none(windows: Arc<Windows>) -> Self {
        Self { windows, permit: None, settled: false }
    }

    /// Raises towards as much as has arrived, which shows that the sender can use it: whoever sends nothing is granted
    /// nothing. Never beyond what is missing. Without credit the body comes all the same, only slower.
    pub(crate) fn grow(&mut self, arrived: usize, missing: usize) {
        let wanted = arrived.min(missing).saturating_sub(self.bytes());
        if self.settled || arrived < self.windows.bytes_first as usize || wanted == 0 {
            return;
        }
        let Some(more) = self.windows.raise(u32::try_from(wanted).unwrap_or(u32::MAX)) else { return };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
    }

    /// How much of the body may be read before [`Raise::settle`] must look again.
    pub(crate) fn look_again(&self, missing: usize) -> usize {
        if self.bytes() == 0 { missing } else { missing.saturating_sub(self.bytes()) }
    }

    /// Lowers the window as soon as the peer has credit for all that is missing: what is read of the rest then earns the
    /// raise back, and the last byte of the body brings the last byte of credit home.
    pub(crate) fn settle(&mut self, missing: usize) {
        if self.bytes() >= missing {
            self.settled = true;
            self.give_back();
        }
    }

    fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    fn give_back(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.windows.lower(permit);
        }
    }
}

impl Drop for Raise {
    fn drop(&mut self) {
        self.give_back();
    }
}
