//! Marks: what stands for a server where nobody needs to know which it is.

use std::fmt;

/// Drawn from a server's GUID, and does not lead back to it: who is told one recognises a server that he knows anyway.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark([u8; Self::BYTES]);

impl Mark {
    /// Bytes of a mark.
    pub const BYTES: usize = 16;

    /// That of the server with this GUID.
    pub fn of(server: u128) -> Self {
        let key = blake3::derive_key("distributary node mark 1", &server.to_be_bytes());
        let mut mark = [0; Self::BYTES];
        mark.copy_from_slice(&key[..Self::BYTES]);
        Self(mark)
    }

    /// As it came.
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// As it goes.
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mark({:032x})", u128::from_be_bytes(self.0))
    }
}
