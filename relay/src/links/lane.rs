//! The lane of a link: bundles from the shard, one at a time, onto one long stream.

use std::sync::Arc;

use link::connection::Link;
use node::engine::ENVELOPE_BYTES_MAX;
use node::ids::LinkId;
use schemas::class::Class;
use tokio::sync::mpsc;

use super::bundles::Bundle;
use super::session::Context;
use crate::driver::Input;
use crate::forms::LinkForm;

/// Writes bundles until the link or the driver ends. One class is in use, and so one lane.
pub(crate) async fn run(context: Arc<Context>, id: LinkId, link: Link, mut bundles: mpsc::Receiver<Arc<Bundle>>) {
    let Ok(mut lane) = link.open_lane(Class::Normal).await else { return };
    let form = LinkForm::of(link.peer_hello());
    let largest = link.peer_hello().document_bytes_max.saturating_sub(ENVELOPE_BYTES_MAX as u64);
    while let Some(bundle) = bundles.recv().await {
        // Only an item that goes alone can be longer than a bundle, and so than what every client takes.
        if let [part] = bundle.parts.as_slice()
            && part.len() as u64 > largest
        {
            tracing::warn!(
                link = id.0,
                bytes = part.len(),
                largest,
                "an item is longer than its client takes: refused for it"
            );
            let refused = Input::Answered { link: id, position: bundle.position, outcomes: vec![false] };
            let told =
                context.inputs.send(refused).await.is_ok() && context.inputs.send(Input::Ready(id)).await.is_ok();
            if told {
                continue;
            }
            return;
        }
        let (header, body) = bundle.in_form(context.server, &context.forms, form).await;
        if let Err(error) = lane.deliver(header, body).await {
            return tracing::debug!(link = id.0, %error, "the lane ended");
        }
        if context.inputs.send(Input::Ready(id)).await.is_err() {
            return;
        }
    }
}
