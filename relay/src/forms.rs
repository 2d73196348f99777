//! What goes out in segments: each item is coded once, whoever gets it and in whichever bundle.
//!
//! A bundle in segments is the coded slices of its items between those of its envelope; nothing is compressed across two
//! items. Long items are coded on threads that may take their time, two at once.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use link::frame::{Form, FrameHeader};
use link::hello::Hello;
use link::segments::{self, Dictionary, Prelude};
use tokio::sync::OnceCell;

use crate::threads::Threads;

/// Above this an item is coded on a thread of its own.
const INLINE_BYTES: usize = 64 << 10;
/// Long items that are coded at once; each takes some mebibytes beside its bytes.
const AT_ONCE: usize = 2;
/// Up to so many bytes the slices of a frame become one: each link would have to count every one of many short ones.
const JOINED_BYTES_MAX: usize = 64 << 10;
/// Bytes of items, before and after, that are kept beside the last one. What links are sending is shared by all who come to
/// send it, kept here or not.
const KEPT_BYTES_MAX: usize = 32 << 20;
/// Bytes of segments that there may be before long items go as they are, from the log's mapping.
const LIVE_BYTES_MAX: usize = 256 << 20;

/// In which form a link gets its documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkForm {
    /// As they are.
    Plain,
    /// In segments, with a dictionary that both ends have.
    Segmented(Option<&'static Dictionary>),
}

impl LinkForm {
    /// What the other end says that it reads.
    pub(crate) fn of(hello: &Hello) -> Self {
        if Form::Segmented.is_in(&hello.forms) { Self::Segmented(Dictionary::known_to(hello)) } else { Self::Plain }
    }
}

/// Coded items.
#[derive(Debug)]
pub(crate) struct Forms {
    kept: Mutex<Kept>,
    threads: Threads,
    /// Bytes of all segments that somebody has.
    live: Arc<AtomicUsize>,
}

impl Default for Forms {
    fn default() -> Self {
        Self { kept: Mutex::default(), threads: Threads::new(AT_ONCE), live: Arc::default() }
    }
}

impl Forms {
    /// The frame of a document in segments: `body` is its envelope's head, its items, its envelope's tail. `None` if that
    /// saves less than a twentieth.
    pub(crate) async fn segmented(
        &self,
        header: &FrameHeader,
        body: &[Bytes],
        dictionary: Option<&'static Dictionary>,
    ) -> Option<(FrameHeader, Vec<Bytes>)> {
        let document_bytes = u32::try_from(bytes(body)).ok()?;
        let [head, items @ .., tail] = body else { return None };
        let mut coded = vec![Bytes::copy_from_slice(&Prelude { document_bytes, dictionary }.to_wire())];
        coded.extend(segments::make(head, dictionary));
        for item in items {
            coded.extend_from_slice(&self.item(item, dictionary).await?);
        }
        coded.extend(segments::make(tail, dictionary));
        if !is_worth_it(&coded, bytes(body)) {
            return None;
        }
        if bytes(&coded) <= JOINED_BYTES_MAX {
            coded = vec![coded.concat().into()];
        }
        Some((header.clone().in_form(Form::Segmented), coded))
    }

    /// The segments of a long item, if they are worth it.
    pub(crate) async fn long_item(
        &self,
        item: &Bytes,
        dictionary: Option<&'static Dictionary>,
    ) -> Option<Arc<[Bytes]>> {
        self.item(item, dictionary).await.filter(|coded| is_worth_it(coded, item.len()))
    }

    /// The segments of an item; made by whoever comes first, the others wait for him. `None` if there are too many already.
    async fn item(&self, item: &Bytes, dictionary: Option<&'static Dictionary>) -> Option<Arc<[Bytes]>> {
        let key = key(item, dictionary.is_some());
        let cell = self.kept().cell(item, key);
        let coded = cell.get_or_try_init(async || {
            let segments = self.make(item, dictionary).await.ok_or(())?;
            let made = Made::new(item.clone(), segments, &self.live);
            self.kept().made.insert(key, Arc::downgrade(&made));
            Ok::<_, ()>(made.segments())
        });
        coded.await.ok().cloned()
    }

    async fn make(&self, item: &Bytes, dictionary: Option<&'static Dictionary>) -> Option<Vec<Bytes>> {
        if item.len() <= INLINE_BYTES {
            return Some(segments::make(item, dictionary));
        }
        let (item, live) = (item.clone(), Arc::clone(&self.live));
        // Looked at when its turn has come: what waited for it was not counted yet.
        let has_room = move || live.load(Ordering::Relaxed) <= LIVE_BYTES_MAX;
        self.threads.run(move || has_room().then(|| segments::make(&item, dictionary))).await
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An item's segments, and the item.
#[derive(Debug)]
struct Made {
    /// An item is known again by where its bytes are: they stay there as long.
    _item: Bytes,
    segments: Vec<Bytes>,
    live: Arc<AtomicUsize>,
}

/// A segment: whoever has one keeps all of them.
struct Segment {
    made: Arc<Made>,
    index: usize,
}

impl AsRef<[u8]> for Segment {
    fn as_ref(&self) -> &[u8] {
        self.made.segments.get(self.index).map_or(&[], |segment| segment)
    }
}

impl Made {
    fn new(item: Bytes, segments: Vec<Bytes>, live: &Arc<AtomicUsize>) -> Arc<Self> {
        live.fetch_add(bytes(&segments), Ordering::Relaxed);
        Arc::new(Self { _item: item, segments, live: Arc::clone(live) })
    }

    fn segments(self: &Arc<Self>) -> Arc<[Bytes]> {
        let segment = |index| Bytes::from_owner(Segment { made: Arc::clone(self), index });
        (0..self.segments.len()).map(segment).collect()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.live.fetch_sub(bytes(&self.segments), Ordering::Relaxed);
    }
}

type Cell = Arc<OnceCell<Arc<[Bytes]>>>;

/// The items that were coded last, and those whose segments somebody still has. An item is known again by where its bytes
/// are, which are kept as long.
#[derive(Debug, Default)]
struct Kept {
    cells: HashMap<Key, (Bytes, Cell)>,
    /// The oldest first.
    order: VecDeque<Key>,
    bytes: usize,
    made: HashMap<Key, Weak<Made>>,
}

/// Address and length of the item, and whether a dictionary is used.
type Key = (usize, usize, bool);

fn key(item: &Bytes, is_shared: bool) -> Key {
    (item.as_ptr().addr(), item.len(), is_shared)
}

impl Kept {
    fn cell(&mut self, item: &Bytes, key: Key) -> Cell {
        if let Some((_, cell)) = self.cells.get(&key) {
            return Arc::clone(cell);
        }
        let made = self.made.get(&key).and_then(Weak::upgrade);
        let cell = Arc::new(OnceCell::new_with(made.map(|made| made.segments())));
        self.cells.insert(key, (item.clone(), Arc::clone(&cell)));
        self.order.push_back(key);
        self.bytes += cost(&key);
        while self.bytes > KEPT_BYTES_MAX && self.order.len() > 1 {
            let Some(oldest) = self.order.pop_front() else { break };
            self.bytes -= cost(&oldest);
            self.cells.remove(&oldest);
        }
        if self.made.len() > 2 * self.order.len() + MADE_MIN {
            self.made.retain(|_, made| made.strong_count() > 0);
        }
        cell
    }
}

/// Of so many items it is not asked whether their segments are still there.
const MADE_MIN: usize = 64;

/// Of an item that is kept: its bytes, as many coded ones at most, and what stands around them.
fn cost((_, bytes, _): &Key) -> usize {
    2 * bytes + 512
}

/// Whether a twentieth is saved.
fn is_worth_it(coded: &[Bytes], plain_bytes: usize) -> bool {
    bytes(coded) < plain_bytes / 20 * 19
}

fn bytes(slices: &[Bytes]) -> usize {
    slices.iter().map(Bytes::len).sum()
}

#[cfg(test)]
mod tests {
    use link::frame::Kind;
    use schemas::digest::Digest;

    use super::*;

    const LONG: usize = 100 << 10;

    fn body(items: &[Bytes]) -> Vec<Bytes> {
        let (head, tail) = (Bytes::from_static(b"<m:Message_Core>"), Bytes::from_static(b"</m:Message_Core>"));
        [&[head], items, &[tail]].concat()
    }

    /// Restores a frame's body.
    fn restored(coded: &[Bytes]) -> Vec<u8> {
        let coded = coded.concat();
        let (prelude, segments) = coded.split_first_chunk().unwrap();
        let length = u32::try_from(coded.len()).unwrap();
        let mut restoring = segments::Restoring::new(Prelude::from_wire(prelude).unwrap(), length).unwrap();
        let mut document = Vec::new();
        restoring.waiting_mut().extend_from_slice(segments);
        restoring.came(segments.len());
        while restoring.next_piece().unwrap().is_some() {
            restoring.restore(&mut document).unwrap();
        }
        document
    }

    #[tokio::test]
    async fn an_item_is_coded_once_for_all_bundles() {
        let forms = Forms::default();
        let items = [Bytes::from("<item/>".repeat(50)), Bytes::from("<long/>".repeat(LONG / 7))];
        for items in [&items[..], &items[..1], &items[1..]] {
            for dictionary in [None, Some(Dictionary::advisories())] {
                let body = body(items);
                let header = FrameHeader::over(Kind::Delivery, &body).at(7);
                let (coded_header, coded) = forms.segmented(&header, &body, dictionary).await.expect("worth it");
                assert_eq!(coded_header, header.in_form(Form::Segmented));
                assert_eq!(restored(&coded), body.concat());
            }
        }
        let again = forms.item(&items[1], None).await.unwrap();
        assert!(Arc::ptr_eq(&again, &forms.item(&items[1].clone(), None).await.unwrap()));
        assert_eq!(forms.kept.lock().unwrap().order.len(), 4, "two items, with and without a dictionary");
    }

    #[tokio::test]
    async fn what_cannot_be_made_shorter_stays_plain() {
        let noise: Vec<u8> = (0_u32..300).flat_map(|number| Digest::of(&number.to_be_bytes()).0).collect();
        let body = body(&[noise.into()]);
        assert_eq!(Forms::default().segmented(&FrameHeader::over(Kind::Delivery, &body), &body, None).await, None);
    }

    #[tokio::test]
    async fn what_somebody_sends_is_not_made_again() {
        let (forms, items) = (Forms::default(), [b'a', b'b'].map(|letter| Bytes::from(vec![letter; KEPT_BYTES_MAX])));
        let held = forms.item(&items[0], None).await.unwrap()[0].clone();
        forms.item(&items[1], None).await.unwrap();
        assert_eq!(forms.kept().order.len(), 1, "the other one is kept");
        let again = forms.item(&items[0].clone(), None).await.unwrap();
        assert_eq!(again[0].as_ptr(), held.as_ptr(), "it is the same");
        drop((held, again));
        forms.item(&items[1], None).await.unwrap();
        assert!(forms.kept().made.values().filter_map(Weak::upgrade).count() == 1, "nobody has it any more");
    }

    #[tokio::test]
    async fn segments_that_links_hold_are_bounded() {
        let (forms, item) = (Forms::default(), Bytes::from(vec![7; LONG]));
        forms.live.store(LIVE_BYTES_MAX + 1, Ordering::Relaxed);
        assert_eq!(forms.item(&item, None).await, None, "it goes as it is");
        forms.live.store(0, Ordering::Relaxed);
        let made = forms.item(&item, None).await.unwrap();
        assert_eq!(forms.live.load(Ordering::Relaxed), bytes(&made));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (mut kept, cost) = (Kept::default(), 2 * LONG + 512);
        let items: Vec<Bytes> = (0..1000).map(|_| Bytes::from(vec![0; LONG])).collect();
        items.iter().for_each(|item| drop(kept.cell(item, key(item, true))));
        assert_eq!((kept.order.len(), kept.cells.len()), (KEPT_BYTES_MAX / cost, KEPT_BYTES_MAX / cost));
        let long = Bytes::from(vec![0; KEPT_BYTES_MAX]);
        drop(kept.cell(&long, key(&long, true)));
        assert_eq!((kept.order.len(), kept.bytes), (1, 2 * KEPT_BYTES_MAX + 512), "the last one, however long");
    }
}
