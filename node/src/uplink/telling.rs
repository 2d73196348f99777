//! What the upstream is told of those below, one exchange at a time beside those that ask: it holds up nothing.

use schemas::core::ReplyStatus;
use schemas::guid::ClientGuid;

use super::{Action, Effects, Gone, Part, Realm, Reports, Uplink};
use crate::ids::ExchangeId;
use crate::store::Write;

/// The GUID that the upstream gave this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Assigned {
    pub(super) client: ClientGuid,
    /// In this life of its log.
    pub(super) incarnation: u128,
}

/// The exchange that is under way.
#[derive(Debug)]
pub(super) struct Telling {
    exchange: ExchangeId,
    parts: Vec<Part>,
    /// What each message of them was answered.
    outcomes: Option<Vec<(ReplyStatus, Option<String>)>>,
    /// Whom each answer names.
    names: Vec<Option<ClientGuid>>,
}

impl Uplink {
    /// Whether it is told of those below.
    pub(crate) fn is_told_of_clients(&self) -> bool {
        self.config.realm == Realm::Same && !self.leaving
    }

    /// What it is told of them.
    pub(crate) fn reports_mut(&mut self) -> &mut Reports {
        &mut self.reports
    }

    /// Clients below of whom it would not hear.
    pub fn refused_reports(&self) -> usize {
        self.reports.refused()
    }

    /// Leaves the upstream in good order, and takes with it all of whom that was told.
    pub(crate) fn leave(&mut self, all: Vec<Gone>) {
        self.leaving = true;
        self.reports.leave(all);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Something is told now that was not told before.
    pub(crate) fn tells_more(&mut self) -> Option<Write> {
        let was_told = self.reports.is_told();
        self.reports.set_told(false);
        was_told.then(|| self.delete_told())
    }

    /// Whether everything is told, which is not written down yet.
    pub(crate) fn has_told_all(&self) -> bool {
        self.is_told_of_clients() && !self.reports.is_told() && self.reports.is_done() && self.telling.is_none()
    }

    /// It is: to be written down.
    pub(crate) fn told_all(&mut self) -> Write {
        self.reports.set_told(true);
        self.put_told()
    }

    /// Whether everything is to be told that is known.
    pub(crate) fn starts_telling(&self) -> bool {
        self.is_told_of_clients() && !self.reports.is_told()
    }

    pub(super) fn is_telling(&self) -> bool {
        self.telling.is_some() || self.reports.is_queued()
    }

    pub(super) fn tell_next(&mut self, effects: &mut Effects) {
        if self.telling.is_some() || !self.reports.is_queued() {
            return;
        }
        let exchange = ExchangeId(self.next_exchange);
        self.next_exchange += 1;
        let parts = self.reports.take();
        let spelling = parts.first().map(|part| part.spelling).unwrap_or_default();
        let documents = parts.iter().map(|part| part.bytes.clone()).collect();
        effects.actions.push(Action::Report(exchange, spelling, documents));
        self.telling = Some(Telling { exchange, parts, outcomes: None, names: Vec::new() });
    }

    pub(super) fn tells(&self, exchange: ExchangeId) -> bool {
        self.telling.as_ref().is_some_and(|telling| telling.exchange == exchange)
    }

    pub(super) fn answered(&mut self, outcomes: Vec<(ReplyStatus, Option<String>)>) {
        if let Some(telling) = &mut self.telling {
            telling.outcomes = Some(outcomes);
        }
    }

    pub(super) fn named(&mut self, names: Vec<Option<ClientGuid>>) {
        if let Some(telling) = &mut self.telling {
            telling.names = names;
        }
    }

    /// Who this node is there.
    pub fn client(&self) -> ClientGuid {
        self.assigned.map_or(self.config.client, |assigned| assigned.client)
    }

    /// Whether the upstream may call this node so.
    pub(crate) fn is_called(&self, client: ClientGuid) -> bool {
        client == self.config.client || client == self.client()
    }

    /// The upstream calls this node otherwise from now on: to be written down first.
    pub(super) fn assigned(&self, client: ClientGuid, effects: &mut Effects) {
        let Some(lane) = self.lane.filter(|_| client != self.client()) else { return };
        let assigned = Assigned { client, incarnation: lane.incarnation };
        effects.writes.push(self.put_assigned(assigned));
        effects.assigned = Some(assigned);
    }

    /// It is durable.
    pub(crate) fn set_assigned(&mut self, assigned: Assigned) {
        self.assigned = Some(assigned);
    }

    /// Another life of the upstream's log knows nothing of a name from before.
    pub(super) fn forget_assigned(&mut self, incarnation: u128, effects: &mut Effects) {
        if self.assigned.take_if(|assigned| assigned.incarnation != incarnation).is_some() {
            effects.writes.push(self.delete_assigned());
        }
    }

    pub(super) fn heard(&mut self, effects: &mut Effects) {
        match self.telling.take() {
            Some(Telling { parts, outcomes: Some(outcomes), names, .. }) => {
                let settled = self.reports.settle(parts, &outcomes, &names);
                effects.writes.extend(settled.gone.into_iter().map(|name| self.delete_gone(name)));
                effects.renamed = settled.renamed;
            }
            Some(Telling { parts, outcomes: None, .. }) => self.reports.put_back(parts),
            None => {}
        }
    }

    /// Whether it was heard is not known: it is told again.
    pub(super) fn stop_telling(&mut self) {
        if let Some(Telling { parts, .. }) = self.telling.take() {
            self.reports.put_back(parts);
        }
    }
}
