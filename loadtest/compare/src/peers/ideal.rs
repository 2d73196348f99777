//! The limit of the machine for a relay over QUIC: what every such relay has to do with the bytes, and nothing else. They
//! are copied into packets, sealed with AES-128-GCM, their headers protected, and handed to the kernel in trains. No
//! connections, acknowledgements, retransmissions or timers; what comes is counted and not opened.

use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, ensure};
use aws_lc_rs::aead::quic::{self, HeaderProtectionKey};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::{PORT, Peer, Site};
use crate::tally::Inbox;

/// Bytes of a datagram on a path of MTU 1500, as quinn finds them.
const DATAGRAM: usize = 1452;
/// Of a packet: flags, connection identifier, packet number.
const HEADER: usize = 11;
/// Of a packet: what a frame says of itself.
const FRAME: usize = 8;
const TAG: usize = 16;
/// Bytes of content in a datagram.
const CONTENT: usize = DATAGRAM - HEADER - FRAME - TAG;
/// Nothing may be lost here, as it would not be sent again.
const RECEIVE_BUFFER: usize = 32 << 20;
const PUBLISHES: u8 = b'P';
const SUBSCRIBES: u8 = b'S';

/// A publisher, who says only how long messages are.
pub struct Ideal(UdpSocket);

/// This program itself sends, so many datagrams at once.
pub fn command(train: usize) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("ideal-sender").arg(train.to_string());
    Ok(command)
}

/// The sender.
///
/// # Errors
/// The kernel refuses something.
pub async fn relay(train: usize) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(("0.0.0.0", PORT)).await?;
    let mut sender = Sender::new(socket, train)?;
    let mut subscribers = Vec::new();
    let content = vec![0x5a; 1 << 20];
    let mut request = [0; 16];
    loop {
        let (length, from) = sender.socket.recv_from(&mut request).await?;
        match request[..length] {
            [SUBSCRIBES] => {
                subscribers.push(from);
                sender.socket.send_to(&[SUBSCRIBES], from).await?;
            }
            [PUBLISHES, a, b, c, d] => {
                let length = u32::from_be_bytes([a, b, c, d]) as usize;
                for subscriber in &subscribers {
                    sender.send(&content[..length], *subscriber).await?;
                }
            }
            _ => {}
        }
    }
}

struct Sender {
    socket: UdpSocket,
    state: UdpSocketState,
    seal: LessSafeKey,
    protection: HeaderProtectionKey,
    train: usize,
    packets: Vec<u8>,
    number: u64,
}

impl Sender {
    fn new(socket: UdpSocket, train: usize) -> anyhow::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        let most = state.max_gso_segments();
        ensure!(train <= most, "the kernel takes {most} datagrams at once");
        Ok(Self {
            socket,
            state,
            seal: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).ok().context("no key")?),
            protection: HeaderProtectionKey::new(&quic::AES_128, &[9; 16]).ok().context("no key")?,
            train,
            packets: Vec::with_capacity(train * DATAGRAM),
            number: 0,
        })
    }

    async fn send(&mut self, message: &[u8], to: SocketAddr) -> anyhow::Result<()> {
        for part in message.chunks(self.train * CONTENT) {
            self.packets.clear();
            part.chunks(CONTENT).try_for_each(|content| self.packet(content))?;
            let transmit = Transmit {
                destination: to,
                ecn: None,
                contents: &self.packets,
                segment_size: Some(DATAGRAM),
                src_ip: None,
            };
            let send = || self.state.try_send((&self.socket).into(), &transmit);
            self.socket.async_io(Interest::WRITABLE, send).await?;
        }
        Ok(())
    }

    fn packet(&mut self, content: &[u8]) -> anyhow::Result<()> {
        let begin = self.packets.len();
        self.number += 1;
        self.packets.extend_from_slice(&[0x40; HEADER + FRAME]);
        self.packets.extend_from_slice(content);
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.number.to_be_bytes());
        let (header, sealed) = self.packets[begin..].split_at_mut(HEADER);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag =
            self.seal.seal_in_place_separate_tag(nonce, Aad::from(&*header), sealed).ok().context("not sealed")?;
        let mask = self.protection.new_mask(&sealed[..16]).ok().context("not protected")?;
        header[0] ^= mask[0] & 0x1f;
        header[HEADER - 2..].iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
        self.packets.extend_from_slice(tag.as_ref());
        Ok(())
    }
}

impl Peer for Ideal {
    async fn publisher(site: &Site) -> anyhow::Result<Self> {
        let socket = UdpSocket::bind("0.0.0.0:0").await?;
        socket.connect(site.socket()).await?;
        Ok(Self(socket))
    }

    async fn publish(&mut self, payload: Bytes) -> anyhow::Result<()> {
        let [a, b, c, d] = u32::try_from(payload.len())?.to_be_bytes();
        self.0.send(&[PUBLISHES, a, b, c, d]).await?;
        Ok(())
    }

    async fn subscribe(site: &Site, _: usize, inbox: Inbox) -> anyhow::Result<()> {
        let socket = UdpSocket::bind("0.0.0.0:0").await?;
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)?;
        socket.send_to(&[SUBSCRIBES], site.socket()).await?;
        socket.recv(&mut [0; 16]).await?;
        tokio::spawn(async move {
            if let Err(error) = read(&socket, inbox).await {
                eprintln!("a subscriber ended: {error:#}");
            }
        });
        Ok(())
    }
}

/// Counts datagrams: a message is here when as many are.
async fn read(socket: &UdpSocket, mut inbox: Inbox) -> anyhow::Result<()> {
    let state = UdpSocketState::new(socket.into())?;
    let (mut buffer, mut meta, mut datagrams) = (vec![0; 1 << 16], [RecvMeta::default()], 0);
    while let Some(bytes) = inbox.length() {
        while datagrams < bytes.div_ceil(CONTENT) {
            let mut slices = [std::io::IoSliceMut::new(&mut buffer)];
            socket.async_io(Interest::READABLE, || state.recv(socket.into(), &mut slices, &mut meta)).await?;
            datagrams += meta[0].len.div_ceil(meta[0].stride.max(1));
        }
        datagrams -= bytes.div_ceil(CONTENT);
        inbox.take_unseen();
    }
    Ok(())
}
