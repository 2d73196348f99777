//! What must be true when everything has come to rest.

use std::collections::BTreeSet;

use node::client::Client;
use schemas::digest::Digest;

use super::model;
use super::server::Live;
use super::world::{Report, World};

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
            let wrong = |what: String| format!("device {index}: {what}\n{:#?}", device.journal);
            if !client.is_synchronised() {
                return Err(wrong("is not synchronised".into()));
            }
            let expected = model::expected(&self.publications, &device.components);
            let held: BTreeSet<Digest> = client.holdings().iter().map(|(digest, _)| digest).collect();
            if held != expected {
                return Err(wrong(format!("holds {held:?} instead of {expected:?}")));
            }
            let again = Client::recover(device.guid, self.server.guid, device.journal.iter().cloned());
            if again.holdings().iter().map(|(digest, _)| digest).ne(held.iter().copied()) {
                return Err(wrong("the journal gives another state than the memory".into()));
            }
            let position_of = |digest| catalogue.position_of(digest);
            model::check_journal(&device.journal, position_of, device.inventory_changed).map_err(wrong)?;
            entries += device.journal.len();
        }
        Ok(Report { steps: self.steps, elapsed: self.now, entries })
    }
}
