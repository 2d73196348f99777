//! What is signed verifies: at every place, with every key, in every spelling, and wherever it is put.

use bytes::Bytes;

use super::documents::{KINDS, PREFIXED, STYLES, key, scopes, signed, signed_everywhere, text, validated};
use crate::core::{MessageCore, Part, Payload, Root, Span};
use crate::facts::{SignatureState, Validated};
use crate::limits::Limits;
use crate::names::Spelling;
use crate::part;
use crate::signature::canon::Kind;
use crate::signature::{
    DigestMethod, KeyKind, Options, PrivateKey, PublicKey, Refusal, SignError, SignatureMethod, der, sign, verify,
};
use crate::write::{self, HeaderFields};

const SPELLINGS: [Spelling; 2] = [Spelling::Double, Spelling::Single];

/// The one signature of a document is valid, the key's, and covers all of its scope but itself; what was there before
/// is there unchanged.
fn check(before: &Validated, scope: Span, after: &Validated, key: &PublicKey) {
    let [fact] = after.signatures() else { panic!("{:?}", after.signatures()) };
    let verified = fact.verified().unwrap_or_else(|| panic!("{:?}\n{}", fact.state, text(after)));
    assert_eq!(verified.key, key.fingerprint());
    let length = fact.span.end - fact.span.start;
    assert_eq!(fact.covers, Span { start: scope.start, end: scope.end + length });
    let [head, tail] = verified.covered;
    assert_eq!(
        (head.start, head.end, tail.start, tail.end),
        (scope.start, fact.span.start, fact.span.end, fact.covers.end)
    );
    assert_eq!(format!("{}{}", &text(after)[..fact.span.start], &text(after)[fact.span.end..]), text(before));
}

// R-8.3-2, R-8.3-3, S17, S18
#[test]
fn c8_3_what_is_signed_verifies_at_every_place_in_every_spelling() {
    let mut signatures = 0;
    for spelling in SPELLINGS {
        for style in &STYLES {
            for document in [validated(style.message(spelling)), validated(style.reply(spelling))] {
                for (index, scope) in scopes(&document).into_iter().enumerate() {
                    let kind = KINDS[index % 4];
                    check(&document, scope, &signed(&document, scope, kind), key(kind).public());
                    signatures += 1;
                }
            }
        }
    }
    // Message_Core, Message, and three levels of Version_Info with theirs; reply, data, and its Info.
    assert_eq!(signatures, 2 * 4 * (12 + 5));
}

#[test]
fn c8_3_every_method_and_every_form_verifies() {
    use DigestMethod::{Sha256, Sha384, Sha512};
    let document = validated(PREFIXED.message(Spelling::Double));
    let rsa =
        [Sha256, Sha384, Sha512].map(|digest| [SignatureMethod::RsaPkcs1(digest), SignatureMethod::RsaPss(digest)]);
    let rsa = rsa.into_iter().flatten().map(|method| (KeyKind::Rsa, method));
    let others = KINDS[1..].iter().map(|kind| (*kind, key(*kind).usual_method()));
    for (kind, method) in rsa.chain(others) {
        for digest in [Sha256, Sha384, Sha512] {
            for canonicalization in [Kind::Exclusive, Kind::Inclusive10, Kind::Inclusive11] {
                let options = Options { canonicalization, digest, method: Some(method), ..Options::default() };
                for scope in [scopes(&document)[0], scopes(&document)[1], scopes(&document)[4]] {
                    let after = sign(&document, scope, key(kind), &options, &Limits::default()).unwrap();
                    check(&document, scope, &after, key(kind).public());
                    assert!(text(&after).contains(method.uri()) && text(&after).contains(digest.uri()));
                }
            }
        }
    }
}

#[test]
fn c8_3_signatures_inside_each_other_all_verify() {
    for style in &STYLES {
        for before in [style.message(Spelling::Double), style.reply(Spelling::Single)] {
            let document = signed_everywhere(&validated(before));
            let valid = document.signatures().iter().filter(|fact| fact.verified().is_some()).count();
            assert_eq!((valid, document.signatures().len()), (scopes(&document).len(), scopes(&document).len()));
        }
    }
}

fn states(document: &Validated) -> Vec<SignatureState> {
    document.signatures().iter().map(|fact| fact.state.clone()).collect()
}

/// The keys of all signatures, each of which must be valid.
fn keys(document: &Validated) -> Vec<String> {
    let key = |state: SignatureState| match state {
        SignatureState::Valid(verified) => verified.key.to_string(),
        other => panic!("{other:?}\n{}", text(document)),
    };
    states(document).into_iter().map(key).collect()
}

fn root(document: &Validated) -> &MessageCore {
    match &document.document().root {
        Root::Message(core) => core,
        Root::Reply(_) => panic!("a reply"),
    }
}

/// The first part of a bundle as a document of its own.
fn taken_out(document: &Validated) -> Bytes {
    match &root(document).payload {
        Payload::Bundle(parts) => match &parts[0] {
            Part::Good(core) => part::self_contained(document, core),
            Part::Bad(bad) => panic!("{}", bad.error),
        },
        Payload::Messages(_) => part::self_contained(document, root(document)),
    }
}

fn enveloped(spelling: Spelling, part: &Bytes) -> Validated {
    let envelope = write::envelope(spelling, write::Kind::Message, &HeaderFields::default());
    let parts = [envelope.head, part.clone(), part.clone(), envelope.tail];
    validated(String::from_utf8(parts.concat()).unwrap())
}

// R-9.3-12: four envelopes of two spellings, taken out of each again.
#[test]
fn c8_3_a_signed_part_verifies_in_every_envelope_and_out_of_it() {
    for style in &STYLES {
        let document = signed_everywhere(&validated(style.message(Spelling::Single)));
        let (mut part, expected) = (taken_out(&document), keys(&document));
        assert_eq!(part, document.slice(root(&document).span));
        for tier in 0..4 {
            let envelope = enveloped(SPELLINGS[tier % 2], &part);
            assert_eq!(keys(&envelope), [expected.clone(), expected.clone()].concat());
            assert_eq!(taken_out(&envelope), part, "not one byte is changed");
            part = taken_out(&enveloped(SPELLINGS[tier % 2], &envelope.slice(root(&envelope).span)));
            let inner = validated(String::from_utf8(part.to_vec()).unwrap());
            part = taken_out(&inner);
        }
    }
}

/// Signed where the envelope declares the names: taken out, the part declares them itself.
#[test]
fn c8_3_a_part_signed_inside_its_envelope_verifies_out_of_it() {
    for style in &STYLES {
        let document = validated(style.nested(Spelling::Double));
        for canonicalization in [Kind::Exclusive, Kind::Inclusive10] {
            for scope in &scopes(&document)[1..] {
                let options = Options { canonicalization, ..Options::default() };
                let after = sign(&document, *scope, key(KeyKind::P256), &options, &Limits::default()).unwrap();
                let part = validated(String::from_utf8(taken_out(&after).to_vec()).unwrap());
                assert_eq!(keys(&part), keys(&after), "{}", text(&part));
                assert_eq!(keys(&enveloped(Spelling::Single, &taken_out(&after))).len(), 2);
            }
        }
    }
}

// R-9.6.1-1: the same facts from UTF-16.
#[test]
fn c8_3_a_signed_document_verifies_out_of_utf16() {
    let document = signed_everywhere(&validated(PREFIXED.message(Spelling::Double)));
    let utf16: Vec<u8> = format!("\u{feff}{}", text(&document)).encode_utf16().flat_map(u16::to_be_bytes).collect();
    let read = Validated::new(utf16.into(), &Limits::default()).unwrap();
    assert_eq!(read.signatures(), document.signatures());
}

/// Where the Signature is called `ds:Signature` (S17).
#[test]
fn c8_3_a_signature_in_the_namespace_of_xml_signature_verifies_in_place() {
    let document = validated(PREFIXED.message(Spelling::Double));
    for scope in scopes(&document) {
        let after = signed(&document, scope, KeyKind::P256);
        let renamed = ["m", "v"].iter().fold(text(&after).to_owned(), |text, prefix| {
            text.replace(&format!("<{prefix}:Signature"), "<ds:Signature")
                .replace(&format!("</{prefix}:Signature"), "</ds:Signature")
        });
        assert_eq!(keys(&validated(renamed)), keys(&after));
    }
}

/// A certificate of a key, as far as anybody here reads it.
fn certificate(key: &PublicKey) -> Vec<u8> {
    let sequence = |contents: &[&[u8]]| der::element(der::SEQUENCE, contents);
    let (empty, number) = (sequence(&[]), der::unsigned(&[1]));
    let version = der::element(0xa0, &[&der::unsigned(&[2])]);
    let body = sequence(&[&version, &number, &empty, &empty, &empty, &empty, key.spki()]);
    sequence(&[&body, &empty, &der::element(der::BIT_STRING, &[&[0]])])
}

#[test]
fn c8_3_certificates_go_along_as_they_are() {
    let document = validated(PREFIXED.message(Spelling::Double));
    let public = key(KeyKind::P384).public();
    let chain = [certificate(public), certificate(key(KeyKind::Rsa).public())];
    let options = Options { certificates: &chain, ..Options::default() };
    let after = sign(&document, scopes(&document)[1], key(KeyKind::P384), &options, &Limits::default()).unwrap();
    check(&document, scopes(&document)[1], &after, public);
    let carried: Vec<Vec<u8>> =
        after.signatures()[0].verified().unwrap().certificates.iter().map(|bytes| bytes.to_vec()).collect();
    assert_eq!(carried, chain);
    let other = sign(&document, scopes(&document)[1], key(KeyKind::P256), &options, &Limits::default());
    assert_eq!(other.unwrap_err(), SignError::Certificate);
}

/// A Signature that names its key only proves something to who knows the key.
#[test]
fn c8_3_a_key_that_is_only_named_is_asked_for() {
    let document = validated(PREFIXED.message(Spelling::Double));
    let after = signed(&document, scopes(&document)[0], KeyKind::P256);
    let (head, rest) = text(&after).split_once("<ds:KeyValue>").unwrap();
    let named = format!("{head}{}", rest.split_once("</ds:KeyValue>").unwrap().1);
    let read = validated(named.as_str());
    let [fact] = read.signatures() else { panic!("{:?}", read.signatures()) };
    let (name, public) = (key(KeyKind::P256).public().fingerprint().to_string(), key(KeyKind::P256).public());
    assert_eq!(fact.state, SignatureState::KeyUnknown(name.clone()));
    assert_eq!(read.covering(fact.covers).count(), 0);
    let limits = Limits::default();
    let known = |asked: &str| (asked == name).then(|| public.clone());
    let verified = verify(&named, fact.covers, fact.span, &known, &limits).unwrap();
    assert_eq!(verified.key, public.fingerprint());
    let wrong = |_: &str| Some(key(KeyKind::P384).public().clone());
    assert_eq!(verify(&named, fact.covers, fact.span, &wrong, &limits).unwrap_err().code(), "signature-mismatch");
    let nobody = verify(&named, fact.covers, fact.span, &|_| None, &limits);
    assert_eq!(nobody.unwrap_err(), Refusal::KeyUnknown(name));
}

#[test]
fn c8_3_what_cannot_be_signed_is_refused() {
    let limits = Limits::default();
    let try_sign = |document: &Validated, scope: Span, options: &Options<'_>| {
        sign(document, scope, key(KeyKind::P256), options, &limits).unwrap_err()
    };
    let plain = Options::default();
    let document = validated(PREFIXED.message(Spelling::Double));
    let message = scopes(&document)[1];
    assert_eq!(try_sign(&document, root(&document).header.span, &plain), SignError::NoPlace);
    assert_eq!(try_sign(&document, Span::default(), &plain), SignError::NoPlace);
    let signed_message = signed(&document, message, KeyKind::P256);
    assert_eq!(try_sign(&signed_message, scopes(&signed_message)[1], &plain), SignError::Signed);
    assert_eq!(try_sign(&signed_message, scopes(&signed_message)[2], &plain), SignError::Covered);
    let rsa = Options { method: Some(SignatureMethod::RsaPkcs1(DigestMethod::Sha256)), ..plain };
    assert!(matches!(try_sign(&document, message, &rsa), SignError::Key(_)));
    let certificates = [vec![0x30, 0x00]];
    let certified = Options { certificates: &certificates, ..plain };
    assert!(matches!(try_sign(&document, message, &certified), SignError::Form(_)));
    let empty = PREFIXED.message(Spelling::Double).replace("<v:Company>Quill</v:Company></v:Version_Info>", "#");
    let empty = validated(empty.replace("<v:Version_Info>#", "<v:Version_Info/>"));
    let last = *scopes(&empty).last().unwrap();
    assert_eq!(try_sign(&empty, last, &plain), SignError::Empty);
    // A signed Header in another order is not accepted.
    let header = "<m:Message_ID a='2' b=\"1\">#h0116</m:Message_ID>";
    let disordered = PREFIXED.message(Spelling::Double).replace(header, "");
    let disordered = disordered.replace("<m:PID>", &format!("{header}<m:PID>"));
    let disordered = validated(disordered);
    assert!(matches!(try_sign(&disordered, root(&disordered).span, &plain), SignError::Document(_)));
}

#[test]
fn c8_3_keys_read_back_from_pem() {
    for kind in KINDS {
        let again = PrivateKey::from_pem(&key(kind).to_pem().unwrap()).unwrap();
        assert_eq!(again.public(), key(kind).public());
        let public = PublicKey::from_pem(&again.public().to_pem()).unwrap();
        assert_eq!((public.kind(), public.fingerprint()), (kind, key(kind).public().fingerprint()));
        let id = public.fingerprint();
        assert_eq!(crate::signature::KeyId::parse(&id.to_string()), Some(id));
        assert!(!format!("{again:?}").contains("PRIVATE"));
    }
    assert!(PrivateKey::from_pem("-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----").is_err());
}
