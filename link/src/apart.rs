//! Long items on streams of their own, so that one that broke off is gone on with where it stopped.
//!
//! In its lane such an item leaves a [`Notice`], in place of the Delivery: what stands around it in the document, which
//! differs from link to link, and the item's digest and length. The item itself is one Item frame on a unidirectional
//! stream: from which octet it goes on, and its octets from there, plain or in segments. The receiver puts both together
//! as the Delivery that the lane would have brought; either may come first.

use bytes::{BufMut, Bytes, BytesMut};
use schemas::class::Class;
use schemas::digest::Digest;

use crate::connection::{Link, Side, priority};
use crate::error::SendError;
use crate::frame::{Form, FrameHeader, Kind};
use crate::segments::{self, Dictionary, PRELUDE_BYTES, Prelude};

mod partials;
mod receiving;

pub(crate) use self::partials::Beginning;
pub use self::partials::Partials;
pub(crate) use self::receiving::{Arrived, Begun, Receiving};

/// Items on streams of their own that stand unanswered on a link. With three lanes they are one fewer than the 8
/// unidirectional streams that a client grants: QUIC may give the credit of the last one that ended back with the next.
pub const ITEMS_MAX: usize = 4;
/// An item is worth a stream of its own above so many bytes.
pub const ITEM_BYTES_MIN: usize = 256 << 10;
/// The offset before an item's octets.
pub const OFFSET_BYTES: usize = 8;

/// What stands in the lane for an item on a stream of its own.
///
/// | offset | bytes | what |
/// |---|---|---|
/// | 0 | 32 | BLAKE3 digest of the item |
/// | 32 | 4 | its length |
/// | 36 | 4 | length of the head |
/// | 40 | | head: what stands before the item in the document |
/// | | | tail: what stands after it, to the end |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Of the item.
    pub digest: Digest,
    /// Its length, at least 1.
    pub item_bytes: u32,
    /// What stands before it.
    pub head: Bytes,
    /// What stands after it.
    pub tail: Bytes,
}

impl Notice {
    /// Without head and tail.
    pub const BYTES_MIN: usize = 32 + 4 + 4;
    /// With both: an envelope is a few hundred bytes.
    pub const BYTES_MAX: usize = 4 << 10;

    /// The body of an Apart frame; `None` if head and tail are longer than one has room for.
    pub fn to_wire(&self) -> Option<Bytes> {
        let length = Self::BYTES_MIN + self.around();
        if length > Self::BYTES_MAX {
            return None;
        }
        let mut bytes = BytesMut::with_capacity(length);
        bytes.put_slice(&self.digest.0);
        bytes.put_u32(self.item_bytes);
        bytes.put_u32(u32::try_from(self.head.len()).ok()?);
        bytes.put_slice(&self.head);
        bytes.put_slice(&self.tail);
        Some(bytes.freeze())
    }

    /// Reads it; head and tail are slices of it.
    ///
    /// # Errors
    ///
    /// Lengths that contradict each other, or an item without octets.
    pub fn from_wire(bytes: &Bytes) -> Result<Self, &'static str> {
        let fields = bytes.first_chunk::<{ Self::BYTES_MIN }>().ok_or("an Apart frame that is cut")?;
        let (digest, lengths) = fields.split_first_chunk::<32>().ok_or("an Apart frame that is cut")?;
        let [i0, i1, i2, i3, h0, h1, h2, h3] = *lengths else { return Err("an Apart frame that is cut") };
        let item_bytes = u32::from_be_bytes([i0, i1, i2, i3]);
        let head_bytes = u32::from_be_bytes([h0, h1, h2, h3]) as usize;
        let around = bytes.slice(Self::BYTES_MIN..);
        if item_bytes == 0 || head_bytes > around.len() {
            return Err("an Apart frame whose lengths are none");
        }
        let (head, tail) = (around.slice(..head_bytes), around.slice(head_bytes..));
        Ok(Self { digest: Digest(*digest), item_bytes, head, tail })
    }

    /// Bytes of the document beside the item.
    pub(crate) fn around(&self) -> usize {
        self.head.len() + self.tail.len()
    }
}

/// An item, as far as the receiver does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rest {
    /// Of its Apart frame.
    pub position: u64,
    /// Of the whole item.
    pub digest: Digest,
    /// What the receiver holds: its first so many bytes.
    pub offset: u32,
    /// The rest as it is, or its segments.
    pub octets: Octets,
}

/// In which form the rest of an item goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Octets {
    /// As it is.
    Plain(Bytes),
    /// In segments.
    Segmented {
        /// Length of what they restore, and what they were made with.
        prelude: Prelude,
        /// One after the other.
        segments: Vec<Bytes>,
    },
}

impl Octets {
    /// What the receiver of an item still needs that holds so many bytes of it; and from which byte that goes on.
    pub fn plain(item: &Bytes, held: u32) -> (u32, Self) {
        // More than there is of it was never sent.
        let offset = if held as usize > item.len() { 0 } else { held };
        (offset, Self::Plain(item.slice(offset as usize..)))
    }

    /// The same of an item of so many bytes, by the segments that [`segments::make`] made of it: it goes on at the last one
    /// that begins within what is held, or behind it.
    pub fn segmented(
        item_bytes: u32,
        made: &[Bytes],
        dictionary: Option<&'static Dictionary>,
        held: u32,
    ) -> (u32, Self) {
        let held = if held > item_bytes { 0 } else { held };
        let (skipped, offset) = segments::skip(made, held);
        let prelude = Prelude { document_bytes: item_bytes - offset, dictionary };
        (offset, Self::Segmented { prelude, segments: made[skipped..].to_vec() })
    }
}

impl Rest {
    fn frame(&self) -> (FrameHeader, Vec<Bytes>) {
        let mut before = BytesMut::with_capacity(OFFSET_BYTES + PRELUDE_BYTES);
        before.put_u64(u64::from(self.offset));
        let (form, octets) = match &self.octets {
            Octets::Plain(rest) => (Form::Plain, std::slice::from_ref(rest)),
            Octets::Segmented { prelude, segments } => {
                before.put_slice(&prelude.to_wire());
                (Form::Segmented, &segments[..])
            }
        };
        let header = FrameHeader { digest: self.digest, ..FrameHeader::over(Kind::Item, &[]) };
        let body = std::iter::once(before.freeze()).chain(octets.iter().cloned()).collect();
        (header.in_form(form).in_class(Class::Bulk).at(self.position), body)
    }
}

impl Link {
    /// Server: whether the client takes items on streams of their own.
    pub fn takes_items(&self) -> bool {
        self.peer_hello().partials.is_some()
    }

    /// Server: sends an item, or the rest of one, on a stream of its own; the slices are shared, not copied. Its Apart frame
    /// goes on the bulk lane. Waits while the client grants no credit; dropped while it waits, it resets the stream.
    ///
    /// # Errors
    ///
    /// The client takes no such streams, or no such form or length; no stream in time; or the link is closed.
    pub async fn send_item(&self, rest: &Rest) -> Result<(), SendError> {
        let inner = self.inner();
        if self.side() == Side::Client || !self.takes_items() {
            return Err(SendError::Side("items on streams of their own go to clients that list field 7"));
        }
        let (header, body) = rest.frame();
        let mut writer = inner.open_push(&header, &body, priority::ITEM).await?;
        writer.finish().map_err(|failure| inner.send_failed(failure))
    }

    /// Client: keeps what came of an item when this link breaks. Said before the first lane is accepted; later ones keep
    /// nothing.
    pub fn keep_partials(&self, partials: &Partials) {
        self.inner().arrived.keep(partials.clone());
    }
}

#[cfg(test)]
mod tests;
