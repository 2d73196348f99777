//! Canonical forms against other people's: the examples of the Recommendations, and libxml2's answers.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use crate::conformance::data::{files, large};
use crate::core::Span;
use crate::limits::Limits;
use crate::signature::Refusal;
use crate::signature::canon::{self, Kind, Method};
use crate::signature::namespaces::Bindings;
use crate::wellformed::{Reader, TokenKind};

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Documents of the suites may be larger than any message.
fn canonical(text: &str, method: &Method) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::new();
    canon::document(text, method, &Limits::default(), |piece| out.extend_from_slice(piece)).map(|()| out)
}

/// The first element that has this name, or an attribute of this value, with what its ancestors declare.
pub(super) fn canonical_element(text: &str, marked: &str, method: &Method) -> Vec<u8> {
    let limits = Limits::default();
    let mut reader = Reader::new(text, &limits);
    let mut bindings = Bindings::default();
    let (start, depth) = loop {
        let token = reader.read().unwrap();
        match token.kind {
            TokenKind::Start(name) if name == marked || reader.attributes().iter().any(|found| found.raw == marked) => {
                break (token.span.start, reader.depth());
            }
            TokenKind::Start(_) => bindings.declare(reader.attributes(), reader.depth(), &limits).unwrap(),
            TokenKind::End => bindings.leave(reader.depth() + 1),
            TokenKind::Eof => panic!("no {marked}"),
            _ => {}
        }
    };
    let end = loop {
        let token = reader.read().unwrap();
        if reader.depth() < depth {
            break token.span.end;
        }
    };
    let apex = Span { start, end };
    let element = canon::Element { text, apex, context: bindings.all(), without: None, types_are_bound: false };
    let mut out = Vec::new();
    canon::element(&element, method, &limits, |piece| out.extend_from_slice(piece)).unwrap();
    out
}

/// The value of a field of a line of JSON that holds strings and truth values only.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(&format!("\"{name}\": "))?;
    rest.split([',', '}']).next().map(|value| value.trim_matches('"'))
}

// R-8.3-2, R-8.3-3: what two parties sign and verify are the same octets.
#[test]
fn c8_3_whole_documents_have_the_canonical_forms_that_libxml2_gives_them() {
    let Some(folder) = large("xml/c14n", "canonical forms of whole documents") else { return };
    let manifest = std::fs::read_to_string(folder.join("whole-document-digests.jsonl")).unwrap();
    let forms = [
        ("c14n10", Method::new(Kind::Inclusive10)),
        ("c14n10_comments", Method::new(Kind::Inclusive10).with_comments()),
        ("c14n11_comments", Method::new(Kind::Inclusive11).with_comments()),
        ("exc", Method::new(Kind::Exclusive)),
        ("exc_comments", Method::new(Kind::Exclusive).with_comments()),
    ];
    let (mut documents, mut digests) = (0, 0);
    for line in manifest.lines() {
        let file = field(line, "file").unwrap();
        let text = std::fs::read_to_string(folder.join("../..").join(file)).unwrap();
        for (name, method) in &forms {
            let Some(expected) = field(line, name) else { continue };
            let found = canonical(&text, method).unwrap_or_else(|refusal| panic!("{file}, {name}: {refusal}"));
            assert_eq!(hex(digest(&SHA256, &found)), expected, "{file}, {name}");
            digests += 1;
        }
        documents += 1;
    }
    println!("{documents} documents, {digests} digests equal");
    assert_eq!((documents, digests), (92, 460));
}

#[test]
fn c8_3_the_examples_of_canonical_xml_come_out_as_printed() {
    let Some(folder) = large("xml/c14n/spec-examples", "the examples of Canonical XML") else { return };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    for (input, expected, comments) in [
        ("32_input.xml", "32_c14n.xml", true),
        ("36_input.xml", "36_c14n.xml", true),
        ("31_c14n-comments.xml", "31_c14n-comments.xml", true),
        ("31_c14n-comments.xml", "31_c14n.xml", false),
    ] {
        for kind in [Kind::Inclusive10, Kind::Inclusive11, Kind::Exclusive] {
            let found = canonical(&read(input), &Method { comments, ..Method::new(kind) }).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), read(expected), "{input}");
        }
    }
    let object =
        canonical_element(&read("default_ns_redefinition_input.xml"), "envelopedData", &Method::new(Kind::Inclusive10));
    assert_eq!(String::from_utf8(object).unwrap(), read("default_ns_redefinition_c14n.xml"));
}

/// Every file of the folder: its canonical form is its own again, or it is refused for one of these reasons.
#[test]
fn c8_3_documents_with_a_doctype_or_relative_namespaces_have_no_canonical_form() {
    let Some(folder) = large("xml/c14n/spec-examples", "the examples of Canonical XML") else { return };
    let mut counts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for path in files(&folder, ".xml") {
        let text = std::fs::read_to_string(&path).unwrap();
        let method = Method::new(Kind::Inclusive10).with_comments();
        let code = match canonical(&text, &method) {
            Ok(form) => {
                let form = String::from_utf8(form).unwrap();
                assert_eq!(canonical(&form, &method).unwrap(), form.as_bytes(), "{}", path.display());
                "canonical"
            }
            Err(refusal) => refusal.code(),
        };
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        counts.entry(code).or_default().push(name);
    }
    println!("{counts:#?}");
    let counts: Vec<(&str, usize)> = counts.iter().map(|(code, files)| (*code, files.len())).collect();
    assert_eq!(counts, [("canonical", 16), ("doctype", 7), ("relative-namespace", 1)]);
}

/// The references of a signature of other people: transforms, expected digest.
fn references(text: &str, prefix: &str) -> Vec<(String, String)> {
    let pieces: Vec<&str> = text.split(&format!("<{prefix}Reference ")).collect();
    pieces[1..]
        .iter()
        .map(|piece| {
            let value = piece.split(&format!("<{prefix}DigestValue>")).nth(1).unwrap().split('<').next().unwrap();
            ((*piece).to_owned(), value.to_owned())
        })
        .collect()
}

#[test]
fn c8_3_merlins_exclusive_forms_have_his_digests() {
    let Some(folder) = large("xml/xmldsig/merlin-exc-c14n-one", "Merlin's exclusive forms") else { return };
    let text = std::fs::read_to_string(folder.join("exc-signature.xml")).unwrap();
    let mut equal = 0;
    for (reference, expected) in references(&text, "dsig:") {
        let mut method = Method::new(Kind::Exclusive);
        method.comments = reference.contains("#WithComments");
        if reference.contains("PrefixList=\"bar #default\"") {
            method = method.with_prefixes("bar #default");
        }
        let found = canonical_element(&text, "to-be-signed", &method);
        assert_eq!(crate::base64::encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &found).as_ref()), expected);
        equal += 1;
    }
    assert_eq!(equal, 4);
}

/// The selections that come to the whole element; the others have holes, and their transform is refused (`vectors`).
#[test]
fn c8_3_merlins_forms_of_a_whole_element_are_equal_to_his() {
    let Some(folder) = large("xml/xmldsig/merlin-c14n-three", "Merlin's canonical forms") else { return };
    let text = std::fs::read_to_string(folder.join("signature.xml")).unwrap();
    let exclusive = Method::new(Kind::Exclusive);
    for (number, method) in
        [(0, Method::new(Kind::Inclusive10)), (9, exclusive.clone()), (18, exclusive.with_prefixes("#default"))]
    {
        let expected = std::fs::read_to_string(folder.join(format!("c14n-{number}.txt"))).unwrap();
        let found = canonical_element(&text, "bar:Something", &method);
        // An inclusive form of an inner element takes in what its ancestors say of the language (C14N 1.0, 2.4).
        let expected = expected.replacen(" xml:lang=\"en-ie\"", "", 1);
        assert_eq!(String::from_utf8(found).unwrap(), expected, "{number}");
    }
}
