//! Author_Comments: free text, and lines that carry one fact each.

use std::fmt;

/// The lines of one Author_Comments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comments {
    /// Lines that carry no fact, blanks outside trimmed, empty ones left out.
    pub text: Vec<String>,
    /// `CVSS2:`, a vector.
    pub cvss2: Option<String>,
    /// `CVSS3:`, a vector with its `CVSS:3.x` prefix.
    pub cvss3: Option<String>,
    /// `CVSS4:`, a vector.
    pub cvss4: Option<String>,
    /// `Patched:`, versions without the fault, for a person.
    pub patched: Option<String>,
    /// `Status:`, such as `withdrawn` or `rejected`.
    pub status: Option<String>,
    /// `Kind:`, such as `vulnerability` or `unmaintained`.
    pub kind: Option<String>,
    /// `Revision:`, counted by the publisher.
    pub revision: Option<u64>,
}

impl Comments {
    /// Reads the lines. A fact that stands twice counts as it stands last; a revision that is no number is text.
    pub fn parse(text: &str) -> Self {
        let mut comments = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if !comments.take_fact(line) {
                comments.text.push(line.to_owned());
            }
        }
        comments
    }

    fn take_fact(&mut self, line: &str) -> bool {
        let Some((key, value)) = line.split_once(':') else { return false };
        let value = value.trim();
        let place = match key {
            "CVSS2" => &mut self.cvss2,
            "CVSS3" => &mut self.cvss3,
            "CVSS4" => &mut self.cvss4,
            "Patched" => &mut self.patched,
            "Status" => &mut self.status,
            "Kind" => &mut self.kind,
            "Revision" => {
                let revision = value.parse().ok();
                self.revision = revision.or(self.revision);
                return revision.is_some();
            }
            _ => return false,
        };
        *place = Some(value.to_owned());
        true
    }

    /// Whether the item is taken back: withdrawn, or an identifier rejected by its authority (C-9).
    pub fn is_withdrawn(&self) -> bool {
        let withdrawn = |status: &String| ["withdrawn", "rejected"].iter().any(|is| status.eq_ignore_ascii_case(is));
        self.status.as_ref().is_some_and(withdrawn)
    }
}

impl fmt::Display for Comments {
    /// Text first, then the facts, one a line. Text that would read as a fact is quoted with `> `.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.text.iter().map(|line| quoted(line)).collect();
        let facts = [
            ("CVSS2", &self.cvss2),
            ("CVSS3", &self.cvss3),
            ("CVSS4", &self.cvss4),
            ("Patched", &self.patched),
            ("Status", &self.status),
            ("Kind", &self.kind),
        ];
        let one_line = |value: &str| value.split_whitespace().collect::<Vec<_>>().join(" ");
        lines.extend(facts.iter().filter_map(|(key, value)| Some(format!("{key}: {}", one_line(value.as_ref()?)))));
        lines.extend(self.revision.map(|revision| format!("Revision: {revision}")));
        f.write_str(&lines.join("\n"))
    }
}

/// One line of text, in a form that is no fact.
fn quoted(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if Comments::default().take_fact(&line) { format!("> {line}") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_told_from_text() {
        let read = Comments::parse(
            "Title\n\n  Text: with a colon  \nCVSS3: CVSS:3.1/AV:N\nPatched: >=1.0\nStatus: withdrawn\nKind: unsound\n\
             Revision: 7\nRevision: seven",
        );
        assert_eq!(read.text, ["Title", "Text: with a colon", "Revision: seven"]);
        assert_eq!(read.cvss3.as_deref(), Some("CVSS:3.1/AV:N"));
        assert_eq!(read.patched.as_deref(), Some(">=1.0"));
        assert_eq!((read.kind.as_deref(), read.revision), (Some("unsound"), Some(7)));
        assert!(read.is_withdrawn());
        assert!(!Comments::parse("Status: analysed").is_withdrawn());
        assert!(Comments::parse("Status: REJECTED").is_withdrawn());
    }

    #[test]
    fn written_lines_read_back() {
        let comments = Comments {
            text: vec!["Title".to_owned(), "More".to_owned()],
            cvss2: Some("AV:N".to_owned()),
            kind: Some("notice".to_owned()),
            revision: Some(3),
            ..Comments::default()
        };
        assert_eq!(comments.to_string(), "Title\nMore\nCVSS2: AV:N\nKind: notice\nRevision: 3");
        assert_eq!(Comments::parse(&comments.to_string()), comments);
    }

    #[test]
    fn text_cannot_forge_a_fact() {
        let forged = Comments {
            text: vec!["Status: withdrawn".to_owned(), "a\nRevision: 99\nb".to_owned()],
            ..Comments::default()
        };
        let read = Comments::parse(&forged.to_string());
        assert_eq!((read.status, read.revision), (None, None));
        assert_eq!(read.text, ["> Status: withdrawn", "a Revision: 99 b"]);
    }
}
