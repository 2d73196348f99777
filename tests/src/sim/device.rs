//! A device: the client machine and its journal.

use std::collections::VecDeque;

use node::client::journal::Entry;
use node::client::{Action, Client, Event};
use node::ids::{LinkId, Ticket, Time};
use schemas::guid::{ClientGuid, ServerGuid};

use super::model::{self, Components};
use crate::faults::Random;

/// One device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) guid: ClientGuid,
    server: ServerGuid,
    name: String,
    pub(super) components: Components,
    pub(super) inventory_changed: bool,
    /// `None` while it is down.
    pub(super) client: Option<Client>,
    pub(super) link: Option<LinkId>,
    /// What a crash leaves.
    pub(super) journal: Vec<Entry>,
    unsynced: VecDeque<(Ticket, Vec<Entry>)>,
    /// Counts lives, so that what belongs to an earlier one is known.
    pub(super) life: u64,
}

impl Device {
    pub(super) fn new(index: usize, server: ServerGuid, random: &mut Random) -> Self {
        Self {
            guid: ClientGuid(0xde00 + index as u128),
            server,
            name: format!("device-{index}"),
            components: model::components(random),
            inventory_changed: false,
            client: None,
            link: None,
            journal: Vec::new(),
            unsynced: VecDeque::new(),
            life: 0,
        }
    }

    /// Starts, or starts again, from the journal.
    pub(super) fn start(&mut self, now: Time) {
        self.life += 1;
        let mut client = Client::recover(self.guid, self.server, self.journal.iter().cloned());
        client.handle(now, Event::Assets(vec![model::asset(&self.name, &self.components)]));
        self.client = Some(client);
    }

    /// kill -9: what was not synced is lost, or a prefix of it stays. A journal tears within an entry, never around one.
    pub(super) fn crash(&mut self, random: &mut Random) {
        self.client = None;
        self.link = None;
        let unsynced: Vec<Entry> = self.unsynced.drain(..).flat_map(|(_, entries)| entries).collect();
        let left = random.below(unsynced.len() as u64 + 1);
        self.journal.extend(unsynced.into_iter().take(usize::try_from(left).unwrap_or(0)));
    }

    pub(super) fn write(&mut self, ticket: Ticket, entries: Vec<Entry>) {
        self.unsynced.push_back((ticket, entries));
    }

    /// The oldest write is durable.
    pub(super) fn sync(&mut self, now: Time) {
        let Some((ticket, entries)) = self.unsynced.pop_front() else { return };
        self.journal.extend(entries);
        self.handle(now, Event::Stored(ticket));
    }

    pub(super) fn change_inventory(&mut self, now: Time, random: &mut Random) {
        self.components = model::components(random);
        self.inventory_changed = true;
        let asset = model::asset(&self.name, &self.components);
        self.handle(now, Event::Assets(vec![asset]));
    }

    pub(super) fn handle(&mut self, now: Time, event: Event) {
        if let Some(client) = &mut self.client {
            client.handle(now, event);
        }
    }

    pub(super) fn poll(&mut self) -> Option<Action> {
        self.client.as_mut().and_then(Client::poll_action)
    }
}
