//! The segmented form of a Delivery: pieces of its document, each packed or compressed by itself.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | length of the document |
//! | 4 | 8 | first bytes of the digest of the dictionary in use, 0 if none is |
//! | 12 | | segments, whose pieces one after the other are the document |
//!
//! A segment is a header of 7 bytes and its coded bytes:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | [`Transform`] |
//! | 1 | 3 | length of the piece, 1 to [`PIECE_BYTES_MAX`] |
//! | 4 | 3 | length of the coded bytes, 1 to that |
//!
//! The frame's digest is that of the document, so that restoring is checked from end to end. A segment knows of no other:
//! an item is coded once and spliced into any bundle, and nothing compresses two senders' bytes together.

mod dictionary;
mod make;
mod restore;
mod runs;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use self::dictionary::Dictionary;
pub use self::make::make;
pub use self::restore::Restoring;

/// Length of what stands before the segments.
pub const PRELUDE_BYTES: usize = 4 + Dictionary::NAME_BYTES;
/// Length of a segment's header.
pub const SEGMENT_HEADER_BYTES: usize = 7;
/// The longest piece, so that who restores needs room for the document and one piece, whatever is sent.
pub const PIECE_BYTES_MAX: usize = 1 << 20;

/// How a piece became coded bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Transform {
    /// They are the piece.
    Copied = 0,
    /// The piece is their base64, with padding and without blanks.
    Packed = 1,
    /// They are a zstd frame that holds the piece.
    Compressed = 2,
    /// The same, with the dictionary.
    Shared = 3,
    /// They are a zstd frame that holds bytes of which the piece is the base64.
    PackedCompressed = 4,
}

impl Transform {
    const ALL: [Self; 5] = [Self::Copied, Self::Packed, Self::Compressed, Self::Shared, Self::PackedCompressed];
}

/// Why a body is no document in segments. Each closes the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// No transform of this version.
    #[error("segment of unknown transform {0}")]
    Transform(u8),
    /// Lengths that no segment can have, or that its place in the document or the body has no room for.
    #[error("segment of {piece} bytes in {coded}, where {piece_room} in {coded_room} are left")]
    Length {
        /// What the header says of the piece.
        piece: usize,
        /// What it says of the coded bytes.
        coded: usize,
        /// Bytes of the document that are still to come.
        piece_room: usize,
        /// Bytes of the body after the header.
        coded_room: usize,
    },
    /// The body ends before the document does, or within a segment's header.
    #[error("segments end {0} bytes before their document does")]
    Cut(usize),
    /// A dictionary that this end has not said it has, or a segment that needs one where none is named.
    #[error("segments in a dictionary that is not known here")]
    Dictionary,
    /// Coded bytes that do not give a piece of the length that the header says.
    #[error("segment that is not {0:?}, or of another length than it says")]
    Coded(Transform),
}

/// What stands before the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prelude {
    /// Length of the document.
    pub document_bytes: u32,
    /// What segments with a dictionary were made with.
    pub dictionary: Option<&'static Dictionary>,
}

impl Prelude {
    /// The bytes before the segments.
    pub fn to_wire(self) -> [u8; PRELUDE_BYTES] {
        let mut bytes = [0; PRELUDE_BYTES];
        bytes[..4].copy_from_slice(&self.document_bytes.to_be_bytes());
        if let Some(dictionary) = self.dictionary {
            bytes[4..].copy_from_slice(&dictionary.name());
        }
        bytes
    }

    /// Reads them.
    ///
    /// # Errors
    ///
    /// A dictionary that this implementation does not have.
    pub fn from_wire(bytes: &[u8; PRELUDE_BYTES]) -> Result<Self, SegmentError> {
        let [l0, l1, l2, l3, name @ ..] = *bytes;
        let dictionary = match name {
            [0, 0, 0, 0, 0, 0, 0, 0] => None,
            name => Some(Dictionary::named(name).ok_or(SegmentError::Dictionary)?),
        };
        Ok(Self { document_bytes: u32::from_be_bytes([l0, l1, l2, l3]), dictionary })
    }
}

/// Where segments go on that [`make`] made, for who has the first `bytes` of the document: how many slices lie before the
/// last segment that begins there or before, and at which byte of the document it begins.
pub fn skip(made: &[Bytes], bytes: u32) -> (usize, u32) {
    let (mut skipped, mut offset) = (0, 0);
    while let Some(slice) = made.get(skipped)
        && let Some(Ok(header)) = slice.first_chunk().map(|header| SegmentHeader::from_wire(*header))
        && offset + header.piece as u32 <= bytes
    {
        offset += header.piece as u32;
        // What is copied stands in a slice of its own.
        skipped += if slice.len() == SEGMENT_HEADER_BYTES { 2 } else { 1 };
    }
    (skipped.min(made.len()), offset)
}

/// What stands before coded bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SegmentHeader {
    transform: Transform,
    piece: usize,
    coded: usize,
}

impl SegmentHeader {
    /// Lengths are at most [`PIECE_BYTES_MAX`], and so fit into three bytes.
    fn to_wire(self) -> [u8; SEGMENT_HEADER_BYTES] {
        let [_, p0, p1, p2] = (self.piece as u32).to_be_bytes();
        let [_, c0, c1, c2] = (self.coded as u32).to_be_bytes();
        [self.transform as u8, p0, p1, p2, c0, c1, c2]
    }

    fn from_wire(bytes: [u8; SEGMENT_HEADER_BYTES]) -> Result<Self, SegmentError> {
        let [transform, p0, p1, p2, c0, c1, c2] = bytes;
        let known = Transform::ALL.into_iter().find(|known| *known as u8 == transform);
        Ok(Self {
            transform: known.ok_or(SegmentError::Transform(transform))?,
            piece: u32::from_be_bytes([0, p0, p1, p2]) as usize,
            coded: u32::from_be_bytes([0, c0, c1, c2]) as usize,
        })
    }
}
