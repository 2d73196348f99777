//! Who may speak for whom (8.3). What a signature proves is found once, by `schemas`; here is decided, at every use and
//! without reading a byte, whether its signer may speak for what the item names.
//!
//! [`Signing`] is what an item's record keeps: facts. [`Trust`] is the operator's word: rights. [`Trust::judge`] puts them
//! together.

mod signing;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use schemas::digest::Digest;
use schemas::signature::{Authority, Issuer, KeyId};

use crate::ids::Time;

pub use signing::{Chains, Claims, SignedBy, Signing};

/// The rights of signers. Without a trust file nobody has been named, and nothing is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Those of the trust file, in its order; none without one.
    pub signers: Option<Vec<Signer>>,
    /// What becomes of items that carry no signature.
    pub unsigned: Unsigned,
}

/// What becomes of items that carry no signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unsigned {
    /// They are passed on, and shown as unsigned.
    #[default]
    Pass,
    /// They are refused.
    Refuse,
}

/// One that may speak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// For people.
    pub name: Arc<str>,
    /// How it is known.
    pub proof: Proof,
    /// Whom it may speak for as `Source`.
    pub sources: Names,
    /// And as `Company`.
    pub companies: Names,
    /// About which `Product_Name`.
    pub products: Names,
    /// Whether what it signs may be delivered.
    pub deliver: bool,
}

/// How a signer is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// By its own key.
    Key(KeyId),
    /// By a certificate of this authority.
    Authority(Authority),
}

/// Names that are allowed, as they are spelt, blanks outside aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// All.
    Any,
    /// These.
    Only(BTreeSet<String>),
}

/// What an item is under one trust.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Signed by one that may speak for all that it names.
    Authorised(Arc<str>),
    /// It carries no signature, and may go on without.
    Unsigned,
    /// It carries a signature, and there is no trust file to judge it by.
    Unchecked,
    /// It may not go on.
    Refused(Reason),
}

/// What an entry's word weighs against its content's: the lighter takes nothing off the offer that the heavier puts there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Nobody who is named here answers for it.
    #[default]
    Open,
    /// A signer answers for it who may.
    Authorised,
}

/// Why an item may not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// It carries no signature.
    #[error("it is not signed, and what is not signed is refused here")]
    Unsigned,
    /// It carries signatures, none of which proves all of it.
    #[error("no signature proves all of it: {0}")]
    Unproved(String),
    /// Nobody here is known by its key.
    #[error("its key {0} is not in the trust file, nor is it certified by an authority that is")]
    UnknownKey(KeyId),
    /// The certificate does not hold any more, or not yet.
    #[error("the certificate of {0}, or its authority's, does not hold at this time")]
    Expired(Arc<str>),
    /// Its signer may not deliver.
    #[error("{0} may not deliver")]
    MayNotDeliver(Arc<str>),
    /// It names nobody for whom it speaks.
    #[error("it names neither Source nor Company, and {0} may not speak for everybody")]
    NamesNobody(Arc<str>),
    /// It names a Source that is not its signer's.
    #[error("{0} may not speak for the Source {1:?}")]
    Source(Arc<str>, String),
    /// It names a Company that is not its signer's.
    #[error("{0} may not speak for the Company {1:?}")]
    Company(Arc<str>, String),
    /// It names a product that is not its signer's.
    #[error("{0} may not speak about the Product_Name {1:?}")]
    Product(Arc<str>, String),
    /// It names no product, so that it may concern any.
    #[error("it names no Product_Name, and {0} may not speak about every product")]
    NamesNoProduct(Arc<str>),
    /// It would take the place of what was signed, without a signature.
    #[error("it is not signed, and would take the place of what {0} has signed")]
    Downgrade(Arc<str>),
}

impl Reason {
    /// For counting: one word of a fixed few.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unsigned => "unsigned",
            Self::Unproved(_) => "unproved",
            Self::UnknownKey(_) => "unknown_key",
            Self::Expired(_) => "expired",
            Self::MayNotDeliver(_) => "may_not_deliver",
            Self::NamesNobody(_) => "names_nobody",
            Self::Source(..) => "source",
            Self::Company(..) => "company",
            Self::Product(..) | Self::NamesNoProduct(_) => "product",
            Self::Downgrade(_) => "downgrade",
        }
    }
}

impl Verdict {
    /// Whether the item may go on.
    pub fn passes(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }

    /// What is known of an item before anybody judges it.
    pub fn unjudged(signing: Option<&Signing>) -> Self {
        if signing.is_some() { Self::Unchecked } else { Self::Unsigned }
    }
}

impl Trust {
    /// What an item is now that carries these signatures. One authorised signature is enough; if there is none, the
    /// reason is the first signer's.
    pub fn judge(&self, signing: Option<&Signing>, now: Time) -> Verdict {
        match (signing, &self.signers) {
            (None, _) if self.unsigned == Unsigned::Refuse => Verdict::Refused(Reason::Unsigned),
            (None, _) => Verdict::Unsigned,
            (Some(_), None) => Verdict::Unchecked,
            (Some(signing), Some(signers)) => match authorised(signers, signing, now) {
                Ok(name) => Verdict::Authorised(name),
                Err(reason) => Verdict::Refused(reason),
            },
        }
    }

    /// The same of an item that takes the place of another one: what nobody has signed does not take the place of what
    /// somebody has, or whoever may deliver could take any item back; and who has signed it may speak for whom that spoke.
    pub fn judge_successor(&self, signing: Option<&Signing>, predecessor: Option<&Signing>, now: Time) -> Verdict {
        let verdict = self.judge(signing, now);
        let Some(predecessor) = predecessor else { return verdict };
        let Verdict::Authorised(name) = self.judge(Some(predecessor), now) else { return verdict };
        match (&verdict, signing, &self.signers) {
            (Verdict::Unsigned, ..) => Verdict::Refused(Reason::Downgrade(name)),
            (Verdict::Authorised(_), Some(signing), Some(signers)) => {
                let same = Signing { by: signing.by.clone(), claims: predecessor.claims.clone(), flaw: None };
                authorised(signers, &same, now).map_or_else(Verdict::Refused, |_| verdict)
            }
            _ => verdict,
        }
    }

    /// What an item's word weighs that carries these signatures.
    pub fn weight(&self, signing: Option<&Signing>, now: Time) -> Weight {
        match self.judge(signing, now) {
            Verdict::Authorised(_) => Weight::Authorised,
            Verdict::Unsigned | Verdict::Unchecked | Verdict::Refused(_) => Weight::Open,
        }
    }

    /// Whether a verdict may change without anybody saying so: certificates end, and begin to hold.
    pub fn depends_on_time(&self) -> bool {
        self.signers.iter().flatten().any(|signer| matches!(signer.proof, Proof::Authority(_)))
    }

    /// Tells one trust from another.
    pub fn fingerprint(&self) -> Digest {
        Digest::of(format!("{self:?}").as_bytes())
    }
}

fn authorised(signers: &[Signer], signing: &Signing, now: Time) -> Result<Arc<str>, Reason> {
    let mut reason = None;
    for by in &signing.by {
        for signer in signers {
            match signer.authorises(by, &signing.claims, now) {
                Some(Ok(())) => return Ok(signer.name.clone()),
                Some(Err(why)) => reason = reason.or(Some(why)),
                None => {}
            }
        }
    }
    let unknown = || signing.by.first().map(|by| Reason::UnknownKey(by.key));
    Err(reason.or_else(unknown).unwrap_or_else(|| Reason::Unproved(signing.flaw.clone().unwrap_or_default())))
}

impl Signer {
    /// Whether it is this signer, and if so whether it may say this.
    fn authorises(&self, by: &SignedBy, claims: &Claims, now: Time) -> Option<Result<(), Reason>> {
        let holds = match self.proof {
            Proof::Key(key) if key == by.key => true,
            Proof::Key(_) => return None,
            Proof::Authority(own) => {
                let issuer = by.issuers.iter().find(|issuer| is_by(issuer, &own))?;
                let now = now.0 / 1000;
                (own.from..=own.until).contains(&now) && (issuer.from..=issuer.until).contains(&now)
            }
        };
        Some(if holds { self.may_say(claims) } else { Err(Reason::Expired(self.name.clone())) })
    }

    fn may_say(&self, claims: &Claims) -> Result<(), Reason> {
        let name = || self.name.clone();
        if !self.deliver {
            return Err(Reason::MayNotDeliver(name()));
        }
        if claims.names_nobody && self.sources != Names::Any {
            return Err(Reason::NamesNobody(name()));
        }
        if let Some(other) = self.sources.lacks(&claims.sources) {
            return Err(Reason::Source(name(), other));
        }
        if let Some(other) = self.companies.lacks(&claims.companies) {
            return Err(Reason::Company(name(), other));
        }
        if claims.names_no_product && self.products != Names::Any {
            return Err(Reason::NamesNoProduct(name()));
        }
        self.products.lacks(&claims.products).map_or(Ok(()), |other| Err(Reason::Product(name(), other)))
    }
}

/// Whether this authority has certified, over no more others than its certificate allows (RFC 5280, 4.2.1.9).
fn is_by(issuer: &Issuer, authority: &Authority) -> bool {
    issuer.key == authority.key && authority.between_max.is_none_or(|most| issuer.between <= most)
}

impl Names {
    /// The first of these that is not allowed.
    fn lacks(&self, claimed: &BTreeSet<String>) -> Option<String> {
        match self {
            Self::Any => None,
            Self::Only(names) => claimed.difference(names).next().cloned(),
        }
    }
}
