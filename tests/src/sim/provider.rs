//! A provider: publishes in order, a few at a time, and repeats what was not answered.

use std::collections::BTreeMap;

use bytes::Bytes;
use node::ids::{ExchangeId, LinkId};
use schemas::core::ReplyStatus;
use schemas::guid::ClientGuid;

use super::model::Publication;

/// Exchanges under way at once.
const AT_ONCE: usize = 3;

/// How a server says that its store failed.
pub(super) const NOT_STORED: &str = "not stored";

/// Who the provider of the server at this place is.
pub(super) fn guid_of(server: usize) -> ClientGuid {
    ClientGuid(0xf00d_0000 + server as u128)
}

/// See the module.
#[derive(Debug)]
pub(super) struct Provider {
    /// The place of the server that it dials.
    pub(super) server: usize,
    pub(super) link: Option<LinkId>,
    /// Whether the server has answered the Hello.
    pub(super) welcome: bool,
    publications: Vec<Publication>,
    /// How many of them may be sent by now.
    released: usize,
    answered: Vec<bool>,
    under_way: BTreeMap<ExchangeId, usize>,
    /// Was answered Failed, and waits before it sends again.
    pub(super) waits: bool,
    next: u64,
}

impl Provider {
    /// The provider of the server at this place.
    pub(super) fn new(server: usize, publications: Vec<Publication>) -> Self {
        let answered = vec![false; publications.len()];
        Self {
            server,
            link: None,
            welcome: false,
            publications,
            released: 0,
            answered,
            under_way: BTreeMap::new(),
            waits: false,
            next: 0,
        }
    }

    pub(super) fn release(&mut self) {
        self.released = (self.released + 1).min(self.publications.len());
    }

    /// How many it has to send.
    pub(super) fn publications(&self) -> usize {
        self.publications.len()
    }

    pub(super) fn is_done(&self) -> bool {
        self.answered.iter().all(|answered| *answered)
    }

    pub(super) fn disconnected(&mut self) {
        self.link = None;
        self.welcome = false;
        self.under_way.clear();
        self.waits = false;
    }

    /// The next document to send, if there is one. Revisions of one advisory go one after the other.
    pub(super) fn next(&mut self) -> Option<(ExchangeId, Bytes)> {
        if !self.welcome || self.waits || self.under_way.len() >= AT_ONCE {
            return None;
        }
        let blocked = |index: usize| {
            let advisory = self.publications[index].advisory;
            self.under_way.values().any(|other| *other == index || self.publications[*other].advisory == advisory)
        };
        let index = (0..self.released).find(|index| !self.answered[*index] && !blocked(*index))?;
        self.next += 1;
        self.under_way.insert(ExchangeId(self.next), index);
        Some((ExchangeId(self.next), self.publications[index].document.clone()))
    }

    /// An answer came. What failed because the server could not store it is sent again.
    pub(super) fn answered(&mut self, exchange: ExchangeId, status: &ReplyStatus, why: &str) -> Result<(), String> {
        let Some(index) = self.under_way.remove(&exchange) else { return Ok(()) };
        match status {
            ReplyStatus::Succeeded => self.answered[index] = true,
            ReplyStatus::Failed if why.starts_with(NOT_STORED) => self.waits = true,
            other => return Err(format!("publication {index} was answered {other:?}: {why}")),
        }
        Ok(())
    }
}
