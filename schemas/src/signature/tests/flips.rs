//! Every byte of three signed documents changed in turn.

use super::documents::{PREFIXED, scopes, signed, text, validated};
use crate::core::Span;
use crate::facts::{SignatureFact, Validated};
use crate::limits::Limits;
use crate::names::Spelling;
use crate::signature::KeyKind;
use crate::signature::canon::{self, Element, Kind, Method};
use crate::signature::places::Places;

/// What a signature covers, in canonical form.
fn form(document: &Validated, fact: &SignatureFact) -> Vec<u8> {
    let (text, limits) = (text(document), Limits::default());
    let method = Method::new(Kind::Exclusive).with_prefixes("v");
    let mut places = Places::new(text, &limits);
    let place = places.go_to(fact.span, fact.covers).unwrap();
    let context = place.around_scope(&method);
    let element =
        Element { text, apex: fact.covers, context: &context, without: Some(fact.span), types_are_bound: false };
    let mut form = Vec::new();
    canon::element(&element, &method, &limits, |piece| form.extend_from_slice(piece)).unwrap();
    form
}

/// What the changes came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    /// The document is refused.
    refused: usize,
    /// A signature is, and nothing of it is reported as covered.
    unsigned: usize,
    /// The byte is covered, and the canonical form is what it was.
    unchanged: usize,
    /// The byte is not covered by what is still valid.
    outside: usize,
}

fn flip(document: &Validated, at: usize, mask: u8, counts: &mut Counts) {
    let mut bytes = document.bytes().to_vec();
    bytes[at] ^= mask;
    let Ok(changed) = Validated::new(bytes.into(), &Limits::default()) else {
        counts.refused += 1;
        return;
    };
    let here = Span { start: at, end: at + 1 };
    let signers: Vec<_> = document.signatures().iter().map(|fact| fact.verified().unwrap().key).collect();
    for fact in changed.signatures() {
        let Some(verified) = fact.verified() else {
            counts.unsigned += 1;
            assert!(!fact.signs(here));
            continue;
        };
        let original = document.signatures().iter().find(|before| before.span.start == fact.span.start).unwrap();
        assert!(signers.contains(&verified.key), "byte {at}");
        assert!(form(&changed, fact) == form(document, original), "byte {at}, {mask:#x}");
        if fact.signs(here) { counts.unchanged += 1 } else { counts.outside += 1 }
    }
}

/// `bytes`: what `docs/signatures.md` says.
fn check(document: &Validated, bytes: usize) -> Counts {
    assert_eq!(document.bytes().len(), bytes);
    assert!(document.signatures().iter().all(|fact| fact.verified().is_some()));
    let mut counts = Counts::default();
    for at in 0..document.bytes().len() {
        for mask in [0x01, 0x20, 0x80] {
            flip(document, at, mask, &mut counts);
        }
    }
    println!("{} bytes, {} signatures: {counts:?}", document.bytes().len(), document.signatures().len());
    assert!(counts.refused > 0 && counts.unsigned > 0 && counts.outside > 0);
    counts
}

#[test]
fn c8_3_no_byte_of_a_signed_message_changes_unseen() {
    let document = validated(PREFIXED.message(Spelling::Double));
    let document = signed(&document, scopes(&document)[1], KeyKind::P256);
    let counts = check(&signed(&document, scopes(&document)[0], KeyKind::Ed25519), 3595);
    assert!(counts.unchanged > 0, "blanks in tags and comments are in no canonical form");
}

#[test]
fn c8_3_no_byte_of_a_signed_reply_changes_unseen() {
    let document = validated(PREFIXED.reply(Spelling::Single));
    check(&signed(&document, scopes(&document)[1], KeyKind::Rsa), 2318);
}

#[test]
fn c8_3_no_byte_of_a_signed_part_in_a_bundle_changes_unseen() {
    let document = validated(PREFIXED.nested(Spelling::Double));
    let container = scopes(&document)[5];
    check(&signed(&document, container, KeyKind::P384), 2690);
}
