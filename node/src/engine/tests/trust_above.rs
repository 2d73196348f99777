//! A local server under a trust: what an upstream lists, and what is fetched from there again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::signature::PrivateKey;
use schemas::version::{Major, Minor};

use super::bench::{DEVICE, OTHER, advisory, config, deliver, document, draft, policy, request, runs};
use super::uplinks::{Local, UPSTREAM, lane, upstream};
use crate::catalogue::Form;
use crate::client::Via;
use crate::engine::{Config, Event};
use crate::ids::{ExchangeId, LinkId, Position};
use crate::policy::Policy;
use crate::trust::Trust;
use crate::trust::tests::{key, signed, signer, trust};
use crate::uplink::{Ask, Realm};

fn under(local: &mut Local, trust: Trust) {
    local.bench.handle(Event::Policy(Policy { trust: Arc::new(trust), combine: Duration::ZERO, ..policy() }));
    local.bench.settle();
}

fn trusting(key: &PrivateKey) -> Trust {
    trust(&[signer("own", key, &["Tests"])])
}

fn content(revision: u64) -> Bytes {
    deliver(u128::from(revision), advisory("A-1", revision, "serde", "vers:cargo/<2.0.0", ""))
}

/// What an upstream derives of it: nobody has signed that.
fn entry(revision: u64) -> Bytes {
    let info = advisory("A-1", revision, "serde", "vers:cargo/<2.0.0", "");
    document(0xca00 + u128::from(revision), &[draft(Major::Deliver, Some(Minor::Catalog), &[info])])
}

/// A local server that asks by elements, its list read and kept up, and a device of it that waits for `serde`.
fn local(key: &PrivateKey) -> (Local, LinkId) {
    let mut local = Local::new(upstream(Realm::Foreign, Ask::Elements));
    under(&mut local, trusting(key));
    let (list, _) = local.asked();
    local.answers(list, &[]);
    let device = local.connect(DEVICE);
    local.ask(device, &request(1, &[runs("serde", "1.2.3")]));
    (local, device)
}

/// By the lane; what it is asked for thereupon, it does not have.
fn pushes(local: &mut Local, position: u64, document: &Bytes) {
    local.brings(lane(position), document);
    while let Some(exchange) = fetches(local) {
        local.answers(exchange, &[]);
    }
}

/// What a new client is given, or listed, of `serde`.
fn due(local: &mut Local, id: u128, minor: Minor) -> Vec<(u64, Form)> {
    let link = local.connect(OTHER);
    let exchange = local.ask(link, &document(id, &[draft(Major::Request, Some(minor), &[runs("serde", "1.2.3")])]));
    let reply = local.reply(exchange);
    local.bench.due(&reply).iter().map(|due| (due.position.0, due.form)).collect()
}

/// The exchange by which it fetches something. Before everything is asked for again, what stood is ended.
fn fetches(local: &mut Local) -> Option<ExchangeId> {
    loop {
        let mut opened = local.opened();
        let (exchange, drafts) = opened.pop()?;
        assert!(opened.is_empty(), "{opened:?}");
        if drafts[0].major == Major::Request {
            return Some(exchange);
        }
        assert_eq!(drafts[0].minor, Some(Minor::End));
        local.answers(exchange, &[]);
    }
}

fn answers_with(local: &mut Local, exchange: ExchangeId, document: &Bytes) {
    local.replied(exchange, &[ReplyStatus::Succeeded]);
    local.brings(Via::Exchange(exchange), document);
    local.tell(crate::uplink::Event::Ended(exchange));
}

#[test]
fn an_entry_that_nobody_signed_takes_no_signed_content_off_the_offer() {
    let own = key();
    let (mut local, device) = local(&own);
    local.brings(lane(1), &entry(1));
    let exchange = fetches(&mut local).expect("a fetch");
    answers_with(&mut local, exchange, &signed(&content(1), &own));
    assert_eq!(local.bench.pushed(device), [Position(2)]);
    assert_eq!(due(&mut local, 10, Minor::Catalog), [(2, Form::Derived)], "not the upstream's beside it");

    pushes(&mut local, 2, &entry(2));
    assert_eq!(
        due(&mut local, 11, Minor::Full),
        [(2, Form::Whole)],
        "somebody answers for it, and for the entry nobody"
    );
    assert_eq!(due(&mut local, 12, Minor::Catalog), [(2, Form::Derived), (3, Form::Whole)]);
    // It was asked for when the first entry came, and stands.
    pushes(&mut local, 3, &signed(&content(2), &own));
    assert_eq!(due(&mut local, 13, Minor::Full), [(4, Form::Whole)]);
    assert_eq!(due(&mut local, 14, Minor::Catalog), [(4, Form::Derived)]);
}

#[test]
fn without_a_trust_file_an_entry_retires_older_content_at_once() {
    let (mut local, _) = local(&key());
    under(&mut local, Trust::default());
    local.brings(lane(1), &entry(1));
    let exchange = fetches(&mut local).expect("a fetch");
    answers_with(&mut local, exchange, &content(1));
    assert_eq!(due(&mut local, 10, Minor::Full), [(2, Form::Whole)]);
    pushes(&mut local, 2, &entry(2));
    assert_eq!(due(&mut local, 11, Minor::Full), []);
}

#[test]
fn an_entry_goes_with_the_barred_content_that_it_lists_and_comes_back_with_it() {
    let own = key();
    let (mut local, _) = local(&own);
    local.brings(lane(1), &entry(1));
    let exchange = fetches(&mut local).expect("a fetch");
    answers_with(&mut local, exchange, &signed(&content(1), &own));
    under(&mut local, trust(&[]));
    assert_eq!(due(&mut local, 10, Minor::Catalog), []);
    assert_eq!(local.bench.engine.catalogue().barred(), 2);
    pushes(&mut local, 2, &entry(2));
    assert_eq!(due(&mut local, 11, Minor::Catalog), [(3, Form::Whole)], "of the newer content nothing is known here");
    under(&mut local, trusting(&own));
    assert_eq!(due(&mut local, 12, Minor::Full), [(2, Form::Whole)]);
    assert_eq!(due(&mut local, 13, Minor::Catalog), [(2, Form::Derived), (3, Form::Whole)]);
}

#[test]
fn what_nobody_signed_keeps_no_list_from_being_asked_by() {
    let own = key();
    let (mut local, _) = local(&own);
    // Of a thing that nobody waits for yet, at a revision that will never be reached.
    pushes(&mut local, 1, &content(1 << 60));
    pushes(&mut local, 2, &signed(&content(1), &own));
    assert_eq!(due(&mut local, 10, Minor::Full), [(2, Form::Whole)]);
    pushes(&mut local, 3, &entry(2));
    assert_eq!(due(&mut local, 11, Minor::Catalog), [(2, Form::Derived), (3, Form::Whole)]);
    pushes(&mut local, 4, &signed(&content(2), &own));
    assert_eq!(due(&mut local, 12, Minor::Full), [(4, Form::Whole)]);
}

#[test]
fn what_is_refused_is_the_same_after_a_restart() {
    let own = key();
    let announced = |revision: u64| signed(&entry(revision), &own);
    let (mut local, _) = local(&own);
    pushes(&mut local, 1, &announced(3));
    pushes(&mut local, 2, &signed(&content(2), &own));
    pushes(&mut local, 3, &content(5));
    assert_eq!(local.bench.engine.totals().refused, [("downgrade", 1)].into());
    let mut local = local.restart();
    under(&mut local, trusting(&own));
    pushes(&mut local, 3, &content(5));
    assert_eq!(local.bench.engine.totals().refused, [("downgrade", 1)].into(), "after the restart");
    assert_eq!(due(&mut local, 10, Minor::Full), [], "the newer one is announced, and not here yet");
}

#[test]
fn what_somebody_answers_for_takes_the_place_also_while_a_newer_one_is_announced() {
    let own = key();
    let (mut local, _) = local(&own);
    pushes(&mut local, 1, &signed(&entry(2), &own));
    pushes(&mut local, 2, &content(3));
    assert_eq!(due(&mut local, 10, Minor::Full), [(2, Form::Whole)]);
    pushes(&mut local, 3, &signed(&content(1), &own));
    assert_eq!(due(&mut local, 11, Minor::Full), [], "neither the unsigned one, nor the outdated one");
    pushes(&mut local, 4, &signed(&content(2), &own));
    assert_eq!(due(&mut local, 12, Minor::Full), [(4, Form::Whole)]);
}

#[test]
fn an_entry_of_barred_content_stays_beside_what_stands_for_it() {
    let (own, other) = (key(), key());
    let both = trust(&[signer("own", &own, &["Tests"]), signer("other", &other, &["Tests"])]);
    let (mut local, _) = local(&own);
    under(&mut local, both);
    pushes(&mut local, 1, &signed(&content(2), &other));
    pushes(&mut local, 2, &signed(&content(3), &own));
    under(&mut local, trusting(&own));
    pushes(&mut local, 3, &entry(2));
    assert_eq!(local.bench.engine.catalogue().barred(), 1, "what the other key has signed");
    pushes(&mut local, 4, &signed(&content(4), &own));
    assert_eq!(local.bench.engine.catalogue().barred(), 1);
    assert_eq!(due(&mut local, 10, Minor::Catalog), [(4, Form::Derived)]);
}

#[test]
fn what_was_refused_from_above_is_asked_for_again_when_it_may_come() {
    let own = key();
    let mut local = Local::new(upstream(Realm::Same, Ask::Names));
    under(&mut local, trust(&[]));
    let device = local.connect(DEVICE);
    local.ask(device, &request(1, &[runs("serde", "1.2.3")]));
    let exchange = fetches(&mut local).expect("a Request");
    answers_with(&mut local, exchange, &signed(&content(1), &own));
    assert_eq!(
        (local.bench.pushed(device).len(), local.bench.engine.catalogue().len()),
        (0, 0),
        "refused, and not kept"
    );
    under(&mut local, trusting(&own));
    let exchange = fetches(&mut local).expect("everything is asked for again");
    answers_with(&mut local, exchange, &signed(&content(1), &own));
    assert_eq!(local.bench.pushed(device), [Position(1)]);
}

/// A local server that keeps one item, of which an upstream's signed one was trimmed while its key was trusted or not.
fn trimmed(own: &PrivateKey, while_barred: bool) -> Local {
    let config = Config { upstreams: vec![upstream(Realm::Same, Ask::Names)], items_max: 1, ..config() };
    let mut local = Local::with(config);
    under(&mut local, trusting(own));
    let device = local.connect(DEVICE);
    local.ask(device, &request(1, &[runs("serde", "1.2.3")]));
    let exchange = fetches(&mut local).expect("a Request");
    answers_with(&mut local, exchange, &signed(&content(1), own));
    if while_barred {
        under(&mut local, trust(&[]));
    }
    for number in 1..4 {
        let other = advisory(&format!("B-{number}"), 1, "serde", "vers:cargo/<2.0.0", "");
        pushes(&mut local, number, &deliver(100 + u128::from(number), other));
    }
    local.pass(Duration::from_secs(3600));
    assert_eq!(local.bench.engine.catalogue().len(), 1, "the others are trimmed");
    assert!(local.opened().is_empty());
    local
}

#[test]
fn what_was_trimmed_while_it_was_barred_is_asked_for_again_also_after_a_restart() {
    let own = key();
    for while_barred in [false, true] {
        let mut local = trimmed(&own, while_barred);
        under(&mut local, trusting(&own));
        assert_eq!(fetches(&mut local).is_some(), while_barred);

        let local = trimmed(&own, while_barred);
        let resume = local.bench.engine.resume_above(UPSTREAM).expect("a position");
        // It starts under another trust: without a file.
        let mut local = local.restart();
        local.connected(false, resume);
        assert_eq!(fetches(&mut local).is_some(), while_barred, "after a restart");
    }
}
