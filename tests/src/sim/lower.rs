//! What whoever dials wants done: devices, and local servers towards what stands above them.

use bytes::Bytes;
use node::client::{self, Draft};
use node::uplink;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::names::Spelling;
use schemas::write::{self, HeaderFields, MessageDraft};

use super::device::Device;
use super::model::Publication;
use super::network::{Message, Party, Way};
use super::provider::NOT_STORED;
use super::server::{client_of, guid_of};
use super::upper::SENT;
use super::world::{Happening, World};

/// How a local server says that it takes nothing any more.
const NOTHING_STORED: &str = "nothing can be stored";

/// How it says that it will not stand below itself.
const A_CYCLE: &str = "close a cycle";

impl World {
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
                let (client, server) = (device.guid, guid_of(device.server));
                let document = self.ask(server, client, &drafts);
                self.send(link, Way::Up, Message::Open(exchange, document));
            }
            client::Action::Answer { push, spelling, answer } => {
                let Some(link) = device.link else { return Ok(()) };
                let text = answer.render(spelling, self.message_id(), SENT);
                self.send(link, Way::Up, Message::LaneReply(push.class, push.position, text));
            }
            client::Action::Name(name) => return Err(format!("device {index} is called {name}")),
            client::Action::Respond { .. } => return Err(format!("device {index} answered what nobody asked")),
            client::Action::Hangup(why) if why.contains(NOT_STORED) => self.cut_links_of(Party::Device(index)),
            client::Action::Hangup(why) => return Err(format!("device {index} hung up: {why}")),
            client::Action::Stop(why) => return Err(format!("device {index} stopped: {why}")),
        }
        Ok(())
    }

    pub(super) fn uplink_action(&mut self, of: usize, to: usize, action: uplink::Action) -> Result<(), String> {
        let link = self.servers[of].link_to(to);
        match action {
            uplink::Action::Open(exchange, drafts) => {
                let Some(link) = link else { return Ok(()) };
                let document = self.ask(guid_of(to), client_of(of), &drafts);
                self.send(link, Way::Up, Message::Open(exchange, document));
            }
            uplink::Action::Report(exchange, spelling, parts) => {
                let Some(link) = link else { return Ok(()) };
                let document = self.document(guid_of(to), Some(client_of(of)), spelling, parts);
                self.send(link, Way::Up, Message::Open(exchange, document));
            }
            uplink::Action::Answer { push, spelling, answer } => {
                let Some(link) = link else { return Ok(()) };
                let text = answer.render(spelling, self.message_id(), SENT);
                self.send(link, Way::Up, Message::LaneReply(push.class, push.position, text));
            }
            uplink::Action::Refused(_) => {}
            uplink::Action::Hangup(why) if why.contains(NOT_STORED) || why.contains(NOTHING_STORED) => {
                self.cut_links_of(Party::Uplink { of, to });
            }
            // What was put elsewhere may not have heard yet of what that one has left.
            uplink::Action::Hangup(why)
                if why.contains(A_CYCLE) && self.servers.iter().any(|server| server.rearranged) =>
            {
                self.cut_links_of(Party::Uplink { of, to });
            }
            uplink::Action::Hangup(why) => return Err(format!("server {of} hung up on server {to}: {why}")),
            uplink::Action::Left => {
                if let Some(live) = &mut self.servers[of].live {
                    live.uplinks.remove(&to);
                }
                link.into_iter().for_each(|link| self.close(link));
            }
        }
        Ok(())
    }

    /// Register and Request: messages of one fate in one Payload.
    fn ask(&mut self, server: ServerGuid, client: ClientGuid, drafts: &[Draft]) -> Bytes {
        let header = HeaderFields {
            server_guid: Some(server),
            client_guid: Some(client),
            message_id: Some(self.message_id()),
            sent_time: Some(SENT),
        };
        let messages: Vec<MessageDraft<'_>> = drafts.iter().map(message).collect();
        write::message(Spelling::Double, &header, &messages)
    }
}

fn message(draft: &Draft) -> MessageDraft<'_> {
    MessageDraft {
        major: draft.major.clone(),
        minor: draft.minor.clone(),
        data: (!draft.infos.is_empty()).then_some(draft.infos.as_slice()),
    }
}

/// Nothing is journalled as applying that does not apply to what the device runs when it writes.
fn foreign(entries: &[client::journal::Entry], publications: &[Publication], device: &Device) -> Result<(), String> {
    use client::journal::Event;
    for entry in entries {
        if let Event::Gained { digest, .. } | Event::Revised { digest, .. } = &entry.event {
            let publication = publications.iter().find(|publication| publication.digest == *digest);
            let publication = publication.ok_or_else(|| format!("{digest} was never published"))?;
            if !publication.applies(&device.inventory) {
                return Err(format!("{digest} does not concern {:?}", device.inventory));
            }
        }
    }
    Ok(())
}
