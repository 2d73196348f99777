//! Signatures both ways with `xmlsec1`, which nobody here has written.
//!
//! It verifies no X.1206 message as it stands: it looks for `ds:Signature`, and its scope is the whole document (S17,
//! S18). So it is given the signed element as a document of its own, the Signature renamed; SignedInfo stays as it is.
//! It is told to take no key but the one it is given: left alone, it takes the key that comes with the Signature.

use std::fs;
use std::path::Path;
use std::process::Command;

use schemas::core::Span;
use schemas::facts::{SignatureFact, SignatureState, Validated};
use schemas::limits::Limits;
use schemas::names::{DSIG, Place};
use schemas::signature::canon::Kind;
use schemas::signature::{KeyKind, Options, PrivateKey, SignatureMethod, sign, signable, verify};
use schemas::wellformed::{Reader, TokenKind};
use tempfile::TempDir;

/// The kinds that both know; the version in Debian 12 has neither Ed25519 nor RSA-PSS.
const KINDS: [KeyKind; 3] = [KeyKind::Rsa, KeyKind::P256, KeyKind::P384];

struct Keys {
    folder: TempDir,
    keys: Vec<PrivateKey>,
}

impl Keys {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys: Vec<PrivateKey> = KINDS.iter().map(|kind| PrivateKey::generate(*kind).unwrap()).collect();
        for (number, key) in keys.iter().enumerate() {
            fs::write(folder.path().join(format!("{number}.key")), key.to_pem().unwrap()).unwrap();
            fs::write(folder.path().join(format!("{number}.pub")), key.public().to_pem()).unwrap();
        }
        Self { folder, keys }
    }

    /// Whether `xmlsec1` takes a document for signed with this key, under the name that the document gives it.
    fn verifies(&self, document: &str, number: usize, name: &str) -> bool {
        let key = format!("--pubkey-pem:{name}");
        self.xmlsec(document, &["--verify", "--enabled-key-data", "key-name", &key], &format!("{number}.pub")).is_some()
    }

    /// The same document with its template filled in.
    fn signs(&self, template: &str, number: usize) -> String {
        let output = self.folder.path().join("signed.xml");
        let arguments = ["--sign", "--output", output.to_str().unwrap(), "--privkey-pem:owner"];
        self.xmlsec(template, &arguments, &format!("{number}.key")).expect(template);
        fs::read_to_string(output).unwrap()
    }

    fn xmlsec(&self, document: &str, arguments: &[&str], key: &str) -> Option<()> {
        let path = self.folder.path().join("document.xml");
        fs::write(&path, document).unwrap();
        let key = self.folder.path().join(key);
        let output = Command::new("xmlsec1").args(arguments).arg(key).arg(path).output().expect("xmlsec1");
        output.status.success().then_some(())
    }
}

/// The valid examples without signatures.
fn examples() -> Vec<Validated> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/testdata/examples/valid");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = files.iter().map(|file| Validated::new(fs::read(file).unwrap().into(), &Limits::default()).unwrap());
    read.filter(|document| document.signatures().is_empty()).collect()
}

fn text(document: &Validated) -> &str {
    std::str::from_utf8(document.bytes()).unwrap()
}

/// An element as a document of its own: what its ancestors declare is added to its start tag.
fn extracted(document: &Validated, element: Span) -> String {
    let limits = Limits::default();
    let mut reader = Reader::new(text(document), &limits);
    let mut around: Vec<Vec<(String, String)>> = Vec::new();
    loop {
        let token = reader.read().unwrap();
        match token.kind {
            TokenKind::Start(name) if token.span.start == element.start => {
                let own: Vec<&str> = reader.attributes().iter().map(|attribute| attribute.name).collect();
                let mut declared = String::new();
                let mut seen = own.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
                for (prefix, value) in around.iter().rev().flatten() {
                    if !seen.contains(prefix) {
                        declared += &format!(" {prefix}=\"{value}\"");
                        seen.push(prefix.clone());
                    }
                }
                let at = 1 + name.len();
                let whole = &text(document)[element.range()];
                return format!("{}{declared}{}", &whole[..at], &whole[at..]);
            }
            TokenKind::Start(_) => {
                let xmlns = reader.attributes().iter().filter(|attribute| attribute.name.starts_with("xmlns"));
                around.push(xmlns.map(|at| (at.name.to_owned(), at.raw.to_owned())).collect());
            }
            TokenKind::End => drop(around.pop()),
            TokenKind::Eof => panic!("no element there"),
            _ => {}
        }
    }
}

/// A Signature by the name that other programs look for.
fn renamed(signature: &str) -> String {
    let prefix = &signature[1..2];
    signature
        .replacen(&format!("<{prefix}:Signature"), "<ds:Signature", 1)
        .replace(&format!("</{prefix}:Signature>"), "</ds:Signature>")
}

/// The signed element as a document of its own, for others to read.
fn for_others(document: &Validated, fact: &SignatureFact) -> String {
    let signature = &text(document)[fact.span.range()];
    extracted(document, fact.covers).replace(signature, &renamed(signature))
}

fn owner_of(fact: &SignatureFact) -> String {
    match &fact.state {
        SignatureState::Valid(verified) => verified.key.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn c8_3_xmlsec_verifies_what_is_signed_here() {
    let keys = Keys::new();
    let mut verified = 0;
    for (number, document) in examples().iter().enumerate() {
        for (index, scope) in signable(document).into_iter().enumerate() {
            let which = (number + index) % KINDS.len();
            let Ok(signed) = sign(document, scope, &keys.keys[which], &Options::default(), &Limits::default()) else {
                // An empty element, which cannot be signed as it stands.
                assert!(text(document)[scope.range()].ends_with("/>"));
                continue;
            };
            let [fact] = signed.signatures() else { panic!("{:?}", signed.signatures()) };
            let (name, other) = (owner_of(fact), for_others(&signed, fact));
            assert!(keys.verifies(&other, which, &name), "{other}");
            assert!(!keys.verifies(&other, (which + 1) % KINDS.len(), &name), "with another key");
            assert!(!keys.verifies(&other.replacen("</", " </", 1), which, &name), "changed");
            verified += 1;
        }
    }
    println!("xmlsec1 verified {verified}");
    assert!(verified >= 20, "{verified}");
}

/// A whole message, canonicalised inclusively: it is a document of its own already.
#[test]
fn c8_3_xmlsec_verifies_inclusive_forms_of_whole_messages() {
    let keys = Keys::new();
    for (number, document) in examples().iter().enumerate() {
        for canonicalization in [Kind::Inclusive10, Kind::Inclusive11] {
            let (which, scope) = (number % KINDS.len(), signable(document)[0]);
            let options = Options { canonicalization, ..Options::default() };
            let signed = sign(document, scope, &keys.keys[which], &options, &Limits::default()).unwrap();
            let fact = &signed.signatures()[0];
            // The name of the Signature is no part of any form, but what it declares is in that of SignedInfo.
            let signature = &text(&signed)[fact.span.range()];
            let other = text(&signed).replace(signature, &renamed(signature));
            assert!(keys.verifies(&other, which, &owner_of(fact)), "{other}");
        }
    }
}

/// The check above would prove nothing if it took the key that comes with the Signature.
#[test]
fn c8_3_xmlsec_is_not_asked_to_believe_an_inline_key() {
    let keys = Keys::new();
    let document = &examples()[1];
    let scope = signable(document)[0];
    let attacker = PrivateKey::generate(KeyKind::Rsa).unwrap();
    let signed = sign(document, scope, &attacker, &Options::default(), &Limits::default()).unwrap();
    let fact = &signed.signatures()[0];
    let owner = keys.keys[0].public().fingerprint().to_string();
    let attack = for_others(&signed, fact).replace(&owner_of(fact), &owner);
    assert!(!keys.verifies(&attack, 0, &owner));
}

fn template(method: SignatureMethod) -> String {
    format!(
        "<ds:Signature xmlns:ds=\"{DSIG}\"><ds:SignedInfo>\n\
         <ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>\
         <ds:SignatureMethod Algorithm=\"{}\"/>\n<ds:Reference URI=\"\"><ds:Transforms>\
         <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>\
         <ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue/></ds:Reference>\
         </ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:KeyName>owner</ds:KeyName></ds:KeyInfo></ds:Signature>",
        method.uri()
    )
}

/// Where the Signature of an element belongs: in its Header, if it has one, or at its end.
fn with_template(element: &str, template: &str) -> String {
    let limits = Limits::default();
    let mut reader = Reader::new(element, &limits);
    let mut depth_of_header = None;
    loop {
        let token = reader.read().unwrap();
        match token.kind {
            TokenKind::Start(name) if reader.depth() == 2 && name.ends_with("Header") => depth_of_header = Some(()),
            TokenKind::End if reader.depth() == usize::from(depth_of_header.is_some()) => {
                return format!("{}{template}{}", &element[..token.span.start], &element[token.span.start..]);
            }
            _ => {}
        }
    }
}

// S17: what other programs sign is taken as `ds:Signature` in its place.
#[test]
fn c8_3_what_xmlsec_signs_verifies_here() {
    let keys = Keys::new();
    let mut verified = 0;
    for (number, document) in examples().iter().enumerate() {
        for (index, scope) in signable(document).into_iter().enumerate() {
            let which = (number + index) % KINDS.len();
            let element = extracted(document, scope);
            if element.ends_with("/>") {
                continue;
            }
            let typed = element.contains(":type=");
            let signed = keys.signs(&with_template(&element, &template(keys.keys[which].usual_method())), which);
            let signed = signed.split_once("?>").unwrap().1.trim();
            let whole = format!("{}{signed}{}", &text(document)[..scope.start], &text(document)[scope.end..]);
            let read = Validated::new(whole.clone().into(), &Limits::default()).unwrap();
            let [fact] = read.signatures() else { panic!("{:?}", read.signatures()) };
            assert_eq!(fact.state, SignatureState::KeyUnknown("owner".to_owned()));
            assert_eq!(fact.covers, Span { start: scope.start, end: scope.start + signed.len() });
            let key = keys.keys[which].public();
            let named = |name: &str| (name == "owner").then(|| key.clone());
            match verify(&whole, fact.covers, fact.span, &named, &Limits::default()) {
                Ok(found) => assert_eq!(found.key, key.fingerprint()),
                // A type whose prefix is not in its canonical form (S18).
                Err(refusal) => assert!(typed && refusal.code() == "value-prefix", "{refusal}\n{whole}"),
            }
            verified += 1;
        }
    }
    println!("{verified} of xmlsec1 verified");
    assert!(verified >= 20, "{verified}");
    assert_eq!(Place::of(DSIG), Place::Dsig);
}
