//! Signatures both ways with another library's canonical forms (Bergshamra) and another's cryptography (OpenSSL).
//!
//! Beside `xmlsec1` (in the package `tests`): these two know every algorithm of the profile.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use bergshamra_c14n::{C14nMode, canonicalize};
use tempfile::TempDir;

use super::documents::{STYLES, key, scopes, text, validated};
use super::oracle::{elements, extracted};
use crate::base64;
use crate::core::Span;
use crate::facts::Validated;
use crate::limits::Limits;
use crate::names::{DSIG, Spelling};
use crate::signature::algorithm::{ENVELOPED, EXCLUSIVE};
use crate::signature::canon::Kind;
use crate::signature::der::{self, Der};
use crate::signature::{DigestMethod, KeyKind, Options, PrivateKey, SignatureMethod, sign};

const DIGESTS: [DigestMethod; 3] = [DigestMethod::Sha256, DigestMethod::Sha384, DigestMethod::Sha512];

/// Every method that is signed with, each in turn.
fn method(number: usize) -> (KeyKind, SignatureMethod) {
    let digest = DIGESTS[number / 3 % 3];
    match number % 9 {
        0 | 3 | 6 => (KeyKind::Rsa, SignatureMethod::RsaPkcs1(digest)),
        1 | 4 | 7 => (KeyKind::Rsa, SignatureMethod::RsaPss(digest)),
        2 => (KeyKind::P256, SignatureMethod::Ecdsa(DigestMethod::Sha256)),
        5 => (KeyKind::P384, SignatureMethod::Ecdsa(DigestMethod::Sha384)),
        _ => (KeyKind::Ed25519, SignatureMethod::Ed25519),
    }
}

/// Messages of all kinds in every way of writing the names, and what to call them. Lines end in LF: the library does not
/// normalise them in CDATA sections (XML 1.0, 2.11).
fn messages() -> Vec<(&'static str, Validated)> {
    let mut all = Vec::new();
    for (style, spelling) in STYLES.iter().flat_map(|style| [Spelling::Double, Spelling::Single].map(|to| (style, to)))
    {
        let plain = |text: String| validated(text.replace("\r\n", "\n"));
        let deliver = style.message(spelling);
        for (kind, major, minor) in [
            ("Deliver", "Deliver", "Full"),
            ("catalogue", "Deliver", "Catalog"),
            ("Register", "Register", "Full"),
            ("Request", "Request", "Catalog"),
            ("Analyse", "Analyse", "Full"),
        ] {
            let changed = deliver.replace(">Deliver<", &format!(">{major}<")).replace(">Full<", &format!(">{minor}<"));
            all.push((kind, plain(changed)));
        }
        all.push(("bundle", plain(style.nested(spelling))));
        all.push(("reply", plain(style.reply(spelling))));
    }
    all
}

fn mode(form: Kind) -> C14nMode {
    match form {
        Kind::Inclusive10 => C14nMode::Inclusive,
        Kind::Inclusive11 => C14nMode::Inclusive11,
        Kind::Exclusive => C14nMode::Exclusive,
    }
}

/// The library's form of an element of a document, taken out with all that is declared around it.
fn form(document: &str, element: Span, form: Kind, types: &[&str]) -> Vec<u8> {
    let all = elements(document);
    let (element, around) = all.iter().find(|(span, _)| span.start == element.start).unwrap();
    canonicalize(&extracted(document, *element, around), mode(form), None, types).unwrap()
}

/// What stands between two strings.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).unwrap().1.split_once(after).unwrap().0
}

fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    base64::decode(text, &mut |piece| bytes.extend_from_slice(piece)).unwrap();
    bytes
}

/// The program `openssl`, with a folder for what it reads.
struct OpenSsl(TempDir);

impl OpenSsl {
    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn run(arguments: &[&str], files: &[(&str, &PathBuf)]) -> Option<Vec<u8>> {
        let mut command = Command::new("openssl");
        command.args(arguments);
        files.iter().for_each(|(option, path)| {
            command.args(Some(option).filter(|option| !option.is_empty())).arg(path);
        });
        let output = command.output().expect("openssl");
        output.status.success().then_some(output.stdout)
    }

    fn digest(&self, method: DigestMethod, bytes: &[u8]) -> Vec<u8> {
        let input = self.write("input", bytes);
        Self::run(&["dgst", option(method), "-binary"], &[("", &input)]).unwrap()
    }

    fn verifies(&self, method: SignatureMethod, key: &PrivateKey, bytes: &[u8], value: &[u8]) -> bool {
        let (input, public) = (self.write("input", bytes), self.write("public.pem", key.public().to_pem()));
        let value = match method {
            SignatureMethod::Ecdsa(_) => {
                let (r, s) = value.split_at(value.len() / 2);
                der::element(der::SEQUENCE, &[&der::unsigned(r), &der::unsigned(s)])
            }
            _ => value.to_vec(),
        };
        let value = self.write("value", value);
        match options(method) {
            Some(options) => {
                let arguments = [&["dgst"], &options[..]].concat();
                Self::run(&arguments, &[("-verify", &public), ("-signature", &value), ("", &input)]).is_some()
            }
            None => {
                let files = [("-inkey", &public), ("-in", &input), ("-sigfile", &value)];
                Self::run(&["pkeyutl", "-verify", "-pubin", "-rawin"], &files).is_some()
            }
        }
    }

    fn signs(&self, method: SignatureMethod, key: &PrivateKey, bytes: &[u8]) -> Vec<u8> {
        let (input, private) = (self.write("input", bytes), self.write("private.pem", key.to_pem().unwrap()));
        let Some(options) = options(method) else {
            let files = [("-inkey", &private), ("-in", &input)];
            return Self::run(&["pkeyutl", "-sign", "-rawin"], &files).unwrap();
        };
        let arguments = [&["dgst", "-binary"], &options[..]].concat();
        let value = Self::run(&arguments, &[("-sign", &private), ("", &input)]).unwrap();
        match method {
            SignatureMethod::Ecdsa(_) => {
                side_by_side(&value, if key.public().kind() == KeyKind::P256 { 32 } else { 48 })
            }
            _ => value,
        }
    }
}

/// Both numbers of an ECDSA value, each of so many bytes.
fn side_by_side(value: &[u8], half: usize) -> Vec<u8> {
    let mut numbers = Der(value).enter(der::SEQUENCE).unwrap();
    let padded = |number: &[u8]| [&vec![0; half - number.len()][..], number].concat();
    [padded(numbers.unsigned().unwrap()), padded(numbers.unsigned().unwrap())].concat()
}

fn option(method: DigestMethod) -> &'static str {
    match method {
        DigestMethod::Sha256 => "-sha256",
        DigestMethod::Sha384 => "-sha384",
        DigestMethod::Sha512 => "-sha512",
    }
}

/// Of `openssl dgst`; none for what is no signature of a digest.
fn options(method: SignatureMethod) -> Option<Vec<&'static str>> {
    const PSS: [&str; 4] = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"];
    match method {
        SignatureMethod::RsaPkcs1(digest) | SignatureMethod::Ecdsa(digest) => Some(vec![option(digest)]),
        SignatureMethod::RsaPss(digest) => Some([&[option(digest)], &PSS[..]].concat()),
        SignatureMethod::Ed25519 => None,
    }
}

/// Messages and signatures that were verified.
#[derive(Debug, Default)]
struct Counts {
    messages: BTreeMap<&'static str, usize>,
    methods: BTreeMap<&'static str, usize>,
}

impl Counts {
    fn check(&self, way: &str) {
        println!("{way}: {self:#?}");
        let sum = |counts: &BTreeMap<&str, usize>| counts.values().sum::<usize>();
        assert_eq!((sum(&self.messages), self.messages.len()), (56, 7));
        assert_eq!((sum(&self.methods), self.methods.len()), (168, 9));
    }
}

/// Of each message its Header, itself, and one of the elements in it in turn; the whole in all forms, parts exclusively.
fn places(number: usize, document: &Validated) -> [(Span, Kind); 3] {
    let scopes = scopes(document);
    let whole = [Kind::Exclusive, Kind::Inclusive10, Kind::Inclusive11][number % 3];
    [(scopes[0], whole), (scopes[1], Kind::Exclusive), (scopes[2 + number % (scopes.len() - 2)], Kind::Exclusive)]
}

// R-8.3-2, R-8.3-3
#[test]
fn c8_3_another_library_verifies_what_is_signed_here() {
    let (openssl, mut counts) = (OpenSsl(tempfile::tempdir().unwrap()), Counts::default());
    for (number, (kind, document)) in messages().iter().enumerate() {
        for (index, (scope, canonicalization)) in places(number, document).into_iter().enumerate() {
            let (key_kind, method) = method(number + index);
            let digest = DIGESTS[(number + index) % 3];
            let options = Options { canonicalization, digest, method: Some(method), ..Options::default() };
            let signed = sign(document, scope, key(key_kind), &options, &Limits::default()).unwrap();
            let (text, fact) = (text(&signed), &signed.signatures()[0]);
            let signature = &text[fact.span.range()];
            let types: Vec<&str> = match signature.split_once("PrefixList=\"") {
                Some((_, rest)) => rest.split('"').next().unwrap().split(' ').collect(),
                None => Vec::new(),
            };
            let rest = text.replace(signature, "");
            let expected = openssl.digest(digest, &form(&rest, fact.covers, canonicalization, &types));
            assert_eq!(decoded(between(signature, "<ds:DigestValue>", "<")), expected, "{text}");
            let start = fact.span.start + signature.find("<ds:SignedInfo>").unwrap();
            let info = form(text, Span { start, end: start }, canonicalization, &[]);
            let value = decoded(between(signature, "<ds:SignatureValue>", "<"));
            assert!(openssl.verifies(method, key(key_kind), &info, &value), "{text}");
            assert!(!openssl.verifies(method, key(key_kind), &info[1..], &value));
            *counts.methods.entry(method.uri()).or_default() += 1;
        }
        *counts.messages.entry(kind).or_default() += 1;
    }
    counts.check("signed here, verified by Bergshamra and OpenSSL");
}

/// Puts an element before the end tag of a scope's Header, or of the scope.
fn inserted(document: &str, scope: Span, element: &str) -> (String, usize) {
    let all = elements(document);
    let inside = all.iter().map(|(span, _)| *span).filter(|span| scope.start < span.start && span.end < scope.end);
    let is_header = |span: &Span| document[span.start..].split(['>', ' ']).next().unwrap().ends_with("Header");
    let whole = &document[scope.range()];
    let is_core = whole.split(['>', ' ']).next().unwrap().contains("Message_Core");
    let parent = inside.into_iter().find(|span| is_core && is_header(span)).unwrap_or(scope);
    let at = parent.start + document[parent.range()].rfind("</").unwrap();
    (format!("{}{element}{}", &document[..at], &document[at..]), at)
}

fn template(method: SignatureMethod, digest: DigestMethod, form: Kind, types: &str, key: &PrivateKey) -> String {
    let list = match types {
        "" => String::new(),
        types => format!("<ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"{types}\"/>"),
    };
    format!(
        "<ds:Signature xmlns:ds=\"{DSIG}\"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm=\"{form}\"/>\
         <ds:SignatureMethod Algorithm=\"{}\"/><ds:Reference URI=\"\"><ds:Transforms><ds:Transform Algorithm=\"\
         {ENVELOPED}\"/><ds:Transform Algorithm=\"{form}\">{list}</ds:Transform></ds:Transforms><ds:DigestMethod \
         Algorithm=\"{}\"/><ds:DigestValue>{{digest}}</ds:DigestValue></ds:Reference></ds:SignedInfo>\
         <ds:SignatureValue>{{value}}</ds:SignatureValue><ds:KeyInfo><d:DEREncodedKeyValue \
         xmlns:d=\"http://www.w3.org/2009/xmldsig11#\">{}</d:DEREncodedKeyValue></ds:KeyInfo></ds:Signature>",
        method.uri(),
        digest.uri(),
        base64::encode(key.public().spki()),
        form = form.uri(),
    )
}

// S17
#[test]
fn c8_3_what_another_library_signs_verifies_here() {
    let (openssl, mut counts) = (OpenSsl(tempfile::tempdir().unwrap()), Counts::default());
    for (number, (kind, document)) in messages().iter().enumerate() {
        for (index, (scope, canonicalization)) in places(number, document).into_iter().enumerate() {
            let (key_kind, method) = method(number + index);
            let (digest, key) = (DIGESTS[(number + index) % 3], key(key_kind));
            let whole = text(document);
            let typed = whole[scope.range()].split_once(":type='").map(|(_, rest)| rest.split('\'').next().unwrap());
            let prefix = typed.map_or("", |name| name.split_once(':').map_or("#default", |(prefix, _)| prefix));
            let types = if canonicalization == Kind::Exclusive { prefix } else { "" };
            let list: Vec<&str> = Some(types).filter(|types| !types.is_empty()).into_iter().collect();
            let hash = openssl.digest(digest, &form(whole, scope, canonicalization, &list));
            let filled =
                template(method, digest, canonicalization, types, key).replace("{digest}", &base64::encode(&hash));
            let (draft, at) = inserted(whole, scope, &filled);
            let start = at + filled.find("<ds:SignedInfo>").unwrap();
            let info = form(&draft, Span { start, end: start }, canonicalization, &[]);
            let value = openssl.signs(method, key, &info);
            let signed = validated(draft.replace("{value}", &base64::encode(&value)));
            let [fact] = signed.signatures() else { panic!("{:?}", signed.signatures()) };
            let verified = fact.verified().unwrap_or_else(|| panic!("{:?}\n{}", fact.state, text(&signed)));
            assert_eq!((verified.key, fact.covers.start), (key.public().fingerprint(), scope.start));
            *counts.methods.entry(method.uri()).or_default() += 1;
        }
        *counts.messages.entry(kind).or_default() += 1;
    }
    counts.check("signed by Bergshamra and OpenSSL, verified here");
}
