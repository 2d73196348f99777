//! A link that can be cut: datagrams between one that dials and its server go through here, or nowhere.
//!
//! Only one party dials it, so whoever was heard last is who gets the answers: a process that starts again comes from
//! another port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UdpSocket;

/// The longest datagram there is.
const DATAGRAM_BYTES: usize = 65_536;

/// One link, before anything crosses it.
#[derive(Debug)]
pub(super) struct Forwarder {
    front: StdSocket,
    back: StdSocket,
    cut: Arc<AtomicBool>,
}

impl Forwarder {
    /// Takes its ports on loopback.
    pub(super) fn bind(server: SocketAddr) -> io::Result<Self> {
        let socket = || StdSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let (front, back) = (socket()?, socket()?);
        back.connect(server)?;
        front.set_nonblocking(true)?;
        back.set_nonblocking(true)?;
        Ok(Self { front, back, cut: Arc::default() })
    }

    /// Where the party dials instead of its server.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.front.local_addr()
    }

    /// Cuts the link, or mends it.
    pub(super) fn set_cut(&self, cut: bool) {
        self.cut.store(cut, Ordering::Relaxed);
    }

    /// A task that carries until it is aborted.
    pub(super) fn carry(&self) -> io::Result<impl Future<Output = ()> + Send + use<>> {
        let front = UdpSocket::from_std(self.front.try_clone()?)?;
        let back = UdpSocket::from_std(self.back.try_clone()?)?;
        Ok(carry(front, back, self.cut.clone()))
    }
}

async fn carry(front: UdpSocket, back: UdpSocket, cut: Arc<AtomicBool>) {
    let (mut up, mut down) = (vec![0; DATAGRAM_BYTES], vec![0; DATAGRAM_BYTES]);
    let mut party = None;
    loop {
        // An error here is a server that is down: the datagram is lost, as it would be without this in between.
        tokio::select! {
            received = front.recv_from(&mut up) => if let Ok((length, from)) = received {
                party = Some(from);
                if !cut.load(Ordering::Relaxed) {
                    drop(back.send(&up[..length]).await);
                }
            },
            received = back.recv(&mut down) => if let (Ok(length), Some(party)) = (received, party)
                && !cut.load(Ordering::Relaxed)
            {
                drop(front.send_to(&down[..length], party).await);
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn datagrams_cross_unless_it_is_cut() {
        let socket = || async { UdpSocket::bind("127.0.0.1:0").await.expect("a socket") };
        let (server, party, again) = (socket().await, socket().await, socket().await);
        let forwarder = Forwarder::bind(server.local_addr().expect("bound")).expect("binds");
        let front = forwarder.address().expect("bound");
        let carrying = tokio::spawn(forwarder.carry().expect("sockets"));
        let mut bytes = [0; 16];
        party.send_to(b"one", front).await.expect("sends");
        let (length, from) = server.recv_from(&mut bytes).await.expect("arrives");
        assert_eq!(&bytes[..length], b"one");
        server.send_to(b"back", from).await.expect("sends");
        assert_eq!(party.recv(&mut bytes).await.expect("arrives"), 4);

        // What is sent meanwhile is lost: the next that arrives is what was sent after it was mended.
        forwarder.set_cut(true);
        party.send_to(b"lost", front).await.expect("sends");
        server.send_to(b"lost too", from).await.expect("sends");
        settle(&forwarder).await;
        forwarder.set_cut(false);
        again.send_to(b"three", front).await.expect("sends");
        let (length, _) = server.recv_from(&mut bytes).await.expect("arrives");
        assert_eq!(&bytes[..length], b"three");
        server.send_to(b"to you", from).await.expect("sends");
        let length = again.recv(&mut bytes).await.expect("arrives");
        assert_eq!(&bytes[..length], b"to you");
        carrying.abort();
    }

    /// Waits until nothing is left to be read from either socket.
    async fn settle(forwarder: &Forwarder) {
        let mut byte = [0; 1];
        let is_empty = |socket: &StdSocket, byte: &mut [u8]| socket.peek_from(byte).is_err();
        while !(is_empty(&forwarder.front, &mut byte) && is_empty(&forwarder.back, &mut byte)) {
            tokio::task::yield_now().await;
        }
    }
}
