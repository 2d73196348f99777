//! Items that are not held because of who has signed them, and which of them the journal names. Whoever may deliver can
//! send any number of such items, with names as long as he likes: both are bounded.

use std::collections::{BTreeMap, BTreeSet};

use schemas::digest::Digest;

use super::word::{Under, Word};

/// Words of lost items, all of which are refused under the trust that is in force.
#[derive(Debug, Default)]
pub(super) struct Lost {
    words: BTreeMap<Digest, Word>,
    /// What they take.
    bytes: usize,
    /// Whether something was lost whose word is not kept: any other trust may welcome it.
    has_others: bool,
}

/// Lost items that are told apart. With more, everything is asked for whenever the trust file changes.
const WORDS_MAX: usize = 4096;
/// What their words take at most, which is mostly names.
const BYTES_MAX: usize = 1 << 20;

impl Lost {
    pub(super) fn add(&mut self, digest: Digest, word: Word) {
        self.bytes -= self.words.remove(&digest).as_ref().map_or(0, Word::bytes);
        let bytes = self.bytes + word.bytes();
        if self.words.len() == WORDS_MAX || bytes > BYTES_MAX {
            return self.add_other();
        }
        self.bytes = bytes;
        self.words.insert(digest, word);
    }

    /// One whose word is not known.
    pub(super) fn add_other(&mut self) {
        self.has_others = true;
    }

    /// Forgets those that are welcome now; answers whether there may be any. Whoever is told so asks for everything, and
    /// what is still lost then comes here again.
    pub(super) fn forget_welcome(&mut self, then: Under<'_>, now: Under<'_>) -> bool {
        let may_be_others = self.has_others && then.trust != now.trust;
        self.has_others &= !may_be_others;
        let before = self.words.len();
        self.words.retain(|_, word| !word.passes(now));
        self.bytes = self.words.values().map(Word::bytes).sum();
        may_be_others || self.words.len() < before
    }
}

/// Refused items that the journal names.
#[derive(Debug, Default)]
pub(super) struct Noted(BTreeSet<Digest>);

/// Refused items that the journal names at most, in its whole life.
const NOTED_MAX: usize = 4096;
/// Said with the last one.
pub(super) const THE_LAST: &str = "; no item that is refused after this one is written down";
/// What the journal keeps at most, in bytes, of an identifier or a reason: a name in it may be as long as a document.
const NOTE_BYTES: usize = 512;

/// The beginning of a text that others wrote, for the journal.
pub(super) fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(NOTE_BYTES);
    let more = if end < text.len() { "..." } else { "" };
    format!("{}{more}", &text[..end])
}

impl Noted {
    /// Whether the journal does not name it yet, and has room for it.
    pub(super) fn add(&mut self, digest: Digest) -> bool {
        !self.is_full() && self.0.insert(digest)
    }

    /// Whether no other one is going to be named.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() == NOTED_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ids::Time;
    use crate::trust::tests::{key, signer, trust};
    use crate::trust::{Claims, SignedBy, Signing, Trust};

    fn digest(number: usize) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    /// Signed by nobody who is known, with this many bytes of names.
    fn word(name_bytes: usize) -> Word {
        let by = vec![SignedBy { key: key().public().fingerprint(), issuers: Vec::new() }];
        let claims = Claims { sources: BTreeSet::from(["x".repeat(name_bytes)]), ..Claims::default() };
        Word { signing: Some(Box::new(Signing { by, claims, flaw: None })), predecessor: None }
    }

    /// Whether a change from one trust to another, neither of which welcomes anything, makes everything be asked for.
    fn asks(lost: &mut Lost, then: &Trust, now: &Trust) -> bool {
        lost.forget_welcome(Under { trust: then, at: Time(0) }, Under { trust: now, at: Time(1) })
    }

    #[test]
    fn long_names_are_not_kept_and_make_any_other_trust_ask() {
        let (nobody, other) = (trust(&[]), trust(&[signer("Other", &key(), &["*"])]));
        let mut lost = Lost::default();
        for number in 0..3 {
            lost.add(digest(number), word(400_000));
        }
        assert_eq!(lost.words.len(), 2);
        // The same again takes no more room, nor does one that is too long by itself.
        lost.add(digest(0), word(400_000));
        lost.add(digest(3), word(BYTES_MAX));
        assert!(lost.bytes <= BYTES_MAX && lost.words.len() == 2);
        assert!(!asks(&mut lost, &nobody, &nobody), "by the clock");
        assert!(asks(&mut lost, &nobody, &other));
        assert!(!asks(&mut lost, &other, &nobody), "all was asked for");
        lost.add(digest(2), word(400_000));
        assert!(asks(&mut lost, &nobody, &other), "what came again and is still lost");
    }

    #[test]
    fn more_items_than_are_told_apart_make_any_other_trust_ask() {
        let (nobody, other) = (trust(&[]), trust(&[signer("Other", &key(), &["*"])]));
        let (mut lost, short) = (Lost::default(), Word { signing: Some(Box::default()), predecessor: None });
        (0..WORDS_MAX).for_each(|number| lost.add(digest(number), short.clone()));
        assert!(!asks(&mut lost, &nobody, &other));
        lost.add(digest(WORDS_MAX), short);
        assert_eq!(lost.words.len(), WORDS_MAX);
        assert!(asks(&mut lost, &nobody, &other));
    }

    #[test]
    fn of_a_long_text_the_journal_keeps_the_beginning() {
        assert_eq!(shortened("short"), "short");
        let long = shortened(&"\u{e9}".repeat(NOTE_BYTES));
        assert!(long.ends_with("\u{e9}...") && long.len() == NOTE_BYTES + 3);
    }

    #[test]
    fn what_is_welcome_makes_room() {
        let (nobody, everybody) = (trust(&[]), Trust::default());
        let mut lost = Lost::default();
        lost.add(digest(0), word(1_000_000));
        assert!(asks(&mut lost, &nobody, &everybody));
        assert_eq!((lost.words.len(), lost.bytes), (0, 0));
    }
}
