//! moq-relay, over QUIC without WebTransport. Each message is a group of one frame, which goes on a stream of its own. What is
//! older than others is not dropped, as that is asked for; what overtakes others waits at the subscriber. No store.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use moq_tokio::moq_net::{Timestamp, broadcast, track};
use moq_tokio::{Connection, connect, origin};
use url::Url;

use super::{PORT, Peer, Site, TOPIC};
use crate::tally::Inbox;
use crate::tls::Files;

/// In the broadcast.
const TRACK: &str = "all";
/// How far a message may be behind the newest before it is dropped: longer than any load takes.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// A publisher.
pub struct Moq {
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
    command.args(["--auth-public", "**"]);
    command
}

fn client(site: &Site) -> anyhow::Result<moq_tokio::Client> {
    let mut config = connect::Config::default();
    config.tls.root = vec![Files::of(&site.folder).ca];
    config.bind = Some(([0, 0, 0, 0], 0).into());
    config.once = Some(true);
    Ok(config.init(Default::default())?)
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
        Ok(Self { track, _broadcast: broadcast, _connection: connection })
    }

    async fn publish(&mut self, payload: Bytes) -> anyhow::Result<()> {
        Ok(self.track.write_frame(Timestamp::now(), payload)?)
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
    while let Some(mut group) = track.recv_group().await? {
        if let Some(frame) = group.read_frame().await? {
            early.insert(group.sequence, frame.payload);
        }
        while let Some(payload) = early.remove(&next) {
            inbox.take(&payload);
            next += 1;
        }
    }
    Ok(())
}
