//! Long items of a link on streams of their own: a few at once, each from where the client has it.

use std::sync::{Arc, Mutex, PoisonError};

use link::apart::{ITEMS_MAX, Octets, Rest};
use link::close::CloseCode;
use link::connection::Link;
use link::hello::Partial;
use schemas::digest::Digest;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::bundles::Apart;
use super::session::Context;
use crate::forms::LinkForm;

/// Leave for one item to be on its way. Given back when it is answered and its stream is written: who answers what it has
/// not read must not make this server hold more.
type Leave = Arc<OwnedSemaphorePermit>;

/// The items of a link that are on streams of their own.
pub(crate) struct Items {
    context: Arc<Context>,
    link: Link,
    form: LinkForm,
    leave: Arc<Semaphore>,
    /// By position.
    unanswered: Mutex<Vec<(u64, Leave)>>,
    /// What the client held when it said Hello, each until it is used: no client holds it twice.
    partials: Mutex<Vec<Partial>>,
    streams: Mutex<JoinSet<()>>,
}

impl Items {
    pub(crate) fn new(context: Arc<Context>, link: Link) -> Self {
        let form = LinkForm::of(link.peer_hello());
        let partials = Mutex::new(link.peer_hello().partials.clone().unwrap_or_default());
        let leave = Arc::new(Semaphore::new(ITEMS_MAX));
        Self { context, link, form, leave, unanswered: Mutex::default(), partials, streams: Mutex::default() }
    }

    /// Whether the client takes any.
    pub(crate) fn are_taken(&self) -> bool {
        self.link.takes_items()
    }

    /// Waits until there may be one more. `None` would need a closed semaphore; none is.
    pub(crate) async fn leave(&self) -> Option<Leave> {
        Arc::clone(&self.leave).acquire_owned().await.ok().map(Arc::new)
    }

    /// Sends the item of an Apart frame, beside the lane.
    pub(crate) fn send(self: &Arc<Self>, apart: &Apart, leave: Leave) {
        let position = apart.header.position;
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).push((position, Arc::clone(&leave)));
        let (link, digest, item) = (self.link.clone(), apart.digest, apart.item.clone());
        let (context, form, held) = (Arc::clone(&self.context), self.form, self.held(digest));
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        while streams.try_join_next().is_some() {}
        streams.spawn(async move {
            let _leave = leave;
            let (offset, octets) = octets(&context, form, &item, held).await;
            drop(item);
            if let Err(error) = link.send_item(&Rest { position, digest, offset, octets }).await {
                tracing::debug!(position, %error, "an item did not go out");
                // Without its item the lane would wait for an answer for ever.
                link.close(CloseCode::Done, "the stream of an item ended");
            }
        });
    }

    /// The client has answered what stands at this position of the bulk lane.
    pub(crate) fn answered(&self, position: u64) {
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _)| *of != position);
    }

    fn held(&self, digest: Digest) -> u32 {
        let mut partials = self.partials.lock().unwrap_or_else(PoisonError::into_inner);
        let at = partials.iter().position(|partial| partial.digest == digest);
        at.and_then(|at| u32::try_from(partials.swap_remove(at).offset).ok()).unwrap_or(0)
    }
}

/// What the client does not have of an item, in the form that its link takes.
async fn octets(context: &Context, form: LinkForm, item: &bytes::Bytes, held: u32) -> (u32, Octets) {
    if let LinkForm::Segmented(dictionary) = form
        && let Ok(item_bytes) = u32::try_from(item.len())
        && let Some(made) = context.writing.forms.long_item(item, dictionary).await
    {
        return Octets::segmented(item_bytes, &made, dictionary, held);
    }
    Octets::plain(item, held)
}
