//! What must be true when everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use node::client::Client;
use node::client::journal::{Entry, Event};
use node::engine::Engine;
use schemas::digest::Digest;

use super::device::Device;
use super::journal::{came_and_went, check_entries};
use super::model::Expected;
use super::server::{Server, guid_of};
use super::world::{BEGIN, Report, World};

impl World {
    /// Everything is at rest: what must be true now?
    pub(super) fn check(&self) -> Result<Report, String> {
        if let Some(index) = self.providers.iter().position(|provider| !provider.is_done()) {
            return Err(format!("provider {index} has unanswered publications"));
        }
        if let Some(index) = self.servers.iter().position(|server| server.live.is_none()) {
            return Err(format!("server {index} is down"));
        }
        self.check_roots()?;
        let mut entries = 0;
        for (index, device) in self.devices.iter().enumerate() {
            self.check_device(device).map_err(|what| {
                let shape = self.told_above(device.server);
                format!("device {index}: {what}\n{shape}{}", self.told(device))
            })?;
            entries += device.journal.len();
        }
        for server in 0..self.servers.len() {
            self.check_uplinks(server)
                .map_err(|what| format!("server {server}: {what}\n{}", self.told_above(server)))?;
        }
        self.traffic.check()?;
        let nodes = self.servers.len() + self.devices.len();
        let (crossed, crossed_again) = self.traffic.crossed();
        Ok(Report { nodes, steps: self.steps, elapsed: self.now, entries, crossed, crossed_again })
    }

    /// What was acknowledged is on offer where it was published, or was replaced or trimmed there.
    fn check_roots(&self) -> Result<(), String> {
        for (number, one) in self.publications.iter().enumerate() {
            for root in &one.roots {
                let server = &self.servers[*root];
                let on_offer = |engine: &Engine| engine.catalogue().position_of(one.digest).is_some();
                if !server.engine().is_some_and(on_offer) && !server.gone.contains_key(&one.digest) {
                    return Err(format!("server {root} lacks publication {number}, which it has acknowledged"));
                }
            }
        }
        Ok(())
    }

    fn check_device(&self, device: &Device) -> Result<(), String> {
        check_entries(&device.journal, device.changed)?;
        self.check_order(device)?;
        let Some(client) = &device.client else {
            return if device.left { Ok(()) } else { Err("is down".into()) };
        };
        if !client.is_synchronised() {
            return Err("is not synchronised".into());
        }
        let expected = self.expected(device);
        let held: BTreeSet<Digest> = client.holdings().iter().map(|(digest, _)| digest).collect();
        if !expected.is_met_by(&held) {
            let named = |digests: &BTreeSet<Digest>| -> Vec<String> {
                digests.iter().map(|digest| self.describe(device, *digest)).collect()
            };
            let (must, may) = (named(&expected.must), named(&expected.may));
            return Err(format!("holds {:?} instead of {must:?}, at most {may:?} besides", named(&held)));
        }
        let again = Client::recover(device.guid, guid_of(device.server), device.journal.iter().cloned());
        if again.holdings().iter().map(|(digest, _)| digest).ne(held.iter().copied()) {
            return Err("the journal gives another state than the memory".into());
        }
        Ok(())
    }

    fn expected(&self, device: &Device) -> Expected {
        let above = self.above(device.server);
        let offers = |server: &usize, digest| {
            self.servers[*server].engine().is_some_and(|engine| engine.catalogue().position_of(digest).is_some())
        };
        let on_offer = |digest| above.iter().any(|server| offers(server, digest));
        let mut trimmed: BTreeMap<u64, usize> = BTreeMap::new();
        for root in above.iter().filter(|server| **server < self.providers.len()) {
            for (advisory, index) in &self.servers[*root].trimmed {
                let newest = trimmed.entry(*advisory).or_default();
                *newest = (*newest).max(*index);
            }
        }
        Expected::new(&self.publications, &trimmed, on_offer, &above, &device.inventory)
    }

    /// A journal for the message of a failure: when, what, which item, and its place in the server's log.
    fn told(&self, device: &Device) -> String {
        let mut text = format!("{:?} {:?}\n", self.setup, device.inventory);
        for Entry { number, at, event, resume } in &device.journal {
            let what = match event {
                Event::Gained { .. } => "gained",
                Event::Revised { .. } => "revised",
                Event::Retracted { .. } => "retracted",
                Event::Rematched { .. } => "rematched",
                Event::Left { .. } => "left",
                Event::Regarded { .. } => "regarded",
                Event::Refused { .. } => "refused",
                Event::Registered { .. } => "registered",
                Event::Ended { .. } => "ended",
                Event::Assigned { .. } => "assigned",
                Event::Noted => "noted",
            };
            let (came, went) = came_and_went(event);
            let (came, went) = (came.map(|one| self.describe(device, one)), went.map(|one| self.describe(device, one)));
            let resume = resume.map(|resume| resume.places.into_array().map(|place| place.position.0));
            let time = at.0 - BEGIN;
            text.push_str(&format!("{number} at {time} {what} {came:?} for {went:?} resume {resume:?}\n"));
        }
        text
    }

    fn describe(&self, device: &Device, digest: Digest) -> String {
        let Some(number) = self.publications.iter().position(|one| one.digest == digest) else {
            return digest.to_string();
        };
        let place = self.servers[device.server].disk.place_of(digest);
        let publication = &self.publications[number];
        format!("{number} ({} for crate{}, at {place:?})", publication.id, publication.component)
    }

    /// What a server has on offer now: content by number, entries by advisory and revision.
    fn on_offer(&self, server: usize) -> String {
        let Some(engine) = self.servers[server].engine() else { return "down".into() };
        let (mut content, mut list) = (Vec::new(), Vec::new());
        for (_, item) in engine.catalogue().iter().filter(|(_, item)| item.current) {
            let subject = &item.record.subject;
            match self.publications.iter().position(|one| one.digest == item.record.digest) {
                Some(number) => content.push(number),
                None => list.extend(subject.identity.as_ref().map(|one| format!("{}.{}", one.id, subject.revision))),
            }
        }
        format!("content {content:?}, list {list:?}")
    }

    /// The servers above one, with how they ask, for the message of a failure.
    fn told_above(&self, server: usize) -> String {
        let mut text = String::new();
        for server in self.above(server) {
            let Server { rules, upstreams, .. } = &self.servers[server];
            text.push_str(&format!("server {server}: {rules:?}, {}\n", self.on_offer(server)));
            for (upper, config) in upstreams {
                let now = self.uplink(server, *upper).map(|uplink| (uplink.asks(), uplink.asked(), uplink.halted()));
                text.push_str(&format!("  below {upper}: {config:?}, by now {now:?}\n"));
            }
        }
        text
    }
}
