//! What a client answers to an exchange that its server opened. Its documents must fit the link, and name it on the way
//! further up.

use bytes::{Bytes, BytesMut};
use schemas::core::{Header, Root};
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, Pid, ServerGuid};
use schemas::names::Spelling;
use schemas::write::{self, HeaderFields, Kind};

/// Who was asked by whom, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asked: the server of the link.
    pub server: ServerGuid,
    /// Who was asked: its client.
    pub client: ClientGuid,
    /// Of the namespaces. The answer has the same, so that both fit into one envelope (N7).
    pub spelling: Spelling,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// A `Message_Core_Reply`.
    pub reply: Bytes,
    /// `Message_Core`s, whose Headers name server and client.
    pub deliveries: Vec<Bytes>,
}

impl Question {
    /// The reply, as a part of another document.
    ///
    /// # Errors
    /// What does not fit.
    pub fn reply(&self, facts: &Validated) -> Result<Bytes, String> {
        let Root::Reply(core) = &facts.document().root else {
            return Err("a message where a reply belongs".to_owned());
        };
        self.fits(facts, &core.header)?;
        Ok(facts.slice(core.span))
    }

    /// A delivery, as a part of another document. Where its Header names no server or client, as the link implies them,
    /// it stands in one that does: further up no link implies them.
    ///
    /// # Errors
    /// What does not fit.
    pub fn delivery(&self, facts: &Validated) -> Result<Bytes, String> {
        let Root::Message(core) = &facts.document().root else {
            return Err("a reply where a message belongs".to_owned());
        };
        self.fits(facts, &core.header)?;
        let bytes = facts.slice(core.span);
        if core.header.server_guid.is_some() && core.header.client_guid.is_some() {
            return Ok(bytes);
        }
        let hop =
            HeaderFields { server_guid: Some(self.server), client_guid: Some(self.client), ..HeaderFields::default() };
        let envelope = write::envelope(self.spelling, Kind::Message, &hop);
        let mut named = BytesMut::from(&envelope.head[..]);
        named.extend_from_slice(&bytes);
        named.extend_from_slice(&envelope.tail);
        Ok(named.freeze())
    }

    fn fits(&self, facts: &Validated, header: &Header) -> Result<(), String> {
        let server = header.server_guid.as_ref().is_none_or(|guid| guid.value == self.server);
        let client = header.client_guid.as_ref().is_none_or(|guid| guid.value == self.client);
        let fault = if header.pid.value != Pid::X1206 {
            "the PID names another protocol"
        } else if !server || !client {
            "the header names others than the ends of the link (10.1.2)"
        } else if facts.document().spelling != self.spelling {
            "the namespaces are spelled in another way than in what is answered"
        } else {
            return Ok(());
        };
        Err(fault.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use schemas::core::ReplyStatus;
    use schemas::guid::MessageId;
    use schemas::limits::Limits;
    use schemas::version::{Major, Minor, VersionInfo};
    use schemas::write::MessageDraft;

    use super::*;
    use crate::answer::{Answer, AnswerBody, Leaf};

    const QUESTION: Question = Question { server: ServerGuid(9), client: ClientGuid(7), spelling: Spelling::Double };

    fn facts(document: Bytes) -> Validated {
        Validated::new(document, &Limits::default()).expect("a document")
    }

    fn catalogue(spelling: Spelling, server: Option<u128>, client: Option<u128>) -> Validated {
        let header = HeaderFields {
            server_guid: server.map(ServerGuid),
            client_guid: client.map(ClientGuid),
            message_id: Some(MessageId(5)),
            ..HeaderFields::default()
        };
        let info = VersionInfo { product_name: Some("P".into()), ..VersionInfo::default() };
        let draft = MessageDraft { major: Major::Deliver, minor: Some(Minor::Catalog), data: Some(&[info]) };
        facts(write::message(spelling, &header, &[draft]))
    }

    #[test]
    fn a_delivery_names_who_it_is_from() {
        let whole = catalogue(Spelling::Double, Some(9), Some(7));
        assert_eq!(QUESTION.delivery(&whole).unwrap(), whole.bytes());
        for (server, client) in [(None, None), (Some(9), None), (None, Some(7))] {
            let delivery = facts(QUESTION.delivery(&catalogue(Spelling::Double, server, client)).unwrap());
            let Root::Message(core) = &delivery.document().root else { panic!("a message") };
            assert_eq!(core.header.server_guid.as_ref().unwrap().value, QUESTION.server);
            assert_eq!(core.header.client_guid.as_ref().unwrap().value, QUESTION.client);
        }
    }

    #[test]
    fn what_does_not_fit_the_link_is_no_answer() {
        assert!(QUESTION.delivery(&catalogue(Spelling::Double, Some(8), Some(7))).is_err());
        assert!(QUESTION.delivery(&catalogue(Spelling::Double, None, Some(6))).is_err());
        assert!(QUESTION.delivery(&catalogue(Spelling::Single, Some(9), Some(7))).is_err());
        assert!(QUESTION.reply(&catalogue(Spelling::Double, Some(9), Some(7))).is_err(), "no reply");
    }

    #[test]
    fn a_reply_is_passed_on_as_it_stands() {
        let leaf = Leaf { status: ReplyStatus::Succeeded, ..Leaf::failed(None, String::new()) };
        let answer = Answer { server: None, client: None, body: AnswerBody::Leaves(vec![leaf]) };
        let reply = answer.render(Spelling::Double, MessageId(1), "2026-01-15T09:30:00Z");
        let declared = [b"<?xml version=\"1.0\"?>\n", &reply[..]].concat();
        assert_eq!(QUESTION.reply(&facts(declared.into())).unwrap(), reply);
        assert!(QUESTION.delivery(&facts(reply)).is_err(), "no delivery");
    }
}
