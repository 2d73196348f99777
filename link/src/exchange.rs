//! An exchange: one bidirectional stream, one document up, its answer down.
//!
//! Up: a Document frame and the stream's end. Down: a Reply, any number of Deliveries, an End, the stream's end. The
//! Reply and the End carry the same position, the snapshot at which the Deliveries were current (row R-9.6.2-4).

use bytes::Bytes;

use crate::close::CloseCode;
use crate::connection::{Link, Scope};
use crate::error::{RecvError, SendError};
use crate::frame::{Form, Frame, FrameError, FrameHeader, Kind};
use crate::quic::RecvStream;
use crate::reader::FrameReader;
use crate::writer::FrameWriter;

/// An exchange that this side has opened; its document is on its way.
pub struct Outgoing {
    link: Link,
    reader: FrameReader<RecvStream>,
    stage: Answer,
}

/// What has come of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    Nothing,
    Replied { snapshot: u64 },
    Ended,
}

impl Outgoing {
    pub(crate) fn new(link: Link, reader: FrameReader<RecvStream>) -> Self {
        Self { link, reader, stage: Answer::Nothing }
    }

    /// The next frame of the answer: first the Reply, then each Delivery, then `None` when the answer is whole. Safe to
    /// cancel. Every frame must begin within [`crate::limits::LinkLimits::reply_timeout`].
    ///
    /// # Errors
    ///
    /// The answer broke off or did not go on; the exchange may be repeated. Anything out of order closes the link.
    pub async fn recv(&mut self) -> Result<Option<Frame>, RecvError> {
        if self.stage == Answer::Ended {
            return Ok(None);
        }
        let Some(frame) = self.next("an answer").await? else {
            return Err(self.link.inner().refuse(FrameError::Missing("before the End of an answer")));
        };
        match (self.stage, frame.header.kind) {
            (Answer::Nothing, Kind::Reply) if frame.header.form != Form::Short => {
                self.stage = Answer::Replied { snapshot: frame.header.position };
                Ok(Some(frame))
            }
            (Answer::Replied { .. }, Kind::Delivery) => Ok(Some(frame)),
            (Answer::Replied { snapshot }, Kind::End) => self.end(snapshot, &frame).await,
            (_, kind) => Err(self.unexpected(kind)),
        }
    }

    /// The position at which the Deliveries were current, once the Reply has come.
    pub fn snapshot(&self) -> Option<u64> {
        match self.stage {
            Answer::Replied { snapshot } => Some(snapshot),
            Answer::Nothing | Answer::Ended => None,
        }
    }

    async fn end(&mut self, snapshot: u64, frame: &Frame) -> Result<Option<Frame>, RecvError> {
        if frame.header.position != snapshot {
            let error = FrameError::Contradiction("the End of an answer has another position than its Reply");
            return Err(self.link.inner().refuse(error));
        }
        if let Some(frame) = self.next("the end of an answer's stream").await? {
            return Err(self.unexpected(frame.header.kind));
        }
        self.stage = Answer::Ended;
        Ok(None)
    }

    async fn next(&mut self, what: &'static str) -> Result<Option<Frame>, RecvError> {
        let inner = self.link.inner();
        let wait = inner.limits().reply_timeout;
        inner.receive(&mut self.reader, Some(wait), Scope::Stream, what).await
    }

    fn unexpected(&self, kind: Kind) -> RecvError {
        self.link.inner().refuse(FrameError::Unexpected { kind, place: "out of order in an answer" })
    }
}

/// An exchange that the other side has opened; its document is not read yet.
pub struct Incoming {
    link: Link,
    writer: FrameWriter,
    reader: FrameReader<RecvStream>,
}

impl Incoming {
    pub(crate) fn new(link: Link, writer: FrameWriter, reader: FrameReader<RecvStream>) -> Self {
        Self { link, writer, reader }
    }

    /// Reads the document, which must come within [`crate::limits::LinkLimits::exchange_timeout`].
    ///
    /// # Errors
    ///
    /// It did not come in time, or there was no memory for it: the stream is given up. Anything but one Document closes the link.
    pub async fn document(mut self) -> Result<Exchange, RecvError> {
        match self.read().await {
            Ok(document) => Ok(Exchange { document, link: self.link, writer: self.writer, stage: Stage::Asked }),
            Err(error) => {
                let code = match error {
                    RecvError::Timeout(_) => CloseCode::Timeout,
                    RecvError::Busy => CloseCode::Busy,
                    RecvError::Closed(_) | RecvError::Frame(_) | RecvError::Reset(_) => CloseCode::Done,
                };
                self.writer.reset(code);
                // Already stopped or gone is as good.
                let _ = self.reader.stream_mut().stop(code.to_wire());
                Err(error)
            }
        }
    }

    async fn read(&mut self) -> Result<Frame, RecvError> {
        let Some(frame) = self.next("the document of an exchange").await? else {
            return Err(self.link.inner().refuse(FrameError::Missing("before the document of an exchange")));
        };
        if frame.header.kind != Kind::Document {
            return Err(self.unexpected(frame.header.kind, "where a Document opens an exchange"));
        }
        match self.next("the end of an exchange's document").await? {
            None => Ok(frame),
            Some(more) => Err(self.unexpected(more.header.kind, "after the document of an exchange")),
        }
    }

    async fn next(&mut self, what: &'static str) -> Result<Option<Frame>, RecvError> {
        let inner = self.link.inner();
        let wait = inner.limits().exchange_timeout;
        inner.receive(&mut self.reader, Some(wait), Scope::Stream, what).await
    }

    fn unexpected(&self, kind: Kind, place: &'static str) -> RecvError {
        self.link.inner().refuse(FrameError::Unexpected { kind, place })
    }
}

/// An exchange whose document is here, to be answered. Dropped before [`Exchange::end`], its stream is reset and the
/// opener knows that the answer is not whole.
pub struct Exchange {
    document: Frame,
    link: Link,
    writer: FrameWriter,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asked,
    Replied { snapshot: u64 },
}

impl Exchange {
    /// The document that opened it.
    pub fn document(&self) -> &Frame {
        &self.document
    }

    /// The link on which it came.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Sends the `Message_Core_Reply` with the snapshot position. Must come first, and once.
    ///
    /// # Errors
    ///
    /// Out of order, or the stream or the link is gone.
    pub async fn reply(&mut self, snapshot: u64, body: &[Bytes]) -> Result<(), SendError> {
        if self.stage != Stage::Asked {
            return Err(SendError::Order("a second Reply"));
        }
        let header = FrameHeader::over(Kind::Reply, body).at(snapshot);
        self.link.inner().send(&mut self.writer, &header, body).await?;
        self.stage = Stage::Replied { snapshot };
        Ok(())
    }

    /// Sends one Delivery of the answer. The slices are shared, not copied; waits while the opener reads slowly.
    ///
    /// # Errors
    ///
    /// Before the Reply, not a Delivery, or the stream or the link is gone.
    pub async fn deliver(&mut self, header: &FrameHeader, body: &[Bytes]) -> Result<(), SendError> {
        if self.stage == Stage::Asked {
            return Err(SendError::Order("a Delivery before the Reply"));
        }
        if header.kind != Kind::Delivery {
            return Err(SendError::Order("only Deliveries follow the Reply"));
        }
        self.link.inner().send(&mut self.writer, header, body).await
    }

    /// Says that the answer is whole. The End repeats the Reply's snapshot position.
    ///
    /// # Errors
    ///
    /// Before the Reply, or the stream or the link is gone.
    pub async fn end(mut self) -> Result<(), SendError> {
        let Stage::Replied { snapshot } = self.stage else {
            return Err(SendError::Order("an End before the Reply"));
        };
        let inner = self.link.inner();
        inner.send(&mut self.writer, &FrameHeader::over(Kind::End, &[]).at(snapshot), &[]).await?;
        self.writer.finish().map_err(|failure| inner.send_failed(failure))
    }

    /// Gives the exchange up with a code, for example [`CloseCode::Busy`].
    pub fn abandon(mut self, code: CloseCode) {
        self.writer.reset(code);
    }
}
