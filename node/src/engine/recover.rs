//! From what a store holds to an engine, as it was.

use std::sync::Arc;

use bytes::Bytes;
use schemas::digest::Digest;
use schemas::guid::ServerGuid;
use topology::subscriptions::{self, Subscriptions};

use super::plan::Plan;
use super::{Config, Engine, SWEEP, Totals};
use crate::catalogue::{Catalogue, Rights};
use crate::ids::{Position, Ticket, Time};
use crate::policy::Policy;
use crate::records::{Cursor, Damaged, ItemRecord, Origin, Registration, Seen, client_of, seen_of};
use crate::store::{Recovered, Table, Write};
use crate::uplink::{self, ParkedId, Uplink};

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

/// The list is asked for once more if the log does not say all of it: what was trimmed, and what another listed first.
fn relist(catalogue: &Catalogue, uplink: &mut Uplink, writes: &mut Vec<Write>) {
    if catalogue.is_trimmed() || catalogue.has_entries_of_others(Origin::Upstream(uplink.config().server)) {
        uplink.cut_list();
        uplink.relist(writes);
    }
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
            subscriptions: Subscriptions::counting(),
            registered: Default::default(),
            cursors: Default::default(),
            catalogue: Catalogue::default(),
            restored: Default::default(),
            refused_above: Default::default(),
            latest: Default::default(),
            appending: Default::default(),
            seen: Default::default(),
            seen_order: Default::default(),
            forgotten: Default::default(),
            staged: Default::default(),
            sessions: Default::default(),
            answers: Default::default(),
            links: Default::default(),
            uplinks: Default::default(),
            lists: false,
            below: Default::default(),
            names: Default::default(),
            parked: Default::default(),
            parked_bytes: 0,
            deadlines: Default::default(),
            reach: Default::default(),
            next_parked: ParkedId(1),
            now,
            assigned: Position(0),
            next_ticket: Ticket(0),
            pending: Default::default(),
            broken: None,
            next_sweep: now.after(SWEEP),
            next_refresh: now,
            actions: Default::default(),
            totals: Totals::default(),
        };
        let mut seen = Vec::new();
        let mut uplink_rows = Vec::new();
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
                Table::Meta => engine.recover_trust(&key, &value)?,
                Table::Uplinks => uplink_rows.push((key, value)),
                Table::Names => engine.names.recover(&key, &value)?,
                Table::Below => engine.below.recover(&key, &value)?,
            }
        }
        engine.assigned = engine.catalogue.head();
        let mut lost = recovered.lost.iter().peekable();
        let mut missing = Vec::new();
        for (position, record) in recovered.records {
            while let Some(before) = lost.next_if(|lost| lost.position < position) {
                engine.recover_lost(before, &mut missing);
            }
            let record = ItemRecord::decode(&record)?;
            if let (Some(id), Origin::Client(client)) = (record.message_id, record.origin) {
                seen.push((record.accepted, (client, id), record.digest));
            }
            engine.recover_item(Position(position), record);
        }
        lost.for_each(|lost| engine.recover_lost(lost, &mut missing));
        engine.relearn_latest();
        seen.sort_by_key(|(at, key, _)| (*at, *key));
        for (at, key, digest) in seen {
            engine.remember(at, key, digest);
        }
        engine.recover_uplinks(now, uplink_rows)?;
        engine.check_trust(now);
        engine.fetch_missing(now, missing);
        Ok(engine)
    }

    /// Uplinks go on where they stopped. Rows of an upstream that is not configured any more are of no use.
    fn recover_uplinks(&mut self, now: Time, rows: Vec<(Bytes, Bytes)>) -> Result<(), Damaged> {
        for config in std::mem::take(&mut self.config.upstreams) {
            let entropy = self.next_entropy();
            self.uplinks.insert(config.server, Uplink::new(config, entropy));
        }
        let mut writes = Vec::new();
        for (key, value) in rows {
            match self.uplinks.get_mut(&uplink::server_of(&key)?) {
                Some(uplink) => uplink.recover(&key, &value)?,
                None => writes.push(Write::Delete { table: Table::Uplinks, key }),
            }
        }
        for uplink in self.uplinks.values_mut() {
            uplink.forget_other_realm(&mut writes);
            relist(&self.catalogue, uplink, &mut writes);
        }
        if !writes.is_empty() {
            self.store(Plan { writes, ..Plan::default() });
        }
        let servers: Vec<_> = self.uplinks.keys().copied().collect();
        for server in servers {
            self.tell(now, server);
            if self.uplinks.get(&server).is_some_and(Uplink::starts_telling) {
                self.report_everything(server);
            }
        }
        drop(self.subscriptions.take_want_changes());
        Ok(())
    }

    /// An upstream is asked otherwise from now on: what it lists is read off the log anew.
    pub(super) fn ask_otherwise(&mut self, now: Time, server: ServerGuid) {
        let mut writes = Vec::new();
        if let Some(uplink) = self.uplinks.get_mut(&server) {
            relist(&self.catalogue, uplink, &mut writes);
        }
        if !writes.is_empty() && self.broken.is_none() {
            self.store(Plan { writes, ..Plan::default() });
        }
        self.tell(now, server);
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
        self.assigned = position;
        let trust = Arc::clone(&self.policy.trust);
        self.catalogue.insert(position, record, &Rights { trust: &trust, at: self.now });
    }
}
