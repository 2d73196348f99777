//! What lies between the clients and the server: a bottleneck, delay, loss, packets twice or out of order, all by a seed.
//!
//! Datagrams of the clients' sockets go through a socket here, each on to the server from a socket of its own, and back.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

/// The longest datagram there is.
const DATAGRAM_BYTES: usize = 65_536;
/// Datagrams that wait to be let in, each way.
const WAITING: usize = 4096;
/// Datagrams on their way, each way: what comes beyond is lost.
const ON_THE_WAY_MAX: usize = 1 << 17;
/// By how much a datagram is later that is overtaken.
const OVERTAKEN: Duration = Duration::from_millis(5);

/// What a plan says of the network, which is the same each way. Without it clients and server have nothing between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Milliseconds from one end to the other: half a round trip.
    pub delay: f64,
    /// The share of datagrams that are lost.
    pub loss: f64,
    /// That come twice.
    pub duplicate: f64,
    /// That are overtaken by the next few.
    pub reorder: f64,
    /// Megabits a second that all clients share; as much as there is, if not given.
    pub megabits: Option<f64>,
    /// Milliseconds for which datagrams wait at the bottleneck at most; what would wait longer is lost.
    pub queue: Option<f64>,
    /// Which datagrams it is that fare so.
    pub seed: u64,
}

impl Network {
    /// # Errors
    /// Says what makes no sense, and what would.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!((0.0..=10_000.0).contains(&self.delay), "delay must be 0 to 10000 ms");
        let shares = [self.loss, self.duplicate, self.reorder];
        ensure!(shares.iter().all(|share| (0.0..=0.5).contains(share)), "loss, duplicate and reorder must be 0 to 0.5");
        ensure!(self.megabits.is_none_or(|rate| (0.1..=100_000.0).contains(&rate)), "megabits must be 0.1 to 100000");
        ensure!(self.queue.is_none_or(|queue| (0.0..=10_000.0).contains(&queue)), "queue must be 0 to 10000 ms");
        ensure!(self.queue.is_none() || self.megabits.is_some(), "a queue needs megabits: without them nothing waits");
        Ok(())
    }
}

/// Milliseconds at a bottleneck unless the plan says otherwise: about what routers have.
const QUEUE: f64 = 50.0;

/// One direction: decides when a datagram arrives.
struct Direction {
    network: Network,
    random: StdRng,
    /// When the bottleneck is free again.
    free: Instant,
}

impl Direction {
    fn new(network: Network, seed: u64) -> Self {
        Self { network, random: StdRng::seed_from_u64(seed), free: Instant::now() }
    }

    /// When a datagram of so many bytes arrives that is sent now: never, once or twice.
    fn arrivals(&mut self, now: Instant, bytes: usize) -> impl Iterator<Item = Instant> + use<> {
        // Always the same number of draws: whether one datagram is lost changes nothing for the next.
        let [lost, twice, overtaken] = [self.network.loss, self.network.duplicate, self.network.reorder]
            .map(|share| self.random.random_bool(share));
        let through = self.through(now, bytes);
        let late = if overtaken { OVERTAKEN } else { Duration::ZERO };
        let arrival = through.map(|at| at + Duration::from_secs_f64(self.network.delay / 1e3) + late);
        arrival.filter(|_| !lost).into_iter().flat_map(move |at| std::iter::repeat_n(at, 1 + usize::from(twice)))
    }

    /// When it is through the bottleneck, if it finds room before it.
    fn through(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let Some(megabits) = self.network.megabits else { return Some(now) };
        let begin = self.free.max(now);
        if begin - now > Duration::from_secs_f64(self.network.queue.unwrap_or(QUEUE) / 1e3) {
            return None;
        }
        self.free = begin + Duration::from_secs_f64(bytes as f64 * 8.0 / (megabits * 1e6));
        Some(self.free)
    }
}

/// A datagram, and by which socket it goes on to whom.
struct Datagram {
    bytes: Box<[u8]>,
    socket: Arc<UdpSocket>,
    to: SocketAddr,
}

/// A network that carries until it is dropped.
pub struct Way {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Way {
    /// Opens a way to a server, on loopback.
    ///
    /// # Errors
    /// There is no socket for it.
    pub async fn open(network: Network, server: SocketAddr) -> io::Result<Self> {
        let any = if server.is_ipv6() { (Ipv6Addr::LOCALHOST, 0).into() } else { (Ipv4Addr::LOCALHOST, 0).into() };
        let any: SocketAddr = any;
        let front = Arc::new(UdpSocket::bind(any).await?);
        let address = front.local_addr()?;
        let mut tasks = JoinSet::new();
        let (up, down) = (mpsc::channel(WAITING), mpsc::channel(WAITING));
        tasks.spawn(carry(Direction::new(network, network.seed), up.1));
        tasks.spawn(carry(Direction::new(network, network.seed.wrapping_add(1)), down.1));
        tasks.spawn(take(front, any, server, up.0, down.0));
        Ok(Self { address, _tasks: tasks })
    }

    /// Where clients dial instead of their server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Takes what clients send. A full channel is a network that is too slow: what finds no room is lost.
async fn take(
    front: Arc<UdpSocket>,
    any: SocketAddr,
    server: SocketAddr,
    up: mpsc::Sender<Datagram>,
    down: mpsc::Sender<Datagram>,
) {
    let mut backs: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut returning = JoinSet::new();
    let mut bytes = vec![0; DATAGRAM_BYTES];
    loop {
        // An error here is a client that is gone.
        let Ok((length, from)) = front.recv_from(&mut bytes).await else { continue };
        let back = match backs.get(&from) {
            Some(back) => Arc::clone(back),
            None => {
                let Ok(back) = UdpSocket::bind(any).await else { continue };
                let back = Arc::new(back);
                returning.spawn(give_back(Arc::clone(&back), Arc::clone(&front), from, down.clone()));
                backs.insert(from, Arc::clone(&back));
                back
            }
        };
        drop(up.try_send(Datagram { bytes: bytes[..length].into(), socket: back, to: server }));
    }
}

/// Takes what the server sends to one of the clients' sockets.
async fn give_back(back: Arc<UdpSocket>, front: Arc<UdpSocket>, to: SocketAddr, down: mpsc::Sender<Datagram>) {
    let mut bytes = vec![0; DATAGRAM_BYTES];
    loop {
        // An error here is a server that is gone.
        let Ok((length, _)) = back.recv_from(&mut bytes).await else { continue };
        drop(down.try_send(Datagram { bytes: bytes[..length].into(), socket: Arc::clone(&front), to }));
    }
}

/// Holds datagrams until they arrive.
async fn carry(mut direction: Direction, mut sent: mpsc::Receiver<Datagram>) {
    let mut way: BinaryHeap<Reverse<(Instant, u64)>> = BinaryHeap::new();
    let mut held: HashMap<u64, Datagram> = HashMap::new();
    let mut next = 0;
    loop {
        let due = way.peek().map(|entry| entry.0.0);
        tokio::select! {
            datagram = sent.recv() => {
                let Some(datagram) = datagram else { return };
                for at in direction.arrivals(Instant::now(), datagram.bytes.len()) {
                    if way.len() == ON_THE_WAY_MAX {
                        break;
                    }
                    let copy = Datagram { bytes: datagram.bytes.clone(), socket: Arc::clone(&datagram.socket), to: datagram.to };
                    way.push(Reverse((at, next)));
                    held.insert(next, copy);
                    next += 1;
                }
            }
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
        let now = Instant::now();
        while way.peek().is_some_and(|entry| entry.0.0 <= now) {
            let Some(Reverse((_, number))) = way.pop() else { break };
            if let Some(datagram) = held.remove(&number) {
                // Whoever is gone gets nothing.
                drop(datagram.socket.send_to(&datagram.bytes, datagram.to).await);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(network: Network, count: u32) -> Vec<Vec<Duration>> {
        let mut direction = Direction::new(network, network.seed);
        let begin = direction.free;
        let one = |number| begin + Duration::from_millis(u64::from(number));
        (0..count).map(|number| direction.arrivals(one(number), 1000).map(|at| at - begin).collect()).collect()
    }

    #[test]
    fn a_seed_decides_who_is_lost_doubled_and_overtaken() {
        let network = Network { delay: 20.0, loss: 0.1, duplicate: 0.05, reorder: 0.05, seed: 7, ..Network::default() };
        let first = arrivals(network, 1000);
        assert_eq!(first, arrivals(network, 1000));
        assert_ne!(first, arrivals(Network { seed: 8, ..network }, 1000));
        let count = |wanted| first.iter().filter(|arrivals| arrivals.len() == wanted).count();
        assert!((50..200).contains(&count(0)) && (20..100).contains(&count(2)), "{} {}", count(0), count(2));
        let late = first.iter().zip(0..).filter(|(at, sent)| at.iter().any(|at| at.as_millis() == sent + 25)).count();
        assert!((20..100).contains(&late), "{late}");
    }

    #[test]
    fn a_bottleneck_spreads_a_burst_and_drops_what_finds_no_room() {
        // 1000 bytes take a millisecond.
        let network = Network { megabits: Some(8.0), queue: Some(10.0), ..Network::default() };
        let mut direction = Direction::new(network, 0);
        let begin = direction.free;
        let burst: Vec<Option<Instant>> = (0..20).map(|_| direction.arrivals(begin, 1000).next()).collect();
        let through: Vec<u128> = burst.iter().flatten().map(|at| (*at - begin).as_millis()).collect();
        assert_eq!(through, (1..=11).collect::<Vec<_>>());
        assert!(burst[11..].iter().all(Option::is_none));
    }

    #[tokio::test]
    async fn datagrams_go_through_and_back() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let way = Way::open(Network { delay: 5.0, ..Network::default() }, server.local_addr().unwrap()).await.unwrap();
        let clients = [UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind("127.0.0.1:0").await.unwrap()];
        let mut bytes = [0; 16];
        for (number, client) in clients.iter().enumerate() {
            client.send_to(&[number as u8], way.address()).await.unwrap();
            let (_, from) = server.recv_from(&mut bytes).await.unwrap();
            server.send_to(&[bytes[0] + 10], from).await.unwrap();
        }
        for (number, client) in clients.iter().enumerate() {
            client.recv(&mut bytes).await.unwrap();
            assert_eq!(usize::from(bytes[0]), number + 10);
        }
    }
}
