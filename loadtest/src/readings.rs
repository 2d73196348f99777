//! What documents say, read once however many clients get them: who puts load on a server must be cheaper than the server.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::bail;
use bytes::Bytes;
use link::frame::FrameHeader;
use schemas::core::{Part, Payload, Root};
use schemas::digest::Digest;

use crate::client::read;

/// Documents that are remembered: more than are on their way at once.
const KEPT_MAX: usize = 1024;

/// See the module.
#[derive(Debug, Default)]
pub struct Readings(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    parts: HashMap<Digest, Arc<[Digest]>>,
    /// The oldest first.
    order: VecDeque<Digest>,
}

impl Readings {
    /// The digests of the items in a Delivery, whose bytes are those of its header's digest: the link has checked that.
    ///
    /// # Errors
    /// It is none.
    pub fn parts(&self, header: &FrameHeader, document: &Bytes) -> anyhow::Result<Arc<[Digest]>> {
        if let Some(parts) = self.kept().parts.get(&header.digest) {
            return Ok(Arc::clone(parts));
        }
        let parts: Arc<[Digest]> = parts(document)?.into();
        self.keep(header.digest, &parts);
        Ok(parts)
    }

    fn keep(&self, digest: Digest, parts: &Arc<[Digest]>) {
        let mut kept = self.kept();
        if kept.parts.insert(digest, Arc::clone(parts)).is_none() {
            kept.order.push_back(digest);
        }
        if kept.order.len() > KEPT_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.parts.remove(&oldest);
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn parts(document: &Bytes) -> anyhow::Result<Vec<Digest>> {
    let Root::Message(core) = read(document)?.root else { bail!("a reply where a delivery belongs") };
    match core.payload {
        Payload::Messages(_) => Ok(vec![Digest::of(document)]),
        Payload::Bundle(parts) => parts
            .iter()
            .map(|part| match part {
                Part::Good(part) => Ok(Digest::of(&document[part.span.range()])),
                Part::Bad(part) => bail!("a delivery with a bad part: {}", part.error),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use link::frame::Kind;
    use schemas::names::Spelling;
    use schemas::version::{Major, Minor};
    use schemas::write::{self, HeaderFields, MessageDraft};

    use super::*;

    #[test]
    fn what_is_equal_is_read_once_and_the_oldest_is_forgotten() {
        let readings = Readings::default();
        let draft = MessageDraft { major: Major::Deliver, minor: Some(Minor::Full), data: None };
        let document = write::message(Spelling::Double, &HeaderFields::default(), &[draft]);
        let header = FrameHeader::over(Kind::Delivery, std::slice::from_ref(&document));
        assert_eq!(*readings.parts(&header, &document).unwrap(), [Digest::of(&document)]);
        assert_eq!(readings.parts(&header, &Bytes::new()).unwrap().len(), 1, "it is not looked at again");
        let other = |number: usize| FrameHeader::over(Kind::Delivery, &[number.to_string().into()]);
        assert!(readings.parts(&other(0), &Bytes::new()).is_err());
        (0..KEPT_MAX).for_each(|number| _ = readings.parts(&other(number), &document).unwrap());
        assert!(readings.parts(&header, &Bytes::new()).is_err());
        assert_eq!(readings.kept().parts.len(), KEPT_MAX);
    }
}
