//! The clients of a run: all of them connected, and coming back when their link is cut.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use link::apart::Partials;
use link::budget::Budget;
use link::close::CloseCode;
use link::connection::Link;
use link::endpoint;
use link::hello::Hello;
use link::identity::Identity;
use link::limits::LinkLimits;
use schemas::guid::ServerGuid;
use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use crate::client::{Client, Place};
use crate::ledger::{Held, Ledger};
use crate::people::{Authority, guid};
use crate::plan::{Clients, Habit, Plan};

/// What the kernel is asked to buffer for a socket, at most.
const SOCKET_BYTES_MAX: usize = 8 << 20;
/// Links that are made at once.
const DIALS_AT_ONCE: usize = 32;
/// Bytes of frames that all clients of a socket hold at once.
const FRAME_BYTES: usize = 1 << 30;
/// Tries to connect before a run is given up.
const DIALS_MAX: u32 = 20;

/// See the module.
pub struct Crowd {
    /// By which the links of each group's clients are cut.
    cuts: Vec<Vec<Arc<Notify>>>,
    stage: watch::Sender<Stage>,
    tasks: JoinSet<anyhow::Result<()>>,
    sockets: Vec<Arc<endpoint::Client>>,
    /// Clients that share one.
    share: usize,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Connecting,
    /// Who was away comes back.
    Published,
    Over,
}

/// What a client's task needs.
struct Life {
    clients: Clients,
    group: usize,
    number: usize,
    identity: Identity,
    target: (SocketAddr, ServerGuid),
    socket: Arc<endpoint::Client>,
    ledger: Arc<Ledger>,
    partials: Partials,
    cut: Arc<Notify>,
    stage: watch::Receiver<Stage>,
    dials: Arc<Semaphore>,
    ready: mpsc::Sender<()>,
}

impl Crowd {
    /// Connects everybody, each client of a group to the server that `target_of` says; `connected` is told of each.
    ///
    /// # Errors
    /// Somebody is not let in, or not answered.
    pub async fn connect(
        plan: &Plan,
        target_of: impl Fn(&Clients, usize) -> (SocketAddr, ServerGuid),
        authority: &Authority,
        ledger: &Arc<Ledger>,
        mut connected: impl FnMut(),
    ) -> anyhow::Result<Self> {
        let (stage, watched) = watch::channel(Stage::Connecting);
        let (ready, mut all_ready) = mpsc::channel(1);
        let dials = Arc::new(Semaphore::new(DIALS_AT_ONCE));
        let mut crowd =
            Self { cuts: Vec::new(), stage, tasks: JoinSet::new(), sockets: Vec::new(), share: plan.share() };
        let (mut index, mut there) = (0, 0);
        for (group, clients) in plan.clients.iter().enumerate() {
            let mut cuts = Vec::with_capacity(clients.count);
            for number in 0..clients.count {
                let guid = guid(&plan.name, &clients.name, number);
                let identity = authority.identity(guid, &format!("client-{index}"))?;
                let target = target_of(clients, number);
                let life = Life {
                    clients: clients.clone(),
                    group,
                    number,
                    socket: crowd.socket(target.0, index, &identity)?,
                    identity,
                    target,
                    ledger: Arc::clone(ledger),
                    partials: Partials::default(),
                    cut: Arc::default(),
                    stage: watched.clone(),
                    dials: Arc::clone(&dials),
                    ready: ready.clone(),
                };
                cuts.push(Arc::clone(&life.cut));
                crowd.tasks.spawn(live(life));
                index += 1;
                // Making the next certificate takes a while.
                tokio::task::yield_now().await;
                while all_ready.try_recv().is_ok() {
                    there += 1;
                    connected();
                }
            }
            crowd.cuts.push(cuts);
        }
        drop(ready);
        while there < index {
            tokio::select! {
                // An end before everybody is there is a fault, and is told first.
                biased;
                Some(ended) = crowd.tasks.join_next() => {
                    ended??;
                    anyhow::bail!("a client ended before the run began");
                }
                Some(()) = all_ready.recv() => {
                    there += 1;
                    connected();
                }
            }
        }
        Ok(crowd)
    }

    fn socket(
        &mut self,
        server: SocketAddr,
        index: usize,
        identity: &Identity,
    ) -> anyhow::Result<Arc<endpoint::Client>> {
        if index.is_multiple_of(self.share) {
            let device = LinkLimits::device();
            let socket_buffer_bytes = device.socket_buffer_bytes.saturating_mul(self.share).min(SOCKET_BYTES_MAX);
            let limits = LinkLimits { socket_buffer_bytes, ..device };
            let credit = self.share.saturating_mul(limits.connection_window as usize);
            let any = endpoint::Client::any_local(server);
            let socket = endpoint::Client::bind(any, identity, limits, Budget::new(FRAME_BYTES, 2 * credit))?;
            self.sockets.push(Arc::new(socket));
        }
        self.sockets.last().cloned().context("no socket")
    }

    /// Cuts the link of a client of this group; it comes back.
    pub fn cut(&self, group: usize, number: usize) {
        let cut = self.cuts.get(group).and_then(|cuts| cuts.get(number));
        cut.into_iter().for_each(|cut| cut.notify_one());
    }

    /// Everything is published: who was away comes back.
    pub fn published(&self) {
        self.stage.send_replace(Stage::Published);
    }

    /// Ends all links, and answers why one that should have lived did not.
    pub async fn end(mut self) -> Vec<String> {
        let mut faults = Vec::new();
        while let Some(ended) = self.tasks.try_join_next() {
            faults.extend(
                ended.map_err(anyhow::Error::from).and_then(|ended| ended).err().map(|error| format!("{error:#}")),
            );
        }
        self.stage.send_replace(Stage::Over);
        self.tasks.abort_all();
        self.sockets.iter().for_each(|socket| socket.close(CloseCode::Done, "the load test is over"));
        for socket in &self.sockets {
            drop(tokio::time::timeout(Duration::from_secs(3), socket.wait_idle()).await);
        }
        faults
    }
}

async fn live(mut life: Life) -> anyhow::Result<()> {
    let mut held = life.ledger.nothing();
    let mut place = None;
    let (mut is_first, mut is_away) = (true, life.clients.habit == Habit::Away);
    loop {
        let link = life.dial(place.as_ref()).await?;
        let client = Client::new(link.clone(), life.group, life.clients.plain, Arc::clone(&life.ledger))?;
        if is_first || link.peer_hello().behind {
            client.ask(&life.clients, life.number, &mut held).await?;
        }
        place = place.or_else(|| Place::start(&link));
        if is_away {
            link.close(CloseCode::Done, "away");
        }
        if std::mem::take(&mut is_first) {
            life.ready.send(()).await?;
        }
        if std::mem::take(&mut is_away) {
            life.stage.wait_for(|stage| *stage >= Stage::Published).await?;
            continue;
        }
        life.stay(client, &link, &mut held, &mut place).await?;
    }
}

impl Life {
    async fn dial(&self, place: Option<&Place>) -> anyhow::Result<Link> {
        let (address, server) = self.target;
        let mut tries = 0;
        loop {
            let own = Hello::default();
            let own = if self.clients.plain {
                own
            } else {
                Hello { partials: Some(self.partials.offer()), ..own.reading_all_forms() }
            };
            let hello = match place {
                Some(Place { incarnation, resume }) => {
                    Hello { incarnation: Some(*incarnation), resume: resume.clone(), ..own }
                }
                None => own,
            };
            let permit = self.dials.acquire().await?;
            let dialled = self.socket.connect_as(&self.identity, address, server, hello).await;
            drop(permit);
            tries += 1;
            match dialled {
                Ok(link) => {
                    link.keep_partials(&self.partials);
                    return Ok(link);
                }
                Err(error) if tries == DIALS_MAX => return Err(error).context("a client cannot connect"),
                Err(_) => tokio::time::sleep(Duration::from_millis(50 * u64::from(tries))).await,
            }
        }
    }

    /// Lives until the link is cut.
    async fn stay(
        &self,
        client: Client,
        link: &Link,
        held: &mut Held,
        place: &mut Option<Place>,
    ) -> anyhow::Result<()> {
        let living = client.live(self.clients.habit, held, place);
        tokio::select! {
            ended = living => return ended,
            () = self.cut.notified() => link.close(CloseCode::Done, "cut"),
        }
        Ok(())
    }
}
