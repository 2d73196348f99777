//! The uplinks of a local server: what is wanted below goes up, what comes from above goes the way of every item.

use std::collections::BTreeSet;

use schemas::core::ReplyStatus;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::mark::Mark;
use topology::interest::Interest;
use topology::key::{Keys, MatchKey};
use topology::want::{Granularity, Want};

use super::exchange::refusal;
use super::plan::{Plan, Upward};
use super::{Action, Engine};
use crate::answer::{Answer, AnswerBody, Leaf, reply_id};
use crate::catalogue;
use crate::client::Via;
use crate::ids::{Position, Time};
use crate::intake::{Body, Hop, Intake, IntakePart, Orders, Refusal};
use crate::records::{ItemRecord, Origin};
use crate::uplink::{self, Ask, Effects, Uplink};

impl Engine {
    /// Becomes a client of an upstream, from the next link on.
    pub(super) fn attach(&mut self, now: Time, config: uplink::Config) {
        let server = config.server;
        let entropy = self.next_entropy();
        let mut uplink = Uplink::new(config, entropy);
        self.learn_words(&mut uplink);
        self.uplinks.insert(server, uplink);
        self.tell(now, server);
        self.report_everything(server);
        self.turn(now, server);
    }

    /// Ends everything at an upstream, then leaves it.
    pub(super) fn detach(&mut self, now: Time, server: ServerGuid) {
        let all = self.all_gone(server);
        if let Some(uplink) = self.uplinks.get_mut(&server) {
            uplink.leave(all);
            self.turn(now, server);
        }
    }

    pub(super) fn uplink(&mut self, now: Time, server: ServerGuid, event: uplink::Event) {
        let before = self.path();
        if let uplink::Event::Connected { path, .. } | uplink::Event::Path(path) = &event
            && path.contains(&self.config.mark)
        {
            let why = "the upstream stands below this node: together they would close a cycle".to_owned();
            return self.actions.push_back(Action::Uplink(server, uplink::Action::Hangup(why)));
        }
        let Some(uplink) = self.uplinks.get_mut(&server) else { return };
        let mut effects = Effects::default();
        let delivery = uplink.handle(now, event, &mut effects);
        self.carry_out_effects(now, server, effects);
        if let Some((via, intake)) = delivery {
            self.take_from(now, server, via, &intake);
        }
        self.turn(now, server);
        let after = self.path();
        if after != before {
            self.actions.push_back(Action::Path(after));
        }
    }

    /// Takes what was held back, and lets the uplink do the next thing.
    pub(super) fn turn(&mut self, now: Time, server: ServerGuid) {
        while let Some((via, intake)) = self.uplinks.get_mut(&server).and_then(Uplink::release) {
            self.take_from(now, server, via, &intake);
        }
        self.word_reports(now, server);
        let mut effects = Effects::default();
        if let Some(uplink) = self.uplinks.get_mut(&server) {
            uplink.step(now, &mut effects);
        }
        self.carry_out_effects(now, server, effects);
        self.note_told(server);
    }

    fn carry_out_effects(&mut self, now: Time, server: ServerGuid, effects: Effects) {
        let Effects { actions, writes, ready, tell_again, report_again, renamed, assigned } = effects;
        if !writes.is_empty() && self.broken.is_none() {
            let assigned = assigned.map(|assigned| (server, assigned));
            self.store(Plan { writes, assigned, ..Plan::default() });
        }
        renamed.into_iter().for_each(|renamed| self.renamed_above(renamed));
        for action in actions {
            if matches!(action, uplink::Action::Left) {
                self.uplinks.remove(&server);
            }
            self.actions.push_back(Action::Uplink(server, action));
        }
        if tell_again {
            self.tell(now, server);
        }
        if report_again {
            self.report_everything(server);
        }
        self.unpark(now, ready);
    }

    /// Carries out a Delivery of an upstream; it is answered when it is stored.
    fn take_from(&mut self, now: Time, server: ServerGuid, via: Via, intake: &Intake) {
        if let Some(why) = &self.broken {
            // An answer would take the item out of the upstream's window, and it would be lost.
            let why = format!("nothing can be stored: {why}");
            return self.actions.push_back(Action::Uplink(server, uplink::Action::Hangup(why)));
        }
        let mut plan = Plan::default();
        let answer = self.part_from_above(now, server, true, &intake.part, &mut plan);
        let Some(uplink) = self.uplinks.get_mut(&server) else { return };
        let mut upward = Upward { server, answer: None, resume: None };
        if let Via::Lane(position) = via {
            let last = intake.items().last().copied().flatten().map(|(_, item)| item.digest);
            upward.resume = uplink.advance(position, last);
            plan.writes.extend(upward.resume.map(|resume| uplink.resume_row(resume)));
            upward.answer = Some((position, intake.spelling, answer));
        }
        plan.upward = Some(upward);
        if plan.writes.is_empty() && self.pending.is_empty() {
            return self.apply(self.next_ticket, plan);
        }
        self.store(plan);
    }

    fn part_from_above(
        &mut self,
        now: Time,
        server: ServerGuid,
        outer: bool,
        part: &IntakePart,
        plan: &mut Plan,
    ) -> Answer {
        let leaves = |why: Refusal| AnswerBody::Leaves(refused(part, &why));
        let body = match (self.fits_from_above(server, outer, &part.hop), &part.body) {
            (Err(why), _) => leaves(why),
            (Ok(()), Body::Bad(why)) => AnswerBody::Leaves(vec![Leaf::failed(reply_id(&part.hop), why.clone())]),
            (Ok(()), Body::Parts(parts)) => AnswerBody::Parts(
                parts.iter().map(|part| self.part_from_above(now, server, false, part, plan)).collect(),
            ),
            (Ok(()), Body::Orders(orders)) => match self.take_from_above(now, server, &part.hop, orders, plan) {
                Ok(()) => {
                    AnswerBody::Leaves(orders.orders.iter().map(|order| Leaf::new(&part.hop, order, Ok(()))).collect())
                }
                Err(why) => leaves(why),
            },
        };
        Answer { server: part.hop.server, client: part.hop.client, body }
    }

    pub(super) fn fits_from_above(&self, server: ServerGuid, outer: bool, hop: &Hop) -> Result<(), Refusal> {
        let is_own = |named| self.uplinks.get(&server).is_some_and(|uplink| uplink.is_called(named));
        let failed = |why: &str| Err(refusal(ReplyStatus::Failed, why));
        match (hop.server, hop.client) {
            _ if !hop.is_x1206 => failed("the PID names another protocol"),
            (Some(named), _) if outer && named != server => failed("Server_GUID names another server"),
            (_, Some(named)) if outer && !is_own(named) => failed("Client_GUID names another client"),
            _ => Ok(()),
        }
    }

    fn take_from_above(
        &mut self,
        now: Time,
        server: ServerGuid,
        hop: &Hop,
        orders: &Orders,
        plan: &mut Plan,
    ) -> Result<(), Refusal> {
        match &orders.item {
            Some(item) => self.deliver(now, Origin::Upstream(server), hop, item, false, plan),
            None => Err(refusal(ReplyStatus::MajorNotSupported, "this client takes Deliver only in a push")),
        }
    }

    /// Stored: the upstream may forget it.
    pub(super) fn answer_above(&mut self, upward: Upward) {
        let Upward { server, answer, resume } = upward;
        if let (Some(uplink), Some(resume)) = (self.uplinks.get_mut(&server), resume) {
            uplink.resumed(resume);
        }
        if let Some((position, spelling, answer)) = answer {
            let action = uplink::Action::Answer { position, spelling, answer };
            self.actions.push_back(Action::Uplink(server, action));
        }
    }

    /// An entry of an upstream's catalogue has come: what it names may be asked for, if somebody below waits for it.
    pub(super) fn announced(&mut self, now: Time, position: Position) {
        let Some(catalogue::Item { record, .. }) = self.catalogue.get(position) else { return };
        let Origin::Upstream(server) = record.origin else { return };
        if !record.is_entry {
            return;
        }
        let (words, critical) = (words_of(self.uplinks.get(&server), record), is_critical(record));
        let reach = record.reach.clone();
        let Some(uplink) = self.uplinks.get_mut(&server) else { return };
        for (word, keys) in &words {
            uplink.words_mut().insert(word.clone(), keys.clone(), reach.clone());
        }
        for (word, _) in words {
            self.tell_word(now, server, &word, critical);
        }
        self.turn(now, server);
    }

    /// Reads the words of an upstream's catalogue off the log.
    pub(super) fn learn_words(&self, uplink: &mut Uplink) {
        uplink.words_mut().clear();
        let own = Origin::Upstream(uplink.config().server);
        let entries = self.catalogue.iter().filter(|(_, item)| item.record.is_entry && item.record.origin == own);
        for (_, item) in entries {
            for (word, keys) in words_of(Some(uplink), &item.record) {
                uplink.words_mut().insert(word, keys, item.record.reach.clone());
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

    /// This node's mark, then those of everything above it.
    pub fn path(&self) -> Vec<Mark> {
        let above: BTreeSet<_> = self.uplinks.values().flat_map(Uplink::path).copied().collect();
        std::iter::once(self.config.mark).chain(above).take(PATH_MAX).collect()
    }

    /// For the Hello to an upstream: what is durable here.
    pub fn resume_above(&self, server: ServerGuid) -> Option<crate::ids::Resume> {
        self.uplinks.get(&server)?.resume()
    }

    /// Who this node is there.
    pub fn client_above(&self, server: ServerGuid) -> Option<ClientGuid> {
        Some(self.uplinks.get(&server)?.client())
    }

    /// The uplinks, for the operator.
    pub fn uplinks(&self) -> impl Iterator<Item = &Uplink> {
        self.uplinks.values()
    }

    /// Whether this node has upstreams.
    pub(super) fn is_local(&self) -> bool {
        !self.uplinks.is_empty()
    }

    pub(super) fn uplink_timeouts(&mut self, now: Time) {
        let due = |uplink: &&Uplink| uplink.poll_timeout().is_some_and(|at| at <= now);
        let servers: Vec<ServerGuid> = self.uplinks.values().filter(due).map(|uplink| uplink.config().server).collect();
        servers.into_iter().for_each(|server| self.turn(now, server));
    }
}

/// Marks in one path: a longer one is cut, and a cycle through what is cut is found by the mark of a nearer node.
const PATH_MAX: usize = 64;

fn is_critical(record: &ItemRecord) -> bool {
    record.subject.class == schemas::class::Class::Critical
}

/// The words of an entry, with the keys of what they stand for.
fn words_of(uplink: Option<&Uplink>, record: &ItemRecord) -> Vec<(Want, Keys)> {
    let Some(uplink) = uplink else { return Vec::new() };
    let word = |affected: &topology::affected::Affected| {
        Some((Want::of_affected(affected, uplink.granularity())?, affected.keys()))
    };
    record.subject.affected.iter().filter_map(word).collect()
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

/// Each message keeps its own refusal if it has one.
pub(super) fn refused(part: &IntakePart, refusal: &Refusal) -> Vec<Leaf> {
    match &part.body {
        Body::Orders(orders) => {
            let leaf = |order: &crate::intake::Order| {
                let own = order.meaning.as_ref().err().unwrap_or(refusal);
                Leaf::new(&part.hop, order, Err(own.clone()))
            };
            orders.orders.iter().map(leaf).collect()
        }
        Body::Parts(_) | Body::Bad(_) => vec![Leaf::failed(reply_id(&part.hop), refusal.why.clone())],
    }
}
