//! What makes a server a local server: the servers above it, and what it asks each of them for.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use node::uplink;
use schemas::guid::{ClientGuid, NotA128BitValue, ServerGuid};
use serde::{Deserialize, Serialize};

use super::{ConfigError, Identity, bad};

/// One server above this one. Unknown keys are refused; only `address` and `guid` have no default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where it listens for X.1206 over QUIC (UDP).
    pub address: SocketAddr,
    /// The server GUID that its certificate must carry: this side talks to no other.
    pub guid: Pin,
    /// Whose server it is.
    #[serde(default)]
    pub realm: Realm,
    /// What it is asked for.
    #[serde(default)]
    pub ask: Ask,
    /// How precisely names are asked for.
    #[serde(default)]
    pub granularity: Granularity,
    /// How many clients below must have a version before it is named; with granularity `version`.
    #[serde(default = "registrants_min")]
    pub registrants_min: u32,
    /// The longest random delay before a new name is asked for in a foreign realm; what is critical is asked for at once.
    #[serde(default = "delay_seconds")]
    pub delay_seconds: u64,
    /// How long an interest outlives the last client that had it.
    #[serde(default = "hold_seconds")]
    pub hold_seconds: u64,
    /// Certificate chain of this side towards it; that of `[identity]` if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// Certificate authorities that the upstream's certificate may be of; that of `[identity]` if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

/// Whose server an upstream is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Realm {
    /// Somebody else's: nothing that clients below wrote leaves this server.
    #[default]
    Foreign,
    /// One's own: messages of clients below are passed on.
    Same,
}

/// What an upstream is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ask {
    /// All that it has.
    Everything,
    /// What clients below have named.
    #[default]
    Names,
    /// Its catalogue, and then single elements that concern somebody below.
    Elements,
}

/// How precisely a foreign upstream learns what runs below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// Whose products.
    Vendor,
    /// Which products.
    #[default]
    Product,
    /// Which versions of them.
    Version,
}

/// An upstream's GUID in the file: any accepted notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pin(pub ServerGuid);

impl TryFrom<String> for Pin {
    type Error = NotA128BitValue;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        ServerGuid::parse(&text).map(Self)
    }
}

impl From<Pin> for String {
    fn from(guid: Pin) -> Self {
        guid.0.to_string()
    }
}

fn registrants_min() -> u32 {
    Asks::default().registrants_min
}

fn delay_seconds() -> u64 {
    Asks::default().delay_seconds
}

fn hold_seconds() -> u64 {
    Asks::default().hold_seconds
}

/// The keys of an upstream that say neither who it is nor where: what it is asked for, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asks {
    /// Whose server it is.
    pub realm: Realm,
    /// What it is asked for.
    pub ask: Ask,
    /// How precisely names are asked for.
    pub granularity: Granularity,
    /// See [`Upstream::registrants_min`].
    pub registrants_min: u32,
    /// See [`Upstream::delay_seconds`].
    pub delay_seconds: u64,
    /// See [`Upstream::hold_seconds`].
    pub hold_seconds: u64,
}

impl Default for Asks {
    fn default() -> Self {
        Self {
            realm: Realm::default(),
            ask: Ask::default(),
            granularity: Granularity::default(),
            registrants_min: 5,
            delay_seconds: 60,
            hold_seconds: 3600,
        }
    }
}

/// A key, its value, and what it should be.
pub(crate) type Fault = (&'static str, String, &'static str);

impl Asks {
    /// As the engine takes it: this upstream, asked so, by whoever is called so there.
    pub fn uplink(&self, server: ServerGuid, client: ClientGuid) -> uplink::Config {
        uplink::Config {
            server,
            client,
            realm: match self.realm {
                Realm::Same => uplink::Realm::Same,
                Realm::Foreign => uplink::Realm::Foreign,
            },
            ask: match self.ask {
                Ask::Everything => uplink::Ask::Everything,
                Ask::Names => uplink::Ask::Names,
                Ask::Elements => uplink::Ask::Elements,
            },
            granularity: match self.granularity {
                Granularity::Vendor => topology::want::Granularity::Vendor,
                Granularity::Product => topology::want::Granularity::Product,
                Granularity::Version => topology::want::Granularity::Version,
            },
            registrants_min: self.registrants_min as usize,
            delay_max: self.delay(),
            hold: Duration::from_secs(self.hold_seconds),
        }
    }

    /// The longest random delay before a new name is asked for.
    fn delay(&self) -> Duration {
        match self.realm {
            Realm::Foreign => Duration::from_secs(self.delay_seconds),
            Realm::Same => Duration::ZERO,
        }
    }

    /// The first value that makes no sense.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let names_only = self.realm == Realm::Foreign && self.ask == Ask::Names;
        if self.granularity != Granularity::default() && !names_only {
            let value = format!("{:?}", self.granularity).to_lowercase();
            return Err((
                "upstream.granularity",
                value,
                "only with ask = \"names\" and realm = \"foreign\"; leave it out",
            ));
        }
        if self.registrants_min == 0 {
            return Err(("upstream.registrants_min", "0".into(), "at least 1"));
        }
        if self.delay_seconds > DELAY_SECONDS_MAX {
            return Err(("upstream.delay_seconds", self.delay_seconds.to_string(), "at most 86400, a day"));
        }
        if self.hold_seconds > HOLD_SECONDS_MAX {
            return Err(("upstream.hold_seconds", self.hold_seconds.to_string(), "at most 31536000, a year"));
        }
        Ok(())
    }
}

/// Each has a link, an endpoint and a set of wants of its own.
const UPSTREAMS_MAX: usize = 16;
/// A name that is asked for a day late protects nobody.
const DELAY_SECONDS_MAX: u64 = 24 * 3600;
/// A year.
const HOLD_SECONDS_MAX: u64 = 365 * 24 * 3600;

impl Upstream {
    /// Everything at its default but whom to dial.
    pub fn new(address: SocketAddr, guid: ServerGuid) -> Self {
        Self::with(address, guid, Asks::default())
    }

    /// This upstream, asked so, under this side's own identity.
    pub fn with(address: SocketAddr, guid: ServerGuid, asks: Asks) -> Self {
        let Asks { realm, ask, granularity, registrants_min, delay_seconds, hold_seconds } = asks;
        Self {
            address,
            guid: Pin(guid),
            realm,
            ask,
            granularity,
            registrants_min,
            delay_seconds,
            hold_seconds,
            certificate: None,
            key: None,
            ca: None,
        }
    }

    /// What it is asked for, and how.
    pub fn asks(&self) -> Asks {
        Asks {
            realm: self.realm,
            ask: self.ask,
            granularity: self.granularity,
            registrants_min: self.registrants_min,
            delay_seconds: self.delay_seconds,
            hold_seconds: self.hold_seconds,
        }
    }

    /// Who this side is towards the upstream.
    pub fn identity(&self, own: &Identity) -> Identity {
        Identity {
            certificate: self.certificate.clone().unwrap_or_else(|| own.certificate.clone()),
            key: self.key.clone().unwrap_or_else(|| own.key.clone()),
            ca: self.ca.clone().unwrap_or_else(|| own.ca.clone()),
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let of = |value: &dyn std::fmt::Display| format!("{value} (of upstream {})", self.guid.0);
        if self.address.port() == 0 {
            return bad("upstream.address", of(&self.address), "needs the port that the upstream listens on");
        }
        if let Err((key, value, why)) = self.asks().check() {
            return bad(key, of(&value), why);
        }
        match (&self.certificate, &self.key) {
            (Some(one), None) => bad("upstream.certificate", of(&one.display()), "needs its key beside it"),
            (None, Some(one)) => bad("upstream.key", of(&one.display()), "needs its certificate beside it"),
            (Some(_), Some(_)) | (None, None) => Ok(()),
        }
    }
}

/// Checks each, and that no server is there twice.
pub(super) fn check(upstreams: &[Upstream]) -> Result<(), ConfigError> {
    if upstreams.len() > UPSTREAMS_MAX {
        return bad("upstream", format!("{} of them", upstreams.len()), "at most 16");
    }
    let mut known = BTreeSet::new();
    for upstream in upstreams {
        upstream.check()?;
        if !known.insert(upstream.guid) {
            return bad("upstream.guid", upstream.guid.0, "each upstream once");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{Config, tests::example};
    use super::*;

    /// The block of the example, out of its comments.
    fn block() -> String {
        let text = example();
        let lines = text.lines().skip_while(|line| *line != "# [[upstream]]");
        let block = lines.map_while(|line| line.strip_prefix("# "));
        block.map(|line| format!("{line}\n")).collect()
    }

    fn parsed(text: &str) -> Config {
        toml::from_str(text).expect("parses")
    }

    #[test]
    fn the_block_in_the_example_shows_the_defaults() {
        let config = parsed(&block());
        config.check().expect("good");
        let [shown] = config.upstream.as_slice() else { panic!("one: {config:?}") };
        let Identity { certificate, key, ca } = Identity::default();
        let default = Upstream::new(shown.address, shown.guid.0);
        let own = Upstream { certificate: Some(certificate), key: Some(key), ca: Some(ca), ..default };
        assert_eq!(*shown, own);
    }

    #[test]
    fn the_block_names_every_key_and_fits_where_it_stands() {
        let shown: toml::Table = toml::from_str(&block()).expect("parses");
        let known = toml::Table::try_from(parsed(&block())).expect("serialises");
        let keys = |table: &toml::Table| table["upstream"][0].as_table().expect("a table").keys().cloned().collect();
        let (shown, known): (BTreeSet<String>, BTreeSet<String>) = (keys(&shown), keys(&known));
        assert_eq!(shown, known);
        let commented = block().lines().map(|line| format!("# {line}\n")).collect::<String>();
        let whole = example().replace(&commented, &block());
        assert_eq!(parsed(&whole), Config { upstream: parsed(&block()).upstream, ..Config::default() });
    }

    #[test]
    fn an_upstream_must_be_pinned() {
        let error = toml::from_str::<Config>("[[upstream]]\naddress = \"127.0.0.1:1\"\n").expect_err("no guid");
        assert!(error.to_string().contains("guid"), "{error}");
    }

    #[test]
    fn impossible_upstreams_are_refused_by_name() {
        let refused = |change: fn(&mut Upstream), key: &str| {
            let mut upstream = Upstream::new(([127, 0, 0, 1], 7).into(), ServerGuid(1));
            upstream.check().expect("good");
            change(&mut upstream);
            let error = upstream.check().expect_err(key).to_string();
            assert!(error.starts_with(key) && error.contains(&ServerGuid(1).to_string()), "{error}");
        };
        refused(|one| one.address.set_port(0), "upstream.address");
        refused(|one| one.registrants_min = 0, "upstream.registrants_min");
        refused(|one| one.delay_seconds = u64::MAX, "upstream.delay_seconds");
        refused(|one| one.hold_seconds = u64::MAX, "upstream.hold_seconds");
        refused(|one| one.certificate = Some("a.pem".into()), "upstream.certificate");
        refused(|one| one.key = Some("a.key".into()), "upstream.key");
        let vendor = |one: &mut Upstream| one.granularity = Granularity::Vendor;
        refused(|one| (one.realm, one.granularity) = (Realm::Same, Granularity::Version), "upstream.granularity");
        refused(|one| (one.ask, one.granularity) = (Ask::Everything, Granularity::Vendor), "upstream.granularity");
        let mut good = Upstream::new(([127, 0, 0, 1], 7).into(), ServerGuid(1));
        vendor(&mut good);
        good.check().expect("good");
    }

    #[test]
    fn no_upstream_is_there_twice() {
        let one = Upstream::new(([127, 0, 0, 1], 7).into(), ServerGuid(1));
        let error = check(&[one.clone(), one.clone()]).expect_err("twice").to_string();
        assert!(error.starts_with("upstream.guid") && error.contains("once"), "{error}");
        let many: Vec<_> = (0..17).map(|n| Upstream { guid: Pin(ServerGuid(n)), ..one.clone() }).collect();
        assert!(check(&many).expect_err("many").to_string().starts_with("upstream = 17"));
    }

    #[test]
    fn an_identity_of_its_own_stands_above_the_servers() {
        let own = Identity::default();
        let plain = Upstream::new(([127, 0, 0, 1], 7).into(), ServerGuid(1));
        assert_eq!(plain.identity(&own), own);
        let other = Upstream { ca: Some("their-ca.pem".into()), ..plain };
        assert_eq!(other.identity(&own), Identity { ca: "their-ca.pem".into(), ..own });
    }
}
