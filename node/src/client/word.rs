//! Whose word counts about one identity: what is authorised before what is not, whichever came first; of two that are, the
//! newer one if it may take the place of the older one ([`Trust::judge_successor`]), else the one that was there. The same
//! rule as at servers ([`crate::catalogue::Rights::contest`]).

use schemas::digest::Digest;

use crate::ids::Time;
use crate::intake::Item;
use crate::trust::{Reason, SignedBy, Signing, Trust, Verdict};

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

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let signings = [&self.signing, &self.predecessor].into_iter().flatten();
        size_of::<Self>() + signings.map(|signing| bytes(signing)).sum::<usize>()
    }
}

fn bytes(signing: &Signing) -> usize {
    let claims = &signing.claims;
    let names = [&claims.sources, &claims.companies, &claims.products].into_iter().flatten();
    let names: usize = names.map(|name| size_of::<String>() + name.len()).sum();
    let issuers = |signer: &SignedBy| size_of::<SignedBy>() + size_of_val(signer.issuers.as_slice());
    let by: usize = signing.by.iter().map(issuers).sum();
    size_of::<Signing>() + names + by + signing.flaw.as_ref().map_or(0, String::len)
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
        let beside = self.beside(item);
        match beside.verdict(under) {
            Verdict::Refused(Reason::Downgrade(_)) => Contest::Taken { lost: Some(beside) },
            // What somebody answers for loses its place to nothing older, whoever answers for that.
            _ => Contest::Kept,
        }
    }

    fn beside(&self, older: &Item) -> Word {
        Word { signing: self.word.signing.clone(), predecessor: older.signing.clone() }
    }

    /// An older item was passed by: as if it had come before this one, where this one may succeed it.
    pub(super) fn passes_by(&mut self, item: &Item, under: Under<'_>) {
        if self.word.predecessor.is_none() && self.beside(item).passes(under) {
            self.word.predecessor.clone_from(&item.signing);
        }
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
