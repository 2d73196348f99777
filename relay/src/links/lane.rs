//! The lanes of a link: bundles from the shard, of each class one at a time, onto one long stream for each class.

use std::sync::Arc;

use link::connection::Link;
use link::error::SendError;
use node::engine::ENVELOPE_BYTES_MAX;
use node::ids::LinkId;
use schemas::class::{Class, PerClass};
use tokio::sync::mpsc;

use super::bundles::Bundle;
use super::session::Context;
use crate::driver::Input;
use crate::forms::LinkForm;

/// A bundle for one link.
#[derive(Debug)]
pub(crate) struct Pushed {
    /// What others may get as well.
    pub(crate) bundle: Arc<Bundle>,
    /// Of which other classes nothing is on its way on this link.
    pub(crate) settled: PerClass<bool>,
}

/// Ends of the channels by which the driver hands over bundles.
pub(crate) type Bundles = PerClass<mpsc::Receiver<Pushed>>;

/// Writes bundles until the link or the driver ends. All lanes in one task: most links are idle most of the time.
pub(crate) async fn run(context: Arc<Context>, id: LinkId, link: Link, bundles: Bundles) {
    let [critical, normal, bulk] = bundles.into_array();
    let write = |class, bundles| write(&context, id, &link, class, bundles);
    let ended = tokio::select! {
        ended = write(Class::Critical, critical) => ended,
        ended = write(Class::Normal, normal) => ended,
        ended = write(Class::Bulk, bulk) => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(link = id.0, %error, "a lane ended");
    }
}

/// Writes the bundles of one class. The lane is opened for the first of them.
async fn write(
    context: &Context,
    id: LinkId,
    link: &Link,
    class: Class,
    mut bundles: mpsc::Receiver<Pushed>,
) -> Result<(), SendError> {
    let largest = link.peer_hello().document_bytes_max.saturating_sub(ENVELOPE_BYTES_MAX as u64);
    let form = LinkForm::of(link.peer_hello());
    let mut lane = None;
    while let Some(Pushed { bundle, settled }) = bundles.recv().await {
        // Only an item that goes alone can be longer than a bundle, and so than what every client takes.
        let too_long = bundle.parts.as_slice().first().filter(|part| part.len() as u64 > largest);
        if let Some(part) = too_long {
            let bytes = part.len();
            tracing::warn!(link = id.0, bytes, largest, "an item is longer than its client takes: refused for it");
            let refused = Input::Answered { link: id, class, position: bundle.position, outcomes: vec![false] };
            if context.inputs.send(refused).await.is_err() {
                return Ok(());
            }
        } else {
            let (header, body) = bundle.in_form(context.server, &context.forms, form).await;
            let lane = match &mut lane {
                Some(lane) => lane,
                none => none.insert(link.open_lane(class).await?),
            };
            lane.deliver(&header.clone().beside(settled), body).await?;
        }
        if context.inputs.send(Input::Ready(id, class)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
