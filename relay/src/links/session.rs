//! One link's life: Hello, then exchanges, lanes and reply lane side by side, until one of them ends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dialler::places;
use link::close::{CloseCode, ClosedBy};
use link::connection::Link;
use link::endpoint::Pending;
use link::hello::{Hello, RequestPolicy};
use node::engine::Welcome;
use node::ids::{ExchangeId, LinkId};
use schemas::guid::{Cid, ClientGuid};
use schemas::limits::Limits;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::apart::Items;
use super::bundles::Writing;
use super::lane::Lanes;
use super::notes::{self, Notes};
use super::reading::Reading;
use super::{exchange, lane, outgoing, replies};
use crate::driver::{Closing, Handle, Input, Newcomer};
use crate::metrics::Metrics;
use crate::store::Reader;
use crate::threads::Threads;

/// What every link's tasks need.
pub(crate) struct Context {
    /// How Deliveries are written.
    pub(crate) writing: Arc<Writing>,
    pub(crate) inputs: mpsc::Sender<Input>,
    pub(crate) reader: Reader,
    /// Counts changes of what may go on.
    pub(crate) epoch: Arc<AtomicU64>,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    /// Documents that are being read.
    pub(crate) reading: Reading,
    /// Long documents that are read at once.
    pub(crate) decoders: Threads,
    /// Bytes of clients' answers that may be held.
    pub(crate) answers: Arc<Semaphore>,
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
    // Boxed: what it takes to greet is not held by every link that stands.
    if let Some((link, ends)) = Box::pin(greet(context, id, pending)).await {
        live(context, id, &link, ends).await;
        if let Some(reason) = link.close_reason() {
            tracing::info!(link = id.0, %reason, "link down");
            if reason.by == ClosedBy::Peer && reason.code == CloseCode::Digest {
                tracing::warn!(link = id.0, "what the client got is not what its digest says: it is looked at again");
                drop(context.inputs.send(Input::DigestRefused).await);
            }
        }
    }
    // The driver may be gone first when the server stops.
    drop(context.inputs.send(Input::LinkDown(id)).await);
}

/// Says Hello, if the client is let in.
async fn greet(context: &Context, id: LinkId, pending: Pending) -> Option<(Link, Ends)> {
    let (client, from) = (ClientGuid(pending.peer().guid), pending.remote_addr());
    if pending.hello().document_bytes_max < DOCUMENT_BYTES_MIN {
        let text = format!("documents of {DOCUMENT_BYTES_MIN} bytes must be taken: that is a bundle");
        pending.refuse(CloseCode::Refused, &text);
        return None;
    }
    let (handle, ends) = channels();
    let (welcome_sender, welcome) = oneshot::channel();
    let resume = places::read(pending.hello());
    let mark = pending.hello().path.as_ref().and_then(|path| path.first()).copied();
    let newcomer = Newcomer { link: id, client, resume, mark, welcome: welcome_sender, handle };
    if context.inputs.send(Input::Hello(newcomer)).await.is_err() {
        pending.refuse(CloseCode::Drained, "this server is stopping");
        return None;
    }
    let Ok(welcome) = welcome.await else {
        pending.refuse(CloseCode::Busy, "this server cannot store anything now");
        return None;
    };
    match pending.accept(hello(&welcome)).await {
        Ok(link) => {
            let (behind, start) = (welcome.behind, welcome.start.everything().0);
            tracing::info!(link = id.0, behind, start, "link up");
            // R-8.3-8: no log says who it is, at any level.
            tracing::debug!(link = id.0, %from, "where it comes from");
            Some((link, ends))
        }
        Err(error) => {
            tracing::info!(link = id.0, %error, "the client left during Hello");
            None
        }
    }
}

/// What joins a link's tasks with the driver.
fn channels() -> (Handle, Ends) {
    let lanes = Arc::<Lanes>::default();
    let (opening_sender, openings) = mpsc::channel(outgoing::WAITING);
    let (notes_sender, notes) = watch::channel(Notes::default());
    let (close, closing) = oneshot::channel();
    let handle = Handle { lanes: Arc::clone(&lanes), openings: opening_sender, notes: notes_sender, close };
    (handle, Ends { lanes, openings, notes, closing })
}

/// The link's ends of what the driver tells it.
struct Ends {
    lanes: Arc<Lanes>,
    openings: mpsc::Receiver<Box<outgoing::Opening>>,
    notes: watch::Receiver<Notes>,
    closing: oneshot::Receiver<Closing>,
}

async fn live(context: &Arc<Context>, id: LinkId, link: &Link, ends: Ends) {
    let mut tasks = JoinSet::new();
    let items = Arc::new(Items::new(context.clone(), link.clone()));
    tasks.spawn(lane::run(context.clone(), id, link.clone(), ends.lanes, items.clone()));
    tasks.spawn(outgoing::run(context.clone(), id, link.clone(), ends.openings));
    tasks.spawn(replies::run(context.clone(), id, link.clone(), items));
    tasks.spawn(notes::tell(link.clone(), ends.notes));
    let exchanges = accept_exchanges(context, id, link);
    let mut closing = ends.closing;
    tokio::select! {
        // A link that the driver lets go of loses its tasks as well: what the driver says of it comes first.
        biased;
        told = &mut closing => match told {
            Ok(Closing::Replaced) => link.close(CloseCode::Replaced, "a newer link of this GUID took its place"),
            Ok(Closing::Breach(why)) => {
                tracing::warn!(link = id.0, why, "the client broke the protocol");
                link.close(CloseCode::Protocol, &why);
            }
            Err(_) => link.close(CloseCode::Internal, "the link was given up"),
        },
        () = exchanges => {}
        reason = link.closed() => drop(reason),
        // A link without one of its tasks would look alive and do nothing.
        ended = tasks.join_next() => {
            tracing::info!(link = id.0, panicked = ended.is_some_and(|ended| ended.is_err()), "a part of the link ended");
            link.close(CloseCode::Done, "a lane or the reply lane ended");
        }
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
            // One that is over holds the room of its task until it is taken from the set: links that stand for days with
            // nothing to say would each hold that of their first two.
            Some(_) = exchanges.join_next() => continue,
            // What is under way is finished; the link ends when the server closes it.
            () = context.stopping.cancelled() => std::future::pending().await,
        };
        let Ok(incoming) = incoming else { break };
        let exchange = ExchangeId(next.fetch_add(1, Ordering::Relaxed));
        let run = exchange::run(context.clone(), id, exchange, incoming);
        exchanges.spawn(context.exchanges.track_future(run));
    }
}

fn hello(welcome: &Welcome) -> Hello {
    let own = Hello {
        behind: welcome.behind,
        generation: Some(welcome.generation),
        policy: vec![RequestPolicy { cid: Cid::VERSION.0, accepts: accepts(welcome.full_of_everything) }],
        path: Some(welcome.path.clone()),
        ..Hello::default()
    };
    places::write(own.reading_all_forms(), Some(welcome.start))
}

/// What may be asked of this server, at all or with Message_Data only (R-8.2.2-6).
fn accepts(full_of_everything: bool) -> Vec<String> {
    let text = |text: &str| {
        if text.ends_with(":Full") && !text.starts_with("Deliver") && !full_of_everything {
            format!("{text}+data")
        } else {
            text.to_owned()
        }
    };
    REQUEST_POLICY.map(text).to_vec()
}

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
    use node::ids::{Position, Resume};
    use schemas::mark::Mark;

    use super::*;

    #[test]
    fn hello_says_the_path_and_what_may_be_asked() {
        let start = Resume::at(3, Position(9), None);
        let path = vec![Mark::of(7), Mark::of(8)];
        let welcome = Welcome { generation: 1, behind: false, start, path: path.clone(), full_of_everything: false };
        let hello = hello(&welcome);
        assert_eq!(hello.path, Some(path));
        let accepts = &hello.policy[0].accepts;
        assert!(accepts.contains(&"Request:Full+data".to_owned()) && !accepts.contains(&"Request:Full".to_owned()));
    }
}
