//! Why a link or a stream ends: the codes on the wire, and what the other side of the call sees.

use std::fmt;

use quinn_proto::{ConnectionError, VarInt};

/// Bytes of text that a close may carry; more is cut.
pub const TEXT_BYTES_MAX: usize = 256;

/// The application error codes of `x1206/1`, for the connection and for single streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// Nothing is wrong; whoever closed has no more use for it.
    Done,
    /// A newer link of the same GUID took its place.
    Replaced,
    /// The node stops in good order; come back later, or go elsewhere.
    Drained,
    /// The other side broke the rules of frames or streams.
    Protocol,
    /// A frame longer than the receiver's stated limit.
    TooLarge,
    /// A body that is not what its header's digest says.
    Digest,
    /// What should have come did not come in time.
    Timeout,
    /// The certificate, the GUID in it, or the path that would come with it, is not welcome here.
    Refused,
    /// No version of the protocol in common.
    Version,
    /// No room now; come back later.
    Busy,
    /// A fault at the side that closed.
    Internal,
    /// Not on the wire: silence, or the transport gave up.
    Lost,
    /// A code that this version does not know.
    Other(u64),
}

/// Code and number, once.
const CODES: [(CloseCode, u32); 11] = [
    (CloseCode::Done, 0),
    (CloseCode::Replaced, 1),
    (CloseCode::Drained, 2),
    (CloseCode::Protocol, 3),
    (CloseCode::TooLarge, 4),
    (CloseCode::Digest, 5),
    (CloseCode::Timeout, 6),
    (CloseCode::Refused, 7),
    (CloseCode::Version, 8),
    (CloseCode::Busy, 9),
    (CloseCode::Internal, 10),
];

impl CloseCode {
    /// What goes on the wire. [`CloseCode::Lost`] is only ever observed; it is written as Internal.
    pub(crate) fn to_wire(self) -> VarInt {
        if let Self::Other(number) = self {
            return VarInt::from_u64(number).unwrap_or(VarInt::MAX);
        }
        let number = CODES.iter().find(|(code, _)| *code == self).map_or(10, |(_, number)| *number);
        VarInt::from_u32(number)
    }

    /// Reads a code from the wire.
    pub(crate) fn from_wire(number: VarInt) -> Self {
        let number = number.into_inner();
        CODES.iter().find(|(_, known)| u64::from(*known) == number).map_or(Self::Other(number), |(code, _)| *code)
    }

    /// A word for logs and metric labels; every unknown code is `other`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Replaced => "replaced",
            Self::Drained => "drained",
            Self::Protocol => "protocol",
            Self::TooLarge => "too_large",
            Self::Digest => "digest",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Version => "version",
            Self::Busy => "busy",
            Self::Internal => "internal",
            Self::Lost => "lost",
            Self::Other(_) => "other",
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => write!(f, "code {number}"),
            known => f.write_str(known.as_str()),
        }
    }
}

/// Who ended a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClosedBy {
    /// This side.
    Us,
    /// The other side, by a code.
    Peer,
    /// Neither: silence, a reset, or a fault of QUIC or TLS.
    Transport,
}

/// How a link ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    /// By whom.
    pub by: ClosedBy,
    /// Why.
    pub code: CloseCode,
    /// For people and logs; what a peer wrote is cut to [`TEXT_BYTES_MAX`] bytes and has no control characters.
    pub text: String,
}

impl CloseReason {
    /// What the transport says, in our words. `ours` is what this side closed with, if it did.
    pub(crate) fn from_transport(error: &ConnectionError, ours: Option<&Self>) -> Self {
        let (by, code, text) = match error {
            ConnectionError::ApplicationClosed(close) => {
                (ClosedBy::Peer, CloseCode::from_wire(close.error_code), clean(&close.reason))
            }
            ConnectionError::LocallyClosed => {
                return ours.cloned().unwrap_or(Self { by: ClosedBy::Us, code: CloseCode::Done, text: String::new() });
            }
            ConnectionError::TimedOut
            | ConnectionError::Reset
            | ConnectionError::VersionMismatch
            | ConnectionError::TransportError(_)
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::CidsExhausted => {
                (ClosedBy::Transport, CloseCode::Lost, clean(error.to_string().as_bytes()))
            }
        };
        Self { by, code, text }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = match self.by {
            ClosedBy::Us => "by us",
            ClosedBy::Peer => "by the peer",
            ClosedBy::Transport => "by the transport",
        };
        write!(f, "{} {by}", self.code)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

/// A text cut to [`TEXT_BYTES_MAX`] bytes at a character's end.
pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// A peer's text, fit for a log line.
fn clean(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    cut(&text).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_from_the_wire() {
        for (code, number) in CODES {
            assert_eq!(code.to_wire(), VarInt::from_u32(number));
            assert_eq!(CloseCode::from_wire(VarInt::from_u32(number)), code);
        }
        assert_eq!(CloseCode::from_wire(VarInt::from_u32(99)), CloseCode::Other(99));
        assert_eq!(CloseCode::Other(u64::MAX).to_wire(), VarInt::MAX);
    }

    #[test]
    fn a_peers_text_is_cut_and_cleaned() {
        assert_eq!(clean(b"two\nlines\x1b[0m"), "two lines [0m");
        assert_eq!(clean("ü".repeat(200).as_bytes()).len(), TEXT_BYTES_MAX);
        assert!(clean(&[0xff; 300]).len() <= TEXT_BYTES_MAX);
    }
}
