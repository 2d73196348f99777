//! What a client below answered, for people and programs: JSON.

use bytes::Bytes;
use node::answer::description;
use node::returned::Returned;
use schemas::core::{Header, Message, MessageCore, MessageCoreReply, Part, Payload, Reply, ReplyPayload, Root};
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use schemas::part;
use serde_json::{Value, json};
use topology::interest::Interest;
use topology::name::Name;

/// A whole answer: each reply with its status, each message that was delivered with the assets in it.
pub(crate) fn returned(returned: Returned) -> Value {
    let (mut replies, mut delivered) = (Vec::new(), Vec::new());
    if let Some(facts) = read(returned.reply)
        && let Root::Reply(core) = &facts.document().root
    {
        add_replies(core, &mut replies);
    }
    for facts in returned.deliveries.into_iter().filter_map(read) {
        if let Root::Message(core) = &facts.document().root {
            add_delivered(&facts, core, &mut delivered);
        }
    }
    json!({ "replies": replies, "delivered": delivered })
}

/// What was read when it came reads again.
fn read(document: Bytes) -> Option<Validated> {
    Validated::new(document, &Limits::default()).ok()
}

fn add_replies(core: &MessageCoreReply, replies: &mut Vec<Value>) {
    let own = |reply: &Reply| {
        json!({
            "hop": named(&core.header),
            "reply_id": reply.reply_id.as_ref().map(|id| id.value.to_string()),
            "status": reply.status.as_str(),
            "description": reply.description.as_ref().map(|_| description(reply)),
        })
    };
    match &core.payload {
        ReplyPayload::Bundle(parts) => parts.iter().for_each(|part| add_replies(part, replies)),
        ReplyPayload::Replies(all) => replies.extend(all.iter().map(own)),
    }
}

fn add_delivered(facts: &Validated, core: &MessageCore, delivered: &mut Vec<Value>) {
    match &core.payload {
        Payload::Bundle(parts) => parts.iter().for_each(|part| match part {
            Part::Good(core) => add_delivered(facts, core, delivered),
            Part::Bad(bad) => delivered.push(json!({ "error": bad.error.to_string() })),
        }),
        Payload::Messages(messages) => {
            let bytes = part::addressed(facts, core);
            let document = String::from_utf8_lossy(&bytes);
            let messages = messages.iter().map(message).collect::<Value>();
            delivered.push(json!({ "hop": named(&core.header), "messages": messages, "document": document }));
        }
    }
}

fn message(message: &Message) -> Value {
    match message {
        Message::Version(message) => json!({
            "major": message.major.as_str(),
            "minor": message.minor.as_ref().map(|minor| minor.as_str()),
            "assets": message.data.infos().iter().map(|info| asset(&Interest::from_version_info(info))).collect::<Value>(),
        }),
        Message::Opaque(message) => json!({ "namespace": message.namespace.to_string() }),
    }
}

/// What a client runs: a product, and every component that has a name.
pub(crate) fn asset(interest: &Interest) -> Value {
    let named = interest.nodes().filter_map(|node| Some((node.name()?, node)));
    let component = |(name, node): (&Name, &topology::interest::Node)| json!({ "name": name.shown(), "version": node.versions().as_str() });
    json!({
        "product": interest.shown(),
        "version": interest.shown_version(),
        "everything": interest.is_everything(),
        "components": named.map(component).collect::<Value>(),
    })
}

fn named(header: &Header) -> Value {
    hop(header.server_guid.as_ref().map(|guid| guid.value), header.client_guid.as_ref().map(|guid| guid.value))
}

/// Server and client of one hop.
pub(crate) fn hop(server: Option<ServerGuid>, client: Option<ClientGuid>) -> Value {
    json!({ "server": server.map(|guid| guid.to_string()), "client": client.map(|guid| guid.to_string()) })
}
