//! Clients below local servers: who is known, what they run, and the way to each.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use schemas::core::ReplyStatus;
use schemas::guid::{ClientGuid, ServerGuid};
use schemas::names::Spelling;
use schemas::version::{Major, Minor};
use schemas::write::{self, HeaderFields, Kind};
use topology::interest::Interest;

use super::bench::{Bench, DEVICE, OTHER, SERVER, config, document, draft, policy, register, request, runs, statuses};
use crate::engine::{Config, Event, Route};
use crate::ids::{LinkId, Time};
use crate::policy::Policy;
use crate::store::Recovered;

/// Local servers: below this node, below that one, and beside it.
pub(super) const MIDDLE: ClientGuid = ClientGuid(0xa1);
const LOWER: ClientGuid = ClientGuid(0xa2);
pub(super) const BESIDE: ClientGuid = ClientGuid(0xa3);

/// A part in the header of one hop below.
pub(super) fn hop(server: u128, client: ClientGuid, sent: Option<Time>, parts: &[Bytes]) -> Bytes {
    let sent = sent.map(Time::text);
    let header = HeaderFields {
        server_guid: Some(ServerGuid(server)),
        client_guid: Some(client),
        sent_time: sent.as_deref(),
        ..HeaderFields::default()
    };
    wrap(&header, parts)
}

fn wrap(header: &HeaderFields<'_>, parts: &[Bytes]) -> Bytes {
    let envelope = write::envelope(Spelling::Double, Kind::Message, header);
    [std::slice::from_ref(&envelope.head), parts, std::slice::from_ref(&envelope.tail)].concat().concat().into()
}

/// A document with these parts, in the header of the link.
pub(super) fn outer(client: ClientGuid, parts: &[Bytes]) -> Bytes {
    let header = HeaderFields { server_guid: Some(SERVER), client_guid: Some(client), ..HeaderFields::default() };
    wrap(&header, parts)
}

/// What the middle says of a client of its own.
fn by_middle(client: ClientGuid, sent: Option<Time>, part: Bytes) -> Bytes {
    outer(MIDDLE, &[hop(MIDDLE.0, client, sent, &[part])])
}

pub(super) fn to(client: ClientGuid) -> (ServerGuid, ClientGuid) {
    (SERVER, client)
}

pub(super) fn step(server: ClientGuid, client: ClientGuid) -> (ServerGuid, ClientGuid) {
    (ServerGuid(server.0), client)
}

fn servers() -> Policy {
    Policy { local_servers: [MIDDLE, BESIDE].into(), ..policy() }
}

fn bench(config: Config) -> (Bench, LinkId) {
    let mut bench = Bench::with(config, Recovered { incarnation: 0x1c, ..Recovered::default() });
    bench.handle(Event::Policy(servers()));
    let (link, _) = bench.connect(MIDDLE, None);
    (bench, link)
}

fn runs_at(bench: &Bench, client: ClientGuid) -> Vec<Interest> {
    let listed = bench
        .engine
        .inventory(None, usize::MAX)
        .into_iter()
        .find(|listed| listed.client == client)
        .expect("it is known");
    listed.subscriptions.iter().map(|subscription| subscription.interest.clone()).collect()
}

fn interest(name: &str) -> Interest {
    Interest::from_version_info(&runs(name, "1.0.0"))
}

fn end(id: u128, name: &str) -> Bytes {
    document(id, &[draft(Major::Register, Some(Minor::End), &[runs(name, "1.0.0")])])
}

#[test]
fn c9_3_what_is_registered_below_is_known_with_the_way_to_it_and_subscribes_to_nothing() {
    let (mut bench, link) = bench(config());
    let deep = hop(MIDDLE.0, LOWER, None, &[hop(LOWER.0, DEVICE, None, &[request(1, &[runs("serde", "1.0.0")])])]);
    let flat = hop(MIDDLE.0, OTHER, None, &[register(2, &[runs("log", "1.0.0")])]);
    let reply = bench.send(link, &outer(MIDDLE, &[deep, flat]));
    assert_eq!(statuses(&reply), [ReplyStatus::Succeeded, ReplyStatus::Succeeded]);
    assert!(bench.due(&reply).is_empty(), "a report asks for nothing");
    let expected: Route = vec![to(MIDDLE), step(MIDDLE, LOWER), step(LOWER, DEVICE)];
    assert_eq!(bench.engine.route(DEVICE), Some(expected.clone()));
    assert_eq!(bench.engine.route(OTHER), Some(vec![to(MIDDLE), step(MIDDLE, OTHER)]));
    assert_eq!(bench.engine.route(MIDDLE), Some(vec![to(MIDDLE)]), "its own link");
    assert_eq!(bench.engine.route(ClientGuid(0x404)), None);
    assert!(bench.engine.subscriptions().is_empty());
    assert_eq!(runs_at(&bench, DEVICE), [interest("serde")]);

    bench.send(link, &by_middle(OTHER, None, end(3, "log")));
    assert_eq!(runs_at(&bench, OTHER), []);
    let bench = Bench::with(config(), bench.kept);
    assert_eq!(bench.engine.route(DEVICE), Some(expected), "also after a restart");
    let guids: Vec<_> =
        bench.engine.inventory(None, usize::MAX).into_iter().map(|listed| (listed.client, listed.connected)).collect();
    assert_eq!(guids, [(DEVICE, false), (OTHER, false)], "each once");
}

#[test]
fn c9_3_only_local_servers_speak_for_whatever_is_below_them() {
    let (mut bench, _) = bench(config());
    let (stranger, _) = bench.connect(OTHER, None);
    let part = register(1, &[runs("serde", "1.0.0")]);
    let reply = bench.send(stranger, &outer(OTHER, &[hop(OTHER.0, DEVICE, None, &[part])]));
    assert_eq!(statuses(&reply), [ReplyStatus::Failed]);
    assert_eq!(bench.engine.route(DEVICE), None);
}

#[test]
fn c9_3_a_header_below_names_a_whole_hop_that_leads_on() {
    let (mut bench, link) = bench(config());
    let part = || register(1, &[runs("serde", "1.0.0")]);
    let half = HeaderFields { client_guid: Some(DEVICE), ..HeaderFields::default() };
    let circle = hop(MIDDLE.0, LOWER, None, &[hop(LOWER.0, MIDDLE, None, &[hop(MIDDLE.0, LOWER, None, &[part()])])]);
    let back = hop(SERVER.0, DEVICE, None, &[part()]);
    let far = (0..40).fold(part(), |part, number| hop(0x1000 + number, ClientGuid(0x2000 + number), None, &[part]));
    for bad in [wrap(&half, &[part()]), circle, back, far] {
        let reply = bench.send(link, &outer(MIDDLE, &[bad]));
        assert_eq!(statuses(&reply), [ReplyStatus::Failed]);
    }
    assert_eq!(bench.engine.inventory(None, usize::MAX).len(), 1, "the middle alone");
}

#[test]
fn c9_3_who_has_moved_is_where_it_was_heard_last() {
    let (mut bench, link) = bench(config());
    let (beside, _) = bench.connect(BESIDE, None);
    let (early, late) = (bench.now, bench.now.after(Duration::from_secs(10)));
    bench.now = bench.now.after(Duration::from_secs(60));
    let by_beside = |sent, part: Bytes| outer(BESIDE, &[hop(BESIDE.0, DEVICE, Some(sent), &[part])]);
    bench.send(beside, &by_beside(late, register(1, &[runs("serde", "1.0.0")])));
    let reply = bench.send(link, &by_middle(DEVICE, Some(early), register(2, &[runs("log", "1.0.0")])));
    assert_eq!(statuses(&reply), [ReplyStatus::Succeeded], "old news of a server that was cut off");
    assert_eq!(bench.engine.route(DEVICE), Some(vec![to(BESIDE), step(BESIDE, DEVICE)]));
    assert_eq!(runs_at(&bench, DEVICE), [interest("serde")]);

    let later = late.after(Duration::from_secs(1));
    bench.send(link, &by_middle(DEVICE, Some(later), register(3, &[])));
    assert_eq!(bench.engine.route(DEVICE), Some(vec![to(MIDDLE), step(MIDDLE, DEVICE)]));
    assert_eq!(runs_at(&bench, DEVICE), [interest("serde")], "it only said that it is there");
    bench.send(beside, &by_beside(later.after(Duration::from_secs(1)), register(4, &[runs("log", "1.0.0")])));
    assert_eq!(runs_at(&bench, DEVICE), [interest("log")], "registered anew");

    let (own, _) = bench.connect(DEVICE, None);
    assert_eq!(bench.engine.route(DEVICE), Some(vec![to(DEVICE)]), "here itself");
    bench.send(beside, &by_beside(later, register(5, &[runs("log", "2.0.0")])));
    assert_eq!(bench.engine.route(DEVICE), Some(vec![to(DEVICE)]));
    bench.now = bench.now.after(Duration::from_secs(60));
    let now = bench.now;
    bench.send(beside, &by_beside(now, register(6, &[runs("log", "2.0.0")])));
    assert_eq!(bench.engine.route(DEVICE), Some(vec![to(BESIDE), step(BESIDE, DEVICE)]), "its link only lingers");
    bench.handle(Event::LinkDown(own));
    bench.settle();
    assert_eq!(bench.engine.route(DEVICE), Some(vec![to(BESIDE), step(BESIDE, DEVICE)]));
    assert_eq!(
        bench.engine.inventory(None, usize::MAX).into_iter().filter(|listed| listed.client == DEVICE).count(),
        1
    );
}

#[test]
fn a_report_that_comes_again_changes_nothing() {
    let (mut bench, link) = bench(config());
    let registered = by_middle(DEVICE, None, register(1, &[runs("serde", "1.0.0")]));
    bench.send(link, &registered);
    bench.send(link, &by_middle(DEVICE, None, end(2, "serde")));
    assert_eq!(statuses(&bench.send(link, &registered)), [ReplyStatus::Succeeded]);
    assert_eq!(runs_at(&bench, DEVICE), []);
    let other = by_middle(DEVICE, None, register(1, &[runs("log", "1.0.0")]));
    assert_eq!(statuses(&bench.send(link, &other)), [ReplyStatus::Failed], "another message under its Message_ID");
    let third = by_middle(OTHER, None, register(1, &[runs("log", "1.0.0")]));
    assert_eq!(statuses(&bench.send(link, &third)), [ReplyStatus::Succeeded], "of another client it is another");
}

#[test]
fn what_is_known_below_is_bounded_and_ends_with_its_lease() {
    let lease = Duration::from_secs(7200);
    let (mut bench, link) = bench(Config { below_max: 2, subscriptions_max: 2, lease, ..config() });
    let said = |number: u128, names: &[&str]| {
        let assets: Vec<_> = names.iter().map(|name| runs(name, "1.0.0")).collect();
        by_middle(ClientGuid(0x1000 + number), None, register(number, &assets))
    };
    let failed = |reply: &crate::engine::ReplyTo, why: &str| {
        let leaves = reply.answer.leaves();
        leaves[0].status == ReplyStatus::Failed && leaves[0].why.as_deref().is_some_and(|text| text.contains(why))
    };
    assert!(failed(&bench.send(link, &said(1, &["a", "b", "c"])), "more than 2 subscriptions"));
    bench.send(link, &said(2, &["a"]));
    bench.send(link, &said(3, &["a"]));
    assert!(failed(&bench.send(link, &said(4, &["a"])), "more than 2 clients"));
    bench.now = bench.now.after(lease);
    bench.send(link, &by_middle(ClientGuid(0x1003), None, register(5, &[])));
    bench.now = bench.now.after(Duration::from_secs(3600));
    bench.engine.handle_timeout(bench.now);
    bench.drain();
    bench.settle();
    assert_eq!(bench.engine.route(ClientGuid(0x1002)), None, "nobody has heard of it");
    assert!(bench.engine.route(ClientGuid(0x1003)).is_some());
    let bench = Bench::with(config(), bench.kept);
    assert_eq!(
        bench.engine.inventory(None, usize::MAX).into_iter().filter(|listed| listed.client != MIDDLE).count(),
        1
    );

    let (mut small, link) = self::bench(Config { below_bytes_max: 300, ..config() });
    assert!(failed(&small.send(link, &said(1, &["a", "b"])), "more than 300 bytes"));
}

proptest! {
    /// Whatever is reported by whom in whatever order: what is counted is what is held, and a restart knows the same.
    #[test]
    fn what_is_known_below_is_durable(
        reports in proptest::collection::vec((any::<bool>(), 0..4_u128, 0..3_usize, any::<bool>()), 1..30),
    ) {
        let (mut bench, middle) = bench(config());
        let (beside, _) = bench.connect(BESIDE, None);
        for (number, (is_middle, client, name, ends)) in reports.into_iter().enumerate() {
            let (link, server) = if is_middle { (middle, MIDDLE) } else { (beside, BESIDE) };
            let name = ["a", "b", "c"][name];
            let id = 1 + number as u128;
            let part = if ends { end(id, name) } else { register(id, &[runs(name, "1.0.0")]) };
            bench.send(link, &outer(server, &[hop(server.0, ClientGuid(0x1000 + client), None, &[part])]));
        }
        let known = |bench: &Bench| -> Vec<_> {
            let below = bench.engine.inventory(None, usize::MAX).into_iter().filter(|listed| listed.route.len() > 1);
            below.map(|listed| (listed.client, listed.route, listed.subscriptions.into_owned())).collect()
        };
        let before = known(&bench);
        prop_assert_eq!(known(&Bench::with(config(), bench.kept.clone())), before);
    }
}
