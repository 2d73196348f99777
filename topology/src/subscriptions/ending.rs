//! What an End leaves of a subscription.

use crate::interest::{Interest, Node};
use crate::versions::Versions;

/// The subscription's interest after an End.
pub(super) enum After {
    /// The End means something else.
    Untouched,
    /// Nothing is left to wait for.
    Ended,
    /// Some components are gone.
    Left(Interest),
}

/// Applies one End to one interest.
pub(super) fn after(interest: &Interest, end: &Interest) -> After {
    if interest == end {
        return After::Ended;
    }
    let targets = targets(end);
    let gone: Vec<bool> =
        interest.nodes().map(|node| targets.iter().any(|target| ends(end, target, interest, node))).collect();
    if !gone.contains(&true) {
        return After::Untouched;
    }
    interest.without(&gone).map_or(After::Ended, After::Left)
}

/// What the End names: its top nodes, or the components inside tops that say nothing themselves.
fn targets(end: &Interest) -> Vec<&Node> {
    let wraps = |node: &Node| node.name().is_none() && node.versions().as_str().is_empty() && node.has_children();
    let mut wrapped = Vec::new();
    let mut targets = Vec::new();
    for (at, node) in end.nodes().enumerate() {
        let named = node.parent().is_none_or(|parent| wrapped.contains(&parent));
        if named && wraps(node) {
            wrapped.push(at);
        } else if named {
            targets.push(node);
        }
    }
    targets
}

fn ends(end: &Interest, target: &Node, interest: &Interest, node: &Node) -> bool {
    match target.name() {
        Some(_) => is_component(end, target, interest, node),
        None => is_asset(end, target, interest, node),
    }
}

/// The End names this component, wherever in the asset it lies.
fn is_component(end: &Interest, target: &Node, interest: &Interest, node: &Node) -> bool {
    let (its, own) = (end.host(target), interest.host(node));
    let same = node.name().zip(target.name()).is_some_and(|(own, its)| own.same(its));
    let packaging = node.packaging().zip(target.packaging()).is_none_or(|(own, its)| own.eq_ignore_ascii_case(its));
    let host = its.product.is_none()
        || own.product.is_none()
        || (own.product == its.product && (own.version.is_any() || same_version(&its.version, &own.version)));
    same && packaging && host && same_version(target.versions(), node.versions())
}

/// The End names this asset by its product.
fn is_asset(end: &Interest, target: &Node, interest: &Interest, node: &Node) -> bool {
    let (its, own) = (end.host(target), interest.host(node));
    let by_id = target.spoken().is_some_and(|spoken| spoken.id.is_some());
    let company = its.company.is_none() || own.company.is_none() || its.company == own.company;
    node.is_top()
        && !by_id
        && its.product.is_some()
        && its.product == own.product
        && company
        && same_version(end.asset_versions(target), interest.asset_versions(node))
}

/// The End states no version, or the very one. A subscription without version is wider than an End with one.
fn same_version(its: &Versions, own: &Versions) -> bool {
    its.is_any() || its == own || (own.is_one() && own.meets(its, true))
}
