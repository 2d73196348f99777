//! Who may do what: the table `[policy]`, and GUIDs as a file spells them.

use std::collections::{BTreeMap, BTreeSet};

use schemas::guid::{ClientGuid, NotA128BitValue};
use serde::{Deserialize, Serialize};

use super::{ConfigError, bad};

/// Rights of clients, by GUID, and how they are served.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyTable {
    /// Clients that may Deliver.
    pub providers: BTreeSet<Guid>,
    /// Clients that are local servers: they may nest messages of whatever is below them.
    pub local_servers: BTreeSet<Guid>,
    /// Whether a Request:Full without Message_Data, which asks for everything, is answered.
    pub full_of_everything: bool,
    /// How long a client's Request may wait for what the upstreams have not answered yet; 0: it never does.
    pub combine_milliseconds: u64,
    /// GUID of a client's certificate → the GUID that it gets here at registration.
    pub assign: BTreeMap<Guid, Guid>,
    /// What becomes of a client that a local server reports by the GUID of another one.
    pub collisions: Collisions,
    /// Client → the clients whose messages it may nest in its own.
    pub subtrees: BTreeMap<Guid, BTreeSet<Guid>>,
}

impl Default for PolicyTable {
    fn default() -> Self {
        Self {
            providers: BTreeSet::new(),
            local_servers: BTreeSet::new(),
            full_of_everything: true,
            combine_milliseconds: 2000,
            assign: BTreeMap::new(),
            collisions: Collisions::Move,
            subtrees: BTreeMap::new(),
        }
    }
}

/// A client that waits longer for an answer would take its server for dead.
const COMBINE_MILLISECONDS_MAX: u64 = 60_000;

impl PolicyTable {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.combine_milliseconds > COMBINE_MILLISECONDS_MAX {
            return bad("policy.combine_milliseconds", self.combine_milliseconds, "at most 60000");
        }
        let assigned: BTreeSet<Guid> = self.assign.values().copied().collect();
        if assigned.len() < self.assign.len() {
            return bad("policy.assign", "one GUID for two clients", "another GUID for each client");
        }
        if let Some(name) = assigned.iter().find(|name| name.0 == ClientGuid(0)) {
            return bad("policy.assign", name.0, "a GUID other than zero, which is reserved");
        }
        Ok(())
    }
}

/// When two ways lead to one GUID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Collisions {
    /// One client, which has moved.
    #[default]
    Move,
    /// Two: the second gets a GUID of its own.
    Assign,
    /// Two: the second is refused.
    Refuse,
}

impl From<Collisions> for node::policy::Collisions {
    fn from(collisions: Collisions) -> Self {
        match collisions {
            Collisions::Move => Self::Move,
            Collisions::Assign => Self::Assign,
            Collisions::Refuse => Self::Refuse,
        }
    }
}

/// A client's GUID in the file: any accepted notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Guid(pub ClientGuid);

impl TryFrom<String> for Guid {
    type Error = NotA128BitValue;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        ClientGuid::parse(&text).map(Self)
    }
}

impl From<Guid> for String {
    fn from(guid: Guid) -> Self {
        guid.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use node::policy;

    use super::*;
    use crate::config::Config;

    const ONE: &str = "5f0c7a52-6a3e-4d0b-9a55-0d1f6f7b2c21";
    const TWO: &str = "#h5f0c7a526a3e4d0b9a550d1f6f7b2c22";

    fn read(policy: &str) -> Config {
        toml::from_str(&format!("[policy]\n{policy}")).expect("parses")
    }

    #[test]
    fn names_and_collisions_reach_the_engine() {
        let config = read(&format!("assign = {{ \"{ONE}\" = \"{TWO}\" }}\ncollisions = \"assign\""));
        config.check().expect("possible");
        let guid = |text: &str| ClientGuid::parse(text).expect("a GUID");
        let policy = config.policy();
        assert_eq!(policy.assign, [(guid(ONE), guid(TWO))].into());
        assert_eq!(policy.collisions, policy::Collisions::Assign);
        assert_eq!(read("collisions = \"refuse\"").policy().collisions, policy::Collisions::Refuse);
        assert_eq!(read("collisions = \"move\"").policy(), Config::default().policy());
        assert!(toml::from_str::<Config>("[policy]\ncollisions = \"merge\"").is_err(), "never merged");
    }

    #[test]
    fn one_name_for_two_is_refused() {
        let zero = "00000000-0000-0000-0000-000000000000";
        for assign in [format!("\"{ONE}\" = \"{ONE}\", \"{TWO}\" = \"{ONE}\""), format!("\"{ONE}\" = \"{zero}\"")] {
            let error = toml::from_str::<Config>(&format!("[policy]\nassign = {{ {assign} }}"))
                .map_err(|error| error.to_string())
                .and_then(|config| config.check().map_err(|error| error.to_string()));
            assert!(error.is_err(), "{assign}");
        }
    }
}
