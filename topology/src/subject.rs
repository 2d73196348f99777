//! What an item says of itself: one `Version_Info` list of a Deliver, read once when the item is accepted.

use rkyv::{Archive, Deserialize, Serialize};
use schemas::class::Class;
use schemas::digest::Digest;
use schemas::version::{Code, Info, VersionInfo};

use crate::affected::{Affected, AffectedRecord};
use crate::comments::Comments;
use crate::cvss::Cvss3;
use crate::key::{Keys, given};
use crate::name::Name;
use crate::record::{self, RecordError};

mod reach;

pub use reach::{REACH_MAX, Reach};

/// CVSS 3 base score, in tenths, from which an item is critical.
const CRITICAL_TENTHS: u8 = 90;

/// What an item speaks about, and what a list shows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What it applies to. Of a withdrawn item: the same things, no version.
    pub affected: Vec<Affected>,
    /// What it is a revision of; none without an ID.
    pub identity: Option<ItemIdentity>,
    /// Counted by the publisher, 0 if not stated.
    pub revision: u64,
    /// Whether it is taken back.
    pub status: Status,
    /// `Kind`, such as `vulnerability`.
    pub kind: Option<String>,
    /// How urgent it is.
    pub class: Class,
    /// Whether it brings code along, as opposed to a reference to it.
    pub has_code: bool,
    /// First line of its text, else its ID; may be empty.
    pub title: String,
    /// `Date` as it stands.
    pub date: Option<String>,
    /// Where to read more.
    pub reference: Option<String>,
    /// Identifiers beside the first, in their order.
    pub aliases: Vec<String>,
    /// The severity as a vector of whatever version.
    pub cvss: Option<String>,
    /// Base score in tenths, if the vector is of CVSS 3.
    pub score_tenths: Option<u8>,
    /// `Patched`, for a person.
    pub patched: Option<String>,
}

/// What revisions of one item share (Source, ID, asset identity). Where no Source is given the Company stands for it: no vendor
/// speaks about another's things by giving them the same ID.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemIdentity {
    /// Who speaks; empty if not stated.
    pub source: String,
    /// Whose product it is, if it is not stated who speaks; else empty.
    pub company: String,
    /// The identifier.
    pub id: String,
    /// The component with its packaging and registry, else the product; empty for a general item.
    pub asset: String,
}

/// Whether an item holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// It does.
    Current,
    /// It is taken back: it applies to nothing, and who had it is told.
    Withdrawn,
}

impl Subject {
    /// Reads the Infos of one item. Facts are those of the first Info that states them.
    pub fn from_version_infos(infos: &[VersionInfo]) -> Self {
        let all = || infos.iter().flat_map(|version_info| &version_info.info);
        let comments: Vec<Comments> =
            all().filter_map(|info| info.container.author_comments.as_deref()).map(Comments::parse).collect();
        let withdrawn = comments.iter().find(|lines| lines.status.is_some()).is_some_and(Comments::is_withdrawn);
        let affected = Affected::of(infos);
        let (cvss, score_tenths) = severity(&comments);
        let mut ids = all().filter_map(|info| given(info.id.as_deref())).map(String::from);
        let first_id = ids.next();
        let title = comments.iter().find_map(|lines| lines.text.first().cloned());
        let fact = |fact: fn(&Comments) -> Option<String>| comments.iter().find_map(fact);
        Self {
            affected: if withdrawn { affected.into_iter().map(Affected::withdrawn).collect() } else { affected },
            identity: ItemIdentity::of(infos),
            revision: comments.iter().find_map(|lines| lines.revision).unwrap_or(0),
            status: if withdrawn { Status::Withdrawn } else { Status::Current },
            kind: fact(|lines| lines.kind.clone()),
            class: if score_tenths >= Some(CRITICAL_TENTHS) { Class::Critical } else { Class::Normal },
            has_code: all().filter_map(|info| info.container.code.as_ref()).any(brings_code),
            title: title.or_else(|| all().find_map(described)).or_else(|| first_id.clone()).unwrap_or_default(),
            date: all().find_map(|info| given(info.date.as_deref())).map(String::from),
            reference: all().find_map(|info| given(info.description.as_ref()?.reference.as_deref())).map(String::from),
            aliases: ids.filter(|id| Some(id) != first_id.as_ref()).collect(),
            cvss,
            score_tenths,
            patched: fact(|lines| lines.patched.clone()),
        }
    }

    /// Every key under which an interest may wait for it.
    pub fn keys(&self) -> Keys {
        self.affected.iter().flat_map(Affected::keys).collect()
    }

    /// Whether this item takes the place of another revision: the higher revision does, at equal ones the greater
    /// digest. A lower one never becomes current.
    pub fn replaces(&self, other_revision: u64, other_digest: Digest, own_digest: Digest) -> bool {
        (self.revision, own_digest) > (other_revision, other_digest)
    }

    /// What could not be read or takes no effect, for whoever shows or refuses the item: a thing, its range, and why.
    pub fn faults(&self) -> Vec<String> {
        let dropped = reach::dropped(&self.affected);
        let over =
            (dropped > 0).then(|| format!("{dropped} things are over the bound of {REACH_MAX}: they reach nobody"));
        let unreadable = self.affected.iter().filter_map(|one| {
            let error = one.versions.fault()?;
            Some(format!("{}: {}: {error}", one.shown(), one.versions))
        });
        unreadable.chain(over).collect()
    }

    /// The bytes for a record.
    pub fn encode(&self) -> Vec<u8> {
        record::encode(&SubjectRecord::from(self))
    }

    /// Reads a record; damaged bytes are an error.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        record::decode::<SubjectRecord>(bytes)?.try_into()
    }
}

impl ItemIdentity {
    fn of(infos: &[VersionInfo]) -> Option<Self> {
        let (version_info, info) =
            infos.iter().find_map(|version_info| Some((version_info, version_info.info.first()?)))?;
        let container = &info.container;
        let product = given(version_info.product_name.as_deref()).map(String::from);
        let package = container.package.as_deref();
        let name = container.file_name.as_deref().and_then(|name| Name::parse(name, package)).map(|name| {
            let text = name.to_string();
            let packaging = name.packaging().map_or("", |packaging| packaging.as_str());
            if text.starts_with("pkg:") || packaging.is_empty() { text } else { format!("{packaging}:{text}") }
        });
        // Beside Code, File_name and Package are those of the package file.
        let asset = if container.code.is_some() { product.or(name) } else { name.or(product) };
        let source = given(info.source.as_deref()).map(String::from).unwrap_or_default();
        let company = given(version_info.company.as_deref()).filter(|_| source.is_empty());
        Some(Self {
            source,
            company: company.map(String::from).unwrap_or_default(),
            id: given(info.id.as_deref())?.into(),
            asset: asset.unwrap_or_default(),
        })
    }
}

/// The vector to show, and the highest base score: of CVSS 3 if there is one, else any vector as text.
fn severity(comments: &[Comments]) -> (Option<String>, Option<u8>) {
    let scored = comments.iter().filter_map(|lines| {
        let vector = lines.cvss3.as_ref()?;
        Some((vector.parse::<Cvss3>().ok()?.base_tenths(), vector))
    });
    // The first of equal scores, so that the order of Infos decides.
    let highest = scored.reduce(|best, next| if next.0 > best.0 { next } else { best });
    let unscored =
        || comments.iter().find_map(|lines| lines.cvss3.clone().or(lines.cvss4.clone()).or(lines.cvss2.clone()));
    match highest {
        Some((tenths, vector)) => (Some(vector.clone()), Some(tenths)),
        None => (unscored(), None),
    }
}

fn brings_code(code: &Code) -> bool {
    code.content.as_ref().is_some_and(|content| {
        !content.text.trim().is_empty() || content.reference.as_deref().is_some_and(|uri| uri.starts_with("data:"))
    })
}

fn described(info: &Info) -> Option<String> {
    let text = |description: &schemas::core::Description| given(description.text.as_deref());
    let own = info.description.as_ref().and_then(text);
    own.or_else(|| info.container.description.as_ref().and_then(text)).map(String::from)
}

#[derive(Archive, Serialize, Deserialize)]
struct SubjectRecord {
    affected: Vec<AffectedRecord>,
    identity: Option<(String, String, String, String)>,
    revision: u64,
    withdrawn: bool,
    kind: Option<String>,
    class: u8,
    has_code: bool,
    title: String,
    date: Option<String>,
    reference: Option<String>,
    aliases: Vec<String>,
    cvss: Option<String>,
    score_tenths: Option<u8>,
    patched: Option<String>,
}

const CLASSES: [Class; 3] = [Class::Critical, Class::Normal, Class::Bulk];

impl From<&Subject> for SubjectRecord {
    fn from(subject: &Subject) -> Self {
        let identity = |identity: &ItemIdentity| {
            let ItemIdentity { source, company, id, asset } = identity.clone();
            (source, company, id, asset)
        };
        Self {
            affected: subject.affected.iter().map(AffectedRecord::from).collect(),
            identity: subject.identity.as_ref().map(identity),
            revision: subject.revision,
            withdrawn: subject.status == Status::Withdrawn,
            kind: subject.kind.clone(),
            class: match subject.class {
                Class::Critical => 0,
                Class::Normal => 1,
                Class::Bulk => 2,
            },
            has_code: subject.has_code,
            title: subject.title.clone(),
            date: subject.date.clone(),
            reference: subject.reference.clone(),
            aliases: subject.aliases.clone(),
            cvss: subject.cvss.clone(),
            score_tenths: subject.score_tenths,
            patched: subject.patched.clone(),
        }
    }
}

impl TryFrom<SubjectRecord> for Subject {
    type Error = RecordError;

    fn try_from(record: SubjectRecord) -> Result<Self, RecordError> {
        let class = CLASSES.get(usize::from(record.class)).copied();
        Ok(Self {
            affected: record.affected.into_iter().map(Affected::from).collect(),
            identity: record.identity.map(|(source, company, id, asset)| ItemIdentity { source, company, id, asset }),
            revision: record.revision,
            status: if record.withdrawn { Status::Withdrawn } else { Status::Current },
            kind: record.kind,
            class: class.ok_or(RecordError::Contradiction("no such delivery class"))?,
            has_code: record.has_code,
            title: record.title,
            date: record.date,
            reference: record.reference,
            aliases: record.aliases,
            cvss: record.cvss,
            score_tenths: record.score_tenths,
            patched: record.patched,
        })
    }
}

#[cfg(test)]
mod tests;
