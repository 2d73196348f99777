//! Frames into a stream, without copying their bodies.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use crate::close::CloseCode;
use crate::frame::{FrameHeader, HEADER_BYTES};
use crate::quic::{SendStream, WriteError};
use crate::traffic::Traffic;

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
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    /// A frame has begun; seen by a later call, it was never finished.
    Within,
    Finished,
}

impl FrameWriter {
    /// A writer at a stream's start.
    pub(crate) fn new(stream: SendStream, traffic: Arc<Traffic>) -> Self {
        Self { stream, traffic, state: State::Ready }
    }

    /// Hands one frame to the transport: the header is written for this link, the body's slices are shared. Waits while
    /// the peer grants no credit. `length` is the sum of the slices' lengths.
    pub(crate) async fn write(
        &mut self,
        header: &FrameHeader,
        length: u32,
        body: &[Bytes],
    ) -> Result<(), WriteFailure> {
        if self.state != State::Ready {
            return Err(WriteFailure::Unfinished);
        }
        self.state = State::Within;
        let mut chunks = Vec::with_capacity(1 + body.len());
        chunks.push(Bytes::copy_from_slice(&header.encode(length)));
        chunks.extend(body.iter().filter(|slice| !slice.is_empty()).cloned());
        self.stream.write_all_chunks(&mut chunks).await.map_err(WriteFailure::Stream)?;
        self.state = State::Ready;
        self.traffic.sent.fetch_add(HEADER_BYTES as u64 + u64::from(length), Ordering::Relaxed);
        Ok(())
    }

    /// Ends the stream in good order.
    pub(crate) fn finish(&mut self) -> Result<(), WriteFailure> {
        if self.state != State::Ready {
            return Err(WriteFailure::Unfinished);
        }
        self.state = State::Finished;
        // A stream that the peer stopped, or that is gone with its connection, needs no end.
        let _ = self.stream.finish();
        Ok(())
    }

    /// Gives the stream up with a code.
    pub(crate) fn reset(&mut self, code: CloseCode) {
        if self.state != State::Finished {
            self.state = State::Finished;
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
