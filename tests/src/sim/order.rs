//! The order in which items reached a device, where an order is promised.

use std::collections::BTreeSet;

use node::client::journal::Entry;
use node::uplink::{Ask, Config, Uplink};
use schemas::class::Class;
use schemas::digest::Digest;
use topology::want::Granularity;

use super::device::Device;
use super::journal::{came_and_went, check_order};
use super::world::World;

impl World {
    /// Each class as its server has them; and those of each component as the server has them where they are published.
    pub(super) fn check_order(&self, device: &Device) -> Result<(), String> {
        if device.changed {
            return Ok(());
        }
        // A local server that trims gets things again, at another place.
        if self.servers[device.server].rules.trims() && device.server >= self.providers.len() {
            return Ok(());
        }
        self.check_order_of(device.server, &device.journal)?;
        let Some(root) = self.plain_root(device.server) else { return Ok(()) };
        let components: BTreeSet<u64> = self.publications.iter().map(|one| one.component).collect();
        for component in components {
            let of_component = |digest: Digest| {
                let one = self.publications.iter().find(|one| one.digest == digest);
                one.is_some_and(|one| one.component == component)
            };
            let is_meant = |entry: &&Entry| came_and_went(&entry.event).0.is_some_and(of_component);
            let entries: Vec<Entry> = device.journal.iter().filter(is_meant).cloned().collect();
            self.check_order_of(root, &entries)
                .map_err(|why| format!("component {component}, in the order of server {root}: {why}"))?;
        }
        Ok(())
    }

    fn check_order_of(&self, server: usize, entries: &[Entry]) -> Result<(), String> {
        let server = &self.servers[server];
        let was_gone = |digest, at| server.gone.get(&digest).is_some_and(|gone| *gone <= at);
        for class in Class::ALL {
            let is_meant = |digest: Digest| {
                let one = self.publications.iter().find(|one| one.digest == digest);
                // What is none of them is an error, which each class may report.
                one.is_none_or(|one| one.class == class)
            };
            let of_class = entries.iter().filter(|entry| came_and_went(&entry.event).0.is_some_and(is_meant));
            check_order(of_class, |digest| server.disk.place_of(digest), was_gone)
                .map_err(|why| format!("{class:?}: {why}"))?;
        }
        Ok(())
    }

    /// The root above a server, if things come from there by one way only, which was always the same, and each hop asks
    /// for components by one name each.
    fn plain_root(&self, server: usize) -> Option<usize> {
        let mut server = server;
        loop {
            let one = &self.servers[server];
            if one.rules.trims() || one.rearranged {
                return None;
            }
            match one.upstreams.iter().next() {
                None => return Some(server),
                Some((upper, config)) if one.upstreams.len() == 1 && self.is_plain(server, *upper, config) => {
                    server = *upper
                }
                Some(_) => return None,
            }
        }
    }

    fn is_plain(&self, server: usize, upper: usize, config: &Config) -> bool {
        // What is configured, or what it has fallen back to.
        let asks = self.uplink(server, upper).map(Uplink::asks);
        asks != Some(Ask::Elements) && config.granularity != Granularity::Version
    }
}
