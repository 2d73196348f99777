//! One line of `journal.jsonl`: an entry as JSON, for programs and for people with `less`.

use dialler::clock;
use node::client::journal::{Entry, Event, Reasons, Regard};
use schemas::digest::Digest;
use schemas::guid::{ClientGuid, parse_128};
use serde::{Deserialize, Serialize};
use topology::matching::{By, Reason};
use topology::subject::Subject;

use super::info;
use super::resume::{ResumeLine, resume, resume_line};

/// An entry as it stands in the file. Fields that the event does not have are left out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Counts lines from 1, without a gap.
    pub n: u64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// What happened.
    pub event: Kind,
    /// Whether a batch, which becomes durable as a whole, begins here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub begins: bool,
    /// BLAKE3 digest of the item, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// The item whose place it takes, or that is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<String>,
    /// Who speaks in the item. For people, like `id` and `title`: the document says it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The item's first identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// First line of its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Who has authorised it, or why it is refused or not authorised any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// Why it applies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<AssetLine>,
    /// Where the provider's bytes stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Place>,
    /// Name of the asset that was registered or whose registration ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
    /// The asset as it was registered: the Register message in X.1206.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// The GUID that the server gave this client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<AssignedLine>,
    /// With this line everything up to here is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<ResumeLine>,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An item that applies came.
    Gained,
    /// A newer revision came, and applies.
    Revised,
    /// A newer revision came, and does not apply any more.
    Retracted,
    /// The inventory changed: the item applies for other reasons.
    Rematched,
    /// The inventory changed: the item does not apply any more.
    Left,
    /// From here on a held item is authorised by a signer.
    Trusted,
    /// From here on it is not authorised any more.
    Distrusted,
    /// From here on it passes without a signature.
    Unsigned,
    /// From here on nobody has judged its signature.
    Unchecked,
    /// An item came that may not be held.
    Refused,
    /// The server accepted an asset.
    Registered,
    /// The server ended an asset's registration.
    Ended,
    /// The server gave this client another GUID.
    Assigned,
    /// Only the position changed.
    Noted,
}

impl Kind {
    /// As it stands in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gained => "gained",
            Self::Revised => "revised",
            Self::Retracted => "retracted",
            Self::Rematched => "rematched",
            Self::Left => "left",
            Self::Trusted => "trusted",
            Self::Distrusted => "distrusted",
            Self::Unsigned => "unsigned",
            Self::Unchecked => "unchecked",
            Self::Refused => "refused",
            Self::Registered => "registered",
            Self::Ended => "ended",
            Self::Assigned => "assigned",
            Self::Noted => "noted",
        }
    }
}

/// The reasons of one asset.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AssetLine {
    /// Its name on this device.
    pub asset: String,
    /// What in it is concerned.
    pub because: Vec<ReasonLine>,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonLine {
    /// What is concerned.
    pub component: String,
    /// Its version, empty if it is not known.
    pub version: String,
    /// From the asset down to what holds the component.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// The versions that the item means.
    pub affected: String,
    /// What the match hangs on.
    #[serde(with = "ByName")]
    pub by: By,
}

/// The names of [`By`] in the file.
#[derive(Deserialize, Serialize)]
#[serde(remote = "By", rename_all = "lowercase")]
enum ByName {
    Product,
    Company,
    Component,
    Id,
    Source,
    Everything,
}

/// A document's place: in `documents.bin`, or in a file of its own, which is called by the item's digest and stands in
/// the folder `documents`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// First byte in `documents.bin`; none for a file of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// In `documents.bin` without the newline after it.
    pub length: u64,
}

impl Place {
    /// Where the place in `documents.bin` after this one begins; `None` for one that no file can have. A file of its own
    /// takes none there.
    pub(super) fn next(self, end: u64) -> Option<u64> {
        match self.offset {
            Some(offset) if offset == end => offset.checked_add(self.length)?.checked_add(1),
            Some(_) => None,
            None => Some(end),
        }
    }
}

/// A GUID for headers, and the life of the server's log in which it holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AssignedLine {
    /// As a UUID.
    pub client: String,
    /// As a UUID.
    pub incarnation: String,
}

/// A line for an entry whose document, if it has one, stands at `document`. `subject` is what that says.
pub(super) fn of_entry(entry: &Entry, document: Option<Place>, subject: Option<&Subject>) -> Result<Line, String> {
    let identity = subject.and_then(|subject| subject.identity.as_ref());
    let mut line = Line {
        n: entry.number,
        at: clock::text(entry.at),
        event: Kind::Noted,
        begins: false,
        item: None,
        replaced: None,
        source: identity.map(|identity| identity.source.clone()),
        id: identity.map(|identity| identity.id.clone()),
        title: subject.map(|subject| subject.title.clone()),
        trust: None,
        reasons: Vec::new(),
        document,
        asset: None,
        info: None,
        assigned: None,
        resume: entry.resume.map(resume_line),
    };
    match &entry.event {
        Event::Gained { digest, reasons, .. } => {
            (line.event, line.item, line.reasons) = (Kind::Gained, Some(digest.to_string()), lines(reasons));
        }
        Event::Revised { digest, replaced, reasons, .. } => {
            (line.event, line.item, line.reasons) = (Kind::Revised, Some(digest.to_string()), lines(reasons));
            line.replaced = Some(replaced.to_string());
        }
        Event::Retracted { digest, replaced, .. } => {
            (line.event, line.item) = (Kind::Retracted, Some(digest.to_string()));
            line.replaced = Some(replaced.to_string());
        }
        Event::Rematched { digest, reasons } => {
            (line.event, line.item, line.reasons) = (Kind::Rematched, Some(digest.to_string()), lines(reasons));
        }
        Event::Left { digest } => (line.event, line.item) = (Kind::Left, Some(digest.to_string())),
        Event::Regarded { digest, regard } => {
            line.item = Some(digest.to_string());
            (line.event, line.trust) = of_regard(regard);
        }
        Event::Refused { digest, id, why } => {
            (line.event, line.item) = (Kind::Refused, Some(digest.to_string()));
            (line.id, line.trust) = (id.clone(), Some(why.clone()));
        }
        Event::Registered { name, info } => {
            (line.event, line.asset) = (Kind::Registered, Some(name.clone()));
            line.info = Some(info::write(info)?);
        }
        Event::Ended { name } => (line.event, line.asset) = (Kind::Ended, Some(name.clone())),
        Event::Assigned { client, incarnation } => {
            line.event = Kind::Assigned;
            let incarnation = uuid::Uuid::from_u128(*incarnation).to_string();
            line.assigned = Some(AssignedLine { client: client.to_string(), incarnation });
        }
        Event::Noted => {}
    }
    Ok(line)
}

/// The entry of a line. `document` reads what stands at a place, of which the digest is known.
pub(super) fn to_entry(
    line: &Line,
    document: impl Fn(Place, Digest) -> Result<bytes::Bytes, String>,
) -> Result<Entry, String> {
    let at = clock::parse(&line.at).ok_or_else(|| format!("{:?} is no time", line.at))?;
    let item = || digest(line.item.as_deref());
    let replaced = || digest(line.replaced.as_deref());
    let content = |digest| document(line.document.ok_or("the document is missing")?, digest);
    let name = || line.asset.clone().ok_or("the asset's name is missing");
    let event = match line.event {
        Kind::Gained => {
            let digest = item()?;
            Event::Gained { digest, document: content(digest)?, reasons: reasons(line) }
        }
        Kind::Revised => {
            let digest = item()?;
            Event::Revised { digest, replaced: replaced()?, document: content(digest)?, reasons: reasons(line) }
        }
        Kind::Retracted => {
            let digest = item()?;
            Event::Retracted { digest, replaced: replaced()?, document: content(digest)? }
        }
        Kind::Rematched => Event::Rematched { digest: item()?, reasons: reasons(line) },
        Kind::Left => Event::Left { digest: item()? },
        Kind::Trusted | Kind::Distrusted | Kind::Unsigned | Kind::Unchecked => {
            Event::Regarded { digest: item()?, regard: to_regard(line) }
        }
        Kind::Refused => {
            Event::Refused { digest: item()?, id: line.id.clone(), why: line.trust.clone().unwrap_or_default() }
        }
        Kind::Registered => {
            let info = info::read(line.info.as_deref().ok_or("the description is missing")?)?;
            Event::Registered { name: name()?, info: Box::new(info) }
        }
        Kind::Ended => Event::Ended { name: name()? },
        Kind::Assigned => {
            let AssignedLine { client, incarnation } = line.assigned.as_ref().ok_or("the GUID is missing")?;
            let client = ClientGuid::parse(client).map_err(|error| error.to_string())?;
            Event::Assigned { client, incarnation: parse_128(incarnation).map_err(|error| error.to_string())? }
        }
        Kind::Noted => Event::Noted,
    };
    let resume = line.resume.as_ref().map(resume).transpose()?;
    Ok(Entry { number: line.n, at, event, resume })
}

fn of_regard(regard: &Regard) -> (Kind, Option<String>) {
    match regard {
        Regard::Authorised(name) => (Kind::Trusted, Some(name.clone())),
        Regard::Refused(why) => (Kind::Distrusted, Some(why.clone())),
        Regard::Unsigned => (Kind::Unsigned, None),
        Regard::Unchecked => (Kind::Unchecked, None),
    }
}

fn to_regard(line: &Line) -> Regard {
    let text = line.trust.clone().unwrap_or_default();
    match line.event {
        Kind::Trusted => Regard::Authorised(text),
        Kind::Distrusted => Regard::Refused(text),
        Kind::Unsigned => Regard::Unsigned,
        _ => Regard::Unchecked,
    }
}

fn lines(reasons: &Reasons) -> Vec<AssetLine> {
    let one = |reason: &Reason| ReasonLine {
        component: reason.component.clone(),
        version: reason.version.clone(),
        path: reason.path.clone(),
        affected: reason.affected.clone(),
        by: reason.by,
    };
    let all = reasons.iter();
    all.map(|(asset, because)| AssetLine { asset: asset.clone(), because: because.iter().map(one).collect() }).collect()
}

fn reasons(line: &Line) -> Reasons {
    let one = |reason: &ReasonLine| Reason {
        component: reason.component.clone(),
        version: reason.version.clone(),
        path: reason.path.clone(),
        affected: reason.affected.clone(),
        by: reason.by,
    };
    let all = line.reasons.iter();
    all.map(|AssetLine { asset, because }| (asset.clone(), because.iter().map(one).collect())).collect()
}

/// A digest from 64 hex digits.
pub(super) fn digest(hex: Option<&str>) -> Result<Digest, String> {
    let hex = hex.ok_or("the item is missing")?;
    let mut bytes = [0; 32];
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    let whole = pairs.len() == bytes.len() && rest.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !whole {
        return Err(format!("{hex:?} is no digest"));
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let pair = std::str::from_utf8(pair).map_err(|error| error.to_string())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|error| error.to_string())?;
    }
    Ok(Digest(bytes))
}
