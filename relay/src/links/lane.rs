//! The lanes of a link: bundles from the shard, of each class one at a time, onto one long stream for each class.
//!
//! The driver writes what the transport takes at once ([`Lanes::put`]): a bundle that goes to a thousand links wakes the
//! transport, and no task of a link. What takes its time is left to the link's own task ([`run`]): opening a lane, writing a
//! long document, waiting for the client's credit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use link::close::CloseCode;
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

/// Where the driver puts bundles: one place for each class, as of each at most one is on its way.
pub(crate) struct Lanes {
    places: PerClass<Mutex<Place>>,
    put: PerClass<Notify>,
}

/// A lane between two bundles.
#[derive(Default)]
struct Place {
    /// With the link's task while that is at work.
    open: Option<Open>,
    /// For the link's task.
    next: Option<Pushed>,
}

/// A lane that has been opened.
struct Open {
    sender: LaneSender,
    form: LinkForm,
    /// What the client takes of an item.
    item_bytes_max: u64,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { places: PerClass::new(|_| Mutex::default()), put: PerClass::new(|_| Notify::new()) }
    }
}

impl Lanes {
    /// Sends a bundle. The one before it has been taken: the shard waits for that. Says whether the transport has this one
    /// already; if not, the link's task says so when it has.
    pub(crate) fn put(&self, class: Class, pushed: Pushed) -> bool {
        let mut place = self.place(class);
        match place.open.as_mut().and_then(|open| open.begin(&pushed)) {
            Some(true) => return true,
            Some(false) => {}
            None => place.next = Some(pushed),
        }
        drop(place);
        self.put[class].notify_one();
        false
    }

    /// What the link's task is to do next in a lane: a bundle, or the rest of one.
    async fn take(&self, class: Class) -> (Option<Open>, Option<Pushed>) {
        self.put[class].notified().await;
        let mut place = self.place(class);
        (place.open.take(), place.next.take())
    }

    fn place(&self, class: Class) -> MutexGuard<'_, Place> {
        self.places[class].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Sends what can be sent without waiting; says whether that was all. Nothing if it must wait from the start, or will not
    /// do: who may wait finds out.
    fn begin(&mut self, Pushed { bundle, settled }: &Pushed) -> Option<bool> {
        if self.refuses(bundle) || bundle.long_item().is_some() {
            return None;
        }
        let (header, body) = bundle.at_once(self.form)?;
        self.sender.begin(&header.clone().beside(*settled), body).ok()
    }

    fn refuses(&self, bundle: &Bundle) -> bool {
        bundle.longest_item() as u64 > self.item_bytes_max
    }
}

/// Writes what is left to it until the link or the driver ends. All lanes in one task, and room for a write only while there
/// is one: most links are idle most of the time.
pub(crate) async fn run(context: Arc<Context>, id: LinkId, link: Link, lanes: Arc<Lanes>, items: Arc<Items>) {
    let lane = |class| Lane { context: &context, id, link: &link, class, items: &items };
    let ended = tokio::select! {
        ended = lane(Class::Critical).run(&lanes) => ended,
        ended = lane(Class::Normal).run(&lanes) => ended,
        ended = lane(Class::Bulk).run(&lanes) => ended,
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
    items: &'a Arc<Items>,
}

impl Lane<'_> {
    async fn run(self, lanes: &Lanes) -> Result<(), SendError> {
        loop {
            let (open, next) = lanes.take(self.class).await;
            let open = Box::pin(self.work(open, next)).await?;
            lanes.place(self.class).open = Some(open);
            if self.context.inputs.send(Input::Ready(self.id, self.class)).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Writes a bundle, or what is left of one.
    async fn work(&self, open: Option<Open>, next: Option<Pushed>) -> Result<Open, SendError> {
        let mut open = match open {
            Some(open) => open,
            None => self.open().await?,
        };
        let Some(Pushed { bundle, settled }) = next else {
            open.sender.flush().await?;
            return Ok(open);
        };
        if open.refuses(&bundle) {
            self.refuse(&bundle).await;
            return Ok(open);
        }
        let damaged = bundle.damaged().await;
        if !damaged.is_empty() {
            // Before the link ends: the next one is told that it may miss something.
            drop(self.context.inputs.send(Input::Damaged(damaged.to_vec())).await);
            self.link.close(CloseCode::Internal, "an item of the log is damaged; connect again");
            return Err(SendError::Closed(self.link.closed().await));
        }
        let apart = if self.items.are_taken() { bundle.apart().await } else { None };
        if let Some(apart) = apart {
            let Some(leave) = self.items.leave().await else { return Ok(open) };
            open.sender.deliver(&apart.header.clone().beside(settled), std::slice::from_ref(&apart.body)).await?;
            self.items.send(apart, leave);
        } else {
            let (header, body) = bundle.in_form(open.form).await;
            open.sender.deliver(&header.clone().beside(settled), body).await?;
        }
        Ok(open)
    }

    async fn open(&self) -> Result<Open, SendError> {
        let hello = self.link.peer_hello();
        let item_bytes_max = hello.document_bytes_max.saturating_sub(ENVELOPE_BYTES_MAX as u64);
        Ok(Open { sender: self.link.open_lane(self.class).await?, form: LinkForm::of(hello), item_bytes_max })
    }

    /// Answers in place of a client that cannot take an item.
    async fn refuse(&self, bundle: &Bundle) {
        let (link, class, bytes) = (self.id, self.class, bundle.longest_item());
        tracing::warn!(link = link.0, bytes, "an item is longer than its client takes: refused for it");
        let refused = Input::Answered { link, class, position: bundle.position, outcomes: vec![false] };
        // The driver is gone only when the server stops.
        drop(self.context.inputs.send(refused).await);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use node::ids::Position;
    use schemas::names::Spelling;

    use super::*;
    use crate::links::bundles::tests::recent;

    #[tokio::test]
    async fn each_class_has_its_place_and_whoever_waits_gets_what_is_put() {
        let (lanes, mut recent) = (Arc::new(Lanes::default()), recent());
        let mut pushed = |class, position| Pushed {
            bundle: recent.bundle(class, Spelling::Double, vec![Position(position)], vec![Bytes::from_static(b"<a/>")]),
            settled: PerClass::all(true),
        };
        let position = |(_, next): (Option<Open>, Option<Pushed>)| next.map(|next| next.bundle.position);
        let waiting = tokio::spawn({
            let lanes = Arc::clone(&lanes);
            async move { position(lanes.take(Class::Bulk).await) }
        });
        tokio::task::yield_now().await;
        assert!(!lanes.put(Class::Critical, pushed(Class::Critical, 1)), "no lane is open");
        assert!(!lanes.put(Class::Bulk, pushed(Class::Bulk, 2)));
        assert_eq!(waiting.await.unwrap(), Some(Position(2)));
        assert_eq!(position(lanes.take(Class::Critical).await), Some(Position(1)));
        let nothing = tokio::time::timeout(Duration::from_millis(20), lanes.take(Class::Normal)).await;
        assert!(nothing.is_err(), "nothing was put there");
    }
}
