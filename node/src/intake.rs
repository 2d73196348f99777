//! From a validated document to orders: what each message in it means (conformance Annex B), read off the facts alone.
//!
//! Intake runs beside the link, not in the engine, so that the engine's work per message is small. What it finds is true
//! of the bytes; whether the sender may is decided later, by the engine. Its types are made here only, from
//! [`Validated`]: there is no other door to the engine.

use bytes::Bytes;
use schemas::core::{Header, Identifier, Message, MessageCore, Part, Payload, ReplyStatus, Root};
use schemas::digest::Digest;
use schemas::facts::Validated;
use schemas::guid::{Cid, ClientGuid, MessageId, Pid, ServerGuid};
use schemas::names::Spelling;
use schemas::part;
use schemas::version::{Major, MessageData, Minor, VersionInfo, VersionMessage};
use topology::interest::Interest;
use topology::subject::Subject;
use topology::subscriptions::{Mode, Origin};

use crate::ids::Time;
use crate::trust::{Chains, Signing};

/// A document as the engine takes it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Intake {
    /// The author's namespace spelling, for the answer.
    pub spelling: Spelling,
    /// The outermost part.
    pub part: IntakePart,
}

/// A `Message_Core`: its header, and what it carries.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct IntakePart {
    /// Who to whom on this hop.
    pub hop: Hop,
    /// What it carries.
    pub body: Body,
}

/// The routing fields of a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hop {
    /// Whether the PID names this Recommendation (R-10.1.2-2).
    pub is_x1206: bool,
    /// The server of this hop, if named.
    pub server: Option<ServerGuid>,
    /// The client of this hop, if named.
    pub client: Option<ClientGuid>,
    /// To be repeated in replies.
    pub message_id: Option<Identifier<MessageId>>,
    /// When it was sent, by the sender's clock.
    pub sent: Option<Time>,
}

/// What a part carries.
#[derive(Clone, Debug)]
pub enum Body {
    /// Independent parts.
    Parts(Vec<IntakePart>),
    /// Messages of one fate.
    Orders(Box<Orders>),
    /// A part that breaks the grammar: why.
    Bad(String),
}

/// The messages of one Payload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Orders {
    /// Of the part's intake form; tells a repeated message from another one with the same `Message_ID`.
    pub digest: Digest,
    /// Self-contained; those of an item are its own, others share the document.
    pub bytes: Bytes,
    /// In document order, at least one.
    pub orders: Vec<Order>,
    /// The part as an item, if every message in it is a Deliver.
    pub item: Option<Item>,
}

/// One message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Order {
    /// The text of its CID, to be repeated in the reply (S4).
    pub cid: String,
    /// The text of its UUID, likewise.
    pub uuid: Option<String>,
    /// Whether it is of the version set; decides the form of the reply (S6).
    pub is_version: bool,
    /// For counting and admission.
    pub major: Major,
    /// For counting.
    pub minor: Option<Minor>,
    /// What it asks for, or why it can never be done.
    pub meaning: Result<Meaning, Refusal>,
}

/// A status other than Succeeded, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One of the statuses of 10.2.10.
    pub status: ReplyStatus,
    /// For a person.
    pub why: String,
}

/// The meanings of Annex B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Register without data: the device is there.
    Presence,
    /// Register or Request.
    Subscribe {
        /// Content or list.
        mode: Mode,
        /// By which message.
        origin: Origin,
        /// Whether what is there now is asked for.
        now: bool,
        /// Whether what comes later is asked for.
        standing: bool,
        /// For what.
        interests: Vec<Interest>,
    },
    /// Register:End: ends what the data describes.
    End(Vec<Interest>),
    /// Deliver.
    Deliver,
}

/// A part that was delivered, in its intake form (design decision 1).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Item {
    /// Self-contained bytes.
    pub bytes: Bytes,
    /// Their digest.
    pub digest: Digest,
    /// Whether it is a list (Deliver:Catalog).
    pub is_entry: bool,
    /// How its provider spells the namespaces.
    pub spelling: Spelling,
    /// What it is about.
    pub subject: Subject,
    /// Who has signed it; none, if it carries no signature.
    pub signing: Option<Box<Signing>>,
}

impl Intake {
    /// Reads the orders of a message; `None` for a reply, which orders nothing.
    pub fn of(facts: &Validated) -> Option<Self> {
        match &facts.document().root {
            Root::Message(core) => Some(Self {
                spelling: facts.document().spelling,
                part: intake_part(facts, core, &mut Chains::default()),
            }),
            Root::Reply(_) => None,
        }
    }

    /// The delivered items in document order: how a client reads a Delivery. A part that is no item gives `None`.
    pub fn items(&self) -> Vec<Option<(&Hop, &Item)>> {
        let mut items = Vec::new();
        collect_items(&self.part, &mut items);
        items
    }

    /// Bytes of the document that it keeps in memory.
    pub fn held_bytes(&self) -> usize {
        held_bytes(&self.part)
    }
}

fn held_bytes(part: &IntakePart) -> usize {
    match &part.body {
        Body::Parts(parts) => parts.iter().map(held_bytes).sum(),
        Body::Orders(orders) => orders.bytes.len(),
        Body::Bad(why) => why.len(),
    }
}

fn collect_items<'a>(part: &'a IntakePart, items: &mut Vec<Option<(&'a Hop, &'a Item)>>) {
    match &part.body {
        Body::Parts(parts) => parts.iter().for_each(|part| collect_items(part, items)),
        Body::Orders(orders) => items.push(orders.item.as_ref().map(|item| (&part.hop, item))),
        Body::Bad(_) => items.push(None),
    }
}

fn intake_part(facts: &Validated, core: &MessageCore, chains: &mut Chains) -> IntakePart {
    let body = match &core.payload {
        Payload::Bundle(parts) => Body::Parts(parts.iter().map(|part| nested(facts, part, chains)).collect()),
        Payload::Messages(messages) => Body::Orders(Box::new(orders(facts, core, messages, chains))),
    };
    IntakePart { hop: hop(&core.header), body }
}

fn nested(facts: &Validated, part: &Part, chains: &mut Chains) -> IntakePart {
    match part {
        Part::Good(core) => intake_part(facts, core, chains),
        Part::Bad(bad) => IntakePart {
            hop: Hop { is_x1206: true, message_id: bad.message_id.clone(), ..Hop::default() },
            body: Body::Bad(bad.error.to_string()),
        },
    }
}

fn hop(header: &Header) -> Hop {
    Hop {
        is_x1206: header.pid.value == Pid::X1206,
        server: header.server_guid.as_ref().map(|guid| guid.value),
        client: header.client_guid.as_ref().map(|guid| guid.value),
        message_id: header.message_id.clone(),
        sent: header.sent_time.as_deref().and_then(Time::parse),
    }
}

fn orders(facts: &Validated, core: &MessageCore, messages: &[Message], chains: &mut Chains) -> Orders {
    let bytes = part::self_contained(facts, core);
    let digest = Digest::of(&bytes);
    let orders: Vec<Order> = messages.iter().map(order).collect();
    let delivered = orders.iter().all(|order| order.meaning == Ok(Meaning::Deliver));
    let signing = if delivered { Signing::of(facts, core, messages, chains) } else { None };
    let item = delivered.then(|| item(facts, messages, signing, &bytes, digest));
    let bytes = item.as_ref().map_or(bytes, |item| item.bytes.clone());
    Orders { digest, bytes, orders, item }
}

fn item(facts: &Validated, messages: &[Message], signing: Option<Signing>, bytes: &Bytes, digest: Digest) -> Item {
    // An item outlives the document it came in, and must not keep that, nor its share of the link's budget.
    let bytes = Bytes::copy_from_slice(bytes);
    let versions = || messages.iter().filter_map(as_version);
    let infos: Vec<VersionInfo> = versions().flat_map(|message| message.data.infos()).cloned().collect();
    let is_entry = versions().all(|message| message.minor == Some(Minor::Catalog));
    let subject = Subject::from_version_infos(&infos);
    let spelling = facts.document().spelling;
    Item { bytes, digest, is_entry, spelling, subject, signing: signing.map(Box::new) }
}

fn as_version(message: &Message) -> Option<&VersionMessage> {
    match message {
        Message::Version(message) => Some(message),
        Message::Opaque(_) => None,
    }
}

fn order(message: &Message) -> Order {
    match message {
        Message::Version(message) => Order {
            cid: message.cid.text.to_string(),
            uuid: message.uuid.as_ref().map(|uuid| uuid.text.to_string()),
            is_version: true,
            major: message.major.clone(),
            minor: message.minor.clone(),
            meaning: meaning(message),
        },
        Message::Opaque(message) => Order {
            cid: message.cid.as_ref().map_or_else(|| Pid::X1206.to_string(), |cid| cid.text.to_string()),
            uuid: message.uuid.as_ref().map(|uuid| uuid.text.to_string()),
            is_version: false,
            major: Major::Other(message.major.clone().unwrap_or_default()),
            minor: None,
            meaning: refuse(
                ReplyStatus::HandlerNotAvailable,
                format!("no handler for messages of the namespace {}", message.namespace),
            ),
        },
    }
}

/// Conformance Annex B, the table of Major × Minor.
fn meaning(message: &VersionMessage) -> Result<Meaning, Refusal> {
    if message.cid.value != Cid::VERSION {
        return refuse(ReplyStatus::HandlerNotAvailable, format!("no handler for CID {}", message.cid.text));
    }
    if let MessageData::Foreign(_) = message.data {
        return refuse(ReplyStatus::Failed, "the data is of another message set than the CID (S20)".into());
    }
    let infos = message.data.infos();
    let unknown_minor = |minor: &Minor| {
        refuse(ReplyStatus::MinorNotSupported, format!("{}:{} has no meaning", message.major.as_str(), minor.as_str()))
    };
    match (&message.major, &message.minor) {
        (Major::Register | Major::Request, Some(minor @ Minor::Other(_))) => unknown_minor(minor),
        (Major::Register | Major::Request, Some(Minor::End)) => Ok(Meaning::End(everything_or(infos))),
        (Major::Register, _) if infos.is_empty() => Ok(Meaning::Presence),
        (Major::Register, minor) => Ok(Meaning::Subscribe {
            mode: mode(minor.as_ref()),
            origin: Origin::Register,
            now: false,
            standing: true,
            interests: everything_or(infos),
        }),
        (Major::Request, minor) => Ok(Meaning::Subscribe {
            mode: mode(minor.as_ref()),
            origin: Origin::Request,
            now: true,
            standing: minor.is_some(),
            interests: everything_or(infos),
        }),
        (Major::Deliver | Major::Analyse, Some(minor @ (Minor::End | Minor::Other(_)))) => unknown_minor(minor),
        (Major::Analyse, Some(minor)) => unknown_minor(minor),
        (Major::Deliver | Major::Analyse, _) if infos.is_empty() => {
            refuse(ReplyStatus::Failed, format!("{} without Message_Data says nothing", message.major.as_str()))
        }
        (Major::Deliver, _) => Ok(Meaning::Deliver),
        (Major::Analyse, None) => refuse(ReplyStatus::MajorNotSupported, "no analysis is offered here".into()),
        (Major::Other(major), _) => {
            refuse(ReplyStatus::MajorNotSupported, format!("Major_Message {major:?} is unknown"))
        }
    }
}

fn mode(minor: Option<&Minor>) -> Mode {
    match minor {
        Some(Minor::Catalog) => Mode::Catalog,
        Some(Minor::Full | Minor::End | Minor::Other(_)) | None => Mode::Full,
    }
}

fn everything_or(infos: &[VersionInfo]) -> Vec<Interest> {
    if infos.is_empty() {
        vec![Interest::everything()]
    } else {
        infos.iter().map(Interest::from_version_info).collect()
    }
}

fn refuse<T>(status: ReplyStatus, why: String) -> Result<T, Refusal> {
    Err(Refusal { status, why })
}
