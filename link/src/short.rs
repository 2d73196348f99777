//! A short reply: all that is new in a `Message_Core_Reply` that answers Succeeded, and nothing else, to every message of
//! a Delivery. Most replies are so, and there is one for each bundle and client.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 2 | items of the Delivery, at least 1 |
//! | 2 | 16 | `Message_ID` of the reply |
//! | 18 | 8 | its `Sent_Time`: Unix milliseconds |
//!
//! Everything else that the document says follows from the Delivery and the link (section 7 of `docs/protocol.md`).

use schemas::guid::MessageId;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortReply {
    /// Items of the Delivery that is answered; at least 1.
    pub items: u16,
    /// Of the reply.
    pub message_id: MessageId,
    /// Of the reply, in Unix milliseconds.
    pub sent_time: u64,
}

impl ShortReply {
    /// Length of the body.
    pub const BYTES: usize = 2 + 16 + 8;

    /// The body of the frame.
    pub fn to_wire(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..2].copy_from_slice(&self.items.to_be_bytes());
        bytes[2..18].copy_from_slice(&self.message_id.0.to_be_bytes());
        bytes[18..].copy_from_slice(&self.sent_time.to_be_bytes());
        bytes
    }

    /// Reads a body.
    ///
    /// # Errors
    ///
    /// Another length, or no items.
    pub fn from_wire(body: &[u8]) -> Result<Self, &'static str> {
        let wrong = "a short reply of another length";
        let (items, rest) = body.split_first_chunk().ok_or(wrong)?;
        let (message_id, rest) = rest.split_first_chunk().ok_or(wrong)?;
        let sent_time = u64::from_be_bytes(rest.try_into().map_err(|_| wrong)?);
        let (items, message_id) = (u16::from_be_bytes(*items), MessageId(u128::from_be_bytes(*message_id)));
        if items == 0 { Err("a short reply to no items") } else { Ok(Self { items, message_id, sent_time }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_reply_comes_back_and_nothing_else_is_one() {
        let reply = ShortReply { items: 3, message_id: MessageId(7), sent_time: 1_780_995_942_912 };
        let bytes = reply.to_wire();
        assert_eq!(ShortReply::from_wire(&bytes), Ok(reply));
        for end in 0..bytes.len() {
            assert!(ShortReply::from_wire(&bytes[..end]).is_err());
        }
        assert!(ShortReply::from_wire(&[&bytes[..], &[0]].concat()).is_err());
        assert!(ShortReply::from_wire(&ShortReply { items: 0, ..reply }.to_wire()).is_err());
    }
}
