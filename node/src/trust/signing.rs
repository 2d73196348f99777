//! Who has signed an item, all of it, and for whom it speaks: facts, read off the validated document once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use schemas::core::{Message, MessageCore, Span};
use schemas::digest::Digest;
use schemas::facts::{SignatureFact, SignatureState, Validated};
use schemas::signature::{Issuer, KeyId, Verified, issuers};
use schemas::version::{Info, VersionInfo, VersionMessage};

/// The signatures of an item that carries any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signing {
    /// The keys with a valid signature over every message of the item.
    pub by: Vec<SignedBy>,
    /// For whom it speaks.
    pub claims: Claims,
    /// Why its signatures do not prove all of it, if there is no such key.
    pub flaw: Option<String>,
}

/// A key that has signed, and the authorities that have certified it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// The key.
    pub key: KeyId,
    /// Those among the certificates that came along.
    pub issuers: Vec<Issuer>,
}

/// The names for which, or about which, an item speaks: all that stand in it, wherever they do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Each `Source`.
    pub sources: BTreeSet<String>,
    /// Each `Company`.
    pub companies: BTreeSet<String>,
    /// Each `Product_Name`.
    pub products: BTreeSet<String>,
    /// Whether some `Version_Info` at the top names neither a `Source` nor a `Company`.
    pub names_nobody: bool,
    /// Whether some `Version_Info` at the top names no `Product_Name`.
    pub names_no_product: bool,
}

/// Keys that are looked at: more signatures than these over one item have no use.
const KEYS_MAX: usize = 4;

impl Signing {
    /// Of a part that is an item; none, if it carries no signature. Only signatures inside the part count: one of an
    /// envelope around it is gone at the next hop. They must cover whole messages: what stands in an element above what
    /// is signed, such as that this is a list, would not be.
    pub fn of(facts: &Validated, core: &MessageCore, messages: &[Message], chains: &mut Chains) -> Option<Self> {
        let own: Vec<&SignatureFact> =
            facts.signatures().iter().filter(|fact| is_within(fact.span, core.span)).collect();
        if own.is_empty() {
            return None;
        }
        let versions = || messages.iter().filter_map(as_version);
        let spans: Vec<Span> = versions().map(|message| message.span).collect();
        let by: Vec<SignedBy> = signers_of_all(&own, &spans)
            .take(KEYS_MAX)
            .map(|signer| SignedBy { key: signer.key, issuers: chains.issuers(&signer.certificates) })
            .collect();
        let flaw = by.is_empty().then(|| flaw(&own));
        let infos = || versions().flat_map(|message| message.data.infos());
        Some(Self { by, claims: Claims::of(infos()), flaw })
    }
}

/// Of each key that has signed every one of these, which stand in document order, a signature; the work grows with what
/// signatures cover, which is bounded ([`schemas::limits::Limits::signature_passes`]), not with how many keys there are.
fn signers_of_all<'a>(own: &[&'a SignatureFact], messages: &[Span]) -> impl Iterator<Item = &'a Verified> {
    let mut keys: Vec<(&Verified, BTreeSet<usize>)> = Vec::new();
    let mut places: BTreeMap<KeyId, usize> = BTreeMap::new();
    for (fact, verified) in own.iter().filter_map(|fact| Some((fact, fact.verified()?))) {
        let place = *places.entry(verified.key).or_insert_with(|| {
            keys.push((verified, BTreeSet::new()));
            keys.len() - 1
        });
        let first = messages.partition_point(|message| message.start < fact.covers.start);
        let covered = (first..messages.len()).take_while(|index| messages[*index].end <= fact.covers.end);
        keys[place].1.extend(covered.filter(|index| fact.signs(messages[*index])));
    }
    let all = messages.len();
    keys.into_iter().filter(move |(_, signed)| signed.len() == all).map(|(verified, _)| verified)
}

/// Chains of certificates that one document carries: each is looked at once.
#[derive(Debug, Default)]
pub struct Chains(BTreeMap<Digest, Vec<Issuer>>);

/// Different chains of one document that are looked at; what is certified by others is certified by nobody.
const CHAINS_MAX: usize = 16;

impl Chains {
    fn issuers(&mut self, certificates: &[Bytes]) -> Vec<Issuer> {
        if certificates.len() < 2 {
            return Vec::new();
        }
        let chain = Digest::of(&certificates.concat());
        if self.0.len() == CHAINS_MAX && !self.0.contains_key(&chain) {
            return Vec::new();
        }
        self.0.entry(chain).or_insert_with(|| issuers(certificates)).clone()
    }
}

fn as_version(message: &Message) -> Option<&VersionMessage> {
    match message {
        Message::Version(message) => Some(message),
        // No item has one.
        Message::Opaque(_) => None,
    }
}

fn is_within(inner: Span, outer: Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// The first reason of a signature that proves nothing; else none covers enough.
fn flaw(own: &[&SignatureFact]) -> String {
    let proves_nothing = own.iter().find_map(|fact| match &fact.state {
        SignatureState::Refused(refusal) => Some(refusal.to_string()),
        SignatureState::KeyUnknown(name) => Some(format!("the key {name:?} is only named, and did not come along")),
        SignatureState::Valid(_) => None,
    });
    proves_nothing.unwrap_or_else(|| "no key has signed each of its messages as a whole".to_owned())
}

impl Claims {
    fn of<'a>(infos: impl Iterator<Item = &'a VersionInfo>) -> Self {
        let mut claims = Self::default();
        for version_info in infos {
            let speaks = |info: &Info| given(info.source.as_deref()).is_some();
            let is_named = given(version_info.company.as_deref()).is_some()
                || (!version_info.info.is_empty() && version_info.info.iter().all(speaks));
            claims.names_nobody |= !is_named;
            claims.names_no_product |= given(version_info.product_name.as_deref()).is_none();
            claims.add(version_info);
        }
        claims
    }

    fn add(&mut self, version_info: &VersionInfo) {
        self.companies.extend(given(version_info.company.as_deref()));
        self.products.extend(given(version_info.product_name.as_deref()));
        for info in &version_info.info {
            self.sources.extend(given(info.source.as_deref()));
            let container = &info.container;
            container.contained_versions.iter().for_each(|inner| self.add(inner));
            let control = container.code.as_ref().and_then(|code| code.version_control.as_ref());
            if let Some(control) = control {
                let paths = control.update_path.iter().flatten();
                control.supersedes.iter().chain(paths).for_each(|inner| self.add(inner));
            }
        }
    }
}

fn given(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(String::from)
}
