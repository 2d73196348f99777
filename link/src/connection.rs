//! A link that stands: both certificates checked, both Hellos said.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use schemas::class::Class;
use tokio::time::timeout;
use tracing::debug;

use crate::apart::Arrived;
use crate::close::{CloseCode, CloseReason, ClosedBy, cut};
use crate::error::{RecvError, SendError};
use crate::exchange::{Incoming, Outgoing};
use crate::frame::{Frame, FrameHeader, Kind};
use crate::hello::Hello;
use crate::identity::PeerIdentity;
use crate::lane::{Control, LaneReceiver, LaneSender, ReplyLane, ReplySender};
use crate::limits::LinkLimits;
use schemas::mark::Mark;

use crate::path::{self, PATH_BYTES_MAX};
use crate::quic::{Connection, ReadError, RecvStream, WriteError};
use crate::reader::{FrameReader, ReadFailure, Rules};
use crate::traffic::{Counters, WireBytes};
use crate::writer::{FrameWriter, WriteFailure};

/// Transport priorities: what is small and frees windows goes before what is large.
pub(crate) mod priority {
    pub(crate) const CONTROL: i32 = 3;
    pub(crate) const CRITICAL: i32 = 2;
    pub(crate) const EXCHANGE: i32 = 1;
    pub(crate) const NORMAL: i32 = 0;
    pub(crate) const BULK: i32 = -1;
    pub(crate) const ITEM: i32 = -2;
}

/// Which end of the link this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// It dialled.
    Client,
    /// It listened.
    Server,
}

/// One link. Clones are handles of the same link; it closes when the last handle and the last stream of it are dropped.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

/// What all handles and streams of a link share.
pub(crate) struct Inner {
    pub(crate) connection: Connection,
    pub(crate) side: Side,
    pub(crate) peer: PeerIdentity,
    pub(crate) peer_hello: Hello,
    pub(crate) version: u16,
    pub(crate) rules: Rules,
    /// The control stream's receiving half, until somebody takes it.
    pub(crate) control_in: Mutex<Option<FrameReader<RecvStream>>>,
    /// Its sending half stays here, because the stream must not end before the link does.
    pub(crate) control_out: tokio::sync::Mutex<FrameWriter>,
    pub(crate) replies_taken: AtomicBool,
    /// Items on streams of their own that no lane has asked for.
    pub(crate) arrived: Arrived,
    /// Classes whose lane is open towards us.
    pub(crate) lanes: Mutex<Vec<Class>>,
    /// What this side closed with.
    pub(crate) ours: OnceLock<CloseReason>,
}

impl Link {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Which end this is.
    pub fn side(&self) -> Side {
        self.0.side
    }

    /// Whose certificate the other end holds.
    pub fn peer(&self) -> PeerIdentity {
        self.0.peer
    }

    /// What the other end said.
    pub fn peer_hello(&self) -> &Hello {
        &self.0.peer_hello
    }

    /// The version that both speak.
    pub fn version(&self) -> u16 {
        self.0.version
    }

    /// Where the other end is now; a client may move.
    pub fn remote_addr(&self) -> std::net::SocketAddr {
        self.0.connection.remote_address()
    }

    /// The path's current round-trip time, as QUIC sees it.
    pub fn rtt(&self) -> Duration {
        self.0.connection.rtt()
    }

    /// Bytes of frames so far.
    pub fn counters(&self) -> Counters {
        self.0.rules.traffic.counters()
    }

    /// Bytes of datagrams so far, also of a link that is closed. A server's end lacks the client's first datagram, which
    /// comes before there is a connection.
    pub fn wire_bytes(&self) -> WireBytes {
        let stats = self.0.connection.stats();
        WireBytes { sent: stats.udp_tx.bytes, received: stats.udp_rx.bytes }
    }

    /// Bytes that may be on their way, as congestion control has it.
    #[cfg(test)]
    pub(crate) fn congestion_window(&self) -> u64 {
        self.0.connection.stats().path.cwnd
    }

    /// Bytes that may be taken to be sent and not be acknowledged.
    #[cfg(test)]
    pub(crate) fn window(&self) -> u64 {
        self.0.connection.window()
    }

    /// Credit for unread bytes that the other end has now, used or not.
    pub fn window_bytes(&self) -> u32 {
        self.0.rules.windows.as_ref().map_or(0, |windows| windows.bytes())
    }

    /// Opens an exchange with a document, which may stand in several slices. Either side may.
    ///
    /// # Errors
    ///
    /// The peer takes no such length, lets no stream be opened in time, or the link is closed.
    pub async fn open_exchange(&self, document: &[Bytes]) -> Result<Outgoing, SendError> {
        let opened = timeout(self.0.rules.limits.exchange_timeout, self.0.connection.open_bi()).await;
        let (send, recv) =
            opened.map_err(|_| SendError::Timeout)?.map_err(|error| SendError::Closed(self.0.reason(&error)))?;
        // Fails only if the stream is gone, and then so does the write.
        let _ = send.set_priority(priority::EXCHANGE);
        let mut writer = FrameWriter::new(send, Arc::clone(&self.0.rules.traffic));
        self.0.send(&mut writer, &FrameHeader::over(Kind::Document, document), document).await?;
        writer.finish().map_err(|failure| self.0.send_failed(failure))?;
        Ok(Outgoing::new(self.clone(), FrameReader::new(recv, self.0.rules.clone())))
    }

    /// The next exchange that the other side opens. Its document is not read yet, so that one that comes slowly holds
    /// up no other: give each [`Incoming`] a task of its own.
    ///
    /// # Errors
    ///
    /// The link is closed.
    pub async fn accept_exchange(&self) -> Result<Incoming, CloseReason> {
        let (send, recv) = self.0.connection.accept_bi().await.map_err(|error| self.0.reason(&error))?;
        // Fails only if the stream is gone, and then so does the answer.
        let _ = send.set_priority(priority::EXCHANGE);
        let writer = FrameWriter::new(send, Arc::clone(&self.0.rules.traffic));
        Ok(Incoming::new(self.clone(), writer, FrameReader::new(recv, self.0.rules.clone())))
    }

    /// Server: opens the lane of a class. One for each class, for as long as the link lives.
    ///
    /// # Errors
    ///
    /// This is the client's end, no stream in time, or the link is closed.
    pub async fn open_lane(&self, class: Class) -> Result<LaneSender, SendError> {
        if self.0.side == Side::Client {
            return Err(SendError::Side("lanes go from server to client"));
        }
        let urgency = match class {
            Class::Critical => priority::CRITICAL,
            Class::Normal => priority::NORMAL,
            Class::Bulk => priority::BULK,
        };
        let writer = self.0.open_push(&FrameHeader::over(Kind::Lane, &[]).in_class(class), &[], urgency).await?;
        Ok(LaneSender::new(self.clone(), class, writer))
    }

    /// Client: the next lane that the server opens. Items on streams of their own come the same way and are handed to the
    /// bulk lane, so it is called as long as the link lives.
    ///
    /// # Errors
    ///
    /// The link is closed, or is closed now because what came is no lane.
    pub async fn accept_lane(&self) -> Result<LaneReceiver, RecvError> {
        loop {
            let has_bulk = self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner).contains(&Class::Bulk);
            let recv = tokio::select! {
                recv = self.0.connection.accept_uni() => recv,
                fault = self.0.arrived.without_lane(&self.0.rules, has_bulk) => return Err(self.0.refuse(fault)),
            };
            let recv = recv.map_err(|error| RecvError::Closed(self.0.reason(&error)))?;
            let opened = LaneReceiver::open(self.clone(), FrameReader::new(recv, self.0.rules.clone())).await?;
            if let Some(lane) = opened {
                return Ok(lane);
            }
        }
    }

    /// Client: the reply lane. The first caller gets it.
    pub fn replies(&self) -> Option<ReplySender> {
        let free = self.0.side == Side::Client && !self.0.replies_taken.swap(true, Ordering::Relaxed);
        free.then(|| ReplySender::new(self.clone()))
    }

    /// Server: where replies to Deliveries arrive. The first caller gets it.
    pub fn reply_lane(&self) -> Option<ReplyLane> {
        if self.0.side == Side::Client { None } else { Some(ReplyLane::new(self.clone(), self.0.take_control_in()?)) }
    }

    /// Client: what the server says beside its lanes. The first caller gets it.
    pub fn control(&self) -> Option<Control> {
        if self.0.side == Side::Server { None } else { Some(Control::new(self.clone(), self.0.take_control_in()?)) }
    }

    /// Server: tells the client that it may have missed items up to a position and must ask again.
    ///
    /// # Errors
    ///
    /// This is the client's end, or the link is closed.
    pub async fn behind(&self, position: u64) -> Result<(), SendError> {
        if self.0.side == Side::Client {
            return Err(SendError::Side("a server says behind"));
        }
        let mut writer = self.0.control_out.lock().await;
        self.0.send(&mut writer, &FrameHeader::over(Kind::Behind, &[]).at(position), &[]).await
    }

    /// Server: tells the client its new path. A client whose Hello said no path does not know the frame: nothing is sent.
    ///
    /// # Errors
    ///
    /// More than [`path::PATH_MARKS_MAX`] marks, this is the client's end, or the link is closed.
    pub async fn path(&self, path: &[Mark]) -> Result<(), SendError> {
        if self.0.side == Side::Client {
            return Err(SendError::Side("a server tells its path"));
        }
        if self.0.peer_hello.path.is_none() {
            return Ok(());
        }
        let too_long = |_| SendError::TooLong { length: size_of_val(path) as u64, limit: u64::from(PATH_BYTES_MAX) };
        let body = [Bytes::from(path::to_wire(path).map_err(too_long)?)];
        let mut writer = self.0.control_out.lock().await;
        self.0.send(&mut writer, &FrameHeader::over(Kind::Path, &body), &body).await
    }

    /// Closes the link; the text is for people and is cut to [`crate::close::TEXT_BYTES_MAX`] bytes. What was sent and
    /// not yet acknowledged is lost.
    pub fn close(&self, code: CloseCode, text: &str) {
        self.0.close(code, text);
    }

    /// Waits until the link is closed and says how.
    pub async fn closed(&self) -> CloseReason {
        let error = self.0.connection.closed().await;
        self.0.reason(&error)
    }

    /// How the link was closed, if it is.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.0.connection.close_reason().map(|error| self.0.reason(&error))
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("side", &self.0.side).field("peer", &self.0.peer).finish_non_exhaustive()
    }
}

/// Whose failure a timeout is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// One stream's: it is given up and the link lives.
    Stream,
    /// The link's: it is closed.
    Link,
}

impl Inner {
    pub(crate) fn limits(&self) -> &LinkLimits {
        &self.rules.limits
    }

    pub(crate) fn close(&self, code: CloseCode, text: &str) {
        let reason = CloseReason { by: ClosedBy::Us, code, text: cut(text).to_owned() };
        // The first reason is the one that went out.
        let reason = self.ours.get_or_init(|| reason);
        self.connection.close(reason.code.to_wire(), reason.text.as_bytes());
    }

    pub(crate) fn reason(&self, error: &quinn_proto::ConnectionError) -> CloseReason {
        CloseReason::from_transport(error, self.ours.get())
    }

    fn take_control_in(&self) -> Option<FrameReader<RecvStream>> {
        self.control_in.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The next frame; `within` bounds the wait for its first byte. A closed link ends the wait, whatever it is for.
    pub(crate) async fn receive(
        &self,
        reader: &mut FrameReader<RecvStream>,
        within: Option<Duration>,
        scope: Scope,
        what: &'static str,
    ) -> Result<Option<Frame>, RecvError> {
        let next = async {
            match within {
                Some(wait) => reader.next_within(wait).await,
                None => reader.next().await,
            }
        };
        let result = tokio::select! {
            // What has arrived is read even if the link has closed since.
            biased;
            result = next => result,
            error = self.connection.closed() => return Err(RecvError::Closed(self.reason(&error))),
        };
        result.map_err(|failure| self.receive_failed(failure, scope, what))
    }

    /// Turns a failure into what the caller sees, and closes the link if the peer broke the protocol.
    pub(crate) fn receive_failed(&self, failure: ReadFailure, scope: Scope, what: &'static str) -> RecvError {
        match failure {
            ReadFailure::Frame(error) => {
                debug!(from = %self.connection.remote_address(), %error, "peer broke the protocol: link closed");
                self.close(error.code(), &error.to_string());
                RecvError::Frame(error)
            }
            ReadFailure::Timeout => {
                if scope == Scope::Link {
                    self.close(CloseCode::Timeout, what);
                }
                RecvError::Timeout(what)
            }
            ReadFailure::NoRoom => {
                self.arrived.forget_partials();
                if scope == Scope::Link {
                    self.close(CloseCode::Busy, "no memory for another frame");
                }
                RecvError::Busy
            }
            ReadFailure::Stream(error) => {
                match error.get_ref().and_then(|inner| inner.downcast_ref::<ReadError>()) {
                    Some(ReadError::Reset(code)) => RecvError::Reset(CloseCode::from_wire(*code)),
                    Some(ReadError::ConnectionLost(error)) => RecvError::Closed(self.reason(error)),
                    // Only a stream that this side has stopped.
                    Some(ReadError::ClosedStream) | None => RecvError::Reset(CloseCode::Internal),
                }
            }
        }
    }

    /// A frame against the protocol where it came: closes the link.
    pub(crate) fn refuse(&self, error: crate::frame::FrameError) -> RecvError {
        self.receive_failed(ReadFailure::Frame(error), Scope::Link, "")
    }

    pub(crate) async fn send(
        &self,
        writer: &mut FrameWriter,
        header: &FrameHeader,
        body: &[Bytes],
    ) -> Result<(), SendError> {
        let length = self.sendable(header, body)?;
        writer.write(header, length, body).await.map_err(|failure| self.send_failed(failure))
    }

    /// Server: opens a one-way stream with its first frame.
    pub(crate) async fn open_push(
        &self,
        header: &FrameHeader,
        body: &[Bytes],
        priority: i32,
    ) -> Result<FrameWriter, SendError> {
        let length = self.sendable(header, body)?;
        let opened = timeout(self.rules.limits.exchange_timeout, self.connection.open_uni()).await;
        let send = opened.map_err(|_| SendError::Timeout)?.map_err(|error| SendError::Closed(self.reason(&error)))?;
        let mut writer = FrameWriter::new(send, Arc::clone(&self.rules.traffic));
        let written = writer.write_first(header, length, body, priority).await;
        written.map(|()| writer).map_err(|failure| self.send_failed(failure))
    }

    /// The length of a body, if the other side takes it in this form.
    pub(crate) fn sendable(&self, header: &FrameHeader, body: &[Bytes]) -> Result<u32, SendError> {
        if !header.form.is_in(&self.peer_hello.forms) {
            return Err(SendError::Order("a form that the other side does not read"));
        }
        let length: u64 = body.iter().map(|slice| slice.len() as u64).sum();
        let limit = self.peer_hello.document_bytes_max.min(u64::from(u32::MAX));
        let too_long = SendError::TooLong { length, limit };
        u32::try_from(length).ok().filter(|length| u64::from(*length) <= limit).ok_or(too_long)
    }

    pub(crate) fn send_failed(&self, failure: WriteFailure) -> SendError {
        match failure {
            WriteFailure::Unfinished => SendError::Unfinished,
            WriteFailure::Stream(WriteError::Stopped(code)) => SendError::Stopped(CloseCode::from_wire(code)),
            WriteFailure::Stream(WriteError::ConnectionLost(error)) => SendError::Closed(self.reason(&error)),
            WriteFailure::Stream(WriteError::ClosedStream) => SendError::Unfinished,
        }
    }
}
