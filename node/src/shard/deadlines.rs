//! When lanes are looked at again: most of them at the end of the moment, some a little later.

use std::collections::{BTreeSet, VecDeque};

use schemas::class::Class;

use crate::ids::{LinkId, Time};

/// See the module. Each lane has at most one.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    /// Those of the moment in which they were made, in order. They stay when they are taken back: to look at a lane too often
    /// changes nothing.
    moment: VecDeque<(Time, LinkId, Class)>,
    later: BTreeSet<(Time, LinkId, Class)>,
}

impl Deadlines {
    /// A lane's deadline is another one.
    pub(super) fn replace(&mut self, now: Time, link: LinkId, class: Class, old: Option<Time>, new: Option<Time>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.later.remove(&(old, link, class));
        }
        match new {
            Some(at) if at <= now => self.moment.push_back((at, link, class)),
            Some(at) => _ = self.later.insert((at, link, class)),
            None => {}
        }
    }

    /// When to look next.
    pub(super) fn first(&self) -> Option<Time> {
        let moment = self.moment.front().map(|(at, ..)| *at);
        moment.into_iter().chain(self.later.first().map(|(at, ..)| *at)).min()
    }

    /// The next lane whose deadline has come.
    pub(super) fn pop(&mut self, now: Time) -> Option<(LinkId, Class)> {
        let of_moment = self.moment.pop_front_if(|(at, ..)| *at <= now);
        let is_due = |(at, ..): &(Time, LinkId, Class)| *at <= now;
        let next = of_moment.or_else(|| self.later.first().is_some_and(is_due).then(|| self.later.pop_first())?);
        next.map(|(_, link, class)| (link, class))
    }
}
