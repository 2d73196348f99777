//! The UDP socket under an endpoint.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use quinn_proto::{EcnCodepoint, Transmit};
use quinn_udp::{RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::steering;
use crate::traffic::Traffic;

/// Room for what the kernel joins to one (GRO), and for how many of those a call receives.
const SLOT_BYTES: usize = 64 << 10;
/// See [`SLOT_BYTES`].
pub(super) const SLOTS: usize = 8;

/// A UDP socket that sends and receives trains of packets (GSO and GRO) and counts what crosses it. The length of a train
/// is that of all its packets.
pub(crate) struct Socket {
    socket: UdpSocket,
    state: UdpSocketState,
    traffic: Arc<Traffic>,
}

/// Room for what is received at once. The pages of what never came cost nothing.
pub(super) struct Room(Box<[u8]>);

impl Default for Room {
    fn default() -> Self {
        Self(vec![0; SLOT_BYTES * SLOTS].into())
    }
}

impl Room {
    /// The bytes in a slot.
    pub(super) fn slot(&self, index: usize, length: usize) -> &[u8] {
        &self.0[index * SLOT_BYTES..][..length]
    }
}

impl Socket {
    /// Binds a socket with buffers of this size, as far as the kernel allows.
    ///
    /// # Errors
    ///
    /// The address cannot be used.
    pub(crate) fn bind(addr: SocketAddr, buffer_bytes: usize) -> io::Result<Self> {
        Self::bind_as(addr, buffer_bytes, false, Arc::default())
    }

    /// Binds so many sockets to one port, among which packets are steered by connection. They count together.
    ///
    /// # Errors
    ///
    /// The address cannot be used.
    pub(crate) fn bind_all(addr: SocketAddr, buffer_bytes: usize, sockets: u8) -> io::Result<Vec<Self>> {
        // Alone at first: a port that another process has is refused, which it would not be if both share it.
        let alone = Self::bind(addr, buffer_bytes)?;
        if sockets <= 1 {
            return Ok(vec![alone]);
        }
        let (addr, traffic) = (alone.local_addr()?, Arc::clone(&alone.traffic));
        drop(alone);
        let bind = |_| Self::bind_shared(addr, buffer_bytes, Arc::clone(&traffic));
        let all: Vec<Self> = (0..sockets).map(bind).collect::<Result<_, _>>()?;
        if let Err(error) = steering::steer(&all[0].socket, sockets) {
            tracing::warn!(%error, "the kernel does not steer packets: they are passed on from socket to socket");
        }
        Ok(all)
    }

    /// Binds one of several sockets of a port.
    pub(super) fn bind_shared(addr: SocketAddr, buffer_bytes: usize, traffic: Arc<Traffic>) -> io::Result<Self> {
        Self::bind_as(addr, buffer_bytes, true, traffic)
    }

    fn bind_as(addr: SocketAddr, buffer_bytes: usize, is_shared: bool, traffic: Arc<Traffic>) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        if addr.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_port(is_shared)?;
        // The kernel's own maximum may be lower; a smaller buffer drops packets, which QUIC sends again.
        let _ = socket.set_recv_buffer_size(buffer_bytes);
        let _ = socket.set_send_buffer_size(buffer_bytes);
        socket.set_nonblocking(true)?;
        socket.bind(&addr.into())?;
        let state = UdpSocketState::new((&socket).into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { socket, state, traffic })
    }

    /// Where it is bound.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The count of what crosses it.
    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Whether the network may cut packets, so that nothing can be learned of how long they may be.
    pub(super) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    /// How many packets the kernel takes at once.
    pub(super) fn segments_max(&self) -> usize {
        self.state.max_gso_segments()
    }

    /// Sends a train of packets, or waits until the kernel takes one. What fails otherwise is lost, as if on the way.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>, transmit: &Transmit, bytes: &[u8]) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.poll_send_ready(cx))?;
            let send = || self.state.send((&self.socket).into(), &of_kernel(transmit, bytes));
            match self.socket.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => {
                    self.count_sent(transmit);
                    return Poll::Ready(sent);
                }
            }
        }
    }

    /// Sends a packet if the kernel takes it now; otherwise it is lost, as if on the way.
    pub(super) fn try_send(&self, transmit: &Transmit, bytes: &[u8]) {
        if self.state.send((&self.socket).into(), &of_kernel(transmit, bytes)).is_ok() {
            self.count_sent(transmit);
        }
    }

    /// Receives into some slots.
    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        room: &mut Room,
        metas: &mut [RecvMeta; SLOTS],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.socket.poll_recv_ready(cx))?;
            let mut slots = room.0.chunks_mut(SLOT_BYTES).map(IoSliceMut::new);
            let mut slots: [IoSliceMut<'_>; SLOTS] =
                std::array::from_fn(|_| slots.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
            let receive = || self.state.recv((&self.socket).into(), &mut slots, metas);
            match self.socket.try_io(Interest::READABLE, receive) {
                Ok(filled) => {
                    let bytes: usize = metas.iter().take(filled).map(|meta| meta.len).sum();
                    self.traffic.received.fetch_add(bytes as u64, Ordering::Relaxed);
                    return Poll::Ready(Ok(filled));
                }
                // Others may make a socket say this; it means nothing here.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn count_sent(&self, transmit: &Transmit) {
        self.traffic.sent.fetch_add(transmit.size as u64, Ordering::Relaxed);
    }
}

fn of_kernel<'a>(transmit: &Transmit, bytes: &'a [u8]) -> quinn_udp::Transmit<'a> {
    let mark = |ecn| match ecn {
        EcnCodepoint::Ect0 => quinn_udp::EcnCodepoint::Ect0,
        EcnCodepoint::Ect1 => quinn_udp::EcnCodepoint::Ect1,
        EcnCodepoint::Ce => quinn_udp::EcnCodepoint::Ce,
    };
    quinn_udp::Transmit {
        destination: transmit.destination,
        ecn: transmit.ecn.map(mark),
        contents: &bytes[..transmit.size],
        segment_size: transmit.segment_size,
        src_ip: transmit.src_ip,
    }
}

/// What the kernel says of congestion on the way.
pub(super) fn ecn(meta: &RecvMeta) -> Option<EcnCodepoint> {
    meta.ecn.map(|ecn| match ecn {
        quinn_udp::EcnCodepoint::Ect0 => EcnCodepoint::Ect0,
        quinn_udp::EcnCodepoint::Ect1 => EcnCodepoint::Ect1,
        quinn_udp::EcnCodepoint::Ce => EcnCodepoint::Ce,
    })
}
