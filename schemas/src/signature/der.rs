//! As much of DER as keys and certificates take.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

/// What is left to be read of the content of an element.
#[derive(Clone, Copy)]
pub(super) struct Der<'a>(pub(super) &'a [u8]);

impl<'a> Der<'a> {
    /// The next element: tag and content.
    pub(super) fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let [tag, first, rest @ ..] = self.0 else { return None };
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
                let length = bytes.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte));
                // The shortest form is the only one.
                let shorter = bytes[0] == 0 || length < 0x80;
                (Some(length).filter(|_| !shorter)?, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, content))
    }

    /// The content of the next element, which must have this tag.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The same, to be read further.
    pub(super) fn enter(&mut self, tag: u8) -> Option<Self> {
        self.take(tag).map(Self)
    }

    /// A positive integer without its leading zero.
    pub(super) fn unsigned(&mut self) -> Option<&'a [u8]> {
        match self.take(INTEGER)? {
            [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Some(rest),
            content @ [0x01..=0x7f, ..] => Some(content),
            _ => None,
        }
    }

    /// Nothing must be left.
    pub(super) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// An element of this tag around these contents.
pub(super) fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length: usize = contents.iter().map(|content| content.len()).sum();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let significant = &bytes[(length.leading_zeros() / 8) as usize..];
            out.push(0x80 | significant.len() as u8);
            out.extend_from_slice(significant);
        }
    }
    contents.iter().for_each(|content| out.extend_from_slice(content));
    out
}

/// A positive integer, or zero.
pub(super) fn unsigned(value: &[u8]) -> Vec<u8> {
    let value = without_zeros(value);
    let zero: &[u8] = if value.first().is_none_or(|first| *first >= 0x80) { &[0] } else { &[] };
    element(INTEGER, &[zero, value])
}

/// Without leading zeros.
pub(super) fn without_zeros(value: &[u8]) -> &[u8] {
    &value[value.iter().take_while(|byte| **byte == 0).count()..]
}
