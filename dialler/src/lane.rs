//! What the server pushes, and the answers to it.

use link::close::CloseCode;
use link::connection::Link;
use link::error::RecvError;
use link::frame::{Frame, FrameHeader, Kind};
use link::lane::LaneReceiver;
use link::short::ShortReply;
use node::answer::Answer;
use node::ids::{Position, Push};
use node::intake::Intake;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::live::Answered;
use crate::{clock, documents};

/// Reads every lane that the server opens until the link ends.
pub(crate) async fn accept(link: Link, pushes: mpsc::Sender<(Push, Box<Intake>)>, answers: mpsc::Sender<Answered>) {
    let mut lanes = JoinSet::new();
    while let Ok(lane) = link.accept_lane().await {
        let read = read(link.clone(), lane, pushes.clone(), answers.clone());
        while lanes.try_join_next().is_some() {}
        lanes.spawn(async move {
            if let Err(error) = read.await {
                tracing::debug!(%error, "a lane ended");
            }
        });
    }
    // The link is gone, and each lane knows.
    while lanes.join_next().await.is_some() {}
}

/// Reads a lane until it ends. Waits while the owner takes no pushes: then the window fills, and the server waits too.
async fn read(
    link: Link,
    mut lane: LaneReceiver,
    pushes: mpsc::Sender<(Push, Box<Intake>)>,
    answers: mpsc::Sender<Answered>,
) -> Result<(), RecvError> {
    while let Some(Frame { header, body }) = lane.recv().await? {
        let push = Push { class: lane.class(), position: Position(header.position), settled: header.settled };
        match documents::read(body).await {
            Ok((_, intake)) => {
                let Some(intake) = intake else {
                    link.close(CloseCode::Protocol, "a reply where a delivery belongs (10.1.5)");
                    return Ok(());
                };
                let sent = tokio::select! {
                    sent = pushes.send((push, Box::new(intake))) => sent.is_ok(),
                    // The owner hears of that later, and the server sends it again.
                    _ = link.closed() => false,
                };
                if !sent {
                    return Ok(());
                }
            }
            Err(refused) => {
                let position = header.position;
                tracing::warn!(position, error = %refused, "a delivery cannot be read and is refused");
                let Some(answer) = Answer::to_refused(&refused) else {
                    link.close(CloseCode::Protocol, "a reply where a delivery belongs (10.1.5)");
                    return Ok(());
                };
                // Waits for the reply lane only, which waits for nobody here.
                if answers.send(Answered { push, spelling: refused.spelling, answer }).await.is_err() {
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
        let Some(Answered { push, spelling, answer }) = answered else { break };
        // Class and position say which push is meant.
        let delivery = FrameHeader::over(Kind::Delivery, &[]).in_class(push.class).at(push.position.0);
        let (message_id, time) = (clock::message_id(), clock::now());
        let items = answer.items_succeeded().and_then(|items| u16::try_from(items).ok());
        let sent = match items.filter(|_| lane.takes_short()) {
            Some(items) => lane.succeed(&delivery, ShortReply { items, message_id, sent_time: time.0 }).await,
            None => lane.reply(&delivery, &[answer.render(spelling, message_id, &clock::text(time))]).await,
        };
        if let Err(error) = sent {
            return tracing::debug!(%error, "the reply lane ended");
        }
    }
}
