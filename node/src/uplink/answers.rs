//! What the upstream says, and what follows from it.

use schemas::core::ReplyStatus;
use schemas::digest::Digest;
use schemas::mark::Mark;
use topology::want::Want;

use super::{
    ASK_PAUSE, ASK_PAUSE_MAX, Action, Ask, Effects, Event, HALT, HELD_BACK_BYTES_MAX, HELD_BACK_MAX, Kind, Refused,
    Step, Uplink,
};
use crate::client::Via;
use crate::ids::{ExchangeId, Push, Resume, Time};
use crate::intake::Intake;

impl Uplink {
    /// Takes one event. A Delivery that is due now comes back, to be carried out; then what is released, then
    /// [`Self::step`].
    pub(crate) fn handle(&mut self, now: Time, event: Event, effects: &mut Effects) -> Option<(Via, Box<Intake>)> {
        match event {
            Event::Connected { behind, start, policy, path } => {
                self.connected(now, behind, start, policy.as_deref(), path, effects);
            }
            Event::Disconnected => self.disconnected(now, effects),
            Event::Behind(_) => self.resynchronise(now, effects),
            Event::Path(path) => self.path = path,
            Event::Delivery { via: Via::Lane(push), intake } if self.holds_back() => {
                self.hold_back(push, intake, effects);
            }
            Event::Delivery { via, intake } => return Some((via, intake)),
            Event::Replied { exchange, outcomes } if self.tells(exchange) => self.answered(outcomes),
            Event::Replied { exchange, outcomes } => self.replied(now, exchange, &outcomes, effects),
            Event::Named { exchange, clients } if self.tells(exchange) => self.named(clients),
            Event::Named { .. } => {}
            Event::Assigned(client) => self.assigned(client, effects),
            Event::Ended(exchange) if self.tells(exchange) => self.heard(effects),
            Event::Ended(exchange) => self.ended(now, exchange, effects),
            Event::TooLong(exchange, why) if self.tells(exchange) => {
                self.answered(vec![(ReplyStatus::Failed, Some(why))]);
                self.heard(effects);
            }
            Event::TooLong(exchange, why) => {
                self.replied(now, exchange, &[(ReplyStatus::Failed, Some(why))], effects);
                self.ended(now, exchange, effects);
            }
        }
        None
    }

    /// The next of what was held back, if its turn has come.
    pub(crate) fn release(&mut self) -> Option<(Via, Box<Intake>)> {
        if self.holds_back() {
            return None;
        }
        self.held_back.pop_front().map(|(push, intake)| (Via::Lane(push), intake))
    }

    fn hold_back(&mut self, push: Push, intake: Box<Intake>, effects: &mut Effects) {
        let bytes: usize = self.held_back.iter().map(|(_, held)| held.held_bytes()).sum();
        if self.held_back.len() == HELD_BACK_MAX || bytes + intake.held_bytes() > HELD_BACK_BYTES_MAX {
            let why = "the upstream pushes more than its windows while it owes an answer".to_owned();
            return effects.actions.push(Action::Hangup(why));
        }
        self.held_back.push_back((push, intake));
    }

    fn holds_back(&self) -> bool {
        self.running.as_ref().is_some_and(|running| running.step.brings_items())
    }

    /// A lane has come to here; answers the resume position if it counts.
    pub(crate) fn advance(&mut self, push: Push, digest: Option<Digest>) -> Option<Resume> {
        let lane = self.lane.as_mut()?;
        lane.advance(push, digest);
        self.synchronised.then_some(*lane)
    }

    /// It is durable.
    pub(crate) fn resumed(&mut self, resume: Resume) {
        // Not what was stored before everything had to be asked for again.
        if self.synchronised {
            self.resume = Some(resume);
        }
    }

    fn connected(
        &mut self,
        now: Time,
        behind: bool,
        start: Resume,
        policy: Option<&[String]>,
        path: Vec<Mark>,
        effects: &mut Effects,
    ) {
        let continues = !behind && self.resume.is_some_and(|resume| resume.incarnation == start.incarnation);
        self.connected = true;
        self.path = path;
        self.lane = Some(start);
        self.running = None;
        self.stop_telling();
        self.forget_assigned(start.incarnation, effects);
        self.synchronised = continues;
        if !continues {
            // It remembers this node otherwise than this node does: what nobody wants any more must end there, too.
            self.clearing = behind;
            self.forget(now, effects);
            effects.writes.push(self.put_realm());
            effects.report_again = true;
        } else {
            // What was asked for before a restart and is not wanted any more is to end.
            self.place_each(now, self.asked.union(&self.unsure).cloned().collect(), false);
        }
        self.reports.try_again();
        if let Some(policy) = policy
            && self.ask != Ask::Elements
            && !self.may_ask(policy)
        {
            self.fall_back(effects);
        }
    }

    /// Whether the upstream's request policy has room for how it is to be asked.
    fn may_ask(&self, policy: &[String]) -> bool {
        let says = |text: &str| policy.iter().any(|accepted| accepted == text);
        says("Request:Full") || (self.ask == Ask::Names && says("Request:Full+data"))
    }

    fn disconnected(&mut self, now: Time, effects: &mut Effects) {
        self.connected = false;
        self.lane = None;
        self.synchronised = false;
        self.held_back.clear();
        self.running = None;
        self.refetch_again.clear();
        self.again = false;
        self.stop_telling();
        effects.ready.extend(self.waiting.settle_all());
        self.place_all(now);
    }

    /// What the upstream is believed to have does not count any more.
    fn forget(&mut self, now: Time, effects: &mut Effects) {
        effects.writes.extend(self.delete_held());
        self.resume = None;
        self.has_catalog = false;
        self.asked.clear();
        self.unsure.clear();
        self.ending.clear();
        self.place_all(now);
    }

    pub(super) fn resynchronise(&mut self, now: Time, effects: &mut Effects) {
        self.synchronised = false;
        self.again = self.running.is_some();
        self.clearing = true;
        self.forget(now, effects);
    }

    fn replied(
        &mut self,
        now: Time,
        exchange: ExchangeId,
        outcomes: &[(ReplyStatus, Option<String>)],
        effects: &mut Effects,
    ) {
        let Some(running) = self.running.as_mut().filter(|running| running.exchange == exchange) else { return };
        let refused = outcomes.iter().find(|(status, _)| *status != ReplyStatus::Succeeded);
        let Some((status, why)) = refused else {
            running.accepted = true;
            return;
        };
        let unsupported = outcomes
            .iter()
            .any(|(status, _)| matches!(status, ReplyStatus::MajorNotSupported | ReplyStatus::MinorNotSupported));
        let text = format!("{}: {}", status.as_str(), why.as_deref().unwrap_or("no reason given"));
        match &running.step {
            Step::Ask(_) if unsupported && self.ask != Ask::Elements => self.fall_back(effects),
            Step::Ask(_) | Step::Catalog if unsupported => self.halt(now, text, effects),
            // Too many for it, or something among them: fewer, later.
            Step::Ask(wants) => {
                let most = wants.len().div_ceil(2);
                self.ask_fewer(now, most, text, effects);
            }
            // Not to be had once more.
            Step::Refetch(_) if unsupported => {}
            Step::Catalog | Step::Refetch(_) | Step::End(_) | Step::Clear | Step::Leave => {
                let why = format!("the upstream refused: {text}");
                effects.actions.push(Action::Hangup(why));
            }
        }
    }

    /// The next Request names `most`, after a pause that grows: the link and what was asked by it stay.
    fn ask_fewer(&mut self, now: Time, most: usize, why: String, effects: &mut Effects) {
        let times = self.refused.as_ref().map_or(0, |refused| refused.times);
        let pause = ASK_PAUSE.saturating_mul(1 << times.min(16)).min(ASK_PAUSE_MAX);
        effects.actions.push(Action::Refused(why.clone()));
        self.refused = Some(Refused { times: times + 1, until: now.after(pause), most, why });
    }

    /// R-8.2.2-5: refused in every form; remembered, reported, and asked again after a long time.
    fn halt(&mut self, now: Time, why: String, effects: &mut Effects) {
        effects.actions.push(Action::Refused(why.clone()));
        self.halted = Some((now.after(HALT), why));
        self.due.clear();
        effects.ready.extend(self.waiting.settle_all());
    }

    fn ended(&mut self, now: Time, exchange: ExchangeId, effects: &mut Effects) {
        let Some(running) = self.running.take_if(|running| running.exchange == exchange) else { return };
        let counts = running.accepted && !std::mem::take(&mut self.again);
        match running.step {
            Step::Catalog if counts => {
                self.has_catalog = true;
                effects.writes.push(self.put_catalog());
                effects.ready.extend(self.waiting.settle(Kind::List, &Want::Everything));
            }
            Step::Ask(wants) if counts => {
                self.refused = None;
                for want in wants {
                    effects.writes.push(self.put_asked(&want));
                    self.unsure.remove(&want);
                    self.asked.insert(want.clone());
                    effects.ready.extend(self.waiting.settle(Kind::Ask, &want));
                    self.place(now, &want, false);
                }
            }
            Step::Refetch(wants) => {
                for want in wants {
                    if !self.refetch_again.remove(&want) {
                        self.refetch.remove(&want);
                        effects.writes.push(self.delete_refetch(&want));
                    }
                    effects.ready.extend(self.waiting.settle(Kind::Refetch, &want));
                }
            }
            Step::End(wants) if counts => {
                self.is_not_there(&wants, effects);
                wants.iter().for_each(|want| self.place(now, want, false));
            }
            // Refused: as if it had not been asked.
            Step::Ask(wants) if !running.accepted => {
                self.is_not_there(&wants, effects);
                if self.refused.is_some() {
                    wants.iter().for_each(|want| effects.ready.extend(self.waiting.settle(Kind::Ask, want)));
                    self.place_each(now, wants.into_iter().collect(), false);
                }
            }
            Step::Clear => self.clearing &= !counts,
            Step::Leave => self.left(effects),
            Step::Catalog | Step::Ask(_) | Step::End(_) => {
                if running.accepted {
                    self.place_all(now);
                }
            }
        }
    }

    fn is_not_there(&mut self, wants: &[Want], effects: &mut Effects) {
        for want in wants {
            effects.writes.push(self.delete_asked(want));
            self.unsure.remove(want);
            self.ending.remove(want);
        }
    }

    /// The node is no client of this upstream any more.
    pub(super) fn left(&mut self, effects: &mut Effects) {
        effects.writes.extend(self.delete_all());
        effects.ready.extend(self.waiting.settle_all());
        effects.actions.push(Action::Left);
    }
}
