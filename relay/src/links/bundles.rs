//! Bundles on their way to links: what goes to many is enveloped and digested once, by the first link that sends it.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dialler::clock;
use link::apart::{ITEM_BYTES_MIN, Notice};
use link::frame::{FrameHeader, Kind};
use node::bundle::{self, Outer};
use node::ids::{Position, Time};
use schemas::class::Class;
use schemas::digest::Digest;
use schemas::guid::ServerGuid;
use schemas::names::Spelling;
use tokio::sync::OnceCell;

use crate::forms::{Forms, LinkForm};
use crate::store::Reader;
use crate::threads::Threads;

/// Bundles of so many bytes are written at once by whoever comes first, if they are in memory; digesting and coding longer
/// ones, or waiting for a disk, takes its time.
const AT_ONCE_BYTES_MAX: usize = 64 << 10;
/// Longer ones that are looked at and digested at the same time.
const LONG_AT_ONCE: usize = 2;

/// A frame: its header, and its body in slices.
pub(crate) type Written = (FrameHeader, Vec<Bytes>);

/// What writing Deliveries takes.
#[derive(Debug)]
pub(crate) struct Writing {
    /// Who sends.
    pub(crate) server: ServerGuid,
    /// Items in segments.
    pub(crate) forms: Forms,
    /// Where the items come from.
    log: Reader,
    /// For what passes over long items.
    threads: Threads,
}

impl Writing {
    pub(crate) fn new(server: ServerGuid, log: Reader) -> Self {
        Self { server, forms: Forms::default(), log, threads: Threads::new(LONG_AT_ONCE) }
    }

    /// Does what passes over so many bytes: at once if they are few. What pages a disk may have to bring first would hold up
    /// every other link.
    async fn over<T: Send + 'static>(&self, bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
        if bytes <= AT_ONCE_BYTES_MAX { work() } else { self.threads.run(work).await }
    }

    /// Which of these items, so many bytes, are not what was stored.
    pub(crate) async fn damaged(&self, positions: Vec<Position>, bytes: usize) -> Vec<Position> {
        // Where pages are there already, there is nothing to wait for, and little to do.
        let bytes = if positions.iter().all(|position| self.log.is_in_memory(position.0)) { 0 } else { bytes };
        let log = self.log.clone();
        let is_damaged = move |position: &Position| !log.is_intact(position.0);
        self.over(bytes, move || positions.into_iter().filter(is_damaged).collect()).await
    }

    /// A Delivery of these parts, as a plain document.
    fn plain(&self, class: Class, position: Position, spelling: Spelling, parts: Vec<Bytes>) -> Written {
        let (time, body) = self.enveloped(spelling, parts);
        let header = FrameHeader::over(Kind::Delivery, &body).in_class(class).at(position.0).fresh(time.0);
        (header, body)
    }

    /// What stands in a bulk lane for this item, which goes on a stream of its own.
    fn apart(&self, class: Class, position: Position, spelling: Spelling, item: Bytes) -> Option<Apart> {
        let (time, body) = self.enveloped(spelling, vec![item.clone()]);
        let [head, _, tail] = &body[..] else { return None };
        let (digest, item_bytes) = (Digest::of(&item), u32::try_from(item.len()).ok()?);
        let body = Notice { digest, item_bytes, head: head.clone(), tail: tail.clone() }.to_wire()?;
        let header = FrameHeader::over(Kind::Apart, std::slice::from_ref(&body));
        let header = header.in_class(class).at(position.0).fresh(time.0);
        Some(Apart { header, body, digest, item })
    }

    /// The document and when that was.
    fn enveloped(&self, spelling: Spelling, parts: Vec<Bytes>) -> (Time, Vec<Bytes>) {
        let time = clock::now();
        let sent_time = clock::text(time);
        let outer = Outer { server: self.server, client: None, message_id: clock::message_id(), sent_time: &sent_time };
        (time, bundle::document(spelling, &outer, parts))
    }
}

/// What a shard sends, shared by all links that get the same.
#[derive(Debug)]
pub(crate) struct Bundle {
    writing: Arc<Writing>,
    /// Of all items.
    pub(crate) class: Class,
    /// Of the last item.
    pub(crate) position: Position,
    /// Of all items.
    spelling: Spelling,
    /// Where the items stand in the log.
    positions: Vec<Position>,
    /// The items' bytes.
    parts: Vec<Bytes>,
    /// Which of them are not what was stored.
    damaged: OnceCell<Vec<Position>>,
    document: OnceCell<Written>,
    /// What stands in the lane if its item goes on a stream of its own.
    apart: OnceCell<Option<Apart>>,
    /// The same in segments, without and with a dictionary, where that is worth it.
    segmented: [OnceCell<Option<Written>>; 2],
}

/// A bundle of one long item whose item goes on a stream of its own.
#[derive(Debug)]
pub(crate) struct Apart {
    /// Of the Apart frame.
    pub(crate) header: FrameHeader,
    /// Its body.
    pub(crate) body: Bytes,
    /// Of the item.
    pub(crate) digest: Digest,
    /// The item.
    pub(crate) item: Bytes,
}

impl Bundle {
    /// Of these items' bytes, which stand at these positions of the log.
    pub(crate) fn new(
        writing: Arc<Writing>,
        class: Class,
        spelling: Spelling,
        positions: Vec<Position>,
        parts: Vec<Bytes>,
    ) -> Self {
        let position = positions.last().copied().unwrap_or_default();
        let (damaged, document, apart) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        let segmented = Default::default();
        Self { writing, class, position, spelling, positions, parts, damaged, document, apart, segmented }
    }

    /// Which items are not what was stored: nothing of the bundle may go out then. Looked at by whoever comes first, before the
    /// document's digest is made of what is there; from then on the receiver's check tells.
    pub(crate) async fn damaged(&self) -> &[Position] {
        let look = async || self.writing.damaged(self.positions.clone(), bytes(&self.parts)).await;
        self.damaged.get_or_init(look).await
    }

    /// The document with its frame's header. Written by whoever comes first, as digesting a long item takes its time; the
    /// others wait for him.
    pub(crate) async fn document(&self) -> &Written {
        let write = async || {
            let (writing, parts) = (Arc::clone(&self.writing), self.parts.clone());
            let (class, position, spelling) = (self.class, self.position, self.spelling);
            self.writing.over(bytes(&self.parts), move || writing.plain(class, position, spelling, parts)).await
        };
        self.document.get_or_init(write).await
    }

    /// The document in the form that the link takes, written once for each form.
    pub(crate) async fn in_form(&self, form: LinkForm) -> &Written {
        let plain = self.document().await;
        let LinkForm::Segmented(dictionary) = form else { return plain };
        let segment = async || self.writing.forms.segmented(&plain.0, &plain.1, dictionary).await;
        self.segments(dictionary.is_some()).get_or_init(segment).await.as_ref().unwrap_or(plain)
    }

    /// The same without waiting: nothing if it has to be written first and that takes its time, or must not go out.
    pub(crate) fn at_once(&self, form: LinkForm) -> Option<&Written> {
        let is_written = match form {
            LinkForm::Plain => self.document.initialized(),
            LinkForm::Segmented(dictionary) => self.segments(dictionary.is_some()).initialized(),
        };
        let is_quick = || {
            bytes(&self.parts) <= AT_ONCE_BYTES_MAX
                && self.positions.iter().all(|position| self.writing.log.is_in_memory(position.0))
        };
        if !is_written && !is_quick() {
            return None;
        }
        let intact = async { if self.damaged().await.is_empty() { Some(self.in_form(form).await) } else { None } };
        match pin!(intact).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(written) => written,
            // Another is writing it.
            Poll::Pending => None,
        }
    }

    fn segments(&self, has_dictionary: bool) -> &OnceCell<Option<Written>> {
        &self.segmented[usize::from(has_dictionary)]
    }

    /// The same as an Apart frame and an item, once for all links; `None` if it is not one long item.
    pub(crate) async fn apart(&self) -> Option<&Apart> {
        let write = async || {
            let (writing, item) = (Arc::clone(&self.writing), self.long_item()?.clone());
            let (class, position, spelling) = (self.class, self.position, self.spelling);
            self.writing.over(item.len(), move || writing.apart(class, position, spelling, item)).await
        };
        self.apart.get_or_init(write).await.as_ref()
    }

    /// The item, if it is one that may go on a stream of its own.
    pub(crate) fn long_item(&self) -> Option<&Bytes> {
        match &self.parts[..] {
            [item] if self.class == Class::Bulk && item.len() > ITEM_BYTES_MIN => Some(item),
            _ => None,
        }
    }

    /// How long the longest item is. Only one that goes alone can be longer than a bundle, and so than what every client
    /// takes.
    pub(crate) fn longest_item(&self) -> usize {
        self.parts.iter().map(Bytes::len).max().unwrap_or(0)
    }

    /// Whether it has just these parts: not copies of them, the same.
    fn is_of(&self, position: Position, spelling: Spelling, parts: &[Bytes]) -> bool {
        let same = |(own, other): (&Bytes, &Bytes)| own.as_ptr() == other.as_ptr() && own.len() == other.len();
        self.position == position
            && self.spelling == spelling
            && self.parts.len() == parts.len()
            && self.parts.iter().zip(parts).all(same)
    }
}

/// Bundles that other links may get too. Links that keep up get the same at nearly the same time.
const RECENT: usize = 32;
/// What the items of these take, beside the last one; in each other form that is asked for, less than as much again.
const RECENT_BYTES_MAX: usize = 4 << 20;

/// The bundles that were sent last.
#[derive(Debug)]
pub(crate) struct Recent {
    writing: Arc<Writing>,
    bundles: VecDeque<Arc<Bundle>>,
    bytes: usize,
}

impl Recent {
    pub(crate) fn new(writing: Arc<Writing>) -> Self {
        Self { writing, bundles: VecDeque::new(), bytes: 0 }
    }

    /// What is sent from now on is written, and looked at, anew.
    pub(crate) fn forget(&mut self) {
        self.bundles.clear();
        self.bytes = 0;
    }

    /// The bundle of these parts: one that is being sent already, or a new one.
    pub(crate) fn bundle(
        &mut self,
        class: Class,
        spelling: Spelling,
        positions: Vec<Position>,
        parts: Vec<Bytes>,
    ) -> Arc<Bundle> {
        let position = positions.last().copied().unwrap_or_default();
        if let Some(same) = self.bundles.iter().rev().find(|bundle| bundle.is_of(position, spelling, &parts)) {
            return Arc::clone(same);
        }
        self.bytes += bytes(&parts);
        let bundle = Arc::new(Bundle::new(Arc::clone(&self.writing), class, spelling, positions, parts));
        self.bundles.push_back(Arc::clone(&bundle));
        while self.bundles.len() > 1 && (self.bundles.len() > RECENT || self.bytes > RECENT_BYTES_MAX) {
            self.bytes -= self.bundles.pop_front().map_or(0, |oldest| bytes(&oldest.parts));
        }
        bundle
    }
}

fn bytes(parts: &[Bytes]) -> usize {
    parts.iter().map(Bytes::len).sum()
}

#[cfg(test)]
mod copies;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Bundles of a server.
    pub(crate) fn recent() -> Recent {
        Recent::new(Arc::new(Writing::new(ServerGuid(1), Reader::default())))
    }

    fn parts(count: usize, bytes: usize) -> Vec<Bytes> {
        (0..count).map(|_| Bytes::from(vec![7; bytes])).collect()
    }

    #[tokio::test]
    async fn what_goes_to_many_links_is_written_once() {
        let (mut recent, items) = (recent(), parts(2, 10));
        let mut bundle =
            |items: &[Bytes]| recent.bundle(Class::Normal, Spelling::Double, vec![Position(5)], items.to_vec());
        let [one, two] = [bundle(&items), bundle(&items)];
        let (header, body) = one.document().await;
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!((two.document().await, header.position), (&(header.clone(), body.clone()), 5));
        assert_eq!(FrameHeader::over(Kind::Delivery, body).digest, header.digest);
        let equal: Vec<Bytes> = items.iter().map(|item| Bytes::copy_from_slice(item)).collect();
        assert!(!Arc::ptr_eq(&one, &bundle(&equal)), "a copy would have to be compared");
        assert!(!Arc::ptr_eq(&one, &bundle(&items[..1])));
    }

    #[tokio::test]
    async fn short_bundles_are_written_at_once_and_long_ones_by_who_may_wait() {
        for form in [LinkForm::Plain, LinkForm::Segmented(None)] {
            let mut recent = recent();
            let mut bundle = |bytes| recent.bundle(Class::Normal, Spelling::Double, vec![Position(5)], parts(1, bytes));
            let short = bundle(1000);
            let written = short.at_once(form).expect("it is short").clone();
            assert_eq!(short.in_form(form).await, &written);
            let long = bundle(AT_ONCE_BYTES_MAX + 1);
            assert_eq!(long.at_once(form), None);
            assert!(long.damaged().await.is_empty());
            let written = long.in_form(form).await;
            assert_eq!(long.at_once(form), Some(written));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recent = recent();
        (0..100).for_each(|position| {
            drop(recent.bundle(Class::Normal, Spelling::Double, vec![Position(position)], parts(1, 10)))
        });
        assert_eq!((recent.bundles.len(), recent.bytes), (RECENT, 10 * RECENT));
        drop(recent.bundle(Class::Normal, Spelling::Double, vec![Position(200)], parts(1, RECENT_BYTES_MAX + 1)));
        assert_eq!((recent.bundles.len(), recent.bytes), (1, RECENT_BYTES_MAX + 1));
    }
}
