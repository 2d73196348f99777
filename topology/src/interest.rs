//! What a client runs or asks for: one `Version_Info` of Register, Request or an inventory, flattened.
//!
//! Every Info becomes a [`Node`], recursively through Contained_Versions, in document order and therefore parents
//! before children. Dates, descriptions and comments are not part of an interest, nor is a component's Source.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use schemas::digest::Digest;
use schemas::version::VersionInfo;

use crate::affected::packaging;
use crate::key::{Keys, MatchKey, id_key};
use crate::name::Name;
use crate::record::{self, RecordError};
use crate::versions::Versions;

mod build;
mod components;
mod record_form;
mod restate;

pub(crate) use record_form::InterestRecord;

/// A filter: what one `Version_Info` says. Equal interests match the same items.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interest {
    hosts: Vec<Host>,
    nodes: Vec<Node>,
    /// Nodes with a name, by folded name: one item is looked up, not compared with all.
    by_name: Vec<u32>,
    /// Nodes without parent.
    tops: Vec<u32>,
}

/// The product fields above a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// Product_Name.
    pub product: Option<Box<str>>,
    /// Product_Version; any if absent.
    pub version: Versions,
    /// Company.
    pub company: Option<Box<str>>,
}

/// One Info.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    parent: Option<u32>,
    host: u32,
    has_children: bool,
    package: Option<Box<str>>,
    name: Option<Name>,
    versions: Versions,
    language: Option<Box<str>>,
    /// Source and ID, of a node that is a filter (top, no File_name). An asset's Source is dropped.
    spoken: Option<Box<Spoken>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spoken {
    pub(crate) source: Option<Box<str>>,
    pub(crate) id: Option<Box<str>>,
}

/// What a node can be matched by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It has a File_name.
    Component,
    /// A top node without File_name: product, vendor, identifier, source or everything.
    Filter,
    /// It only holds others: inside an asset, or at the top without any field of its own.
    Holder,
}

impl Node {
    /// The component's name.
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// Its version, or the versions that are asked for.
    pub fn versions(&self) -> &Versions {
        &self.versions
    }

    /// Its language.
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// How it is packed, by Package or else by its name.
    pub fn packaging(&self) -> Option<&str> {
        packaging(self.package.as_deref(), self.name.as_ref())
    }

    pub(crate) fn spoken(&self) -> Option<&Spoken> {
        self.spoken.as_deref()
    }

    /// Whether other nodes lie in it, directly.
    pub(crate) fn has_children(&self) -> bool {
        self.has_children
    }

    /// The node that it lies in, by its place in [`Interest::nodes`].
    pub(crate) fn parent(&self) -> Option<usize> {
        self.parent.map(|parent| parent as usize)
    }

    pub(crate) fn is_top(&self) -> bool {
        self.parent.is_none()
    }
}

impl Interest {
    /// What one `Version_Info` says.
    pub fn from_version_info(version_info: &VersionInfo) -> Self {
        build::flattened(version_info)
    }

    /// A `Version_Info` that says the same: read again it is an equal interest.
    pub fn to_version_info(&self) -> VersionInfo {
        restate::restated(self)
    }

    /// Everything: Message_Data without any `Version_Info`.
    pub fn everything() -> Self {
        Self::from_version_info(&VersionInfo::default())
    }

    /// Whether it matches every item.
    pub fn is_everything(&self) -> bool {
        self.tops().any(|(_, node)| self.keys_of(node).contains(&MatchKey::Everything) && self.is_unlimited(node))
    }

    /// Every node, parents before children.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }

    /// Every key that an item must share to apply.
    pub fn keys(&self) -> Keys {
        self.nodes.iter().flat_map(|node| self.keys_of(node)).collect()
    }

    /// The bytes for a record.
    pub fn encode(&self) -> Vec<u8> {
        record::encode(&InterestRecord::from(self))
    }

    /// Reads a record; damaged bytes are an error.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        record::decode::<InterestRecord>(bytes)?.try_into()
    }

    /// The identity of the filter.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }

    /// How a person would call it: the product, else the first component.
    pub fn shown(&self) -> &str {
        let product = self.hosts.iter().find_map(|host| host.product.as_deref());
        product.or_else(|| self.nodes.iter().find_map(|node| node.name().map(Name::shown))).unwrap_or_default()
    }

    /// The version of what [`Self::shown`] calls by its name.
    pub fn shown_version(&self) -> &str {
        self.tops().next().map_or("", |(_, node)| self.asset_versions(node).as_str())
    }

    /// Without the nodes for which `gone` holds, and all that lies in them. What only held such nodes goes too, or it
    /// would be taken for a filter without any field, which means everything. `None` if nothing that can match is left.
    pub(crate) fn without(&self, gone: &[bool]) -> Option<Self> {
        let stays = self.staying(gone);
        let mut places: Vec<Option<u32>> = Vec::with_capacity(self.nodes.len());
        let mut nodes: Vec<Node> = Vec::new();
        for (node, stays) in self.nodes.iter().zip(stays) {
            places.push(stays.then(|| index(nodes.len())));
            if !stays {
                continue;
            }
            let parent = node.parent().and_then(|parent| places[parent]);
            nodes.push(Node { parent, has_children: false, ..node.clone() });
            if let Some(parent) = parent {
                nodes[parent as usize].has_children = true;
            }
        }
        let left = Self::new(self.used_hosts(&mut nodes), nodes);
        (!left.keys().is_empty()).then_some(left)
    }

    /// The product fields that these nodes stand under, in the order of their first use.
    fn used_hosts(&self, nodes: &mut [Node]) -> Vec<Host> {
        let mut places = vec![None; self.hosts.len()];
        let mut hosts = Vec::new();
        for node in nodes {
            let own = node.host as usize;
            node.host = *places[own].get_or_insert_with(|| {
                hosts.push(self.hosts[own].clone());
                index(hosts.len() - 1)
            });
        }
        hosts
    }

    fn staying(&self, gone: &[bool]) -> Vec<bool> {
        let mut stays: Vec<bool> = Vec::with_capacity(self.nodes.len());
        for (node, gone) in self.nodes.iter().zip(gone) {
            stays.push(!gone && node.parent().is_none_or(|parent| stays[parent]));
        }
        // Children stand behind their parents, so from the end each node's are settled before it.
        let mut holds = vec![false; self.nodes.len()];
        for (at, node) in self.nodes.iter().enumerate().rev() {
            stays[at] &= holds[at] || !node.has_children || self.role(node) != Role::Holder;
            if let Some(parent) = node.parent().filter(|_| stays[at]) {
                holds[parent] = true;
            }
        }
        stays
    }

    pub(crate) fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    pub(crate) fn host(&self, node: &Node) -> &Host {
        &self.hosts[node.host as usize]
    }

    pub(crate) fn tops(&self) -> impl Iterator<Item = (u32, &Node)> {
        self.tops.iter().map(|at| (*at, self.node(*at)))
    }

    /// The versions that it states of this component, as they stand; the empty one for any.
    pub fn versions_of(&self, name: &Name) -> BTreeSet<&str> {
        let alike = self.named(name).map(|(_, node)| node);
        let same = alike.filter(|node| node.name().is_some_and(|own| own.same(name)));
        same.map(|node| node.versions().as_str()).collect()
    }

    /// Nodes whose name folds like this one.
    pub(crate) fn named(&self, name: &Name) -> impl Iterator<Item = (u32, &Node)> {
        let order = |at: u32| self.node(at).name.as_ref().map_or(Ordering::Less, |own| own.cmp_folded(name));
        let from = self.by_name.partition_point(|at| order(*at) == Ordering::Less);
        let alike = self.by_name[from..].iter().take_while(move |at| order(**at) == Ordering::Equal);
        alike.map(|at| (*at, self.node(*at)))
    }

    /// From the asset down to what holds the node, as a person reads them.
    pub(crate) fn path(&self, at: u32) -> Vec<String> {
        let mut path = Vec::new();
        let mut parent = self.node(at).parent;
        while let Some(at) = parent {
            path.push(self.shown_node(at).to_owned());
            parent = self.node(at).parent;
        }
        path.reverse();
        path
    }

    pub(crate) fn shown_node(&self, at: u32) -> &str {
        let node = self.node(at);
        node.name().map(Name::shown).or(self.host(node).product.as_deref()).unwrap_or_default()
    }

    /// The version of the asset that a top node is.
    pub(crate) fn asset_versions<'a>(&'a self, node: &'a Node) -> &'a Versions {
        if node.versions.is_any() { &self.host(node).version } else { &node.versions }
    }

    pub(crate) fn role(&self, node: &Node) -> Role {
        if node.name.is_some() {
            Role::Component
        } else if !node.is_top() || (node.has_children && self.is_unlimited(node)) {
            Role::Holder
        } else {
            Role::Filter
        }
    }

    /// No field limits what it matches.
    fn is_unlimited(&self, node: &Node) -> bool {
        let host = self.host(node);
        node.name.is_none()
            && node.spoken.is_none()
            && node.package.is_none()
            && node.language.is_none()
            && node.versions.as_str().is_empty()
            && host.product.is_none()
            && host.company.is_none()
            && host.version.as_str().is_empty()
    }

    fn keys_of(&self, node: &Node) -> Keys {
        let host = self.host(node);
        let product = host.product.clone().map(MatchKey::Product);
        let company = host.company.clone().map(MatchKey::Company);
        let spoken = || {
            let id = node.spoken().and_then(|spoken| spoken.id.as_deref()).map(|id| MatchKey::Id(id_key(id)));
            id.or_else(|| node.spoken().and_then(|spoken| spoken.source.clone()).map(MatchKey::Source))
        };
        match (self.role(node), &node.name) {
            (Role::Component, Some(name)) => {
                let own = Keys::from([MatchKey::File(name.folded())]);
                // Items about the product or its vendor concern the asset, not each of its components.
                if node.is_top() { own.into_iter().chain(product).chain(company).collect() } else { own }
            }
            (Role::Filter, _) if product.is_some() || company.is_some() => product.into_iter().chain(company).collect(),
            (Role::Filter, _) => Keys::from([spoken().unwrap_or(MatchKey::Everything)]),
            (Role::Holder | Role::Component, _) => Keys::new(),
        }
    }

    fn new(hosts: Vec<Host>, nodes: Vec<Node>) -> Self {
        let numbers = || 0..index(nodes.len());
        let tops = numbers().filter(|at| nodes[*at as usize].parent.is_none()).collect();
        let mut by_name: Vec<u32> = numbers().filter(|at| nodes[*at as usize].name.is_some()).collect();
        let name = |at: &u32| nodes[*at as usize].name.as_ref();
        by_name.sort_by(|left, right| match (name(left), name(right)) {
            (Some(left), Some(right)) => left.cmp_folded(right),
            _ => Ordering::Equal,
        });
        Self { hosts, nodes, by_name, tops }
    }
}

/// A document has fewer elements than 2^32 (`schemas::limits`).
fn index(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
