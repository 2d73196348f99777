//! Streams of a connection.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use quinn_proto::{ClosedStream, ConnectionError, FinishError, StreamId, VarInt};
use tokio::io::{AsyncRead, ReadBuf};

use super::connection::{Connection, State};
use super::shared_window::Waiting;

/// Why nothing can be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WriteError {
    /// The peer reads no more of this stream.
    #[error("stopped by the peer with code {0}")]
    Stopped(VarInt),
    /// The connection is over.
    #[error("connection lost: {0}")]
    ConnectionLost(#[from] ConnectionError),
    /// This side has finished or reset it.
    #[error("the stream is closed")]
    ClosedStream,
}

/// Why nothing can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// The peer gave the stream up.
    #[error("reset by the peer with code {0}")]
    Reset(VarInt),
    /// The connection is over.
    #[error("connection lost: {0}")]
    ConnectionLost(#[from] ConnectionError),
    /// This side has stopped it.
    #[error("the stream is closed")]
    ClosedStream,
}

/// The half that sends. Dropped, it ends in good order: whoever must not be taken for whole resets first.
pub(crate) struct SendStream {
    connection: Connection,
    id: StreamId,
    /// It need not wait until what others have under way is acknowledged.
    is_urgent: bool,
}

impl SendStream {
    pub(super) fn new(connection: Connection, id: StreamId) -> Self {
        Self { connection, id, is_urgent: false }
    }

    /// Whether it need not wait until what others have under way is acknowledged: 64 KiB are kept for such streams.
    pub(crate) fn set_urgent(&mut self, is_urgent: bool) {
        self.is_urgent = is_urgent;
        self.change(|state, id| state.urgent.retain(|waiting| *waiting != id));
    }

    /// Until this is dropped, its connection is one of those that share the window of all.
    pub(crate) fn share_window(&self) -> Waiting {
        Waiting::new(self.connection.shared())
    }

    /// Hands over what there is credit for, shared and not copied: says how many chunks were taken whole. Of the next a part
    /// may have been, which is cut off it.
    pub(crate) fn try_write(&mut self, chunks: &mut [Bytes]) -> Result<usize, WriteError> {
        let shared = self.connection.shared();
        let mut state = shared.lock();
        let taken = self.write_to(&mut state, chunks)?;
        shared.touch(&mut state);
        Ok(taken.unwrap_or(0))
    }

    /// Waits until there is credit, and hands over as [`SendStream::try_write`] does. Safe to cancel.
    pub(crate) async fn write(&mut self, chunks: &mut [Bytes]) -> Result<usize, WriteError> {
        poll_fn(|cx| {
            let shared = self.connection.shared();
            let mut state = shared.lock();
            let Some(taken) = self.write_to(&mut state, chunks)? else {
                state.writers.insert(self.id, cx.waker());
                return Poll::Pending;
            };
            shared.touch(&mut state);
            Poll::Ready(Ok(taken))
        })
        .await
    }

    /// Hands all chunks over.
    #[cfg(test)]
    pub(crate) async fn write_all_chunks(&mut self, mut chunks: &mut [Bytes]) -> Result<(), WriteError> {
        while !chunks.is_empty() {
            let taken = self.write(chunks).await?;
            chunks = &mut chunks[taken..];
        }
        Ok(())
    }

    /// The same with bytes that are copied.
    #[cfg(test)]
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.write_all_chunks(&mut [Bytes::copy_from_slice(bytes)]).await
    }

    /// Waits until the peer reads no more of it, and writes meanwhile.
    #[cfg(test)]
    pub(crate) async fn stopped(&mut self) -> VarInt {
        loop {
            match self.write_all(&[0]).await {
                Ok(()) => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
                Err(WriteError::Stopped(code)) => return code,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Ends the stream in good order.
    pub(crate) fn finish(&mut self) -> Result<(), ClosedStream> {
        self.change(|state, id| match state.quic.send_stream(id).finish() {
            // A peer that has stopped reading needs no end.
            Ok(()) | Err(FinishError::Stopped(_)) => Ok(()),
            Err(FinishError::ClosedStream) => Err(ClosedStream::default()),
        })
    }

    /// Gives the stream up.
    pub(crate) fn reset(&mut self, code: VarInt) -> Result<(), ClosedStream> {
        self.change(|state, id| state.quic.send_stream(id).reset(code))
    }

    /// What is sent first, the highest.
    pub(crate) fn set_priority(&self, priority: i32) -> Result<(), ClosedStream> {
        self.change(|state, id| state.quic.send_stream(id).set_priority(priority))
    }

    /// Hands over what there is room for: how many chunks were taken whole, or nothing if not even a part of one was.
    fn write_to(&self, state: &mut State, chunks: &mut [Bytes]) -> Result<Option<usize>, WriteError> {
        if let Some(error) = &state.error {
            return Err(WriteError::ConnectionLost(error.clone()));
        }
        // Where there is no room the protocol says only that, and would not say this again when there is.
        if let Ok(Some(code)) = state.quic.send_stream(self.id).stopped() {
            return Err(WriteError::Stopped(code));
        }
        let window = &self.connection.shared().window;
        state.set_window(window, self.is_urgent);
        let (piece, mut whole, mut moved) = (window.piece(self.is_urgent), 0, false);
        while whole < chunks.len() {
            match write_piece(state, self.id, piece, &mut chunks[whole..]) {
                Ok(taken) => (whole, moved) = (whole + taken, true),
                Err(quinn_proto::WriteError::Blocked) => break,
                Err(quinn_proto::WriteError::Stopped(code)) => return Err(WriteError::Stopped(code)),
                Err(quinn_proto::WriteError::ClosedStream) => return Err(WriteError::ClosedStream),
            }
        }
        if self.is_urgent {
            state.urgent.retain(|waiting| *waiting != self.id);
            if whole < chunks.len() {
                state.urgent.push(self.id);
            }
        }
        // By the window that is left here the protocol says to those who wait that there is room.
        let is_urgent = !state.urgent.is_empty();
        state.set_window(window, is_urgent);
        Ok(moved.then_some(whole))
    }

    fn change<T>(&self, change: impl FnOnce(&mut State, StreamId) -> T) -> T {
        let mut state = self.connection.shared().lock();
        let changed = change(&mut state, self.id);
        self.connection.shared().touch(&mut state);
        changed
    }
}

/// Hands over the short chunks at the front, or a piece of the first one: says how many were taken whole.
fn write_piece(
    state: &mut State,
    id: StreamId,
    piece: usize,
    chunks: &mut [Bytes],
) -> Result<usize, quinn_proto::WriteError> {
    let short = chunks.iter().take_while(|chunk| chunk.len() <= piece).count();
    let mut stream = state.quic.send_stream(id);
    if short > 0 {
        return stream.write_chunks(&mut chunks[..short]).map(|written| written.chunks);
    }
    let written = stream.write_chunks(&mut [chunks[0].slice(..piece)])?;
    chunks[0].advance(written.bytes);
    Ok(0)
}

impl Drop for SendStream {
    fn drop(&mut self) {
        let mut state = self.connection.shared().lock();
        state.writers.remove(self.id);
        state.urgent.retain(|waiting| *waiting != self.id);
        if state.error.is_some() {
            return;
        }
        let mut stream = state.quic.send_stream(self.id);
        let ended = match stream.finish() {
            Ok(()) => true,
            Err(FinishError::Stopped(code)) => stream.reset(code).is_ok(),
            Err(FinishError::ClosedStream) => false,
        };
        if ended {
            self.connection.shared().touch(&mut state);
        }
    }
}

/// The half that receives. Dropped before its end, it tells the peer to stop.
pub(crate) struct RecvStream {
    connection: Connection,
    id: StreamId,
    /// How it ended: in good order, or reset by the peer.
    end: Option<Result<(), VarInt>>,
}

impl RecvStream {
    pub(super) fn new(connection: Connection, id: StreamId) -> Self {
        Self { connection, id, end: None }
    }

    /// Tells the peer to send no more.
    pub(crate) fn stop(&mut self, code: VarInt) -> Result<(), ClosedStream> {
        let mut state = self.connection.shared().lock();
        state.quic.recv_stream(self.id).stop(code)?;
        self.connection.shared().touch(&mut state);
        self.end = Some(Ok(()));
        Ok(())
    }

    /// Reads what is here, in order; nothing at the end.
    fn poll_fill(&mut self, cx: &Context<'_>, into: &mut ReadBuf<'_>) -> Poll<Result<(), ReadError>> {
        let before = into.filled().len();
        let shared = self.connection.shared();
        let mut state = shared.lock();
        if self.end.is_none() {
            let mut stream = state.quic.recv_stream(self.id);
            let mut chunks = stream.read(true).map_err(|_| ReadError::ClosedStream)?;
            while into.remaining() > 0 {
                match chunks.next(into.remaining()) {
                    Ok(Some(chunk)) => into.put_slice(&chunk.bytes),
                    Ok(None) => self.end = Some(Ok(())),
                    Err(quinn_proto::ReadError::Reset(code)) => self.end = Some(Err(code)),
                    Err(quinn_proto::ReadError::Blocked) => break,
                }
                if self.end.is_some() {
                    break;
                }
            }
            if chunks.finalize().should_transmit() {
                shared.touch(&mut state);
            }
        }
        if into.filled().len() > before || into.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        match (&self.end, &state.error) {
            (Some(end), _) => Poll::Ready(end.map_err(ReadError::Reset)),
            (None, Some(error)) => Poll::Ready(Err(ReadError::ConnectionLost(error.clone()))),
            (None, None) => {
                state.readers.insert(self.id, cx.waker());
                Poll::Pending
            }
        }
    }
}

impl AsyncRead for RecvStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_fill(cx, into).map_err(|error| {
            let kind = match error {
                ReadError::Reset(_) => io::ErrorKind::ConnectionReset,
                ReadError::ConnectionLost(_) | ReadError::ClosedStream => io::ErrorKind::NotConnected,
            };
            io::Error::new(kind, error)
        })
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        let mut state = self.connection.shared().lock();
        state.readers.remove(self.id);
        if self.end.is_some() || state.error.is_some() {
            return;
        }
        // One that is closed already needs no stop.
        if state.quic.recv_stream(self.id).stop(VarInt::from_u32(0)).is_ok() {
            self.connection.shared().touch(&mut state);
        }
    }
}
