//! Which characters and names XML 1.0 allows (productions 2 to 5).

/// Space, tab, carriage return or line feed.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Whether there is nothing but blanks.
pub(crate) fn is_blank_text(text: &str) -> bool {
    text.bytes().all(is_blank)
}

/// Cuts XML blanks, and only those, off both ends.
pub(crate) fn trim_blanks(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// Offset of the first character of UTF-8 text that is no `Char`: a control character, U+FFFE or U+FFFF.
pub(super) fn first_illegal(text: &[u8]) -> Option<usize> {
    // Whole blocks without a suspect byte are passed over at the speed of the vector unit.
    const BLOCK: usize = 64;
    let suspect = |byte: u8| (byte < 0x20 && !is_blank(byte)) || byte == 0xef;
    text.chunks(BLOCK).enumerate().find_map(|(number, block)| {
        if !block.iter().fold(false, |found, byte| found | suspect(*byte)) {
            return None;
        }
        let start = number * BLOCK;
        (start..start + block.len()).find(|at| is_illegal_at(text, *at))
    })
}

fn is_illegal_at(text: &[u8], at: usize) -> bool {
    let byte = text[at];
    (byte < 0x20 && !is_blank(byte))
        || (byte == 0xef && matches!(text.get(at + 1..at + 3), Some([0xbf, 0xbe] | [0xbf, 0xbf])))
}

/// Production 2, for what a character reference stands for.
pub(super) fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Production 5.
pub(super) fn is_name(text: &str) -> bool {
    let mut rest = text.chars();
    rest.next().is_some_and(is_name_start) && rest.all(is_name_char)
}

/// A name without a colon (Namespaces in XML, production 4).
pub(super) fn is_ncname(text: &str) -> bool {
    !text.contains(':') && is_name(text)
}

fn is_name_start(c: char) -> bool {
    matches!(c,
        'a'..='z' | 'A'..='Z' | ':' | '_' | '\u{c0}'..='\u{d6}' | '\u{d8}'..='\u{f6}' | '\u{f8}'..='\u{2ff}'
        | '\u{370}'..='\u{37d}' | '\u{37f}'..='\u{1fff}' | '\u{200c}'..='\u{200d}' | '\u{2070}'..='\u{218f}'
        | '\u{2c00}'..='\u{2fef}' | '\u{3001}'..='\u{d7ff}' | '\u{f900}'..='\u{fdcf}' | '\u{fdf0}'..='\u{fffd}'
        | '\u{10000}'..='\u{effff}')
}

fn is_name_char(c: char) -> bool {
    matches!(c, 'a'..='z' | '-' | '.' | '0'..='9' | '\u{b7}' | '\u{300}'..='\u{36f}' | '\u{203f}'..='\u{2040}')
        || is_name_start(c)
}
