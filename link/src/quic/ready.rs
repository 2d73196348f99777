//! Connections that the driver is to look after.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

use super::connection::Shared;

/// A queue into which tasks put connections and from which the driver takes them.
#[derive(Default)]
pub(super) struct Ready(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    connections: VecDeque<Arc<Shared>>,
    driver: Option<Waker>,
}

impl Ready {
    /// A connection has something to send, or to tell its endpoint. Each stands in the queue once: see
    /// [`super::connection::State::queued`].
    pub(super) fn push(&self, connection: Arc<Shared>) {
        let mut queue = self.lock();
        queue.connections.push_back(connection);
        let driver = queue.driver.take();
        drop(queue);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Wakes the driver for another reason.
    pub(super) fn wake(&self) {
        if let Some(driver) = self.lock().driver.take() {
            driver.wake();
        }
    }

    /// Takes what has come, in order. What comes later wakes the caller.
    pub(super) fn take(&self, into: &mut VecDeque<Arc<Shared>>, cx: &Context<'_>) {
        let mut queue = self.lock();
        into.append(&mut queue.connections);
        if !queue.driver.as_ref().is_some_and(|driver| driver.will_wake(cx.waker())) {
            queue.driver = Some(cx.waker().clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
