//! From segments to their document, as they arrive.

use std::cell::RefCell;

use base64_simd::STANDARD;
use zstd::bulk::Decompressor;

use super::{
    Dictionary, PIECE_BYTES_MAX, PRELUDE_BYTES, Prelude, SEGMENT_HEADER_BYTES, SegmentError, SegmentHeader, Transform,
};

/// A document on its way in. It holds the coded bytes of at most one segment, whatever is announced.
#[derive(Debug)]
pub struct Restoring {
    dictionary: Option<&'static Dictionary>,
    /// Bytes of the document that are still to be restored.
    piece_room: usize,
    /// Bytes of the body that have not come.
    coded_room: usize,
    /// Came and is not restored: less than a segment.
    waiting: Vec<u8>,
}

impl Restoring {
    /// Begins behind the prelude of a body of this length.
    ///
    /// # Errors
    ///
    /// No room for the prelude.
    pub fn new(prelude: Prelude, body_bytes: u32) -> Result<Self, SegmentError> {
        let piece_room = prelude.document_bytes as usize;
        let coded_room = (body_bytes as usize).checked_sub(PRELUDE_BYTES).ok_or(SegmentError::Cut(piece_room))?;
        Ok(Self { dictionary: prelude.dictionary, piece_room, coded_room, waiting: Vec::new() })
    }

    /// Bytes of the document that are still to be restored.
    pub fn document_bytes(&self) -> u32 {
        // They came from a field of four bytes.
        u32::try_from(self.piece_room).unwrap_or(u32::MAX)
    }

    /// The most that it ever holds beside the document.
    pub fn waiting_bytes_max(&self) -> u32 {
        let bytes = (self.waiting.len() + self.coded_room).min(SEGMENT_HEADER_BYTES + PIECE_BYTES_MAX);
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Coded bytes that came and wait for the rest of their segment. New ones are appended, at most as many as
    /// [`Restoring::wants`] says, and told by [`Restoring::came`].
    pub fn waiting_mut(&mut self) -> &mut Vec<u8> {
        &mut self.waiting
    }

    /// How many more bytes of the body it takes now; none when the body is whole.
    pub fn wants(&self) -> usize {
        self.coded_room.min(SEGMENT_HEADER_BYTES + PIECE_BYTES_MAX - self.waiting.len())
    }

    /// So many bytes were appended to what waits.
    pub fn came(&mut self, bytes: usize) {
        self.coded_room = self.coded_room.saturating_sub(bytes);
    }

    /// The length of the next piece, if its segment is here; checked against everything that was announced.
    ///
    /// # Errors
    ///
    /// A segment that cannot be one, or an end before the document's.
    pub fn next_piece(&self) -> Result<Option<usize>, SegmentError> {
        let Some((header, coded)) = self.waiting.split_first_chunk() else {
            let is_over = self.coded_room == 0;
            let is_whole = self.waiting.is_empty() && self.piece_room == 0;
            return if is_over && !is_whole { Err(SegmentError::Cut(self.piece_room)) } else { Ok(None) };
        };
        let header = self.checked(*header, coded.len())?;
        Ok((coded.len() >= header.coded).then_some(header.piece))
    }

    /// Restores the next piece, which [`Restoring::next_piece`] has said is here, behind what is restored already.
    ///
    /// # Errors
    ///
    /// Coded bytes that do not give it.
    pub fn restore(&mut self, document: &mut Vec<u8>) -> Result<(), SegmentError> {
        let Some((header, rest)) = self.waiting.split_first_chunk() else { return Ok(()) };
        let header = self.checked(*header, rest.len())?;
        let Some(coded) = rest.get(..header.coded) else { return Ok(()) };
        let before = document.len();
        piece(header, coded, self.dictionary, document)?;
        if document.len() - before != header.piece {
            return Err(SegmentError::Coded(header.transform));
        }
        self.piece_room -= header.piece;
        self.waiting.drain(..SEGMENT_HEADER_BYTES + header.coded);
        Ok(())
    }

    fn checked(&self, header: [u8; SEGMENT_HEADER_BYTES], came: usize) -> Result<SegmentHeader, SegmentError> {
        let header = SegmentHeader::from_wire(header)?;
        let (piece_room, coded_room) = (self.piece_room, came + self.coded_room);
        let SegmentHeader { piece, coded, .. } = header;
        let fits =
            coded >= 1 && coded <= piece && piece <= PIECE_BYTES_MAX && piece <= piece_room && coded <= coded_room;
        if fits { Ok(header) } else { Err(SegmentError::Length { piece, coded, piece_room, coded_room }) }
    }
}

/// Appends what coded bytes stand for. Never more than the header says, which is bounded.
fn piece(
    header: SegmentHeader,
    coded: &[u8],
    dictionary: Option<&'static Dictionary>,
    document: &mut Vec<u8>,
) -> Result<(), SegmentError> {
    let wrong = SegmentError::Coded(header.transform);
    match header.transform {
        Transform::Copied => document.extend_from_slice(coded),
        Transform::Packed => encode(coded, header, document)?,
        Transform::Compressed => decompress(None, coded, header.piece, document).ok_or(wrong)?,
        Transform::Shared => {
            let dictionary = dictionary.ok_or(SegmentError::Dictionary)?;
            decompress(Some(dictionary), coded, header.piece, document).ok_or(wrong)?;
        }
        Transform::PackedCompressed => {
            let mut packed = Vec::new();
            decompress(None, coded, header.piece / 4 * 3, &mut packed).ok_or(wrong)?;
            encode(&packed, header, document)?;
        }
    }
    Ok(())
}

fn encode(bytes: &[u8], header: SegmentHeader, document: &mut Vec<u8>) -> Result<(), SegmentError> {
    if STANDARD.encoded_length(bytes.len()) != header.piece {
        return Err(SegmentError::Coded(header.transform));
    }
    document.reserve_exact(header.piece);
    STANDARD.encode_append(bytes, document);
    Ok(())
}

/// Appends what a frame holds, at most so many bytes.
fn decompress(
    dictionary: Option<&'static Dictionary>,
    coded: &[u8],
    bytes_max: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    thread_local! {
        // A context is some 100 KiB, and a piece takes microseconds.
        static ALONE: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
        static SHARED: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    let context = if dictionary.is_some() { &SHARED } else { &ALONE };
    context.with_borrow_mut(|context| {
        let context = match (context, dictionary) {
            (Some(context), None) => context,
            (empty @ None, None) => empty.insert(Decompressor::new().ok()?),
            (context, Some(dictionary)) => {
                let context = context.get_or_insert_default();
                context.set_prepared_dictionary(&dictionary.decoder).ok()?;
                context
            }
        };
        let before = out.len();
        out.resize(before + bytes_max, 0);
        let length = context.decompress_to_buffer(coded, &mut out[before..]).ok();
        out.truncate(before + length.unwrap_or(0));
        length.map(drop)
    })
}
