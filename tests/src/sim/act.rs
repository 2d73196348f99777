//! What a shell would do: the machines' actions, carried out on the simulated disk and network.

use bytes::{Bytes, BytesMut};
use node::bundle::{self, Outer};
use node::catalogue::Form;
use node::client::{self, Draft};
use node::engine::{self, ReplyTo};
use node::ids::{Position, Ticket};
use node::{entry, shard};
use schemas::guid::MessageId;
use schemas::names::Spelling;
use schemas::write::{self, HeaderFields, MessageDraft};

use super::device::Device;
use super::model;
use super::network::{Message, Way};
use super::provider::NOT_STORED;
use super::world::{Happening, World};

const SENT: &str = "2026-01-15T09:30:00Z";

impl World {
    pub(super) fn engine_action(&mut self, action: engine::Action) {
        match action {
            engine::Action::Store(ticket, writes) => {
                self.note_gone(&writes);
                self.server.disk.write(ticket, writes);
                let life = self.server.life;
                let Some(live) = &mut self.server.live else { return };
                live.written = ticket;
                if !std::mem::replace(&mut live.syncing, true) {
                    self.begin_sync(life, ticket);
                }
            }
            engine::Action::Welcome(link, welcome) => self.send(link, Way::Down, Message::Welcome(welcome)),
            engine::Action::Reply(reply) => self.reply(reply),
            engine::Action::Shard(shard, event) => self.tell_shard(shard, event),
            // One server has no upstream.
            engine::Action::Uplink(..) | engine::Action::Path(_) | engine::Action::Reach(_) => {}
            engine::Action::Close(link, _) => {
                if let Some(party) = self.network.cut(link) {
                    self.after(10, Happening::PartySeesDown(party, link));
                    self.after(10, Happening::ServerSeesDown(self.server.life, link));
                }
            }
            engine::Action::Behind(link, position) => self.send(link, Way::Down, Message::Behind(position)),
        }
    }

    /// One sync at a time takes what was written until it began: group commit.
    fn begin_sync(&mut self, life: u64, ticket: Ticket) {
        let lies = self.server.disk.lies;
        let wait = if lies { 1 } else { 1 + self.random.below(60) };
        self.after(wait, Happening::ServerSynced(life, ticket));
        if lies {
            let wait = self.random.below(1_500);
            self.after(wait, Happening::ServerFlushed(life, ticket));
        }
    }

    pub(super) fn server_synced(&mut self, through: Ticket) {
        let (time, life) = (self.time(), self.server.life);
        let Some(live) = &mut self.server.live else { return };
        if std::mem::take(&mut self.server.disk.full) {
            live.refuses = true;
            let wait = 500 + self.random.below(3_000);
            self.after(wait, Happening::OperatorRestarts(life));
        }
        let Some(live) = &mut self.server.live else { return };
        if !live.refuses {
            self.server.disk.sync(through);
        }
        while live.reported < through {
            live.reported = Ticket(live.reported.0 + 1);
            let event = if live.refuses {
                engine::Event::StoreFailed(live.reported, "the disk is full".into())
            } else {
                engine::Event::Stored(live.reported)
            };
            live.engine.handle(time, event);
        }
        let (written, more) = (live.written, live.written > through);
        live.syncing = more;
        if more {
            self.begin_sync(life, written);
        }
    }

    fn reply(&mut self, reply: Box<ReplyTo>) {
        let text = reply.answer.render(reply.spelling, self.message_id(), SENT);
        self.send(reply.link, Way::Down, Message::Reply(reply.exchange, text));
        self.answer_goes_on(reply, Position(0));
    }

    /// The next stretch of an answer, as it is by then.
    pub(super) fn answer_goes_on(&mut self, reply: Box<ReplyTo>, after: Position) {
        let Some(live) = &self.server.live else { return };
        let stretch = live.engine.answer_stretch(&reply.asks, after, reply.snapshot);
        let limits = bundle::Limits { bundle_items_max: 3, ..bundle::Limits::default() };
        let mut due = stretch.due.as_slice();
        while !due.is_empty() {
            let count = limits.first(due.iter().map(|due| (due.bytes, due.spelling)));
            let (now, later) = due.split_at(count);
            due = later;
            let parts: Vec<Bytes> = now.iter().filter_map(|due| self.item(due.position, due.form)).collect();
            if !parts.is_empty() {
                let document = self.document(parts);
                self.send(reply.link, Way::Down, Message::Delivery(reply.exchange, document));
            }
        }
        if stretch.complete {
            return self.send(reply.link, Way::Down, Message::End(reply.exchange));
        }
        let wait = self.random.below(40);
        self.after(wait, Happening::AnswerGoesOn(self.server.life, reply, stretch.through));
    }

    fn item(&self, position: Position, form: Form) -> Option<Bytes> {
        let bytes = self.server.disk.read(position.0)?;
        if form == Form::Whole { Some(bytes) } else { entry::derive(&bytes) }
    }

    fn document(&mut self, parts: Vec<Bytes>) -> Bytes {
        let message_id = self.message_id();
        let outer = Outer { server: self.server.guid, client: None, message_id, sent_time: SENT };
        let mut document = BytesMut::new();
        bundle::document(Spelling::Double, &outer, parts).iter().for_each(|slice| document.extend_from_slice(slice));
        document.freeze()
    }

    fn message_id(&mut self) -> MessageId {
        self.next_id += 1;
        MessageId(self.next_id)
    }

    pub(super) fn shard_action(&mut self, shard: usize, action: shard::Action) -> Result<(), String> {
        match action {
            shard::Action::Need { link, after } => self.tell_engine(engine::Event::Need { link, after }),
            shard::Action::Read { link, positions } => {
                let items = positions.iter().map(|position| (*position, self.server.disk.read(position.0))).collect();
                self.tell_shard(shard, shard::Event::Data { link, items });
            }
            shard::Action::Send { link, position, parts, .. } => {
                let document = self.document(parts);
                self.send(link, Way::Down, Message::Lane(position, document));
                let wait = self.random.below(40);
                self.after(wait, Happening::Ready(self.server.life, link));
            }
            shard::Action::Cursors(reports) => self.tell_engine(engine::Event::Cursors(reports)),
            shard::Action::Breach(link, why) => return Err(format!("{link:?} broke the protocol: {why}")),
        }
        Ok(())
    }

    pub(super) fn device_action(&mut self, index: usize, action: client::Action) -> Result<(), String> {
        let device = &mut self.devices[index];
        match action {
            client::Action::Store(ticket, entries) => {
                foreign(&entries, &self.publications, device)?;
                device.write(ticket, entries);
                let life = device.life;
                let wait = 1 + self.random.below(50);
                self.after(wait, Happening::DeviceSynced(index, life));
            }
            client::Action::Open(exchange, drafts) => {
                let Some(link) = device.link else { return Ok(()) };
                let (client, server) = (device.guid, self.server.guid);
                let header = HeaderFields {
                    server_guid: Some(server),
                    client_guid: Some(client),
                    message_id: Some(self.message_id()),
                    sent_time: Some(SENT),
                };
                let document = write::message(Spelling::Double, &header, &drafted(&drafts));
                self.send(link, Way::Up, Message::Open(exchange, document));
            }
            client::Action::Answer { position, spelling, answer } => {
                let Some(link) = device.link else { return Ok(()) };
                let text = answer.render(spelling, self.message_id(), SENT);
                self.send(link, Way::Up, Message::LaneReply(position, text));
            }
            client::Action::Respond { .. } => return Err(format!("device {index} answered what nobody asked")),
            // Names change the header alone, which the simulated network does not look at.
            client::Action::Name(_) => {}
            client::Action::Hangup(why) if why.contains(NOT_STORED) => self.cut_links_of(index),
            client::Action::Hangup(why) => return Err(format!("device {index} hung up: {why}")),
            client::Action::Stop(why) => return Err(format!("device {index} stopped: {why}")),
        }
        Ok(())
    }
}

fn drafted(drafts: &[Draft]) -> Vec<MessageDraft<'_>> {
    drafts
        .iter()
        .map(|draft| MessageDraft {
            major: draft.major.clone(),
            minor: draft.minor.clone(),
            data: (!draft.infos.is_empty()).then_some(draft.infos.as_slice()),
        })
        .collect()
}

/// Nothing is journalled as applying that does not apply to what the device runs when it writes.
fn foreign(
    entries: &[client::journal::Entry],
    publications: &[model::Publication],
    device: &Device,
) -> Result<(), String> {
    use client::journal::Event;
    for entry in entries {
        if let Event::Gained { digest, .. } | Event::Revised { digest, .. } = &entry.event {
            let publication = publications.iter().find(|publication| publication.digest == *digest);
            let publication = publication.ok_or_else(|| format!("{digest} was never published"))?;
            if !publication.applies(&device.components) {
                return Err(format!("{digest} does not concern {:?}", device.components));
            }
        }
    }
    Ok(())
}
