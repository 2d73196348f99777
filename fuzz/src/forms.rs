//! Segments: no panic and no byte beyond what is announced, and every document restored from its segments to the byte.

use bytes::Bytes;
use link::segments::{Dictionary, PRELUDE_BYTES, Prelude, Restoring, make};

/// Of a document that a receiver would take.
const DOCUMENT_BYTES_MAX: u32 = 4 << 20;

/// One input, first as the body of a frame, then as a document.
///
/// # Panics
/// If that is found which the target looks for.
pub fn run(data: &[u8]) {
    restore(data, 1 + data.len() / 3);
    let document = Bytes::copy_from_slice(data);
    let Ok(document_bytes) = u32::try_from(data.len()) else { return };
    for dictionary in [None, Some(Dictionary::advisories())] {
        let prelude = Prelude { document_bytes, dictionary }.to_wire();
        let body = [&prelude[..], &make(&document, dictionary).concat()].concat();
        assert_eq!(restore(&body, usize::MAX).as_deref(), Some(data));
    }
}

/// The document, if these bytes are one in segments; they come at most so many at once.
fn restore(body: &[u8], at_once: usize) -> Option<Vec<u8>> {
    let (prelude, mut rest) = body.split_first_chunk::<PRELUDE_BYTES>()?;
    let prelude = Prelude::from_wire(prelude).ok()?;
    let longest = prelude.document_bytes as usize;
    if prelude.document_bytes > DOCUMENT_BYTES_MAX {
        return None;
    }
    let mut restoring = Restoring::new(prelude, u32::try_from(body.len()).ok()?).ok()?;
    let mut document = Vec::new();
    loop {
        while let Some(piece) = restoring.next_piece().ok()? {
            let before = document.len();
            restoring.restore(&mut document).ok()?;
            assert!(document.len() == before + piece && document.len() <= longest);
        }
        let (came, later) = rest.split_at(restoring.wants().min(at_once).min(rest.len()));
        if came.is_empty() {
            assert_eq!(document.len(), longest, "a whole body is a whole document");
            return Some(document);
        }
        restoring.waiting_mut().extend_from_slice(came);
        restoring.came(came.len());
        rest = later;
    }
}
