//! From what a store holds to an engine, as it was.

use bytes::Bytes;
use schemas::digest::Digest;
use topology::subscriptions::{self, Subscriptions};

use super::deliver::Latest;
use super::{Config, Engine, SWEEP, Totals};
use crate::catalogue::Catalogue;
use crate::ids::{Position, Ticket, Time};
use crate::policy::Policy;
use crate::records::{Cursor, Damaged, ItemRecord, Registration, Seen, client_of, seen_of};
use crate::store::{Recovered, Table, Write};

const FLOOR: &[u8] = b"floor";

/// The row that remembers how far the log was trimmed.
pub(super) fn floor_row(trimmed: Position) -> Write {
    let value = Bytes::copy_from_slice(&trimmed.0.to_be_bytes());
    Write::Put { table: Table::Meta, key: Bytes::from_static(FLOOR), value }
}

fn floor_of(value: &[u8]) -> Result<Position, Damaged> {
    let bytes = value.try_into().map_err(|_| Damaged { what: "floor", reason: "not 8 bytes".into() })?;
    Ok(Position(u64::from_be_bytes(bytes)))
}

impl Engine {
    /// An engine that goes on where the store's last one stopped.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub fn recover(config: Config, policy: Policy, recovered: Recovered, now: Time) -> Result<Self, Damaged> {
        let mut engine = Self {
            config,
            policy,
            incarnation: recovered.incarnation,
            subscriptions: Subscriptions::default(),
            registered: Default::default(),
            cursors: Default::default(),
            catalogue: Catalogue::default(),
            latest: Default::default(),
            appending: Default::default(),
            seen: Default::default(),
            seen_order: Default::default(),
            forgotten: Default::default(),
            staged: Default::default(),
            sessions: Default::default(),
            links: Default::default(),
            assigned: Position(0),
            next_ticket: Ticket(0),
            pending: Default::default(),
            broken: None,
            next_sweep: now.after(SWEEP),
            actions: Default::default(),
            totals: Totals::default(),
        };
        let mut seen = Vec::new();
        for (table, key, value) in recovered.rows {
            match table {
                Table::Registrations => engine.recover_registration(&key, &value)?,
                Table::Cursors => {
                    engine.cursors.insert(client_of(&key)?, Cursor::decode(&value)?);
                }
                Table::Seen => {
                    let row = Seen::decode(&value)?;
                    seen.push((Time(row.at), seen_of(&key)?, Digest(row.digest)));
                }
                Table::Meta if key == FLOOR => engine.catalogue = Catalogue::new(floor_of(&value)?),
                Table::Meta => {}
            }
        }
        engine.assigned = engine.catalogue.head();
        for (position, record) in recovered.records {
            let record = ItemRecord::decode(&record)?;
            if let Some(id) = record.message_id {
                seen.push((record.accepted, (record.origin, id), record.digest));
            }
            engine.recover_item(Position(position), record);
        }
        seen.sort_by_key(|(at, key, _)| (*at, *key));
        for (at, key, digest) in seen {
            engine.remember(at, key, digest);
        }
        Ok(engine)
    }

    fn recover_registration(&mut self, key: &[u8], value: &[u8]) -> Result<(), Damaged> {
        let client = client_of(key)?;
        let row = Registration::decode(value)?;
        let list = subscriptions::decode(&row.subscriptions)
            .map_err(|error| Damaged { what: "registration", reason: error.to_string() })?;
        self.registered.insert(client, Time(row.renewed));
        self.subscriptions.replace(client, list);
        Ok(())
    }

    fn recover_item(&mut self, position: Position, record: ItemRecord) {
        // Below the floor: trimmed, but its segment is still there.
        if position <= self.catalogue.head() {
            return;
        }
        let latest = Latest { revision: record.subject.revision, digest: record.digest, reach: record.reach.clone() };
        let slot = record.subject.identity.clone().map(|identity| (identity, record.is_entry));
        let inserted = self.catalogue.insert(position, record);
        if let Some(slot) = slot.filter(|_| inserted.current) {
            self.latest.insert(slot, latest);
        }
        self.assigned = position;
    }
}
