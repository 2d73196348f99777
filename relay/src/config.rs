//! The configuration of a server: a TOML file, flags and environment over it, one checked value.

mod policy;
mod transport;
mod upstream;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dialler::trust;
use node::policy::Policy;
use node::{engine, uplink};
use schemas::guid::ServerGuid;
use schemas::mark::Mark;
use serde::{Deserialize, Serialize};

pub use policy::{Collisions, Guid, PolicyTable};
pub use transport::{Congestion, Transport};
pub use upstream::{Ask, Asks, Granularity, Pin, Realm, Upstream};

/// The whole file. Unknown keys are refused; every key has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where to listen.
    pub listen: Listen,
    /// Who this server is.
    pub identity: Identity,
    /// Where data is kept.
    pub store: Store,
    /// The servers above this one, if it is a local server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upstream: Vec<Upstream>,
    /// Who may do what.
    pub policy: PolicyTable,
    /// Whose items may go on.
    pub trust: trust::Settings,
    /// How bytes go out.
    pub transport: Transport,
    /// Bounds.
    pub limits: Limits,
    /// What is written about it all.
    pub log: Log,
}

/// Addresses. Nothing listens beyond loopback unless it is written here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// X.1206 over QUIC (UDP).
    pub quic: SocketAddr,
    /// /metrics, /healthz, /readyz over HTTP.
    pub admin: SocketAddr,
}

/// PEM files; see `distributary pki`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// Certificate chain, leaf first; its GUID is this server's.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Certificate authorities whose clients are let in.
    pub ca: PathBuf,
}

/// The data directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Made with mode 0700 if it is not there; one process at a time.
    pub directory: PathBuf,
    /// Bytes at which a log segment is sealed.
    pub segment_bytes: u64,
}

/// Bounds of this server; each says what happens at it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Live links; more are refused as busy.
    pub links_max: usize,
    /// Bytes of inbound documents in memory, all links together; beyond it senders wait.
    pub inbound_bytes: usize,
    /// Bytes of one document; a longer frame closes the link.
    pub document_bytes: u32,
    /// Items on offer; beyond it replaced ones go, then the oldest are trimmed, and who may have missed one is told.
    pub items_max: usize,
    /// Bytes of the items on offer; likewise.
    pub items_bytes: u64,
    /// Days without contact after which a registration ends.
    pub lease_days: u32,
    /// Hours without contact after which a client counts as stale.
    pub stale_hours: u32,
    /// Seconds that SIGTERM gives to what is under way.
    pub drain_seconds: u64,
}

/// Structured logs on standard error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// Directives such as `info` or `relay=debug,link=info`.
    pub filter: String,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line an event.
    #[default]
    Text,
    /// One JSON object an event.
    Json,
}

impl Default for Listen {
    fn default() -> Self {
        Self { quic: SocketAddr::from(([127, 0, 0, 1], 1206)), admin: SocketAddr::from(([127, 0, 0, 1], 9206)) }
    }
}

impl Default for Identity {
    fn default() -> Self {
        let directory = Path::new("/etc/distributary");
        Self {
            certificate: directory.join("server.pem"),
            key: directory.join("server.key"),
            ca: directory.join("ca.pem"),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { directory: "/var/lib/distributary".into(), segment_bytes: 8 << 20 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            links_max: 10_000,
            inbound_bytes: 256 << 20,
            document_bytes: 64 << 20,
            items_max: 1_000_000,
            items_bytes: 64 << 30,
            lease_days: 90,
            stale_hours: 72,
            drain_seconds: 10,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".into() }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}; write one from deploy/distributary.toml")]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path}: {source}")]
    Parse {
        /// Which file.
        path: PathBuf,
        /// What, and where.
        source: Box<toml::de::Error>,
    },
    /// A value that makes no sense.
    #[error("{key} = {value}: {why}")]
    Value {
        /// Key in the file.
        key: &'static str,
        /// What it says.
        value: String,
        /// What it should say.
        why: &'static str,
    },
}

/// Flags and environment variables; each stands above the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Address for X.1206 over QUIC (UDP)
    #[arg(long, env = "DISTRIBUTARY_LISTEN_QUIC", value_name = "ADDR")]
    pub listen_quic: Option<SocketAddr>,
    /// Address for /metrics, /healthz and /readyz
    #[arg(long, env = "DISTRIBUTARY_LISTEN_ADMIN", value_name = "ADDR")]
    pub listen_admin: Option<SocketAddr>,
    /// Data directory
    #[arg(long, env = "DISTRIBUTARY_STORE_DIRECTORY", value_name = "DIR")]
    pub store_directory: Option<PathBuf>,
    /// Log format
    #[arg(long, env = "DISTRIBUTARY_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
    /// Log filter, such as `info` or `relay=debug`
    #[arg(long, env = "DISTRIBUTARY_LOG_FILTER", value_name = "DIRECTIVES")]
    pub log_filter: Option<String>,
}

/// A value of the file that makes no sense.
fn bad(key: &'static str, value: impl Display, why: &'static str) -> Result<(), ConfigError> {
    Err(ConfigError::Value { key, value: value.to_string(), why })
}

/// What passes through a server without a cache reaches its clients within this, or they ask again.
const TRANSIT: Duration = Duration::from_secs(60);

/// What a link holds at most, with a window of pushes beside it.
const DOCUMENT_BYTES_MAX: u32 = 64 << 20;

impl Config {
    /// Reads a file, lays the overrides over it, and checks the result.
    ///
    /// # Errors
    /// Says which file, line or key is wrong, and what would be right.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let parsed: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        let config = parsed.with(overrides);
        config.check()?;
        Ok(config)
    }

    fn with(mut self, overrides: &Overrides) -> Self {
        let Overrides { listen_quic, listen_admin, store_directory, log_format, log_filter } = overrides.clone();
        self.listen.quic = listen_quic.unwrap_or(self.listen.quic);
        self.listen.admin = listen_admin.unwrap_or(self.listen.admin);
        self.store.directory = store_directory.unwrap_or(self.store.directory);
        self.log.format = log_format.unwrap_or(self.log.format);
        self.log.filter = log_filter.unwrap_or(self.log.filter);
        self
    }

    fn check(&self) -> Result<(), ConfigError> {
        let limits = &self.limits;
        if limits.document_bytes < 64 << 10 {
            return bad("limits.document_bytes", limits.document_bytes, "at least 65536");
        }
        if limits.document_bytes > DOCUMENT_BYTES_MAX {
            return bad("limits.document_bytes", limits.document_bytes, "at most 67108864");
        }
        if link::budget::body_bytes_max(limits.inbound_bytes) < limits.document_bytes as usize {
            let why = "at least limits.document_bytes and a fifteenth of it more, which is for short documents";
            return bad("limits.inbound_bytes", limits.inbound_bytes, why);
        }
        let counts =
            [("limits.links_max", limits.links_max as u64), ("limits.lease_days", u64::from(limits.lease_days))];
        if limits.items_bytes < u64::from(limits.document_bytes) {
            return bad("limits.items_bytes", limits.items_bytes, "at least limits.document_bytes: one item");
        }
        if limits.items_max == 0 && self.upstream.is_empty() {
            return bad("limits.items_max", 0, "at least 1; nothing can be kept only where upstreams have it");
        }
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return bad(key, 0, "at least 1");
        }
        if self.store.segment_bytes < 64 << 10 {
            return bad("store.segment_bytes", self.store.segment_bytes, "at least 65536");
        }
        self.transport.check()?;
        if self.log.filter.parse::<tracing_subscriber::EnvFilter>().is_err() {
            return bad("log.filter", &self.log.filter, "directives such as info or relay=debug,link=info");
        }
        self.policy.check()?;
        upstream::check(&self.upstream)
    }

    /// The rights, as the engine takes them, those of signers aside: the trust file is read by whoever starts or reloads.
    pub fn policy(&self) -> Policy {
        let set = |guids: &BTreeSet<Guid>| guids.iter().map(|guid| guid.0).collect();
        Policy {
            epoch: 0,
            providers: set(&self.policy.providers),
            subtrees: self.policy.subtrees.iter().map(|(client, below)| (client.0, set(below))).collect(),
            local_servers: set(&self.policy.local_servers),
            assign: self.policy.assign.iter().map(|(client, name)| (client.0, name.0)).collect(),
            collisions: self.policy.collisions.into(),
            full_of_everything: self.policy.full_of_everything,
            combine: Duration::from_millis(self.policy.combine_milliseconds),
            ..Policy::default()
        }
    }

    /// The bounds, as the engine of this server takes them, below these.
    pub fn engine(&self, server: ServerGuid, upstreams: Vec<uplink::Config>, entropy: u64) -> engine::Config {
        engine::Config {
            items_max: self.limits.items_max,
            items_bytes_max: self.limits.items_bytes,
            item_bytes_max: self.limits.document_bytes as usize - engine::ENVELOPE_BYTES_MAX,
            lease: self.lease(),
            transit: self.transit(),
            mark: Mark::of(server.0),
            entropy,
            upstreams,
            ..engine::Config::new(server)
        }
    }

    /// How long what passes through is kept at least, where nothing is kept otherwise (R-8.2.2-15).
    pub fn transit(&self) -> Duration {
        if self.limits.items_max == 0 { TRANSIT } else { Duration::ZERO }
    }

    /// The silence after which a client counts as stale (R-6-1).
    pub fn stale_after(&self) -> Duration {
        Duration::from_secs(u64::from(self.limits.stale_hours) * 3600)
    }

    /// The lease as a span of time.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(u64::from(self.limits.lease_days) * 24 * 3600)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn example() -> String {
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/distributary.toml"))
            .expect("the example")
    }

    #[test]
    fn the_example_is_the_default() {
        assert_eq!(toml::from_str::<Config>(&example()).expect("parses"), Config::default());
    }

    #[test]
    fn the_example_names_every_key() {
        let example: toml::Table = toml::from_str(&example()).expect("parses");
        let default = toml::Table::try_from(Config::default()).expect("serialises");
        for (section, keys) in &default {
            for key in keys.as_table().expect("a section").keys() {
                assert!(example[section].get(key).is_some(), "{section}.{key} is missing in the example");
            }
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let error = toml::from_str::<Config>("[limits]\nlinks_maxx = 3\n").expect_err("refused").to_string();
        assert!(error.contains("links_maxx") && error.contains("line 2"), "{error}");
    }

    #[test]
    fn flags_stand_above_the_file() {
        let overrides = Overrides { listen_quic: Some(([127, 0, 0, 1], 7).into()), ..Overrides::default() };
        assert_eq!(Config::default().with(&overrides).listen.quic.port(), 7);
    }

    #[test]
    fn impossible_values_are_refused_by_name() {
        let refused = |change: fn(&mut Config), key: &str| {
            let mut config = Config::default();
            change(&mut config);
            assert!(config.check().expect_err(key).to_string().starts_with(key));
        };
        refused(|config| config.limits.inbound_bytes = 1, "limits.inbound_bytes");
        refused(|config| config.limits.document_bytes = 1, "limits.document_bytes");
        refused(|config| config.limits.document_bytes = u32::MAX, "limits.document_bytes");
        refused(|config| config.limits.items_max = 0, "limits.items_max");
        refused(|config| config.limits.items_bytes = 1 << 20, "limits.items_bytes");
        refused(|config| config.limits.links_max = 0, "limits.links_max");
        refused(|config| config.limits.lease_days = 0, "limits.lease_days");
        refused(|config| config.policy.combine_milliseconds = u64::MAX, "policy.combine_milliseconds");
        refused(|config| config.store.segment_bytes = 1, "store.segment_bytes");
        refused(|config| config.log.filter = "relay=loud".into(), "log.filter");
    }
}
