//! The reply lane of a link: the client's answers to what was pushed.

use std::sync::Arc;

use link::close::CloseCode;
use link::connection::Link;
use node::answer;
use node::ids::{LinkId, Position};
use schemas::core::Root;

use super::exchange;
use super::session::Context;
use crate::driver::Input;

/// Reads replies until the link ends.
pub(crate) async fn run(context: Arc<Context>, id: LinkId, link: Link) {
    let Some(mut lane) = link.reply_lane() else { return };
    while let Ok(frame) = lane.recv().await {
        let (class, position) = (frame.header.class, Position(frame.header.position));
        let read = exchange::decode(&context, frame.body, |facts| match &facts.document().root {
            Root::Reply(reply) => Some(answer::outcomes(reply)),
            Root::Message(_) => None,
        });
        let outcomes = match read.await {
            Ok(Some(outcomes)) => outcomes,
            Ok(None) => return breach(&link, id, "a message where a reply belongs (10.1.5)"),
            Err(refused) => {
                context.metrics.refused(&refused);
                return breach(&link, id, &format!("an answer that cannot be read: {refused}"));
            }
        };
        for outcome in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            tracing::warn!(link = id.0, position = position.0, outcome, "an item was not taken");
        }
        let outcomes = outcomes.iter().map(Result::is_ok).collect();
        if context.inputs.send(Input::Answered { link: id, class, position, outcomes }).await.is_err() {
            return;
        }
    }
}

fn breach(link: &Link, id: LinkId, why: &str) {
    tracing::warn!(link = id.0, why, "the client broke the protocol");
    link.close(CloseCode::Protocol, why);
}
