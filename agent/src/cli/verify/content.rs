//! What a document says: what has to be signed for it to be signed. Headers and envelopes are not, since each hop writes
//! its own; nor is what a Message says of its Version_Infos, since these may be signed to be used apart from it.

use schemas::core::{Document, Message, MessageCore, MessageCoreReply, Part, Payload, ReplyPayload, Root, Span};

/// See the module: in document order, none in another.
pub(super) fn of(document: &Document) -> Vec<Span> {
    let mut spans = Vec::new();
    match &document.root {
        Root::Message(core) => message_core(core, &mut spans),
        Root::Reply(core) => message_core_reply(core, &mut spans),
    }
    spans
}

fn message_core(core: &MessageCore, spans: &mut Vec<Span>) {
    match &core.payload {
        Payload::Bundle(parts) => parts.iter().for_each(|part| match part {
            Part::Good(core) => message_core(core, spans),
            Part::Bad(part) => spans.push(part.span),
        }),
        Payload::Messages(messages) => messages.iter().for_each(|one| message(one, spans)),
    }
}

fn message(message: &Message, spans: &mut Vec<Span>) {
    let infos = match message {
        Message::Version(message) => message.data.infos(),
        Message::Opaque(_) => &[],
    };
    match infos {
        // It says all that it says by itself, such as that everything is asked for.
        [] => spans.push(message.span()),
        infos => spans.extend(infos.iter().map(|info| info.span)),
    }
}

/// Of a reply also its status counts.
fn message_core_reply(core: &MessageCoreReply, spans: &mut Vec<Span>) {
    match &core.payload {
        ReplyPayload::Bundle(cores) => cores.iter().for_each(|core| message_core_reply(core, spans)),
        ReplyPayload::Replies(replies) => spans.extend(replies.iter().map(|reply| reply.span)),
    }
}
