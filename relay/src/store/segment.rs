//! The form of a log segment on disk.
//!
//! ```text
//! segment = header, then records back to back; all numbers little-endian; every part starts on a multiple of 16
//!
//!   0 ┌──────────────────────┬─────────────┬─────────────┐
//!     │ magic "X1206LOG"     │ format u32  │ compact u32 │  0, or the length of a compacted segment, in units of 16 bytes
//!  16 ├──────────────────────┼─────────────┴─────────────┤
//!     │ sequence u64         │ first position u64        │  no position in the segment is lower; the log before it ends below
//!  32 ├──────────────────────┼───────────────────────────┤
//!     │ previous sequence    │ previous length u64       │  how much of the segment before it counts (0, 0: there is none)
//!  48 ├──────────────────────┴───────────────────────────┤
//!     │ salt, 16 bytes                                   │
//!  64 ├──────────────────────────────────────────────────┤
//!     │ BLAKE3 of bytes 0..64, 32 bytes                  │
//!  96 └──────────────────────────────────────────────────┘
//!
//! record
//!   0 ┌─────────────┬─────────────┬─────────────┬─────────────┐
//!     │ magic "rec1"│ record len  │ item len    │ flags       │  flag 1: last record of its batch
//!  16 ├─────────────┴─────────────┼─────────────┴─────────────┤
//!     │ position u64              │ batch start u64           │  offset in this file; all bytes before it were durable
//!  32 ├───────────────────────────┴───────────────────────────┤
//!     │ keyed BLAKE3 of record    │ keyed BLAKE3 of item      │  first 8 bytes of each: which of them is damaged shows
//!  48 ├───────────────────────────────────────────────────────┤
//!     │ keyed BLAKE3 of bytes 0..48, first 16 bytes           │
//!  64 ├───────────────────────────────────────────────────────┤
//!     │ record bytes, item bytes, zeros up to a multiple of 16│
//!     └───────────────────────────────────────────────────────┘
//! ```
//!
//! The key is the digest of the segment's header, which contains a salt that no sender knows: bytes inside an item, or left on the disk by an older
//! file, cannot pass for a record. A segment ends where its successor's header says; what lies behind (a torn or refused batch) does not exist.
//! So a segment is never shortened once it is sealed. It may be replaced by one of its name that has fewer of its items, and those of segments
//! before it (see `compact.rs`); that one says itself where it ends.

use super::error::OpenError;

/// Bytes of the segment's header.
pub(super) const HEADER_LEN: u64 = 96;

/// Bytes of a record's header.
pub(super) const RECORD_HEADER_LEN: u64 = 64;

/// The start of every segment's name, by which a file layer can tell the log from the tables.
pub const NAME_PREFIX: &str = "log-";

const NAME_SUFFIX: &str = ".seg";
const MAGIC: [u8; 8] = *b"X1206LOG";
const RECORD_MAGIC: [u8; 4] = *b"rec1";
const FORMAT: u32 = 5;
const LAST_OF_BATCH: u32 = 1;

/// Every part of a segment starts on a multiple of this.
const UNIT: u64 = 16;

/// The file that holds the segment of this sequence number.
pub(super) fn name(sequence: u64) -> String {
    format!("{NAME_PREFIX}{sequence:020}{NAME_SUFFIX}")
}

/// The sequence number in a segment's name; nothing for other files.
pub(super) fn sequence_of(name: &str) -> Option<u64> {
    name.strip_prefix(NAME_PREFIX)?.strip_suffix(NAME_SUFFIX)?.parse().ok()
}

/// A segment and how many of its bytes count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    /// Its sequence number; 0 stands for "none".
    pub(super) sequence: u64,
    /// Its length in bytes.
    pub(super) len: u64,
}

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) sequence: u64,
    pub(super) first: u64,
    pub(super) previous: Link,
    pub(super) salt: u128,
    /// Of a compacted segment, its length in units of 16 bytes, header included; 0 of one that grew batch by batch.
    pub(super) compact_units: u32,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_LEN as usize] {
        let mut bytes = [0; HEADER_LEN as usize];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.compact_units.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.previous.sequence.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.previous.len.to_le_bytes());
        bytes[48..64].copy_from_slice(&self.salt.to_le_bytes());
        let digest = blake3::hash(&bytes[..64]);
        bytes[64..].copy_from_slice(digest.as_bytes());
        bytes
    }

    /// Nothing if the bytes are no header; an error if they are one of another format.
    pub(super) fn decode(file: &str, bytes: &[u8]) -> Result<Option<Self>, OpenError> {
        let Some(bytes) = bytes.get(..HEADER_LEN as usize) else {
            return Ok(None);
        };
        if bytes[..8] != MAGIC || blake3::hash(&bytes[..64]).as_bytes()[..] != bytes[64..] {
            return Ok(None);
        }
        let format = u32_at(bytes, 8);
        if format != FORMAT {
            return Err(OpenError::Format { file: file.to_owned(), found: format, known: FORMAT });
        }
        Ok(Some(Self {
            sequence: u64_at(bytes, 16),
            first: u64_at(bytes, 24),
            previous: Link { sequence: u64_at(bytes, 32), len: u64_at(bytes, 40) },
            salt: u128::from(u64_at(bytes, 48)) | u128::from(u64_at(bytes, 56)) << 64,
            compact_units: u32_at(bytes, 12),
        }))
    }

    /// Units of a compacted segment of so many bytes; nothing if that is too long for one.
    pub(super) fn units(len: u64) -> Option<u32> {
        u32::try_from(len / UNIT).ok()
    }

    /// Where a compacted segment ends; nothing for any other.
    pub(super) fn compact_len(&self) -> Option<u64> {
        (self.compact_units > 0).then(|| u64::from(self.compact_units) * UNIT)
    }

    /// What the segment's records are hashed with.
    pub(super) fn key(&self) -> Key {
        Key(*blake3::hash(&self.encode()).as_bytes())
    }
}

/// The checksum of a record or an item. Who changes bytes does not know the key, so 64 bits are enough.
pub(super) type Sum = [u8; 8];

/// The key of one segment's checksums.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key([u8; 32]);

impl Key {
    fn digest<const N: usize>(&self, bytes: &[u8]) -> [u8; N] {
        let mut digest = [0; N];
        blake3::Hasher::new_keyed(&self.0).update(bytes).finalize_xof().fill(&mut digest);
        digest
    }

    /// Of a record, or of an item.
    pub(super) fn sum(&self, bytes: &[u8]) -> Sum {
        self.digest(bytes)
    }
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) position: u64,
    pub(super) batch_start: u64,
    pub(super) last_of_batch: bool,
    pub(super) record_len: u32,
    pub(super) item_len: u32,
    pub(super) record_sum: Sum,
    pub(super) item_sum: Sum,
}

impl RecordHeader {
    pub(super) fn new(
        key: &Key,
        position: u64,
        batch_start: u64,
        last_of_batch: bool,
        (record, record_len): (&[u8], u32),
        (item, item_len): (&[u8], u32),
    ) -> Self {
        let (record_sum, item_sum) = (key.sum(record), key.sum(item));
        Self { position, batch_start, last_of_batch, record_len, item_len, record_sum, item_sum }
    }

    pub(super) fn encode(&self, key: &Key) -> [u8; RECORD_HEADER_LEN as usize] {
        let mut bytes = [0; RECORD_HEADER_LEN as usize];
        let flags = if self.last_of_batch { LAST_OF_BATCH } else { 0 };
        bytes[0..4].copy_from_slice(&RECORD_MAGIC);
        bytes[4..8].copy_from_slice(&self.record_len.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.item_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&flags.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.position.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.batch_start.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.record_sum);
        bytes[40..48].copy_from_slice(&self.item_sum);
        let own: [u8; 16] = key.digest(&bytes[..48]);
        bytes[48..].copy_from_slice(&own);
        bytes
    }

    /// Nothing if the bytes do not start with a header that was written under this key.
    pub(super) fn decode(key: &Key, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..RECORD_HEADER_LEN as usize)?;
        if bytes[..4] != RECORD_MAGIC || key.digest::<16>(&bytes[..48])[..] != bytes[48..] {
            return None;
        }
        Some(Self {
            position: u64_at(bytes, 16),
            batch_start: u64_at(bytes, 24),
            last_of_batch: u32_at(bytes, 12) & LAST_OF_BATCH != 0,
            record_len: u32_at(bytes, 4),
            item_len: u32_at(bytes, 8),
            record_sum: u64_at(bytes, 32).to_le_bytes(),
            item_sum: u64_at(bytes, 40).to_le_bytes(),
        })
    }

    /// Bytes of record and item together.
    pub(super) fn body_len(&self) -> u64 {
        u64::from(self.record_len) + u64::from(self.item_len)
    }

    /// Bytes that the whole record takes in the file.
    pub(super) fn stored_len(&self) -> u64 {
        stored_len(self.body_len())
    }
}

/// Bytes that a record with a body of this size takes in the file: header, body and padding.
pub(super) fn stored_len(body_len: u64) -> u64 {
    RECORD_HEADER_LEN + body_len.next_multiple_of(UNIT)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
