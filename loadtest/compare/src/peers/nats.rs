//! nats-server, core NATS: at most once, no store. Subscribers confirm nothing.

use std::process::Command;
use std::time::Duration;

use async_nats::ConnectOptions;
use bytes::Bytes;
use futures_util::StreamExt;

use super::{PORT, Peer, Site, TOPIC, quoted, write};
use crate::tally::Inbox;
use crate::tls::Files;

/// A publisher.
pub struct Nats(async_nats::Client);

/// Go chooses among TLS 1.3's ciphers by itself; the clients offer AES-128-GCM only.
pub fn command(site: &Site) -> anyhow::Result<Command> {
    let files = Files::of(&site.folder);
    let (certificate, key) = (quoted(&files.certificate), quoted(&files.key));
    // What is queued for a subscriber before it counts as slow: more than is in flight in any workload.
    let text = format!(
        "listen: \"0.0.0.0:{PORT}\"\nmax_payload: 8MB\nmax_pending: 256MB\nmax_connections: 20000\n\
         tls {{ cert_file: {certificate}, key_file: {key}, timeout: 30 }}\n"
    );
    let mut command = Command::new("nats-server");
    command.arg("--config").arg(write(site, "nats.conf", &text)?);
    Ok(command)
}

async fn connect(site: &Site) -> anyhow::Result<async_nats::Client> {
    let options = ConnectOptions::new()
        .tls_client_config(Files::of(&site.folder).client()?)
        .require_tls(true)
        .connection_timeout(Duration::from_secs(30))
        .subscription_capacity(4096);
    Ok(options.connect(format!("tls://{}", site.socket())).await?)
}

impl Peer for Nats {
    async fn publisher(site: &Site) -> anyhow::Result<Self> {
        Ok(Self(connect(site).await?))
    }

    async fn publish(&mut self, payload: Bytes) -> anyhow::Result<()> {
        Ok(self.0.publish(TOPIC, payload).await?)
    }

    async fn subscribe(site: &Site, _: usize, mut inbox: Inbox) -> anyhow::Result<()> {
        let client = connect(site).await?;
        let mut messages = client.subscribe(TOPIC).await?;
        client.flush().await?;
        tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                inbox.take(&message.payload);
            }
            inbox.fail("the connection to nats-server ended");
            drop(client);
        });
        Ok(())
    }
}
