//! What is asked, and when: wanted and not asked, asked and not wanted, one exchange at a time.

use std::collections::BTreeSet;
use std::time::Duration;

use schemas::version::{Major, Minor};
use topology::key::MatchKey;
use topology::want::Want;

use super::{Action, Ask, Effects, HOLD_MIN, Kind, ParkedId, Realm, Running, Step, Uplink};
use crate::client::Draft;
use crate::ids::{ExchangeId, Time};
use crate::store::Write;

/// Wants in one Request.
const WANTS_MAX: usize = 8192;

impl Uplink {
    /// Says how a word of what is waited for below is asked for here; nothing: nobody waits for it any more. `at_once`
    /// leaves the delay out.
    pub(crate) fn want(&mut self, now: Time, word: &Want, wants: BTreeSet<Want>, at_once: bool) {
        let before = if wants.is_empty() {
            self.told.remove(word).unwrap_or_default()
        } else {
            self.told.insert(word.clone(), wants.clone()).unwrap_or_default()
        };
        for want in wants.difference(&before) {
            *self.counts.entry(want.clone()).or_default() += 1;
            self.place(now, want, at_once);
        }
        for want in before.difference(&wants) {
            if let Some(count) = self.counts.get_mut(want) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(want);
                }
            }
            self.place(now, want, at_once);
        }
        if word == &Want::Everything || wants.contains(&Want::Everything) || before.contains(&Want::Everything) {
            // Everything covers the rest, or does so no more.
            self.place_each(now, self.known(), at_once);
        }
    }

    /// How a word is asked for; nothing: nobody waits for it.
    pub(crate) fn told_as(&self, word: &Want) -> &BTreeSet<Want> {
        static NOTHING: BTreeSet<Want> = BTreeSet::new();
        self.told.get(word).unwrap_or(&NOTHING)
    }

    /// What was told so far, to be told anew.
    pub(crate) fn told(&self) -> Vec<Want> {
        self.told.keys().cloned().collect()
    }

    /// A Request from below waits for this; answers whether nobody else did, and it is not asked for yet.
    pub(crate) fn await_want(
        &mut self,
        now: Time,
        kind: Kind,
        want: &Want,
        id: ParkedId,
        writes: &mut Vec<Write>,
    ) -> bool {
        let under_way = self.is_under_way(kind, want);
        let is_first = self.waiting.add(kind, want, id) && !under_way;
        match kind {
            Kind::Ask => self.place(now, want, false),
            Kind::Refetch | Kind::List if under_way => {}
            Kind::Refetch | Kind::List => self.fetch(kind, want, writes),
        }
        is_first
    }

    /// Whoever waits for an answer, once for each want.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = ParkedId> {
        self.waiting.all()
    }

    /// A Request from below waits no more for this.
    pub(crate) fn stop_waiting(&mut self, now: Time, kind: Kind, want: &Want, id: ParkedId) {
        self.waiting.forget(kind, want, id);
        if kind == Kind::Ask {
            self.place(now, want, false);
        }
    }

    /// What was here and was trimmed is asked for again: durable, as who asked is answered without it, now or when his
    /// time is over. What a fetch that is under way has brought may be gone again by now.
    pub(crate) fn fetch(&mut self, kind: Kind, want: &Want, writes: &mut Vec<Write>) {
        match kind {
            // By the subscription of who asks.
            Kind::Ask => {}
            Kind::Refetch => {
                if self.is_under_way(kind, want) {
                    self.refetch_again.insert(want.clone());
                }
                if self.refetch.insert(want.clone()) {
                    writes.push(self.put_refetch(want));
                }
            }
            Kind::List => {
                self.lists = true;
                self.relist(writes);
            }
        }
    }

    /// When a want would be asked for, if it is not yet.
    pub(crate) fn asked_at(&self, now: Time) -> Time {
        if self.config.realm == Realm::Same || self.config.delay_max.is_zero() {
            return now;
        }
        self.batch.unwrap_or(now.after(self.config.delay_max))
    }

    fn is_under_way(&self, kind: Kind, want: &Want) -> bool {
        let running = match (&self.running, kind) {
            (Some(Running { step: Step::Ask(wants), .. }), Kind::Ask)
            | (Some(Running { step: Step::Refetch(wants), .. }), Kind::Refetch) => wants.contains(want),
            (Some(Running { step: Step::Catalog, .. }), Kind::List) => true,
            _ => false,
        };
        running || (kind == Kind::Ask && self.due.contains_key(want))
    }

    /// Puts a want where it belongs: due, held, or ending.
    pub(super) fn place(&mut self, now: Time, want: &Want, at_once: bool) {
        let wanted = self.is_wanted(want);
        let is_there = self.asked.contains(want) || self.unsure.contains(want);
        if wanted || !is_there {
            self.ending.remove(want);
        } else {
            self.ending.entry(want.clone()).or_insert_with(|| now.after(self.config.hold.max(HOLD_MIN)));
        }
        if !wanted || self.has(want) {
            self.due.remove(want);
        } else {
            let at = if at_once { now } else { self.gathered_at(now) };
            let due = self.due.entry(want.clone()).or_insert(at);
            *due = at.min(*due);
        }
    }

    fn is_wanted(&self, want: &Want) -> bool {
        let covered = *want != Want::Everything && self.counts.contains_key(&Want::Everything);
        self.waiting.is_waited_for(Kind::Ask, want) || (self.counts.contains_key(want) && !covered)
    }

    /// When names that are new now are asked for: together, after a random delay that says nothing of who came when.
    fn gathered_at(&mut self, now: Time) -> Time {
        if self.asked_at(now) == now {
            return now;
        }
        if let Some(at) = self.batch.filter(|at| *at > now) {
            return at;
        }
        let most = u64::try_from(self.config.delay_max.as_millis()).unwrap_or(u64::MAX).max(1);
        let at = now.after(Duration::from_millis(self.roll() % most));
        self.batch = Some(at);
        at
    }

    /// Does the next thing that is to be done.
    pub(crate) fn step(&mut self, now: Time, effects: &mut Effects) {
        if !self.connected {
            if self.leaving {
                self.left(effects);
            }
            return;
        }
        self.tell_next(effects);
        if self.running.is_some() {
            return;
        }
        if self.halted.as_ref().is_some_and(|(until, _)| *until <= now) {
            self.halted = None;
            self.place_all(now);
        }
        if self.ending.get(&Want::Everything).is_some_and(|at| *at <= now) {
            // The End of everything ends all that is asked for beside it.
            self.resynchronise(now, effects);
        }
        match self.next_step(now) {
            Some(step) => self.open(step, effects),
            None => self.come_to_rest(effects),
        }
    }

    fn next_step(&mut self, now: Time) -> Option<Step> {
        if self.leaving {
            return (!self.is_telling()).then_some(Step::Leave);
        }
        if self.clearing {
            return Some(Step::Clear);
        }
        if self.halted.is_none() {
            if self.takes_list() && !self.has_catalog {
                return Some(Step::Catalog);
            }
            let ending = self.over(now);
            if !ending.is_empty() {
                return Some(Step::End(ending));
            }
            let due: Vec<Want> = self.due.iter().filter(|(_, at)| **at <= now).map(|(want, _)| want.clone()).collect();
            if !due.is_empty() && self.refused.as_ref().is_none_or(|refused| refused.until <= now) {
                return Some(Step::Ask(self.fit(due)));
            }
            if !self.refetch.is_empty() {
                return Some(Step::Refetch(self.refetch.iter().take(WANTS_MAX).cloned().collect()));
            }
        }
        None
    }

    /// As many as one Request may name, or fewer after one that was refused: not the same ones first each time.
    fn fit(&self, mut due: Vec<Want>) -> Vec<Want> {
        let (most, first) =
            self.refused.as_ref().map_or((WANTS_MAX, 0), |refused| (refused.most, refused.times as usize % due.len()));
        due.rotate_left(first);
        due.truncate(most);
        due
    }

    /// What nobody has wanted for long enough. The End of one must not end another that is wanted: names need not be
    /// spelled alike to be the same.
    fn over(&mut self, now: Time) -> Vec<Want> {
        let over: Vec<Want> = self.ending.iter().filter(|(_, at)| **at <= now).map(|(want, _)| want.clone()).collect();
        if over.is_empty() {
            return Vec::new();
        }
        let keys: BTreeSet<MatchKey> = over.iter().map(|want| want.key()).collect();
        let stays = |want: &&Want| keys.contains(&want.key()) && over.binary_search(want).is_err();
        let staying: Vec<&Want> = self.asked.iter().filter(stays).collect();
        let alone = |want: &Want| !staying.iter().any(|other| want.ends(other));
        let (ends, entangled): (Vec<Want>, Vec<Want>) = over.into_iter().partition(alone);
        let again = now.after(self.config.hold.max(HOLD_MIN));
        entangled.into_iter().for_each(|want| _ = self.ending.insert(want, again));
        ends.into_iter().take(WANTS_MAX).collect()
    }

    fn open(&mut self, step: Step, effects: &mut Effects) {
        let exchange = ExchangeId(self.next_exchange);
        self.next_exchange += 1;
        let action = self.say(exchange, &step);
        for want in step.changes() {
            self.asked.remove(want);
            if self.unsure.insert(want.clone()) {
                effects.writes.push(self.put_unsure(want));
            }
        }
        if matches!(step, Step::Leave) {
            effects.writes.extend(self.delete_held());
        }
        let mut unsent = Some(action);
        if step.changes_what_stands() {
            effects.opens = Some(exchange);
        } else {
            effects.actions.extend(unsent.take());
        }
        self.running = Some(Running { exchange, step, unsent, accepted: false });
    }

    fn say(&mut self, exchange: ExchangeId, step: &Step) -> Action {
        let draft = match step {
            Step::Catalog => {
                self.list_cut = false;
                draft(Major::Request, Some(Minor::Catalog), &[])
            }
            Step::Ask(wants) => {
                wants.iter().for_each(|want| _ = self.due.remove(want));
                self.batch = None;
                draft(Major::Request, Some(Minor::Full), wants)
            }
            Step::Refetch(wants) => draft(Major::Request, None, wants),
            Step::End(wants) => draft(Major::Register, Some(Minor::End), wants),
            Step::Clear | Step::Leave => draft(Major::Register, Some(Minor::End), &[]),
        };
        Action::Open(exchange, vec![draft])
    }

    /// It is durable that the upstream may be told this: what it is told, if the exchange is still under way.
    pub(crate) fn may_open(&mut self, exchange: ExchangeId) -> Option<Action> {
        self.running.as_mut().filter(|running| running.exchange == exchange)?.unsent.take()
    }

    /// Nothing is under way, and nothing is to be asked now: what the lane brought counts as held.
    fn come_to_rest(&mut self, effects: &mut Effects) {
        if !self.synchronised {
            self.synchronised = true;
            if let Some(resume) = self.lane {
                effects.writes.push(self.put_resume(resume));
                self.resume = Some(resume);
            }
        }
    }

    pub(super) fn place_all(&mut self, now: Time) {
        self.place_each(now, self.known(), true);
    }

    /// Whatever is wanted, or is there, or may be.
    fn known(&self) -> BTreeSet<Want> {
        self.counts.keys().chain(&self.asked).chain(&self.unsure).cloned().collect()
    }

    pub(super) fn place_each(&mut self, now: Time, wants: BTreeSet<Want>, at_once: bool) {
        wants.iter().for_each(|want| self.place(now, want, at_once));
    }

    /// The upstream refused to give more than a list: from now on single elements of it are asked for.
    pub(super) fn fall_back(&mut self, effects: &mut Effects) {
        self.ask = Ask::Elements;
        self.due.clear();
        effects.writes.push(self.put_fallen_back());
        effects.tell_again = true;
        effects.ready.extend(self.waiting.settle_all());
    }
}

fn draft<'a>(major: Major, minor: Option<Minor>, wants: impl IntoIterator<Item = &'a Want>) -> Draft {
    let wants: Vec<&Want> = wants.into_iter().collect();
    let everything = wants.contains(&&Want::Everything);
    let infos = if everything { Vec::new() } else { Want::version_infos(wants) };
    Draft { major, minor, infos }
}
