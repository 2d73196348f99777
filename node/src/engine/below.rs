//! The clients below local servers: which there are, what they run, and the way to each.
//!
//! A local server subscribes for the union of what is below it, so nothing here decides who gets an item. What it passes
//! on of its clients makes the inventory (R-1-2), and the routes by which a server addresses whoever is below it (9.3).

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::guid::{ClientGuid, ServerGuid};
use topology::interest::Interest;
use topology::subscriptions::{self, Subscription};

use super::Engine;
use super::exchange::{Speaker, refusal};
use super::plan::Plan;
use super::register::{Said, changes};
use crate::ids::{Ticket, Time};
use crate::intake::{Hop, Meaning, Refusal};
use crate::policy::Collisions;
use crate::records::{BelowRow, Damaged, client_key, client_of};
use crate::store::{Table, Write};
use crate::uplink::Gone;

/// The hops to a client, from above: of each, its server and its client.
pub type Route = Vec<(ServerGuid, ClientGuid)>;

/// Hops below a local server. Each is a header around the next in one document, whose depth is bounded.
const HOPS_MAX: usize = 32;

/// What was reported of one client. Its subscriptions stay encoded: they are looked at rarely, and there are many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    via: ClientGuid,
    path: Route,
    pub(super) renewed: Time,
    subscriptions: Bytes,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Below {
    clients: BTreeMap<ClientGuid, Known>,
    /// On their way to the store: the newest of each client.
    staged: BTreeMap<ClientGuid, (Ticket, Option<Known>)>,
    /// In memory for `clients`.
    bytes: usize,
}

impl Known {
    /// Whether it was reported by this way; what it is called at its end may have changed.
    pub(super) fn is_the_way(&self, speaker: &Speaker) -> bool {
        let but_name = |path: &Route| path.split_last().map(|((server, _), before)| (*server, before.to_vec()));
        self.via == speaker.link_client && but_name(&self.path) == but_name(&speaker.path)
    }

    pub(super) fn list(&self) -> Vec<Subscription> {
        // Whole when it was made, or when it was read from the store.
        subscriptions::decode(&self.subscriptions).unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        size_of::<(ClientGuid, Self)>()
            + self.path.len() * size_of::<(ServerGuid, ClientGuid)>()
            + self.subscriptions.len()
    }

    fn put(&self, client: ClientGuid) -> Write {
        let path = self.path.iter().map(|(server, client)| (server.0, client.0)).collect();
        let subscriptions = self.subscriptions.to_vec();
        let row = BelowRow { via: self.via.0, path, renewed: self.renewed.0, subscriptions };
        Write::Put { table: Table::Below, key: client_key(client), value: row.encode() }
    }
}

impl Below {
    pub(super) fn stage(&mut self, ticket: Ticket, changes: &[(ClientGuid, Option<Known>)]) {
        self.staged.extend(changes.iter().map(|(client, known)| (*client, (ticket, known.clone()))));
    }

    pub(super) fn unstage(&mut self, changes: &[(ClientGuid, Option<Known>)]) {
        changes.iter().for_each(|(client, _)| _ = self.staged.remove(client));
    }

    /// It is durable.
    pub(super) fn commit(&mut self, ticket: Ticket, client: ClientGuid, known: Option<Known>) {
        if self.staged.get(&client).is_some_and(|(newest, _)| *newest == ticket) {
            self.staged.remove(&client);
        }
        self.bytes += known.as_ref().map_or(0, Known::bytes);
        let before = match known {
            Some(known) => self.clients.insert(client, known),
            None => self.clients.remove(&client),
        };
        self.bytes -= before.as_ref().map_or(0, Known::bytes);
    }

    pub(super) fn recover(&mut self, key: &[u8], value: &[u8]) -> Result<(), Damaged> {
        let row = BelowRow::decode(value)?;
        let damaged = |error: topology::record::RecordError| Damaged { what: "below", reason: error.to_string() };
        drop(subscriptions::decode(&row.subscriptions).map_err(damaged)?);
        let path = row.path.into_iter().map(|(server, client)| (ServerGuid(server), ClientGuid(client))).collect();
        let (via, renewed, subscriptions) = (ClientGuid(row.via), Time(row.renewed), row.subscriptions.into());
        self.commit(Ticket(0), client_of(key)?, Some(Known { via, path, renewed, subscriptions }));
        Ok(())
    }

    /// What is known of a client, what is on its way to the store included.
    pub(super) fn newest<'a>(&'a self, client: ClientGuid, plan: &'a Plan) -> Option<&'a Known> {
        let planned = plan.below.iter().rev().find(|(planned, _)| *planned == client).map(|(_, known)| known);
        match planned.or(self.staged.get(&client).map(|(_, known)| known)) {
            Some(known) => known.as_ref(),
            None => self.clients.get(&client),
        }
    }

    /// Clients after one, in the order of their GUIDs, and what is known of each.
    pub(super) fn after(&self, from: Bound<ClientGuid>) -> impl Iterator<Item = (&ClientGuid, &Known)> {
        self.clients.range((from, Bound::Unbounded))
    }

    pub(super) fn get(&self, client: ClientGuid) -> Option<&Known> {
        self.clients.get(&client)
    }

    /// Clients that nobody has heard of since.
    fn unheard(&self, since: impl Fn(Time) -> bool) -> Vec<ClientGuid> {
        let over = |client: &ClientGuid, known: &Known| since(known.renewed) && !self.staged.contains_key(client);
        self.clients.iter().filter(|(client, known)| over(client, known)).map(|(client, _)| *client).collect()
    }
}

impl Plan {
    fn set_below(&mut self, client: ClientGuid, known: Option<Known>) {
        self.writes.push(match &known {
            Some(known) => known.put(client),
            None => Write::Delete { table: Table::Below, key: client_key(client) },
        });
        self.below.push((client, known));
    }
}

impl Engine {
    /// Whether a header inside a local server's document names a hop below it: then one step more has been walked.
    pub(super) fn fits_below(&self, speaker: &Speaker, hop: &Hop) -> Result<Speaker, Refusal> {
        let failed = |why: &str| Err(refusal(ReplyStatus::Failed, why));
        let mut speaker = speaker.clone();
        let step = match (hop.server, hop.client) {
            (None, None) => return Ok(speaker),
            (Some(server), Some(client)) => (server, client),
            _ => return failed("a header below a local server names both its server and its client, or neither"),
        };
        if speaker.path.last() == Some(&step) {
            return Ok(speaker);
        }
        if step.0 == self.config.server || speaker.path.contains(&step) {
            return failed("the way to this client leads in a circle");
        }
        if speaker.path.len() >= HOPS_MAX {
            return failed("too many hops below this node");
        }
        speaker.path.push(step);
        speaker.client = step.1;
        speaker.sent = hop.sent.or(speaker.sent);
        Ok(speaker)
    }

    /// Takes what a local server passes on of a client below it: who is there, by which way, and what it runs. Of two
    /// ways to one client the one by which it was heard last is right.
    pub(super) fn register_below(
        &mut self,
        now: Time,
        said: &Said<'_>,
        plan: &mut Plan,
    ) -> Result<(), (usize, Refusal)> {
        let Said { speaker, meanings, .. } = *said;
        let contact = speaker.sent.map_or(now, |sent| sent.min(now));
        let mut key = self.meant(speaker, plan);
        let known = self.below.newest(key, plan);
        let moved = known.is_some_and(|known| !known.is_the_way(speaker));
        let is_another = self.policy.collisions != Collisions::Move && self.is_taken(key, speaker, plan);
        let is_older = match known {
            Some(known) => moved && contact < known.renewed,
            None => self.last_here(key).is_some_and(|here| contact < here),
        };
        // Who only says that it is there has what it had; else it starts anew where it is now.
        let stays = meanings.iter().all(|meaning| **meaning == Meaning::Presence);
        let known = known.filter(|_| !is_another);
        let before = known.filter(|_| !moved || stays).map(Known::list).unwrap_or_default();
        let renewed = known.map_or(contact, |known| known.renewed.max(contact));
        let (is_new, is_gone) = (known.is_none(), is_gone(meanings));
        let (after, _) = self.folded(key, before, meanings)?;
        if said.repeated || !meanings.iter().any(|meaning| changes(meaning)) {
            return Ok(());
        }
        // Of one way nothing follows for another.
        if (is_older && !is_another) || (is_gone && (is_new || moved)) {
            return Ok(());
        }
        if is_another && self.policy.collisions == Collisions::Refuse {
            let why = "another client of this node has this GUID";
            return Err((0, refusal(ReplyStatus::Failed, why)));
        }
        let subscriptions = subscriptions::encode(&after).into();
        let known = Known { via: speaker.link_client, path: speaker.path.clone(), renewed, subscriptions };
        self.check_room(key, is_new, &known, plan).map_err(|refusal| (0, refusal))?;
        if is_another {
            key = self.set_apart(speaker.client, plan);
        }
        self.use_name(key, speaker.client, plan);
        self.note_seen(now, said, plan);
        if is_gone {
            self.is_lost(key, plan);
        } else {
            plan.set_below(key, Some(known));
            self.plan_report(key, contact, said, plan);
        }
        Ok(())
    }

    /// A client below is known no more.
    fn is_lost(&mut self, key: ClientGuid, plan: &mut Plan) {
        let Some(known) = self.below.newest(key, plan) else { return };
        let gone = Gone { route: self.route_by(known), contact: known.renewed };
        self.plan_gone(gone, plan);
        plan.set_below(key, None);
        self.forget_name(key, plan);
    }

    /// Whether somebody else is known by this GUID: by another way, and for something.
    fn is_taken(&self, key: ClientGuid, speaker: &Speaker, plan: &Plan) -> bool {
        match self.below.newest(key, plan) {
            Some(known) => !known.is_the_way(speaker) && !known.list().is_empty(),
            None => self.last_here(key).is_some(),
        }
    }

    fn check_room(&self, client: ClientGuid, is_new: bool, known: &Known, plan: &Plan) -> Result<(), Refusal> {
        let Below { clients, staged, bytes } = &self.below;
        if is_new && clients.len() + staged.len() + plan.below.len() >= self.config.below_max {
            let why = format!("more than {} clients below this node", self.config.below_max);
            return Err(refusal(ReplyStatus::Failed, &why));
        }
        let before = clients.get(&client).map_or(0, Known::bytes);
        if bytes - before + known.bytes() > self.config.below_bytes_max {
            let why = format!("more than {} bytes of clients below this node", self.config.below_bytes_max);
            return Err(refusal(ReplyStatus::Failed, &why));
        }
        Ok(())
    }

    /// Who has connected or registered here is below nobody else any more.
    pub(super) fn is_here(&self, client: ClientGuid, plan: &mut Plan) {
        if self.below.newest(client, plan).is_some() {
            plan.set_below(client, None);
        }
    }

    /// Clients below of whom nobody has reported anything for the length of a lease.
    pub(super) fn expire_below(&mut self, now: Time) {
        let mut plan = Plan::default();
        for client in self.below.unheard(|renewed| now.since(renewed) > self.config.lease) {
            self.is_lost(client, &mut plan);
        }
        if !plan.writes.is_empty() {
            self.store(plan);
        }
    }

    /// When a client was last heard of on a link of its own.
    fn last_here(&self, client: ClientGuid) -> Option<Time> {
        let up = self.links.get(&client).and_then(|link| self.sessions.get(link)).map(|session| session.since);
        up.max(self.registered.get(&client).copied())
    }

    /// What was reported of a client is newer than what it was here itself, or it is gone (`is_here`): the link of one that
    /// has moved may outlast its move.
    pub(super) fn route_to(&self, key: ClientGuid) -> Option<Route> {
        match self.below.clients.get(&key) {
            Some(known) => Some(self.route_by(known)),
            None => {
                let is_known = self.links.contains_key(&key) || self.registered.contains_key(&key);
                is_known.then(|| vec![self.own_hop(key)])
            }
        }
    }

    fn route_by(&self, known: &Known) -> Route {
        [self.own_hop(known.via)].into_iter().chain(known.path.iter().copied()).collect()
    }

    /// Whoever is registered or reported.
    pub(super) fn known_clients(&self) -> Vec<ClientGuid> {
        let here = self.registered.keys().filter(|client| !self.below.clients.contains_key(client));
        here.chain(self.below.clients.keys()).copied().collect()
    }
}

/// Who ends everything, and says nothing else, is not there any more.
fn is_gone(meanings: &[&Meaning]) -> bool {
    matches!(meanings, [Meaning::End(ends)] if ends.iter().any(Interest::is_everything))
}
