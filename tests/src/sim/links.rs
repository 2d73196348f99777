//! Links in use: who dials, what arrives, who learns that a link is gone.

use bytes::Bytes;
use node::client::{self, Via};
use node::ids::LinkId;
use node::intake::Intake;
use node::{answer, engine, shard};
use schemas::core::{ReplyPayload, ReplyStatus, Root};
use schemas::facts::Validated;
use schemas::limits::Limits;

use super::network::{Message, Way};
use super::world::{Happening, World};

impl World {
    pub(super) fn party_sees_down(&mut self, party: usize, link: LinkId) {
        let time = self.time();
        if party == self.devices.len() {
            if self.provider.link == Some(link) {
                self.provider.disconnected();
            }
        } else if self.devices[party].link == Some(link) {
            self.devices[party].link = None;
            self.devices[party].handle(time, client::Event::Disconnected);
        }
        let wait = 20 + self.random.below(500);
        self.after(wait, Happening::Dial(party));
    }

    pub(super) fn dial(&mut self, party: usize) {
        let provider = party == self.devices.len();
        let busy = if provider {
            self.provider.link.is_some()
        } else {
            self.devices[party].link.is_some() || self.devices[party].client.is_none()
        };
        if busy {
            return;
        }
        if self.server.live.is_none() || self.network.is_partitioned(party) {
            let wait = 100 + self.random.below(500);
            return self.after(wait, Happening::Dial(party));
        }
        let link = self.network.connect(party);
        let resume = if provider {
            self.provider.link = Some(link);
            None
        } else {
            self.devices[party].link = Some(link);
            self.devices[party].client.as_ref().and_then(client::Client::resume)
        };
        self.send(link, Way::Up, Message::Hello(resume));
    }

    pub(super) fn send(&mut self, link: LinkId, way: Way, message: Message) {
        if let Some(at) = self.network.arrival(self.now, link, way, &message, &mut self.random) {
            self.after(at - self.now, Happening::Arrives(link, message));
        }
    }

    pub(super) fn arrives(&mut self, link: LinkId, message: Message) -> Result<(), String> {
        let Some(party) = self.network.party(link) else { return Ok(()) };
        let time = self.time();
        match message {
            Message::Hello(resume) => {
                let client = self.devices.get(party).map_or(self.provider.guid, |device| device.guid);
                self.tell_engine(engine::Event::Hello { link, client, resume, mark: None });
            }
            Message::Open(exchange, document) => {
                let intake = Box::new(read(&document)?);
                self.tell_engine(engine::Event::Document { link, exchange, intake });
            }
            Message::LaneReply(position, document) => {
                let outcomes =
                    outcomes(&document)?.iter().map(|(status, _)| *status == ReplyStatus::Succeeded).collect();
                if let Some(shard) = self.server.live.as_ref().map(|live| live.engine.shard_of(link)) {
                    self.tell_shard(shard, shard::Event::Answered { link, position, outcomes });
                }
            }
            Message::Reply(exchange, document) if party == self.devices.len() => {
                for (status, why) in outcomes(&document)? {
                    self.provider.answered(exchange, &status, why.as_deref().unwrap_or_default())?;
                }
                if self.provider.waits {
                    let wait = 50 + self.random.below(500);
                    self.after(wait, Happening::ProviderGoesOn);
                }
            }
            Message::Reply(exchange, document) => {
                let outcomes = outcomes(&document)?;
                self.devices[party].handle(time, client::Event::Replied { exchange, outcomes });
            }
            Message::Welcome(welcome) => {
                if party == self.devices.len() {
                    self.provider.welcome = true;
                }
                if let Some(device) = self.devices.get_mut(party) {
                    let event = client::Event::Connected { behind: welcome.behind, start: welcome.start };
                    device.handle(time, event);
                }
            }
            Message::Delivery(exchange, document) => self.delivery(party, Via::Exchange(exchange), &document)?,
            Message::Lane(position, document) => self.delivery(party, Via::Lane(position), &document)?,
            Message::Behind(position) => {
                if let Some(device) = self.devices.get_mut(party) {
                    device.handle(time, client::Event::Behind(position));
                }
            }
            Message::End(exchange) => {
                if let Some(device) = self.devices.get_mut(party) {
                    device.handle(time, client::Event::Ended(exchange));
                }
            }
        }
        Ok(())
    }

    fn delivery(&mut self, party: usize, via: Via, document: &Bytes) -> Result<(), String> {
        let time = self.time();
        let intake = Box::new(read(document)?);
        if let Some(device) = self.devices.get_mut(party) {
            device.handle(time, client::Event::Delivery { via, intake });
        }
        Ok(())
    }
}

fn read(document: &Bytes) -> Result<Intake, String> {
    let facts = Validated::new(document.clone(), &Limits::default()).map_err(|refused| refused.to_string())?;
    Intake::of(&facts).ok_or_else(|| "a reply where a message belongs".into())
}

fn outcomes(document: &Bytes) -> Result<Vec<(ReplyStatus, Option<String>)>, String> {
    let facts = Validated::new(document.clone(), &Limits::default()).map_err(|refused| refused.to_string())?;
    match &facts.document().root {
        Root::Reply(reply) => {
            let mut outcomes = Vec::new();
            collect(reply, &mut outcomes);
            Ok(outcomes)
        }
        Root::Message(_) => Err("a message where a reply belongs".into()),
    }
}

fn collect(reply: &schemas::core::MessageCoreReply, outcomes: &mut Vec<(ReplyStatus, Option<String>)>) {
    match &reply.payload {
        ReplyPayload::Bundle(parts) => parts.iter().for_each(|part| collect(part, outcomes)),
        ReplyPayload::Replies(replies) => {
            outcomes.extend(replies.iter().map(|reply| (reply.status.clone(), Some(answer::description(reply)))));
        }
    }
}
