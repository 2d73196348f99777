//! Bundles on their way to links: what goes to many is enveloped and digested once, by the first link that sends it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use dialler::clock;
use link::frame::{FrameHeader, Kind};
use node::bundle::{self, Outer};
use node::ids::Position;
use schemas::class::Class;
use schemas::guid::ServerGuid;
use schemas::names::Spelling;
use tokio::sync::OnceCell;

use crate::forms::{Forms, LinkForm};
use crate::store::Reader;

/// What a shard sends, shared by all links that get the same.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Of all items.
    pub(crate) class: Class,
    /// Of the last item.
    pub(crate) position: Position,
    /// Of all items.
    pub(crate) spelling: Spelling,
    /// Where the items stand in the log.
    positions: Vec<Position>,
    /// The items' bytes.
    pub(crate) parts: Vec<Bytes>,
    /// Which of them are not what was stored.
    damaged: OnceCell<Vec<Position>>,
    document: OnceCell<Written>,
    /// The same in segments, without and with a dictionary, where that is worth it.
    segmented: [OnceCell<Option<Written>>; 2],
}

/// A frame: its header, and its body in slices.
type Written = (FrameHeader, Vec<Bytes>);

impl Bundle {
    /// Which items are not what was stored: nothing of the bundle may go out then. Looked at by whoever comes first, before the
    /// document's digest is made of what is there; from then on the receiver's check tells.
    pub(crate) async fn damaged(&self, log: &Reader) -> &[Position] {
        let is_damaged = |position: &Position| !log.is_intact(position.0);
        self.damaged.get_or_init(async || self.positions.iter().copied().filter(is_damaged).collect()).await
    }

    /// The document with its frame's header. Written by whoever comes first, as digesting a long item takes its time; the
    /// others wait for him.
    pub(crate) async fn document(&self, server: ServerGuid) -> &Written {
        self.document.get_or_init(async || self.write(server)).await
    }

    /// The document in the form that the link takes, written once for each form.
    pub(crate) async fn in_form(&self, server: ServerGuid, forms: &Forms, form: LinkForm) -> &Written {
        let plain = self.document(server).await;
        let LinkForm::Segmented(dictionary) = form else { return plain };
        let cell = &self.segmented[usize::from(dictionary.is_some())];
        let segmented = cell.get_or_init(async || forms.segmented(&plain.0, &plain.1, dictionary).await);
        segmented.await.as_ref().unwrap_or(plain)
    }

    fn write(&self, server: ServerGuid) -> Written {
        let time = clock::now();
        let sent_time = clock::text(time);
        let outer = Outer { server, client: None, message_id: clock::message_id(), sent_time: &sent_time };
        let body = bundle::document(self.spelling, &outer, self.parts.iter().cloned());
        let header = FrameHeader::over(Kind::Delivery, &body).in_class(self.class);
        (header.at(self.position.0).fresh(time.0), body)
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
#[derive(Debug, Default)]
pub(crate) struct Recent {
    bundles: VecDeque<Arc<Bundle>>,
    bytes: usize,
}

impl Recent {
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
        let (damaged, document, segmented) = (OnceCell::new(), OnceCell::new(), Default::default());
        let bundle = Arc::new(Bundle { class, position, spelling, positions, parts, damaged, document, segmented });
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
mod tests {
    use super::*;

    fn parts(count: usize, bytes: usize) -> Vec<Bytes> {
        (0..count).map(|_| Bytes::from(vec![7; bytes])).collect()
    }

    #[tokio::test]
    async fn what_goes_to_many_links_is_written_once() {
        let (mut recent, items) = (Recent::default(), parts(2, 10));
        let mut bundle =
            |items: &[Bytes]| recent.bundle(Class::Normal, Spelling::Double, vec![Position(5)], items.to_vec());
        let [one, two] = [bundle(&items), bundle(&items)];
        let (header, body) = one.document(ServerGuid(1)).await;
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!((two.document(ServerGuid(1)).await, header.position), (&(header.clone(), body.clone()), 5));
        assert_eq!(FrameHeader::over(Kind::Delivery, body).digest, header.digest);
        let equal: Vec<Bytes> = items.iter().map(|item| Bytes::copy_from_slice(item)).collect();
        assert!(!Arc::ptr_eq(&one, &bundle(&equal)), "a copy would have to be compared");
        assert!(!Arc::ptr_eq(&one, &bundle(&items[..1])));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recent = Recent::default();
        (0..100).for_each(|position| {
            drop(recent.bundle(Class::Normal, Spelling::Double, vec![Position(position)], parts(1, 10)))
        });
        assert_eq!((recent.bundles.len(), recent.bytes), (RECENT, 10 * RECENT));
        drop(recent.bundle(Class::Normal, Spelling::Double, vec![Position(200)], parts(1, RECENT_BYTES_MAX + 1)));
        assert_eq!((recent.bundles.len(), recent.bytes), (1, RECENT_BYTES_MAX + 1));
    }
}
