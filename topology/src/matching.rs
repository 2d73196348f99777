//! Whether an item applies to an interest, and why.
//!
//! | the interest's node | is matched by items that |
//! |---|---|
//! | component: has a File_name | name the same component |
//! | … and is the top of its asset | or name its product and no component, or its vendor alone |
//! | filter: top, no File_name, Product_Name | name the product, with or without a component; or its vendor alone |
//! | filter: Company only | name the vendor |
//! | filter: ID, Source or both | carry the ID and the Source in one Info (C-10) |
//! | filter: nothing at all | exist |
//! | no File_name, inside an asset | never: it only holds others |
//!
//! Items that name no component, product or vendor are general: they reach only filters without product and vendor.
//!
//! **Every given field must match** (R-10.2.1-6), with one limit (R-10.2.3-5): Company, Product_Name and
//! Product_Version beside the one that the match hangs on narrow only when both sides give them; Package and Language
//! likewise (R-10.2.5-1, -6). Inside an asset, Company is the vendor of the host and not the component's author, so it
//! is compared only when the item names a product too. A component's Source never takes part.
//!
//! **Versions**: absent means any. What is installed must be in the item's versions ([`Versions::meets`]); a filter
//! without version speaks of items, not of something installed, and takes them whatever versions they mean, withdrawn
//! ones included. An unreadable range matches no component ([`Versions::fault`] says why).

use crate::affected::Affected;
use crate::interest::{Interest, Node, Role};
use crate::key::id_key;
use crate::versions::Versions;

/// Why an item applies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// What the client runs, as a person reads it; for a filter, what the item names.
    pub component: String,
    /// Its version, empty if the client did not say.
    pub version: String,
    /// From the asset down to what holds the component; empty for the asset itself.
    pub path: Vec<String>,
    /// The versions that the item means.
    pub affected: String,
    /// What the match hangs on.
    pub by: By,
}

/// What a match hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// The product's name.
    Product,
    /// The vendor's.
    Company,
    /// The component's.
    Component,
    /// An identifier.
    Id,
    /// The speaker.
    Source,
    /// Everything was asked for.
    Everything,
}

/// Every reason for which the item applies, in the order of the interest's nodes; none if it does not apply.
pub fn applies(interest: &Interest, affected: &[Affected]) -> Vec<Reason> {
    let mut found: Vec<(u32, usize, By)> = Vec::new();
    for (which, one) in affected.iter().enumerate() {
        found.extend(matches(interest, one).map(|(at, by)| (at, which, by)));
    }
    found.sort_unstable();
    let mut reasons: Vec<Reason> =
        found.into_iter().map(|(at, which, by)| reason(interest, at, &affected[which], by)).collect();
    reasons.dedup();
    reasons
}

/// Whether the item applies at all.
pub fn covers(interest: &Interest, affected: &[Affected]) -> bool {
    affected.iter().any(|one| matches(interest, one).next().is_some())
}

fn matches<'a>(interest: &'a Interest, one: &'a Affected) -> impl Iterator<Item = (u32, By)> + 'a {
    let named = one.name.iter().flat_map(|name| interest.named(name));
    let components = named.filter(|(_, node)| is_component(interest, node, one)).map(|(at, _)| (at, By::Component));
    let tops = interest.tops().filter_map(|(at, node)| match interest.role(node) {
        Role::Component => is_asset(interest, node, one).map(|by| (at, by)),
        Role::Filter => is_wanted(interest, node, one).map(|by| (at, by)),
        Role::Holder => None,
    });
    components.chain(tops)
}

fn reason(interest: &Interest, at: u32, one: &Affected, by: By) -> Reason {
    let node = interest.node(at);
    let (component, version) = match by {
        By::Component => (interest.shown_node(at), node.versions()),
        By::Product | By::Company if !interest.shown_node(at).is_empty() => {
            (interest.host(node).product.as_deref().unwrap_or(interest.shown_node(at)), interest.asset_versions(node))
        }
        By::Product | By::Company | By::Id | By::Source | By::Everything => (one.shown(), node.versions()),
    };
    Reason {
        component: component.to_owned(),
        version: version.as_str().to_owned(),
        path: interest.path(at),
        affected: one.versions.as_str().to_owned(),
        by,
    }
}

/// The node is the component that the item names.
fn is_component(interest: &Interest, node: &Node, one: &Affected) -> bool {
    let host = interest.host(node);
    let same = || node.name().zip(one.name.as_ref()).is_some_and(|(own, its)| own.same(its));
    let product = || one.product.is_none() || (both(&host.product, &one.product) && host_version(interest, node, one));
    let company = || (!node.is_top() && one.product.is_none()) || both(&host.company, &one.company);
    same() && product() && company() && packed_alike(node, one) && versions_meet(node.versions(), node, one)
}

/// The node is the top of an asset whose product or vendor the item names.
fn is_asset(interest: &Interest, node: &Node, one: &Affected) -> Option<By> {
    if one.name.is_some() {
        return None;
    }
    let by = anchor(interest, node, one)?;
    let fits = host_version(interest, node, one)
        && packed_alike(node, one)
        && versions_meet(asset_versions(interest, node, one), node, one);
    fits.then_some(by)
}

/// The node is a filter that wants the item.
fn is_wanted(interest: &Interest, node: &Node, one: &Affected) -> Option<By> {
    let host = interest.host(node);
    let spoken = spoken_by(node, one)?;
    let by = if host.product.is_some() || host.company.is_some() { anchor(interest, node, one)? } else { spoken };
    // The product's version says nothing about the version of a component in it.
    let wanted = if one.name.is_some() { node.versions() } else { asset_versions(interest, node, one) };
    let fits = host_version(interest, node, one)
        && packed_alike(node, one)
        && (wanted.is_any() || versions_meet(wanted, node, one));
    fits.then_some(by)
}

/// The item names the node's product, or nothing but its vendor.
fn anchor(interest: &Interest, node: &Node, one: &Affected) -> Option<By> {
    let host = interest.host(node);
    let same_company = || host.company.is_some() && host.company == one.company;
    match (&host.product, &one.product) {
        (Some(own), Some(its)) => (own == its && both(&host.company, &one.company)).then_some(By::Product),
        // A filter for a vendor takes all that is his; an asset whose product is not named takes what is his alone.
        (None, its) => (same_company() && (its.is_none() || node.name().is_none())).then_some(By::Company),
        (Some(_), None) => (one.name.is_none() && same_company()).then_some(By::Company),
    }
}

/// The filter's ID and Source stand in one Info of the item; what follows is what a match hangs on if nothing else
/// does.
fn spoken_by(node: &Node, one: &Affected) -> Option<By> {
    let Some(spoken) = node.spoken() else { return Some(By::Everything) };
    let id = spoken.id.as_deref().map(id_key);
    let said = one.named.iter().any(|named| {
        let same_id = id.as_ref().is_none_or(|id| named.id.as_deref().is_some_and(|its| id_key(its) == *id));
        same_id && spoken.source.as_ref().is_none_or(|source| named.source.as_ref() == Some(source))
    });
    said.then_some(if id.is_some() { By::Id } else { By::Source })
}

/// The version to compare with that of an item about the product as a whole. Product_Version stands in for an absent
/// Version, unless the item gives both and each is compared with its own.
fn asset_versions<'a>(interest: &'a Interest, node: &'a Node, one: &Affected) -> &'a Versions {
    if one.product_version.is_some() { node.versions() } else { interest.asset_versions(node) }
}

fn host_version(interest: &Interest, node: &Node, one: &Affected) -> bool {
    let own = &interest.host(node).version;
    one.product_version.as_ref().is_none_or(|its| own.is_any() || its.is_any() || own.meets(its, is_cargo(node, one)))
}

fn versions_meet(own: &Versions, node: &Node, one: &Affected) -> bool {
    own.meets(&one.versions, is_cargo(node, one))
}

/// Package and Language narrow only when both sides give them.
fn packed_alike(node: &Node, one: &Affected) -> bool {
    let package = match (node.packaging(), one.packaging()) {
        (Some(own), Some(its)) => own.eq_ignore_ascii_case(its),
        (None, _) | (_, None) => true,
    };
    package && languages_meet(node.language(), one.language.as_deref())
}

fn is_cargo(node: &Node, one: &Affected) -> bool {
    node.packaging().or(one.packaging()).is_some_and(|packaging| packaging.eq_ignore_ascii_case("cargo"))
}

/// Equal, or one is the other's region or script: `es` and `es-MX`.
fn languages_meet(own: Option<&str>, its: Option<&str>) -> bool {
    let (Some(own), Some(its)) = (own, its) else { return true };
    own.split(['-', '_']).zip(its.split(['-', '_'])).all(|(own, its)| own.eq_ignore_ascii_case(its))
}

fn both(own: &Option<Box<str>>, its: &Option<Box<str>>) -> bool {
    own.is_none() || its.is_none() || own == its
}

#[cfg(test)]
pub(crate) mod tests;
