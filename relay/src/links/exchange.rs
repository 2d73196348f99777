//! One exchange: a document in, its answer out, then the items that were asked for.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use dialler::clock;
use link::close::CloseCode;
use link::error::SendError;
use link::exchange::{Exchange, Incoming};
use link::frame::Frame;
use node::answer::Answer;
use node::bundle;
use node::catalogue::{Due, Form, Stretch};
use node::engine::{ENVELOPE_BYTES_MAX, ReplyTo};
use node::entry;
use node::ids::{ExchangeId, LinkId, Position};
use node::intake::Intake;
use schemas::class::Class;
use schemas::error::Refused;
use schemas::facts::Validated;
use tokio::sync::oneshot;

use super::bundles::Bundle;
use super::session::Context;
use crate::driver::Input;
use crate::forms::LinkForm;

/// Above this a document is read on a thread that may take its time.
const INLINE_BYTES: usize = 256 << 10;

/// Carries out one exchange.
pub(crate) async fn run(context: Arc<Context>, link: LinkId, id: ExchangeId, incoming: Incoming) {
    let exchange = match incoming.document().await {
        Ok(exchange) => exchange,
        Err(error) => return tracing::debug!(link = link.0, %error, "an exchange came to nothing"),
    };
    context.metrics.documents_in.inc();
    let done = match read(&context, exchange.document()).await {
        Ok(Some(intake)) => answer(&context, link, id, exchange, intake).await,
        Ok(None) => {
            exchange.abandon(CloseCode::Protocol);
            Ok(())
        }
        Err(refused) => refuse(&context, link, exchange, &refused).await,
    };
    if let Err(error) = done {
        tracing::debug!(link = link.0, %error, "the answer of an exchange did not arrive");
    }
}

async fn read(context: &Context, document: &Frame) -> Result<Option<Box<Intake>>, Refused> {
    let decode = |body| {
        context.metrics.documents_read.inc();
        decode(context, body, |facts| Intake::of(&facts).map(Arc::new))
    };
    let found = context.reading.of(document, decode).await?;
    Ok(found.map(|intake| Box::new(Arc::unwrap_or_clone(intake))))
}

/// The only door from bytes to facts, for whatever comes on a link. Long documents are read on threads that may take
/// their time, a few at once: the types of a document take more memory than its bytes.
pub(super) async fn decode<T: Send + 'static>(
    context: &Context,
    body: Bytes,
    read: impl FnOnce(Validated) -> T + Send + 'static,
) -> Result<T, Refused> {
    let (limits, small) = (context.limits.clone(), body.len() <= INLINE_BYTES);
    let decode = move || Validated::new(body, &limits).map(read);
    if small {
        return decode();
    }
    context.decoders.run(decode).await
}

async fn refuse(context: &Context, link: LinkId, mut exchange: Exchange, refused: &Refused) -> Result<(), SendError> {
    context.metrics.refused(refused);
    tracing::info!(link = link.0, error = %refused, "a document was refused");
    let Some(answer) = Answer::to_refused(refused) else {
        exchange.abandon(CloseCode::Protocol);
        return Ok(());
    };
    let reply = answer.render(refused.spelling, clock::message_id(), &clock::text(clock::now()));
    exchange.reply(0, &[reply]).await?;
    exchange.end().await
}

async fn answer(
    context: &Context,
    link: LinkId,
    id: ExchangeId,
    mut exchange: Exchange,
    intake: Box<Intake>,
) -> Result<(), SendError> {
    let (sender, receiver) = oneshot::channel();
    let input = Input::Document { link, exchange: id, intake, answer: sender };
    if context.inputs.send(input).await.is_err() {
        exchange.abandon(CloseCode::Drained);
        return Ok(());
    }
    let Ok(reply) = receiver.await else {
        exchange.abandon(CloseCode::Drained);
        return Ok(());
    };
    let done = answer_with(context, &mut exchange, &reply).await;
    if !reply.asks.is_empty() {
        // The driver is gone only when this link is.
        drop(context.inputs.send(Input::AnswerEnded(link, id)).await);
    }
    done?;
    exchange.end().await
}

async fn answer_with(context: &Context, exchange: &mut Exchange, reply: &ReplyTo) -> Result<(), SendError> {
    let text = reply.answer.render(reply.spelling, clock::message_id(), &clock::text(clock::now()));
    exchange.reply(reply.snapshot.0, &[text]).await?;
    if reply.asks.is_empty() { Ok(()) } else { deliver(context, exchange, reply).await }
}

/// What was asked for, in stretches and bundles; waits for the asker, never for anybody else.
async fn deliver(context: &Context, exchange: &mut Exchange, reply: &ReplyTo) -> Result<(), SendError> {
    let mut after = Position(0);
    loop {
        let epoch = context.epoch.load(Ordering::Acquire);
        let (answer, stretch) = oneshot::channel();
        let (asks, snapshot) = (reply.asks.clone(), reply.snapshot);
        let input = Input::Stretch { asks, after, snapshot, answer };
        // The driver is gone only when this link is.
        let (Ok(()), Ok(stretch)) = (context.inputs.send(input).await, stretch.await) else { break };
        match deliver_stretch(context, exchange, &stretch, epoch).await? {
            Some(through) => after = through.max(after),
            None if stretch.complete => break,
            None => after = stretch.through,
        }
    }
    Ok(())
}

/// Answers how far it came, if it stopped because what was looked up may not go on any more.
async fn deliver_stretch(
    context: &Context,
    exchange: &mut Exchange,
    stretch: &Stretch,
    epoch: u64,
) -> Result<Option<Position>, SendError> {
    let limits = bundle::Limits::default();
    let largest = exchange.link().peer_hello().document_bytes_max.saturating_sub(ENVELOPE_BYTES_MAX as u64);
    let form = LinkForm::of(exchange.link().peer_hello());
    let mut due = stretch.due.as_slice();
    let mut through = Position(0);
    while !due.is_empty() {
        if context.epoch.load(Ordering::Acquire) != epoch {
            return Ok(Some(through));
        }
        let count = limits.first(due.iter().map(|due| (due.bytes, due.spelling)));
        let (now, later) = due.split_at(count);
        due = later;
        through = now.last().map_or(through, |last| last.position);
        let positions: Vec<Position> = now.iter().map(|due| due.position).collect();
        let bytes = now.iter().map(|due| due.bytes).sum();
        drop_damaged(context, positions.clone(), bytes).await;
        let parts = now.iter().filter_map(|due| bytes_of(context, due));
        let parts: Vec<Bytes> = parts.filter(|part| fits(part, largest)).collect();
        let (Some(last), false) = (now.last(), parts.is_empty()) else { continue };
        context.metrics.items_answered.inc_by(parts.len() as u64);
        let bundle = Bundle::new(context.writing.clone(), Class::default(), last.spelling, positions, parts);
        let (header, body) = bundle.in_form(form).await;
        exchange.deliver(header, body).await?;
    }
    Ok(None)
}

/// Whether the asker takes a document with this part, as his Hello says.
fn fits(part: &Bytes, largest: u64) -> bool {
    let fits = part.len() as u64 <= largest;
    if !fits {
        tracing::warn!(bytes = part.len(), largest, "an item is longer than its asker takes, and is left out");
    }
    fits
}

/// What is not what was stored counts as trimmed from here on.
async fn drop_damaged(context: &Context, positions: Vec<Position>, bytes: u64) {
    let damaged = context.writing.damaged(positions, usize::try_from(bytes).unwrap_or(usize::MAX)).await;
    if !damaged.is_empty() {
        // The driver is gone only when this link is.
        drop(context.inputs.send(Input::Damaged(damaged)).await);
    }
}

/// `None` if the item was trimmed meanwhile: whoever may miss it is told that he is behind. Or evicted: what replaced it comes.
fn bytes_of(context: &Context, due: &Due) -> Option<Bytes> {
    let bytes = context.reader.read(due.position.0)?;
    match due.form {
        Form::Whole => Some(bytes),
        Form::Derived => entry::derive(&bytes),
    }
}
