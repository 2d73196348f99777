//! The lanes of a link: bundles from the shard, of each class one at a time, onto one long stream for each class.

use std::sync::Arc;

use bytes::Bytes;
use link::connection::Link;
use link::error::SendError;
use link::lane::LaneSender;
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

/// Writes bundles until the link or the driver ends. All lanes in one task, and room for a write only while there is one:
/// most links are idle most of the time.
pub(crate) async fn run(context: Arc<Context>, id: LinkId, link: Link, bundles: Bundles) {
    let [critical, normal, bulk] = bundles.into_array();
    let form = LinkForm::of(link.peer_hello());
    let lane = |class| Lane { context: &context, id, link: &link, class, form, sender: None };
    let ended = tokio::select! {
        ended = lane(Class::Critical).run(critical) => ended,
        ended = lane(Class::Normal).run(normal) => ended,
        ended = lane(Class::Bulk).run(bulk) => ended,
    };
    if let Err(error) = ended {
        tracing::debug!(link = id.0, %error, "a lane ended");
    }
}

/// The bundles of one class.
struct Lane<'a> {
    context: &'a Context,
    id: LinkId,
    link: &'a Link,
    class: Class,
    form: LinkForm,
    /// Opened for the first bundle.
    sender: Option<LaneSender>,
}

impl Lane<'_> {
    async fn run(mut self, mut bundles: mpsc::Receiver<Pushed>) -> Result<(), SendError> {
        while let Some(pushed) = bundles.recv().await {
            if !Box::pin(self.write(pushed)).await? {
                break;
            }
        }
        Ok(())
    }

    /// Answers whether the driver takes more.
    async fn write(&mut self, Pushed { bundle, settled }: Pushed) -> Result<bool, SendError> {
        let (link, class) = (self.id, self.class);
        let inputs = &self.context.inputs;
        let largest = self.link.peer_hello().document_bytes_max.saturating_sub(ENVELOPE_BYTES_MAX as u64);
        // Only an item that goes alone can be longer than a bundle, and so than what every client takes.
        let too_long = bundle.parts.first().map(Bytes::len).filter(|bytes| *bytes as u64 > largest);
        if let Some(bytes) = too_long {
            tracing::warn!(link = link.0, bytes, largest, "an item is longer than its client takes: refused for it");
            let refused = Input::Answered { link, class, position: bundle.position, outcomes: vec![false] };
            return Ok(inputs.send(refused).await.is_ok() && inputs.send(Input::Ready(link, class)).await.is_ok());
        }
        let (header, body) = bundle.in_form(self.context.server, &self.context.forms, self.form).await;
        let sender = match &mut self.sender {
            Some(sender) => sender,
            none => none.insert(self.link.open_lane(class).await?),
        };
        sender.deliver(&header.clone().beside(settled), body).await?;
        Ok(inputs.send(Input::Ready(link, class)).await.is_ok())
    }
}
