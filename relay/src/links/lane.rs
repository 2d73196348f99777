//! The lanes of a link: bundles from the shard, of each class one at a time, onto one long stream for each class.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use link::connection::Link;
use link::error::SendError;
use link::lane::LaneSender;
use node::engine::ENVELOPE_BYTES_MAX;
use node::ids::LinkId;
use schemas::class::{Class, PerClass};
use tokio::sync::Notify;

use super::apart::Items;
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

/// Where the driver puts bundles: one place for each class, as of each at most one is on its way. A channel would hold room
/// for dozens, and most links are idle most of the time.
#[derive(Debug)]
pub(crate) struct Slots {
    next: Mutex<PerClass<Option<Pushed>>>,
    put: PerClass<Notify>,
}

impl Default for Slots {
    fn default() -> Self {
        Self { next: Mutex::new(PerClass::new(|_| None)), put: PerClass::new(|_| Notify::new()) }
    }
}

impl Slots {
    /// Hands over a bundle. The one before it has been taken: the shard waits for that.
    pub(crate) fn put(&self, class: Class, pushed: Pushed) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)[class] = Some(pushed);
        self.put[class].notify_one();
    }

    /// The next bundle of a class.
    async fn take(&self, class: Class) -> Pushed {
        loop {
            if let Some(pushed) = self.next.lock().unwrap_or_else(PoisonError::into_inner)[class].take() {
                return pushed;
            }
            self.put[class].notified().await;
        }
    }
}

/// Writes bundles until the link or the driver ends. All lanes in one task, and room for a write only while there is one:
/// most links are idle most of the time.
pub(crate) async fn run(context: Arc<Context>, id: LinkId, link: Link, slots: Arc<Slots>, items: Arc<Items>) {
    let form = LinkForm::of(link.peer_hello());
    let lane = |class| Lane { context: &context, id, link: &link, class, form, items: &items, sender: None };
    let ended = tokio::select! {
        ended = lane(Class::Critical).run(&slots) => ended,
        ended = lane(Class::Normal).run(&slots) => ended,
        ended = lane(Class::Bulk).run(&slots) => ended,
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
    items: &'a Arc<Items>,
    /// Opened for the first bundle.
    sender: Option<LaneSender>,
}

impl Lane<'_> {
    async fn run(mut self, slots: &Slots) -> Result<(), SendError> {
        loop {
            let pushed = slots.take(self.class).await;
            if !Box::pin(self.write(pushed)).await? {
                return Ok(());
            }
        }
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
        let apart = if self.items.are_taken() { bundle.apart(self.context.server).await } else { None };
        let sender = match &mut self.sender {
            Some(sender) => sender,
            none => none.insert(self.link.open_lane(class).await?),
        };
        if let Some(apart) = apart {
            let Some(leave) = self.items.leave().await else { return Ok(false) };
            sender.deliver(&apart.header.clone().beside(settled), std::slice::from_ref(&apart.body)).await?;
            self.items.send(apart, leave);
        } else {
            let (header, body) = bundle.in_form(self.context.server, &self.context.forms, self.form).await;
            sender.deliver(&header.clone().beside(settled), body).await?;
        }
        Ok(inputs.send(Input::Ready(link, class)).await.is_ok())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use node::ids::Position;
    use schemas::names::Spelling;

    use super::*;
    use crate::links::bundles::Recent;

    #[tokio::test]
    async fn each_class_has_its_place_and_whoever_waits_gets_what_is_put() {
        let (slots, mut recent) = (Arc::new(Slots::default()), Recent::default());
        let mut pushed = |class, position| Pushed {
            bundle: recent.bundle(class, Position(position), Spelling::Double, vec![Bytes::from_static(b"<a/>")]),
            settled: PerClass::all(true),
        };
        let waiting = tokio::spawn({
            let slots = Arc::clone(&slots);
            async move { slots.take(Class::Bulk).await.bundle.position }
        });
        tokio::task::yield_now().await;
        slots.put(Class::Critical, pushed(Class::Critical, 1));
        slots.put(Class::Bulk, pushed(Class::Bulk, 2));
        assert_eq!(waiting.await.unwrap(), Position(2));
        assert_eq!(slots.take(Class::Critical).await.bundle.position, Position(1));
        let nothing = tokio::time::timeout(Duration::from_millis(20), slots.take(Class::Normal)).await;
        assert!(nothing.is_err(), "nothing was put there");
    }
}
