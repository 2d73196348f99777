//! moq-relay, over QUIC: made for live media. Each message is a frame of one long group, which is one stream a subscriber.

use std::process::Command;

use anyhow::Context;
use bytes::Bytes;
use moq_net::{Timestamp, group, track};
use moq_tokio::connect;

use super::{PORT, Peer, Site, TOPIC};
use crate::tally::Inbox;
use crate::tls::Files;

const TRACK: &str = "messages";

/// A publisher.
pub struct Moq {
    group: group::Producer,
    _track: track::Producer,
    _broadcast: moq_net::broadcast::Producer,
    _connection: moq_tokio::Connection,
}

/// The clients offer AES-128-GCM only. Everybody may publish and subscribe.
pub fn command(site: &Site) -> anyhow::Result<Command> {
    let files = Files::of(&site.folder);
    let mut command = Command::new(site.programs.join("moq-relay"));
    command.arg("--listen").arg(format!("0.0.0.0:{PORT}"));
    command.arg("--listen-tls-cert").arg(files.certificate).arg("--listen-tls-key").arg(files.key);
    command.arg("--auth-public").arg("**");
    Ok(command)
}

fn client(site: &Site) -> anyhow::Result<(moq_tokio::Client, url::Url)> {
    let mut config = connect::Config { bind: Some("0.0.0.0:0".parse()?), ..connect::Config::default() };
    config.tls.root = vec![Files::of(&site.folder).ca];
    config.tls.system_roots = Some(false);
    Ok((config.init(moq_tokio::quic::Config::default())?, format!("https://{}/", site.socket()).parse()?))
}

impl Peer for Moq {
    async fn publisher(site: &Site) -> anyhow::Result<Self> {
        let (client, url) = client(site)?;
        let origin = moq_tokio::origin::spawn();
        let broadcast = origin.create_broadcast(TOPIC)?;
        let track = broadcast.create_track(TRACK, None)?;
        let group = track.append_group()?;
        broadcast.announce(Default::default())?;
        let connection = client.with_publisher(&origin).connect(url);
        Ok(Self { group, _track: track, _broadcast: broadcast, _connection: connection })
    }

    async fn publish(&mut self, payload: Bytes) -> anyhow::Result<()> {
        Ok(self.group.write_frame(Timestamp::now(), payload)?)
    }

    async fn subscribe(site: &Site, _: usize, mut inbox: Inbox) -> anyhow::Result<()> {
        let (client, url) = client(site)?;
        let origin = moq_tokio::origin::spawn();
        let connection = client.with_subscriber(origin.clone()).connect(url);
        let consumer = origin.consume();
        let update = consumer.announced().next().await.context("nothing is announced")?;
        let broadcast = consumer.request_broadcast(&update.prefix).await?;
        let mut messages = broadcast.track(TRACK)?.subscribe(None).await?;
        tokio::spawn(async move {
            while let Ok(Some(mut group)) = messages.recv_group().await {
                while let Ok(Some(frame)) = group.read_frame().await {
                    inbox.take(&frame.payload);
                }
            }
            inbox.fail("the track ended");
            drop((connection, broadcast));
        });
        Ok(())
    }
}
