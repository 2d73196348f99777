//! A frame: 56 bytes of header, big-endian, and one document.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | length of the body |
//! | 4 | 1 | [`Kind`] |
//! | 5 | 1 | [`Form`] of the body |
//! | 6 | 1 | class: 0 critical, 1 normal, 2 bulk |
//! | 7 | 1 | flags: for each class 1, 2, 4 if nothing of it is on its way; 0 but in Deliveries and Aparts |
//! | 8 | 8 | log position |
//! | 16 | 8 | freshness: Unix milliseconds when the sender accepted the newest thing in the body, 0 if unknown |
//! | 24 | 32 | BLAKE3 digest of the body; in an Item that of the item |
//!
//! These are the things for which the published grammar has no room (row R-11.1-6).

use bytes::Bytes;
use schemas::class::{Class, PerClass};
use schemas::digest::Digest;

use crate::apart::{Notice, OFFSET_BYTES};
use crate::close::CloseCode;
use schemas::mark::Mark;

use crate::path::PATH_BYTES_MAX;
use crate::segments::{PRELUDE_BYTES, SegmentError};
use crate::short::ShortReply;

/// Length of a header.
pub const HEADER_BYTES: usize = 56;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The first frame each way on the control stream.
    Hello = 1,
    /// The document that opens an exchange.
    Document = 2,
    /// A `Message_Core` pushed, or answering a Request. Its position is that of its last part.
    Delivery = 3,
    /// A `Message_Core_Reply`. In an exchange its position is the snapshot; on the reply lane, that of the Delivery it
    /// answers.
    Reply = 4,
    /// The end of an exchange's deliveries, with the snapshot again. No body.
    End = 5,
    /// The first frame of a lane; names its class. No body.
    Lane = 6,
    /// Items up to the position may be missing; ask again. No body.
    Behind = 7,
    /// The server's path has changed; the body is the new one.
    Path = 8,
    /// In a lane, in place of a Delivery whose one item goes on a stream of its own; the body is a
    /// [`crate::apart::Notice`].
    Apart = 9,
    /// All of such a stream: from where the item goes on, and its octets from there.
    Item = 10,
}

impl Kind {
    const ALL: [Self; 10] = [
        Self::Hello,
        Self::Document,
        Self::Delivery,
        Self::Reply,
        Self::End,
        Self::Lane,
        Self::Behind,
        Self::Path,
        Self::Apart,
        Self::Item,
    ];

    fn from_wire(number: u8) -> Result<Self, FrameError> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number).ok_or(FrameError::Kind(number))
    }

    /// Whether a frame of this kind can have a body of this form and length. What a document may have is not for its kind
    /// to say.
    fn admits(self, form: Form, length: u32) -> bool {
        match form {
            Form::Plain => {}
            Form::Segmented => {
                return match self {
                    Self::Delivery => length as usize >= PRELUDE_BYTES,
                    Self::Item => length as usize >= OFFSET_BYTES + PRELUDE_BYTES,
                    _ => false,
                };
            }
            Form::Short => return self == Self::Reply && length as usize == ShortReply::BYTES,
        }
        match self {
            Self::Hello | Self::Document | Self::Delivery | Self::Reply => true,
            Self::End | Self::Lane | Self::Behind => length == 0,
            Self::Path => length <= PATH_BYTES_MAX && length.is_multiple_of(Mark::BYTES as u32),
            Self::Apart => (Notice::BYTES_MIN..=Notice::BYTES_MAX).contains(&(length as usize)),
            Self::Item => length as usize >= OFFSET_BYTES,
        }
    }
}

/// How the document stands in the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Form {
    /// XML as it is; everybody speaks it.
    #[default]
    Plain = 0,
    /// A Delivery's document in [`crate::segments`], packed and compressed; the digest is that of the document.
    Segmented = 1,
    /// A [`ShortReply`] instead of the document that it stands for; on the reply lane only.
    Short = 2,
}

impl Form {
    const ALL: [Self; 3] = [Self::Plain, Self::Segmented, Self::Short];

    fn from_wire(number: u8) -> Result<Self, FrameError> {
        Self::ALL.into_iter().find(|form| *form as u8 == number).ok_or(FrameError::Form(number))
    }

    /// What a Hello says that reads every form.
    pub fn all() -> Vec<u8> {
        Self::ALL.map(|form| form as u8).to_vec()
    }

    /// Whether a Hello's forms have this one.
    pub fn is_in(self, forms: &[u8]) -> bool {
        self == Self::Plain || forms.contains(&(self as u8))
    }
}

/// What stands before a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is for.
    pub kind: Kind,
    /// Form of the body.
    pub form: Form,
    /// Delivery class; [`Class::Normal`] where it means nothing.
    pub class: Class,
    /// Delivery or Apart on a lane: of which other classes everything up to its position was answered. None elsewhere.
    pub settled: PerClass<bool>,
    /// Log position; its meaning depends on the kind, 0 where it means nothing.
    pub position: u64,
    /// Unix milliseconds at which the sender accepted the newest thing in the body; 0 if unknown.
    pub freshness: u64,
    /// Of the body's bytes; of the document's, in whatever form it stands there; in an Item, of the whole item's.
    pub digest: Digest,
}

impl FrameHeader {
    /// A header over this body, which may stand in several slices. Compute it once and send it to any number of links.
    pub fn over(kind: Kind, body: &[Bytes]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for slice in body {
            hasher.update(slice);
        }
        Self {
            kind,
            form: Form::Plain,
            class: Class::Normal,
            settled: PerClass::all(false),
            position: 0,
            freshness: 0,
            digest: Digest(*hasher.finalize().as_bytes()),
        }
    }

    /// The same in a form.
    #[must_use]
    pub fn in_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// The same at a position.
    #[must_use]
    pub fn at(self, position: u64) -> Self {
        Self { position, ..self }
    }

    /// The same in a class.
    #[must_use]
    pub fn in_class(self, class: Class) -> Self {
        Self { class, ..self }
    }

    /// The same beside classes of which nothing is on its way.
    #[must_use]
    pub fn beside(self, settled: PerClass<bool>) -> Self {
        Self { settled, ..self }
    }

    /// The same with a freshness, in Unix milliseconds.
    #[must_use]
    pub fn fresh(self, freshness: u64) -> Self {
        Self { freshness, ..self }
    }

    /// The bytes before a body of this length.
    pub fn encode(&self, length: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[0..4].copy_from_slice(&length.to_be_bytes());
        bytes[4] = self.kind as u8;
        bytes[5] = self.form as u8;
        bytes[6] = class_to_wire(self.class);
        bytes[7] = flags(&self.settled);
        bytes[8..16].copy_from_slice(&self.position.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.freshness.to_be_bytes());
        bytes[24..56].copy_from_slice(&self.digest.0);
        bytes
    }

    /// Reads a header and the length of the body after it.
    ///
    /// # Errors
    ///
    /// What `x1206/1` does not know, or a length that this kind cannot have. That of a document is the caller's to bound.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<(Self, u32), FrameError> {
        let length = u32::from_be_bytes(field(bytes, 0));
        let kind = Kind::from_wire(bytes[4])?;
        let form = Form::from_wire(bytes[5])?;
        let class = class_from_wire(bytes[6]).ok_or(FrameError::Class(bytes[6]))?;
        let settled = PerClass::new(|class| bytes[7] & flag(class) != 0);
        if flags(&settled) != bytes[7] || (bytes[7] != 0 && !matches!(kind, Kind::Delivery | Kind::Apart)) {
            return Err(FrameError::Flags(bytes[7]));
        }
        if !kind.admits(form, length) {
            return Err(FrameError::Body { kind, form, length });
        }
        let header = Self {
            kind,
            form,
            class,
            settled,
            position: u64::from_be_bytes(field(bytes, 8)),
            freshness: u64::from_be_bytes(field(bytes, 16)),
            digest: Digest(field(bytes, 24)),
        };
        Ok((header, length))
    }
}

/// A whole frame, its digest checked. The body's part of the [`crate::budget::Budget`] is given back when the last
/// slice of it is dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What stood before the body; a document that came in segments is restored, and its form is plain.
    pub header: FrameHeader,
    /// The document.
    pub body: Bytes,
}

/// How a peer broke the framing. Each closes the link.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// No kind of this version.
    #[error("frame of unknown kind {0}")]
    Kind(u8),
    /// A form that was not agreed on.
    #[error("frame of unknown form {0}")]
    Form(u8),
    /// No class.
    #[error("frame of unknown class {0}")]
    Class(u8),
    /// Flags where none are defined.
    #[error("frame with unknown flags {0:#04x}")]
    Flags(u8),
    /// A body where none belongs, or of a form or length that this kind cannot have; nothing was allocated.
    #[error("{kind:?} frame with a body of {length} bytes in form {form:?}")]
    Body {
        /// What the frame is.
        kind: Kind,
        /// The form that it says it has.
        form: Form,
        /// How long it says its body is.
        length: u32,
    },
    /// Longer than the limit; nothing was allocated.
    #[error("frame of {length} bytes where {limit} are allowed")]
    TooLong {
        /// What the header says.
        length: u32,
        /// What is allowed.
        limit: u32,
    },
    /// A document in segments that cannot be restored.
    #[error(transparent)]
    Segments(#[from] SegmentError),
    /// The body is not what the header's digest says.
    #[error("{0:?} frame whose body does not match its digest")]
    Digest(Kind),
    /// The stream ended within a frame.
    #[error("stream ended within a frame, {missing} bytes before its end")]
    Cut {
        /// Bytes of the header, or else of the body, that did not come.
        missing: usize,
    },
    /// A frame that has no business where it came.
    #[error("{kind:?} frame {place}")]
    Unexpected {
        /// What came.
        kind: Kind,
        /// Where.
        place: &'static str,
    },
    /// A stream that ended where a frame had to come.
    #[error("stream ended {0}")]
    Missing(&'static str),
    /// A frame in its place whose fields contradict what went before.
    #[error("{0}")]
    Contradiction(&'static str),
}

impl FrameError {
    /// With which code it closes the link.
    pub fn code(&self) -> CloseCode {
        match self {
            Self::TooLong { .. } => CloseCode::TooLarge,
            Self::Digest(_) => CloseCode::Digest,
            Self::Kind(_)
            | Self::Form(_)
            | Self::Class(_)
            | Self::Flags(_)
            | Self::Body { .. }
            | Self::Segments(_)
            | Self::Cut { .. }
            | Self::Unexpected { .. }
            | Self::Missing(_)
            | Self::Contradiction(_) => CloseCode::Protocol,
        }
    }
}

fn flag(class: Class) -> u8 {
    1 << class_to_wire(class)
}

fn flags(settled: &PerClass<bool>) -> u8 {
    settled.iter().filter(|(_, is)| **is).map(|(class, _)| flag(class)).sum()
}

/// A class on the wire.
pub(crate) fn class_to_wire(class: Class) -> u8 {
    match class {
        Class::Critical => 0,
        Class::Normal => 1,
        Class::Bulk => 2,
    }
}

/// A class from the wire.
pub(crate) fn class_from_wire(number: u8) -> Option<Class> {
    Class::ALL.get(usize::from(number)).copied()
}

/// A field of a header, whose place is a constant within it.
fn field<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut value = [0; N];
    value.copy_from_slice(&bytes[at..at + N]);
    value
}

#[cfg(test)]
mod tests;
