//! Bundles on their way to links: what goes to many is enveloped and digested once, by the first link that sends it.

use std::collections::VecDeque;
use std::sync::Arc;

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

/// What a shard sends, shared by all links that get the same.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Of all items.
    pub(crate) class: Class,
    /// Of the last item.
    pub(crate) position: Position,
    /// Of all items.
    pub(crate) spelling: Spelling,
    /// The items' bytes.
    pub(crate) parts: Vec<Bytes>,
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

/// A frame: its header, and its body in slices.
type Written = (FrameHeader, Vec<Bytes>);

impl Bundle {
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

    /// The same as an Apart frame and an item, once for all links; `None` if it is not one long item.
    pub(crate) async fn apart(&self, server: ServerGuid) -> Option<&Apart> {
        let cell = self.apart.get_or_init(async || match &self.parts[..] {
            [item] if self.class == Class::Bulk && item.len() > ITEM_BYTES_MIN => self.write_apart(server, item),
            _ => None,
        });
        cell.await.as_ref()
    }

    fn write(&self, server: ServerGuid) -> Written {
        let (time, body) = self.enveloped(server);
        (self.header(Kind::Delivery, time, &body), body)
    }

    fn write_apart(&self, server: ServerGuid, item: &Bytes) -> Option<Apart> {
        let (time, body) = self.enveloped(server);
        let [head, _, tail] = &body[..] else { return None };
        let (digest, item_bytes) = (Digest::of(item), u32::try_from(item.len()).ok()?);
        let body = Notice { digest, item_bytes, head: head.clone(), tail: tail.clone() }.to_wire()?;
        let header = self.header(Kind::Apart, time, std::slice::from_ref(&body));
        Some(Apart { header, body, digest, item: item.clone() })
    }

    /// The document and when that was.
    fn enveloped(&self, server: ServerGuid) -> (Time, Vec<Bytes>) {
        let time = clock::now();
        let sent_time = clock::text(time);
        let outer = Outer { server, client: None, message_id: clock::message_id(), sent_time: &sent_time };
        (time, bundle::document(self.spelling, &outer, self.parts.iter().cloned()))
    }

    fn header(&self, kind: Kind, time: Time, body: &[Bytes]) -> FrameHeader {
        FrameHeader::over(kind, body).in_class(self.class).at(self.position.0).fresh(time.0)
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
        position: Position,
        spelling: Spelling,
        parts: Vec<Bytes>,
    ) -> Arc<Bundle> {
        if let Some(same) = self.bundles.iter().rev().find(|bundle| bundle.is_of(position, spelling, &parts)) {
            return Arc::clone(same);
        }
        self.bytes += bytes(&parts);
        let (document, apart, segmented) = (OnceCell::new(), OnceCell::new(), Default::default());
        let bundle = Arc::new(Bundle { class, position, spelling, parts, document, apart, segmented });
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
mod tests {
    use super::*;

    fn parts(count: usize, bytes: usize) -> Vec<Bytes> {
        (0..count).map(|_| Bytes::from(vec![7; bytes])).collect()
    }

    #[tokio::test]
    async fn what_goes_to_many_links_is_written_once() {
        let (mut recent, items) = (Recent::default(), parts(2, 10));
        let mut bundle = |items: &[Bytes]| recent.bundle(Class::Normal, Position(5), Spelling::Double, items.to_vec());
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
            drop(recent.bundle(Class::Normal, Position(position), Spelling::Double, parts(1, 10)))
        });
        assert_eq!((recent.bundles.len(), recent.bytes), (RECENT, 10 * RECENT));
        drop(recent.bundle(Class::Normal, Position(200), Spelling::Double, parts(1, RECENT_BYTES_MAX + 1)));
        assert_eq!((recent.bundles.len(), recent.bytes), (1, RECENT_BYTES_MAX + 1));
    }
}
