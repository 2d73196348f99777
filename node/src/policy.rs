//! Who may do what (R-1-6). Facts about bytes are found once; rights are decided here, at every use.

use std::collections::{BTreeMap, BTreeSet};

use schemas::guid::ClientGuid;
use schemas::version::Major;

/// The rights of the clients of one node. A change is a new value with a higher epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Counts changes.
    pub epoch: u64,
    /// Clients that may Deliver: providers.
    pub providers: BTreeSet<ClientGuid>,
    /// For a client that speaks for others: whose headers it may nest.
    pub subtrees: BTreeMap<ClientGuid, BTreeSet<ClientGuid>>,
}

/// Leave for one client to do one thing under one epoch of the policy. Reads no bytes, and is made nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    client: ClientGuid,
    epoch: u64,
}

impl Admitted {
    /// Whose leave it is.
    pub fn client(self) -> ClientGuid {
        self.client
    }
}

impl Policy {
    /// Whether `client` may send messages of this kind here now.
    pub fn admit(&self, client: ClientGuid, major: &Major) -> Option<Admitted> {
        let allowed = match major {
            Major::Register | Major::Request => true,
            Major::Deliver => self.providers.contains(&client),
            // No analysis is offered by this node.
            Major::Analyse | Major::Other(_) => false,
        };
        allowed.then_some(Admitted { client, epoch: self.epoch })
    }

    /// Whether leave that was given earlier still holds: not if the policy changed in between.
    pub fn is_current(&self, admitted: Admitted) -> bool {
        admitted.epoch == self.epoch
    }

    /// Whether `client` is itself or was delegated `inner`.
    pub fn speaks_for(&self, client: ClientGuid, inner: ClientGuid) -> bool {
        client == inner || self.subtrees.get(&client).is_some_and(|subtree| subtree.contains(&inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leave_ends_with_the_epoch_that_gave_it() {
        let provider = ClientGuid(7);
        let mut policy = Policy { providers: [provider].into(), ..Policy::default() };
        let leave = policy.admit(provider, &Major::Deliver).expect("a provider");
        assert!(policy.is_current(leave));
        policy.epoch += 1;
        assert!(!policy.is_current(leave));
    }

    #[test]
    fn only_providers_deliver() {
        let policy = Policy { providers: [ClientGuid(7)].into(), ..Policy::default() };
        assert!(policy.admit(ClientGuid(8), &Major::Deliver).is_none());
        assert!(policy.admit(ClientGuid(8), &Major::Request).is_some());
    }
}
