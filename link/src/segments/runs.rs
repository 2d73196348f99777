//! Where a document has base64 that can be packed: text that its decoded bytes give back exactly.

use base64_simd::STANDARD;

/// A shorter run is not worth a segment of its own.
const RUN_BYTES_MIN: usize = 256;

/// A stretch of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stretch {
    /// What is no base64, or none that can be packed.
    Text(std::ops::Range<usize>),
    /// Whole quanta of base64, of which only the last may end in padding.
    Base64(std::ops::Range<usize>),
}

/// All stretches, in order; they cover the document.
pub(super) fn stretches(document: &[u8]) -> Vec<Stretch> {
    let (mut found, mut text_from, mut at) = (Vec::new(), 0, 0);
    while at < document.len() {
        let run = run_from(document, at);
        if run.len() >= RUN_BYTES_MIN && STANDARD.check(&document[run.clone()]).is_ok() {
            if text_from < run.start {
                found.push(Stretch::Text(text_from..run.start));
            }
            text_from = run.end;
            at = run.end;
            found.push(Stretch::Base64(run));
        } else {
            at = run.end.max(at + 1);
        }
    }
    if text_from < document.len() {
        found.push(Stretch::Text(text_from..document.len()));
    }
    found
}

/// The longest run of whole quanta from here.
fn run_from(document: &[u8], from: usize) -> std::ops::Range<usize> {
    let rest = &document[from..];
    let letters = rest.iter().position(|byte| !IS_LETTER[usize::from(*byte)]).unwrap_or(rest.len());
    let padding = &b"=="[..(letters.next_multiple_of(4) - letters).min(2)];
    let is_padded = letters % 4 > 1 && rest[letters..].starts_with(padding);
    from..from + if is_padded { letters + padding.len() } else { letters / 4 * 4 }
}

/// The alphabet of base64.
static IS_LETTER: [bool; 256] = {
    let mut is_letter = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        is_letter[byte] = c.is_ascii_alphanumeric() || c == b'+' || c == b'/';
        byte += 1;
    }
    is_letter
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parts: &[(bool, &str)]) {
        let document: String = parts.iter().map(|(_, text)| *text).collect();
        let mut at = 0;
        let expected: Vec<Stretch> = parts
            .iter()
            .map(|(is_base64, text)| {
                let range = at..at + text.len();
                at = range.end;
                if *is_base64 { Stretch::Base64(range) } else { Stretch::Text(range) }
            })
            .collect();
        assert_eq!(stretches(document.as_bytes()), expected, "{document}");
    }

    #[test]
    fn what_can_be_packed_is_found_and_the_rest_is_text() {
        let (long, short) = (&*"QUJD".repeat(100), &*"QUJD".repeat(63));
        check(&[]);
        check(&[(true, long)]);
        check(&[
            (false, "<a>"),
            (true, &format!("{long}QQ==")),
            (false, "</a><b>"),
            (true, &format!("{long}QUI=")),
            (false, "</b>"),
        ]);
        check(&[(false, &format!("<a>{short}</a>"))]);
        // Padding that the bits before it do not allow, in a wrong place, or too much of it.
        check(&[(false, &format!("<a>{long}QR==</a>"))]);
        check(&[(false, "<a>"), (true, long), (false, "Q=</a>")]);
        check(&[(false, "<a>"), (true, long), (false, "==</a>")]);
        // A run that breaks off within a quantum, and one over several lines.
        check(&[(false, "<a>"), (true, long), (false, "QUI</a>")]);
        check(&[(false, &format!("<a>{short}\n{short}\n</a>"))]);
    }
}
