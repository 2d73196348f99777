//! What people change: inventories, where devices and subtrees stand.

use node::{engine, uplink};

use super::drain::Machine;
use super::fault::Node;
use super::model::{self, Inventory};
use super::network::Party;
use super::server::{Dialled, guid_of, index_of};
use super::tree;
use super::world::{Happening, World};

impl World {
    pub(super) fn change_an_inventory(&mut self) {
        let Some(index) = self.any_device() else { return };
        let time = self.time();
        if self.devices[index].client.is_some() {
            let inventory = model::inventory(self.scale, &mut self.random);
            self.devices[index].change_inventory(time, inventory);
            self.busy.insert(Machine::Device(index));
        }
    }

    /// A device is put under another server, with its journal.
    pub(super) fn move_a_device(&mut self) {
        let Some(index) = self.any_device() else { return };
        let server = self.random.below(self.servers.len() as u64) as usize;
        let time = self.time();
        let device = &mut self.devices[index];
        if device.server == server || device.client.is_none() {
            return;
        }
        device.crash(&mut self.random);
        device.server = server;
        device.changed = true;
        device.start(time);
        self.cut_links_of(Party::Device(index));
        self.busy.insert(Machine::Device(index));
        self.after(1, Happening::Dial(Party::Device(index)));
    }

    /// One that is never seen again, or one that first says that it wants nothing any more.
    pub(super) fn switch_off_a_device(&mut self) {
        let Some(index) = self.any_device() else { return };
        let time = self.time();
        if self.random.one_in(2) {
            self.devices[index].change_inventory(time, Inventory::Plain(Default::default()));
            self.busy.insert(Machine::Device(index));
        } else {
            self.devices[index].left = true;
            self.devices[index].crash(&mut self.random);
            self.cut_links_of(Party::Device(index));
        }
    }

    /// A server with all that is below it is put elsewhere, gets one more upstream, or loses one.
    pub(super) fn rearrange(&mut self) {
        let locals = self.servers.len() - self.providers.len();
        if locals == 0 {
            return;
        }
        let server = self.providers.len() + self.random.below(locals as u64) as usize;
        let what = self.random.below(8);
        if what > 0
            && let Some(upper) = self.an_upstream_of(server)
        {
            self.detach(server, upper);
        }
        if what < 7 {
            let upper = self.random.below(self.servers.len() as u64) as usize;
            let config = tree::edge(server, upper, None, &mut self.random);
            let wait = if self.random.one_in(2) { 0 } else { self.random.below(3_000) };
            self.after(wait, Happening::Attach(server, upper, Box::new(config)));
        }
    }

    fn an_upstream_of(&mut self, server: usize) -> Option<usize> {
        let uppers: Vec<usize> = self.servers[server].upstreams.keys().copied().collect();
        uppers.get(self.random.below(uppers.len() as u64) as usize).copied()
    }

    fn detach(&mut self, server: usize, upper: usize) {
        self.servers[server].upstreams.remove(&upper);
        self.servers[server].rearranged = true;
        self.tell_engine(server, engine::Event::Detach(guid_of(upper)));
    }

    /// A server starts again under others.
    pub(super) fn moves(&mut self, server: usize, upstreams: Vec<uplink::Config>) -> Result<(), String> {
        self.ends(Node::Server(server));
        self.servers[server].upstreams = upstreams.into_iter().map(|one| (index_of(one.server), one)).collect();
        self.servers[server].rearranged = true;
        self.starts(Node::Server(server))
    }

    /// Unless the upper one stands below the other by now, or is left just now.
    pub(super) fn attach(&mut self, server: usize, upper: usize, config: uplink::Config) {
        let leaving = self.servers[server].live.as_ref().is_some_and(|live| live.uplinks.contains_key(&upper));
        if leaving || self.subtree(server).contains(&upper) {
            return;
        }
        self.servers[server].upstreams.insert(upper, config.clone());
        self.servers[server].rearranged = true;
        if let Some(live) = &mut self.servers[server].live {
            live.uplinks.insert(upper, Dialled::default());
            self.tell_engine(server, engine::Event::Attach(config));
            self.after(1, Happening::Dial(Party::Uplink { of: server, to: upper }));
        }
    }
}
