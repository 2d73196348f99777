//! What a journal says now: the items that apply here, and the history of each. Reads only; an agent may be running.

use std::collections::BTreeMap;
use std::path::Path;

use node::client::Client;
use node::client::journal::{Entry, Event, Regard};
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::limits::Limits;
use serde::Serialize;
use topology::key::id_key;
use topology::subject::Subject;

use crate::contact::Contact;
use crate::journal::{self, JournalError, Kind, Line};

/// A journal, folded.
#[derive(Debug)]
pub struct View {
    /// Every event.
    pub lines: Vec<Line>,
    /// What applies now, the most severe first.
    pub items: Vec<Item>,
    /// How old this answer is.
    pub standing: Standing,
    /// What is known of each item that ever concerned this device, by its digest in hex.
    known: BTreeMap<String, Known>,
}

/// Up to when, and up to where in the server's log, everything that concerns this device is here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// When the agent was synchronised last, RFC 3339; `None` if it never was.
    pub as_of: Option<String>,
    /// What it holds durably; `None` if nothing of the server's log.
    pub position: Option<u64>,
    /// Whether it still was when it said so last.
    pub synchronised: bool,
}

/// What applies, and as of when: the answer of a list, for programs.
#[derive(Clone, Debug, Serialize)]
pub struct Now<'a> {
    /// How old it is.
    #[serde(flatten)]
    pub standing: &'a Standing,
    /// The most severe first.
    pub items: &'a [Item],
}

/// An item that applies here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// BLAKE3 digest of the document, in hex.
    pub digest: String,
    /// Who speaks.
    pub source: String,
    /// The first identifier.
    pub id: String,
    /// The others.
    pub aliases: Vec<String>,
    /// First line of its text.
    pub title: String,
    /// By the rating scale of CVSS 3; `None` without a vector of that version.
    pub severity: Option<&'static str>,
    /// The base score, such as `9.8`.
    pub score: Option<String>,
    /// The vector, of whatever version.
    pub cvss: Option<String>,
    /// Such as `vulnerability` or `unmaintained`.
    pub kind: Option<String>,
    /// When the source published it, as it says.
    pub date: Option<String>,
    /// Counted by the source.
    pub revision: u64,
    /// Versions without the fault.
    pub patched: Option<String>,
    /// Where to read more.
    pub reference: Option<String>,
    /// Since when it applies here as it reads now, RFC 3339.
    pub since: String,
    /// What it is taken for: authorised by whom, unsigned, unchecked, or not authorised and why.
    pub signature: String,
    /// Signatures that it carries.
    pub signatures: usize,
    /// Why it applies.
    pub reasons: Vec<Because>,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Because {
    /// The asset on this device.
    pub asset: String,
    /// The component in it.
    pub component: String,
    /// Its version.
    pub version: String,
    /// From the asset down to what holds the component.
    pub path: Vec<String>,
    /// The versions that the item means.
    pub affected: String,
}

impl View {
    /// Reads the journal of a state directory.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn load(directory: &Path) -> Result<Self, JournalError> {
        // Before the journal: that may be newer than this says, but not older.
        let contact = Contact::read(directory);
        let mut known = BTreeMap::new();
        // Folding asks for no name of the two.
        let mut client = Client::new(ClientGuid(0), ServerGuid(0));
        let lines = journal::read(directory, |entry| {
            known.extend(Known::of(&entry));
            client.replay(entry);
        })?;
        let standing = Standing::of(contact, &lines);
        let since = since(&lines);
        let mut items: Vec<Item> = client
            .holdings()
            .iter()
            .map(|(digest, held)| {
                let reasons = held.reasons.iter().flat_map(|(asset, reasons)| {
                    reasons.iter().map(|reason| Because {
                        asset: asset.clone(),
                        component: reason.component.clone(),
                        version: reason.version.clone(),
                        path: reason.path.clone(),
                        affected: reason.affected.clone(),
                    })
                });
                let digest = digest.to_string();
                let since = since.get(digest.as_str()).copied().unwrap_or_default().to_owned();
                let signatures = known.get(&digest).map_or(0, |known| known.signatures);
                let base = Item::new(digest, &held.subject, signatures, since, reasons.collect());
                Item { signature: regarded(&held.regard), ..base }
            })
            .collect();
        let order = |item: &Item| (score_tenths(item), item.id.clone());
        items.sort_by(|left, right| {
            let ((left_score, left_id), (right_score, right_id)) = (order(left), order(right));
            right_score.cmp(&left_score).then(left_id.cmp(&right_id))
        });
        Ok(Self { lines, items, standing, known })
    }

    /// What a list answers.
    pub fn now(&self) -> Now<'_> {
        Now { standing: &self.standing, items: &self.items }
    }

    /// Items that have this identifier, as their own or as an alias, whatever its case.
    pub fn named(&self, id: &str) -> Vec<&Item> {
        let key = id_key(id);
        let has = |item: &&Item| std::iter::once(&item.id).chain(&item.aliases).any(|own| id_key(own) == key);
        self.items.iter().filter(has).collect()
    }

    /// Events of items that have, or had, this identifier.
    pub fn history(&self, id: &str) -> Vec<&Line> {
        let key = id_key(id);
        let known = |line: &Line| self.known.get(line.item.as_deref()?);
        self.lines.iter().filter(|line| known(line).is_some_and(|known| known.names.contains(&key))).collect()
    }
}

impl Standing {
    /// A position is journalled only once everything up to it is here, so that also dates it if nothing else does.
    fn of(contact: Option<Contact>, lines: &[Line]) -> Self {
        let last = lines.iter().rev().find_map(|line| Some((line.at.clone(), line.resume.as_ref()?.position)));
        let Some((at, position)) = last else { return Self::default() };
        let (as_of, synchronised) = contact.map_or((at, false), |contact| (contact.at, contact.synchronised));
        Self { as_of: Some(as_of), position: Some(position), synchronised }
    }
}

/// When each item began to apply as it reads now, by its digest in hex. One that left is forgotten: if it applies again,
/// it comes as a gain of its own.
fn since(lines: &[Line]) -> BTreeMap<&str, &str> {
    let begins = lines.iter().filter(|line| matches!(line.event, Kind::Gained | Kind::Revised));
    begins.filter_map(|line| Some((line.item.as_deref()?, line.at.as_str()))).collect()
}

/// What stays of an item's document when it was read.
#[derive(Debug, Default)]
struct Known {
    /// Every identifier.
    names: Vec<Box<str>>,
    signatures: usize,
}

impl Known {
    /// Of the item that an entry brought, with its digest.
    fn of(entry: &Entry) -> Option<(String, Self)> {
        let (Event::Gained { digest, document, .. }
        | Event::Revised { digest, document, .. }
        | Event::Retracted { digest, document, .. }) = &entry.event
        else {
            return None;
        };
        let facts = Validated::new(document.clone(), &Limits::default()).ok()?;
        let subject = journal::subject_of(&facts)?;
        let own = subject.identity.iter().map(|identity| identity.id.as_str());
        let names = own.chain(subject.aliases.iter().map(String::as_str)).map(id_key).collect();
        Some((digest.to_string(), Self { names, signatures: facts.signatures().len() }))
    }
}

impl Item {
    fn new(digest: String, subject: &Subject, signatures: usize, since: String, reasons: Vec<Because>) -> Self {
        let identity = subject.identity.as_ref();
        Self {
            digest,
            source: identity.map(|identity| identity.source.clone()).unwrap_or_default(),
            id: identity.map(|identity| identity.id.clone()).unwrap_or_default(),
            aliases: subject.aliases.clone(),
            title: subject.title.clone(),
            severity: subject.score_tenths.map(rating),
            score: subject.score_tenths.map(|tenths| format!("{}.{}", tenths / 10, tenths % 10)),
            cvss: subject.cvss.clone(),
            kind: subject.kind.clone(),
            date: subject.date.clone(),
            revision: subject.revision,
            patched: subject.patched.clone(),
            reference: subject.reference.clone(),
            since,
            signature: String::new(),
            signatures,
            reasons,
        }
    }
}

/// For people.
fn regarded(regard: &Regard) -> String {
    match regard {
        Regard::Authorised(name) => format!("authorised by {name}"),
        Regard::Unsigned => "unsigned".to_owned(),
        Regard::Unchecked => "unverified: signed, and there is no trust file".to_owned(),
        Regard::Refused(why) => format!("not authorised: {why}"),
    }
}

fn score_tenths(item: &Item) -> Option<u32> {
    let (whole, tenths) = item.score.as_ref()?.split_once('.')?;
    Some(whole.parse::<u32>().ok()? * 10 + tenths.parse::<u32>().ok()?)
}

/// The qualitative rating scale of CVSS 3.
fn rating(tenths: u8) -> &'static str {
    match tenths {
        0 => "none",
        1..=39 => "low",
        40..=69 => "medium",
        70..=89 => "high",
        _ => "critical",
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dialler::documents;
    use node::ids::{Position, Resume, Time};
    use schemas::digest::Digest;
    use schemas::version::{Container, Info, VersionInfo};
    use topology::matching::{By, Reason};

    use super::*;
    use crate::journal::Journal;

    fn document(ids: &[&str], revision: u64, cvss: &str) -> (Digest, Bytes) {
        let info = |id: &&str| Info {
            source: Some("RustSec".into()),
            id: Some((*id).to_owned().into()),
            container: Container {
                package: Some("cargo".into()),
                file_name: Some("pkg:cargo/serde".into()),
                version: "vers:cargo/<1.2.3".into(),
                author_comments: Some(format!("A fault\nCVSS3: {cvss}\nRevision: {revision}").into()),
                ..Container::default()
            },
            ..Info::default()
        };
        let infos = VersionInfo { info: ids.iter().map(info).collect(), ..VersionInfo::default() };
        let (_, document) = documents::item(&[infos]);
        (Digest::of(&document), document)
    }

    #[test]
    fn what_applies_is_shown_with_its_reason_and_its_history() {
        let reasons = reasons();
        let (old, first) = document(&["A-1", "CVE-1"], 1, "none");
        let (new, second) = document(&["A-1", "CVE-1"], 2, "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H");
        let (other, third) = document(&["A-0"], 1, "none");
        let events = [
            Event::Gained { digest: old, document: first, reasons: reasons.clone() },
            Event::Gained { digest: other, document: third, reasons: reasons.clone() },
            Event::Revised { digest: new, replaced: old, document: second, reasons },
        ];
        let entry = |(event, number)| Entry { number, at: Time(1000 * number), event, resume: None };
        let entries: Vec<Entry> = events.into_iter().zip(1..).map(entry).collect();
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), drop).unwrap();
        journal.append(&entries).unwrap();

        let view = View::load(dir.path()).unwrap();
        assert_eq!(view.standing, Standing::default(), "no position of the server's log was ever reached");
        let ids: Vec<_> = view.items.iter().map(|item| (item.id.as_str(), item.severity)).collect();
        assert_eq!(ids, [("A-1", Some("critical")), ("A-0", None)], "the most severe first");
        let item = view.named("cve-1")[0];
        assert_eq!((item.revision, item.score.as_deref(), item.signature.as_str()), (2, Some("9.8"), "unsigned"));
        assert_eq!(item.since, "1970-01-01T00:00:03Z");
        assert_eq!((item.reasons[0].asset.as_str(), item.reasons[0].version.as_str()), ("billing", "1.0.0"));
        let history: Vec<_> = view.history("cve-1").iter().map(|line| line.event.as_str()).collect();
        assert_eq!(history, ["gained", "revised"]);
    }

    fn reasons() -> node::client::journal::Reasons {
        let reason = Reason {
            component: "serde".into(),
            version: "1.0.0".into(),
            path: vec!["app".into()],
            affected: "vers:cargo/<1.2.3".into(),
            by: By::Component,
        };
        vec![("billing".to_owned(), vec![reason])]
    }

    /// The view of these events, one a second.
    fn viewed(dir: &Path, events: Vec<(Event, Option<Resume>)>) -> View {
        let entry = |((event, resume), number)| Entry { number, at: Time(1000 * number), event, resume };
        let entries: Vec<Entry> = events.into_iter().zip(1..).map(entry).collect();
        let mut journal = Journal::open(dir, drop).unwrap();
        journal.append(&entries).unwrap();
        View::load(dir).unwrap()
    }

    #[test]
    fn an_item_that_applies_again_does_so_since_then() {
        let (digest, document) = document(&["A-1"], 1, "none");
        let gained = || (Event::Gained { digest, document: document.clone(), reasons: reasons() }, None);
        let dir = tempfile::tempdir().unwrap();
        let view = viewed(dir.path(), vec![gained(), (Event::Left { digest }, None), gained()]);
        assert_eq!(view.items[0].since, "1970-01-01T00:00:03Z");
    }

    #[test]
    fn a_list_says_how_old_it_is() {
        let resume = |position| Some(Resume::at(1, Position(position), None));
        let dir = tempfile::tempdir().unwrap();
        let noted = vec![(Event::Noted, resume(7)), (Event::Ended { name: "app".into() }, None)];
        let view = viewed(dir.path(), noted);
        let dated = |at: &str, synchronised| Standing { as_of: Some(at.into()), position: Some(7), synchronised };
        assert_eq!(view.standing, dated("1970-01-01T00:00:01Z", false));
        let contact = "{\"at\":\"2026-01-15T09:30:00Z\",\"synchronised\":true}";
        std::fs::write(dir.path().join("contact.json"), contact).unwrap();
        let view = View::load(dir.path()).unwrap();
        assert_eq!(view.standing, dated("2026-01-15T09:30:00Z", true));
        let json = serde_json::to_value(view.now()).unwrap();
        assert_eq!((&json["position"], &json["items"]), (&7.into(), &serde_json::json!([])));
    }
}
