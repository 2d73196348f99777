//! What the server asks of this client (server pull, 9.6.2): its inventory, and to hear of changes in it.
//!
//! A Request is answered with the assets that it means: all, if it says nothing; else those that share a match key with
//! it, such as a component's name or the product. What is asked for standing (Register, and Request with a Minor) holds
//! while the link lives: a changed inventory is pushed up as a whole, since this server has every asset registered anyway.

use std::collections::BTreeSet;

use schemas::core::ReplyStatus;
use schemas::digest::Digest;
use schemas::version::{Major, Minor, VersionInfo};
use topology::interest::Interest;
use topology::key::Keys;

use super::delivery::Taken;
use super::{Action, Client, Draft};
use crate::answer::{AnswerBody, Leaf};
use crate::ids::{ExchangeId, Time};
use crate::intake::{Hop, Intake, Meaning, Orders, Refusal};

/// Standing questions that one link may have.
const WATCHES_MAX: usize = 256;

/// Who waits for changes of the inventory.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The standing questions, by the identity of what they ask for.
    questions: BTreeSet<Digest>,
    /// Whether there is a change that was not pushed yet.
    is_due: bool,
    /// The push that is under way.
    running: Option<ExchangeId>,
}

impl Watch {
    /// The inventory changed.
    pub(super) fn changed(&mut self) {
        self.is_due = !self.questions.is_empty();
    }
}

impl Client {
    /// Answers a document of the server when what it delivered is durable.
    pub(super) fn asked(&mut self, now: Time, exchange: ExchangeId, intake: &Intake) {
        let mut taken = Taken { wanted: Some(Vec::new()), ..Taken::default() };
        let answer = self.part(true, &intake.part, &mut taken);
        let assets = self.meant(&taken.wanted.unwrap_or_default());
        let respond = Action::Respond { exchange, answer, delivery: catalogue(assets) };
        self.store(now, taken.events, None, vec![respond]);
    }

    /// Messages of one Payload share one fate: all are carried out, or none (R-10.1.5-6).
    pub(super) fn questions(&mut self, hop: &Hop, orders: &Orders, wanted: &mut Vec<Interest>) -> AnswerBody {
        let outcome =
            self.fits(true, hop).map_err(|refusal| (0, refusal)).and_then(|()| self.carry_out(orders, wanted));
        AnswerBody::Leaves(Leaf::of_one_fate(hop, &orders.orders, &outcome))
    }

    fn carry_out(&mut self, orders: &Orders, wanted: &mut Vec<Interest>) -> Result<(), (usize, Refusal)> {
        let mut questions = self.watch.questions.clone();
        let mut asked = Vec::new();
        for (index, order) in orders.orders.iter().enumerate() {
            let meaning = order.meaning.as_ref().map_err(|refusal| (index, refusal.clone()))?;
            match meaning {
                Meaning::Presence => {
                    questions.insert(Interest::everything().digest());
                }
                Meaning::Subscribe { now, standing, interests, .. } => {
                    if *now {
                        asked.extend(interests.iter().cloned());
                    }
                    if *standing {
                        questions.extend(interests.iter().map(Interest::digest));
                    }
                }
                Meaning::End(ends) if ends.iter().any(Interest::is_everything) => questions.clear(),
                Meaning::End(ends) => {
                    let ended: BTreeSet<Digest> = ends.iter().map(Interest::digest).collect();
                    questions.retain(|question| !ended.contains(question));
                }
                Meaning::Deliver => return Err((index, failed("Deliver shares no Payload with other messages here"))),
            }
            if questions.len() > WATCHES_MAX {
                return Err((index, failed("more standing questions than this client keeps")));
            }
        }
        self.watch.questions = questions;
        wanted.extend(asked);
        Ok(())
    }

    /// The assets that are asked for.
    fn meant(&self, wanted: &[Interest]) -> Vec<VersionInfo> {
        let everything = wanted.iter().any(Interest::is_everything);
        let keys: Keys = wanted.iter().flat_map(Interest::keys).collect();
        let meant = self.assets.iter().filter(|asset| everything || !asset.interest.keys().is_disjoint(&keys));
        meant.map(|asset| asset.info.clone()).collect()
    }

    /// Pushes a changed inventory, once the server has it registered; one push at a time.
    pub(super) fn push_changes(&mut self) {
        if !self.watch.is_due || self.watch.running.is_some() || !self.is_synchronised() {
            return;
        }
        self.watch.is_due = false;
        if self.watch.questions.is_empty() {
            return;
        }
        let drafts = catalogue(self.assets.iter().map(|asset| asset.info.clone()).collect());
        // An empty inventory cannot be said so; the End of the last registration has said it.
        if !drafts.is_empty() {
            let exchange = self.sync.next_exchange();
            self.watch.running = Some(exchange);
            self.actions.push_back(Action::Open(exchange, drafts));
        }
    }

    pub(super) fn push_ended(&mut self, exchange: ExchangeId) {
        self.watch.running.take_if(|running| *running == exchange);
    }
}

/// The message that lists these assets; none without any, since Deliver without data says nothing (Annex B).
fn catalogue(infos: Vec<VersionInfo>) -> Vec<Draft> {
    let draft = Draft { major: Major::Deliver, minor: Some(Minor::Catalog), infos };
    Some(draft).filter(|draft| !draft.infos.is_empty()).into_iter().collect()
}

fn failed(why: &str) -> Refusal {
    Refusal { status: ReplyStatus::Failed, why: why.to_owned() }
}
