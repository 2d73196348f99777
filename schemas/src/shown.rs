//! Text that others wrote, on a terminal that is ours.
//!
//! Documents may carry what drives a terminal (U+009B starts a control sequence), turns the direction of writing, or
//! begins a new line that looks like one of this program's own. People see a replacement character there; JSON, which
//! escapes for itself, keeps the text as it is.

use std::borrow::Cow;

/// One line, without anything that acts instead of being seen.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.contains(acts) { Cow::Owned(text.replace(acts, "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

/// The same for each line of a text whose lines are this program's, such as an error that quotes a file.
pub fn shown_lines(text: &str) -> String {
    text.lines().map(shown).collect::<Vec<_>>().join("\n")
}

/// Control characters, line and paragraph ends, marks and overrides of direction.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_acts_is_replaced() {
        assert!(matches!(shown("Überlauf in „serde“ 👩‍💻"), Cow::Borrowed(_)));
        for hostile in ['\u{9B}', '\u{1B}', '\n', '\r', '\t', '\u{7F}', '\u{202E}', '\u{2028}', '\u{2066}', '\u{61C}'] {
            assert_eq!(shown(&format!("a{hostile}b")), "a\u{FFFD}b", "{hostile:?}");
        }
        assert_eq!(shown_lines("a\u{9B}\nb"), "a\u{FFFD}\nb");
    }
}
