//! When which connection wants to be called.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use quinn_proto::ConnectionHandle;

/// Deadlines of all connections, the earliest first.
///
/// A connection's deadline moves with nearly every packet, mostly to later. So an entry is made only when a deadline comes
/// before the one that the connection has here ([`super::connection::State::armed`]); when that is over, the connection
/// says when it wants to be called in truth. An entry that an earlier one has outrun is dropped when its time comes.
#[derive(Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, usize)>>);

impl Timers {
    /// The connection's deadline, where `armed` is the one that it has here.
    pub(super) fn arm(&mut self, handle: ConnectionHandle, armed: &mut Option<Instant>, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if armed.is_none_or(|armed| deadline < armed) {
            *armed = Some(deadline);
            self.0.push(Reverse((deadline, handle.0)));
        }
    }

    /// Takes an entry whose time has come.
    pub(super) fn expired(&mut self, now: Instant) -> Option<(Instant, ConnectionHandle)> {
        let &Reverse((deadline, handle)) = self.0.peek().filter(|entry| entry.0.0 <= now)?;
        self.0.pop();
        Some((deadline, ConnectionHandle(handle)))
    }

    /// The earliest.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|entry| entry.0.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_deadline_that_moves_back_takes_no_new_entry() {
        let (start, mut timers, mut armed) = (Instant::now(), Timers::default(), None);
        let at = |seconds| start + Duration::from_secs(seconds);
        for deadline in [at(5), at(6), at(7)] {
            timers.arm(ConnectionHandle(3), &mut armed, Some(deadline));
        }
        timers.arm(ConnectionHandle(3), &mut armed, None);
        assert_eq!((timers.0.len(), armed, timers.next()), (1, Some(at(5)), Some(at(5))));
        assert_eq!(timers.expired(at(4)), None);
        assert_eq!(timers.expired(at(5)), Some((at(5), ConnectionHandle(3))));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn the_earliest_comes_first_whoever_has_it() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut one, mut two) = (None, None);
        timers.arm(ConnectionHandle(1), &mut one, Some(at(5)));
        timers.arm(ConnectionHandle(2), &mut two, Some(at(3)));
        timers.arm(ConnectionHandle(1), &mut one, Some(at(2)));
        let order: Vec<_> = std::iter::from_fn(|| timers.expired(at(9))).collect();
        assert_eq!(order, [(at(2), ConnectionHandle(1)), (at(3), ConnectionHandle(2)), (at(5), ConnectionHandle(1))]);
        assert_eq!(one, Some(at(2)), "the last entry is one that was outrun");
    }
}
