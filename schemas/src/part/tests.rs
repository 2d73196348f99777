use proptest::prelude::*;

use super::*;
use crate::names::{CORE, VERSION, XSI};

const PID: &str = "<m:PID>#h1</m:PID>";
const REQUEST: &str = "<v:Message><v:CID>#h02</v:CID><v:Major_Message>Request</v:Major_Message></v:Message>";

fn validated(text: &str) -> Validated {
    Validated::new(Bytes::from(text.to_owned()), &Limits::default())
        .unwrap_or_else(|refused| panic!("{refused}\n{text}"))
}

/// All good parts of a document, outer before inner, the root first.
fn parts(core: &MessageCore) -> Vec<&MessageCore> {
    let mut all = vec![core];
    if let Payload::Bundle(inner) = &core.payload {
        all.extend(inner.iter().flat_map(|part| match part {
            Part::Good(core) => parts(core),
            Part::Bad(_) => Vec::new(),
        }));
    }
    all
}

fn root(document: &Validated) -> &MessageCore {
    match &document.document().root {
        Root::Message(core) => core,
        Root::Reply(_) => panic!("a reply"),
    }
}

/// What a part says, places and what belongs to the hop left out.
fn meaning(core: &MessageCore) -> String {
    let mut core = core.clone();
    if core.header.signature.is_none() {
        core.header.server_guid = None;
        core.header.client_guid = None;
    }
    let debug = format!("{core:?}");
    let mut pieces = debug.split("Span { start: ");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('}').map_or(piece, |(_, rest)| rest))
}

/// Every part reads alone, says the same, and its form no longer changes.
fn check(text: &str) -> usize {
    let document = validated(text);
    let all = parts(root(&document));
    for part in &all {
        let alone = self_contained(&document, part);
        let again = validated(std::str::from_utf8(&alone).unwrap());
        assert_eq!(meaning(root(&again)), meaning(part));
        assert_eq!(root(&again).span.range(), 0..alone.len());
        assert_eq!(self_contained(&again, root(&again)), alone);
    }
    all.len()
}

/// The intake form of the first nested part.
fn first_part(text: &str) -> String {
    let document = validated(text);
    let form = self_contained(&document, parts(root(&document))[1]);
    String::from_utf8(form.to_vec()).unwrap()
}

fn outer(declarations: &str, payload: &str) -> String {
    format!(
        "<m:Message_Core xmlns:m=\"{CORE}\" {declarations}><m:Header>{PID}</m:Header>\
         <m:Payload xmlns:v='{VERSION}'>{payload}</m:Payload></m:Message_Core>"
    )
}

#[test]
fn every_part_of_every_example_reads_alone_with_equal_meaning() {
    let mut count = 0;
    for folder in ["valid", "semantic", "erratum", "invalid"] {
        let path = format!("{}/testdata/examples/{folder}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(path).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            let Ok(document) = Validated::new(bytes.clone().into(), &Limits::default()) else { continue };
            if matches!(document.document().root, Root::Message(_)) {
                count += check(std::str::from_utf8(&bytes).unwrap());
            }
        }
    }
    assert!(count > 30, "{count}");
}

#[test]
fn used_declarations_are_added_in_the_order_of_prefixes() {
    let inner = format!(
        "<m:Message_Core><m:Header>{PID}</m:Header><m:Payload><o:M><o:x b:y=''/><plain i:type='t:T'/></o:M>{REQUEST}\
         </m:Payload></m:Message_Core>"
    );
    let declarations = format!(
        "xmlns='urn:default' xmlns:o='urn:o&amp;&quot;' xmlns:b='urn:b' xmlns:i='{XSI}' xmlns:t='urn:t' xmlns:unused='urn:u'"
    );
    let text = outer(&declarations, &inner);
    assert_eq!(check(&text), 2);
    let expected = format!(
        "<m:Message_Core xmlns=\"urn:default\" xmlns:b=\"urn:b\" xmlns:i=\"{XSI}\" xmlns:m=\"{CORE}\" \
         xmlns:o=\"urn:o&amp;&quot;\" xmlns:t=\"urn:t\" xmlns:v=\"{VERSION}\"><m:Header>"
    );
    assert!(first_part(&text).starts_with(&expected), "{}", first_part(&text));
}

#[test]
fn own_declarations_are_not_repeated() {
    let inner = format!(
        "<m:Message_Core xmlns:m='{CORE}'><m:Header>{PID}</m:Header><m:Payload><o:M xmlns:o='urn:inner'><o:x/></o:M>\
         <M xmlns=''/></m:Payload></m:Message_Core>"
    );
    let text = outer("xmlns:o='urn:outer' xmlns='urn:default'", &inner);
    assert_eq!(first_part(&text), inner);
    check(&text);
}

#[test]
fn a_declaration_that_ended_does_not_count() {
    let inner = format!(
        "<m:Message_Core><m:Header>{PID}</m:Header><m:Payload><o:M xmlns:o='urn:inner'/><o:M/></m:Payload></m:Message_Core>"
    );
    let text = outer("xmlns:o='urn:outer'", &inner);
    assert!(first_part(&text).contains("xmlns:o=\"urn:outer\""));
    check(&text);
}

#[test]
fn an_undone_default_namespace_is_not_inherited() {
    let inner =
        format!("<m:Message_Core><m:Header>{PID}</m:Header><m:Payload><M><x/></M></m:Payload></m:Message_Core>");
    let middle =
        format!("<m:Message_Core xmlns=''><m:Header>{PID}</m:Header><m:Payload>{inner}</m:Payload></m:Message_Core>");
    let text = outer("xmlns='urn:default'", &middle);
    assert_eq!(check(&text), 3);
    let document = validated(&text);
    let form = self_contained(&document, parts(root(&document))[2]);
    assert_eq!(form, inner.replacen("Core", &format!("Core xmlns:m=\"{CORE}\""), 1));
}

#[test]
fn the_guids_of_the_hop_are_cut_out_of_an_unsigned_header_only() {
    let guids = "<m:Client_GUID>#h2</m:Client_GUID><m:Message_ID>#h3</m:Message_ID><m:Server_GUID>#h1</m:Server_GUID>";
    let inner = |header: &str| {
        format!(
            "<m:Message_Core xmlns:m=\"{CORE}\" xmlns:v=\"{VERSION}\"><m:Header>{header}</m:Header>\
             <m:Payload>{REQUEST}</m:Payload></m:Message_Core>"
        )
    };
    let text = outer("", &inner(&format!("{PID}{guids}")));
    assert_eq!(first_part(&text), inner(&format!("{PID}<m:Message_ID>#h3</m:Message_ID>")));
    let signed =
        inner(&format!("{PID}<m:Server_GUID>#h1</m:Server_GUID><m:Client_GUID>#h2</m:Client_GUID><m:Signature/>"));
    assert_eq!(first_part(&outer("", &signed)), signed);
    // An inner part's header belongs to another hop and stays.
    let nested = outer("", &inner(&format!("{PID}{guids}")));
    assert_eq!(self_contained(&validated(&nested), root(&validated(&nested))), nested);
}

proptest! {
    // The form does not depend on what stands around the part.
    #[test]
    fn the_intake_form_is_the_same_in_every_envelope(
        siblings in 0_usize..4,
        blank in prop::sample::select(vec!["", " ", "\n\t", "<!-- c -->"]),
        depth in 1_usize..6,
    ) {
        let inner = format!("<m:Message_Core><m:Header>{PID}</m:Header><m:Payload>{REQUEST}</m:Payload></m:Message_Core>");
        let mut text = outer("", &format!("{blank}{inner}{blank}").repeat(siblings + 1));
        for _ in 1..depth {
            text = outer("xmlns:w='urn:w'", &text);
        }
        let document = validated(&text);
        let forms: Vec<Bytes> =
            parts(root(&document)).iter().skip(depth).map(|part| self_contained(&document, part)).collect();
        prop_assert_eq!(forms.len(), siblings + 1);
        let expected = inner.replacen("Core", &format!("Core xmlns:m=\"{CORE}\" xmlns:v=\"{VERSION}\""), 1);
        prop_assert!(forms.iter().all(|form| *form == expected.as_bytes()));
    }
}
