//! What goes wrong: crashes, cuts and partitions, of one, of two at once, of whole subtrees.

use std::collections::BTreeSet;

use super::Shape;
use super::drain::Machine;
use super::network::Party;
use super::world::{AtServer, Happening, World};

/// Whoever can crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Server(usize),
    Device(usize),
}

impl World {
    /// How much goes wrong in this run.
    pub(super) fn faults(&self) -> usize {
        match self.options.shape {
            _ if self.setup.calm => 0,
            Shape::One => 16,
            Shape::Tree => 4 + (self.servers.len() + self.devices.len()) / 5,
        }
    }

    pub(super) fn fault(&mut self) {
        match self.options.shape {
            Shape::One => self.fault_of_one(),
            Shape::Tree => self.fault_of_tree(),
        }
    }

    fn fault_of_one(&mut self) {
        match self.random.below(10) {
            0 | 1 => self.crash_server(0),
            2..=4 => self.crash_a_device(),
            5 | 6 => self.cut_a_link(),
            7 => {
                let party = self.any_party();
                self.partition(vec![party]);
            }
            _ => self.change_an_inventory(),
        }
    }

    fn fault_of_tree(&mut self) {
        match self.random.below(20) {
            0..=2 => self.crash_a_server(),
            3 | 4 => (0..2).for_each(|_| self.crash_a_node()),
            5 | 6 => self.crash_a_device(),
            7..=9 => self.cut_a_link(),
            10 => {
                let party = self.any_party();
                self.partition(vec![party]);
            }
            11 | 12 => self.partition_a_subtree(),
            13..=15 => self.change_an_inventory(),
            16 => self.move_a_device(),
            17 => self.switch_off_a_device(),
            _ => self.rearrange(),
        }
    }

    fn any_server(&mut self) -> usize {
        self.random.below(self.servers.len() as u64) as usize
    }

    pub(super) fn any_device(&mut self) -> Option<usize> {
        let device = self.random.below(self.devices.len() as u64) as usize;
        (device < self.devices.len()).then_some(device)
    }

    fn any_party(&mut self) -> Party {
        let uplinks = (0..self.servers.len()).flat_map(|of| self.uplinks_of(of)).collect::<Vec<_>>();
        let (devices, providers) = (self.devices.len(), self.providers.len());
        let party = self.random.below((devices + providers + uplinks.len()) as u64) as usize;
        match party {
            _ if party < devices => Party::Device(party),
            _ if party < devices + providers => Party::Provider(party - devices),
            _ => uplinks[party - devices - providers],
        }
    }

    fn uplinks_of(&self, of: usize) -> Vec<Party> {
        self.servers[of].upstreams.keys().map(|to| Party::Uplink { of, to: *to }).collect()
    }

    fn crash_a_server(&mut self) {
        let server = self.any_server();
        self.crash_server(server);
    }

    fn crash_a_device(&mut self) {
        if let Some(device) = self.any_device() {
            self.crash_device(device);
        }
    }

    fn crash_a_node(&mut self) {
        if self.random.one_in(2) { self.crash_a_server() } else { self.crash_a_device() }
    }

    fn crash_device(&mut self, index: usize) {
        self.ends(Node::Device(index));
        let wait = self.random.below(3_000);
        self.after(wait, Happening::Starts(Node::Device(index)));
    }

    pub(super) fn crash_server(&mut self, index: usize) {
        self.ends(Node::Server(index));
        let wait = self.random.below(2_000);
        self.after(wait, Happening::Starts(Node::Server(index)));
    }

    /// Somebody dies, until it is started again.
    pub(super) fn ends(&mut self, node: Node) {
        match node {
            Node::Server(index) => self.server_ends(index),
            Node::Device(index) => {
                self.devices[index].crash(&mut self.random);
                self.cut_links_of(Party::Device(index));
            }
        }
    }

    fn server_ends(&mut self, index: usize) {
        self.servers[index].crash(&mut self.random);
        for link in self.network.links(|upper, _| upper == index) {
            if let Some((_, lower)) = self.network.cut(link) {
                let wait = self.random.below(500);
                self.after(wait, Happening::SeesDown(lower, link));
            }
        }
        for link in self.network.links(|_, lower| matches!(lower, Party::Uplink { of, .. } if of == index)) {
            if let Some((upper, _)) = self.network.cut(link) {
                let wait = self.random.below(4_000);
                self.after_at(wait, upper, AtServer::SeesDown(link));
            }
        }
    }

    /// Starts somebody who is down, and lets it dial.
    pub(super) fn starts(&mut self, node: Node) -> Result<(), String> {
        let time = self.time();
        match node {
            Node::Server(index) => {
                if self.servers[index].live.is_none() {
                    self.servers[index].start(time, &mut self.random)?;
                    self.busy.insert(Machine::Server(index));
                    for party in self.uplinks_of(index) {
                        let wait = self.random.below(200);
                        self.after(wait, Happening::Dial(party));
                    }
                }
            }
            Node::Device(index) => {
                let device = &mut self.devices[index];
                if device.client.is_none() && !device.left {
                    device.start(time);
                    self.busy.insert(Machine::Device(index));
                    self.after(1, Happening::Dial(Party::Device(index)));
                }
            }
        }
        Ok(())
    }

    fn cut_a_link(&mut self) {
        let party = self.any_party();
        self.cut_links_of(party);
    }

    /// Nothing reaches these, nor comes from them, for a while.
    fn partition(&mut self, parties: Vec<Party>) {
        self.block(&parties);
        let wait = self.random.below(6_000);
        self.after(wait, Happening::Heals(parties));
    }

    /// The same until they are healed.
    pub(super) fn block(&mut self, parties: &[Party]) {
        for party in parties {
            self.network.block(*party);
            self.cut_links_of(*party);
        }
    }

    /// A server and all that stands below it are alone.
    fn partition_a_subtree(&mut self) {
        let server = self.any_server();
        let inside = self.subtree(server);
        let crosses = |party: &Party| match party {
            Party::Uplink { of, to } => inside.contains(of) != inside.contains(to),
            Party::Device(_) | Party::Provider(_) => false,
        };
        let uplinks = (0..self.servers.len()).flat_map(|of| self.uplinks_of(of));
        let parties = uplinks.filter(crosses).collect();
        self.partition(parties);
    }

    /// A server and every server below it, as configured now.
    pub(super) fn subtree(&self, server: usize) -> BTreeSet<usize> {
        let mut inside = BTreeSet::from([server]);
        loop {
            let below = |one: &usize| self.servers[*one].upstreams.keys().any(|upper| inside.contains(upper));
            let more: BTreeSet<usize> =
                (0..self.servers.len()).filter(|one| !inside.contains(one) && below(one)).collect();
            if more.is_empty() {
                return inside;
            }
            inside.extend(more);
        }
    }

    /// A server and every server above it, as configured now.
    pub(super) fn above(&self, server: usize) -> BTreeSet<usize> {
        let (mut above, mut look) = (BTreeSet::new(), vec![server]);
        while let Some(server) = look.pop() {
            if above.insert(server) {
                look.extend(self.servers[server].upstreams.keys().copied());
            }
        }
        above
    }
}
