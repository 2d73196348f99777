//! What is wanted below, in the words in which each upstream is asked for it.

use std::collections::BTreeSet;

use schemas::class::Class;
use schemas::guid::{ClientGuid, ServerGuid};
use topology::affected::Affected;
use topology::interest::Interest;
use topology::key::{Keys, MatchKey};
use topology::subject::{Reach, Subject};
use topology::want::{Granularity, Want};

use super::Engine;
use super::plan::Plan;
use crate::catalogue;
use crate::ids::{Position, Time};
use crate::intake::Item;
use crate::records::Origin;
use crate::uplink::{Ask, Kind, Uplink};

impl Engine {
    /// Something of an upstream has come, an entry of its catalogue or content: what it names may be asked for, if
    /// somebody below waits for it.
    pub(super) fn announced(&mut self, now: Time, position: Position) {
        let Some(catalogue::Item { record, .. }) = self.catalogue.get(position) else { return };
        let Origin::Upstream(server) = record.origin else { return };
        if self.uplinks.get(&server).is_none_or(|uplink| !uplink.uses_words()) {
            return;
        }
        let (subject, reach) = (record.subject.clone(), record.reach.clone());
        self.learn(now, server, &subject, &reach);
        self.turn(now, server);
    }

    /// An upstream has sent what is here by another: it may be asked for that as well.
    pub(super) fn announced_too(&mut self, now: Time, server: ServerGuid, item: &Item) {
        let Some(identity) = item.subject.identity.clone() else { return };
        let latest = self.latest.get(&(identity, item.is_entry)).map(|latest| latest.reach.clone());
        self.learn(now, server, &item.subject, &latest.unwrap_or_else(|| Reach::of(&item.subject)));
    }

    fn learn(&mut self, now: Time, server: ServerGuid, subject: &Subject, reach: &Reach) {
        let Some(uplink) = self.uplinks.get_mut(&server).filter(|uplink| uplink.uses_words()) else { return };
        let (mut words, mut new) = (Vec::new(), Vec::new());
        for (word, keys) in words_of(uplink, subject) {
            let is_new = uplink.words_mut().insert(&word, &keys, reach);
            new.extend(is_new.then(|| word.clone()));
            words.push(word);
        }
        let is_critical = subject.class == Class::Critical;
        words.iter().for_each(|word| self.tell_word(now, server, word, is_critical));
        self.fetch_again(server, &new);
    }

    /// Words that were asked for in an earlier life of this node, before it knew them in this one: what came for them may
    /// have been trimmed since, and who asked meanwhile could not be told that it was here.
    fn fetch_again(&mut self, server: ServerGuid, new: &[Want]) {
        let Some(uplink) = self.uplinks.get_mut(&server).filter(|_| self.catalogue.is_trimmed()) else { return };
        let mut writes = Vec::new();
        for word in new {
            let asked: Vec<Want> = uplink.told_as(word).iter().filter(|want| uplink.has(want)).cloned().collect();
            asked.iter().for_each(|want| uplink.fetch(Kind::Refetch, want, &mut writes));
        }
        if !writes.is_empty() && self.broken.is_none() {
            self.store(Plan { writes, ..Plan::default() });
        }
    }

    /// Reads the words of an upstream's catalogue off the log.
    pub(super) fn learn_words(&self, uplink: &mut Uplink) {
        uplink.words_mut().clear();
        let own = Origin::Upstream(uplink.config().server);
        for (_, item) in self.catalogue.iter().filter(|(_, item)| item.record.origin == own) {
            for (word, keys) in words_of(uplink, &item.record.subject) {
                uplink.words_mut().insert(&word, &keys, &item.record.reach);
            }
        }
    }

    /// Tells an upstream's uplink everything that is waited for below.
    pub(super) fn tell(&mut self, now: Time, server: ServerGuid) {
        let Some(mut uplink) = self.uplinks.remove(&server) else { return };
        uplink.list(self.subscriptions.lists() > 0);
        uplink.told().iter().for_each(|word| uplink.want(now, word, BTreeSet::new(), false));
        if uplink.uses_words() {
            self.learn_words(&mut uplink);
        }
        let words: Vec<Want> = if uplink.asks() == Ask::Everything {
            vec![Want::Everything]
        } else if uplink.uses_words() {
            uplink.words().all().cloned().collect()
        } else {
            self.subscriptions.wants().map(|(want, _)| want.clone()).collect()
        };
        self.uplinks.insert(server, uplink);
        words.iter().for_each(|word| self.tell_word(now, server, word, false));
    }

    /// Tells all uplinks what has changed below.
    pub(super) fn tell_changes(&mut self, now: Time) {
        let changes = self.subscriptions.take_want_changes();
        let lists = self.subscriptions.lists() > 0;
        if changes.is_empty() && std::mem::replace(&mut self.lists, lists) == lists {
            return;
        }
        let servers: Vec<ServerGuid> = self.uplinks.keys().copied().collect();
        for server in servers {
            if let Some(uplink) = self.uplinks.get_mut(&server) {
                uplink.list(lists);
            }
            for word in self.words_touched(server, &changes) {
                self.tell_word(now, server, &word, false);
            }
            self.turn(now, server);
        }
    }

    fn words_touched(&self, server: ServerGuid, changes: &[(Want, bool)]) -> BTreeSet<Want> {
        let Some(uplink) = self.uplinks.get(&server) else { return BTreeSet::new() };
        match uplink.asks() {
            Ask::Everything => BTreeSet::new(),
            _ if !uplink.uses_words() => changes.iter().map(|(want, _)| want.clone()).collect(),
            Ask::Names | Ask::Elements if changes.iter().any(|(want, _)| *want == Want::Everything) => {
                uplink.words().all().cloned().collect()
            }
            Ask::Names | Ask::Elements => {
                let under = |want: &Want| uplink.words().under(&want.key()).cloned().collect::<Vec<_>>();
                changes.iter().flat_map(|(want, _)| under(want)).collect()
            }
        }
    }

    fn tell_word(&mut self, now: Time, server: ServerGuid, word: &Want, at_once: bool) {
        let Some(uplink) = self.uplinks.get(&server) else { return };
        let wants = self.expressed(uplink, word);
        if let Some(uplink) = self.uplinks.get_mut(&server) {
            uplink.want(now, word, wants, at_once);
        }
    }

    /// How a word is asked for now; nothing if nobody below waits for it.
    fn expressed(&self, uplink: &Uplink, word: &Want) -> BTreeSet<Want> {
        let itself = || BTreeSet::from([word.clone()]);
        if uplink.asks() == Ask::Everything {
            return itself();
        }
        if !uplink.uses_words() {
            return if self.subscriptions.is_wanted(word) { itself() } else { BTreeSet::new() };
        }
        let Some(known) = uplink.words().get(word) else { return BTreeSet::new() };
        let is_waited_for = if uplink.granularity() == Granularity::Element {
            self.subscriptions.wants_content(&known.reach)
        } else {
            known.keys.iter().any(|key| self.subscriptions.waits(key))
        };
        if !is_waited_for {
            return BTreeSet::new();
        }
        self.by_version(uplink, word).unwrap_or_else(itself)
    }

    /// The versions of a component that enough clients below run for each to be named; `None` if one is too rare: then
    /// the name goes without.
    fn by_version(&self, uplink: &Uplink, word: &Want) -> Option<BTreeSet<Want>> {
        let Want::Component { name, package, .. } = word else { return None };
        if uplink.granularity() != Granularity::Version {
            return None;
        }
        // Who waits for everything, or for an identifier, has no version.
        let by_name = |key: &MatchKey| matches!(key, MatchKey::File(_)) || !self.subscriptions.waits(key);
        if uplink.words().get(word).is_some_and(|known| !known.keys.iter().all(by_name)) {
            return None;
        }
        let versions = self.subscriptions.versions_wanted(name);
        let is_common =
            |version: &str, clients: usize| !version.is_empty() && clients >= uplink.config().registrants_min;
        let enough = !versions.is_empty() && versions.iter().all(|(version, clients)| is_common(version, *clients));
        let exact = |version: &str| Want::component(name, package.as_deref(), Some(version));
        enough.then(|| versions.keys().map(|version| exact(version)).collect())
    }

    /// Upstreams for which it matters which versions clients have: those that are asked for versions, and those that are
    /// asked for what concerns somebody.
    fn by_versions(&self) -> impl Iterator<Item = ServerGuid> {
        let by_version = |uplink: &&Uplink| {
            uplink.uses_words() && matches!(uplink.granularity(), Granularity::Version | Granularity::Element)
        };
        self.uplinks.values().filter(by_version).map(|uplink| uplink.config().server)
    }

    /// What a client waits for, if its versions matter.
    pub(super) fn version_keys(&self, client: ClientGuid) -> Keys {
        if self.by_versions().next().is_none() {
            return Keys::new();
        }
        self.subscriptions.of(client).iter().flat_map(|subscription| subscription.interest.keys()).collect()
    }

    /// Where versions matter, what is under these keys is told anew.
    pub(super) fn tell_versions(&mut self, now: Time, keys: &Keys) {
        if keys.is_empty() {
            return;
        }
        let servers: Vec<ServerGuid> = self.by_versions().collect();
        for server in servers {
            let words: BTreeSet<Want> = match self.uplinks.get(&server) {
                Some(uplink) => keys.iter().flat_map(|key| uplink.words().under(key)).cloned().collect(),
                None => continue,
            };
            words.iter().for_each(|word| self.tell_word(now, server, word, false));
        }
    }

    /// What an interest needs of an upstream, as that is asked.
    pub(super) fn needs(&self, uplink: &Uplink, interest: &Interest) -> BTreeSet<Want> {
        if uplink.asks() == Ask::Everything {
            return BTreeSet::from([Want::Everything]);
        }
        if !uplink.uses_words() {
            return Want::of_interest(interest);
        }
        let words = uplink.words();
        let named: BTreeSet<&Want> = if interest.is_everything() {
            words.all().collect()
        } else {
            interest.keys().iter().flat_map(|key| words.under(key)).collect()
        };
        let is_element = uplink.granularity() == Granularity::Element;
        let covers = |word: &Want| {
            words.get(word).is_some_and(|known| topology::matching::covers(interest, known.reach.affected()))
        };
        let words = named.into_iter().filter(|word| !is_element || covers(word));
        words
            .flat_map(|word| versions_of(uplink, interest, word).unwrap_or_else(|| BTreeSet::from([word.clone()])))
            .collect()
    }
}

/// The words of an entry, with the keys of what they stand for.
pub(super) fn words_of(uplink: &Uplink, subject: &Subject) -> Vec<(Want, Keys)> {
    let word = |affected: &Affected| Some((Want::of_affected(affected, uplink.granularity())?, affected.keys()));
    subject.affected.iter().filter_map(word).collect()
}

/// The versions of a component that an interest has, where the upstream is asked for versions of it; `None` if it is asked
/// for any.
fn versions_of(uplink: &Uplink, interest: &Interest, word: &Want) -> Option<BTreeSet<Want>> {
    let Want::Component { name, package, .. } = word else { return None };
    let told = uplink.told_as(word);
    let is_exact = if told.is_empty() { uplink.config().registrants_min <= 1 } else { !told.contains(word) };
    let versions = interest.versions_of(name);
    let exact = |version: &str| Want::component(name, package.as_deref(), Some(version));
    let by_version = uplink.granularity() == Granularity::Version && is_exact && !versions.contains("");
    (by_version && !versions.is_empty()).then(|| versions.into_iter().map(exact).collect())
}
