//! Documents from clients: who may say what, and the answer in the shape of what was said.

use schemas::core::ReplyStatus;
use schemas::guid::ClientGuid;
use schemas::names::Spelling;

use super::below::Route;
use super::plan::Plan;
use super::register::Said;
use super::{Engine, ReplyTo};
use crate::answer::{Answer, AnswerBody, Leaf, reply_id};
use crate::ids::{ExchangeId, LinkId, Time};
use crate::intake::{Body, Hop, Intake, IntakePart, Meaning, Orders, Refusal};
use crate::records::Origin;

/// For whom a part is carried out.
#[derive(Clone)]
pub(super) struct Speaker {
    /// On which link.
    pub(super) link: LinkId,
    /// Whose link it is; answers for duplicates and rights.
    pub(super) link_client: ClientGuid,
    /// In whose name: the link's client, one of its subtree, or one below it.
    pub(super) client: ClientGuid,
    /// From the link's client, a local server, down to who speaks. Empty: it speaks for itself or its subtree.
    pub(super) path: Route,
    /// When who speaks did so, as far as the nearest header says.
    pub(super) sent: Option<Time>,
    /// How the document spells the namespaces.
    pub(super) spelling: Spelling,
}

impl Speaker {
    pub(super) fn new(link: LinkId, client: ClientGuid, spelling: Spelling) -> Self {
        Self { link, link_client: client, client, path: Route::new(), sent: None, spelling }
    }

    /// Whether a local server passes on what one below it said.
    pub(super) fn is_below(&self) -> bool {
        !self.path.is_empty()
    }

    /// Whose Message_IDs they are.
    pub(super) fn author(&self) -> ClientGuid {
        if self.is_below() { self.client } else { self.link_client }
    }
}

impl Engine {
    pub(super) fn document(&mut self, now: Time, link: LinkId, exchange: ExchangeId, intake: Box<Intake>) {
        if let Some(intake) = self.park(now, link, exchange, intake) {
            self.carry_out_document(now, link, exchange, &intake);
        }
    }

    pub(super) fn carry_out_document(&mut self, now: Time, link: LinkId, exchange: ExchangeId, intake: &Intake) {
        // A link that is gone has nobody to answer to; what it sent will be sent again.
        let Some(session) = self.sessions.get(&link) else { return };
        let speaker = Speaker::new(link, session.client, intake.spelling);
        let mut plan = Plan::default();
        let answer = self.part(now, &speaker, true, &intake.part, &mut plan);
        let reply = ReplyTo {
            link,
            exchange,
            spelling: intake.spelling,
            answer,
            snapshot: self.assigned,
            asks: std::mem::take(&mut plan.asks).into(),
        };
        self.answer_begins(&reply);
        plan.reply = Some(Box::new(reply));
        if self.broken.is_some() && (!plan.writes.is_empty() || self.lacks_something(link, intake)) {
            return self.fail(plan);
        }
        if plan.writes.is_empty() && self.pending.is_empty() {
            return self.apply(self.next_ticket, plan);
        }
        self.store(plan);
    }

    fn part(&mut self, now: Time, speaker: &Speaker, outer: bool, part: &IntakePart, plan: &mut Plan) -> Answer {
        let speaker = match self.fits(speaker, outer, &part.hop) {
            Ok(speaker) => speaker,
            Err(refusal) => {
                let body = AnswerBody::Leaves(refuse_part(part, &refusal));
                return Answer { server: part.hop.server, client: part.hop.client, body };
            }
        };
        if let Some(name) = part.hop.client.filter(|_| speaker.client == speaker.link_client) {
            self.use_name(speaker.client, name, plan);
        }
        let body = match &part.body {
            Body::Bad(why) => AnswerBody::Leaves(vec![Leaf::failed(reply_id(&part.hop), why.clone())]),
            Body::Parts(parts) => {
                AnswerBody::Parts(parts.iter().map(|part| self.part(now, &speaker, false, part, plan)).collect())
            }
            Body::Orders(orders) => AnswerBody::Leaves(self.orders(now, &speaker, &part.hop, orders, plan)),
        };
        Answer { server: part.hop.server, client: self.name_in_answer(&speaker, outer, &part.hop, plan), body }
    }

    /// Whether a header names this hop (outer), or somebody whom the link's client speaks for (inner). 10.1.2.
    pub(super) fn fits(&self, speaker: &Speaker, outer: bool, hop: &Hop) -> Result<Speaker, Refusal> {
        if !hop.is_x1206 {
            return Err(refusal(ReplyStatus::HandlerNotAvailable, "the PID names another protocol"));
        }
        if speaker.is_below() {
            return self.fits_below(speaker, hop);
        }
        let is_local_server = !outer && self.policy.local_servers.contains(&speaker.link_client);
        match self.fits_here(speaker, outer, hop) {
            Err(_) if is_local_server => self.fits_below(speaker, hop),
            fits => fits,
        }
    }

    fn fits_here(&self, speaker: &Speaker, outer: bool, hop: &Hop) -> Result<Speaker, Refusal> {
        let own = |guid: u128| guid == self.config.server.0;
        let below = |guid: u128| self.policy.speaks_for(speaker.link_client, ClientGuid(guid));
        if let Some(server) = hop.server
            && !(own(server.0) || (!outer && below(server.0)))
        {
            return Err(refusal(ReplyStatus::Failed, "Server_GUID names another server"));
        }
        match hop.client {
            None => Ok(speaker.clone()),
            Some(name) if self.names.fits(speaker.link_client, name) => {
                Ok(Speaker { client: speaker.link_client, ..speaker.clone() })
            }
            Some(client) if !outer && below(client.0) => Ok(Speaker { client, ..speaker.clone() }),
            Some(_) => Err(refusal(ReplyStatus::Failed, "Client_GUID is not this link's client, nor delegated to it")),
        }
    }

    /// Messages of one Payload share one fate: all are carried out, or none (R-10.1.5-6).
    fn orders(&mut self, now: Time, speaker: &Speaker, hop: &Hop, orders: &Orders, plan: &mut Plan) -> Vec<Leaf> {
        let outcome = self.carry_out(now, speaker, hop, orders, plan);
        Leaf::of_one_fate(hop, &orders.orders, &outcome)
    }

    fn carry_out(
        &mut self,
        now: Time,
        speaker: &Speaker,
        hop: &Hop,
        orders: &Orders,
        plan: &mut Plan,
    ) -> Result<(), (usize, Refusal)> {
        let mut meanings = Vec::new();
        for (index, order) in orders.orders.iter().enumerate() {
            let meaning = order.meaning.as_ref().map_err(|refusal| (index, refusal.clone()))?;
            let admitted = self.policy.admit(speaker.link, speaker.link_client, orders.digest, &order.major);
            let admitted = admitted.ok_or_else(|| (index, not_allowed()))?;
            if !self.policy.spend(&admitted, speaker.link, orders.digest) {
                return Err((index, refusal(ReplyStatus::Failed, "the policy changed meanwhile; send it again")));
            }
            meanings.push(meaning);
        }
        if let Some(item) = &orders.item {
            let repeated = self.repeated(speaker.link_client, hop, orders.digest).map_err(|refusal| (0, refusal))?;
            let carried = self.deliver(now, Origin::Client(speaker.link_client), hop, item, repeated, plan);
            return carried.map_err(|refusal| (0, refusal));
        }
        if let Some(index) = meanings.iter().position(|meaning| **meaning == Meaning::Deliver) {
            let why = "Deliver and other messages in one Payload cannot share one fate here; send them as nested parts";
            return Err((index, refusal(ReplyStatus::Failed, why)));
        }
        let repeated = self.repeated(speaker.author(), hop, orders.digest).map_err(|refusal| (0, refusal))?;
        let Orders { digest, bytes, .. } = orders;
        let said = Said { speaker, hop, digest: *digest, bytes, meanings: &meanings, repeated };
        self.register(now, &said, plan)
    }

    /// Whether this very message was carried out before; the same `Message_ID` with other content is refused.
    fn repeated(&self, author: ClientGuid, hop: &Hop, digest: schemas::digest::Digest) -> Result<bool, Refusal> {
        let Some(id) = &hop.message_id else { return Ok(false) };
        match self.seen.get(&(author, id.value)) {
            None => Ok(false),
            Some(seen) if *seen == digest => Ok(true),
            Some(_) => Err(refusal(ReplyStatus::Failed, "this Message_ID was used before for another message")),
        }
    }
}

fn refuse_part(part: &IntakePart, refusal: &Refusal) -> Vec<Leaf> {
    match &part.body {
        Body::Orders(orders) => {
            orders.orders.iter().map(|order| Leaf::new(&part.hop, order, Err(refusal.clone()))).collect()
        }
        Body::Parts(_) | Body::Bad(_) => {
            let mut leaf = Leaf::failed(reply_id(&part.hop), refusal.why.clone());
            leaf.status = refusal.status.clone();
            vec![leaf]
        }
    }
}

pub(super) fn refusal(status: ReplyStatus, why: &str) -> Refusal {
    Refusal { status, why: why.to_owned() }
}

fn not_allowed() -> Refusal {
    refusal(ReplyStatus::MajorNotSupported, "not allowed for this client by this node's policy")
}
