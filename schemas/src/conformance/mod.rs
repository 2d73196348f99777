//! Tests by clause: what the Recommendation, the example documents and other people's test suites say of documents.

mod attacks;
mod c10_1;
mod c10_1_5;
mod c10_2;
mod c10_2_5;
mod c11;
pub(crate) mod data;
mod expected;
mod hostile;
mod roundtrip;
mod xmlconf;

use bytes::Bytes;

use crate::core::{Document, Root};
use crate::error::{Error, Refused};
use crate::facts::Validated;
use crate::limits::Limits;
use crate::names::{CORE, VERSION};

/// Reads a document under the default limits.
fn read(text: impl Into<String>) -> Result<Validated, Refused> {
    Validated::new(Bytes::from(text.into()), &Limits::default())
}

/// Reads a document that must be good.
fn good(text: impl Into<String>) -> Document {
    let text = text.into();
    read(text.as_str()).unwrap_or_else(|refused| panic!("{refused}\n{text}")).document().clone()
}

/// Reads a document that must be refused; gives why.
fn refused(text: impl Into<String>) -> Error {
    let text = text.into();
    match read(text.as_str()) {
        Ok(_) => panic!("accepted: {text}"),
        Err(refused) => refused.error,
    }
}

/// Checks that a document is refused by this clause, with a message that holds these words.
fn check_refused(text: impl Into<String>, clause: &str, words: &str) {
    let error = refused(text);
    assert!(error.clause == clause && error.to_string().contains(words), "{error}");
}

/// Reads one of the example documents.
fn example(file: &str) -> Result<Validated, Refused> {
    Validated::new(std::fs::read(data::examples().join(file)).unwrap().into(), &Limits::default())
}

/// An example that must be good.
fn good_example(file: &str) -> Document {
    example(file).unwrap_or_else(|refused| panic!("{file}: {refused}")).document().clone()
}

/// A message of this content between Header and end.
fn core(header: &str, payload: &str) -> String {
    document("Message_Core", header, payload)
}

/// A reply of this content.
fn core_reply(header: &str, payload: &str) -> String {
    document("Message_Core_Reply", header, payload)
}

fn document(root: &str, header: &str, payload: &str) -> String {
    format!(
        "<m:{root} xmlns:m=\"{CORE}\" xmlns:v=\"{VERSION}\"><m:Header>{header}</m:Header>\
         <m:Payload>{payload}</m:Payload></m:{root}>"
    )
}

/// A message under a plain header.
fn with_message(message: &str) -> String {
    core(PID, message)
}

/// A Deliver with this data.
fn with_data(data: &str) -> String {
    with_message(&format!(
        "<v:Message><v:CID>#h02</v:CID><v:Major_Message>Deliver</v:Major_Message>\
         <v:Message_Data>{data}</v:Message_Data></v:Message>"
    ))
}

/// A Deliver of one Container with this content.
fn with_container(content: &str) -> String {
    with_data(&format!("<v:Version_Info><v:Info><v:Container>{content}</v:Container></v:Info></v:Version_Info>"))
}

/// A reply with this content below `v:Reply`.
fn with_reply(content: &str) -> String {
    core_reply(PID, &format!("<v:Reply>{content}</v:Reply>"))
}

const PID: &str = "<m:PID>#h00000001</m:PID>";
const REQUEST: &str = "<v:Message><v:CID>#h02</v:CID><v:Major_Message>Request</v:Major_Message></v:Message>";

fn message_of(document: &Document) -> &crate::core::MessageCore {
    match &document.root {
        Root::Message(core) => core,
        Root::Reply(_) => panic!("a reply"),
    }
}

fn reply_of(document: &Document) -> &crate::core::Reply {
    match &document.root {
        Root::Reply(core) => match &core.payload {
            crate::core::ReplyPayload::Replies(replies) => &replies[0],
            crate::core::ReplyPayload::Bundle(_) => panic!("a bundle"),
        },
        Root::Message(_) => panic!("a message"),
    }
}

fn messages_of(document: &Document) -> &[crate::core::Message] {
    match &message_of(document).payload {
        crate::core::Payload::Messages(messages) => messages,
        crate::core::Payload::Bundle(_) => panic!("a bundle"),
    }
}

fn version_message_of(document: &Document) -> &crate::version::VersionMessage {
    match &messages_of(document)[0] {
        crate::core::Message::Version(message) => message,
        crate::core::Message::Opaque(_) => panic!("an opaque message"),
    }
}

fn container_of(document: &Document) -> &crate::version::Container {
    &version_message_of(document).data.infos()[0].info[0].container
}
