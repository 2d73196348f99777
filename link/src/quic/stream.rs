//! Streams of a connection.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use quinn_proto::{ClosedStream, ConnectionError, FinishError, StreamId, VarInt};
use tokio::io::{AsyncRead, ReadBuf};

use super::connection::{Connection, State};
use super::send_window::{BEYOND, Full};

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
    /// What it may have under way beyond the connection's window.
    beyond: u64,
}

impl SendStream {
    pub(super) fn new(connection: Connection, id: StreamId) -> Self {
        Self { connection, id, beyond: 0 }
    }

    /// From now on it need not wait until what others have under way is acknowledged: 64 KiB are kept for such.
    pub(crate) fn exceed_window(&mut self) {
        self.beyond = BEYOND;
    }

    /// Until this is dropped, the window is shared with one more that wants more than it has.
    pub(crate) fn fill_window(&self) -> Full {
        self.connection.shared().send_window.fill()
    }

    /// Hands over what there is credit for, shared and not copied: says how many chunks were taken whole. Of the next a part
    /// may have been, which is cut off it.
    pub(crate) fn try_write(&mut self, chunks: &mut [Bytes]) -> Result<usize, WriteError> {
        let shared = self.connection.shared();
        let mut state = shared.lock();
        let mut taken = 0;
        while taken < chunks.len()
            && let Some(whole) = self.write_to(&mut state, &mut chunks[taken..])?
        {
            taken += whole;
        }
        shared.touch(&mut state);
        Ok(taken)
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

    /// How many chunks the transport took whole, or nothing if there is no credit.
    fn write_to(&self, state: &mut State, chunks: &mut [Bytes]) -> Result<Option<usize>, WriteError> {
        if let Some(error) = &state.error {
            return Err(WriteError::ConnectionLost(error.clone()));
        }
        state.quic.set_send_window(self.connection.shared().send_window.bytes() + self.beyond);
        match state.quic.send_stream(self.id).write_chunks(chunks) {
            Ok(written) => Ok(Some(written.chunks)),
            Err(quinn_proto::WriteError::Blocked) => Ok(None),
            Err(quinn_proto::WriteError::Stopped(code)) => Err(WriteError::Stopped(code)),
            Err(quinn_proto::WriteError::ClosedStream) => Err(WriteError::ClosedStream),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State, StreamId) -> T) -> T {
        let mut state = self.connection.shared().lock();
        let changed = change(&mut state, self.id);
        self.connection.shared().touch(&mut state);
        changed
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        let mut state = self.connection.shared().lock();
        state.writers.remove(self.id);
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
