//! One link's life: Hello, then exchanges, lane and reply lane side by side, until one of them ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use link::close::CloseCode;
use link::connection::Link;
use link::endpoint::Pending;
use link::hello::{Hello, RequestPolicy, Resume as WireResume};
use link::path::Mark;
use node::engine::Welcome;
use node::ids::{ExchangeId, LinkId, Position, Resume};
use schemas::class::Class;
use schemas::digest::Digest;
use schemas::guid::{Cid, ClientGuid, ServerGuid};
use schemas::limits::Limits;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{exchange, lane, replies};
use crate::driver::{Closing, Handle, Input, Newcomer};
use crate::metrics::Metrics;
use crate::store::Reader;

/// What every link's tasks need.
pub(crate) struct Context {
    pub(crate) server: ServerGuid,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) reader: Reader,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    /// Long documents that are read at once.
    pub(crate) decoders: Semaphore,
    /// Exchanges under way.
    pub(crate) exchanges: TaskTracker,
    /// No new exchange is taken.
    pub(crate) stopping: CancellationToken,
    /// Closes links in good order.
    pub(crate) drain: CancellationToken,
}

/// Every client takes at least a bundle and its envelope.
const DOCUMENT_BYTES_MIN: u64 = 128 << 10;

/// Lives one link.
pub(crate) async fn run(context: &Arc<Context>, id: LinkId, pending: Pending) {
    let (client, from) = (ClientGuid(pending.peer().guid), pending.remote_addr());
    if pending.hello().document_bytes_max < DOCUMENT_BYTES_MIN {
        let text = format!("documents of {DOCUMENT_BYTES_MIN} bytes must be taken: that is a bundle");
        return pending.refuse(CloseCode::Refused, &text);
    }
    let (lane_sender, lane_receiver) = mpsc::channel(1);
    let (behind_sender, behind_receiver) = watch::channel(0);
    let (close, closing) = oneshot::channel();
    let (welcome_sender, welcome) = oneshot::channel();
    let handle = Handle { lane: lane_sender, behind: behind_sender, close };
    let resume = resume_of(pending.hello());
    let newcomer = Newcomer { link: id, client, resume, welcome: welcome_sender, handle };
    if context.inputs.send(Input::Hello(newcomer)).await.is_err() {
        return pending.refuse(CloseCode::Drained, "this server is stopping");
    }
    let Ok(welcome) = welcome.await else {
        pending.refuse(CloseCode::Busy, "this server cannot store anything now");
        drop(context.inputs.send(Input::LinkDown(id)).await);
        return;
    };
    match pending.accept(hello(context.server, &welcome)).await {
        Ok(link) => {
            let (behind, start) = (welcome.behind, welcome.start.position.0);
            tracing::info!(link = id.0, behind, start, "link up");
            // R-8.3-8: no log says who it is, at any level.
            tracing::debug!(link = id.0, %from, "where it comes from");
            let ends = Ends { lane: lane_receiver, behind: behind_receiver, closing };
            live(context, id, &link, ends).await;
            context.metrics.add_link(link.counters());
            if let Some(reason) = link.close_reason() {
                tracing::info!(link = id.0, %reason, "link down");
            }
        }
        Err(error) => tracing::info!(link = id.0, %error, "the client left during Hello"),
    }
    // The driver may be gone first when the server stops.
    drop(context.inputs.send(Input::LinkDown(id)).await);
}

/// The link's ends of what the driver tells it.
struct Ends {
    lane: mpsc::Receiver<lane::Bundle>,
    behind: watch::Receiver<u64>,
    closing: oneshot::Receiver<Closing>,
}

async fn live(context: &Arc<Context>, id: LinkId, link: &Link, ends: Ends) {
    let mut tasks = JoinSet::new();
    tasks.spawn(lane::run(context.clone(), id, link.clone(), ends.lane));
    tasks.spawn(replies::run(context.clone(), id, link.clone()));
    tasks.spawn(tell_behind(link.clone(), ends.behind));
    let exchanges = accept_exchanges(context, id, link);
    let mut closing = ends.closing;
    tokio::select! {
        () = exchanges => {}
        reason = link.closed() => drop(reason),
        // A link without one of its tasks would look alive and do nothing.
        ended = tasks.join_next() => {
            tracing::info!(link = id.0, panicked = ended.is_some_and(|ended| ended.is_err()), "a part of the link ended");
            link.close(CloseCode::Done, "a lane or the reply lane ended");
        }
        told = &mut closing => match told {
            Ok(Closing::Replaced) => link.close(CloseCode::Replaced, "a newer link of this GUID took its place"),
            Ok(Closing::Breach(why)) => {
                tracing::warn!(link = id.0, why, "the client broke the protocol");
                link.close(CloseCode::Protocol, &why);
            }
            Err(_) => link.close(CloseCode::Internal, "the link was given up"),
        },
        () = context.drain.cancelled() => link.close(CloseCode::Drained, "this server is stopping"),
    }
}

/// Each exchange runs by itself; QUIC's stream limit bounds how many do.
async fn accept_exchanges(context: &Arc<Context>, id: LinkId, link: &Link) {
    let next = AtomicU64::new(1);
    let mut exchanges = JoinSet::new();
    loop {
        let incoming = tokio::select! {
            incoming = link.accept_exchange() => incoming,
            // What is under way is finished; the link ends when the server closes it.
            () = context.stopping.cancelled() => std::future::pending().await,
        };
        let Ok(incoming) = incoming else { break };
        while exchanges.try_join_next().is_some() {}
        let exchange = ExchangeId(next.fetch_add(1, Ordering::Relaxed));
        let run = exchange::run(context.clone(), id, exchange, incoming);
        exchanges.spawn(context.exchanges.track_future(run));
    }
}

async fn tell_behind(link: Link, mut behind: watch::Receiver<u64>) {
    while behind.changed().await.is_ok() {
        let position = *behind.borrow_and_update();
        if link.behind(position).await.is_err() {
            break;
        }
    }
}

fn resume_of(hello: &Hello) -> Option<Resume> {
    let resume = hello.resume_of(Class::Normal)?;
    Some(Resume {
        incarnation: hello.incarnation?,
        position: Position(resume.position),
        digest: Some(resume.digest).filter(|digest| *digest != Digest::default()),
    })
}

fn hello(server: ServerGuid, welcome: &Welcome) -> Hello {
    let resume = WireResume {
        class: Class::Normal,
        position: welcome.start.position.0,
        digest: welcome.start.digest.unwrap_or_default(),
    };
    Hello {
        incarnation: Some(welcome.start.incarnation),
        resume: vec![resume],
        behind: welcome.behind,
        generation: Some(welcome.generation),
        policy: vec![RequestPolicy { cid: Cid::VERSION.0, accepts: REQUEST_POLICY.map(str::to_owned).to_vec() }],
        path: Some(vec![Mark::of(server.0)]),
        ..Hello::default()
    }
}

/// What may be asked of this server (R-8.2.2-6).
const REQUEST_POLICY: [&str; 10] = [
    "Register:",
    "Register:Full",
    "Register:Catalog",
    "Register:End",
    "Request:",
    "Request:Full",
    "Request:Catalog",
    "Deliver:",
    "Deliver:Full",
    "Deliver:Catalog",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_server_with_none_above_it_is_its_own_mark() {
        let start = Resume { incarnation: 3, position: Position(9), digest: None };
        let welcome = Welcome { generation: 1, behind: false, start };
        assert_eq!(hello(ServerGuid(7), &welcome).path, Some(vec![Mark::of(7)]));
    }
}
