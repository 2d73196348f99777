//! zenohd as a router, over TLS and over QUIC. Reliable, and a publisher that waits when a queue is full; no store.

use std::marker::PhantomData;
use std::process::Command;

use anyhow::anyhow;
use bytes::Bytes;
use zenoh::Session;
use zenoh::pubsub::Publisher;
use zenoh::qos::CongestionControl;

use super::{PORT, Peer, Site, TOPIC, quoted, write};
use crate::tally::Inbox;
use crate::tls::Files;

/// What carries it.
pub trait Link {
    /// As in an endpoint.
    const PROTOCOL: &'static str;
}

/// TLS over TCP.
pub struct Tls;
/// QUIC.
pub struct Quic;

impl Link for Tls {
    const PROTOCOL: &'static str = "tls";
}

impl Link for Quic {
    const PROTOCOL: &'static str = "quic";
}

/// A publisher.
pub struct Zenoh<L> {
    publisher: Publisher<'static>,
    _session: Session,
    link: PhantomData<L>,
}

/// The ciphers cannot be configured; its clients here take their offer from the process, and that is AES-128-GCM only.
pub fn command<L: Link>(site: &Site) -> anyhow::Result<Command> {
    let files = Files::of(&site.folder);
    let (protocol, certificate, key) = (L::PROTOCOL, quoted(&files.certificate), quoted(&files.key));
    let text = format!(
        "{{ mode: \"router\", listen: {{ endpoints: [\"{protocol}/0.0.0.0:{PORT}\"] }},\n\
         scouting: {{ multicast: {{ enabled: false }} }},\n\
         transport: {{ unicast: {{ max_sessions: 20000, accept_pending: 1000 }},\n\
         link: {{ tls: {{ listen_private_key: {key}, listen_certificate: {certificate} }} }} }} }}\n"
    );
    let mut command = Command::new(site.programs.join("zenohd"));
    command.arg("--config").arg(write(site, "zenohd.json5", &text)?);
    Ok(command)
}

async fn connect<L: Link>(site: &Site) -> anyhow::Result<Session> {
    let (protocol, ca) = (L::PROTOCOL, quoted(&Files::of(&site.folder).ca));
    let text = format!(
        "{{ mode: \"client\", connect: {{ endpoints: [\"{protocol}/{}\"] }},\n\
         scouting: {{ multicast: {{ enabled: false }} }},\n\
         transport: {{ link: {{ tls: {{ root_ca_certificate: {ca} }} }} }} }}\n",
        site.socket()
    );
    let config = zenoh::Config::from_json5(&text).map_err(|error| anyhow!(error))?;
    zenoh::open(config).await.map_err(|error| anyhow!(error))
}

impl<L: Link> Peer for Zenoh<L> {
    async fn publisher(site: &Site) -> anyhow::Result<Self> {
        let session = connect::<L>(site).await?;
        let publisher = session.declare_publisher(TOPIC).congestion_control(CongestionControl::Block);
        let publisher = publisher.await.map_err(|error| anyhow!(error))?;
        Ok(Self { publisher, _session: session, link: PhantomData })
    }

    async fn publish(&mut self, payload: Bytes) -> anyhow::Result<()> {
        self.publisher.put(payload).await.map_err(|error| anyhow!(error))
    }

    async fn subscribe(site: &Site, _: usize, mut inbox: Inbox) -> anyhow::Result<()> {
        let session = connect::<L>(site).await?;
        let subscriber = session
            .declare_subscriber(TOPIC)
            .callback_mut(move |sample| inbox.take(&sample.payload().to_bytes()))
            .await
            .map_err(|error| anyhow!(error))?;
        // A declaration is not confirmed, but what is asked after it is answered after it: here with nothing.
        let answers = session.get("nobody/answers/this").await.map_err(|error| anyhow!(error))?;
        while answers.recv_async().await.is_ok() {}
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop((subscriber, session));
        });
        Ok(())
    }
}
