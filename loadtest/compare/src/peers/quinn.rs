//! A reference: the least that a relay over stock quinn can do. One long stream a client, length-prefixed messages, one
//! copy of each in memory; nothing stored, checked or answered.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use bytes::Bytes;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, Incoming, RecvStream, SendStream, ServerConfig};
use tokio::sync::mpsc;

use super::{PORT, Peer, Site};
use crate::tally::Inbox;
use crate::tls::Files;

/// Messages that wait for a subscriber; beyond it the publisher waits.
const QUEUE: usize = 128;
/// The first byte of a connection's stream from a publisher, and from a subscriber.
const PUBLISHES: u8 = b'P';
const SUBSCRIBES: u8 = b'S';

type Subscribers = Arc<Mutex<Vec<mpsc::Sender<Bytes>>>>;

/// A publisher.
pub struct Long {
    stream: SendStream,
    _connection: (Endpoint, Connection),
}

/// This program itself is the relay.
pub fn command(site: &Site) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("quinn-relay").arg(&site.folder);
    Ok(command)
}

/// The relay: carries whatever a publisher sends to everybody who has subscribed.
///
/// # Errors
/// It cannot listen.
pub async fn relay(folder: &Path) -> anyhow::Result<()> {
    let config = QuicServerConfig::try_from(Files::of(folder).server()?)?;
    let endpoint = Endpoint::server(ServerConfig::with_crypto(Arc::new(config)), ([0, 0, 0, 0], PORT).into())?;
    let subscribers = Subscribers::default();
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(serve(incoming, Arc::clone(&subscribers)));
    }
    Ok(())
}

async fn serve(incoming: Incoming, subscribers: Subscribers) -> anyhow::Result<()> {
    let connection = incoming.await?;
    let mut stream = connection.accept_uni().await?;
    let mut role = [0];
    stream.read_exact(&mut role).await?;
    if role == [PUBLISHES] {
        while let Some(message) = read(&mut stream).await? {
            let all = subscribers.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for subscriber in all {
                subscriber.send(message.clone()).await?;
            }
        }
        return Ok(());
    }
    let (queue, mut messages) = mpsc::channel(QUEUE);
    let mut stream = connection.open_uni().await?;
    // It exists for the subscriber once there is something on it: a message that is empty.
    write(&mut stream, Bytes::new()).await?;
    subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(queue);
    while let Some(message) = messages.recv().await {
        write(&mut stream, message).await?;
    }
    Ok(())
}

async fn write(stream: &mut SendStream, message: Bytes) -> anyhow::Result<()> {
    let length = u32::try_from(message.len())?.to_be_bytes();
    stream.write_all_chunks(&mut [Bytes::copy_from_slice(&length), message]).await?;
    Ok(())
}

async fn read(stream: &mut RecvStream) -> anyhow::Result<Option<Bytes>> {
    let mut length = [0; 4];
    if stream.read_exact(&mut length).await.is_err() {
        return Ok(None);
    }
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut message).await?;
    Ok(Some(message.into()))
}

async fn connect(site: &Site, role: u8) -> anyhow::Result<(Endpoint, Connection, SendStream)> {
    let config = QuicClientConfig::try_from(Files::of(&site.folder).client()?)?;
    let mut endpoint = Endpoint::client(([0, 0, 0, 0], 0).into())?;
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(config)));
    let connection = endpoint.connect(site.socket(), &site.address.to_string())?.await?;
    let mut stream = connection.open_uni().await?;
    stream.write_all(&[role]).await?;
    Ok((endpoint, connection, stream))
}

impl Peer for Long {
    async fn publisher(site: &Site) -> anyhow::Result<Self> {
        let (endpoint, connection, stream) = connect(site, PUBLISHES).await?;
        Ok(Self { stream, _connection: (endpoint, connection) })
    }

    async fn publish(&mut self, payload: Bytes) -> anyhow::Result<()> {
        write(&mut self.stream, payload).await
    }

    async fn subscribe(site: &Site, _: usize, mut inbox: Inbox) -> anyhow::Result<()> {
        let (endpoint, connection, role) = connect(site, SUBSCRIBES).await?;
        let mut stream = connection.accept_uni().await?;
        read(&mut stream).await?.context("the relay ended the stream")?;
        tokio::spawn(async move {
            while let Ok(Some(message)) = read(&mut stream).await {
                inbox.take(&message);
            }
            inbox.fail("the connection to the relay ended");
            drop((endpoint, role));
        });
        Ok(())
    }
}
