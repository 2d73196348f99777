//! `xs:base64Binary` (10.2.6): strict alphabet and padding, XML blanks anywhere.

use base64_simd::{Out, STANDARD};

/// Why a text is no base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Base64Error {
    /// A character outside the alphabet, or padding in a wrong place, in the piece that begins at this byte.
    #[error("not base64 in the {PIECE} bytes from byte {0}")]
    Malformed(usize),
    /// The number of characters is no multiple of four.
    #[error("base64 that breaks off")]
    Truncated,
    /// Something follows the padding; it begins at or before this byte.
    #[error("base64 goes on after its padding, at byte {0}")]
    AfterPadding(usize),
}

/// Characters decoded at once: a multiple of four, small enough to stay in the nearest cache.
const PIECE: usize = 16 << 10;

/// Decodes piece by piece into `sink`; memory does not grow with the text. Gives the number of bytes decoded.
///
/// # Errors
/// At the first piece that is no base64. What came before it has gone to the sink.
pub fn decode(text: &str, sink: &mut impl FnMut(&[u8])) -> Result<u64, Base64Error> {
    let mut decoded = [0_u8; PIECE / 4 * 3];
    let mut total = 0_u64;
    each_piece(text.as_bytes(), |at, piece| {
        let bytes = STANDARD.decode(piece, Out::from_slice(&mut decoded)).map_err(|_| Base64Error::Malformed(at))?;
        total += bytes.len() as u64;
        sink(bytes);
        Ok(())
    })?;
    Ok(total)
}

/// Checks that [`decode`] would succeed, without decoding.
///
/// # Errors
/// As [`decode`].
pub fn check(text: &str) -> Result<(), Base64Error> {
    each_piece(text.as_bytes(), |at, piece| STANDARD.check(piece).map_err(|_| Base64Error::Malformed(at)))
}

/// Encodes with padding, without blanks.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

/// Cuts the text into pieces of whole quanta without blanks. Only the last may end in padding.
fn each_piece(text: &[u8], mut take: impl FnMut(usize, &[u8]) -> Result<(), Base64Error>) -> Result<(), Base64Error> {
    let mut gathered = [0_u8; PIECE];
    let mut at = 0;
    let mut padded = false;
    while at < text.len() {
        // A piece of the text itself if it holds no blanks, else one gathered around them.
        let direct = &text[at..text.len().min(at + PIECE)];
        let (piece, next) = if has_blank(direct) {
            let (length, next) = gather(text, at, &mut gathered);
            (&gathered[..length], next)
        } else {
            (direct, at + direct.len())
        };
        if piece.is_empty() {
            return Ok(());
        }
        if padded {
            return Err(Base64Error::AfterPadding(at));
        }
        if piece.len() % 4 != 0 {
            return Err(Base64Error::Truncated);
        }
        take(at, piece)?;
        padded = piece.last() == Some(&b'=');
        at = next;
    }
    Ok(())
}

/// Copies up to a piece of characters that are no blanks; gives their number and where it stopped.
fn gather(text: &[u8], start: usize, piece: &mut [u8; PIECE]) -> (usize, usize) {
    let (mut at, mut length) = (start, 0);
    while at < text.len() && length < PIECE {
        if crate::wellformed::is_blank(text[at]) {
            at += 1;
            continue;
        }
        let room = &text[at..text.len().min(at + PIECE - length)];
        let run = first_blank(room).unwrap_or(room.len());
        piece[length..length + run].copy_from_slice(&room[..run]);
        length += run;
        at += run;
    }
    (length, at)
}

fn first_blank(text: &[u8]) -> Option<usize> {
    text.iter().position(|byte| crate::wellformed::is_blank(*byte))
}

fn has_blank(text: &[u8]) -> bool {
    // Nothing of the alphabet is below a space, so that one comparison will do, which the compiler makes a vector one.
    text.iter().fold(false, |found, byte| found | (*byte <= b' '))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Result<Vec<u8>, Base64Error> {
        let mut all = Vec::new();
        let count = decode(text, &mut |piece| all.extend_from_slice(piece))?;
        assert_eq!(count, all.len() as u64);
        Ok(all)
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in
            ["QUJD*", "QUI", "QQ==QQ==", "QQ", "QR==", "QUJDRA=", "====", "QUJ=D", "Q=Q=", "QUJ-", "QUJ\u{b}", "QUJDé"]
        {
            assert!(decoded(text).is_err(), "{text}");
            assert_eq!(check(text), decoded(text).map(drop), "{text}");
        }
    }

    #[test]
    fn padding_ends_the_text_at_a_piece_boundary_too() {
        let text = format!("{}QQ==", "A".repeat(PIECE - 4));
        assert_eq!(decoded(&text).map(|bytes| bytes.len()), Ok((PIECE - 4) / 4 * 3 + 1));
        assert_eq!(decoded(&format!("{text}QQ==")), Err(Base64Error::AfterPadding(PIECE)));
        assert_eq!(decoded(&format!("{text} \n ")).map(|bytes| bytes.len()), Ok((PIECE - 4) / 4 * 3 + 1));
    }

    proptest! {
        // R-10.2.6-3: blanks and line breaks wherever they stand.
        #[test]
        fn c10_2_6_base64_reads_back_with_blanks_anywhere(
            bytes in proptest::collection::vec(any::<u8>(), 0..60_000),
            width in 1_usize..5_000,
            blank in proptest::sample::select(vec![" ", "\n", "\r\n", "\t"]),
        ) {
            let plain = encode(&bytes);
            prop_assert_eq!(decoded(&plain), Ok(bytes.clone()));
            let mut wrapped = String::new();
            for (index, c) in plain.chars().enumerate() {
                if index % width == 0 {
                    wrapped.push_str(blank);
                }
                wrapped.push(c);
            }
            prop_assert_eq!(decoded(&wrapped), Ok(bytes));
            prop_assert_eq!(check(&wrapped), Ok(()));
        }
    }
}
