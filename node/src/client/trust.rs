//! What this device takes an item for: judged when it comes, and again when the trust file changes.

use std::sync::Arc;

use super::Client;
use super::journal::Event;
use crate::ids::Time;
use crate::intake::Item;
use crate::trust::{Reason, Trust};

/// Refused items that are told apart, so that each is written down once.
const REFUSED_MAX: usize = 4096;

impl Client {
    /// What is held is marked where it is regarded otherwise now; if something was refused before, everything is asked for
    /// again.
    pub(super) fn trust_changed(&mut self, now: Time, trust: Arc<Trust>) {
        let is_other = trust != self.trust;
        self.trust = trust;
        let events = self.holdings.rejudge(&self.trust, now);
        self.store(now, events, None, Vec::new());
        if is_other && !std::mem::take(&mut self.refused).is_empty() {
            self.resynchronise(now);
        }
    }

    /// The entry for an item that may not be held, the first time that it comes.
    pub(super) fn note_refused(&mut self, item: &Item, reason: &Reason) -> Option<Event> {
        let is_news = self.refused.len() < REFUSED_MAX && self.refused.insert(item.digest);
        let id = item.subject.identity.as_ref().map(|identity| identity.id.clone());
        is_news.then(|| Event::Refused { digest: item.digest, id, why: reason.to_string() })
    }
}
