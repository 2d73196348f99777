//! The reply lane of a link: the client's answers to what was pushed.

use std::sync::Arc;

use bytes::Bytes;
use link::close::CloseCode;
use link::connection::Link;
use link::lane::{Reply, ReplyBody};
use node::answer;
use node::ids::{LinkId, Position};
use schemas::class::Class;
use schemas::core::Root;

use super::apart::Items;
use super::exchange;
use super::session::Context;
use crate::driver::Input;

/// Reads replies until the link ends.
pub(crate) async fn run(context: Arc<Context>, id: LinkId, link: Link, items: Arc<Items>) {
    let Some(mut lane) = link.reply_lane() else { return };
    while let Ok(Reply { header, body }) = lane.recv().await {
        let (class, position) = (header.class, Position(header.position));
        let outcomes = match body {
            ReplyBody::Short(reply) => vec![true; usize::from(reply.items)],
            ReplyBody::Document(document) => match read(&context, id, position, document).await {
                Ok(outcomes) => outcomes,
                Err(why) => return breach(&link, id, &why),
            },
        };
        if class == Class::Bulk {
            items.answered(position.0);
        }
        if context.inputs.send(Input::Answered { link: id, class, position, outcomes }).await.is_err() {
            return;
        }
    }
}

/// Whether each item was taken; `Err` says how the document is no reply.
async fn read(context: &Context, id: LinkId, position: Position, document: Bytes) -> Result<Vec<bool>, String> {
    let read = exchange::decode(context, document, |facts| match &facts.document().root {
        Root::Reply(reply) => Some(answer::outcomes(reply)),
        Root::Message(_) => None,
    });
    let outcomes = read.await.map_err(|refused| {
        context.metrics.refused(&refused);
        format!("an answer that cannot be read: {refused}")
    })?;
    let outcomes = outcomes.ok_or("a message where a reply belongs (10.1.5)")?;
    for outcome in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        tracing::warn!(link = id.0, position = position.0, outcome, "an item was not taken");
    }
    Ok(outcomes.iter().map(Result::is_ok).collect())
}

fn breach(link: &Link, id: LinkId, why: &str) {
    tracing::warn!(link = id.0, why, "the client broke the protocol");
    link.close(CloseCode::Protocol, why);
}
