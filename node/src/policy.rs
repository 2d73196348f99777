//! Who may do what (R-1-6). Facts about bytes are found once; rights are decided here, at every use.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use schemas::digest::Digest;
use schemas::guid::ClientGuid;
use schemas::version::Major;

use crate::ids::LinkId;
use crate::trust::Trust;

/// The rights of the clients of one node. A change is a new value with a higher epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Counts changes.
    pub epoch: u64,
    /// Clients that may Deliver: providers.
    pub providers: BTreeSet<ClientGuid>,
    /// For a client that speaks for others: whose headers it may nest.
    pub subtrees: BTreeMap<ClientGuid, BTreeSet<ClientGuid>>,
    /// Clients that are local servers of this realm: they nest the headers of whatever is below them, and subscribe for
    /// it themselves.
    pub local_servers: BTreeSet<ClientGuid>,
    /// GUIDs that clients get at registration: GUID of the certificate → GUID at this server (9.3).
    pub assign: BTreeMap<ClientGuid, ClientGuid>,
    /// What becomes of a client below that has the GUID of another one.
    pub collisions: Collisions,
    /// Whether everything may be asked for in full; else a list has to do (8.2.2).
    pub full_of_everything: bool,
    /// How long the answer to a Request waits for upstreams that may have more; zero: it is given at once (R-8.2.2-12).
    pub combine: Duration,
    /// Whose items may go on (8.3).
    pub trust: Arc<Trust>,
}

/// When a local server reports a client whose GUID is known by another way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Collisions {
    /// It is the same client, and has moved (R-9.3-17).
    #[default]
    Move,
    /// It is another client, and gets a GUID of its own (R-9.3-16).
    Assign,
    /// It is another client, and is refused.
    Refuse,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            epoch: 0,
            providers: BTreeSet::new(),
            subtrees: BTreeMap::new(),
            local_servers: BTreeSet::new(),
            assign: BTreeMap::new(),
            collisions: Collisions::Move,
            full_of_everything: true,
            combine: Duration::from_secs(2),
            trust: Arc::default(),
        }
    }
}

/// Leave for one link to do one thing with one part under one epoch of the policy. Reads no bytes, is made nowhere else,
/// and is spent on what it was given for ([`Policy::spend`]).
#[derive(Debug, PartialEq, Eq)]
pub struct Admitted {
    link: LinkId,
    part: Digest,
    epoch: u64,
}

impl Policy {
    /// Whether `client` may send messages of this kind here now, on this link, in this part.
    pub fn admit(&self, link: LinkId, client: ClientGuid, part: Digest, major: &Major) -> Option<Admitted> {
        let allowed = match major {
            Major::Register | Major::Request => true,
            Major::Deliver => self.providers.contains(&client),
            // No analysis is offered by this node.
            Major::Analyse | Major::Other(_) => false,
        };
        allowed.then_some(Admitted { link, part, epoch: self.epoch })
    }

    /// Whether leave that was given earlier holds for this: not for another link or part, and not if the policy changed
    /// in between.
    #[must_use]
    pub fn spend(&self, admitted: &Admitted, link: LinkId, part: Digest) -> bool {
        *admitted == Admitted { link, part, epoch: self.epoch }
    }

    /// Whether `client` is itself or was delegated `inner`.
    pub fn speaks_for(&self, client: ClientGuid, inner: ClientGuid) -> bool {
        client == inner || self.subtrees.get(&client).is_some_and(|subtree| subtree.contains(&inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: LinkId = LinkId(1);

    #[test]
    fn leave_holds_for_what_it_was_given_and_while_the_policy_does() {
        let (provider, part) = (ClientGuid(7), Digest::of(b"part"));
        let mut policy = Policy { providers: [provider].into(), ..Policy::default() };
        let leave = policy.admit(LINK, provider, part, &Major::Deliver).expect("a provider");
        assert!(policy.spend(&leave, LINK, part));
        assert!(!policy.spend(&leave, LinkId(2), part));
        assert!(!policy.spend(&leave, LINK, Digest::of(b"another")));
        policy.epoch += 1;
        assert!(!policy.spend(&leave, LINK, part), "stale");
    }

    #[test]
    fn only_providers_deliver() {
        let policy = Policy { providers: [ClientGuid(7)].into(), ..Policy::default() };
        let admit = |major| policy.admit(LINK, ClientGuid(8), Digest::default(), &major);
        assert!(admit(Major::Deliver).is_none());
        assert!(admit(Major::Request).is_some());
        assert!(admit(Major::Analyse).is_none());
    }
}
