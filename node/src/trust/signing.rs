//! Who has signed an item, all of it, and for whom it speaks: facts, read off the validated document once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use schemas::core::{Message, MessageCore, Span};
use schemas::digest::Digest;
use schemas::facts::{SignatureFact, SignatureState, Validated};
use schemas::signature::{Issuer, KeyId, issuers};
use schemas::version::{Info, VersionInfo, VersionMessage};

/// The signatures of an item that carries any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signing {
    /// The keys with a valid signature over the item's one message.
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
/// Bytes of names for which one item may speak: they are kept as long as it is known.
const CLAIMS_BYTES_MAX: usize = 64 << 10;
/// What a name takes beside its text.
const NAME_BYTES: usize = 32;

impl Signing {
    /// Of a part that is an item; none, if it carries no signature. Only signatures inside the part count: one of an
    /// envelope around it is gone at the next hop. One must cover the whole message: what stands in an element above what
    /// is signed, such as that this is a list, would not be.
    ///
    /// Of several messages nothing is proved: no signature covers them together, and whoever delivers could put any signed
    /// ones side by side, such as somebody's advisory and his withdrawal of another one.
    pub fn of(facts: &Validated, core: &MessageCore, messages: &[Message], chains: &mut Chains) -> Option<Self> {
        let own: Vec<&SignatureFact> =
            facts.signatures().iter().filter(|fact| is_within(fact.span, core.span)).collect();
        if own.is_empty() {
            return None;
        }
        let versions = || messages.iter().filter_map(as_version);
        let claims = Claims::of(versions().flat_map(|message| message.data.infos()));
        let is_too_long = claims.is_too_long();
        let proved = match messages {
            _ if is_too_long => Err(format!("it names more than {CLAIMS_BYTES_MAX} bytes of names")),
            [Message::Version(message)] => signed_by(&own, message.span, chains),
            _ => Err("it has several messages, and nothing signs them together".to_owned()),
        };
        let claims = if is_too_long { Claims::default() } else { claims };
        let (by, flaw) = proved.map_or_else(|flaw| (Vec::new(), Some(flaw)), |by| (by, None));
        Some(Self { by, claims, flaw })
    }
}

/// The keys that have signed all of a message; why, if none has.
fn signed_by(own: &[&SignatureFact], message: Span, chains: &mut Chains) -> Result<Vec<SignedBy>, String> {
    let mut seen = BTreeSet::new();
    let signing = own.iter().filter(|fact| fact.signs(message)).filter_map(|fact| fact.verified());
    let by: Vec<SignedBy> = signing
        .filter(|verified| seen.insert(verified.key))
        .take(KEYS_MAX)
        .map(|verified| SignedBy { key: verified.key, issuers: chains.issuers(&verified.certificates) })
        .collect();
    if by.is_empty() { Err(flaw(own)) } else { Ok(by) }
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
    proves_nothing.unwrap_or_else(|| "no key has signed its message as a whole".to_owned())
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

    fn is_too_long(&self) -> bool {
        let names = [&self.sources, &self.companies, &self.products];
        names.into_iter().flatten().map(|name| name.len() + NAME_BYTES).sum::<usize>() > CLAIMS_BYTES_MAX
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
