//! Who is authorised, and who is not and why. Documents are signed here, wrapped, and read again as they would be.

use bytes::Bytes;
use schemas::core::{Message, Root, Span};
use schemas::facts::Validated;
use schemas::guid::MessageId;
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::signature::{KeyKind, Options, PrivateKey, sign, signable};
use schemas::version::{Container, Info, Major, Minor, VersionInfo};
use schemas::write::{self, HeaderFields, MessageDraft};

use super::*;
use crate::intake::Intake;

pub(crate) const NOW: Time = Time(1_700_000_000_000);

pub(crate) fn key() -> PrivateKey {
    PrivateKey::generate(KeyKind::Ed25519).expect("a key")
}

pub(crate) fn only(names: &[&str]) -> Names {
    Names::Only(names.iter().map(|name| (*name).to_owned()).collect())
}

/// A signer by key, for these sources.
pub(crate) fn signer(name: &str, key: &PrivateKey, sources: &[&str]) -> Signer {
    let proof = Proof::Key(key.public().fingerprint());
    let (sources, companies) = (only(sources), only(&[]));
    Signer { name: name.into(), proof, sources, companies, products: Names::Any, deliver: true }
}

pub(crate) fn trust(signers: &[Signer]) -> Trust {
    Trust { signers: Some(signers.to_vec()), unsigned: Unsigned::Pass }
}

pub(crate) fn validated(document: &Bytes) -> Validated {
    Validated::new(document.clone(), &Limits::default()).expect("a good document")
}

/// Where the messages of a document that is one part stand.
pub(crate) fn messages(facts: &Validated) -> Vec<Span> {
    let Root::Message(core) = &facts.document().root else { panic!("a message") };
    let schemas::core::Payload::Messages(messages) = &core.payload else { panic!("messages") };
    let span = |message: &Message| match message {
        Message::Version(message) => message.span,
        Message::Opaque(_) => panic!("of the version set"),
    };
    messages.iter().map(span).collect()
}

/// The document with a signature of the whole of one message.
fn sign_message(document: &Bytes, index: usize, key: &PrivateKey, options: &Options<'_>) -> Bytes {
    let facts = validated(document);
    let span = messages(&facts)[index];
    sign(&facts, span, key, options, &Limits::default()).expect("signed").bytes().clone()
}

/// The document with its first message signed.
pub(crate) fn signed(document: &Bytes, key: &PrivateKey) -> Bytes {
    sign_message(document, 0, key, &Options::default())
}

fn info(source: &str) -> VersionInfo {
    let container = Container { file_name: Some("serde".into()), version: "1.0".into(), ..Container::default() };
    let source = (!source.is_empty()).then(|| source.to_owned().into());
    VersionInfo { info: vec![Info { source, container, ..Info::default() }], ..VersionInfo::default() }
}

/// A Deliver with one message for each list.
fn deliver(messages: &[&[VersionInfo]]) -> Bytes {
    let header = HeaderFields { message_id: Some(MessageId(7)), ..HeaderFields::default() };
    let draft = |infos: &&'_ [VersionInfo]| infos.to_vec();
    let infos: Vec<Vec<VersionInfo>> = messages.iter().map(draft).collect();
    let drafts: Vec<MessageDraft<'_>> = infos
        .iter()
        .map(|infos| MessageDraft { major: Major::Deliver, minor: Some(Minor::Full), data: Some(infos) })
        .collect();
    write::message(Spelling::Double, &header, &drafts)
}

fn judge(trust: &Trust, document: &Bytes) -> Verdict {
    let intake = Intake::of(&validated(document)).expect("a message");
    let items = intake.items();
    let (_, item) = items[0].expect("an item");
    trust.judge(item.signing.as_deref(), NOW)
}

#[track_caller]
fn refused(verdict: &Verdict, label: &str) {
    let Verdict::Refused(reason) = verdict else { panic!("{verdict:?}") };
    assert_eq!(reason.label(), label, "{reason}");
}

#[test]
fn a_signer_is_authorised_for_what_it_may_speak_for() {
    let key = key();
    let trust = trust(&[signer("RustSec", &key, &["RustSec"])]);
    let good = signed(&deliver(&[&[info("RustSec")]]), &key);
    assert_eq!(judge(&trust, &good), Verdict::Authorised("RustSec".into()));
    refused(&judge(&trust, &signed(&deliver(&[&[info("Other")]]), &key)), "source");
    refused(&judge(&trust, &signed(&deliver(&[&[info("rustsec")]]), &key)), "source");
    refused(&judge(&trust, &signed(&deliver(&[&[info("RustSec"), info("Other")]]), &key)), "source");
    refused(&judge(&trust, &signed(&deliver(&[&[info("")]]), &key)), "names_nobody");
    assert_eq!(judge(&Trust::default(), &good), Verdict::Unchecked);
}

#[test]
fn names_are_looked_for_wherever_they_stand() {
    let key = key();
    let inner = VersionInfo { company: Some("Acme".into()), ..info("RustSec") };
    let mut outer = info("RustSec");
    outer.info[0].container.contained_versions = vec![inner];
    let document = signed(&deliver(&[&[outer]]), &key);
    let mut signer = signer("RustSec", &key, &["RustSec"]);
    refused(&judge(&trust(std::slice::from_ref(&signer)), &document), "company");
    signer.companies = only(&["Acme"]);
    assert!(judge(&trust(&[signer]), &document).passes());
}

#[test]
fn any_name_and_no_delivery_are_words_of_their_own() {
    let key = key();
    let document = signed(&deliver(&[&[info("")]]), &key);
    let any = Signer { sources: Names::Any, ..signer("ISIRT", &key, &[]) };
    assert!(judge(&trust(std::slice::from_ref(&any)), &document).passes());
    refused(&judge(&trust(&[Signer { deliver: false, ..any.clone() }]), &document), "may_not_deliver");
    let product = VersionInfo { product_name: Some("Quill".into()), ..info("X") };
    let document = signed(&deliver(&[&[product]]), &key);
    refused(&judge(&trust(&[Signer { products: only(&["Other"]), ..any }]), &document), "product");
}

// Else a signer for one product could speak about all by not saying which.
#[test]
fn what_names_no_product_is_for_those_who_may_speak_about_any() {
    let key = key();
    let quill = || VersionInfo { product_name: Some("Quill".into()), ..info("Acme") };
    let any = signer("Acme", &key, &["Acme"]);
    let some = Signer { products: only(&["Quill"]), ..any.clone() };
    let judge = |signer: &Signer, infos: &[VersionInfo]| {
        judge(&trust(std::slice::from_ref(signer)), &signed(&deliver(&[infos]), &key))
    };
    assert!(judge(&some, &[quill()]).passes());
    refused(&judge(&some, &[info("Acme")]), "product");
    refused(&judge(&some, &[quill(), info("Acme")]), "product");
    refused(&judge(&some, &[VersionInfo { product_name: Some(" ".into()), ..info("Acme") }]), "product");
    assert!(judge(&any, &[info("Acme")]).passes());
    // What stands inside is of the product at the top (10.2.3).
    let mut outer = quill();
    outer.info[0].container.contained_versions = vec![info("Acme")];
    assert!(judge(&some, &[outer]).passes());
    // And a name inside does not say of which product the whole is.
    let mut outer = info("Acme");
    outer.info[0].container.contained_versions = vec![quill()];
    refused(&judge(&some, &[outer]), "product");
}

#[test]
fn names_are_kept_within_a_bound_and_what_names_more_is_proved_by_nobody() {
    let key = key();
    let named = |count: usize| {
        let mut outer = info("RustSec");
        outer.info[0].container.contained_versions = (0..count).map(|number| info(&format!("S-{number}"))).collect();
        signed(&deliver(&[&[outer]]), &key)
    };
    let any = Signer { sources: Names::Any, ..signer("any", &key, &[]) };
    assert!(judge(&trust(std::slice::from_ref(&any)), &named(500)).passes());
    refused(&judge(&trust(&[any]), &named(5000)), "unproved");
}

// R-8.3-3: altered, wrapped and expired items are refused with the reason.
#[test]
fn c8_3_a_signature_over_a_sibling_proves_nothing_of_the_rest() {
    let key = key();
    let trust = trust(&[signer("RustSec", &key, &["RustSec"])]);
    let two = deliver(&[&[info("RustSec")], &[info("RustSec")]]);
    let half = sign_message(&two, 0, &key, &Options::default());
    refused(&judge(&trust, &half), "unproved");
    // Nor do two signatures side by side: that both belong together nobody has signed.
    let both = sign_message(&half, 1, &key, &Options::default());
    refused(&judge(&trust, &both), "unproved");
    // One Version_Info of two is signed: the other may be anybody's.
    let document = deliver(&[&[info("RustSec"), info("RustSec")]]);
    let facts = validated(&document);
    let inner = *signable(&facts).iter().find(|span| span.start > messages(&facts)[0].start).expect("a Version_Info");
    let part = sign(&facts, inner, &key, &Options::default(), &Limits::default()).expect("signed");
    refused(&judge(&trust, part.bytes()), "unproved");
}

// R-8.3-3: altered, wrapped and expired items are refused with the reason.
#[test]
fn c8_3_an_altered_item_is_refused_with_what_is_wrong() {
    let key = key();
    let trust = trust(&[signer("RustSec", &key, &["RustSec"])]);
    let good = signed(&deliver(&[&[info("RustSec")]]), &key);
    let altered = String::from_utf8(good.to_vec()).expect("text").replace(">1.0<", ">1.1<");
    refused(&judge(&trust, &altered.into()), "unproved");
}

#[test]
fn one_authorised_signature_of_two_is_enough() {
    let (own, other) = (key(), key());
    let inner = signed(&deliver(&[&[info("RustSec")]]), &other);
    let facts = validated(&inner);
    let Root::Message(core) = &facts.document().root else { panic!("a message") };
    let both = sign(&facts, core.span, &own, &Options::default(), &Limits::default()).expect("signed");
    assert!(judge(&trust(&[signer("RustSec", &own, &["RustSec"])]), both.bytes()).passes());
    assert!(judge(&trust(&[signer("RustSec", &other, &["RustSec"])]), both.bytes()).passes());
    refused(&judge(&trust(&[signer("RustSec", &key(), &["RustSec"])]), both.bytes()), "unknown_key");
}

#[test]
fn an_envelopes_signature_is_not_the_items() {
    let key = key();
    let item = deliver(&[&[info("RustSec")]]);
    let envelope = write::envelope(Spelling::Double, write::Kind::Message, &HeaderFields::default());
    let nested = Bytes::from([&envelope.head[..], &item, &envelope.tail].concat());
    let facts = validated(&nested);
    let Root::Message(core) = &facts.document().root else { panic!("a message") };
    let around = sign(&facts, core.span, &key, &Options::default(), &Limits::default()).expect("signed");
    let verdict = judge(&trust(&[signer("RustSec", &key, &["RustSec"])]), around.bytes());
    assert_eq!(verdict, Verdict::Unsigned);
}

#[test]
fn what_is_not_signed_takes_no_signed_items_place() {
    let key = key();
    let trust = trust(&[signer("RustSec", &key, &["RustSec"])]);
    let intake = Intake::of(&validated(&signed(&deliver(&[&[info("RustSec")]]), &key))).expect("a message");
    let signing = intake.items()[0].expect("an item").1.signing.clone();
    refused(&trust.judge_successor(None, signing.as_deref(), NOW), "downgrade");
    assert_eq!(trust.judge_successor(None, None, NOW), Verdict::Unsigned);
    let refusing = Trust { unsigned: Unsigned::Refuse, ..trust };
    refused(&refusing.judge(None, NOW), "unsigned");
}

// R-8.3-10: nor by somebody who may not speak for whom it spoke.
#[test]
fn c8_3_one_signer_does_not_take_the_place_of_another() {
    let (acme, beta) = (key(), key());
    let trust = trust(&[signer("Acme", &acme, &["Acme"]), signer("Beta", &beta, &["Acme", "Beta"])]);
    let signing = |source, key: &PrivateKey| {
        let intake = Intake::of(&validated(&signed(&deliver(&[&[info(source)]]), key))).expect("a message");
        intake.items()[0].expect("an item").1.signing.clone()
    };
    let (by_acme, by_beta) = (signing("Acme", &acme), signing("Beta", &beta));
    assert_eq!(trust.judge(by_acme.as_deref(), NOW), Verdict::Authorised("Acme".into()));
    refused(&trust.judge_successor(by_acme.as_deref(), by_beta.as_deref(), NOW), "source");
    assert_eq!(trust.judge_successor(by_beta.as_deref(), by_acme.as_deref(), NOW), Verdict::Authorised("Beta".into()));
}

fn issued(key: KeyId, from: u64, until: u64) -> Signing {
    let by = SignedBy { key: KeyId([1; 32]), issuers: vec![Issuer { key, from, until, between: 1 }] };
    Signing { by: vec![by], claims: Claims::default(), flaw: None }
}

// R-8.3-3: altered, wrapped and expired items are refused with the reason.
#[test]
fn c8_3_a_certificate_counts_while_it_and_its_authority_hold() {
    let authority = KeyId([9; 32]);
    let now = NOW.0 / 1000;
    let own = Authority { key: authority, from: now - 100, until: now + 100, between_max: None };
    let signer = Signer { proof: Proof::Authority(own), sources: Names::Any, ..signer("CA", &key(), &[]) };
    let trust = trust(std::slice::from_ref(&signer));
    assert!(trust.depends_on_time() && !Trust::default().depends_on_time());
    let judge = |signing: &Signing, at: u64| trust.judge(Some(signing), Time(at * 1000));
    let good = issued(authority, now - 10, now + 10);
    assert!(judge(&good, now).passes());
    refused(&judge(&good, now + 11), "expired");
    refused(&judge(&good, now - 11), "expired");
    refused(&judge(&issued(authority, 0, u64::MAX), now + 101), "expired");
    refused(&judge(&issued(KeyId([8; 32]), 0, u64::MAX), now), "unknown_key"); // One authority stands between, in what is judged here.
    let with = |between_max| Signer { proof: Proof::Authority(Authority { between_max, ..own }), ..signer.clone() };
    let judge = |between_max| super::tests::trust(&[with(between_max)]).judge(Some(&good), NOW);
    assert!(judge(Some(1)).passes());
    refused(&judge(Some(0)), "unknown_key");
}
