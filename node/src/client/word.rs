//! Whose word counts about one identity. It does not matter which item came first: of two, the newer one is heard if it
//! may take the place of the older one ([`Trust::judge_successor`]), and else the older one.

use std::collections::BTreeMap;

use schemas::digest::Digest;

use crate::ids::Time;
use crate::intake::Item;
use crate::trust::{Signing, Trust, Verdict};

/// A trust at a time: what a verdict depends on besides the facts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Under<'a> {
    pub(super) trust: &'a Trust,
    pub(super) at: Time,
}

/// Who has signed an item.
#[derive(Clone, Debug, Default)]
pub(super) struct Word {
    pub(super) signing: Option<Box<Signing>>,
    /// The last one that was signed of those whose place it took.
    pub(super) predecessor: Option<Box<Signing>>,
}

impl Word {
    pub(super) fn verdict(&self, under: Under<'_>) -> Verdict {
        under.trust.judge_successor(self.signing.as_deref(), self.predecessor.as_deref(), under.at)
    }

    pub(super) fn passes(&self, under: Under<'_>) -> bool {
        self.verdict(under).passes()
    }
}

/// The last item of one identity, held or not.
#[derive(Clone, Debug)]
pub(super) struct Place {
    revision: u64,
    pub(super) digest: Digest,
    pub(super) word: Word,
}

impl Place {
    /// The place of an item, if it takes it.
    pub(super) fn new(item: &Item, before: Option<&Self>) -> Self {
        let predecessor = match before {
            Some(before) if before.digest == item.digest => before.word.predecessor.clone(),
            Some(before) if before.is_older(item) => before.word.signing.clone().or(before.word.predecessor.clone()),
            // Who takes the place of a newer one succeeds nobody.
            Some(_) | None => None,
        };
        let word = Word { signing: item.signing.clone(), predecessor };
        Self { revision: item.subject.revision, digest: item.digest, word }
    }

    fn is_older(&self, item: &Item) -> bool {
        item.subject.replaces(self.revision, self.digest, item.digest)
    }

    /// Who has this place when another item comes that passes by itself.
    pub(super) fn contest(&self, item: &Item, under: Under<'_>) -> Contest {
        let own = Some(&self.word).filter(|word| !word.passes(under));
        if self.digest == item.digest || self.is_older(item) || own.is_some() {
            return Contest::Taken { lost: own.cloned() };
        }
        let beside = Word { signing: self.word.signing.clone(), predecessor: item.signing.clone() };
        if beside.passes(under) { Contest::Kept } else { Contest::Taken { lost: Some(beside) } }
    }

    /// An older item was passed by: as if it had come before this one.
    pub(super) fn passes_by(&mut self, item: &Item) {
        let predecessor = &mut self.word.predecessor;
        *predecessor = predecessor.take().or_else(|| item.signing.clone());
    }
}

/// See [`Place::contest`].
pub(super) enum Contest {
    /// Who had it.
    Kept,
    /// The item that came.
    Taken {
        /// The word of the one that had it, if that is why.
        lost: Option<Word>,
    },
}

/// Items that are not held because of who has signed them: all are refused under the trust that is in force.
#[derive(Debug, Default)]
pub(super) struct Lost(BTreeMap<Digest, Word>);

/// Lost items that are told apart. With more, everything is asked for whenever the trust file changes.
const LOST_MAX: usize = 4096;

impl Lost {
    /// Whether it is news.
    pub(super) fn add(&mut self, digest: Digest, word: Word) -> bool {
        self.0.len() < LOST_MAX && self.0.insert(digest, word).is_none()
    }

    /// Forgets those that are welcome now; answers whether there may be any.
    pub(super) fn forget_welcome(&mut self, then: Under<'_>, now: Under<'_>) -> bool {
        let before = self.0.len();
        let is_unknown = before == LOST_MAX && then.trust != now.trust;
        self.0.retain(|_, word| !is_unknown && !word.passes(now));
        self.0.len() < before
    }
}
