//! Bodies in segments: restored as they arrive, each piece's memory taken first.

use std::time::Duration;

use bytes::BufMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Body, FrameReader, ReadFailure, STEP_BYTES_MAX, STEP_BYTES_MIN, before};
use crate::frame::FrameError;

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Restores each segment as soon as it is here. All state is in the body, as when it comes plain.
    pub(super) async fn read_segments(&mut self) -> Result<(), ReadFailure> {
        let Some(Body { segments: Some(segments), bytes, length, hasher, room, .. }) = &mut self.body else {
            return Ok(());
        };
        let room_timeout = self.rules.limits.room_timeout;
        loop {
            let mut waited = Duration::ZERO;
            while let Some(piece) = segments.next_piece().map_err(FrameError::from)? {
                let (had, capacity) = (bytes.len(), bytes.capacity());
                if had + piece > capacity {
                    let step = (had + piece - capacity).max(STEP_BYTES_MIN.min(length.saturating_sub(capacity)));
                    waited += room.take(step, room_timeout).await?;
                    bytes.reserve_exact(capacity + step - had);
                }
                segments.restore(bytes).map_err(FrameError::from)?;
                hasher.update(&bytes[had..]);
            }
            let wants = segments.wants();
            if wants == 0 {
                return Ok(());
            }
            let waiting = segments.waiting_mut();
            if waiting.len() == waiting.capacity() {
                let step = waiting.len().clamp(STEP_BYTES_MIN, STEP_BYTES_MAX).min(wants);
                waited += room.take(step, room_timeout).await?;
                waiting.reserve_exact(step);
            }
            // Time spent waiting for the budget is ours, not the peer's.
            self.due.postpone(waited);
            let most = wants.min(waiting.capacity() - waiting.len());
            let got = match before(self.due.by, self.stream.read_buf(&mut waiting.limit(most))).await {
                Err(ReadFailure::Timeout) if self.due.put_off(&self.rules) => continue,
                got => got?,
            };
            if got == 0 {
                return Err(FrameError::Cut { missing: wants }.into());
            }
            segments.came(got);
            self.due.came(got, &self.rules);
        }
    }
}
