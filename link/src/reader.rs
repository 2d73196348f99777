//! Frames out of a stream: bounded before allocation, with a deadline, and safe to cancel.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use schemas::digest::Digest;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use crate::budget::{Permit, Share};
use crate::connection::Traffic;
use crate::frame::{Frame, FrameError, FrameHeader, HEADER_BYTES};
use crate::limits::LinkLimits;
use crate::window::Windows;

/// What a reader needs of its link; cheap to clone.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) limits: Arc<LinkLimits>,
    pub(crate) share: Share,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) windows: Option<Arc<Windows>>,
}

impl Rules {
    /// The longest body this end takes.
    pub(crate) fn body_bytes_max(&self) -> u32 {
        self.limits.document_bytes_max.min(self.share.bytes())
    }
}

/// Why there is no frame.
#[derive(Debug)]
pub(crate) enum ReadFailure {
    /// The peer broke the framing.
    Frame(FrameError),
    /// The stream itself.
    Stream(io::Error),
    /// The deadline passed.
    Timeout,
}

impl From<FrameError> for ReadFailure {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// A body on its way in.
struct Body {
    header: FrameHeader,
    length: usize,
    bytes: Vec<u8>,
    /// Boxed: it is 2 KiB, and every idle lane of every link would hold its place.
    hasher: Box<blake3::Hasher>,
    permit: Permit,
}

/// What a finished body's `Bytes` own: the bytes, and their part of the budget.
struct Owner {
    bytes: Vec<u8>,
    _permit: Permit,
}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads frames. All state between bytes is kept here, so that a dropped [`FrameReader::next`] loses nothing.
pub(crate) struct FrameReader<R> {
    stream: R,
    rules: Rules,
    body_bytes_max: u32,
    header: [u8; HEADER_BYTES],
    filled: usize,
    body: Option<Body>,
    /// When the frame that has begun must be whole. Time spent waiting for the budget is ours, not the peer's.
    deadline: Option<Instant>,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader at a frame's start.
    pub(crate) fn new(stream: R, rules: Rules) -> Self {
        let body_bytes_max = rules.body_bytes_max();
        Self { stream, rules, body_bytes_max, header: [0; HEADER_BYTES], filled: 0, body: None, deadline: None }
    }

    /// The same with a limit of its own on the body's length, or back to the link's with `None`.
    pub(crate) fn limit_body(&mut self, bytes_max: Option<u32>) {
        self.body_bytes_max = bytes_max.unwrap_or_else(|| self.rules.body_bytes_max());
    }

    /// The stream, to stop it.
    pub(crate) fn stream_mut(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The next frame, or `None` at the stream's end. Waits for its first byte as long as it takes.
    pub(crate) async fn next(&mut self) -> Result<Option<Frame>, ReadFailure> {
        self.read(None).await
    }

    /// As [`FrameReader::next`], but the first byte must come before this time is over.
    pub(crate) async fn next_within(&mut self, wait: Duration) -> Result<Option<Frame>, ReadFailure> {
        self.read(Some(Instant::now() + wait)).await
    }

    async fn read(&mut self, first_byte_by: Option<Instant>) -> Result<Option<Frame>, ReadFailure> {
        if self.body.is_none() {
            if !self.read_header(first_byte_by).await? {
                return Ok(None);
            }
            self.body = Some(self.begin_body().await?);
        }
        self.read_body().await?;
        let Some(body) = self.body.take() else { return Ok(None) };
        self.filled = 0;
        self.deadline = None;
        self.rules.traffic.received.fetch_add((HEADER_BYTES + body.length) as u64, Ordering::Relaxed);
        body.finish().map(Some).map_err(ReadFailure::Frame)
    }

    /// Fills the header; `false` if the stream ended before its first byte.
    async fn read_header(&mut self, first_byte_by: Option<Instant>) -> Result<bool, ReadFailure> {
        while self.filled < HEADER_BYTES {
            let by = if self.filled == 0 { first_byte_by } else { self.deadline };
            let room = &mut self.header[self.filled..];
            let got = before(by, self.stream.read(room)).await?;
            if got == 0 {
                return if self.filled == 0 {
                    Ok(false)
                } else {
                    Err(FrameError::Cut { missing: HEADER_BYTES - self.filled }.into())
                };
            }
            self.filled += got;
            let timeout = self.rules.limits.frame_timeout;
            self.deadline.get_or_insert_with(|| Instant::now() + timeout);
        }
        Ok(true)
    }

    /// Checks the header, then takes the body's bytes from the budget, and only then allocates.
    async fn begin_body(&mut self) -> Result<Body, ReadFailure> {
        let (header, length) = FrameHeader::decode(&self.header)?;
        if length > self.body_bytes_max {
            return Err(FrameError::TooLong { length, limit: self.body_bytes_max }.into());
        }
        let permit = self.rules.share.take(length).await.ok_or(ReadFailure::Timeout)?;
        if let Some(windows) = &self.rules.windows {
            windows.raise_for(length);
        }
        let limits = &self.rules.limits;
        self.deadline = Some(Instant::now() + limits.allowance(limits.frame_timeout, length));
        let length = length as usize;
        Ok(Body { header, length, bytes: Vec::with_capacity(length), hasher: Box::default(), permit })
    }

    async fn read_body(&mut self) -> Result<(), ReadFailure> {
        let Some(body) = &mut self.body else { return Ok(()) };
        while body.bytes.len() < body.length {
            let had = body.bytes.len();
            let missing = body.length - had;
            let mut room = (&mut body.bytes).limit(missing);
            if before(self.deadline, self.stream.read_buf(&mut room)).await? == 0 {
                return Err(FrameError::Cut { missing }.into());
            }
            body.hasher.update(&body.bytes[had..]);
        }
        Ok(())
    }
}

impl Body {
    fn finish(self) -> Result<Frame, FrameError> {
        if Digest(*self.hasher.finalize().as_bytes()) != self.header.digest {
            return Err(FrameError::Digest(self.header.kind));
        }
        let body = if self.bytes.is_empty() {
            Bytes::new()
        } else {
            Bytes::from_owner(Owner { bytes: self.bytes, _permit: self.permit })
        };
        Ok(Frame { header: self.header, body })
    }
}

/// Runs a read under a deadline, if there is one. What is already there is read even when the deadline has passed.
async fn before(by: Option<Instant>, read: impl Future<Output = io::Result<usize>>) -> Result<usize, ReadFailure> {
    let result = match by {
        Some(by) => timeout_at(by, read).await.map_err(|_| ReadFailure::Timeout)?,
        None => read.await,
    };
    result.map_err(ReadFailure::Stream)
}

#[cfg(test)]
mod tests;
