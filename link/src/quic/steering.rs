//! Several sockets of one port: which of them looks after a connection.
//!
//! Each has a task of its own, so a server's links are spread over cores. The kernel would choose a socket by the addresses of
//! a packet, and a client that moves, or whose router forgets it, would lose its link. Here the first octet of the connection
//! identifier decides: a client makes its first one at random, and those that this server gives out ([`SocketIds`]) lead back
//! to the socket that gave them. A filter tells the kernel so. Where it has none, or joins packets of several connections of
//! one address to one, the socket that gets a packet passes it on ([`Group`]).

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use quinn_proto::{ConnectionId, ConnectionIdGenerator};
use quinn_udp::RecvMeta;

use super::ready::Ready;
use crate::tls::random_u64;

/// Packets that may wait for the socket whose they are; more are lost, as if on the way.
const STRAYS_MAX: usize = 4096;

/// The sockets of a port.
pub(super) struct Group(Vec<Member>);

/// What others know of a socket.
struct Member {
    strays: Mutex<VecDeque<Stray>>,
    /// All of them so far.
    #[cfg(test)]
    passed: std::sync::atomic::AtomicUsize,
    ready: Arc<Ready>,
}

/// A packet that came to another socket than its own.
pub(super) struct Stray {
    pub(super) meta: RecvMeta,
    pub(super) packet: BytesMut,
}

impl Group {
    /// The sockets in the order in which they were bound, each by how it is woken.
    pub(super) fn new(sockets: impl IntoIterator<Item = Arc<Ready>>) -> Self {
        Self(sockets.into_iter().map(Member::new).collect())
    }

    /// Whose a packet is.
    pub(super) fn owner(&self, packet: &[u8]) -> usize {
        // Clause 17 of RFC 9000: a short header has the identifier behind its first octet, a long one behind version and length.
        let first = packet.first().and_then(|form| packet.get(if form & 0x80 == 0 { 1 } else { 6 }));
        first.map_or(0, |octet| usize::from(*octet) % self.0.len().max(1))
    }

    /// Passes a packet on to its socket.
    pub(super) fn pass(&self, owner: usize, stray: Stray) {
        let Some(member) = self.0.get(owner) else { return };
        #[cfg(test)]
        member.passed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut strays = member.lock();
        if strays.len() < STRAYS_MAX {
            strays.push_back(stray);
        }
        drop(strays);
        member.ready.wake();
    }

    /// How many packets of a socket came to others.
    #[cfg(test)]
    pub(super) fn passed(&self, own: usize) -> usize {
        self.0[own].passed.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// What others have passed on to a socket.
    pub(super) fn strays(&self, own: usize) -> VecDeque<Stray> {
        self.0.get(own).map(|member| std::mem::take(&mut *member.lock())).unwrap_or_default()
    }
}

impl Member {
    fn new(ready: Arc<Ready>) -> Self {
        Self {
            strays: Mutex::default(),
            #[cfg(test)]
            passed: Default::default(),
            ready,
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Stray>> {
        self.strays.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the kernel to choose among the sockets of a port as [`Group::owner`] does; any of them stands for all.
///
/// # Errors
///
/// The kernel has no such filters.
#[cfg(target_os = "linux")]
pub(super) fn steer(socket: &impl std::os::fd::AsFd, sockets: u8) -> io::Result<()> {
    use nix::libc;
    use nix::sys::socket::{setsockopt, sockopt};

    let line = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |at| line(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, at);
    let mut filter = [
        load(0),
        // A short header jumps over the next two.
        line(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 0, 2, 0x80),
        load(6),
        line(libc::BPF_JMP | libc::BPF_JA, 0, 0, 1),
        load(1),
        line(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, 0, 0, sockets.into()),
        line(libc::BPF_RET | libc::BPF_A, 0, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    Ok(setsockopt(socket, sockopt::AttachReusePortCbpf, &program)?)
}

/// As above.
#[cfg(not(target_os = "linux"))]
pub(super) fn steer<S>(_: &S, _: u8) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Connection identifiers of one socket of a port. Any later process takes them for possible ones: the library's default
/// binds them to a key of the process, and drops those of an earlier one without a stateless reset.
pub(crate) struct SocketIds {
    /// Which socket.
    pub(crate) socket: u8,
    /// Of how many, at least one.
    pub(crate) sockets: u8,
}

impl ConnectionIdGenerator for SocketIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = random_u64().to_ne_bytes();
        let sockets = self.sockets.max(1);
        // The highest multiple may have no room for the last sockets.
        let multiple = (id[0] / sockets).min(u8::MAX / sockets - 1);
        id[0] = multiple * sockets + self.socket;
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        size_of::<u64>()
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_lead_to_the_socket_that_gave_them() {
        for sockets in [1, 2, 3, 7, 64, 128] {
            let group = Group::new((0..sockets).map(|_| Arc::default()));
            for socket in 0..sockets {
                for _ in 0..300 {
                    let id = SocketIds { socket, sockets }.generate_cid();
                    let short = [&[0x40][..], &id].concat();
                    let long = [&[0xc0, 0, 0, 0, 1, 8][..], &id].concat();
                    for packet in [short, long] {
                        assert_eq!(group.owner(&packet), usize::from(socket));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_packet_belongs_to_somebody_and_what_waits_is_bounded() {
        let group = Group::new([Arc::default(), Arc::default()]);
        for packet in [&[][..], &[0x40], &[0xc0, 0, 0, 0, 1, 8]] {
            assert_eq!(group.owner(packet), 0);
        }
        for _ in 0..STRAYS_MAX + 5 {
            group.pass(1, Stray { meta: RecvMeta::default(), packet: BytesMut::new() });
        }
        assert_eq!((group.strays(0).len(), group.strays(1).len(), group.strays(1).len()), (0, STRAYS_MAX, 0));
    }
}
