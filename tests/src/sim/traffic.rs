//! What crossed each edge: how often each item, and whether anything of a device left its realm.

use std::collections::BTreeMap;

use node::intake::Intake;
use node::uplink::Realm;
use schemas::digest::Digest;

use super::device::{GUID_MARKER, NAME_MARKER};
use super::network::{Message, Party};
use super::world::World;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// By edge and item.
    items: BTreeMap<(usize, Party, Digest), u32>,
    /// What left a realm first, if anything did.
    leaked: Option<String>,
    /// Bytes that were searched.
    pub(super) searched: u64,
}

impl Traffic {
    /// A Delivery came down.
    pub(super) fn crosses(&mut self, upper: usize, lower: Party, intake: &Intake) {
        for (_, item) in intake.items().into_iter().flatten().filter(|(_, item)| !item.is_entry) {
            *self.items.entry((upper, lower, item.digest)).or_default() += 1;
        }
    }

    /// Nothing of a device in what foreign realms were told.
    pub(super) fn check(&self) -> Result<(), String> {
        self.leaked.clone().map_or(Ok(()), Err)
    }

    /// How often items crossed edges, and how often again.
    pub(super) fn crossed(&self) -> (u64, u64) {
        let times = |count: fn(u32) -> u32| self.items.values().map(|times| u64::from(count(*times))).sum();
        (times(|times| times), times(|times| times - 1))
    }
}

impl World {
    /// Searches what a local server says to another realm for anything of a device.
    pub(super) fn look_for_markers(&mut self, lower: Party, message: &Message) {
        let Party::Uplink { of, to } = lower else { return };
        let config = self.servers[of].upstreams.get(&to);
        if config.is_none_or(|config| config.realm == Realm::Same) {
            return;
        }
        let (Message::Open(_, document) | Message::LaneReply(_, _, document)) = message else { return };
        self.traffic.searched += document.len() as u64;
        let text = String::from_utf8_lossy(document).to_ascii_lowercase();
        let plain = format!("{GUID_MARKER:016x}");
        let hyphenated = format!("{}-{}-{}", &plain[..8], &plain[8..12], &plain[12..]);
        if let Some(marker) = [NAME_MARKER, &plain, &hyphenated].into_iter().find(|marker| text.contains(*marker)) {
            let why = format!("server {of} told server {to}, of another realm, {marker}: {text}");
            self.traffic.leaked.get_or_insert(why);
        }
    }
}
