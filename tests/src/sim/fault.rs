//! What goes wrong: crashes, cuts, partitions, and inventories that change meanwhile.

use super::world::{Happening, World};

impl World {
    pub(super) fn fault(&mut self) {
        let party = self.random.below(self.devices.len() as u64 + 1) as usize;
        match self.random.below(10) {
            0 | 1 => self.crash_server(),
            2..=4 if party < self.devices.len() => self.crash_device(party),
            2..=4 => {}
            5 | 6 => self.cut_links_of(party),
            7 => {
                self.network.partition(party);
                self.cut_links_of(party);
                let wait = self.random.below(6_000);
                self.after(wait, Happening::Heals(party));
            }
            _ => {
                let time = self.time();
                if let Some(device) = self.devices.get_mut(party)
                    && device.client.is_some()
                {
                    device.change_inventory(time, &mut self.random);
                }
            }
        }
    }

    fn crash_device(&mut self, index: usize) {
        self.devices[index].crash(&mut self.random);
        self.cut_links_of(index);
        let wait = self.random.below(3_000);
        self.after(wait, Happening::DeviceStarts(index));
    }

    pub(super) fn crash_server(&mut self) {
        self.server.crash(&mut self.random);
        for link in self.network.links() {
            if let Some(party) = self.network.cut(link) {
                let wait = self.random.below(500);
                self.after(wait, Happening::PartySeesDown(party, link));
            }
        }
        let wait = self.random.below(2_000);
        self.after(wait, Happening::ServerStarts);
    }

    /// Both ends learn of it, each in its own time: a server may see the next link before it misses the last.
    pub(super) fn cut_links_of(&mut self, party: usize) {
        for link in
            self.network.links().into_iter().filter(|link| self.network.party(*link) == Some(party)).collect::<Vec<_>>()
        {
            self.network.cut(link);
            let (server, client) = (self.random.below(4_000), self.random.below(800));
            self.after(server, Happening::ServerSeesDown(self.server.life, link));
            self.after(client, Happening::PartySeesDown(party, link));
        }
    }
}
