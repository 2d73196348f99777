//! Asking a client below: who gets which bytes, and what comes back by which way.

use std::time::Duration;

use bytes::Bytes;
use schemas::core::{ReplyPayload, ReplyStatus, Root};
use schemas::facts::Validated;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::limits::Limits;
use schemas::names::Spelling;
use schemas::part;
use schemas::version::{Major, Minor};
use schemas::write::{self, HeaderFields, Kind};
use topology::want::Granularity;

use super::bench::{Bench, DEVICE, OTHER, SERVER, advisory, config, deliver, draft};
use crate::answer::{Answer, AnswerBody, Leaf};
use crate::client::Draft;
use crate::engine::reach::{Action, Ask, Event, Open};
use crate::engine::{self, Config};
use crate::ids::{AskId, ExchangeId, LinkId};
use crate::intake::{Body, Intake};
use crate::policy::Policy;
use crate::returned::Returned;
use crate::store::Recovered;
use crate::trust::{Trust, Unsigned};
use crate::uplink::{self, Realm};

const UPSTREAM: ServerGuid = ServerGuid(0xabc0);
const SELF_THERE: ClientGuid = ClientGuid(0xabc1);

fn local(realm: Realm) -> Bench {
    let upstream = uplink::Config {
        server: UPSTREAM,
        client: SELF_THERE,
        realm,
        ask: uplink::Ask::Names,
        granularity: Granularity::Product,
        registrants_min: 2,
        delay_max: Duration::ZERO,
        hold: Duration::from_secs(10),
    };
    Bench::with(
        Config { upstreams: vec![upstream], ..config() },
        Recovered { incarnation: 0x1c, ..Recovered::default() },
    )
}

fn facts(document: Bytes) -> Validated {
    Validated::new(document, &Limits::default()).expect("a document")
}

fn hop(server: ServerGuid, client: ClientGuid, id: u128) -> HeaderFields<'static> {
    HeaderFields {
        server_guid: Some(server),
        client_guid: Some(client),
        message_id: Some(MessageId(id)),
        ..HeaderFields::default()
    }
}

fn request(header: &HeaderFields<'_>) -> Bytes {
    write::message(Spelling::Double, header, &[draft(Major::Request, Some(Minor::Catalog), &[])])
}

fn under(kind: Kind, header: &HeaderFields<'_>, parts: &[Bytes]) -> Bytes {
    let envelope = write::envelope(Spelling::Double, kind, header);
    [&envelope.head[..], &parts.concat(), &envelope.tail].concat().into()
}

/// A client's reply to the message of this ID.
fn reply(client: ClientGuid, id: u128) -> Bytes {
    let leaf = Leaf { status: ReplyStatus::Succeeded, ..Leaf::failed(Some(MessageId(id).to_string()), String::new()) };
    let answer = Answer { server: Some(SERVER), client: Some(client), body: AnswerBody::Leaves(vec![leaf]) };
    answer.render(Spelling::Double, MessageId(0x99), "2026-01-15T09:30:00Z")
}

/// What the shell makes of a document of an upstream.
fn asked(bench: &mut Bench, exchange: u64, document: Bytes) {
    let facts = facts(document);
    let intake = Box::new(Intake::of(&facts).expect("a message"));
    let Root::Message(core) = &facts.document().root else { panic!("a message") };
    let parts = match &core.payload {
        schemas::core::Payload::Bundle(parts) => parts
            .iter()
            .map(|part| match part {
                schemas::core::Part::Good(core) => part::addressed(&facts, core),
                schemas::core::Part::Bad(_) => Bytes::new(),
            })
            .collect(),
        schemas::core::Payload::Messages(_) => Vec::new(),
    };
    let exchange = ExchangeId(exchange);
    bench.handle(engine::Event::Reach(Event::Asked { upstream: UPSTREAM, exchange, intake, parts }));
}

fn actions(bench: &mut Bench) -> Vec<Action> {
    let all = std::mem::take(&mut bench.actions);
    all.into_iter()
        .filter_map(|action| match action {
            engine::Action::Reach(action) => Some(action),
            _ => None,
        })
        .collect()
}

fn opened(bench: &mut Bench) -> Vec<Open> {
    let open = |action| match action {
        Action::Open(open) => *open,
        other => panic!("{other:?}"),
    };
    actions(bench).into_iter().map(open).collect()
}

/// The answer to the upstream: its leaves as it reads them, and the deliveries.
fn responded(bench: &mut Bench) -> (Vec<(ReplyStatus, Option<u128>)>, Vec<Bytes>) {
    match &actions(bench)[..] {
        [Action::Respond { upstream: UPSTREAM, answer, spelling, deliveries, .. }] => {
            let document = facts(answer.render(*spelling, MessageId(1), "2026-01-15T09:30:00Z"));
            let Root::Reply(core) = &document.document().root else { panic!("a reply") };
            let mut leaves = Vec::new();
            read(core, &mut leaves);
            (leaves, deliveries.clone())
        }
        other => panic!("{other:?}"),
    }
}

fn read(core: &schemas::core::MessageCoreReply, leaves: &mut Vec<(ReplyStatus, Option<u128>)>) {
    match &core.payload {
        ReplyPayload::Bundle(parts) => parts.iter().for_each(|part| read(part, leaves)),
        ReplyPayload::Replies(replies) => leaves
            .extend(replies.iter().map(|reply| (reply.status.clone(), reply.reply_id.as_ref().map(|id| id.value.0)))),
    }
}

fn returned(bench: &mut Bench, open: &Open, outcome: Result<Returned, String>) {
    let (link, exchange) = (open.link, open.exchange);
    bench.handle(engine::Event::Reach(Event::Returned { link, exchange, outcome }));
}

fn ask(bench: &mut Bench, client: ClientGuid) {
    let ask = Ask {
        id: AskId(1),
        client,
        messages: vec![Draft { major: Major::Request, minor: Some(Minor::Catalog), infos: Vec::new() }],
        message_id: MessageId(0x70),
        sent_time: "2026-01-15T09:30:00Z".to_owned(),
    };
    bench.handle(engine::Event::Reach(Event::Ask(Box::new(ask))));
}

fn told(bench: &mut Bench) -> Result<Returned, String> {
    match actions(bench).pop() {
        Some(Action::Told(AskId(1), outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_operator_asks_a_client_of_this_node() {
    let mut bench = Bench::new();
    let (link, _) = bench.connect(DEVICE, None);
    bench.actions.clear();
    ask(&mut bench, DEVICE);
    let open = opened(&mut bench).pop().expect("an exchange");
    assert_eq!((open.link, open.question.server, open.question.client), (link, SERVER, DEVICE));
    let intake = Intake::of(&facts(open.document.concat().into())).expect("a message");
    assert_eq!((intake.part.hop.server, intake.part.hop.client), (Some(SERVER), Some(DEVICE)));
    assert_eq!(intake.part.hop.message_id.as_ref().map(|id| id.value), Some(MessageId(0x70)));
    assert!(matches!(intake.part.body, Body::Orders(_)));
    let answer = Returned { reply: reply(DEVICE, 0x70), deliveries: Vec::new() };
    returned(&mut bench, &open, Ok(answer.clone()));
    assert_eq!(told(&mut bench), Ok(answer.clone()));
    returned(&mut bench, &open, Ok(answer));
    assert!(actions(&mut bench).is_empty(), "once");
}

#[test]
fn who_is_not_there_is_not_waited_for() {
    let mut bench = Bench::new();
    ask(&mut bench, DEVICE);
    assert!(told(&mut bench).unwrap_err().contains("known"));
    let (link, _) = bench.connect(DEVICE, None);
    bench.actions.clear();
    ask(&mut bench, DEVICE);
    bench.handle(engine::Event::LinkDown(link));
    let actions = actions(&mut bench);
    assert!(matches!(&actions[..], [Action::Open(_), Action::Told(_, Err(_))]), "{actions:?}");
}

// R-9.3-4, R-10.1.5-1: one layer is taken off, the rest goes on unchanged; replies come back in the order of the parts.
#[test]
fn parts_go_on_to_whom_they_name_and_their_replies_come_back_in_order() {
    let mut bench = local(Realm::Same);
    let links: Vec<LinkId> = [DEVICE, OTHER].map(|client| bench.connect(client, None).0).into();
    bench.actions.clear();
    let parts =
        [request(&hop(SERVER, DEVICE, 1)), request(&hop(SERVER, OTHER, 2)), request(&hop(SERVER, ClientGuid(0xdd), 3))];
    asked(&mut bench, 5, under(Kind::Message, &hop(UPSTREAM, SELF_THERE, 9), &parts));
    let opened = opened(&mut bench);
    assert_eq!(opened.iter().map(|open| open.link).collect::<Vec<_>>(), links);
    for (open, part) in opened.iter().zip(&parts) {
        assert_eq!(open.document.concat(), *part);
    }
    let delivery = deliver(7, advisory("A-1", 1, "serde", "*", ""));
    let other = Returned { reply: reply(OTHER, 2), deliveries: vec![delivery.clone()] };
    returned(&mut bench, &opened[1], Ok(other));
    assert!(actions(&mut bench).is_empty(), "one is still to come");
    returned(&mut bench, &opened[0], Ok(Returned { reply: reply(DEVICE, 1), deliveries: Vec::new() }));
    let (leaves, deliveries) = responded(&mut bench);
    let expected =
        [(ReplyStatus::Succeeded, Some(1)), (ReplyStatus::Succeeded, Some(2)), (ReplyStatus::Failed, Some(3))];
    assert_eq!(leaves, expected);
    assert_eq!(deliveries, [delivery]);
}

#[test]
fn a_part_that_nobody_answers_fails_for_each_message_in_it() {
    let mut bench = local(Realm::Same);
    bench.connect(DEVICE, None);
    bench.actions.clear();
    let below = ServerGuid(0x77);
    let inner = [request(&hop(below, OTHER, 3)), request(&hop(below, ClientGuid(0xdd), 4))];
    let part = under(Kind::Message, &hop(SERVER, DEVICE, 2), &inner);
    asked(&mut bench, 5, under(Kind::Message, &hop(UPSTREAM, SELF_THERE, 1), &[part]));
    let open = opened(&mut bench).pop().expect("an exchange");
    assert!(open.within > Duration::from_secs(15), "a hop more takes more time");
    returned(&mut bench, &open, Err("gone".to_owned()));
    let (leaves, _) = responded(&mut bench);
    assert_eq!(leaves, [(ReplyStatus::Failed, Some(3)), (ReplyStatus::Failed, Some(4))]);
}

#[test]
fn a_foreign_realm_reaches_nobody() {
    let mut bench = local(Realm::Foreign);
    bench.connect(DEVICE, None);
    bench.actions.clear();
    let parts = [request(&hop(SERVER, DEVICE, 1)), request(&hop(SERVER, OTHER, 2))];
    asked(&mut bench, 5, under(Kind::Message, &hop(UPSTREAM, SELF_THERE, 9), &parts));
    let (leaves, _) = responded(&mut bench);
    assert_eq!(leaves, [(ReplyStatus::Failed, Some(1)), (ReplyStatus::Failed, Some(2))], "there or not");
}

// R-8.3-6: what may not go on does not go on this way either.
#[test]
fn what_may_not_go_on_reaches_nobody() {
    let mut bench = local(Realm::Same);
    bench.connect(DEVICE, None);
    let trust = Trust { unsigned: Unsigned::Refuse, ..Trust::default() };
    bench.handle(engine::Event::Policy(Policy { trust: trust.into(), ..Policy::default() }));
    bench.actions.clear();
    let unsigned = write::message(
        Spelling::Double,
        &hop(SERVER, DEVICE, 1),
        &[draft(Major::Deliver, Some(Minor::Full), &[advisory("A-1", 1, "serde", "vers:cargo/<2.0.0", "")])],
    );
    asked(&mut bench, 5, under(Kind::Message, &hop(UPSTREAM, SELF_THERE, 9), &[unsigned]));
    assert_eq!(responded(&mut bench).0, [(ReplyStatus::Failed, Some(1))]);
    assert_eq!(bench.engine.totals().refused.values().sum::<u64>(), 1);
}

// R-3.1.11-1: what is not for a client below is answered, too.
#[test]
fn what_is_for_nobody_below_is_refused() {
    let mut bench = local(Realm::Same);
    asked(&mut bench, 1, request(&hop(UPSTREAM, SELF_THERE, 1)));
    assert_eq!(responded(&mut bench).0, [(ReplyStatus::MajorNotSupported, Some(1))]);
    asked(&mut bench, 2, under(Kind::Message, &hop(UPSTREAM, OTHER, 9), &[request(&hop(SERVER, DEVICE, 2))]));
    assert_eq!(responded(&mut bench).0, [(ReplyStatus::Failed, Some(9))]);
    let parts = [
        request(&hop(OTHER_SERVER, DEVICE, 3)),
        request(&HeaderFields { message_id: Some(MessageId(4)), ..HeaderFields::default() }),
    ];
    asked(&mut bench, 3, under(Kind::Message, &hop(UPSTREAM, SELF_THERE, 9), &parts));
    assert_eq!(responded(&mut bench).0, [(ReplyStatus::Failed, Some(3)), (ReplyStatus::MajorNotSupported, Some(4))]);
}

const OTHER_SERVER: ServerGuid = ServerGuid(0x99);
