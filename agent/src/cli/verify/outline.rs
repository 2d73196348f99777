//! The elements of a document, and which of them lie in what is covered.

use schemas::core::Span;
use schemas::facts::Validated;
use schemas::limits::Limits;
use schemas::wellformed::{Reader, TokenKind};

/// See the module.
pub(super) struct Outline {
    /// In the order of their start tags.
    elements: Vec<Element>,
    /// Where each line ends.
    line_ends: Vec<usize>,
}

struct Element {
    name: String,
    span: Span,
    depth: usize,
}

/// Something in a document.
pub(super) struct Place {
    /// The element's local name; empty for a range that is no element.
    pub(super) name: String,
    pub(super) span: Span,
    first_line: usize,
    last_line: usize,
}

impl Place {
    /// For people.
    pub(super) fn lines(&self) -> String {
        match self.first_line == self.last_line {
            true => format!("line {}", self.first_line),
            false => format!("lines {}-{}", self.first_line, self.last_line),
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "element": self.name,
            "bytes": [self.span.start, self.span.end],
            "lines": [self.first_line, self.last_line],
        })
    }
}

impl Outline {
    pub(super) fn of(document: &Validated) -> Self {
        let text = std::str::from_utf8(document.bytes()).unwrap_or_default();
        let (limits, mut elements, mut open) = (Limits::default(), Vec::new(), Vec::new());
        let mut reader = Reader::new(text, &limits);
        // What is validated reads again.
        while let Ok(token) = reader.read() {
            match token.kind {
                TokenKind::Start(name) => {
                    open.push(elements.len());
                    let name = name.rsplit(':').next().unwrap_or_default().to_owned();
                    elements.push(Element { name, span: token.span, depth: reader.depth() });
                }
                TokenKind::End => {
                    if let Some(index) = open.pop() {
                        elements[index].span.end = token.span.end;
                    }
                }
                TokenKind::Eof => break,
                _ => {}
            }
        }
        let line_ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Self { elements, line_ends }
    }

    pub(super) fn place(&self, span: Span) -> Place {
        let line = |at: usize| self.line_ends.partition_point(|end| *end < at) + 1;
        let name = self.index(span).map(|index| self.elements[index].name.clone()).unwrap_or_default();
        Place { name, span, first_line: line(span.start), last_line: line(span.end.saturating_sub(1).max(span.start)) }
    }

    fn index(&self, span: Span) -> Option<usize> {
        self.elements.binary_search_by_key(&span.start, |element| element.span.start).ok()
    }

    /// Names of the elements right inside of one, each once, in their order, its Signature aside.
    pub(super) fn children(&self, scope: Span) -> Vec<String> {
        let Some(index) = self.index(scope) else { return Vec::new() };
        let depth = self.elements[index].depth + 1;
        let mut names: Vec<String> = Vec::new();
        for element in self.elements[index + 1..].iter().take_while(|element| element.span.start < scope.end) {
            if element.depth == depth && element.name != "Signature" && !names.contains(&element.name) {
                names.push(element.name.clone());
            }
        }
        names
    }

    /// Elements called Signature that are neither known nor covered as content of something signed: those of parts that
    /// do not read, and of message sets that are not known here.
    pub(super) fn unread(&self, merged: &[Span], known: &[Span]) -> Vec<Place> {
        let signatures = self.elements.iter().filter(|element| element.name == "Signature");
        let unread = signatures.filter(|element| {
            let at = element.span.start;
            !is_in(known, at) && !is_in(merged, at)
        });
        unread.map(|element| self.place(element.span)).collect()
    }

    /// The elements that are in none of these ranges, Signatures aside. One of which nothing is covered stands for all
    /// that is in it.
    pub(super) fn uncovered(&self, merged: &[Span]) -> Vec<Place> {
        outside(self.elements.iter(), merged).into_iter().map(|(element, _)| self.place(element.span)).collect()
    }

    /// The same of a document's content alone, elements around something covered aside: what these say beside it is in
    /// elements of their own.
    pub(super) fn unsigned(&self, merged: &[Span], content: &[Span]) -> Vec<Place> {
        let content = self.elements.iter().filter(|element| is_in(content, element.span.start));
        let outside = outside(content, merged).into_iter().filter(|(_, holds_covered)| !holds_covered);
        outside.map(|(element, _)| self.place(element.span)).collect()
    }
}

/// See [`Outline::uncovered`]; of each, whether something in it is covered.
fn outside<'a>(elements: impl Iterator<Item = &'a Element>, merged: &[Span]) -> Vec<(&'a Element, bool)> {
    let (mut found, mut passed) = (Vec::new(), 0);
    for element in elements {
        if element.span.start < passed || is_in(merged, element.span.start) {
            continue;
        }
        let next = merged.partition_point(|range| range.end <= element.span.start);
        let holds_covered = merged.get(next).is_some_and(|range| range.start < element.span.end);
        if !holds_covered {
            passed = element.span.end;
        }
        if element.name != "Signature" {
            found.push((element, holds_covered));
        }
    }
    found
}

/// Whether a byte is in one of these ranges, which are in order and apart.
fn is_in(ranges: &[Span], at: usize) -> bool {
    let next = ranges.partition_point(|range| range.end <= at);
    ranges.get(next).is_some_and(|range| range.start <= at)
}

/// The same ranges in their order, none of which touches another.
pub(super) fn merged(mut ranges: Vec<Span>) -> Vec<Span> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Span> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}
