//! A device: the client machine and its journal.

use std::collections::VecDeque;

use node::client::journal::Entry;
use node::client::{Action, Asset, Client, Event};
use node::ids::{LinkId, Ticket, Time};
use schemas::guid::ClientGuid;

use super::model::{self, Inventory};
use super::server::guid_of;
use crate::faults::Random;

/// High half of every device's GUID: to be found again in what leaves a server.
pub(super) const GUID_MARKER: u64 = 0x7ac3_91d5_e06b_4f28;
/// Beginning of every device's name, likewise.
pub(super) const NAME_MARKER: &str = "zinnia";

/// One device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) guid: ClientGuid,
    /// The place of the server that it dials.
    pub(super) server: usize,
    name: String,
    pub(super) inventory: Inventory,
    /// Whether what it runs, or whom it dials, was ever another.
    pub(super) changed: bool,
    /// Whether it was switched off for good.
    pub(super) left: bool,
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
    pub(super) fn new(index: usize, server: usize, inventory: Inventory) -> Self {
        Self {
            guid: ClientGuid((u128::from(GUID_MARKER) << 64) + index as u128),
            server,
            name: format!("{NAME_MARKER}-{index}"),
            inventory,
            changed: false,
            left: false,
            client: None,
            link: None,
            journal: Vec::new(),
            unsynced: VecDeque::new(),
            life: 0,
        }
    }

    fn assets(&self) -> Vec<Asset> {
        match &self.inventory {
            Inventory::Plain(components) if components.is_empty() => Vec::new(),
            Inventory::Plain(components) => vec![model::asset(&self.name, components)],
            Inventory::Real(real) => real.assets.clone(),
        }
    }

    /// Starts, or starts again, from the journal.
    pub(super) fn start(&mut self, now: Time) {
        self.life += 1;
        let mut client = Client::recover(self.guid, guid_of(self.server), self.journal.iter().cloned());
        client.handle(now, Event::Assets(self.assets()));
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

    /// Runs something else from now on.
    pub(super) fn change_inventory(&mut self, now: Time, inventory: Inventory) {
        self.inventory = inventory;
        self.changed = true;
        let assets = self.assets();
        self.handle(now, Event::Assets(assets));
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
