//! The files of the demo: keys, configurations, lock files, publications.

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use anyhow::Context;
use dialler::clock;
use link::pki::{self, Role, Subject};
use serde_json::json;

use super::Options;
use super::data::{self, Product};

/// Where everything of one run lies.
pub(super) struct World {
    root: PathBuf,
    /// Removed at the end, unless the user wants to keep it or something went wrong.
    temporary: Option<tempfile::TempDir>,
    pub(super) quic: SocketAddr,
    pub(super) admin: SocketAddr,
    pub(super) products: Vec<Product>,
}

impl World {
    /// Writes all of it.
    pub(super) fn make(options: &Options) -> anyhow::Result<Self> {
        let temporary = match &options.keep {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("distributary-demo-").tempdir()?),
        };
        let root = match (&options.keep, &temporary) {
            (Some(keep), _) => keep.clone(),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => anyhow::bail!("no directory for the demo"),
        };
        if options.keep.is_some() {
            std::fs::create_dir(&root).with_context(|| format!("--keep {}", root.display()))?;
        }
        let quic = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        let admin = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let world = Self { root, temporary, quic, admin, products: data::products()? };
        world.write()?;
        Ok(world)
    }

    fn write(&self) -> anyhow::Result<()> {
        let pki_dir = self.root.join("pki");
        pki::init(&pki_dir, "demo-ca")?;
        let issue = |label: &str, role: Role| -> anyhow::Result<u128> {
            let guid = clock::random_128();
            pki::issue(&pki_dir, &Subject { guid, role, label }, &pki_dir)?;
            Ok(guid)
        };
        let server = issue("server", Role::Server)?;
        let provider = issue("provider", Role::Client)?;
        self.write_toml(&self.server_config(), &self.server(provider))?;
        self.write_toml(&self.provider_config(), &self.client("provider", server, &[]))?;
        for product in &self.products {
            issue(product.name, Role::Client)?;
            let lock = self.root.join(format!("{}.Cargo.lock", product.name));
            std::fs::write(&lock, &product.lock)?;
            let asset = json!({ "name": product.name, "cargo_lock": lock });
            self.write_toml(&self.agent_config(product.name), &self.client(product.name, server, &[asset]))?;
        }
        for (index, publication) in data::publications()?.iter().enumerate() {
            std::fs::write(self.publication(index), publication)?;
        }
        Ok(())
    }

    fn server(&self, provider: u128) -> serde_json::Value {
        let provider = schemas::guid::ClientGuid(provider).to_string();
        json!({
            "listen": { "quic": self.quic, "admin": self.admin },
            "identity": self.identity("server"),
            "store": { "directory": self.root.join("server-store") },
            "policy": { "providers": [provider] },
        })
    }

    fn client(&self, name: &str, server: u128, assets: &[serde_json::Value]) -> serde_json::Value {
        json!({
            "server": { "address": self.quic, "guid": schemas::guid::ServerGuid(server).to_string() },
            "identity": self.identity(name),
            "state": { "directory": self.state(name) },
            "assets": assets,
        })
    }

    fn identity(&self, label: &str) -> serde_json::Value {
        let file = |name: String| self.root.join("pki").join(name);
        json!({
            "certificate": file(format!("{label}.pem")),
            "key": file(format!("{label}.key")),
            "ca": file("ca.pem".to_owned()),
        })
    }

    fn write_toml(&self, path: &Path, value: &serde_json::Value) -> anyhow::Result<()> {
        let text = toml::to_string(value)?;
        std::fs::write(path, text).with_context(|| path.display().to_string())
    }

    /// Leaves everything where it is, and says where.
    pub(super) fn keep(&mut self) -> PathBuf {
        self.temporary.take().map_or_else(|| self.root.clone(), tempfile::TempDir::keep)
    }

    pub(super) fn server_config(&self) -> PathBuf {
        self.root.join("server.toml")
    }

    pub(super) fn provider_config(&self) -> PathBuf {
        self.root.join("provider.toml")
    }

    pub(super) fn agent_config(&self, product: &str) -> PathBuf {
        self.root.join(format!("{product}.toml"))
    }

    /// Where an agent keeps its journal.
    pub(super) fn state(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}-state"))
    }

    pub(super) fn publication(&self, index: usize) -> PathBuf {
        self.root.join(format!("publication-{}.jsonl", index + 1))
    }

    /// What a process writes about itself.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.root.join(format!("{name}.log"))
    }
}
