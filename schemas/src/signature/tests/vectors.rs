//! Other people's signatures: what of them the primitives here verify, and why the profile takes none of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use aws_lc_rs::digest::digest;

use super::canonical::canonical_element;
use crate::conformance::data::{files, large};
use crate::core::Span;
use crate::limits::Limits;
use crate::signature::algorithm::{DigestMethod, SignatureMethod};
use crate::signature::canon::{self, Element, Kind, Method};
use crate::signature::namespaces::{Binding, Bindings};
use crate::signature::refusal::Refusal;
use crate::signature::tree::{Node, Space};
use crate::signature::{KeyKind, PublicKey, key_info, profile, verify};
use crate::text;
use crate::wellformed::{Reader, TokenKind, split};

/// The first Signature of a document, with what is declared around it.
struct Found<'a> {
    text: &'a str,
    span: Span,
    context: Vec<Binding<'a>>,
    limits: Limits,
}

impl<'a> Found<'a> {
    fn read(text: &'a str) -> Result<Self, Refusal> {
        let limits = Limits::default();
        let mut reader = Reader::new(text, &limits);
        let mut bindings = Bindings::default();
        let mut found = None;
        loop {
            let token = reader.read().map_err(|error| Refusal::of_reader(error, text))?;
            match (token.kind, &found) {
                (TokenKind::Start(name), None) if split(name).1 == "Signature" => {
                    found = Some((token.span.start, reader.depth(), bindings.all().to_vec()));
                }
                (TokenKind::Start(_), None) => bindings.declare(reader.attributes(), reader.depth(), &limits)?,
                (TokenKind::End, Some((start, depth, context))) if reader.depth() < *depth => {
                    let span = Span { start: *start, end: token.span.end };
                    return Ok(Self { text, span, context: context.clone(), limits });
                }
                (TokenKind::End, None) => bindings.leave(reader.depth() + 1),
                (TokenKind::Eof, _) => return Err(Refusal::Place),
                _ => {}
            }
        }
    }

    fn node(&self) -> Result<Node<'a>, Refusal> {
        Node::read(self.text, self.span, &self.context, &self.limits)
    }

    fn profile(&self) -> Result<(), Refusal> {
        profile::read(&self.node()?).map(drop)
    }

    /// Whether the value is that of the key that comes with it.
    fn value(&self) -> Result<(), Refusal> {
        let signature = self.node()?;
        SignatureMethod::of_uri(child(child(&signature, "SignedInfo")?, "SignatureMethod")?.attribute("Algorithm")?)?;
        match key_info::read(child(&signature, "KeyInfo")?)? {
            key_info::KeyHint::Inline { key, .. } => self.value_of(&key),
            key_info::KeyHint::Name(name) => Err(Refusal::KeyUnknown(name)),
        }
    }

    /// Whether the value is that of this key.
    fn value_of(&self, key: &PublicKey) -> Result<(), Refusal> {
        let signature = self.node()?;
        let info = child(&signature, "SignedInfo")?;
        let canonicalization = child(info, "CanonicalizationMethod")?.canonicalization()?.unwrap();
        let method = SignatureMethod::of_uri(child(info, "SignatureMethod")?.attribute("Algorithm")?)?;
        let value = child(&signature, "SignatureValue")?.bytes("SignatureValue")?;
        let mut bindings = Bindings::inherited(&self.context);
        let own = &self.text[self.span.start..];
        let mut reader = Reader::new(own, &self.limits);
        reader.read().unwrap();
        bindings.declare(reader.attributes(), 1, &self.limits)?;
        let mut form = Vec::new();
        let element = Element {
            text: self.text,
            apex: info.span,
            context: bindings.all(),
            without: None,
            types_are_bound: false,
        };
        canon::element(&element, &canonicalization, &self.limits, |piece| form.extend_from_slice(piece))?;
        method.verify(key, &form, &value)
    }

    /// Whether the digest of the one reference is that of the element with this identifier.
    fn digest(&self) -> Result<(), Refusal> {
        let signature = self.node()?;
        let reference = child(child(&signature, "SignedInfo")?, "Reference")?;
        let method = DigestMethod::of_uri(child(reference, "DigestMethod")?.algorithm()?)?;
        let id = reference.any_attribute("URI").and_then(|uri| uri.strip_prefix('#'));
        let id = id.ok_or(Refusal::ReferenceUri(String::new()))?;
        if child(reference, "Transforms").is_ok() {
            return Err(Refusal::Transform(String::new()));
        }
        let form = canonical_element(self.text, id, &Method::new(Kind::Inclusive10));
        let value = child(reference, "DigestValue")?.bytes("DigestValue")?;
        let equal = digest(method.algorithm(), &form).as_ref() == value;
        if equal { Ok(()) } else { Err(Refusal::DigestMismatch) }
    }
}

fn child<'n, 'a>(node: &'n Node<'a>, name: &'static str) -> Result<&'n Node<'a>, Refusal> {
    node.children()?.iter().find(|child| child.is(Space::Dsig, name)).ok_or(Refusal::Structure(name))
}

fn code(result: Result<(), Refusal>) -> &'static str {
    result.map_or_else(|refusal| refusal.code(), |()| "good")
}

/// What the profile, the value and the digest come to.
fn judge(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    match Found::read(&text) {
        Ok(found) => [found.profile(), found.value(), found.digest()].map(code).join(" "),
        Err(refusal) => [refusal.code(); 3].join(" "),
    }
}

/// Judges every document of a folder and compares with the table; gives how often each judgement came.
fn check(folder: &str, judge: fn(&Path) -> String, table: &str) -> Option<BTreeMap<String, usize>> {
    let folder = large(folder, "other people's signatures")?;
    let (mut judged, mut counts) = (String::new(), BTreeMap::<String, usize>::new());
    for path in files(&folder, ".xml") {
        let judgement = judge(&path);
        writeln!(judged, "{} {judgement}", path.strip_prefix(&folder).unwrap().display()).unwrap();
        *counts.entry(judgement).or_default() += 1;
    }
    println!("{counts:#?}");
    assert_eq!(judged, table);
    Some(counts)
}

// Of each: what the profile says, whether its value is that of its key, whether its digest is that of its object.
#[test]
fn c8_3_other_peoples_signatures_are_judged_as_listed() {
    let Some(counts) = check("xml/xmldsig", judge, include_str!("vectors.txt")) else { return };
    assert_eq!(counts.values().sum::<usize>(), 63);
    assert_eq!(counts["reference-uri good good"], 7, "all on the curves and with the digests that are accepted");
    assert!(counts.keys().all(|judged| !judged.starts_with("good")));
}

/// The whole document as the scope of its first Signature, as if it were a message.
fn judge_in_place(path: &Path) -> String {
    let bytes = text::to_utf8(std::fs::read(path).unwrap().into(), &Limits::default()).unwrap();
    let text = std::str::from_utf8(&bytes).unwrap();
    let found = match Found::read(text) {
        Ok(found) => found,
        Err(refusal) => return refusal.code().to_owned(),
    };
    let verified = verify(text, root(text), found.span, &|_| None, &found.limits).map(drop);
    [verified, found.value()].map(code).join(" ")
}

fn root(text: &str) -> Span {
    let limits = Limits::default();
    let mut reader = Reader::new(text, &limits);
    let mut span = Span::default();
    loop {
        let token = reader.read().unwrap();
        match token.kind {
            TokenKind::Start(_) if reader.depth() == 1 => span.start = token.span.start,
            TokenKind::End if reader.depth() == 0 => return Span { end: token.span.end, ..span },
            _ => {}
        }
    }
}

/// Signatures that leave their key to be known: the value is that of the certificate beside them.
#[test]
fn c8_3_rsa_values_of_2048_bits_are_those_of_the_certificates_beside_them() {
    let Some(folder) = large("xml/attacks/xml-crypto", "other people's signatures") else { return };
    let read = |name: &str| {
        let bytes = text::to_utf8(std::fs::read(folder.join(name)).unwrap().into(), &Limits::default()).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    };
    // Somebody has laid out the receipt for reading after it was signed.
    let receipt: String = read("windows_store_signature.xml").lines().map(str::trim).collect();
    let metadata = read("wsfederation_metadata.xml");
    let other = PublicKey::from_pem(&read("idp_certificate.pem")).unwrap();
    for (document, certificate) in [(receipt, "windows_store_certificate.pem"), (metadata, "wsfederation_metadata.pem")]
    {
        let found = Found::read(&document).unwrap();
        let key = PublicKey::from_pem(&read(certificate)).unwrap();
        assert_eq!((key.kind(), found.value_of(&key)), (KeyKind::Rsa, Ok(())), "{certificate}");
        assert_eq!(found.value_of(&other), Err(Refusal::SignatureMismatch), "{certificate}");
    }
}

#[test]
fn c8_3_documents_made_to_deceive_are_judged_as_listed() {
    let Some(counts) = check("xml/attacks", judge_in_place, include_str!("attacks.txt")) else { return };
    assert_eq!(counts.values().sum::<usize>(), 48);
    assert_eq!(counts["good good"], 1, "the one that keeps to the profile, with RSA-PSS");
}

/// A Signature with this one Reference, otherwise as the profile says.
fn with_reference(reference: &str) -> String {
    format!(
        "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><SignedInfo>\
         <CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>\
         <SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256\"/>\
         {reference}</SignedInfo></Signature>"
    )
}

// Each of his selections is an XPath, and refused as one.
#[test]
fn c8_3_merlins_node_sets_are_refused_one_by_one() {
    let Some(folder) = large("xml/xmldsig/merlin-c14n-three", "Merlin's canonical forms") else { return };
    let text = std::fs::read_to_string(folder.join("signature.xml")).unwrap();
    let references = text.split("</Reference>").filter_map(|piece| piece.find("<Reference ").map(|at| &piece[at..]));
    let codes: Vec<&str> = references
        .map(|reference| {
            let text = with_reference(&format!("{reference}</Reference>"));
            code(Found::read(&text).unwrap().profile())
        })
        .collect();
    println!("{} node sets refused", codes.len());
    assert_eq!(codes, ["transform"; 27]);
}
