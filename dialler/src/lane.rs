//! What the server pushes, and the answers to it.

use link::close::CloseCode;
use link::connection::Link;
use link::error::RecvError;
use link::frame::{Frame, FrameHeader, Kind};
use link::short::ShortReply;
use node::answer::Answer;
use node::ids::Position;
use node::intake::Intake;
use schemas::class::Class;
use tokio::sync::mpsc;

use crate::live::Answered;
use crate::{clock, documents};

/// Reads the lane until the link ends. Waits while the owner takes no pushes: then the window fills, and the server
/// waits too.
pub(crate) async fn read(
    link: Link,
    pushes: mpsc::Sender<(Position, Box<Intake>)>,
    answers: mpsc::Sender<Answered>,
) -> Result<(), RecvError> {
    let mut lane = link.accept_lane().await?;
    if lane.class() != Class::Normal {
        // The resume position is one number: two lanes would need two.
        link.close(CloseCode::Protocol, "this client takes the normal lane only");
        return Ok(());
    }
    while let Some(Frame { header, body }) = lane.recv().await? {
        let position = Position(header.position);
        match documents::read(body).await {
            Ok((_, intake)) => {
                let Some(intake) = intake else {
                    link.close(CloseCode::Protocol, "a reply where a delivery belongs (10.1.5)");
                    return Ok(());
                };
                if pushes.send((position, Box::new(intake))).await.is_err() {
                    return Ok(());
                }
            }
            Err(refused) => {
                tracing::warn!(position = position.0, error = %refused, "a delivery cannot be read and is refused");
                let Some(answer) = Answer::to_refused(&refused) else {
                    link.close(CloseCode::Protocol, "a reply where a delivery belongs (10.1.5)");
                    return Ok(());
                };
                // Waits for the reply lane only, which waits for nobody here.
                if answers.send(Answered { position, spelling: refused.spelling, answer }).await.is_err() {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Writes answers until there can be none any more. `refusals` are those that need no decision.
pub(crate) async fn answer(link: Link, mut answers: mpsc::Receiver<Answered>, mut refusals: mpsc::Receiver<Answered>) {
    let Some(mut lane) = link.replies() else { return };
    loop {
        let answered = tokio::select! {
            answered = answers.recv() => answered,
            Some(refusal) = refusals.recv() => Some(refusal),
        };
        let Some(Answered { position, spelling, answer }) = answered else { break };
        // Class and position say which push is meant.
        let push = FrameHeader::over(Kind::Delivery, &[]).in_class(Class::Normal).at(position.0);
        let (message_id, time) = (clock::message_id(), clock::now());
        let items = answer.items_succeeded().and_then(|items| u16::try_from(items).ok());
        let sent = match items.filter(|_| lane.takes_short()) {
            Some(items) => lane.succeed(&push, ShortReply { items, message_id, sent_time: time.0 }).await,
            None => lane.reply(&push, &[answer.render(spelling, message_id, &clock::text(time))]).await,
        };
        if let Err(error) = sent {
            return tracing::debug!(%error, "the reply lane ended");
        }
    }
}
