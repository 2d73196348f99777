//! Documents are read once, however many bring them at the same time: facts by digest (P-3).
//!
//! A popular item comes from several upstreams and providers at once. Whoever is first reads it; the others wait for him and
//! get what he found, a refusal too. What a sender may do with it is decided for each of them, later. Nothing is held for
//! longer: an item that comes again is known by its place in the log.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use dashmap::DashMap;
use link::frame::Frame;
use node::intake::Intake;
use schemas::digest::Digest;
use schemas::error::Refused;
use tokio::sync::OnceCell;

/// What a document says; nothing if it says nothing that has a meaning here.
pub(super) type Found = Result<Option<Arc<Intake>>, Refused>;

/// The documents that are being read. See the module.
#[derive(Debug, Default)]
pub(crate) struct Reading(DashMap<Digest, Weak<OnceCell<Found>>>);

impl Reading {
    /// What the document in a frame says. `read` is called if nobody is reading it.
    pub(super) async fn of<F>(&self, frame: &Frame, read: impl FnOnce(Bytes) -> F) -> Found
    where
        F: Future<Output = Found>,
    {
        let digest = frame.header.digest;
        let document = self.join(digest);
        let found = document.get_or_init(|| read(frame.body.clone())).await.clone();
        drop(document);
        self.0.remove_if(&digest, |_, document| document.strong_count() == 0);
        found
    }

    fn join(&self, digest: Digest) -> Arc<OnceCell<Found>> {
        let mut known = self.0.entry(digest).or_default();
        known.upgrade().unwrap_or_else(|| {
            let document = Arc::default();
            *known = Arc::downgrade(&document);
            document
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use link::frame::{FrameHeader, Kind};
    use schemas::error::{Error, ErrorKind};

    use super::*;

    /// Arrivals of one document.
    const ARRIVALS: usize = 1000;

    fn frame() -> Frame {
        let body = Bytes::from_static(b"<a/>");
        Frame { header: FrameHeader::over(Kind::Document, std::slice::from_ref(&body)), body }
    }

    /// All arrivals at once, from four threads; what each found, and how often the document was read.
    async fn arrive(found: Found) -> (Vec<Found>, usize) {
        let (reading, times) = (Arc::new(Reading::default()), Arc::new(AtomicUsize::new(0)));
        let arrivals: Vec<_> = (0..ARRIVALS)
            .map(|_| {
                let (reading, times, found) = (Arc::clone(&reading), Arc::clone(&times), found.clone());
                tokio::spawn(async move {
                    let document = frame();
                    let read = async |_| {
                        times.fetch_add(1, Ordering::Relaxed);
                        // It takes until everybody is there.
                        while reading.0.get(&document.header.digest).unwrap().strong_count() < ARRIVALS {
                            tokio::task::yield_now().await;
                        }
                        found
                    };
                    reading.of(&document, read).await
                })
            })
            .collect();
        let mut all = Vec::new();
        for arrival in arrivals {
            all.push(arrival.await.unwrap());
        }
        assert!(reading.0.is_empty(), "nothing is held");
        (all, times.load(Ordering::Relaxed))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn p_3_a_thousand_arrivals_are_read_once() {
        let (all, times) = arrive(Ok(None)).await;
        assert!(all.iter().all(|found| matches!(found, Ok(None))));
        assert_eq!((all.len(), times), (ARRIVALS, 1));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_refusal_is_found_once_too() {
        let refused = Refused {
            error: Error { kind: ErrorKind::Grammar("no".to_owned()), byte: 0, line: 1, clause: "10.1.1" },
            message_id: None,
            is_reply: false,
            spelling: schemas::names::Spelling::Double,
        };
        let (all, times) = arrive(Err(refused.clone())).await;
        assert!(all.into_iter().all(|found| found.unwrap_err() == refused));
        assert_eq!(times, 1);
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_the_reading_to_the_next() {
        let reading = Reading::default();
        let document = frame();
        let stuck = reading.of(&document, async |_| std::future::pending().await);
        let next = reading.of(&document, async |_| Ok(None));
        tokio::select! {
            biased;
            _ = stuck => panic!("it never ends"),
            () = tokio::task::yield_now() => {}
        }
        assert!(next.await.unwrap().is_none());
    }
}
