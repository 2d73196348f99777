//! Other people's hostile documents, alone and inside the data of an opaque message.

use std::path::Path;

use bytes::Bytes;

use super::data::{files, large};
use crate::core::{Message, Payload, Root};
use crate::facts::Validated;
use crate::limits::Limits;
use crate::names::CORE;
use crate::{text, wellformed};

/// The document of a file, without its XML declaration, inside an opaque message. `None` if it is in no encoding
/// that can stand in a document.
fn inside_message_data(document: &str) -> Bytes {
    let root =
        document.find("?>").filter(|_| document.starts_with("<?xml ")).map_or(document, |end| &document[end + 2..]);
    format!(
        "<m:Message_Core xmlns:m=\"{CORE}\"><m:Header><m:PID>#h1</m:PID></m:Header><m:Payload>\
         <o:Message xmlns:o=\"urn:other\"><o:CID>#h77</o:CID><o:Message_Data>{root}</o:Message_Data></o:Message>\
         </m:Payload></m:Message_Core>"
    )
    .into()
}

fn check(path: &Path) -> bool {
    let limits = Limits::default();
    let utf8 = text::to_utf8(std::fs::read(path).unwrap().into(), &limits).unwrap();
    let document = std::str::from_utf8(&utf8).unwrap();
    let hostile = document.contains("<!DOCTYPE");
    // What is well-formed without a DOCTYPE is carried; none of them is a message by itself.
    let well_formed = wellformed::check(&utf8, &limits);
    assert_eq!(well_formed.is_err(), hostile, "{}: {well_formed:?}", path.display());
    assert!(Validated::new(utf8.clone(), &limits).is_err());
    let wrapped = inside_message_data(document);
    match Validated::new(wrapped.clone(), &limits) {
        Ok(read) => {
            assert!(!hostile, "{}", path.display());
            let Root::Message(core) = &read.document().root else { panic!("a reply") };
            let Payload::Messages(messages) = &core.payload else { panic!("a bundle") };
            assert!(matches!(&messages[..], [Message::Opaque(_)]));
            assert_eq!(read.slice(core.span), wrapped, "not one byte is changed");
        }
        Err(refused) => assert!(hostile, "{}: {refused}", path.display()),
    }
    hostile
}

// R-9.6.1-1: entity expansion and external entities, refused before anything is expanded.
#[test]
fn c9_6_1_hostile_documents_are_refused_also_inside_opaque_message_data() {
    let Some(folder) = large("xml/attacks", "hostile documents") else { return };
    let all = files(&folder, ".xml");
    let hostile = all.iter().filter(|path| check(path)).count();
    assert_eq!((hostile, all.len()), (7, 48));
}
