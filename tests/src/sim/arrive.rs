//! What crosses a link, at its other end.

use bytes::Bytes;
use node::client::{self, Via};
use node::ids::{ExchangeId, LinkId};
use node::intake::Intake;
use node::{answer, engine, shard, uplink};
use schemas::core::{ReplyPayload, ReplyStatus, Root};
use schemas::facts::Validated;
use schemas::limits::Limits;

use super::drain::Machine;
use super::network::{Message, Party};
use super::provider;
use super::server::{client_of, guid_of};
use super::world::{Happening, World};

/// What a server says to a local server that dialled it.
type Said = uplink::Event;

impl World {
    pub(super) fn arrives(&mut self, link: LinkId, message: Message) -> Result<(), String> {
        let Some((upper, lower)) = self.network.ends(link) else { return Ok(()) };
        match message {
            Message::Hello(resume, mark) => {
                let client = match lower {
                    Party::Device(index) => self.devices[index].guid,
                    Party::Provider(index) => provider::guid_of(index),
                    Party::Uplink { of, .. } => client_of(of),
                };
                self.tell_engine(upper, engine::Event::Hello { link, client, resume, mark });
            }
            Message::Open(exchange, document) => {
                let intake = Box::new(read(&document)?);
                self.tell_engine(upper, engine::Event::Document { link, exchange, intake });
            }
            Message::LaneReply(class, position, document) => {
                let outcomes = outcomes(&document)?;
                let outcomes = outcomes.iter().map(|(status, _)| *status == ReplyStatus::Succeeded).collect();
                self.tell_shard_of(upper, link, shard::Event::Answered { link, class, position, outcomes });
            }
            message => match lower {
                Party::Device(index) => self.reaches_device(index, upper, message)?,
                Party::Provider(index) => self.reaches_provider(index, message)?,
                Party::Uplink { of, .. } => self.reaches_uplink(of, upper, message)?,
            },
        }
        Ok(())
    }

    fn reaches_device(&mut self, index: usize, upper: usize, message: Message) -> Result<(), String> {
        let party = Party::Device(index);
        let event = match message {
            Message::Welcome(welcome) => client::Event::Connected { behind: welcome.behind, start: welcome.start },
            Message::Reply(exchange, document) => client::Event::Replied { exchange, outcomes: outcomes(&document)? },
            Message::Delivery(exchange, document) => {
                let intake = self.delivery(upper, party, &document)?;
                client::Event::Delivery { via: Via::Exchange(exchange), intake }
            }
            Message::Lane(push, document) => {
                let intake = self.delivery(upper, party, &document)?;
                client::Event::Delivery { via: Via::Lane(push), intake }
            }
            Message::Behind(position) => client::Event::Behind(position),
            Message::End(exchange) => client::Event::Ended(exchange),
            // A device takes no notice of what stands above its server.
            Message::Path(_) | Message::Hello(..) | Message::Open(..) | Message::LaneReply(..) => return Ok(()),
        };
        self.tell_device(index, event);
        Ok(())
    }

    fn reaches_uplink(&mut self, of: usize, upper: usize, message: Message) -> Result<(), String> {
        let party = Party::Uplink { of, to: upper };
        let event = match message {
            Message::Welcome(welcome) => {
                let policy = self.servers[upper].rules.says_policy.then(|| policy(welcome.full_of_everything));
                let (behind, start, path) = (welcome.behind, welcome.start, welcome.path);
                Said::Connected { behind, start, policy, path }
            }
            Message::Reply(exchange, document) => Said::Replied { exchange, outcomes: outcomes(&document)? },
            Message::Delivery(exchange, document) => {
                let intake = self.delivery(upper, party, &document)?;
                Said::Delivery { via: Via::Exchange(exchange), intake }
            }
            Message::Lane(push, document) => {
                let intake = self.delivery(upper, party, &document)?;
                Said::Delivery { via: Via::Lane(push), intake }
            }
            Message::Behind(position) => Said::Behind(position),
            Message::Path(path) => Said::Path(path),
            Message::End(exchange) => Said::Ended(exchange),
            Message::Hello(..) | Message::Open(..) | Message::LaneReply(..) => return Ok(()),
        };
        self.tell_engine(of, engine::Event::Uplink(guid_of(upper), event));
        Ok(())
    }

    fn reaches_provider(&mut self, index: usize, message: Message) -> Result<(), String> {
        match message {
            Message::Welcome(_) => self.providers[index].welcome = true,
            Message::Reply(exchange, document) => self.provider_hears(index, exchange, &document)?,
            _ => {}
        }
        self.busy.insert(Machine::Provider(index));
        Ok(())
    }

    fn provider_hears(&mut self, index: usize, exchange: ExchangeId, document: &Bytes) -> Result<(), String> {
        let provider = &mut self.providers[index];
        for (status, why) in outcomes(document)? {
            provider.answered(exchange, &status, why.as_deref().unwrap_or_default())?;
        }
        if provider.waits {
            let wait = 50 + self.random.below(500);
            self.after(wait, Happening::ProviderGoesOn(index));
        }
        Ok(())
    }

    fn delivery(&mut self, upper: usize, lower: Party, document: &Bytes) -> Result<Box<Intake>, String> {
        let intake = Box::new(read(document)?);
        self.traffic.crosses(upper, lower, &intake);
        Ok(intake)
    }
}

/// What a server's Hello says that may be asked of it.
fn policy(full_of_everything: bool) -> Vec<String> {
    let texts =
        if full_of_everything { ["Request:Catalog", "Request:Full"] } else { ["Request:Catalog", "Request:Full+data"] };
    texts.map(str::to_owned).to_vec()
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
