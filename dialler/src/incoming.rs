//! The exchanges that the server opens: a document in, its answer by the owner out. Every message ends in exactly one
//! reply (R-3.1.11-1).

use bytes::Bytes;
use link::close::CloseCode;
use link::error::SendError;
use link::exchange::{Exchange, Incoming as Opened};
use link::frame::{FrameHeader, Kind};
use node::answer::Answer;
use node::intake::Intake;
use schemas::core::{Part, Payload, Root};
use schemas::facts::Validated;
use schemas::names::Spelling;
use schemas::part;
use tokio::sync::{mpsc, oneshot};

use crate::live::{Answering, Incoming, Said};
use crate::{clock, documents};

/// Reads one document, and answers it as the owner says; what cannot be read needs no owner.
pub(crate) async fn run(opened: Opened, said: mpsc::Sender<Said>) {
    let exchange = match opened.document().await {
        Ok(exchange) => exchange,
        Err(error) => return tracing::debug!(%error, "an exchange of the server came to nothing"),
    };
    let read = documents::decode(exchange.document().body.clone(), |facts| {
        Intake::of(&facts).map(|intake| (intake, outermost_parts(&facts)))
    });
    let (spelling, answering) = match read.await {
        Ok(Some((intake, parts))) => (intake.spelling, ask(intake, parts, &said).await),
        // R-10.1.6-10: a reply is not answered, and opens nothing.
        Ok(None) => return exchange.abandon(CloseCode::Protocol),
        Err(refused) => match Answer::to_refused(&refused) {
            Some(answer) => (refused.spelling, Some(Answering { answer, deliveries: Vec::new() })),
            None => return exchange.abandon(CloseCode::Protocol),
        },
    };
    let Some(answering) = answering else { return exchange.abandon(CloseCode::Drained) };
    if let Err(error) = answer(exchange, spelling, answering).await {
        tracing::debug!(%error, "the answer to an exchange of the server did not arrive");
    }
}

/// What the owner says, if he does.
async fn ask(intake: Intake, parts: Vec<Bytes>, said: &mpsc::Sender<Said>) -> Option<Answering> {
    let (answer, answering) = oneshot::channel();
    said.send(Said::Incoming(Incoming { intake: Box::new(intake), parts, answer })).await.ok()?;
    answering.await.ok()
}

async fn answer(mut exchange: Exchange, spelling: Spelling, answering: Answering) -> Result<(), SendError> {
    let Answering { answer, deliveries } = answering;
    let reply = answer.render(spelling, clock::message_id(), &clock::text(clock::now()));
    exchange.reply(0, &[reply]).await?;
    for delivery in deliveries {
        exchange.deliver(&FrameHeader::over(Kind::Delivery, &delivery), &delivery).await?;
    }
    exchange.end().await
}

fn outermost_parts(facts: &Validated) -> Vec<Bytes> {
    let Root::Message(core) = &facts.document().root else { return Vec::new() };
    match &core.payload {
        Payload::Messages(_) => Vec::new(),
        Payload::Bundle(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Good(core) => part::addressed(facts, core),
                Part::Bad(_) => Bytes::new(),
            })
            .collect(),
    }
}
