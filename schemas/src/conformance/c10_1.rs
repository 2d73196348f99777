//! Clauses 10.1.1 to 10.1.4: envelope, header, payload.

use super::{
    PID, REQUEST, check_refused, core, core_reply, example, good, good_example, message_of, messages_of, read, refused,
    version_message_of, with_message, with_reply,
};
use crate::core::{Message, Part, Payload, Root};
use crate::guid::{Cid, ClientGuid, MessageId, Pid, ServerGuid};
use crate::names::{CORE, VERSION};
use crate::part::self_contained;

const STATUS: &str = "<v:ReplyStatus>Succeeded</v:ReplyStatus>";
const CID: &str = "<m:CID>#h02</m:CID>";

/// The same header on a message and on a reply.
fn on_both_roots(header: &str) -> [String; 2] {
    [core(header, REQUEST), core_reply(header, &format!("<v:Reply>{CID}{STATUS}</v:Reply>"))]
}

fn header_of(text: String) -> crate::core::Header {
    match good(text).root {
        Root::Message(core) => core.header,
        Root::Reply(core) => core.header,
    }
}

// R-10.1.1-1
#[test]
fn c10_1_1_only_messages_stand_in_a_payload() {
    good(with_message(REQUEST));
    for element in ["<v:Version_Info/>", "<v:CID>#h02</v:CID>", "<m:Header/>", "<m:AbstractMessage/>", "<m:CID/>"] {
        assert!(matches!(refused(with_message(element)).clause, "10.1.1" | "10.1.4"), "{element}");
    }
}

// R-10.1.1-2
#[test]
fn c10_1_1_the_root_is_message_core_or_its_reply() {
    let bare = REQUEST.replacen("<v:Message>", &format!("<v:Message xmlns:v=\"{VERSION}\">"), 1);
    for text in [bare.as_str(), "<Message_Core/>", "<m:Message_Core xmlns:m='urn:other'/>"] {
        check_refused(text, "10.1.1", "root");
    }
    check_refused(format!("<m:Header xmlns:m=\"{CORE}\"/>"), "10.1.1", "root");
}

// R-10.1.1-3
#[test]
fn c10_1_1_exactly_one_header_and_first() {
    let header = format!("<m:Header>{PID}</m:Header>");
    let payload = format!("<m:Payload>{REQUEST}</m:Payload>");
    let check = |content: &str, words: &str| {
        let text = format!("<m:Message_Core xmlns:m=\"{CORE}\" xmlns:v=\"{VERSION}\">{content}</m:Message_Core>");
        check_refused(text, "10.1.1", words);
    };
    check(&payload, "place of the Header");
    check("", "Header is missing");
    check(&format!("{header}{header}{payload}"), "place of the Payload");
    check(&format!("{payload}{header}"), "place of the Header");
    check(&format!("{header}{payload}{header}"), "follows the Payload");
    check(&header, "Payload is missing");
    check(&format!("{header}{payload}{payload}"), "follows the Payload");
}

// R-10.1.1-4
#[test]
fn c10_1_1_a_payload_holds_one_or_more_messages() {
    assert_eq!(messages_of(&good_example("valid/07-upgrade-end-and-null.xml")).len(), 2);
    assert_eq!(messages_of(&good(with_message(REQUEST))).len(), 1);
}

// R-10.1.1-5
#[test]
fn c10_1_1_a_payload_is_neither_empty_nor_mixed() {
    assert_eq!(example("invalid/i01-empty-payload.xml").unwrap_err().error.clause, "10.1.1");
    assert_eq!(example("invalid/i02-mixed-payload.xml").unwrap_err().error.clause, "10.1.1");
    let nested = core(PID, REQUEST);
    check_refused(with_message(&format!("{nested}{REQUEST}")), "10.1.1", "mixture");
    check_refused(with_message(&format!("{REQUEST}{nested}")), "10.1.1", "mixture");
    check_refused(with_message("<!-- nothing -->"), "10.1.1", "empty");
}

// R-10.1.1-10 (reading): the good parts are there, and the bad one with what its answer needs.
#[test]
fn c10_1_1_a_bad_part_leaves_its_siblings_alone() {
    let good_part = core(&format!("{PID}<m:Message_ID>#h1</m:Message_ID>"), REQUEST);
    let faults = [
        core(&format!("{PID}<m:Message_ID>#hbad</m:Message_ID>"), "<v:Message/>"),
        core(&format!("{PID}<m:Message_ID>#hbad</m:Message_ID>"), "<v:Reply/>"),
        core(&format!("{PID}<m:Message_ID>#hbad</m:Message_ID>"), &format!("{}<v:x><v:y/></v:x>", core(PID, REQUEST))),
        "<m:Message_Core><m:Header><m:Message_ID>#hbad</m:Message_ID></m:Header><v:x/></m:Message_Core>".to_owned(),
    ];
    for fault in faults {
        let document = good(with_message(&format!("{}{fault}{}", good_part.repeat(4), good_part.repeat(5))));
        let Payload::Bundle(parts) = &message_of(&document).payload else { panic!("no bundle") };
        assert_eq!(parts.iter().filter(|part| matches!(part, Part::Good(_))).count(), 9);
        let Part::Bad(bad) = &parts[4] else { panic!("{fault} was accepted") };
        assert_eq!(bad.span.end - bad.span.start, fault.len());
        assert_eq!(bad.message_id.as_ref().map(|id| id.value), Some(MessageId(0xbad)));
        assert!(bad.span.range().contains(&bad.error.byte), "{}", bad.error);
    }
}

// R-10.1.1-10: a part without its own Message_ID is not answered under its neighbour's, nor under the outer one.
#[test]
fn c10_1_1_a_bad_part_has_no_message_id_but_its_own() {
    let sibling = core(&format!("{PID}<m:Message_ID>#h1</m:Message_ID>"), REQUEST);
    let outer = format!("{PID}<m:Message_ID>#h2</m:Message_ID>");
    let document = good(core(&outer, &format!("{sibling}<m:Message_Core/>")));
    let Payload::Bundle(parts) = &message_of(&document).payload else { panic!("no bundle") };
    assert!(matches!(&parts[1], Part::Bad(bad) if bad.message_id.is_none()), "{:?}", parts[1]);
}

// R-10.1.1-8 (reading): a part that leans on declarations outside it stands alone after intake, with the same meaning.
#[test]
fn c10_1_1_an_inner_part_reads_alone_after_intake() {
    let inner = format!("<m:Message_Core><m:Header>{PID}</m:Header><m:Payload>{REQUEST}</m:Payload></m:Message_Core>");
    let read = read(with_message(&inner)).unwrap();
    let Payload::Bundle(parts) = &message_of(read.document()).payload else { panic!("no bundle") };
    let Part::Good(part) = &parts[0] else { panic!("a bad part") };
    let alone = String::from_utf8(self_contained(&read, part).to_vec()).unwrap();
    assert_eq!(version_message_of(&good(alone.as_str())).major.as_str(), "Request");
    assert!(alone.starts_with(&format!("<m:Message_Core xmlns:m=\"{CORE}\" xmlns:v=\"{VERSION}\"><m:Header>")));
}

// R-10.1.2-1
#[test]
fn c10_1_2_pid_is_required_and_compared_by_value() {
    for text in ["#h1", "#h00000001", "#H0001", "00000000-0000-0000-0000-000000000001"] {
        for document in on_both_roots(&format!("<m:PID>{text}</m:PID>")) {
            assert_eq!(header_of(document).pid.value, Pid::X1206);
        }
    }
    assert_eq!(Pid::X1206.to_string(), "#h00000001");
    for document in on_both_roots("") {
        check_refused(document, "10.1.2", "PID is missing");
    }
}

// R-10.1.2-2 (reading): the header is read under any PID; nothing below it is taken for ours.
#[test]
fn c10_1_2_under_another_pid_only_the_header_is_read() {
    let header = "<m:PID>#h2</m:PID><m:Message_ID>#h7</m:Message_ID>";
    let document = good(core(header, "<v:Message><v:Novel/></v:Message><m:Message_Core/>"));
    assert_eq!(message_of(&document).header.pid.value, Pid(2));
    assert!(messages_of(&document).iter().all(|message| matches!(message, Message::Opaque(_))));
}

// R-10.1.2-9: the schema's order, or another if nothing is signed.
#[test]
fn c10_1_2_another_order_of_the_header_is_read_unsigned_only() {
    let document = good_example("invalid/i16-header-order.xml");
    assert!(message_of(&document).header.server_guid.is_some() && message_of(&document).header.client_guid.is_some());
    let disordered = format!("<m:Message_ID>#h1</m:Message_ID>{PID}");
    for document in on_both_roots(&disordered) {
        assert_eq!(header_of(document).message_id.map(|id| id.value), Some(MessageId(1)));
    }
    for document in on_both_roots(&format!("{disordered}<m:Signature/>")) {
        check_refused(document, "10.1.2", "signed Header");
    }
    for document in on_both_roots(&format!("{PID}<m:Message_ID>#h1</m:Message_ID><m:Signature/>")) {
        assert!(header_of(document).signature.is_some());
    }
}

// R-10.1.2-10, R-10.1.5-2: 128-bit values in every header field of both roots.
#[test]
fn c10_1_2_values_are_128_bits_wide_in_any_notation() {
    assert!(example("semantic/s3-bad-guids.xml").is_err());
    let document = good_example("semantic/s5-cid-notation.xml");
    assert_eq!(version_message_of(&document).cid.value, Cid::VERSION);
    let header = format!(
        "{PID}<m:Server_GUID> #hA </m:Server_GUID><m:Client_GUID>0000000000000000000000000000000b</m:Client_GUID>"
    );
    for document in on_both_roots(&header) {
        check_refused(document, "10.1.2", "Client_GUID");
    }
    let header = header.replace("0000000000000000000000000000000b", "{00000000-0000-0000-0000-00000000000B}");
    for document in on_both_roots(&header) {
        let header = header_of(document);
        assert_eq!(
            header.server_guid.map(|guid| (guid.value, guid.text.to_string())),
            Some((ServerGuid(10), "#hA".into()))
        );
        assert_eq!(header.client_guid.map(|guid| guid.value), Some(ClientGuid(11)));
    }
    for field in ["Server_GUID", "Client_GUID", "Message_ID"] {
        for bad in ["", "x", "#h", "#hg", "5f0c7a52"] {
            for document in on_both_roots(&format!("{PID}<m:{field}>{bad}</m:{field}>")) {
                check_refused(document, "10.1.2", field);
            }
        }
    }
}

// R-10.1.2-7, R-10.1.5-2: Sent_Time is an xs:dateTime on either root.
#[test]
fn c10_1_2_sent_time_is_a_date_and_time_on_both_roots() {
    let sent = |text: &str| on_both_roots(&format!("{PID}<m:Sent_Time>{text}</m:Sent_Time>"));
    for bad in ["yesterday", "", "2026-01-15", "09:30:00", "2026-01-15 09:30:00", "2026-02-30T09:30:00Z"] {
        for document in sent(bad) {
            check_refused(document, "10.1.2", "Sent_Time");
        }
    }
    for good in ["2026-01-15T09:30:00Z", "2026-01-15T09:30:00.25+09:00", " 2026-01-15T09:30:00 "] {
        for document in sent(good) {
            assert_eq!(header_of(document).sent_time.as_deref().map(str::trim), Some(good.trim()));
        }
    }
}

// R-10.1.2-11
#[test]
fn c10_1_2_no_header_field_is_repeated() {
    for field in [
        "<m:Client_GUID>#h1</m:Client_GUID>",
        "<m:Server_GUID>#h1</m:Server_GUID>",
        "<m:Message_ID>#h1</m:Message_ID>",
        "<m:Sent_Time>2026-01-15T09:30:00Z</m:Sent_Time>",
        "<m:Signature/>",
    ] {
        for document in on_both_roots(&format!("{PID}{field}{field}")) {
            check_refused(document, "10.1.2", "a second");
        }
    }
}

// R-9.3-5 with `guid`: zero names nobody.
#[test]
fn c9_3_the_guid_zero_is_reserved() {
    for field in ["Server_GUID", "Client_GUID"] {
        for document in on_both_roots(&format!("{PID}<m:{field}>#h0</m:{field}>")) {
            check_refused(document, "9.3", "reserved");
        }
    }
}

#[test]
fn c10_1_2_what_a_header_has_besides_is_without_meaning() {
    let extra = "<m:Priority>9</m:Priority><o:Hop xmlns:o='urn:o'><m:PID>#h9</m:PID></o:Hop>";
    for document in on_both_roots(&format!("{extra}{PID}{extra}")) {
        assert_eq!(header_of(document).pid.value, Pid::X1206);
    }
}

// R-10.1.3-1: prefixes mean nothing; the same message under others is the same.
#[test]
fn c10_1_3_prefixes_have_no_meaning() {
    let text = std::fs::read_to_string(super::data::examples().join("valid/04-deliver-full-binary-delta.xml")).unwrap();
    let other =
        text.replace("m:", "q:").replace("xmlns:m", "xmlns:q").replace("v:", "m:").replace("xmlns:v", "xmlns:m");
    assert_eq!(good(text.as_str()), good(other));
    let default = text.replace("<v:", "<").replace("</v:", "</").replace("xmlns:v", "xmlns");
    let (one, other) = (good(text), good(default));
    let fields = |document| {
        let message = version_message_of(document);
        (message.major.clone(), message.cid.value, message.data.infos()[0].product_name.clone())
    };
    assert_eq!(fields(&one), fields(&other));
}

// R-10.1.4-1
#[test]
fn c10_1_4_abstract_elements_are_refused_in_an_instance() {
    assert_eq!(example("invalid/i04-abstract-head.xml").unwrap_err().error.clause, "10.1.4");
    check_refused(with_message("<m:AbstractMessage/>"), "10.1.4", "abstract");
    for head in
        ["AbstractCID", "AbstractUUID", "AbstractMajor_Message", "AbstractMinor_Message", "AbstractMessage_Data"]
    {
        check_refused(with_message(&format!("<v:Message><m:{head}/></v:Message>")), "10.1.4", head);
    }
    check_refused(with_reply(&format!("{CID}<m:AbstractReplyStatus/>")), "10.1.4", "AbstractReplyStatus");
}

// R-10.1.4-2
#[test]
fn c10_1_4_cid_and_major_are_required() {
    let message = "<v:Message><v:Major_Message>Request</v:Major_Message></v:Message>";
    check_refused(with_message(message), "10.1.4", "CID is missing");
    check_refused(with_message("<v:Message><v:CID>#h02</v:CID></v:Message>"), "10.1.4", "Major_Message is missing");
}

// R-9.4-5 (reading): an unknown set's message is carried whole, whatever it holds.
#[test]
fn c9_4_a_message_of_another_set_is_opaque() {
    let foreign = "<o:Audit xmlns:o='urn:o'>text<o:CID>#h77</o:CID><o:UUID>none</o:UUID><o:x><o:CID>#h1</o:CID></o:x>\
                   <o:Major_Message> Audit </o:Major_Message><m:Message_Core/></o:Audit>";
    let read = read(with_message(foreign)).unwrap();
    let [Message::Opaque(message)] = messages_of(read.document()) else { panic!("not opaque") };
    assert_eq!((&*message.namespace, &*message.name), ("urn:o", "Audit"));
    assert_eq!(message.cid.as_ref().map(|cid| cid.value), Some(Cid(0x77)));
    assert_eq!((message.uuid.is_none(), message.major.as_deref()), (true, Some("Audit")));
    assert_eq!(read.slice(message.span), foreign);
    let document = good_example("valid/18-second-message-set.xml");
    assert!(matches!(messages_of(&document), [Message::Opaque(_), Message::Version(_)]));
}
