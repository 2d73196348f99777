//! The words of an upstream's catalogue: what it may be asked for, spelled as it spells it.

use std::collections::{BTreeMap, BTreeSet};

use topology::key::{Keys, MatchKey};
use topology::subject::Reach;
use topology::want::Want;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Words {
    words: BTreeMap<Want, Word>,
    by_key: BTreeMap<MatchKey, BTreeSet<Want>>,
}

/// What entries under one word speak about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Word {
    /// Every key that an interest in them may have.
    pub(crate) keys: Keys,
    /// Of an element, whom it concerns in any revision that was seen: the newest need not come last where two upstreams
    /// send it. A name goes by its keys.
    pub(crate) reach: Reach,
}

/// Words of one upstream. They outlive what was trimmed, since that is asked for again by them; of an upstream that names
/// more than this, what is beyond is not asked for.
const WORDS_MAX: usize = 1_000_000;

impl Words {
    /// Adds what speaks about a word; answers whether it is a new one.
    pub(crate) fn insert(&mut self, want: &Want, keys: &Keys, reach: &Reach) -> bool {
        let is_new = !self.words.contains_key(want);
        if self.words.len() >= WORDS_MAX && is_new {
            return false;
        }
        for key in keys {
            self.by_key.entry(key.clone()).or_default().insert(want.clone());
        }
        let word = self.words.entry(want.clone()).or_default();
        word.keys.extend(keys.iter().cloned());
        if matches!(want, Want::Element { .. }) {
            word.reach = reach.join(&word.reach);
        }
        is_new
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn get(&self, want: &Want) -> Option<&Word> {
        self.words.get(want)
    }

    /// Words that something under this key may concern.
    pub(crate) fn under(&self, key: &MatchKey) -> impl Iterator<Item = &Want> {
        self.by_key.get(key).into_iter().flatten()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Want> {
        self.words.keys()
    }
}
