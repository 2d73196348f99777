//! From the flat list of nodes back to a `Version_Info` that says the same.

use schemas::version::{Container, Info, VersionInfo};

use super::{Host, Interest, Node};

/// An Info with the number of the product fields that it stands under.
type Placed = (u32, Info);

/// What the interest states. What no interest keeps (dates, descriptions, an asset's Source) is not in it.
pub(super) fn restated(interest: &Interest) -> VersionInfo {
    // Children stand behind their parents, so from the end each node's are complete before it.
    let mut inner: Vec<Vec<Placed>> = vec![Vec::new(); interest.nodes.len()];
    let mut tops: Vec<Placed> = Vec::new();
    for (at, node) in interest.nodes.iter().enumerate().rev() {
        let contained = in_groups(interest, Some(node.host), std::mem::take(&mut inner[at]));
        let placed = (node.host, info(node, contained));
        match node.parent() {
            Some(parent) => inner[parent].push(placed),
            None => tops.push(placed),
        }
    }
    // One Version_Info made the interest, so all that is at its top stands under the same product fields.
    in_groups(interest, None, tops).into_iter().next().unwrap_or_default()
}

/// Neighbours under the same product fields, which are left out where they are those above.
fn in_groups(interest: &Interest, above: Option<u32>, mut placed: Vec<Placed>) -> Vec<VersionInfo> {
    placed.reverse();
    let mut groups: Vec<(u32, VersionInfo)> = Vec::new();
    for (host, info) in placed {
        match groups.last_mut() {
            Some((last, group)) if *last == host => group.info.push(info),
            _ => {
                let own = if above == Some(host) { None } else { interest.hosts.get(host as usize) };
                let group = VersionInfo { info: vec![info], ..own.map(fields).unwrap_or_default() };
                groups.push((host, group));
            }
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

fn fields(host: &Host) -> VersionInfo {
    let version = host.version.as_str();
    VersionInfo {
        product_name: host.product.as_deref().map(Into::into),
        product_version: (!version.is_empty()).then(|| version.into()),
        company: host.company.as_deref().map(Into::into),
        ..VersionInfo::default()
    }
}

fn info(node: &Node, contained_versions: Vec<VersionInfo>) -> Info {
    let spoken = node.spoken();
    let container = Container {
        package: node.package.as_deref().map(Into::into),
        version: node.versions.as_str().into(),
        contained_versions,
        file_name: node.name.as_ref().map(|name| name.to_string().into()),
        language: node.language.as_deref().map(Into::into),
        ..Container::default()
    };
    Info {
        source: spoken.and_then(|spoken| spoken.source.as_deref()).map(Into::into),
        id: spoken.and_then(|spoken| spoken.id.as_deref()).map(Into::into),
        container,
        ..Info::default()
    }
}
