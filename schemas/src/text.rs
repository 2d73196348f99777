//! Encodings in: UTF-8 as it is, UTF-16 transcoded, nothing else (9.6.1).

use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::wellformed::{CLAUSE, Declaration, LIMIT_CLAUSE, line_at};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Brings a document into UTF-8 without a byte order mark. UTF-8 is not copied; UTF-16 of either order is transcoded,
/// with its byte order mark and its encoding declaration taken out, for they would be wrong afterwards.
///
/// # Errors
/// [`ErrorKind::Limit`] over [`Limits::document_bytes`] before or after, [`ErrorKind::Encoding`] for anything that is
/// not the encoding it should be. Offsets are in the bytes given.
pub fn to_utf8(bytes: Bytes, limits: &Limits) -> Result<Bytes, Error> {
    check_size(bytes.len(), limits)?;
    match bytes.as_ref() {
        [0xfe, 0xff, ..] => from_utf16(&bytes[2..], 2, u16::from_be_bytes, limits),
        [0xff, 0xfe, ..] => from_utf16(&bytes[2..], 2, u16::from_le_bytes, limits),
        // Without a mark only a declaration can begin the document, and must (XML 1.0, appendix F).
        [0, b'<', 0, b'?', ..] => from_utf16(&bytes, 0, u16::from_be_bytes, limits),
        [b'<', 0, b'?', 0, ..] => from_utf16(&bytes, 0, u16::from_le_bytes, limits),
        _ => from_utf8(bytes),
    }
}

fn from_utf8(bytes: Bytes) -> Result<Bytes, Error> {
    let bytes = if bytes.starts_with(BOM) { bytes.slice(BOM.len()..) } else { bytes };
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        encoding("neither UTF-8 nor UTF-16", error.valid_up_to(), line_at(&bytes, error.valid_up_to()))
    })?;
    match Declaration::parse(text).and_then(|declaration| declaration.encoding) {
        None => Ok(bytes),
        Some(name) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("utf8") => Ok(bytes),
        Some(name) if name.eq_ignore_ascii_case("us-ascii") && bytes.is_ascii() => Ok(bytes),
        Some(name) => Err(encoding(&format!("declared as {name:.32}, which this is not, or is not accepted"), 0, 1)),
    }
}

fn from_utf16(units: &[u8], skipped: usize, unit: fn([u8; 2]) -> u16, limits: &Limits) -> Result<Bytes, Error> {
    let (pairs, odd) = units.as_chunks::<2>();
    let text = || char::decode_utf16(pairs.iter().map(|pair| unit(*pair)));
    let length = utf8_length(text(), skipped, !odd.is_empty())?;
    check_size(length, limits)?;
    let mut transcoded = String::with_capacity(length);
    // Counted above without an error, so every character is there.
    transcoded.extend(text().flatten());
    without_encoding_declaration(transcoded).map(Bytes::from)
}

/// The bytes that the text takes in UTF-8: the first pass over it, which takes no memory.
fn utf8_length(
    text: impl Iterator<Item = Result<char, std::char::DecodeUtf16Error>>,
    skipped: usize,
    is_cut: bool,
) -> Result<usize, Error> {
    let (mut at, mut length, mut line) = (skipped, 0, 1);
    for decoded in text {
        let c = decoded.map_err(|_| encoding("half a surrogate pair", at, line))?;
        length += c.len_utf8();
        at += 2 * c.len_utf16();
        line += usize::from(c == '\n');
    }
    if is_cut {
        return Err(encoding("half a character at the end", at, line));
    }
    Ok(length)
}

fn without_encoding_declaration(mut text: String) -> Result<String, Error> {
    let Some(declaration) = Declaration::parse(&text) else { return Ok(text) };
    let expected = |name: &str| {
        ["utf-16", "utf-16le", "utf-16be", "iso-10646-ucs-2"].iter().any(|known| name.eq_ignore_ascii_case(known))
    };
    if declaration.encoding.is_some_and(|name| !expected(name)) {
        return Err(encoding("UTF-16 that declares another encoding", 0, 1));
    }
    let span = declaration.encoding_span;
    text.replace_range(span, "");
    Ok(text)
}

fn check_size(bytes: usize, limits: &Limits) -> Result<(), Error> {
    if bytes <= limits.document_bytes {
        return Ok(());
    }
    let kind = ErrorKind::Limit { name: "document_bytes", limit: limits.document_bytes };
    Err(Error { kind, byte: limits.document_bytes, line: 1, clause: LIMIT_CLAUSE })
}

fn encoding(what: &str, byte: usize, line: usize) -> Error {
    Error { kind: ErrorKind::Encoding(what.to_owned()), byte, line, clause: CLAUSE }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, unit: fn(u16) -> [u8; 2], mark: bool) -> Bytes {
        let mark = mark.then_some('\u{feff}').into_iter();
        mark.chain(text.chars()).collect::<String>().encode_utf16().flat_map(unit).collect()
    }

    fn check(bytes: Bytes, expected: &str) {
        assert_eq!(to_utf8(bytes, &Limits::default()).as_deref(), Ok(expected.as_bytes()));
    }

    #[test]
    fn utf8_is_not_copied() {
        let bytes = Bytes::from_static("\u{feff}<?xml version='1.0' encoding='utf-8'?><é/>".as_bytes());
        let text = to_utf8(bytes.clone(), &Limits::default()).unwrap();
        assert_eq!(text.as_ptr(), bytes[3..].as_ptr());
    }

    // R-9.6.1-1: UTF-16 in, either order, with or without a byte order mark.
    #[test]
    fn c9_6_1_utf16_is_transcoded_and_its_declaration_taken_out() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><a>Ⅳ 𝒳</a>";
        let expected = "<?xml version=\"1.0\"?><a>Ⅳ 𝒳</a>";
        for unit in [u16::to_le_bytes, u16::to_be_bytes] {
            check(utf16(text, unit, true), expected);
            check(utf16(text, unit, false), expected);
        }
        check(utf16("<a/>", u16::to_le_bytes, true), "<a/>");
    }

    #[test]
    fn other_encodings_are_refused_with_their_place() {
        let refused = |bytes: &[u8]| to_utf8(Bytes::copy_from_slice(bytes), &Limits::default()).unwrap_err();
        let latin = refused(b"<a>\n\xe9</a>");
        assert_eq!((latin.byte, latin.line), (4, 2));
        for bytes in [
            b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>".as_slice(),
            b"<?xml version='1.0' encoding='UTF-16'?><a/>",
            b"\xfe\xff\0<\0a\0/\0>\0",
            b"\xfe\xff\xd8\x00\0<",
            &utf16("<?xml version='1.0' encoding='UTF-8'?><a/>", u16::to_be_bytes, true),
        ] {
            assert!(matches!(refused(bytes).kind, ErrorKind::Encoding(_)), "{bytes:?}");
        }
    }

    // Three-byte characters make the UTF-8 form the longest: it takes its own length in memory, and not before it fits.
    #[test]
    fn transcoding_takes_the_length_of_its_result() {
        for text in ["漢字かな".repeat(1_000), "a".repeat(4_000), "é".repeat(4_000), "𝒳".repeat(2_000)] {
            let document = format!("<a>{text}</a>");
            for unit in [u16::to_le_bytes, u16::to_be_bytes] {
                let made = to_utf8(utf16(&document, unit, true), &Limits::default()).unwrap();
                assert_eq!(made, document);
                let made = Vec::from(made);
                assert_eq!(made.capacity(), document.len());
                let tight = Limits { document_bytes: document.len() - 1, ..Limits::default() };
                assert!(to_utf8(utf16(&document, unit, true), &tight).is_err());
            }
        }
    }

    #[test]
    fn an_error_in_utf16_says_where_it_is() {
        let mut cut = utf16("<a>\n漢</a>", u16::to_be_bytes, true).to_vec();
        cut.push(0);
        let error = to_utf8(cut.clone().into(), &Limits::default()).unwrap_err();
        assert_eq!((error.byte, error.line), (cut.len() - 1, 2));
        cut[10..12].copy_from_slice(&[0xd8, 0x00]);
        let error = to_utf8(cut.into(), &Limits::default()).unwrap_err();
        assert_eq!((error.byte, error.line), (10, 2));
    }

    #[test]
    fn the_size_limit_holds_before_and_after() {
        let limits = Limits { document_bytes: 10, ..Limits::default() };
        assert!(to_utf8(Bytes::from_static(b"0123456789"), &limits).is_ok());
        assert!(to_utf8(Bytes::from_static(b"0123456789a"), &limits).is_err());
        assert!(to_utf8(utf16("ⅣⅣⅣⅣ", u16::to_le_bytes, true), &limits).is_err());
    }
}
