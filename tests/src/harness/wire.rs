//! A piece of wire: datagrams between one that dials and its server go through here, and are counted by nobody else's
//! code.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::UdpSocket;

/// See the module. It carries as long as it lives.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    counted: Arc<[AtomicU64; 2]>,
    carrying: tokio::task::JoinHandle<()>,
}

/// What a [`Wire`] has carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Bytes towards the server.
    pub up: u64,
    /// Bytes from it.
    pub down: u64,
}

impl Wire {
    /// A wire to a server.
    ///
    /// # Panics
    ///
    /// If the system has no sockets left.
    pub async fn to(server: SocketAddr) -> Self {
        let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        let (front, back) = (bind().await.expect("a socket"), bind().await.expect("a socket"));
        let address = front.local_addr().expect("an address");
        back.connect(server).await.expect("an address");
        let counted = Arc::<[AtomicU64; 2]>::default();
        let carrying = tokio::spawn(carry(front, back, counted.clone()));
        Self { address, counted, carrying }
    }

    /// Where to dial instead of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has carried.
    pub fn carried(&self) -> Carried {
        let [up, down] = &*self.counted;
        Carried { up: up.load(Ordering::Relaxed), down: down.load(Ordering::Relaxed) }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

async fn carry(front: UdpSocket, back: UdpSocket, counted: Arc<[AtomicU64; 2]>) {
    let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
    let mut caller = None;
    let count = |index: usize, length: usize| counted[index].fetch_add(length as u64, Ordering::Relaxed);
    loop {
        // What cannot be passed on is lost, as on any wire.
        tokio::select! {
            Ok((length, from)) = front.recv_from(&mut up) => {
                caller = Some(from);
                count(0, length);
                drop(back.send(&up[..length]).await);
            }
            Ok(length) = back.recv(&mut down), if caller.is_some() => {
                count(1, length);
                if let Some(caller) = caller {
                    drop(front.send_to(&down[..length], caller).await);
                }
            }
        }
    }
}
