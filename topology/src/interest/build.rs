//! From the nested `Version_Info` to the flat list of nodes.

use schemas::version::{Container, Info, VersionInfo};

use super::{Host, Interest, Node, Spoken, index};
use crate::key::given;
use crate::name::Name;
use crate::versions::Versions;

/// The interest that the element states; without any Info, one in its product fields alone.
pub(super) fn flattened(version_info: &VersionInfo) -> Interest {
    let mut builder = Builder::default();
    builder.add_version_info(version_info, None);
    if builder.nodes.is_empty() {
        let host = builder.host(version_info, None);
        builder.nodes.push(Node::from_container(&Container::default(), host, None));
    }
    Interest::new(builder.hosts, builder.nodes)
}

#[derive(Default)]
struct Builder {
    hosts: Vec<Host>,
    nodes: Vec<Node>,
}

impl Builder {
    fn add_version_info(&mut self, version_info: &VersionInfo, parent: Option<u32>) {
        if version_info.info.is_empty() {
            return;
        }
        let host = self.host(version_info, parent);
        for info in &version_info.info {
            self.add_info(info, host, parent);
        }
    }

    fn add_info(&mut self, info: &Info, host: u32, parent: Option<u32>) {
        let at = index(self.nodes.len());
        if let Some(parent) = parent {
            self.nodes[parent as usize].has_children = true;
        }
        self.nodes.push(Node::from_container(&info.container, host, parent));
        for contained in &info.container.contained_versions {
            self.add_version_info(contained, Some(at));
        }
        let node = &mut self.nodes[at as usize];
        let spoken = Spoken {
            // An asset's Source is its author, not a wish.
            source: given(info.source.as_deref()).filter(|_| !node.has_children),
            id: given(info.id.as_deref()),
        };
        if parent.is_none() && node.name.is_none() && spoken != Spoken::default() {
            node.spoken = Some(Box::new(spoken));
        }
    }

    /// Inside Contained_Versions the product fields name the product at the top (R-10.2.3-1): absent ones are its.
    fn host(&mut self, version_info: &VersionInfo, parent: Option<u32>) -> u32 {
        let above = parent.map(|parent| self.nodes[parent as usize].host);
        let outer = above.map(|above| self.hosts[above as usize].clone()).unwrap_or_default();
        let version = given(version_info.product_version.as_deref()).map(|text| Versions::parse(&text));
        let host = Host {
            product: given(version_info.product_name.as_deref()).or(outer.product),
            version: version.unwrap_or(outer.version),
            company: given(version_info.company.as_deref()).or(outer.company),
        };
        match above {
            Some(above) if self.hosts[above as usize] == host => above,
            _ => {
                self.hosts.push(host);
                index(self.hosts.len() - 1)
            }
        }
    }
}

impl Node {
    fn from_container(container: &Container, host: u32, parent: Option<u32>) -> Self {
        Self {
            parent,
            host,
            has_children: false,
            package: given(container.package.as_deref()),
            name: container.file_name.as_deref().and_then(|name| Name::parse(name, container.package.as_deref())),
            versions: Versions::parse(&container.version),
            language: given(container.language.as_deref()),
            spoken: None,
        }
    }
}
