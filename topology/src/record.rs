//! Records: how assets, subjects and subscriptions lie in the store.
//!
//! A record is an rkyv archive of plain texts and numbers, checked by bytecheck before use, with one byte behind it
//! that names the format. What needs parsing (names, ranges) is kept as text, so a record cannot state what its text
//! does not say.

use rkyv::api::high::{HighDeserializer, HighSerializer, HighValidator};
use rkyv::bytecheck::CheckBytes;
use rkyv::rancor;
use rkyv::ser::allocator::ArenaHandle;
use rkyv::util::AlignedVec;
use rkyv::{Archive, Deserialize, Serialize};

/// The format of all records of this crate.
const FORMAT: u8 = 1;

/// Why bytes are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by another version of this program.
    #[error("record format {0:?} is not {FORMAT}")]
    Format(Option<u8>),
    /// The archive is damaged.
    #[error("record is damaged: {0}")]
    Damaged(String),
    /// The archive is whole, but says what cannot be.
    #[error("record contradicts itself: {0}")]
    Contradiction(&'static str),
}

pub(crate) fn encode<T>(value: &T) -> Vec<u8>
where
    T: for<'a> Serialize<HighSerializer<AlignedVec, ArenaHandle<'a>, rancor::Error>>,
{
    let archive = rkyv::to_bytes(value).expect("plain owned values always serialise");
    let mut bytes = Vec::with_capacity(archive.len() + 1);
    bytes.extend_from_slice(&archive);
    bytes.push(FORMAT);
    bytes
}

pub(crate) fn decode<T>(bytes: &[u8]) -> Result<T, RecordError>
where
    T: Archive,
    T::Archived: for<'a> CheckBytes<HighValidator<'a, rancor::Error>> + Deserialize<T, HighDeserializer<rancor::Error>>,
{
    let (format, archive) = bytes.split_last().ok_or(RecordError::Format(None))?;
    if *format != FORMAT {
        return Err(RecordError::Format(Some(*format)));
    }
    // An archive is read in place only when aligned; the caller's bytes lie anywhere.
    let mut aligned = AlignedVec::<16>::with_capacity(archive.len());
    aligned.extend_from_slice(archive);
    rkyv::from_bytes::<T, rancor::Error>(&aligned).map_err(|error| RecordError::Damaged(error.to_string()))
}

#[cfg(test)]
pub(crate) mod tests {
    /// A record reads back; cut anywhere or with any byte changed it is refused or read as something else, without a
    /// panic.
    pub(crate) fn check_robust<T, E>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T, E>) {
        assert!(decode(bytes).is_ok());
        for cut in 0..bytes.len() {
            let _ = decode(&bytes[..cut]);
        }
        let mut damaged = bytes.to_vec();
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                damaged[at] ^= flip;
                let _ = decode(&damaged);
                damaged[at] ^= flip;
            }
        }
        assert!(decode(&[]).is_err());
    }
}
