//! What can go wrong on a link that stands. (What can go wrong before: [`crate::endpoint`].)

use crate::close::{CloseCode, CloseReason};
use crate::frame::FrameError;

/// Why nothing could be received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The link is closed.
    #[error("link closed: {0}")]
    Closed(CloseReason),
    /// The peer broke the protocol; the link has been closed with [`FrameError::code`].
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// The peer gave up this stream only.
    #[error("stream given up by the peer: {0}")]
    Reset(CloseCode),
    /// Nothing, or too little, came in time. On an exchange only that stream is given up; elsewhere the link is closed.
    #[error("timed out waiting for {0}")]
    Timeout(&'static str),
    /// This node has had no memory for it in time, as other links' frames took it. As with a timeout, an exchange loses
    /// only its stream.
    #[error("no memory for another frame")]
    Busy,
}

/// Why something could not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The link is closed.
    #[error("link closed: {0}")]
    Closed(CloseReason),
    /// The peer does not read this stream any more.
    #[error("stream stopped by the peer: {0}")]
    Stopped(CloseCode),
    /// An earlier send was dropped in the middle of a frame; nothing can follow it on this stream.
    #[error("an earlier frame was left unfinished")]
    Unfinished,
    /// Longer than the peer takes, as it said in its Hello. Nothing was sent.
    #[error("document of {length} bytes where the peer takes {limit}")]
    TooLong {
        /// Bytes of the document.
        length: u64,
        /// What the peer takes.
        limit: u64,
    },
    /// The caller did things out of order: a Delivery before the Reply, or a second Reply.
    #[error("out of order: {0}")]
    Order(&'static str),
    /// Only the other side of a link sends this.
    #[error("{0}")]
    Side(&'static str),
    /// The peer let no further stream be opened in time.
    #[error("no stream free in time")]
    Timeout,
}
