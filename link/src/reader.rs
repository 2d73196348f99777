//! Frames out of a stream: bounded before allocation, with a deadline, and safe to cancel.
//!
//! A body's memory, and its part of the node's budget, grow with what has arrived of it: who announces much and sends
//! little holds little.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut, Bytes};
use schemas::digest::Digest;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Instant, timeout_at};

use crate::apart::OFFSET_BYTES;
use crate::budget::{Permit, Share};
use crate::frame::{Form, Frame, FrameError, FrameHeader, HEADER_BYTES, Kind};
use crate::limits::LinkLimits;
use crate::segments::{PRELUDE_BYTES, Prelude, Restoring};
use crate::traffic::Traffic;
use crate::window::{Raise, Windows};

/// The first part of a body that is taken from the budget.
const STEP_BYTES_MIN: usize = 4 << 10;

/// The largest part that is taken at once. Small against a long document, and large enough that a long one grows in some
/// seventy steps, each of which an allocator may have to answer by a copy.
const STEP_BYTES_MAX: usize = 1 << 20;

/// What a reader needs of its link; cheap to clone.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) limits: Arc<LinkLimits>,
    pub(crate) share: Share,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) windows: Option<Arc<Windows>>,
    /// What this end's Hello says that it reads.
    pub(crate) forms: Arc<[u8]>,
    /// Whether the peer sends some streams before others: while those go on, a frame of another one may wait.
    pub(crate) has_priorities: bool,
}

impl Rules {
    /// The longest body this end takes.
    pub(crate) fn body_bytes_max(&self) -> u32 {
        self.limits.document_bytes_max.min(self.share.body_bytes_max())
    }

    /// Bytes have been read off a stream of this link.
    fn count_read(&self, bytes: usize) {
        self.traffic.read.fetch_add(bytes as u64, Ordering::Relaxed);
        if let Some(windows) = &self.windows {
            windows.read(bytes);
        }
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
    /// This node had no memory for it in time.
    NoRoom,
}

impl From<FrameError> for ReadFailure {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// A body on its way in.
struct Body {
    header: FrameHeader,
    /// Of what is handed on.
    length: usize,
    /// Of what stands on the wire.
    wire_bytes: usize,
    /// What is restored of it, if it comes in segments.
    segments: Option<Box<Restoring>>,
    /// Its capacity is never more than what was taken.
    bytes: Vec<u8>,
    /// Bytes taken from the node's budget.
    taken: usize,
    raise: Option<Raise>,
    /// Boxed: it is 2 KiB, and every idle lane of every link would hold its place.
    hasher: Box<blake3::Hasher>,
    room: Room,
}

/// A body's part of the node's budget.
struct Room {
    permit: Permit,
    /// Since when it waits for more.
    waiting: Option<Instant>,
}

impl Room {
    /// Takes so many bytes more; says how long that took. Safe to cancel: the deadline is that of the first attempt.
    async fn take(&mut self, bytes: usize, room_timeout: Duration) -> Result<Duration, ReadFailure> {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        // Never much more than a mebibyte.
        let growing = self.permit.grow(u32::try_from(bytes).unwrap_or(u32::MAX));
        timeout_at(since + room_timeout, growing).await.ok().flatten().ok_or(ReadFailure::NoRoom)?;
        self.waiting = None;
        Ok(since.elapsed())
    }
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
    /// And what stands before the octets of an item, and before segments.
    header: [u8; HEADER_BYTES + OFFSET_BYTES + PRELUDE_BYTES],
    filled: usize,
    body: Option<Body>,
    due: Due,
}

/// When the frame that has begun must be whole, or something else of a link's must have come. Time spent waiting for the
/// budget is ours, not the peer's.
#[derive(Default)]
pub(crate) struct Due {
    pub(crate) by: Option<Instant>,
    /// When that was set, and bytes of the whole link then, with those of this frame since.
    since: Option<Instant>,
    others: u64,
}

impl Due {
    /// Bytes of this frame have come.
    fn came(&mut self, bytes: usize, rules: &Rules) {
        self.others += bytes as u64;
        rules.count_read(bytes);
    }

    /// What begins has until then.
    pub(crate) fn begin(&mut self, by: Instant, rules: &Rules) {
        let others = rules.traffic.read.load(Ordering::Relaxed);
        *self = Self { by: Some(by), since: Some(Instant::now()), others };
    }

    fn postpone(&mut self, by: Duration) {
        self.by = self.by.map(|deadline| deadline + by);
    }

    /// Puts it off if other frames of the link went on meanwhile, as fast as is asked of one: what is more urgent goes first.
    pub(crate) fn put_off(&mut self, rules: &Rules) -> bool {
        let (limits, read) = (&rules.limits, rules.traffic.read.load(Ordering::Relaxed));
        let least = f64::from(limits.rate_min) * self.since.map_or(0.0, |since| since.elapsed().as_secs_f64());
        let went_on = rules.has_priorities && read.saturating_sub(self.others) as f64 >= least.max(1.0);
        if went_on {
            self.begin(Instant::now() + limits.frame_timeout, rules);
        }
        went_on
    }
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader at a frame's start.
    pub(crate) fn new(stream: R, rules: Rules) -> Self {
        let body_bytes_max = rules.body_bytes_max();
        Self {
            stream,
            rules,
            body_bytes_max,
            header: [0; HEADER_BYTES + OFFSET_BYTES + PRELUDE_BYTES],
            filled: 0,
            body: None,
            due: Due::default(),
        }
    }

    /// The same with a limit of its own on the body's length, or back to the link's with `None`.
    pub(crate) fn limit_body(&mut self, bytes_max: Option<u32>) {
        self.body_bytes_max = bytes_max.unwrap_or_else(|| self.rules.body_bytes_max());
    }

    /// Hello has been said: these forms are taken.
    pub(crate) fn take_forms(&mut self, forms: Arc<[u8]>) {
        self.rules.forms = forms;
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
            if !self.fill_header(HEADER_BYTES, first_byte_by).await? {
                return Ok(None);
            }
            let (header, length) = self.checked_header()?;
            if header.kind == Kind::Item {
                let place = "where it does not open a stream";
                return Err(FrameError::Unexpected { kind: header.kind, place }.into());
            }
            let segments = match header.form {
                Form::Segmented => Some(self.begin_segments(HEADER_BYTES, length).await?),
                Form::Plain | Form::Short => None,
            };
            let document_bytes = segments.as_ref().map_or(length, Restoring::document_bytes);
            self.body = Some(self.begin_body(header, length, document_bytes, segments).await?);
        }
        self.read_on().await?;
        let Some(body) = self.body.take() else { return Ok(None) };
        self.filled = 0;
        self.due.by = None;
        self.rules.traffic.received.fetch_add((HEADER_BYTES + body.wire_bytes) as u64, Ordering::Relaxed);
        body.finish().map(Some).map_err(ReadFailure::Frame)
    }

    /// Fills so much of the header; `false` if the stream ended before its first byte.
    async fn fill_header(&mut self, bytes: usize, first_byte_by: Option<Instant>) -> Result<bool, ReadFailure> {
        while self.filled < bytes {
            let by = if self.filled == 0 { first_byte_by } else { self.due.by };
            let got = match before(by, self.stream.read(&mut self.header[self.filled..bytes])).await {
                Err(ReadFailure::Timeout) if self.filled > 0 && self.due.put_off(&self.rules) => continue,
                got => got?,
            };
            if got == 0 {
                return if self.filled == 0 {
                    Ok(false)
                } else {
                    Err(FrameError::Cut { missing: bytes - self.filled }.into())
                };
            }
            self.filled += got;
            self.due.came(got, &self.rules);
            if self.due.by.is_none() {
                self.due.begin(Instant::now() + self.rules.limits.frame_timeout, &self.rules);
            }
        }
        Ok(true)
    }

    /// Checks the header. Nothing is allocated yet.
    fn checked_header(&self) -> Result<(FrameHeader, u32), FrameError> {
        let header = self.header.first_chunk().unwrap_or(&[0; HEADER_BYTES]);
        let (header, length) = FrameHeader::decode(header)?;
        if !header.form.is_in(&self.rules.forms) {
            return Err(FrameError::Form(header.form as u8));
        }
        self.check_length(length)?;
        Ok((header, length))
    }

    fn check_length(&self, length: u32) -> Result<(), FrameError> {
        let limit = self.body_bytes_max;
        if length > limit { Err(FrameError::TooLong { length, limit }) } else { Ok(()) }
    }

    /// Reads what stands before the segments, behind so many bytes. The document has the limits of a body.
    async fn begin_segments(&mut self, at: usize, length: u32) -> Result<Restoring, ReadFailure> {
        self.fill_header(at + PRELUDE_BYTES, None).await?;
        let prelude = self.header[at..].first_chunk().unwrap_or(&[0; PRELUDE_BYTES]);
        let prelude = Prelude::from_wire(prelude).map_err(FrameError::from)?;
        self.check_length(prelude.document_bytes)?;
        Ok(Restoring::new(prelude, length).map_err(FrameError::from)?)
    }

    /// Waits for the link's own room.
    async fn begin_body(
        &mut self,
        header: FrameHeader,
        wire_bytes: u32,
        length: u32,
        segments: Option<Restoring>,
    ) -> Result<Body, ReadFailure> {
        let waiting = segments.as_ref().map_or(0, Restoring::waiting_bytes_max);
        // Without a deadline: the room is held by this link's other frames, which have theirs, or by our own caller.
        let permit = self.rules.share.admit(length.saturating_add(waiting)).await.ok_or(ReadFailure::NoRoom)?;
        let limits = &self.rules.limits;
        self.due.begin(Instant::now() + limits.allowance(limits.frame_timeout, wire_bytes), &self.rules);
        let raise = self.rules.windows.as_ref().map(|windows| Raise::none(Arc::clone(windows)));
        Ok(Body {
            header,
            length: length as usize,
            wire_bytes: wire_bytes as usize,
            segments: segments.map(Box::new),
            bytes: Vec::new(),
            taken: 0,
            raise,
            hasher: Box::default(),
            room: Room { permit, waiting: None },
        })
    }

    /// Reads the body to its end.
    async fn read_on(&mut self) -> Result<(), ReadFailure> {
        if self.body.as_ref().is_some_and(|body| body.segments.is_some()) {
            self.read_segments().await
        } else {
            self.read_body().await
        }
    }

    async fn read_body(&mut self) -> Result<(), ReadFailure> {
        let Some(body) = &mut self.body else { return Ok(()) };
        while body.bytes.len() < body.length {
            if body.bytes.len() == body.taken {
                let waited = body.take_step(self.rules.limits.room_timeout).await?;
                // Time spent waiting for the budget is ours, not the peer's.
                self.due.postpone(waited);
            }
            let (had, most) = (body.bytes.len(), body.readable());
            let mut room = (&mut body.bytes).limit(most);
            let got = match before(self.due.by, self.stream.read_buf(&mut room)).await {
                Err(ReadFailure::Timeout) if self.due.put_off(&self.rules) => continue,
                got => got?,
            };
            if got == 0 {
                return Err(FrameError::Cut { missing: body.length - had }.into());
            }
            self.due.came(got, &self.rules);
            body.hasher.update(&body.bytes[had..]);
        }
        Ok(())
    }
}

impl Body {
    /// Takes as much more as has arrived, within bounds, and grows the buffer by it; says how long that took.
    async fn take_step(&mut self, room_timeout: Duration) -> Result<Duration, ReadFailure> {
        let arrived = self.bytes.len();
        let step = arrived.clamp(STEP_BYTES_MIN, STEP_BYTES_MAX).min(self.length - arrived);
        let waited = self.room.take(step, room_timeout).await?;
        self.taken += step;
        self.bytes.reserve_exact(step);
        if let Some(raise) = &mut self.raise {
            raise.grow(arrived, self.length - arrived);
        }
        Ok(waited)
    }

    /// How much may be read now: what was taken, and no more than lets a raised window be lowered in time.
    fn readable(&mut self) -> usize {
        let missing = self.length - self.bytes.len();
        let most = self.raise.as_mut().map_or(missing, |raise| {
            raise.settle(missing);
            raise.look_again(missing)
        });
        most.min(self.taken - self.bytes.len())
    }

    fn finish(self) -> Result<Frame, FrameError> {
        if Digest(*self.hasher.finalize().as_bytes()) != self.header.digest {
            return Err(FrameError::Digest(self.header.kind));
        }
        let body = if self.bytes.is_empty() {
            Bytes::new()
        } else {
            Bytes::from_owner(Owner { bytes: self.bytes, _permit: self.room.permit })
        };
        // What came in segments is restored.
        let form = if self.header.form == Form::Segmented { Form::Plain } else { self.header.form };
        Ok(Frame { header: self.header.in_form(form), body })
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

mod item;
mod segmented;
#[cfg(test)]
mod tests;
