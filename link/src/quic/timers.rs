//! When which connection wants to be called.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use quinn_proto::ConnectionHandle;

/// Deadlines of all connections, the earliest first.
///
/// A connection's deadline moves with nearly every packet, mostly to later. So an entry is made only when a deadline comes
/// before all that the connection has here; when the first of these is over, the connection says when it wants to be called
/// in truth, and the next one may do for that. So there are as many entries as deadlines that came one before the other,
/// however often they move.
#[derive(Default)]
pub(super) struct Timers(BinaryHeap<Reverse<(Instant, usize)>>);

/// A connection's entries, the earliest last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Armed(Vec<Instant>);

impl Armed {
    /// The entry of this deadline is gone. Says whether it was there: another connection may have had this one's handle.
    pub(super) fn fired(&mut self, deadline: Instant) -> bool {
        self.0.pop_if(|earliest| *earliest == deadline).is_some()
    }
}

impl Timers {
    /// The connection's deadline, where `armed` is what it has here.
    pub(super) fn arm(&mut self, handle: ConnectionHandle, armed: &mut Armed, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        if armed.0.last().is_none_or(|earliest| deadline < *earliest) {
            armed.0.push(deadline);
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
        let (start, mut timers, mut armed) = (Instant::now(), Timers::default(), Armed::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        for deadline in [at(5), at(6), at(7)] {
            timers.arm(ConnectionHandle(3), &mut armed, Some(deadline));
        }
        timers.arm(ConnectionHandle(3), &mut armed, None);
        assert_eq!((timers.0.len(), &armed, timers.next()), (1, &Armed(vec![at(5)]), Some(at(5))));
        assert_eq!(timers.expired(at(4)), None);
        assert_eq!(timers.expired(at(5)), Some((at(5), ConnectionHandle(3))));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn the_earliest_comes_first_whoever_has_it() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        let (mut one, mut two) = (Armed::default(), Armed::default());
        timers.arm(ConnectionHandle(1), &mut one, Some(at(5)));
        timers.arm(ConnectionHandle(2), &mut two, Some(at(3)));
        timers.arm(ConnectionHandle(1), &mut one, Some(at(2)));
        let order: Vec<_> = std::iter::from_fn(|| timers.expired(at(9))).collect();
        assert_eq!(order, [(at(2), ConnectionHandle(1)), (at(3), ConnectionHandle(2)), (at(5), ConnectionHandle(1))]);
        assert_eq!(one, Armed(vec![at(5), at(2)]));
    }

    /// What a paced load does: a long deadline always, and a short one now and then.
    #[test]
    fn a_long_deadline_that_moves_has_one_entry_however_often_a_short_one_fires() {
        let (start, mut timers, mut armed) = (Instant::now(), Timers::default(), Armed::default());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        for round in 0..500 {
            let idle = at(30_000 + round * 50);
            timers.arm(ConnectionHandle(0), &mut armed, Some(at(round * 50 + 25)));
            let (deadline, _) = timers.expired(at(round * 50 + 25)).expect("it is over");
            assert!(armed.fired(deadline));
            timers.arm(ConnectionHandle(0), &mut armed, Some(idle));
            assert_eq!((timers.0.len(), armed.0.len()), (1, 1), "round {round}");
        }
        assert!(!armed.fired(at(7)), "that is another connection's");
        assert_eq!(timers.next(), Some(at(30_000)), "it asks again then");
    }
}
