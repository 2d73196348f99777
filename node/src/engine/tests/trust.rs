//! Who has signed decides what goes on: at intake, while a tree runs, and after a restart. Nothing is read for it.

use std::sync::Arc;

use bytes::Bytes;
use schemas::core::ReplyStatus;
use schemas::signature::PrivateKey;

use super::bench::{Bench, DEVICE, advisory, config, deliver, policy, request, runs, statuses};
use crate::engine::{Action, Engine, Event};
use crate::ids::{LinkId, Position, Resume};
use crate::policy::Policy;
use crate::shard::{self, Shard};
use crate::trust::tests::{key, signed, signer, trust};
use crate::trust::{Trust, Unsigned};

/// For what the bench's advisories say of themselves.
fn trusting(key: &PrivateKey) -> Trust {
    trust(&[signer("Tests", key, &["Tests"])])
}

fn under(trust: Trust) -> Event {
    Event::Policy(Policy { trust: Arc::new(trust), ..policy() })
}

fn item(number: u64, revision: u64) -> Bytes {
    let id = u128::from(number) * 100 + u128::from(revision);
    deliver(id, advisory(&format!("A-{number}"), revision, "serde", "vers:cargo/<2.0.0", ""))
}

/// A device that waits for `serde`, under a trust in one key.
fn bench(key: &PrivateKey) -> (Bench, LinkId, LinkId) {
    let (mut bench, provider, device) = Bench::with_device();
    bench.handle(under(trusting(key)));
    bench.settle();
    (bench, provider, device)
}

fn due(bench: &mut Bench, device: LinkId, id: u128) -> Vec<u64> {
    let reply = bench.send(device, &request(id, &[runs("serde", "1.2.3")]));
    bench.due(&reply).iter().map(|due| due.position.0).collect()
}

fn told_behind(bench: &Bench, to: LinkId) -> usize {
    bench.actions.iter().filter(|action| matches!(action, Action::Behind(link, _) if *link == to)).count()
}

// R-8.3-6: what does not verify is answered Failed, counted by its reason, and not kept.
#[test]
fn c8_3_a_refused_item_is_failed_counted_and_not_kept() {
    let (own, other) = (key(), key());
    let (mut bench, provider, device) = bench(&own);
    let reply = bench.send(provider, &signed(&item(1, 1), &other));
    assert_eq!(statuses(&reply), [ReplyStatus::Failed]);
    let why = reply.answer.leaves()[0].why.clone().expect("a reason");
    assert!(why.contains("not in the trust file"), "{why}");
    assert_eq!(bench.engine.totals().refused, [("unknown_key", 1)].into());
    assert!(bench.engine.catalogue().is_empty() && bench.pushed(device).is_empty());
    assert_eq!(statuses(&bench.send(provider, &signed(&item(2, 1), &own))), [ReplyStatus::Succeeded]);
    assert_eq!(bench.pushed(device), [Position(1)]);
}

#[test]
fn what_is_not_signed_passes_or_not_by_policy() {
    let own = key();
    let (mut bench, provider, device) = bench(&own);
    assert_eq!(statuses(&bench.send(provider, &item(1, 1))), [ReplyStatus::Succeeded]);
    bench.handle(under(Trust { unsigned: Unsigned::Refuse, ..trusting(&own) }));
    bench.settle();
    assert_eq!(statuses(&bench.send(provider, &item(2, 1))), [ReplyStatus::Failed]);
    assert_eq!(due(&mut bench, device, 9), [] as [u64; 0], "nor does what came before");
    bench.handle(under(trusting(&own)));
    bench.settle();
    assert_eq!(due(&mut bench, device, 10), [1]);
}

#[test]
fn what_is_not_signed_does_not_replace_what_is() {
    let own = key();
    let (mut bench, provider, device) = bench(&own);
    bench.send(provider, &signed(&item(1, 1), &own));
    assert_eq!(statuses(&bench.send(provider, &item(1, 2))), [ReplyStatus::Failed]);
    assert_eq!(bench.engine.totals().refused, [("downgrade", 1)].into());
    assert_eq!(due(&mut bench, device, 9), [1]);
}

#[test]
fn a_withdrawn_key_takes_its_items_off_the_offer_and_back() {
    let own = key();
    let (mut bench, provider, device) = bench(&own);
    bench.send(provider, &signed(&item(1, 1), &own));
    bench.send(provider, &item(2, 1));
    assert_eq!(due(&mut bench, device, 9), [1, 2]);
    bench.handle(under(trust(&[])));
    bench.settle();
    assert_eq!(due(&mut bench, device, 10), [2], "what is not signed stays");
    assert_eq!((bench.engine.catalogue().barred(), told_behind(&bench, device)), (1, 0));
    assert_eq!(statuses(&bench.send(provider, &signed(&item(1, 1), &own))), [ReplyStatus::Failed]);
    bench.handle(under(trusting(&own)));
    bench.settle();
    assert_eq!(told_behind(&bench, device), 1, "who may have missed it asks again");
    assert_eq!(due(&mut bench, device, 11), [1, 2]);
}

#[test]
fn what_a_withdrawn_item_had_replaced_is_current_again() {
    let (first, second) = (key(), key());
    let both = trust(&[signer("one", &first, &["Tests"]), signer("two", &second, &["Tests"])]);
    let (mut bench, provider, device) = bench(&first);
    bench.handle(under(both));
    bench.send(provider, &signed(&item(1, 1), &first));
    bench.send(provider, &signed(&item(1, 3), &second));
    assert_eq!(due(&mut bench, device, 9), [2]);
    bench.handle(under(trusting(&first)));
    bench.settle();
    assert_eq!(due(&mut bench, device, 10), [1]);
    assert_eq!(statuses(&bench.send(provider, &signed(&item(1, 2), &first))), [ReplyStatus::Succeeded]);
    assert_eq!(due(&mut bench, device, 11), [3], "the newest of those that may go on");
}

#[test]
fn who_was_away_when_an_item_came_back_is_behind() {
    let own = key();
    let (mut bench, provider, device) = bench(&own);
    bench.send(provider, &signed(&item(1, 1), &own));
    bench.handle(Event::LinkDown(device));
    bench.handle(under(trust(&[])));
    bench.handle(under(trusting(&own)));
    bench.settle();
    let resume = Resume::at(0x1c, Position(1), None);
    assert!(bench.connect(DEVICE, Some(resume)).1.behind);
    // The same after a restart, by what the store holds.
    let kept = bench.kept;
    let policy = Policy { trust: Arc::new(trusting(&own)), ..policy() };
    bench.engine = Engine::recover(config(), policy, kept.clone(), bench.now).expect("good records");
    bench.kept = kept;
    assert!(bench.connect(DEVICE, Some(resume)).1.behind);
}

#[test]
fn a_restart_finds_who_has_signed_in_the_records() {
    let own = key();
    let (mut bench, provider, _) = bench(&own);
    bench.send(provider, &signed(&item(1, 1), &own));
    bench.send(provider, &item(2, 1));
    for (trust, barred) in [(trusting(&own), 0), (trust(&[]), 1), (Trust::default(), 0)] {
        let policy = Policy { trust: Arc::new(trust), ..policy() };
        let engine = Engine::recover(config(), policy, bench.kept.clone(), bench.now).expect("good records");
        assert_eq!((engine.catalogue().len(), engine.catalogue().barred()), (2, barred));
    }
}

/// Hands a shard what the engine told it, and counts what it wants to read.
fn reads(shard: &mut Shard, bench: &mut Bench) -> usize {
    let mut reads = 0;
    loop {
        for action in std::mem::take(&mut bench.actions) {
            if let Action::Shard(_, event) = action {
                shard.handle(bench.now, event);
            }
        }
        let mut needs = Vec::new();
        while let Some(action) = shard.poll_action() {
            match action {
                shard::Action::Read { .. } => reads += 1,
                shard::Action::Need { link, class, after } => needs.push(Event::Need { link, class, after }),
                _ => {}
            }
        }
        if needs.is_empty() {
            return reads;
        }
        needs.into_iter().for_each(|need| bench.handle(need));
    }
}

#[test]
fn nothing_is_read_to_withdraw_an_item_and_what_was_queued_is_not_sent() {
    let own = key();
    let (mut bench, provider, _) = bench(&own);
    let mut shard = Shard::new(shard::Config::default());
    reads(&mut shard, &mut bench);
    bench.send(provider, &signed(&item(1, 1), &own));
    assert_eq!((reads(&mut shard, &mut bench), shard.totals().queued), (0, 1), "it waits for company");
    bench.handle(under(trust(&[])));
    assert_eq!((reads(&mut shard, &mut bench), shard.totals().queued), (0, 0));
    shard.handle_timeout(bench.now.after(std::time::Duration::from_secs(60)));
    assert_eq!(shard.totals().items, 0);
    assert_eq!(bench.engine.catalogue().barred(), 1);
}

#[test]
fn leave_given_before_a_key_was_withdrawn_is_stale() {
    let own = key();
    let (mut bench, provider, device) = bench(&own);
    bench.open(provider, &signed(&item(1, 1), &own));
    bench.handle(under(trust(&[])));
    bench.settle();
    assert!(bench.pushed(device).is_empty(), "it was stored, and may not go on any more");
    bench.handle(under(trusting(&own)));
    bench.settle();
    assert_eq!(due(&mut bench, device, 9), [1]);
}
