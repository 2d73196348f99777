//! Clause 10.2: the version message set.

use super::{
    check_refused, container_of, core_reply, example, good, good_example, messages_of, read, reply_of,
    version_message_of, with_container, with_data, with_message,
};
use crate::core::{Message, ReplyStatus};
use crate::guid::Cid;
use crate::version::{Major, MessageData, Minor, VersionInfo};

fn message(heads: &str) -> String {
    with_message(&format!("<v:Message><v:CID>#h02</v:CID>{heads}</v:Message>"))
}

fn infos(data: &str) -> Vec<VersionInfo> {
    version_message_of(&good(with_data(data))).data.infos().to_vec()
}

fn version_info_with(content: &str) -> VersionInfo {
    infos(&format!("<v:Version_Info>{content}</v:Version_Info>")).remove(0)
}

fn info(version: &str) -> String {
    format!("<v:Info><v:Container><v:Version>{version}</v:Version></v:Container></v:Info>")
}

// R-7-3: what a version looks like is its vendor's affair.
#[test]
fn c7_versions_are_kept_verbatim() {
    for version in ["v1", "1.0-beta²", "Ⅳ", "2008 R2", "007.08", " 1.0 ", ""] {
        let document = good(with_container(&format!("<v:Version>{version}</v:Version>")));
        assert_eq!(container_of(&document).version, version);
        let written = crate::write::message(
            crate::names::Spelling::Double,
            &crate::write::HeaderFields::default(),
            &[crate::write::MessageDraft {
                major: Major::Deliver,
                minor: None,
                data: Some(version_message_of(&document).data.infos()),
            }],
        );
        let again = good(String::from_utf8(written.to_vec()).unwrap());
        assert_eq!(container_of(&again).version, version);
    }
}

// R-10.2.1-2 (reading), S8, S20: any CID is read; another set's data is known as such.
#[test]
fn c10_2_1_another_cid_is_read_and_foreign_data_is_seen() {
    let document = good_example("semantic/s1-wrong-cid.xml");
    assert_eq!(version_message_of(&document).cid.value, Cid(3));
    let document = good_example("semantic/s6-foreign-cid.xml");
    assert!(matches!(version_message_of(&document).data, MessageData::Foreign(_)));
    let heads = "<v:Major_Message>Deliver</v:Major_Message>";
    for data in [
        "<o:Message_Data xmlns:o='urn:o'>text<o:x/></o:Message_Data>",
        "<o:Report xmlns:o='urn:o'/>",
        "<v:Message_Data><o:Item xmlns:o='urn:o'/></v:Message_Data>",
    ] {
        let read = read(message(&format!("{heads}{data}"))).unwrap();
        let MessageData::Foreign(span) = version_message_of(read.document()).data else { panic!("{data}") };
        assert_eq!(read.slice(span), data);
    }
}

// R-10.2.1-3
#[test]
fn c10_2_1_uuid_may_be_absent() {
    assert!(version_message_of(&good_example("semantic/s2-no-uuid.xml")).uuid.is_none());
    check_refused(message("<v:UUID>?</v:UUID><v:Major_Message>Request</v:Major_Message>"), "10.2.1", "UUID");
}

// R-10.2.1-4
#[test]
fn c10_2_1_major_is_one_of_four() {
    for (text, major) in [
        ("Register", Major::Register),
        (" Request\n", Major::Request),
        ("Deliver", Major::Deliver),
        ("Analyse", Major::Analyse),
        ("Analyze", Major::Analyse),
        ("Dance", Major::Other("Dance".into())),
        ("register", Major::Other("register".into())),
    ] {
        let document = good(message(&format!("<v:Major_Message>{text}</v:Major_Message>")));
        assert_eq!(version_message_of(&document).major, major);
    }
    let written =
        [Major::Register, Major::Request, Major::Deliver, Major::Analyse].map(|major| major.as_str().to_owned());
    assert_eq!(written, ["Register", "Request", "Deliver", "Analyse"]);
}

fn minor_of(element: &str) -> Option<Minor> {
    let document = good(message(&format!("<v:Major_Message>Request</v:Major_Message>{element}")));
    version_message_of(&document).minor.clone()
}

// R-10.2.1-9
#[test]
fn c10_2_1_minor_is_one_of_three() {
    for (text, minor) in [
        ("Full", Minor::Full),
        (" Catalog ", Minor::Catalog),
        ("End", Minor::End),
        ("Encore", Minor::Other("Encore".into())),
    ] {
        assert_eq!(minor_of(&format!("<v:Minor_Message>{text}</v:Minor_Message>")), Some(minor.clone()));
        assert_eq!(minor.as_str(), text.trim());
    }
}

// R-10.2.1-13
#[test]
fn c10_2_1_null_is_no_minor() {
    for element in ["", "<v:Minor_Message/>", "<v:Minor_Message> null </v:Minor_Message>"] {
        assert_eq!(minor_of(element), None, "{element}");
    }
    for file in ["valid/01-register-null.xml", "invalid/i05-minor-null-literal.xml"] {
        let document = good_example(file);
        let message = version_message_of(&document);
        assert_eq!((&message.major, &message.minor), (&Major::Register, &None));
    }
}

// R-10.2.1-7
#[test]
fn c10_2_1_a_deliver_carries_several_items() {
    let two = format!("<v:Version_Info>{}{}</v:Version_Info>", info("1"), info("2"));
    let read = infos(&format!("{two}<v:Version_Info>{}</v:Version_Info>", info("3")));
    let versions: Vec<&str> =
        read.iter().flat_map(|version| &version.info).map(|info| &*info.container.version).collect();
    assert_eq!(versions, ["1", "2", "3"]);
}

// R-10.2.1-16, R-10.2.4-6, and of R-10.1.2-8, R-10.2.3-7, R-10.2.5-10 what is read: each signature with its scope.
#[test]
fn c10_2_signatures_are_found_with_their_scope() {
    let read = example("valid/16-signed-deliver.xml").unwrap();
    let message = version_message_of(read.document());
    let version = &message.data.infos()[0];
    let info = &version.info[0];
    let scopes: Vec<_> = read.signatures().iter().map(|fact| fact.covers).collect();
    let expected =
        [super::message_of(read.document()).span, message.span, version.span, info.span, info.container.span];
    assert_eq!(scopes, expected);
    for fact in read.signatures() {
        let (signature, scope) = (read.slice(fact.span), read.slice(fact.covers));
        assert!(signature.starts_with(b"<") && signature.ends_with(b":Signature>"));
        assert!(scope.len() > signature.len() && fact.covers.range().contains(&fact.span.start));
        assert!(matches!(fact.state, crate::facts::SignatureState::KeyUnknown(_)), "{fact:?}");
    }
}

// R-10.2.2-1
#[test]
fn c10_2_2_message_data_may_be_empty() {
    assert!(infos("").is_empty());
    assert!(matches!(version_message_of(&good(with_data(" "))).data, MessageData::Version { .. }));
}

// R-10.2.3-1, R-10.2.3-2
#[test]
fn c10_2_3_the_product_is_the_top_level_one_in_components_too() {
    let document = good_example("valid/01-register-null.xml");
    let asset = &version_message_of(&document).data.infos()[0];
    let components = &asset.info[0].container.contained_versions[0];
    for version in [asset, components] {
        assert_eq!(version.product_name.as_deref(), Some("Quill Editor"));
        assert_eq!(version.product_version.as_deref(), Some("4.1.0"));
    }
    assert_eq!(components.info[0].source.as_deref(), Some("Zed Compression Project"));
}

// R-10.2.3-4
#[test]
fn c10_2_3_info_stands_any_number_of_times() {
    for count in [0, 1, 5] {
        assert_eq!(version_info_with(&info("1").repeat(count)).info.len(), count);
    }
}

#[test]
fn c10_2_3_the_order_of_the_schema_is_kept() {
    for content in [
        "<v:Company/><v:Product_Name/>",
        "<v:Product_Name/><v:Product_Name/>",
        "<v:Signature/><v:Company/>",
        "text",
        "<v:Novel/>",
    ] {
        let text = with_data(&format!("<v:Version_Info>{content}</v:Version_Info>"));
        assert!(matches!(super::refused(text).clause, "10.2.3" | "11"), "{content}");
    }
}

// R-10.2.4-3
#[test]
fn c10_2_4_a_date_is_any_text() {
    for date in ["2026-01-14", "14 Jan"] {
        let info = format!("<v:Info><v:Date>{date}</v:Date><v:Container><v:Version/></v:Container></v:Info>");
        assert_eq!(version_info_with(&info).info[0].date.as_deref(), Some(date));
    }
}

// R-10.2.4-4, R-10.2.5-8
#[test]
fn c10_2_4_a_description_is_text_or_html_or_a_reference() {
    let document = good_example("erratum/e1-description-text.xml");
    let info = &version_message_of(&document).data.infos()[0].info[0];
    let text =
        |description: &Option<crate::core::Description>| description.clone().unwrap().text.map(|text| text.to_string());
    assert_eq!(text(&info.description).as_deref(), Some("Heap overflow in libzed before 1.2.13."));
    let of_container = info.container.description.clone().unwrap();
    assert_eq!(of_container.reference.as_deref(), Some("https://provider1.example/x"));
    assert_eq!(of_container.text.as_deref(), Some("<p>Heap overflow in <b>libzed</b>.</p>"));
    let document = good_example("valid/06-deliver-information-only.xml");
    let info = &version_message_of(&document).data.infos()[0].info[0];
    assert!(info.description.clone().unwrap().reference.is_some());
    let markup = "a <p xmlns='http://www.w3.org/1999/xhtml'>b &amp; <br/></p> c";
    let document = good(with_container(&format!("<v:Version/><v:Description>{markup}</v:Description>")));
    assert_eq!(text(&container_of(&document).description).as_deref(), Some(markup));
}

// R-10.2.4-5, R-10.2.5-9
#[test]
fn c10_2_4_pure_information_has_a_container_and_no_code() {
    let document = good_example("valid/06-deliver-information-only.xml");
    assert!(container_of(&document).code.is_none());
    check_refused(with_data("<v:Version_Info><v:Info><v:ID>x</v:ID></v:Info></v:Version_Info>"), "10.2.4", "Container");
}

// R-10.2.10-6
#[test]
fn c10_2_10_a_status_is_read_in_the_proses_spelling() {
    let document = good_example("invalid/i10-status-spelling.xml");
    assert_eq!(reply_of(&document).status, ReplyStatus::MajorNotSupported);
    let reply = |status: &str| {
        let status = format!("<v:ReplyStatus>{status}</v:ReplyStatus>");
        core_reply(super::PID, &format!("<v:Reply><m:CID>#h02</m:CID>{status}</v:Reply>"))
    };
    assert_eq!(reply_of(&good(reply(" handler NOT available "))).status, ReplyStatus::HandlerNotAvailable);
    assert_eq!(ReplyStatus::MajorNotSupported.as_str(), "Major Message Not Supported");
}

#[test]
fn version_messages_stand_beside_opaque_ones() {
    let document = good_example("valid/18-second-message-set.xml");
    let [Message::Opaque(opaque), Message::Version(_)] = messages_of(&document) else { panic!("another order") };
    assert_eq!(opaque.major.as_deref(), Some("Deliver"));
}
