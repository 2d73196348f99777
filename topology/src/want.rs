//! What a node asks an upstream for, so that it holds what is wanted below it.
//!
//! A want is a filter that is no narrower than the interests that it stands for: names only, in any version unless it
//! states one. Many interests share one want, and an upstream learns from it neither who has it nor where.

use std::collections::BTreeSet;

use bytestring::ByteString;
use schemas::version::{Container, Info, VersionInfo};

use crate::affected::{Affected, Named};
use crate::interest::{Interest, Node, Role};
use crate::key::{MatchKey, id_key};
use crate::name::{Name, Packaging};
use crate::versions::Versions;

mod record_form;

/// One thing that a node asks an upstream for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// Every item.
    Everything,
    /// A component, see [`Want::component`].
    Component {
        /// Its name.
        name: Name,
        /// The Package beside the name, where it is another than that of the name itself.
        package: Option<Box<str>>,
        /// The one version that is asked for; absent: any.
        version: Option<Box<str>>,
    },
    /// A product and what lies in it.
    Product(Box<str>),
    /// All that is a vendor's.
    Company(Box<str>),
    /// All that carries an identifier, whoever speaks.
    Id(Box<str>),
    /// All that one speaks.
    Source(Box<str>),
    /// One element of a catalogue: both in one Info.
    Element {
        /// Who speaks.
        source: Box<str>,
        /// Under which identifier.
        id: Box<str>,
    },
}

/// How closely a node says what it is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Granularity {
    /// The vendor, where there is one; else as [`Granularity::Product`].
    Vendor,
    /// The component, else the product.
    Product,
    /// As [`Granularity::Product`]; which versions are then asked for is for whoever knows how many have each.
    Version,
    /// The single element.
    Element,
}

impl Want {
    /// The want for a component. `package` is its Package element or else what packs it; it is kept only if the name
    /// says otherwise, so that one component is one want however it is written.
    pub fn component(name: &Name, package: Option<&str>, version: Option<&str>) -> Self {
        let implied = name.packaging().map(Packaging::as_str);
        let package = package.map(|package| package.trim().to_ascii_lowercase());
        let version = version.map(str::trim).filter(|version| !version.is_empty());
        Self::Component {
            name: name.clone(),
            package: package.filter(|own| !own.is_empty() && Some(own.as_str()) != implied).map(Into::into),
            version: version.map(Into::into),
        }
    }

    /// What covers the interest: every item that applies to it is taken by the filter of one of these. An identifier
    /// beside its speaker is an element; else the narrower field alone is asked for. Versions are left out.
    pub fn of_interest(interest: &Interest) -> BTreeSet<Self> {
        let wants: BTreeSet<Self> = interest.nodes().flat_map(|node| of_node(interest, node)).flatten().collect();
        if wants.contains(&Self::Everything) { BTreeSet::from([Self::Everything]) } else { wants }
    }

    /// What an entry of an upstream's catalogue is asked for by, in the names that the entry gives. A general item
    /// names its speaker or identifier alone. `None` if it names nothing.
    ///
    /// The filter takes whatever names that thing; but no filter for a component takes an item that is for no version
    /// of it. A withdrawn item reaches who subscribed to the component before.
    pub fn of_affected(affected: &Affected, granularity: Granularity) -> Option<Self> {
        let company = || affected.company.clone().map(Self::Company);
        let named = || {
            let component = |name| Self::component(name, affected.package.as_deref(), None);
            let product = || affected.product.clone().map(Self::Product);
            affected.name.as_ref().map(component).or_else(product).or_else(company)
        };
        let by_id = || affected.named.iter().find_map(|named| named.id.clone()).map(Self::Id);
        let source = || affected.named.iter().find_map(|named| named.source.clone()).map(Self::Source);
        match granularity {
            Granularity::Vendor => company().or_else(named).or_else(source).or_else(by_id),
            Granularity::Product | Granularity::Version => named().or_else(source).or_else(by_id),
            Granularity::Element => {
                affected.named.iter().find_map(element).or_else(by_id).or_else(named).or_else(source)
            }
        }
    }

    /// The key under which an index finds what it asks for.
    pub fn key(&self) -> MatchKey {
        match self {
            Self::Everything => MatchKey::Everything,
            Self::Component { name, .. } => MatchKey::File(name.folded()),
            Self::Product(product) => MatchKey::Product(product.clone()),
            Self::Company(company) => MatchKey::Company(company.clone()),
            Self::Id(id) | Self::Element { id, .. } => MatchKey::Id(id_key(id)),
            Self::Source(source) => MatchKey::Source(source.clone()),
        }
    }

    /// Whether an End of this want also ends a subscription to the other one: names need not be written alike, a
    /// component in any version is each of its versions, and an End of everything ends all.
    pub fn ends(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Everything, _) => true,
            (Self::Component { name, version, .. }, Self::Component { name: its_name, version: its_version, .. }) => {
                let packed = self.packaging().zip(other.packaging());
                let versions = |version: &Option<Box<str>>| Versions::parse(version.as_deref().unwrap_or_default());
                name.same(its_name)
                    && packed.is_none_or(|(own, its)| own.eq_ignore_ascii_case(its))
                    && versions(version).ends(&versions(its_version))
            }
            _ => self == other,
        }
    }

    /// As the filters of a Request, Register or End. All components are in one, which itself has no field and so asks
    /// for nothing else.
    pub fn version_infos<'a>(wants: impl IntoIterator<Item = &'a Self>) -> Vec<VersionInfo> {
        let (mut filters, mut components) = (Vec::new(), Vec::new());
        for want in wants {
            filters.push(match want {
                Self::Everything => VersionInfo::default(),
                Self::Component { name, version, .. } => {
                    components.push(want.component_info(name, version.as_deref()));
                    continue;
                }
                Self::Product(name) => VersionInfo { product_name: text(name), ..VersionInfo::default() },
                Self::Company(name) => VersionInfo { company: text(name), ..VersionInfo::default() },
                Self::Id(id) => of_info(Info { id: text(id), ..Info::default() }),
                Self::Source(source) => of_info(Info { source: text(source), ..Info::default() }),
                Self::Element { source, id } => of_info(Info { source: text(source), id: text(id), ..Info::default() }),
            });
        }
        if !components.is_empty() {
            let contained = VersionInfo { info: components, ..VersionInfo::default() };
            let container = Container { contained_versions: vec![contained], ..Container::default() };
            filters.push(of_info(Info { container, ..Info::default() }));
        }
        filters
    }

    fn component_info(&self, name: &Name, version: Option<&str>) -> Info {
        let container = Container {
            package: self.packaging().map(ByteString::from),
            version: version.unwrap_or_default().into(),
            file_name: text(&name.to_string()),
            ..Container::default()
        };
        Info { container, ..Info::default() }
    }

    /// What stands in Package: a bare name is another one without it.
    fn packaging(&self) -> Option<&str> {
        let Self::Component { name, package, .. } = self else { return None };
        package.as_deref().or(name.packaging().map(Packaging::as_str))
    }
}

/// A component at the top of its asset also waits for what is said of the product or the vendor alone.
fn of_node(interest: &Interest, node: &Node) -> [Option<Want>; 3] {
    let host = interest.host(node);
    let product = || host.product.clone().map(Want::Product);
    let company = || host.company.clone().map(Want::Company);
    match (interest.role(node), node.name()) {
        (Role::Component, Some(name)) => {
            let own = Some(Want::component(name, node.packaging(), None));
            if node.is_top() { [own, product(), company()] } else { [own, None, None] }
        }
        (Role::Filter, _) if host.product.is_some() || host.company.is_some() => [None, product(), company()],
        (Role::Filter, _) => [Some(of_spoken(node)), None, None],
        (Role::Holder | Role::Component, _) => [None, None, None],
    }
}

fn of_spoken(node: &Node) -> Want {
    let spoken = node.spoken().map(|spoken| (spoken.source.clone(), spoken.id.clone()));
    match spoken.unwrap_or_default() {
        (Some(source), Some(id)) => Want::Element { source, id },
        (None, Some(id)) => Want::Id(id),
        (Some(source), None) => Want::Source(source),
        (None, None) => Want::Everything,
    }
}

fn element(named: &Named) -> Option<Want> {
    let (source, id) = named.source.clone().zip(named.id.clone())?;
    Some(Want::Element { source, id })
}

fn of_info(info: Info) -> VersionInfo {
    VersionInfo { info: vec![info], ..VersionInfo::default() }
}

fn text(text: &str) -> Option<ByteString> {
    Some(text.into())
}

#[cfg(test)]
pub(crate) mod tests;
