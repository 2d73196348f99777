//! The lane of a link: bundles from the shard, one at a time, onto one long stream.

use std::sync::Arc;

use bytes::Bytes;
use dialler::clock;
use link::connection::Link;
use link::frame::{FrameHeader, Kind};
use node::bundle::{self, Outer};
use node::engine::ENVELOPE_BYTES_MAX;
use node::ids::{LinkId, Position};
use schemas::class::Class;
use schemas::names::Spelling;
use tokio::sync::mpsc;

use super::session::Context;
use crate::driver::Input;

/// What a shard sends.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Of the last item.
    pub(crate) position: Position,
    /// Of all items.
    pub(crate) spelling: Spelling,
    /// The items' bytes, shared with every other link that gets them.
    pub(crate) parts: Vec<Bytes>,
}

/// Writes bundles until the link or the driver ends. One class is in use, and so one lane.
pub(crate) async fn run(context: Arc<Context>, id: LinkId, link: Link, mut bundles: mpsc::Receiver<Bundle>) {
    let Ok(mut lane) = link.open_lane(Class::Normal).await else { return };
    let largest = link.peer_hello().document_bytes_max.saturating_sub(ENVELOPE_BYTES_MAX as u64);
    while let Some(Bundle { position, spelling, parts }) = bundles.recv().await {
        // Only an item that goes alone can be longer than a bundle, and so than what every client takes.
        if let [part] = parts.as_slice()
            && part.len() as u64 > largest
        {
            tracing::warn!(
                link = id.0,
                bytes = part.len(),
                largest,
                "an item is longer than its client takes: refused for it"
            );
            let refused = Input::Answered { link: id, position, outcomes: vec![false] };
            let told =
                context.inputs.send(refused).await.is_ok() && context.inputs.send(Input::Ready(id)).await.is_ok();
            if told {
                continue;
            }
            return;
        }
        let time = clock::now();
        let sent_time = clock::text(time);
        let outer =
            Outer { server: context.server, client: None, message_id: clock::message_id(), sent_time: &sent_time };
        let body = bundle::document(spelling, &outer, parts);
        let header = FrameHeader::over(Kind::Delivery, &body).in_class(Class::Normal).at(position.0).fresh(time.0);
        if let Err(error) = lane.deliver(&header, &body).await {
            return tracing::debug!(link = id.0, %error, "the lane ended");
        }
        if context.inputs.send(Input::Ready(id)).await.is_err() {
            return;
        }
    }
}
