//! The client's end: items and what their lane says of them find each other, at most [`ITEMS_MAX`] at once.

use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use schemas::class::Class;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::{Beginning, ITEMS_MAX, Notice, Partials};
use crate::connection::{Inner, Scope};
use crate::error::RecvError;
use crate::frame::{Frame, FrameError, FrameHeader, Kind};
use crate::quic::RecvStream;
use crate::reader::{Due, FrameReader, ReadFailure, Rules};

const TOO_MANY: FrameError = FrameError::Contradiction("more items on streams of their own than may be unanswered");
const UNANNOUNCED: FrameError = FrameError::Contradiction("an item that no Apart frame announces");

/// A stream whose first header is an Item's; nothing behind it has been read.
pub(crate) struct Begun {
    pub(crate) header: FrameHeader,
    pub(crate) reader: FrameReader<RecvStream>,
}

/// The streams that nobody has asked for yet.
pub(crate) struct Arrived {
    /// Whether our Hello says that such streams are taken.
    is_welcome: bool,
    streams: Mutex<Vec<Begun>>,
    came: Notify,
    partials: OnceLock<Partials>,
}

impl Arrived {
    pub(crate) fn new(is_welcome: bool) -> Self {
        Self { is_welcome, streams: Mutex::default(), came: Notify::new(), partials: OnceLock::new() }
    }

    pub(crate) fn is_welcome(&self) -> bool {
        self.is_welcome
    }

    /// The first to be said is kept.
    pub(super) fn keep(&self, partials: Partials) {
        self.partials.get_or_init(|| partials);
    }

    /// There is no memory for what comes: what is kept is in its way.
    pub(crate) fn forget_partials(&self) {
        self.partials.get().into_iter().for_each(Partials::clear);
    }

    /// Another one.
    pub(crate) fn put(&self, begun: Begun) -> Result<(), FrameError> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if streams.len() >= ITEMS_MAX {
            return Err(TOO_MANY);
        }
        streams.push(begun);
        self.came.notify_one();
        Ok(())
    }

    fn take(&self) -> Vec<Begun> {
        std::mem::take(&mut *self.streams.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends, with a fault, if there is a stream and no bulk lane comes in time that could say what it is.
    pub(crate) async fn without_lane(&self, rules: &Rules, has_lane: bool) -> FrameError {
        let is_empty = self.streams.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if has_lane || is_empty {
            return std::future::pending().await;
        }
        unannounced(rules).await
    }
}

/// Ends when the lane has had its time to say what a stream is; what is more urgent may keep it waiting.
async fn unannounced(rules: &Rules) -> FrameError {
    let mut due = Due::default();
    due.begin(Instant::now() + rules.limits.exchange_timeout, rules);
    while let Some(by) = due.by {
        sleep_until(by).await;
        if !due.put_off(rules) {
            break;
        }
    }
    UNANNOUNCED
}

/// The items of a lane that are on their way.
#[derive(Default)]
pub(crate) struct Receiving {
    places: [Option<Box<Place>>; ITEMS_MAX],
}

impl Receiving {
    /// Nothing was read for so long because nobody asked: that is not the peer's time.
    pub(crate) fn postpone(&mut self, by: Duration) {
        let readers = self.places.iter_mut().flatten().filter_map(|place| place.reader.as_mut());
        readers.for_each(|reader| reader.postpone(by));
    }

    /// The lane says that an item comes on a stream of its own.
    pub(crate) fn announce(&mut self, inner: &Inner, frame: &Frame) -> Result<(), RecvError> {
        let header = &frame.header;
        let notice = Notice::from_wire(&frame.body).map_err(|fault| inner.refuse(FrameError::Contradiction(fault)))?;
        let (length, limit) = (notice.item_bytes as usize + notice.around(), inner.rules.body_bytes_max());
        if length > limit as usize {
            let length = u32::try_from(length).unwrap_or(u32::MAX);
            return Err(inner.refuse(FrameError::TooLong { length, limit }));
        }
        let place = self.place(header.position).map_err(|error| inner.refuse(error))?;
        if place.notice.is_some() {
            return Err(inner.refuse(FrameError::Contradiction("a second Apart frame of a position")));
        }
        place.held = inner.arrived.partials.get().and_then(|partials| partials.take(notice.digest));
        place.partials = inner.arrived.partials.get().cloned();
        place.notice = Some((header.clone(), notice));
        place.agree().map_err(|error| inner.refuse(error))
    }

    /// The next Delivery that is whole. Safe to cancel.
    pub(crate) async fn next(&mut self, inner: &Inner) -> Result<Frame, RecvError> {
        let unannounced = unannounced(&inner.rules);
        tokio::pin!(unannounced);
        loop {
            for begun in inner.arrived.take() {
                self.begin(begun).map_err(|error| inner.refuse(error))?;
            }
            let is_unannounced = self.places.iter().flatten().any(|place| place.notice.is_none());
            let [first, second, third, fourth] = &mut self.places;
            let (at, whole) = tokio::select! {
                whole = next(first) => (0, whole),
                whole = next(second) => (1, whole),
                whole = next(third) => (2, whole),
                whole = next(fourth) => (3, whole),
                () = inner.arrived.came.notified() => continue,
                fault = &mut unannounced, if is_unannounced => return Err(inner.refuse(fault)),
            };
            let delivery = whole.map_err(|failure| failed(inner, failure))?;
            self.places[at] = None;
            return Ok(delivery);
        }
    }

    fn begin(&mut self, Begun { header, reader }: Begun) -> Result<(), FrameError> {
        let place = self.place(header.position)?;
        if place.reader.is_some() {
            return Err(FrameError::Contradiction("a second stream of an item"));
        }
        (place.item, place.reader) = (Some(header), Some(reader));
        place.agree()
    }

    /// The place of a position, or a free one.
    fn place(&mut self, position: u64) -> Result<&mut Place, FrameError> {
        let is_of = |place: &Option<Box<Place>>| place.as_ref().is_some_and(|place| place.position == position);
        let known = self.places.iter().position(is_of);
        let at = known.or_else(|| self.places.iter().position(Option::is_none)).ok_or(TOO_MANY)?;
        Ok(self.places[at].get_or_insert_with(|| Box::new(Place::of(position))))
    }
}

async fn next(place: &mut Option<Box<Place>>) -> Result<Frame, ReadFailure> {
    match place {
        // Boxed: there is room for it only while an item is on its way.
        Some(place) => Box::pin(place.delivery()).await,
        None => std::future::pending().await,
    }
}

/// An item whose stream is given up can never be whole; nobody else knows.
fn failed(inner: &Inner, failure: ReadFailure) -> RecvError {
    match inner.receive_failed(failure, Scope::Link, "the rest of an item") {
        RecvError::Reset(_) => inner.refuse(FrameError::Missing("before an item was whole")),
        error => error,
    }
}

/// An item on its way. Dropped before it is whole, what came of it is kept.
struct Place {
    position: u64,
    /// What the lane says, once it does.
    notice: Option<(FrameHeader, Notice)>,
    /// The header of its stream, once that is here.
    item: Option<FrameHeader>,
    reader: Option<FrameReader<RecvStream>>,
    /// From an earlier link.
    held: Option<Beginning>,
    partials: Option<Partials>,
    /// The whole document; its stream has not ended yet.
    document: Option<Bytes>,
}

impl Place {
    fn of(position: u64) -> Self {
        Self { position, notice: None, item: None, reader: None, held: None, partials: None, document: None }
    }

    /// Whether lane and stream, as far as they are here, mean the same item.
    fn agree(&mut self) -> Result<(), FrameError> {
        let (Some((_, notice)), Some(item), Some(reader)) = (&self.notice, &self.item, &mut self.reader) else {
            return Ok(());
        };
        if item.digest != notice.digest || item.class != Class::Bulk {
            return Err(FrameError::Contradiction("an item that is not the one of its Apart frame"));
        }
        // It has waited for the lane, which is read no faster than its owner wants.
        reader.restart();
        Ok(())
    }

    /// The Delivery that its lane would have brought. Safe to cancel.
    async fn delivery(&mut self) -> Result<Frame, ReadFailure> {
        let (Some((header, notice)), Some(reader)) = (&self.notice, &mut self.reader) else {
            return std::future::pending().await;
        };
        if self.document.is_none() {
            self.document = Some(reader.next_item(notice, &mut self.held).await?);
        }
        if reader.peek().await?.is_some() {
            return Err(FrameError::Contradiction("a frame behind an item").into());
        }
        let body = self.document.take().unwrap_or_default();
        let over = FrameHeader::over(Kind::Delivery, std::slice::from_ref(&body));
        Ok(Frame { header: FrameHeader { kind: over.kind, digest: over.digest, ..header.clone() }, body })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(partials) = &self.partials else { return };
        let begun = self.notice.as_ref().zip(self.reader.as_mut());
        let begun = begun.and_then(|((_, notice), reader)| reader.beginning(notice));
        begun.or(self.held.take()).into_iter().for_each(|beginning| partials.keep(beginning));
    }
}
