//! What of a source is news, and with which revision.
//!
//! The publisher keeps, for each (package, ID), the revision that it published last and a digest of what that said.
//! Unchanged content keeps its revision, so importing again publishes nothing. What is gone, or speaks of another
//! package or ID now, is withdrawn under its old identity with the next revision.
//!
//! A source that could not be read whole says nothing about what is gone; and one that lacks much of what stands is
//! doubted ([`Plan::doubt`]), because a wrong directory or half a download looks the same.

use std::collections::{BTreeMap, BTreeSet};

use schemas::version::VersionInfo;
use serde::{Deserialize, Serialize};
use topology::subject::Subject;

use super::advisory::{Advisory, Error};
use super::message::{to_version_info, withdrawal};
use super::source::{Change, Refusal};

/// The layout of the state's JSON.
const FORMAT: u32 = 1;

/// What was published so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    format: u32,
    /// By crate, then by ID: placeholders share an ID across crates.
    items: BTreeMap<String, BTreeMap<String, Published>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    path: String,
    /// What was answered last; 0 if nothing ever was.
    revision: u64,
    /// Of the content without its revision; none if the document is gone.
    digest: Option<String>,
    /// What was to be sent after it, and may have been taken though no answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offered: Option<Offer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offer {
    revision: u64,
    /// As that of [`Published`].
    digest: Option<String>,
}

impl Published {
    /// Nothing of it can be current anywhere.
    fn is_gone(&self) -> bool {
        self.digest.is_none() && self.offered.is_none()
    }

    /// Whether this content is what everybody has.
    fn says(&self, digest: Option<&str>) -> bool {
        self.offered.is_none() && self.digest.as_deref() == digest
    }

    /// The revision under which this content, which is news, is sent: that of its own offer, else one that nothing
    /// else ever had.
    fn next(&self, digest: Option<&str>) -> u64 {
        match &self.offered {
            Some(offer) if offer.digest.as_deref() == digest => offer.revision,
            Some(offer) => offer.revision + 1,
            None => self.revision + 1,
        }
    }
}

/// A state that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Not the JSON of a state.
    #[error("not the state of a publication: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by another version of this program.
    #[error("state format {0} is not {FORMAT}")]
    Format(u32),
}

/// What is to be published, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each document's path, and its item.
    pub publish: Vec<(String, VersionInfo)>,
    /// Documents that were not taken, and why. What was published of them before stays.
    pub refusals: Vec<Refusal>,
    /// Documents that say what they said before.
    pub unchanged: usize,
    /// Documents and changes that could be read.
    pub read: usize,
    /// Items that stood before.
    pub standing: usize,
    /// Items that are to be withdrawn because a whole source does not mention them.
    pub missing: usize,
    /// Whether a source that should be whole could not be read whole, so that nothing counts as gone.
    pub is_partial: bool,
}

/// Withdrawing this many for want of a mention is a day's work, whatever share of all they are.
const MISSING_FEW: usize = 5;
/// Of what stands, one in this many may be missing.
const MISSING_SHARE: usize = 10;

/// Why a plan should not be carried out without a second look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Not a single document was read.
    #[error("nothing could be read: is this an advisory tree, or JSON lines with path and text? Nothing was sent")]
    Nothing,
    /// Much of what stands is not in the source.
    #[error(
        "{missing} of the {standing} items that stand are not in this source, and would be withdrawn from every device; \
         nothing was sent. If they are really gone, say --withdraw-missing"
    )]
    Missing {
        /// How many.
        missing: usize,
        /// Of how many.
        standing: usize,
    },
}

impl Plan {
    /// Why this looks like a mistake, if it does.
    pub fn doubt(&self) -> Option<Doubt> {
        let Self { read, missing, standing, .. } = *self;
        if read == 0 {
            Some(Doubt::Nothing)
        } else if missing > MISSING_FEW && missing * MISSING_SHARE > standing {
            Some(Doubt::Missing { missing, standing })
        } else {
            None
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self { format: FORMAT, items: BTreeMap::new() }
    }
}

impl State {
    /// Reads what [`to_json`](Self::to_json) wrote.
    pub fn from_json(json: &str) -> Result<Self, StateError> {
        let state: Self = serde_json::from_str(json)?;
        if state.format == FORMAT { Ok(state) } else { Err(StateError::Format(state.format)) }
    }

    /// For a file, in a stable order.
    pub fn to_json(&self) -> Result<String, StateError> {
        Ok(serde_json::to_string_pretty(self)?)
    }

    /// Takes a source in. `is_complete` says that what the source does not mention is gone, if all of it can be read.
    /// The state is then that after the publication: keep it once everything is published.
    pub fn plan(&mut self, changes: impl Iterator<Item = Result<Change, Refusal>>, is_complete: bool) -> Plan {
        let paths = self.paths();
        let plan = Plan { standing: paths.len(), ..Plan::default() };
        let mut run = Run { paths, state: self, seen: BTreeSet::new(), is_complete, plan };
        for change in changes {
            run.plan.read += usize::from(change.is_ok());
            match change {
                Ok(Change::Put(advisory)) => run.put(&advisory),
                Ok(Change::Remove { path }) => run.remove(&path),
                Err(refusal) => run.refuse(refusal),
            }
        }
        if is_complete && !run.plan.is_partial {
            run.remove_unseen();
        }
        run.plan
    }

    /// Notes what `planned`, the state after a plan, is going to send. To be kept before the first byte is sent: whether
    /// or not an answer comes, no revision then ever stands for two contents, of which agents could keep either.
    pub fn offer(&mut self, planned: &Self) {
        for (package, items) in &planned.items {
            for (id, next) in items {
                let own = self
                    .items
                    .entry(package.clone())
                    .or_default()
                    .entry(id.clone())
                    .or_insert_with(|| Published { path: next.path.clone(), revision: 0, digest: None, offered: None });
                if next.revision != own.revision {
                    own.offered = Some(Offer { revision: next.revision, digest: next.digest.clone() });
                }
            }
        }
    }

    /// Takes over what `planned` says of one item of that plan, which was answered. What is not taken over stays
    /// offered: news again at the next plan, with the same revision as long as it says the same.
    pub fn adopt(&mut self, planned: &Self, item: &VersionInfo) {
        let Some(info) = item.info.first() else { return };
        let name = info.container.file_name.as_deref().unwrap_or_default();
        let package = name.split_once('/').map_or(name, |(_, package)| package);
        let id = info.id.as_deref().unwrap_or_default();
        let Some(published) = planned.items.get(package).and_then(|items| items.get(id)) else { return };
        // Changes can speak of an item more than once: only the last of them is what was planned.
        if Subject::from_version_infos(std::slice::from_ref(item)).revision == published.revision {
            self.items.entry(package.to_owned()).or_default().insert(id.to_owned(), published.clone());
        }
    }

    /// Which identity each document has that is present, or may be for all that anybody knows.
    fn paths(&self) -> BTreeMap<String, Identity> {
        let mut paths = BTreeMap::new();
        for (package, items) in &self.items {
            for (id, published) in items.iter().filter(|(_, published)| !published.is_gone()) {
                paths.insert(published.path.clone(), (package.clone(), id.clone()));
            }
        }
        paths
    }
}

/// Package and ID.
type Identity = (String, String);

/// One pass over a source.
struct Run<'a> {
    state: &'a mut State,
    paths: BTreeMap<String, Identity>,
    seen: BTreeSet<String>,
    is_complete: bool,
    plan: Plan,
}

impl Run<'_> {
    fn put(&mut self, advisory: &Advisory) {
        let identity = (advisory.package.clone(), advisory.id.clone());
        let holder = self.held_by(&identity);
        // In a database two documents of one identity would take turns; among changes the later one is a move.
        if let Some(other) =
            holder.filter(|other| self.is_complete && *other != advisory.path && self.seen.contains(other))
        {
            self.seen.insert(advisory.path.clone());
            let reason = format!("{} of {} is already that of {other}", identity.1, identity.0);
            self.plan.refusals.push(Error { path: advisory.path.clone(), line: 1, reason }.into());
            return;
        }
        self.seen.insert(advisory.path.clone());
        if self.paths.get(&advisory.path).is_some_and(|held| *held != identity) {
            self.remove(&advisory.path);
        }
        self.publish(advisory, identity);
    }

    fn publish(&mut self, advisory: &Advisory, (package, id): Identity) {
        let digest = digest(&to_version_info(advisory, 0));
        let items = self.state.items.entry(package.clone()).or_default();
        let before = items.get(&id);
        let unchanged = before.is_some_and(|before| before.says(Some(&digest)));
        let revision = match before {
            Some(before) if unchanged => before.revision,
            Some(before) => before.next(Some(&digest)),
            None => 1,
        };
        if let Some(before) = before {
            self.paths.remove(&before.path);
        }
        let path = advisory.path.clone();
        items.insert(id.clone(), Published { path, revision, digest: Some(digest), offered: None });
        self.paths.insert(advisory.path.clone(), (package, id));
        if unchanged {
            self.plan.unchanged += 1;
        } else {
            self.plan.publish.push((advisory.path.clone(), to_version_info(advisory, revision)));
        }
    }

    /// Withdraws what stands at the path, if anything does.
    fn remove(&mut self, path: &str) {
        let Some((package, id)) = self.paths.remove(path) else { return };
        if let Some(published) = self.state.items.get_mut(&package).and_then(|items| items.get_mut(&id)) {
            published.revision = published.next(None);
            (published.digest, published.offered) = (None, None);
            self.plan.publish.push((path.to_owned(), withdrawal(&package, &id, published.revision)));
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        match refusal.document() {
            Some(path) => {
                self.seen.insert(path.to_owned());
            }
            None => self.plan.is_partial |= self.is_complete,
        }
        self.plan.refusals.push(refusal);
    }

    fn remove_unseen(&mut self) {
        let gone: Vec<String> = self.paths.keys().filter(|path| !self.seen.contains(*path)).cloned().collect();
        self.plan.missing = gone.len();
        gone.iter().for_each(|path| self.remove(path));
    }

    fn held_by(&self, (package, id): &Identity) -> Option<String> {
        let published = self.state.items.get(package)?.get(id)?;
        (!published.is_gone()).then(|| published.path.clone())
    }
}

/// Of everything that the item says, each text with its length so that no two items read alike.
fn digest(version_info: &VersionInfo) -> String {
    let mut hasher = blake3::Hasher::new();
    for info in &version_info.info {
        let reference = info.description.as_ref().and_then(|description| description.reference.as_ref());
        let container = &info.container;
        let texts = [
            info.source.as_ref(),
            info.id.as_ref(),
            info.date.as_ref(),
            reference,
            container.package.as_ref(),
            Some(&container.version),
            container.file_name.as_ref(),
            container.author_comments.as_ref(),
        ];
        for text in texts {
            let text: &str = text.map_or("", |text| text);
            hasher.update(&text.len().to_le_bytes()).update(text.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests;
