//! Links: streams that keep their order, delays that do not keep anybody else's.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use node::engine::Welcome;
use node::ids::{ExchangeId, LinkId, Position, Resume};

use crate::faults::Random;

/// What crosses a link.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Hello(Option<Resume>),
    Open(ExchangeId, Bytes),
    LaneReply(Position, Bytes),
    Welcome(Welcome),
    Reply(ExchangeId, Bytes),
    Delivery(ExchangeId, Bytes),
    End(ExchangeId),
    Lane(Position, Bytes),
    Behind(Position),
}

/// The order of a stream is kept; streams overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stream {
    Control,
    Lane,
    Exchange(u64),
}

/// Towards whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Up,
    Down,
}

/// The live links, and when the last message of each stream arrives.
#[derive(Debug, Default)]
pub(super) struct Network {
    live: BTreeMap<LinkId, usize>,
    last: BTreeMap<(LinkId, Way, Stream), u64>,
    /// When the Hello's answer arrives: a client reads nothing else before it.
    welcome: BTreeMap<LinkId, u64>,
    /// Parties that nothing reaches now.
    partitioned: BTreeSet<usize>,
    next: u64,
}

impl Network {
    /// A new link of a party.
    pub(super) fn connect(&mut self, party: usize) -> LinkId {
        self.next += 1;
        self.live.insert(LinkId(self.next), party);
        LinkId(self.next)
    }

    pub(super) fn is_partitioned(&self, party: usize) -> bool {
        self.partitioned.contains(&party)
    }

    pub(super) fn partition(&mut self, party: usize) {
        self.partitioned.insert(party);
    }

    pub(super) fn heal(&mut self, party: usize) {
        self.partitioned.remove(&party);
    }

    /// Whose link it is, if it lives.
    pub(super) fn party(&self, link: LinkId) -> Option<usize> {
        self.live.get(&link).copied()
    }

    /// Everything on the way is lost.
    pub(super) fn cut(&mut self, link: LinkId) -> Option<usize> {
        self.last.retain(|(of, _, _), _| *of != link);
        self.live.remove(&link)
    }

    pub(super) fn links(&self) -> Vec<LinkId> {
        self.live.keys().copied().collect()
    }

    /// When a message that is sent now arrives; `None` if its link is dead.
    pub(super) fn arrival(
        &mut self,
        now: u64,
        link: LinkId,
        way: Way,
        message: &Message,
        random: &mut Random,
    ) -> Option<u64> {
        self.live.get(&link)?;
        let stream = match message {
            Message::Hello(_) | Message::Welcome(_) | Message::LaneReply(..) | Message::Behind(_) => Stream::Control,
            Message::Lane(..) => Stream::Lane,
            Message::Open(id, _) | Message::Reply(id, _) | Message::Delivery(id, _) | Message::End(id) => {
                Stream::Exchange(id.0)
            }
        };
        let delay = 1 + if random.one_in(8) { random.below(400) } else { random.below(30) };
        let earliest = self.welcome.get(&link).copied().unwrap_or_default();
        let last = self.last.entry((link, way, stream)).or_default();
        *last = (*last).max(now + delay).max(earliest);
        if matches!(message, Message::Welcome(_)) {
            self.welcome.insert(link, *last);
        }
        Some(*last)
    }
}
