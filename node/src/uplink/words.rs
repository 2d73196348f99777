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
    /// Whom the newest of them concerns.
    pub(crate) reach: Reach,
}

impl Words {
    /// Adds an entry under a word.
    pub(crate) fn insert(&mut self, want: Want, keys: Keys, reach: Reach) {
        for key in &keys {
            self.by_key.entry(key.clone()).or_default().insert(want.clone());
        }
        let word = self.words.entry(want).or_default();
        word.keys.extend(keys);
        word.reach = reach;
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
