//! Bundles: how many items go into one document, and the few bytes around them (R-9.3-3, design decision 5).

use std::time::Duration;

use bytes::Bytes;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::names::Spelling;
use schemas::write::{self, HeaderFields, Kind};

/// Bounds on one bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of its items together; a larger item goes alone.
    pub bundle_bytes_max: u64,
    /// Items.
    pub bundle_items_max: usize,
    /// How long an item that is not critical may wait for company.
    pub bundle_wait_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bundle_bytes_max: 64 << 10, bundle_items_max: 256, bundle_wait_max: Duration::from_millis(5) }
    }
}

impl Limits {
    /// How many of the next items, given by size and spelling, make one bundle: at least one if there is any. Parts of
    /// different spelling never share an envelope (N7).
    pub fn first(&self, items: impl IntoIterator<Item = (u64, Spelling)>) -> usize {
        let (mut count, mut bytes, mut spelling) = (0, 0, None);
        for (size, own) in items {
            let fits = bytes + size <= self.bundle_bytes_max && count < self.bundle_items_max;
            if count > 0 && !(fits && spelling == Some(own)) {
                break;
            }
            (count, bytes, spelling) = (count + 1, bytes + size, Some(own));
        }
        count
    }
}

/// The outer header of a bundle: this hop. The client is left out where the link implies it (R-10.1.2-5).
#[derive(Clone, Copy, Debug)]
pub struct Outer<'a> {
    /// Who sends.
    pub server: ServerGuid,
    /// Who sends, on the way up.
    pub client: Option<ClientGuid>,
    /// A fresh value.
    pub message_id: MessageId,
    /// Now, as `xs:dateTime`.
    pub sent_time: &'a str,
}

/// The document: envelope, parts, end of envelope, as slices that nobody copied.
pub fn document(spelling: Spelling, outer: &Outer<'_>, parts: impl IntoIterator<Item = Bytes>) -> Vec<Bytes> {
    let header = HeaderFields {
        server_guid: Some(outer.server),
        client_guid: outer.client,
        message_id: Some(outer.message_id),
        sent_time: Some(outer.sent_time),
    };
    let envelope = write::envelope(spelling, Kind::Message, &header);
    let mut slices = vec![envelope.head];
    slices.extend(parts);
    slices.push(envelope.tail);
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_ends_at_its_bounds() {
        let limits = Limits { bundle_bytes_max: 100, bundle_items_max: 3, ..Limits::default() };
        let double = |sizes: &[u64]| limits.first(sizes.iter().map(|size| (*size, Spelling::Double)));
        assert_eq!(double(&[]), 0);
        assert_eq!(double(&[500, 1]), 1, "a large item goes alone");
        assert_eq!(double(&[60, 40, 1]), 2, "bytes");
        assert_eq!(double(&[1, 1, 1, 1]), 3, "items");
        assert_eq!(limits.first([(1, Spelling::Double), (1, Spelling::Single)]), 1, "spellings do not mix");
    }
}
