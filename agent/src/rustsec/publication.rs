//! What of a source is news, and with which revision.
//!
//! The publisher keeps, for each (package, ID), the revision that it published last and a digest of what that said.
//! Unchanged content keeps its revision, so importing again publishes nothing. What is gone, or speaks of another
//! package or ID now, is withdrawn under its old identity with the next revision.

use std::collections::{BTreeMap, BTreeSet};

use schemas::version::VersionInfo;
use serde::{Deserialize, Serialize};

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
    revision: u64,
    /// Of the content without its revision; none if the document is gone.
    digest: Option<String>,
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

    /// Takes a source in. `is_complete` says that what the source does not mention is gone. The state is then that
    /// after the publication: keep it once everything is published.
    pub fn plan(&mut self, changes: impl Iterator<Item = Result<Change, Refusal>>, is_complete: bool) -> Plan {
        let mut run =
            Run { paths: self.paths(), state: self, seen: BTreeSet::new(), is_complete, plan: Plan::default() };
        for change in changes {
            match change {
                Ok(Change::Put(advisory)) => run.put(&advisory),
                Ok(Change::Remove { path }) => run.remove(&path),
                Err(refusal) => {
                    run.seen.insert(refusal.path().to_owned());
                    run.plan.refusals.push(refusal);
                }
            }
        }
        if is_complete {
            run.remove_unseen();
        }
        run.plan
    }

    /// Takes over what `planned`, the state after a plan, says of one item of that plan: for who keeps only what was
    /// really published. What is not taken over is news again at the next plan, with the same revision.
    pub fn adopt(&mut self, planned: &Self, item: &VersionInfo) {
        let Some(info) = item.info.first() else { return };
        let name = info.container.file_name.as_deref().unwrap_or_default();
        let package = name.split_once('/').map_or(name, |(_, package)| package);
        let id = info.id.as_deref().unwrap_or_default();
        if let Some(published) = planned.items.get(package).and_then(|items| items.get(id)) {
            self.items.entry(package.to_owned()).or_default().insert(id.to_owned(), published.clone());
        }
    }

    /// Which identity each present document has.
    fn paths(&self) -> BTreeMap<String, Identity> {
        let mut paths = BTreeMap::new();
        for (package, items) in &self.items {
            for (id, published) in items.iter().filter(|(_, published)| published.digest.is_some()) {
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
        let unchanged = before.is_some_and(|before| before.digest.as_ref() == Some(&digest));
        let revision = before.map_or(0, |before| before.revision) + u64::from(!unchanged);
        if let Some(before) = before {
            self.paths.remove(&before.path);
        }
        items.insert(id.clone(), Published { path: advisory.path.clone(), revision, digest: Some(digest) });
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
            published.revision += 1;
            published.digest = None;
            self.plan.publish.push((path.to_owned(), withdrawal(&package, &id, published.revision)));
        }
    }

    fn remove_unseen(&mut self) {
        let gone: Vec<String> = self.paths.keys().filter(|path| !self.seen.contains(*path)).cloned().collect();
        gone.iter().for_each(|path| self.remove(path));
    }

    fn held_by(&self, (package, id): &Identity) -> Option<String> {
        let published = self.state.items.get(package)?.get(id)?;
        published.digest.is_some().then(|| published.path.clone())
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
