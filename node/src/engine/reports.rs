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
    pub(super) fn plan_report(&mut self, client: ClientGuid, contact: Time, said: &Said<'_>, plan: &mut Plan) {
        if self.kin().is_empty() {
            return;
        }
        let speaker = said.speaker;
        let nearest = if speaker.is_below() { speaker.link_client } else { speaker.client };
        let route = [self.own_hop(nearest)].into_iter().chain(speaker.path.iter().copied()).collect();
        let (spelling, part, messages) = (speaker.spelling, said.bytes, said.meanings.len());
        plan.reports.push(Report { client, route, contact, spelling, part: part.clone(), messages });
        self.plan_telling(plan);
    }

    /// Until what comes of this plan was told, not everything was.
    pub(super) fn plan_telling(&mut self, plan: &mut Plan) {
        let kin = self.uplinks.values_mut().filter(|uplink| uplink.is_told_of_clients());
        plan.writes.extend(kin.filter_map(Uplink::tells_more));
    }

    /// Stored: it is told as it was said.
    pub(super) fn report(&mut self, now: Time, report: &Report) {
        let Report { client, route, contact, spelling, part, messages } = report;
        let bytes = wrapped(*spelling, route, *contact, part);
        for server in self.kin() {
            let (client, name) = (*client, route.last().map_or(*client, |(_, name)| *name));
            let (spelling, bytes, messages) = (*spelling, bytes.clone(), *messages);
            let part = Part { client, name, spelling, bytes, messages, ends: false };
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

    /// What is known of a client is told anew.
    pub(super) fn report_state(&mut self, now: Time, client: ClientGuid) {
        for server in self.kin() {
            if let Some(uplink) = self.uplinks.get_mut(&server) {
                uplink.reports_mut().set_due(client, Detail::State);
            }
            self.turn(now, server);
        }
    }

    /// A client is forgotten here, or is called otherwise: nothing but the row remembers what is to be told.
    pub(super) fn plan_gone(&mut self, gone: Gone, plan: &mut Plan) {
        let kin = self.uplinks.values().filter(|uplink| uplink.is_told_of_clients());
        plan.writes.extend(kin.map(|uplink| uplink.put_gone(&gone)));
        plan.gone.push(gone);
    }

    /// Stored.
    pub(super) fn report_gone(&mut self, now: Time, gone: &Gone) {
        for server in self.kin() {
            if let Some(uplink) = self.uplinks.get_mut(&server) {
                uplink.reports_mut().set_gone(gone.clone());
            }
            self.turn(now, server);
        }
    }

    /// Everybody who is registered here or below, as one who is gone.
    pub(super) fn all_gone(&self, server: ServerGuid) -> Vec<Gone> {
        if self.uplinks.get(&server).is_none_or(|uplink| !uplink.is_told_of_clients()) {
            return Vec::new();
        }
        self.known_clients().into_iter().filter_map(|client| self.as_gone(client)).collect()
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
                Due::Gone(name, gone) => match self.called(name).filter(|_| !leaving) {
                    Some(client) => {
                        self.is_back(server, client, name);
                        None
                    }
                    None => Some(worded_gone(name, &gone)),
                },
            };
            if let (Some(part), Some(uplink)) = (part, self.uplinks.get_mut(&server)) {
                uplink.reports_mut().push(part);
            }
        }
    }

    /// Who was gone is here again, and had nothing when it came.
    fn is_back(&mut self, server: ServerGuid, client: ClientGuid, name: ClientGuid) {
        let Some(uplink) = self.uplinks.get_mut(&server) else { return };
        uplink.reports_mut().set_due(client, Detail::State);
        uplink.reports_mut().forget_gone(name);
        let writes = [uplink.delete_gone(name)].into_iter().chain(uplink.tells_more()).collect();
        if self.broken.is_none() {
            self.store(Plan { writes, ..Plan::default() });
        }
    }

    fn worded(&self, now: Time, client: ClientGuid, detail: Detail) -> Option<Part> {
        let route = self.route_to(client)?;
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
        let tells = |plan: &Plan| !plan.reports.is_empty() || !plan.renamed.is_empty();
        if self.broken.is_some() || self.pending.iter().any(|(_, plan)| tells(plan)) {
            return;
        }
        let row = uplink.told_all();
        self.store(Plan { writes: vec![row], ..Plan::default() });
    }
}

fn worded_gone(name: ClientGuid, gone: &Gone) -> Part {
    part(name, &gone.route, gone.contact, &[message(Some(Minor::End), &[])], true)
}

fn message(minor: Option<Minor>, infos: &[VersionInfo]) -> MessageDraft<'_> {
    MessageDraft { major: Major::Register, minor, data: (!infos.is_empty()).then_some(infos) }
}

fn part(client: ClientGuid, route: &Route, contact: Time, messages: &[MessageDraft<'_>], ends: bool) -> Part {
    let own = write::message(Spelling::Double, &HeaderFields::default(), messages);
    let bytes = wrapped(Spelling::Double, route, contact, &own);
    let name = route.last().map_or(client, |(_, name)| *name);
    Part { client, name, spelling: Spelling::Double, bytes, messages: messages.len(), ends }
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
