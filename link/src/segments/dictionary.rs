//! Dictionaries for short texts: what all of them have in common need not be sent.

use std::sync::LazyLock;

use schemas::digest::Digest;
use zstd::dict::{DecoderDictionary, EncoderDictionary};

use crate::hello::Hello;

/// The bytes of a dictionary, and what compression makes of them once.
pub struct Dictionary {
    digest: Digest,
    pub(super) encoder: EncoderDictionary<'static>,
    pub(super) decoder: DecoderDictionary<'static>,
}

/// For advisories as Version messages. How it was made is written beside it.
static ADVISORIES: LazyLock<Dictionary> =
    LazyLock::new(|| Dictionary::of(include_bytes!("../../dictionaries/advisories-1.zdict")));

/// By measurement on 122 advisories: 13.8 % of their text, where level 9 makes 12.5 % of it; but level 9 was a seventh of all
/// the processor time that short advisories to a hundred clients took.
const LEVEL: i32 = 3;

impl Dictionary {
    /// Bytes of a digest by which a body names its dictionary.
    pub const NAME_BYTES: usize = 8;

    fn of(bytes: &[u8]) -> Self {
        let (encoder, decoder) = (EncoderDictionary::copy(bytes, LEVEL), DecoderDictionary::copy(bytes));
        Self { digest: Digest::of(bytes), encoder, decoder }
    }

    /// The one that this implementation compresses with.
    pub fn advisories() -> &'static Self {
        &ADVISORIES
    }

    /// The one with which what goes to the sender of this Hello may be compressed.
    pub fn known_to(hello: &Hello) -> Option<&'static Self> {
        Some(Self::advisories()).filter(|ours| hello.dictionaries.contains(&ours.digest))
    }

    /// Of its bytes; what a Hello says.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    pub(super) fn name(&self) -> [u8; Self::NAME_BYTES] {
        let mut name = [0; Self::NAME_BYTES];
        name.copy_from_slice(&self.digest.0[..Self::NAME_BYTES]);
        name
    }

    /// The dictionary of this name, if it is here.
    pub(super) fn named(name: [u8; Self::NAME_BYTES]) -> Option<&'static Self> {
        Some(Self::advisories()).filter(|known| known.name() == name)
    }
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dictionary").field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl PartialEq for Dictionary {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Dictionary {}
