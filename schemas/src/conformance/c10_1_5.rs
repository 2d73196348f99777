//! Clauses 10.1.5 and 10.1.6: replies.

use super::{
    PID, REQUEST, check_refused, core, core_reply, example, good, good_example, reply_of, with_message, with_reply,
};
use crate::core::{ReplyPayload, ReplyStatus, Root};
use crate::guid::{Cid, MessageId};

const STATUS: &str = "<v:ReplyStatus>Succeeded</v:ReplyStatus>";
const CID: &str = "<m:CID>#h02</m:CID>";

// R-10.1.5-3
#[test]
fn c10_1_5_a_reply_holds_nested_replies_or_a_reply() {
    let Root::Reply(core) = good_example("valid/14-reply-bundle.xml").root else { panic!("a message") };
    assert!(matches!(core.payload, ReplyPayload::Bundle(cores) if cores.len() == 2));
    let Root::Reply(core) = good_example("invalid/i09-two-replies.xml").root else { panic!("a message") };
    assert!(matches!(core.payload, ReplyPayload::Replies(replies) if replies.len() == 2));
    let reply = format!("<v:Reply>{CID}{STATUS}</v:Reply>");
    let nested = core_reply(PID, &reply);
    check_refused(core_reply(PID, &format!("{nested}{reply}")), "10.1.5", "mixture");
    check_refused(core_reply(PID, &format!("{reply}{nested}")), "10.1.5", "mixture");
    check_refused(core_reply(PID, ""), "10.1.5", "empty");
}

// R-10.1.5-5
#[test]
fn c10_1_5_messages_and_replies_never_share_a_document() {
    assert_eq!(example("invalid/i17-reply-in-message.xml").unwrap_err().error.clause, "10.1.5");
    let reply = core_reply(PID, &format!("<v:Reply>{CID}{STATUS}</v:Reply>"));
    check_refused(with_message(&reply), "10.1.5", "message and reply");
    check_refused(core_reply(PID, REQUEST), "10.1.5", "message and reply");
    check_refused(core_reply(PID, &core(PID, REQUEST)), "10.1.5", "message and reply");
}

// R-10.1.6-1
#[test]
fn c10_1_6_the_cid_of_a_reply_is_the_requests_or_the_pids() {
    for (text, value) in [("#h02", 2), ("#h00000001", 1)] {
        for element in ["m:CID", "v:CID"] {
            let document = good(with_reply(&format!("<{element}>{text}</{element}>{STATUS}")));
            assert_eq!(reply_of(&document).cid.value, Cid(value));
        }
    }
    check_refused(with_reply(STATUS), "10.1.6", "CID is missing");
}

// R-10.1.6-3
#[test]
fn c10_1_6_reply_id_is_matched_by_value() {
    let with_id = |id| good(with_reply(&format!("{CID}<m:Reply_ID>{id}</m:Reply_ID>{STATUS}")));
    let (short, long) = (with_id("#h0102"), with_id("00000000-0000-0000-0000-000000000102"));
    let id = |document| reply_of(document).reply_id.clone().unwrap();
    assert_eq!(id(&short).value, id(&long).value);
    assert_eq!((&*id(&short).text, id(&short).value), ("#h0102", MessageId(0x102)));
    assert!(reply_of(&good(with_reply(&format!("{CID}{STATUS}")))).reply_id.is_none());
}

// R-10.1.6-5
#[test]
fn c10_1_6_a_foreign_status_is_kept_and_is_no_success() {
    let foreign =
        "<o:Reply xmlns:o='urn:o'><m:CID>#h77</m:CID><o:State>Queued</o:State><o:Data><o:x/></o:Data></o:Reply>";
    let document = good(core_reply(PID, foreign));
    assert_eq!(reply_of(&document).status, ReplyStatus::Other("Queued".into()));
    check_refused(with_reply(CID), "10.1.6", "ReplyStatus is missing");
}

// R-10.1.6-7
#[test]
fn c10_1_6_reply_data_is_a_version_info() {
    for file in ["valid/13-reply-data-xsi-type.xml", "invalid/i11-reply-data-untyped.xml"] {
        let document = good_example(file);
        let data = reply_of(&document).data.as_ref().unwrap();
        assert_eq!(data.product_name.as_deref(), Some("Quill Editor"), "{file}");
    }
    let with_data = |data: &str| good(with_reply(&format!("{CID}{STATUS}{data}")));
    assert!(reply_of(&with_data("<v:Reply_Data/>")).data.is_none());
    assert!(reply_of(&with_data("<o:Result xmlns:o='urn:o'><o:x/></o:Result>")).data.is_none());
}

// R-10.1.6-9
#[test]
fn c10_1_6_abstract_reply_is_not_abstract() {
    let document = good_example("valid/12-reply-handler-not-available.xml");
    assert_eq!(reply_of(&document).status, ReplyStatus::HandlerNotAvailable);
    let document = good(core_reply(
        PID,
        &format!("<m:AbstractReply>{CID}<m:AbstractReplyString>Failed</m:AbstractReplyString></m:AbstractReply>"),
    ));
    assert_eq!(reply_of(&document).status, ReplyStatus::Failed);
}
