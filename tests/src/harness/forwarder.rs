//! A way between two nodes that a test can cut: datagrams go through it, or are lost while it is cut.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UdpSocket;
use tokio::task::JoinSet;

/// Forwards datagrams both ways between whoever dials its address and one server, until it is dropped.
#[derive(Debug)]
pub struct Forwarder {
    addr: SocketAddr,
    way: Arc<Way>,
    // Ends with the forwarder.
    _tasks: JoinSet<()>,
}

/// What the tasks of a forwarder share.
#[derive(Debug)]
struct Way {
    front: UdpSocket,
    target: Mutex<SocketAddr>,
    is_cut: AtomicBool,
    up: AtomicU64,
    down: AtomicU64,
}

/// Bytes of datagrams that went through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// Towards the server.
    pub up: u64,
    /// From it.
    pub down: u64,
}

/// The longest datagram of IPv4.
const DATAGRAM_BYTES_MAX: usize = 64 << 10;

impl Forwarder {
    /// A way to a server.
    ///
    /// # Panics
    ///
    /// If there is no socket.
    pub async fn to(target: SocketAddr) -> Self {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a socket");
        let addr = front.local_addr().expect("its address");
        let (is_cut, up, down) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let way = Arc::new(Way { front, target: Mutex::new(target), is_cut, up, down });
        let mut tasks = JoinSet::new();
        tasks.spawn(forward(way.clone()));
        Self { addr, way, _tasks: tasks }
    }

    /// What to dial in place of the server.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on everything is lost, both ways.
    pub fn cut(&self) {
        self.way.is_cut.store(true, Ordering::Relaxed);
    }

    /// From now on nothing is.
    pub fn mend(&self) {
        self.way.is_cut.store(false, Ordering::Relaxed);
    }

    /// From now on it leads to another address, such as that of the same server after a restart.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.way.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// What has gone through so far.
    pub fn forwarded(&self) -> Forwarded {
        let Way { up, down, .. } = &*self.way;
        Forwarded { up: up.load(Ordering::Relaxed), down: down.load(Ordering::Relaxed) }
    }
}

/// Up: each who dials has a socket of its own, so that the server can tell them apart.
async fn forward(way: Arc<Way>) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut answers = JoinSet::new();
    // A socket error is a lost datagram.
    loop {
        let Ok((length, from)) = way.front.recv_from(&mut buffer).await else { continue };
        if way.is_cut.load(Ordering::Relaxed) {
            continue;
        }
        let back = match backs.get(&from) {
            Some(back) => back.clone(),
            None => {
                let Ok(back) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.map(Arc::new) else { continue };
                answers.spawn(answer(way.clone(), back.clone(), from));
                backs.insert(from, back.clone());
                back
            }
        };
        let target = *way.target.lock().unwrap_or_else(PoisonError::into_inner);
        if back.send_to(&buffer[..length], target).await.is_ok() {
            way.up.fetch_add(length as u64, Ordering::Relaxed);
        }
    }
}

/// Down, to one of those who dial.
async fn answer(way: Arc<Way>, back: Arc<UdpSocket>, to: SocketAddr) {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let Ok((length, _)) = back.recv_from(&mut buffer).await else { continue };
        if !way.is_cut.load(Ordering::Relaxed) && way.front.send_to(&buffer[..length], to).await.is_ok() {
            way.down.fetch_add(length as u64, Ordering::Relaxed);
        }
    }
}
