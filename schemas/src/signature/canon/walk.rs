//! From tokens to canonical octets.

use super::out::Out;
use super::{Element, Method};
use crate::limits::Limits;
use crate::names::XSI;
use crate::signature::Refusal;
use crate::signature::namespaces::Bindings;
use crate::wellformed::{Attribute, Reader, Token, TokenKind, attribute_value, declared_prefix, is_blank, split};

/// Puts the canonical form of an element into a sink; of a document with what stands beside its root if it need not be
/// `exactly` an element.
pub(super) fn canonicalise(
    element: &Element<'_, '_>,
    exactly: bool,
    method: &Method,
    limits: &Limits,
    sink: impl FnMut(&[u8]),
) -> Result<(), Refusal> {
    let text = element.text.get(element.apex.range()).ok_or(Refusal::Place)?;
    let mut walk = Walk {
        text,
        method,
        limits,
        exactly,
        types_are_bound: element.types_are_bound,
        reader: Reader::new(text, limits),
        bindings: Bindings::inherited(element.context),
        written: Vec::new(),
        open: Vec::new(),
        seen_root: false,
        used: Vec::new(),
        out: Out::new(sink),
    };
    let without =
        element.without.map(|span| (span.start.wrapping_sub(element.apex.start), span.end.wrapping_sub(span.start)));
    walk.run(without)?;
    walk.out.flush();
    Ok(())
}

/// A namespace declaration that is in the canonical form.
struct Written<'a> {
    depth: usize,
    prefix: &'a str,
    /// Which declaration; none for a default namespace undone.
    binding: Option<usize>,
}

struct Walk<'a, 'm, S> {
    text: &'a str,
    method: &'m Method,
    limits: &'m Limits,
    exactly: bool,
    types_are_bound: bool,
    reader: Reader<'a>,
    bindings: Bindings<'a>,
    written: Vec<Written<'a>>,
    /// Names of the open elements.
    open: Vec<&'a str>,
    seen_root: bool,
    /// Prefixes to be looked at in a start tag; kept for its memory.
    used: Vec<&'a str>,
    out: Out<S>,
}

impl<'a, S: FnMut(&[u8])> Walk<'a, '_, S> {
    /// `without`: where what is left out begins, and its length.
    fn run(&mut self, without: Option<(usize, usize)>) -> Result<(), Refusal> {
        let mut left_out = without.is_none();
        loop {
            let token = self.read()?;
            match token.kind {
                TokenKind::Start(_) if without.is_some_and(|(start, _)| start == token.span.start) => {
                    let length = self.skip()? - token.span.start;
                    left_out = without == Some((token.span.start, length));
                }
                TokenKind::Start(name) => {
                    self.check_edge(self.seen_root || token.span.start == 0)?;
                    self.start(name)?;
                }
                TokenKind::End => {
                    self.end();
                    self.check_edge(self.is_inside() || token.span.end == self.text.len())?;
                }
                TokenKind::Text(raw) | TokenKind::Data(raw) if self.is_inside() => self.out.text(raw),
                TokenKind::Reference(c) if self.is_inside() => self.out.character(c),
                TokenKind::Comment if self.method.comments => self.beside_root(token),
                TokenKind::Instruction => self.beside_root(token),
                TokenKind::Eof => return if left_out { Ok(()) } else { Err(Refusal::Place) },
                _ => {}
            }
        }
    }

    fn read(&mut self) -> Result<Token<'a>, Refusal> {
        self.reader.read().map_err(|error| Refusal::of_reader(error, self.text))
    }

    /// What is called an element must begin and end as one.
    fn check_edge(&self, fits: bool) -> Result<(), Refusal> {
        if fits || !self.exactly { Ok(()) } else { Err(Refusal::Place) }
    }

    fn is_inside(&self) -> bool {
        !self.open.is_empty()
    }

    /// Goes past the element whose start tag was read last; gives where it ends.
    fn skip(&mut self) -> Result<usize, Refusal> {
        let depth = self.reader.depth();
        loop {
            let token = self.read()?;
            if self.reader.depth() < depth {
                return Ok(token.span.end);
            }
        }
    }

    /// A comment or an instruction: outside the root it stands on a line of its own.
    fn beside_root(&mut self, token: Token<'a>) {
        let raw = &self.text[token.span.range()];
        if !self.is_inside() && self.seen_root {
            self.out.put("\n");
        }
        match token.kind {
            TokenKind::Instruction => self.instruction(&raw[2..raw.len() - 2]),
            _ => self.out.markup(raw),
        }
        if !self.seen_root {
            self.out.put("\n");
        }
    }

    fn instruction(&mut self, content: &str) {
        let length = content.bytes().take_while(|byte| !is_blank(*byte)).count();
        let data = content[length..].trim_start_matches([' ', '\t', '\r', '\n']);
        self.out.put("<?");
        self.out.put(&content[..length]);
        if !data.is_empty() {
            self.out.put(" ");
            self.out.markup(data);
        }
        self.out.put("?>");
    }

    fn start(&mut self, name: &'a str) -> Result<(), Refusal> {
        self.seen_root = true;
        self.open.push(name);
        let depth = self.reader.depth();
        self.bindings.declare(self.reader.attributes(), depth, self.limits)?;
        self.bindings.element(name)?;
        self.out.put("<");
        self.out.put(name);
        self.namespaces(name, depth)?;
        if !self.reader.attributes().is_empty() {
            self.attributes()?;
        }
        self.out.put(">");
        Ok(())
    }

    fn end(&mut self) {
        let depth = self.reader.depth() + 1;
        if let Some(name) = self.open.pop() {
            self.out.put("</");
            self.out.put(name);
            self.out.put(">");
        }
        self.bindings.leave(depth);
        self.written.truncate(self.written.partition_point(|written| written.depth < depth));
    }

    /// Writes the declarations that belong to a start tag, in the order of their prefixes.
    fn namespaces(&mut self, name: &'a str, depth: usize) -> Result<(), Refusal> {
        self.gather_prefixes(name, depth);
        for at in 0..self.used.len() {
            let prefix = self.used[at];
            if prefix == "xml" {
                continue;
            }
            let binding = self.bindings.position(prefix);
            let value = binding.map_or("", |index| self.bindings.all()[index].name.as_ref());
            if value == self.written_value(prefix).unwrap_or("") {
                continue;
            }
            if is_relative(value) {
                return Err(Refusal::RelativeNamespace);
            }
            match prefix {
                "" => self.out.attribute("xmlns", value),
                prefix => {
                    self.out.put(" xmlns:");
                    self.out.put(prefix);
                    self.out.attribute_value(value);
                }
            }
            self.written.push(Written { depth, prefix, binding });
        }
        Ok(())
    }

    /// The prefixes to be declared here unless they are already: those visibly used, and of those that are treated
    /// inclusively all that are declared here, or at the apex all in scope.
    fn gather_prefixes(&mut self, name: &'a str, depth: usize) {
        self.used.clear();
        self.used.push(split(name).0);
        let visible = self.reader.attributes().iter().filter(|attribute| declared_prefix(attribute.name).is_none());
        self.used.extend(visible.map(|attribute| split(attribute.name).0).filter(|prefix| !prefix.is_empty()));
        let declared = self.bindings.all().iter().filter(|binding| depth == 1 || binding.depth == depth);
        self.used.extend(declared.map(|binding| binding.prefix).filter(|prefix| self.method.is_inclusive_for(prefix)));
        self.used.sort_unstable();
        self.used.dedup();
    }

    /// What the canonical form says that a prefix means here.
    fn written_value(&self, prefix: &str) -> Option<&str> {
        let written = self.written.iter().rev().find(|written| written.prefix == prefix)?;
        Some(written.binding.map_or("", |index| self.bindings.all()[index].name.as_ref()))
    }

    /// Writes the attributes, those without a namespace first, then by namespace name and local name.
    fn attributes(&mut self) -> Result<(), Refusal> {
        let own = self.reader.attributes().iter().filter(|attribute| declared_prefix(attribute.name).is_none());
        let keyed = own.map(|attribute| Ok((self.bindings.attribute(attribute.name)?, *attribute)));
        let mut sorted = keyed.collect::<Result<Vec<((&str, &str), Attribute<'a>)>, Refusal>>()?;
        sorted.sort_unstable_by_key(|(key, _)| *key);
        if sorted.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(Refusal::NotWellFormed("the same attribute twice, by two prefixes".to_owned()));
        }
        for ((namespace, local), attribute) in &sorted {
            let value = attribute_value(attribute.raw);
            if self.types_are_bound && (*namespace, *local) == (XSI, "type") {
                self.check_type(&value)?;
            }
            self.out.attribute(attribute.name, &value);
        }
        Ok(())
    }

    fn check_type(&self, value: &str) -> Result<(), Refusal> {
        let prefix = split(value.trim()).0;
        let meant = self.bindings.find(prefix).ok_or(Refusal::ValuePrefix)?;
        let told = prefix == "xml" || meant == self.written_value(prefix).unwrap_or("");
        if told { Ok(()) } else { Err(Refusal::ValuePrefix) }
    }
}

/// Blanks around a name are somebody's misprint (N2), and no reason to call it relative.
fn is_relative(name: &str) -> bool {
    let scheme = name.trim().split(':').next().unwrap_or_default();
    let has_scheme = scheme.len() < name.trim().len()
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    !name.is_empty() && !has_scheme
}
