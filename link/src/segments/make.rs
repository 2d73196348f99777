//! From a document to segments. Done once for each item, whoever gets it.

use std::cell::RefCell;
use std::ops::Range;

use base64_simd::STANDARD;
use bytes::Bytes;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::runs::{Stretch, stretches};
use super::{Dictionary, PIECE_BYTES_MAX, SEGMENT_HEADER_BYTES, SegmentHeader, Transform};

/// By measurement on what is in updates: 35 % of it, 28 MB a second; level 9 takes twice the time for a hundredth less.
const LEVEL: i32 = 6;
/// The quickest: most of what is tried is compressed already.
const TRIAL_LEVEL: i32 = 1;
/// Longer texts have more in common with themselves than with a dictionary.
const SHARED_BYTES_MAX: usize = 64 << 10;
/// Of packed bytes so many are tried first: code that is compressed already stays as it is.
const TRIAL_BYTES: usize = 64 << 10;

/// The segments of a document, or of a part of one, as slices; what is not changed is not copied. `dictionary` is one that
/// everybody who gets them has.
pub fn make(document: &Bytes, dictionary: Option<&'static Dictionary>) -> Vec<Bytes> {
    let mut maker = Maker { document, dictionary, alone: None, slices: Vec::new() };
    for stretch in stretches(document) {
        match stretch {
            Stretch::Text(range) => pieces(range).for_each(|piece| maker.text(piece)),
            Stretch::Base64(range) => maker.base64(range),
        }
    }
    maker.slices
}

fn pieces(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(PIECE_BYTES_MAX).map(move |from| from..range.end.min(from + PIECE_BYTES_MAX))
}

struct Maker<'a> {
    document: &'a Bytes,
    dictionary: Option<&'static Dictionary>,
    /// Compresses without a dictionary, once something is.
    alone: Option<Compressor<'static>>,
    slices: Vec<Bytes>,
}

impl Maker<'_> {
    fn text(&mut self, piece: Range<usize>) {
        let text = &self.document[piece.clone()];
        let (transform, coded) = match self.dictionary.filter(|_| text.len() <= SHARED_BYTES_MAX) {
            Some(dictionary) => (Transform::Shared, shared(text, dictionary)),
            None => (Transform::Compressed, self.compressed(text)),
        };
        match coded.filter(|coded| coded.len() < text.len()) {
            Some(coded) => self.push(transform, piece.len(), &coded),
            None => {
                let header = SegmentHeader { transform: Transform::Copied, piece: piece.len(), coded: piece.len() };
                self.slices.push(Bytes::copy_from_slice(&header.to_wire()));
                self.slices.push(self.document.slice(piece));
            }
        }
    }

    fn base64(&mut self, range: Range<usize>) {
        let mut is_compressible = None;
        for piece in pieces(range) {
            // A run is base64 as a whole, and pieces are whole quanta of it.
            let Ok(packed) = STANDARD.decode_to_vec(&self.document[piece.clone()]) else {
                self.text(piece);
                continue;
            };
            let trial = &packed[..packed.len().min(TRIAL_BYTES)];
            let is_compressible = *is_compressible.get_or_insert_with(|| Self::is_compressible(trial));
            let coded = is_compressible.then(|| self.compressed(&packed)).flatten();
            match coded.filter(|coded| coded.len() < packed.len()) {
                Some(coded) => self.push(Transform::PackedCompressed, piece.len(), &coded),
                None => self.push(Transform::Packed, piece.len(), &packed),
            }
        }
    }

    /// Whether a tenth can be saved.
    fn is_compressible(trial: &[u8]) -> bool {
        let coded = zstd::bulk::compress(trial, TRIAL_LEVEL);
        coded.is_ok_and(|coded| coded.len() < trial.len() / 10 * 9)
    }

    /// `None` if there is no memory for it.
    fn compressed(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let context = match &mut self.alone {
            Some(context) => context,
            none => none.insert(Compressor::new(LEVEL).ok()?),
        };
        context.compress(bytes).ok()
    }

    fn push(&mut self, transform: Transform, piece: usize, coded: &[u8]) {
        let header = SegmentHeader { transform, piece, coded: coded.len() };
        let mut segment = Vec::with_capacity(SEGMENT_HEADER_BYTES + coded.len());
        segment.extend_from_slice(&header.to_wire());
        segment.extend_from_slice(coded);
        self.slices.push(segment.into());
    }
}

/// `None` if there is no memory for it.
fn shared(text: &[u8], dictionary: &'static Dictionary) -> Option<Vec<u8>> {
    thread_local! {
        // A context costs more than a short text.
        static CONTEXT: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        let context = match context {
            Some(context) => context,
            none => none.insert(Compressor::new(0).ok()?),
        };
        context.set_prepared_dictionary(&dictionary.encoder).ok()?;
        // The body names it.
        context.set_parameter(CParameter::DictIdFlag(false)).ok()?;
        context.compress(text).ok()
    })
}
