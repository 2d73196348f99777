//! Links come and go: who dials whom, who learns that a link is gone, and when.

use node::client;
use node::ids::LinkId;
use node::{engine, uplink};

use super::drain::Machine;
use super::network::{Message, Party, Way};
use super::server::{Dialled, guid_of};
use super::world::{AtServer, Happening, World};

/// A link upwards that stood so long was a success.
const SETTLED: u64 = 10_000;

impl World {
    /// Dials, or sees that there is no need to; tries again later if nobody answers.
    pub(super) fn dial(&mut self, party: Party) {
        let Some(upper) = self.whom_to_dial(party) else { return };
        if self.servers[upper].live.is_none() || self.network.is_blocked(party) {
            let wait = self.pause(party);
            return self.after(wait, Happening::Dial(party));
        }
        let link = self.network.connect(upper, party);
        let now = self.now;
        let (resume, mark) = match party {
            Party::Device(index) => {
                let device = &mut self.devices[index];
                device.link = Some(link);
                (device.client.as_ref().and_then(client::Client::resume), None)
            }
            Party::Provider(index) => {
                self.providers[index].link = Some(link);
                (None, None)
            }
            Party::Uplink { of, to } => {
                if let Some(dialled) = self.dialled(of, to) {
                    dialled.link = Some(link);
                    dialled.since = now;
                }
                let server = &self.servers[of];
                (server.engine().and_then(|engine| engine.resume_above(guid_of(to))), Some(server.mark()))
            }
        };
        self.send(link, Way::Up, Message::Hello(resume, mark));
    }

    /// The server that a party lacks a link to.
    fn whom_to_dial(&self, party: Party) -> Option<usize> {
        match party {
            Party::Device(index) => {
                let device = &self.devices[index];
                (device.link.is_none() && device.client.is_some()).then_some(device.server)
            }
            Party::Provider(index) => {
                let provider = &self.providers[index];
                provider.link.is_none().then_some(provider.server)
            }
            Party::Uplink { of, to } => {
                let server = &self.servers[of];
                let dialled = server.live.as_ref()?.uplinks.get(&to)?;
                (dialled.link.is_none() && server.upstreams.contains_key(&to)).then_some(to)
            }
        }
    }

    fn dialled(&mut self, of: usize, to: usize) -> Option<&mut Dialled> {
        self.servers[of].live.as_mut()?.uplinks.get_mut(&to)
    }

    /// How long until the next attempt: a local server's pauses grow from attempt to attempt.
    fn pause(&mut self, party: Party) -> u64 {
        let Party::Uplink { of, to } = party else { return 100 + self.random.below(500) };
        let failures = self.dialled(of, to).map_or(0, |dialled| {
            dialled.failures += 1;
            dialled.failures
        });
        1 + self.random.below(100 << failures.min(6))
    }

    pub(super) fn party_sees_down(&mut self, party: Party, link: LinkId) {
        let now = self.now;
        match party {
            Party::Device(index) if self.devices[index].link == Some(link) => {
                self.devices[index].link = None;
                self.tell_device(index, client::Event::Disconnected);
            }
            Party::Provider(index) if self.providers[index].link == Some(link) => {
                self.providers[index].disconnected();
                self.busy.insert(Machine::Provider(index));
            }
            Party::Uplink { of, to } if self.servers[of].link_to(to) == Some(link) => {
                if let Some(dialled) = self.dialled(of, to) {
                    dialled.link = None;
                    if now - dialled.since > SETTLED {
                        dialled.failures = 0;
                    }
                }
                self.tell_engine(of, engine::Event::Uplink(guid_of(to), uplink::Event::Disconnected));
            }
            // It has had others since.
            Party::Device(_) | Party::Provider(_) | Party::Uplink { .. } => {}
        }
        let wait = match party {
            Party::Uplink { .. } => self.pause(party),
            Party::Device(_) | Party::Provider(_) => 20 + self.random.below(500),
        };
        self.after(wait, Happening::Dial(party));
    }

    /// Both ends learn of it, each in its own time: a server may see the next link before it misses the last.
    pub(super) fn cut(&mut self, link: LinkId) {
        let Some((upper, lower)) = self.network.cut(link) else { return };
        let (above, below) = (self.random.below(4_000), self.random.below(800));
        self.after_at(above, upper, AtServer::SeesDown(link));
        self.after(below, Happening::SeesDown(lower, link));
    }

    pub(super) fn cut_links_of(&mut self, party: Party) {
        self.network.links(|_, lower| lower == party).into_iter().for_each(|link| self.cut(link));
    }

    /// A link that one end has closed: the other sees it soon.
    pub(super) fn close(&mut self, link: LinkId) {
        let Some((upper, lower)) = self.network.cut(link) else { return };
        self.after_at(10, upper, AtServer::SeesDown(link));
        self.after(10, Happening::SeesDown(lower, link));
    }

    pub(super) fn send(&mut self, link: LinkId, way: Way, message: Message) {
        if let (Way::Up, Some((_, lower))) = (way, self.network.ends(link)) {
            self.look_for_markers(lower, &message);
        }
        if let Some(at) = self.network.arrival(self.now, link, way, &message, &mut self.random) {
            self.after(at - self.now, Happening::Arrives(link, message));
        }
    }
}
