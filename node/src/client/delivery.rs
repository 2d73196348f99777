//! Deliveries: each item that applies is journalled once, then answered.

use schemas::core::ReplyStatus;
use topology::interest::Interest;

use super::journal::Event;
use super::word::Under;
use super::{Action, Client, Via};
use crate::answer::{Answer, AnswerBody, Leaf, reply_id};
use crate::ids::Time;
use crate::intake::{Body, Hop, Intake, IntakePart, Orders, Refusal};

/// What a document leaves to be done.
#[derive(Default)]
pub(super) struct Taken {
    /// To be journalled.
    pub(super) events: Vec<Event>,
    /// What it asks for, if it may ask.
    pub(super) wanted: Option<Vec<Interest>>,
}

impl Client {
    pub(super) fn delivery(&mut self, now: Time, via: Via, intake: &Intake) {
        let mut taken = Taken::default();
        let answer = self.part(true, &intake.part, &mut taken);
        let events = taken.events;
        match via {
            Via::Lane(push) => {
                let last = intake.items().last().copied().flatten().map(|(_, item)| item.digest);
                let resume = self.sync.advance(push, last);
                let answer = Action::Answer { push, spelling: intake.spelling, answer };
                self.store(now, events, resume, vec![answer]);
            }
            Via::Exchange(_) => self.store(now, events, None, Vec::new()),
        }
    }

    /// Takes what was held back, unless another answer is under way already.
    pub(super) fn release(&mut self, now: Time) {
        while !self.sync.is_asking()
            && let Some((push, intake)) = self.held_back.pop_front()
        {
            self.delivery(now, Via::Lane(push), &intake);
        }
    }

    pub(super) fn part(&mut self, outer: bool, part: &IntakePart, taken: &mut Taken) -> Answer {
        let body = match (self.fits(outer, &part.hop), &part.body) {
            (Err(refusal), Body::Orders(orders)) => refused(&part.hop, orders, &refusal),
            (Err(refusal), _) => AnswerBody::Leaves(vec![Leaf::failed(reply_id(&part.hop), refusal.why)]),
            (Ok(()), Body::Bad(why)) => AnswerBody::Leaves(vec![Leaf::failed(reply_id(&part.hop), why.clone())]),
            (Ok(()), Body::Parts(parts)) => {
                AnswerBody::Parts(parts.iter().map(|part| self.part(false, part, taken)).collect())
            }
            (Ok(()), Body::Orders(orders)) => self.orders(&part.hop, orders, taken),
        };
        Answer { server: part.hop.server, client: part.hop.client, body }
    }

    /// The outer header names this hop. Inner headers are their providers'.
    pub(super) fn fits(&self, outer: bool, hop: &Hop) -> Result<(), Refusal> {
        let failed = |why: &str| Err(Refusal { status: ReplyStatus::Failed, why: why.to_owned() });
        match (hop.server, hop.client) {
            _ if !hop.is_x1206 => failed("the PID names another protocol"),
            (Some(server), _) if outer && server != self.server => failed("Server_GUID names another server"),
            (_, Some(client)) if outer && !self.is_called(client) => failed("Client_GUID names another client"),
            _ => Ok(()),
        }
    }

    fn orders(&mut self, hop: &Hop, orders: &Orders, taken: &mut Taken) -> AnswerBody {
        let Some(item) = &orders.item else {
            if let Some(wanted) = &mut taken.wanted {
                return self.questions(hop, orders, wanted);
            }
            let why = "this client takes Deliver only where it is delivered to".to_owned();
            return refused(hop, orders, &Refusal { status: ReplyStatus::MajorNotSupported, why });
        };
        let under = Under { trust: &self.trust, at: self.now };
        let came = self.holdings.take(&self.assets, item, under);
        taken.events.extend(came.events);
        if let Some(reason) = came.refused {
            return refused(hop, orders, &Refusal { status: ReplyStatus::Failed, why: reason.to_string() });
        }
        AnswerBody::Leaves(orders.orders.iter().map(|order| Leaf::new(hop, order, Ok(()))).collect())
    }
}

/// Each message keeps its own refusal if it has one.
fn refused(hop: &Hop, orders: &Orders, refusal: &Refusal) -> AnswerBody {
    let leaf = |order: &crate::intake::Order| {
        let own = order.meaning.as_ref().err().unwrap_or(refusal);
        Leaf::new(hop, order, Err(own.clone()))
    };
    AnswerBody::Leaves(orders.orders.iter().map(leaf).collect())
}
