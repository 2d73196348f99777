//! The relays that are compared: how each is started, and how its clients speak.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::drive::{self, Figures};
use crate::tally::Inbox;
use crate::workload::{Content, Workload};

pub mod ideal;
#[cfg(feature = "moq")]
pub mod moq;
pub mod mosquitto;
pub mod mqtt;
pub mod nats;
pub mod ours;
pub mod quinn;
pub mod rumqttd;
#[cfg(feature = "zenoh")]
pub mod zenoh;

/// Where each relay listens.
pub const PORT: u16 = 4433;
/// The name under which messages are published, where there are names.
pub const TOPIC: &str = "updates";

/// Where one run has its files, and where its relay is.
#[derive(Clone, Debug, clap::Args)]
pub struct Site {
    /// Configuration, certificates and log of this run
    #[arg(long)]
    pub folder: PathBuf,
    /// What is published
    #[arg(long)]
    pub data: PathBuf,
    /// The relay's address
    #[arg(long)]
    pub address: std::net::IpAddr,
    /// The relay's process, once it runs
    #[arg(long)]
    pub pid: Option<u32>,
    /// Where the peers' programs are that are not on the PATH
    #[arg(long)]
    pub programs: PathBuf,
    /// Where our own are
    #[arg(long)]
    pub own: PathBuf,
}

impl Site {
    /// The same as arguments.
    pub fn args(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = vec!["--address".into(), self.address.to_string().into()];
        let paths = [("folder", &self.folder), ("data", &self.data), ("programs", &self.programs), ("own", &self.own)];
        for (name, path) in paths {
            args.extend([format!("--{name}").into(), path.into()]);
        }
        args.extend(self.pid.iter().flat_map(|pid| ["--pid".into(), pid.to_string().into()]));
        args
    }

    /// The relay's socket.
    pub fn socket(&self) -> std::net::SocketAddr {
        (self.address, PORT).into()
    }
}

/// A relay that has clients here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    Distributary,
    Nats,
    Mosquitto,
    Rumqttd,
    ZenohTls,
    ZenohQuic,
    Moq,
    QuinnLong,
    #[value(name = "ideal-10")]
    #[serde(rename = "ideal-10")]
    Ideal10,
    #[value(name = "ideal-44")]
    #[serde(rename = "ideal-44")]
    Ideal44,
}

/// How a peer's clients speak. What it is told by subscribers is in the order of publication, or it loses messages.
pub trait Peer: Sized {
    /// Connects somebody who publishes.
    async fn publisher(site: &Site) -> anyhow::Result<Self>;

    /// Publishes a message, at least as far as a queue that is sent as fast as the relay takes it.
    async fn publish(&mut self, payload: Bytes) -> anyhow::Result<()>;

    /// Connects a subscriber, which reads into its inbox from then on.
    async fn subscribe(site: &Site, number: usize, inbox: Inbox) -> anyhow::Result<()>;
}

impl Name {
    /// By which it is known on the command line and in tables.
    pub fn label(self) -> &'static str {
        match self {
            Self::Distributary => "distributary",
            Self::Nats => "nats",
            Self::Mosquitto => "mosquitto",
            Self::Rumqttd => "rumqttd",
            Self::ZenohTls => "zenoh-tls",
            Self::ZenohQuic => "zenoh-quic",
            Self::Moq => "moq",
            Self::QuinnLong => "quinn-long",
            Self::Ideal10 => "ideal-10",
            Self::Ideal44 => "ideal-44",
        }
    }

    /// Whether it listens at a UDP port.
    pub fn is_quic(self) -> bool {
        match self {
            Self::Distributary
            | Self::ZenohQuic
            | Self::Moq
            | Self::QuinnLong
            | Self::Ideal10
            | Self::Ideal44 => true,
            Self::Nats | Self::Mosquitto | Self::Rumqttd | Self::ZenohTls => false,
        }
    }

    /// Whether it is no relay, but the limit of the machine for one.
    pub fn is_limit(self) -> bool {
        matches!(self, Self::Ideal10 | Self::Ideal44)
    }

    /// Whether it takes part: the limit is one for bulk that does not compress.
    pub fn takes(self, workload: &Workload) -> bool {
        !self.is_limit() || (workload.clients == 100 && matches!(workload.content, Content::Random(_)))
    }

    /// The command of its relay, after its files are written.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn command(self, site: &Site, workload: &Workload) -> anyhow::Result<Command> {
        match self {
            Self::Distributary => ours::command(site, workload),
            Self::Nats => nats::command(site),
            Self::Mosquitto => mosquitto::command(site),
            Self::Rumqttd => rumqttd::command(site),
            #[cfg(feature = "zenoh")]
            Self::ZenohTls => zenoh::command::<zenoh::Tls>(site),
            #[cfg(feature = "zenoh")]
            Self::ZenohQuic => zenoh::command::<zenoh::Quic>(site),
            #[cfg(not(feature = "zenoh"))]
            Self::ZenohTls | Self::ZenohQuic => anyhow::bail!("built without the feature zenoh"),
            #[cfg(feature = "moq")]
            Self::Moq => Ok(moq::command(site)),
            #[cfg(not(feature = "moq"))]
            Self::Moq => anyhow::bail!("built without the feature moq"),
            Self::QuinnLong => quinn::command(site),
            Self::Ideal10 => ideal::command(10),
            Self::Ideal44 => ideal::command(44),
        }
    }

    /// One run against a relay that listens.
    ///
    /// # Errors
    /// It loses a message, or fails.
    pub async fn drive(self, site: &Site, workload: &Workload) -> anyhow::Result<Figures> {
        match self {
            // A runtime of its own.
            Self::Distributary => tokio::task::block_in_place(|| ours::drive(site, workload)),
            Self::Nats => drive::drive::<nats::Nats>(site, workload).await,
            Self::Mosquitto | Self::Rumqttd => drive::drive::<mqtt::Mqtt>(site, workload).await,
            #[cfg(feature = "zenoh")]
            Self::ZenohTls => drive::drive::<zenoh::Zenoh<zenoh::Tls>>(site, workload).await,
            #[cfg(feature = "zenoh")]
            Self::ZenohQuic => drive::drive::<zenoh::Zenoh<zenoh::Quic>>(site, workload).await,
            #[cfg(not(feature = "zenoh"))]
            Self::ZenohTls | Self::ZenohQuic => anyhow::bail!("built without the feature zenoh"),
            #[cfg(feature = "moq")]
            Self::Moq => drive::drive::<moq::Moq>(site, workload).await,
            #[cfg(not(feature = "moq"))]
            Self::Moq => anyhow::bail!("built without the feature moq"),
            Self::QuinnLong => drive::drive::<quinn::Long>(site, workload).await,
            Self::Ideal10 | Self::Ideal44 => drive::drive::<ideal::Ideal>(site, workload).await,
        }
    }
}

/// Writes a configuration file, and answers where it is.
fn write(site: &Site, name: &str, text: &str) -> anyhow::Result<PathBuf> {
    let path = site.folder.join(name);
    std::fs::write(&path, text)?;
    Ok(path)
}

/// A path as it stands in a configuration file.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}
