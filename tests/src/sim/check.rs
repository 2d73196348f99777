//! What must be true when everything has come to rest.

use std::collections::BTreeSet;

use node::client::Client;
use node::client::journal::{Entry, Event};
use schemas::digest::Digest;

use super::model::{self, Expected};
use super::server::Live;
use super::world::{BEGIN, Report, World};

impl World {
    /// Everything is at rest: what must be true now?
    pub(super) fn check(mut self) -> Result<Report, String> {
        if !self.provider.is_done() {
            return Err("the provider has unanswered publications".into());
        }
        let Some(Live { engine, .. }) = self.server.live.take() else { return Err("the server is down".into()) };
        let catalogue = engine.catalogue();
        let mut entries = 0;
        for (index, device) in self.devices.iter().enumerate() {
            let client = device.client.as_ref().ok_or_else(|| format!("device {index} is down"))?;
            let wrong =
                |what: String| format!("device {index}: {what}\n{:?}\n{}", self.setup, self.told(&device.journal));
            if !client.is_synchronised() {
                return Err(wrong("is not synchronised".into()));
            }
            let on_offer = |digest| catalogue.position_of(digest).is_some();
            let expected = Expected::new(&self.publications, &self.trimmed, on_offer, &device.components);
            let held: BTreeSet<Digest> = client.holdings().iter().map(|(digest, _)| digest).collect();
            if !expected.is_met_by(&held) {
                return Err(wrong(format!("holds {held:?} instead of {expected:?}")));
            }
            let again = Client::recover(device.guid, self.server.guid, device.journal.iter().cloned());
            if again.holdings().iter().map(|(digest, _)| digest).ne(held.iter().copied()) {
                return Err(wrong("the journal gives another state than the memory".into()));
            }
            let place_of = |digest| self.server.disk.place_of(digest);
            let was_gone = |digest, at| self.gone.get(&digest).is_some_and(|gone| *gone <= at);
            model::check_journal(&device.journal, place_of, was_gone, device.inventory_changed).map_err(wrong)?;
            entries += device.journal.len();
        }
        Ok(Report { steps: self.steps, elapsed: self.now, entries })
    }

    /// A journal for the message of a failure: when, what, which item, and its place in the log.
    fn told(&self, journal: &[Entry]) -> String {
        let mut text = String::new();
        for Entry { number, at, event, resume } in journal {
            let (what, digest) = match event {
                Event::Gained { digest, .. } => ("gained", Some(digest)),
                Event::Revised { digest, .. } => ("revised", Some(digest)),
                Event::Retracted { digest, .. } => ("retracted", Some(digest)),
                Event::Rematched { digest, .. } => ("rematched", Some(digest)),
                Event::Left { digest } => ("left", Some(digest)),
                Event::Registered { .. } => ("registered", None),
                Event::Ended { .. } => ("ended", None),
                Event::Assigned { .. } => ("assigned", None),
                Event::Noted => ("noted", None),
            };
            let place = digest.and_then(|digest| self.server.disk.place_of(*digest));
            let (digest, resume) =
                (digest.copied().map(|digest| digest.to_string()), resume.map(|resume| resume.position));
            let time = at.0 - BEGIN;
            text.push_str(&format!("{number} at {time} {what} {digest:?} place {place:?} resume {resume:?}\n"));
        }
        text
    }
}
