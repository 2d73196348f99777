//! An interest as it lies in a record.

use rkyv::{Archive, Deserialize, Serialize};

use super::{Host, Interest, Node, Spoken};
use crate::name::Name;
use crate::record::RecordError;
use crate::versions::Versions;

/// Flat, and plain texts only: names and versions are read again.
#[derive(Archive, Serialize, Deserialize)]
pub(crate) struct InterestRecord {
    hosts: Vec<HostRecord>,
    nodes: Vec<NodeRecord>,
}

#[derive(Archive, Serialize, Deserialize)]
struct HostRecord {
    product: Option<Box<str>>,
    version: Box<str>,
    company: Option<Box<str>>,
}

#[derive(Archive, Serialize, Deserialize)]
struct NodeRecord {
    parent: Option<u32>,
    host: u32,
    package: Option<Box<str>>,
    name: Option<String>,
    versions: Box<str>,
    language: Option<Box<str>>,
    source: Option<Box<str>>,
    id: Option<Box<str>>,
}

impl From<&Interest> for InterestRecord {
    fn from(interest: &Interest) -> Self {
        let host = |host: &Host| HostRecord {
            product: host.product.clone(),
            version: host.version.as_str().into(),
            company: host.company.clone(),
        };
        let node = |node: &Node| NodeRecord {
            parent: node.parent,
            host: node.host,
            package: node.package.clone(),
            name: node.name.as_ref().map(Name::to_string),
            versions: node.versions.as_str().into(),
            language: node.language.clone(),
            source: node.spoken().and_then(|spoken| spoken.source.clone()),
            id: node.spoken().and_then(|spoken| spoken.id.clone()),
        };
        Self { hosts: interest.hosts.iter().map(host).collect(), nodes: interest.nodes.iter().map(node).collect() }
    }
}

impl TryFrom<InterestRecord> for Interest {
    type Error = RecordError;

    fn try_from(record: InterestRecord) -> Result<Self, RecordError> {
        let hosts: Vec<Host> = record.hosts.into_iter().map(Host::from).collect();
        let mut nodes: Vec<Node> = Vec::with_capacity(record.nodes.len());
        for node in record.nodes {
            if node.host as usize >= hosts.len() {
                return Err(RecordError::Contradiction("a node without its product fields"));
            }
            if let Some(parent) = node.parent {
                let parent = nodes.get_mut(parent as usize);
                parent.ok_or(RecordError::Contradiction("a node before its parent"))?.has_children = true;
            }
            nodes.push(node.into());
        }
        Ok(Self::new(hosts, nodes))
    }
}

impl From<HostRecord> for Host {
    fn from(record: HostRecord) -> Self {
        Self { product: record.product, version: Versions::parse(&record.version), company: record.company }
    }
}

impl From<NodeRecord> for Node {
    fn from(record: NodeRecord) -> Self {
        let spoken = Spoken { source: record.source, id: record.id };
        Self {
            parent: record.parent,
            host: record.host,
            has_children: false,
            name: record.name.as_deref().and_then(|name| Name::parse(name, record.package.as_deref())),
            package: record.package,
            versions: Versions::parse(&record.versions),
            language: record.language,
            spoken: (spoken != Spoken::default()).then(|| Box::new(spoken)),
        }
    }
}
