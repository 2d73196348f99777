//! Links: streams that keep their order, delays that do not keep anybody else's.

use std::collections::BTreeMap;

use bytes::Bytes;
use node::engine::Welcome;
use node::ids::{ExchangeId, LinkId, Position, Push, Resume};
use schemas::class::Class;
use schemas::mark::Mark;

use crate::faults::Random;

/// Whoever dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Party {
    Device(usize),
    Provider(usize),
    /// The end of a local server that looks upwards: whose, and towards which server.
    Uplink {
        of: usize,
        to: usize,
    },
}

/// What crosses a link.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Hello(Option<Resume>, Option<Mark>),
    Open(ExchangeId, Bytes),
    LaneReply(Class, Position, Bytes),
    Welcome(Welcome),
    Reply(ExchangeId, Bytes),
    Delivery(ExchangeId, Bytes),
    End(ExchangeId),
    Lane(Push, Bytes),
    Behind(Position),
    Path(Vec<Mark>),
}

impl Message {
    fn stream(&self) -> Stream {
        match self {
            Self::Hello(..) | Self::Welcome(_) | Self::LaneReply(..) | Self::Behind(_) | Self::Path(_) => {
                Stream::Control
            }
            Self::Lane(push, _) => Stream::Lane(push.class),
            Self::Open(id, _) | Self::Reply(id, _) | Self::Delivery(id, _) | Self::End(id) => Stream::Exchange(id.0),
        }
    }
}

/// The order of a stream is kept; streams overtake each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stream {
    Control,
    Lane(Class),
    Exchange(u64),
}

/// Towards whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Up,
    Down,
}

/// A live link.
#[derive(Debug)]
struct Link {
    upper: usize,
    lower: Party,
    /// When the last message of each stream arrives.
    last: BTreeMap<(Way, Stream), u64>,
    /// When the Hello's answer arrives: whoever dialled reads nothing else before it.
    welcome: Option<u64>,
}

/// Every live link.
#[derive(Debug, Default)]
pub(super) struct Network {
    links: BTreeMap<LinkId, Link>,
    /// Whose links nothing crosses now, and for how many reasons.
    blocked: BTreeMap<Party, u32>,
    next: u64,
}

impl Network {
    /// A new link of a party to a server.
    pub(super) fn connect(&mut self, upper: usize, lower: Party) -> LinkId {
        self.next += 1;
        let link = Link { upper, lower, last: BTreeMap::new(), welcome: None };
        self.links.insert(LinkId(self.next), link);
        LinkId(self.next)
    }

    pub(super) fn is_blocked(&self, party: Party) -> bool {
        self.blocked.contains_key(&party)
    }

    pub(super) fn block(&mut self, party: Party) {
        *self.blocked.entry(party).or_default() += 1;
    }

    pub(super) fn heal(&mut self, party: Party) {
        if let Some(reasons) = self.blocked.get_mut(&party) {
            *reasons -= 1;
            if *reasons == 0 {
                self.blocked.remove(&party);
            }
        }
    }

    /// Between whom a link is, if it lives.
    pub(super) fn ends(&self, link: LinkId) -> Option<(usize, Party)> {
        self.links.get(&link).map(|link| (link.upper, link.lower))
    }

    /// Everything on the way is lost.
    pub(super) fn cut(&mut self, link: LinkId) -> Option<(usize, Party)> {
        self.links.remove(&link).map(|link| (link.upper, link.lower))
    }

    /// Live links between whom `is_meant` says.
    pub(super) fn links(&self, is_meant: impl Fn(usize, Party) -> bool) -> Vec<LinkId> {
        self.links.iter().filter(|(_, link)| is_meant(link.upper, link.lower)).map(|(id, _)| *id).collect()
    }

    /// Live links of a server's clients that it has welcomed.
    pub(super) fn welcomed(&self, upper: usize) -> Vec<LinkId> {
        let welcomed = |link: &Link| link.upper == upper && link.welcome.is_some();
        self.links.iter().filter(|(_, link)| welcomed(link)).map(|(id, _)| *id).collect()
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
        let link = self.links.get_mut(&link)?;
        let slow = matches!(message, Message::Lane(Push { class: Class::Bulk, .. }, _)) || random.one_in(8);
        let delay = 1 + if slow { random.below(400) } else { random.below(30) };
        let earliest = link.welcome.unwrap_or_default();
        let last = link.last.entry((way, message.stream())).or_default();
        *last = (*last).max(now + delay).max(earliest);
        let at = *last;
        if matches!(message, Message::Welcome(_)) {
            link.welcome = Some(at);
        }
        Some(at)
    }
}
