//! Clause 11: the schemas, their namespaces, what surrounds them.

use super::{
    PID, REQUEST, check_refused, container_of, core, core_reply, example, good, good_example, message_of, reply_of,
    version_message_of, with_container, with_message,
};
use crate::core::ReplyStatus;
use crate::error::ErrorKind;
use crate::names::{CORE, CORE_SINGLE, Spelling, VERSION, VERSION_SINGLE};
use crate::write::{self, HeaderFields, ReplyDraft, ReplyForm};

// R-11.1-2
#[test]
fn c11_1_elements_are_qualified_and_attributes_are_not() {
    assert_eq!(example("invalid/i19-unqualified.xml").unwrap_err().error.clause, "11.1");
    check_refused(with_container("<Version/>"), "11.1", "unqualified");
    let description = "<v:Version/><v:Description v:ref='x:1'/>";
    assert_eq!(container_of(&good(with_container(description))).description.clone().unwrap().reference, None);
}

// R-11.1-3
#[test]
fn c11_1_a_signature_stands_in_the_namespace_of_its_place_or_in_ds() {
    assert_eq!(example("valid/16-signed-deliver.xml").unwrap().signatures().len(), 5);
    let document = good_example("invalid/i12-ds-signature.xml");
    assert!(version_message_of(&document).signature.is_some());
    let wrong = "<v:Version/><m:Signature/>";
    check_refused(with_container(wrong), "10.2.5", "Signature");
    check_refused(with_message(&REQUEST.replace("</v:Message>", "<v:Signature/></v:Message>")), "10.2.1", "Signature");
}

/// The answer to an example, in the spelling it was read with.
fn answer(file: &str) -> String {
    let spelling = good_example(file).spelling;
    let draft = ReplyDraft {
        cid: "#h02",
        uuid: None,
        reply_id: None,
        status: ReplyStatus::Succeeded,
        description: None,
        form: ReplyForm::Version,
        data: None,
    };
    String::from_utf8(write::reply(spelling, &HeaderFields::default(), &draft).to_vec()).unwrap()
}

// R-11.1-4
#[test]
fn c11_1_every_spelling_of_the_namespaces_is_read_and_answered_in_kind() {
    let single = answer("invalid/i14-single-slash-namespace.xml");
    assert!(single.contains(&format!("\"{CORE_SINGLE}\"")) && single.contains(&format!("\"{VERSION_SINGLE}\"")));
    let canonical = answer("invalid/i15-ocr-namespace.xml");
    assert!(canonical.contains(&format!("\"{CORE}\"")) && canonical.contains(&format!("\"{VERSION}\"")));
    assert_eq!(good(single).spelling, Spelling::Single);
    assert_eq!(good(canonical).spelling, Spelling::Double);
}

// N7: spellings mixed in one document.
#[test]
fn c11_1_a_document_of_mixed_spellings_is_read() {
    let inner = core(PID, REQUEST).replace("itu.int//", "itu.int/");
    let document = good(with_message(&inner));
    assert_eq!(document.spelling, Spelling::Double);
    let crate::core::Payload::Bundle(parts) = &message_of(&document).payload else { panic!("no bundle") };
    assert!(matches!(parts[..], [crate::core::Part::Good(_)]));
}

// R-11.1-5 (reading): values keep their blanks, identifiers and enumerations lose theirs.
#[test]
fn c11_1_opaque_values_keep_their_blanks() {
    let document = good(with_container("<v:Package>\n deb</v:Package><v:Version> 1.0 </v:Version>"));
    assert_eq!(container_of(&document).version, " 1.0 ");
    assert_eq!(container_of(&document).package.as_deref(), Some("\n deb"));
}

const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

fn with_reply_data(data: &str) -> String {
    let status = "<m:CID>#h02</m:CID><v:ReplyStatus>Succeeded</v:ReplyStatus>";
    core_reply(PID, &format!("<v:Reply>{status}{data}</v:Reply>"))
}

// R-11.2-2: the type is a qualified name, resolved where it stands.
#[test]
fn c11_2_reply_data_is_typed_by_namespace_and_not_by_prefix() {
    let typed = |prefix: &str, name: &str, declarations: &str| {
        with_reply_data(&format!(
            "<v:Reply_Data xmlns:i='{XSI}' {declarations} i:type='{prefix}:{name}'><v:Company>c</v:Company></v:Reply_Data>"
        ))
    };
    let data = |text: String| reply_of(&good(text)).data.clone();
    let ours = format!("xmlns:q='{VERSION}'");
    assert!(data(typed("q", "Version_InfoType", &ours)).is_some());
    assert!(data(typed("v", "Version_InfoType", "")).is_some());
    assert!(data(typed("q", "Version_InfoType", "xmlns:q='urn:other'")).is_none());
    assert!(data(typed("v", "OtherType", "")).is_none());
    check_refused(typed("nowhere", "Version_InfoType", ""), "9.6.1", "prefix");
    let version = crate::version::VersionInfo { company: Some("c".into()), ..Default::default() };
    let draft = ReplyDraft {
        cid: "#h02",
        uuid: None,
        reply_id: None,
        status: ReplyStatus::Succeeded,
        description: None,
        form: ReplyForm::Version,
        data: Some(&version),
    };
    let written = write::reply(Spelling::Double, &HeaderFields::default(), &draft);
    let element = format!("<v:Reply_Data xmlns:xsi=\"{XSI}\" xmlns:v=\"{VERSION}\" xsi:type=\"v:Version_InfoType\">");
    assert!(String::from_utf8(written.to_vec()).unwrap().contains(&element));
}

// R-11.2-3: a hint changes nothing; this crate could not fetch it if it would.
#[test]
fn c11_2_schema_locations_are_ignored() {
    let hint = format!("xmlns:xsi='{XSI}' xsi:schemaLocation='{CORE} https://attacker.example/evil.xsd' ");
    let text = with_container("<v:Version>1</v:Version>");
    let hinted = text.replacen("<m:Message_Core ", &format!("<m:Message_Core {hint}"), 1);
    assert_eq!(container_of(&good(hinted)).version, container_of(&good(text)).version);
    let hinted = core(PID, "<v:Bogus/>").replacen("<m:Message_Core ", &format!("<m:Message_Core {hint}"), 1);
    assert!(matches!(super::refused(hinted).kind, ErrorKind::Grammar(_)));
}

// Schema-notes 6: a prefix that is not declared, wherever it is used.
#[test]
fn undeclared_prefixes_are_refused_everywhere() {
    for message in [
        "<q:Message/>".to_owned(),
        REQUEST.replace("<v:CID>", "<v:CID q:a=''>"),
        format!("<o:M xmlns:o='urn:o'><o:x xmlns:i='{XSI}' i:type='q:T'/></o:M>"),
        "<o:M xmlns:o='urn:o'><o:x xmlns:o=''/></o:M>".to_owned(),
        "<o:M xmlns:o='urn:o' xmlns:p='urn:o' o:a='' p:a=''/>".to_owned(),
        "<a:b:c xmlns:a='urn:a'/>".to_owned(),
        "<a:1 xmlns:a='urn:a'/>".to_owned(),
        "<a xmlns:xml='urn:a'/>".to_owned(),
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>".to_owned(),
        "<a><?b:c d?></a>".to_owned(),
    ] {
        assert!(matches!(super::refused(with_message(&message)).kind, ErrorKind::NotWellFormed(_)), "{message}");
    }
    good(with_message(
        "<o:M xmlns:o='urn:o' xml:lang='en'><x xmlns=''/><y xmlns:xml='http://www.w3.org/XML/1998/namespace'/></o:M>",
    ));
}
