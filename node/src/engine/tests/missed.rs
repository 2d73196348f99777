//! Who might miss something: faults that random trees have shown, each by itself.

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::facts::Validated;
use schemas::limits::Limits;
use schemas::version::{Major, Minor, VersionInfo};

use super::bench::{DEVICE, OTHER, PROVIDER, advisory, config, deliver, document, draft, request, runs, statuses};
use super::uplinks::{Local, UPSTREAM, lane, upstream};
use crate::engine::{Config, Event};
use crate::ids::{LinkId, Position, Resume};
use crate::intake::Intake;
use crate::uplink::{self, Ask, Realm};

/// It concerns 1.2.3 of `serde`, which the device runs, or not.
fn advice(revision: u64, concerns: bool) -> VersionInfo {
    let range = if concerns { "vers:cargo/<2.0.0" } else { "vers:cargo/<1.0.0" };
    advisory("A-1", revision, "serde", range, "")
}

fn content(revision: u64, concerns: bool) -> Bytes {
    deliver(revision.into(), advice(revision, concerns))
}

fn entry(revision: u64, concerns: bool) -> Bytes {
    let info = [advice(revision, concerns)];
    document(0xca00 + u128::from(revision), &[draft(Major::Deliver, Some(Minor::Catalog), &info)])
}

/// A device that waits for `serde`, of which there was one item above.
fn waiting() -> (Local, LinkId) {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let link = local.connect(DEVICE);
    local.ask(link, &request(1, &[runs("serde", "1.2.3")]));
    let (above, _) = local.asked();
    local.answers(above, &[advice(1, true)]);
    (local, link)
}

#[test]
fn who_waits_for_content_and_for_the_list_gets_an_entry_also_as_it_comes() {
    let (mut local, link) = waiting();
    local.ask(link, &document(2, &[draft(Major::Request, Some(Minor::Catalog), &[])]));
    let (above, asked) = local.asked();
    assert_eq!(asked.minor, Some(Minor::Catalog));
    local.answers(above, &[]);
    local.brings(lane(1), &entry(2, true));
    assert_eq!(local.bench.pushed(link), [Position(2)]);
}

#[test]
fn a_node_that_stores_nothing_does_not_answer_for_what_upstreams_may_have() {
    let (mut local, link) = waiting();
    let provider = local.connect(PROVIDER);
    local.bench.open(provider, &content(7, true));
    let (ticket, _) = local.bench.asked.remove(0);
    local.bench.handle(Event::StoreFailed(ticket, "gone".into()));

    let once = |id: u128, name: &str| document(id, &[draft(Major::Request, None, &[runs(name, "1.2.3")])]);
    let exchange = local.ask(link, &once(2, "serde"));
    assert_eq!(local.bench.due(&local.reply(exchange)).len(), 1, "that is all there is");
    let exchange = local.ask(link, &once(3, "tokio"));
    assert_eq!(statuses(&local.reply(exchange)), [ReplyStatus::Failed], "what came could not be kept");
}

// An old entry of one upstream came between the content of another and its retraction.
#[test]
fn an_entry_concerns_whom_content_of_the_same_thing_concerned() {
    let mut local = Local::new(upstream(Realm::Foreign, Ask::Elements));
    let (list, _) = local.asked();
    local.answers(list, &[]);
    let link = local.connect(DEVICE);
    local.ask(link, &request(1, &[runs("serde", "1.2.3")]));
    let provider = local.connect(PROVIDER);
    local.ask(provider, &content(2, true));
    assert_eq!(local.bench.pushed(link), [Position(1)]);
    local.brings(lane(1), &entry(1, false));
    local.brings(lane(2), &entry(3, false));
    let (above, asked) = local.asked();
    assert_eq!(asked.minor, Some(Minor::Full), "whoever holds the second wants the third");
    local.answers(above, &[advice(3, false)]);
    assert_eq!(local.bench.pushed(link).len(), 2);
}

// An old revision of one upstream came after the one that a device holds was trimmed.
#[test]
fn after_a_trim_a_later_revision_concerns_whoever_has_the_name() {
    let mut local =
        Local::with(Config { upstreams: vec![upstream(Realm::Same, Ask::Names)], items_max: 1, ..config() });
    let (link, other) = (local.connect(DEVICE), local.connect(OTHER));
    local.ask(link, &request(1, &[runs("serde", "1.2.3")]));
    let (above, _) = local.asked();
    local.answers(above, &[]);
    local.ask(other, &request(2, &[runs("tokio", "1.2.3")]));
    let (above, _) = local.asked();
    local.answers(above, &[]);
    local.brings(lane(1), &content(2, true));
    let another = advisory("A-2", 1, "tokio", "vers:cargo/<2.0.0", "");
    local.brings(lane(2), &deliver(0x20, another));
    assert!(local.bench.engine.catalogue().get(Position(1)).is_none(), "trimmed");
    local.brings(lane(3), &content(1, false));
    local.brings(lane(4), &content(3, false));
    assert_eq!(local.bench.pushed(link), [Position(1), Position(4)]);
    assert_eq!(local.bench.pushed(other), [Position(2)], "nobody else");
}

#[test]
fn what_was_pushed_on_a_link_that_is_gone_is_not_answered_on_the_next() {
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    let push = |local: &mut Local| {
        let facts = Validated::new(content(1, true), &Limits::default()).expect("a good document");
        let intake = Box::new(Intake::of(&facts).expect("a message"));
        local.bench.handle(Event::Uplink(UPSTREAM, uplink::Event::Delivery { via: lane(1), intake }));
    };
    push(&mut local);
    local.bench.handle(Event::Uplink(UPSTREAM, uplink::Event::Disconnected));
    local.connected(false, Resume::at(0x77, Position(0), None));
    assert_eq!((local.answered_above(), local.bench.engine.catalogue().len()), (vec![], 1), "it is held");
    push(&mut local);
    local.bench.settle();
    assert_eq!(local.answered_above(), [Position(1)]);
}

#[test]
fn also_what_a_provider_delivers_here_concerns_whoever_has_the_name_if_its_predecessor_was_trimmed() {
    let mut local = Local::with(Config { items_max: 1, ..config() });
    let (link, provider) = (local.connect(DEVICE), local.connect(PROVIDER));
    local.ask(link, &request(1, &[runs("serde", "1.2.3")]));
    local.ask(provider, &content(2, true));
    local.ask(provider, &deliver(0x20, advisory("A-2", 1, "tokio", "vers:cargo/<2.0.0", "")));
    assert!(local.bench.engine.catalogue().get(Position(1)).is_none(), "trimmed");
    local.ask(provider, &content(3, false));
    local.ask(provider, &deliver(0x30, advisory("A-3", 2, "serde", "vers:cargo/<1.0.0", "")));
    assert_eq!(local.bench.pushed(link), [Position(1), Position(3)], "and of what was never here, nobody else");
}
