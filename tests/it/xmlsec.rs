//! Signatures both ways with `xmlsec1`, message by message; what it is told is in [`tests::xmlsec`].

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::Bytes;
use schemas::core::{Message, MessageCore, MessageCoreReply, Part, Payload, ReplyPayload, Root, Span};
use schemas::facts::{SignatureFact, SignatureState, Validated};
use schemas::limits::Limits;
use schemas::names::{DSIG, Spelling};
use schemas::signature::canon::Kind;
use schemas::signature::{
    DigestMethod, KeyKind, Options, PrivateKey, Refusal, SignatureMethod, sign, signable, verify,
};
use schemas::version::{Major, Minor};
use schemas::write::{self, HeaderFields, MessageDraft};
use tests::harness::draft;
use tests::xmlsec::{Xmlsec, extracted, for_others, text, with_template};

/// The kinds that both know; the version in Debian 12 has neither Ed25519 nor RSA-PSS.
const KINDS: [KeyKind; 3] = [KeyKind::Rsa, KeyKind::P256, KeyKind::P384];
const DIGESTS: [DigestMethod; 3] = [DigestMethod::Sha256, DigestMethod::Sha384, DigestMethod::Sha512];
const FORMS: [Kind; 3] = [Kind::Exclusive, Kind::Inclusive10, Kind::Inclusive11];

/// A key, and another of the same kind and size.
struct Keys([[PrivateKey; 2]; 3]);

impl Keys {
    fn new() -> Self {
        Self(KINDS.map(|kind| [(); 2].map(|()| PrivateKey::generate(kind).unwrap())))
    }

    /// The right key and the wrong one, each kind in turn.
    fn pair(&self, number: usize) -> (&PrivateKey, &PrivateKey) {
        let [right, wrong] = &self.0[number % KINDS.len()];
        assert_eq!(right.public().kind(), wrong.public().kind());
        assert_eq!(right.public().spki().len(), wrong.public().spki().len());
        (right, wrong)
    }
}

/// The valid examples without signatures, and every Major with every Minor in both spellings.
fn messages() -> Vec<Validated> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/testdata/examples/valid");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let examples = files.iter().map(|file| Bytes::from(fs::read(file).unwrap()));
    let read = |bytes: Bytes| Validated::new(bytes, &Limits::default()).unwrap();
    examples.chain(drafts()).map(read).filter(|document| document.signatures().is_empty()).collect()
}

fn drafts() -> Vec<Bytes> {
    let data = [draft::item("QSA-1", "Quill & Söhne")];
    let mut all = Vec::new();
    for spelling in [Spelling::Double, Spelling::Single] {
        for major in [Major::Register, Major::Request, Major::Deliver, Major::Analyse] {
            for minor in [None, Some(Minor::Full), Some(Minor::Catalog), Some(Minor::End)] {
                let draft = MessageDraft { major: major.clone(), minor, data: Some(&data) };
                all.push(write::message(spelling, &HeaderFields::default(), &[draft]));
            }
        }
    }
    all
}

/// What a document is, by its first message.
fn kind_of(document: &Validated) -> String {
    match &document.document().root {
        Root::Message(core) => of_message(core),
        Root::Reply(core) => of_reply(core),
    }
}

fn of_message(core: &MessageCore) -> String {
    match &core.payload {
        Payload::Bundle(parts) => match &parts[0] {
            Part::Good(part) => format!("bundle of {}", of_message(part)),
            Part::Bad(bad) => panic!("{}", bad.error),
        },
        Payload::Messages(messages) => match &messages[0] {
            Message::Version(message) => message.major.as_str().to_owned(),
            Message::Opaque(_) => "another set".to_owned(),
        },
    }
}

fn of_reply(core: &MessageCoreReply) -> String {
    match &core.payload {
        ReplyPayload::Bundle(parts) => format!("bundle of {}", of_reply(&parts[0])),
        ReplyPayload::Replies(_) => "reply".to_owned(),
    }
}

/// What was verified: messages by what they are, scopes by element, signatures by algorithm.
#[derive(Debug, Default)]
struct Counts {
    messages: BTreeMap<String, usize>,
    scopes: BTreeMap<String, usize>,
    methods: BTreeMap<&'static str, usize>,
    forms: BTreeMap<&'static str, usize>,
}

impl Counts {
    fn scope(&mut self, document: &Validated, scope: Span, method: SignatureMethod, form: Kind) {
        let tag = text(document)[scope.start + 1..].split([' ', '>', '\n']).next().unwrap();
        let local = tag.split(':').next_back().unwrap();
        *self.scopes.entry(local.to_owned()).or_default() += 1;
        *self.methods.entry(method.uri()).or_default() += 1;
        *self.forms.entry(form.uri()).or_default() += 1;
    }

    /// A message all of whose scopes were verified.
    fn message(&mut self, document: &Validated) {
        *self.messages.entry(kind_of(document)).or_default() += 1;
    }

    /// The figures that `docs/signatures.md` repeats.
    fn check(&self, messages: usize, scopes: usize) {
        let sum = |counts: &BTreeMap<String, usize>| counts.values().sum::<usize>();
        assert_eq!((sum(&self.messages), sum(&self.scopes)), (messages, scopes));
        for kind in ["Register", "Request", "Deliver", "Analyse", "reply", "bundle of Deliver", "another set"] {
            assert!(self.messages.contains_key(kind), "{kind}");
        }
        for scope in ["Message_Core", "Message_Core_Reply", "Message", "Reply", "Version_Info", "Info", "Container"] {
            assert!(self.scopes.contains_key(scope), "{scope}");
        }
        assert_eq!(self.forms.len(), FORMS.len());
    }
}

fn owner_of(fact: &SignatureFact) -> String {
    match &fact.state {
        SignatureState::Valid(verified) => verified.key.to_string(),
        other => panic!("{other:?}"),
    }
}

fn is_empty(document: &Validated, scope: Span) -> bool {
    text(document)[scope.range()].ends_with("/>")
}

// R-8.3-2, S17, S18
#[test]
fn c8_3_xmlsec_verifies_what_is_signed_here() {
    let (keys, xmlsec) = (Keys::new(), Xmlsec::new());
    let mut counts = Counts::default();
    for (number, document) in messages().iter().enumerate() {
        for (index, scope) in signable(document).into_iter().enumerate() {
            let (key, wrong) = keys.pair(number + index);
            let digest = DIGESTS[(number + index) / 3 % 3];
            let rsa = Some(SignatureMethod::RsaPkcs1(digest)).filter(|_| key.public().kind() == KeyKind::Rsa);
            let canonicalization = FORMS[(number / 2 + index) % 3];
            let options = Options { canonicalization, digest, method: rsa, ..Options::default() };
            let signed = match sign(document, scope, key, &options, &Limits::default()) {
                Ok(signed) => signed,
                // It cannot be signed as it stands.
                Err(_) if is_empty(document, scope) => continue,
                Err(error) => panic!("{error}\n{}", text(document)),
            };
            let [fact] = signed.signatures() else { panic!("{:?}", signed.signatures()) };
            let (name, other) = (owner_of(fact), for_others(&signed, fact));
            assert!(xmlsec.verifies(&other, key.public(), &name), "{other}");
            assert!(!xmlsec.verifies(&other, wrong.public(), &name), "with another key of the kind");
            if index == 0 {
                assert!(!xmlsec.verifies(&other.replacen("</", " </", 1), key.public(), &name), "changed");
            }
            counts.scope(document, scope, rsa.unwrap_or(key.usual_method()), canonicalization);
        }
        counts.message(document);
    }
    println!("signed here, verified by xmlsec1: {counts:#?}");
    counts.check(49, 315);
    assert_eq!(counts.methods.len(), 5, "RSA with each digest, and each curve with its own");
}

/// The checks above would prove nothing if the program took the key that comes with the Signature. Left alone it does,
/// if it is an RSA key: this version reads no other from a Signature.
#[test]
fn c8_3_xmlsec_is_not_asked_to_believe_an_inline_key() {
    let (keys, xmlsec) = (Keys::new(), Xmlsec::new());
    let document = &messages()[1];
    for number in 0..KINDS.len() {
        let (owner, attacker) = keys.pair(number);
        let signed = sign(document, signable(document)[0], attacker, &Options::default(), &Limits::default()).unwrap();
        let fact = &signed.signatures()[0];
        let name = owner.public().fingerprint().to_string();
        let attack = for_others(&signed, fact).replace(&owner_of(fact), &name);
        assert!(attack.contains("<ds:KeyValue>"));
        assert!(xmlsec.verifies(&attack, attacker.public(), &name), "a good signature, of somebody else");
        assert!(!xmlsec.verifies(&attack, owner.public(), &name));
        assert_eq!(xmlsec.believes(&attack), attacker.public().kind() == KeyKind::Rsa);
    }
}

/// A Signature to be filled in, with whatever is to stand in KeyInfo beside the name.
fn template(method: SignatureMethod, digest: DigestMethod, form: Kind, key: &str) -> String {
    let form = form.uri();
    format!(
        "<ds:Signature xmlns:ds=\"{DSIG}\"><ds:SignedInfo>\n<ds:CanonicalizationMethod Algorithm=\"{form}\"/>\
         <ds:SignatureMethod Algorithm=\"{}\"/>\n<ds:Reference URI=\"\"><ds:Transforms>\
         <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>\
         <ds:Transform Algorithm=\"{form}\"/></ds:Transforms>\
         <ds:DigestMethod Algorithm=\"{}\"/><ds:DigestValue/></ds:Reference>\
         </ds:SignedInfo><ds:SignatureValue/><ds:KeyInfo><ds:KeyName>owner</ds:KeyName>{key}</ds:KeyInfo></ds:Signature>",
        method.uri(),
        digest.uri()
    )
}

/// A document in which this element was signed by `xmlsec1`, and where it stands.
fn signed_by_xmlsec(xmlsec: &Xmlsec, document: &Validated, scope: Span, key: &PrivateKey, template: &str) -> Signed {
    let signed = xmlsec.signs(&with_template(&extracted(text(document), scope), template), key);
    let whole = format!("{}{signed}{}", &text(document)[..scope.start], &text(document)[scope.end..]);
    let document = Validated::new(whole.into(), &Limits::default()).unwrap();
    Signed { document, scope: Span { start: scope.start, end: scope.start + signed.len() } }
}

struct Signed {
    document: Validated,
    scope: Span,
}

impl Signed {
    fn fact(&self) -> &SignatureFact {
        let [fact] = self.document.signatures() else { panic!("{:?}", self.document.signatures()) };
        assert_eq!(fact.covers, self.scope);
        fact
    }

    /// Whether it is this key's, which is called `owner`.
    fn is_by(&self, key: &PrivateKey) -> Result<(), Refusal> {
        let named = |name: &str| (name == "owner").then(|| key.public().clone());
        let fact = self.fact();
        let found = verify(text(&self.document), fact.covers, fact.span, &named, &Limits::default())?;
        assert_eq!(found.key, key.public().fingerprint());
        Ok(())
    }
}

// S17: what other programs sign is taken as `ds:Signature` in its place.
#[test]
fn c8_3_what_xmlsec_signs_verifies_here() {
    let (keys, xmlsec) = (Keys::new(), Xmlsec::new());
    let mut counts = Counts::default();
    for (number, document) in messages().iter().enumerate() {
        for (index, scope) in signable(document).into_iter().enumerate().filter(|(_, at)| !is_empty(document, *at)) {
            let (key, wrong) = keys.pair(number + index);
            let digest = DIGESTS[(number + index) / 3 % 3];
            let method = match key.public().kind() {
                KeyKind::Rsa => SignatureMethod::RsaPkcs1(digest),
                _ => SignatureMethod::Ecdsa(digest),
            };
            let form = FORMS[(number / 2 + index) % 3];
            let signed = signed_by_xmlsec(&xmlsec, document, scope, key, &template(method, digest, form, ""));
            assert_eq!(signed.fact().state, SignatureState::KeyUnknown("owner".to_owned()));
            assert_eq!(signed.is_by(key), Ok(()), "{}", text(&signed.document));
            assert_eq!(signed.is_by(wrong), Err(Refusal::SignatureMismatch), "with another key of the kind");
            counts.scope(document, scope, method, form);
        }
        counts.message(document);
    }
    println!("signed by xmlsec1, verified here: {counts:#?}");
    counts.check(49, 315);
    assert_eq!(counts.methods.len(), 6, "RSA and ECDSA, each with each digest");
}

/// A key that comes along is found to be the key that has signed, and never the one by whose name it is called.
#[test]
fn c8_3_an_inline_key_of_xmlsec_is_not_its_owners() {
    let (keys, xmlsec) = (Keys::new(), Xmlsec::new());
    let document = &messages()[1];
    let (owner, attacker) = keys.pair(0);
    let (method, inline) = (attacker.usual_method(), "<ds:KeyValue/>");
    let template = template(method, DigestMethod::Sha256, Kind::Exclusive, inline);
    let signed = signed_by_xmlsec(&xmlsec, document, signable(document)[0], attacker, &template);
    assert!(text(&signed.document).contains("<ds:KeyName>owner</ds:KeyName>"));
    assert_eq!(owner_of(signed.fact()), attacker.public().fingerprint().to_string());
    let (fact, named) = (signed.fact(), |_: &str| Some(owner.public().clone()));
    let found = verify(text(&signed.document), fact.covers, fact.span, &named, &Limits::default()).unwrap();
    assert_ne!(found.key, owner.public().fingerprint());
}
