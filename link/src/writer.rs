//! Frames into a stream, without copying their bodies.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use crate::close::CloseCode;
use crate::connection::priority;
use crate::frame::{FrameHeader, HEADER_BYTES};
use crate::quic::{SendStream, Waiting, WriteError};
use crate::traffic::Traffic;

/// Who takes nothing of a frame for so long has no part any more in the window that all who wait share, until he does.
const STALLED: Duration = Duration::from_secs(5);

/// Why a frame was not written.
#[derive(Debug)]
pub(crate) enum WriteFailure {
    /// The stream itself.
    Stream(WriteError),
    /// An earlier write was dropped in the middle.
    Unfinished,
}

/// Writes frames. Dropped before [`FrameWriter::finish`], it resets the stream, so that the other side never takes a
/// part for the whole.
pub(crate) struct FrameWriter {
    stream: SendStream,
    traffic: Arc<Traffic>,
    /// What the transport has not taken yet of the frame that has begun. Boxed: most streams are idle most of the time.
    rest: Option<Box<Rest>>,
    finished: bool,
}

/// The end of a frame.
struct Rest {
    chunks: Vec<Bytes>,
    /// How many of them the transport has.
    taken: usize,
    frame_bytes: u64,
    /// For as long as it waits for a peer that takes something.
    waiting: Option<Waiting>,
    /// Until it counts as stalled. Here, and not in what waits, it takes no room where nothing does.
    stalled: Pin<Box<Sleep>>,
}

impl Rest {
    /// Waits until the transport takes more of the chunks before this one. Safe to cancel.
    async fn go_on(&mut self, stream: &mut SendStream, before: usize) -> Result<(), WriteFailure> {
        tokio::select! {
            biased;
            written = stream.write(&mut self.chunks[self.taken..before]) => {
                self.taken += written.map_err(WriteFailure::Stream)?;
                if self.taken < self.chunks.len() {
                    self.stalled.as_mut().reset(Instant::now() + STALLED);
                    self.waiting.get_or_insert_with(|| stream.share_window());
                }
            }
            () = self.stalled.as_mut(), if self.waiting.is_some() => self.waiting = None,
        }
        Ok(())
    }
}

fn frame_bytes(length: u32) -> u64 {
    HEADER_BYTES as u64 + u64::from(length)
}

impl FrameWriter {
    /// A writer at a stream's start.
    pub(crate) fn new(stream: SendStream, traffic: Arc<Traffic>) -> Self {
        Self { stream, traffic, rest: None, finished: false }
    }

    /// Hands one frame to the transport: the header is written for this link, the body's slices are shared. What the peer
    /// grants no credit for now stays here. Says whether there is nothing left. `length` is the sum of the slices' lengths.
    pub(crate) fn begin(&mut self, header: &FrameHeader, length: u32, body: &[Bytes]) -> Result<bool, WriteFailure> {
        let mut chunks = self.chunks(header, length, body)?;
        let taken = self.stream.try_write(&mut chunks).map_err(WriteFailure::Stream)?;
        if taken < chunks.len() {
            self.keep(chunks, taken, length);
            return Ok(false);
        }
        self.count(frame_bytes(length));
        Ok(true)
    }

    /// A frame, if another one can begin.
    fn chunks(&self, header: &FrameHeader, length: u32, body: &[Bytes]) -> Result<Vec<Bytes>, WriteFailure> {
        if self.finished || self.rest.is_some() {
            return Err(WriteFailure::Unfinished);
        }
        let mut chunks = Vec::with_capacity(1 + body.len());
        chunks.push(Bytes::copy_from_slice(&header.encode(length)));
        chunks.extend(body.iter().filter(|slice| !slice.is_empty()).cloned());
        Ok(chunks)
    }

    fn keep(&mut self, chunks: Vec<Bytes>, taken: usize, length: u32) {
        let waiting = Some(self.stream.share_window());
        let stalled = Box::pin(sleep(STALLED));
        let rest = Rest { chunks, taken, frame_bytes: frame_bytes(length), waiting, stalled };
        self.rest = Some(Box::new(rest));
    }

    /// Waits until the transport has all of the frame that has begun. Safe to cancel.
    pub(crate) async fn flush(&mut self) -> Result<(), WriteFailure> {
        while let Some(rest) = self.rest.as_deref_mut() {
            let all = rest.chunks.len();
            if rest.taken < all {
                rest.go_on(&mut self.stream, all).await?;
            } else {
                let frame_bytes = rest.frame_bytes;
                self.rest = None;
                self.count(frame_bytes);
            }
        }
        Ok(())
    }

    fn count(&self, frame_bytes: u64) {
        self.traffic.sent.fetch_add(frame_bytes, Ordering::Relaxed);
    }

    /// One whole frame. Waits while the peer grants no credit; dropped while it waits, it leaves the rest to
    /// [`FrameWriter::flush`].
    pub(crate) async fn write(
        &mut self,
        header: &FrameHeader,
        length: u32,
        body: &[Bytes],
    ) -> Result<(), WriteFailure> {
        if self.begin(header, length, body)? { Ok(()) } else { self.flush().await }
    }

    /// The first frame of a stream, which is as urgent as `priority` says, but for the frame's header: that goes before all
    /// that waits. The other side takes streams in order, and would wait for it before it looks at a later one.
    pub(crate) async fn write_first(
        &mut self,
        header: &FrameHeader,
        length: u32,
        body: &[Bytes],
        priority: i32,
    ) -> Result<(), WriteFailure> {
        // Fails only if the stream is gone, and then so does the write.
        let _ = self.stream.set_priority(priority::CONTROL);
        self.stream.set_urgent(true);
        let chunks = self.chunks(header, length, body)?;
        self.keep(chunks, 0, length);
        while let Some(rest) = self.rest.as_deref_mut().filter(|rest| rest.taken == 0) {
            rest.go_on(&mut self.stream, 1).await?;
        }
        let _ = self.stream.set_priority(priority);
        self.stream.set_urgent(priority >= priority::CRITICAL);
        self.flush().await
    }

    /// Ends the stream in good order.
    pub(crate) fn finish(&mut self) -> Result<(), WriteFailure> {
        if self.finished || self.rest.is_some() {
            return Err(WriteFailure::Unfinished);
        }
        self.finished = true;
        // A stream that the peer stopped, or that is gone with its connection, needs no end.
        let _ = self.stream.finish();
        Ok(())
    }

    /// Gives the stream up with a code.
    pub(crate) fn reset(&mut self, code: CloseCode) {
        if !std::mem::replace(&mut self.finished, true) {
            // Already finished or gone is as good.
            let _ = self.stream.reset(code.to_wire());
        }
    }
}

impl Drop for FrameWriter {
    fn drop(&mut self) {
        self.reset(CloseCode::Internal);
    }
}
