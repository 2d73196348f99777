//! What clients are called here (9.3): by the GUID of their certificate, or by one that was assigned at registration.
//!
//! Inside, a client is known by its *key*: the GUID of its certificate, or below a local server the one by which it was
//! first reported. Headers, routes and the inventory have its *name*. A name counts in memory at once, and is told to
//! the client in the answer that waits for its row; the one before it is an alias until the client has used the new one.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use schemas::digest::Digest;
use schemas::guid::{ClientGuid, ServerGuid};

use super::exchange::Speaker;
use super::plan::Plan;
use super::{Engine, Route};
use crate::intake::Hop;
use crate::records::{Damaged, client_key, client_of};
use crate::store::{Table, Write};
use crate::uplink::Renamed;

/// Of a client that is not called by its key, or was not always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    current: ClientGuid,
    alias: Option<ClientGuid>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Names {
    of: BTreeMap<ClientGuid, Name>,
    /// Name → key.
    keys: BTreeMap<ClientGuid, ClientGuid>,
    /// Alias → keys: two below different local servers may have had one name.
    aliases: BTreeMap<ClientGuid, BTreeSet<ClientGuid>>,
}

impl Names {
    fn of(&self, key: ClientGuid) -> Name {
        self.of.get(&key).copied().unwrap_or(Name { current: key, alias: None })
    }

    pub(super) fn shown(&self, key: ClientGuid) -> ClientGuid {
        self.of(key).current
    }

    /// Whether the client may go by this name.
    pub(super) fn fits(&self, key: ClientGuid, name: ClientGuid) -> bool {
        let Name { current, alias } = self.of(key);
        current == name || alias == Some(name)
    }

    /// Who is called so now.
    fn called(&self, name: ClientGuid) -> Option<ClientGuid> {
        self.keys.get(&name).copied().or((!self.of.contains_key(&name)).then_some(name))
    }

    fn once_called(&self, name: ClientGuid) -> impl Iterator<Item = ClientGuid> {
        self.aliases.get(&name).into_iter().flatten().copied()
    }

    fn set(&mut self, key: ClientGuid, name: Option<Name>) -> Write {
        if let Some(before) = self.of.remove(&key) {
            self.keys.remove(&before.current);
            if let Some(alias) = before.alias
                && let Some(keys) = self.aliases.get_mut(&alias)
            {
                keys.remove(&key);
                if keys.is_empty() {
                    self.aliases.remove(&alias);
                }
            }
        }
        let row = client_key(key);
        // Who is called by its key needs no row.
        let Some(name) = name.filter(|name| *name != Name { current: key, alias: None }) else {
            return Write::Delete { table: Table::Names, key: row };
        };
        self.of.insert(key, name);
        self.keys.insert(name.current, key);
        if let Some(alias) = name.alias {
            self.aliases.entry(alias).or_default().insert(key);
        }
        Write::Put { table: Table::Names, key: row, value: encode(name) }
    }

    pub(super) fn recover(&mut self, key: &[u8], value: &[u8]) -> Result<(), Damaged> {
        let name = decode(value).ok_or(Damaged { what: "name", reason: "not one or two GUIDs".into() })?;
        self.set(client_of(key)?, Some(name));
        Ok(())
    }
}

fn encode(Name { current, alias }: Name) -> Bytes {
    let mut value = BytesMut::with_capacity(32);
    value.put_u128(current.0);
    alias.into_iter().for_each(|alias| value.put_u128(alias.0));
    value.freeze()
}

fn decode(value: &[u8]) -> Option<Name> {
    let guid = |bytes: &[u8; 16]| ClientGuid(u128::from_be_bytes(*bytes));
    match value.as_chunks::<16>() {
        ([current], []) => Some(Name { current: guid(current), alias: None }),
        ([current, alias], []) => Some(Name { current: guid(current), alias: Some(guid(alias)) }),
        _ => None,
    }
}

impl Engine {
    /// Who is called so here, or was until just now.
    pub(super) fn key_of(&self, name: ClientGuid) -> Option<ClientGuid> {
        self.called(name).or_else(|| self.names.once_called(name).next())
    }

    /// Who is called so now.
    pub(super) fn called(&self, name: ClientGuid) -> Option<ClientGuid> {
        self.names.called(name).filter(|key| self.is_known(*key))
    }

    fn is_known(&self, key: ClientGuid) -> bool {
        self.links.contains_key(&key) || self.registered.contains_key(&key) || self.below.get(key).is_some()
    }

    fn is_free(&self, name: ClientGuid) -> bool {
        let is_called = self.names.keys.contains_key(&name) || self.names.aliases.contains_key(&name);
        name != ClientGuid(0) && !is_called && !self.is_known(name)
    }

    /// A client has used its new name: the one before it is gone.
    pub(super) fn use_name(&mut self, key: ClientGuid, used: ClientGuid, plan: &mut Plan) {
        let name = self.names.of(key);
        if name.current == used && name.alias.is_some() && self.broken.is_none() {
            plan.writes.push(self.names.set(key, Some(Name { alias: None, ..name })));
        }
    }

    /// The client that an answer names: the one that was addressed, or that client's new name (R-9.3-7).
    pub(super) fn name_in_answer(&self, speaker: &Speaker, outer: bool, hop: &Hop, plan: &Plan) -> Option<ClientGuid> {
        if speaker.is_below() {
            let addressed = hop.client.filter(|client| *client == speaker.client)?;
            let key = self.meant(speaker, plan);
            let is_known = self.below.newest(key, plan).is_some_and(|known| known.is_the_way(speaker));
            return Some(if is_known { self.names.shown(key) } else { addressed });
        }
        let name = self.names.of(speaker.link_client);
        let is_own = outer || (hop.client.is_some() && speaker.client == speaker.link_client);
        if is_own && name.alias.is_some() { Some(name.current) } else { hop.client }
    }

    /// The operator may have another name for who registers here.
    pub(super) fn assign_by_policy(&mut self, client: ClientGuid, plan: &mut Plan) {
        if let Some(name) = self.policy.assign.get(&client).copied() {
            self.rename(client, name, plan);
        }
    }

    /// An upstream of the same realm knows another client by this one's name, and calls this one otherwise.
    pub(super) fn renamed_above(&mut self, Renamed { client, from, to }: Renamed) {
        let mut plan = Plan::default();
        if self.is_known(client) && self.names.shown(client) == from {
            self.rename(client, to, &mut plan);
        }
        if !plan.writes.is_empty() {
            self.store(plan);
        }
    }

    fn rename(&mut self, key: ClientGuid, to: ClientGuid, plan: &mut Plan) {
        let before = self.names.of(key);
        let is_own = to == key || before.alias == Some(to);
        if self.broken.is_some() || before.current == to || !(is_own || self.is_free(to)) {
            return;
        }
        // Those below a local server are called in routes as they are called there, until it has heard of it.
        let here = self.below.get(key).is_none().then(|| self.as_gone(key)).flatten();
        if let Some(gone) = here {
            self.plan_gone(gone, plan);
            plan.renamed.push(key);
            self.plan_telling(plan);
        }
        let known_as = before.alias.unwrap_or(before.current);
        let name = Name { current: to, alias: Some(known_as).filter(|alias| *alias != to) };
        plan.writes.push(self.names.set(key, Some(name)));
    }

    /// Whom a local server means by the GUID that it has for him.
    pub(super) fn meant(&self, speaker: &Speaker, plan: &Plan) -> ClientGuid {
        let name = speaker.client;
        let is_by = |key: &ClientGuid| self.below.newest(*key, plan).is_some_and(|known| known.is_the_way(speaker));
        let called = self.names.keys.get(&name).copied();
        called.or_else(|| self.names.once_called(name).find(is_by)).unwrap_or(name)
    }

    /// A second client of a GUID gets one of its own (R-9.3-16); its local server hears of it in the answer.
    pub(super) fn set_apart(&mut self, name: ClientGuid, plan: &mut Plan) -> ClientGuid {
        let key = loop {
            let seed = [&self.next_entropy().to_be_bytes()[..], &name.0.to_be_bytes()].concat();
            let guid = Digest::of(&seed).0.first_chunk::<16>().map_or(0, |half| u128::from_be_bytes(*half));
            if self.is_free(ClientGuid(guid)) {
                break ClientGuid(guid);
            }
        };
        plan.writes.push(self.names.set(key, Some(Name { current: key, alias: Some(name) })));
        key
    }

    /// Who is gone below has no name any more.
    pub(super) fn forget_name(&mut self, key: ClientGuid, plan: &mut Plan) {
        if self.names.of.contains_key(&key) && !self.registered.contains_key(&key) {
            plan.writes.push(self.names.set(key, None));
        }
    }

    /// The hops from this node down to a client that is connected, registered or reported: the first is one of this
    /// node's own links.
    pub fn route(&self, client: ClientGuid) -> Option<Route> {
        self.key_of(client).and_then(|key| self.route_to(key))
    }

    pub(super) fn own_hop(&self, key: ClientGuid) -> (ServerGuid, ClientGuid) {
        (self.config.server, self.names.shown(key))
    }
}
