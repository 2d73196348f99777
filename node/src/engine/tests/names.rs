//! What clients are called: their own GUID, one that is assigned to them, and two of one GUID.

use std::time::Duration;

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::guid::{ClientGuid, MessageId, ServerGuid};
use schemas::names::Spelling;
use schemas::version::{Major, Minor};
use schemas::write::{self, HeaderFields};
use topology::want::Granularity;

use super::below::{BESIDE, MIDDLE, hop, outer, step, to};
use super::bench::{
    Bench, DEVICE, OTHER, SERVER, advisory, config, deliver, document, draft, policy, register, runs, statuses,
};
use crate::answer::AnswerBody;
use crate::engine::{Action, Config, Event, ReplyTo};
use crate::ids::{ExchangeId, LinkId, Position, Resume};
use crate::policy::{Collisions, Policy};
use crate::store::{Recovered, Table};
use crate::uplink::{self, Ask, Realm};

const NAME: ClientGuid = ClientGuid(0xbeef);
const UPSTREAM: ServerGuid = ServerGuid(0xabc0);

fn assigning() -> Policy {
    Policy { assign: [(DEVICE, NAME)].into(), ..policy() }
}

fn servers(collisions: Collisions) -> Policy {
    Policy { local_servers: [MIDDLE, BESIDE].into(), collisions, ..policy() }
}

/// A Register in a header that names the client so.
fn called(name: ClientGuid, id: u128, crate_name: &str) -> Bytes {
    let header = HeaderFields {
        server_guid: Some(SERVER),
        client_guid: Some(name),
        message_id: Some(MessageId(id)),
        ..HeaderFields::default()
    };
    write::message(Spelling::Double, &header, &[draft(Major::Register, None, &[runs(crate_name, "1.0.0")])])
}

fn good(reply: &ReplyTo) -> bool {
    statuses(reply) == [ReplyStatus::Succeeded]
}

/// The client that the innermost header around the first answer names.
fn told(reply: &ReplyTo) -> Option<ClientGuid> {
    let AnswerBody::Parts(parts) = &reply.answer.body else { panic!("parts") };
    parts[0].client
}

fn by(server: ClientGuid, client: ClientGuid, part: Bytes) -> Bytes {
    outer(server, &[hop(server.0, client, None, &[part])])
}

fn listed(bench: &Bench) -> Vec<(ClientGuid, usize)> {
    let all = bench.engine.inventory(None, 100).into_iter();
    all.map(|listed| (listed.client, listed.subscriptions.len())).filter(|(_, count)| *count > 0).collect()
}

#[test]
fn c9_3_a_guid_of_ones_own_is_kept() {
    let mut bench = Bench::new();
    let (link, _) = bench.connect(DEVICE, None);
    let reply = bench.send(link, &called(DEVICE, 1, "serde"));
    assert!(good(&reply));
    assert_eq!(reply.answer.client, Some(DEVICE));
    assert_eq!(bench.engine.route(DEVICE), Some(vec![to(DEVICE)]));
    assert!(!bench.kept.rows.iter().any(|(table, ..)| *table == Table::Names), "and takes no row");
}

#[test]
fn c9_3_another_guid_is_told_in_the_reply_and_the_old_one_holds_until_it_is_used() {
    let mut bench = Bench::new();
    bench.handle(Event::Policy(assigning()));
    let (link, _) = bench.connect(DEVICE, None);
    let exchange = bench.open(link, &called(DEVICE, 1, "serde"));
    assert!(bench.reply(exchange).is_none(), "not before it is durable");
    bench.settle();
    assert_eq!(bench.reply(exchange).expect("an answer").answer.client, Some(NAME));
    assert_eq!(bench.engine.route(NAME), Some(vec![to(NAME)]));
    assert_eq!(bench.engine.route(DEVICE), bench.engine.route(NAME), "what is under way arrives");

    let mut bench = Bench::with(config(), bench.kept);
    bench.handle(Event::Policy(policy()));
    let (link, _) = bench.connect(DEVICE, None);
    let reply = bench.send(link, &called(DEVICE, 2, "log"));
    assert_eq!((good(&reply), reply.answer.client), (true, Some(NAME)), "a restart in between loses nothing");
    assert_eq!(bench.send(link, &register(3, &[])).answer.client, Some(NAME), "where no client is named either");
    assert!(good(&bench.send(link, &called(NAME, 4, "log"))));

    for bench in [&mut Bench::with(config(), bench.kept.clone()), &mut bench] {
        let (link, _) = bench.connect(DEVICE, None);
        assert_eq!(statuses(&bench.send(link, &called(DEVICE, 5, "syn"))), [ReplyStatus::Failed], "the alias is gone");
        assert!(good(&bench.send(link, &called(NAME, 6, "log"))));
        assert_eq!(bench.engine.route(DEVICE), None);
        assert_eq!(listed(bench), [(NAME, 2)]);
        let (provider, _) = bench.connect(super::bench::PROVIDER, None);
        bench.send(provider, &deliver(7, advisory("A-1", 1, "log", "vers:cargo/<2.0.0", "")));
        assert_eq!(bench.pushed(link).len(), 1, "inside it is who it was");
    }
}

#[test]
fn a_guid_that_is_somebody_elses_is_not_assigned() {
    let mut bench = Bench::new();
    let (other, _) = bench.connect(NAME, None);
    bench.send(other, &register(1, &[runs("log", "1.0.0")]));
    bench.handle(Event::Policy(assigning()));
    let (link, _) = bench.connect(DEVICE, None);
    assert_eq!(bench.send(link, &called(DEVICE, 2, "serde")).answer.client, Some(DEVICE));
    assert_eq!(bench.engine.inventory(None, 100).len(), 2);
}

#[test]
fn c9_3_two_clients_of_one_guid_are_two_records() {
    let mut bench = Bench::new();
    bench.handle(Event::Policy(servers(Collisions::Assign)));
    let (middle, _) = bench.connect(MIDDLE, None);
    let (beside, _) = bench.connect(BESIDE, None);
    let first = bench.send(middle, &by(MIDDLE, DEVICE, register(1, &[runs("serde", "1.0.0")])));
    assert_eq!(told(&first), Some(DEVICE));
    let second = bench.send(beside, &by(BESIDE, DEVICE, register(2, &[runs("log", "1.0.0")])));
    assert!(good(&second));
    let name = told(&second).expect("a name");
    assert_ne!(name, DEVICE);
    let again = bench.send(beside, &by(BESIDE, DEVICE, register(3, &[runs("syn", "1.0.0")])));
    assert_eq!(told(&again), Some(name), "the same until its local server uses it");
    assert_eq!(listed(&bench), [(DEVICE, 1), (name, 2)]);
    assert_eq!(bench.engine.route(DEVICE), Some(vec![to(MIDDLE), step(MIDDLE, DEVICE)]));
    assert_eq!(bench.engine.route(name), Some(vec![to(BESIDE), step(BESIDE, DEVICE)]), "as it is called there");

    let mut bench = Bench::with(config(), bench.kept);
    bench.handle(Event::Policy(servers(Collisions::Assign)));
    let (beside, _) = bench.connect(BESIDE, None);
    let used = bench.send(beside, &by(BESIDE, name, register(4, &[])));
    assert_eq!((good(&used), told(&used)), (true, Some(name)));
    assert_eq!(bench.engine.route(name), Some(vec![to(BESIDE), step(BESIDE, name)]));
    assert_eq!(listed(&bench), [(DEVICE, 1), (name, 2)]);
    let gone = document(5, &[draft(Major::Register, Some(Minor::End), &[])]);
    bench.send(beside, &by(BESIDE, name, gone));
    assert_eq!(listed(&bench), [(DEVICE, 1)], "one is gone, the other stays");
    assert!(!bench.kept.rows.iter().any(|(table, ..)| *table == Table::Names));
}

#[test]
fn c9_3_a_second_client_of_a_guid_may_be_refused() {
    let mut bench = Bench::new();
    bench.handle(Event::Policy(servers(Collisions::Refuse)));
    let (middle, _) = bench.connect(MIDDLE, None);
    let (beside, _) = bench.connect(BESIDE, None);
    let (other, _) = bench.connect(OTHER, None);
    bench.send(other, &register(1, &[runs("log", "1.0.0")]));
    bench.send(middle, &by(MIDDLE, DEVICE, register(2, &[runs("serde", "1.0.0")])));
    for (number, client) in [(3, DEVICE), (4, OTHER)] {
        let reply = bench.send(beside, &by(BESIDE, client, register(number, &[runs("log", "1.0.0")])));
        assert_eq!(statuses(&reply), [ReplyStatus::Failed]);
    }
    assert!(
        good(&bench.send(middle, &by(MIDDLE, DEVICE, register(5, &[runs("log", "1.0.0")])))),
        "the first may go on"
    );
    let gone = document(6, &[draft(Major::Register, Some(Minor::End), &[])]);
    bench.send(middle, &by(MIDDLE, DEVICE, gone));
    let reply = bench.send(beside, &by(BESIDE, DEVICE, register(7, &[runs("log", "1.0.0")])));
    assert!(good(&reply), "the GUID is free");
}

/// A local server whose upstream is its own realm's.
fn local(kept: Recovered) -> Bench {
    let upstream = uplink::Config {
        server: UPSTREAM,
        client: ClientGuid(0xabc1),
        realm: Realm::Same,
        ask: Ask::Names,
        granularity: Granularity::Product,
        registrants_min: 2,
        delay_max: Duration::ZERO,
        hold: Duration::from_secs(10),
    };
    let mut bench = Bench::with(Config { upstreams: vec![upstream], ..config() }, kept);
    let policy = Policy { local_servers: [MIDDLE].into(), combine: Duration::ZERO, ..policy() };
    bench.handle(Event::Policy(policy));
    bench
}

fn tell(bench: &mut Bench, event: uplink::Event) {
    bench.handle(Event::Uplink(UPSTREAM, event));
    bench.settle();
}

fn connected(bench: &mut Bench, incarnation: u128) {
    let start = Resume::at(incarnation, Position(0), None);
    tell(bench, uplink::Event::Connected { behind: false, start, policy: None, path: Vec::new() });
}

/// The parts that are being told, and in which exchange.
fn reported(bench: &mut Bench) -> Option<(ExchangeId, Vec<String>)> {
    let is_report = |action: &mut Action| matches!(action, Action::Uplink(_, uplink::Action::Report(..)));
    let report = bench.actions.extract_if(.., is_report).last()?;
    let Action::Uplink(_, uplink::Action::Report(exchange, _, parts)) = report else { return None };
    Some((exchange, parts.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect()))
}

/// The upstream agrees to what it was told, and calls the clients of its parts so.
fn heard(bench: &mut Bench, exchange: ExchangeId, clients: &[ClientGuid], messages: usize) {
    let named = clients.iter().map(|client| Some(*client)).collect();
    tell(bench, uplink::Event::Named { exchange, clients: named });
    tell(bench, uplink::Event::Replied { exchange, outcomes: vec![(ReplyStatus::Succeeded, None); messages] });
    tell(bench, uplink::Event::Ended(exchange));
}

#[test]
fn a_local_server_passes_on_what_its_client_is_called_above() {
    let mut bench = local(Recovered { incarnation: 0x1c, ..Recovered::default() });
    connected(&mut bench, 7);
    let (link, _) = bench.connect(DEVICE, None);
    bench.send(link, &called(DEVICE, 1, "serde"));
    let (exchange, parts) = reported(&mut bench).expect("a report");
    assert_eq!(parts.len(), 1);
    heard(&mut bench, exchange, &[NAME], 1);
    let mut bench = local(bench.kept);
    connected(&mut bench, 7);
    let (link, _) = bench.connect(DEVICE, None);
    let told: Vec<String> = std::iter::from_fn(|| {
        let (exchange, parts) = reported(&mut bench)?;
        let messages = parts.iter().map(|part| part.matches("<v:Message>").count()).sum();
        let clients = vec![NAME; messages];
        heard(&mut bench, exchange, &clients, messages);
        Some(parts)
    })
    .flatten()
    .collect();
    let header = |client: ClientGuid| format!("<m:Client_GUID>{client}</m:Client_GUID>");
    let (gone, known): (Vec<_>, Vec<_>) = told.iter().partition(|part| part.contains(&header(DEVICE)));
    assert!(gone.iter().all(|part| part.contains("End")), "the old name is gone: {gone:?}");
    assert!(known.iter().any(|part| part.contains(&header(NAME)) && part.contains("serde")), "{known:?}");
    let reply = bench.send(link, &called(DEVICE, 2, "log"));
    assert_eq!((good(&reply), reply.answer.client), (true, Some(NAME)), "and the client hears of it");
}

#[test]
fn what_is_called_otherwise_above_is_told_to_the_local_server_below() {
    let mut bench = local(Recovered { incarnation: 0x1c, ..Recovered::default() });
    connected(&mut bench, 7);
    let (middle, _) = bench.connect(MIDDLE, None);
    bench.send(middle, &by(MIDDLE, DEVICE, register(1, &[runs("serde", "1.0.0")])));
    let (exchange, _) = reported(&mut bench).expect("a report");
    heard(&mut bench, exchange, &[NAME], 1);
    assert_eq!(bench.engine.route(NAME), Some(vec![to(MIDDLE), step(MIDDLE, DEVICE)]), "as it is called there");
    let reply = bench.send(middle, &by(MIDDLE, DEVICE, register(2, &[])));
    assert_eq!(told(&reply), Some(NAME));
    bench.send(middle, &by(MIDDLE, NAME, register(3, &[])));
    assert_eq!(bench.engine.route(NAME), Some(vec![to(MIDDLE), step(MIDDLE, NAME)]));
    assert_eq!(bench.engine.route(DEVICE), None);
}

#[test]
fn a_local_server_takes_the_guid_that_its_upstream_gives_it() {
    let own = |bench: &Bench| bench.engine.client_above(UPSTREAM).expect("an uplink");
    let mut bench = local(Recovered { incarnation: 0x1c, ..Recovered::default() });
    connected(&mut bench, 7);
    bench.handle(Event::Uplink(UPSTREAM, uplink::Event::Assigned(NAME)));
    assert_eq!(own(&bench), ClientGuid(0xabc1), "not before it is durable");
    bench.settle();
    assert_eq!(own(&bench), NAME);
    let mut bench = local(bench.kept);
    assert_eq!(own(&bench), NAME);
    connected(&mut bench, 7);
    assert_eq!(own(&bench), NAME);
    connected(&mut bench, 8);
    assert_eq!(own(&bench), ClientGuid(0xabc1), "another life of the upstream's log does not know it");
    assert_eq!(own(&local(bench.kept)), ClientGuid(0xabc1));
}

#[test]
fn who_is_called_otherwise_is_known_once_above() {
    let mut bench = local(Recovered { incarnation: 0x1c, ..Recovered::default() });
    connected(&mut bench, 7);
    let (link, _): (LinkId, _) = bench.connect(DEVICE, None);
    bench.send(link, &called(DEVICE, 1, "serde"));
    let (exchange, _) = reported(&mut bench).expect("a report");
    heard(&mut bench, exchange, &[DEVICE], 1);
    bench.handle(Event::Policy(assigning()));
    bench.send(link, &called(DEVICE, 2, "serde"));
    let (exchange, first) = reported(&mut bench).expect("a report");
    heard(&mut bench, exchange, &[DEVICE], first.iter().map(|part| part.matches("<v:Message>").count()).sum());
    let rest: Vec<String> = reported(&mut bench).map(|(_, parts)| parts).unwrap_or_default();
    let all: Vec<&String> = first.iter().chain(&rest).collect();
    let names = |part: &String| (part.contains(&DEVICE.to_string()), part.contains(&NAME.to_string()));
    assert_eq!(all.iter().map(|part| names(part)).collect::<Vec<_>>(), [(true, false), (false, true)], "{all:?}");
}
