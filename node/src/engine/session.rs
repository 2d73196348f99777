//! Links: Hello, resume, *behind*, cursors, leases.

use schemas::class::{Class, PerClass};
use schemas::guid::ClientGuid;
use schemas::mark::Mark;
use topology::subscriptions::Mode;

use super::plan::Plan;
use super::{Action, CloseReason, CursorReport, Engine, Welcome};
use crate::ids::{LinkId, Place, Position, Resume, Time};
use crate::records::{Cursor, Registration, client_key};
use crate::shard;
use crate::store::{Table, Write};

/// A live link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) client: ClientGuid,
    generation: u64,
    mark: Option<Mark>,
    pub(super) since: Time,
}

/// A Hello whose link generation is on its way to the store.
#[derive(Debug)]
pub(super) struct Joining {
    pub(super) link: LinkId,
    client: ClientGuid,
    resume: Option<Resume>,
    mark: Option<Mark>,
    generation: u64,
    gone: bool,
}

impl Engine {
    pub(super) fn hello(
        &mut self,
        now: Time,
        link: LinkId,
        client: ClientGuid,
        resume: Option<Resume>,
        mark: Option<Mark>,
    ) {
        let cursor = self.cursors.entry(client).or_default();
        cursor.generation += 1;
        let generation = cursor.generation;
        let mut plan = Plan { writes: vec![put_cursor(client, *cursor)], ..Plan::default() };
        if self.registered.contains_key(&client) {
            // Contact renews the lease.
            plan.writes.push(self.put_registration(client, now));
            plan.contact = Some((client, now));
        }
        self.is_here(client, &mut plan);
        plan.joining = Some(Joining { link, client, resume, mark, generation, gone: false });
        self.store(plan);
    }

    /// The generation is durable: the link is live.
    pub(super) fn join(&mut self, joining: Joining) {
        let Joining { link, client, resume, mark, generation, gone } = joining;
        if gone {
            return;
        }
        let (start, behind) = self.start_of(client, resume);
        self.totals.behind += u64::from(behind);
        if let Some(older) = self.links.insert(client, link) {
            self.drop_session(older);
            self.actions.push_back(Action::Close(older, CloseReason::Replaced));
        }
        self.sessions.insert(link, Session { client, generation, mark, since: self.now });
        let (path, full_of_everything) = (self.path(), self.policy.full_of_everything);
        if self.registered.contains_key(&client) {
            self.report_presence(self.now, client);
        }
        let positions = PerClass::new(|class| start.places[class].position);
        let welcome = Welcome { generation, behind, start, path, full_of_everything };
        self.actions.push_back(Action::Welcome(link, welcome));
        self.tell_shard(link, shard::Event::LinkUp { link, client, generation, start: positions });
    }

    /// Where the lanes of a link begin, and whether the client must ask again for everything. The smaller of what it
    /// holds and what it answered wins; what cannot be verified makes it *behind*, never the other way round.
    fn start_of(&self, client: ClientGuid, resume: Option<Resume>) -> (Resume, bool) {
        let head = Resume { incarnation: self.incarnation, places: PerClass::all(self.place(self.catalogue.head())) };
        let Some(resume) = resume else {
            return (head, self.registered.contains_key(&client));
        };
        // Who takes lists may have got an entry that was derived from the item, with a digest of its own.
        let takes_lists = self.subscriptions.of(client).iter().any(|subscription| subscription.mode == Mode::Catalog);
        let is_other = |place: &Place| {
            let held = self.place(place.position).digest;
            place.position > self.catalogue.head()
                || (!takes_lists && held.is_some() && place.digest.is_some() && held != place.digest)
        };
        let another_log = resume.incarnation != self.incarnation
            || resume.places.iter().any(|(_, place)| is_other(place))
            // Its registration is over, and with it what it believes to be told.
            || !self.registered.contains_key(&client);
        if another_log {
            return (head, true);
        }
        let answered = self.cursors.get(&client).copied().unwrap_or_default();
        let position = |class| resume.places[class].position.min(answered.position(class));
        let places = PerClass::new(|class| self.place(position(class)));
        let start = Resume { incarnation: self.incarnation, places };
        let list = self.subscriptions.of(client);
        let misses = |class| self.catalogue.misses(list, class, position(class));
        let lacks = Class::ALL.into_iter().any(misses) || self.restored.is_news(list, start.everything());
        if lacks { (head, true) } else { (start, false) }
    }

    fn place(&self, position: Position) -> Place {
        Place { position, digest: self.catalogue.get(position).map(|item| item.record.digest) }
    }

    /// Whether the client of this link stands above this node as well.
    pub(super) fn closes_a_cycle(&self, link: LinkId) -> bool {
        let mark = self.sessions.get(&link).and_then(|session| session.mark);
        mark.is_some_and(|mark| self.path().contains(&mark))
    }

    pub(super) fn link_down(&mut self, now: Time, link: LinkId) {
        self.forget_parked(now, link);
        if let Some(session) = self.sessions.get(&link).copied() {
            self.drop_session(link);
            self.parted(now, session.client);
        }
        for (_, plan) in &mut self.pending {
            if let Some(joining) = plan.joining.as_mut().filter(|joining| joining.link == link) {
                joining.gone = true;
            }
        }
    }

    fn drop_session(&mut self, link: LinkId) {
        let Some(session) = self.sessions.remove(&link) else { return };
        if self.links.get(&session.client) == Some(&link) {
            self.links.remove(&session.client);
        }
        self.tell_shard(link, shard::Event::LinkDown(link));
        self.answers_end(link);
        self.unreached(link);
    }

    /// The end of a link is contact, too: a lease runs from here. Of who is not registered nothing is kept.
    fn parted(&mut self, now: Time, client: ClientGuid) {
        if self.links.contains_key(&client) || self.is_changing(client) {
            return;
        }
        if self.registered.contains_key(&client) {
            let writes = vec![self.put_registration(client, now)];
            self.store(Plan { writes, contact: Some((client, now)), ..Plan::default() });
        } else if self.cursors.remove(&client).is_some() {
            let writes = vec![Write::Delete { table: Table::Cursors, key: client_key(client) }];
            self.store(Plan { writes, ..Plan::default() });
        }
    }

    pub(super) fn need(&mut self, link: LinkId, class: Class, after: Position) {
        let Some(session) = self.sessions.get(&link) else { return };
        let subscriptions = self.subscriptions.of(session.client);
        let stretch = self.catalogue.due(subscriptions, Some(class), after, self.config.stretch_items);
        self.tell_shard(link, shard::Event::Due { link, class, stretch });
    }

    pub(super) fn cursors(&mut self, reports: &[CursorReport]) {
        let mut writes = Vec::new();
        for report in reports {
            let Some(cursor) = self.cursors.get_mut(&report.client) else { continue };
            if report.generation == cursor.generation && cursor.advance(&report.positions) {
                writes.push(put_cursor(report.client, *cursor));
            }
        }
        if !writes.is_empty() {
            self.store(Plan { writes, ..Plan::default() });
        }
    }

    pub(super) fn put_registration(&self, client: ClientGuid, now: Time) -> Write {
        put_registration(client, now, topology::subscriptions::encode(self.subscriptions_of(client)))
    }

    /// Registrations without contact for the length of a lease end.
    pub(super) fn expire_leases(&mut self, now: Time) {
        let lease = self.config.lease;
        let over = |client: &ClientGuid, renewed: Time| {
            now.since(renewed) > lease && !self.links.contains_key(client) && !self.is_changing(*client)
        };
        let expired: Vec<ClientGuid> = self
            .registered
            .iter()
            .filter(|(client, renewed)| over(client, **renewed))
            .map(|(client, _)| *client)
            .collect();
        let mut writes = Vec::new();
        for client in &expired {
            for table in [Table::Registrations, Table::Cursors] {
                writes.push(Write::Delete { table, key: client_key(*client) });
            }
        }
        if !writes.is_empty() {
            let mut plan = Plan { writes, ..Plan::default() };
            for gone in expired.iter().filter_map(|client| self.as_gone(*client)).collect::<Vec<_>>() {
                self.plan_gone(gone, &mut plan);
            }
            self.store(Plan { expired, ..plan });
        }
    }

    /// Whether something of this client is on its way to the store.
    pub(super) fn is_changing(&self, client: ClientGuid) -> bool {
        self.pending.iter().any(|(_, plan)| {
            plan.joining.as_ref().is_some_and(|joining| joining.client == client)
                || plan.contact.is_some_and(|(contact, _)| contact == client)
        })
    }

    /// Live links.
    pub fn connected(&self) -> usize {
        self.sessions.len()
    }

    /// The generation of a live link.
    pub fn generation(&self, link: LinkId) -> Option<u64> {
        self.sessions.get(&link).map(|session| session.generation)
    }
}

fn put_cursor(client: ClientGuid, cursor: Cursor) -> Write {
    Write::Put { table: Table::Cursors, key: client_key(client), value: cursor.encode() }
}

pub(super) fn put_registration(client: ClientGuid, now: Time, subscriptions: Vec<u8>) -> Write {
    let value = Registration { renewed: now.0, subscriptions }.encode();
    Write::Put { table: Table::Registrations, key: client_key(client), value }
}
