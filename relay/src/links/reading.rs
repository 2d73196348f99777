//! Documents are read once, however many bring them: facts by digest, of what is being read and of what was read last (P-3).
//!
//! A popular item comes from several upstreams and providers at nearly the same time. Whoever is first reads it; the others
//! wait for him and get what he found, a refusal too. What a sender may do with it is decided for each of them, later.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use dashmap::DashMap;
use link::frame::Frame;
use node::intake::Intake;
use schemas::digest::Digest;
use schemas::error::Refused;
use tokio::sync::OnceCell;

/// Documents that were read last and are remembered.
const RECENT: usize = 64;
/// Their bytes: few, as they count as unread on the link that brought them.
const RECENT_BYTES_MAX: usize = 1 << 20;

/// What a document says; nothing if it says nothing that has a meaning here.
pub(super) type Found = Result<Option<Arc<Intake>>, Refused>;

/// A document that is being read, or was.
#[derive(Debug)]
struct Document {
    bytes: usize,
    found: OnceCell<Found>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Those that anybody holds.
    known: DashMap<Digest, Weak<Document>>,
    recent: Mutex<Recent>,
}

/// The documents that were read last.
#[derive(Debug, Default)]
struct Recent {
    documents: VecDeque<Arc<Document>>,
    bytes: usize,
}

impl Reading {
    /// What the document in a frame says. `read` is called if nobody has read it yet, or is reading it.
    pub(super) async fn of<F>(&self, frame: &Frame, read: impl FnOnce(Bytes) -> F) -> Found
    where
        F: Future<Output = Found>,
    {
        let digest = frame.header.digest;
        let document = self.document(digest, frame.body.len());
        let read = async {
            let found = read(frame.body.clone()).await;
            self.remember(&document);
            found
        };
        let found = document.found.get_or_init(|| read).await.clone();
        drop(document);
        self.known.remove_if(&digest, |_, document| document.strong_count() == 0);
        found
    }

    fn document(&self, digest: Digest, bytes: usize) -> Arc<Document> {
        let mut known = self.known.entry(digest).or_default();
        known.upgrade().unwrap_or_else(|| {
            let document = Arc::new(Document { bytes, found: OnceCell::new() });
            *known = Arc::downgrade(&document);
            document
        })
    }

    /// Holds on to a document for a while, if it is not too long for that.
    fn remember(&self, document: &Arc<Document>) {
        if document.bytes > RECENT_BYTES_MAX {
            return;
        }
        let mut forgotten = Vec::new();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.bytes += document.bytes;
        recent.documents.push_back(Arc::clone(document));
        while recent.documents.len() > RECENT || recent.bytes > RECENT_BYTES_MAX {
            let Some(oldest) = recent.documents.pop_front() else { break };
            recent.bytes -= oldest.bytes;
            forgotten.push(Arc::downgrade(&oldest));
        }
        drop(recent);
        if !forgotten.is_empty() {
            self.known.retain(|_, document| document.strong_count() > 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use link::frame::{FrameHeader, Kind};
    use schemas::error::{Error, ErrorKind};
    use tokio::sync::Barrier;

    use super::*;

    fn frame(text: impl Into<Bytes>) -> Frame {
        let body = text.into();
        Frame { header: FrameHeader::over(Kind::Document, std::slice::from_ref(&body)), body }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn p_3_a_thousand_arrivals_are_read_once() {
        let (reading, read, begin) =
            (Arc::new(Reading::default()), Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(1000)));
        let arrivals: Vec<_> = (0..1000)
            .map(|_| {
                let (reading, read, begin) = (Arc::clone(&reading), Arc::clone(&read), Arc::clone(&begin));
                tokio::spawn(async move {
                    begin.wait().await;
                    let found = reading.of(&frame("<a/>"), |_| async {
                        read.fetch_add(1, Ordering::Relaxed);
                        // Others come meanwhile.
                        tokio::task::yield_now().await;
                        Ok(None)
                    });
                    found.await.unwrap().is_none()
                })
            })
            .collect();
        for arrival in arrivals {
            assert!(arrival.await.unwrap());
        }
        assert_eq!(read.load(Ordering::Relaxed), 1);
        let other = reading.of(&frame("<b/>"), |_| async {
            read.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        });
        other.await.unwrap();
        assert_eq!(read.load(Ordering::Relaxed), 2, "another document is read by itself");
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_the_reading_to_the_next() {
        let reading = Reading::default();
        let (first, second) = (frame("<a/>"), frame("<a/>"));
        let stuck = reading.of(&first, |_| std::future::pending());
        let next = reading.of(&second, |_| async { Ok(None) });
        tokio::select! {
            biased;
            _ = stuck => panic!("it never ends"),
            () = tokio::task::yield_now() => {}
        }
        assert!(next.await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_refusal_is_found_once_too() {
        let reading = Reading::default();
        let refused = Refused {
            error: Error { kind: ErrorKind::Grammar("no".to_owned()), byte: 0, line: 1, clause: "10.1.1" },
            message_id: None,
            is_reply: false,
            spelling: schemas::names::Spelling::Double,
        };
        let first = reading.of(&frame("<a/>"), |_| async { Err(refused.clone()) }).await;
        let second = reading.of(&frame("<a/>"), |_| async { panic!("read twice") }).await;
        assert_eq!((first.unwrap_err(), second.unwrap_err()), (refused.clone(), refused));
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let reading = Reading::default();
        for number in 0..200 {
            reading.of(&frame(format!("<a n='{number}'/>")), |_| async { Ok(None) }).await.unwrap();
        }
        assert_eq!((reading.known.len(), reading.recent.lock().unwrap().documents.len()), (RECENT, RECENT));
        reading.of(&frame(vec![b' '; RECENT_BYTES_MAX + 1]), |_| async { Ok(None) }).await.unwrap();
        assert_eq!(reading.known.len(), RECENT, "a long one is forgotten with its last holder");
        reading.of(&frame(vec![b' '; RECENT_BYTES_MAX - 100]), |_| async { Ok(None) }).await.unwrap();
        let recent = reading.recent.lock().unwrap();
        assert!(recent.bytes <= RECENT_BYTES_MAX && recent.documents.len() < RECENT);
    }
}
