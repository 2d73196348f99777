//! Requests whose answer waits for upstreams: what is missing here is asked for once, however many ask (R-8.2.2-12,
//! -14, -16).

use std::collections::BTreeSet;
use std::time::Duration;

use schemas::class::Class;
use schemas::guid::ServerGuid;
use topology::interest::Interest;
use topology::subscriptions::Mode;
use topology::want::Want;

use super::Engine;
use super::exchange::Speaker;
use super::plan::{Plan, ask};
use crate::ids::{ExchangeId, LinkId, Position, Time};
use crate::intake::{Body, Intake, IntakePart, Meaning};
use crate::uplink::{Ask, Kind, ParkedId, Realm, Uplink};

/// A document that is carried out when upstreams have answered, or when its time is over.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) link: LinkId,
    exchange: ExchangeId,
    intake: Box<Intake>,
    until: Time,
    /// Up to where the log was trimmed when it was put aside.
    floor: Position,
    /// Answers of upstreams that are still to come.
    left: usize,
    /// What it waits for, or has waited for.
    waits: Vec<Missing>,
}

/// What an upstream may have and this node has not.
type Missing = (ServerGuid, Kind, Want);

/// Documents put aside at once; what comes beyond is answered with what is here, and gets the rest by its subscription.
pub(super) const PARKED_MAX: usize = 16_384;
/// What they may hold together.
pub(super) const PARKED_BYTES_MAX: usize = 64 << 20;
/// Who asks once gets no second answer, and waits also where others are answered at once.
const ONCE_WAIT: Duration = Duration::from_secs(2);

/// What a document asks for now.
#[derive(Default)]
struct Asked {
    interests: Vec<Interest>,
    /// Whether a list is asked for.
    list: bool,
    /// Whether for some of it there is no subscription that could bring it later.
    once: bool,
}

impl Engine {
    /// Puts a document aside if upstreams may have more of what it asks for; gives it back if not.
    pub(super) fn park(
        &mut self,
        now: Time,
        link: LinkId,
        exchange: ExchangeId,
        intake: Box<Intake>,
    ) -> Option<Box<Intake>> {
        let asked = self.asked_in(link, &intake);
        // Where nothing can be stored, what would come is of no use.
        if (asked.interests.is_empty() && !asked.list) || self.broken.is_some() {
            return Some(intake);
        }
        let wait = if asked.once { self.policy.combine.max(ONCE_WAIT) } else { self.policy.combine };
        let until = now.after(wait);
        let missing = self.missing(&asked, Position(0));
        self.totals.cache_hits += u64::from(missing.is_empty());
        self.totals.cache_misses += u64::from(!missing.is_empty());
        if missing.is_empty() {
            return Some(intake);
        }
        let bytes = intake.held_bytes();
        let has_room = self.parked.len() < PARKED_MAX && self.parked_bytes + bytes <= PARKED_BYTES_MAX;
        let waits = !wait.is_zero() && has_room;
        let left = self.fetch(now, &missing, waits.then_some(until));
        let servers: BTreeSet<ServerGuid> = missing.iter().map(|(server, ..)| *server).collect();
        let back = if left > 0 {
            let id = self.next_parked;
            let floor = self.catalogue.floor();
            self.parked.insert(id, Parked { link, exchange, intake, until, floor, left, waits: missing });
            self.deadlines.insert((until, id));
            self.parked_bytes += bytes;
            self.next_parked = ParkedId(id.0 + 1);
            None
        } else {
            Some(intake)
        };
        servers.into_iter().for_each(|server| self.turn(now, server));
        back
    }

    /// Documents whose answer waits for upstreams.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Whether upstreams may have more of what it asks for: what is fetched from there when nothing can be stored reaches nobody.
    pub(super) fn lacks_something(&self, link: LinkId, intake: &Intake) -> bool {
        !self.missing(&self.asked_in(link, intake), Position(0)).is_empty()
    }

    /// What is asked for and not here, by upstream that may have it; of what was trimmed, what was after `floor`.
    fn missing(&self, asked: &Asked, floor: Position) -> Vec<Missing> {
        let mut missing = Vec::new();
        let live = |uplink: &&Uplink| uplink.halted().is_none();
        let lists = self.uplinks.values().filter(live).filter(|uplink| asked.list && !uplink.has_list());
        missing.extend(lists.map(|uplink| (uplink.config().server, Kind::List, Want::Everything)));
        if asked.list && self.catalogue.is_trimmed() && self.catalogue.floor() > floor {
            // A mirror makes the list of the content.
            let mirrors = self.uplinks.values().filter(live).filter(|uplink| uplink.asks() == Ask::Everything);
            missing.extend(mirrors.map(|uplink| (uplink.config().server, Kind::Refetch, Want::Everything)));
        }
        for interest in &asked.interests {
            let trimmed = std::cell::OnceCell::new();
            let was_trimmed = || {
                *trimmed.get_or_init(|| {
                    let once = [ask(interest.clone(), Mode::Full)];
                    Class::ALL.into_iter().any(|class| self.catalogue.misses(&once, class, floor))
                })
            };
            for uplink in self.uplinks.values().filter(live) {
                let server = uplink.config().server;
                let needs = self.needs(uplink, interest);
                let (had, lacking): (Vec<Want>, Vec<Want>) = needs.into_iter().partition(|want| uplink.has(want));
                missing.extend(lacking.into_iter().map(|want| (server, Kind::Ask, want)));
                if !had.is_empty() && was_trimmed() {
                    // Of a mirror's everything no more than this is fetched again, unless that would tell another realm.
                    let names_it = uplink.asks() == Ask::Everything && uplink.config().realm == Realm::Same;
                    let again = if names_it { Want::of_interest(interest).into_iter().collect() } else { had };
                    missing.extend(again.into_iter().map(|want| (server, Kind::Refetch, want)));
                }
            }
        }
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    /// Asks for what is missing; answers how many answers the next parked document waits for.
    fn fetch(&mut self, now: Time, missing: &[Missing], until: Option<Time>) -> usize {
        let (mut left, mut is_first, mut writes) = (0, false, Vec::new());
        for (server, kind, want) in missing {
            let Some(uplink) = self.uplinks.get_mut(server) else { continue };
            // Nor is waited for what a foreign realm is asked for much later.
            let waits = until.is_some_and(|until| *kind != Kind::Ask || uplink.asked_at(now) <= until);
            if waits && uplink.is_connected() {
                is_first |= uplink.await_want(now, *kind, want, self.next_parked, &mut writes);
                left += 1;
            } else {
                uplink.fetch(*kind, want, &mut writes);
            }
        }
        self.totals.coalesced += u64::from(left > 0 && !is_first);
        if !writes.is_empty() && self.broken.is_none() {
            self.store(Plan { writes, ..Plan::default() });
        }
        left
    }

    /// Answers of upstreams have come: one for each time that a document is named.
    pub(super) fn unpark(&mut self, now: Time, ready: Vec<ParkedId>) {
        for id in ready {
            let Some(parked) = self.parked.get_mut(&id) else { continue };
            parked.left -= 1;
            if parked.left == 0 {
                self.take_up(now, id);
            }
        }
    }

    /// Documents whose time is over are answered with what is here.
    pub(super) fn unpark_overdue(&mut self, now: Time) {
        while let Some((_, id)) = self.deadlines.first().copied().filter(|(until, _)| *until <= now) {
            self.take_up(now, id);
        }
    }

    fn take_up(&mut self, now: Time, id: ParkedId) {
        let Some(parked) = self.no_longer_parked(now, id) else { return };
        let Parked { link, exchange, intake, floor, .. } = parked;
        if self.catalogue.floor() > floor {
            // What was here when it was put aside and is not any more comes by its subscription.
            let missing = self.missing(&self.asked_in(link, &intake), floor);
            self.fetch(now, &missing, None);
            missing.iter().for_each(|(server, ..)| self.turn(now, *server));
        }
        self.carry_out_document(now, link, exchange, &intake);
    }

    /// Nobody is left to be answered on this link.
    pub(super) fn forget_parked(&mut self, now: Time, link: LinkId) {
        let of_link = |(id, parked): (&ParkedId, &Parked)| (parked.link == link).then_some(*id);
        let gone: Vec<ParkedId> = self.parked.iter().filter_map(of_link).collect();
        gone.into_iter().for_each(|id| drop(self.no_longer_parked(now, id)));
    }

    fn no_longer_parked(&mut self, now: Time, id: ParkedId) -> Option<Parked> {
        let parked = self.parked.remove(&id)?;
        self.deadlines.remove(&(parked.until, id));
        self.parked_bytes -= parked.intake.held_bytes();
        for (server, kind, want) in &parked.waits {
            if let Some(uplink) = self.uplinks.get_mut(server) {
                uplink.stop_waiting(now, *kind, want, id);
            }
        }
        Some(parked)
    }

    fn asked_in(&self, link: LinkId, intake: &Intake) -> Asked {
        let mut asked = Asked::default();
        if let Some(session) = self.sessions.get(&link).filter(|_| self.is_local()) {
            self.collect(&Speaker::new(link, session.client, intake.spelling), true, &intake.part, &mut asked);
        }
        asked
    }

    /// What those ask for whom a document speaks. What one below a local server asked for, that has asked for itself.
    fn collect(&self, speaker: &Speaker, outer: bool, part: &IntakePart, asked: &mut Asked) {
        let Ok(speaker) = self.fits(speaker, outer, &part.hop) else { return };
        match &part.body {
            Body::Parts(parts) => parts.iter().for_each(|part| self.collect(&speaker, false, part, asked)),
            Body::Orders(orders) if !speaker.is_below() => {
                for meaning in orders.orders.iter().filter_map(|order| order.meaning.as_ref().ok()) {
                    match meaning {
                        Meaning::Subscribe { now: true, mode: Mode::Catalog, .. } => asked.list = true,
                        Meaning::Subscribe { now: true, standing, interests, .. } => {
                            asked.interests.extend(interests.iter().cloned());
                            asked.once |= !standing;
                        }
                        Meaning::Subscribe { .. } | Meaning::End(_) | Meaning::Presence | Meaning::Deliver => {}
                    }
                }
            }
            Body::Orders(_) | Body::Bad(_) => {}
        }
    }
}
