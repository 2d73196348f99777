//! Tokens of a well-formed document, with their byte spans.

use quick_xml::events::Event;

use super::attributes::{self, Attribute};
use super::characters::{first_illegal, is_blank, is_blank_text, is_name};
use super::{Declaration, Fault, references};
use crate::core::Span;
use crate::error::Error;
use crate::limits::Limits;

/// A token and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: TokenKind<'a>,
    /// From its first byte to one past its last.
    pub span: Span,
}

/// The tokens of XML without a document type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind<'a> {
    /// `<?xml …?>`.
    Declaration,
    /// A start tag, or an empty-element tag, with its qualified name. Its attributes are at [`Reader::attributes`].
    Start(&'a str),
    /// An end tag. After an empty-element tag it is there as well, with an empty span.
    End,
    /// Character data as it stands: line ends are not normalised.
    Text(&'a str),
    /// The content of a CDATA section as it stands.
    Data(&'a str),
    /// The character that a reference stands for.
    Reference(char),
    /// A comment.
    Comment,
    /// A processing instruction.
    Instruction,
    /// The end of a document that was well-formed throughout.
    Eof,
}

/// Pulls the tokens of one document. After an error nothing more may be read.
pub struct Reader<'a> {
    text: &'a str,
    limits: Limits,
    tokens: quick_xml::Reader<&'a [u8]>,
    attributes: Vec<Attribute<'a>>,
    stage: Stage,
    depth: usize,
    elements: usize,
    steps: usize,
    /// The last token was an empty-element tag, whose end is still owed.
    owes_end: bool,
}

/// Before, in and after the root.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Prolog,
    Root,
    Epilog,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of a document in UTF-8 without a byte order mark.
    pub fn new(text: &'a str, limits: &Limits) -> Self {
        Self {
            text,
            limits: limits.clone(),
            tokens: quick_xml::Reader::from_str(text),
            attributes: Vec::new(),
            stage: Stage::Prolog,
            depth: 0,
            elements: 0,
            steps: 0,
            owes_end: false,
        }
    }

    /// The next token.
    ///
    /// # Errors
    /// The first place where the document is not well-formed, has a DOCTYPE or another entity than the five, or goes
    /// over a limit.
    pub fn read(&mut self) -> Result<Token<'a>, Error> {
        let text = self.text;
        self.next().map_err(|fault| fault.locate(text))
    }

    /// The attributes of the start tag read last.
    pub fn attributes(&self) -> &[Attribute<'a>] {
        &self.attributes
    }

    /// Elements that are open; a start tag counts its own, an end tag no longer.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Tokens and attributes looked at so far; bounded by [`Limits::steps`].
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The document.
    pub fn text(&self) -> &'a str {
        self.text
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn next(&mut self) -> Result<Token<'a>, Fault> {
        self.steps += 1;
        let start = self.position();
        if std::mem::take(&mut self.owes_end) {
            self.close();
            return Ok(Token { kind: TokenKind::End, span: Span { start, end: start } });
        }
        self.refuse_declarations(start)?;
        let event = self.tokens.read_event();
        let span = Span { start, end: self.position() };
        let raw = &self.text[span.range()];
        if let Some(at) = first_illegal(raw.as_bytes()) {
            return Err(Fault::syntax(start + at, "a character that XML does not allow"));
        }
        let event = event.map_err(|error| Fault::syntax(start, clip(error.to_string())))?;
        let kind = self.token(&event, raw, start)?;
        Ok(Token { kind, span })
    }

    fn position(&self) -> usize {
        // The position is within a slice, so it fits.
        self.tokens.buffer_position() as usize
    }

    /// Looks before the tokeniser does, which would read a whole DOCTYPE, however long, before it says so.
    fn refuse_declarations(&self, at: usize) -> Result<(), Fault> {
        let rest = &self.text[at..];
        if at == 0 && rest.starts_with('\u{feff}') {
            return Err(Fault::syntax(at, "a byte order mark; it belongs to the encoding"));
        }
        if !rest.starts_with("<!") || rest.starts_with("<!--") || rest.starts_with("<![CDATA[") {
            return Ok(());
        }
        let what =
            if rest.starts_with("<!DOCTYPE") { "DOCTYPE is never accepted" } else { "unknown markup after '<!'" };
        Err(Fault::syntax(at, what))
    }

    fn token(&mut self, event: &Event<'a>, raw: &'a str, start: usize) -> Result<TokenKind<'a>, Fault> {
        match event {
            Event::Start(tag) => self.start(&raw[1..raw.len() - 1], tag.name().0.len(), start),
            Event::Empty(tag) => {
                let kind = self.start(&raw[1..raw.len() - 2], tag.name().0.len(), start)?;
                self.owes_end = true;
                Ok(kind)
            }
            Event::End(_) => {
                self.close();
                Ok(TokenKind::End)
            }
            Event::Text(_) => self.character_data(raw, start),
            Event::CData(_) => {
                self.only_inside(start)?;
                Ok(TokenKind::Data(&raw["<![CDATA[".len()..raw.len() - "]]>".len()]))
            }
            Event::GeneralRef(_) => {
                self.only_inside(start)?;
                let name = &raw[1..raw.len() - 1];
                let unknown = || Fault::syntax(start, format!("unknown reference {}", clip(raw.to_owned())));
                references::resolve(name).map(TokenKind::Reference).ok_or_else(unknown)
            }
            Event::Comment(_) => comment(raw, start),
            Event::PI(_) => instruction(raw, start, &self.limits),
            Event::Decl(_) => declaration(raw, start),
            Event::DocType(_) => Err(Fault::syntax(start, "DOCTYPE is never accepted")),
            Event::Eof if self.stage == Stage::Epilog => Ok(TokenKind::Eof),
            Event::Eof if self.stage == Stage::Root => Err(Fault::syntax(start, "the document ends inside an element")),
            Event::Eof => Err(Fault::syntax(start, "no element at all")),
        }
    }

    fn start(&mut self, tag: &'a str, name_length: usize, start: usize) -> Result<TokenKind<'a>, Fault> {
        let limits = &self.limits;
        if self.stage == Stage::Epilog {
            return Err(Fault::syntax(start, "a second root element"));
        }
        if self.depth == limits.depth {
            return Err(Fault::limit(start, "depth", limits.depth));
        }
        if self.elements == limits.elements {
            return Err(Fault::limit(start, "elements", limits.elements));
        }
        if name_length > limits.name_bytes {
            return Err(Fault::limit(start, "name_bytes", limits.name_bytes));
        }
        let (name, rest) = tag.split_at(name_length);
        if !is_name(name) {
            return Err(Fault::syntax(start, "an element's name is no name"));
        }
        attributes::parse(rest, start + 1 + name_length, limits, &mut self.attributes)?;
        self.steps += self.attributes.len();
        self.elements += 1;
        self.depth += 1;
        self.stage = Stage::Root;
        Ok(TokenKind::Start(name))
    }

    fn close(&mut self) {
        // The tokeniser refuses an end tag without its start tag.
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.stage = Stage::Epilog;
        }
    }

    fn character_data(&self, raw: &'a str, start: usize) -> Result<TokenKind<'a>, Fault> {
        if self.stage != Stage::Root && !is_blank_text(raw) {
            return Err(Fault::syntax(start, "text outside the root element"));
        }
        match memchr::memmem::find(raw.as_bytes(), b"]]>") {
            Some(at) => Err(Fault::syntax(start + at, "']]>' in text")),
            None => Ok(TokenKind::Text(raw)),
        }
    }

    fn only_inside(&self, start: usize) -> Result<(), Fault> {
        if self.stage == Stage::Root {
            return Ok(());
        }
        Err(Fault::syntax(start, "text outside the root element"))
    }
}

fn comment<'a>(raw: &str, start: usize) -> Result<TokenKind<'a>, Fault> {
    let content = &raw["<!--".len()..raw.len() - "-->".len()];
    if memchr::memmem::find(content.as_bytes(), b"--").is_some() || content.ends_with('-') {
        return Err(Fault::syntax(start, "'--' in a comment"));
    }
    Ok(TokenKind::Comment)
}

fn instruction<'a>(raw: &str, start: usize, limits: &Limits) -> Result<TokenKind<'a>, Fault> {
    let content = &raw["<?".len()..raw.len() - "?>".len()];
    let length = content.bytes().take_while(|byte| !is_blank(*byte)).count();
    let target = &content[..length];
    if length > limits.name_bytes {
        return Err(Fault::limit(start, "name_bytes", limits.name_bytes));
    }
    if !is_name(target) || target.eq_ignore_ascii_case("xml") {
        return Err(Fault::syntax(start, "a processing instruction without a legal target"));
    }
    Ok(TokenKind::Instruction)
}

fn declaration<'a>(raw: &str, start: usize) -> Result<TokenKind<'a>, Fault> {
    if start != 0 {
        return Err(Fault::syntax(start, "an XML declaration after the beginning"));
    }
    match Declaration::parse(raw) {
        Some(declaration) if declaration.end == raw.len() => Ok(TokenKind::Declaration),
        _ => Err(Fault::syntax(start, "an XML declaration that breaks its grammar")),
    }
}

/// Keeps a message short whatever was in the document.
fn clip(message: String) -> String {
    const CHARS_MAX: usize = 120;
    if message.len() <= CHARS_MAX { message } else { message.chars().take(CHARS_MAX).chain(['…']).collect() }
}
