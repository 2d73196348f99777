//! Dialling, and one link's life: lanes, exchanges, answers and control side by side, until one of them ends it.

use std::sync::Arc;
use std::time::Duration;

use link::apart::Partials;
use link::backoff::Backoff;
use link::close::{CloseCode, CloseReason};
use link::connection::Link;
use link::endpoint::Client;
use link::hello::{Hello, Partial};
use link::lane::ControlEvent;
use link::reconnect::{Reconnect, Target};
use link::tls;
use node::ids::{Position, Resume};
use schemas::guid::{Cid, ClientGuid};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::exchange::Headers;
use crate::live::{Live, Said, Told};
use crate::{Hop, exchange, incoming, lane, places};

/// Answers that may wait for the reply lane: more than a server leaves unanswered (256 items on each lane, each alone).
const ANSWERS: usize = 1024;
/// What the server says that may wait for the owner, and what the owner asks that may wait for the link. A document each,
/// so few.
const WAITING: usize = 4;
/// A server that has not gone on with an item after so long on a link sends something else.
const UNWANTED: Duration = Duration::from_secs(600);

/// What dialling needs.
pub struct Dialler {
    /// The endpoint.
    pub endpoint: Arc<Client>,
    /// Whom to dial.
    pub target: Target,
    /// Between whom.
    pub hop: Hop,
    /// What the server calls this client now: for the headers of whatever is asked.
    pub name: watch::Receiver<ClientGuid>,
    /// What each Hello says, beside the resume position.
    pub hello: Hello,
    /// For the Hello: what is held durably.
    pub resume: watch::Receiver<Option<Resume>>,
    /// The owner.
    pub told: mpsc::Sender<Told>,
}

/// Keeps a link up until `stop`, or until the owner is gone.
pub async fn dial(dialler: Dialler, stop: CancellationToken) {
    let mut reconnect = Reconnect::new(Backoff::default(), tls::random_u64);
    let partials = Partials::default();
    loop {
        let own = dialler.hello.clone().reading_all_forms();
        let hello =
            || Hello { partials: Some(partials.offer()), ..places::write(own.clone(), *dialler.resume.borrow()) };
        let dialled = reconnect.dial(&dialler.endpoint, dialler.target, hello, |error, wait| {
            let wait_ms = wait.as_millis();
            tracing::warn!(server = %dialler.target.addr, %error, wait_ms, "no link; trying again");
        });
        let link = tokio::select! {
            link = dialled => link,
            () = stop.cancelled() => return,
        };
        link.keep_partials(&partials);
        let up = Instant::now();
        let Some(reason) = live(&dialler, &link, &partials).await else { return };
        if dialler.told.send(Told::Down).await.is_err() || stop.is_cancelled() {
            return;
        }
        let wait = reconnect.ended(&reason, up.elapsed());
        tracing::info!(%reason, wait_ms = wait.as_millis(), "link down");
    }
}

/// Lives one link; `None` if the owner is gone.
async fn live(dialler: &Dialler, link: &Link, partials: &Partials) -> Option<CloseReason> {
    let Some(start) = places::read(link.peer_hello()) else {
        link.close(CloseCode::Protocol, "a Hello that names no incarnation or not the start of every lane");
        return Some(link.closed().await);
    };
    let behind = link.peer_hello().behind;
    tracing::info!(server = %dialler.target.addr, behind, start = start.everything().0, "link up");
    let (push_sender, pushes) = mpsc::channel(1);
    let (said_sender, said) = mpsc::channel(WAITING);
    let (answers, answer_receiver) = mpsc::channel(ANSWERS);
    let (refusals, refusal_receiver) = mpsc::channel(WAITING);
    let (asks, ask_receiver) = mpsc::channel(WAITING);
    let policy = policy(link.peer_hello());
    let path = link.peer_hello().path.clone().unwrap_or_default();
    let live = Live { behind, start, policy, path, pushes, said, answers, asks };
    dialler.told.send(Told::Up(Box::new(live))).await.ok()?;

    let (mut lanes, mut tasks) = (JoinSet::new(), JoinSet::new());
    lanes.spawn(lane::accept(link.clone(), push_sender, refusals));
    tasks.spawn(forget(partials.clone(), partials.offer()));
    tasks.spawn(control(link.clone(), said_sender.clone()));
    tasks.spawn(accept(link.clone(), said_sender.clone()));
    tasks.spawn(exchange::run(
        link.clone(),
        Headers { server: dialler.hop.server, name: dialler.name.clone() },
        ask_receiver,
        said_sender,
    ));
    let reason = tokio::select! {
        // Every answer is written and no more can come: the owner has let go of the link.
        () = lane::answer(link.clone(), answer_receiver, refusal_receiver) => {
            link.close(CloseCode::Done, "this client has no more use for the link");
            link.closed().await
        }
        reason = link.closed() => reason,
    };
    // With the lanes ends what came of items, which the next Hello lists.
    while lanes.join_next().await.is_some() {}
    Some(reason)
}

/// Forgets what was offered to a server and is no more wanted: an item that something newer has replaced, for example.
async fn forget(partials: Partials, offered: Vec<Partial>) {
    tokio::time::sleep(UNWANTED).await;
    offered.into_iter().for_each(|partial| partials.forget(partial.digest));
}

async fn control(link: Link, said: mpsc::Sender<Said>) {
    let Some(mut control) = link.control() else { return };
    while let Ok(event) = control.recv().await {
        let heard = match event {
            ControlEvent::Behind { position } => Said::Behind(Position(position)),
            ControlEvent::Path(path) => Said::Path(path),
        };
        if said.send(heard).await.is_err() {
            return;
        }
    }
}

/// Each exchange of the server runs by itself; QUIC's stream limit bounds how many do.
async fn accept(link: Link, said: mpsc::Sender<Said>) {
    let mut exchanges = JoinSet::new();
    while let Ok(incoming) = link.accept_exchange().await {
        while exchanges.try_join_next().is_some() {}
        exchanges.spawn(incoming::run(incoming, said.clone()));
    }
}

/// What the server takes of the version messages.
fn policy(hello: &Hello) -> Option<Vec<String>> {
    let of_versions = hello.policy.iter().find(|policy| policy.cid == Cid::VERSION.0);
    of_versions.map(|policy| policy.accepts.clone())
}
