//! What the engine writes into a store, and reads again after a restart.

use bytes::Bytes;
use rkyv::rancor;
use schemas::class::{Class, PerClass};
use schemas::digest::Digest;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::names::Spelling;
use topology::subject::{Reach, Subject};

use crate::ids::{Position, Time};
use crate::trust::Signing;

mod signing;

/// A record that cannot be read: the store is damaged, or of another version of this program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("damaged {what} record: {reason}")]
pub struct Damaged {
    /// Which kind of record.
    pub what: &'static str,
    /// What the decoder said.
    pub reason: String,
}

/// The end of the link by which an item came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A client delivered it.
    Client(ClientGuid),
    /// An upstream did.
    Upstream(ServerGuid),
}

impl Origin {
    fn guid(self) -> u128 {
        match self {
            Self::Client(client) => client.0,
            Self::Upstream(server) => server.0,
        }
    }
}

/// A log record: everything about an item that is not its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRecord {
    /// Of the item's bytes: its identity.
    pub digest: Digest,
    /// Length of the item's bytes.
    pub bytes: u64,
    /// Who brought it.
    pub origin: Origin,
    /// Its `Message_ID`, for duplicates.
    pub message_id: Option<MessageId>,
    /// When this node accepted it.
    pub accepted: Time,
    /// Whether it is a provider's catalogue entry (Deliver:Catalog) rather than content.
    pub is_entry: bool,
    /// How its provider spells the namespaces; parts of one spelling share envelopes (N7).
    pub spelling: Spelling,
    /// The lane that it goes on.
    pub class: Class,
    /// What it is about.
    pub subject: Subject,
    /// Whom it concerns: its own range joined with that of what it replaces.
    pub reach: Reach,
    /// Who has signed it; none, if it carries no signature.
    pub signing: Option<Box<Signing>>,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
struct ItemRow {
    digest: [u8; 32],
    bytes: u64,
    origin: u128,
    from_above: bool,
    message_id: Option<u128>,
    accepted: u64,
    is_entry: bool,
    single_slash: bool,
    class: u8,
    subject: Vec<u8>,
    reach: Vec<u8>,
}

impl ItemRecord {
    /// For [`crate::store::Write::Append`]. What is not signed is written as it was before records knew of signatures.
    pub fn encode(&self) -> Bytes {
        let item = encode(&ItemRow {
            digest: self.digest.0,
            bytes: self.bytes,
            origin: self.origin.guid(),
            from_above: matches!(self.origin, Origin::Upstream(_)),
            message_id: self.message_id.map(|id| id.0),
            accepted: self.accepted.0,
            is_entry: self.is_entry,
            single_slash: self.spelling == Spelling::Single,
            class: self.class as u8,
            subject: self.subject.encode(),
            reach: self.reach.encode(),
        });
        match &self.signing {
            Some(signing) => signing::append(&item, signing),
            None => item,
        }
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        let (bytes, signing) = signing::split(bytes)?;
        let row: ItemRow = decode("item", bytes)?;
        let inner = |reason: String| Damaged { what: "item", reason };
        Ok(Self {
            digest: Digest(row.digest),
            bytes: row.bytes,
            origin: if row.from_above {
                Origin::Upstream(ServerGuid(row.origin))
            } else {
                Origin::Client(ClientGuid(row.origin))
            },
            message_id: row.message_id.map(MessageId),
            accepted: Time(row.accepted),
            is_entry: row.is_entry,
            spelling: if row.single_slash { Spelling::Single } else { Spelling::Double },
            class: *Class::ALL.get(usize::from(row.class)).ok_or_else(|| inner(format!("class {}", row.class)))?,
            subject: Subject::decode(&row.subject).map_err(|error| inner(error.to_string()))?,
            reach: Reach::decode(&row.reach).map_err(|error| inner(error.to_string()))?,
            signing: signing.map(Box::new),
        })
    }
}

/// Where a client stands: [`crate::store::Table::Cursors`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Cursor {
    /// Counts the client's accepted links; a write that carries an older one is refused.
    pub generation: u64,
    /// Below the oldest unanswered item of each class, most urgent first.
    positions: [u64; 3],
}

impl Cursor {
    /// Below the oldest unanswered item of a class.
    pub fn position(&self, class: Class) -> Position {
        Position(self.positions[class as usize])
    }

    /// Goes on to here, never back. Answers whether any class moved.
    pub fn advance(&mut self, positions: &PerClass<Position>) -> bool {
        let before = self.positions;
        for (class, position) in positions.iter() {
            let own = &mut self.positions[class as usize];
            *own = position.0.max(*own);
        }
        self.positions != before
    }

    /// Row value.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        decode("cursor", bytes)
    }
}

/// A client's registration: [`crate::store::Table::Registrations`].
#[derive(Clone, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Registration {
    /// Last contact, in milliseconds since the Unix epoch: registrations are leases.
    pub renewed: u64,
    /// The client's subscriptions, as `topology` encodes them.
    pub subscriptions: Vec<u8>,
}

impl Registration {
    /// Row value.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        decode("registration", bytes)
    }
}

/// A client below a local server: [`crate::store::Table::Below`].
#[derive(Clone, Debug, Default, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct BelowRow {
    /// The local server on whose link it was reported.
    pub via: u128,
    /// Server and client of each hop from there down to it.
    pub path: Vec<(u128, u128)>,
    /// Last contact, in milliseconds since the Unix epoch.
    pub renewed: u64,
    /// Its subscriptions, as `topology` encodes them.
    pub subscriptions: Vec<u8>,
}

impl BelowRow {
    /// Row value.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        decode("below", bytes)
    }
}

/// An exchange that was carried out and left no item: [`crate::store::Table::Seen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Seen {
    /// Of the part that was carried out.
    pub digest: [u8; 32],
    /// When.
    pub at: u64,
}

impl Seen {
    /// Row value.
    pub fn encode(&self) -> Bytes {
        encode(self)
    }

    /// Reads what [`Self::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Self, Damaged> {
        decode("seen", bytes)
    }
}

/// Row key of a client.
pub fn client_key(client: ClientGuid) -> Bytes {
    Bytes::copy_from_slice(&client.0.to_be_bytes())
}

/// The client of a row key.
pub fn client_of(key: &[u8]) -> Result<ClientGuid, Damaged> {
    let bytes = <[u8; 16]>::try_from(key).map_err(|error| Damaged { what: "client key", reason: error.to_string() })?;
    Ok(ClientGuid(u128::from_be_bytes(bytes)))
}

/// Row key of an exchange.
pub fn seen_key(origin: ClientGuid, message_id: MessageId) -> Bytes {
    let mut key = [0; 32];
    key[..16].copy_from_slice(&origin.0.to_be_bytes());
    key[16..].copy_from_slice(&message_id.0.to_be_bytes());
    Bytes::copy_from_slice(&key)
}

/// The exchange of a row key.
pub fn seen_of(key: &[u8]) -> Result<(ClientGuid, MessageId), Damaged> {
    match key.split_at_checked(16) {
        Some((origin, id)) => {
            let id: [u8; 16] =
                id.try_into().map_err(|_| Damaged { what: "seen key", reason: "not 32 bytes".into() })?;
            Ok((client_of(origin)?, MessageId(u128::from_be_bytes(id))))
        }
        None => Err(Damaged { what: "seen key", reason: "not 32 bytes".into() }),
    }
}

fn encode<T>(row: &T) -> Bytes
where
    T: for<'a> rkyv::Serialize<
            rkyv::api::high::HighSerializer<
                rkyv::util::AlignedVec,
                rkyv::ser::allocator::ArenaHandle<'a>,
                rancor::Error,
            >,
        >,
{
    // Serialising plain rows into memory fails only if memory does.
    let bytes = rkyv::to_bytes::<rancor::Error>(row).expect("rows of plain values serialise");
    Bytes::copy_from_slice(&bytes)
}

fn decode<T>(what: &'static str, bytes: &[u8]) -> Result<T, Damaged>
where
    T: rkyv::Archive,
    T::Archived: for<'a> rkyv::bytecheck::CheckBytes<rkyv::api::high::HighValidator<'a, rancor::Error>>
        + rkyv::Deserialize<T, rkyv::api::high::HighDeserializer<rancor::Error>>,
{
    // Rows come back at any alignment; archives need theirs.
    let mut aligned = rkyv::util::AlignedVec::<16>::with_capacity(bytes.len());
    aligned.extend_from_slice(bytes);
    rkyv::from_bytes::<T, rancor::Error>(&aligned).map_err(|error| Damaged { what, reason: error.to_string() })
}
