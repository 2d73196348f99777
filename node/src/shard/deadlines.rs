//! When lanes are looked at again: most of them at the end of the moment, some a little later.

use std::collections::{BTreeSet, VecDeque};

use schemas::class::{Class, PerClass};

use crate::ids::{LinkId, Time};

/// See the module. A lane has at most one that is in force.
#[derive(Debug)]
pub(super) struct Deadlines {
    /// Those of the moment in which they were made, in order. They stay when they are taken back: to look at a lane too often
    /// changes nothing.
    moment: PerClass<VecDeque<(Time, LinkId)>>,
    later: BTreeSet<(Time, LinkId, Class)>,
}

impl Deadlines {
    pub(super) fn new() -> Self {
        Self { moment: PerClass::new(|_| VecDeque::new()), later: BTreeSet::new() }
    }

    /// A lane's deadline is another one.
    pub(super) fn replace(&mut self, now: Time, link: LinkId, class: Class, old: Option<Time>, new: Option<Time>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.remove(link, class, old);
        }
        match new {
            Some(at) if at <= now => self.moment[class].push_back((at, link)),
            Some(at) => _ = self.later.insert((at, link, class)),
            None => {}
        }
    }

    /// A lane's deadline is taken back.
    pub(super) fn remove(&mut self, link: LinkId, class: Class, at: Time) {
        self.later.remove(&(at, link, class));
    }

    /// When to look next.
    pub(super) fn first(&self) -> Option<Time> {
        let moment = self.moment.iter().filter_map(|(_, lanes)| lanes.front()).map(|(at, _)| *at);
        moment.chain(self.later.first().map(|(at, ..)| *at)).min()
    }

    /// The next lane whose deadline has come, what is critical first.
    pub(super) fn pop(&mut self, now: Time) -> Option<(LinkId, Class)> {
        for (class, lanes) in self.moment.iter_mut() {
            if let Some((_, link)) = lanes.pop_front_if(|(at, _)| *at <= now) {
                return Some((link, class));
            }
        }
        let (_, link, class) = self.later.first().copied().filter(|(at, ..)| *at <= now)?;
        self.later.pop_first();
        Some((link, class))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1000);
    const LATER: Time = Time(1005);

    fn popped(deadlines: &mut Deadlines, now: Time) -> Vec<(LinkId, Class)> {
        std::iter::from_fn(|| deadlines.pop(now)).collect()
    }

    #[test]
    fn the_end_of_a_moment_is_for_what_is_critical_first_and_each_class_in_order() {
        let mut deadlines = Deadlines::new();
        deadlines.replace(NOW, LinkId(2), Class::Normal, None, Some(NOW));
        deadlines.replace(NOW, LinkId(1), Class::Normal, None, Some(NOW));
        deadlines.replace(NOW, LinkId(3), Class::Bulk, None, Some(LATER));
        deadlines.replace(NOW, LinkId(4), Class::Critical, None, Some(NOW));
        assert_eq!(deadlines.first(), Some(NOW));
        let order = [(LinkId(4), Class::Critical), (LinkId(2), Class::Normal), (LinkId(1), Class::Normal)];
        assert_eq!(popped(&mut deadlines, NOW), order);
        assert_eq!(deadlines.first(), Some(LATER));
        assert_eq!(popped(&mut deadlines, LATER), [(LinkId(3), Class::Bulk)]);
    }

    #[test]
    fn one_that_is_replaced_comes_when_the_new_one_does() {
        let mut deadlines = Deadlines::new();
        let (link, class) = (LinkId(1), Class::Normal);
        deadlines.replace(NOW, link, class, None, Some(LATER));
        deadlines.replace(NOW, link, class, Some(LATER), Some(LATER));
        deadlines.replace(NOW, link, class, Some(LATER), Some(NOW));
        assert_eq!(popped(&mut deadlines, LATER), [(link, class)]);
        deadlines.replace(NOW, link, class, None, Some(LATER));
        deadlines.remove(link, class, LATER);
        assert_eq!((deadlines.first(), popped(&mut deadlines, LATER)), (None, Vec::new()));
    }
}
