//! What an upstream of the same realm is told of the clients below: what they said, as they said it; and where that is
//! not here any more, what is known of them.
//!
//! Nothing is written down for each registration. That everything was told is a row of its own, which is taken away with
//! the first change after it; after a restart without it everything is told again. Whoever is gone has a row until that
//! was told, since nothing else remembers him.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::guid::ClientGuid;
use schemas::names::Spelling;

use crate::engine::Route;
use crate::ids::Time;

/// Parts in one document, and their bytes.
const PARTS_MAX: usize = 256;
const BYTES_MAX: usize = 1 << 20;
/// Parts that wait for the link, in bytes; beyond it the oldest are dropped, and what is known is told instead.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// A `Message_Core` for the upstream, in a header for each hop below this node's own.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Of whom it speaks: by his key here, if he is known, else by his name.
    pub(crate) client: ClientGuid,
    /// What it calls him.
    pub(crate) name: ClientGuid,
    pub(crate) spelling: Spelling,
    pub(crate) bytes: Bytes,
    /// Messages in it: so many are answered.
    pub(crate) messages: usize,
    /// Whether it says that the client is gone.
    pub(crate) ends: bool,
}

/// A client of this node whom the upstream calls otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Renamed {
    pub(crate) client: ClientGuid,
    /// As it was told.
    pub(crate) from: ClientGuid,
    pub(crate) to: ClientGuid,
}

/// What came of parts that were told.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Of these it was told that they are gone.
    pub(super) gone: Vec<ClientGuid>,
    pub(super) renamed: Vec<Renamed>,
}

/// How much is to be said of a client whose own words are not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Detail {
    /// That it is there.
    Presence,
    /// All that is known of it.
    State,
}

/// A client that is gone: the way to it, and when it was last heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) route: Route,
    pub(crate) contact: Time,
}

impl Gone {
    /// What it was called.
    pub(crate) fn name(&self) -> ClientGuid {
        self.route.last().map_or(ClientGuid(0), |(_, client)| *client)
    }
}

/// What is to be put into words next.
#[derive(Debug)]
pub(crate) enum Due {
    Known(ClientGuid, Detail),
    Gone(ClientGuid, Gone),
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    queue: VecDeque<Part>,
    bytes: usize,
    /// To be put into words when the queue has room.
    due: BTreeMap<ClientGuid, Detail>,
    /// Durable, by name.
    gone: BTreeMap<ClientGuid, Gone>,
    /// Of these, who is in the queue.
    said_gone: BTreeSet<ClientGuid>,
    /// The upstream would not hear of them: perhaps it will on the next link, or after a long time.
    refused: BTreeSet<ClientGuid>,
    /// Durable: everything was told.
    told: bool,
}

impl Reports {
    pub(crate) fn push(&mut self, part: Part) {
        self.bytes += part.bytes.len();
        self.queue.push_back(part);
        while self.bytes > WAITING_BYTES_MAX
            && let Some(dropped) = self.queue.pop_front()
        {
            self.bytes -= dropped.bytes.len();
            if dropped.ends {
                self.said_gone.remove(&dropped.client);
            } else {
                self.set_due(dropped.client, Detail::State);
            }
        }
    }

    pub(crate) fn set_due(&mut self, client: ClientGuid, detail: Detail) {
        let due = self.due.entry(client).or_insert(detail);
        *due = detail.max(*due);
    }

    pub(crate) fn set_gone(&mut self, gone: Gone) {
        self.said_gone.remove(&gone.name());
        self.gone.insert(gone.name(), gone);
    }

    /// The client of this name is not gone, or that was told; answers whether it was believed to be.
    pub(crate) fn forget_gone(&mut self, name: ClientGuid) -> bool {
        self.said_gone.remove(&name);
        self.gone.remove(&name).is_some()
    }

    /// All that the upstream refused is told once more.
    pub(crate) fn try_again(&mut self) {
        for client in std::mem::take(&mut self.refused) {
            self.set_due(client, Detail::State);
        }
    }

    /// The next to be put into words, while the queue is short.
    pub(crate) fn next_due(&mut self) -> Option<Due> {
        if self.bytes >= BYTES_MAX {
            return None;
        }
        let unsaid = self.gone.iter().find(|(client, _)| !self.said_gone.contains(client));
        if let Some((client, gone)) = unsaid.map(|(client, gone)| (*client, gone.clone())) {
            self.said_gone.insert(client);
            return Some(Due::Gone(client, gone));
        }
        self.due.pop_first().map(|(client, detail)| Due::Known(client, detail))
    }

    pub(super) fn is_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Parts for one document: of one spelling (N7).
    pub(super) fn take(&mut self) -> Vec<Part> {
        let (mut parts, mut bytes) = (Vec::<Part>::new(), 0);
        while let Some(part) = self.queue.front()
            && parts.len() < PARTS_MAX
            && parts
                .first()
                .is_none_or(|first| first.spelling == part.spelling && bytes + part.bytes.len() <= BYTES_MAX)
        {
            bytes += part.bytes.len();
            parts.extend(self.queue.pop_front());
        }
        self.bytes -= bytes;
        parts
    }

    /// They did not arrive, as far as is known here.
    pub(super) fn put_back(&mut self, parts: Vec<Part>) {
        for part in parts.into_iter().rev() {
            self.bytes += part.bytes.len();
            self.queue.push_front(part);
        }
    }

    /// They were answered, each message, and each answer names a client.
    pub(super) fn settle(
        &mut self,
        parts: Vec<Part>,
        outcomes: &[(ReplyStatus, Option<String>)],
        names: &[Option<ClientGuid>],
    ) -> Settled {
        let is_good = |(status, _): &(ReplyStatus, _)| *status == ReplyStatus::Succeeded;
        let each = parts.iter().map(|part| part.messages).sum::<usize>() == outcomes.len();
        let (mut at, mut settled) = (0, Settled::default());
        for part in parts {
            let own = if each { &outcomes[at..at + part.messages] } else { outcomes };
            at += part.messages;
            if part.ends {
                // Refused or not: more cannot be said of him.
                settled.gone.extend(self.forget_gone(part.client).then_some(part.client));
            } else if !own.iter().all(is_good) {
                self.refused.insert(part.client);
            } else if let Some(to) = names.get(at - 1).copied().flatten().filter(|to| each && *to != part.name) {
                settled.renamed.push(Renamed { client: part.client, from: part.name, to });
            }
        }
        settled
    }

    /// How many clients the upstream would not hear of.
    pub(crate) fn refused(&self) -> usize {
        self.refused.len()
    }

    pub(super) fn is_told(&self) -> bool {
        self.told
    }

    pub(super) fn set_told(&mut self, told: bool) {
        self.told = told;
    }

    /// Whether there is nothing more to tell.
    pub(super) fn is_done(&self) -> bool {
        self.queue.is_empty() && self.due.is_empty() && self.refused.is_empty()
    }

    /// Nothing is told any more but that all these are gone.
    pub(super) fn leave(&mut self, all: Vec<Gone>) {
        let gone = all.into_iter().map(|gone| (gone.name(), gone)).collect();
        *self = Self { told: self.told, gone, ..Self::default() };
    }

    pub(super) fn gone(&self) -> impl Iterator<Item = ClientGuid> {
        self.gone.keys().copied()
    }
}

#[cfg(test)]
mod tests;
