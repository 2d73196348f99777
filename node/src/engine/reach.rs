//! Reach (9.3): a server at any level asks any client below by nested headers, one layer a hop. Each hop takes its layer
//! off and opens an exchange on the client's own link; the answer comes back by the exchanges that the question went by,
//! and no GUID is looked at on the way up (10.1.5).

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::names::Spelling;
use schemas::write::{self, HeaderFields, Kind, MessageDraft};

use super::Engine;
use super::exchange::refusal;
use super::uplinks::refused;
use crate::answer::{Answer, AnswerBody, Leaf, reply_id};
use crate::client::Draft;
use crate::ids::{AskId, ExchangeId, LinkId};
use crate::intake::{Body, Hop, Intake, IntakePart, Refusal};
use crate::returned::{Question, Returned};
use crate::trust::Verdict;
use crate::uplink::Realm;

/// What happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// The operator asks a client below.
    Ask(Box<Ask>),
    /// An upstream opened an exchange.
    Asked {
        /// Which upstream.
        upstream: ServerGuid,
        /// Unique for it.
        exchange: ExchangeId,
        /// What it says.
        intake: Box<Intake>,
        /// Its outermost parts, as documents with their Headers.
        parts: Vec<Bytes>,
    },
    /// An exchange with a client has ended: its whole answer, or why there is none.
    Returned {
        /// On this link.
        link: LinkId,
        /// As it was opened.
        exchange: ExchangeId,
        /// What came of it.
        outcome: Result<Returned, String>,
    },
}

/// What a shell is to do.
#[derive(Clone, Debug)]
pub enum Action {
    /// Open an exchange on a client's link. While the link lives, exactly one `Returned` follows.
    Open(Box<Open>),
    /// Tell the operator what came of his question.
    Told(AskId, Result<Returned, String>),
    /// Answer an exchange of an upstream.
    Respond {
        /// Which upstream.
        upstream: ServerGuid,
        /// Its exchange.
        exchange: ExchangeId,
        /// In the shape of what it said.
        answer: Answer,
        /// The spelling of all of it.
        spelling: Spelling,
        /// What the clients' answers brought: parts whose Headers name the hop below.
        deliveries: Vec<Bytes>,
    },
}

/// A question of the operator.
#[derive(Clone, Debug)]
pub struct Ask {
    /// To be answered here.
    pub id: AskId,
    /// Whom.
    pub client: ClientGuid,
    /// What: messages of one fate.
    pub messages: Vec<Draft>,
    /// Random; the client's reply repeats it. Those of the layers around count on from it.
    pub message_id: MessageId,
    /// Now, as `xs:dateTime`.
    pub sent_time: String,
}

/// An exchange to be opened.
#[derive(Clone, Debug)]
pub struct Open {
    /// On this link.
    pub link: LinkId,
    /// This node's name for it.
    pub exchange: ExchangeId,
    /// What the answer must fit.
    pub question: Question,
    /// In slices.
    pub document: Vec<Bytes>,
    /// How long the whole answer may take.
    pub within: Duration,
}

/// Exchanges with clients that are under way at once, for all who ask; more are refused as busy.
const OPEN_MAX: usize = 1024;
/// For the client's own answer; each node on the way there has a little more, so that it hears of one that gave up.
const WITHIN: Duration = Duration::from_secs(15);
/// See [`WITHIN`].
const WITHIN_HOP: Duration = Duration::from_secs(5);
/// After this nobody waits any more (protocol, 13).
const WITHIN_MAX: Duration = Duration::from_secs(60);

/// Questions that are under way.
#[derive(Debug, Default)]
pub(super) struct Reach {
    last: u64,
    /// Exchanges with clients, and whom each answer is for.
    open: BTreeMap<(LinkId, ExchangeId), Asker>,
    /// Exchanges of upstreams that wait for clients.
    asked: BTreeMap<(ServerGuid, ExchangeId), Asked>,
}

#[derive(Debug)]
enum Asker {
    Operator(AskId),
    /// A part of an upstream's document, and what is said of it if there is no answer.
    Part {
        upstream: ServerGuid,
        exchange: ExchangeId,
        index: usize,
        failed: Answer,
    },
}

#[derive(Debug)]
struct Asked {
    hop: Hop,
    spelling: Spelling,
    /// One for each part.
    parts: Vec<Option<Answered>>,
}

/// The answer of one part.
#[derive(Debug)]
struct Answered {
    answer: Answer,
    deliveries: Vec<Bytes>,
}

impl From<Answer> for Answered {
    fn from(answer: Answer) -> Self {
        Self { answer, deliveries: Vec::new() }
    }
}

impl Engine {
    pub(super) fn reach(&mut self, event: Event) {
        match event {
            Event::Ask(ask) => self.ask(&ask),
            Event::Asked { upstream, exchange, intake, parts } => self.asked(upstream, exchange, &intake, parts),
            Event::Returned { link, exchange, outcome } => self.returned(link, exchange, outcome),
        }
    }

    fn ask(&mut self, ask: &Ask) {
        let asker = Asker::Operator(ask.id);
        let Some(hops) = self.route(ask.client) else {
            return self.answer_asker(asker, Err("no such client is known here".to_owned()));
        };
        let Some((_, nearest)) = hops.first().copied() else { return };
        let document = layers(&hops, ask);
        match self.way_to(nearest) {
            Ok(link) => self.open(link, (nearest, Spelling::Double), document, hops.len(), asker),
            Err(why) => self.answer_asker(asker, Err(why)),
        }
    }

    /// A document of an upstream: each part that names this node and a client of it goes on to that client.
    fn asked(&mut self, upstream: ServerGuid, exchange: ExchangeId, intake: &Intake, documents: Vec<Bytes>) {
        let Intake { part: IntakePart { hop, body }, spelling, .. } = intake;
        let (parts, fits) = match (body, self.fits_from_above(upstream, true, hop)) {
            (Body::Parts(parts), Ok(())) => (parts, Ok(())),
            (_, fits) => (&Vec::new(), fits),
        };
        if parts.is_empty() {
            let why = fits.err().unwrap_or_else(nothing_is_told);
            let body = AnswerBody::Leaves(refused(&intake.part, &why));
            let answer = Answer { server: hop.server, client: hop.client, body };
            return self.respond(upstream, exchange, *spelling, answer, Vec::new());
        }
        let asked = Asked { hop: hop.clone(), spelling: *spelling, parts: parts.iter().map(|_| None).collect() };
        self.reach.asked.insert((upstream, exchange), asked);
        for (index, (part, document)) in parts.iter().zip(documents).enumerate() {
            match self.recipient(upstream, part) {
                Ok(client) => {
                    let asker = Asker::Part { upstream, exchange, index, failed: failed(part) };
                    match self.way_to(client) {
                        Ok(link) => self.open(link, (client, *spelling), vec![document], depth(part), asker),
                        Err(why) => self.answer_asker(asker, Err(why)),
                    }
                }
                Err(own) => self.part_answered(upstream, exchange, index, own.into()),
            }
        }
    }

    /// Whom a part goes on to, or this node's own answer.
    fn recipient(&mut self, upstream: ServerGuid, part: &IntakePart) -> Result<ClientGuid, Answer> {
        let IntakePart { hop, body } = part;
        let barred = self.barred(part);
        let leaves = match (body, hop.server, hop.client) {
            _ if barred.is_some() => barred.map(|why| refused(part, &why)).unwrap_or_default(),
            (Body::Bad(why), ..) => vec![Leaf::failed(reply_id(hop), why.clone())],
            (_, Some(server), Some(client)) if server == self.config.server => {
                let uplink = self.uplinks.get(&upstream);
                // A foreign realm learns nothing of who is below, not even by trying.
                if uplink.is_some_and(|uplink| uplink.config().realm == Realm::Same) {
                    return Ok(client);
                }
                refused(part, &refusal(ReplyStatus::Failed, NOT_CONNECTED))
            }
            (_, Some(server), _) if server != self.config.server => {
                refused(part, &refusal(ReplyStatus::Failed, "Server_GUID names another server"))
            }
            _ => refused(part, &nothing_is_told()),
        };
        Err(Answer { server: hop.server, client: hop.client, body: AnswerBody::Leaves(leaves) })
    }

    /// Why something in a part may not go on, if so (R-8.3-6).
    fn barred(&mut self, part: &IntakePart) -> Option<Refusal> {
        let item = match &part.body {
            Body::Parts(parts) => return parts.iter().find_map(|part| self.barred(part)),
            Body::Orders(orders) => orders.item.as_ref()?,
            Body::Bad(_) => return None,
        };
        let Verdict::Refused(reason) = self.policy.trust.judge(item.signing.as_deref(), self.now) else { return None };
        *self.totals.refused.entry(reason.label()).or_default() += 1;
        Some(refusal(ReplyStatus::Failed, &reason.to_string()))
    }

    fn way_to(&self, client: ClientGuid) -> Result<LinkId, String> {
        let link = self.key_of(client).and_then(|key| self.links.get(&key).copied()).ok_or(NOT_CONNECTED)?;
        if self.reach.open.len() >= OPEN_MAX {
            return Err("busy: as many clients are asked as can be at once".to_owned());
        }
        Ok(link)
    }

    fn open(
        &mut self,
        link: LinkId,
        (client, spelling): (ClientGuid, Spelling),
        document: Vec<Bytes>,
        hops: usize,
        asker: Asker,
    ) {
        self.reach.last += 1;
        let exchange = ExchangeId(self.reach.last);
        self.reach.open.insert((link, exchange), asker);
        let further = u32::try_from(hops).unwrap_or(u32::MAX).saturating_sub(1);
        let within = WITHIN.saturating_add(WITHIN_HOP.saturating_mul(further)).min(WITHIN_MAX);
        let question = Question { server: self.config.server, client, spelling };
        let open = Open { link, exchange, question, document, within };
        self.act(Action::Open(Box::new(open)));
    }

    fn returned(&mut self, link: LinkId, exchange: ExchangeId, outcome: Result<Returned, String>) {
        if let Some(asker) = self.reach.open.remove(&(link, exchange)) {
            self.answer_asker(asker, outcome);
        }
    }

    /// A link is gone, and answers nothing any more.
    pub(super) fn unreached(&mut self, link: LinkId) {
        let all = (link, ExchangeId(0))..=(link, ExchangeId(u64::MAX));
        let open: Vec<ExchangeId> = self.reach.open.range(all).map(|((_, exchange), _)| *exchange).collect();
        for exchange in open {
            self.returned(link, exchange, Err("the client's link ended before it answered".to_owned()));
        }
    }

    fn answer_asker(&mut self, asker: Asker, outcome: Result<Returned, String>) {
        match asker {
            Asker::Operator(ask) => self.act(Action::Told(ask, outcome)),
            Asker::Part { upstream, exchange, index, mut failed } => {
                let answered = match outcome {
                    Ok(Returned { reply, deliveries }) => {
                        Answered { answer: Answer { body: AnswerBody::Returned(reply), ..failed }, deliveries }
                    }
                    Err(why) => {
                        failed.leaves_mut().into_iter().for_each(|leaf| leaf.why = Some(why.clone()));
                        failed.into()
                    }
                };
                self.part_answered(upstream, exchange, index, answered);
            }
        }
    }

    /// When the last part has its answer, the upstream gets all of them, in the order of its parts.
    fn part_answered(&mut self, upstream: ServerGuid, exchange: ExchangeId, index: usize, answered: Answered) {
        let key = (upstream, exchange);
        let Some(asked) = self.reach.asked.get_mut(&key) else { return };
        if let Some(part) = asked.parts.get_mut(index) {
            *part = Some(answered);
        }
        if asked.parts.iter().any(Option::is_none) {
            return;
        }
        let Some(Asked { hop, spelling, parts }) = self.reach.asked.remove(&key) else { return };
        let (mut answers, mut deliveries) = (Vec::new(), Vec::new());
        for part in parts.into_iter().flatten() {
            answers.push(part.answer);
            deliveries.extend(part.deliveries);
        }
        let answer = Answer { server: hop.server, client: hop.client, body: AnswerBody::Parts(answers) };
        self.respond(upstream, exchange, spelling, answer, deliveries);
    }

    fn respond(
        &mut self,
        upstream: ServerGuid,
        exchange: ExchangeId,
        spelling: Spelling,
        answer: Answer,
        deliveries: Vec<Bytes>,
    ) {
        self.act(Action::Respond { upstream, exchange, answer, spelling, deliveries });
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(super::Action::Reach(action));
    }
}

const NOT_CONNECTED: &str = "no such client is connected here";

/// This node asks for what it wants by itself, and lists nothing of its own.
fn nothing_is_told() -> crate::intake::Refusal {
    let why = "this node answers no message of its upstream; it passes on parts that name it and a client of it";
    refusal(ReplyStatus::MajorNotSupported, why)
}

/// The document for the first hop: a layer for each hop, the messages in the last.
fn layers(hops: &[(ServerGuid, ClientGuid)], ask: &Ask) -> Vec<Bytes> {
    let header = |(layer, (server, client)): (usize, &(ServerGuid, ClientGuid))| HeaderFields {
        server_guid: Some(*server),
        client_guid: Some(*client),
        message_id: Some(MessageId(ask.message_id.0.wrapping_add((hops.len() - 1 - layer) as u128))),
        sent_time: Some(&ask.sent_time),
    };
    let mut headers: Vec<HeaderFields<'_>> = hops.iter().enumerate().map(header).collect();
    let last = headers.pop().unwrap_or_default();
    let draft = |draft: &'_ Draft| (draft.major.clone(), draft.minor.clone());
    let messages: Vec<MessageDraft<'_>> = ask
        .messages
        .iter()
        .map(|message| {
            let (major, minor) = draft(message);
            MessageDraft { major, minor, data: (!message.infos.is_empty()).then_some(&message.infos[..]) }
        })
        .collect();
    let envelopes: Vec<_> =
        headers.iter().map(|header| write::envelope(Spelling::Double, Kind::Message, header)).collect();
    let heads = envelopes.iter().map(|envelope| envelope.head.clone());
    let tails = envelopes.iter().rev().map(|envelope| envelope.tail.clone());
    let document = write::message(Spelling::Double, &last, &messages);
    heads.chain([document]).chain(tails).collect()
}

/// Hops that a part has before it, this node's included.
fn depth(part: &IntakePart) -> usize {
    match &part.body {
        Body::Parts(parts) => 1 + parts.iter().map(depth).max().unwrap_or(0),
        Body::Orders(_) | Body::Bad(_) => 1,
    }
}

/// What is said of a part that nobody answered: Failed, of each message in it.
fn failed(part: &IntakePart) -> Answer {
    let IntakePart { hop, body } = part;
    let body = match body {
        Body::Parts(parts) => AnswerBody::Parts(parts.iter().map(failed).collect()),
        Body::Orders(orders) => AnswerBody::Leaves(
            orders.orders.iter().map(|order| Leaf::new(hop, order, Err(refusal(ReplyStatus::Failed, "")))).collect(),
        ),
        Body::Bad(why) => AnswerBody::Leaves(vec![Leaf::failed(reply_id(hop), why.clone())]),
    };
    Answer { server: hop.server, client: hop.client, body }
}
