//! The file as it is written. Unknown keys are refused, with their line.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

use crate::config::{Ask, Asks, Granularity, PolicyTable, Realm};

/// The whole of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) scenario: Head,
    pub(super) server: Vec<Server>,
    #[serde(default)]
    pub(super) provider: Vec<Provider>,
    #[serde(default)]
    pub(super) agents: Vec<Agents>,
    #[serde(default)]
    pub(super) fault: Vec<Fault>,
}

/// `[scenario]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) seconds: f64,
    #[serde(default)]
    pub(super) seed: u64,
}

/// `[[server]]`: one, or as many as `count` says. The keys of an upstream hold for all that `upstreams` names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) count: Option<usize>,
    #[serde(default)]
    pub(super) upstreams: Names,
    /// Those that are asked otherwise.
    #[serde(default)]
    pub(super) upstream: Vec<Upstream>,
    realm: Option<Realm>,
    ask: Option<Ask>,
    granularity: Option<Granularity>,
    registrants_min: Option<u32>,
    delay_seconds: Option<u64>,
    hold_seconds: Option<u64>,
    full_of_everything: Option<bool>,
    combine_milliseconds: Option<u64>,
}

/// `[[server.upstream]]`: as `[[upstream]]` in a server's own configuration, with a name for address and GUID.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    pub(super) server: String,
    realm: Option<Realm>,
    ask: Option<Ask>,
    granularity: Option<Granularity>,
    registrants_min: Option<u32>,
    delay_seconds: Option<u64>,
    hold_seconds: Option<u64>,
}

impl Server {
    pub(super) fn asks(&self) -> Asks {
        let default = Asks::default();
        Asks {
            realm: self.realm.unwrap_or(default.realm),
            ask: self.ask.unwrap_or(default.ask),
            granularity: self.granularity.unwrap_or(default.granularity),
            registrants_min: self.registrants_min.unwrap_or(default.registrants_min),
            delay_seconds: self.delay_seconds.unwrap_or(default.delay_seconds),
            hold_seconds: self.hold_seconds.unwrap_or(default.hold_seconds),
        }
    }

    pub(super) fn policy(&self) -> PolicyTable {
        let default = PolicyTable::default();
        PolicyTable {
            full_of_everything: self.full_of_everything.unwrap_or(default.full_of_everything),
            combine_milliseconds: self.combine_milliseconds.unwrap_or(default.combine_milliseconds),
            ..default
        }
    }
}

impl Upstream {
    /// What it does not say is as for the others.
    pub(super) fn asks(&self, others: Asks) -> Asks {
        Asks {
            realm: self.realm.unwrap_or(others.realm),
            ask: self.ask.unwrap_or(others.ask),
            granularity: self.granularity.unwrap_or(others.granularity),
            registrants_min: self.registrants_min.unwrap_or(others.registrants_min),
            delay_seconds: self.delay_seconds.unwrap_or(others.delay_seconds),
            hold_seconds: self.hold_seconds.unwrap_or(others.hold_seconds),
        }
    }
}

/// `[[provider]]`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Provider {
    pub(super) name: String,
    pub(super) server: String,
    pub(super) publish: Names,
    #[serde(default)]
    pub(super) at: f64,
    pub(super) rate: Option<u32>,
}

/// `[[agents]]`: one, or as many as `count` says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Agents {
    pub(super) name: String,
    pub(super) count: Option<usize>,
    pub(super) server: String,
    pub(super) assets: String,
    #[serde(default)]
    pub(super) always: Names,
    #[serde(default)]
    pub(super) at: f64,
}

/// `[[fault]]`: one of `kill`, `cut` and `attach`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fault {
    pub(super) at: f64,
    #[serde(rename = "for")]
    pub(super) lasts: Option<f64>,
    pub(super) kill: Option<Names>,
    pub(super) cut: Option<Names>,
    pub(super) attach: Option<Names>,
    pub(super) to: Option<Names>,
}

/// One text, or a list of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMany)
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Names;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a list of texts")
    }

    fn visit_str<E>(self, one: &str) -> Result<Names, E> {
        Ok(Names(vec![one.to_owned()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Names, A::Error> {
        let mut many = Vec::new();
        while let Some(one) = sequence.next_element()? {
            many.push(one);
        }
        Ok(Names(many))
    }
}
