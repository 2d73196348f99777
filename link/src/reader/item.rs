//! An item on a stream of its own: read into its place in the document, behind what is held of it.

use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::time::Instant;

use super::{Body, FrameReader, ReadFailure};
use crate::apart::{Beginning, ITEMS_MAX, Notice, OFFSET_BYTES};
use crate::frame::{Form, FrameError, FrameHeader, HEADER_BYTES};

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// The header of the next frame, of which nothing else is read; `None` at the stream's end.
    pub(crate) async fn peek(&mut self) -> Result<Option<FrameHeader>, ReadFailure> {
        if self.filled == 0 {
            self.due.begin(Instant::now() + self.rules.limits.exchange_timeout, &self.rules);
        }
        let is_there = loop {
            match self.fill_header(HEADER_BYTES, self.due.by).await {
                Err(ReadFailure::Timeout) if self.due.put_off(&self.rules) => {}
                is_there => break is_there?,
            }
        };
        if !is_there {
            return Ok(None);
        }
        Ok(Some(self.checked_header()?.0))
    }

    /// The frame has until then to go on.
    pub(crate) fn restart(&mut self) {
        self.due.begin(Instant::now() + self.rules.limits.frame_timeout, &self.rules);
    }

    /// Nobody has read for so long: what waits has so much more time.
    pub(crate) fn postpone(&mut self, by: Duration) {
        self.due.postpone(by);
        if let Some(body) = &mut self.body {
            body.room.waiting = body.room.waiting.map(|since| since + by);
        }
    }

    /// The document with the item whose frame begins here: head, item, tail. What is `held` of it is taken from there if
    /// the item goes on behind it. Safe to cancel.
    pub(crate) async fn next_item(
        &mut self,
        notice: &Notice,
        held: &mut Option<Beginning>,
    ) -> Result<Bytes, ReadFailure> {
        if let Err(failure) = self.read_item(notice, held).await {
            if matches!(failure, ReadFailure::Frame(_)) {
                // Whoever sends what cannot be right may have done so before: it is fetched from its start.
                (self.body, *held) = (None, None);
            }
            return Err(failure);
        }
        let Some(mut body) = self.body.take() else { return Ok(Bytes::new()) };
        (self.filled, self.due.by) = (0, None);
        self.rules.traffic.received.fetch_add((HEADER_BYTES + body.wire_bytes) as u64, Ordering::Relaxed);
        // Not a byte beyond what was taken.
        body.bytes.reserve_exact(notice.tail.len());
        body.bytes.extend_from_slice(&notice.tail);
        Ok(body.finish()?.body)
    }

    async fn read_item(&mut self, notice: &Notice, held: &mut Option<Beginning>) -> Result<(), ReadFailure> {
        if self.body.is_none() {
            self.body = Some(self.begin_item(notice, held).await?);
        }
        self.read_on().await
    }

    async fn begin_item(&mut self, notice: &Notice, held: &mut Option<Beginning>) -> Result<Body, ReadFailure> {
        self.fill_header(HEADER_BYTES + OFFSET_BYTES, None).await?;
        let (header, length) = self.checked_header()?;
        let offset = u64::from_be_bytes(self.header[HEADER_BYTES..].first_chunk().copied().unwrap_or_default());
        if offset > held.as_ref().map_or(0, |held| held.bytes.len() as u64) {
            return Err(FrameError::Contradiction("an item that goes on behind what is held of it").into());
        }
        let octets = length.saturating_sub(OFFSET_BYTES as u32);
        let segments = match header.form {
            Form::Segmented => Some(self.begin_segments(HEADER_BYTES + OFFSET_BYTES, octets).await?),
            Form::Plain | Form::Short => None,
        };
        let rest = segments.as_ref().map_or(octets, |segments| segments.document_bytes());
        if offset + u64::from(rest) != u64::from(notice.item_bytes) {
            return Err(FrameError::Contradiction("an item of another length than its lane says").into());
        }
        // Whoever announced it was held to the limit of a document.
        let document = notice.item_bytes.saturating_add(notice.around() as u32);
        let mut body = self.begin_body(header, octets, document, segments).await?;
        let limits = &self.rules.limits;
        // It shares the link with its like.
        let slow = octets.saturating_mul(ITEMS_MAX as u32);
        self.due.begin(Instant::now() + limits.allowance(limits.frame_timeout, slow), &self.rules);
        body.room.take(notice.around(), limits.room_timeout).await?;
        body.begin_at(notice, offset as usize, held.take());
        Ok(body)
    }

    /// What came of an item that is not whole.
    pub(crate) fn beginning(&mut self, notice: &Notice) -> Option<Beginning> {
        let Body { mut bytes, room, .. } = self.body.take()?;
        bytes.drain(..notice.head.len());
        Some(Beginning { digest: notice.digest, bytes, room: room.permit.into_node() })
    }
}

impl Body {
    /// Puts what stands before the item, and what is held of it, where they belong; room for head and tail was taken.
    fn begin_at(&mut self, notice: &Notice, offset: usize, held: Option<Beginning>) {
        self.length -= notice.tail.len();
        if let Some(Beginning { mut bytes, room, .. }) = held.filter(|_| offset > 0) {
            bytes.truncate(offset);
            self.hasher.update(&bytes);
            self.bytes = bytes;
            self.room.permit.merge_node(room);
        }
        self.bytes.reserve_exact(notice.around());
        self.bytes.splice(..0, notice.head.iter().copied());
        self.taken = self.bytes.len();
    }
}
