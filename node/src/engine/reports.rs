//! What upstreams of the same realm are told of those below: bundles of what they say, each in a header for every hop
//! (10.1.1). To a foreign realm nothing of it goes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::names::Spelling;
use schemas::version::{Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, Kind, MessageDraft};
use topology::subscriptions::{Mode, Subscription};

use super::plan::Plan;
use super::register::Said;
use super::{Engine, Listed, Route};
use crate::ids::Time;
use crate::uplink::{Detail, Due, Gone, Part, Uplink};

/// Upstreams hear at least so often that a client is still connected, or its lease there would end.
const REFRESH: Duration = Duration::from_secs(24 * 3600);

/// What a client said, and who it is.
#[derive(Debug)]
pub(super) struct Report {
    client: ClientGuid,
    route: Route,
    contact: Time,
    spelling: Spelling,
    part: Bytes,
    messages: usize,
}

impl Engine {
    fn kin(&self) -> Vec<ServerGuid> {
        let same = self.uplinks.values().filter(|uplink| uplink.is_told_of_clients());
        same.map(|uplink| uplink.config().server).collect()
    }

    /// What changes something is told when it is stored; until that was heard it does not count as told.
    pub(super) fn plan_report(&mut self, contact: Time, said: &Said<'_>, plan: &mut Plan) {
        let kin = self.kin();
        if kin.is_empty() {
            return;
        }
        let speaker = said.speaker;
        let nearest = if speaker.is_below() { speaker.link_client } else { speaker.client };
        let route = [(self.config.server, nearest)].into_iter().chain(speaker.path.iter().copied()).collect();
        let (client, spelling, part, messages) = (speaker.client, speaker.spelling, said.bytes, said.meanings.len());
        plan.reports.push(Report { client, route, contact, spelling, part: part.clone(), messages });
        for server in kin {
            plan.writes.extend(self.uplinks.get_mut(&server).and_then(Uplink::tells_more));
        }
    }

    /// Stored: it is told as it was said.
    pub(super) fn report(&mut self, now: Time, report: &Report) {
        let Report { client, route, contact, spelling, part, messages } = report;
        let bytes = wrapped(*spelling, route, *contact, part);
        for server in self.kin() {
            let part =
                Part { client: *client, spelling: *spelling, bytes: bytes.clone(), messages: *messages, ends: false };
            if let Some(uplink) = self.uplinks.get_mut(&server) {
                uplink.reports_mut().push(part);
            }
            self.turn(now, server);
        }
    }

    /// A client is connected.
    pub(super) fn report_presence(&mut self, now: Time, client: ClientGuid) {
        for server in self.kin() {
            if let Some(uplink) = self.uplinks.get_mut(&server) {
                uplink.reports_mut().set_due(client, Detail::Presence);
            }
            self.turn(now, server);
        }
    }

    /// Who is connected all the time says nothing, and must not be forgotten above; and what was refused may be heard now.
    pub(super) fn refresh_reports(&mut self, now: Time) {
        if now < self.next_refresh {
            return;
        }
        self.next_refresh = now.after(REFRESH.min(self.config.lease / 3));
        for server in self.kin() {
            if let Some(uplink) = self.uplinks.get_mut(&server) {
                let here = self.links.keys().filter(|client| self.registered.contains_key(client));
                here.for_each(|client| uplink.reports_mut().set_due(*client, Detail::Presence));
                uplink.reports_mut().try_again();
            }
            self.turn(now, server);
        }
    }

    /// A client was forgotten here.
    pub(super) fn report_gone(&mut self, now: Time, client: ClientGuid, gone: &Gone) {
        for server in self.kin() {
            let Some(uplink) = self.uplinks.get_mut(&server) else { continue };
            let row = uplink.put_gone(client, gone);
            uplink.reports_mut().set_gone(client, gone.clone());
            self.store(Plan { writes: vec![row], ..Plan::default() });
            self.turn(now, server);
        }
    }

    /// Everybody who is registered here or below, as one who is gone.
    pub(super) fn all_gone(&self, server: ServerGuid) -> Vec<(ClientGuid, Gone)> {
        if self.uplinks.get(&server).is_none_or(|uplink| !uplink.is_told_of_clients()) {
            return Vec::new();
        }
        self.known_clients().into_iter().filter_map(|client| Some((client, self.as_gone(client)?))).collect()
    }

    pub(super) fn as_gone(&self, client: ClientGuid) -> Option<Gone> {
        let Listed { route, contact, .. } = self.listed(client);
        (!route.is_empty()).then_some(Gone { route, contact })
    }

    /// The upstream may know nothing: it is told everything that is known here.
    pub(super) fn report_everything(&mut self, server: ServerGuid) {
        let clients = self.known_clients();
        let Some(uplink) = self.uplinks.get_mut(&server).filter(|uplink| uplink.is_told_of_clients()) else { return };
        if clients.is_empty() {
            return;
        }
        let row = uplink.tells_more();
        clients.into_iter().for_each(|client| uplink.reports_mut().set_due(client, Detail::State));
        if let Some(row) = row.filter(|_| self.broken.is_none()) {
            self.store(Plan { writes: vec![row], ..Plan::default() });
        }
    }

    /// Puts into words what an upstream is to be told next.
    pub(super) fn word_reports(&mut self, now: Time, server: ServerGuid) {
        while let Some(uplink) = self.uplinks.get_mut(&server).filter(|uplink| uplink.is_connected())
            && let Some(due) = uplink.reports_mut().next_due()
        {
            let leaving = uplink.is_leaving();
            let part = match due {
                Due::Known(client, detail) => self.worded(now, client, detail),
                Due::Gone(client, _) if !leaving && self.route(client).is_some() => {
                    self.is_back(server, client);
                    None
                }
                Due::Gone(client, gone) => Some(worded_gone(client, &gone)),
            };
            if let (Some(part), Some(uplink)) = (part, self.uplinks.get_mut(&server)) {
                uplink.reports_mut().push(part);
            }
        }
    }

    fn is_back(&mut self, server: ServerGuid, client: ClientGuid) {
        let Some(uplink) = self.uplinks.get_mut(&server) else { return };
        if uplink.reports_mut().forget_gone(client) && self.broken.is_none() {
            let row = uplink.delete_gone(client);
            self.store(Plan { writes: vec![row], ..Plan::default() });
        }
    }

    fn worded(&self, now: Time, client: ClientGuid, detail: Detail) -> Option<Part> {
        let route = self.route(client)?;
        let Listed { subscriptions, contact, connected, .. } = self.listed(client);
        let contact = if connected { now } else { contact };
        let infos = |mode: Mode| -> Vec<VersionInfo> {
            let of_mode = |subscription: &&Subscription| subscription.mode == mode;
            subscriptions.iter().filter(of_mode).map(|subscription| subscription.interest.to_version_info()).collect()
        };
        let (full, catalog) = match detail {
            Detail::Presence => (Vec::new(), Vec::new()),
            Detail::State => (infos(Mode::Full), infos(Mode::Catalog)),
        };
        let mut messages = Vec::new();
        // What follows takes the place of whatever is known there.
        messages.extend((detail == Detail::State).then(|| message(Some(Minor::End), &[])));
        messages.push(message(None, &[]));
        messages.extend((!full.is_empty()).then(|| message(None, &full)));
        messages.extend((!catalog.is_empty()).then(|| message(Some(Minor::Catalog), &catalog)));
        Some(part(client, &route, contact, &messages, false))
    }

    /// Writes down that everything was told, if so.
    pub(super) fn note_told(&mut self, server: ServerGuid) {
        let Some(uplink) = self.uplinks.get_mut(&server).filter(|uplink| uplink.has_told_all()) else { return };
        if self.broken.is_some() || self.pending.iter().any(|(_, plan)| !plan.reports.is_empty()) {
            return;
        }
        let row = uplink.told_all();
        self.store(Plan { writes: vec![row], ..Plan::default() });
    }
}

fn worded_gone(client: ClientGuid, gone: &Gone) -> Part {
    part(client, &gone.route, gone.contact, &[message(Some(Minor::End), &[])], true)
}

fn message(minor: Option<Minor>, infos: &[VersionInfo]) -> MessageDraft<'_> {
    MessageDraft { major: Major::Register, minor, data: (!infos.is_empty()).then_some(infos) }
}

fn part(client: ClientGuid, route: &Route, contact: Time, messages: &[MessageDraft<'_>], ends: bool) -> Part {
    let own = write::message(Spelling::Double, &HeaderFields::default(), messages);
    let bytes = wrapped(Spelling::Double, route, contact, &own);
    Part { client, spelling: Spelling::Double, bytes, messages: messages.len(), ends }
}

/// The part in a header for each hop; the innermost says when the client was heard, so that old news are known as such.
fn wrapped(spelling: Spelling, route: &Route, contact: Time, part: &Bytes) -> Bytes {
    let sent = contact.text();
    let innermost = route.len().saturating_sub(1);
    let envelopes = route.iter().enumerate().map(|(at, (server, client))| {
        let header = HeaderFields {
            server_guid: Some(*server),
            client_guid: Some(*client),
            message_id: None,
            sent_time: (at == innermost).then_some(&sent),
        };
        write::envelope(spelling, Kind::Message, &header)
    });
    let envelopes: Vec<write::Envelope> = envelopes.collect();
    let around: usize = envelopes.iter().map(|envelope| envelope.head.len() + envelope.tail.len()).sum();
    let mut bytes = BytesMut::with_capacity(around + part.len());
    envelopes.iter().for_each(|envelope| bytes.extend_from_slice(&envelope.head));
    bytes.extend_from_slice(part);
    envelopes.iter().rev().for_each(|envelope| bytes.extend_from_slice(&envelope.tail));
    bytes.freeze()
}
