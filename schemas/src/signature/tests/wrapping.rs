//! Signed parts moved, doubled, split and wrapped: what is not signed never passes for signed.

use super::documents::{PREFIXED, STYLES, key, scopes, signed, signed_everywhere, text, validated};
use crate::core::{Message, MessageCore, Part, Payload, Root, Span};
use crate::facts::{SignatureState, Validated};
use crate::limits::Limits;
use crate::names::{CORE, Spelling, VERSION, XSI};
use crate::signature::canon::{self, Element, Kind, Method};
use crate::signature::places::Places;
use crate::signature::tree::Node;
use crate::signature::verify::signed_info;
use crate::signature::{KeyKind, Refusal, profile};
use crate::version::{Info, VersionInfo};

fn message() -> Validated {
    validated(PREFIXED.message(Spelling::Double))
}

/// The scopes by their order in the document.
const MESSAGE_CORE: usize = 0;
const MESSAGE: usize = 1;
const INFO: usize = 3;
const CONTAINER: usize = 4;

fn signed_at(index: usize) -> Validated {
    let document = message();
    signed(&document, scopes(&document)[index], KeyKind::P256)
}

/// The bytes of the one signed scope.
fn scope_of(document: &Validated) -> String {
    let [fact] = document.signatures() else { panic!("{:?}", document.signatures()) };
    text(document)[fact.covers.range()].to_owned()
}

fn codes(document: &Validated) -> Vec<&'static str> {
    let code = |state: &SignatureState| match state {
        SignatureState::Valid(_) => "valid",
        SignatureState::Refused(refusal) => refusal.code(),
        SignatureState::KeyUnknown(_) => "key-unknown",
    };
    document.signatures().iter().map(|fact| code(&fact.state)).collect()
}

fn infos(document: &Validated) -> Vec<&Info> {
    fn of_core(core: &MessageCore) -> Vec<&VersionInfo> {
        match &core.payload {
            Payload::Bundle(parts) => parts
                .iter()
                .flat_map(|part| match part {
                    Part::Good(core) => of_core(core),
                    Part::Bad(_) => Vec::new(),
                })
                .collect(),
            Payload::Messages(messages) => messages
                .iter()
                .flat_map(|message| match message {
                    Message::Version(message) => message.data.infos(),
                    Message::Opaque(_) => &[],
                })
                .collect(),
        }
    }
    let Root::Message(core) = &document.document().root else { panic!("a reply") };
    of_core(core).into_iter().flat_map(|version| &version.info).collect()
}

/// Who signs the Info with this identifier: how many signatures cover it, and its Container.
fn signers(document: &Validated, id: &str) -> (usize, usize) {
    let info = infos(document).into_iter().find(|info| info.id.as_deref() == Some(id)).unwrap();
    (document.covering(info.span).count(), document.covering(info.container.span).count())
}

const EVIL: &str = "<v:Info><v:ID>evil</v:ID><v:Container><v:Version>6.6.6</v:Version></v:Container></v:Info>";

#[test]
fn c8_3_an_unsigned_info_beside_a_signed_one_is_not_signed() {
    let document = signed_at(INFO);
    let original = scope_of(&document);
    for beside in [format!("{EVIL}{original}"), format!("{original}{EVIL}")] {
        let attack = validated(text(&document).replace(&original, &beside));
        assert_eq!(codes(&attack), ["valid"]);
        assert_eq!((signers(&attack, "evil"), signers(&attack, "QSA-2026-003")), ((0, 0), (1, 1)));
    }
}

#[test]
fn c8_3_an_unsigned_container_around_a_signed_one_is_not_signed() {
    let document = signed_at(CONTAINER);
    let original = scope_of(&document);
    let inside = EVIL.replace(
        "</v:Version>",
        &format!(
            "</v:Version><v:Contained_Versions><v:Info><v:ID>inner</v:ID>{original}</v:Info></v:Contained_Versions>"
        ),
    );
    let whole = text(&document);
    let info = whole[..whole.find(&original).unwrap()].rfind("<v:Info>").unwrap();
    let end = whole.find(&original).unwrap() + original.len() + "</v:Info>".len();
    let attack = validated(format!("{}{inside}{}", &whole[..info], &whole[end..]));
    assert_eq!((codes(&attack), signers(&attack, "evil")), (vec!["valid"], (0, 0)));
    let inner = &infos(&attack)[0].container.contained_versions[0].info[0];
    assert_eq!(attack.covering(inner.container.span).count(), 1);
    assert_eq!(attack.covering(inner.span).count(), 0);
}

#[test]
fn c8_3_a_signature_moved_up_or_down_is_refused() {
    let document = signed_at(CONTAINER);
    let fact = &document.signatures()[0];
    let signature = text(&document)[fact.span.range()].to_owned();
    let without = text(&document).replace(&signature, "");
    let up = without.replacen(
        "</v:Info></v:Version_Info></v:Message_Data>",
        &format!("{signature}</v:Info></v:Version_Info></v:Message_Data>"),
        1,
    );
    assert_eq!(codes(&validated(up)), ["digest-mismatch"]);
    let down = without.replacen("</v:Container>", &format!("{signature}</v:Container>"), 1);
    assert_eq!(codes(&validated(down)), ["digest-mismatch"]);
}

#[test]
fn c8_3_a_signature_from_another_document_is_refused() {
    let (one, other) = (signed_at(MESSAGE), message());
    let other = validated(text(&other).replace("4.1.1", "6.6.6"));
    let other = signed(&other, scopes(&other)[MESSAGE], KeyKind::P256);
    let signature = |document: &Validated| text(document)[document.signatures()[0].span.range()].to_owned();
    let attack = validated(text(&one).replace(&signature(&one), &signature(&other)));
    assert_eq!(codes(&attack), ["digest-mismatch"]);
}

#[test]
fn c8_3_of_two_copies_only_the_unchanged_one_is_signed() {
    let document = signed_at(MESSAGE_CORE);
    let original = scope_of(&document);
    let changed = original.replace("4.1.1", "6.6.6").replace("QSA-2026-003", "evil");
    for copies in [format!("{original}{changed}"), format!("{changed}{original}")] {
        let bundle = format!(
            "<m:Message_Core xmlns:m=\"{CORE}\"><m:Header><m:PID>#h1</m:PID></m:Header><m:Payload>{copies}</m:Payload>\
             </m:Message_Core>"
        );
        let attack = validated(bundle);
        let mut found = codes(&attack);
        found.sort_unstable();
        assert_eq!(found, ["digest-mismatch", "valid"]);
        assert_eq!((signers(&attack, "evil"), signers(&attack, "QSA-2026-003")), ((0, 0), (1, 1)));
        let Root::Message(root) = &attack.document().root else { panic!("a reply") };
        assert_eq!(attack.covering(root.span).count() + attack.covering(root.header.span).count(), 0);
    }
}

#[test]
fn c8_3_a_second_signature_in_one_place_is_refused() {
    let document = signed_at(CONTAINER);
    let signature = &text(&document)[document.signatures()[0].span.range()];
    let twice = text(&document).replace(signature, &format!("{signature}{signature}"));
    assert!(Validated::new(twice.into(), &Limits::default()).is_err());
}

/// What is carried unread says nothing, and a bad part neither.
#[test]
fn c8_3_signed_parts_in_opaque_messages_and_bad_parts_prove_nothing() {
    let document = signed_at(MESSAGE_CORE);
    let original = scope_of(&document);
    let around = |payload: &str| {
        validated(format!(
            "<m:Message_Core xmlns:m=\"{CORE}\"><m:Header><m:PID>#h1</m:PID></m:Header><m:Payload>{payload}</m:Payload>\
             </m:Message_Core>"
        ))
    };
    let opaque = around(&format!("<o:Message xmlns:o='urn:o'><o:CID>#h77</o:CID>{original}</o:Message>"));
    let bad = around(&format!(
        "<m:Message_Core><m:Header><m:PID>#h1</m:PID></m:Header><m:Payload>{original}<x/></m:Payload></m:Message_Core>"
    ));
    for attack in [opaque, bad] {
        assert!(attack.signatures().is_empty());
        assert_eq!(attack.covering(Span { start: 0, end: attack.bytes().len() }).count(), 0);
    }
}

/// A Header that is not signed stays so around a message that is, and what is in a Signature is not covered by it.
#[test]
fn c8_3_only_what_is_in_the_covered_ranges_is_signed() {
    let document = signed_at(MESSAGE);
    let Root::Message(core) = &document.document().root else { panic!("a reply") };
    let fact = &document.signatures()[0];
    let inside = Span { start: fact.span.start + 1, end: fact.span.end - 1 };
    let across = Span { start: fact.covers.start, end: fact.span.start + 1 };
    let beyond = Span { start: fact.covers.start, end: fact.covers.end + 1 };
    for range in [core.header.span, core.span, core.payload_span, fact.span, inside, across, beyond, Span::default()] {
        assert_eq!(document.covering(range).count(), 0, "{range:?}");
    }
    assert_eq!(document.covering(fact.covers).count(), 1);
    for covered in fact.verified().unwrap().covered {
        assert_eq!(document.covering(covered).count(), 1);
    }
}

fn version_of(document: &Validated) -> String {
    infos(document)[0].container.version.to_string()
}

/// The canonical form does not show them, so the reader must not either.
#[test]
fn c8_3_comments_and_cdata_inside_signed_text_do_not_change_what_is_read() {
    let document = signed_at(CONTAINER);
    for split in ["4.1<!-- -->.1", "4<!--x-->.1<!--y-->.1", "<![CDATA[4.1]]>.1", "4.1<![CDATA[.1]]>", "4&#46;1.1"] {
        let attack = validated(text(&document).replace(">4.1.1<", &format!(">{split}<")));
        assert_eq!((codes(&attack), version_of(&attack).as_str()), (vec!["valid"], "4.1.1"), "{split}");
    }
    for changed in ["<!--4.1.1-->", "4.1<!-- .1 -->", "4.1<?x?>.1", "<![CDATA[4.1<!-- -->.1]]>", "4.1.1 "] {
        let attack = validated(text(&document).replace(">4.1.1<", &format!(">{changed}<")));
        assert_eq!(codes(&attack), ["digest-mismatch"], "{changed}");
    }
}

/// A description with markup is read as it stands, but for what no signature covers.
#[test]
fn c8_3_comments_inside_signed_markup_are_not_read() {
    let description = "<v:Description>Update <b>now</b>.<![CDATA[<!-- kept -->]]><?kept -- <!-- ?></v:Description>";
    let message = PREFIXED.message(Spelling::Double);
    let plain = "<v:Description ref='https://quill.example/a?b&#9;c'/>";
    let document = validated(message.replace(plain, description));
    let document = signed(&document, scopes(&document)[INFO], KeyKind::P256);
    let read = |document: &Validated| infos(document)[0].description.as_ref().and_then(|found| found.text.clone());
    let expected = read(&document).unwrap();
    assert!(expected.contains("<b>now</b>.<![CDATA[<!-- kept -->]]><?kept -- <!-- ?>"), "{expected}");
    for (from, to) in [
        (">now<", ">now<!-- or never --><"),
        ("Update <b>", "<!-- Do not -->Update <b>"),
        ("<?kept", "<!--<b>--><?kept"),
        ("</v:Description>", "<!-- Pay first. --></v:Description>"),
        ("<b>now", "<!--x--><b><!--y-->now<!--z-->"),
    ] {
        let attack = validated(text(&document).replace(from, to));
        assert_eq!((codes(&attack), read(&attack)), (vec!["valid"], Some(expected.clone())), "{to}");
    }
}

#[test]
fn c8_3_a_prefix_bound_to_something_else_is_refused() {
    for style in &STYLES {
        let document = validated(style.message(Spelling::Double));
        let all = signed_everywhere(&document);
        // The other spelling means the same to a reader, and is not what was signed.
        let head = text(&all).find("itu.int//").unwrap();
        let attack = validated(format!("{}itu.int/{}", &text(&all)[..head], &text(&all)[head + "itu.int//".len()..]));
        assert!(codes(&attack).contains(&"digest-mismatch"));
        assert_eq!(attack.covering(scopes(&attack).into_iter().next().unwrap()).count(), 0);
    }
    let document = signed_at(CONTAINER);
    let attack = text(&document).replace("<v:Version>4.1.1", "<v:Version xmlns:v='urn:evil'>4.1.1");
    let refused = Validated::new(attack.into(), &Limits::default()).unwrap_err();
    assert!(refused.error.to_string().contains("Container"), "{refused}");
}

fn form(text: &str, method: &Method) -> Result<String, Refusal> {
    let apex = Span { start: 0, end: text.len() };
    let element = Element { text, apex, context: &[], without: None, types_are_bound: true };
    let mut form = Vec::new();
    canon::element(&element, method, &Limits::default(), |piece| form.extend_from_slice(piece))?;
    Ok(String::from_utf8(form).unwrap())
}

// S18: a type whose prefix the form does not tell is no signed type.
#[test]
fn c8_3_a_type_whose_prefix_is_not_signed_is_refused() {
    let exclusive = Method::new(Kind::Exclusive);
    let typed = |inner: &str| format!("<a xmlns:i='{XSI}' xmlns:t='urn:t'>{inner}</a>");
    for refused in
        ["<b i:type='t:T'/>", "<b i:type=' t:T '/>", "<b><t:c/><d i:type='&#116;:T'/></b>", "<b i:type='u:T'/>"]
    {
        assert_eq!(form(&typed(refused), &exclusive), Err(Refusal::ValuePrefix), "{refused}");
    }
    let defaulted = "<b xmlns='urn:d'><t:c i:type='T'/></b>";
    assert!(form(&typed(defaulted), &exclusive).is_ok());
    let rebound = "<t:b><c xmlns:t='urn:u' i:type='t:T'/></t:b>";
    assert_eq!(form(&typed(rebound), &exclusive), Err(Refusal::ValuePrefix));
    for good in ["<t:b i:type='t:T'/>", "<t:b><c i:type='t:T'/></t:b>", "<b i:type='T'/>", "<b t:x='' i:type='t:T'/>"] {
        assert!(form(&typed(good), &exclusive).is_ok(), "{good}");
    }
    assert!(form(&typed("<b i:type='t:T'/>"), &exclusive.clone().with_prefixes("t")).is_ok());
    assert!(form(&typed("<b i:type='t:T'/>"), &Method::new(Kind::Inclusive10)).is_ok());
}

/// The one signature of a document made anew as somebody would who does not look at types.
fn signed_carelessly(text: String) -> String {
    let limits = Limits::default();
    let set = |text: &str, name: &str, value: &[u8]| {
        let (head, rest) = text.split_once(&format!("<ds:{name}>")).unwrap();
        let (_, tail) = rest.split_once("</").unwrap();
        format!("{head}<ds:{name}>{}</{tail}", crate::base64::encode(value))
    };
    let digest = |text: &str| {
        let fact = validated(text).signatures()[0].clone();
        let mut places = Places::new(text, &limits);
        let place = places.go_to(fact.span, fact.covers).unwrap();
        let (method, without) = (Method::new(Kind::Exclusive), Some(fact.span));
        let context = place.around_scope(&method);
        let element = Element { text, apex: fact.covers, context: &context, without, types_are_bound: false };
        let mut form = Vec::new();
        canon::element(&element, &method, &limits, |piece| form.extend_from_slice(piece)).unwrap();
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &form)
    };
    let text = set(&text, "DigestValue", digest(&text).as_ref());
    let fact = validated(text.as_str()).signatures()[0].clone();
    let mut places = Places::new(&text, &limits);
    let place = places.go_to(fact.span, fact.covers).unwrap();
    let node = Node::read(&text, fact.span, place.around_signature(), &limits).unwrap();
    let signed = profile::read(&node).unwrap();
    let key = key(KeyKind::P256);
    set(&text, "SignatureValue", &key.sign(signed.method, &signed_info(&place, &signed).unwrap()).unwrap())
}

// S18: the same values would go with any meaning of the prefix.
#[test]
fn c8_3_a_document_signed_without_listing_the_prefix_of_a_type_is_refused() {
    let typed = format!("xmlns:t='{VERSION}' i:type='t:");
    let document = validated(PREFIXED.reply(Spelling::Double).replace("i:type='v:", &typed));
    let listed = signed(&document, scopes(&document)[1], KeyKind::P256);
    assert_eq!(codes(&listed), ["valid"]);
    assert!(text(&listed).contains("PrefixList=\"t\""));
    let rebound = text(&listed).replace(&typed, "xmlns:t='urn:t' i:type='t:");
    assert_eq!(codes(&validated(rebound)), ["digest-mismatch"]);
    let list = "><ec:InclusiveNamespaces xmlns:ec=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"t\"/></ds:Transform>";
    let unlisted = text(&listed).replace(list, "/>");
    assert_eq!(codes(&validated(unlisted.as_str())), ["signature-mismatch"]);
    let careless = signed_carelessly(unlisted);
    assert_eq!(codes(&validated(careless.as_str())), ["value-prefix"]);
    let rebound = careless.replace(&typed, "xmlns:t='urn:t' i:type='t:");
    assert_eq!(codes(&validated(rebound)), ["value-prefix"]);
    // Where nothing hangs on a prefix, the careless are right.
    let plain = signed_at(MESSAGE);
    assert_eq!(codes(&validated(signed_carelessly(text(&plain).to_owned()))), ["valid"]);
}

/// Whoever signs anew says so: the key is his.
#[test]
fn c8_3_an_attackers_key_is_reported_as_his() {
    let document = signed_at(MESSAGE);
    let signature = text(&document)[document.signatures()[0].span.range()].to_owned();
    let changed = validated(text(&document).replace(&signature, "").replace("4.1.1", "6.6.6"));
    let attack = signed(&changed, scopes(&changed)[MESSAGE], KeyKind::Ed25519);
    let owner = key(KeyKind::P256).public().fingerprint();
    let found: Vec<_> = attack.covering(scopes(&attack)[MESSAGE]).map(|verified| verified.key).collect();
    assert_eq!(found, [key(KeyKind::Ed25519).public().fingerprint()]);
    assert!(!found.contains(&owner));
    // The owner's name beside the attacker's key says nothing, and his key beside the attacker's value is not enough.
    let named = text(&attack).replace(&found[0].to_string(), &owner.to_string());
    let named = validated(named);
    assert_eq!(named.covering(scopes(&named)[MESSAGE]).map(|verified| verified.key).collect::<Vec<_>>(), found);
    let (head, rest) = text(&attack).split_once("<ds:KeyInfo>").unwrap();
    let info = signature.split_once("<ds:KeyInfo>").unwrap().1.split_once("</ds:KeyInfo>").unwrap().0;
    let swapped = format!("{head}<ds:KeyInfo>{info}</ds:KeyInfo>{}", rest.split_once("</ds:KeyInfo>").unwrap().1);
    assert_eq!(codes(&validated(swapped)), ["key-method"]);
}
