//! What an item speaks about: one [`Affected`] for each thing its Infos name.

use rkyv::{Archive, Deserialize, Serialize};
use schemas::version::{Info, VersionInfo};

use crate::key::{Keys, MatchKey, given, id_key};
use crate::name::Name;
use crate::versions::Versions;

/// One thing, with the versions that an item means. Fields that an item does not give do not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Affected {
    /// The product at the top.
    pub product: Option<Box<str>>,
    /// Its version.
    pub product_version: Option<Versions>,
    /// The vendor.
    pub company: Option<Box<str>>,
    /// How the thing is packed.
    pub package: Option<Box<str>>,
    /// The component.
    pub name: Option<Name>,
    /// The language.
    pub language: Option<Box<str>>,
    /// The versions of the component, or else of the product.
    pub versions: Versions,
    /// Who says it, and under which identifiers. Sorted, each once.
    pub named: Vec<Named>,
}

/// A speaker and his identifier.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Archive, Serialize, Deserialize)]
pub struct Named {
    /// `Info/Source`.
    pub source: Option<Box<str>>,
    /// `Info/ID`.
    pub id: Option<Box<str>>,
}

impl Affected {
    /// What the Infos of one item speak about. Infos that differ only by speaker and identifier (an advisory and its
    /// aliases, C-1) become one.
    pub fn of(infos: &[VersionInfo]) -> Vec<Self> {
        let mut all = Vec::new();
        for version_info in infos {
            if version_info.info.is_empty() {
                all.push(Self::of_product(version_info));
            }
            for info in &version_info.info {
                of_info(version_info, info, &mut all);
            }
        }
        merged(all)
    }

    /// The same thing, but no version of it: what is left of a withdrawn item.
    #[must_use]
    pub fn withdrawn(self) -> Self {
        Self { versions: Versions::nothing(), ..self }
    }

    /// Every key under which an interest may wait for it.
    pub fn keys(&self) -> Keys {
        let mut keys = Keys::from([MatchKey::Everything]);
        keys.extend(self.name.as_ref().map(|name| MatchKey::File(name.folded())));
        keys.extend(self.product.clone().map(MatchKey::Product));
        keys.extend(self.company.clone().map(MatchKey::Company));
        for Named { source, id } in &self.named {
            keys.extend(source.clone().map(MatchKey::Source));
            keys.extend(id.as_deref().map(|id| MatchKey::Id(id_key(id))));
        }
        keys
    }

    /// How a person would call it: the component, else the product, else the vendor.
    pub fn shown(&self) -> &str {
        let name = self.name.as_ref().map(Name::shown);
        name.or(self.product.as_deref()).or(self.company.as_deref()).unwrap_or_default()
    }

    /// How it is packed, by Package or else by its name.
    pub(crate) fn packaging(&self) -> Option<&str> {
        packaging(self.package.as_deref(), self.name.as_ref())
    }

    fn of_product(version_info: &VersionInfo) -> Self {
        Self {
            product: given(version_info.product_name.as_deref()),
            product_version: given(version_info.product_version.as_deref()).map(|text| Versions::parse(&text)),
            company: given(version_info.company.as_deref()),
            ..Self::default()
        }
    }

    /// Equal but for who speaks of it.
    fn same_thing(&self, other: &Self) -> bool {
        let Self { product, product_version, company, package, name, language, versions, named: _ } = self;
        *versions == other.versions
            && *name == other.name
            && *product == other.product
            && *product_version == other.product_version
            && *company == other.company
            && *package == other.package
            && *language == other.language
    }
}

pub(crate) fn packaging<'a>(package: Option<&'a str>, name: Option<&'a Name>) -> Option<&'a str> {
    package.or_else(|| name.and_then(Name::packaging).map(|packaging| packaging.as_str()))
}

/// An Info without Code states affected versions. One with version control states the new version, and by its lists
/// the versions that it is for; one with Code and without lists is for every version of what it names.
fn of_info(version_info: &VersionInfo, info: &Info, all: &mut Vec<Affected>) {
    let container = &info.container;
    let named = vec![Named { source: given(info.source.as_deref()), id: given(info.id.as_deref()) }];
    let whole = Affected {
        package: given(container.package.as_deref()),
        name: container.file_name.as_deref().and_then(|name| Name::parse(name, container.package.as_deref())),
        language: given(container.language.as_deref()),
        versions: Versions::parse(&container.version),
        named,
        ..Affected::of_product(version_info)
    };
    let Some(code) = &container.code else {
        all.push(whole);
        return;
    };
    let control = code.version_control.as_ref();
    let entries =
        control.into_iter().flat_map(|control| control.update_path.iter().flatten().chain(&control.supersedes));
    let before = all.len();
    for entry in entries {
        of_entry(entry, &whole, all);
    }
    if all.len() == before {
        let any = Affected { product_version: None, versions: Versions::any(), ..whole };
        // The File_name beside Code may be that of the package file; then the product is what clients know.
        all.extend(any.product.is_some().then(|| Affected { name: None, ..any.clone() }));
        all.push(any);
    }
}

/// An entry of Update_Path or Supersedes: it names what it does not leave to the item. Package is its own, since the
/// item's says how the code is packed.
fn of_entry(entry: &VersionInfo, item: &Affected, all: &mut Vec<Affected>) {
    let product = Affected::of_product(entry);
    let base = Affected {
        product: product.product.or_else(|| item.product.clone()),
        company: product.company.or_else(|| item.company.clone()),
        product_version: product.product_version,
        language: item.language.clone(),
        named: item.named.clone(),
        ..Affected::default()
    };
    if entry.info.is_empty() {
        all.push(base.clone());
    }
    all.extend(entry.info.iter().map(|info| {
        let container = &info.container;
        Affected {
            package: given(container.package.as_deref()),
            name: container.file_name.as_deref().and_then(|name| Name::parse(name, container.package.as_deref())),
            language: given(container.language.as_deref()).or_else(|| base.language.clone()),
            versions: Versions::parse(&container.version),
            ..base.clone()
        }
    }));
}

/// Sorted, each thing once, with the names of all that spoke of it.
pub(crate) fn merged(mut all: Vec<Affected>) -> Vec<Affected> {
    // The names are the last field, so equal things are neighbours.
    all.sort_unstable();
    all.dedup_by(|later, earlier| {
        let same = later.same_thing(earlier);
        if same {
            earlier.named.append(&mut later.named);
        }
        same
    });
    for affected in &mut all {
        affected.named.sort_unstable();
        affected.named.dedup();
    }
    all
}

/// An [`Affected`] as it lies in a record.
#[derive(Archive, Serialize, Deserialize)]
pub(crate) struct AffectedRecord {
    product: Option<Box<str>>,
    product_version: Option<Box<str>>,
    company: Option<Box<str>>,
    package: Option<Box<str>>,
    name: Option<String>,
    language: Option<Box<str>>,
    versions: Box<str>,
    named: Vec<Named>,
}

impl From<&Affected> for AffectedRecord {
    fn from(affected: &Affected) -> Self {
        Self {
            product: affected.product.clone(),
            product_version: affected.product_version.as_ref().map(|versions| versions.as_str().into()),
            company: affected.company.clone(),
            package: affected.package.clone(),
            name: affected.name.as_ref().map(Name::to_string),
            language: affected.language.clone(),
            versions: affected.versions.as_str().into(),
            named: affected.named.clone(),
        }
    }
}

impl From<AffectedRecord> for Affected {
    fn from(record: AffectedRecord) -> Self {
        Self {
            name: record.name.as_deref().and_then(|name| Name::parse(name, record.package.as_deref())),
            product: record.product,
            product_version: record.product_version.as_deref().map(Versions::parse),
            company: record.company,
            package: record.package,
            language: record.language,
            versions: Versions::parse(&record.versions),
            named: record.named,
        }
    }
}
