//! Answers to pushes that say nothing but Succeeded: what they say follows from what was pushed.

use schemas::core::{MessageCore, Part, Payload, Root};

use super::*;
use crate::answer::Answer;
use crate::bundle::{self, Outer};

const MESSAGE_ID: MessageId = MessageId(77);
const SENT_TIME: &str = "2026-06-09T09:05:42.912Z";

fn pushed(items: &[Bytes]) -> Validated {
    let outer = Outer { server: ServerGuid(2), client: None, message_id: MessageId(9), sent_time: SENT_TIME };
    let document = bundle::document(Spelling::Double, &outer, items.iter().cloned()).concat();
    Validated::new(document.into(), &Limits::default()).expect("a bundle")
}

fn answer(delivery: &Validated) -> Answer {
    let mut bench = Bench::synchronised();
    let intake = Box::new(Intake::of(delivery).expect("a message"));
    bench.handle(Event::Delivery { via: Via::Lane(Position(6)), intake });
    let answer = bench.actions.into_iter().find_map(|action| match action {
        Action::Answer { answer, .. } => Some(answer),
        _ => None,
    });
    answer.expect("an answer")
}

/// What `docs/protocol.md` says that a short reply stands for, in the namespaces of the delivery.
fn stands_for(delivery: &Validated) -> String {
    let Root::Message(core) = &delivery.document().root else { panic!("a message") };
    let header = format!("<m:Message_ID>{MESSAGE_ID}</m:Message_ID><m:Sent_Time>{SENT_TIME}</m:Sent_Time>");
    reply(core, &header)
}

fn reply(core: &MessageCore, more_header: &str) -> String {
    let header = &core.header;
    let server = header.server_guid.as_ref().map(|guid| format!("<m:Server_GUID>{}</m:Server_GUID>", guid.value));
    let client = header.client_guid.as_ref().map(|guid| format!("<m:Client_GUID>{}</m:Client_GUID>", guid.value));
    let ends = format!("{}{}", server.unwrap_or_default(), client.unwrap_or_default());
    let wrap = |payload: &str, more: &str| {
        format!(
            "<m:Message_Core_Reply xmlns:m=\"{}\" xmlns:v=\"{}\"><m:Header><m:PID>{}</m:PID>{ends}{more}</m:Header>\
             <m:Payload>{payload}</m:Payload></m:Message_Core_Reply>",
            Spelling::Double.core(),
            Spelling::Double.version(),
            header.pid.value,
        )
    };
    let leaves: Vec<String> = match &core.payload {
        Payload::Bundle(parts) => {
            let part = |part: &Part| match part {
                Part::Good(core) => reply(core, ""),
                Part::Bad(part) => panic!("{}", part.error),
            };
            return wrap(&parts.iter().map(part).collect::<String>(), more_header);
        }
        Payload::Messages(messages) => {
            let id = header.message_id.as_ref().map(|id| format!("<m:Reply_ID>{}</m:Reply_ID>", id.text));
            let leaf = format!(
                "<v:Reply><m:CID>{}</m:CID><m:UUID>{}</m:UUID>{}<v:ReplyStatus>Succeeded</v:ReplyStatus></v:Reply>",
                schemas::guid::Cid::VERSION,
                schemas::guid::ModuleUuid::DISTRIBUTARY,
                id.unwrap_or_default(),
            );
            vec![leaf; messages.len()]
        }
    };
    match &leaves[..] {
        [leaf] => wrap(leaf, more_header),
        leaves => wrap(&leaves.iter().map(|leaf| wrap(leaf, "")).collect::<String>(), more_header),
    }
}

/// An item of two messages in one Payload.
fn pair() -> Bytes {
    let infos = [VersionInfo { info: vec![info("serde", "vers:cargo/<9")], ..VersionInfo::default() }];
    let draft = || MessageDraft { major: Major::Deliver, minor: Some(Minor::Full), data: Some(&infos) };
    let header = HeaderFields { client_guid: Some(ClientGuid(8)), ..HeaderFields::default() };
    write::message(Spelling::Double, &header, &[draft(), draft()])
}

#[test]
fn what_a_short_reply_stands_for_is_what_the_client_would_write() {
    for items in [vec![item("A-1", 1, "1.2.3")], vec![item("A-1", 1, "1.2.3"), pair(), item("A-2", 2, "9.9.9")]] {
        let delivery = pushed(&items);
        let answer = answer(&delivery);
        assert_eq!(answer.items_succeeded(), Some(items.len()));
        let rendered = answer.render(Spelling::Double, MESSAGE_ID, SENT_TIME);
        assert_eq!(String::from_utf8_lossy(&rendered), stands_for(&delivery));
    }
}

#[test]
fn one_item_that_is_not_taken_is_said_in_a_document() {
    let question = MessageDraft { major: Major::Request, minor: None, data: None };
    let strange = write::message(Spelling::Double, &HeaderFields::default(), &[question]);
    assert_eq!(answer(&pushed(&[item("A-1", 1, "1.2.3"), strange])).items_succeeded(), None);
}
