//! Interests that are nothing but a list of components, and so can be joined and divided.

use super::{Host, Interest, Node, Role};
use crate::versions::Versions;

impl Interest {
    /// The components of a bare holder: a top without any field, and in it components that hold nothing themselves and
    /// leave the product open. `None` if it is more than that.
    pub(crate) fn bare_components(&self) -> Option<&[Node]> {
        let [holder, components @ ..] = &self.nodes[..] else { return None };
        let is_bare = |node: &Node| {
            node.parent == Some(0) && node.host == holder.host && node.name.is_some() && !node.has_children
        };
        let holds = holder.host == 0 && holder.is_top() && self.role(holder) == Role::Holder;
        (holds && components.iter().all(is_bare)).then_some(components)
    }

    /// A bare holder of these, which are some [`bare_components`](Self::bare_components).
    pub(crate) fn of_bare_components(components: impl IntoIterator<Item = Node>) -> Self {
        let holder = Node {
            parent: None,
            host: 0,
            has_children: true,
            package: None,
            name: None,
            versions: Versions::any(),
            language: None,
            spoken: None,
        };
        Self::new(vec![Host::default()], std::iter::once(holder).chain(components).collect())
    }
}
