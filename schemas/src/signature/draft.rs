//! The text of a Signature that is being made.

use std::fmt::Write as _;

use super::algorithm::{ENVELOPED, EXCLUSIVE};
use super::key::{KeyKind, PublicKey};
use super::tree::DSIG11;
use super::{SignatureMethod, sign::Options};
use crate::base64;
use crate::names::{DSIG, Place, Spelling};

/// What a Signature is made of, but for digest and value.
pub(super) struct Draft<'a> {
    /// The schema that declares it.
    pub(super) place: Place,
    pub(super) spelling: Spelling,
    pub(super) key: &'a PublicKey,
    pub(super) options: &'a Options<'a>,
    pub(super) method: SignatureMethod,
    /// The `PrefixList`.
    pub(super) types: &'a str,
}

impl Draft<'_> {
    /// The element. It declares what it uses, so that it stands in every document; its type is that of XML Signature,
    /// its name that of the schema (S17).
    pub(super) fn text(&self, digest: &str, value: &str) -> String {
        let (prefix, namespace) = match self.place {
            Place::Version => ("v", self.spelling.version()),
            _ => ("m", self.spelling.core()),
        };
        let mut text = format!("<{prefix}:Signature xmlns:{prefix}=\"{namespace}\" xmlns:ds=\"{DSIG}\">");
        self.signed_info(&mut text, digest);
        push(&mut text, "ds:SignatureValue", value);
        text.push_str("<ds:KeyInfo>");
        push(&mut text, "ds:KeyName", &self.key.fingerprint().to_string());
        if self.options.certificates.is_empty() {
            self.key_value(&mut text)
        } else {
            self.certificates(&mut text)
        }
        text.push_str("</ds:KeyInfo></");
        text.push_str(prefix);
        text.push_str(":Signature>");
        text
    }

    fn signed_info(&self, text: &mut String, digest: &str) {
        let form = self.options.canonicalization.uri();
        text.push_str("<ds:SignedInfo>");
        empty(text, "ds:CanonicalizationMethod", form);
        empty(text, "ds:SignatureMethod", self.method.uri());
        text.push_str("<ds:Reference URI=\"\"><ds:Transforms>");
        empty(text, "ds:Transform", ENVELOPED);
        match self.types {
            "" => empty(text, "ds:Transform", form),
            types => {
                // Writing to a string cannot fail.
                let _ = write!(
                    text,
                    "<ds:Transform Algorithm=\"{form}\"><ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" \
                     PrefixList=\"{types}\"/></ds:Transform>"
                );
            }
        }
        text.push_str("</ds:Transforms>");
        empty(text, "ds:DigestMethod", self.options.digest.uri());
        push(text, "ds:DigestValue", digest);
        text.push_str("</ds:Reference></ds:SignedInfo>");
    }

    /// The key itself, so that what is signed can be found out without knowing it before.
    fn key_value(&self, text: &mut String) {
        match (self.key.kind(), self.key.rsa(), self.key.curve()) {
            (KeyKind::Rsa, Some((modulus, exponent)), _) => {
                text.push_str("<ds:KeyValue><ds:RSAKeyValue>");
                push(text, "ds:Modulus", &base64::encode(modulus));
                push(text, "ds:Exponent", &base64::encode(exponent));
                text.push_str("</ds:RSAKeyValue></ds:KeyValue>");
            }
            (KeyKind::P256 | KeyKind::P384, _, Some((curve, point))) => {
                let point = base64::encode(point);
                let _ = write!(
                    text,
                    "<ds:KeyValue><dsig11:ECKeyValue xmlns:dsig11=\"{DSIG11}\"><dsig11:NamedCurve URI=\"{curve}\"/>\
                     <dsig11:PublicKey>{point}</dsig11:PublicKey></dsig11:ECKeyValue></ds:KeyValue>"
                );
            }
            _ => {
                let key = base64::encode(self.key.spki());
                let _ = write!(
                    text,
                    "<dsig11:DEREncodedKeyValue xmlns:dsig11=\"{DSIG11}\">{key}</dsig11:DEREncodedKeyValue>"
                );
            }
        }
    }

    fn certificates(&self, text: &mut String) {
        text.push_str("<ds:X509Data>");
        for certificate in self.options.certificates {
            push(text, "ds:X509Certificate", &base64::encode(certificate));
        }
        text.push_str("</ds:X509Data>");
    }
}

fn empty(text: &mut String, name: &str, algorithm: &str) {
    let _ = write!(text, "<{name} Algorithm=\"{algorithm}\"/>");
}

/// Names, base64 and hexadecimal digits need no escapes.
fn push(text: &mut String, name: &str, value: &str) {
    let _ = write!(text, "<{name}>{value}</{name}>");
}
