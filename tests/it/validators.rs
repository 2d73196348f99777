//! The two XML Schema validators agree with what is known of the example documents: so their later verdicts on what the
//! program writes mean something.

use std::fs;
use std::path::{Path, PathBuf};

use schemas::facts::Validated;
use schemas::limits::Limits;
use schemas::signature::{KeyKind, Options, PrivateKey, SignError, sign, signable};
use tests::validators::{self, Verdicts};

/// The one document on which the two differ: libxml2 accepts a payload that mixes `Message_Core` and `Message`.
const LIBXML2_IS_WRONG: &str = "i02-mixed-payload.xml";

/// The XML files of a folder of examples with their bytes, by name.
fn examples(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/testdata/examples").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| (file.file_name().unwrap().to_string_lossy().into_owned(), fs::read(file).unwrap()))
        .collect()
}

/// Both verdicts on each document of a folder, of which there must be as many as stated.
fn verdicts(folder: &str, count: usize) -> Vec<Verdicts> {
    let documents = examples(folder);
    assert_eq!(documents.len(), count, "documents in {folder}");
    validators::validate(&documents).unwrap()
}

#[test]
fn both_validators_accept_every_valid_example() {
    validators::assert_valid(&examples("valid"));
    assert_eq!(examples("valid").len(), 18);
}

#[test]
fn both_validators_accept_what_only_breaks_the_meaning() {
    for verdict in verdicts("semantic", 6) {
        assert!(verdict.accepted(), "{verdict:?}");
    }
}

#[test]
fn both_validators_refuse_every_invalid_example_but_one() {
    for verdict in verdicts("invalid", 20) {
        assert!(!verdict.xerces.accepted, "{verdict:?}");
        assert!(!verdict.xerces.messages.is_empty(), "{verdict:?}");
        assert_eq!(verdict.libxml2.accepted, verdict.name == LIBXML2_IS_WRONG, "{verdict:?}");
    }
}

#[test]
fn both_validators_refuse_text_that_only_the_erratum_allows() {
    for verdict in verdicts("erratum", 2) {
        assert!(!verdict.libxml2.accepted && !verdict.xerces.accepted, "{verdict:?}");
    }
}

#[test]
fn both_validators_refuse_what_is_not_well_formed() {
    let broken: [(&str, &[u8]); 3] = [("open", b"<a><b></a>"), ("empty", b""), ("foreign", b"<a/>")];
    for verdict in validators::validate(&broken).unwrap() {
        assert!(!verdict.libxml2.accepted && !verdict.xerces.accepted, "{verdict:?}");
    }
}

/// An example signed at every place where it is not yet and can be, inner before outer.
fn signed_everywhere(document: &[u8], keys: &[PrivateKey]) -> Vec<u8> {
    let limits = Limits::default();
    let mut document = Validated::new(document.to_vec().into(), &limits).unwrap();
    let mut left = signable(&document).len();
    while left > 0 {
        left -= 1;
        let scope = signable(&document)[left];
        let key = &keys[left % keys.len()];
        match sign(&document, scope, key, &Options::default(), &limits) {
            Ok(signed) => document = signed,
            Err(SignError::Signed | SignError::Empty) => {}
            Err(other) => panic!("{other}"),
        }
    }
    document.bytes().to_vec()
}

// R-11.1-3, S17: a Signature has the name that the schemas give it and the type of XML Signature.
#[test]
fn both_validators_accept_every_example_signed_at_every_place() {
    let kinds = [KeyKind::P256, KeyKind::Rsa, KeyKind::Ed25519, KeyKind::P384];
    let keys = kinds.map(|kind| PrivateKey::generate(kind).unwrap());
    let signed: Vec<(String, Vec<u8>)> =
        examples("valid").into_iter().map(|(name, document)| (name, signed_everywhere(&document, &keys))).collect();
    assert!(signed.iter().all(|(_, document)| String::from_utf8_lossy(document).contains("<ds:SignatureValue>")));
    validators::assert_valid(&signed);
}

#[test]
#[should_panic(expected = "not valid against the published grammar")]
fn an_invalid_document_fails_the_assertion() {
    validators::assert_valid(&[("foreign", b"<a/>")]);
}
