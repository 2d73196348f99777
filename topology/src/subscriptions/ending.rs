//! What Ends leave of a subscription.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::interest::{Interest, Node};
use crate::name::Name;

/// The subscription's interest after the Ends.
pub(super) enum After {
    /// The Ends mean something else.
    Untouched,
    /// Nothing is left to wait for.
    Ended,
    /// Some components are gone.
    Left(Interest),
}

/// All Ends of one message, looked up by what they name: a node is compared with those alone that bear its name.
pub(super) struct Ends<'a> {
    /// The Ends as they stand: what equals one of them ends.
    whole: BTreeSet<&'a Interest>,
    /// Components that they name, by folded name.
    components: Vec<(&'a Name, Target<'a>)>,
    /// Assets that they name by product, by its name.
    assets: Vec<(&'a str, Target<'a>)>,
}

/// A node of an End that ends what it names.
struct Target<'a> {
    end: &'a Interest,
    node: &'a Node,
}

impl<'a> Ends<'a> {
    pub(super) fn of(ends: &'a [Interest]) -> Self {
        let (mut components, mut assets) = (Vec::new(), Vec::new());
        for target in ends.iter().flat_map(targets) {
            let by_id = target.node.spoken().is_some_and(|spoken| spoken.id.is_some());
            match (target.node.name(), target.end.host(target.node).product.as_deref()) {
                (Some(name), _) => components.push((name, target)),
                (None, Some(product)) if !by_id => assets.push((product, target)),
                (None, _) => {}
            }
        }
        components.sort_by(|left: &(&Name, _), right| left.0.cmp_folded(right.0));
        assets.sort_by_key(|(product, _)| *product);
        Self { whole: ends.iter().collect(), components, assets }
    }

    /// Applies them to one interest. What is left of it may itself be what an End names as a whole.
    pub(super) fn after(&self, interest: &Interest) -> After {
        if self.whole.contains(interest) {
            return After::Ended;
        }
        let gone: Vec<bool> = interest.nodes().map(|node| self.end_node(interest, node)).collect();
        if !gone.contains(&true) {
            return After::Untouched;
        }
        interest.without(&gone).filter(|left| !self.whole.contains(left)).map_or(After::Ended, After::Left)
    }

    /// How many targets the nodes of the interest are compared with.
    pub(super) fn comparisons(&self, interest: &Interest) -> usize {
        interest.nodes().map(|node| self.named_alike(node).len() + self.of_product(interest, node).len()).sum()
    }

    fn end_node(&self, interest: &Interest, node: &Node) -> bool {
        self.named_alike(node).iter().any(|(_, target)| target.is_component(interest, node))
            || self.of_product(interest, node).iter().any(|(_, target)| target.is_asset(interest, node))
    }

    fn named_alike(&self, node: &Node) -> &[(&'a Name, Target<'a>)] {
        node.name().map_or(&[], |name| alike(&self.components, |(its, _)| its.cmp_folded(name)))
    }

    fn of_product(&self, interest: &Interest, node: &Node) -> &[(&'a str, Target<'a>)] {
        let product = interest.host(node).product.as_deref().filter(|_| node.is_top());
        product.map_or(&[], |product| alike(&self.assets, |(its, _)| (*its).cmp(product)))
    }
}

/// The run of equal elements of a sorted slice.
fn alike<T>(sorted: &[T], order: impl Fn(&T) -> Ordering) -> &[T] {
    let from = &sorted[sorted.partition_point(|one| order(one) == Ordering::Less)..];
    &from[..from.partition_point(|one| order(one) == Ordering::Equal)]
}

/// What the End names: its top nodes, or the components inside tops that say nothing themselves.
fn targets(end: &Interest) -> Vec<Target<'_>> {
    let wraps = |node: &Node| node.name().is_none() && node.versions().as_str().is_empty() && node.has_children();
    // Parents stand before their children, so each entry is made before it is asked for.
    let mut wrapped: Vec<bool> = Vec::new();
    let mut targets = Vec::new();
    for node in end.nodes() {
        let named = node.parent().is_none_or(|parent| wrapped[parent]);
        wrapped.push(named && wraps(node));
        if named && !wraps(node) {
            targets.push(Target { end, node });
        }
    }
    targets
}

impl Target<'_> {
    /// The End names this component, wherever in the asset it lies.
    fn is_component(&self, interest: &Interest, node: &Node) -> bool {
        let (its, own) = (self.end.host(self.node), interest.host(node));
        let same = node.name().zip(self.node.name()).is_some_and(|(own, its)| own.same(its));
        let packaging = node.packaging().zip(self.node.packaging());
        let host = its.product.is_none()
            || own.product.is_none()
            || (own.product == its.product && (own.version.is_any() || its.version.ends(&own.version)));
        same && packaging.is_none_or(|(own, its)| own.eq_ignore_ascii_case(its))
            && host
            && self.node.versions().ends(node.versions())
    }

    /// The End names this asset by its product.
    fn is_asset(&self, interest: &Interest, node: &Node) -> bool {
        let (its, own) = (self.end.host(self.node), interest.host(node));
        let company = its.company.is_none() || own.company.is_none() || its.company == own.company;
        node.is_top()
            && its.product == own.product
            && company
            && self.end.asset_versions(self.node).ends(interest.asset_versions(node))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::interest::tests::any_version_info;

    /// What is left, and whether anything changed; without any look-up: every target against every node.
    fn naive(interest: &Interest, ends: &[Interest]) -> (Option<Interest>, bool) {
        let ended = |node: &Node| {
            ends.iter().flat_map(targets).any(|target| match target.node.name() {
                Some(_) => target.is_component(interest, node),
                None => {
                    let by_id = target.node.spoken().is_some_and(|spoken| spoken.id.is_some());
                    let product = target.end.host(target.node).product.is_some();
                    !by_id && product && target.is_asset(interest, node)
                }
            })
        };
        let gone: Vec<bool> = interest.nodes().map(ended).collect();
        if ends.contains(interest) {
            (None, true)
        } else if gone.contains(&true) {
            (interest.without(&gone).filter(|left| !ends.contains(left)), true)
        } else {
            (Some(interest.clone()), false)
        }
    }

    proptest! {
        #[test]
        fn looking_up_ends_what_comparing_all_ends(
            interests in proptest::collection::vec(any_version_info(), 1..6),
            ends in proptest::collection::vec(any_version_info(), 0..6),
            own in any::<bool>(),
        ) {
            let read = |infos: &[_]| infos.iter().map(Interest::from_version_info).collect::<Vec<_>>();
            let (interests, mut ends) = (read(&interests), read(&ends));
            ends.extend(own.then(|| interests[0].clone()));
            let prepared = Ends::of(&ends);
            for interest in &interests {
                let after = match prepared.after(interest) {
                    After::Untouched => (Some(interest.clone()), false),
                    After::Ended => (None, true),
                    After::Left(left) => (Some(left), true),
                };
                prop_assert_eq!(after, naive(interest, &ends));
            }
        }
    }
}
