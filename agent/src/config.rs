//! The configuration of an agent or provider: a TOML file, flags and environment over it, one checked value.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dialler::trust;
use schemas::guid::ServerGuid;
use serde::{Deserialize, Serialize};

/// The whole file. Unknown keys are refused; only `server.guid` has no default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whom to dial.
    pub server: Server,
    /// Who this is.
    #[serde(default)]
    pub identity: Identity,
    /// Where the journal and the publication state are kept.
    #[serde(default)]
    pub state: State,
    /// Whose items are authorised.
    #[serde(default)]
    pub trust: trust::Settings,
    /// Seconds between looks at the inventory's files.
    #[serde(default = "rescan_seconds")]
    pub rescan_seconds: u64,
    /// What is written about it all.
    #[serde(default)]
    pub log: Log,
    /// What this device runs; a provider has none. Last, because TOML wants tables after values.
    #[serde(default)]
    pub assets: Vec<AssetSource>,
}

/// The nearest server.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its address for X.1206 over QUIC (UDP).
    #[serde(default = "server_address")]
    pub address: SocketAddr,
    /// The GUID that its certificate must carry: the agent talks to no other.
    pub guid: Guid,
}

/// PEM files; see `distributary pki`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// Certificate chain, leaf first; its GUID is this client's.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Certificate authorities whose servers are trusted.
    pub ca: PathBuf,
}

/// The state directory.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct State {
    /// Made with mode 0700 if it is not there; one writing process at a time.
    pub directory: PathBuf,
    /// Where agents of one host, each with a state directory of its own on the same file system, keep documents together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documents: Option<PathBuf>,
}

/// Where an asset is described. Exactly one of the two files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AssetSource {
    /// Unique on this device.
    pub name: String,
    /// A Cargo.lock, read by machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cargo_lock: Option<PathBuf>,
    /// A TOML list that a person keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<PathBuf>,
}

/// Structured logs on standard error.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// For whom.
    pub format: LogFormat,
    /// Directives, such as `info` or `agent=debug,link=info`.
    pub filter: String,
}

/// The two formats of logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A server's GUID in the file: any accepted notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Guid(pub ServerGuid);

impl TryFrom<String> for Guid {
    type Error = schemas::guid::NotA128BitValue;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        ServerGuid::parse(&text).map(Self)
    }
}

impl From<Guid> for String {
    fn from(guid: Guid) -> Self {
        guid.0.to_string()
    }
}

fn rescan_seconds() -> u64 {
    60
}

fn server_address() -> SocketAddr {
    ([127, 0, 0, 1], 1206).into()
}

impl Default for Identity {
    fn default() -> Self {
        let file = |name: &str| Path::new("/etc/distributary").join(name);
        Self { certificate: file("agent.pem"), key: file("agent.key"), ca: file("ca.pem") }
    }
}

impl Default for State {
    fn default() -> Self {
        Self { directory: "/var/lib/distributary-agent".into(), documents: None }
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
    #[error("cannot read {path}: {source}; write one from deploy/agent.toml")]
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
    /// Address of the server (UDP)
    #[arg(long, env = "DISTRIBUTARY_SERVER_ADDRESS", value_name = "ADDR")]
    pub server_address: Option<SocketAddr>,
    /// State directory
    #[arg(long, env = "DISTRIBUTARY_STATE_DIRECTORY", value_name = "DIR")]
    pub state_directory: Option<PathBuf>,
    /// Log format
    #[arg(long, env = "DISTRIBUTARY_LOG_FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,
    /// Log filter, such as `info` or `agent=debug`
    #[arg(long, env = "DISTRIBUTARY_LOG_FILTER", value_name = "DIRECTIVES")]
    pub log_filter: Option<String>,
}

impl Config {
    /// Everything at its default but the server.
    pub fn new(server: ServerGuid) -> Self {
        Self {
            server: Server { address: server_address(), guid: Guid(server) },
            identity: Identity::default(),
            state: State::default(),
            trust: trust::Settings::default(),
            rescan_seconds: rescan_seconds(),
            log: Log::default(),
            assets: Vec::new(),
        }
    }

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
        let Overrides { server_address, state_directory, log_format, log_filter } = overrides.clone();
        self.server.address = server_address.unwrap_or(self.server.address);
        self.state.directory = state_directory.unwrap_or(self.state.directory);
        self.log.format = log_format.unwrap_or(self.log.format);
        self.log.filter = log_filter.unwrap_or(self.log.filter);
        self
    }

    /// What an agent with this configuration would do by mistake, if it would: a provider's file is good too, but one who
    /// runs it registers nothing and hears of nothing.
    pub fn without_assets(&self) -> Option<&'static str> {
        let warning =
            "no assets are configured: an agent would register nothing and hear of nothing; only publish needs none";
        self.assets.is_empty().then_some(warning)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let bad = |key, value: String, why| Err(ConfigError::Value { key, value, why });
        if self.rescan_seconds == 0 {
            return bad("rescan_seconds", "0".into(), "at least 1");
        }
        if self.log.filter.parse::<tracing_subscriber::EnvFilter>().is_err() {
            return bad("log.filter", self.log.filter.clone(), "directives such as info or agent=debug,link=info");
        }
        let mut names = BTreeSet::new();
        for asset in &self.assets {
            if asset.name.trim().is_empty() {
                return bad("assets.name", "\"\"".into(), "a name for the asset");
            }
            if !names.insert(&asset.name) {
                return bad("assets.name", asset.name.clone(), "each name once");
            }
            if asset.cargo_lock.is_some() == asset.list.is_some() {
                return bad("assets", asset.name.clone(), "exactly one of cargo_lock and list");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLES: [&str; 2] = ["agent.toml", "provider.toml"];

    fn deploy(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(name)
    }

    fn minimal(rest: &str) -> Result<Config, String> {
        let text = format!("[server]\nguid = \"5f0c7a52-6a3e-4d0b-9a55-0d1f6f7b2c21\"\n{rest}");
        let config: Config = toml::from_str(&text).map_err(|error| error.to_string())?;
        config.check().map(|()| config).map_err(|error| error.to_string())
    }

    #[test]
    fn the_examples_load() {
        for name in EXAMPLES {
            Config::load(&deploy(name), &Overrides::default()).expect(name);
        }
    }

    #[test]
    fn an_agent_without_assets_is_warned_of() {
        let warned = EXAMPLES
            .map(|name| Config::load(&deploy(name), &Overrides::default()).expect(name).without_assets().is_some());
        assert_eq!(warned, [false, true]);
    }

    #[test]
    fn the_agents_example_shows_the_defaults_and_both_kinds_of_assets() {
        let example = Config::load(&deploy("agent.toml"), &Overrides::default()).expect("loads");
        let sources: Vec<bool> = example.assets.iter().map(|asset| asset.cargo_lock.is_some()).collect();
        assert_eq!(sources, [true, false]);
        assert_eq!(Config { assets: Vec::new(), ..example.clone() }, Config::new(example.server.guid.0));
    }

    #[test]
    fn the_example_names_every_key() {
        let text = std::fs::read_to_string(deploy("agent.toml")).expect("the example");
        let example: toml::Table = toml::from_str(&text).expect("parses");
        let default = toml::Table::try_from(Config::new(ServerGuid(1))).expect("serialises");
        for (section, value) in &default {
            let written = example.get(section).unwrap_or_else(|| panic!("{section} is missing in the example"));
            for key in value.as_table().into_iter().flat_map(toml::Table::keys) {
                assert!(written.get(key).is_some(), "{section}.{key} is missing in the example");
            }
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let error = minimal("[state]\ndirectroy = \"x\"\n").expect_err("refused");
        assert!(error.contains("directroy") && error.contains("line 4"), "{error}");
    }

    #[test]
    fn a_server_must_be_pinned() {
        let error = toml::from_str::<Config>("[server]\naddress = \"127.0.0.1:1\"\n").expect_err("refused").to_string();
        assert!(error.contains("guid"), "{error}");
    }

    #[test]
    fn an_asset_has_one_source_and_a_name_of_its_own() {
        let asset = |keys: &str| format!("[[assets]]\nname = \"a\"\n{keys}\n");
        assert!(minimal(&asset("list = \"x\"")).is_ok());
        assert!(minimal(&asset("")).expect_err("none").contains("exactly one"));
        assert!(minimal(&asset("list = \"x\"\ncargo_lock = \"y\"")).expect_err("two").contains("exactly one"));
        let twice = asset("list = \"x\"").repeat(2);
        assert!(minimal(&twice).expect_err("twice").contains("each name once"));
    }

    #[test]
    fn flags_stand_above_the_file() {
        let overrides = Overrides { state_directory: Some("elsewhere".into()), ..Overrides::default() };
        assert_eq!(Config::new(ServerGuid(1)).with(&overrides).state.directory, Path::new("elsewhere"));
    }
}
