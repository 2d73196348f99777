//! What the server calls this client (R-9.3-7): the GUID of its certificate, or another that a reply told.

use schemas::guid::ClientGuid;

use super::journal::Event;
use super::{Action, Client};
use crate::ids::Time;

/// The GUID that the server gave this client, and in which life of its log.
pub(super) type Assigned = (ClientGuid, u128);

impl Client {
    /// For headers.
    pub fn name(&self) -> ClientGuid {
        self.assigned.map_or(self.client, |(name, _)| name)
    }

    /// What is on its way to the client of the certificate arrives, too.
    pub(super) fn is_called(&self, client: ClientGuid) -> bool {
        client == self.client || client == self.name()
    }

    /// A reply named another client than was asked as: used when it is journalled.
    pub(super) fn assigned(&mut self, now: Time, client: ClientGuid) {
        let Some(incarnation) = self.sync.incarnation().filter(|_| client != self.name()) else { return };
        self.assigned = Some((client, incarnation));
        self.store(now, vec![Event::Assigned { client, incarnation }], None, vec![Action::Name(client)]);
    }

    /// Another life of the server's log knows nothing of a name from before.
    pub(super) fn check_name(&mut self, now: Time, incarnation: u128) {
        if self.assigned.take_if(|(_, own)| *own != incarnation).is_some() {
            self.actions.push_back(Action::Name(self.client));
            self.store(now, vec![Event::Assigned { client: self.client, incarnation }], None, Vec::new());
        }
    }
}
