//! The profile is closed: each way out of it is refused by its name.

use super::documents::{PREFIXED, key, scopes, signed, text, validated};
use crate::facts::{SignatureState, Validated};
use crate::limits::Limits;
use crate::names::Spelling;
use crate::signature::KeyKind;

const REFERENCE: &str = "<ds:Reference URI=\"\">";
const EXCLUSIVE: &str = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>";
const ENVELOPED: &str = "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>";
const SHA_256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const ECDSA: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";

/// What is refused: what of a good document is replaced by what, and the code.
const CHANGED: &[(&str, &str, &str)] = &[
    (REFERENCE, "<ds:Reference URI=\"#x\">", "reference-uri"),
    (REFERENCE, "<ds:Reference URI=\"http://127.0.0.1:1/x\">", "reference-uri"),
    (REFERENCE, "<ds:Reference URI=\"#xpointer(/)\">", "reference-uri"),
    (REFERENCE, "<ds:Reference>", "reference-uri"),
    (REFERENCE, "<ds:Reference URI=\"\" Type=\"http://www.w3.org/2000/09/xmldsig#Manifest\">", "structure"),
    (REFERENCE, "<ds:Reference URI=\"\"/><ds:Reference URI=\"\">", "reference-count"),
    ("<ds:Reference URI", "<ds:Manifest/><ds:Reference URI", "reference-count"),
    (EXCLUSIVE, "", "transform"),
    (ENVELOPED, "", "transform"),
    (ENVELOPED, EXCLUSIVE, "transform"),
    (EXCLUSIVE, ENVELOPED, "transform"),
    (EXCLUSIVE, "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#WithComments\"/>", "transform"),
    (EXCLUSIVE, "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"/>", "transform"),
    (EXCLUSIVE, "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"/>", "transform"),
    (EXCLUSIVE, "<ds:Transform Algorithm=\"http://www.w3.org/2002/06/xmldsig-filter2\"/>", "transform"),
    (EXCLUSIVE, "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#base64\"/>", "transform"),
    ("<ds:Transforms>", "<ds:Transforms><ds:Transform Algorithm=\"x\"/>", "transform"),
    (SHA_256, "http://www.w3.org/2000/09/xmldsig#sha1", "digest-method"),
    (SHA_256, "http://www.w3.org/2001/04/xmldsig-more#sha224", "digest-method"),
    (ECDSA, "http://www.w3.org/2000/09/xmldsig#hmac-sha1", "signature-method"),
    (ECDSA, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", "signature-method"),
    (ECDSA, "http://www.w3.org/2000/09/xmldsig#rsa-sha1", "signature-method"),
    (ECDSA, "http://www.w3.org/2000/09/xmldsig#dsa-sha1", "signature-method"),
    (ECDSA, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "key-method"),
    (ECDSA, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", "signature-mismatch"),
    ("<ds:CanonicalizationMethod Algorithm=\"", "<ds:CanonicalizationMethod Algorithm=\"x", "canonicalization-method"),
    ("<ds:SignatureValue>", "<ds:SignatureValue>*", "base64"),
    ("<ds:DigestValue>", "<ds:DigestValue>*", "base64"),
    ("<ds:DigestValue>", "<ds:DigestValue><!-- AAAA -->", "markup"),
    ("<ds:SignatureValue>", "<ds:SignatureValue><?x?>", "markup"),
    ("<ds:DigestValue>", "<ds:DigestValue><b>AAAA</b>", "structure"),
    ("<ds:SignedInfo>", "<ds:SignedInfo/><ds:SignedInfo>", "structure"),
    ("<ds:SignedInfo>", "<ds:Object/><ds:SignedInfo>", "structure"),
    ("<ds:SignedInfo>", "text<ds:SignedInfo>", "structure"),
    ("<ds:KeyInfo>", "<ds:Object/><ds:KeyInfo>", "object"),
    ("</ds:KeyInfo>", "</ds:KeyInfo><ds:Object><v:Container/></ds:Object>", "object"),
    ("</ds:KeyInfo>", "</ds:KeyInfo><ds:KeyInfo/>", "structure"),
    ("<ds:KeyInfo>", "<ds:KeyInfo><ds:RetrievalMethod URI=\"http://127.0.0.1:1/x\"/>", "key-info"),
    ("urn:oid:1.2.840.10045.3.1.7", "urn:oid:1.3.132.0.34", "key-info"),
    ("urn:oid:1.2.840.10045.3.1.7", "urn:oid:1.3.132.0.35", "key-unsupported"),
];

fn good() -> Validated {
    let document = validated(PREFIXED.message(Spelling::Double));
    signed(&document, scopes(&document)[1], KeyKind::P256)
}

fn code(text: String) -> &'static str {
    let read = validated(text);
    let [fact] = read.signatures() else { panic!("{:?}", read.signatures()) };
    match &fact.state {
        SignatureState::Valid(_) => "valid",
        SignatureState::Refused(refusal) => refusal.code(),
        SignatureState::KeyUnknown(_) => "key-unknown",
    }
}

#[test]
fn c8_3_whatever_leaves_the_profile_is_refused_by_name() {
    let good = good();
    println!("{} ways out of the profile", CHANGED.len());
    assert_eq!(CHANGED.len(), 40);
    for (from, to, expected) in CHANGED {
        let changed = text(&good).replace(from, to);
        assert_ne!(changed, text(&good), "{from}");
        assert_eq!(code(changed), *expected, "{from} -> {to}");
    }
}

/// A Signature with this KeyInfo.
fn with_key_info(info: &str) -> String {
    let good = good();
    let (head, rest) = text(&good).split_once("<ds:KeyInfo>").unwrap();
    format!("{head}{info}{}", rest.split_once("</ds:KeyInfo>").unwrap().1)
}

#[test]
fn c8_3_keys_that_are_missing_weak_or_at_odds_are_refused_by_name() {
    assert_eq!(code(with_key_info("")), "key-missing");
    assert_eq!(code(with_key_info("<ds:KeyInfo/>")), "key-missing");
    assert_eq!(code(with_key_info("<ds:KeyInfo><ds:KeyName> isp-1 </ds:KeyName></ds:KeyInfo>")), "key-unknown");
    let rsa = |bytes: usize| {
        let modulus = crate::base64::encode(&vec![0xff; bytes]);
        with_key_info(&format!(
            "<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>AQAB</ds:Exponent>\
             </ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>"
        ))
    };
    assert_eq!((code(rsa(0)), code(rsa(255)), code(rsa(1025))), ("key-too-small", "key-too-small", "key-too-large"));
    assert_eq!(code(rsa(256)), "key-method");
    let spki = |bytes: &[u8]| {
        format!(
            "<d:DEREncodedKeyValue xmlns:d=\"http://www.w3.org/2009/xmldsig11#\">{}</d:DEREncodedKeyValue>",
            crate::base64::encode(bytes)
        )
    };
    let (one, other) = (key(KeyKind::P256).public().spki(), key(KeyKind::Ed25519).public().spki());
    let both =
        |one: &[u8], other: &[u8]| with_key_info(&format!("<ds:KeyInfo>{}{}</ds:KeyInfo>", spki(one), spki(other)));
    assert_eq!((code(both(one, one)), code(both(one, other))), ("valid", "key-info"));
    for cut in 0..one.len() {
        assert_eq!(code(with_key_info(&format!("<ds:KeyInfo>{}</ds:KeyInfo>", spki(&one[..cut])))), "key-info");
    }
}

#[test]
fn c8_3_what_is_over_the_limits_proves_nothing() {
    let good = good();
    let bytes = good.bytes().clone();
    for limits in [Limits { signatures: 0, ..Limits::default() }, Limits { signature_passes: 0, ..Limits::default() }] {
        let read = Validated::new(bytes.clone(), &limits).unwrap();
        assert!(matches!(&read.signatures()[0].state, SignatureState::Refused(refusal) if refusal.code() == "limit"));
    }
    let padded = text(&good).replace("<ds:KeyInfo>", &format!("<ds:KeyInfo>{}", " ".repeat(64 << 10)));
    assert_eq!(code(padded), "signature-size");
}
