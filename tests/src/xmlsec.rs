//! Signatures as `xmlsec1` sees them, which nobody here has written.
//!
//! It verifies no X.1206 message as it stands: it looks for `ds:Signature`, and its scope is the whole document (S17,
//! S18). So it is given the signed element as a document of its own, the Signature renamed; SignedInfo stays as it is.
//! It is told to take no key but the one it is given: left alone, it takes the key that comes with the Signature.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use schemas::core::Span;
use schemas::facts::{SignatureFact, Validated};
use schemas::limits::Limits;
use schemas::signature::{PrivateKey, PublicKey};
use schemas::wellformed::{Reader, TokenKind};
use tempfile::TempDir;

/// The program, with a folder for what it reads.
#[derive(Debug)]
pub struct Xmlsec(TempDir);

impl Xmlsec {
    /// A folder of its own.
    ///
    /// # Panics
    ///
    /// If there can be none.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Whether it takes a document for signed with this key, which the document calls so, whatever key comes along.
    pub fn verifies(&self, document: &str, key: &PublicKey, name: &str) -> bool {
        let named = format!("--pubkey-pem:{name}");
        let file = self.write("key.pem", &key.to_pem());
        self.run(&["--verify", "--enabled-key-data", "key-name", &named, &file], document)
    }

    /// Whether it takes a document for signed with whatever key comes along: what nobody should ask.
    pub fn believes(&self, document: &str) -> bool {
        self.run(&["--verify"], document)
    }

    /// The same document with its template filled in, the key called `owner`.
    ///
    /// # Panics
    ///
    /// If it is not signed.
    pub fn signs(&self, template: &str, key: &PrivateKey) -> String {
        let output = self.path("signed.xml");
        let file = self.write("key.pem", &key.to_pem().expect("PEM"));
        assert!(self.run(&["--sign", "--output", &output, "--privkey-pem:owner", &file], template), "{template}");
        let signed = fs::read_to_string(output).expect("what it has written");
        let (_, root) = signed.split_once("?>").expect("an XML declaration");
        root.trim().to_owned()
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_string_lossy().into_owned()
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(Path::new(&path), text).expect("a file in a temporary folder");
        path
    }

    fn run(&self, arguments: &[&str], document: &str) -> bool {
        let path = self.write("document.xml", document);
        Command::new("xmlsec1").args(arguments).arg(path).output().expect("xmlsec1").status.success()
    }
}

impl Default for Xmlsec {
    fn default() -> Self {
        Self::new()
    }
}

/// The text of a document.
///
/// # Panics
///
/// Never: what is validated is UTF-8.
pub fn text(document: &Validated) -> &str {
    std::str::from_utf8(document.bytes()).expect("UTF-8")
}

/// An element as a document of its own: what its ancestors declare and it uses is added to its start tag.
///
/// # Panics
///
/// If there is no such element.
pub fn extracted(document: &str, element: Span) -> String {
    let limits = Limits::default();
    let mut reader = Reader::new(document, &limits);
    let mut around: Vec<BTreeMap<&str, &str>> = Vec::new();
    loop {
        let token = reader.read().expect("a well-formed document");
        match token.kind {
            TokenKind::Start(name) if token.span.start == element.start => {
                let whole = &document[element.range()];
                let used = used(whole);
                let own: Vec<&str> = reader.attributes().iter().map(|attribute| attribute.name).collect();
                let mut missing = BTreeMap::new();
                around.iter().for_each(|outer| missing.extend(outer.iter().map(|(name, value)| (*name, *value))));
                missing.retain(|name, _| used.contains(*name) && !own.contains(name));
                let missing: String = missing.iter().map(|(name, value)| format!(" {name}=\"{value}\"")).collect();
                let at = 1 + name.len();
                return format!("{}{missing}{}", &whole[..at], &whole[at..]);
            }
            TokenKind::Start(_) => {
                let declared = reader.attributes().iter().filter(|attribute| attribute.name.starts_with("xmlns"));
                around.push(declared.map(|attribute| (attribute.name, attribute.raw)).collect());
            }
            TokenKind::End => drop(around.pop()),
            TokenKind::Eof => panic!("no element there"),
            _ => {}
        }
    }
}

/// The names of the declarations that an element uses without having them: for prefixes of names, and of what may be
/// a type.
fn used(element: &str) -> BTreeSet<String> {
    let limits = Limits::default();
    let mut reader = Reader::new(element, &limits);
    let (mut used, mut declared) = (BTreeSet::new(), Vec::<Vec<&str>>::new());
    loop {
        match reader.read().expect("a well-formed element").kind {
            TokenKind::Start(name) => {
                let attributes = reader.attributes();
                let own = attributes.iter().map(|at| at.name).filter(|name| name.starts_with("xmlns"));
                declared.push(own.collect());
                let prefixed = attributes.iter().map(|at| at.name).filter(|name| name.contains(':'));
                let types = attributes.iter().filter(|at| at.name.ends_with(":type")).map(|at| at.raw);
                let needed = std::iter::once(name).chain(prefixed).chain(types).map(declaration);
                used.extend(needed.filter(|name| !declared.iter().flatten().any(|own| own == name)));
            }
            TokenKind::End => {
                declared.pop();
                if declared.is_empty() {
                    return used;
                }
            }
            TokenKind::Eof => panic!("an element that does not end"),
            _ => {}
        }
    }
}

/// What declares the prefix of a name.
fn declaration(name: &str) -> String {
    match name.split_once(':') {
        Some((prefix, _)) => format!("xmlns:{prefix}"),
        None => "xmlns".to_owned(),
    }
}

/// A Signature by the name that other programs look for. It declares what it uses.
fn renamed(signature: &str) -> String {
    let name = signature[1..].split([' ', '>']).next().unwrap_or_default();
    let opened = signature.replacen(&format!("<{name}"), "<ds:Signature", 1);
    opened.replace(&format!("</{name}>"), "</ds:Signature>")
}

/// The element that a Signature covers as a document of its own, for others to read.
pub fn for_others(document: &Validated, fact: &SignatureFact) -> String {
    let signature = &text(document)[fact.span.range()];
    extracted(text(document), fact.covers).replace(signature, &renamed(signature))
}

/// Where the Signature of an element belongs: in its Header, if it has one, or at its end.
///
/// # Panics
///
/// If it is no element.
pub fn with_template(element: &str, template: &str) -> String {
    let limits = Limits::default();
    let mut reader = Reader::new(element, &limits);
    let mut has_header = false;
    loop {
        let token = reader.read().expect("a well-formed element");
        match token.kind {
            TokenKind::Start(name) if reader.depth() == 2 && name.ends_with("Header") => has_header = true,
            TokenKind::End if reader.depth() == usize::from(has_header) => {
                return format!("{}{template}{}", &element[..token.span.start], &element[token.span.start..]);
            }
            _ => {}
        }
    }
}
