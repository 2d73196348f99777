//! What a server wants done on its disk and for whoever dialled it, carried out on the simulated disk and network.

use bytes::{Bytes, BytesMut};
use node::bundle::{self, Outer};
use node::catalogue::Form;
use node::engine::{self, Engine, ReplyTo};
use node::ids::{Position, Ticket};
use node::store::Write;
use node::{entry, shard};
use schemas::class::Class;
use schemas::digest::Digest;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::names::Spelling;

use super::network::{Message, Way};
use super::server::index_of;
use super::world::{AtServer, World};

pub(super) const SENT: &str = "2026-01-15T09:30:00Z";

impl World {
    pub(super) fn engine_action(&mut self, server: usize, action: engine::Action) -> Result<(), String> {
        match action {
            engine::Action::Store(ticket, writes) => self.server_stores(server, ticket, writes),
            engine::Action::Welcome(link, welcome) => self.send(link, Way::Down, Message::Welcome(welcome)),
            engine::Action::Reply(reply) => self.reply(server, reply),
            engine::Action::Shard(shard, event) => self.tell_shard(server, shard, event),
            engine::Action::Close(link, _) => self.close(link),
            engine::Action::Behind(link, position) => self.send(link, Way::Down, Message::Behind(position)),
            engine::Action::Path(path) => {
                for link in self.network.welcomed(server) {
                    self.send(link, Way::Down, Message::Path(path.clone()));
                }
            }
            engine::Action::Reach(action) => return Err(format!("server {server} was asked by nobody: {action:?}")),
            engine::Action::Uplink(upper, action) => self.uplink_action(server, index_of(upper), action)?,
        }
        Ok(())
    }

    fn server_stores(&mut self, server: usize, ticket: Ticket, writes: Vec<Write>) {
        self.note_gone(server, &writes);
        self.servers[server].disk.write(ticket, writes);
        let Some(live) = &mut self.servers[server].live else { return };
        live.written = ticket;
        if !std::mem::replace(&mut live.syncing, true) {
            self.begin_sync(server, ticket);
        }
    }

    /// One sync at a time takes what was written until it began: group commit.
    fn begin_sync(&mut self, server: usize, ticket: Ticket) {
        let lies = self.servers[server].disk.lies;
        let wait = if lies { 1 } else { 1 + self.random.below(60) };
        self.after_at(wait, server, AtServer::Synced(ticket));
        if lies {
            let wait = self.random.below(1_500);
            self.after_at(wait, server, AtServer::Flushed(ticket));
        }
    }

    pub(super) fn server_synced(&mut self, index: usize, through: Ticket) {
        if std::mem::take(&mut self.servers[index].disk.full) {
            let wait = 500 + self.random.below(3_000);
            self.after_at(wait, index, AtServer::Restarts);
            if let Some(live) = &mut self.servers[index].live {
                live.refuses = true;
            }
        }
        let Some(refuses) = self.servers[index].live.as_ref().map(|live| live.refuses) else { return };
        if !refuses {
            self.servers[index].disk.sync(through);
        }
        while let Some(ticket) = self.servers[index].next_to_report(through) {
            self.tell_engine(
                index,
                match refuses {
                    true => engine::Event::StoreFailed(ticket, "the disk is full".into()),
                    false => engine::Event::Stored(ticket),
                },
            );
        }
        let Some(live) = &mut self.servers[index].live else { return };
        let (written, more) = (live.written, live.written > through);
        live.syncing = more;
        if more {
            self.begin_sync(index, written);
        }
    }

    fn reply(&mut self, server: usize, reply: Box<ReplyTo>) {
        let text = reply.answer.render(reply.spelling, self.message_id(), SENT);
        self.send(reply.link, Way::Down, Message::Reply(reply.exchange, text));
        self.answer_goes_on(server, reply, Position(0));
    }

    /// The next stretch of an answer, as it is by then.
    pub(super) fn answer_goes_on(&mut self, server: usize, reply: Box<ReplyTo>, after: Position) {
        let engine = self.servers[server].engine();
        let stretch = engine.map(|engine: &Engine| engine.answer_stretch(&reply.asks, after, reply.snapshot));
        let Some(stretch) = stretch else { return };
        let limits = bundle::Limits { bundle_items_max: 3, ..bundle::Limits::default() };
        let mut due = stretch.due.as_slice();
        while !due.is_empty() {
            let count = limits.first(due.iter().map(|due| (due.bytes, due.spelling)));
            let (now, later) = due.split_at(count);
            due = later;
            let parts: Vec<Bytes> = now.iter().filter_map(|due| self.item(server, due.position, due.form)).collect();
            if !parts.is_empty() {
                let document = self.document(self.servers[server].guid, None, Spelling::Double, parts);
                self.send(reply.link, Way::Down, Message::Delivery(reply.exchange, document));
            }
        }
        if stretch.complete {
            let ReplyTo { link, exchange, .. } = *reply;
            self.tell_engine(server, engine::Event::AnswerEnded { link, exchange });
            return self.send(link, Way::Down, Message::End(exchange));
        }
        let wait = self.random.below(40);
        self.after_at(wait, server, AtServer::AnswerGoesOn(reply, stretch.through));
    }

    fn item(&self, server: usize, position: Position, form: Form) -> Option<Bytes> {
        let bytes = self.servers[server].disk.read(position.0)?;
        if form == Form::Whole { Some(bytes) } else { entry::derive(&bytes) }
    }

    /// Parts in one document, between these two.
    pub(super) fn document(
        &mut self,
        server: ServerGuid,
        client: Option<ClientGuid>,
        spelling: Spelling,
        parts: Vec<Bytes>,
    ) -> Bytes {
        let outer = Outer { server, client, message_id: self.message_id(), sent_time: SENT };
        let mut document = BytesMut::new();
        bundle::document(spelling, &outer, parts).iter().for_each(|slice| document.extend_from_slice(slice));
        document.freeze()
    }

    pub(super) fn message_id(&mut self) -> MessageId {
        self.next_id += 1;
        MessageId(self.next_id)
    }

    pub(super) fn shard_action(&mut self, server: usize, shard: usize, action: shard::Action) -> Result<(), String> {
        match action {
            shard::Action::Need { link, class, after } => {
                self.tell_engine(server, engine::Event::Need { link, class, after });
            }
            shard::Action::Lags { link, class, after } => {
                self.tell_engine(server, engine::Event::Lags { link, class, after });
            }
            shard::Action::Read { link, class, positions } => {
                let disk = &self.servers[server].disk;
                let items = positions.iter().map(|position| (*position, disk.read(position.0))).collect();
                self.tell_shard(server, shard, shard::Event::Data { link, class, items });
            }
            shard::Action::Send { link, push, parts, .. } => {
                let document = self.document(self.servers[server].guid, None, Spelling::Double, parts);
                self.send(link, Way::Down, Message::Lane(push, document));
                // What is bulk takes longer to cross.
                let wait = if push.class == Class::Bulk { self.random.below(1_000) } else { self.random.below(40) };
                self.after_at(wait, server, AtServer::Ready(link, push.class));
            }
            shard::Action::Cursors(reports) => self.tell_engine(server, engine::Event::Cursors(reports)),
            shard::Action::Breach(link, why) => {
                return Err(format!("{link:?} of server {server} broke the protocol: {why}"));
            }
        }
        Ok(())
    }

    /// Remembers what is no longer on offer, and since when.
    fn note_gone(&mut self, server: usize, writes: &[Write]) {
        let time = self.time();
        for write in writes {
            match write {
                Write::Append { item, .. } => {
                    let digest = Digest::of(item);
                    // Else it is an entry of a catalogue, which takes no content's place.
                    let Some(newer) = self.publications.iter().position(|one| one.digest == digest) else { continue };
                    let advisory = self.publications[newer].advisory;
                    let older = self.publications[..newer].iter().filter(|one| one.advisory == advisory);
                    let gone = &mut self.servers[server].gone;
                    older.for_each(|one| _ = gone.entry(one.digest).or_insert(time));
                }
                Write::Trim { below } => self.note_trimmed(server, *below),
                // What is evicted was replaced before.
                Write::Put { .. } | Write::Delete { .. } | Write::Evict { .. } => {}
            }
        }
    }

    /// A retraction that is published after what it replaces was trimmed concerns whom it concerns itself: nobody knows
    /// any more who may hold that.
    fn note_trimmed(&mut self, server: usize, below: u64) {
        let time = self.time();
        let server = &mut self.servers[server];
        let mut newest = std::collections::BTreeMap::new();
        for (index, one) in self.publications.iter().enumerate() {
            let Some(place) = server.disk.place_of(one.digest) else { continue };
            newest.insert(one.advisory, (index, place));
            if place < below {
                server.gone.entry(one.digest).or_insert(time);
            }
        }
        let trimmed = newest.into_iter().filter(|(_, (_, place))| *place < below);
        server.trimmed.extend(trimmed.map(|(advisory, (index, _))| (advisory, index)));
    }
}
