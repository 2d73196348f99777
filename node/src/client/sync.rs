//! Registration and synchronisation: what is asked for, when, and from where pushes are counted.
//!
//! At the start, when the inventory changes and when the server says *behind*, the client asks for everything that
//! concerns its assets (Request:Full). Only when that has arrived does its position in the log count as held.

use std::collections::BTreeMap;

use schemas::core::ReplyStatus;
use schemas::digest::Digest;
use schemas::version::{Major, Minor, VersionInfo};
use topology::interest::Interest;

use super::journal::Event;
use super::{Action, Asset, Client, Draft};
use crate::ids::{ExchangeId, Push, Resume, Time};

/// The state of one link's synchronisation.
#[derive(Debug, Default)]
pub(super) struct Sync {
    connected: bool,
    /// How far the lanes of this link have come.
    lane: Option<Resume>,
    /// Whether that counts: everything below it was asked for and has arrived.
    synchronised: bool,
    /// Whether something is still to be asked for on this link.
    wanted: bool,
    /// Whether a Request was answered since this process started.
    once: bool,
    /// Told *behind* while a Request was under way: its answer may lack something, and is asked for again.
    again: bool,
    running: Option<Running>,
    last_exchange: u64,
}

/// The exchange that is under way.
#[derive(Debug)]
struct Running {
    exchange: ExchangeId,
    step: Step,
    accepted: bool,
}

#[derive(Debug)]
enum Step {
    /// End of what is no more, Register of what is new, in one Payload.
    Change { ended: Vec<String>, new: Vec<Asset> },
    /// Request:Full for all assets.
    Ask { assets: Vec<Asset> },
}

impl Sync {
    pub(super) fn disconnected(&mut self) {
        self.connected = false;
        self.running = None;
        self.lane = None;
    }

    pub(super) fn next_exchange(&mut self) -> ExchangeId {
        self.last_exchange += 1;
        ExchangeId(self.last_exchange)
    }

    /// Whether something is asked for, or about to be.
    pub(super) fn is_asking(&self) -> bool {
        self.wanted || self.running.is_some()
    }

    /// The life of the server's log.
    pub(super) fn incarnation(&self) -> Option<u128> {
        self.lane.map(|lane| lane.incarnation)
    }

    pub(super) fn is_done(&self) -> bool {
        self.connected && self.synchronised && !self.wanted && self.running.is_none()
    }

    /// A lane has come to here; answers the resume position if it counts.
    pub(super) fn advance(&mut self, push: Push, digest: Option<Digest>) -> Option<Resume> {
        let lane = self.lane.as_mut()?;
        lane.advance(push, digest);
        self.synchronised.then_some(*lane)
    }
}

impl Client {
    pub(super) fn connected(&mut self, now: Time, behind: bool, start: Resume) {
        // Where the server starts from is what this client holds, unless it never held anything or is behind.
        let continues = !behind && self.resume.is_some_and(|resume| resume.incarnation == start.incarnation);
        self.sync.connected = true;
        self.sync.lane = Some(start);
        self.sync.synchronised = continues;
        self.sync.wanted |= !continues || !self.sync.once;
        self.step(now);
    }

    pub(super) fn resynchronise(&mut self, now: Time) {
        self.sync.synchronised = false;
        self.sync.wanted = true;
        self.sync.again = self.sync.running.is_some();
        self.step(now);
    }

    pub(super) fn assets_changed(&mut self, now: Time, assets: Vec<Asset>) {
        if same(&self.assets, &assets) && self.sync.once {
            return;
        }
        if !same(&self.assets, &assets) {
            self.watch.changed();
        }
        self.assets = assets;
        let events = self.holdings.rematch(&self.assets);
        self.store(now, events, None, Vec::new());
        self.sync.wanted = true;
        self.step(now);
    }

    /// Does the next thing that is to be done, one exchange at a time.
    fn step(&mut self, now: Time) {
        if !self.sync.connected || self.sync.running.is_some() || !self.sync.wanted {
            return;
        }
        let (ended, new) = self.changes();
        if !ended.is_empty() {
            return self.change(ended, new);
        }
        if self.assets.is_empty() {
            // Request without data would ask for everything (10.2.1): a device without assets wants nothing.
            return self.synchronised(now, Vec::new());
        }
        let assets = self.assets.clone();
        let infos = assets.iter().map(|asset| asset.info.clone()).collect();
        let draft = Draft { major: Major::Request, minor: Some(Minor::Full), infos };
        self.open(Step::Ask { assets }, vec![draft]);
    }

    /// Names whose registration ends, and the assets that take their places.
    fn changes(&self) -> (Vec<String>, Vec<Asset>) {
        let by_name: BTreeMap<&str, &Asset> = self.assets.iter().map(|asset| (asset.name.as_str(), asset)).collect();
        let differs = |name: &str, info: &VersionInfo| {
            by_name.get(name).is_none_or(|asset| asset.interest != Interest::from_version_info(info))
        };
        let ended: Vec<String> =
            self.registered.iter().filter(|(name, info)| differs(name, info)).map(|(name, _)| name.clone()).collect();
        let new = ended.iter().filter_map(|name| by_name.get(name.as_str())).map(|asset| (*asset).clone()).collect();
        (ended, new)
    }

    /// R-8.2.2-18: both in one Payload, which shares one fate; then Request:Full, since Register brings nothing past.
    fn change(&mut self, ended: Vec<String>, new: Vec<Asset>) {
        let infos = ended.iter().filter_map(|name| self.registered.get(name)).cloned().collect();
        let mut drafts = vec![Draft { major: Major::Register, minor: Some(Minor::End), infos }];
        if !new.is_empty() {
            let infos = new.iter().map(|asset| asset.info.clone()).collect();
            drafts.push(Draft { major: Major::Register, minor: None, infos });
        }
        self.open(Step::Change { ended, new }, drafts);
    }

    fn open(&mut self, step: Step, drafts: Vec<Draft>) {
        let exchange = self.sync.next_exchange();
        self.sync.running = Some(Running { exchange, step, accepted: false });
        self.actions.push_back(Action::Open(exchange, drafts));
    }

    pub(super) fn replied(&mut self, now: Time, exchange: ExchangeId, outcomes: &[(ReplyStatus, Option<String>)]) {
        let Some(running) = self.sync.running.as_mut().filter(|running| running.exchange == exchange) else { return };
        let refused = outcomes.iter().find(|(status, _)| *status != ReplyStatus::Succeeded);
        if let Some((status, why)) = refused {
            let why = why.as_deref().unwrap_or("no reason given");
            let text = format!("the server refused the registration: {}: {why}", status.as_str());
            self.sync.running = None;
            // R-8.2.2-5: what is not supported stays so until somebody changes something; what failed, such as a full
            // disk there, is asked for again after a pause.
            let again = *status == ReplyStatus::Failed;
            self.sync.wanted = again;
            return self.actions.push_back(if again { Action::Hangup(text) } else { Action::Stop(text) });
        }
        running.accepted = true;
        let events: Vec<Event> = match &running.step {
            Step::Change { ended, new } => {
                let ended = ended.iter().map(|name| Event::Ended { name: name.clone() });
                ended.chain(new.iter().map(registered)).collect()
            }
            Step::Ask { assets } => {
                let known = &self.registered;
                assets.iter().filter(|asset| !known.contains_key(&asset.name)).map(registered).collect()
            }
        };
        self.remember(&events);
        self.store(now, events, None, Vec::new());
    }

    fn remember(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Registered { name, info } => {
                    self.registered.insert(name.clone(), (**info).clone());
                }
                Event::Ended { name } => {
                    self.registered.remove(name);
                }
                _ => {}
            }
        }
    }

    pub(super) fn exchange_ended(&mut self, now: Time, exchange: ExchangeId) {
        let Some(running) = self.sync.running.take_if(|running| running.exchange == exchange) else { return };
        match running.step {
            Step::Ask { assets } if running.accepted => self.synchronised(now, assets),
            Step::Change { .. } | Step::Ask { .. } => self.step(now),
        }
    }

    fn synchronised(&mut self, now: Time, asked: Vec<Asset>) {
        if std::mem::take(&mut self.sync.again) || !same(&self.assets, &asked) {
            // Behind, or another inventory, since the answer got under way.
            return self.step(now);
        }
        self.sync.wanted = false;
        self.sync.once = true;
        self.sync.synchronised = true;
        let resume = self.sync.lane;
        self.store(now, Vec::new(), resume, Vec::new());
    }
}

fn registered(asset: &Asset) -> Event {
    Event::Registered { name: asset.name.clone(), info: Box::new(asset.info.clone()) }
}

fn same(left: &[Asset], right: &[Asset]) -> bool {
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| left.name == right.name && left.interest == right.interest)
}
