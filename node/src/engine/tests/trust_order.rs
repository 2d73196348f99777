//! Of two items of one identity the signed one counts, and of two signed ones the newer: whichever came first.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use schemas::core::ReplyStatus;
use schemas::signature::PrivateKey;
use topology::subject::ItemIdentity;

use super::bench::{Bench, DEVICE, advisory, config, deliver, document, draft, policy, runs, statuses};
use crate::catalogue::{Form, Size};
use crate::engine::{Engine, Event};
use crate::ids::LinkId;
use crate::policy::Policy;
use crate::trust::tests::{key, messages, only, signed, signer, trust, validated};
use crate::trust::{Signer, Trust};
use schemas::version::{Major, Minor};

fn under(trust: Trust) -> Event {
    Event::Policy(Policy { trust: Arc::new(trust), ..policy() })
}

fn item(revision: u64) -> Bytes {
    deliver(u128::from(revision), advisory("A-1", revision, "serde", "vers:cargo/<2.0.0", ""))
}

fn identity(engine: &Engine) -> ItemIdentity {
    let (_, item) = engine.catalogue().iter().next().expect("an item");
    item.record.subject.identity.clone().expect("an identity")
}

/// Revision of what is on offer, and whether it is signed.
fn current(engine: &Engine) -> Option<(u64, bool)> {
    let item = engine.catalogue().current(&identity(engine), false).filter(|item| item.current)?;
    Some((item.record.subject.revision, item.record.signing.is_some()))
}

/// What a revision of the thing is: nobody's, or of one of two keys.
#[derive(Clone, Copy, Debug)]
enum By {
    Nobody,
    One,
    Two,
}

fn revisions() -> impl Strategy<Value = Vec<(u64, By)>> {
    let by = prop_oneof![Just(By::Nobody), Just(By::One), Just(By::Two)];
    proptest::collection::vec(by, 1..6).prop_flat_map(|all| {
        let numbered: Vec<(u64, By)> = (1..).zip(all).collect();
        Just(numbered).prop_shuffle()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_newest_signed_revision_has_the_place_in_whatever_order_they_come(revisions in revisions()) {
        let (one, two) = (key(), key());
        let trust = trust(&[signer("one", &one, &["Tests"]), signer("two", &two, &["Tests"])]);
        let (mut bench, provider, _) = Bench::with_device();
        bench.handle(under(trust.clone()));
        for (revision, by) in &revisions {
            let document = item(*revision);
            let document = match by {
                By::Nobody => document,
                By::One => signed(&document, &one),
                By::Two => signed(&document, &two),
            };
            bench.send(provider, &document);
        }
        let is_signed = |(_, by): &&(u64, By)| !matches!(by, By::Nobody);
        let newest = |of: Vec<&(u64, By)>| of.into_iter().map(|(revision, _)| *revision).max();
        let expected = newest(revisions.iter().filter(is_signed).collect()).map(|revision| (revision, true));
        let expected = expected.or(newest(revisions.iter().collect()).map(|revision| (revision, false)));
        prop_assert_eq!(current(&bench.engine), expected);

        let policy = Policy { trust: Arc::new(trust.clone()), ..policy() };
        let again = Engine::recover(config(), policy, bench.kept.clone(), bench.now).expect("good records");
        prop_assert_eq!(current(&again), expected);

        bench.handle(under(crate::trust::tests::trust(&[])));
        bench.settle();
        prop_assert!(current(&bench.engine).is_none_or(|(_, is_signed)| !is_signed));
        bench.handle(under(trust));
        bench.settle();
        prop_assert_eq!(current(&bench.engine), expected);
    }
}

/// Of these companies' thing, by a lower or a higher revision.
fn of(company: &str, source: Option<&str>, revision: u64, key: &PrivateKey) -> Bytes {
    let mut info = advisory("A-1", revision, "serde", "vers:cargo/<2.0.0", "");
    info.company = Some(company.to_owned().into());
    info.info[0].source = source.map(|source| source.to_owned().into());
    signed(&deliver(u128::from(revision), info), key)
}

/// For companies alone.
fn vendor(name: &str, key: &PrivateKey) -> Signer {
    Signer { companies: only(&[name]), ..signer(name, key, &["Tests"]) }
}

/// What stands after each change of whom to trust; and how many items were evicted, if any may be.
fn stands(sent: &[Bytes], signers: &[Signer], from_the_start: bool, evicts: bool) -> (Vec<Option<(u64, bool)>>, usize) {
    let (mut bench, provider, _) = Bench::with_device();
    let mut evicted = 0;
    let mut evict = |bench: &mut Bench| {
        if evicts {
            evicted += bench.engine.catalogue.evict(Size { items: 0, bytes: 0 }, |_| true).len();
        }
    };
    if from_the_start {
        bench.handle(under(trust(signers)));
    }
    for document in sent {
        bench.send(provider, document);
        evict(&mut bench);
    }
    let trusted = [&signers[..0], &signers[..1], &signers[1..], signers, &signers[..0]];
    let after = trusted.map(|signers| {
        bench.handle(under(trust(signers)));
        bench.settle();
        evict(&mut bench);
        // What a signer may not say is not kept.
        if bench.engine.catalogue().is_empty() { None } else { current(&bench.engine) }
    });
    (after.to_vec(), evicted)
}

#[test]
fn what_is_evicted_changes_nothing_whoever_is_trusted_later() {
    let (one, two) = (key(), key());
    let anybody = [signer("one", &one, &["Tests"]), signer("two", &two, &["Tests"])];
    let vendors = [vendor("Acme", &one), vendor("Bolt", &two)];
    let sent = |by: usize, revision: u64| match by {
        0 => item(revision),
        1 => of("Acme", Some("Tests"), revision, &one),
        _ => of("Bolt", Some("Tests"), revision, &two),
    };
    let mut evicted = 0;
    for by in (0..81).map(|number| [number / 27, number / 9 % 3, number / 3 % 3, number % 3]) {
        for order in [[1, 2, 3, 4], [2, 1, 4, 3]] {
            let sent: Vec<Bytes> = by.into_iter().zip(order).map(|(by, revision)| sent(by, revision)).collect();
            for (signers, from_the_start) in [(&anybody, false), (&anybody, true), (&vendors, false), (&vendors, true)]
            {
                let (with, gone) = stands(&sent, signers, from_the_start, true);
                let (without, _) = stands(&sent, signers, from_the_start, false);
                assert_eq!(with, without, "{by:?} {order:?} {signers:?} {from_the_start}");
                evicted += gone;
            }
        }
    }
    assert!(evicted > 100, "{evicted}");
}

#[test]
fn a_vendor_does_not_touch_what_another_calls_the_same() {
    let (acme, bolt) = (key(), key());
    for order in [[0, 1], [1, 0]] {
        let (mut bench, provider, _) = Bench::with_device();
        bench.handle(under(trust(&[vendor("Acme", &acme), vendor("Bolt", &bolt)])));
        let documents = [of("Acme", None, 5, &acme), of("Bolt", None, 0, &bolt)];
        order.into_iter().for_each(|index: usize| drop(bench.send(provider, &documents[index])));
        let current = bench.engine.catalogue().iter().filter(|(_, item)| item.current).count();
        assert_eq!((current, bench.engine.totals().refused.len()), (2, 0));
    }
}

#[test]
fn who_speaks_for_others_by_the_same_source_takes_no_place_by_a_lower_revision() {
    let (acme, bolt) = (key(), key());
    let (mut bench, provider, _) = Bench::with_device();
    bench.handle(under(trust(&[vendor("Acme", &acme), vendor("Bolt", &bolt)])));
    bench.send(provider, &of("Acme", Some("Tests"), 5, &acme));
    for revision in [0, 9] {
        bench.send(provider, &of("Bolt", Some("Tests"), revision, &bolt));
        assert_eq!(current(&bench.engine), Some((5, true)), "neither by a lower nor by a higher one");
    }
    bench.send(provider, &of("Acme", Some("Tests"), 6, &acme));
    assert_eq!(current(&bench.engine), Some((6, true)));
}

#[test]
fn signed_messages_put_side_by_side_are_not_what_anybody_signed() {
    let own = key();
    let (mut bench, provider, _) = Bench::with_device();
    bench.handle(under(trust(&[signer("own", &own, &["Tests"])])));
    bench.send(provider, &signed(&item(3), &own));
    // Its signed message, and the signed withdrawal of something else.
    let withdrawal = advisory("B-1", 4, "rand", "vers:cargo/<2.0.0", "\nStatus: withdrawn");
    let again = deliver(8, advisory("A-1", 3, "serde", "vers:cargo/<2.0.0", ""));
    let parts = [signed(&again, &own), signed(&deliver(9, withdrawal), &own)];
    let spliced = spliced(&parts);
    assert_eq!(statuses(&bench.send(provider, &spliced)), [ReplyStatus::Failed, ReplyStatus::Failed]);
    assert_eq!(
        (current(&bench.engine), bench.engine.totals().refused.clone()),
        (Some((3, true)), [("unproved", 1)].into())
    );
}

/// One document with the messages of two.
fn spliced(parts: &[Bytes; 2]) -> Bytes {
    let [first, second] = parts.each_ref().map(validated);
    let [into, from] = [&first, &second].map(|facts| messages(facts)[0].range());
    [&first.bytes()[..into.end], &second.bytes()[from], &first.bytes()[into.end..]].concat().into()
}

#[test]
fn those_who_hold_what_is_barred_hear_of_what_takes_its_place() {
    let (own, other) = (key(), key());
    let (mut bench, provider, device) = Bench::with_device();
    bench.handle(under(trust(&[signer("own", &own, &["Tests"])])));
    bench.send(provider, &signed(&item(1), &own));
    assert_eq!(bench.pushed(device).len(), 1);
    bench.handle(under(trust(&[signer("other", &other, &["Tests"])])));
    bench.settle();
    let narrower = deliver(2, advisory("A-1", 2, "serde", "vers:cargo/<1.0.0", ""));
    bench.send(provider, &signed(&narrower, &other));
    assert_eq!(bench.pushed(device).len(), 2, "it does not concern 1.2.3 any more, and who had the first must hear so");
}

/// What a Catalog subscriber of `serde` is listed: whole entries and derived ones.
fn listed(bench: &mut Bench, device: LinkId, id: u128) -> Vec<Form> {
    let ask = document(id, &[draft(Major::Request, Some(Minor::Catalog), &[runs("serde", "1.2.3")])]);
    let reply = bench.send(device, &ask);
    bench.due(&reply).iter().map(|due| due.form).collect()
}

#[test]
fn a_withdrawn_key_takes_its_items_off_the_list_and_back() {
    let own = key();
    let (mut bench, provider, _) = Bench::with_device();
    let (lister, _) = bench.connect(DEVICE, None);
    bench.handle(under(trust(&[signer("own", &own, &["Tests"])])));
    bench.send(provider, &signed(&item(1), &own));
    assert_eq!(listed(&mut bench, lister, 10), [Form::Derived]);
    bench.handle(under(trust(&[])));
    bench.settle();
    assert_eq!(listed(&mut bench, lister, 11), []);
    bench.handle(under(trust(&[signer("own", &own, &["Tests"])])));
    bench.settle();
    assert_eq!(listed(&mut bench, lister, 12), [Form::Derived]);
}
