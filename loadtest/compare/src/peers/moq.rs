//! moq-relay, over QUIC without WebTransport. Messages are frames of one group as long as its limits allow, so that they come in
//! order: of several groups the newest goes first. None is dropped for its age, as that is asked for. No store.
//!
//! Both sides look for the wire's MTU and take lost packets for congestion, as the other relays do; by default they do neither.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use moq_tokio::moq_net::{Timestamp, broadcast, group, track};
use moq_tokio::{Connection, connect, origin, quic};
use url::Url;

use super::{PORT, Peer, Site, TOPIC};
use crate::tally::Inbox;
use crate::tls::Files;

/// In the broadcast.
const TRACK: &str = "all";
/// How far a message may be behind the newest before it is dropped: longer than any load takes.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// Of a group, half of what the library allows.
const GROUP_BYTES: usize = 16 << 20;
const GROUP_FRAMES: usize = 4096;

/// A publisher.
pub struct Moq {
    group: Option<group::Producer>,
    /// What is in the group.
    bytes: usize,
    frames: usize,
    track: track::Producer,
    _broadcast: broadcast::Producer,
    _connection: Connection,
}

/// Anybody may publish and subscribe. The ciphers cannot be configured; its clients here take their offer from the process,
/// and that is AES-128-GCM only.
pub fn command(site: &Site) -> Command {
    let files = Files::of(&site.folder);
    let mut command = Command::new(site.programs.join("moq-relay"));
    command.arg("--listen").arg(format!("0.0.0.0:{PORT}"));
    command.arg("--listen-tls-cert").arg(&files.certificate).arg("--listen-tls-key").arg(&files.key);
    command.args(["--auth-public", "**", "--quic-mtu-discovery", "--quic-congestion-control", "loss"]);
    command
}

fn client(site: &Site) -> anyhow::Result<moq_tokio::Client> {
    let mut config = connect::Config::default();
    config.tls.root = vec![Files::of(&site.folder).ca];
    config.bind = Some(([0, 0, 0, 0], 0).into());
    config.once = Some(true);
    let mut transport = quic::Config::default();
    transport.mtu_discovery = Some(true);
    transport.congestion_control = Some(quic::CongestionControl::Loss);
    Ok(config.init(transport)?)
}

fn relay(site: &Site) -> anyhow::Result<Url> {
    Ok(Url::parse(&format!("moqt://{}/", site.socket()))?)
}

impl Peer for Moq {
    async fn publisher(site: &Site) -> anyhow::Result<Self> {
        let origin = origin::spawn();
        let broadcast = origin.create_broadcast(TOPIC)?;
        let track = broadcast.create_track(TRACK, track::Info::default().with_max_age(MAX_AGE))?;
        broadcast.announce(Default::default())?;
        let connection = client(site)?.with_publisher(&origin).connect(relay(site)?).established().await?;
        Ok(Self { group: None, bytes: 0, frames: 0, track, _broadcast: broadcast, _connection: connection })
    }

    async fn publish(&mut self, payload: Bytes) -> anyhow::Result<()> {
        if self.frames == GROUP_FRAMES || self.bytes + payload.len() > GROUP_BYTES {
            self.group.take().map_or(Ok(()), |full| full.finish())?;
            (self.bytes, self.frames) = (0, 0);
        }
        (self.bytes, self.frames) = (self.bytes + payload.len(), self.frames + 1);
        let mut group = self.group.take().map_or_else(|| self.track.append_group(), Ok)?;
        group.write_frame(Timestamp::now(), payload)?;
        self.group = Some(group);
        Ok(())
    }

    async fn subscribe(site: &Site, _: usize, mut inbox: Inbox) -> anyhow::Result<()> {
        let origin = origin::spawn();
        let consumer = origin.consume();
        let connection = client(site)?.with_subscriber(origin).connect(relay(site)?).established().await?;
        let broadcast = consumer.routed_broadcast(TOPIC).await?;
        let wanted = track::Subscription::default().with_max_age(MAX_AGE);
        let track = broadcast.track(TRACK)?.subscribe(wanted).await;
        let mut track = track.context("the track is not to be had")?;
        tokio::spawn(async move {
            let why = match read(&mut track, &mut inbox).await {
                Ok(()) => "the relay has ended the track".to_owned(),
                Err(error) => error.to_string(),
            };
            inbox.fail(&why);
            drop(connection);
        });
        Ok(())
    }
}

async fn read(track: &mut track::Subscriber, inbox: &mut Inbox) -> moq_tokio::moq_net::Result<()> {
    let (mut next, mut early) = (0, BTreeMap::new());
    while let Some(group) = track.recv_group().await? {
        early.insert(group.sequence, group);
        while let Some(mut group) = early.remove(&next) {
            while let Some(frame) = group.read_frame().await? {
                inbox.take(&frame.payload);
            }
            next += 1;
        }
    }
    Ok(())
}
