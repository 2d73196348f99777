//! The exchanges that this server opens with a client: a document down, the whole answer up.

use std::sync::Arc;

use bytes::Bytes;
use link::connection::Link;
use link::exchange;
use link::frame::{Frame, Kind};
use node::ids::{ExchangeId, LinkId};
use node::returned::{Question, Returned};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::exchange::decode;
use super::session::Context;
use crate::driver::Input;
use crate::reach;

/// An exchange that is to be opened. Boxed on its way: each link has places for it, and mostly none.
pub(crate) struct Opening {
    pub(crate) exchange: ExchangeId,
    pub(crate) question: Question,
    pub(crate) document: Vec<Bytes>,
    /// When the whole answer must be here.
    pub(crate) until: Instant,
}

/// Exchanges under way at once on a link; a client grants streams for more.
const AT_ONCE: usize = 4;
/// What may wait for one of these to end.
pub(crate) const WAITING: usize = 8;
/// Bytes of one answer, its reply and its deliveries together.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// Bytes of answers that are held at once, of all links together, until they are sent further up.
const HELD_BYTES_MAX: usize = 64 << 20;
/// What one permit stands for.
const PERMIT_BYTES: usize = 1 << 10;

/// For [`Context::answers`].
pub(crate) const PERMITS: usize = HELD_BYTES_MAX / PERMIT_BYTES;

/// Opens what the driver wants opened, until the link or the driver ends.
pub(crate) async fn run(context: Arc<Context>, id: LinkId, link: Link, mut openings: mpsc::Receiver<Box<Opening>>) {
    let mut exchanges = JoinSet::new();
    loop {
        tokio::select! {
            opening = openings.recv(), if exchanges.len() < AT_ONCE => match opening {
                Some(opening) => drop(exchanges.spawn(carry_out(context.clone(), id, link.clone(), opening))),
                None => return,
            },
            // One that is lost took an answer with it: the link ends, and the driver knows.
            Some(ended) = exchanges.join_next() => if ended.is_err() { return },
        }
    }
}

async fn carry_out(context: Arc<Context>, link_id: LinkId, link: Link, opening: Box<Opening>) {
    let Opening { exchange, question, document, until } = *opening;
    let outcome = match timeout_at(until, ask(&context, &link, question, &document)).await {
        Ok(outcome) => outcome,
        Err(_) => Err("the client did not answer in time".to_owned()),
    };
    if let Err(why) = &outcome {
        tracing::info!(link = link_id.0, why, "a client that was asked did not answer");
    }
    // The driver is gone only when nobody waits any more.
    drop(context.inputs.send(Input::Reach(reach::Input::Returned { link: link_id, exchange, outcome })).await);
}

async fn ask(context: &Context, link: &Link, question: Question, document: &[Bytes]) -> Result<Returned, String> {
    let mut stream = link.open_exchange(document).await.map_err(|error| format!("it was not asked: {error}"))?;
    let mut left = ANSWER_BYTES_MAX;
    let reply = match next(&mut stream).await? {
        Some(Frame { header, body }) if header.kind == Kind::Reply => {
            let body = hold(context, body, &mut left)?;
            read(context, body, move |facts| question.reply(&facts)).await?
        }
        _ => return Err("an answer without a reply".to_owned()),
    };
    let mut deliveries = Vec::new();
    while let Some(Frame { body, .. }) = next(&mut stream).await? {
        let body = hold(context, body, &mut left)?;
        deliveries.push(read(context, body, move |facts| question.delivery(&facts)).await?);
    }
    Ok(Returned { reply, deliveries })
}

async fn next(stream: &mut exchange::Outgoing) -> Result<Option<Frame>, String> {
    stream.recv().await.map_err(|error| format!("its answer broke off: {error}"))
}

async fn read<T: Send + 'static>(
    context: &Context,
    body: Bytes,
    find: impl FnOnce(schemas::facts::Validated) -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    match decode(context, body, |facts| Some(find(facts))).await {
        Ok(Some(found)) => found.map_err(|why| format!("its answer does not fit: {why}")),
        Ok(None) => Err("this server is stopping".to_owned()),
        Err(refused) => {
            context.metrics.refused(&refused);
            Err(format!("its answer cannot be read: {refused}"))
        }
    }
}

/// Bytes that count as held until the last slice of them is dropped.
struct Held {
    bytes: Bytes,
    _permits: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

fn hold(context: &Context, bytes: Bytes, left: &mut usize) -> Result<Bytes, String> {
    *left =
        left.checked_sub(bytes.len()).ok_or_else(|| format!("its answer is longer than {ANSWER_BYTES_MAX} bytes"))?;
    let permits = u32::try_from(bytes.len().div_ceil(PERMIT_BYTES)).unwrap_or(u32::MAX);
    let permits = context.answers.clone().try_acquire_many_owned(permits);
    let permits =
        permits.map_err(|_| "busy: as much as can be held of clients' answers waits to be sent on".to_owned())?;
    Ok(Bytes::from_owner(Held { bytes, _permits: permits }))
}
