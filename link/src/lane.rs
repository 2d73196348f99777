//! The long streams of a link: lanes of Deliveries down, the one reply lane up, Behind and Path beside them.

use std::sync::PoisonError;

use bytes::Bytes;
use schemas::class::Class;
use tokio::time::Instant;

use crate::apart::{Begun, Receiving};
use crate::connection::{Link, Scope};
use crate::error::{RecvError, SendError};
use crate::frame::{Form, Frame, FrameError, FrameHeader, Kind};
use schemas::mark::Mark;

use crate::path;
use crate::quic::RecvStream;
use crate::reader::FrameReader;
use crate::short::ShortReply;
use crate::writer::FrameWriter;

/// Server's end of a lane: Deliveries of one class, in order of position (row R-9.6.2-1).
pub struct LaneSender {
    link: Link,
    class: Class,
    writer: FrameWriter,
}

impl LaneSender {
    pub(crate) fn new(link: Link, class: Class, writer: FrameWriter) -> Self {
        Self { link, class, writer }
    }

    /// The lane's class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// Sends one Delivery, or the Apart frame of one whose item goes by [`Link::send_item`]; the slices are shared, not copied.
    /// Waits while the client grants no credit, which is how a client that cannot take an item says so. Dropped while it
    /// waits, it leaves the rest to [`LaneSender::flush`].
    ///
    /// # Errors
    ///
    /// Not a Delivery of this class, longer than the client takes, or the lane or the link is gone.
    pub async fn deliver(&mut self, header: &FrameHeader, body: &[Bytes]) -> Result<(), SendError> {
        if self.begin(header, body)? { Ok(()) } else { self.flush().await }
    }

    /// The same without waiting: says whether all of it was taken. The rest is for [`LaneSender::flush`]; until that is
    /// done, nothing else can be sent.
    ///
    /// # Errors
    ///
    /// As [`LaneSender::deliver`]; also if the Delivery before it was not flushed.
    pub fn begin(&mut self, header: &FrameHeader, body: &[Bytes]) -> Result<bool, SendError> {
        let is_apart = header.kind == Kind::Apart && self.class == Class::Bulk && self.link.takes_items();
        if !(header.kind == Kind::Delivery || is_apart) || header.class != self.class {
            return Err(SendError::Order("a lane takes Deliveries of its class"));
        }
        let inner = self.link.inner();
        let length = inner.sendable(header, body)?;
        self.writer.begin(header, length, body).map_err(|failure| inner.send_failed(failure))
    }

    /// Waits until the transport has all of what was begun. Safe to cancel.
    ///
    /// # Errors
    ///
    /// The lane or the link is gone.
    pub async fn flush(&mut self) -> Result<(), SendError> {
        self.writer.flush().await.map_err(|failure| self.link.inner().send_failed(failure))
    }
}

/// Client's end of a lane.
pub struct LaneReceiver {
    link: Link,
    class: Class,
    reader: FrameReader<RecvStream>,
    /// Of the bulk lane only.
    items: Receiving,
    /// When somebody last waited for a Delivery.
    left: Instant,
}

impl LaneReceiver {
    /// Reads the Lane frame and claims its class. `None` if it is an item's stream, which waits for its lane.
    pub(crate) async fn open(link: Link, mut reader: FrameReader<RecvStream>) -> Result<Option<Self>, RecvError> {
        let inner = link.inner();
        let first = reader.peek().await.map_err(|failure| inner.receive_failed(failure, Scope::Link, FIRST))?;
        if let Some(header) = first.filter(|header| header.kind == Kind::Item && inner.arrived.is_welcome()) {
            return inner.arrived.put(Begun { header, reader }).map(|()| None).map_err(|error| inner.refuse(error));
        }
        let Some(frame) = inner.receive(&mut reader, None, Scope::Link, FIRST).await? else {
            return Err(inner.refuse(FrameError::Missing("before the first frame of a lane")));
        };
        if frame.header.kind != Kind::Lane {
            let place = "where a Lane frame opens a stream";
            return Err(inner.refuse(FrameError::Unexpected { kind: frame.header.kind, place }));
        }
        let class = frame.header.class;
        let mut lanes = inner.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.contains(&class) {
            return Err(inner.refuse(FrameError::Contradiction("a second lane of a class")));
        }
        lanes.push(class);
        drop(lanes);
        Ok(Some(Self { link, class, reader, items: Receiving::default(), left: Instant::now() }))
    }

    /// The lane's class.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The next Delivery, or `None` when the server has ended the lane. Safe to cancel. Who cannot take an item now
    /// stops calling this: the stream's window fills and the server waits.
    ///
    /// # Errors
    ///
    /// The link is closed, or is closed now because what came belongs in no lane.
    pub async fn recv(&mut self) -> Result<Option<Frame>, RecvError> {
        let inner = self.link.inner();
        self.items.postpone(self.left.elapsed());
        let _away = Away(&mut self.left);
        loop {
            let received = tokio::select! {
                frame = inner.receive(&mut self.reader, None, Scope::Link, "the rest of a Delivery") => frame?,
                // What arrives on streams of its own is this lane's.
                delivery = self.items.next(inner), if self.class == Class::Bulk => return delivery.map(Some),
            };
            let Some(frame) = received else { return Ok(None) };
            let FrameHeader { kind, class, .. } = frame.header;
            if class != self.class {
                return Err(inner.refuse(FrameError::Contradiction("a Delivery in the lane of another class")));
            }
            if kind == Kind::Delivery {
                return Ok(Some(frame));
            }
            if !(kind == Kind::Apart && class == Class::Bulk && inner.arrived.is_welcome()) {
                return Err(inner.refuse(FrameError::Unexpected { kind, place: "in a lane" }));
            }
            self.items.announce(inner, &frame)?;
        }
    }
}

const FIRST: &str = "the first frame of a lane";

/// Notes, when a wait ends or is given up, when that was.
struct Away<'a>(&'a mut Instant);

impl Drop for Away<'_> {
    fn drop(&mut self) {
        *self.0 = Instant::now();
    }
}

impl Drop for LaneReceiver {
    fn drop(&mut self) {
        let mut lanes = self.link.inner().lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|class| *class != self.class);
    }
}

/// Client's end of the reply lane.
pub struct ReplySender {
    link: Link,
}

impl ReplySender {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Whether the server takes short replies.
    pub fn takes_short(&self) -> bool {
        Form::Short.is_in(&self.link.peer_hello().forms)
    }

    /// Answers a Delivery with a `Message_Core_Reply`; class and position are copied from the Delivery, so that the
    /// server knows which items leave its window. Dropped while it waits, it leaves the reply lane unusable.
    ///
    /// # Errors
    ///
    /// Longer than the server takes, or the link is gone.
    pub async fn reply(&mut self, delivery: &FrameHeader, body: &[Bytes]) -> Result<(), SendError> {
        self.send(delivery, Form::Plain, body).await
    }

    /// Answers every message of a Delivery Succeeded, with nothing to add; otherwise as [`ReplySender::reply`].
    ///
    /// # Errors
    ///
    /// The server takes no short replies, or the link is gone.
    pub async fn succeed(&mut self, delivery: &FrameHeader, reply: ShortReply) -> Result<(), SendError> {
        self.send(delivery, Form::Short, &[Bytes::copy_from_slice(&reply.to_wire())]).await
    }

    async fn send(&mut self, delivery: &FrameHeader, form: Form, body: &[Bytes]) -> Result<(), SendError> {
        let header = FrameHeader::over(Kind::Reply, body).in_form(form).in_class(delivery.class).at(delivery.position);
        let inner = self.link.inner();
        let mut writer = inner.control_out.lock().await;
        inner.send(&mut writer, &header, body).await
    }
}

/// Server's end of the reply lane.
pub struct ReplyLane {
    link: Link,
    reader: FrameReader<RecvStream>,
}

/// What a client answers to a Delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Position and class are those of the Delivery.
    pub header: FrameHeader,
    /// What is said.
    pub body: ReplyBody,
}

/// How a client says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// By a `Message_Core_Reply`.
    Document(Bytes),
    /// Every message Succeeded, with nothing to add.
    Short(ShortReply),
}

impl ReplyLane {
    pub(crate) fn new(link: Link, reader: FrameReader<RecvStream>) -> Self {
        Self { link, reader }
    }

    /// The next Reply. Safe to cancel.
    ///
    /// # Errors
    ///
    /// The link is closed, or is closed now because what came is no Reply.
    pub async fn recv(&mut self) -> Result<Reply, RecvError> {
        let Frame { header, body } =
            control_frame(&self.link, &mut self.reader, &[Kind::Reply], "in the reply lane").await?;
        let refuse = |fault| self.link.inner().refuse(FrameError::Contradiction(fault));
        let body = match header.form {
            Form::Plain | Form::Segmented => ReplyBody::Document(body),
            Form::Short => ReplyBody::Short(ShortReply::from_wire(&body).map_err(refuse)?),
        };
        Ok(Reply { header, body })
    }
}

/// Client's end of what the server says beside its lanes.
pub struct Control {
    link: Link,
    reader: FrameReader<RecvStream>,
}

/// What a server says beside its lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlEvent {
    /// Items up to the position may be missing here: ask again by Request.
    Behind {
        /// The highest position that may be missing.
        position: u64,
    },
    /// The server's new path, in place of what it said before: its own mark, then those of the servers above it.
    Path(Vec<Mark>),
}

impl Control {
    pub(crate) fn new(link: Link, reader: FrameReader<RecvStream>) -> Self {
        Self { link, reader }
    }

    /// The next event. Safe to cancel.
    ///
    /// # Errors
    ///
    /// The link is closed, or is closed now because what came has no business here.
    pub async fn recv(&mut self) -> Result<ControlEvent, RecvError> {
        let kinds = [Kind::Behind, Kind::Path];
        let frame = control_frame(&self.link, &mut self.reader, &kinds, "on the control stream").await?;
        if frame.header.kind == Kind::Behind {
            return Ok(ControlEvent::Behind { position: frame.header.position });
        }
        let refuse = |fault| self.link.inner().refuse(FrameError::Contradiction(fault));
        path::from_wire(&frame.body).map(ControlEvent::Path).map_err(refuse)
    }
}

/// The next frame on either half of the control stream, which lives as long as the link.
async fn control_frame(
    link: &Link,
    reader: &mut FrameReader<RecvStream>,
    kinds: &[Kind],
    place: &'static str,
) -> Result<Frame, RecvError> {
    let inner = link.inner();
    match inner.receive(reader, None, Scope::Link, "the rest of a frame on the control stream").await {
        Ok(Some(frame)) if kinds.contains(&frame.header.kind) => Ok(frame),
        Ok(Some(frame)) => Err(inner.refuse(FrameError::Unexpected { kind: frame.header.kind, place })),
        Ok(None) | Err(RecvError::Reset(_)) => {
            Err(inner.refuse(FrameError::Missing("on the control stream, which ends with its link only")))
        }
        Err(error) => Err(error),
    }
}
